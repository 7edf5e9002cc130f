/* count.c - a batch at a time, until there are no more. */
#include "proxy/watch/count.h"

#include <assert.h>
#include <stdlib.h>

#include "cache/watch/incident.h"
#include "proxy/base/clock.h"
#include "proxy/watch/ari_board.h"
#include "proxy/watch/replaced.h"
#include "proxy/watch/usage.h"
#include "proxy/watch/verdicts.h"

#define BATCH 4096

struct count {
	struct count_want want;
	const struct inventory *v;     /* a reference */
	const struct ari_noticed *ari; /* the same */
	struct verdicts *verdicts;
	int64_t now;
	/* Of lists: */
	size_t list, first, end, range, entry;
	struct count_list *lists; /* by list - first; NULL: of all */
	struct count_entry {
		uint32_t list; /* whose is the certificate: list - first */
		uint32_t ca;
		bool announced, bare;
	} of[BATCH];
	struct incident_of *incident; /* those that may announce some of a CA's */
	size_t incidents_n;
	struct replaced *replaced;
	uint32_t hit[BATCH]; /* of those that are asked about: list - first */
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
	replaced_free(c->replaced);
	inventory_unref(c->v);
	ari_noticed_unref(c->ari);
	free(c->lists);
	free(c->incident);
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

static void find_incidents(struct count *c, uint32_t ca)
{
	const struct incidents *s = c->v->incidents;

	c->incidents_n = 0;
	for (size_t n = 0; n < s->in_force; n++)
		c->incidents_n +=
		    incident_of(&c->incident[c->incidents_n], s->item[n], c->v->cas, ca);
}

static bool is_announced(const struct count *c, uint32_t ca, const struct watched *e)
{
	if (c->ari->n > 0 && ari_noticed_find(c->ari, ca, e) != NULL)
		return true;
	for (size_t n = 0; n < c->incidents_n; n++)
		if (incident_has(&c->incident[n], e, NULL))
			return true;
	return false;
}

static enum err add_range(
    struct count *c, const struct watch_list *l, const struct watch_range *r)
{
	const char *issuer = issuer_now(c, watch_cas_at(c->v->cas, r->ca));
	size_t n = verdicts_count(c->verdicts);

	find_incidents(c, r->ca);
	if (!access_issuer(c->want.access, issuer)) {
		c->entry = r->n;
	} else if (issuer[0] == '\0' && c->incidents_n == 0) {
		c->lists[c->list - c->first].not_covered += r->n;
		c->entry = r->n;
	}
	for (; c->entry < r->n && n < BATCH; c->entry++, n++) {
		const struct watched *entry = &l->entries[r->first + c->entry];
		struct evidence_watch watch = evidence_watch_of(entry);
		struct serial s;

		watched_serial(entry, &s);
		if (!verdicts_add_watched(c->verdicts, issuer, &s, &watch))
			return ERR_NOMEM;
		c->of[n] = (struct count_entry){.list = (uint32_t)(c->list - c->first),
		    .ca = r->ca,
		    .announced = is_announced(c, r->ca, entry),
		    .bare = watched_is_bare(entry)};
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
		e = c->lists != NULL ? gather_lists(c) : gather_all(c);
	if (e == ERR_OK && verdicts_count(c->verdicts) > 0)
		verdicts_ask(c->verdicts);
	else
		c->want.done(c->want.arg, e);
}

/* One that is revoked or announced.  Who has no names is replaced by nobody. */
static enum err add_hit(struct count *c, size_t i)
{
	const struct count_entry *of = &c->of[i];
	struct count_list *l = &c->lists[of->list];
	const struct serial *s = verdicts_serial(c->verdicts, i);

	l->in_use += usage_is_recent(
	    c->want.context->usage, verdicts_issuer(c->verdicts, i), s, c->now);
	if (of->bare)
		return ERR_OK;
	c->hit[replaced_count(c->replaced)] = of->list;
	return replaced_add(c->replaced, c->first + of->list, of->ca, s) ? ERR_OK
									 : ERR_NOMEM;
}

static enum err add_entry(struct count *c, size_t i)
{
	struct count_list *l = &c->lists[c->of[i].list];
	bool revoked = verdicts_is_revoked(c->verdicts, i);

	l->revoked += revoked;
	l->announced += !revoked && c->of[i].announced;
	l->not_covered += !verdicts_is_covered(c->verdicts, i);
	return revoked || c->of[i].announced ? add_hit(c, i) : ERR_OK;
}

static void on_replaced(void *arg)
{
	struct count *c = arg;
	enum err e = replaced_error(c->replaced);

	for (size_t i = 0; e == ERR_OK && i < replaced_count(c->replaced); i++)
		c->lists[c->hit[i]].replaced += replaced_at(c->replaced, i) != NULL;
	step(c, e);
}

static void on_verdicts(void *arg)
{
	struct count *c = arg;
	enum err e = verdicts_error(c->verdicts);
	size_t n = verdicts_count(c->verdicts);

	if (c->lists != NULL)
		replaced_begin(c->replaced, c->v, c->want.access);
	for (size_t i = 0; e == ERR_OK && i < n; i++) {
		if (c->lists == NULL)
			add_status(c, i);
		else
			e = add_entry(c, i);
	}
	if (e == ERR_OK && c->lists != NULL && replaced_count(c->replaced) > 0)
		replaced_ask(c->replaced);
	else
		step(c, e);
}

static struct count *make(const struct count_want *want, const struct inventory *v)
{
	struct count *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->want = *want;
	c->v = inventory_ref(v);
	c->ari = ari_board_get(c->want.context->shared);
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
	e = c->lists != NULL ? gather_lists(c) : gather_all(c);
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
	c->lists = calloc(end - first + 1, sizeof *c->lists);
	c->incident = calloc(v->incidents->in_force + 1, sizeof *c->incident);
	c->replaced = replaced_new(want->context, on_replaced, c);
	return begin(c, c->lists != NULL && c->incident != NULL && c->replaced != NULL);
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

const struct count_list *count_list(const struct count *c, size_t list)
{
	assert(list >= c->first && list < c->end);
	return &c->lists[list - c->first];
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
