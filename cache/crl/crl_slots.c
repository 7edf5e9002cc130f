/* crl_slots.c - a chained hash table.  Names come from the configuration, which is
 * trusted: the hash needs no seed. */
#include "cache/crl/crl_slots.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define BUCKETS_MIN 16 /* a power of two */

struct named_slot {
	struct crl_slot slot; /* first */
	struct named_slot *next;
	uint64_t hash;
	char name[];
};

struct crl_slots {
	struct named_slot **bucket;
	size_t buckets; /* a power of two */
	size_t n;
};

struct crl_slots *crl_slots_new(void)
{
	struct crl_slots *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->buckets = BUCKETS_MIN;
	s->bucket = calloc(s->buckets, sizeof *s->bucket);
	if (s->bucket == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

void crl_slots_free(struct crl_slots *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->buckets; i++)
		for (struct named_slot *x = s->bucket[i], *next; x != NULL; x = next) {
			next = x->next;
			crl_set_unref(
			    atomic_load_explicit(&x->slot.set, memory_order_acquire));
			free(x);
		}
	free(s->bucket);
	free(s);
}

static struct named_slot **chain_of(const struct crl_slots *s, uint64_t hash)
{
	assert((s->buckets & (s->buckets - 1)) == 0);
	return &s->bucket[hash & (s->buckets - 1)];
}

static void link_slot(struct crl_slots *s, struct named_slot *x)
{
	struct named_slot **chain = chain_of(s, x->hash);

	x->next = *chain;
	*chain = x;
}

/* Without memory the chains get longer, and nothing else happens. */
static void grow(struct crl_slots *s)
{
	struct crl_slots old = *s;
	struct named_slot **bucket = calloc(2 * s->buckets, sizeof *bucket);

	if (bucket == NULL)
		return;
	s->bucket = bucket;
	s->buckets *= 2;
	for (size_t i = 0; i < old.buckets; i++)
		for (struct named_slot *x = old.bucket[i], *next; x != NULL; x = next) {
			next = x->next;
			link_slot(s, x);
		}
	free(old.bucket);
}

static struct named_slot *slot_new(const char *name, uint64_t hash)
{
	struct named_slot *x = malloc(sizeof *x + strlen(name) + 1);

	if (x == NULL)
		return NULL;
	atomic_init(&x->slot.set, crl_set_ref(&crl_set_unopened));
	x->hash = hash;
	strcpy(x->name, name);
	return x;
}

struct crl_slot *crl_slots_of(struct crl_slots *s, const char *name)
{
	uint64_t hash = XXH3_64bits(name, strlen(name));
	struct named_slot *x = *chain_of(s, hash);

	while (x != NULL && !(x->hash == hash && strcmp(x->name, name) == 0))
		x = x->next;
	if (x != NULL)
		return &x->slot;
	x = slot_new(name, hash);
	if (x == NULL)
		return NULL;
	if (++s->n > s->buckets)
		grow(s);
	link_slot(s, x);
	return &x->slot;
}
