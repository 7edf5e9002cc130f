/* api.c - the thread: requests in, calls to the keeper, replies out. */
#include "proxy/api/api.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cache/base/shared_file.h"
#include "proxy/api/api_request.h"
#include "proxy/api/api_upload.h"
#include "proxy/api/call_alarms.h"
#include "proxy/api/watch_request.h"
#include "proxy/base/clock.h"
#include "proxy/base/thread.h"
#include "proxy/http/api_reply.h"
#include "proxy/http/listener.h"
#include "proxy/watch/watcher.h"

/* Clients of the API at once: they come out of reserved-descriptors, and scrapers, people
 * and scripts are few. */
#define CONNECTIONS_MAX 64

static const char type_text[] = "text/plain; charset=utf-8";
static const char type_metrics[] = "text/plain; version=0.0.4; charset=utf-8";
static const char type_openmetrics[] =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

struct api {
	struct shared *shared;
	struct event_base *base;
	struct inbox *inbox;
	struct conn_loop *loop;
	struct listener *listener;
	struct calls *calls; /* the keeper's thread uses it */
	struct events *events;
	_Atomic int connections;
	bool any_host; /* a unix socket */
	bool stopping;
	size_t parked;    /* calls that are at the keeper, asks that are at the watcher */
	struct call halt; /* the CALL_STOP */
	struct order reload, drain, close, stop;
	pthread_t thread;
	bool started;
};

/* Out. */

/* Answer with a JSON value (borrowed) and a line end. */
static void answer_json(struct conn *c, int status, const char *more, const json_t *body)
{
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	size_t n = text != NULL ? strlen(text) : 0;

	if (text == NULL) {
		api_reply_no_memory(c);
		return;
	}
	text[n] = '\n'; /* in the place of the NUL */
	api_reply(c, status, API_JSON, more, bytes_of(text, n + 1));
	free(text);
}

static void answer_error(
    struct conn *c, int status, const char *code, const char *more, const char *message)
{
	json_t *body = api_error_json(code, message);

	answer_json(c, status, more, body);
	json_decref(body);
}

static void answer_api_error(struct conn *c, const struct api_error *e)
{
	char allow[64] = "";

	if (e->allow != NULL)
		snprintf(allow, sizeof allow, "Allow: %s\r\n", e->allow);
	answer_error(c, e->status, e->code, allow, e->message);
}

static void answer_call(struct conn *c, const struct call *call)
{
	if (call->http_status == 202 || call->http_status == 204)
		api_reply(c, call->http_status, NULL, NULL, bytes_of(NULL, 0));
	else if (call->file != NULL)
		api_reply_file(c, API_JSON, call->file);
	else if (call->what == CALL_METRICS && json_is_string(call->body))
		api_reply(c, call->http_status,
		    call->openmetrics ? type_openmetrics : type_metrics, NULL,
		    bytes_of(
			json_string_value(call->body), json_string_length(call->body)));
	else
		answer_json(c, call->http_status, NULL, call->body);
}

/* In. */

static void leave_when_all_are_back(struct api *a)
{
	if (a->stopping && a->parked == 0 && events_asking(a->events) == 0)
		event_base_loopbreak(a->base);
}

static void on_events_idle(void *arg)
{
	leave_when_all_are_back(arg);
}

static void on_back(void *arg, struct question *q)
{
	struct api *a = arg;
	struct call *call = (struct call *)q;

	assert(a->parked > 0);
	a->parked--;
	if (q->owner != NULL)
		answer_call(q->owner, call);
	json_decref(call->body);
	shared_file_unref(call->file);
	if (call != &a->halt)
		free(call);
	leave_when_all_are_back(a);
}

static void post(struct api *a, struct call *call)
{
	call->calls = a->calls;
	call->question.reply_to = a->inbox;
	call->question.done = on_back;
	a->parked++;
	question_ask(&call->question, a->shared->keeper, call_take);
}

/* What is watched: the inventory thread answers. */

static void answer_ask(struct conn *c, const struct watch_ask *ask)
{
	const struct refusal *r = &ask->refusal;

	if (r->status != 0)
		answer_error(c, r->status, r->code,
		    r->status == 503 ? "Retry-After: 5\r\n" : NULL, r->message);
	else if (ask->body == NULL)
		api_reply(c, ask->status, NULL, NULL, bytes_of(NULL, 0));
	else
		api_reply(
		    c, ask->status, API_JSON, NULL, bytes_of(ask->body, ask->body_n));
}

static void on_ask_back(void *arg, struct question *q)
{
	struct api *a = arg;
	struct watch_ask *ask = (struct watch_ask *)q;

	assert(a->parked > 0);
	a->parked--;
	if (q->owner != NULL)
		answer_ask(q->owner, ask);
	free(ask->body);
	free(ask);
	leave_when_all_are_back(a);
}

