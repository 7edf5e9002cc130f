/* latch.c - a chained hash table on (CA id, serial); the hash is seeded (T14). */
#include "cache/held/latch.h"

#include <assert.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <xxhash.h>

#define BUCKETS_MIN 64 /* of an empty table; a power of two */

struct node {
	struct node *next;
	struct latch latch;
};

struct latches {
	struct node **bucket;
	size_t buckets; /* power of two */
	size_t n;
	uint64_t seed;
	struct latches_walk *walks; /* under way: each is behind its _bucket */
};

size_t latch_key(uint8_t out[LATCH_KEY_MAX], const uint8_t id[32], const struct serial *s)
{
	assert(s->n >= 1 && s->n <= SERIAL_MAX);
	memcpy(out, id, 32);
	memcpy(out + 32, s->octets, s->n);
	return 32u + s->n;
}

static size_t bucket_of(
    const struct latches *t, const uint8_t id[32], const struct serial *s)
{
	uint8_t key[LATCH_KEY_MAX];
	size_t n = latch_key(key, id, s);

	return XXH3_64bits_withSeed(key, n, t->seed) & (t->buckets - 1);
}

static struct node **chain_of(
    const struct latches *t, const uint8_t id[32], const struct serial *s)
{
	return &t->bucket[bucket_of(t, id, s)];
}

/* The link that points to the latch, or to the NULL at the end of its chain. */
static struct node **find_link(
    const struct latches *t, const uint8_t id[32], const struct serial *s)
{
	struct node **p = chain_of(t, id, s);

	while (*p != NULL && !(memcmp((*p)->latch.ca_id, id, 32) == 0 &&
				 serial_equal(&(*p)->latch.serial, s)))
		p = &(*p)->next;
	return p;
}

struct latches *latches_new(void)
{
	struct latches *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	t->buckets = BUCKETS_MIN;
	t->bucket = calloc(t->buckets, sizeof *t->bucket);
	if (t->bucket == NULL ||
	    RAND_bytes((unsigned char *)&t->seed, sizeof t->seed) != 1) {
		latches_free(t);
		return NULL;
	}
	return t;
}

void latches_free(struct latches *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; t->bucket != NULL && i < t->buckets; i++)
		for (struct node *n = t->bucket[i], *next; n != NULL; n = next) {
			next = n->next;
			free(n);
		}
	free(t->bucket);
	free(t);
}

bool latches_has(const struct latches *t, const struct latch *l)
{
	const struct node *n = *find_link(t, l->ca_id, &l->serial);

	return n != NULL && n->latch.set_at == l->set_at;
}

/* Without memory for more buckets, or with walks that count the ones there are, the
 * chains get longer, and nothing else happens. */
static void grow(struct latches *t)
{
	struct latches old = *t;
	struct node **bucket;

	if (t->walks != NULL)
		return;
	bucket = calloc(2 * t->buckets, sizeof *bucket);
	if (bucket == NULL)
		return;
	t->bucket = bucket;
	t->buckets *= 2;
	for (size_t i = 0; i < old.buckets; i++)
		for (struct node *n = old.bucket[i], *next; n != NULL; n = next) {
			struct node **p = chain_of(t, n->latch.ca_id, &n->latch.serial);

			next = n->next;
			n->next = *p;
			*p = n;
		}
	free(old.bucket);
}

const struct latch *latches_find(
    const struct latches *t, const struct issuer *i, const struct serial *s)
{
	for (size_t c = 0; c < i->ca_n; c++) {
		const struct node *n = *find_link(t, i->ca[c].id, s);

		if (n != NULL)
			return &n->latch;
	}
	return NULL;
}

enum err latches_add(struct latches *t, const struct latch *l, bool *added)
{
	struct node **p = find_link(t, l->ca_id, &l->serial), *n;

	if (added != NULL)
		*added = false;
	if (*p != NULL)
		return ERR_OK;
	n = malloc(sizeof *n);
	if (n == NULL)
		return ERR_NOMEM;
	n->latch = *l;
	n->next = NULL;
	*p = n;
	if (++t->n > t->buckets)
		grow(t);
	if (added != NULL)
		*added = true;
	return ERR_OK;
}

/* p is in this bucket. */
static void unlink_node(struct latches *t, struct node **p, size_t bucket)
{
	struct node *n = *p;

	assert(n != NULL && t->n > 0 && bucket < t->buckets);
	for (const struct latches_walk *w = t->walks; w != NULL; w = w->_next)
		if (w->_bucket <= bucket)
			w->fn(w->arg, &n->latch);
	*p = n->next;
	free(n);
	t->n--;
}

size_t latches_remove(struct latches *t, const struct issuer *i, const struct serial *s,
    struct latch *removed)
{
	size_t count = 0;

	for (size_t c = 0; c < i->ca_n; c++) {
		struct node **p = find_link(t, i->ca[c].id, s);

		if (*p == NULL)
			continue;
		removed[count++] = (*p)->latch;
		unlink_node(t, p, bucket_of(t, i->ca[c].id, s));
	}
	return count;
}

size_t latches_count(const struct latches *t)
{
	return t->n;
}

size_t latches_sweep(struct latches *t, int64_t before)
{
	size_t count = 0;

	for (size_t i = 0; i < t->buckets; i++)
		for (struct node **p = &t->bucket[i]; *p != NULL;) {
			if ((*p)->latch.set_at >= before) {
				p = &(*p)->next;
				continue;
			}
			unlink_node(t, p, i);
			count++;
		}
	return count;
}

void latches_each(
    const struct latches *t, void (*fn)(void *arg, const struct latch *l), void *arg)
{
	for (size_t i = 0; i < t->buckets; i++)
		for (const struct node *n = t->bucket[i]; n != NULL; n = n->next)
			fn(arg, &n->latch);
}

void latches_walk_begin(struct latches *t, struct latches_walk *w)
{
	assert(w->fn != NULL);
	w->_bucket = 0;
	w->_next = t->walks;
	t->walks = w;
}

void latches_walk_end(struct latches *t, struct latches_walk *w)
{
	struct latches_walk **p = &t->walks;

	while (*p != w) {
		assert(*p != NULL); /* it is under way */
		p = &(*p)->_next;
	}
	*p = w->_next;
	if (t->n > t->buckets)
		grow(t);
}

bool latches_walk_on(struct latches *t, struct latches_walk *w, size_t n)
{
	for (size_t work = 0; work < n && w->_bucket < t->buckets; w->_bucket++) {
		const struct node *x = t->bucket[w->_bucket];

		work += x == NULL;
		for (; x != NULL; x = x->next, work++)
			w->fn(w->arg, &x->latch);
	}
	if (w->_bucket < t->buckets)
		return true;
	latches_walk_end(t, w);
	return false;
}

void latches_told(struct latches *t, const uint8_t ca_id[32], const struct serial *s)
{
	struct node *n = *find_link(t, ca_id, s);

	if (n != NULL)
		n->latch.untold = n->latch.listed = false;
}

void latches_mark(struct latches *t, const struct latch *l)
{
	struct node *n = *find_link(t, l->ca_id, &l->serial);

	if (n == NULL)
		return;
	n->latch.untold = l->untold;
	n->latch.listed = l->listed;
}
