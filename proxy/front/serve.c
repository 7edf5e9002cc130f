/* serve.c - the table of answers, line by line.
 *
 * The order of decisions: method, route, request bytes, hot table; and only when that
 * fails OpenSSL, issuer, hot table again, keeper.  Whatever is answered from the hot
 * table was put there by the keeper after admit(); nothing is composed here that states a
 * certificate's status.
 */
#include "proxy/front/serve.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/crl/crl_set.h"
#include "cache/ocsp/ocsp_request.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/front/mirror.h"
#include "proxy/front/serve_head.h"
#include "proxy/http/ocsp_http.h"
#include "proxy/keeper/ask.h"
#include "proxy/keeper/keeper.h"

#define ALLOW        "GET, HEAD, POST"
#define MEASURE_EACH 64 /* one of so many hits is timed: two clock reads cost 3 % */
/* Decoded request: 3/4 of the largest max-target-size (conf/options.def). */
#define DER_MAX  (32768 / 4 * 3 + 3)
#define FREE_MAX 256 /* questions kept for reuse: a burst's worth, 100 KiB */

/* A question to the keeper and what we have to remember of its request. */
struct parked {
	struct ask ask; /* first: it comes back as this */
	struct parked *next_free;
	enum http1_method method;
	bool access_log;
	bool again; /* it was asked once more */
};

/* One request on its way through this file. */
struct turn {
	struct conn *c;
	enum http1_method method;
	bool measure;
	bool access_log;
	int64_t started_us; /* 0 unless one of the two */
};

struct serve {
	struct shared *shared;
	struct counters *counters;
	struct inbox *own;
	struct conn_loop *loop;
	size_t parked_n;
	uint64_t requests;
	struct parked *free;
	size_t free_n;
	struct serve_head head;
	uint8_t der[DER_MAX];
};

/* Access log and sampled measurements. */

static const char *const method_name[] = {
    [HTTP1_GET] = "GET",
    [HTTP1_HEAD] = "HEAD",
    [HTTP1_POST] = "POST",
    [HTTP1_PUT] = "PUT",
    [HTTP1_DELETE] = "DELETE",
    [HTTP1_OTHER] = "other",
};

static const char *const tier_name[] = {
    [TIER_MEMORY] = "memory",
    [TIER_STORE] = "store",
    [TIER_UPSTREAM] = "upstream",
    [TIER_FORWARD] = "forward",
    [TIER_NONE] = "none",
};

/* No serial and no address: both are browsing data (T25). */
static void access_log(
    const struct turn *t, const char *outcome, enum tier tier, int status, size_t bytes)
{
	if (t->access_log)
		log_each(LOG_INFO, "request",
		    "method=%s outcome=%s tier=%s status=%d bytes=%zu us=%lld",
		    method_name[t->method], outcome, tier_name[tier], status, bytes,
		    (long long)(clock_mono_us() - t->started_us));
}

static void turn_start(struct serve *s, struct turn *t, const struct conf *conf)
{
	int64_t each = conf->access_log_sample;

	s->requests++;
	t->measure = s->requests % MEASURE_EACH == 0;
	t->access_log = each > 0 && s->requests % (uint64_t)each == 0;
	t->started_us = t->measure || t->access_log ? clock_mono_us() : 0;
}

/* Answering. */

/* The connection ends where its head says so, by what conn.c knows itself. */
static void send_head(struct conn *c, struct bytes head, struct bytes rest)
{
	conn_send(c, head, rest, false);
}

static void reply_http_error(
    struct serve *s, const struct turn *t, int status, bool close)
{
	const char *allow = status == 405 ? ALLOW : NULL;

	metrics_count(s->counters, M_HTTP_ERRORS);
	access_log(t, "http_error", TIER_NONE, status, 0);
	conn_error(t->c, status, allow, close);
}

static const struct {
	enum metric metric;
	const char *outcome;
} error_kind[] = {
    /* by OCSPResponseStatus */
    [1] = {M_REQ_MALFORMED, "malformed"},
    [2] = {M_REQ_INTERNAL, "internal_error"},
    [3] = {M_REQ_TRYLATER, "try_later"},
    [6] = {M_REQ_UNAUTHORIZED, "unauthorized"},
};

/* An unsigned OCSP error: it states nothing about a certificate and is not kept (R5,
 * R120). */
static void reply_ocsp_error(struct serve *s, const struct turn *t, enum err e)
{
	int wire = err_wire(e);
	struct bytes body = ocsp_http_error_body(wire);

	assert(wire > 0 && wire <= 6 && error_kind[wire].outcome != NULL);
	metrics_count(s->counters, error_kind[wire].metric);
	access_log(t, error_kind[wire].outcome, TIER_NONE, 200, body.n);
	send_head(t->c,
	    serve_head_with(&s->head, t->c, "application/ocsp-response", body),
	    bytes_of(NULL, 0));
}

