/* api_serve.c - requests in, calls to the keeper and questions to the inventory, replies
 * out. */
#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/base/shared_file.h"
#include "proxy/api/api_answer.h"
#include "proxy/api/api_core.h"
#include "proxy/api/api_request.h"
#include "proxy/api/api_upload.h"
#include "proxy/api/call_alarms.h"
#include "proxy/api/hook_request.h"
#include "proxy/api/rights.h"
#include "proxy/api/watch_request.h"
#include "proxy/http/api_reply.h"
#include "proxy/watch/watcher.h"

static const char type_text[] = "text/plain; charset=utf-8";

void api_serve_leave(struct api *a)
{
	if (a->stopping && a->parked == 0 && events_asking(a->events) == 0)
		event_base_loopbreak(a->base);
}

static void on_back(void *arg, struct question *q)
{
	struct api *a = arg;
	struct call *call = (struct call *)q;

	assert(a->parked > 0);
	a->parked--;
	if (q->owner != NULL)
		answer_call(q->owner, call);
	audit_tell(&call->audit, call->http_status);
	access_unref(call->access);
	json_decref(call->body);
	shared_file_unref(call->file);
	if (call != &a->halt)
		free(call);
	api_serve_leave(a);
}

void api_serve_post(struct api *a, struct call *call)
{
	call->calls = a->calls;
	call->question.reply_to = a->inbox;
	call->question.done = on_back;
	a->parked++;
	question_ask(&call->question, a->shared->keeper, call_take);
}

/* What is watched: the inventory thread answers. */

static void on_ask_back(void *arg, struct question *q)
{
	struct api *a = arg;
	struct watch_ask *ask = (struct watch_ask *)q;

	assert(a->parked > 0);
	a->parked--;
	if (q->owner != NULL)
		answer_ask(q->owner, ask);
	audit_tell(
	    &ask->audit, ask->refusal.status != 0 ? ask->refusal.status : ask->status);
	access_unref(ask->access);
	free(ask->body);
	free(ask);
	api_serve_leave(a);
}

/* A request and who makes it; borrowed, all of it. */
struct inquiry {
	struct api *api;
	struct conn *conn;
	const struct http1_request *r;
	struct bytes body;
	struct access *who; /* NULL: nobody is asked */
	bool any_host;      /* a unix socket, or looked at already */
	struct gate_from from;
};

/* What is refused of what would be told in the log is told, too. */
static void refuse(const struct inquiry *q, const struct api_error *e, enum right right)
{
	struct audit audit = {.call = ""};

	if (right_is_told(right)) {
		gate_audit(&audit, &q->from, q->r, q->who, "");
		audit_tell(&audit, e->status);
	}
	answer_refused(q->conn, e, NULL);
}

/* What a token with watchlists reaches is not known before these are: that nothing is on
 * them would be a lie (404).  True: it was told to come back. */
static bool waits_for_lists(const struct inquiry *q)
{
	if (q->who == NULL || q->who->lists_n == 0 ||
	    !shared_waits_for_lists(q->api->shared))
		return false;
	answer_error(q->conn, 503, "unavailable", "Retry-After: 5\r\n",
	    "the watchlists have not been read from Redis yet; try again");
	return true;
}

static void ask_watcher(const struct inquiry *q)
{
	struct api *a = q->api;
	struct watch_ask *ask = calloc(1, sizeof *ask);
	const struct inventory *v = shared_inventory(a->shared);
	struct api_error e = {0};

	if (ask == NULL) {
		api_reply_no_memory(q->conn);
	} else if (!api_request_may_ask(q->r, q->any_host, &e) ||
		   !watch_request_read(q->r, ask, &e)) {
		answer_refused(q->conn, &e, NULL);
	} else if (!rights_ask(q->who, v, ask, &e)) {
		refuse(q, &e, right_of_ask(ask->what));
	} else if (a->stopping) {
		answer_error(q->conn, 503, "unavailable", NULL, "ocspcached is stopping");
	} else {
		if (right_is_told(right_of_ask(ask->what)))
			gate_audit(&ask->audit, &q->from, q->r, q->who, "");
		ask->access = access_ref(q->who);
		ask->question.owner = q->conn;
		ask->question.reply_to = a->inbox;
		ask->question.done = on_ask_back;
		conn_park(q->conn, ask);
		a->parked++;
		question_ask(
		    &ask->question, watcher_inbox(a->shared->watcher), watch_ask_take);
		return;
	}
	free(ask);
}

/* False: it is another call. */
static bool serve_watch(const struct inquiry *q)
{
	if (!watch_request_is(q->r))
		return false;
	ask_watcher(q);
	return true;
}

