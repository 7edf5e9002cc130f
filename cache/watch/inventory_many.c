/* inventory_many.c - one bit tells of most entries of a list that nobody asks for them;
 * the others are looked for among the keys of their word, which are sorted.
 *
 * Rejected, measured with 1,000 lists of 15,000 and 32,768 keys: watch_match.h, as
 * watch_pick.c has it for millions, 200 ms where this takes 75; so few keys let it leap
 * too seldom and too near.
 */
#include "cache/watch/inventory_many.h"

#include <assert.h>
#include <stdlib.h>

/* A list with more entries for each key is searched for each, else it is read. */
#define SPARSE 40
/* Searches that are on their way at once. */
#define AHEAD 8
/* Entries of which as many are read in the time of: coming to a list, looking for a key,
 * sorting it. */
#define LIST_COST 16
#define FIND_COST 16
#define SORT_COST 20
#define FORE      256 /* entries ahead of the one that is read: two pages */
/* Words of marks, 512 KiB: what nobody asks for is marked once in some 500 times. */
#define WORD_BITS 16
#define WORDS     (1u << WORD_BITS)

struct inventory_many {
	struct crl_entry *added,
	    *key;              /* as they came; by word and serial; date: number */
	struct watched *found; /* by number; n is 0 where none has it */
	size_t n, room;
	bool sorted;
	const struct inventory *v;
	uint32_t ca;
	size_t list, entry; /* where it is: of v, of that list's range */
	uint64_t mark[WORDS];
	uint32_t first[WORDS + 1]; /* of a word, among the keys */
};

size_t inventory_many_worth(const struct inventory *v)
{
	size_t n = 1024 + v->n * 128;

	return n < INVENTORY_MANY_MAX ? n : INVENTORY_MANY_MAX;
}

struct inventory_many *inventory_many_new(void)
{
	return calloc(1, sizeof(struct inventory_many));
}

void inventory_many_free(struct inventory_many *m)
{
	if (m == NULL)
		return;
	free(m->added);
	free(m->key);
	free(m->found);
	free(m);
}

void inventory_many_clear(struct inventory_many *m)
{
	m->n = 0;
	m->sorted = false;
}

size_t inventory_many_count(const struct inventory_many *m)
{
	return m->n;
}

static bool grow(struct inventory_many *m)
{
	size_t room = m->room > 0 ? 2 * m->room : 64;
	struct crl_entry *added = realloc(m->added, room * sizeof *added), *key;
	struct watched *found;

	if (added == NULL)
		return false;
	m->added = added;
	key = realloc(m->key, room * sizeof *key);
	if (key == NULL)
		return false;
	m->key = key;
	found = realloc(m->found, room * sizeof *found);
	if (found == NULL)
		return false;
	m->found = found;
	m->room = room;
	return true;
}

bool inventory_many_add(struct inventory_many *m, const struct serial *s)
{
	assert(!m->sorted && m->n < INVENTORY_MANY_MAX);
	if (m->n == m->room && !grow(m))
		return false;
	crl_entry_set_serial(&m->added[m->n], s);
	crl_entry_set_at(&m->added[m->n], (int64_t)m->n);
	m->found[m->n].n = 0;
	m->n++;
	return true;
}

static int by_serial(const void *a, const void *b)
{
	return crl_order(a, b);
}

/* A word of the marks, and two bits in it.  Serials count up, or share octets: what tells
 * them apart is brought to the top. */
static inline size_t mark_of(const void *entry, uint64_t *bits)
{
	uint64_t w = crl_order_word(entry) * UINT64_C(0x9e3779b97f4a7c15);

	*bits = UINT64_C(1) << (w >> 40 & 63) | UINT64_C(1) << (w >> 34 & 63);
	return (size_t)(w >> (64 - WORD_BITS));
}

static inline bool is_marked(const struct inventory_many *m, const struct watched *e)
{
	uint64_t bits;
	size_t word = mark_of(e, &bits);

	return (m->mark[word] & bits) == bits;
}

/* By word, and each word's by serial: as many as one word may get from who chooses them.
 */
