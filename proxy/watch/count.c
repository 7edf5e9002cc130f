/* count.c - a batch at a time, until there are no more. */
#include "proxy/watch/count.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/watch/verdicts.h"

#define BATCH 4096

struct count {
	struct count_want want;
	const struct inventory *v; /* a reference */
	struct verdicts *verdicts;
	int64_t now;
	/* Of lists: */
	size_t list, first, end, range, entry;
	size_t *revoked, *not_covered; /* by list - first */
	uint32_t of[BATCH];            /* whose is the certificate: list - first */
	/* Of all: */
	size_t ca;
	struct inventory_walk *walk; /* of that CA; NULL: not begun */
	size_t *of_ca;
	struct count_status status;
	struct watch_expiry expiry;
};

void count_free(struct count *c)
{
	if (c == NULL)
		return;
	inventory_walk_free(c->walk);
	verdicts_free(c->verdicts);
	inventory_unref(c->v);
	free(c->revoked);
	free(c->not_covered);
	free(c->of_ca);
	free(c);
}

/* "" where none is configured. */
static const char *issuer_now(const struct count *c, const struct watch_ca *ca)
{
	const struct issuer *i =
	    ca == NULL ? NULL
		       : issuers_named(
			     shared_conf(c->want.context->shared)->issuers, ca->issuer);

	return i != NULL ? i->name : "";
}

/* Of lists. */

static enum err add_range(
    struct count *c, const struct watch_list *l, const struct watch_range *r)
{
	const char *issuer = issuer_now(c, watch_cas_at(c->v->cas, r->ca));
	size_t n = verdicts_count(c->verdicts);

	if (!access_issuer(c->want.access, issuer)) {
		c->entry = r->n;
	} else if (issuer[0] == '\0') {
		c->not_covered[c->list - c->first] += r->n;
		c->entry = r->n;
	}
	for (; c->entry < r->n && n < BATCH; c->entry++, n++) {
		const struct watched *entry = &l->entries[r->first + c->entry];
		struct evidence_watch watch = evidence_watch_of(entry);
		struct serial s;

		watched_serial(entry, &s);
		if (!verdicts_add_watched(c->verdicts, issuer, &s, &watch))
			return ERR_NOMEM;
		c->of[n] = (uint32_t)(c->list - c->first);
	}
	if (c->entry == r->n) {
		c->entry = 0;
		c->range++;
	}
	return ERR_OK;
}

static enum err gather_lists(struct count *c)
{
	enum err e = ERR_OK;

	while (e == ERR_OK && c->list < c->end && verdicts_count(c->verdicts) < BATCH) {
		const struct watch_list *l = c->v->list[c->list];

		if (c->range < l->ranges_n) {
			e = add_range(c, l, &l->ranges[c->range]);
		} else {
			c->range = 0;
			c->list++;
		}
	}
	return e;
}

/* Of all. */

static enum err add_walk(struct count *c)
{
	const struct watch_ca *ca = &c->v->cas->ca[c->ca];
	const char *issuer = issuer_now(c, ca);
	struct watched entry;

	if (!access_issuer(c->want.access, issuer)) {
		c->ca++;
		return ERR_OK;
	}
	if (c->walk == NULL)
		c->walk = inventory_walk_new(c->v, ca->id, NULL);
	if (c->walk == NULL)
		return ERR_NOMEM;
	while (verdicts_count(c->verdicts) < BATCH) {
		struct evidence_watch watch;
		struct serial s;

		if (!inventory_walk_next(c->walk, &entry)) {
			inventory_walk_free(c->walk);
			c->walk = NULL;
			c->ca++;
			return ERR_OK;
		}
		watched_serial(&entry, &s);
		watch = evidence_watch_of(&entry);
		c->of_ca[c->ca]++;
		watch_expiry_add(&c->expiry, watched_not_after(&entry), c->now);
		if (!verdicts_add_watched(c->verdicts, issuer, &s, &watch))
			return ERR_NOMEM;
	}
	return ERR_OK;
}

static enum err gather_all(struct count *c)
{
	enum err e = ERR_OK;

