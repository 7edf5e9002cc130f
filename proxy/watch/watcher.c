/* watcher.c - the loop, what it is told, its life. */
#include "proxy/watch/watcher.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/watch/watch_db.h"
#include "proxy/base/executor.h"
#include "proxy/base/log.h"
#include "proxy/base/thread.h"
#include "proxy/http/stream.h"
#include "proxy/watch/bulk_status.h"
#include "proxy/watch/counts.h"
#include "proxy/watch/coverage.h"
#include "proxy/watch/follow.h"
#include "proxy/watch/gains.h"
#include "proxy/watch/incident_calls.h"
#include "proxy/watch/known.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/notices.h"
#include "proxy/watch/share.h"
#include "proxy/watch/usage.h"

struct watcher {
	struct watch_context context;
	struct counts *counts;
	struct incident_calls *incidents;
	struct follow *follow;
	struct gains *gains;
	struct coverage *coverage;
	size_t naming; /* jobs that give CAs their names */
	struct order reload, drain, cancel, stop;
	_Atomic size_t streams; /* as of the last turn */
	bool leaving;
	pthread_t thread;
	bool started;
};

/* What it is told. */

struct renaming {
	struct ledger_job job; /* first */
	struct watcher *watcher;
};

static void on_named(void *arg, struct ledger_job *job)
{
	struct renaming *n = arg;
	char why[512] = "";

	n->watcher->context.away--;
	if (--n->watcher->naming == 0)
		coverage_go(n->watcher->coverage);
	if (job->error != ERR_OK && job->error != ERR_CANCELLED) {
		watch_db_why(ledger_db(n->watcher->context.ledger), why, sizeof why);
		log_error("watch_names_failed", "err=%s why=%s remedy=%s",
		    err_label(job->error), why,
		    "watched certificates keep the issuer's name that they had: reload "
		    "again");
	}
	free(n);
}

/* Watched certificates whose issuer is configured now, is called otherwise, or is not any
 * more. */
static void name_all(struct watcher *w, const struct conf *c)
{
	struct renaming *n = calloc(1, sizeof *n);

	coverage_hold(w->coverage, c);
	if (n == NULL) {
		log_error("watch_names_failed", "err=%s", err_label(ERR_NOMEM));
		if (w->naming == 0)
			coverage_go(w->coverage);
		return;
	}
	n->watcher = w;
	w->naming++;
	n->job = (struct ledger_job){.what = LEDGER_NAME,
	    .known = known_ref(w->context.known),
	    .done = on_named,
	    .arg = n};
	w->context.away++;
	ledger_do(w->context.ledger, &n->job);
}

static void on_reload(void *arg)
{
	struct watcher *w = arg;
	const struct conf *c = shared_conf(w->context.shared);
	struct stream_limits limits = stream_limits_of(c);
	struct known *known = known_new(c->issuers);

	streams_limits(w->context.streams, &limits);
	if (known == NULL) {
		log_error("watch_names_failed", "err=%s", err_label(ERR_NOMEM));
		coverage_hold(w->coverage, c);
		coverage_go(w->coverage);
		return;
	}
	known_unref(w->context.known);
	w->context.known = known;
	name_all(w, c);
	follow_reload(w->follow);
	if (w->context.share != NULL)
		share_reload(w->context.share);
}

static void on_drain(void *arg)
{
	struct watcher *w = arg;

	streams_drain(w->context.streams);
}

static void on_cancel(void *arg)
{
	struct watcher *w = arg;

	w->context.stopping = true;
	streams_drain(w->context.streams);
	follow_cancel(w->follow);
	gains_cancel(w->gains);
	notices_cancel(w->context.notices);
	coverage_cancel(w->coverage);
	usage_cancel(w->context.usage);
	if (w->context.share != NULL)
		share_cancel(w->context.share);
	ledger_cancel(w->context.ledger);
}

static void on_asked(void *arg, struct msg *m)
{
	struct watcher *w = arg;

	usage_hear(w->context.usage, (struct asked_keys *)m);
}