static void reply_not_modified(
    struct serve *s, const struct turn *t, const struct answer *a, int64_t now)
{
	metrics_count(s->counters, M_REQ_NOT_MODIFIED);
	access_log(t, "not_modified", TIER_MEMORY, 304, 0);
	send_head(
	    t->c, serve_head_not_modified(&s->head, t->c, a, now), bytes_of(NULL, 0));
}

static void reply_answer(struct serve *s, const struct turn *t, const struct answer *a,
    int64_t now, enum tier tier)
{
	static const enum metric metric[] = {
	    [TIER_MEMORY] = M_REQ_HIT_MEMORY,
	    [TIER_STORE] = M_REQ_HIT_STORE,
	    [TIER_UPSTREAM] = M_REQ_FETCHED,
	    [TIER_FORWARD] = M_REQ_FORWARDED,
	};

	assert(tier < TIER_NONE);
	metrics_count(s->counters, metric[tier]);
	send_head(t->c, serve_head_answer(&s->head, t->c, a, now, tier),
	    t->method == HTTP1_HEAD ? answer_head(a) : answer_wire(a));
	access_log(t, "answered", tier, 200, a->body_n);
}

/* Hits. */

static void measure_hit(
    struct serve *s, const struct turn *t, const struct answer *a, int64_t now)
{
	conn_flush(t->c);
	metrics_observe_us(s->counters, H_HIT, clock_mono_us() - t->started_us);
	metrics_observe_us(
	    s->counters, H_AGE, (now - a->facts.this_update) * 1000 * 1000);
}

/* Answer from the hot table; false when it has nothing for these bytes that is in date
 * and that the issuer's lists allow. */
static bool hit(struct serve *s, const struct turn *t, const struct http1_request *r,
    struct bytes der)
{
	int64_t now = conn_loop_now(s->loop);
	const struct answer *a = hot_find(s->shared->hot, der);

	if (a == NULL || !hot_serves(a, now))
		return false;
	hot_visit(a);
	if (a->error != ERR_OK) {
		reply_ocsp_error(s, t, a->error);
		return true;
	}
	if ((r->if_none_match.n > 0 || r->if_modified_since.n > 0) &&
	    t->method != HTTP1_POST && ocsp_http_not_modified(r, a))
		reply_not_modified(s, t, a, now);
	else
		reply_answer(s, t, a, now, TIER_MEMORY);
	if (t->measure)
		measure_hit(s, t, a, now);
	return true;
}

/* Misses. */

static struct parked *parked_take(struct serve *s)
{
	struct parked *p = s->free;

	if (p == NULL)
		return malloc(sizeof *p);
	s->free = p->next_free;
	s->free_n--;
	return p;
}

static void parked_give(struct serve *s, struct parked *p)
{
	if (s->free_n >= FREE_MAX) {
		free(p);
		return;
	}
	p->next_free = s->free;
	s->free = p;
	s->free_n++;
}

/* only-if-cached is the client's wish to be told that we would have to ask (R131). */
static void reply_outcome(
    struct serve *s, const struct turn *t, const struct ask *a, int64_t now)
{
	if (a->answer != NULL && a->answer->error == ERR_OK) {
		reply_answer(s, t, a->answer, now, a->tier);
		return;
	}
	if (a->only_if_cached) {
		metrics_count(s->counters, M_REQ_ONLY_IF_CACHED);
		access_log(t, "only_if_cached", TIER_NONE, 504, 0);
		conn_error(t->c, 504, NULL, false);
		return;
	}
	reply_ocsp_error(s, t, a->answer != NULL ? a->answer->error : a->error);
}

/* The answer was in date, and not against a list, when the keeper gave it: is it still?
 * The clock is read anew, a pause of the machine may have been in between.  (A hit is
 * looked at where it is written, by the time of the loop's turn.  Errors state nothing.)
 */
static bool is_fit(const struct ask *a)
{
	return a->answer == NULL || a->answer->error != ERR_OK ||
	       hot_serves(a->answer, clock_now());
}

/* Back to the keeper, which knows a better answer or fetches one, in what is left of the
 * client's time: tryLater at once would turn away who asks while a short-lived answer is
 * renewed. */
static void ask_again(struct serve *s, struct parked *p)
{
	p->again = true;
	p->ask.answer = NULL;
	p->ask.error = ERR_OK;
	p->ask.tier = TIER_NONE;
	keeper_ask(s->shared, &p->ask);
}

