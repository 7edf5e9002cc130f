/* keeper.c - the keeper's loop, and what it is told through its inbox.
 *
 * After each turn of the loop the keeper arms the timer of the schedule and sees whether
 * the hot table has garbage; both are cheap looks at one word.
 */
#include "proxy/keeper/keeper.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/alarms.h"
#include "proxy/base/calm.h"
#include "proxy/base/clock.h"
#include "proxy/base/clock_watch.h"
#include "proxy/base/log.h"
#include "proxy/base/thread.h"
#include "proxy/base/timer.h"
#include "proxy/keeper/asked_keys.h"
#include "proxy/keeper/evidence_ask.h"
#include "proxy/keeper/keeper_make.h"
#include "proxy/lists/ccadb_source.h"
#include "proxy/lists/watched_source.h"

#define GARBAGE_MS    20   /* garbage of so long goes into one barrier */
#define SWEEP_S       60   /* store_sweep(): expired answers in the store */
#define ALARM_SWEEP_S 5    /* alarms of what a reload has taken away meanwhile */
#define LATCH_SWEEP_S 3600 /* latches that are over latch-keep */
#define STORE_CALM_MS 3600000

struct keeper {
	struct shared *shared;
	pthread_t thread;
	bool armed; /* the timers */
	bool started;
	bool stopping;
	struct order cancel, stop; /* a stop needs no memory */
	struct keeper_parts parts;
	struct event tick, due, garbage_timer;
	int64_t due_at_ms; /* what `due` is armed for */
	bool garbage_under_way;
	bool beating;
	struct barrier_want beat;
	unsigned ticks;
	struct clock_watch clock;
	struct calm latch_calm, store_calm;
	struct asked_collector asked;
	struct mistake *mistake; /* of the last reload; NULL: none */
};

struct mistake {
	struct msg msg;
	char text[];
};

struct reload {
	struct msg msg;
	struct barrier_want want;
	struct conf *conf; /* the new one; then the old one, until no thread reads it */
	keeper_published_fn *published;
	void *arg;
};

/* Garbage of the hot table. */

struct garbage_round {
	struct barrier_want want;
	struct keeper *keeper;
	struct hot_garbage *garbage;
};

static void garbage_passed(struct barrier_want *w)
{
	struct garbage_round *r = (struct garbage_round *)w;

	assert(r->keeper->garbage_under_way);
	asked_collect_garbage(&r->keeper->asked, r->garbage);
	hot_garbage_free(r->garbage);
	r->keeper->garbage_under_way = false;
	free(r);
}

static void on_garbage(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;
	struct garbage_round *r = malloc(sizeof *r);

	(void)fd, (void)what;
	assert(!k->garbage_under_way);
	if (r == NULL)
		return; /* the next turn arms the timer again */
	r->keeper = k;
	r->garbage = hot_garbage(k->shared->hot);
	if (r->garbage == NULL) {
		free(r);
		return;
	}
	k->garbage_under_way = true;
	r->want.done = garbage_passed;
	barrier_pass(k->parts.context.barrier, &r->want);
}

/* The loop. */

static void arm_due(struct keeper *k)
{
	int64_t next = schedule_next(k->parts.context.schedule);

	if (next == k->due_at_ms)
		return;
	k->due_at_ms = next;
	if (next == INT64_MAX) {
		evtimer_del(&k->due);
		return;
	}
	if (!timer_arm(&k->due, next - clock_mono_ms()))
		k->due_at_ms = INT64_MAX; /* again after the next turn, a second away */
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;

	(void)fd, (void)what;
	k->due_at_ms = INT64_MAX;
	refreshes_due(k->parts.refreshes);
}

static void after_turn(struct keeper *k)
{
	arm_due(k);
	if (hot_has_garbage(k->shared->hot) && !k->garbage_under_way &&
	    !evtimer_pending(&k->garbage_timer, NULL))
		timer_arm(&k->garbage_timer, GARBAGE_MS);
}

/* Errors and unknowns are repeated for seconds by our own word: what was made at a time
 * that is to come, before the clock stepped back, would be repeated until then. */
static bool is_of_the_future(void *arg, const struct answer *a)
{
	const int64_t *now = arg;

	return a->obtained_at > *now &&
	       (a->facts.status == STATUS_NONE || a->facts.status == STATUS_UNKNOWN);
}

/* The schedule is right again after each key's next look. */
static void watch_clock(struct keeper *k)
{
	int64_t now = clock_now();

	if (clock_watch_look(&k->clock, shared_conf(k->shared)->clock_step_alarm_ms,
		k->parts.context.counters) < -1000)
		hot_sweep(k->shared->hot, is_of_the_future, &now);
}

