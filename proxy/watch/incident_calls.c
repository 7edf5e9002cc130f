/* incident_calls.c - incident after incident is counted, then all who asked are answered.
 */
#include "proxy/watch/incident_calls.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/watch/counts.h"
#include "proxy/watch/incident_progress.h"
#include "proxy/watch/incident_upload.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/notices.h"
#include "proxy/watch/share.h"
#include "proxy/watch/telling.h"
#include "proxy/watch/watch_reply.h"

struct incident_waiter {
	struct incident_waiter *next;
	struct watch_ask *ask;
};

struct incident_counted {
	size_t hit, replaced, in_use;
};

struct incident_calls {
	struct watch_context *context;
	struct incident_waiter *first, **last;
	/* What was counted, or is: */
	struct access *access;       /* for whom; a reference */
	const struct inventory *all; /* a reference; NULL: nothing */
	const struct inventory *v;   /* a reference: of it, what he sees */
	struct incident_counted *of; /* of each in force */
	size_t at;                   /* in_force: all are counted */
	int64_t began_ms, kept_until_ms;
	bool busy, failed;
	struct telling_count count;
	struct incident_progress *progress;
};

struct asked_drop {
	struct ledger_job job; /* first */
	struct watch_context *context;
	struct watch_ask *ask;
};

/* Text. */

static void put_member(struct json_line *l, const char *name, const char *text)
{
	json_put(l, name);
	json_put_text(l, text[0] != '\0' ? text : NULL);
}

static void put_count(struct json_line *l, const char *name, size_t n)
{
	json_put(l, name);
	json_put_number(l, n);
}

static void put_incident(
    struct json_line *l, const struct incident *i, const struct incident_counted *n)
{
	put_member(l, "{\"name\":", i->about.name);
	json_put(l, ",\"deadline\":");
	json_put_time(l, i->about.deadline);
	put_member(l, ",\"url\":", i->about.url);
	put_member(l, ",\"issuer\":", i->about.issuer);
	put_count(l, ",\"serials\":", i->serials);
	put_count(l, ",\"hit\":", n->hit);
	put_count(l, ",\"replaced\":", n->replaced);
	put_count(l, ",\"in_use\":", n->in_use);
	json_put(l, "}");
}

/* Who has some lists sees those that have a certificate on one. */
static bool is_seen(const struct incident_calls *c, size_t n)
{
	if (c->access != NULL && c->access->lists_n > 0 && c->of[n].hit == 0)
		return false;
	return incident_is_seen(c->access, c->v, c->v->incidents->item[n]);
}

static void answer_all(const struct incident_calls *c, struct watch_ask *a)
{
	struct json_line l = {0};
	const char *comma = "";

	json_put(&l, "[");
	for (size_t n = 0; n < c->v->incidents->in_force; n++) {
		const struct incident *i = c->v->incidents->item[n];

		if (!is_seen(c, n))
			continue;
		json_put(&l, comma);
		put_incident(&l, i, &c->of[n]);
		comma = ",\n";
	}
	json_put(&l, "]\n");
	watch_reply(a, &l);
	free(l.p);
}

static void answer_one(const struct incident_calls *c, struct watch_ask *a)
{
	struct json_line l = {0};
	struct refusal r;

	for (size_t n = 0; n < c->v->incidents->in_force; n++) {
		const struct incident *i = c->v->incidents->item[n];

		if (strcmp(i->about.name, a->name) != 0 || !is_seen(c, n))
			continue;
		put_incident(&l, i, &c->of[n]);
		json_put(&l, "\n");
		watch_reply(a, &l);
		free(l.p);
		return;
	}
	refusal_of_incident(&r, c->context);
	watch_reply_refuse(a, &r);
}

static void answer(const struct incident_calls *c, struct watch_ask *a)
{
	if (c->context->stopping)
		watch_reply_fail(a, c->context, ERR_CANCELLED);
	else if (c->failed)
		watch_reply_fail(a, c->context, ERR_NOMEM);
	else if (a->what == WATCH_INCIDENTS)
		answer_all(c, a);
	else
		answer_one(c, a);
}

/* Those for whom it was counted. */
static void answer_waiters(struct incident_calls *c)
{
	struct incident_waiter **at = &c->first, *w;

	while ((w = *at) != NULL) {
		if (w->ask->access != c->access && !c->context->stopping) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		answer(c, w->ask);
		free(w);
	}
	c->last = at;
}

/* Counting. */

static void drop_count(struct incident_calls *c)
{
	inventory_unref(c->v);
	inventory_unref(c->all);
	access_unref(c->access);
	free(c->of);
	c->v = c->all = NULL;
	c->access = NULL;
	c->of = NULL;
}

static void begin(struct incident_calls *c);

