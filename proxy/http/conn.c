/* conn.c - client connections: a state, a step function per state, one event.
 *
 *	READING    collects requests and hands them to the handler
 *	ANSWERING  inside handler->request(), nowhere else
 *	PARKED     the answer comes later; looks out for a reset only
 *	LINGERING  our side is shut; reads and drops
 *	CLOSED     freed by finish(), nowhere else
 *
 * An answer that the socket has not taken (c->out, then c->file) comes before the state:
 * as long as there is one, the connection waits to write and reads nothing.  So a client
 * that sends requests and takes no answers holds one read's bytes and their answers, no
 * more.
 *
 * Answers are gathered in the loop (struct gathered), of one connection at a time, and
 * none is left there when a callback ends.  finish() is the tail of every way in: it
 * flushes, decides what to sleep for, and alone arms, disarms and frees.
 *
 * Deadlines stand in a wheel of slots, one for each tick of the timer.  A connection is
 * looked at when its slot comes and moves on when its deadline was put off meanwhile, so
 * a request on a live connection costs one store.  (One queue for each kind of deadline
 * would be found late by up to twice its length once activity only notes the time.)
 */
#include "proxy/http/conn.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cache/base/shared_file.h"
#include "conf/conf.h"
#include "proxy/base/clock.h"
#include "proxy/base/timer.h"
#include "proxy/http/pace.h"

#define CONN_MAGIC     0x636f6e6eu
#define READ_SIZE      (32 * 1024) /* of one read: about 100 pipelined GETs */
#define GATHERED_IOV   64
#define GATHERED_BYTES (64 * 1024) /* then it is written before more is gathered */
#define GATHERED_HEADS (16 * 1024)
#define WHEEL          256 /* slots; a longer deadline is looked at once on its way */
/* Of a file in one turn: others are served in between. */
#define FILE_TURN   (1024 * 1024)
#define TICK_MAX_MS 250
#define TICK_MIN_MS 10
#define DATE_LINE   (6 + HTTP1_DATE_MAX + 2) /* "Date: ", the date, CR LF */

static_assert(
    CONN_HEAD_MAX <= GATHERED_HEADS, "a head fits where nothing is gathered yet");

enum conn_state {
	CONN_READING,
	CONN_ANSWERING,
	CONN_PARKED,
	CONN_LINGERING,
	CONN_CLOSED,
};

/* What a connection waits for, and so which deadline it has. */
enum wait {
	WAIT_IDLE,
	WAIT_HEAD,
	WAIT_BODY,
	WAIT_WRITE,
	WAIT_LINGER,
	WAIT_OWED, /* as idle or lingering, but the kernel still has what is not taken */
	WAIT_PARKED, /* none of ours: who parked it answers in time */
	WAIT_COUNT
};

struct buf {
	char *p;
	size_t n, room;
};

/* Part of a file that is still to be sent. */
struct filing {
	struct shared_file *file; /* a reference */
	off_t at, end;
};

struct conn {
	struct event ev;
	unsigned magic; /* CONN_MAGIC: libevent hands us a void pointer */
	uint8_t state;
	uint8_t wait;
	short armed; /* what ev waits for, 0: nothing */
	/* of the current request: */
	uint8_t minor;
	bool keep_alive;
	bool is_head;
	bool head_done; /* the head was accepted, its body is coming */
	bool chunked;   /* ... in chunks; chunk, head_n, body_n, raw are in use */
	/* of the connection: */
	bool closing;  /* after the answers that are on their way */
	bool linger;   /* ... and the client may be sending still */
	bool knocked;  /* something came while it was parked */
	bool resumed;  /* it was parked until now */
	bool detached; /* the socket is somebody else's now */
	struct conn_loop *loop;
	void *parked;
	void (*on_close)(void *arg);
	void *on_close_arg;
	struct conn *_next, **_prev; /* wheel */
	int64_t slot;                /* tick at which the wheel looks at it */
	int64_t since;               /* start of what it waits for; monotonic ms */
	struct pace pace;            /* ... for its client to take something */
	struct buf in;               /* part of a request, or requests that wait */
	struct buf out;              /* answers that the socket did not take */
	size_t out_at;
	struct filing *file; /* goes behind out */
	size_t need;         /* bytes of input before it is worth parsing again */
	struct http1_chunked chunk;
	uint32_t head_n; /* the input is: head, decoded body, from raw on undecoded */
	uint32_t body_n;
	uint32_t raw;
	size_t dropped; /* bytes, while lingering */
};

struct gathered {
	struct iovec iov[GATHERED_IOV];
	int n;
	size_t bytes;
	size_t heads_n;
	char heads[GATHERED_HEADS];
};

struct conn_loop {
	struct event_base *base;
	const struct conn_handler *handler;
	void *arg;
	struct counters *counters;
	struct conn_limits limits;
	size_t count;
	bool draining;
	/* clocks: */
	struct timeval turn; /* libevent's time of the turn in which they were read */
	int64_t now, now_ms;
	int64_t date_at;
	char date[DATE_LINE];
	/* deadlines: */
	struct event tick_event;
	int64_t tick_ms;
	int64_t tick; /* the last one that was looked at */
	struct conn *slot[WHEEL];
	struct gathered gathered;
	char input[READ_SIZE];
};