static void ask_watcher(struct api *a, struct conn *c, const struct http1_request *r)
{
	struct watch_ask *ask = calloc(1, sizeof *ask);
	struct api_error e = {0};

	if (ask == NULL) {
		api_reply_no_memory(c);
	} else if (!api_request_may_ask(r, a->any_host, &e) ||
		   !watch_request_read(r, ask, &e)) {
		answer_api_error(c, &e);
	} else if (a->stopping) {
		answer_error(c, 503, "unavailable", NULL, "ocspcached is stopping");
	} else {
		ask->question.owner = c;
		ask->question.reply_to = a->inbox;
		ask->question.done = on_ask_back;
		conn_park(c, ask);
		a->parked++;
		question_ask(
		    &ask->question, watcher_inbox(a->shared->watcher), watch_ask_take);
		return;
	}
	free(ask);
}

/* False: it is another call. */
static bool serve_watch(struct api *a, struct conn *c, const struct http1_request *r)
{
	if (!watch_request_is(r))
		return false;
	ask_watcher(a, c, r);
	return true;
}

/* A body that is streamed goes to the inventory thread with its socket. */
static void serve_upload(struct api *a, struct conn *c, const struct http1_request *r,
    struct bytes body, const struct upload *u)
{
	struct watcher *w = a->shared->watcher;
	struct watch_order *o = watch_order_of(u);

	if (o == NULL) {
		api_reply_no_memory(c);
	} else if (!watcher_reserve(w)) {
		answer_error(c, 503, "unavailable", "Retry-After: 5\r\n",
		    "no more uploads now: stopping, or max-uploads reached");
	} else if (conn_take(c, r, body, &o->taken)) {
		watcher_take(w, o);
		return;
	} else {
		watcher_release(w);
		api_reply_no_memory(c);
	}
	free(o);
}

/* False: it is another call. */
static bool serve_streamed(
    struct api *a, struct conn *c, const struct http1_request *r, struct bytes body)
{
	struct upload u;
	struct api_error e;
	enum upload_route route = api_upload_read(r, a->any_host, &u, &e);

	if (route == UPLOAD_READ)
		serve_upload(a, c, r, body, &u);
	else if (route == UPLOAD_ERROR)
		answer_api_error(c, &e);
	return route != UPLOAD_NONE;
}

static void serve_events(struct api *a, struct conn *c, const struct http1_request *r)
{
	struct events_query q;
	struct api_error e;
	int status;

	if (!api_request_events(r, &q, &e))
		answer_api_error(c, &e);
	else if (a->stopping)
		answer_error(c, 503, "unavailable", NULL, "ocspcached is stopping");
	else if (events_serve(a->events, c, &q, &status))
		return;
	else if (status == 404)
		answer_error(c, 404, "not_found", NULL,
		    q.watchlist[0] != '\0' ? "no issuer, or no watchlist, has this name"
					   : "no issuer has this name");
	else if (q.watchlist[0] != '\0' && shared_waits_for_lists(a->shared))
		answer_error(c, 503, "unavailable", "Retry-After: 5\r\n",
		    "the watchlists have not been read from Redis yet; try again");
	else
		answer_error(c, 503, "unavailable", "Retry-After: 5\r\n",
		    "no more event streams now: stopping, or max-subscribers reached");
}

static void serve_alarms(struct conn *c)
{
	struct json_line out = {0};

	call_alarms(&out);
	if (out.failed)
		api_reply_no_memory(c);
	else
		api_reply(c, 200, API_JSON, NULL, bytes_of(out.p, out.n));
	free(out.p);
}

static void on_request(
    void *arg, struct conn *c, const struct http1_request *r, struct bytes body)
{
	struct api *a = arg;
	struct call *call;
	struct api_error e;

	if (serve_streamed(a, c, r, body) || serve_watch(a, c, r))
		return;
	call = calloc(1, sizeof *call);
	if (call == NULL) {
		api_reply_no_memory(c);
		return;
	}
	switch (api_request_read(r, body, a->any_host, call, &e)) {
	case API_HEALTHZ:
		api_reply(c, 200, type_text, NULL, bytes_of("ok\n", 3));
		break;
	case API_ALARMS:
		serve_alarms(c);
		break;
	case API_EVENTS:
		serve_events(a, c, r);
		break;
	case API_ERROR:
		answer_api_error(c, &e);
		break;
	case API_CALL:
		if (a->stopping) {
			answer_error(
			    c, 503, "unavailable", NULL, "ocspcached is stopping");
			break;
		}
		call->question.owner = c;
		conn_park(c, call);
		post(a, call);
		return;
	}
	free(call);
}

/* A streamed call is not waited for; others are read whole first. */
static int on_head(
    void *arg, struct conn *c, const struct http1_request *r, struct bytes body)
{
	return serve_streamed(arg, c, r, body) ? CONN_ANSWERED : 0;
}

