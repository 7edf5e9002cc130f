/* watch_upload.c - body, draft, job, answer. */
#include "proxy/watch/watch_upload.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cache/watch/watch_draft.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/http/api_reply.h"
#include "proxy/http/stream.h"
#include "proxy/watch/count.h"
#include "proxy/watch/incident_upload.h"
#include "proxy/watch/known.h"
#include "proxy/watch/notices.h"
#include "proxy/watch/refusal.h"
#include "proxy/watch/share.h"

/* What is read in one turn of the loop: of PEM a dozen certificates, each of which costs
 * a signature check; of lines a thousand. */
#define SLICE_PEM   (16 * 1024)
#define SLICE_LINES (64 * 1024)

struct watch_upload {
	struct watch_context *context;
	struct stream *stream; /* NULL: nobody waits for an answer */
	struct known *known;   /* a reference */
	struct watch_body *body;
	struct watch_draft *draft;
	struct incident_upload *incident; /* NULL: it is a watchlist */
	enum err draft_error;
	uint64_t line; /* with which that came */
	size_t slice;
	bool writing; /* the job is at the ledger */
	struct access *access;
	struct audit audit;
	int status; /* that it was answered with; 0: it was cut off */
	struct ledger_job job;
	bool counting;         /* who stands on the incident */
	struct count *count;   /* under way; NULL: none is */
	struct event *timeout; /* then: who waits for the answer waits no longer */
	size_t place;          /* of the list that is counted */
};

void watch_order_drop(struct watch_context *context, struct watch_order *o)
{
	conn_taken_drop(&o->taken);
	streams_release(context->streams);
	access_upload_end(o->access);
	access_unref(o->access);
	metrics_count(context->counters, M_CONN_CLOSED);
	free(o->about);
}

/* What is needed no more once the body has ended. */
static void drop_reader(struct watch_upload *u)
{
	watch_body_free(u->body);
	watch_draft_free(u->draft);
	known_unref(u->known);
	u->body = NULL;
	u->draft = NULL;
	u->known = NULL;
}

static void watch_upload_free(struct watch_upload *u)
{
	drop_reader(u);
	incident_upload_free(u->incident);
	count_free(u->count);
	if (u->timeout != NULL)
		event_free(u->timeout);
	audit_tell(&u->audit, u->status);
	access_upload_end(u->access);
	access_unref(u->access);
	free(u);
}

static void refuse(struct watch_upload *u, const struct refusal *r)
{
	metrics_count(u->context->counters, M_UPLOADS_REFUSED);
	u->status = r->status;
	stream_error(u->stream, r->status, r->code, r->message);
}

/* Reading. */

static bool on_cert(void *arg, const struct watch_cert *c)
{
	struct watch_upload *u = arg;
	struct watch_cert whole = *c;

	u->line = c->line;
	if (u->incident != NULL) {
		u->draft_error = incident_upload_add(u->incident, u->draft, c);
		return u->draft_error == ERR_OK;
	}
	known_complete(u->known, &whole);
	u->draft_error = watch_draft_add(u->draft, &whole);
	return u->draft_error == ERR_OK;
}

/* The body is bad, or what it says has no room. */
static void refuse_body(struct watch_upload *u)
{
	const struct watch_error *e = watch_body_error(u->body);
	struct watch_error no_issuer = {WATCH_BAD_ISSUER, u->line,
	    "no such issuer is configured, or too many are named"};
	struct refusal r;

	if (e->code == WATCH_STOPPED && u->draft_error == ERR_REQ_ISSUER)
		refusal_of_line(&r, &no_issuer);
	else if (e->code == WATCH_STOPPED)
		refusal_of_err(&r, u->context, u->draft_error);
	else
		refusal_of_line(&r, e);
	drop_reader(u);
	refuse(u, &r);
}

static void refusal_of_target(const struct watch_upload *u, struct refusal *r)
{
	const struct watch_list *list =
	    inventory_list(ledger_inventory(u->context->shared), u->job.name);

	if (refusal_of_store(r, u->context))
		return;
	if (u->incident != NULL)
		incident_upload_is_refused(u->incident, r);
	else if (!refusal_of_source(r, u->context, u->job.name) && list == NULL &&
		 u->job.what == LEDGER_ADD)
		refusal_of_list(r, u->context);
}