static void on_event(evutil_socket_t fd, short what, void *arg);
static void on_tick(evutil_socket_t fd, short what, void *arg);
static void finish(struct conn *c);

/* Buffers. */

static void buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){0};
}

/* want: bytes that are expected in all, so that a body's buffer grows once. */
static int buf_append(struct buf *b, const void *p, size_t n, size_t want)
{
	if (b->n + n > b->room) {
		size_t room = b->n + n > want ? b->n + n : want;
		char *q;

		if (room < 2 * b->room)
			room = 2 * b->room;
		q = realloc(b->p, room);
		if (q == NULL)
			return -1;
		b->p = q;
		b->room = room;
	}
	memcpy(b->p + b->n, p, n);
	b->n += n;
	return 0;
}

static void filing_free(struct filing *f)
{
	if (f == NULL)
		return;
	shared_file_unref(f->file);
	free(f);
}

/* Is there something that the socket has not taken? */
static bool is_owing(const struct conn *c)
{
	return c->out.p != NULL || c->file != NULL;
}

/* Clocks. */

/* Read the clocks when this is another turn of the loop than last time.  libevent's time
 * stands still within a turn, which makes it the turn's name; outside of a loop it is the
 * time itself. */
static void turn_begin(struct conn_loop *l)
{
	struct timeval tv;

	event_base_gettimeofday_cached(l->base, &tv);
	if (tv.tv_usec == l->turn.tv_usec && tv.tv_sec == l->turn.tv_sec)
		return;
	l->turn = tv;
	l->now_ms = clock_mono_ms();
	l->now = clock_now();
	if (l->now != l->date_at) {
		l->date_at = l->now;
		memcpy(l->date, "Date: ", 6);
		http1_date(l->now, l->date + 6);
		memcpy(l->date + 6 + HTTP1_DATE_MAX - 1, "\r\n", 2);
	}
}

int64_t conn_loop_mono_ms(struct conn_loop *l)
{
	turn_begin(l);
	return l->now_ms;
}

int64_t conn_loop_now(struct conn_loop *l)
{
	turn_begin(l);
	return l->now;
}

struct bytes conn_loop_date(struct conn_loop *l)
{
	turn_begin(l);
	return bytes_of(l->date, 6 + HTTP1_DATE_MAX - 1 + 2);
}

/* Deadlines. */

static bool is_paced(const struct conn *c)
{
	return c->wait == WAIT_WRITE || c->wait == WAIT_OWED;
}

static int64_t deadline(const struct conn *c)
{
	const struct conn_limits *m = &c->loop->limits;
	const int64_t ms[WAIT_COUNT] = {
	    [WAIT_IDLE] = m->idle_ms,
	    [WAIT_HEAD] = m->header_ms,
	    [WAIT_BODY] = m->body_ms,
	    [WAIT_LINGER] = m->linger_ms,
	    [WAIT_PARKED] = INT32_MAX,
	};

	return is_paced(c) ? pace_due(&c->pace, m->write_ms) : c->since + ms[c->wait];
}

static void slot_leave(struct conn *c)
{
	if (c->_prev == NULL)
		return;
	*c->_prev = c->_next;
	if (c->_next != NULL)
		c->_next->_prev = c->_prev;
	c->_prev = NULL;
}

static void slot_push(struct conn **head, struct conn *c)
{
	c->_next = *head;
	c->_prev = head;
	if (c->_next != NULL)
		c->_next->_prev = &c->_next;
	*head = c;
}

/* The tick at which c has to be looked at: the first after its deadline, if that is
 * within the wheel. */
static int64_t slot_of(const struct conn *c)
{
	const struct conn_loop *l = c->loop;
	int64_t t = deadline(c) / l->tick_ms + 1;

	if (t <= l->tick)
		t = l->tick + 1;
	if (t > l->tick + WHEEL - 1)
		t = l->tick + WHEEL - 1;
	return t;
}

static void slot_enter(struct conn *c)
{
	c->slot = slot_of(c);
	slot_push(&c->loop->slot[c->slot % WHEEL], c);
}

/* c begins to wait for w.  A deadline that is put off is found out about later. */
static void wait_begin(struct conn *c, enum wait w)
{
	c->wait = (uint8_t)w;
	c->since = c->loop->now_ms;
	if (is_paced(c))
		pace_begin(&c->pace, c->since);
	if (slot_of(c) < c->slot) {
		slot_leave(c);
		slot_enter(c);
	}
}

/* Take all connections out of all slots, as a list. */
static void slots_take(struct conn_loop *l, struct conn **list)
{
	for (size_t i = 0; i < WHEEL; i++)
		while (l->slot[i] != NULL) {
			struct conn *c = l->slot[i];

			slot_leave(c);
			slot_push(list, c);
		}
}

static int64_t tick_for(const struct conn_limits *m)
{
	const int64_t ms[] = {
	    m->idle_ms, m->header_ms, m->body_ms, m->write_ms, m->linger_ms};
	int64_t tick = TICK_MAX_MS;

	for (size_t i = 0; i < sizeof ms / sizeof ms[0]; i++)
		if (ms[i] > 0 && ms[i] / 4 < tick)
			tick = ms[i] / 4;
	return tick < TICK_MIN_MS ? TICK_MIN_MS : tick;
}