struct latch_sweep {
	struct latch_file *file;
	int64_t before;
};

static void latch_sweep_work(void *arg)
{
	struct latch_sweep *s = arg;

	latch_file_sweep(s->file, s->before);
}

static void sweep_latches(struct keeper *k)
{
	int64_t keep_s = shared_conf(k->shared)->latch_keep_ms / 1000;
	int64_t before = calm_look(&k->latch_calm, keep_s, CALM_MS);
	struct latch_sweep *s = before != INT64_MIN ? malloc(sizeof *s) : NULL;

	if (s == NULL)
		return;
	s->file = k->parts.latch_file;
	s->before = before;
	if (latches_sweep(k->parts.latches, s->before) == 0) {
		free(s);
		return;
	}
	executor_run(k->parts.context.disk, latch_sweep_work, free, s);
}

/* Answers can be fetched again, but not while their CA is away; so a clock that is ahead
 * for a while empties the store no more than it does the rest, and an hour is enough to
 * know.  Redis drops them by its own clock, at the end that their CA gave. */
static void sweep_store(struct keeper *k)
{
	int64_t before = calm_look(&k->store_calm, 0, STORE_CALM_MS);

	if (before != INT64_MIN)
		store_sweep(k->parts.store, before);
}

static bool asks(const struct issuer *i, const char *url)
{
	for (size_t u = 0; i != NULL && u < i->ocsp_n; u++)
		if (strcmp(i->ocsp[u], url) == 0)
			return true;
	return false;
}

/* A responder that nobody asks any more is not down.  Nearly all are asked by the issuer
 * that has found it: then the others are not looked at. */
static bool is_asked(void *conf, const struct alarm_seen *s)
{
	const struct issuers *is = ((const struct conf *)conf)->issuers;

	if (s->alarm != ALARM_RESPONDER_DOWN ||
	    asks(issuers_named(is, s->issuer), s->subject))
		return true;
	for (size_t n = 0; n < issuers_count(is); n++)
		if (asks(issuers_at(is, n), s->subject))
			return true;
	return false;
}

/* Also a fetch that a reload has outlived may find one down. */
static void sweep_alarms(const struct conf *c)
{
	alarms_keep(is_asked, (void *)(uintptr_t)c);
}

static void beat_passed(struct barrier_want *w)
{
	struct keeper *k = (struct keeper *)((char *)w - offsetof(struct keeper, beat));

	assert(k->beating);
	atomic_store(&k->shared->beat_ms, clock_mono_ms());
	k->beating = false;
}

/* For the watchdog: a barrier passes only when every thread turns. */
static void beat(struct keeper *k)
{
	if (k->beating)
		return;
	k->beating = true;
	k->beat.done = beat_passed;
	barrier_pass(k->parts.context.barrier, &k->beat);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;

	(void)fd, (void)what;
	k->ticks++;
	watch_clock(k);
	if (k->shared->watched)
		beat(k);
	revoke_tick(k->parts.revoker);
	teller_tick(k->parts.teller);
	polls_tick(k->parts.polls);
	watched_source_tick(k->parts.watched);
	if (k->ticks % ALARM_SWEEP_S == 0)
		sweep_alarms(shared_conf(k->shared));
	asked_collect_tick(&k->asked);
	if (k->ticks % SWEEP_S == 0)
		sweep_store(k);
	if (k->ticks % LATCH_SWEEP_S == 0)
		sweep_latches(k);
}

static void *run(void *arg)
{
	struct keeper *k = arg;

	teller_start(k->parts.teller);
	ccadb_source_start(k->parts.ccadb, shared_conf(k->shared));
	watched_source_start(k->parts.watched);
	crl_feed_start(k->parts.crl_feed);
	arm_due(k);
	while (!k->stopping) {
		event_base_loop(k->parts.context.base, EVLOOP_ONCE);
		after_turn(k);
	}
	return NULL;
}

/* What it is told. */

static void on_ask(void *arg, struct msg *m)
{
	struct keeper *k = arg;
	struct ask *a = (struct ask *)m;

	asked_collect(&k->asked, &a->key);
	if (a->nonce_n > 0)
		forwards_ask(k->parts.forwards, a);
	else
		flights_ask(k->parts.flights, a);
}

void keeper_ask(struct shared *shared, struct ask *a)
{
	question_ask(&a->question, shared->keeper, on_ask);
}

