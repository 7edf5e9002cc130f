/* hot.c - open addressing with linear probing over (hash, pointer) slots, SIEVE in a
 * linked list.
 *
 * Slots are 16 bytes and hold the whole hash, so that a look-up touches an answer only
 * when 64 bits agree.  A slot is filled by storing the hash, then the pointer with
 * release order; a reader loads the pointer with acquire order, then the hash.  When a
 * slot is reused in between, the reader sees a newer hash with an older answer: the
 * comparison of the whole key decides, and the worst that can happen is a miss of an
 * answer that is on its way out.  Removed slots become tombstones, so that no other
 * answer moves; rebuilding makes a new array and leaves the old one to its readers.
 */
#include "cache/held/hot.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define SLOTS_MIN     64 /* 1 KiB; a small table rebuilds at no cost */
#define MALLOC_HEADER 8  /* glibc's bytes before each allocation */
#define ERROR_SHARE   16 /* error answers get at most 1/16 of the budget */
#define CACHE_LINE    64
#define PREFETCH      (18 * CACHE_LINE) /* an answer of about 700 bytes, its head, its key */

struct hot_slot {
	_Atomic uint64_t hash;
	_Atomic(struct answer *) answer; /* NULL: never used; TOMBSTONE: taken out */
};

struct hot_slots {
	struct hot_slots *next; /* garbage list */
	size_t n;               /* power of two */
	struct hot_slot v[];
};

struct hot_queue {
	struct answer *newest, *oldest;
	struct answer *hand; /* SIEVE; NULL: start at the oldest */
	size_t n, bytes;
};

struct hot {
	_Atomic(struct hot_slots *) slots;
	uint64_t seed;
	/* the writer's: */
	size_t budget;
	size_t used;     /* slots that are not NULL, tombstones included */
	size_t asked_at; /* the slot that hot_asked() looks at next */
	uint64_t evictions;
	struct hot_queue answers, errors;
	struct answer *garbage; /* linked by _older */
	struct hot_slots *old_slots;
};

struct hot_garbage {
	struct answer *answers;
	struct hot_slots *slots;
};

static struct answer tombstone;
#define TOMBSTONE (&tombstone)

static uint64_t hash_of(const struct hot *t, struct bytes k)
{
	return XXH3_64bits_withSeed(k.p, k.n, t->seed);
}

static struct hot_slots *slots_new(size_t n)
{
	struct hot_slots *s = calloc(1, sizeof *s + n * sizeof s->v[0]);

	if (s != NULL)
		s->n = n;
	return s;
}

static size_t slots_bytes(const struct hot_slots *s)
{
	return sizeof *s + s->n * sizeof s->v[0] + MALLOC_HEADER;
}

static struct hot_slots *slots_of(const struct hot *t)
{
	return atomic_load_explicit(&t->slots, memory_order_relaxed);
}

struct hot *hot_new(size_t budget, uint64_t seed)
{
	struct hot *t = calloc(1, sizeof *t);
	struct hot_slots *s = slots_new(SLOTS_MIN);

	if (t == NULL || s == NULL) {
		free(t);
		free(s);
		return NULL;
	}
	t->budget = budget;
	t->seed = seed;
	atomic_init(&t->slots, s);
	return t;
}

static void answers_free(struct answer *a)
{
	while (a != NULL) {
		struct answer *next = a->_older;

		answer_free(a);
		a = next;
	}
}

static void slots_free(struct hot_slots *s)
{
	while (s != NULL) {
		struct hot_slots *next = s->next;

		free(s);
		s = next;
	}
}

void hot_free(struct hot *t)
{
	if (t == NULL)
		return;
	answers_free(t->answers.newest);
	answers_free(t->errors.newest);
	answers_free(t->garbage);
	slots_free(t->old_slots);
	free(slots_of(t));
	free(t);
}

/* Fetch all of an answer while its first line is on its way: it is about to be written
 * out, and among more answers than the processor's caches hold each line would be waited
 * for in turn.  Reading past the end of the allocation is harmless here. */
static void prefetch(const struct answer *a)
{
	for (size_t i = 0; i < PREFETCH; i += CACHE_LINE)
		__builtin_prefetch((const char *)a + i);
}