static void sort(struct inventory_many *m)
{
	uint64_t bits;

	memset(m->mark, 0, sizeof m->mark);
	memset(m->first, 0, sizeof m->first);
	for (size_t i = 0; i < m->n; i++)
		m->first[mark_of(&m->added[i], &bits)]++;
	for (size_t w = 0, before = 0; w <= WORDS; w++)
		m->first[w] = (uint32_t)(before += m->first[w]);
	for (size_t i = 0; i < m->n; i++) {
		size_t word = mark_of(&m->added[i], &bits);

		m->mark[word] |= bits;
		m->key[--m->first[word]] = m->added[i];
	}
	for (size_t w = 0; w < WORDS; w++)
		if (m->first[w + 1] - m->first[w] > 1)
			qsort(&m->key[m->first[w]], m->first[w + 1] - m->first[w],
			    sizeof m->key[0], by_serial);
	m->sorted = true;
}

void inventory_many_begin(
    struct inventory_many *m, const struct inventory *v, uint32_t ca)
{
	m->v = v;
	m->ca = ca;
	m->list = m->entry = 0;
}

static void hear(
    struct inventory_many *m, const struct crl_entry *key, const struct watched *e)
{
	struct watched *f = &m->found[crl_entry_at(key)];

	if (f->n == 0)
		*f = *e;
	else
		watched_join(f, e);
}

/* Each key, in a list of n. */
static void search(struct inventory_many *m, const struct watched *e, size_t n)
{
	const struct crl_entry *key = m->added;

	for (size_t i = 0; i < m->n; i++) {
		size_t at;

		if (i + AHEAD < m->n)
			watched_ahead(e, n, &key[i + AHEAD], false);
		if (i + AHEAD / 2 < m->n)
			watched_ahead(e, n, &key[i + AHEAD / 2], true);
		at = watched_from(e, n, &key[i]);
		if (at < n && crl_order(&e[at], &key[i]) == 0)
			hear(m, &key[i], &e[at]);
	}
}

/* The first of n entries from `at` on that is marked; n: there is none. */
static inline size_t next_marked(
    const struct inventory_many *m, const struct watched *e, size_t at, size_t n)
{
	while (at < n && !is_marked(m, &e[at])) {
		__builtin_prefetch(&e[at] + FORE);
		at++;
	}
	return at;
}

/* It is marked. */
static void find(struct inventory_many *m, const struct watched *e)
{
	uint64_t bits;
	size_t word = mark_of(e, &bits);
	const struct crl_entry *key = &m->key[m->first[word]];
	const struct crl_entry *end = &m->key[m->first[word + 1]];

	for (key = crl_entries_gallop(key, end, e); key < end && crl_order(key, e) == 0;
	     key++)
		hear(m, key, e);
}

/* As many of n entries as the slice has room for; returns how many. */
static size_t read_on(
    struct inventory_many *m, const struct watched *e, size_t n, size_t *left)
{
	size_t at, cost = 0;

	if (n > *left)
		n = *left;
	for (at = 0; (at = next_marked(m, e, at, n)) < n && at + cost < *left; at++) {
		cost += FIND_COST;
		find(m, &e[at]);
	}
	*left -= at + cost < *left ? at + cost : *left;
	return at;
}

/* What is left of the list, or of the slice.  True: the list is through. */
static bool look(struct inventory_many *m, size_t *left)
{
	size_t n, cost = LIST_COST;
	const struct watched *e = watch_list_of(m->v->list[m->list], m->ca, &n);

	if (n / SPARSE > m->n) {
		search(m, e, n);
		cost += m->n * SPARSE;
	} else if (n > 0) {
		m->entry += read_on(m, e + m->entry, n - m->entry, left);
		if (m->entry < n)
			return false;
	}
	*left -= cost < *left ? cost : *left;
	m->entry = 0;
	return true;
}

bool inventory_many_go_on(struct inventory_many *m, size_t *left)
{
	if (!m->sorted) {
		sort(m);
		*left -= m->n * SORT_COST < *left ? m->n * SORT_COST : *left;
	}
	while (*left > 0 && m->list < m->v->n)
		m->list += look(m, left);
	return m->list == m->v->n;
}

const struct watched *inventory_many_at(const struct inventory_many *m, size_t i)
{
	assert(i < m->n);
	return m->found[i].n > 0 ? &m->found[i] : NULL;
}