static void answer_evidence(struct keeper *k, struct evidence_ask *a)
{
	evidence_ask_answer(&k->parts.evidence, shared_conf(k->shared)->issuers, a);
	question_answer(&a->question);
}

static void on_ask_evidence(void *arg, struct msg *m);

static void on_evidence_lists(struct crl_wait *w, enum err e)
{
	struct evidence_ask *a =
	    (struct evidence_ask *)((char *)w - offsetof(struct evidence_ask, _lists));

	if (e == ERR_OK) { /* the next issuer's */
		on_ask_evidence(a->_keeper, &a->question.msg);
	} else if (e == ERR_CANCELLED) {
		a->error = e;
		question_answer(&a->question);
	} else {
		answer_evidence(a->_keeper, a);
	}
}

/* For the first of its issuers whose lists are not opened; true: it is asked again. */
static bool evidence_waits(struct keeper *k, struct evidence_ask *a)
{
	int64_t left = a->wait_until_ms > 0 ? a->wait_until_ms - clock_mono_ms() : 0;

	a->_keeper = k;
	a->_lists.done = on_evidence_lists;
	for (size_t n = 0; left > 0 && n < a->names_n; n++)
		if (crl_feed_set(k->parts.crl_feed, a->name[n])->unopened &&
		    crl_feed_wait(k->parts.crl_feed, a->name[n], &a->_lists, (int)left))
			return true;
	return false;
}

static void on_ask_evidence(void *arg, struct msg *m)
{
	struct keeper *k = arg;
	struct evidence_ask *a = (struct evidence_ask *)m;

	if (!evidence_waits(k, a))
		answer_evidence(k, a);
}

void keeper_ask_evidence(struct shared *shared, struct evidence_ask *a)
{
	question_ask(&a->question, shared->keeper, on_ask_evidence);
}

static void on_names(void *arg, struct msg *m)
{
	struct keeper *k = arg;

	watched_source_hear(k->parts.watched, (struct watched_names *)m);
}

void keeper_tell_names(struct shared *shared, struct watched_names *n)
{
	n->msg.run = on_names;
	inbox_post(shared->keeper, &n->msg);
}

static void configure(struct keeper *k, const struct conf *c)
{
	struct upstream_config u = {
	    .timeout_ms = (int)c->upstream_timeout_ms,
	    .max_size = (size_t)c->response_max_size,
	    .host_max_in_flight = (unsigned)c->host_max_in_flight,
	    .backoff = {c->backoff_initial_ms, c->backoff_max_ms,
		(int)c->backoff_doublings},
	};

	fetcher_configure(
	    k->parts.fetcher, &(struct fetch_policy){.proxy = c->upstream_proxy,
				  .tls_ca = bytes_of(c->server_cas, c->server_cas_n),
				  .guard = {c->allowed, c->allow_address_n, false}});
	upstream_configure(k->parts.source, &u);
	hot_set_budget(k->shared->hot, (size_t)c->hot_cache);
	log_setup(c->log_level, c->log_format, c->log_repeat_ms);
}

struct rules_change {
	const struct issuers *old, *new;
};

static bool rules_changed(void *arg, const struct answer *a)
{
	const struct rules_change *c = arg;

	return door_rules_changed(c->old, c->new, a);
}

/* Workers, who may not ask the feed, find an issuer's lists for the mirror: before conf
 * is in force, each of its issuers gets its slot, in which nothing is opened yet.
 * Without memory for one, its lists are mirrored from the next reload on. */
static void give_slots(struct keeper *k, const struct conf *c)
{
	for (size_t n = 0; n < issuers_count(c->issuers); n++)
		issuers_set_slot(c->issuers, n,
		    crl_feed_slot(k->parts.crl_feed, issuers_at(c->issuers, n)->name));
}

static void conf_passed(struct barrier_want *w)
{
	struct reload *r = (struct reload *)((char *)w - offsetof(struct reload, want));

	conf_free(r->conf);
	free(r);
}

static void set_mistake(struct keeper *k, struct mistake *m)
{
	free(k->mistake);
	k->mistake = m;
}

static void on_mistake(void *arg, struct msg *m)
{
	set_mistake(arg, (struct mistake *)m);
}

void keeper_reload_failed(struct keeper *k, const char *why)
{
	struct mistake *m = malloc(sizeof *m + strlen(why) + 1);

	if (m == NULL)
		return; /* the log has it */
	m->msg.run = on_mistake;
	memcpy(m->text, why, strlen(why) + 1);
	inbox_post(k->parts.inbox, &m->msg);
}

