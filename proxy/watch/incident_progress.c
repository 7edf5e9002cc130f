/* incident_progress.c - list by list, CA by CA, a slice of entries at a time. */
#include "proxy/watch/incident_progress.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>

#include "proxy/base/access.h"
#include "proxy/base/clock.h"
#include "proxy/base/timer.h"
#include "proxy/watch/replaced.h"
#include "proxy/watch/usage.h"

#define SLICE    65536 /* entries looked at in a turn: 2 ms */
#define TOGETHER 4096  /* of the incident, asked about at once */

#define IS_MET      1u
#define IS_REPLACED 2u

struct incident_progress {
	struct watch_context *context;
	const struct inventory *v; /* a reference, as the next */
	const struct incident *incident;
	struct access *access;
	void (*done)(void *arg, enum err e);
	void *arg;
	struct event *turn;
	struct replaced *replaced;
	size_t list, range, entry; /* how far */
	bool asked;                /* whether the incident has any of this range */
	bool has_some;
	struct incident_of of;
	uint8_t *mark;         /* by place on the incident */
	uint32_t at[TOGETHER]; /* of those that are asked about */
	int64_t now;
	size_t replaced_n, in_use;
};

void incident_progress_free(struct incident_progress *p)
{
	if (p == NULL)
		return;
	if (p->turn != NULL)
		event_free(p->turn);
	replaced_free(p->replaced);
	inventory_unref(p->v);
	incident_unref(p->incident);
	access_unref(p->access);
	free(p->mark);
	free(p);
}

size_t incident_progress_replaced(const struct incident_progress *p)
{
	return p->replaced_n;
}

size_t incident_progress_in_use(const struct incident_progress *p)
{
	return p->in_use;
}

static void end(struct incident_progress *p, enum err e)
{
	assert(p->context->away > 0);
	p->context->away--;
	p->done(p->arg, e); /* p may be gone behind it */
}

static void soon(struct incident_progress *p)
{
	if (!timer_arm(p->turn, 0))
		event_active(p->turn, EV_TIMEOUT, 1);
}

static const char *issuer_now(const struct incident_progress *p, uint32_t ca)
{
	const struct watch_ca *of = watch_cas_at(p->v->cas, ca);
	const struct issuer *i =
	    of == NULL
		? NULL
		: issuers_named(shared_conf(p->context->shared)->issuers, of->issuer);

	return i != NULL ? i->name : "";
}

/* The incident has it, at this place.  False: out of memory. */
static bool take(
    struct incident_progress *p, uint32_t ca, const struct watched *e, uint32_t at)
{
	struct serial s;

	watched_serial(e, &s);
	if (!(p->mark[at] & IS_MET))
		p->in_use +=
		    usage_is_recent(p->context->usage, issuer_now(p, ca), &s, p->now);
	p->mark[at] |= IS_MET;
	if (watched_is_bare(e) || (p->mark[at] & IS_REPLACED))
		return true;
	p->at[replaced_count(p->replaced)] = at;
	return replaced_add(p->replaced, p->list, ca, &s);
}

static bool is_seen(const struct incident_progress *p, uint32_t ca)
{
	const struct watch_ca *of = watch_cas_at(p->v->cas, ca);

	return access_issuer(p->access, of != NULL ? of->issuer : "");
}

/* Entries of this range.  False: out of memory. */
static bool look_range(struct incident_progress *p, const struct watch_list *l,
    const struct watch_range *r, size_t *left)
{
	if (!p->asked)
		p->has_some = is_seen(p, r->ca) &&
			      incident_of(&p->of, p->incident, p->v->cas, r->ca);
	p->asked = true;
	while (p->has_some && p->entry<r->n && * left> 0 &&
	       replaced_count(p->replaced) < TOGETHER) {
		const struct watched *e = &l->entries[r->first + p->entry++];
		uint32_t at;

		--*left;
		if (incident_has(&p->of, e, &at) && !take(p, r->ca, e, at))
			return false;
	}
	if (!p->has_some || p->entry == r->n) {
		p->range++;
		p->entry = 0;
		p->asked = false;
	}
	return true;
}

/* A slice.  *over: that was all. */
static enum err look(struct incident_progress *p, bool *over)
{
	size_t left = SLICE;

	replaced_begin(p->replaced, p->v, NULL);
	while (p->list < p->v->n && left > 0 && replaced_count(p->replaced) < TOGETHER) {
		const struct watch_list *l = p->v->list[p->list];

		left--;
		if (p->range == l->ranges_n) {
			p->range = 0;
			p->list++;
		} else if (!look_range(p, l, &l->ranges[p->range], &left)) {
			return ERR_NOMEM;
		}
	}
	*over = p->list == p->v->n;
	return ERR_OK;
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct incident_progress *p = arg;
	bool over = false;
	enum err e = p->context->stopping ? ERR_CANCELLED : look(p, &over);

	(void)fd, (void)what;
	if (e != ERR_OK)
		end(p, e);
	else if (replaced_count(p->replaced) > 0)
		replaced_ask(p->replaced);
	else if (over)
		end(p, ERR_OK);
	else
		soon(p);
}

static void on_replaced(void *arg)
{
	struct incident_progress *p = arg;
	enum err e = replaced_error(p->replaced);

	for (size_t i = 0; e == ERR_OK && i < replaced_count(p->replaced); i++) {
		uint8_t *mark = &p->mark[p->at[i]];

		if ((*mark & IS_REPLACED) || replaced_at(p->replaced, i) == NULL)
			continue;
		*mark |= IS_REPLACED;
		p->replaced_n++;
	}
	if (e != ERR_OK)
		end(p, e);
	else
		soon(p);
}

struct incident_progress *incident_progress_new(struct watch_context *context,
    const struct inventory *v, const struct incident *incident, struct access *access,
    void (*done)(void *arg, enum err e), void *arg)
{
	struct incident_progress *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->context = context;
	p->v = inventory_ref(v);
	p->incident = incident_ref(incident);
	p->access = access_ref(access);
	p->done = done;
	p->arg = arg;
	p->now = clock_now();
	p->mark = calloc(incident->list->n + 1, sizeof *p->mark);
	p->replaced = replaced_new(context, on_replaced, p);
	p->turn = evtimer_new(context->base, on_turn, p);
	if (p->mark == NULL || p->replaced == NULL || p->turn == NULL) {
		incident_progress_free(p);
		return NULL;
	}
	context->away++;
	soon(p);
	return p;
}
