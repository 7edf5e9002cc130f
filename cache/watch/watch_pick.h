/* watch_pick.h - which entries of a revocation list are of watched certificates: what the
 * first list of a scope has to tell.
 *
 * A gallop through both (watch_match.h), slice by slice of the entries: 15,000
 * certificates against three million entries take 0.2 s, 1,000 lists of as many 3.5 s, of
 * the bulk thread.
 *
 * Pure functions, any thread that has a reference of the inventory (ours: bulk).
 */
#ifndef CACHE_WATCH_WATCH_PICK_H
#define CACHE_WATCH_WATCH_PICK_H

#include "cache/watch/inventory.h"

/* Does any list have a certificate of a CA that goes by this issuer's name? */
bool watch_picks_any(const struct inventory *v, const char *issuer);

/* Of n sorted entries: *places, in rising order, each once; malloc'd, the caller's (NULL
 * where there are none).  ERR_NOMEM. */
enum err watch_pick(const struct inventory *v, const char *issuer,
    const struct crl_entry *entries, size_t n, uint32_t **places, size_t *places_n);

#endif