/* The slot that holds this key in s, or NULL.  Used by readers and by the writer. */
static struct hot_slot *slot_find(
    struct hot_slots *s, uint64_t hash, struct bytes key, struct answer **found)
{
	for (size_t i = hash & (s->n - 1);; i = (i + 1) & (s->n - 1)) {
		struct hot_slot *sl = &s->v[i];
		struct answer *a =
		    atomic_load_explicit(&sl->answer, memory_order_acquire);

		if (a == NULL)
			return NULL;
		if (atomic_load_explicit(&sl->hash, memory_order_relaxed) != hash)
			continue;
		prefetch(a);
		if (a != TOMBSTONE && a->key_n == key.n &&
		    memcmp(a->data, key.p, key.n) == 0) {
			*found = a;
			return sl;
		}
	}
}

const struct answer *hot_find(const struct hot *t, struct bytes request)
{
	struct hot_slots *s = atomic_load_explicit(&t->slots, memory_order_acquire);
	struct answer *a;

	return slot_find(s, hash_of(t, request), request, &a) != NULL ? a : NULL;
}

/* May it be served? */

bool hot_is_allowed_slow(const struct crl_set *s, const struct answer *a)
{
	struct answer *w = (struct answer *)(uintptr_t)a;

	if (a->facts.status == STATUS_GOOD || a->facts.status == STATUS_UNKNOWN) {
		struct serial serial;
		struct key key;

		/* an answer is made with a key; one that has none is not served */
		if (key_from_der(&key, answer_key(a)) != ERR_OK)
			return false;
		key_serial(&key, &serial);
		if (crl_set_judge(s, &serial, &a->facts, NULL) != CRL_FITS)
			return false;
	}
	atomic_store_explicit(&w->crl_checked, s->generation, memory_order_relaxed);
	return true;
}

/* Queues. */

static struct hot_queue *queue_of(struct hot *t, const struct answer *a)
{
	return a->facts.status == STATUS_NONE ? &t->errors : &t->answers;
}

static void queue_push(struct hot_queue *q, struct answer *a)
{
	a->_newer = NULL;
	a->_older = q->newest;
	if (q->newest != NULL)
		q->newest->_newer = a;
	else
		q->oldest = a;
	q->newest = a;
	q->n++;
	q->bytes += a->_size;
}

static void queue_remove(struct hot_queue *q, struct answer *a)
{
	assert(q->n > 0 && q->bytes >= a->_size);
	if (q->hand == a)
		q->hand = a->_newer;
	if (a->_newer != NULL)
		a->_newer->_older = a->_older;
	else
		q->newest = a->_older;
	if (a->_older != NULL)
		a->_older->_newer = a->_newer;
	else
		q->oldest = a->_newer;
	q->n--;
	q->bytes -= a->_size;
}

/* Put b where a stands, so that a refreshed answer keeps its age in the queue. */
static void queue_replace(struct hot_queue *q, struct answer *a, struct answer *b)
{
	b->_newer = a->_newer;
	b->_older = a->_older;
	if (b->_newer != NULL)
		b->_newer->_older = b;
	else
		q->newest = b;
	if (b->_older != NULL)
		b->_older->_newer = b;
	else
		q->oldest = b;
	if (q->hand == a)
		q->hand = b;
	q->bytes = q->bytes - a->_size + b->_size;
}

void hot_discard(struct hot *t, struct answer *a)
{
	a->_older = t->garbage;
	t->garbage = a;
}

static void take_out(struct hot *t, struct hot_slot *sl, struct answer *a)
{
	atomic_store_explicit(&sl->answer, TOMBSTONE, memory_order_release);
	queue_remove(queue_of(t, a), a);
	hot_discard(t, a);
}

static void take_out_answer(struct hot *t, struct answer *a)
{
	struct answer *found = NULL;
	struct hot_slot *sl = slot_find(slots_of(t), a->_hash, answer_key(a), &found);

	assert(sl != NULL && found == a);
	take_out(t, sl, a);
}