static void on_stop(void *arg)
{
	struct watcher *w = arg;

	w->leaving = true;
}

static void on_upload(void *arg, struct msg *m)
{
	struct watcher *w = arg;
	struct watch_order *o = (struct watch_order *)m;

	if (o->what == WATCH_ORDER_STATUS)
		bulk_status_open(&w->context, o);
	else
		watch_upload_open(&w->context, o);
	free(o);
}

void watcher_reload(struct watcher *w)
{
	order_post(&w->reload, w->context.inbox);
}

void watcher_drain(struct watcher *w)
{
	order_post(&w->drain, w->context.inbox);
}

void watcher_cancel(struct watcher *w)
{
	order_post(&w->cancel, w->context.inbox);
}

void watcher_stop(struct watcher *w)
{
	order_post(&w->stop, w->context.inbox);
}

bool watcher_is_idle(const struct watcher *w)
{
	return atomic_load(&w->streams) == 0;
}

bool watcher_reserve(struct watcher *w)
{
	return streams_reserve(w->context.streams);
}

void watcher_release(struct watcher *w)
{
	streams_release(w->context.streams);
}

void watcher_take(struct watcher *w, struct watch_order *o)
{
	o->msg.run = on_upload;
	inbox_post(w->context.inbox, &o->msg);
}

struct watch_context *watcher_context(struct watcher *w)
{
	return &w->context;
}

struct counts *watcher_counts(struct watcher *w)
{
	return w->counts;
}

struct incident_calls *watcher_incidents(struct watcher *w)
{
	return w->incidents;
}

struct watch_db *watcher_db(struct watcher *w)
{
	return ledger_db(w->context.ledger);
}

bool watcher_can_write(struct watcher *w, char *why, size_t why_n)
{
	return !ledger_failing(w->context.ledger, why, why_n);
}

/* Gauges. */

void watcher_gauges(struct watcher *w, struct metrics_text *t)
{
	const struct inventory *v = ledger_inventory(w->context.shared);
	uint64_t used = 0, limit = 0;

	metrics_line(
	    t, "watchlists", "gauge", "Watchlists that are in force.", "", (double)v->n);
	metrics_line(t, "watched_certificates", "gauge",
	    "Certificates on watchlists; one on two lists counts twice.", "",
	    (double)v->entries);
	metrics_line(t, "incidents", "gauge", "Incidents that are in force.", "",
	    (double)v->incidents->in_force);
	metrics_line(t, "notices_waiting", "gauge",
	    "Certificates on an incident that are matched and not told yet.", "",
	    (double)notices_waiting(w->context.notices));
	usage_gauges(w->context.usage, t);
	follow_gauges(w->follow, t);
	if (watch_db_used(ledger_db(w->context.ledger), &used, &limit) != ERR_OK)
		return;
	metrics_line(
	    t, "watch_db_bytes", "gauge", "Bytes of watch.mdb in use.", "", (double)used);
	metrics_line(t, "watch_db_limit_bytes", "gauge",
	    "Bytes that watch.mdb may have: watch-size.", "", (double)limit);
}

/* The loop. */

static void *run(void *arg)
{
	struct watcher *w = arg;

	while (!w->leaving || w->context.away > 0) {
		event_base_loop(w->context.base, EVLOOP_ONCE);
		atomic_store(&w->streams, streams_count(w->context.streams));
	}
	return NULL;
}

static void on_change(void *arg)
{
	struct watcher *w = arg;

	counts_forget(w->counts);
	incident_calls_forget(w->incidents);
	coverage_changed(w->coverage);
	notices_changed(w->context.notices);
}

static void on_files_again(void *arg)
{
	struct watcher *w = arg;

	follow_again(w->follow);
}

static bool make_share(struct watcher *w, char *why, size_t why_n)
{
	w->context.share = share_new(&w->context, why, why_n);
	if (w->context.share != NULL)
		share_on_files_again(w->context.share, on_files_again, w);
	return w->context.share != NULL;
}

