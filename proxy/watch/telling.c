/* telling.c - the steps:
 *   ASK     how far the scope is told
 *   MATCH   on the thread "match"
 *   JUDGE   the next slice: the keeper is asked
 *   TELL    its batch is at the teller; somebody else was there before: ASK
 *   CLOSE   the pointer says that this was all
 */
#include "proxy/watch/telling.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>

#include "proxy/base/access.h"
#include "proxy/base/clock.h"
#include "proxy/base/executor.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/tell/teller.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/verdicts.h"

#define SLICE    4096 /* certificates in one question, and so in one batch */
#define AGAIN_MS 1000 /* the log, or memory, is asked again after so long */

struct telling {
	struct watch_context *context;
	struct executor *thread;
	struct verdicts *verdicts;
	struct event *timer;
	void (*done)(void *arg, enum err e);
	void *arg;
	struct telling_want want;
	bool busy, matched;
	struct incident_hits hits;
	const struct inventory *inventory; /* a reference, while it is matched */
	uint64_t number;
	bool found;
	bool whole; /* nobody else has told some of it */
	_Atomic bool stop;
	size_t at, to;                 /* the slice */
	struct incident_place reached; /* those before are told, or were not to be */
	struct change_told told;
	struct teller_scope ask;
	struct teller_batch batch;
};

static void go(struct telling *a);

static void drop_wanted(struct telling *a)
{
	for (size_t n = 0; n < INCIDENT_BUT_MAX; n++)
		incident_unref(a->want.but[n].incident);
	memset(a->want.but, 0, sizeof a->want.but);
	incident_hits_clear(&a->hits);
}

static void end(struct telling *a, enum err e)
{
	drop_wanted(a);
	a->busy = false;
	a->done(a->arg, e);
}

static bool is_over(struct telling *a)
{
	if (!a->context->stopping)
		return false;
	end(a, ERR_CANCELLED);
	return true;
}

static void later(struct telling *a)
{
	if (is_over(a))
		return;
	if (!timer_arm(a->timer, AGAIN_MS)) {
		log_error("notices_late", "err=%s", err_label(ERR_NOMEM));
		end(a, ERR_NOMEM);
	}
}

/* The pointer. */

static bool is_closed(const struct change_told *t)
{
	return t->known && t->done == t->total;
}

static struct incident_place place_of(const struct change_told *t)
{
	struct incident_place p = {{0}, 0};

	if (t->known) {
		memcpy(p.issuer, t->from, sizeof p.issuer);
		p.at = (uint32_t)t->this_update;
	}
	return p;
}

static struct change_told told_at(
    const struct telling *a, const struct incident_place *p, bool closed)
{
	struct change_told t = {
	    .known = true, .this_update = p->at, .done = closed, .total = 1};

	memcpy(t.from, p->issuer, sizeof t.from);
	memcpy(t.to, a->want.id, sizeof a->want.id);
	return t;
}

/* Telling. */

static void ask(struct telling *a);

static void on_appended(void *inbox_arg, struct question *q)
{
	struct telling *a = q->owner;

	(void)inbox_arg;
	a->context->away--;
	change_batch_unref(a->batch.batch);
	if (is_over(a))
		return;
	if (a->batch.error == ERR_CONFLICT) {
		ask(a);
	} else if (a->batch.error != ERR_OK) {
		later(a);
	} else {
		a->told = a->batch.next;
		a->reached = place_of(&a->told);
		a->at = a->to;
		go(a);
	}
}

/* batch: handed over, or NULL.  The pointer is at `to` then. */
static void append(
    struct telling *a, struct change_batch *batch, const struct change_told *to)
{
	a->batch = (struct teller_batch){.teller = a->context->shared->teller,
	    .batch = batch,
	    .scope = a->want.scope,
	    .expect = a->told,
	    .next = *to};
	a->batch.question.reply_to = a->context->inbox;
	a->batch.question.done = on_appended;
	a->batch.question.owner = a;
	a->context->away++;
	question_ask(&a->batch.question, a->context->shared->keeper, teller_append);
}

static void close_at(struct telling *a, const struct incident_place *p)
{
	struct change_told to = told_at(a, p, true);

	append(a, NULL, &to);
}