	while (e == ERR_OK && c->ca < c->v->cas->n && verdicts_count(c->verdicts) < BATCH)
		e = add_walk(c);
	return e;
}

static void add_status(struct count *c, size_t i)
{
	enum status status = verdicts_status(c->verdicts, i);

	if (status == STATUS_REVOKED)
		c->status.revoked++;
	else if (status == STATUS_GOOD)
		c->status.good++;
	else
		c->status.unknown++;
}

/* Both. */

static void step(struct count *c, enum err e)
{
	verdicts_clear(c->verdicts);
	if (e == ERR_OK && c->want.context->stopping)
		e = ERR_CANCELLED;
	if (e == ERR_OK)
		e = c->revoked != NULL ? gather_lists(c) : gather_all(c);
	if (e == ERR_OK && verdicts_count(c->verdicts) > 0)
		verdicts_ask(c->verdicts);
	else
		c->want.done(c->want.arg, e);
}

static void on_verdicts(void *arg)
{
	struct count *c = arg;
	enum err e = verdicts_error(c->verdicts);
	size_t n = e == ERR_OK ? verdicts_count(c->verdicts) : 0;

	for (size_t i = 0; i < n; i++) {
		if (c->revoked == NULL) {
			add_status(c, i);
			continue;
		}
		c->revoked[c->of[i]] += verdicts_is_revoked(c->verdicts, i);
		c->not_covered[c->of[i]] += !verdicts_is_covered(c->verdicts, i);
	}
	step(c, e);
}

static struct count *make(const struct count_want *want, const struct inventory *v)
{
	struct count *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->want = *want;
	c->v = inventory_ref(v);
	c->now = clock_now();
	c->verdicts = verdicts_new(want->context, on_verdicts, c);
	if (c->verdicts != NULL)
		verdicts_watch(c->verdicts, c->v);
	return c;
}

/* The first question, also for nothing: so done comes from the loop. */
static struct count *begin(struct count *c, bool made)
{
	enum err e;

	if (!made || c->verdicts == NULL) {
		count_free(c);
		return NULL;
	}
	e = c->revoked != NULL ? gather_lists(c) : gather_all(c);
	if (e != ERR_OK) {
		count_free(c);
		return NULL;
	}
	verdicts_ask(c->verdicts);
	return c;
}

struct count *count_of_lists(
    const struct count_want *want, const struct inventory *v, size_t first, size_t end)
{
	struct count *c = make(want, v);

	if (c == NULL)
		return NULL;
	c->list = c->first = first;
	c->end = end;
	c->revoked = calloc(end - first + 1, sizeof *c->revoked);
	c->not_covered = calloc(end - first + 1, sizeof *c->not_covered);
	return begin(c, c->revoked != NULL && c->not_covered != NULL);
}

struct count *count_of_all(const struct count_want *want, const struct inventory *v)
{
	struct count *c = make(want, v);

	if (c == NULL)
		return NULL;
	c->of_ca = calloc(v->cas->n + 1, sizeof *c->of_ca);
	return begin(c, c->of_ca != NULL);
}

const struct inventory *count_inventory(const struct count *c)
{
	return c->v;
}

size_t count_entries(const struct count *c, size_t list)
{
	const struct watch_list *l = c->v->list[list];
	size_t n = 0;

	for (size_t r = 0; r < l->ranges_n; r++)
		if (access_issuer(c->want.access,
			issuer_now(c, watch_cas_at(c->v->cas, l->ranges[r].ca))))
			n += l->ranges[r].n;
	return n;
}

size_t count_revoked(const struct count *c, size_t list)
{
	assert(list >= c->first && list < c->end);
	return c->revoked[list - c->first];
}

size_t count_not_covered(const struct count *c, size_t list)
{
	assert(list >= c->first && list < c->end);
	return c->not_covered[list - c->first];
}

size_t count_of_ca(const struct count *c, size_t ca)
{
	return c->of_ca[ca];
}

const struct count_status *count_status(const struct count *c)
{
	return &c->status;
}

const struct watch_expiry *count_expiry(const struct count *c)
{
	return &c->expiry;
}
