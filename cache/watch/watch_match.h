/* watch_match.h - which changes are of certificates on a list: a gallop through both.
 *
 * Changes and list are sorted by one order, so each step goes from a match to the next
 * and leaps over what lies between, on either side: a list of 15 through a million
 * changes costs 15 searches, and so does a list of a million through 15 changes.  The
 * first leap is as wide as the two are apart in length, since serials are spread evenly.
 *
 * A plain value: whoever reads changes at his own pace keeps it, and what it borrows from
 * (a batch, a list), between two steps.  Pure functions, any thread.
 */
#ifndef CACHE_WATCH_WATCH_MATCH_H
#define CACHE_WATCH_WATCH_MATCH_H

#include "cache/change/change.h"
#include "cache/watch/watched.h"

struct watch_match {
	const struct change *change, *changes_end;
	const struct watched *entry, *entries_end;
};

/* From change number `from` on, of changes of the CA that the entries are of; both
 * sorted.  A batch that was read from a store may be in any order (change.h): then
 * matches may be missed, and nothing worse. */
void watch_match_start(struct watch_match *m, const struct change *changes, size_t from,
    size_t n, const struct watched *entries, size_t entries_n);
/* The next change whose certificate is on the list, with its entry (may be NULL); NULL:
 * there is none.  The entries that were passed stay passed: the next batch of the same
 * diff goes on with entries from m->entry. */
const struct change *watch_match_next(
    struct watch_match *m, const struct watched **entry);

#endif
