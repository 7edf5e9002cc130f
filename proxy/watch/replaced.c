/* replaced.c - sets of certificates with some names, each looked for and judged once. */
#include "proxy/watch/replaced.h"

#include <assert.h>
#include <stdlib.h>

#include "cache/watch/incident.h"
#include "proxy/base/clock.h"
#include "proxy/base/executor.h"
#include "proxy/watch/ari_board.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/noticed.h"
#include "proxy/watch/verdicts.h"

struct replaced_item {
	size_t list;
	uint32_t ca;
	struct serial serial;
	size_t set;    /* + 1; 0: nobody comes into question */
	int64_t since; /* who began later does */
};

struct replaced_set {
	struct watch_newer_set of;
	int64_t since;             /* the earliest of who looks for it */
	size_t first;              /* verdicts: of those that began later */
	bool out[WATCH_NEWER_MAX]; /* hit itself, or not seen */
};

struct replaced {
	struct watch_context *context;
	void (*done)(void *arg);
	void *arg;
	const struct inventory *v;
	const struct ari_noticed *ari;
	const struct access *access;
	struct verdicts *verdicts;
	struct replaced_item *item;
	size_t n, room;
	struct replaced_set **set;
	size_t sets, sets_room;
	int64_t now;
	enum err error;
	bool asked;
};

static void clear(struct replaced *r)
{
	for (size_t i = 0; i < r->sets; i++)
		free(r->set[i]);
	r->n = r->sets = 0;
	inventory_unref(r->v);
	ari_noticed_unref(r->ari);
	r->ari = NULL;
	r->v = NULL;
}

static void on_verdicts(void *arg);

struct replaced *replaced_new(
    struct watch_context *context, void (*done)(void *arg), void *arg)
{
	struct replaced *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	*r = (struct replaced){.context = context, .done = done, .arg = arg};
	r->verdicts = verdicts_new(context, on_verdicts, r);
	if (r->verdicts != NULL)
		return r;
	free(r);
	return NULL;
}

void replaced_free(struct replaced *r)
{
	if (r == NULL)
		return;
	assert(!r->asked);
	clear(r);
	verdicts_free(r->verdicts);
	free(r->item);
	free(r->set);
	free(r);
}

void replaced_begin(
    struct replaced *r, const struct inventory *v, const struct access *access)
{
	assert(!r->asked);
	clear(r);
	verdicts_clear(r->verdicts);
	r->v = inventory_ref(v);
	r->ari = ari_board_get(r->context->shared);
	verdicts_watch(r->verdicts, r->v);
	r->access = access;
	r->error = ERR_OK;
}

/* Room for one more of an array that grows by doubling. */
static bool reserve(void **p, size_t size, size_t n, size_t *room)
{
	size_t more = *room == 0 ? 64 : 2 * *room;
	void *q;

	if (n < *room)
		return true;
	q = realloc(*p, more * size);
	if (q == NULL)
		return false;
	*p = q;
	*room = more;
	return true;
}

bool replaced_add(struct replaced *r, size_t list, uint32_t ca, const struct serial *s)
{
	void *p = r->item;

	assert(list < r->v->n && !r->asked);
	if (!reserve(&p, sizeof *r->item, r->n, &r->room))
		return false;
	r->item = p;
	r->item[r->n++] = (struct replaced_item){.list = list, .ca = ca, .serial = *s};
	return true;
}

/* Nearly always it is the number that was given. */
bool replaced_add_found(
    struct replaced *r, size_t list, uint32_t ca, const struct serial *s)
{
	const struct watch_list *l = r->v->list[list];
	const struct watch_ca *of = watch_cas_at(r->v->cas, ca), *other = NULL;

	if (watch_list_find(l, ca, s) != NULL)
		return replaced_add(r, list, ca, s);
	if (of == NULL || of->issuer[0] == '\0')
		return true;
	while ((other = watch_cas_called(r->v->cas, of->issuer, other)) != NULL)
		if (watch_list_find(l, other->id, s) != NULL)
			return replaced_add(r, list, other->id, s);
	return true;
}

size_t replaced_count(const struct replaced *r)
{
	return r->n;
}

/* The search thread. */

/* Sets come in the order of their numbers. */
static bool keep(struct replaced *r, const struct watch_newer_set *set)
{
	void *p = r->set;
	struct replaced_set *kept;

	if (set->number < r->sets)
		return true;
	if (!reserve(&p, sizeof *r->set, r->sets, &r->sets_room))
		return false;
	r->set = p;
	kept = calloc(1, sizeof *kept);
	if (kept == NULL)
		return false;
	kept->of = *set;
	kept->since = INT64_MAX;
	r->set[r->sets++] = kept;
	return true;
}