static bool tick_start(struct conn_loop *l)
{
	l->tick = l->now_ms / l->tick_ms;
	return timer_arm(&l->tick_event, l->tick_ms);
}

/* What is gathered. */

static void gathered_reset(struct gathered *g)
{
	g->n = 0;
	g->bytes = 0;
	g->heads_n = 0;
}

/* Copy what lies behind the first `written` bytes of what is gathered to c->out. */
static int gathered_keep(struct conn *c, size_t written)
{
	const struct gathered *g = &c->loop->gathered;
	size_t want = g->bytes - written;

	assert(written <= g->bytes);
	for (int i = 0; i < g->n; i++) {
		size_t n = g->iov[i].iov_len, skip = written < n ? written : n;

		written -= skip;
		if (skip < n && buf_append(&c->out, (char *)g->iov[i].iov_base + skip,
				    n - skip, want) != 0)
			return -1;
	}
	return 0;
}

/* Write what is gathered.  What the socket does not take becomes c->out; a socket that
 * fails closes. */
static void flush(struct conn *c)
{
	struct conn_loop *l = c->loop;
	struct gathered *g = &l->gathered;
	ssize_t n = 0;

	if (g->n == 0)
		return;
	if (c->out.p == NULL && c->state != CONN_CLOSED) {
		n = writev(event_get_fd(&c->ev), g->iov, g->n);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			c->state = CONN_CLOSED;
		if (n < 0)
			n = 0;
		metrics_add(l->counters, M_BYTES_OUT, (uint64_t)n);
	}
	if ((size_t)n < g->bytes && c->state != CONN_CLOSED &&
	    gathered_keep(c, (size_t)n) != 0)
		c->state = CONN_CLOSED;
	gathered_reset(g);
}

/* Gather a piece that stays where it is until the next flush. */
static void gather_borrowed(struct conn *c, const void *p, size_t n)
{
	struct gathered *g = &c->loop->gathered;

	if (n == 0)
		return;
	if (g->n == GATHERED_IOV)
		flush(c);
	g->iov[g->n++] = (struct iovec){(void *)(uintptr_t)p, n};
	g->bytes += n;
}

static void gather_copy(struct conn *c, const void *p, size_t n)
{
	struct gathered *g = &c->loop->gathered;

	assert(n <= CONN_HEAD_MAX);
	if (g->n == GATHERED_IOV || n > GATHERED_HEADS - g->heads_n ||
	    g->bytes >= GATHERED_BYTES)
		flush(c);
	memcpy(g->heads + g->heads_n, p, n);
	gather_borrowed(c, g->heads + g->heads_n, n);
	g->heads_n += n;
}

/* Answers. */

bool conn_will_close(const struct conn *c)
{
	return !c->keep_alive || c->loop->draining;
}

const char *conn_connection(const struct conn *c, bool close)
{
	if (close)
		return "Connection: close\r\n";
	return c->minor == 0 && !conn_will_close(c) ? "Connection: keep-alive\r\n" : "";
}

bool conn_is_head(const struct conn *c)
{
	return c->is_head;
}

/* The answer to the current request begins; true when it was parked and no callback of
 * the connection is going on. */
static bool answer_begin(struct conn *c)
{
	bool was_parked = c->state == CONN_PARKED;

	assert(c->magic == CONN_MAGIC);
	assert(was_parked || c->state == CONN_ANSWERING);
	assert(!was_parked || c->loop->gathered.n == 0);
	c->parked = NULL;
	c->state = CONN_READING;
	c->resumed = was_parked;
	if (was_parked)
		turn_begin(c->loop);
	return was_parked;
}

static void answer_end(struct conn *c, bool was_parked, bool close)
{
	if (close || conn_will_close(c)) {
		c->closing = true;
		/* It did not ask for this, so its next request may be on the way. */
		if (c->keep_alive)
			c->linger = true;
	}
	if (was_parked)
		finish(c);
}

void conn_reply(struct conn *c, const struct iovec *iov, int n, bool close)
{
	bool was_parked = answer_begin(c);

	for (int i = 0; i < n; i++)
		gather_borrowed(c, iov[i].iov_base, iov[i].iov_len);
	flush(c);
	answer_end(c, was_parked, close);
}

void conn_send(struct conn *c, struct bytes head, struct bytes rest, bool close)
{
	bool was_parked = answer_begin(c);

	gather_copy(c, head.p, head.n);
	gather_borrowed(c, rest.p, rest.n);
	answer_end(c, was_parked, close);
}

void conn_send_file(struct conn *c, struct bytes head, struct shared_file *f,
    uint64_t offset, uint64_t n, bool close)
{
	bool was_parked = answer_begin(c);
	struct filing *file = n > 0 ? malloc(sizeof *file) : NULL;

	assert(c->file == NULL && offset + n <= f->size);
	if (file != NULL) {
		*file = (struct filing){
		    shared_file_ref(f), (off_t)offset, (off_t)(offset + n)};
		c->file = file;
	}
	if (n > 0 && file == NULL)
		c->state = CONN_CLOSED; /* out of memory: no head without its body */
	else
		gather_copy(c, head.p, head.n);
	if (file != NULL)
		flush(c); /* nothing is gathered while a file is on its way */
	answer_end(c, was_parked, close);
}

