/* calls.c - the API's calls, on the keeper's thread.
 *
 * Each is a function that either answers its call before it returns (reply), or makes a
 * struct work that answers it when the store, the disk or a flight has come back
 * (work_end).
 */
#include "proxy/api/calls.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/held/latch_file.h"
#include "proxy/api/call_explain.h"
#include "proxy/api/call_latches.h"
#include "proxy/api/gauges.h"
#include "proxy/base/clock.h"
#include "proxy/http/api_reply.h"
#include "proxy/keeper/answers.h"
#include "proxy/keeper/evidence.h"
#include "proxy/keeper/memo.h"
#include "proxy/keeper/unlatch.h"
#include "proxy/lists/crl_feed.h"
#include "proxy/tell/teller.h"
#include "proxy/watch/watcher.h"

struct work { /* a call that is not answered yet */
	struct work *next, *prev;
	struct calls *calls;
	struct keeper *keeper;
	struct call *call; /* NULL: answered already, a flight still has this work */
	struct explain *explain; /* CALL_EXPLAIN */
	struct crl_wait lists;   /* CALL_STATUS, CALL_EXPLAIN: not opened yet */
	size_t waiting;          /* CALL_PURGE: calls of the store under way */
	enum err worst;          /* of the store */
};

struct calls {
	struct work *first;
	struct latch_lists *latch_lists;
	bool stopping;
};

struct calls *calls_new(void)
{
	struct calls *all = calloc(1, sizeof *all);

	if (all == NULL || (all->latch_lists = latch_lists_new()) == NULL) {
		free(all);
		return NULL;
	}
	return all;
}

void calls_free(struct calls *all)
{
	if (all == NULL)
		return;
	assert(all->first == NULL);
	latch_lists_free(all->latch_lists);
	free(all);
}

/* Answers. */

static void reply(struct call *c, int status, json_t *body)
{
	bool empty = status == 202 || status == 204 || c->file != NULL;

	assert(!empty || body == NULL);
	c->http_status = body == NULL && !empty ? 500 : status;
	c->body = body;
	question_answer(&c->question);
}

static void refuse(struct call *c, int status, const char *code, const char *message)
{
	reply(c, status, api_error_json(code, message));
}

static void refuse_stopping(struct call *c)
{
	refuse(c, 503, "unavailable", "ocspcached is stopping");
}

static void refuse_issuer(struct call *c)
{
	refuse(c, 404, "not_found", "no issuer has this name");
}

static void refuse_memory(struct call *c)
{
	refuse(c, 500, "internal", err_text(ERR_NOMEM));
}

/* The list of what is under way. */

static struct work *work_new(struct keeper *k, struct call *c)
{
	struct work *w = calloc(1, sizeof *w);

	if (w == NULL) {
		refuse_memory(c);
		return NULL;
	}
	w->keeper = k;
	w->calls = c->calls;
	w->call = c;
	w->next = w->calls->first;
	if (w->next != NULL)
		w->next->prev = w;
	w->calls->first = w;
	return w;
}

/* Take the call out of its work, to be answered now. */
static struct call *work_call(struct work *w)
{
	struct call *c = w->call;

	if (c == NULL)
		return NULL;
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		w->calls->first = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	assert(c->calls == w->calls);
	w->call = NULL;
	return c;
}

static const struct issuer *issuer_of(struct keeper *k, const struct call *c)
{
	return issuers_named(keeper_conf(k)->issuers, c->issuer);
}

/* GET /v1/issuers. */

static json_t *responders_json(struct keeper *k, const struct issuer *i)
{
	json_t *list = json_array();

	for (size_t n = 0; n < i->ocsp_n; n++) {
		struct upstream_health h;

		upstream_health(keeper_parts(k)->source, i->ocsp[n], &h);
		json_array_append_new(list,
		    json_pack("{s:o, s:o, s:s?}", "url", json_text(i->ocsp[n]), "healthy",
			h.asked ? json_boolean(h.healthy) : json_null(), "last_error",
			h.last_error[0] != '\0' ? h.last_error : NULL));
	}
	return list;
}

