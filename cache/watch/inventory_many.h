/* inventory_many.h - what all lists together say of many certificates of a CA.
 *
 * inventory_find() looks into every list for one: with 1,000 lists of 15,000 a
 * millisecond or more. Here few are searched for in list after list, each search's memory
 * brought near ahead of it, and for many every list is read once from one end to the
 * other: 15 million entries in some 75 ms, whoever is asked for, and so 2 us for each of
 * INVENTORY_MANY_MAX.
 *
 * Rejected: an index over all lists.  What tells apart a thousand lists in the two bytes
 * an entry that memory leaves would be 30 MB that each PUT copies.
 *
 * A plain value of one owner, any thread; it works in slices, between which he may do
 * something else.  The inventory is borrowed while he does.
 */
#ifndef CACHE_WATCH_INVENTORY_MANY_H
#define CACHE_WATCH_INVENTORY_MANY_H

#include "cache/watch/inventory.h"

#define INVENTORY_MANY_MAX ((size_t)65536)

/* So many pay to be asked for at once: the more lists, the more. */
size_t inventory_many_worth(const struct inventory *v);

struct inventory_many;

struct inventory_many *inventory_many_new(void);    /* NULL when out of memory */
void inventory_many_free(struct inventory_many *m); /* NULL is allowed */

/* Empty, as it is at first. */
void inventory_many_clear(struct inventory_many *m);
/* They are numbered from 0; at most INVENTORY_MANY_MAX, the same one as often as one
 * likes.  False when out of memory. */
bool inventory_many_add(struct inventory_many *m, const struct serial *s);
size_t inventory_many_count(const struct inventory_many *m);

/* Look for all of them among what is watched of this CA, and join it to what was found of
 * others (an issuer may go by several).  Nothing is added from now on until it is
 * cleared. */
void inventory_many_begin(
    struct inventory_many *m, const struct inventory *v, uint32_t ca);
/* A slice: INVENTORY_SLICE is some 5 to 9 ms.  False: there is more to do.  *left is what
 * is left of the slice. */
#define INVENTORY_SLICE ((size_t)1 << 20)
bool inventory_many_go_on(struct inventory_many *m, size_t *left);

/* Number i: NULL where no list has it.  Borrowed until it is cleared. */
const struct watched *inventory_many_at(const struct inventory_many *m, size_t i);

#endif