void conn_flush(struct conn *c)
{
	flush(c);
}

/* Gather a whole HTTP error. */
static void error_text(struct conn *c, int status, const char *allow, bool close)
{
	const char *reason = http1_reason(status);
	char text[CONN_HEAD_MAX];
	int n;

	turn_begin(c->loop);
	n = snprintf(text, sizeof text,
	    "HTTP/1.1 %d %s\r\n%.*sContent-Type: text/plain\r\nContent-Length: %zu\r\n"
	    "Cache-Control: no-store\r\n%s%s%s%s\r\n",
	    status, reason, DATE_LINE - 1, c->loop->date, strlen(reason) + 5,
	    allow != NULL ? "Allow: " : "", allow != NULL ? allow : "",
	    allow != NULL ? "\r\n" : "", conn_connection(c, close));
	if (!c->is_head && n > 0 && (size_t)n < sizeof text)
		n += snprintf(
		    text + n, sizeof text - (size_t)n, "%d %s\n", status, reason);
	assert(n > 0 && (size_t)n < sizeof text);
	gather_copy(c, text, (size_t)n);
}

void conn_error(struct conn *c, int status, const char *allow, bool close)
{
	bool was_parked = answer_begin(c);

	close |= conn_will_close(c);
	error_text(c, status, allow, close);
	c->linger |= close;
	answer_end(c, was_parked, close);
}

/* We answer without asking the handler: what came is not a request that can be. */
static void refuse(struct conn *c, int status)
{
	struct conn_loop *l = c->loop;

	error_text(c, status, NULL, true);
	c->closing = true;
	c->linger = true;
	if (l->handler->refused != NULL)
		l->handler->refused(l->arg, status);
}

void conn_park(struct conn *c, void *parked)
{
	assert(c->magic == CONN_MAGIC && c->state == CONN_ANSWERING && parked != NULL);
	c->parked = parked;
	c->state = CONN_PARKED;
	c->knocked = false;
}

void conn_peer(const struct conn *c, struct sockaddr_storage *a)
{
	socklen_t n = sizeof *a;

	memset(a, 0, sizeof *a);
	if (getpeername(event_get_fd(&c->ev), (struct sockaddr *)a, &n) != 0)
		a->ss_family = AF_UNSPEC;
}

void *conn_owner(const struct conn *c, void (*on_close)(void *arg))
{
	return c->on_close == on_close ? c->on_close_arg : NULL;
}

bool conn_is_unix(const struct conn *c)
{
	struct sockaddr_storage a = {0};
	socklen_t n = sizeof a;

	return getsockname(event_get_fd(&c->ev), (struct sockaddr *)&a, &n) == 0 &&
	       a.ss_family == AF_UNIX;
}

int conn_detach(struct conn *c)
{
	bool was_parked = c->state == CONN_PARKED;
	int fd = event_get_fd(&c->ev);

	assert(c->magic == CONN_MAGIC);
	assert(was_parked || c->state == CONN_ANSWERING);
	assert(!was_parked || c->loop->gathered.n == 0);
	flush(c); /* answers to the requests before this one */
	if (c->state == CONN_CLOSED)
		c->state = CONN_ANSWERING; /* whoever answers finds out once more */
	else if (!is_owing(c))
		c->detached = true;
	if (!c->detached)
		return -1;
	event_del(&c->ev); /* before the caller adds one of its own */
	c->parked = NULL;
	c->state = CONN_CLOSED;
	if (was_parked)
		finish(c);
	return fd;
}

/* What the body may have in it (a bundle has keys) does not stay in our buffers.  Raw
 * chunks reach behind what was decoded of them. */
static void body_wipe(struct conn *c, struct bytes body)
{
	char *p = c->in.p != NULL ? c->in.p : c->loop->input;
	char *end = c->in.p != NULL ? p + c->in.n : p + sizeof c->loop->input;

	assert((const char *)body.p >= p && (const char *)body.p + body.n <= end);
	p += (const char *)body.p - p;
	explicit_bzero(p, (size_t)(end - p));
	if (c->in.p != NULL)
		explicit_bzero(c->loop->input, sizeof c->loop->input);
}

bool conn_take(struct conn *c, const struct http1_request *r, struct bytes body,
    struct conn_taken *t)
{
	void *copy = body.n > 0 ? malloc(body.n) : NULL;

	assert(c->state == CONN_ANSWERING);
	assert(r->chunked || body.n <= (r->has_length ? r->length : 0));
	if (body.n > 0 && copy == NULL)
		return false;
	*t = (struct conn_taken){
	    .minor = (uint8_t)r->minor,
	    .chunked = r->chunked,
	    .go_on = r->expect_continue && body.n == 0,
	    .left = r->has_length ? r->length - body.n : 0,
	    .chunk = c->chunk, /* of a body that came whole: at its end */
	    .body = bytes_of(copy, body.n),
	};
	if (body.n > 0)
		memcpy(copy, body.p, body.n);
	t->fd = conn_detach(c);
	if (body.n > 0)
		body_wipe(c, body);
	if (t->fd < 0)
		conn_taken_wipe(t);
	return t->fd >= 0;
}

