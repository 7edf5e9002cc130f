/* stream.c - one exchange: what of the body is here goes to the sink, what the sink has
 * said goes out, and settle() is the tail of every way in: it writes, tells the sink that
 * it is over, decides what to sleep for, and alone shuts, arms and frees.
 *
 *	the body   read into `in`, undecoded from in_at on; `piece` is decoded, in `in`,
 *	           and not taken yet
 *	the answer in `out` from `at` on; its last chunk is open, so that many short lines
 *	           become one
 *
 * What a function that the sink calls changes is acted on in settle(), or in the loop's
 * next turn where it was called from elsewhere.
 */
#include "proxy/http/stream.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"
#include "proxy/base/clock.h"
#include "proxy/base/metrics.h"
#include "proxy/base/timer.h"
#include "proxy/http/api_reply.h"
#include "proxy/http/outgoing.h"
#include "proxy/http/pace.h"

#define STREAM_MAGIC 0x7374726du
#define IN_SIZE      (64 * 1024) /* of one read, and so of a turn */
#define TICK_MAX_MS  250
#define TICK_MIN_MS  10

/* What a stream waits for, and so which deadline it has. */
enum stream_wait {
	STREAM_SINK, /* none of ours: the sink goes on in time */
	STREAM_BODY,
	STREAM_WRITE,
	STREAM_OWED, /* as for a body or the end, but the kernel still has what is not
			taken */
	STREAM_LINGER,
};

struct stream {
	struct event ev;
	struct event turn; /* something is to be done without the socket's being ready */
	unsigned magic;    /* STREAM_MAGIC: libevent hands us a void pointer */
	short armed;
	uint8_t wait; /* enum stream_wait */
	uint8_t minor;
	bool chunked; /* the body is */
	bool whole;   /* all of the body has been decoded */
	bool ended;   /* ... and the sink told */
	bool paused;
	bool begun;    /* an answer piece by piece */
	bool answered; /* nothing is added to the answer any more */
	bool broken;   /* ... which is not whole */
	bool shut;     /* our side is: what comes is dropped */
	bool gone;     /* nothing more is to be done */
	bool busy;     /* in a callback of ours, whose tail settles */
	struct streams *all;
	LIST_ENTRY(stream) link;
	const struct stream_sink *sink; /* NULL: closed() was called */
	void *arg;
	uint64_t left;  /* of a sized body, not decoded */
	uint64_t taken; /* of a chunked one, decoded */
	struct http1_chunked chunk;
	char *in;
	size_t in_at, in_n;
	struct bytes piece;
	struct outgoing out;
	int64_t since; /* start of what it waits for; monotonic ms */
	struct pace pace;
	uint64_t dropped; /* bytes, while lingering */
};

struct streams {
	struct event_base *base;
	struct counters *counters;
	struct stream_limits limits;
	struct event tick;
	int64_t tick_ms;
	LIST_HEAD(, stream) list;
	size_t count;
	bool draining;
	_Atomic int places; /* reserved */
	_Atomic int places_max;
};

/* Out. */

static bool out_has(const struct stream *s)
{
	return outgoing_left(&s->out) > 0;
}

/* The answer ends where it is, and is not whole. */
static void break_off(struct stream *s)
{
	s->answered = true;
	s->broken = true;
}

static void out_put(struct stream *s, struct bytes text)
{
	if (!outgoing_put(&s->out, text.p, text.n))
		break_off(s);
}

/* The sink's functions. */

static void wake(struct stream *s)
{
	assert(s->magic == STREAM_MAGIC && s->sink != NULL);
	if (!s->busy && !event_pending(&s->turn, EV_TIMEOUT, NULL))
		timer_arm(&s->turn, 0);
}

void stream_pause(struct stream *s)
{
	assert(s->magic == STREAM_MAGIC && s->sink != NULL);
	s->paused = true;
}

void stream_resume(struct stream *s)
{
	s->paused = false;
	wake(s);
}

/* Has the answer room for more?  Asked between lines, not kept to the byte. */
static bool has_room(const struct stream *s)
{
	return outgoing_left(&s->out) < STREAM_OUT_MAX;
}

void stream_answer(
    struct stream *s, int status, const char *type, const char *more, struct bytes body)
{
	char head[API_HEAD_MAX], length[48] = "";
	struct bytes text;

