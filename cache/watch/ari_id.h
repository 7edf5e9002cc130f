/* ari_id.h - what a CA's renewal information calls a certificate (RFC 9773 section 4.1):
 * its issuer's key identifier and its serial number, both in base64url without padding,
 * with a dot between.
 *
 * The serial is the content octets of its DER INTEGER: one whose first bit is set has its
 * 00 in front, and struct serial has it.  Pure, any thread.
 */
#ifndef CACHE_WATCH_ARI_ID_H
#define CACHE_WATCH_ARI_ID_H

#include "cache/watch/watch_cert.h"

#define ARI_ID_MAX ((WATCH_AKI_MAX + 2) / 3 * 4 + 1 + (SERIAL_MAX + 2) / 3 * 4 + 1)

/* "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"; returns its length.  aki: 1..WATCH_AKI_MAX
 * octets. */
size_t ari_id(struct bytes aki, const struct serial *s, char out[ARI_ID_MAX]);

#endif