static struct change_batch *batch_new(const struct telling *a, size_t n)
{
	const struct incident_about *about = &a->want.incident->about;
	struct change_batch *b = change_notices_new(n, about->url, false);

	if (b == NULL)
		return NULL;
	strcpy(b->issuer, a->hits.who[a->hits.hit[a->at].who].issuer);
	strcpy(b->incident, about->name);
	if (a->want.others == OTHERS_SOME)
		strcpy(b->watchlist, a->want.list->name);
	b->source = CHANGE_INCIDENT;
	b->deadline = about->deadline != WATCH_TIME_NONE ? about->deadline : 0;
	b->seen_at_ms = clock_now_ms();
	return b;
}

/* Those of the slice that are not revoked. */
static void tell(struct telling *a)
{
	size_t all = verdicts_count(a->verdicts), n = 0;
	struct incident_place last = incident_hits_place(&a->hits, a->to - 1);
	struct change_batch *b = batch_new(a, all);
	struct change_told to;

	if (b == NULL) {
		later(a);
		return;
	}
	for (size_t i = 0; i < all; i++) {
		if (verdicts_is_revoked(a->verdicts, i))
			continue;
		crl_entry_set_serial(
		    &b->change[n].entry, verdicts_serial(a->verdicts, i));
		change_set_withdrawn(&b->change[n++], a->want.withdrawn);
	}
	b->n = (uint32_t)n;
	last.at++;
	to = told_at(a, &last, false);
	if (n > 0) {
		append(a, b, &to);
		return;
	}
	change_batch_unref(b);
	a->reached = last;
	a->at = a->to;
	go(a);
}

static void on_verdicts(void *arg)
{
	struct telling *a = arg;

	if (is_over(a))
		return;
	if (verdicts_error(a->verdicts) != ERR_OK)
		later(a);
	else
		tell(a);
}

/* The next slice: of one issuer, and before what is wanted. */
static void judge(struct telling *a)
{
	const struct incident_hits *h = &a->hits;
	const struct incident_hit *first = &h->hit[a->at];
	struct serial s;

	verdicts_clear(a->verdicts);
	for (a->to = a->at; a->to < h->told && a->to - a->at < SLICE; a->to++) {
		struct incident_place p = incident_hits_place(h, a->to);

		if (h->hit[a->to].who != first->who ||
		    incident_place_cmp(&p, &a->want.upto) >= 0)
			break;
		watched_serial(&a->want.incident->list->entries[h->hit[a->to].at], &s);
		if (!verdicts_add_unwatched(a->verdicts, h->who[first->who].issuer, &s)) {
			later(a);
			return;
		}
	}
	verdicts_wait(a->verdicts, clock_mono_ms() + TELLING_WAIT_MS);
	verdicts_ask(a->verdicts);
}

/* Matching. */

static void match_work(void *arg)
{
	struct telling *a = arg;
	struct incident_hits_want want = {.incident = a->want.incident,
	    .inventory = a->inventory,
	    .list = a->want.list,
	    .others = a->want.others,
	    .stop = &a->stop};

	memcpy(want.but, a->want.but, sizeof want.but);
	a->found = incident_hits_find(&a->hits, &want);
}

static void match_done(void *arg)
{
	struct telling *a = arg;

	a->context->away--;
	inventory_unref(a->inventory);
	a->inventory = NULL;
	if (is_over(a))
		return;
	a->matched = a->found;
	if (!a->found) {
		later(a);
		return;
	}
	a->at = incident_hits_from(&a->hits, &a->reached);
	go(a);
}

static void match(struct telling *a)
{
	a->inventory = inventory_ref(ledger_inventory(a->context->shared));
	a->number = a->inventory->number;
	a->context->away++;
	executor_run(a->thread, match_work, match_done, a);
}

/* What is next. */

static bool is_at_end(const struct telling *a)
{
	struct incident_place p;

	if (a->at == a->hits.told)
		return true;
	p = incident_hits_place(&a->hits, a->at);
	return incident_place_cmp(&p, &a->want.upto) >= 0;
}

static void go(struct telling *a)
{
	struct incident_place last = incident_place_end();

	if (is_closed(&a->told)) {
		end(a, ERR_OK);
	} else if (a->want.close) {
		close_at(a, &a->reached);
	} else if (!a->matched) {
		match(a);
	} else if (!is_at_end(a)) {
		judge(a);
	} else if (a->want.rare && !a->told.known) {
		end(a, ERR_OK);
	} else {
		close_at(a, &last);
	}
}