/* Webhooks: the desk answers. */

static void on_hook_back(void *arg, struct question *q)
{
	struct api *a = arg;
	struct hook_ask *ask = (struct hook_ask *)q;

	assert(a->parked > 0);
	a->parked--;
	if (q->owner != NULL)
		answer_hook(q->owner, ask);
	audit_tell(&ask->audit, ask->status);
	hook_ask_free(ask);
	api_serve_leave(a);
}

static void post_hook(const struct inquiry *q, struct hook_ask *ask)
{
	struct api *a = q->api;

	if (right_is_told(right_of_hook(ask->what)))
		gate_audit(&ask->audit, &q->from, q->r, q->who, "");
	ask->access = access_ref(q->who);
	ask->question.owner = q->conn;
	ask->question.reply_to = a->inbox;
	ask->question.done = on_hook_back;
	conn_park(q->conn, ask);
	a->parked++;
	hook_desk_post(a->shared->hook_desk, ask);
}

static void ask_desk(const struct inquiry *q)
{
	struct api *a = q->api;
	struct hook_ask *ask = calloc(1, sizeof *ask);
	struct api_error e = {0};

	if (ask == NULL) {
		api_reply_no_memory(q->conn);
		return;
	}
	if (!api_request_may_ask(q->r, q->any_host, &e) ||
	    !hook_request_read(q->r, q->body, ask, &e)) {
		answer_refused(q->conn, &e, NULL);
	} else if (!rights_hook(q->who, ask, &e) ||
		   (ask->what == HOOK_PUT && !hook_request_fits(shared_conf(a->shared),
						 shared_inventory(a->shared), ask, &e))) {
		refuse(q, &e, right_of_hook(ask->what));
	} else if (a->stopping || a->shared->hook_desk == NULL) {
		answer_error(q->conn, 503, "unavailable", NULL, "ocspcached is stopping");
	} else {
		post_hook(q, ask);
		return;
	}
	hook_ask_free(ask);
}

/* False: it is another call.  A watchlist that was not read yet is none that is not
 * there. */
static bool serve_hooks(const struct inquiry *q)
{
	if (!hook_request_is(q->r))
		return false;
	if (!waits_for_lists(q))
		ask_desk(q);
	return true;
}

/* A body that is streamed goes to the inventory thread with its socket. */
static void hand_over(const struct inquiry *q, struct watch_order *o)
{
	struct watcher *w = q->api->shared->watcher;

	if (!access_upload_begin(q->who)) {
		answer_error(q->conn, 503, "unavailable", "Retry-After: 5\r\n",
		    "this token has as many uploads as it may (uploads)");
	} else if (!watcher_reserve(w)) {
		access_upload_end(q->who);
		answer_error(q->conn, 503, "unavailable", "Retry-After: 5\r\n",
		    "no more uploads now: stopping, or max-uploads reached");
	} else if (conn_take(q->conn, q->r, q->body, &o->taken)) {
		o->access = access_ref(q->who);
		watcher_take(w, o);
		return;
	} else {
		watcher_release(w);
		access_upload_end(q->who);
		api_reply_no_memory(q->conn);
	}
	audit_tell(&o->audit, 503);
	free(o->about);
	free(o);
}

static void serve_upload(const struct inquiry *q, const struct upload *u)
{
	enum right right = right_of_upload(u->call);
	struct watch_order *o;
	struct api_error e = {0};

	if (!rights_upload(q->who, u, &e)) {
		refuse(q, &e, right);
		return;
	}
	if (waits_for_lists(q))
		return;
	o = watch_order_of(u);
	if (o == NULL) {
		api_reply_no_memory(q->conn);
		return;
	}
	if (right_is_told(right))
		gate_audit(&o->audit, &q->from, q->r, q->who, "");
	hand_over(q, o);
}

/* False: it is another call. */
static bool serve_streamed(const struct inquiry *q)
{
	struct upload u;
	struct api_error e;
	enum upload_route route = api_upload_read(q->r, q->any_host, &u, &e);

	if (route == UPLOAD_READ)
		serve_upload(q, &u);
	else if (route == UPLOAD_ERROR)
		answer_refused(q->conn, &e, NULL);
	return route != UPLOAD_NONE;
}

static void serve_events(const struct inquiry *asked)
{
	struct api *a = asked->api;
	struct conn *c = asked->conn;
	struct events_query q;
	struct api_error e;
	int status;

	if (!api_request_events(asked->r, &q, &e) || !rights_events(asked->who, &q, &e)) {
		answer_refused(c, &e, NULL);
		return;
	}
	q.access = asked->who;
	if (a->stopping)
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
		    "no more event streams now: stopping, or max-subscribers (of a "
		    "token: "
		    "streams) reached");
}

