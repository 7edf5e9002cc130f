/* watch_search.h - which of the watched certificates: by name, CA, list, end; in pages.
 *
 * One row a certificate, whatever number of lists it stands on, in the order of the CA's
 * DN and then of the serial's number.  The place where a page ended is that of a
 * certificate and not a count, so that a page that is asked for later goes on right
 * there, whatever came or went meanwhile: nothing that stayed is told twice or left out.
 *
 * What the file does not know (status, notices) is the caller's filter.  A page looks at
 * a bounded number of certificates; it may end before it is full, with a place to go on.
 *
 * Any thread; one read transaction for each page.
 */
#ifndef CACHE_WATCH_WATCH_SEARCH_H
#define CACHE_WATCH_WATCH_SEARCH_H

#include "cache/watch/watch_db.h"

/* Where a page ended: behind this certificate.  ca 0: before the first one. */
struct watch_place {
	uint32_t ca;
	struct serial serial;
};
#define WATCH_PLACE_TEXT_MAX (2 * (4 + SERIAL_MAX) + 1)
/* Opaque to everybody else.  parse takes exactly what text wrote. */
void watch_place_text(const struct watch_place *p, char out[WATCH_PLACE_TEXT_MAX]);
bool watch_place_parse(struct watch_place *p, const char *text);

#define WATCH_PAGE_MAX 1000
struct watch_query {
	/* "" or a name: itself, what lies below it, and the wildcard that covers it; as
	 * watch_name() writes it (watch_name.h). */
	struct bytes name;
	const char *issuer; /* NULL, or a configured name, or a hexadecimal AKI */
	const char *list;   /* NULL, or a watchlist; names and dates are those of all */
	int64_t expires_before; /* INT64_MAX: all; who has no date is not before any */
	size_t limit;           /* 1..WATCH_PAGE_MAX certificates */
	struct watch_place from;
	/* NULL, or the one in force: what a list has not is known from memory then, and
	 * its rows need not be looked for. */
	const struct inventory *inventory;
};

/* A certificate as all lists together tell it; borrowed for the call. */
struct watch_found {
	const struct watch_ca *ca;
	struct serial serial;
	size_t lists_n; /* the lists that have it, by name, with what each says */
	const struct watch_on {
		const char *list;
		struct watch_record row;
	} * on;
	bool verified;                 /* one of them says so */
	int64_t not_before, not_after; /* of the first one that says; the earliest */
};

/* take: false: it does not match the caller's filter, and counts as not found.  next: ca
 * 0 where that was all.  ERR_NOT_FOUND: no such list; ERR_NOMEM, ERR_STORE, ERR_RECORD.
 */
enum err watch_search(struct watch_db *db, const struct watch_query *q,
    bool (*take)(void *arg, const struct watch_found *f), void *arg,
    struct watch_place *next);

#endif