void conn_taken_wipe(struct conn_taken *t)
{
	void *p = (void *)(uintptr_t)t->body.p;

	if (p != NULL)
		explicit_bzero(p, t->body.n);
	free(p);
	t->body = bytes_of(NULL, 0);
}

void conn_taken_drop(struct conn_taken *t)
{
	close(t->fd);
	conn_taken_wipe(t);
}

/* Requests. */

struct view { /* of the input: the loop's buffer, or c->in */
	char *p;
	size_t n;
};

static void deliver(struct conn *c, const struct http1_request *r, struct bytes body)
{
	struct conn_loop *l = c->loop;

	c->head_done = false;
	c->chunked = false;
	c->need = 0;
	if (c->wait != WAIT_IDLE)
		wait_begin(c, WAIT_IDLE);
	c->since = l->now_ms;
	c->state = CONN_ANSWERING;
	l->handler->request(l->arg, c, r, body);
	assert(c->state != CONN_ANSWERING);
}

/* What of the body is here, decoded. */
static struct bytes body_so_far(
    const struct conn *c, const struct http1_request *r, const struct view *v)
{
	size_t came = v->n - r->head_n;

	if (r->chunked)
		return bytes_of(v->p + c->head_n, c->body_n);
	return bytes_of(v->p + r->head_n, came < r->length ? came : (size_t)r->length);
}

/* The handler has a head whose body is not whole, or too large for us: 0, the status to
 * refuse it with, or CONN_ANSWERED. */
static int head_offer(struct conn *c, const struct http1_request *r, const struct view *v)
{
	struct conn_loop *l = c->loop;
	bool keep_alive = c->keep_alive;
	int status;

	if (l->handler->head == NULL)
		return 0;
	c->state = CONN_ANSWERING;
	c->keep_alive = false; /* an answer now is the last */
	status = l->handler->head(l->arg, c, r, body_so_far(c, r, v));
	assert((status == CONN_ANSWERED) == (c->state != CONN_ANSWERING));
	assert(c->state != CONN_PARKED);
	if (status == CONN_ANSWERED) {
		c->closing = c->linger = true;
	} else {
		c->state = CONN_READING;
		c->keep_alive = keep_alive;
	}
	return status;
}

/* The body is larger than we hold: somebody else's, or refused. */
static void body_too_large(
    struct conn *c, const struct http1_request *r, const struct view *v)
{
	if (c->head_done || head_offer(c, r, v) != CONN_ANSWERED)
		refuse(c, 413);
}

/* The head is whole and its body is not: may it come? */
static void body_await(
    struct conn *c, const struct http1_request *r, const struct view *v)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	int status = 0;

	if (c->head_done)
		return;
	status = head_offer(c, r, v);
	if (status > 0)
		refuse(c, status);
	if (status != 0)
		return;
	c->head_done = true;
	if (r->expect_continue && r->minor >= 1)
		gather_borrowed(c, go_on, sizeof go_on - 1);
}

/* Decode what has come of a chunked body, in place behind the head.  0: more is needed.
 * 1: it is whole.  413: it is too large; all that has come is decoded.  Else the status
 * to refuse it with. */
static int chunks_decode(struct conn *c, struct view *v)
{
	const size_t limit = c->loop->limits.body;
	int end = 0;

	while (end == 0 && c->raw < v->n) {
		struct bytes data = {NULL, 0};
		size_t used = 0;

		end = http1_chunked_feed(
		    &c->chunk, v->p + c->raw, v->n - c->raw, &used, &data);
		if (data.n > 0)
			memmove(v->p + c->head_n + c->body_n, data.p, data.n);
		c->body_n += (uint32_t)data.n;
		c->raw += (uint32_t)used;
		if (end == 0 && used == 0)
			break;
	}
	/* A size that is too large is told at once, not when that much came. */
	if (end <= 1 && (c->body_n > limit || c->chunk.left > limit - c->body_n))
		return 413;
	return end;
}

/* true: a request was handed over and v stands behind it.  Not in line: requests of a
 * known length, which nearly all are, would pay for its registers. */
__attribute__((noinline)) static bool chunked_step(
    struct conn *c, struct http1_request *r, struct view *v)
{
	int end;

	if (!c->chunked) {
		c->chunked = true;
		c->head_n = c->raw = (uint32_t)r->head_n;
		c->body_n = 0;
		http1_chunked_start(&c->chunk);
	}
	end = chunks_decode(c, v);
	if (end == 0) {
		/* Everything was taken: what is kept is the head and the body so far. */
		v->n = c->raw = c->head_n + c->body_n;
		body_await(c, r, v);
		return false;
	}
	if (end == 413) {
		body_too_large(c, r, v);
		return false;
	}
	if (end != 1) {
		refuse(c, end);
		return false;
	}
	struct view rest = {v->p + c->raw, v->n - c->raw};

	deliver(c, r, bytes_of(v->p + c->head_n, c->body_n));
	*v = rest;
	return true;
}

