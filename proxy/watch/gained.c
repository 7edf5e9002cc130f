/* gained.c - sorted by what stands in the head of a batch, then by serial. */
#include "proxy/watch/gained.h"

#include <stdlib.h>

#include "proxy/base/clock.h"

void gained_set(struct gained *out, const char *issuer, const struct serial *s,
    const struct evidence *e)
{
	bool listed = e->crl.listed && e->crl.revoked_at == e->revoked_at &&
		      e->crl.reason == e->reason;

	*out = (struct gained){.issuer = issuer,
	    .evidence = listed ? CHANGE_CRL : CHANGE_OCSP,
	    .list = listed ? &e->lists.set->shard[e->crl.shard].facts : NULL};
	crl_entry_set_serial(&out->change.entry, s);
	crl_entry_set_at(&out->change.entry, e->revoked_at);
	out->change.entry.reason =
	    e->reason == REASON_NONE ? CRL_NO_REASON : (uint8_t)e->reason;
	out->change.entry.spare[0] = CHANGE_REVOKED;
	out->change.entry.spare[1] = CHANGE_NONE;
}

static int by_batch(const void *a, const void *b)
{
	const struct gained *x = a, *y = b;
	int order = strcmp(x->issuer, y->issuer);

	if (order == 0)
		order = (int)x->evidence - (int)y->evidence;
	if (order == 0 && x->list != y->list)
		order = (uintptr_t)x->list < (uintptr_t)y->list ? -1 : 1;
	return order != 0 ? order : crl_entry_cmp(&x->change.entry, &y->change.entry);
}

static bool is_of_batch(const struct gained *x, const struct gained *y)
{
	return strcmp(x->issuer, y->issuer) == 0 && x->evidence == y->evidence &&
	       x->list == y->list;
}

void gained_sort(struct gained *g, size_t n)
{
	if (n > 0)
		qsort(g, n, sizeof *g, by_batch);
}

size_t gained_run(const struct gained *g, size_t n)
{
	size_t run = 1;

	while (run < n && is_of_batch(&g[0], &g[run]))
		run++;
	return run;
}

struct change_batch *gained_batch(const char *watchlist, const struct gained *g, size_t n)
{
	struct change_batch *b = change_batch_new(n);

	if (b == NULL)
		return NULL;
	b->kind = CHANGE_WATCHED;
	strcpy(b->watchlist, watchlist);
	strcpy(b->issuer, g->issuer);
	b->evidence = g->evidence;
	b->seen_at_ms = clock_now_ms();
	b->published_at = b->seen_at_ms / 1000;
	if (g->list != NULL) {
		b->has_number = g->list->has_number;
		memcpy(b->number, g->list->number, sizeof b->number);
		b->published_at = g->list->this_update;
	}
	b->n = (uint32_t)n;
	for (size_t i = 0; i < n; i++)
		b->change[i] = g[i].change;
	return b;
}