static bool make(struct watcher *w, char *why, size_t why_n)
{
	struct watch_context *x = &w->context;
	const struct conf *c = shared_conf(x->shared);
	struct stream_limits limits = stream_limits_of(c);

	snprintf(why, why_n, "%s", err_text(ERR_NOMEM));
	x->base = event_base_new();
	x->inbox = x->base != NULL ? inbox_new(x->base, w) : NULL;
	x->counters = metrics_thread();
	if (x->inbox == NULL || x->counters == NULL)
		return false;
	x->streams = streams_new(x->base, &limits, x->counters);
	x->known = known_new(c->issuers);
	x->search = executor_start(x->inbox, "search", 0);
	w->counts = counts_new(x);
	w->incidents = incident_calls_new(x);
	if (x->streams == NULL || x->known == NULL || x->search == NULL ||
	    w->counts == NULL || w->incidents == NULL)
		return false;
	x->ledger = ledger_new(
	    x->shared, x->inbox, conf_data_folder(c), (size_t)c->watch_size, why, why_n);
	if (x->ledger != NULL)
		ledger_on_change(x->ledger, on_change, w);
	w->follow = x->ledger != NULL ? follow_new(x) : NULL;
	w->gains = gains_new(x);
	x->notices = notices_new(x);
	w->coverage = coverage_new(x);
	x->usage = x->ledger != NULL ? usage_new(x) : NULL;
	return w->follow != NULL && w->gains != NULL && x->notices != NULL &&
	       w->coverage != NULL && x->usage != NULL &&
	       (!share_is_wanted(c) || make_share(w, why, why_n));
}

struct watcher *watcher_new(struct shared *shared, char *why, size_t why_n)
{
	struct watcher *w = calloc(1, sizeof *w);

	if (w == NULL) {
		snprintf(why, why_n, "%s", err_text(ERR_NOMEM));
		return NULL;
	}
	w->context.shared = shared;
	order_init(&w->reload, on_reload, w);
	order_init(&w->drain, on_drain, w);
	order_init(&w->cancel, on_cancel, w);
	order_init(&w->stop, on_stop, w);
	if (!make(w, why, why_n)) {
		watcher_free(w);
		return NULL;
	}
	shared->watcher = w;
	shared->asked_to = w->context.inbox;
	shared->asked_run = on_asked;
	return w;
}

struct inbox *watcher_inbox(struct watcher *w)
{
	return w->context.inbox;
}

int watcher_start(struct watcher *w)
{
	int e;

	assert(!w->started);
	notices_start(w->context.notices);
	ledger_on_gain(w->context.ledger, gains_add, w->gains);
	/* the configuration may be another than the last run's */
	name_all(w, shared_conf(w->context.shared));
	follow_reload(w->follow);
	e = thread_start(&w->thread, "inventory", run, w);
	w->started = e == 0;
	return e;
}

void watcher_join(struct watcher *w)
{
	if (!w->started)
		return;
	pthread_join(w->thread, NULL);
	w->started = false;
}

void watcher_free(struct watcher *w)
{
	struct watch_context *x;

	if (w == NULL)
		return;
	assert(!w->started);
	x = &w->context;
	follow_stop(w->follow);
	share_stop(x->share);
	ledger_stop(x->ledger);
	executor_stop(x->search);
	notices_stop(x->notices);
	if (x->inbox != NULL)
		inbox_free(x->inbox); /* what the shelf has done comes back */
	streams_free(x->streams);
	counts_free(w->counts);
	incident_calls_free(w->incidents);
	executor_free(x->search);
	follow_free(w->follow);
	gains_free(w->gains);
	notices_free(x->notices);
	coverage_free(w->coverage);
	usage_free(x->usage);
	share_free(x->share);
	ledger_free(x->ledger);
	known_unref(x->known);
	if (x->base != NULL)
		event_base_free(x->base);
	x->shared->watcher = NULL;
	x->shared->asked_to = NULL;
	free(w);
}
