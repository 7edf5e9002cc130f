/* bulk_status.c - a batch of rows, then their lines. */
#include "proxy/watch/bulk_status.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/json_line.h"
#include "proxy/base/timer.h"
#include "proxy/http/stream.h"
#include "proxy/watch/known.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/refusal.h"
#include "proxy/watch/verdicts.h"

#define SLICE_PEM   (16 * 1024) /* as an upload's */
#define SLICE_LINES (64 * 1024)
#define LINES_TURN  4096 /* that are made in one turn */
/* A batch waits for more of the body so long, where that pays longer, and no longer than
 * that in all: a client that waits for an answer to what he has sent gets it, and a slow
 * body is told as it goes. */
#define QUIET_MS   2
#define GATHER_MS  500
#define QUIET_ROWS 2048 /* that are worth waiting for, for each ms more */

/* A line of the answer.  Texts stand in the batch's, as strings of JSON. */
struct bulk_row {
	bool bad;
	enum watch_bad code; /* bad */
	uint64_t line;       /* bad */
	size_t text, text_n; /* bad: why; else the issuer's name, where none is configured
			      */
};

struct bulk_status {
	struct watch_context *context;
	struct stream *stream;
	struct known *known;
	struct access *access;
	struct watch_issuers *seen; /* NULL: all of known */
	struct watch_body *body;
	struct verdicts *verdicts; /* a certificate for each row that is not bad */
	struct bulk_row *row;
	size_t n, room, slice;
	size_t told, verdict; /* rows that have their lines, verdicts of these */
	struct event *quiet;
	int64_t since; /* the first of the batch came; monotonic ms */
	struct json_line texts, out;
	bool failed; /* out of memory, in a batch */
	bool over;   /* the body has ended, well or not */
	bool closed;
};

static void bulk_free(struct bulk_status *b)
{
	if (b->quiet != NULL)
		event_free(b->quiet);
	watch_body_free(b->body);
	verdicts_free(b->verdicts);
	watch_issuers_free(b->seen);
	known_unref(b->known);
	access_upload_end(b->access);
	access_unref(b->access);
	free(b->row);
	free(b->texts.p);
	free(b->out.p);
	free(b);
}

/* Rows. */

static struct bulk_row *row_new(struct bulk_status *b)
{
	size_t room = b->room > 0 ? 2 * b->room : 256;
	struct bulk_row *p;

	if (b->n == b->room) {
		p = realloc(b->row, room * sizeof *p);
		if (p == NULL) {
			b->failed = true;
			return NULL;
		}
		b->row = p;
		b->room = room;
	}
	p = &b->row[b->n++];
	*p = (struct bulk_row){.text = b->texts.n};
	return p;
}

static void row_text(struct bulk_status *b, struct bulk_row *r, struct bytes text)
{
	r->text = b->texts.n;
	json_put_string(&b->texts, text);
	r->text_n = b->texts.n - r->text;
}

static bool on_cert(void *arg, const struct watch_cert *c)
{
	struct bulk_status *b = arg;
	const char *issuer = c->configured != NULL ? c->configured->name : "";
	struct bulk_row *r = row_new(b);

	if (issuer[0] != '\0' &&
	    !access_certificate(
		b->access, ledger_inventory(b->context->shared), issuer, &c->serial))
		issuer = "";
	if (r == NULL || !verdicts_add(b->verdicts, issuer, &c->serial)) {
		b->failed = true;
		return false;
	}
	if (issuer[0] == '\0' && c->issuer_name.n > 0)
		row_text(b, r, c->issuer_name);
	return true;
}

static bool on_bad(void *arg, const struct watch_error *e)
{
	struct bulk_status *b = arg;
	struct bulk_row *r;

	if (e->code == WATCH_STOPPED)
		return false;
	r = row_new(b);
	if (r == NULL)
		return false;
	r->bad = true;
	r->code = e->code;
	r->line = e->line;
	row_text(b, r, bytes_of(e->why, strlen(e->why)));
	return true;
}

/* Lines. */

static void put_row_text(struct bulk_status *b, const struct bulk_row *r)
{
	if (r->text_n > 0)
		json_put_bytes(&b->out, b->texts.p + r->text, r->text_n);
	else
		json_put(&b->out, "null");
}