static json_t *lists_json(struct keeper *k, const struct issuer *i)
{
	return crl_feed_json(keeper_parts(k)->crl_feed, i);
}

static void call_issuers(struct keeper *k, struct call *c)
{
	const struct issuers *is = keeper_conf(k)->issuers;
	json_t *list = json_array();

	const struct inventory *v = shared_inventory(keeper_parts(k)->context.shared);

	/* source: the only one of options.def */
	for (size_t n = 0; n < issuers_count(is); n++) {
		const struct issuer *i = issuers_at(is, n);

		if (!access_issuer_watched(c->access, v, i->name))
			continue;
		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:o, s:o, s:n}", "name", i->name,
			      "source", "ocsp", "responders", responders_json(k, i),
			      "crls", lists_json(k, i), "signer_expires"));
	}
	reply(c, 200, list);
}

/* GET /v1/status. */

static json_t *json_time(int64_t at)
{
	char text[CLOCK_TEXT_MAX];

	return clock_text(at, text) ? json_string(text) : json_null();
}

static json_t *latch_evidence(void)
{
	return json_pack("{s:s, s:s, s:n, s:n, s:n}", "kind", "latch", "status",
	    "revoked", "this_update", "next_update", "crl_number");
}

static json_t *ocsp_evidence(const struct facts *f)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:n}", "kind", "ocsp", "status",
	    status_name(f->status), "this_update", json_time(f->this_update),
	    "next_update", json_time(f->next_update), "crl_number");
}

/* Is it good by the list that it names? */
static bool is_named_good(const struct evidence *st)
{
	return st->named.watch.verified && st->named.url != NULL &&
	       st->named.absence == CRL_ABSENT_GOOD;
}

/* The list that says what all of them together say, or what it is good by; NULL where
 * none is in force. */
static json_t *crl_evidence(const struct issuer *i, const struct evidence *st)
{
	char number[CRL_NUMBER_TEXT_MAX];
	bool good = st->lists.absence == CRL_ABSENT_GOOD || is_named_good(st);
	enum status status = st->crl.listed ? STATUS_REVOKED
			     : good         ? STATUS_GOOD
					    : STATUS_UNKNOWN;
	const struct crl_facts *f;
	size_t n = st->crl.listed ? st->crl.shard : crl_set_oldest(st->lists.set);

	if (is_named_good(st))
		crl_set_absence_at(st->lists.set, i, st->named.url, st->lists.now, &n);
	if (n >= st->lists.set->shards_n || !st->lists.set->shard[n].in_force)
		return NULL;
	f = &st->lists.set->shard[n].facts;
	crl_number_text(f, number);
	return json_pack("{s:s, s:s, s:o, s:o, s:s?}", "kind", "crl", "status",
	    status_name(status), "this_update", json_time(f->this_update), "next_update",
	    json_time(f->next_update), "crl_number", number[0] != '\0' ? number : NULL);
}

static json_t *evidence_json(const struct issuer *i, const struct evidence *st)
{
	const struct evidence_answer *each[] = {
	    &st->revoked, &st->good, &st->kept.refused, &st->unknown};
	json_t *list = json_array();

	if (st->kept.latched)
		json_array_append_new(list, latch_evidence());
	for (size_t n = 0; n < sizeof each / sizeof each[0]; n++)
		if (each[n]->found)
			json_array_append_new(list, ocsp_evidence(&each[n]->facts));
	json_array_append_new(list, crl_evidence(i, st)); /* NULL adds nothing */
	return list;
}

/* Why a watched one is not good by the list that it names. */
static void put_named(char *text, size_t n, const struct evidence_named *named)
{
	if (!named->watch.watched)
		text[0] = '\0';
	else if (!named->watch.verified)
		snprintf(text, n,
		    "; it is watched, but its signature was not verified: "
		    "put it as PEM");
	else if (named->url == NULL)
		snprintf(
		    text, n, "; it is watched, but which list it names is not known");
	else
		snprintf(text, n, "; it is watched, but the list that it names (%s) %s",
		    named->url, crl_absence_text_at(named->absence));
}

