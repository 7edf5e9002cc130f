/* inventory.h - what you run: the watchlists, the CAs that they name, and the incidents
 * that announce some of it (incident.h).
 *
 * An inventory is an immutable value that is counted and published as a set of lists is
 * (crl_set.h): one writer makes a new one from the old one and a list that changed, which
 * costs a pointer for each list and copies no entry; the pointer to it is swapped;
 * readers borrow it for one callback, and whoever needs it longer takes a reference.  The
 * writer drops the reference of the old one when no reader can have borrowed it any more
 * (proxy/base/barrier.h).
 *
 * Entries name their lists by numbers of `points`, and only of those of the inventory in
 * which they stand.
 *
 * A certificate may stand on several lists.  Nothing in memory says for all lists at once
 * who is watched: that would be as large as the lists, and made anew with each of them.
 * A question about one certificate costs a search in every list that has its CA (1,000
 * lists of 15,000: a millisecond or a few); about many they are asked at once
 * (inventory_many.h); a diff and a round of polling are walks, whose cost does not depend
 * on it.
 */
#ifndef CACHE_WATCH_INVENTORY_H
#define CACHE_WATCH_INVENTORY_H

#include "cache/watch/incident.h"
#include "cache/watch/watch_ca.h"
#include "cache/watch/watch_list.h"
#include "cache/watch/watch_point.h"

struct inventory {
	_Atomic unsigned refs;
	const struct watch_cas *cas; /* a reference, as the next */
	const struct watch_points *points;
	const struct incidents *incidents;
	uint64_t number; /* greater than that of the one before */
	size_t entries;  /* of all lists; who stands on two counts twice */
	size_t n;
	const struct watch_list *list[]; /* references; by name */
};

extern struct inventory inventory_none; /* without lists, as crl_set_none */

const struct inventory *inventory_ref(const struct inventory *v);
void inventory_unref(const struct inventory *v); /* NULL is allowed */

/* The same with this list (or incident: then of its name is a key) in the place of the
 * one of its name, or besides.  cas has all CAs that it names, points all numbers: its
 * own, and those of the lists that stay, which are what they were.  References of all are
 * taken.  NULL when out of memory, as the next ones. */
const struct inventory *inventory_with(const struct inventory *v,
    const struct watch_list *l, const struct watch_cas *cas,
    const struct watch_points *points);
const struct inventory *inventory_without(const struct inventory *v, const char *name);
/* The same lists; CAs that are called otherwise (a reload), numbers by this table. */
const struct inventory *inventory_renamed(const struct inventory *v,
    const struct watch_cas *cas, const struct watch_points *points);

/* The same lists; these incidents. */
const struct inventory *inventory_announced(
    const struct inventory *v, const struct incidents *incidents);

/* Or NULL.  Of an incident by its key; those are none of v->list. */
const struct watch_list *inventory_list(const struct inventory *v, const char *name);
/* The place in v->list of the watchlist of this name; v->n: there is none. */
size_t inventory_place(const struct inventory *v, const char *name);

/* The lists that have this certificate: out[] (room for max; may be NULL) has the first
 * of their places in v->list, by name.  Returns how many there are; with max 0 it stops
 * at the first one, and returns 0 or 1. */
size_t inventory_lists_with(const struct inventory *v, uint32_t ca,
    const struct serial *s, size_t *out, size_t max);

/* What all lists that have it say of a certificate together; false: none has it.  The
 * cost is that of inventory_lists_with(). */
bool inventory_find(
    const struct inventory *v, uint32_t ca, const struct serial *s, struct watched *out);

/* All watched certificates of a CA, each once, in the order of crl_order().  What it
 * gives is borrowed from the inventory, whose reference the caller has. */
struct inventory_walk;
/* From the first one after `after` on (NULL: the first one): whoever works in slices
 * keeps the last entry that he was given, and may go on with a newer inventory.  NULL
 * when out of memory. */
struct inventory_walk *inventory_walk_new(
    const struct inventory *v, uint32_t ca, const struct watched *after);
/* False: that was all.  Where several lists have it: as watched_join() joins them.
 * O(log of the lists). */
bool inventory_walk_next(struct inventory_walk *w, struct watched *out);
void inventory_walk_free(struct inventory_walk *w); /* NULL is allowed */

/* Which lists do certificates name, and how many name each? */
struct inventory_named {
	uint32_t verified; /* the certificate says so, by its issuer's key */
	uint32_t hinted;   /* only whoever put it on a watchlist does */
};
/* Count a CA's certificates, each once, by the numbers of v->points: by_number has room
 * for v->points->n + 1, and 0 is who names none.  A walk; false: out of memory.  Who does
 * it in slices walks himself, and adds. */
bool inventory_named(
    const struct inventory *v, uint32_t ca, struct inventory_named *by_number);
void inventory_named_add(struct inventory_named *by_number, const struct watched *e);
/* Set used[number] of each list that an entry names, but those of one watchlist (NULL:
 * none).  A look at each entry. */
void inventory_points_used(
    const struct inventory *v, const struct watch_list *but, bool *used);

/* Certificates by the time that is left. */
struct watch_expiry {
	size_t expired, in_7, in_30, in_90, more; /* days; nobody said: more */
};
void watch_expiry_add(struct watch_expiry *x, int64_t not_after, int64_t now);

#endif