	assert(!s->begun || s->answered);
	if (s->answered)
		return;
	if (status != 204)
		snprintf(length, sizeof length, "Content-Length: %zu\r\n", body.n);
	text = api_reply_head(head, status, type, more, length, "Connection: close\r\n");
	s->answered = true;
	out_put(s, text);
	if (!s->broken)
		out_put(s, body);
	wake(s);
}

void stream_error(struct stream *s, int status, const char *code, const char *message)
{
	static const char none[] =
	    "{\"error\":{\"code\":\"internal\",\"message\":\"out of memory\"}}\n";
	json_t *body = s->begun ? NULL : api_error_json(code, message);
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	size_t n = text != NULL ? strlen(text) : 0;

	if (s->begun) {
		break_off(s);
		wake(s);
	} else if (text == NULL) {
		stream_answer(s, 500, API_JSON, NULL, bytes_of(none, sizeof none - 1));
	} else {
		text[n] = '\n'; /* in the place of the NUL */
		stream_answer(s, status, API_JSON,
		    status == 503 ? "Retry-After: 5\r\n" : NULL, bytes_of(text, n + 1));
	}
	free(text);
	json_decref(body);
}

void stream_begin(struct stream *s, const char *type)
{
	char head[API_HEAD_MAX];
	struct bytes text = api_reply_head(head, 200, type, NULL,
	    s->minor > 0 ? "Transfer-Encoding: chunked\r\n" : "",
	    "Connection: close\r\n");

	assert(!s->begun || s->answered);
	if (s->answered)
		return;
	s->begun = true;
	out_put(s, text);
	wake(s);
}

void stream_write(struct stream *s, struct bytes text)
{
	assert(s->begun || s->answered);
	if (s->answered)
		return;
	if (s->minor == 0)
		out_put(s, text);
	else if (!outgoing_chunk(&s->out, text))
		break_off(s);
	wake(s);
}

void stream_finish(struct stream *s)
{
	assert(s->begun || s->answered);
	if (s->answered)
		return;
	s->answered = true;
	if (s->minor > 0 && !outgoing_chunk_last(&s->out))
		break_off(s);
	wake(s);
}

/* The body. */

static bool may_feed(const struct stream *s)
{
	return !s->answered && !s->ended && !s->paused && !s->gone && has_room(s);
}

static bool has_undecoded(const struct stream *s)
{
	return s->in_at < s->in_n;
}

static bool wants_more(const struct stream *s)
{
	return may_feed(s) && !s->whole && s->piece.n == 0 && !has_undecoded(s);
}

static bool sized_next(struct stream *s)
{
	uint64_t n = s->in_n - s->in_at;

	if (n > s->left)
		n = s->left;
	s->piece = bytes_of(s->in + s->in_at, (size_t)n);
	s->in_at += (size_t)n;
	s->left -= n;
	s->whole = s->left == 0;
	return n > 0;
}

static bool chunked_next(struct stream *s)
{
	const uint64_t limit = s->all->limits.body;
	int end = 0;

	do {
		size_t used;

		end = http1_chunked_feed(
		    &s->chunk, s->in + s->in_at, s->in_n - s->in_at, &used, &s->piece);
		s->in_at += used;
		s->taken += s->piece.n;
	} while (end == 0 && s->piece.n == 0 && has_undecoded(s));
	s->whole = end == 1;
	if (end > 1)
		stream_error(s, end, "bad_request", "body: not chunked as it should be");
	else if (s->taken > limit || s->chunk.left > limit - s->taken)
		stream_error(s, 413, "too_large", "body: longer than upload-max-size");
	if (s->answered)
		s->piece.n = 0;
	return s->piece.n > 0;
}

/* Was the body decoded to its end before it was ours? */
static bool chunk_is_last(struct stream *s)
{
	size_t used;
	struct bytes none;

	return http1_chunked_feed(&s->chunk, "", 0, &used, &none) == 1;
}

/* Is there a piece that the sink has not taken? */
static bool piece_next(struct stream *s)
{
	if (s->piece.n > 0)
		return true;
	if (s->whole)
		return false;
	return s->chunked ? chunked_next(s) : sized_next(s);
}