static void next(struct incident_calls *c)
{
	c->busy =
	    !c->failed && !c->context->stopping && c->at < c->v->incidents->in_force;
	if (!c->busy) {
		int64_t now = clock_mono_ms();

		c->kept_until_ms = now + COUNTS_KEEP * (now - c->began_ms);
		answer_waiters(c);
		if (c->failed || c->all != ledger_inventory(c->context->shared))
			drop_count(c);
		if (c->first != NULL)
			begin(c);
		return;
	}
	c->count.want = (struct incident_hits_want){
	    .incident = c->v->incidents->item[c->at], .inventory = c->v};
	c->count.access = c->access;
	telling_count(notices_telling(c->context->notices), &c->count);
}

static void on_progress(void *arg, enum err e)
{
	struct incident_calls *c = arg;
	struct incident_counted *of = &c->of[c->at++];

	c->failed = e != ERR_OK;
	of->replaced = incident_progress_replaced(c->progress);
	of->in_use = incident_progress_in_use(c->progress);
	incident_progress_free(c->progress);
	c->progress = NULL;
	next(c);
}

/* Of how many that are hit, how far they have come is looked for. */
static void on_counted(struct telling_count *n)
{
	struct incident_calls *c =
	    (struct incident_calls *)((char *)n - offsetof(struct incident_calls, count));

	c->failed = !n->counted;
	c->of[c->at].hit = n->n;
	if (n->counted && n->n > 0) {
		c->progress = incident_progress_new(c->context, c->v,
		    c->v->incidents->item[c->at], c->access, on_progress, c);
		if (c->progress != NULL)
			return;
		c->failed = true;
	}
	c->at++;
	next(c);
}

/* For the first who waits, and whoever reaches the same. */
static void begin(struct incident_calls *c)
{
	drop_count(c);
	c->all = inventory_ref(ledger_inventory(c->context->shared));
	c->access = access_ref(c->first->ask->access);
	c->v = access_inventory(c->access, c->all);
	c->of = calloc(c->all->incidents->in_force + 1, sizeof *c->of);
	c->failed = c->of == NULL || c->v == NULL;
	c->began_ms = clock_mono_ms();
	c->at = 0;
	c->count.done = on_counted;
	next(c);
}

void incident_calls_get(struct incident_calls *c, struct watch_ask *a)
{
	struct incident_waiter *w;

	if (!c->busy && c->all == ledger_inventory(c->context->shared) &&
	    c->access == a->access && clock_mono_ms() < c->kept_until_ms) {
		answer(c, a);
		return;
	}
	w = calloc(1, sizeof *w);
	if (w == NULL) {
		watch_reply_fail(a, c->context, ERR_NOMEM);
		return;
	}
	w->ask = a;
	*c->last = w;
	c->last = &w->next;
	if (!c->busy)
		begin(c);
}

void incident_calls_forget(struct incident_calls *c)
{
	if (!c->busy)
		drop_count(c);
}

/* Deleting. */

static void on_dropped(void *arg, struct ledger_job *job)
{
	struct asked_drop *d = arg;
	struct refusal r;

	assert(d->context->away > 0);
	d->context->away--;
	if (job->error == ERR_OK) {
		log_each(LOG_INFO, "incident_deleted", "incident=%s", d->ask->name);
		notices_mine(d->context->notices, d->ask->name);
		watch_reply_empty(d->ask);
	} else {
		if (job->error == ERR_NOT_FOUND)
			refusal_of_incident(&r, d->context);
		else
			refusal_of_job(&r, d->context, job);
		watch_reply_refuse(d->ask, &r);
	}
	free(d);
}

static bool drop_is_refused(
    const struct incident_calls *c, const struct watch_ask *a, struct refusal *r)
{
	const struct inventory *v = ledger_inventory(c->context->shared);
	const struct incident *i = incidents_named(v->incidents, a->name);

	r->status = 0;
	if (i == NULL || !incident_is_seen(a->access, v, i))
		refusal_of_incident(r, c->context);
	else if (!incident_is_reached(a->access, v, i))
		refusal_of_reach(r);
	else
		refusal_of_share(r, c->context);
	return r->status != 0;
}

void incident_calls_drop(struct incident_calls *c, struct watch_ask *a)
{
	struct asked_drop *d;
	struct refusal r;

	if (drop_is_refused(c, a, &r)) {
		watch_reply_refuse(a, &r);
		return;
	}
	d = calloc(1, sizeof *d);
	if (d == NULL) {
		watch_reply_fail(a, c->context, ERR_NOMEM);
		return;
	}
	d->context = c->context;
	d->ask = a;
	d->job.what = LEDGER_DROP;
	d->job.source = WATCH_INCIDENT;
	incident_key(d->job.name, a->name);
	d->job.done = on_dropped;
	d->job.arg = d;
	c->context->away++;
	share_change(c->context, &d->job);
}

/* Life. */

struct incident_calls *incident_calls_new(struct watch_context *context)
{
	struct incident_calls *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->context = context;
	c->last = &c->first;
	return c;
}

void incident_calls_free(struct incident_calls *c)
{
	if (c == NULL)
		return;
	drop_count(c);
	free(c);
}