static enum err look_for(
    struct replaced *r, struct watch_newers *w, struct replaced_item *item)
{
	const struct watch_newer_set *set;
	enum err e = watch_newers_find(w, r->v->list[item->list]->generation, item->ca,
	    &item->serial, &set, &item->since);

	if (e == ERR_NOT_FOUND)
		return ERR_OK;
	if (e == ERR_OK && !keep(r, set))
		e = ERR_NOMEM;
	if (e != ERR_OK)
		return e;
	assert(set->number < r->sets);
	item->set = set->number + 1;
	if (item->since < r->set[set->number]->since)
		r->set[set->number]->since = item->since;
	return ERR_OK;
}

static void look_work(void *arg)
{
	struct replaced *r = arg;
	struct watch_newers *w;

	r->error = watch_newers_open(&w, ledger_db(r->context->ledger), r->now);
	for (size_t i = 0; r->error == ERR_OK && i < r->n; i++)
		r->error = look_for(r, w, &r->item[i]);
	watch_newers_close(w);
}

/* The inventory thread. */

static const char *issuer_now(const struct replaced *r, uint32_t ca)
{
	const struct watch_ca *of = watch_cas_at(r->v->cas, ca);
	const struct issuer *i =
	    of == NULL
		? NULL
		: issuers_named(shared_conf(r->context->shared)->issuers, of->issuer);

	return i != NULL ? i->name : "";
}

const char *replaced_issuer(const struct replaced *r, const struct watch_newer *by)
{
	return issuer_now(r, by->ca);
}

/* Ask for what the keeper knows of those that began late enough. */
static bool add_set(struct replaced *r, struct replaced_set *s)
{
	s->first = verdicts_count(r->verdicts);
	for (size_t i = 0; i < s->of.n && s->of.at[i].not_before > s->since; i++) {
		const struct watch_newer *x = &s->of.at[i];
		const char *issuer = issuer_now(r, x->ca);

		s->out[i] = !access_issuer(r->access, issuer) ||
			    noticed_is(r->v, r->ari, x->ca, &x->serial);
		if (!verdicts_add_unwatched(r->verdicts, issuer, &x->serial))
			return false;
	}
	return true;
}

static void finish(struct replaced *r, enum err e)
{
	r->asked = false;
	r->error = e;
	r->done(r->arg); /* r may be gone behind it */
}

static void on_looked(void *arg)
{
	struct replaced *r = arg;
	enum err e = r->error;

	assert(r->context->away > 0);
	r->context->away--;
	if (e == ERR_OK && r->context->stopping)
		e = ERR_CANCELLED;
	for (size_t i = 0; e == ERR_OK && i < r->sets; i++)
		if (!add_set(r, r->set[i]))
			e = ERR_NOMEM;
	if (e == ERR_OK && verdicts_count(r->verdicts) > 0)
		verdicts_ask(r->verdicts);
	else
		finish(r, e);
}

static void on_verdicts(void *arg)
{
	struct replaced *r = arg;
	enum err e = verdicts_error(r->verdicts);

	for (size_t k = 0; e == ERR_OK && k < r->sets; k++) {
		struct replaced_set *s = r->set[k];

		for (size_t i = 0; i < s->of.n && s->of.at[i].not_before > s->since; i++)
			s->out[i] |= verdicts_is_revoked(r->verdicts, s->first + i);
	}
	finish(r, e);
}

void replaced_ask(struct replaced *r)
{
	assert(!r->asked);
	r->asked = true;
	r->now = clock_now();
	r->context->away++;
	executor_run(r->context->search, look_work, on_looked, r);
}

enum err replaced_error(const struct replaced *r)
{
	return r->error;
}

const struct watch_newer *replaced_at(const struct replaced *r, size_t i)
{
	const struct replaced_item *item = &r->item[i];
	const struct replaced_set *s = item->set > 0 ? r->set[item->set - 1] : NULL;

	assert(i < r->n && r->error == ERR_OK);
	for (size_t k = 0; s != NULL && k < s->of.n; k++) {
		if (s->of.at[k].not_before <= item->since)
			return NULL;
		if (!s->out[k])
			return &s->of.at[k];
	}
	return NULL;
}
