/* watch_record.h - what a watchlist says of one certificate, as the file keeps it.
 *
 * A row is a value without pointers: dates, whether its signature was verified, and three
 * runs of texts (names, labels, the lists that it names).  What is read is checked in
 * every field, though nobody but us writes the file: it may come from a damaged disk.
 *
 * Pure functions, any thread.
 */
#ifndef CACHE_WATCH_WATCH_RECORD_H
#define CACHE_WATCH_WATCH_RECORD_H

#include "cache/base/err.h"
#include "cache/watch/watch_cert.h"

struct watch_record {
	int64_t not_before, not_after;   /* seconds, or WATCH_TIME_NONE */
	bool verified;                   /* its signature by its issuer's key */
	uint64_t names_more;             /* names that had no room */
	struct bytes names, labels, crl; /* runs of texts (watch_run_next()) */
};

/* The next text of a run, borrowed from it; false: that was all.  run is what follows. */
bool watch_run_next(struct bytes *run, struct bytes *text);
/* Append a text (at most 65,535 bytes) to a run of *n bytes at p, which has room for
 * 2 + text_n more. */
void watch_run_add(uint8_t *p, size_t *n, const char *text, size_t text_n);

/* Bytes of a run: an entry's texts, with two octets for each length. */
#define WATCH_RUN_MAX (2 * WATCH_TEXT_MAX + WATCH_URLS_MAX * (WATCH_URL_MAX + 2))
/* Bytes that it takes; each run is at most WATCH_RUN_MAX. */
size_t watch_record_size(const struct watch_record *r);
size_t watch_record_encode(
    const struct watch_record *r, uint8_t *out); /* bytes written */
/* Where the runs stand behind each other in an encoded row: who has made them there
 * encodes around them, and nothing is copied. */
size_t watch_record_runs_at(const struct watch_record *r);
/* r borrows from in.  ERR_RECORD: not in our encoding.  What is read encodes to the same
 * bytes. */
enum err watch_record_decode(struct watch_record *r, struct bytes in);

/* What is kept in memory of it. */
struct watched;
void watch_record_watched(
    const struct watch_record *r, const struct serial *s, struct watched *out);

#endif