static bool sized_step(struct conn *c, struct http1_request *r, struct view *v)
{
	size_t length = r->has_length ? (size_t)r->length : 0;

	if (r->has_length && r->length > c->loop->limits.body) {
		body_too_large(c, r, v);
		return false;
	}
	if (v->n - r->head_n < length) {
		c->need = r->head_n + length;
		body_await(c, r, v);
		return false;
	}
	deliver(c, r, bytes_of(v->p + r->head_n, length));
	v->p += r->head_n + length;
	v->n -= r->head_n + length;
	return true;
}

/* Handle the first request of v.  false: nothing can be done with it for now. */
static bool request_step(struct conn *c, struct view *v)
{
	const struct conn_limits *m = &c->loop->limits;
	struct http1_limits limits = {m->head, m->target};
	struct http1_request r;
	int status;

	if (v->n < c->need)
		return false;
	/* Some clients end a body with a CR LF too many: that is no request that has
	 * begun. */
	if (v->n == 2 && memcmp(v->p, "\r\n", 2) == 0) {
		v->n = 0;
		return true;
	}
	/* Parsed again when its body has come: the pointers of the first time are gone.
	 */
	status = http1_parse(&r, v->p, c->chunked ? c->head_n : v->n, &limits);
	if (status > 0) {
		c->is_head = false;
		refuse(c, status);
	}
	if (status != 0)
		return false;
	assert(r.head_n <= v->n);
	c->minor = (uint8_t)r.minor;
	c->keep_alive = r.keep_alive;
	c->is_head = r.method == HTTP1_HEAD;
	return r.chunked ? chunked_step(c, &r, v) : sized_step(c, &r, v);
}

/* Keep what was not used, in the connection's own buffer. */
static void input_keep(struct conn *c, const struct view *v, bool own)
{
	if (v->n > 0 && c->closing)
		c->linger = true;
	if (v->n == 0 || c->closing || c->state == CONN_CLOSED) {
		buf_free(&c->in);
	} else if (own) {
		memmove(c->in.p, v->p, v->n);
		c->in.n = v->n;
	} else if (buf_append(&c->in, v->p, v->n, c->need < READ_SIZE ? c->need : 0) !=
		   0) {
		c->state = CONN_CLOSED;
	}
}

static void input_use(struct conn *c, char *p, size_t n)
{
	struct view v = {p, n};
	bool own = p == c->in.p;

	while (v.n > 0 && c->state == CONN_READING && !c->closing && !is_owing(c))
		if (!request_step(c, &v))
			break;
	input_keep(c, &v, own);
}

/* Steps. */

/* One read, whatever there is: when more has come the loop calls again, after it has
 * looked at the other connections. */
static void on_reading(struct conn *c)
{
	struct conn_loop *l = c->loop;
	ssize_t n;

	assert(c->state == CONN_READING);
	n = read(event_get_fd(&c->ev), l->input, sizeof l->input);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		c->state = CONN_CLOSED;
		return;
	}
	if (c->in.p == NULL) {
		input_use(c, l->input, (size_t)n);
		return;
	}
	if (buf_append(&c->in, l->input, (size_t)n, 0) != 0) {
		c->state = CONN_CLOSED;
		return;
	}
	input_use(c, c->in.p, c->in.n);
}

/* What is left of c->out; true when nothing is. */
static bool write_out(struct conn *c)
{
	ssize_t n;

	assert(c->out_at < c->out.n);
	n = write(event_get_fd(&c->ev), c->out.p + c->out_at, c->out.n - c->out_at);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0) {
		c->state = CONN_CLOSED;
		return false;
	}
	metrics_add(c->loop->counters, M_BYTES_OUT, (uint64_t)n);
	pace_gave(&c->pace, (size_t)n);
	c->out_at += (size_t)n;
	if (c->out_at < c->out.n)
		return false;
	c->out_at = 0;
	buf_free(&c->out);
	return true;
}

/* A turn's part of the file; true when all of it has gone. */
static bool write_file(struct conn *c)
{
	struct filing *f = c->file;
	size_t left = (size_t)(f->end - f->at);
	ssize_t n;

	assert(f->at < f->end && c->out.p == NULL);
	n = sendfile(event_get_fd(&c->ev), f->file->fd, &f->at,
	    left < FILE_TURN ? left : FILE_TURN);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) { /* 0: the file is shorter than it was */
		c->state = CONN_CLOSED;
		return false;
	}
	metrics_add(c->loop->counters, M_BYTES_OUT, (uint64_t)n);
	pace_gave(&c->pace, (size_t)n);
	if (f->at < f->end)
		return false;
	filing_free(f);
	c->file = NULL;
	return true;
}

static void on_writing(struct conn *c)
{
	if (c->out.p != NULL && !write_out(c))
		return;
	if (c->file != NULL && !write_file(c))
		return;
	if (c->state == CONN_READING && c->in.p != NULL)
		input_use(c, c->in.p, c->in.n);
}

/* Something has come for a parked connection.  Bytes and an end of input stay for later
 * (a client may send its request and shut its side); a reset is the client's leaving. */
static void on_parked(struct conn *c)
{
	int error = 0;
	socklen_t n = sizeof error;

	assert(c->state == CONN_PARKED && c->parked != NULL);
	c->knocked = true;
	if (getsockopt(event_get_fd(&c->ev), SOL_SOCKET, SO_ERROR, &error, &n) != 0 ||
	    error != 0)
		c->state = CONN_CLOSED;
}