/* Of an unknown one: why it is not good by its absence from the lists.  NULL: nothing. */
static json_t *missing_json(const struct issuer *i, const struct evidence *st)
{
	const char *why = crl_absence_text(st->lists.absence), *of = "";
	bool of_one = st->lists.absence == CRL_ABSENT_MISSING ||
		      st->lists.absence == CRL_ABSENT_OVERDUE ||
		      st->lists.absence == CRL_ABSENT_REASONS;
	char text[1024 + WATCH_URL_MAX + 256], named[WATCH_URL_MAX + 128];

	if (st->status != STATUS_UNKNOWN || !issuer_has_lists(i) || why == NULL)
		return NULL;
	/* where each configured list has its place */
	if (of_one && st->lists.absence_list < i->crl_n && st->lists.set->joins == NULL)
		of = i->crl[st->lists.absence_list].place[0];
	put_named(named, sizeof named, &st->named);
	snprintf(text, sizeof text, "%s%s%.1024s%s", why, of[0] != '\0' ? ": " : "", of,
	    named);
	return json_text(text);
}

static void reply_status(
    struct call *c, const struct issuer *i, const struct evidence *st)
{
	bool revoked = st->status == STATUS_REVOKED;
	char serial[SERIAL_HEX_MAX];

	serial_to_hex(&c->serial, serial);
	reply(c, 200,
	    json_pack("{s:s, s:s, s:s, s:o, s:s?, s:b, s:o, s:o*}", "issuer", i->name,
		"serial", serial, "status", status_name(st->status), "revoked_at",
		revoked ? json_time(st->revoked_at) : json_null(), "reason",
		revoked ? reason_name(st->reason) : NULL, "disagree", st->disagree,
		"evidence", evidence_json(i, st), "missing", missing_json(i, st)));
}

static void on_flight(void *arg, const struct answer *a, enum err e, enum tier tier)
{
	struct work *w = arg;
	struct keeper *k = w->keeper;
	struct call *c = work_call(w);
	const struct issuer *i;
	struct evidence st;

	(void)tier;
	free(w);
	if (c == NULL)
		return; /* answered by CALL_STOP */
	if (e == ERR_CANCELLED) {
		refuse_stopping(c);
		return;
	}
	i = issuer_of(k, c);
	if (i == NULL) { /* a reload took it away */
		refuse_issuer(c);
		return;
	}
	/* with a small hot cache the answer may not be held */
	evidence_of(&keeper_parts(k)->evidence, i, &c->serial, a, &st);
	reply_status(c, i, &st);
}

static void call_status(struct keeper *k, const struct issuer *i, struct call *c)
{
	struct evidence st;
	struct work *w;
	struct key key;
	enum err e;

	evidence_of(&keeper_parts(k)->evidence, i, &c->serial, NULL, &st);
	/* a signed unknown is repeated for unknown-ttl, as it is to clients */
	if (st.status != STATUS_UNKNOWN || st.unknown.found) {
		reply_status(c, i, &st);
		return;
	}
	w = work_new(k, c);
	if (w == NULL)
		return;
	issuer_key_at(i, 0, &c->serial, &key);
	e = flights_go(keeper_parts(k)->flights, &key, FLIGHT_CLIENT, on_flight, w);
	if (e != ERR_OK)
		on_flight(w, NULL, e, TIER_NONE);
}

/* GET /v1/explain. */

static void on_explained(void *arg, json_t *answers, json_t *ari)
{
	struct work *w = arg;
	struct call *c = work_call(w);
	bool stopping = w->calls->stopping;
	char serial[SERIAL_HEX_MAX];

	free(w);
	if (answers == NULL && stopping) {
		refuse_stopping(c);
	} else if (answers == NULL) {
		refuse_memory(c);
	} else {
		serial_to_hex(&c->serial, serial);
		reply(c, 200,
		    json_pack("{s:s, s:s, s:o, s:o}", "issuer", c->issuer, "serial",
			serial, "answers", answers, "ari", ari));
	}
}