static void put_bad(struct bulk_status *b, const struct bulk_row *r)
{
	json_put(&b->out, "{\"error\":{\"code\":");
	json_put_text(&b->out, watch_bad_label(r->code));
	json_put(&b->out, ",\"message\":");
	put_row_text(b, r);
	json_put(&b->out, "},\"line\":");
	json_put_number(&b->out, r->line);
	json_put(&b->out, "}\n");
}

static void put_verdict(struct bulk_status *b, const struct bulk_row *r, size_t i)
{
	struct json_line *l = &b->out;
	const char *issuer = verdicts_issuer(b->verdicts, i);
	char serial[SERIAL_HEX_MAX];
	struct evidence e;

	verdicts_at(b->verdicts, i, &e);
	serial_to_hex(verdicts_serial(b->verdicts, i), serial);
	json_put(l, "{\"issuer\":");
	json_put_text(l, issuer[0] != '\0' ? issuer : NULL);
	if (issuer[0] == '\0') {
		json_put(l, ",\"issuer_name\":");
		put_row_text(b, r);
	}
	json_put(l, ",\"serial\":\"");
	json_put(l, serial);
	json_put(l, "\",\"status\":\"");
	json_put(l, status_name(e.status));
	if (e.status == STATUS_REVOKED) {
		json_put(l, "\",\"revoked_at\":");
		json_put_time(l, e.revoked_at);
		json_put(l, ",\"reason\":");
		json_put_text(l, reason_name(e.reason));
		json_put(l, "}\n");
	} else {
		json_put(l, "\",\"revoked_at\":null,\"reason\":null}\n");
	}
}

/* As many as a turn makes. */
static void put_lines(struct bulk_status *b)
{
	size_t end = b->n - b->told < LINES_TURN ? b->n : b->told + LINES_TURN;

	b->out.n = 0;
	for (; b->told < end; b->told++) {
		const struct bulk_row *r = &b->row[b->told];

		if (r->bad)
			put_bad(b, r);
		else
			put_verdict(b, r, b->verdict++);
	}
}

static void batch_clear(struct bulk_status *b)
{
	metrics_add(b->context->counters, M_BULK_STATUS, b->n);
	verdicts_clear(b->verdicts);
	b->n = b->texts.n = b->told = b->verdict = 0;
	b->since = 0;
}

static void fail(struct bulk_status *b, enum err e)
{
	struct refusal r;

	refusal_of_err(&r, b->context, e);
	stream_error(b->stream, r.status, r.code, r.message);
	b->over = true;
}

/* The keeper has said what it knows of this batch. */
static void on_verdicts(void *arg)
{
	struct bulk_status *b = arg;
	enum err e = verdicts_error(b->verdicts);

	if (b->closed) {
		bulk_free(b);
		return;
	}
	if (e == ERR_OK && !b->texts.failed)
		put_lines(b);
	else
		b->failed = true;
	if (b->failed || b->out.failed) {
		batch_clear(b);
		fail(b, e != ERR_OK ? e : ERR_NOMEM);
		return;
	}
	stream_write(b->stream, bytes_of(b->out.p, b->out.n));
	if (b->told < b->n) {
		verdicts_later(b->verdicts);
		return;
	}
	batch_clear(b);
	if (b->over)
		stream_finish(b->stream);
	else
		stream_resume(b->stream);
}

/* The body. */

static void begin(struct bulk_status *b, struct stream *s)
{
	if (b->stream != NULL)
		return;
	b->stream = s;
	stream_begin(s, "application/x-ndjson");
}

/* The body is bad as a whole, or cannot be read any further.  Some of that is told to
 * on_bad() by itself. */
static void end_badly(struct bulk_status *b)
{
	const struct watch_error *e = watch_body_error(b->body);
	const struct bulk_row *last = b->n > 0 ? &b->row[b->n - 1] : NULL;

	b->over = true;
	if (e->code == WATCH_STOPPED || e->code == WATCH_NOMEM)
		b->failed = true;
	else if (last == NULL || !last->bad || last->code != e->code ||
		 last->line != e->line)
		on_bad(b, e);
}