static void on_lingering(struct conn *c)
{
	struct conn_loop *l = c->loop;
	ssize_t n;

	assert(c->state == CONN_LINGERING);
	n = read(event_get_fd(&c->ev), l->input, sizeof l->input);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		c->dropped += (size_t)n;
	if (n <= 0 || c->dropped >= l->limits.linger_bytes)
		c->state = CONN_CLOSED;
}

/* libevent's way into a connection. */
static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	assert(c->magic == CONN_MAGIC);
	turn_begin(c->loop);
	if (is_owing(c))
		on_writing(c);
	else if (c->state == CONN_PARKED)
		on_parked(c);
	else if (c->state == CONN_LINGERING)
		on_lingering(c);
	else if (what & EV_TIMEOUT)
		input_use(c, c->in.p, c->in.n);
	else
		on_reading(c);
	finish(c);
}

/* Waiting, closing. */

static void close_begin(struct conn *c)
{
	const struct conn_limits *m = &c->loop->limits;

	c->state = CONN_CLOSED;
	if (!c->linger || m->linger_ms == 0 || m->linger_bytes == 0)
		return;
	if (shutdown(event_get_fd(&c->ev), SHUT_WR) == 0)
		c->state = CONN_LINGERING;
}

static int rearm(struct conn *c, short want)
{
	if (c->armed != 0)
		event_del(&c->ev);
	c->armed = want;
	if (event_assign(
		&c->ev, c->loop->base, event_get_fd(&c->ev), want, on_event, c) != 0)
		return -1;
	return event_add(&c->ev, NULL);
}

/* Wait for what the state needs; nothing is done when that has not changed.  A parked
 * connection goes on waiting to read until something comes, which it hardly ever does:
 * four calls of epoll_ctl for each miss were a sixth of what it cost. */
static int arm(struct conn *c)
{
	short want = EV_READ | EV_PERSIST;

	if (is_owing(c))
		want = EV_WRITE | EV_PERSIST;
	else if (c->state == CONN_PARKED && c->knocked)
		want = EV_READ | EV_ET | EV_PERSIST; /* bytes that we leave there must
							not call again and again */
	if (want != c->armed && rearm(c, want) != 0)
		return -1;
	/* Requests that came behind the parked one have been read already. */
	if (c->resumed && c->state == CONN_READING && !is_owing(c)) {
		c->resumed = false;
		if (c->in.p != NULL && !c->head_done)
			event_active(&c->ev, EV_TIMEOUT, 0);
	}
	return 0;
}

static enum wait wait_of(const struct conn *c)
{
	if (is_owing(c))
		return WAIT_WRITE;
	if (c->state == CONN_PARKED)
		return WAIT_PARKED;
	if (c->state == CONN_LINGERING)
		return c->wait == WAIT_OWED ? WAIT_OWED : WAIT_LINGER;
	if (c->head_done)
		return WAIT_BODY;
	if (c->in.p != NULL)
		return WAIT_HEAD;
	return c->wait == WAIT_OWED ? WAIT_OWED : WAIT_IDLE;
}

static void destroy(struct conn *c)
{
	struct conn_loop *l = c->loop;
	int fd = event_get_fd(&c->ev);

	assert(c->magic == CONN_MAGIC && l->count > 0);
	if (c->parked != NULL)
		l->handler->gone(l->arg, c->parked);
	event_del(&c->ev);
	if (!c->detached) {
		close(fd);
		metrics_count(l->counters, M_CONN_CLOSED);
	}
	slot_leave(c);
	buf_free(&c->in);
	buf_free(&c->out);
	filing_free(c->file);
	if (--l->count == 0)
		event_del(&l->tick_event);
	c->magic = 0;
	if (c->on_close != NULL)
		c->on_close(c->on_close_arg);
	free(c);
}

static void finish(struct conn *c)
{
	enum wait w;

	flush(c);
	if (c->state == CONN_READING && c->closing && !is_owing(c))
		close_begin(c);
	if (c->state == CONN_CLOSED || arm(c) != 0) {
		destroy(c);
		return;
	}
	w = wait_of(c);
	if (w != c->wait)
		wait_begin(c, w);
}

/* It is time to look whether c's client still takes what it is sent. */
static void look(struct conn *c)
{
	struct linger hard = {.l_onoff = 1, .l_linger = 0};
	struct conn_loop *l = c->loop;
	int fd = event_get_fd(&c->ev);
	bool in_time = pace_look(&c->pace, fd, l->now_ms, l->limits.write_ms,
	    c->file != NULL ? PACE_HOLDING : PACE_ANSWER);

	if (c->wait == WAIT_OWED && c->pace.owed == 0 && c->state == CONN_READING) {
		wait_begin(c, WAIT_IDLE); /* it has all, and may think of its next */
	} else if (c->wait == WAIT_OWED && c->pace.owed == 0) {
		destroy(c); /* it has lingered for long enough */
	} else if (!in_time) {
		metrics_count(l->counters, M_CONN_TIMEOUT);
		/* The kernel would go on offering the rest. */
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
		destroy(c);
	}
}

