/* call_ready.c - one look at each part of the house. */
#include "proxy/api/call_ready.h"

#include <stdio.h>

#include "cache/held/latch_file.h"
#include "proxy/base/clock.h"
#include "proxy/http/api_reply.h"
#include "proxy/lists/crl_feed.h"
#include "proxy/tell/teller.h"
#include "proxy/watch/watcher.h"

#define WAITING_MS 2000 /* a change waits a moment in every case: barrier and fsync */

/* What is away, or refuses: with its own words, and the remedy where one is known. */
static void degrade(json_t *degraded, const char *what, bool refuses, const char *error,
    const char *remedy)
{
	char text[1024];
	size_t n = (size_t)snprintf(text, sizeof text, "%s %s: %s", what,
	    refuses ? "refuses" : "is away", error[0] != '\0' ? error : "not connected");

	if (remedy[0] != '\0' && n < sizeof text)
		snprintf(text + n, sizeof text - n, "; remedy: %s", remedy);
	json_array_append_new(degraded, json_text(text));
}

static void ready_store(struct keeper *k, json_t *degraded)
{
	struct store_health h;
	char what[32];

	store_health(keeper_parts(k)->store, &h);
	snprintf(what, sizeof what, "store %s", h.kind);
	if (!h.up)
		degrade(degraded, what, h.refuses, h.error, h.remedy);
}

/* What would not be here after a restart. */
static void ready_disk(struct keeper *k, json_t *degraded)
{
	const struct keeper_parts *d = keeper_parts(k);
	const char *issuer, *cause;
	char why[1024], text[1200];
	size_t n = crl_feed_refused_by_disk(d->crl_feed, &issuer, &cause);

	if (latch_file_failed(d->latch_file, why, sizeof why)) {
		snprintf(text, sizeof text, "latches cannot be written: %s", why);
		json_array_append_new(degraded, json_text(text));
	}
	if (n == 0)
		return;
	snprintf(text, sizeof text,
	    "lists cannot be written to %s, or read (%zu; one of issuer %s): %s",
	    keeper_conf(k)->state_directory, n, issuer, cause);
	json_array_append_new(degraded, json_text(text));
}

/* Watchlists stay what they are. */
static void ready_watchlists(struct keeper *k, json_t *degraded)
{
	struct watcher *w = keeper_parts(k)->context.shared->watcher;
	char why[512], text[600];

	if (w == NULL || watcher_can_write(w, why, sizeof why))
		return;
	snprintf(text, sizeof text, "watchlists cannot be changed: %s", why);
	json_array_append_new(degraded, json_text(text));
}

/* Changes that wait are told late, and whoever relies on the push should know. */
static void ready_telling(struct keeper *k, json_t *degraded)
{
	struct teller_health h;
	char text[600];

	teller_health(keeper_parts(k)->teller, &h);
	if (!h.log.up)
		degrade(degraded, "change log", h.log.refuses, h.log.error, h.log.remedy);
	if (h.log.damage[0] != '\0') {
		snprintf(text, sizeof text, "change log is damaged: %s", h.log.damage);
		json_array_append_new(degraded, json_text(text));
	}
	if (h.waiting == 0 || h.waiting_ms < WAITING_MS)
		return;
	snprintf(text, sizeof text, "changes wait to be told (%llu, for %lld s): %s",
	    (unsigned long long)h.waiting, (long long)(h.waiting_ms / 1000),
	    h.why != ERR_OK ? err_text(h.why) : "not in the change log yet");
	json_array_append_new(degraded, json_text(text));
}

/* What is in the file is not what is in force. */
static void ready_reload(struct keeper *k, json_t *degraded)
{
	const char *mistake = keeper_mistake(k);
	char text[1200];

	if (mistake == NULL)
		return;
	snprintf(text, sizeof text,
	    "the last reload failed, the configuration before it is in force: %s",
	    mistake);
	json_array_append_new(degraded, json_text(text));
}