static void call_explain(struct keeper *k, const struct issuer *i, struct call *c)
{
	struct work *w = work_new(k, c);

	if (w == NULL)
		return;
	w->explain = explain_start(k, i, &c->serial, on_explained, w);
	if (w->explain == NULL)
		on_explained(w, NULL, NULL);
}

/* What waits for the issuer's lists. */

static void on_lists(struct crl_wait *lists, enum err e)
{
	struct work *w = (struct work *)((char *)lists - offsetof(struct work, lists));
	struct keeper *k = w->keeper;
	struct call *c = work_call(w);

	free(w);
	if (e == ERR_OK)
		call_take(k, &c->question.msg);
	else if (e == ERR_CANCELLED)
		refuse_stopping(c);
	else
		refuse(c, 503, err_label(e), err_text(e));
}

/* True: c is asked again when they are opened. */
static bool wait_for_lists(struct keeper *k, const struct issuer *i, struct call *c)
{
	struct crl_feed *feed = keeper_parts(k)->crl_feed;
	struct work *w;

	if (!crl_feed_set(feed, i->name)->unopened)
		return false;
	w = work_new(k, c);
	if (w == NULL)
		return true;
	w->lists.done = on_lists;
	return crl_feed_wait(
	    feed, i->name, &w->lists, (int)keeper_conf(k)->answer_timeout_ms);
}

/* POST /v1/refresh. */

struct match {
	struct keeper *keeper;
	const struct issuer *issuer;
};

static bool match_key(const struct match *m, const struct answer *a, struct key *k)
{
	return key_from_der(k, answer_key(a)) == ERR_OK &&
	       issuers_find(keeper_conf(m->keeper)->issuers, k, NULL) == m->issuer;
}

static bool is_error_of(void *arg, const struct answer *a)
{
	struct key k;

	return a->error != ERR_OK && match_key(arg, a, &k);
}

static void refresh_certificate(
    struct keeper *k, const struct issuer *i, const struct serial *s)
{
	const struct hot *hot = keeper_parts(k)->context.shared->hot;
	bool any = false;
	struct key key;

	for (size_t n = 0; n < issuer_keys_n(i); n++) {
		issuer_key_at(i, n, s, &key);
		if (hot_find(hot, key_der(&key)) == NULL)
			continue;
		any = true;
		flights_go(keeper_parts(k)->flights, &key, FLIGHT_FORCE, NULL, NULL);
	}
	if (any)
		return;
	issuer_key_at(i, 0, s, &key);
	flights_go(keeper_parts(k)->flights, &key, FLIGHT_FORCE, NULL, NULL);
}

/* Of an issuer as a whole only what stands between it and its responders is cleared away:
 * back-off, and the errors that are repeated meanwhile.  To fetch all its answers at once
 * would be a burst that nobody asked for; each is refreshed in its time. */
static void call_refresh(struct keeper *k, const struct issuer *i, struct call *c)
{
	struct match m = {k, i};

	upstream_retry_now(keeper_parts(k)->source, i);
	crl_feed_refresh(keeper_parts(k)->crl_feed, i, c->accept_number);
	if (c->has_serial)
		refresh_certificate(k, i, &c->serial);
	else
		hot_sweep(keeper_parts(k)->context.shared->hot, is_error_of, &m);
	reply(c, 202, NULL);
}

/* POST /v1/purge. */

static bool forget(void *arg, const struct answer *a)
{
	const struct match *m = arg;
	struct key k;

	if (!match_key(m, a, &k))
		return false;
	schedule_cancel(keeper_parts(m->keeper)->context.schedule, &k);
	return true;
}

