/* ari_noticed.c - a sorted array, and the pages that its elements share. */
#include "cache/watch/ari_noticed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct ari_noticed ari_noticed_none = {.refs = 1};

struct ari_noticed *ari_noticed_new(void)
{
	struct ari_noticed *t = calloc(1, sizeof *t);

	if (t != NULL)
		atomic_init(&t->refs, 1);
	return t;
}

const struct ari_noticed *ari_noticed_ref(const struct ari_noticed *t)
{
	atomic_fetch_add_explicit(
	    &((struct ari_noticed *)(uintptr_t)t)->refs, 1, memory_order_relaxed);
	return t;
}

void ari_noticed_unref(const struct ari_noticed *borrowed)
{
	struct ari_noticed *t = (struct ari_noticed *)(uintptr_t)borrowed;

	if (t == NULL ||
	    atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	assert(t != &ari_noticed_none);
	for (size_t i = 0; i < t->urls_n; i++)
		free(t->url[i]);
	free(t->url);
	free(t->notice);
	free(t);
}

/* Room for one more of size bytes each; false: out of memory. */
static bool make_room(void **array, size_t n, size_t *room, size_t size)
{
	size_t more = *room > 0 ? 2 * *room : 16;
	void *p;

	if (n < *room)
		return true;
	p = realloc(*array, more * size);
	if (p == NULL)
		return false;
	*array = p;
	*room = more;
	return true;
}

/* An incident has one page, or a few: the last one is most often it. */
static bool place_of(struct ari_noticed *t, const char *url, uint32_t *place)
{
	for (size_t i = t->urls_n; i-- > 0;)
		if (strcmp(t->url[i], url) == 0) {
			*place = (uint32_t)i;
			return true;
		}
	if (!make_room((void **)&t->url, t->urls_n, &t->urls_room, sizeof *t->url) ||
	    (t->url[t->urls_n] = strdup(url)) == NULL)
		return false;
	*place = (uint32_t)t->urls_n++;
	return true;
}

bool ari_noticed_add(struct ari_noticed *t, uint32_t ca, const struct ari_who *w,
    const struct ari_state *s)
{
	struct ari_notice *n;
	uint32_t place;

	if (!place_of(t, s->url, &place) ||
	    !make_room((void **)&t->notice, t->n, &t->room, sizeof *t->notice))
		return false;
	n = &t->notice[t->n++];
	memset(n, 0, sizeof *n);
	n->ca = ca;
	n->url = place;
	n->start = s->start;
	n->end = s->end;
	crl_entry_set_serial(&n->entry, &w->serial);
	return true;
}

static int by_ca(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

static int by_order(const void *a, const void *b)
{
	const struct ari_notice *x = a, *y = b;
	int order = by_ca(x->ca, y->ca);

	return order != 0 ? order : crl_order(&x->entry, &y->entry);
}

void ari_noticed_sort(struct ari_noticed *t)
{
	if (t->n > 1)
		qsort(t->notice, t->n, sizeof *t->notice, by_order);
}

/* The first that is not before (ca, entry); entry NULL: before all of the CA. */
static size_t first_from(const struct ari_noticed *t, uint32_t ca, const void *entry)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct ari_notice *n = &t->notice[middle];
		int order = by_ca(n->ca, ca);

		if (order == 0)
			order = entry != NULL ? crl_order(&n->entry, entry) : 1;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct ari_notice *ari_noticed_find(
    const struct ari_noticed *t, uint32_t ca, const void *entry)
{
	size_t i = first_from(t, ca, entry);

	return i < t->n && t->notice[i].ca == ca &&
		       crl_order(&t->notice[i].entry, entry) == 0
		   ? &t->notice[i]
		   : NULL;
}

const struct ari_notice *ari_noticed_of(
    const struct ari_noticed *t, uint32_t ca, size_t *n)
{
	size_t first = first_from(t, ca, NULL), end = first;

	while (end < t->n && t->notice[end].ca == ca)
		end++;
	*n = end - first;
	return *n > 0 ? &t->notice[first] : NULL;
}