/* Before anything is read. */
static bool is_refused(struct watch_upload *u)
{
	struct refusal r = {0};

	if (u->body == NULL || u->draft == NULL || u->draft_error != ERR_OK)
		refusal_of_err(&r, u->context, ERR_NOMEM);
	else
		refusal_of_target(u, &r);
	if (r.status == 0)
		return false;
	drop_reader(u);
	refuse(u, &r);
	return true;
}

/* The first call of the sink. */
static bool may_begin(struct watch_upload *u, struct stream *s)
{
	if (u->stream != NULL)
		return true;
	u->stream = s;
	return !is_refused(u);
}

static size_t on_body(void *arg, struct stream *s, struct bytes piece)
{
	struct watch_upload *u = arg;

	assert(!u->writing);
	if (!may_begin(u, s))
		return piece.n;
	if (piece.n > u->slice)
		piece.n = u->slice;
	if (!watch_body_feed(u->body, piece))
		refuse_body(u);
	return piece.n;
}

/* Writing. */

/* Without memory of its own: a 500 would say that nothing has changed.  The name is
 * plain, name.h. */
static void answer_put(struct watch_upload *u, const char *not_covered)
{
	char text[sizeof u->job.name + 104];
	int n = snprintf(text, sizeof text,
	    "{\"name\":\"%s\",\"certificates\":%zu,\"not_covered\":%s}\n", u->job.name,
	    u->job.certificates, not_covered);

	stream_answer(u->stream, u->job.added ? 201 : 200, API_JSON, NULL,
	    bytes_of(text, (size_t)n));
}

static void answer_incident(struct watch_upload *u, const char *hit)
{
	const char *name = incident_upload_name(u->incident);
	char text[WATCH_NAME_MAX + 96];
	int n =
	    snprintf(text, sizeof text, "{\"name\":\"%s\",\"serials\":%zu,\"hit\":%s}\n",
		name, u->job.certificates - 1, hit);

	stream_answer(u->stream, u->job.added ? 201 : 200, API_JSON, NULL,
	    bytes_of(text, (size_t)n));
}

static void on_hits(void *arg, bool counted, size_t hit)
{
	struct watch_upload *u = arg;
	char text[24] = "null";

	u->counting = false;
	if (counted)
		snprintf(text, sizeof text, "%zu", hit);
	if (u->stream != NULL)
		answer_incident(u, text);
	else
		watch_upload_free(u);
}

static void count_incident(struct watch_upload *u)
{
	u->counting = incident_upload_count(u->incident, on_hits, u);
	if (!u->counting)
		answer_incident(u, "null");
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct watch_upload *u = arg;

	(void)fd, (void)what;
	if (u->stream != NULL)
		answer_put(u, "null");
}

static void on_counted(void *arg, enum err e)
{
	struct watch_upload *u = arg;
	bool waits = u->stream != NULL && evtimer_pending(u->timeout, NULL);
	char text[24] = "null";

	if (e == ERR_OK)
		snprintf(text, sizeof text, "%zu",
		    count_list(u->count, u->place)->not_covered);
	count_free(u->count);
	u->count = NULL;
	event_del(u->timeout);
	if (waits)
		answer_put(u, text);
	else if (u->stream == NULL)
		watch_upload_free(u);
}

/* Of the list as it is now.  False: there is none, or no memory. */
static bool count(struct watch_upload *u)
{
	struct count_want want = {.context = u->context, .done = on_counted, .arg = u};
	const struct inventory *v = ledger_inventory(u->context->shared);

	u->place = 0;
	while (u->place < v->n && strcmp(v->list[u->place]->name, u->job.name) != 0)
		u->place++;
	if (u->place == v->n)
		return false;
	u->timeout = evtimer_new(u->context->base, on_timeout, u);
	if (u->timeout == NULL || !timer_arm(u->timeout, UPLOAD_COUNT_MS))
		return false;
	u->count = count_of_lists(&want, v, u->place, u->place + 1);
	if (u->count == NULL)
		event_del(u->timeout);
	return u->count != NULL;
}

