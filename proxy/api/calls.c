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

#include "proxy/api/call_explain.h"
#include "proxy/api/call_latches.h"
#include "proxy/api/call_ready.h"
#include "proxy/api/call_status.h"
#include "proxy/api/gauges.h"
#include "proxy/http/api_reply.h"
#include "proxy/keeper/answers.h"
#include "proxy/keeper/evidence.h"
#include "proxy/keeper/memo.h"
#include "proxy/keeper/unlatch.h"
#include "proxy/lists/crl_feed.h"

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

static void reply_status(
    struct call *c, const struct issuer *i, const struct evidence *st)
{
	reply(c, 200, status_json(i, &c->serial, st));
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

static void call_ready(struct keeper *k, struct call *c)
{
	bool ready;
	json_t *body = ready_json(k, c->brief, &ready);

	reply(c, ready ? 200 : 503, body);
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
