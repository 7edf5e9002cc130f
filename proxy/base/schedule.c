/* schedule.c - a heap of due times, and a chained hash table from key to what is planned
 * for it. */
#include "proxy/base/schedule.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "proxy/base/due.h"

#define BUCKETS_MIN 64

struct planned {
	struct due due;       /* first: what the heap has is this */
	struct planned *next; /* of the bucket */
	uint64_t hash;
	uint8_t key_hash; /* struct key.hash */
	uint8_t der_n;
	uint8_t der[];
};

struct schedule {
	uint64_t seed, random;
	struct dues dues;
	struct planned **bucket;
	size_t buckets;
};

struct schedule *schedule_new(uint64_t seed)
{
	struct schedule *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->seed = seed;
	s->random = seed | 1;
	s->buckets = BUCKETS_MIN;
	s->bucket = calloc(s->buckets, sizeof(struct planned *));
	if (s->bucket == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

void schedule_free(struct schedule *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->dues.n; i++)
		free(s->dues.heap[i]);
	dues_free(&s->dues);
	free(s->bucket);
	free(s);
}

static uint64_t hash_of(const struct schedule *s, const struct key *k)
{
	return XXH3_64bits_withSeed(k->der, k->der_n, s->seed);
}

/* The link that points to the key's entry, or to the NULL at the end of its bucket. */
static struct planned **find(const struct schedule *s, const struct key *k, uint64_t hash)
{
	struct planned **e = &s->bucket[hash & (s->buckets - 1)];

	while (*e != NULL && ((*e)->hash != hash || (*e)->der_n != k->der_n ||
				 memcmp((*e)->der, k->der, k->der_n) != 0))
		e = &(*e)->next;
	return e;
}

static void grow_buckets(struct schedule *s)
{
	size_t n = s->buckets * 2;
	struct planned **b = calloc(n, sizeof(struct planned *));

	assert((n & (n - 1)) == 0); /* its mask finds the bucket */
	if (b == NULL)
		return; /* longer chains, nothing worse */
	for (size_t i = 0; i < s->dues.n; i++) {
		struct planned *e = (struct planned *)s->dues.heap[i];

		e->next = b[e->hash & (n - 1)];
		b[e->hash & (n - 1)] = e;
	}
	free(s->bucket);
	s->bucket = b;
	s->buckets = n;
}

static enum err add(
    struct schedule *s, const struct key *k, uint64_t hash, int64_t due_ms)
{
	struct planned *e = malloc(sizeof *e + k->der_n), **link;

	if (s->dues.n >= s->buckets)
		grow_buckets(s);
	if (e == NULL || !dues_add(&s->dues, &e->due, due_ms)) {
		free(e);
		return ERR_NOMEM;
	}
	e->hash = hash;
	e->key_hash = k->hash;
	e->der_n = k->der_n;
	memcpy(e->der, k->der, k->der_n);
	link = &s->bucket[hash & (s->buckets - 1)];
	e->next = *link;
	*link = e;
	return ERR_OK;
}

enum err schedule_set(struct schedule *s, const struct key *k, int64_t due_ms)
{
	uint64_t hash = hash_of(s, k);
	struct planned *e = *find(s, k, hash);

	if (e == NULL)
		return add(s, k, hash, due_ms);
	dues_move(&s->dues, &e->due, due_ms);
	return ERR_OK;
}

static void take_out(struct schedule *s, struct planned **link)
{
	struct planned *e = *link;

	assert(e != NULL);
	*link = e->next;
	dues_remove(&s->dues, &e->due);
	free(e);
}

bool schedule_cancel(struct schedule *s, const struct key *k)
{
	struct planned **link = find(s, k, hash_of(s, k));

	if (*link == NULL)
		return false;
	take_out(s, link);
	return true;
}

int64_t schedule_next(const struct schedule *s)
{
	return dues_next(&s->dues);
}

bool schedule_take(struct schedule *s, int64_t now_ms, struct key *k, int64_t *due_ms)
{
	struct planned *e = (struct planned *)dues_first(&s->dues);

	if (e == NULL || e->due.at_ms > now_ms)
		return false;
	k->hash = e->key_hash;
	k->der_n = e->der_n;
	memcpy(k->der, e->der, e->der_n);
	*due_ms = e->due.at_ms;
	take_out(s, find(s, k, e->hash));
	return true;
}

size_t schedule_count(const struct schedule *s)
{
	return s->dues.n;
}

bool schedule_due(const struct schedule *s, const struct key *k, int64_t *due_ms)
{
	const struct planned *e = *find(s, k, hash_of(s, k));

	if (e == NULL)
		return false;
	*due_ms = e->due.at_ms;
	return true;
}

unsigned schedule_random(struct schedule *s)
{
	/* xorshift64* */
	s->random ^= s->random >> 12;
	s->random ^= s->random << 25;
	s->random ^= s->random >> 27;
	return (unsigned)(s->random * UINT64_C(2685821657736338717) >> 48);
}

/* x moved by up to jitter percent of span to either side. */
static int64_t spread(int64_t x, int64_t span, int jitter, unsigned random)
{
	int64_t width = span / 100 * jitter;

	return x - width + width / 32768 * (int64_t)(random & 65535) +
	       width % 32768 * (int64_t)(random & 65535) / 32768;
}

int64_t schedule_refresh_at(int64_t from, int64_t to, int64_t now, int refresh_at,
    int jitter, int64_t min_ms, int64_t max_ms, unsigned random)
{
	int64_t at =
	    spread(from + (to - from) / 100 * refresh_at, to - from, jitter, random);

	/* Already past it (a responder that hands out one answer for its whole life, a
	 * restart): a quarter of what is left, so that the tries get closer as the end
	 * does. */
	if (at < now + min_ms)
		at = spread(now + (to - now) / 4, (to - now) / 4, jitter, random);
	if (at > now + max_ms)
		at = spread(now + max_ms, max_ms, jitter, random);
	if (at < now + min_ms)
		at = now + min_ms;
	return at < to ? at : to - 1;
}
