/* ccadb_spoken.h - what the CCADB was last heard to say of each issuer, and telling the
 * feed what is new.
 *
 * A set that differs from the last one is told: log event and alarm lists_changed.  What
 * cannot be meant takes nothing away: a record with lists that cannot be read, files that
 * do not know the issuer (any more), and a file that cannot be read, leave its last lists
 * as they are.  Where nothing was known before, what can be read is a part: it is
 * fetched, and nothing is good by absence.
 *
 * Keeper's thread.
 */
#ifndef PROXY_LISTS_CCADB_SPOKEN_H
#define PROXY_LISTS_CCADB_SPOKEN_H

#include "cache/watch/ccadb_sets.h"

struct ccadb_spoken;
struct crl_feed;

struct ccadb_spoken *ccadb_spoken_new(void);      /* NULL when out of memory */
void ccadb_spoken_free(struct ccadb_spoken *all); /* NULL is allowed */
/* Forget issuers that do not ask for it any more, and their alarms. */
void ccadb_spoken_keep(struct ccadb_spoken *all, const struct issuers *is);
/* set NULL: no file could be read yet; whole: all of them could.  False: out of memory,
 * to be said again. */
bool ccadb_speak(struct ccadb_spoken *all, struct crl_feed *feed, const char *issuer,
    const struct ccadb_set *set, bool whole);

#endif
