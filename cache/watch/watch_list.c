/* watch_list.c - a large list has a mapping of its own, so that its pages go back to the
 * system with it: the heap would keep them between those of other lists. */
#include "cache/watch/watch_list.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAPPED_FROM ((size_t)64 * 1024) /* bytes */

static struct watched *entries_new(size_t n, size_t *mapped)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = n * sizeof(struct watched);
	void *p;

	*mapped = 0;
	if (bytes < MAPPED_FROM)
		return calloc(n > 0 ? n : 1, sizeof(struct watched));
	bytes = (bytes + page - 1) / page * page;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	*mapped = bytes;
	return p;
}

static void entries_free(struct watched *entries, size_t mapped)
{
	if (mapped > 0)
		munmap(entries, mapped);
	else
		free(entries);
}

struct watch_list *watch_list_new(
    const char *name, enum watch_source source, uint32_t generation, size_t room)
{
	struct watch_list *l = calloc(1, sizeof *l);

	assert(strlen(name) < WATCH_NAME_MAX && room <= UINT32_MAX);
	if (l == NULL || (l->entries = entries_new(room, &l->mapped)) == NULL) {
		free(l);
		return NULL;
	}
	atomic_init(&l->refs, 1);
	strcpy(l->name, name);
	l->source = source;
	l->generation = generation;
	l->room = room;
	return l;
}

bool watch_list_add(struct watch_list *l, uint32_t ca, const struct watched *e)
{
	struct watch_range *r = l->ranges_n > 0 ? &l->ranges[l->ranges_n - 1] : NULL;

	assert(l->n < l->room);
	assert(r == NULL || r->ca < ca ||
	       (r->ca == ca && crl_order(&l->entries[l->n - 1], e) < 0));
	if (r == NULL || r->ca != ca) {
		size_t n = l->ranges_n + 1;

		if ((n & (n - 1)) ==
		    0) { /* it was full: sizes are powers of two less one */
			r = realloc(l->ranges, 2 * n * sizeof *r);
			if (r == NULL)
				return false;
			l->ranges = r;
		}
		r = &l->ranges[l->ranges_n++];
		*r = (struct watch_range){.ca = ca, .first = (uint32_t)l->n};
	}
	l->entries[l->n++] = *e;
	r->n++;
	return true;
}

bool watch_mark_equal(const struct watch_mark *a, const struct watch_mark *b)
{
	return a->number == b->number &&
	       memcmp(a->revision, b->revision, sizeof a->revision) == 0;
}

bool watch_mark_is_set(const struct watch_mark *m)
{
	static const struct watch_mark none;

	return !watch_mark_equal(m, &none);
}

const struct watch_list *watch_list_ref(const struct watch_list *l)
{
	struct watch_list *w = (struct watch_list *)(uintptr_t)l;

	atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
	return l;
}

void watch_list_unref(const struct watch_list *l)
{
	struct watch_list *w = (struct watch_list *)(uintptr_t)l;

	if (w == NULL || atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) > 1)
		return;
	entries_free(w->entries, w->mapped);
	free(w->ranges);
	free(w->said);
	free(w);
}

const struct watched *watch_list_of(const struct watch_list *l, uint32_t ca, size_t *n)
{
	size_t low = 0, high = l->ranges_n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (l->ranges[middle].ca < ca)
			low = middle + 1;
		else
			high = middle;
	}
	*n = 0;
	if (low == l->ranges_n || l->ranges[low].ca != ca)
		return NULL;
	*n = l->ranges[low].n;
	return l->entries + l->ranges[low].first;
}

const struct watched *watch_list_find(
    const struct watch_list *l, uint32_t ca, const struct serial *s)
{
	struct watched key;
	size_t n, at;
	const struct watched *e = watch_list_of(l, ca, &n);

	watched_set(&key, s, 0, false);
	at = watched_from(e, n, &key);
	return at < n && crl_order(&e[at], &key) == 0 ? &e[at] : NULL;
}

/* Both lists at once, by CA and serial. */
struct pair {
	const struct watch_list *list[2];
	size_t range[2], entry[2]; /* where each is: its range, the place in that */
};

static const struct watched *at(const struct pair *p, int side, uint32_t *ca)
{
	const struct watch_list *l = p->list[side];
	const struct watch_range *r;

	if (l == NULL || p->range[side] == l->ranges_n)
		return NULL;
	r = &l->ranges[p->range[side]];
	*ca = r->ca;
	return &l->entries[r->first + p->entry[side]];
}

static void step(struct pair *p, int side)
{
	if (++p->entry[side] == p->list[side]->ranges[p->range[side]].n) {
		p->entry[side] = 0;
		p->range[side]++;
	}
}

/* The next serial of either: its entry on each list that has it. */
static bool pair_next(struct pair *p, const struct watched *e[2], uint32_t *ca)
{
	uint32_t cas[2] = {0};
	int order;

	e[0] = at(p, 0, &cas[0]);
	e[1] = at(p, 1, &cas[1]);
	if (e[0] == NULL && e[1] == NULL)
		return false;
	if (e[0] == NULL || e[1] == NULL)
		order = e[0] == NULL ? 1 : -1;
	else if (cas[0] != cas[1])
		order = cas[0] < cas[1] ? -1 : 1;
	else
		order = crl_order(e[0], e[1]);
	*ca = cas[order > 0];
	if (order > 0)
		e[0] = NULL;
	else
		step(p, 0);
	if (order < 0)
		e[1] = NULL;
	else
		step(p, 1);
	return true;
}

/* For counting first and building then: out NULL counts. */
static bool pair_fill(const struct watch_list *base, const struct watch_list *more,
    bool minus, struct watch_list *out, size_t *n)
{
	struct pair p = {.list = {base, more}};
	const struct watched *e[2];
	uint32_t ca;

	*n = 0;
	while (pair_next(&p, e, &ca)) {
		if (minus && e[0] != NULL)
			continue;
		++*n;
		if (out != NULL && !watch_list_add(out, ca, e[1] != NULL ? e[1] : e[0]))
			return false;
	}
	return true;
}

static struct watch_list *pair_list(
    const struct watch_list *base, const struct watch_list *more, bool minus)
{
	struct watch_list *out;
	size_t n;

	pair_fill(base, more, minus, NULL, &n);
	out = watch_list_new(more->name, more->source, more->generation, n);
	if (out != NULL)
		out->version = more->version;
	if (out != NULL && !pair_fill(base, more, minus, out, &n)) {
		watch_list_unref(out);
		out = NULL;
	}
	return out;
}

struct watch_list *watch_list_join(
    const struct watch_list *base, const struct watch_list *more)
{
	struct watch_list *both = pair_list(base, more, false);

	if (both != NULL)
		both->mark = more->mark;
	return both;
}

struct watch_list *watch_list_minus(
    const struct watch_list *l, const struct watch_list *base)
{
	return pair_list(base, l, true);
}
