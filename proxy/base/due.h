/* due.h - what is due next: a heap of times.
 *
 * Intrusive: a time is part of what is due, which is found by it.  So moving one needs no
 * memory, and costs O(log n); the earliest is at hand.  Equal times come in no order.
 * Pure data structure without a clock, of one thread.
 */
#ifndef PROXY_BASE_DUE_H
#define PROXY_BASE_DUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct due {
	int64_t at_ms; /* INT64_MAX: never */
	size_t _pos;
};

struct dues { /* zeros: an empty one */
	struct due **heap;
	size_t n, _room;
};

void dues_free(struct dues *d); /* what is due is the caller's */
/* Takes e in, until dues_remove().  False: out of memory. */
bool dues_add(struct dues *d, struct due *e, int64_t at_ms);
void dues_move(struct dues *d, struct due *e, int64_t at_ms);
void dues_remove(struct dues *d, struct due *e);
static inline struct due *dues_first(const struct dues *d)
{
	return d->n > 0 ? d->heap[0] : NULL; /* NULL: there is none */
}
static inline int64_t dues_next(const struct dues *d)
{
	return d->n > 0 ? d->heap[0]->at_ms : INT64_MAX;
}

#endif