/* What is here of the body goes to the sink, as long as it takes it. */
static void feed(struct stream *s)
{
	while (may_feed(s) && piece_next(s)) {
		size_t used = s->sink->body(s->arg, s, s->piece);

		assert(used <= s->piece.n);
		s->piece = bytes_of(s->piece.p + used, s->piece.n - used);
		if (s->piece.n > 0)
			return; /* later, and others in between */
	}
	if (may_feed(s) && s->whole) {
		s->ended = true;
		s->sink->end(s->arg, s);
	}
}

static void receive(struct stream *s)
{
	ssize_t n = read(event_get_fd(&s->ev), s->in, IN_SIZE);

	assert(wants_more(s));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		s->gone = true;
		return;
	}
	s->in_at = 0;
	s->in_n = (size_t)n;
	s->since = clock_mono_ms();
	if (s->wait == STREAM_OWED)
		s->wait = STREAM_BODY;
	feed(s);
}

/* Nothing that was read stays longer than the sink needs it: it may have a private key in
 * it. */
static void wipe(struct stream *s)
{
	if (s->answered || s->gone)
		s->piece.n = 0, s->in_at = s->in_n;
	if (s->piece.n > 0 || has_undecoded(s) || s->in_n == 0)
		return;
	explicit_bzero(s->in, s->in_n);
	s->in_at = s->in_n = 0;
}

static void drop(struct stream *s)
{
	ssize_t n = read(event_get_fd(&s->ev), s->in, IN_SIZE);

	assert(s->shut);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		explicit_bzero(s->in, (size_t)n);
		s->dropped += (uint64_t)n;
	}
	s->gone = n <= 0 || s->dropped >= s->all->limits.linger_bytes;
}

/* The tail of every way in. */

static void write_out(struct stream *s)
{
	ssize_t n = outgoing_write(&s->out, event_get_fd(&s->ev));

	if (n < 0) {
		s->gone = true;
		return;
	}
	metrics_add(s->all->counters, M_BYTES_OUT, (uint64_t)n);
	pace_gave(&s->pace, (size_t)n);
}

static void sink_close(struct stream *s)
{
	const struct stream_sink *sink = s->sink;

	if (sink == NULL)
		return;
	s->sink = NULL;
	sink->closed(s->arg);
}

static void stream_destroy(struct stream *s)
{
	struct streams *all = s->all;

	assert(s->magic == STREAM_MAGIC && all->count > 0);
	s->busy = true;
	s->gone = true;
	sink_close(s);
	wipe(s);
	event_del(&s->ev);
	event_del(&s->turn);
	close(event_get_fd(&s->ev));
	metrics_count(all->counters, M_CONN_CLOSED);
	LIST_REMOVE(s, link);
	if (--all->count == 0)
		event_del(&all->tick);
	streams_release(all);
	free(s->in);
	outgoing_free(&s->out);
	s->magic = 0;
	free(s);
}

/* What the kernel has not sent is not to be offered any more, and the client sees that it
 * was cut off. */
static void cut(struct stream *s)
{
	struct linger hard = {.l_onoff = 1, .l_linger = 0};

	setsockopt(event_get_fd(&s->ev), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	s->gone = true;
}

/* The answer has gone: shut our side, and see to it that it arrives. */
static void close_begin(struct stream *s)
{
	const struct stream_limits *m = &s->all->limits;

	s->shut = true;
	if (s->broken && (s->minor == 0 || !s->begun))
		cut(s); /* an end would look like the answer's */
	else if (m->linger_ms == 0 || m->linger_bytes == 0 ||
		 shutdown(event_get_fd(&s->ev), SHUT_WR) != 0)
		s->gone = true;
}

static short want_of(const struct stream *s)
{
	short want = 0;

	if (out_has(s))
		want |= EV_WRITE;
	if (s->shut || wants_more(s))
		want |= EV_READ;
	return want;
}

static void on_event(evutil_socket_t fd, short what, void *arg);

static bool arm(struct stream *s)
{
	short want = want_of(s);

	if (want == s->armed)
		return true;
	event_del(&s->ev);
	s->armed = want;
	if (want == 0)
		return true;
	return event_assign(&s->ev, s->all->base, event_get_fd(&s->ev), want | EV_PERSIST,
		   on_event, s) == 0 &&
	       event_add(&s->ev, NULL) == 0;
}

static enum stream_wait wait_of(const struct stream *s)
{
	if (wants_more(s)) /* who sends is not late, whatever he has not taken */
		return s->wait == STREAM_OWED ? STREAM_OWED : STREAM_BODY;
	if (out_has(s))
		return STREAM_WRITE;
	if (s->shut)
		return s->wait == STREAM_OWED ? STREAM_OWED : STREAM_LINGER;
	return STREAM_SINK;
}

static void wait_begin(struct stream *s, enum stream_wait w)
{
	s->wait = (uint8_t)w;
	s->since = clock_mono_ms();
	if (w == STREAM_WRITE || w == STREAM_OWED)
		pace_begin(&s->pace, s->since);
}

static void settle(struct stream *s)
{
	enum stream_wait w;

	wipe(s);
	if (!outgoing_chunk_close(&s->out))
		break_off(s);
	if (out_has(s) && !s->gone)
		write_out(s);
	if (s->answered)
		sink_close(s);
	if (s->answered && !out_has(s) && !s->shut && !s->gone)
		close_begin(s);
	s->busy = false;
	if (s->gone || !arm(s)) {
		stream_destroy(s);
		return;
	}
	/* What is here already needs no socket to go on. */
	if (may_feed(s) && (s->piece.n > 0 || has_undecoded(s) || s->whole))
		wake(s);
	w = wait_of(s);
	if (w != s->wait)
		wait_begin(s, w);
}

/* The ways in. */

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	assert(s->magic == STREAM_MAGIC);
	s->busy = true;
	if ((what & EV_READ) != 0 && s->shut)
		drop(s);
	else if ((what & EV_READ) != 0 && wants_more(s))
		receive(s);
	settle(s);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd, (void)what;
	assert(s->magic == STREAM_MAGIC);
	s->busy = true;
	feed(s);
	settle(s);
}