/* The keeper has answered.  Our thread, from the inbox. */
static void on_done(void *inbox_arg, struct question *q)
{
	struct serve *s = inbox_arg;
	struct parked *p = (struct parked *)q;
	struct ask *a = &p->ask;

	if (q->owner != NULL && !is_fit(a)) {
		if (!p->again) {
			ask_again(s, p);
			return;
		}
		a->answer = NULL; /* a second time: no answer lives long enough */
		a->error = ERR_RESP_EXPIRED;
	}
	assert(s->parked_n > 0);
	s->parked_n--;
	if (q->owner != NULL) {
		int64_t waited = clock_mono_ms() - a->asked_at_ms;
		struct turn t = {.c = q->owner,
		    .method = p->method,
		    .access_log = p->access_log,
		    .started_us = a->asked_at_ms * 1000};

		metrics_observe_us(s->counters, H_WAIT, waited * 1000);
		reply_outcome(s, &t, a, conn_loop_now(s->loop));
	}
	parked_give(s, p);
}

static void ask_keeper(struct serve *s, const struct turn *t,
    const struct http1_request *r, const struct ocsp_request *q, bool forward)
{
	struct parked *p = parked_take(s);

	if (p == NULL) {
		reply_ocsp_error(s, t, ERR_NOMEM);
		return;
	}
	p->method = t->method;
	p->access_log = t->access_log;
	p->again = false;
	p->ask = (struct ask){
	    .question = {.reply_to = s->own, .done = on_done, .owner = t->c},
	    .key = q->key,
	    .asked_at_ms = conn_loop_mono_ms(s->loop),
	    .only_if_cached = r->only_if_cached,
	    .revalidate = r->no_cache,
	};
	if (forward) {
		p->ask.nonce_n = q->nonce_n;
		memcpy(p->ask.nonce, q->nonce, q->nonce_n);
	}
	s->parked_n++;
	conn_park(t->c, p);
	keeper_ask(s->shared, &p->ask);
}

/* What der asks.  Canonical bytes are their own key, compared with what we would write;
 * every other spelling is read by OpenSSL. */
static enum err read_question(
    struct serve *s, struct bytes der, struct ocsp_request *q, bool *canonical)
{
	*canonical = key_from_der(&q->key, der) == ERR_OK;
	if (!*canonical) {
		metrics_count(s->counters, M_PARSED);
		return ocsp_request_parse(q, der);
	}
	q->has_nonce = false;
	q->nonce_n = 0;
	return ERR_OK;
}

/* What is no OCSP request may be one for a list: looked at last, so that it costs the
 * others nothing.  False: it is none. */
static bool on_list(struct serve *s, const struct turn *t, const struct http1_request *r,
    const struct conf *conf)
{
	size_t list;
	const struct issuer *i = ocsp_http_list(conf, r, &list);
	int status;

	if (i == NULL)
		return false;
	if (t->method == HTTP1_POST) {
		metrics_count(s->counters, M_HTTP_ERRORS);
		conn_error(t->c, 405, "GET, HEAD", false);
		return true;
	}
	status = mirror_reply(s->loop, t->c, r, conf, i, list);
	metrics_count(s->counters, status == 503   ? M_HTTP_ERRORS
				   : status == 304 ? M_LISTS_NOT_MODIFIED
						   : M_LISTS_SENT);
	access_log(t, "list", TIER_NONE, status, 0);
	return true;
}

/* The bytes are not in the table as they are. */
static void miss(struct serve *s, const struct turn *t, const struct http1_request *r,
    const struct conf *conf, struct bytes der)
{
	const struct issuer *issuer;
	struct ocsp_request q;
	bool canonical, forward;
	enum err e = read_question(s, der, &q, &canonical);

	if (e != ERR_OK) {
		if (t->method == HTTP1_POST || !on_list(s, t, r, conf))
			reply_ocsp_error(s, t, e);
		return;
	}
	issuer = issuers_find(conf->issuers, &q.key, NULL);
	if (issuer == NULL) {
		reply_ocsp_error(s, t, ERR_REQ_ISSUER);
		return;
	}
	forward = issuer->rules.nonce_forward && q.has_nonce && !r->only_if_cached;
	if (!canonical && !forward && !r->no_cache && hit(s, t, r, key_der(&q.key)))
		return;
	ask_keeper(s, t, r, &q, forward);
}