static void purge_memory(struct keeper *k, const struct issuer *i, const struct call *c)
{
	const struct keeper_parts *d = keeper_parts(k);
	struct match m = {k, i};
	struct key key;

	memos_forget(d->evidence.memos, i, c->has_serial ? &c->serial : NULL);
	polled_forget(d->evidence.polled, i->name, c->has_serial ? &c->serial : NULL);
	flights_forget(keeper_parts(k)->flights, i, c->has_serial ? &c->serial : NULL);
	if (!c->has_serial) {
		hot_sweep(d->context.shared->hot, forget, &m);
		return;
	}
	for (size_t n = 0; n < issuer_keys_n(i); n++) {
		issuer_key_at(i, n, &c->serial, &key);
		hot_remove(d->context.shared->hot, key_der(&key));
		schedule_cancel(d->context.schedule, &key);
	}
}

static void on_purged(void *arg, enum err e)
{
	struct work *w = arg;
	struct keeper *k = w->keeper;
	const struct issuer *i;
	struct call *c;

	if (e != ERR_OK && e != ERR_NOT_FOUND)
		w->worst = e;
	assert(w->waiting > 0);
	if (--w->waiting > 0)
		return;
	e = w->worst;
	c = work_call(w);
	free(w);
	i = issuer_of(k, c);
	if (i != NULL)
		purge_memory(k, i, c);
	if (e == ERR_OK)
		reply(c, 204, NULL);
	else
		refuse(c, 503, err_label(e),
		    "dropped from memory, but the store could not be asked to");
}

/* The store first: otherwise a request between the two would bring the old answer back
 * from there. 204, because a purge has no answer but that it is done. */
static void call_purge(struct keeper *k, const struct issuer *i, struct call *c)
{
	struct store *store = keeper_parts(k)->store;
	struct work *w = work_new(k, c);
	struct key key;

	if (w == NULL)
		return;
	w->waiting = 1; /* ours, until all are begun */
	if (!c->has_serial) {
		w->waiting++;
		store_purge(store, i, on_purged, w);
	}
	for (size_t n = 0; c->has_serial && n < issuer_keys_n(i); n++) {
		w->waiting++;
		issuer_key_at(i, n, &c->serial, &key);
		store_delete(store, &key, on_purged, w);
	}
	on_purged(w, ERR_OK);
}

/* GET /v1/latches. */

static void on_latch_list(void *arg, enum err e, struct shared_file *file)
{
	struct work *w = arg;
	struct call *c = work_call(w);

	free(w);
	c->file = file;
	if (e == ERR_OK)
		reply(c, 200, NULL);
	else if (e == ERR_UP_BUSY)
		refuse(c, 503, "unavailable",
		    "others are reading the latches; ask again in a moment");
	else
		refuse_memory(c);
}

static void call_latches(struct keeper *k, struct call *c)
{
	struct work *w;
	enum err e;

	if (c->issuer[0] != '\0' && issuer_of(k, c) == NULL) {
		refuse_issuer(c);
		return;
	}
	w = work_new(k, c);
	if (w == NULL)
		return;
	e = latch_list_make(c->calls->latch_lists, k, c->issuer, on_latch_list, w);
	if (e != ERR_OK)
		on_latch_list(w, e, NULL);
}

/* DELETE /v1/latches. */

/* It is gone, but not everywhere: what is still to be done. */
static void refuse_unlatched(struct call *c, const struct unlatch_end *end)
{
	char message[PATH_MAX + 256];

	if (end->disk != ERR_OK)
		snprintf(message, sizeof message,
		    "dropped from memory, but not from the state directory: it is back "
		    "after a restart (%s)",
		    end->why);
	else
		snprintf(message, sizeof message,
		    "dropped, but the store could not be asked to drop its answers of "
		    "this certificate, which set it again when they are read (%s): purge "
		    "the certificate when the store is back",
		    err_text(end->store));
	if (end->disk != ERR_OK)
		refuse(c, 500, err_label(end->disk), message);
	else
		refuse(c, 503, err_label(end->store), message);
}