static void on_asked(void *inbox_arg, struct question *q)
{
	struct telling *a = q->owner;
	struct incident_place before = a->reached;

	(void)inbox_arg;
	a->context->away--;
	if (is_over(a))
		return;
	if (a->ask.error != ERR_OK) {
		later(a);
		return;
	}
	a->told = a->ask.told;
	a->reached = place_of(&a->told);
	a->whole = a->whole && incident_place_cmp(&a->reached, &before) == 0;
	if (a->matched)
		a->at = incident_hits_from(&a->hits, &a->reached);
	if (a->want.waits && !is_closed(&a->told) &&
	    (a->want.first || !change_told_equal(&a->told, &a->want.seen)))
		end(a, ERR_CONFLICT);
	else
		go(a);
}

static void ask(struct telling *a)
{
	a->ask = (struct teller_scope){.teller = a->context->shared->teller};
	memcpy(a->ask.scope, a->want.scope, sizeof a->ask.scope);
	a->ask.question.reply_to = a->context->inbox;
	a->ask.question.done = on_asked;
	a->ask.question.owner = a;
	a->context->away++;
	question_ask(&a->ask.question, a->context->shared->keeper, teller_scope_ask);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct telling *a = arg;

	(void)fd, (void)what;
	if (!is_over(a))
		ask(a);
}

void telling_start(struct telling *a, const struct telling_want *want)
{
	assert(!a->busy);
	a->busy = true;
	a->want = *want;
	for (size_t n = 0; n < INCIDENT_BUT_MAX; n++)
		if (want->but[n].incident != NULL)
			incident_ref(want->but[n].incident);
	a->matched = false;
	a->number = 0;
	a->at = 0;
	a->reached = (struct incident_place){{0}, 0};
	a->whole = true;
	ask(a);
}

const struct change_told *telling_told(const struct telling *a)
{
	return &a->told;
}

struct incident_place telling_place(const struct telling *a)
{
	return place_of(&a->told);
}

size_t telling_waiting(const struct telling *a)
{
	return a->busy && a->matched ? a->hits.told - a->at : 0;
}

uint64_t telling_number(const struct telling *a)
{
	return a->number;
}

bool telling_is_whole(const struct telling *a)
{
	return a->whole;
}

/* Counting. */

static void count_work(void *arg)
{
	struct telling_count *c = arg;
	struct incident_hits h;

	c->counted = incident_hits_find(&h, &c->want);
	c->n = 0;
	for (size_t i = 0; c->counted && i < h.n; i++)
		c->n += access_issuer(c->access, h.who[h.hit[i].who].issuer);
	incident_hits_clear(&h);
}

static void count_done(void *arg)
{
	struct telling_count *c = arg;

	c->_telling->context->away--;
	c->done(c);
}

void telling_count(struct telling *a, struct telling_count *c)
{
	c->_telling = a;
	c->want.stop = &a->stop;
	a->context->away++;
	executor_run(a->thread, count_work, count_done, c);
}

/* Life. */

struct telling *telling_new(
    struct watch_context *context, void (*done)(void *arg, enum err e), void *arg)
{
	struct telling *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	a->context = context;
	a->done = done;
	a->arg = arg;
	a->verdicts = verdicts_new(context, on_verdicts, a);
	a->timer = evtimer_new(context->base, on_timer, a);
	a->thread = executor_start(context->inbox, "match", 0);
	if (a->verdicts != NULL && a->timer != NULL && a->thread != NULL)
		return a;
	telling_stop(a);
	telling_free(a);
	return NULL;
}

void telling_cancel(struct telling *a)
{
	atomic_store(&a->stop, true);
	event_del(a->timer);
}

void telling_stop(struct telling *a)
{
	if (a == NULL)
		return;
	atomic_store(&a->stop, true);
	executor_stop(a->thread);
}

void telling_free(struct telling *a)
{
	if (a == NULL)
		return;
	drop_wanted(a);
	executor_free(a->thread);
	if (a->timer != NULL)
		event_free(a->timer);
	verdicts_free(a->verdicts);
	free(a);
}