const char *keeper_mistake(struct keeper *k)
{
	return k->mistake != NULL ? k->mistake->text : NULL;
}

static void on_reload(void *arg, struct msg *m)
{
	struct keeper *k = arg;
	struct reload *r = (struct reload *)m;
	struct conf *old = (struct conf *)(uintptr_t)shared_conf(k->shared);
	struct rules_change change = {old->issuers, r->conf->issuers};

	set_mistake(k, NULL);
	give_slots(k, r->conf);
	crl_feed_reload(k->parts.crl_feed, r->conf);
	ccadb_source_reload(k->parts.ccadb, r->conf);
	watched_source_reload(k->parts.watched);
	sweep_alarms(r->conf);
	atomic_store_explicit(&k->shared->conf, r->conf, memory_order_release);
	admit_forget(k->parts.admit);
	configure(k, r->conf);
	hot_sweep(k->shared->hot, rules_changed, &change);
	polls_reload(k->parts.polls, change.old, change.new);
	r->published(r->arg, old, r->conf);
	r->conf = old;
	r->want.done = conf_passed;
	barrier_pass(k->parts.context.barrier, &r->want);
}

bool keeper_reload(
    struct keeper *k, struct conf *conf, keeper_published_fn *published, void *arg)
{
	struct reload *r = malloc(sizeof *r);

	if (r == NULL) {
		log_each(LOG_ERROR, "reload_failed", "err=%s", err_label(ERR_NOMEM));
		conf_free(conf);
		return false;
	}
	r->conf = conf;
	r->published = published;
	r->arg = arg;
	r->msg.run = on_reload;
	inbox_post(k->parts.inbox, &r->msg);
	return true;
}

static void on_cancel(void *arg)
{
	struct keeper *k = arg;

	ccadb_source_cancel(k->parts.ccadb);
	crl_feed_cancel(k->parts.crl_feed);
	teller_cancel(k->parts.teller);
	forwards_cancel(k->parts.forwards);
	flights_cancel(k->parts.flights);
}

static void on_stop(void *arg)
{
	struct keeper *k = arg;

	assert(!k->stopping);
	k->stopping = true;
}

void keeper_cancel(struct keeper *k)
{
	order_post(&k->cancel, k->parts.inbox);
}

void keeper_stop(struct keeper *k)
{
	order_post(&k->stop, k->parts.inbox);
}

/* Its life. */

struct keeper *keeper_new(struct shared *shared, char *why, size_t why_n)
{
	const struct conf *c = shared_conf(shared);
	struct keeper *k = calloc(1, sizeof *k);

	if (k == NULL) {
		snprintf(why, why_n, "%s", err_text(ERR_NOMEM));
		return NULL;
	}
	k->shared = k->asked.shared = shared;
	order_init(&k->cancel, on_cancel, k);
	order_init(&k->stop, on_stop, k);
	k->due_at_ms = INT64_MAX;
	if (!keeper_make(&k->parts, shared, k, why, why_n)) {
		keeper_free(k);
		return NULL;
	}
	configure(k, c);
	give_slots(k, c);
	clock_watch_begin(&k->clock);
	sweep_latches(k); /* the first look, which removes nothing */
	sweep_store(k);
	event_assign(&k->tick, k->parts.context.base, -1, EV_PERSIST, on_tick, k);
	evtimer_assign(&k->due, k->parts.context.base, on_due, k);
	evtimer_assign(&k->garbage_timer, k->parts.context.base, on_garbage, k);
	k->armed = true;
	timer_arm(&k->tick, 1000);
	shared->keeper = k->parts.inbox;
	return k;
}

int keeper_start(struct keeper *k)
{
	int e = thread_start(&k->thread, "keeper", run, k);

	k->started = e == 0;
	clock_watch_judge();
	return e;
}

void keeper_join(struct keeper *k)
{
	if (k->started)
		pthread_join(k->thread, NULL);
	k->started = false;
}

void keeper_free(struct keeper *k)
{
	if (k == NULL)
		return;
	assert(!k->started);
	if (k->armed) {
		event_del(&k->tick);
		event_del(&k->due);
		event_del(&k->garbage_timer);
	}
	keeper_unmake(&k->parts);
	asked_collect_end(&k->asked);
	set_mistake(k, NULL);
	free(k);
}

const struct keeper_parts *keeper_parts(struct keeper *k)
{
	return &k->parts;
}

const struct conf *keeper_conf(struct keeper *k)
{
	return shared_conf(k->shared);
}
