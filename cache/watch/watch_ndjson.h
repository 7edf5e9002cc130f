/* watch_ndjson.h - certificates in NDJSON: a JSON object in each line.
 *
 * {"issuer" or "issuer_key","serial"[,"names","not_before","not_after","crl","labels"]}:
 * issuer is a configured name, issuer_key the hexadecimal identifier of its key; names,
 * crl and labels are arrays of strings, the dates RFC 3339.  null is absent.  Other
 * members are passed over, whatever they are; one of ours twice is refused.
 *
 * The reader is our own because 15 million lines are to be read in a minute, which is a
 * tenth of what jansson takes; it is strict RFC 8259 (watch_json.h), and the fuzzer asks
 * jansson whether they agree.  Empty lines are passed over, CR LF is taken, a byte order
 * mark before the first line too.
 */
#ifndef CACHE_WATCH_WATCH_NDJSON_H
#define CACHE_WATCH_WATCH_NDJSON_H

#include "cache/watch/watch_reader.h"

extern const struct watch_reader watch_ndjson_reader;

#endif
