/* gauges.c - one function for each thing that is looked at, rows of a family
 * together. */
#include "proxy/api/gauges.h"

#include <stdio.h>

#include "cache/held/latch_file.h"
#include "proxy/base/alarms.h"
#include "proxy/base/clock.h"
#include "proxy/base/version.h"
#include "proxy/keeper/refresh.h"
#include "proxy/lists/ccadb_source.h"
#include "proxy/lists/crl_feed.h"
#include "proxy/push/hooks.h"
#include "proxy/tell/teller.h"
#include "proxy/watch/ari.h"
#include "proxy/watch/watcher.h"

#define LABEL_MAX  2048 /* an escaped URL */
#define LABELS_MAX (2 * LABEL_MAX + 32)

static void gauge(
    struct metrics_text *t, const char *family, const char *help, double value)
{
	metrics_line(t, family, "gauge", help, "", value);
}

static void print_process(struct keeper *k, struct metrics_text *t)
{
	const struct shared *s = keeper_parts(k)->context.shared;

	gauge(t, "start_time_seconds", "When the daemon started, in seconds since 1970.",
	    (double)s->started_at);
	gauge(t, "clock_before_release",
	    "1 while the wall clock is before this release was made: it is wrong.",
	    clock_now() < OCSPCACHED_RELEASED);
	gauge(t, "draining", "1 while the daemon finishes what is in progress and stops.",
	    atomic_load(&s->draining));
	gauge(t, "connections", "Client connections that are open.",
	    atomic_load(&s->connections));
	gauge(t, "connections_limit", "Client connections that the descriptors allow.",
	    s->max_connections);
	gauge(t, "subscribers", "Event streams that are open.",
	    atomic_load(&s->subscribers));
	gauge(t, "config_last_reload_successful",
	    "0 when the last reload found mistakes and the old configuration stayed.",
	    !atomic_load(&s->reload_failed));
	gauge(t, "issuers", "Issuers in the configuration in force.",
	    (double)issuers_count(keeper_conf(k)->issuers));
}

static void print_hot(struct keeper *k, struct metrics_text *t)
{
	struct hot_stats h;

	hot_stats(keeper_parts(k)->context.shared->hot, &h);
	gauge(t, "hot_cache_bytes", "Memory of the answers held, all overhead counted.",
	    (double)h.bytes);
	gauge(t, "hot_cache_limit_bytes", "The budget of the answers held: hot-cache.",
	    (double)h.budget);
	gauge(
	    t, "hot_cache_answers", "Signed answers held in memory.", (double)h.answers);
	gauge(t, "hot_cache_errors", "Error answers held in memory, for seconds.",
	    (double)h.errors);
	metrics_line(t, "hot_cache_evictions_total", "counter",
	    "Answers that left memory because of its budget.", "", (double)h.evictions);
}

static void print_keeper(struct keeper *k, struct metrics_text *t)
{
	const struct keeper_parts *d = keeper_parts(k);
	char why[1];

	gauge(t, "flights_active", "Attempts to get an answer that are under way.",
	    (double)flights_count(keeper_parts(k)->flights));
	gauge(t, "refresh_overdue_seconds",
	    "By how much the refresh that is most overdue is late.",
	    (double)refreshes_overdue_s(keeper_parts(k)->refreshes));
	gauge(t, "schedule_entries", "Certificates' keys with a planned refresh.",
	    (double)schedule_count(d->context.schedule));
	gauge(t, "latches_up", "1 while latches can be written to the state directory.",
	    !latch_file_failed(d->latch_file, why, sizeof why));
	gauge(t, "latches", "Certificates that were seen revoked and stay so.",
	    (double)latches_count(d->latches));
}

static void print_store(struct keeper *k, struct metrics_text *t)
{
	struct store_health h;
	char labels[64];

	store_health(keeper_parts(k)->store, &h);
	snprintf(labels, sizeof labels, "kind=\"%s\"", h.kind);
	metrics_line(t, "store_up", "gauge", "1 while the store can be read and written.",
	    labels, h.up);
	metrics_line(t, "store_shared", "gauge", "1 when other nodes use the store too.",
	    labels, h.shared);
	metrics_line(t, "store_bytes", "gauge", "Bytes in use by the store, where known.",
	    labels, (double)h.bytes);
	metrics_line(t, "store_entries", "gauge", "Answers in the store, where known.",
	    labels, (double)h.entries);
	metrics_line(t, "store_reconnects_total", "counter",
	    "Times that the connection to the store was made anew.", labels,
	    (double)h.reconnects);
}

