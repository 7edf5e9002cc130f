/* watch_entry.h - the fields of one line as text, made into a certificate; for NDJSON and
 * CSV, so that both mean the same.
 */
#ifndef CACHE_WATCH_WATCH_ENTRY_H
#define CACHE_WATCH_WATCH_ENTRY_H

#include "cache/base/name.h"
#include "cache/watch/watch_reader.h"
#include "cache/watch/watch_texts.h"

/* p NULL: absent.  Borrowed; valid UTF-8 without NUL. */
struct watch_entry {
	struct bytes serial, issuer, issuer_key, not_before, not_after;
};

/* What a reader keeps from one entry to the next. */
struct watch_entry_room {
	struct watch_texts texts; /* names, labels and URLs of this entry */
	char issuer[NAME_MAX_OCTETS + 1];
	const struct issuer *configured; /* of the name in issuer; NULL: none yet */
	uint8_t aki[WATCH_AKI_MAX];
};

/* Hand out the certificate; false: the entry is bad, or the caller stops
 * (WATCH_STOPPED), with the reason in out->error. */
bool watch_entry_out(struct watch_entry_room *r, const struct watch_entry *e,
    uint64_t line, struct watch_out *out);

#endif