static void serve_alarms(const struct inquiry *q)
{
	struct json_line out = {0};
	struct api_error e = {0};

	if (!rights_alarms(q->who, &e)) {
		answer_refused(q->conn, &e, NULL);
		return;
	}
	if (waits_for_lists(q))
		return;
	call_alarms(q->who, shared_inventory(q->api->shared), &out);
	if (out.failed)
		api_reply_no_memory(q->conn);
	else
		api_reply(q->conn, 200, API_JSON, NULL, bytes_of(out.p, out.n));
	free(out.p);
}

/* A call for the keeper, whose path alone does not say what it is about. */
static void audit_call(const struct inquiry *q, struct call *call)
{
	char what[sizeof call->issuer + SERIAL_HEX_MAX + 1], serial[SERIAL_HEX_MAX] = "";
	bool in_body = q->r->method == HTTP1_POST;

	if (!right_is_told(right_of_call(call->what)))
		return;
	if (call->has_serial)
		serial_to_hex(&call->serial, serial);
	snprintf(what, sizeof what, "%s%s%s", call->issuer, serial[0] != '\0' ? "/" : "",
	    serial);
	gate_audit(&call->audit, &q->from, q->r, q->who, in_body ? what : "");
}

/* False: call was not taken. */
static bool serve_call(const struct inquiry *q, struct call *call)
{
	struct api *a = q->api;
	struct api_error e = {0};

	if (call->what != CALL_READY && waits_for_lists(q))
		return false;
	if (!rights_call(q->who, shared_inventory(a->shared), call, &e)) {
		refuse(q, &e, right_of_call(call->what));
		return false;
	}
	if (a->stopping) {
		answer_error(q->conn, 503, "unavailable", NULL, "ocspcached is stopping");
		return false;
	}
	audit_call(q, call);
	call->access = access_ref(q->who);
	call->question.owner = q->conn;
	conn_park(q->conn, call);
	api_serve_post(a, call);
	return true;
}

static void serve(const struct inquiry *q)
{
	struct call *call;
	struct api_error e;

	if (serve_streamed(q) || serve_watch(q) || serve_hooks(q))
		return;
	call = calloc(1, sizeof *call);
	if (call == NULL) {
		api_reply_no_memory(q->conn);
		return;
	}
	switch (api_request_read(q->r, q->body, q->any_host, call, &e)) {
	case API_HEALTHZ:
		api_reply(q->conn, 200, type_text, NULL, bytes_of("ok\n", 3));
		break;
	case API_ALARMS:
		serve_alarms(q);
		break;
	case API_EVENTS:
		serve_events(q);
		break;
	case API_ERROR:
		answer_refused(q->conn, &e, NULL);
		break;
	case API_CALL:
		if (serve_call(q, call))
			return;
		break;
	}
	free(call);
}

/* Off loopback no page of a site that took a name of ours for its own, either. */
static bool is_called_so(const struct inquiry *q, struct api_error *e)
{
	struct bytes host = q->r->authority.n > 0 ? q->r->authority : q->r->host;

	if (!q->from.outside || guest_host_is_ours(shared_conf(q->api->shared), host))
		return true;
	memset(e, 0, sizeof *e);
	api_fail(e, 403, "forbidden",
	    "Host: is no name of the API's certificate nor of api-host");
	return false;
}

/* False: it has no good token, or calls us otherwise, and was told so. */
static bool admit(struct inquiry *q)
{
	struct api_error e;
	const char *more;

	guest_from(q->conn, &q->from);
	q->any_host = q->from.outside || conn_is_unix(q->conn);
	if (gate_admit(q->api->gate, &q->from, q->r, &q->who, &e, &more) &&
	    is_called_so(q, &e))
		return true;
	answer_refused(q->conn, &e, more);
	return false;
}

static void on_request(
    void *arg, struct conn *c, const struct http1_request *r, struct bytes body)
{
	struct inquiry q = {.api = arg, .conn = c, .r = r, .body = body};

	if (admit(&q))
		serve(&q);
}

/* Who has no token is not read any further.  A streamed call is not waited for; others
 * are read whole first. */
static int on_head(
    void *arg, struct conn *c, const struct http1_request *r, struct bytes body)
{
	struct inquiry q = {.api = arg, .conn = c, .r = r, .body = body};

	return !admit(&q) || serve_streamed(&q) ? CONN_ANSWERED : 0;
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

const struct conn_handler api_serve_handler = {
    .request = on_request, .head = on_head, .gone = on_gone};