/* SIEVE: from the hand towards newer ones, sparing once whoever was visited. */
static struct answer *victim_of(struct hot_queue *q)
{
	struct answer *a = q->hand != NULL ? q->hand : q->oldest;

	assert(a != NULL);
	while (atomic_load_explicit(&a->mark, memory_order_relaxed) & MARK_VISITED) {
		atomic_fetch_and_explicit(
		    &a->mark, (uint8_t)~MARK_VISITED, memory_order_relaxed);
		a = a->_newer != NULL ? a->_newer : q->oldest;
	}
	q->hand = a->_newer;
	return a;
}

static size_t bytes_of_all(const struct hot *t)
{
	return t->answers.bytes + t->errors.bytes + slots_bytes(slots_of(t));
}

/* Make room for `more` bytes. */
static void evict(struct hot *t, size_t more, size_t more_errors)
{
	while (
	    t->errors.n > 0 && t->errors.bytes + more_errors > t->budget / ERROR_SHARE) {
		take_out_answer(t, t->errors.oldest);
		t->evictions++;
	}
	while (t->answers.n > 0 && bytes_of_all(t) + more > t->budget) {
		take_out_answer(t, victim_of(&t->answers));
		t->evictions++;
	}
}

/* Slots. */

static void slot_fill(struct hot_slot *sl, uint64_t hash, struct answer *a)
{
	atomic_store_explicit(&sl->hash, hash, memory_order_relaxed);
	atomic_store_explicit(&sl->answer, a, memory_order_release);
}

/* A free slot for this hash; true when it was a tombstone. */
static bool slot_for(struct hot_slots *s, uint64_t hash, struct hot_slot **out)
{
	assert((s->n & (s->n - 1)) == 0);
	for (size_t i = hash & (s->n - 1);; i = (i + 1) & (s->n - 1)) {
		struct answer *a =
		    atomic_load_explicit(&s->v[i].answer, memory_order_relaxed);

		if (a == NULL || a == TOMBSTONE) {
			*out = &s->v[i];
			return a == TOMBSTONE;
		}
	}
}

static void refill(struct hot_slots *s, const struct hot_queue *q)
{
	for (struct answer *a = q->oldest; a != NULL; a = a->_newer) {
		struct hot_slot *sl;

		slot_for(s, a->_hash, &sl);
		slot_fill(sl, a->_hash, a);
	}
}

/* Keep a quarter of the slots empty: grow, or rebuild in the same size to be rid of
 * tombstones. */
static enum err slots_reserve(struct hot *t)
{
	struct hot_slots *old = slots_of(t), *s;
	size_t held = t->answers.n + t->errors.n;

	if ((t->used + 1) * 4 <= old->n * 3)
		return ERR_OK;
	s = slots_new(held * 2 >= old->n ? old->n * 2 : old->n);
	if (s == NULL)
		return t->used + 1 < old->n ? ERR_OK : ERR_NOMEM;
	refill(s, &t->answers);
	refill(s, &t->errors);
	assert(held < s->n);
	t->used = held;
	atomic_store_explicit(&t->slots, s, memory_order_release);
	old->next = t->old_slots;
	t->old_slots = old;
	return ERR_OK;
}

static void replace(
    struct hot *t, struct hot_slot *sl, struct answer *old, struct answer *a)
{
	uint8_t mark = atomic_load_explicit(&old->mark, memory_order_relaxed);

	atomic_fetch_or_explicit(&a->mark, mark & MARK_VISITED, memory_order_relaxed);
	if (queue_of(t, old) == queue_of(t, a)) {
		queue_replace(queue_of(t, a), old, a);
	} else {
		queue_remove(queue_of(t, old), old);
		queue_push(queue_of(t, a), a);
	}
	atomic_store_explicit(&sl->answer, a, memory_order_release);
	hot_discard(t, old);
}

enum err hot_put(struct hot *t, struct answer *a)
{
	bool is_error = a->facts.status == STATUS_NONE;
	struct answer *old = NULL;
	struct hot_slot *sl;
	enum err e;