static void print_load(struct keeper *k, struct metrics_text *t, bool waiting)
{
	const struct issuers *is = keeper_conf(k)->issuers;
	const char *help = waiting ? "Fetches of the issuer that wait for their turn."
				   : "Fetches of the issuer that are under way.";

	for (size_t n = 0; n < issuers_count(is); n++) {
		const struct issuer *i = issuers_at(is, n);
		struct upstream_load load;
		char labels[128];

		upstream_load(keeper_parts(k)->source, i->name, &load);
		snprintf(labels, sizeof labels, "issuer=\"%s\"", i->name);
		metrics_line(t, waiting ? "upstream_waiting" : "upstream_in_flight",
		    "gauge", n == 0 ? help : NULL, labels,
		    waiting ? load.waiting : load.in_flight);
	}
}

static void print_polls(struct keeper *k, struct metrics_text *t, bool behind)
{
	const struct issuers *is = keeper_conf(k)->issuers;
	const char *help =
	    behind
		? "By how much the watched certificate of the issuer that is asked for "
		  "next by OCSP is late."
		: "Watched certificates of the issuer that are asked for by OCSP each "
		  "watch-interval, because no list of it is in date.";

	for (size_t n = 0; n < issuers_count(is); n++) {
		const struct issuer *i = issuers_at(is, n);
		struct poll_state s;
		char labels[128];

		polls_state(keeper_parts(k)->polls, i->name, &s);
		snprintf(labels, sizeof labels, "issuer=\"%s\"", i->name);
		metrics_line(t, behind ? "polls_behind_seconds" : "polled_certificates",
		    "gauge", n == 0 ? help : NULL, labels,
		    behind ? (double)s.behind_s : (double)s.certificates);
	}
}

static double healthy(const struct upstream_health *h)
{
	return h->healthy;
}
static double failures(const struct upstream_health *h)
{
	return h->failures;
}
static double retry_in(const struct upstream_health *h)
{
	return (double)h->retry_in_ms / 1000;
}
static double fetches(const struct upstream_health *h)
{
	return (double)h->fetches;
}
static double failed(const struct upstream_health *h)
{
	return (double)h->failed;
}

/* What is told of each responder. */
static const struct gauge_row {
	const char *family, *type, *help;
	double (*value)(const struct upstream_health *h);
	bool of_asked; /* only where it was asked already */
} rows[] = {
    {"responder_healthy", "gauge",
	"0 while the responder is left alone: it could not be reached, or failed for "
	"several certificates that it answered before; nothing while it was not asked "
	"yet.",
	healthy, true},
    {"responder_failures", "gauge", "Times in a row that the responder was found so.",
	failures, false},
    {"responder_retry_seconds", "gauge", "Until the responder may be asked again.",
	retry_in, false},
    {"responder_fetches_total", "counter", "Fetches from the responder.", fetches, false},
    {"responder_fetch_failures_total", "counter",
	"Fetches from the responder that failed.", failed, false},
};

/* A URL that is listed twice would be the same series twice. */
static bool listed_before(const struct issuer *i, size_t url)
{
	for (size_t n = 0; n < url; n++)
		if (strcmp(i->ocsp[n], i->ocsp[url]) == 0)
			return true;
	return false;
}

static void print_row(
    struct keeper *k, struct metrics_text *t, const struct gauge_row *row)
{
	const struct issuers *is = keeper_conf(k)->issuers;
	const char *help = row->help;

	for (size_t n = 0; n < issuers_count(is); n++) {
		const struct issuer *i = issuers_at(is, n);

		for (size_t u = 0; u < i->ocsp_n; u++) {
			char url[LABEL_MAX], labels[LABELS_MAX];
			struct upstream_health h;

			if (listed_before(i, u))
				continue;
			upstream_health(keeper_parts(k)->source, i->ocsp[u], &h);
			if (row->of_asked && !h.asked)
				continue;
			metrics_escape(i->ocsp[u], url, sizeof url);
			snprintf(labels, sizeof labels, "issuer=\"%s\",url=\"%s\"",
			    i->name, url);
			metrics_line(
			    t, row->family, row->type, help, labels, row->value(&h));
			help = NULL;
		}
	}
}

void gauges_print(struct keeper *k, struct metrics_text *t)
{
	print_process(k, t);
	print_hot(k, t);
	print_keeper(k, t);
	print_store(k, t);
	print_load(k, t, false);
	print_load(k, t, true);
	print_polls(k, t, false);
	print_polls(k, t, true);
	for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++)
		print_row(k, t, &rows[n]);
	alarms_gauges(t);
	crl_feed_gauges(keeper_parts(k)->crl_feed, t);
	ccadb_source_gauges(keeper_parts(k)->ccadb, t);
	teller_gauges(keeper_parts(k)->teller, t);
	if (keeper_parts(k)->context.shared->watcher != NULL)
		watcher_gauges(keeper_parts(k)->context.shared->watcher, t);
	if (keeper_parts(k)->context.shared->ari != NULL)
		ari_gauges(keeper_parts(k)->context.shared->ari, t);
	if (keeper_parts(k)->context.shared->hooks != NULL)
		hooks_gauges(keeper_parts(k)->context.shared->hooks, t);
}