/* Ask the keeper for what came; well: the body is, so far. */
static void ask(struct bulk_status *b, bool well)
{
	event_del(b->quiet);
	if (!well)
		end_badly(b);
	if (b->failed) {
		fail(b, ERR_NOMEM);
		return;
	}
	if (b->n > 0) {
		stream_pause(b->stream);
		verdicts_ask(b->verdicts);
	} else if (b->over) {
		stream_finish(b->stream);
	}
}

/* Whom the lists leave unknown is looked for in every watchlist, which costs hardly more
 * for thousands than for one. */
static bool is_enough(struct bulk_status *b)
{
	size_t worth = verdicts_worth(b->verdicts);
	int64_t now = clock_mono_ms();

	if (b->n == 0)
		return false;
	if (b->since == 0)
		b->since = now;
	return b->n >= worth || now >= b->since + GATHER_MS ||
	       !timer_arm(b->quiet, QUIET_MS + (int64_t)(worth / QUIET_ROWS));
}

static void on_quiet(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	ask(arg, true);
}

static size_t on_body(void *arg, struct stream *s, struct bytes piece)
{
	struct bulk_status *b = arg;
	bool well;

	begin(b, s);
	if (b->over)
		return piece.n;
	if (verdicts_are_asked(b->verdicts))
		return 0;
	if (piece.n > b->slice)
		piece.n = b->slice;
	well = watch_body_feed(b->body, piece);
	if (!well || is_enough(b))
		ask(b, well);
	return piece.n;
}

static void on_end(void *arg, struct stream *s)
{
	struct bulk_status *b = arg;
	bool well;

	begin(b, s);
	if (b->over)
		return;
	assert(!verdicts_are_asked(b->verdicts));
	well = watch_body_end(b->body);
	b->over = true;
	ask(b, well);
}

static void on_closed(void *arg)
{
	struct bulk_status *b = arg;

	b->closed = true;
	event_del(b->quiet);
	if (!verdicts_are_asked(b->verdicts))
		bulk_free(b);
}

/* The issuers that there are for who asks. */
static bool narrow(struct bulk_status *b)
{
	const struct inventory *v = ledger_inventory(b->context->shared);
	const struct issuers *all = b->known->issuers;
	const struct issuer **list = calloc(issuers_count(all) + 1, sizeof *list);
	size_t n = 0;

	if (list == NULL)
		return false;
	for (size_t i = 0; i < issuers_count(all); i++)
		if (access_issuer_watched(b->access, v, issuers_at(all, i)->name))
			list[n++] = issuers_at(all, i);
	b->seen = watch_issuers_new(list, n);
	free(list);
	return b->seen != NULL;
}

static const struct stream_sink sink = {on_body, on_end, on_closed};

static bool make(struct bulk_status *b, const struct watch_order *o)
{
	struct watch_want want = {.format = o->format,
	    .base = o->base,
	    .map = o->map,
	    .each = on_cert,
	    .bad = on_bad,
	    .arg = b};

	b->slice = o->format == WATCH_PEM ? SLICE_PEM : SLICE_LINES;
	b->quiet = evtimer_new(b->context->base, on_quiet, b);
	b->known = known_ref(b->context->known);
	if (access_is_narrow(b->access) && !narrow(b))
		return false;
	want.issuers = b->seen != NULL ? b->seen : b->known->index;
	b->body = watch_body_new(&want);
	b->verdicts = verdicts_new(b->context, on_verdicts, b);
	if (b->verdicts != NULL)
		verdicts_wait(b->verdicts,
		    clock_mono_ms() + shared_conf(b->context->shared)->answer_timeout_ms);
	return b->quiet != NULL && b->body != NULL && b->verdicts != NULL;
}

void bulk_status_open(struct watch_context *context, struct watch_order *o)
{
	struct bulk_status *b = calloc(1, sizeof *b);

	if (b != NULL) {
		b->context = context;
		b->access = o->access;
	}
	if (b == NULL || !make(b, o)) {
		watch_order_drop(context, o);
		if (b != NULL) {
			b->access = NULL; /* went with o */
			bulk_free(b);
		}
		return;
	}
	if (stream_open(context->streams, &o->taken, &sink, b) == NULL)
		bulk_free(b);
}
