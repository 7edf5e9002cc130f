/* hot.h - the table of answers that every worker reads.
 *
 * Reading takes no lock and allocates nothing: a look-up borrows the answer until the
 * reader's next turn of its event loop.  So a borrowed answer is valid within one
 * callback and never in the next one; whoever needs the bytes longer copies them.
 *
 * Writing is for one thread, the keeper.  It replaces whole answers.  What it takes out
 * is collected as garbage, and the keeper frees that only after a barrier has gone
 * through every reader (hot_garbage()).  A reader may miss an answer that is being
 * replaced at that moment, never find a wrong one: the whole canonical request is
 * compared.
 *
 * The budget counts everything: the answer's allocation with malloc's rounding, and the
 * slots.  Over budget, SIEVE takes out the oldest answer that was not visited since its
 * hand last passed (Zhang et al., NSDI 2024).  Error answers have a queue of their own
 * with a share of the budget, so that a flood of unknown serials evicts no certificate's
 * answer (T13).
 *
 * Weak point: a rebuild of the slots (when they fill) copies all of them in one go; 1 M
 * answers take about 10 ms of the keeper's time, none of the readers'.
 */
#ifndef CACHE_HELD_HOT_H
#define CACHE_HELD_HOT_H

#include "cache/crl/crl_set.h"
#include "cache/held/answer.h"

struct hot;

/* budget: bytes; 0 is allowed and keeps nothing.  seed: random, from the caller (T14). */
struct hot *hot_new(size_t budget, uint64_t seed);
/* Frees all answers, the garbage too.  No reader may be left. */
void hot_free(struct hot *t);

/* Readers. */

/* Borrow the answer for these bytes, or NULL.  O(1), no lock, no allocation.  Its date is
 * not looked at. */
const struct answer *hot_find(const struct hot *t, struct bytes request);

/* Do the issuer's lists in force allow a, be it in date or not?  The hit path: one load
 * and one compare when a was checked against this generation already; else one look-up,
 * and a remembers.  What has no slot is an error or a test's. */
bool hot_is_allowed_slow(const struct crl_set *s, const struct answer *a);
static inline bool hot_is_allowed(const struct answer *a)
{
	const struct crl_set *s;

	if (a->crl == NULL)
		return true;
	s = atomic_load_explicit(&a->crl->set, memory_order_acquire);
	return atomic_load_explicit(&a->crl_checked, memory_order_relaxed) ==
		   s->generation ||
	       hot_is_allowed_slow(s, a);
}

/* May a be served at this time (seconds)?  It came through the door, which was an answer
 * to the time and the lists of then; this is the one question on the way out: is it in
 * date, and do the lists allow it?  What latches forbid was taken out of the table when
 * the latch was set. */
static inline bool hot_serves(const struct answer *a, int64_t now)
{
	return a->expiry > now && hot_is_allowed(a);
}

/* Note that a was served to a client.  Writes only when the mark is not whole. */
static inline void hot_visit(const struct answer *a)
{
	struct answer *w = (struct answer *)(uintptr_t)a;

	if (atomic_load_explicit(&w->mark, memory_order_relaxed) != MARK_ALL)
		atomic_store_explicit(&w->mark, MARK_ALL, memory_order_relaxed);
}

/* The writer. */

/* Put a in the place of whatever is held under its key.  a is handed over, also on
 * failure, when it goes to the garbage (it may have been shown to readers already).
 * ERR_STORE_FULL: a alone is over the budget.  ERR_NOMEM. */
enum err hot_put(struct hot *t, struct answer *a);

/* Take an answer out; false when nothing was held. */
bool hot_remove(struct hot *t, struct bytes request);

/* Give an answer that was never put to the garbage: readers may hold it (a flight handed
 * it out). */
void hot_discard(struct hot *t, struct answer *a);

/* Call fn for each answer held, in no order; fn returns true to have it taken out.  O(n).
 */
void hot_sweep(struct hot *t, bool (*fn)(void *arg, const struct answer *a), void *arg);

/* Call fn for each answer in the next `slots` slots of the table that a client was served
 * since this last passed it.  It goes round and round: what is asked for is told once in
 * each round, also of answers that came meanwhile; those that left are told by
 * hot_garbage_asked(). */
void hot_asked(struct hot *t, size_t slots, void (*fn)(void *arg, const struct answer *a),
    void *arg);
size_t hot_slots(const struct hot *t); /* of a round */

/* Note that a was used by somebody who did not find it here: its first client, the
 * operator. */
static inline void hot_mark_used(const struct answer *a)
{
	struct answer *w = (struct answer *)(uintptr_t)a;

	atomic_fetch_or_explicit(&w->mark, MARK_USED, memory_order_relaxed);
}

/* Take over all that left the table since the last call (answers and old slots); NULL
 * when nothing did, or when out of memory: then it is kept for the next call.  To be
 * given to hot_garbage_free() once every reader has passed. */
struct hot_garbage;
struct hot_garbage *hot_garbage(struct hot *t);
void hot_garbage_free(struct hot_garbage *g);
/* As hot_asked(), of all that is in g: when every reader has passed, nobody marks it any
 * more. */
void hot_garbage_asked(const struct hot_garbage *g,
    void (*fn)(void *arg, const struct answer *a), void *arg);
bool hot_has_garbage(const struct hot *t);

/* A changed budget (reload): evicts at once when it is smaller. */
void hot_set_budget(struct hot *t, size_t budget);

struct hot_stats {
	size_t bytes, budget, answers, errors;
	uint64_t evictions;
};
void hot_stats(const struct hot *t, struct hot_stats *out);

#endif