/* Lists past their nextUpdate revoke still, but say nothing new. */
static void ready_overdue(
    const struct issuer *i, const struct crl_set *set, json_t *degraded)
{
	int64_t now = clock_now();
	const struct crl_shard *first = NULL;
	char text[2048], at[CLOCK_TEXT_MAX], more[64] = "";
	size_t overdue = 0;

	for (size_t n = 0; set != NULL && n < set->shards_n; n++) {
		const struct crl_shard *l = &set->shard[n];

		if (!l->in_force || l->facts.next_update > now)
			continue;
		overdue++;
		if (first == NULL || l->facts.next_update < first->facts.next_update)
			first = l;
	}
	if (first == NULL || !clock_text(first->facts.next_update, at))
		return;
	if (overdue > 1)
		snprintf(more, sizeof more, " (and %zu more)", overdue - 1);
	snprintf(text, sizeof text,
	    "issuer %s: list %.1500s is past its nextUpdate, %s%s", i->name,
	    first->file != NULL ? first->file->scope : "", at, more);
	json_array_append_new(degraded, json_text(text));
}

static void ready_issuer(
    struct keeper *k, const struct issuer *i, json_t *reasons, json_t *degraded)
{
	const struct crl_set *set = crl_feed_set(keeper_parts(k)->crl_feed, i->name);
	struct upstream_health h = {.last_error = ""};
	size_t healthy = 0;
	char text[2048];

	for (size_t n = i->ocsp_n; n-- > 0;) { /* h is of the first one at the end */
		upstream_health(keeper_parts(k)->source, i->ocsp[n], &h);
		healthy += h.healthy || !h.asked; /* nobody knows better yet */
	}
	if (issuer_has_lists(i) && (set->unopened || set->shards_n == 0)) {
		snprintf(text, sizeof text, "issuer %s: %s", i->name,
		    set->unopened ? "nothing is good: a list has not been opened"
				  : "no list is in force");
		json_array_append_new(degraded, json_text(text));
	}
	ready_overdue(i, set, degraded);
	if (healthy > 0 || (i->ocsp_n == 0 && issuer_has_lists(i)))
		return;
	if (i->ocsp_n == 0)
		snprintf(text, sizeof text,
		    "issuer %s: no way to answer: it has no responder", i->name);
	else
		snprintf(text, sizeof text,
		    "issuer %s: no responder is healthy: %.1000s: %s", i->name,
		    i->ocsp[0], h.last_error);
	json_array_append_new(i->ocsp_n == 0 ? reasons : degraded, json_text(text));
}

/* A line on one of n lists. */
static void degrade_lists(json_t *degraded, const char *line, size_t n)
{
	char text[4200];

	if (n == 0)
		return;
	snprintf(text, sizeof text, n > 1 ? "%s (and %zu more)" : "%s", line, n - 1);
	json_array_append_new(degraded, json_text(text));
}

/* Lists that say nothing new, and those that count and whose changes subscribers do not
 * hear of. */
static void ready_feed(struct keeper *k, json_t *degraded)
{
	const struct crl_feed *feed = keeper_parts(k)->crl_feed;
	char line[4096];

	degrade_lists(degraded, line, crl_feed_failing(feed, line, sizeof line));
	degrade_lists(degraded, line, crl_feed_held_back(feed, line, sizeof line));
}

/* Each list is asked for once before we say that we are ready: the status of what they
 * list is not known until then. */
static void ready_lists(struct keeper *k, json_t *reasons)
{
	if (!crl_feed_tried_all(keeper_parts(k)->crl_feed))
		json_array_append_new(
		    reasons, json_string("lists have not been tried yet"));
}

json_t *ready_json(struct keeper *k, bool brief, bool *ready)
{
	const struct issuers *is = keeper_conf(k)->issuers;
	json_t *reasons = json_array(), *degraded = json_array();

	if (atomic_load(&keeper_parts(k)->context.shared->draining))
		json_array_append_new(reasons, json_string("draining"));
	ready_lists(k, reasons);
	ready_store(k, degraded);
	ready_feed(k, degraded);
	ready_telling(k, degraded);
	ready_disk(k, degraded);
	ready_watchlists(k, degraded);
	ready_reload(k, degraded);
	for (size_t n = 0; n < issuers_count(is); n++)
		ready_issuer(k, issuers_at(is, n), reasons, degraded);
	*ready = json_array_size(reasons) == 0;
	if (!brief)
		return json_pack("{s:b, s:o, s:o}", "ready", *ready, "reasons", reasons,
		    "degraded", degraded);
	json_decref(reasons);
	json_decref(degraded);
	return json_pack("{s:b}", "ready", *ready);
}
