/* inventory.c - an array of counted lists; the walk through all of them is a heap.
 *
 * Rejected: one sorted array for each CA over all lists, for "is it watched?".  It would
 * cost as much memory again, and each PUT would copy 15 million entries. */
#include "cache/watch/inventory.h"

#include <assert.h>
#include <stdlib.h>

#define DAY_S INT64_C(86400)

struct inventory inventory_none = {.refs = 1,
    .cas = &watch_cas_none,
    .points = &watch_points_none,
    .incidents = &incidents_none};

const struct inventory *inventory_ref(const struct inventory *v)
{
	struct inventory *w = (struct inventory *)(uintptr_t)v;

	atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
	return v;
}

void inventory_unref(const struct inventory *v)
{
	struct inventory *w = (struct inventory *)(uintptr_t)v;

	if (w == NULL || atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < w->n; i++)
		watch_list_unref(w->list[i]);
	watch_cas_unref(w->cas);
	watch_points_unref(w->points);
	incidents_unref(w->incidents);
	free(w);
}

/* What comes behind this one. */
static struct inventory *inventory_new(const struct inventory *before, size_t room,
    const struct watch_cas *cas, const struct watch_points *points)
{
	struct inventory *v = calloc(1, sizeof *v + room * sizeof v->list[0]);

	if (v == NULL)
		return NULL;
	atomic_init(&v->refs, 1);
	v->cas = watch_cas_ref(cas);
	v->points = watch_points_ref(points);
	v->incidents = incidents_ref(before->incidents);
	v->number = before->number + 1;
	return v;
}

static void append(struct inventory *v, const struct watch_list *l)
{
	v->list[v->n++] = watch_list_ref(l);
	v->entries += l->n;
}