/* The deadline of c has passed. */
static void expire(struct conn *c)
{
	bool is_quiet = c->wait == WAIT_IDLE || c->wait == WAIT_LINGER;
	int64_t owed = is_quiet ? pace_owed(event_get_fd(&c->ev)) : 0;

	if (owed > 0) {
		wait_begin(c, WAIT_OWED);
		c->pace.owed = owed;
		return;
	}
	if (is_paced(c)) {
		look(c);
		return;
	}
	if (c->wait != WAIT_LINGER)
		metrics_count(c->loop->counters, M_CONN_TIMEOUT);
	if (c->wait == WAIT_HEAD || c->wait == WAIT_BODY) {
		buf_free(&c->in);
		refuse(c, 408);
		finish(c);
		return;
	}
	destroy(c);
}

static void slot_run(struct conn_loop *l, struct conn **slot)
{
	struct conn *list = NULL;

	while (*slot != NULL) {
		struct conn *c = *slot;

		slot_leave(c);
		slot_push(&list, c);
	}
	while (list != NULL) {
		struct conn *c = list;
		bool due = deadline(c) <= l->now_ms;

		slot_leave(c);
		slot_enter(c);
		if (due)
			expire(c);
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct conn_loop *l = arg;
	int64_t now;

	(void)fd;
	(void)what;
	assert(l->count > 0 && l->gathered.n == 0);
	turn_begin(l);
	now = l->now_ms / l->tick_ms;
	if (l->tick < now - WHEEL)
		l->tick = now - WHEEL;
	while (l->tick < now && l->count > 0) {
		l->tick++;
		slot_run(l, &l->slot[l->tick % WHEEL]);
	}
}

/* Making. */

struct conn_limits conn_limits_of(const struct conf *c, int64_t max_body)
{
	return (struct conn_limits){
	    .header_ms = c->header_timeout_ms,
	    .body_ms = c->body_timeout_ms,
	    .idle_ms = c->idle_timeout_ms,
	    .write_ms = c->write_timeout_ms,
	    .linger_ms = c->linger_timeout_ms,
	    .linger_bytes = (size_t)c->linger_size,
	    .head = (size_t)c->max_head_size,
	    .target = (size_t)c->max_target_size,
	    .body = (size_t)max_body,
	};
}

struct conn *conn_new(struct conn_loop *l, int fd, void (*on_close)(void *arg), void *arg)
{
	struct conn *c = calloc(1, sizeof *c);

	if (c == NULL)
		goto fail;
	turn_begin(l);
	if (l->count == 0 && !tick_start(l))
		goto fail;
	c->magic = CONN_MAGIC;
	c->state = CONN_READING;
	c->loop = l;
	c->wait = WAIT_IDLE;
	c->since = l->now_ms;
	c->armed = EV_READ | EV_PERSIST;
	if (event_assign(&c->ev, l->base, fd, c->armed, on_event, c) != 0 ||
	    event_add(&c->ev, NULL) != 0)
		goto fail;
	c->on_close = on_close;
	c->on_close_arg = arg;
	slot_enter(c);
	l->count++;
	metrics_count(l->counters, M_CONN_OPENED);
	return c;

fail:
	if (l->count == 0)
		event_del(&l->tick_event);
	free(c);
	close(fd);
	return NULL;
}

struct conn_loop *conn_loop_new(struct event_base *base, const struct conn_limits *limits,
    const struct conn_handler *handler, void *arg, struct counters *counters)
{
	struct conn_loop *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->base = base;
	l->handler = handler;
	l->arg = arg;
	l->counters = counters;
	l->limits = *limits;
	l->tick_ms = tick_for(limits);
	l->date_at = INT64_MIN;
	if (event_assign(&l->tick_event, base, -1, EV_PERSIST, on_tick, l) != 0) {
		free(l);
		return NULL;
	}
	return l;
}

void conn_loop_free(struct conn_loop *l)
{
	struct conn *list = NULL;

	if (l == NULL)
		return;
	slots_take(l, &list);
	while (list != NULL)
		destroy(list);
	event_del(&l->tick_event);
	free(l);
}

void conn_loop_limits(struct conn_loop *l, const struct conn_limits *limits)
{
	struct conn *list = NULL;

	slots_take(l, &list);
	turn_begin(l);
	l->limits = *limits;
	l->tick_ms = tick_for(limits);
	/* A timer that cannot be added again now (out of memory) still runs. */
	if (l->count > 0)
		tick_start(l);
	while (list != NULL) {
		struct conn *c = list;

		slot_leave(c);
		slot_enter(c);
	}
}

static bool is_idle(const struct conn *c)
{
	return c->state == CONN_READING && c->in.p == NULL && !is_owing(c);
}

void conn_loop_drain(struct conn_loop *l)
{
	struct conn *list = NULL;

	l->draining = true;
	slots_take(l, &list);
	while (list != NULL) {
		struct conn *c = list;

		slot_leave(c);
		slot_enter(c);
		if (is_idle(c))
			destroy(c);
	}
}

size_t conn_loop_count(const struct conn_loop *l)
{
	return l->count;
}

struct counters *conn_loop_counters(const struct conn_loop *l)
{
	return l->counters;
}