/* Is what s owes its client still taken? */
static void look(struct stream *s, int64_t now)
{
	bool in_time = pace_look(
	    &s->pace, event_get_fd(&s->ev), now, s->all->limits.write_ms, PACE_ANSWER);

	if (s->wait == STREAM_OWED && s->pace.owed == 0 && !out_has(s)) {
		if (s->shut)
			s->gone = true; /* it has lingered for long enough */
		else
			wait_begin(s, STREAM_BODY); /* it has all, and may go on */
	} else if (!in_time) {
		metrics_count(s->all->counters, M_CONN_TIMEOUT);
		cut(s);
	}
}

/* Nothing of the body, or no end, has come in time. */
static void expire(struct stream *s)
{
	int64_t owed = pace_owed(event_get_fd(&s->ev));

	if (owed > 0 || out_has(s)) {
		wait_begin(s, STREAM_OWED); /* it is busy with what we sent */
		s->pace.owed = owed;
	} else if (s->shut) {
		s->gone = true;
	} else {
		metrics_count(s->all->counters, M_CONN_TIMEOUT);
		stream_error(
		    s, 408, "timeout", "body: nothing of it came for body-timeout");
	}
}

static void check(struct stream *s, int64_t now)
{
	const struct stream_limits *m = &s->all->limits;

	if ((s->wait == STREAM_WRITE || s->wait == STREAM_OWED) &&
	    pace_due(&s->pace, m->write_ms) <= now)
		look(s, now);
	else if (s->wait == STREAM_BODY && now - s->since >= m->body_ms)
		expire(s);
	else if (s->wait == STREAM_LINGER && now - s->since >= m->linger_ms)
		expire(s);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct streams *all = arg;
	int64_t now = clock_mono_ms();
	struct stream *s, *next;

	(void)fd, (void)what;
	for (s = LIST_FIRST(&all->list); s != NULL; s = next) {
		next = LIST_NEXT(s, link);
		s->busy = true;
		check(s, now);
		settle(s);
	}
}

/* Making. */

static int64_t tick_for(const struct stream_limits *m)
{
	const int64_t ms[] = {m->body_ms, m->write_ms, m->linger_ms};
	int64_t tick = TICK_MAX_MS;

	for (size_t i = 0; i < sizeof ms / sizeof ms[0]; i++)
		if (ms[i] > 0 && ms[i] / 4 < tick)
			tick = ms[i] / 4;
	return tick < TICK_MIN_MS ? TICK_MIN_MS : tick;
}