	assert(is_error || a->error == ERR_OK); /* an error states nothing: first law */
	a->_hash = hash_of(t, answer_key(a));
	a->_size = (uint32_t)(malloc_usable_size(a) + MALLOC_HEADER);
	e = slots_reserve(t);
	sl = slot_find(slots_of(t), a->_hash, answer_key(a), &old);
	if (e != ERR_OK || slots_bytes(slots_of(t)) + a->_size > t->budget) {
		if (sl != NULL) /* what is there is not what was to be served */
			take_out(t, sl, old);
		hot_discard(t, a);
		return e != ERR_OK ? e : ERR_STORE_FULL;
	}
	if (sl != NULL) {
		replace(t, sl, old, a);
		evict(t, 0, 0);
		return ERR_OK;
	}
	evict(t, a->_size, is_error ? a->_size : 0);
	if (!slot_for(slots_of(t), a->_hash, &sl))
		t->used++;
	slot_fill(sl, a->_hash, a);
	queue_push(queue_of(t, a), a);
	return ERR_OK;
}

bool hot_remove(struct hot *t, struct bytes request)
{
	struct answer *a = NULL;
	struct hot_slot *sl = slot_find(slots_of(t), hash_of(t, request), request, &a);

	if (sl == NULL)
		return false;
	take_out(t, sl, a);
	return true;
}

static void queue_sweep(struct hot *t, struct hot_queue *q,
    bool (*fn)(void *arg, const struct answer *a), void *arg)
{
	for (struct answer *a = q->oldest, *next; a != NULL; a = next) {
		next = a->_newer;
		if (fn(arg, a))
			take_out_answer(t, a);
	}
}

void hot_sweep(struct hot *t, bool (*fn)(void *arg, const struct answer *a), void *arg)
{
	queue_sweep(t, &t->answers, fn, arg);
	queue_sweep(t, &t->errors, fn, arg);
}

size_t hot_slots(const struct hot *t)
{
	return slots_of(t)->n;
}

/* By slots, whose number is that of the hash: a table that has doubled has what was not
 * looked at yet, and no more than that, behind the same place (and a second time, where
 * it was). */
void hot_asked(
    struct hot *t, size_t slots, void (*fn)(void *arg, const struct answer *a), void *arg)
{
	struct hot_slots *s = slots_of(t);

	if (slots > s->n)
		slots = s->n;
	for (size_t i = 0; i < slots; i++) {
		struct answer *a =
		    atomic_load_explicit(&s->v[t->asked_at].answer, memory_order_relaxed);

		t->asked_at = (t->asked_at + 1) & (s->n - 1);
		if (a == NULL || a == TOMBSTONE ||
		    !(atomic_load_explicit(&a->mark, memory_order_relaxed) & MARK_ASKED))
			continue;
		atomic_fetch_and_explicit(
		    &a->mark, (uint8_t)~MARK_ASKED, memory_order_relaxed);
		fn(arg, a);
	}
}

bool hot_has_garbage(const struct hot *t)
{
	return t->garbage != NULL || t->old_slots != NULL;
}

struct hot_garbage *hot_garbage(struct hot *t)
{
	struct hot_garbage *g;

	if (!hot_has_garbage(t) || (g = malloc(sizeof *g)) == NULL)
		return NULL;
	g->answers = t->garbage;
	g->slots = t->old_slots;
	t->garbage = NULL;
	t->old_slots = NULL;
	return g;
}

void hot_garbage_asked(
    const struct hot_garbage *g, void (*fn)(void *arg, const struct answer *a), void *arg)
{
	for (const struct answer *a = g->answers; a != NULL; a = a->_older)
		if (atomic_load_explicit(&a->mark, memory_order_relaxed) & MARK_ASKED)
			fn(arg, a);
}

void hot_garbage_free(struct hot_garbage *g)
{
	if (g == NULL)
		return;
	answers_free(g->answers);
	slots_free(g->slots);
	free(g);
}

void hot_set_budget(struct hot *t, size_t budget)
{
	t->budget = budget;
	evict(t, 0, 0);
}

void hot_stats(const struct hot *t, struct hot_stats *out)
{
	*out = (struct hot_stats){
	    .bytes = bytes_of_all(t),
	    .budget = t->budget,
	    .answers = t->answers.n,
	    .errors = t->errors.n,
	    .evictions = t->evictions,
	};
}
