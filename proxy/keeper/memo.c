/* memo.c - a ring of memos, searched by their hashes. */
#include "proxy/keeper/memo.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proxy/base/clock.h"

struct memo {
	char issuer[64]; /* its name: a reload changes nothing */
	struct serial serial;
	enum memo_kind kind;
	struct facts facts;
};

struct memos {
	uint64_t hash[MEMOS_MAX]; /* 0: empty; dense, as they are searched */
	size_t next;              /* the oldest, to be written over */
	size_t n;                 /* that are not empty: nearly always 0 */
	struct memo memo[MEMOS_MAX];
};

static uint64_t hash_of(
    const struct issuer *i, const struct serial *s, enum memo_kind kind)
{
	uint64_t h = XXH3_64bits_withSeed(i->name, strlen(i->name), (uint64_t)kind);

	return XXH3_64bits_withSeed(s->octets, s->n, h) | 1;
}

/* MEMOS_MAX where there is none. */
static size_t find(const struct memos *all, const struct issuer *i,
    const struct serial *s, enum memo_kind kind)
{
	uint64_t hash;
	size_t n = 0;

	if (all->n == 0)
		return MEMOS_MAX;
	hash = hash_of(i, s, kind);
	for (; n < MEMOS_MAX; n++) {
		const struct memo *m = &all->memo[n];

		if (all->hash[n] == hash && m->kind == kind &&
		    serial_equal(&m->serial, s) && strcmp(m->issuer, i->name) == 0)
			break;
	}
	return n;
}

static void put(struct memos *all, const struct issuer *i, const struct serial *s,
    enum memo_kind kind, const struct facts *f)
{
	size_t n = find(all, i, s, kind);
	struct memo *m;

	if (n < MEMOS_MAX && all->memo[n].facts.this_update > f->this_update)
		return;
	if (n == MEMOS_MAX) {
		n = all->next;
		all->next = (n + 1) % MEMOS_MAX;
		all->n += all->hash[n] == 0;
	}
	assert(strlen(i->name) < sizeof m->issuer && all->n <= MEMOS_MAX);
	m = &all->memo[n];
	*m = (struct memo){.serial = *s, .kind = kind, .facts = *f};
	memcpy(m->issuer, i->name, strlen(i->name) + 1);
	all->hash[n] = hash_of(i, s, kind);
}

static void empty(struct memos *all, size_t n)
{
	assert(all->hash[n] != 0 && all->n > 0);
	all->hash[n] = 0;
	all->n--;
}

static void drop(struct memos *all, const struct issuer *i, const struct serial *s,
    enum memo_kind kind)
{
	size_t n = find(all, i, s, kind);

	if (n < MEMOS_MAX)
		empty(all, n);
}

void memos_refused(struct memos *all, const struct issuer *i, const struct serial *s,
    const struct facts *f)
{
	assert(f->status == STATUS_GOOD);
	put(all, i, s, MEMO_REFUSED, f);
}

void memos_admitted(struct memos *all, const struct issuer *i, const struct serial *s,
    const struct facts *f, const struct crl_set *set)
{
	struct crl_finding found;

	drop(all, i, s, MEMO_REFUSED);
	if (facts_are_hold(f) ||
	    (f->status == STATUS_GOOD &&
		(find(all, i, s, MEMO_HOLD) < MEMOS_MAX || crl_set_find(set, s, &found))))
		put(all, i, s, MEMO_HOLD, f);
}

bool memos_recall(const struct memos *all, const struct issuer *i, const struct serial *s,
    enum memo_kind kind, struct facts *f)
{
	size_t n = find(all, i, s, kind);

	if (n == MEMOS_MAX || facts_expiry(&all->memo[n].facts) <= clock_now())
		return false;
	*f = all->memo[n].facts;
	return true;
}

void memos_forget(struct memos *all, const struct issuer *i, const struct serial *s)
{
	for (size_t n = 0; n < MEMOS_MAX && all->n > 0; n++) {
		const struct memo *m = &all->memo[n];

		if (all->hash[n] != 0 && strcmp(m->issuer, i->name) == 0 &&
		    (s == NULL || serial_equal(&m->serial, s)))
			empty(all, n);
	}
}

struct memos *memos_new(void)
{
	return calloc(1, sizeof(struct memos));
}

void memos_free(struct memos *all)
{
	free(all);
}