static void answer(struct watch_upload *u)
{
	struct refusal r = {0};

	if (u->job.foreign)
		refusal_of_files(&r, u->job.name);
	else if (u->job.error == ERR_NOT_FOUND)
		refusal_of_list(&r, u->context);
	else if (u->job.error != ERR_OK)
		refusal_of_job(&r, u->context, &u->job);
	if (r.status > 0)
		refuse(u, &r);
	else if (u->incident != NULL)
		count_incident(u);
	else if (!count(u))
		answer_put(u, "null");
}

static void tell_written(const struct watch_upload *u)
{
	const struct ledger_job *j = &u->job;

	if (u->incident != NULL)
		log_each(LOG_INFO, "incident_changed", "incident=%s serials=%zu new=%s",
		    incident_upload_name(u->incident), j->certificates - 1,
		    j->added ? "true" : "false");
	else
		log_each(LOG_INFO, "watchlist_changed",
		    "watchlist=%s certificates=%zu new=%s", j->name, j->certificates,
		    j->added ? "true" : "false");
}

static void on_written(void *arg, struct ledger_job *j)
{
	struct watch_upload *u = arg;

	assert(u->writing && u->context->away > 0);
	u->writing = false;
	u->context->away--;
	if (j->error == ERR_OK && !j->foreign) {
		u->status = j->added ? 201 : 200;
		metrics_count(u->context->counters, M_UPLOADS_APPLIED);
		tell_written(u);
		if (u->incident != NULL)
			notices_mine(
			    u->context->notices, incident_upload_name(u->incident));
	}
	if (u->stream == NULL)
		watch_upload_free(u);
	else
		answer(u);
}

static void on_end(void *arg, struct stream *s)
{
	struct watch_upload *u = arg;

	assert(!u->writing);
	if (!may_begin(u, s))
		return;
	if (!watch_body_end(u->body)) {
		refuse_body(u);
		return;
	}
	u->job.draft = u->draft;
	u->job.done = on_written;
	u->job.arg = u;
	u->draft = NULL;
	drop_reader(u);
	u->writing = true;
	u->context->away++;
	share_change(u->context, &u->job);
}

static void on_closed(void *arg)
{
	struct watch_upload *u = arg;

	u->stream = NULL;
	if (!u->writing && !u->counting && u->count == NULL)
		watch_upload_free(u);
}

/* Beginning. */

static void make_reader(struct watch_upload *u, const struct watch_order *o)
{
	struct watch_want want = {.format = o->format,
	    .base = o->base,
	    .map = o->map,
	    .each = on_cert,
	    .arg = u};

	u->known = known_ref(u->context->known);
	want.issuers = u->known->index;
	want.issuer_optional = u->incident != NULL;
	u->body = watch_body_new(&want);
	u->draft = watch_draft_new(ledger_dir(u->context->ledger));
	if (u->incident != NULL && u->draft != NULL)
		u->draft_error = incident_upload_begin(u->incident, u->draft);
}

/* What an order says besides.  False: out of memory. */
static bool take_incident(struct watch_upload *u, struct watch_order *o)
{
	if (o->what != WATCH_ORDER_INCIDENT) {
		memcpy(u->job.name, o->name, sizeof u->job.name);
		return true;
	}
	incident_key(u->job.name, o->name);
	u->job.source = WATCH_INCIDENT;
	u->incident = incident_upload_new(u->context, o->about, o->access);
	o->about = NULL;
	return u->incident != NULL;
}

static const struct stream_sink sink = {on_body, on_end, on_closed};

void watch_upload_open(struct watch_context *context, struct watch_order *o)
{
	struct watch_upload *u = calloc(1, sizeof *u);

	if (u == NULL) {
		watch_order_drop(context, o);
		return;
	}
	u->context = context;
	u->access = o->access;
	u->audit = o->audit;
	u->slice = o->format == WATCH_PEM ? SLICE_PEM : SLICE_LINES;
	u->job.what = o->what == WATCH_ORDER_ADD ? LEDGER_ADD : LEDGER_PUT;
	if (!take_incident(u, o)) {
		free(u);
		watch_order_drop(context, o);
		return;
	}
	make_reader(u, o);
	if (stream_open(context->streams, &o->taken, &sink, u) == NULL)
		watch_upload_free(u);
}