static void on_gone(void *arg, void *parked)
{
	struct api *a = arg;
	struct question *question = parked; /* of a call or an ask */

	if (events_gone(a->events, parked))
		return;
	assert(question->owner != NULL && a->parked > 0);
	question->owner = NULL;
}

static const struct conn_handler handler = {
    .request = on_request, .head = on_head, .gone = on_gone};

/* Orders of other threads. */

static void on_reload(void *arg)
{
	struct api *a = arg;
	const struct conf *c = shared_conf(a->shared);
	struct conn_limits limits = conn_limits_of(c, c->api_max_body_size);

	conn_loop_limits(a->loop, &limits);
	events_reload(a->events);
}

static void stop_listening(struct api *a)
{
	listener_free(a->listener);
	a->listener = NULL;
}

static void on_drain(void *arg)
{
	struct api *a = arg;

	events_drain(a->events);
}

static void on_close(void *arg)
{
	struct api *a = arg;

	if (a->listener == NULL)
		return;
	stop_listening(a);
	conn_loop_drain(a->loop);
}

static void on_stop(void *arg)
{
	struct api *a = arg;

	if (a->stopping)
		return;
	on_drain(a);
	on_close(a);
	a->stopping = true;
	if (a->parked > 0) {
		a->halt.what = CALL_STOP;
		post(a, &a->halt);
	}
	leave_when_all_are_back(a);
}

void api_reload(struct api *a)
{
	order_post(&a->reload, a->inbox);
}

void api_drain(struct api *a)
{
	order_post(&a->drain, a->inbox);
}

void api_close(struct api *a)
{
	order_post(&a->close, a->inbox);
}

bool api_idle(const struct api *a)
{
	return atomic_load(&a->connections) == 0 &&
	       atomic_load(&a->shared->subscribers) == 0;
}

void api_stop(struct api *a)
{
	order_post(&a->stop, a->inbox);
}

/* Life. */

static bool make(struct api *a, int fd)
{
	const struct conf *c = shared_conf(a->shared);
	struct conn_limits limits = conn_limits_of(c, c->api_max_body_size);
	struct listener_limits listening = {&a->connections, CONNECTIONS_MAX};
	struct counters *counters = metrics_thread();

	a->base = event_base_new();
	a->inbox = a->base != NULL ? inbox_new(a->base, a) : NULL;
	a->calls = calls_new();
	if (a->inbox == NULL || a->calls == NULL || counters == NULL)
		goto fail;
	a->loop = conn_loop_new(a->base, &limits, &handler, a, counters);
	a->events = events_new(a->shared, a->base, a->inbox, counters);
	if (a->loop == NULL || a->events == NULL)
		goto fail;
	events_on_idle(a->events, on_events_idle, a);
	a->listener = listener_new(a->loop, a->base, fd, false, &listening);
	return a->listener != NULL;

fail:
	close(fd);
	return false;
}

struct api *api_new(struct shared *shared, int fd, char *why, size_t why_n)
{
	struct api *a = calloc(1, sizeof *a);

	if (a == NULL) {
		close(fd);
		snprintf(why, why_n, "API: %s", strerror(ENOMEM));
		return NULL;
	}
	json_object_seed(0); /* before there is a second thread that could do it */
	a->shared = shared;
	a->any_host = strncmp(shared_conf(shared)->api_listen, "unix:", 5) == 0;
	order_init(&a->reload, on_reload, a);
	order_init(&a->drain, on_drain, a);
	order_init(&a->close, on_close, a);
	order_init(&a->stop, on_stop, a);
	if (!make(a, fd)) {
		snprintf(why, why_n, "API: out of memory or descriptors");
		api_free(a);
		return NULL;
	}
	return a;
}

struct inbox *api_inbox(struct api *a)
{
	return a->inbox;
}

void api_news(void *inbox_arg, struct msg *m)
{
	struct api *a = inbox_arg;

	events_news(a->events, (struct teller_news *)m);
}

static void *run(void *arg)
{
	struct api *a = arg;

	event_base_loop(a->base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

int api_start(struct api *a)
{
	int e;

	assert(!a->started);
	e = thread_start(&a->thread, "api", run, a);
	a->started = e == 0;
	return e;
}

void api_join(struct api *a)
{
	if (!a->started)
		return;
	pthread_join(a->thread, NULL);
	a->started = false;
}

void api_free(struct api *a)
{
	if (a == NULL)
		return;
	assert(!a->started);
	if (a->inbox != NULL) /* what is still in it may look at the loop */
		inbox_free(a->inbox);
	if (a->listener != NULL)
		stop_listening(a);
	if (a->loop != NULL)
		conn_loop_free(a->loop);
	events_free(a->events);
	calls_free(a->calls);
	if (a->base != NULL)
		event_base_free(a->base);
	free(a);
}
