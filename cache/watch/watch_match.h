/* watch_match.h - which changes are of certificates on a list: a gallop through both.
 *
 * Changes and list are sorted by one order, so each step goes from a match to the next
 * and leaps over what lies between: over changes by an index, which is made once for a
 * batch, whatever number of lists it is matched with; over entries in steps that double.
 * A list of 15 through 10,000 changes costs 15 looks, and so does a list of a million
 * through 15 changes.  Where entries are many, most are told by one bit that no change is
 * theirs.
 *
 * Rejected: to leap over changes by doubling and halving too.  1,000 lists of 15,000
 * against 3 million changes are 15 million leaps of 200; by halves each costs 130 ns,
 * which is 2 s, by the index 30.
 *
 * Plain values: whoever reads at his own pace keeps a match, and what it borrows from (a
 * batch, its index, a list), between two steps.  Pure functions, any thread.
 */
#ifndef CACHE_WATCH_WATCH_MATCH_H
#define CACHE_WATCH_WATCH_MATCH_H

#include "cache/change/change.h"
#include "cache/watch/watched.h"

#define WATCH_INDEX_BITS 13
#define WATCH_FINE_BITS  17

/* 32 KiB, for one batch. */
struct watch_index {
	const struct change *change; /* borrowed */
	size_t n;
	bool sorted; /* a batch from a store that others write to may not be */
	unsigned shift, fine;
	uint64_t first, span; /* the first words of the order of the first and the last */
	/* by the first bits of the order: how many changes are before those */
	uint16_t before[(1u << WATCH_INDEX_BITS) + 1];
	/* by some more bits: has any change these?  One of thirteen, where they are full.
	 */
	uint64_t any[(1u << WATCH_FINE_BITS) / 64];
};

/* n changes: 0..CHANGE_BATCH_MAX. */
void watch_index_make(struct watch_index *x, const struct change *changes, size_t n);

struct watch_match {
	const struct watch_index *index;
	size_t change; /* the next one */
	const struct watched *entry, *end;
	size_t step; /* how far the last leaps over entries went */
};

/* From change number `from` on, of changes of the CA that the entries are of.  Whoever
 * goes on with the next batch of the same diff gives what m->entry was in the last one,
 * and m->end. */
void watch_match_start(struct watch_match *m, const struct watch_index *x, size_t from,
    const struct watched *entries, const struct watched *end);
/* The number of the next change whose certificate is on the list, with its entry (may be
 * NULL); x->n: there is none.  In the order of the changes. */
size_t watch_match_next(struct watch_match *m, const struct watched **entry);

#endif