/* The place of the first list whose name is not before this one. */
static size_t place_of(const struct inventory *v, const char *name)
{
	size_t low = 0, high = v->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(v->list[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_there(const struct inventory *v, size_t place, const char *name)
{
	return place < v->n && strcmp(v->list[place]->name, name) == 0;
}

/* l NULL: nothing comes in the place of what goes. */
static const struct inventory *inventory_change(const struct inventory *v,
    const char *name, const struct watch_list *l, const struct watch_cas *cas,
    const struct watch_points *points)
{
	struct inventory *w = inventory_new(v, v->n + 1, cas, points);
	size_t place = place_of(v, name);

	if (w == NULL)
		return NULL;
	for (size_t i = 0; i < place; i++)
		append(w, v->list[i]);
	if (l != NULL)
		append(w, l);
	for (size_t i = place + is_there(v, place, name); i < v->n; i++)
		append(w, v->list[i]);
	return w;
}

static struct inventory *copy(const struct inventory *v, const struct watch_cas *cas,
    const struct watch_points *points)
{
	struct inventory *w = inventory_new(v, v->n, cas, points);

	for (size_t i = 0; w != NULL && i < v->n; i++)
		append(w, v->list[i]);
	return w;
}

/* The reference of incidents is handed over; NULL: out of memory. */
static const struct inventory *announce(const struct inventory *v,
    const struct incidents *incidents, const struct watch_cas *cas,
    const struct watch_points *points)
{
	struct inventory *w = incidents != NULL ? copy(v, cas, points) : NULL;

	if (w == NULL) {
		incidents_unref(incidents);
		return NULL;
	}
	incidents_unref(w->incidents);
	w->incidents = incidents;
	return w;
}

const struct inventory *inventory_announced(
    const struct inventory *v, const struct incidents *incidents)
{
	return announce(v, incidents_ref(incidents), v->cas, v->points);
}

static const struct inventory *with_incident(const struct inventory *v,
    const struct watch_list *l, const struct watch_cas *cas,
    const struct watch_points *points)
{
	const struct incident *i = incident_new(l->name, l);
	const struct incidents *more = i != NULL ? incidents_plus(v->incidents, i) : NULL;

	incident_unref(i);
	return announce(v, more, cas, points);
}

const struct inventory *inventory_with(const struct inventory *v,
    const struct watch_list *l, const struct watch_cas *cas,
    const struct watch_points *points)
{
	if (l->source == WATCH_INCIDENT)
		return with_incident(v, l, cas, points);
	return inventory_change(v, l->name, l, cas, points);
}

const struct inventory *inventory_without(const struct inventory *v, const char *name)
{
	if (incident_is_key(name))
		return announce(
		    v, incidents_minus(v->incidents, name), v->cas, v->points);
	return inventory_change(v, name, NULL, v->cas, v->points);
}

const struct inventory *inventory_renamed(const struct inventory *v,
    const struct watch_cas *cas, const struct watch_points *points)
{
	return copy(v, cas, points);
}

const struct watch_list *inventory_list(const struct inventory *v, const char *name)
{
	size_t place = place_of(v, name);
	const struct incident *i;

	if (is_there(v, place, name))
		return v->list[place];
	i = incident_is_key(name) ? incidents_at(v->incidents, name) : NULL;
	return i != NULL ? i->list : NULL;
}

size_t inventory_place(const struct inventory *v, const char *name)
{
	size_t place = place_of(v, name);

	return is_there(v, place, name) ? place : v->n;
}

size_t inventory_lists_with(const struct inventory *v, uint32_t ca,
    const struct serial *s, size_t *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n && (n == 0 || max > 0); i++)
		if (watch_list_find(v->list[i], ca, s) != NULL) {
			if (n < max && out != NULL)
				out[n] = i;
			n++;
		}
	return n;
}

bool inventory_find(
    const struct inventory *v, uint32_t ca, const struct serial *s, struct watched *out)
{
	bool found = false;

	for (size_t i = 0; i < v->n; i++) {
		const struct watched *e = watch_list_find(v->list[i], ca, s);

		if (e == NULL)
			continue;
		if (found)
			watched_join(out, e);
		else
			*out = *e;
		found = true;
	}
	return found;
}

/* One list's entries of the CA that are still to come.  The word stands here since lists
 * are far from each other in memory: it decides nearly always. */
struct strand {
	uint64_t word; /* crl_order_word() of at */
	const struct watched *at, *end;
};

struct inventory_walk {
	size_t n; /* strands that are not at their end: a heap by their first entries */
	struct strand strand[];
};

static inline bool is_before(const struct strand *a, const struct strand *b)
{
	return a->word != b->word ? a->word < b->word : crl_order(a->at, b->at) < 0;
}

static void sink(struct inventory_walk *w, size_t i)
{
	struct strand moved = w->strand[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= w->n)
			break;
		if (child + 1 < w->n &&
		    is_before(&w->strand[child + 1], &w->strand[child]))
			child++;
		if (!is_before(&w->strand[child], &moved))
			break;
		w->strand[i] = w->strand[child];
		i = child;
	}
	w->strand[i] = moved;
}

struct inventory_walk *inventory_walk_new(
    const struct inventory *v, uint32_t ca, const struct watched *after)
{
	struct inventory_walk *w = calloc(1, sizeof *w + v->n * sizeof w->strand[0]);

	if (w == NULL)
		return NULL;
	for (size_t i = 0; i < v->n; i++) {
		size_t n;
		const struct watched *e = watch_list_of(v->list[i], ca, &n);
		size_t from = after != NULL ? watched_from(e, n, after) : 0;

		from += from < n && after != NULL && crl_order(&e[from], after) == 0;
		if (from < n)
			w->strand[w->n++] =
			    (struct strand){crl_order_word(e + from), e + from, e + n};
	}
	for (size_t i = w->n / 2; i-- > 0;)
		sink(w, i);
	return w;
}

bool inventory_walk_next(struct inventory_walk *w, struct watched *out)
{
	if (w->n == 0)
		return false;
	*out = *w->strand[0].at;
	do {
		struct strand *first = &w->strand[0];

		watched_join(out, first->at);
		if (++first->at == first->end)
			*first = w->strand[--w->n];
		else
			first->word = crl_order_word(first->at);
		if (w->n > 0)
			sink(w, 0);
	} while (w->n > 0 && crl_order(w->strand[0].at, out) == 0);
	return true;
}

void inventory_walk_free(struct inventory_walk *w)
{
	free(w);
}

/* Lists, of what the entries say. */

void inventory_named_add(struct inventory_named *by_number, const struct watched *e)
{
	struct inventory_named *n = &by_number[watched_point(e)];

	if (watched_is_verified(e))
		n->verified++;
	else
		n->hinted++;
}

bool inventory_named(
    const struct inventory *v, uint32_t ca, struct inventory_named *by_number)
{
	struct inventory_walk *w = inventory_walk_new(v, ca, NULL);
	struct watched e;

	if (w == NULL)
		return false;
	while (inventory_walk_next(w, &e))
		inventory_named_add(by_number, &e);
	inventory_walk_free(w);
	return true;
}

void inventory_points_used(
    const struct inventory *v, const struct watch_list *but, bool *used)
{
	for (size_t i = 0; i < v->n; i++) {
		const struct watch_list *l = v->list[i];

		for (size_t k = 0; l != but && k < l->n; k++)
			used[watched_point(&l->entries[k])] = true;
	}
}

void watch_expiry_add(struct watch_expiry *x, int64_t not_after, int64_t now)
{
	if (not_after == WATCH_TIME_NONE)
		x->more++;
	else if (not_after <= now)
		x->expired++;
	else if (not_after - now <= 7 * DAY_S)
		x->in_7++;
	else if (not_after - now <= 30 * DAY_S)
		x->in_30++;
	else if (not_after - now <= 90 * DAY_S)
		x->in_90++;
	else
		x->more++;
}
