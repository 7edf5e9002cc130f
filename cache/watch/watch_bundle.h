/* watch_bundle.h - certificates in a PEM bundle, with who issued them.
 *
 * CA certificates (CA:TRUE) are never handed out; they go to the bundle's chain.  A
 * certificate that only a CA certificate behind it can explain (it has no AKI and is from
 * no configured issuer) waits for it, and those behind wait with it, so that the order
 * stays: at most WATCH_WAIT_MAX of them, which is more than a server's file has.
 */
#ifndef CACHE_WATCH_WATCH_BUNDLE_H
#define CACHE_WATCH_WATCH_BUNDLE_H

#include "cache/watch/watch_reader.h"

#define WATCH_WAIT_MAX 16

extern const struct watch_reader watch_bundle_reader;

#endif
