/* watch_newer.h - which certificates of a list could stand in for another one of it.
 *
 * Those that have all of its names, began later and have not ended, the latest first.
 * Whether they are revoked, or announced, is the caller's to ask.
 *
 * Names are compared as they are kept (watch_name.h): A-labels in lower case, octet for
 * octet.  A wildcard is a name as any: who has www.shop.example is not replaced by who
 * has *.shop.example, since nobody knows what else the server's configuration asks of a
 * certificate than what the old one had.  What is not known proves nothing: who has no
 * names, names that had no room, or no beginning, has nobody, and who has no beginning
 * stands in for nobody.  Nor does who began in the same second.
 *
 * Searched by the rarest of its names.  Certificates with the same names are looked for
 * once for each opening, so that a thousand of one name cost no more than one.
 *
 * Weak points: of more than WATCH_NEWER_MAX with the names the latest ones are known
 * alone; and of a name that more than LOOK_MAX certificates of a list have, not all are
 * looked at.
 *
 * One owner, one thread.  It holds a view of the file as watch_rows.h does.
 */
#ifndef CACHE_WATCH_WATCH_NEWER_H
#define CACHE_WATCH_WATCH_NEWER_H

#include "cache/watch/watch_db.h"

#define WATCH_NEWER_MAX 32

struct watch_newer {
	uint32_t ca;
	struct serial serial;
	int64_t not_before;
};

/* All that have some names and have not ended, the latest first. */
struct watch_newer_set {
	size_t number; /* counts them, from 0 */
	size_t n;
	struct watch_newer at[WATCH_NEWER_MAX];
};

struct watch_newers;

/* now: seconds since 1970.  ERR_NOMEM, ERR_STORE. */
enum err watch_newers_open(struct watch_newers **out, struct watch_db *db, int64_t now);
void watch_newers_close(struct watch_newers *w); /* NULL is allowed */
/* For a certificate of a list: those of *set that began after *since.  Borrowed until the
 * next call.  ERR_NOT_FOUND: the list does not have it any more, or nobody can be told to
 * stand in for it; ERR_NOMEM, ERR_RECORD, ERR_STORE. */
enum err watch_newers_find(struct watch_newers *w, uint32_t generation, uint32_t ca,
    const struct serial *s, const struct watch_newer_set **set, int64_t *since);

#endif