static void on_unlatched(void *arg, const struct unlatch_end *end)
{
	struct work *w = arg;
	struct call *c = work_call(w);

	free(w);
	if (end->e == ERR_NOT_FOUND)
		refuse(c, 404, "not_found", "this certificate has no latch");
	else if (end->e == ERR_REQ_ISSUER)
		refuse_issuer(c);
	else if (end->e != ERR_OK)
		refuse_memory(c);
	else if (end->disk != ERR_OK || end->store != ERR_OK)
		refuse_unlatched(c, end);
	else
		reply(c, 204, NULL);
}

static void call_latch_delete(struct keeper *k, const struct issuer *i, struct call *c)
{
	struct work *w = work_new(k, c);
	enum err e;

	if (w == NULL)
		return;
	e = unlatch(keeper_parts(k), i, &c->serial, on_unlatched, w);
	if (e != ERR_OK)
		on_unlatched(w, &(struct unlatch_end){.e = e, .why = ""});
}

/* GET /readyz. */

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

/* A store or responders that are away are no reason to send clients elsewhere: memory
 * answers for hours.  They are told as "degraded", as lists are that could not be had. */
static void call_ready(struct keeper *k, struct call *c)
{
	const struct issuers *is = keeper_conf(k)->issuers;
	json_t *reasons = json_array(), *degraded = json_array();
	bool ready;

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
	ready = json_array_size(reasons) == 0;
	if (c->brief) {
		json_decref(reasons);
		json_decref(degraded);
		reply(c, ready ? 200 : 503, json_pack("{s:b}", "ready", ready));
		return;
	}
	reply(c, ready ? 200 : 503,
	    json_pack("{s:b, s:o, s:o}", "ready", ready, "reasons", reasons, "degraded",
		degraded));
}

/* GET /metrics. */

static void call_metrics(struct keeper *k, struct call *c)
{
	struct metrics_text t = {.openmetrics = c->openmetrics};

	metrics_print(&t);
	gauges_print(k, &t);
	metrics_end(&t);
	reply(c, 200, t.p != NULL ? json_stringn_nocheck(t.p, t.n) : NULL);
	free(t.p);
}

/* The end. */

static void call_stop(struct call *c)
{
	struct work *w = c->calls->first, *next;

	c->calls->stopping = true;
	for (; w != NULL; w = next) {
		next = w->next;
		if (w->lists._list != NULL) {
			crl_feed_wait_end(&w->lists);
			on_lists(&w->lists, ERR_CANCELLED);
		} else if (w->call->what == CALL_STATUS) /* its flight frees it */
			refuse_stopping(work_call(w));
		else if (w->explain != NULL)
			explain_stop(w->explain);
	}
	reply(c, 204, NULL);
}

static void run_for_issuer(struct keeper *k, struct call *c)
{
	const struct issuer *i = issuer_of(k, c);

	bool judges = c->what == CALL_STATUS || c->what == CALL_EXPLAIN;

	if (i == NULL)
		refuse_issuer(c);
	else if (judges && wait_for_lists(k, i, c))
		return;
	else if (c->what == CALL_STATUS)
		call_status(k, i, c);
	else if (c->what == CALL_EXPLAIN)
		call_explain(k, i, c);
	else if (c->what == CALL_REFRESH)
		call_refresh(k, i, c);
	else if (c->what == CALL_PURGE)
		call_purge(k, i, c);
	else
		call_latch_delete(k, i, c);
}

void call_take(void *keeper, struct msg *m)
{
	struct keeper *k = keeper;
	struct call *c = (struct call *)m;

	latch_lists_sweep(c->calls->latch_lists);
	if (c->what == CALL_STOP)
		call_stop(c);
	else if (c->calls->stopping)
		refuse_stopping(c);
	else if (c->what == CALL_ISSUERS)
		call_issuers(k, c);
	else if (c->what == CALL_READY)
		call_ready(k, c);
	else if (c->what == CALL_METRICS)
		call_metrics(k, c);
	else if (c->what == CALL_LATCHES)
		call_latches(k, c);
	else
		run_for_issuer(k, c);
}