/* One OCSP request.  rest: what follows the OCSP path. */
static void on_ocsp(struct serve *s, const struct turn *t, const struct http1_request *r,
    const struct conf *conf, struct bytes rest, struct bytes body)
{
	struct bytes der = body;

	if (t->method == HTTP1_POST) {
		if (rest.n > 0 && !(ocsp_http_respelt(conf, r, &rest) && rest.n == 0)) {
			if (!on_list(s, t, r, conf))
				reply_http_error(s, t, 404, false);
			return;
		}
	} else {
		size_t n = sizeof s->der;
		enum err e = ocsp_http_decode(rest, s->der, &n);

		if (e != ERR_OK && ocsp_http_respelt(conf, r, &rest)) {
			n = sizeof s->der;
			e = ocsp_http_decode(rest, s->der, &n);
		}
		if (e != ERR_OK && on_list(s, t, r, conf))
			return;
		if (e == ERR_NOT_FOUND) {
			reply_http_error(s, t, 404, false);
			return;
		}
		if (e != ERR_OK) {
			reply_ocsp_error(s, t, e);
			return;
		}
		der = bytes_of(s->der, n);
	}
	/* A client that doubts the cached answer gets the keeper's opinion (R130). */
	if (r->no_cache || !hit(s, t, r, der))
		miss(s, t, r, conf, der);
}

static void on_healthz(struct serve *s, const struct turn *t)
{
	if (t->method == HTTP1_POST) {
		metrics_count(s->counters, M_HTTP_ERRORS);
		conn_error(t->c, 405, "GET, HEAD", false);
		return;
	}
	send_head(t->c,
	    serve_head_with(&s->head, t->c, "text/plain", bytes_of("ok\n", 3)),
	    bytes_of(NULL, 0));
}

/* The HTTP status that refuses a route, or 0. */
static int route_status(enum route route)
{
	switch (route) {
	case ROUTE_OCSP:
	case ROUTE_HEALTHZ:
		return 0;
	case ROUTE_FORBIDDEN:
		return 403;
	case ROUTE_BAD:
		return 400;
	case ROUTE_NONE:
		return 404;
	}
	abort();
}

static bool is_served(enum http1_method m)
{
	return m == HTTP1_GET || m == HTTP1_HEAD || m == HTTP1_POST;
}

static void on_request(
    void *arg, struct conn *c, const struct http1_request *r, struct bytes body)
{
	struct serve *s = arg;
	const struct conf *conf = shared_conf(s->shared);
	struct turn t = {.c = c, .method = r->method};
	struct bytes rest;
	enum route route;
	int status;

	turn_start(s, &t, conf);
	if (!is_served(r->method)) {
		/* What comes behind a CONNECT was meant for the tunnel, not for us. */
		reply_http_error(s, &t, 405, r->path.n == 0);
		return;
	}
	route = ocsp_http_route(conf, r, &rest);
	status = route_status(route);
	if (status == 404 && on_list(s, &t, r, conf)) {
		return;
	} else if (status != 0) {
		reply_http_error(s, &t, status, status == 400);
	} else if (route == ROUTE_HEALTHZ) {
		on_healthz(s, &t);
	} else {
		on_ocsp(s, &t, r, conf, rest, body);
	}
}

/* A body is announced: is it worth reading? */
static int on_head(
    void *arg, struct conn *c, const struct http1_request *r, struct bytes body)
{
	struct serve *s = arg;
	struct bytes rest;
	enum route route;

	(void)c, (void)body;
	if (!is_served(r->method))
		return 0; /* 405 once it is read: Allow has to go with it */
	route = ocsp_http_route(shared_conf(s->shared), r, &rest);
	if (route == ROUTE_OCSP && r->method == HTTP1_POST && rest.n > 0 &&
	    !(ocsp_http_respelt(shared_conf(s->shared), r, &rest) && rest.n == 0))
		return 404;
	return route_status(route);
}

static void on_gone(void *arg, void *parked)
{
	struct parked *p = parked;

	(void)arg;
	assert(p->ask.question.owner != NULL);
	p->ask.question.owner = NULL;
}

static void on_refused(void *arg, int status)
{
	struct serve *s = arg;

	(void)status;
	metrics_count(s->counters, M_HTTP_ERRORS);
}

const struct conn_handler serve_handler = {
    .request = on_request,
    .head = on_head,
    .gone = on_gone,
    .refused = on_refused,
};

struct serve *serve_new(struct shared *shared, struct counters *counters)
{
	struct serve *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->shared = shared;
	s->counters = counters;
	return s;
}

void serve_free(struct serve *s)
{
	if (s == NULL)
		return;
	assert(s->parked_n == 0);
	while (s->free != NULL) {
		struct parked *p = s->free;

		s->free = p->next_free;
		free(p);
	}
	free(s);
}

void serve_attach(struct serve *s, struct inbox *own, struct conn_loop *loop)
{
	assert(s->own == NULL && s->loop == NULL);
	s->own = own;
	s->loop = loop;
	serve_head_init(&s->head, loop);
}

size_t serve_parked(const struct serve *s)
{
	return s->parked_n;
}