static bool start(struct stream *s, const struct conn_taken *t)
{
	struct streams *all = s->all;

	s->in = malloc(t->body.n > IN_SIZE ? t->body.n : IN_SIZE);
	if (s->in == NULL ||
	    event_assign(&s->ev, all->base, t->fd, EV_READ, on_event, s) != 0 ||
	    evtimer_assign(&s->turn, all->base, on_turn, s) != 0 ||
	    (all->count == 0 && !timer_arm(&all->tick, all->tick_ms)))
		return false;
	if (t->body.n > 0)
		memcpy(s->in, t->body.p, t->body.n);
	s->piece = bytes_of(s->in, t->body.n);
	s->in_at = s->in_n = t->body.n;
	s->wait = STREAM_SINK;
	return timer_arm(&s->turn, 0);
}

/* What can be said before any of the body is looked at. */
static void greet(struct stream *s, const struct conn_taken *t)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const uint64_t limit = s->all->limits.body;

	s->whole = s->chunked ? chunk_is_last(s) : s->left == 0;
	if (s->all->draining)
		stream_error(s, 503, "unavailable", "ocspcached is stopping");
	else if (t->body.n > limit ||
		 (t->chunked ? t->chunk.left : t->left) > limit - t->body.n)
		stream_error(s, 413, "too_large", "body: longer than upload-max-size");
	else if (t->go_on && !s->whole)
		out_put(s, bytes_of(go_on, sizeof go_on - 1));
}

struct stream *stream_open(
    struct streams *all, struct conn_taken *t, const struct stream_sink *sink, void *arg)
{
	struct stream *s = calloc(1, sizeof *s);

	if (s == NULL)
		goto fail;
	s->magic = STREAM_MAGIC;
	s->all = all;
	s->sink = sink;
	s->arg = arg;
	s->minor = t->minor;
	s->chunked = t->chunked;
	s->left = t->left;
	s->taken = t->body.n;
	s->chunk = t->chunk;
	if (!start(s, t))
		goto fail;
	LIST_INSERT_HEAD(&all->list, s, link);
	all->count++;
	greet(s, t);
	conn_taken_wipe(t);
	return s;

fail:
	if (all->count == 0)
		event_del(&all->tick);
	if (s != NULL)
		free(s->in);
	free(s);
	conn_taken_drop(t);
	metrics_count(all->counters, M_CONN_CLOSED);
	streams_release(all);
	return NULL;
}

bool streams_reserve(struct streams *all)
{
	if (atomic_fetch_add(&all->places, 1) < atomic_load(&all->places_max))
		return true;
	streams_release(all);
	return false;
}

void streams_release(struct streams *all)
{
	int before = atomic_fetch_sub(&all->places, 1);

	assert(before > 0);
	(void)before;
}

struct stream_limits stream_limits_of(const struct conf *c)
{
	return (struct stream_limits){
	    .body_ms = c->body_timeout_ms,
	    .write_ms = c->write_timeout_ms,
	    .linger_ms = c->linger_timeout_ms,
	    .linger_bytes = (uint64_t)c->linger_size,
	    .body = (uint64_t)c->upload_max_size,
	    .places = (int)c->max_uploads,
	};
}

void streams_limits(struct streams *all, const struct stream_limits *limits)
{
	all->limits = *limits;
	all->tick_ms = tick_for(limits);
	if (!all->draining)
		atomic_store(&all->places_max, limits->places);
	/* A timer that cannot be added again now (out of memory) still runs. */
	if (all->count > 0)
		timer_arm(&all->tick, all->tick_ms);
}

struct streams *streams_new(struct event_base *base, const struct stream_limits *limits,
    struct counters *counters)
{
	struct streams *all = calloc(1, sizeof *all);

	if (all == NULL)
		return NULL;
	all->base = base;
	all->counters = counters;
	LIST_INIT(&all->list);
	if (event_assign(&all->tick, base, -1, EV_PERSIST, on_tick, all) != 0) {
		free(all);
		return NULL;
	}
	streams_limits(all, limits);
	return all;
}

void streams_drain(struct streams *all)
{
	struct stream *s;

	all->draining = true;
	atomic_store(&all->places_max, 0);
	LIST_FOREACH(s, &all->list, link)
		if (!s->ended && !s->answered)
			stream_error(s, 503, "unavailable", "ocspcached is stopping");
}

void streams_free(struct streams *all)
{
	if (all == NULL)
		return;
	while (!LIST_EMPTY(&all->list))
		stream_destroy(LIST_FIRST(&all->list));
	event_del(&all->tick);
	free(all);
}

size_t streams_count(const struct streams *all)
{
	return all->count;
}
