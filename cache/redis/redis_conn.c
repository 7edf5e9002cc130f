/* redis_conn.c - socket, hiredis' codec, pending commands, one coarse timer.
 *
 * One libevent entry point (conn_event) alone tears down, so that no callback finds its
 * connection freed under its feet.
 *
 * Limits against a hostile server (T16): hiredis' object functions are wrapped and count
 * what one reply may cost, before anything is allocated ("*4294967295" asks for 34 GB);
 * and what is buffered of an unfinished element is bounded ("$2147483647").  One read of
 * READ_SLICE in a turn, so that data without end does not hold the loop.
 *
 * Timeouts: a timer ticks four times in timeout_ms while something is pending; a command
 * that has seen five ticks is late (1.0 to 1.25 timeouts).  Ticks are counted instead of
 * reading a clock, so a loop that stood still for seconds does not blame the server: the
 * answers that wait in the socket are read before the next tick.
 */
#include "cache/redis/redis_conn.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cache/redis/redis_word.h"

#define CONN_MAGIC   0x72656469u
#define READ_SLICE   16384
#define ELEMENTS_MAX 65536 /* of one reply: a SCAN's page, one invalidation's keys */
#define ELEMENT_COST sizeof(redisReply) /* allocated for the smallest element */
#define PENDING_MAX  16384              /* commands without an answer */
#define UNSENT_MAX   ((size_t)64 << 20)
#define TICKS        4 /* in one timeout */

struct awaited {
	struct awaited *next;
	redis_reply_fn *fn;
	void *arg;
	unsigned tick; /* of the timer when it was sent */
};

struct redis_conn {
	unsigned magic;
	struct redis_conn_config config;
	int fd;
	bool connected;
	struct event *readable, *writable, *timer;
	struct evbuffer *out;
	redisReader *reader;
	const redisReplyObjectFunctions *plain; /* hiredis' own */
	redisReplyObjectFunctions fn;           /* the same behind our limits */
	size_t bytes_left, elements_left;       /* of the reply that is being read */
	struct awaited *head, **tail;
	unsigned pending_n;
	unsigned tick;
	enum err broken; /* not ERR_OK: the next event tears down */
	char why[160];
};

/* What one reply may cost. */

/* Take the cost of one element from the reply's allowance. */
static bool afford(const redisReadTask *task, size_t bytes, size_t elements)
{
	struct redis_conn *c = task->privdata;

	if (task->parent == NULL) {
		c->bytes_left = c->config.max_reply;
		c->elements_left = ELEMENTS_MAX;
	}
	bytes += ELEMENT_COST;
	if (bytes > c->bytes_left || elements > c->elements_left) {
		redis_conn_fail(c, "a reply is larger than any that was asked for");
		return false;
	}
	c->bytes_left -= bytes;
	c->elements_left -= elements;
	return true;
}

/* hiredis' own functions of the connection that a task belongs to. */
static const redisReplyObjectFunctions *plain(const redisReadTask *task)
{
	const struct redis_conn *c = task->privdata;

	return c->plain;
}

static void *create_string(const redisReadTask *task, char *str, size_t n)
{
	return afford(task, n, 0) ? plain(task)->createString(task, str, n) : NULL;
}

static void *create_integer(const redisReadTask *task, long long value)
{
	return afford(task, 0, 0) ? plain(task)->createInteger(task, value) : NULL;
}

static void *create_nil(const redisReadTask *task)
{
	return afford(task, 0, 0) ? plain(task)->createNil(task) : NULL;
}

#if HIREDIS_MAJOR >= 1
typedef size_t array_size;

static void *create_double(const redisReadTask *task, double value, char *str, size_t n)
{
	return afford(task, n, 0) ? plain(task)->createDouble(task, value, str, n) : NULL;
}

static void *create_bool(const redisReadTask *task, int value)
{
	return afford(task, 0, 0) ? plain(task)->createBool(task, value) : NULL;
}
#else
typedef int array_size;
#endif

static void *create_array(const redisReadTask *task, array_size n)
{
	if ((long long)n < 0 ||
	    !afford(task, (size_t)n * sizeof(redisReply *), (size_t)n))
		return NULL;
	return plain(task)->createArray(task, n);
}

static bool make_reader(struct redis_conn *c)
{
	c->reader = redisReaderCreate();
	if (c->reader == NULL)
		return false;
	c->plain = c->reader->fn;
	c->fn = *c->plain;
	c->fn.createString = create_string;
	c->fn.createArray = create_array;
	c->fn.createInteger = create_integer;
	c->fn.createNil = create_nil;
#if HIREDIS_MAJOR >= 1
	c->fn.createDouble = create_double;
	c->fn.createBool = create_bool;
#endif
	c->reader->fn = &c->fn;
	c->reader->privdata = c;
	return true;
}

/* Ending. */

static void destroy(struct redis_conn *c)
{
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
	if (c->timer != NULL)
		event_free(c->timer);
	if (c->out != NULL)
		evbuffer_free(c->out);
	if (c->reader != NULL)
		redisReaderFree(c->reader);
	if (c->fd >= 0)
		close(c->fd);
	c->magic = 0;
	free(c);
}

static struct awaited *pop(struct redis_conn *c)
{
	struct awaited *p = c->head;

	assert((p == NULL) == (c->pending_n == 0));
	if (p == NULL)
		return NULL;
	c->head = p->next;
	if (c->head == NULL)
		c->tail = &c->head;
	c->pending_n--;
	return p;
}

static void answer_all(struct redis_conn *c, enum err e)
{
	struct awaited *p;

	while ((p = pop(c)) != NULL) {
		p->fn(p->arg, e, NULL);
		free(p);
	}
}

static void tear_down(struct redis_conn *c)
{
	assert(c->broken != ERR_OK);
	answer_all(c, c->broken);
	c->config.closed(c->config.arg, c->why, c->connected);
	destroy(c);
}

static void break_with(struct redis_conn *c, enum err e, const char *why)
{
	assert(c->magic == CONN_MAGIC && e != ERR_OK);
	if (c->broken != ERR_OK)
		return;
	c->broken = e;
	snprintf(c->why, sizeof c->why, "%s", why);
	event_active(c->timer, EV_TIMEOUT, 0);
}

void redis_conn_fail(struct redis_conn *c, const char *why)
{
	break_with(c, ERR_STORE, why);
}

void redis_conn_free(struct redis_conn *c)
{
	if (c == NULL)
		return;
	assert(c->magic == CONN_MAGIC);
	answer_all(c, ERR_CANCELLED);
	destroy(c);
}

/* Reading. */

/* The payload of ["message", channel, payload], or NULL for anything else. */
static const redisReply *message_of(const redisReply *r)
{
	if (r->type != REDIS_REPLY_ARRAY || r->elements != 3 ||
	    r->element[0]->type != REDIS_REPLY_STRING || r->element[0]->len != 7 ||
	    memcmp(r->element[0]->str, "message", 7) != 0)
		return NULL;
	return r->element[2];
}

static void deliver(struct redis_conn *c, const redisReply *r)
{
	const redisReply *m = c->config.message != NULL ? message_of(r) : NULL;
	const struct redis_word *w = redis_word_of(r);
	struct awaited *p;

	if (m != NULL) {
		c->config.message(c->config.arg, m);
		return;
	}
	if (w != NULL && w->leave) /* also where nobody asked: "max number of clients" */
		redis_conn_fail(c, r->str);
	p = pop(c);
	if (p == NULL) {
		redis_conn_fail(c, "a reply that nobody asked for");
		return;
	}
	p->fn(p->arg, ERR_OK, r);
	free(p);
}

static void parse(struct redis_conn *c)
{
	while (c->broken == ERR_OK) {
		void *r = NULL;

		if (redisReaderGetReply(c->reader, &r) != REDIS_OK) {
			redis_conn_fail(c, c->reader->errstr);
			return;
		}
		if (r == NULL)
			break;
		deliver(c, r);
		freeReplyObject(r);
	}
	if (c->broken == ERR_OK && c->reader->len - c->reader->pos > c->config.max_reply)
		redis_conn_fail(c, "a reply is larger than any that was asked for");
}

/* Read a slice and take what is whole of it. */
static void read_some(struct redis_conn *c)
{
	char slice[READ_SLICE];
	ssize_t n = read(c->fd, slice, sizeof slice);

	if (n > 0) {
		if (redisReaderFeed(c->reader, slice, (size_t)n) != REDIS_OK)
			redis_conn_fail(c, c->reader->errstr);
		else
			parse(c);
	} else if (n == 0) {
		redis_conn_fail(c, "closed by the server");
	} else if (errno != EAGAIN && errno != EINTR) {
		redis_conn_fail(c, strerror(errno));
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct redis_conn *c = arg;

	(void)fd, (void)what;
	assert(c->magic == CONN_MAGIC);
	if (c->broken == ERR_OK)
		read_some(c);
}

/* Connecting and writing. */

static struct timeval period(int ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

static void start_ticking(struct redis_conn *c)
{
	struct timeval tv = period((c->config.timeout_ms + TICKS - 1) / TICKS);

	event_add(c->timer, &tv);
}

static bool finish_connect(struct redis_conn *c)
{
	int e = 0;
	socklen_t n = sizeof e;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &n) != 0)
		e = errno;
	if (e != 0) {
		redis_conn_fail(c, strerror(e));
		return false;
	}
	c->connected = true;
	event_del(c->timer); /* of connecting */
	event_add(c->readable, NULL);
	if (c->pending_n > 0)
		start_ticking(c);
	c->config.connected(c->config.arg);
	return true;
}

/* Not evbuffer_write(): it has no MSG_NOSIGNAL. */
static void write_out(struct redis_conn *c)
{
	struct iovec v[16];
	struct msghdr m = {.msg_iov = v};
	ssize_t n = 0;

	while (n >= 0 && evbuffer_get_length(c->out) > 0) {
		int used =
		    evbuffer_peek(c->out, -1, NULL, (struct evbuffer_iovec *)v, 16);

		m.msg_iovlen = used < 16 ? (size_t)used : 16;
		n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
		if (n > 0)
			evbuffer_drain(c->out, (size_t)n);
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		int e = errno;

		read_some(c); /* why the server hung up, where it has said so */
		redis_conn_fail(c, strerror(e));
	} else if (n < 0) {
		event_add(c->writable, NULL);
	}
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct redis_conn *c = arg;

	(void)fd, (void)what;
	assert(c->magic == CONN_MAGIC);
	if (c->broken != ERR_OK || (!c->connected && !finish_connect(c)))
		return;
	write_out(c);
}

/* The coarse timer, the timeout of connecting, and where a broken connection ends. */
static void conn_event(evutil_socket_t fd, short what, void *arg)
{
	struct redis_conn *c = arg;

	(void)fd, (void)what;
	assert(c->magic == CONN_MAGIC);
	if (c->broken == ERR_OK && !c->connected) {
		c->broken = ERR_STORE_TIMEOUT;
		snprintf(c->why, sizeof c->why, "no connection in time");
	}
	if (c->broken == ERR_OK && c->head != NULL && ++c->tick - c->head->tick > TICKS) {
		c->broken = ERR_STORE_TIMEOUT;
		snprintf(c->why, sizeof c->why, "no reply in time");
	}
	if (c->broken != ERR_OK)
		tear_down(c);
	else if (c->head == NULL)
		event_del(c->timer);
}

static int make_socket(const struct sockaddr *addr)
{
	int on = 1;
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && addr->sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static bool make_events(struct redis_conn *c)
{
	struct timeval tv = period(c->config.connect_timeout_ms);

	c->readable =
	    event_new(c->config.base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(c->config.base, c->fd, EV_WRITE, on_writable, c);
	c->timer = event_new(c->config.base, -1, EV_PERSIST, conn_event, c);
	if (c->readable == NULL || c->writable == NULL || c->timer == NULL)
		return false;
	return event_add(c->writable, NULL) == 0 && event_add(c->timer, &tv) == 0;
}

struct redis_conn *redis_conn_open(
    const struct redis_conn_config *config, const struct sockaddr *addr, socklen_t addr_n)
{
	struct redis_conn *c = calloc(1, sizeof *c);
	int e = ENOMEM;

	if (c == NULL)
		return NULL;
	c->magic = CONN_MAGIC;
	c->config = *config;
	c->tail = &c->head;
	c->fd = make_socket(addr);
	if (c->fd < 0 || (connect(c->fd, addr, addr_n) != 0 && errno != EINPROGRESS)) {
		e = errno;
		goto fail;
	}
	c->out = evbuffer_new();
	if (c->out == NULL || !make_reader(c) || !make_events(c))
		goto fail;
	return c;

fail:
	destroy(c);
	errno = e;
	return NULL;
}

/* Sending. */

static void free_command(const void *data, size_t n, void *command)
{
	(void)data, (void)n;
	redisFreeCommand(command);
}

bool redis_conn_send(struct redis_conn *c, int argc, const char *const *argv,
    const size_t *argv_n, redis_reply_fn *fn, void *arg)
{
	struct awaited *p;
	char *command = NULL;
	long long n;

	assert(c->magic == CONN_MAGIC);
	if (c->broken != ERR_OK || c->pending_n >= PENDING_MAX ||
	    evbuffer_get_length(c->out) > UNSENT_MAX)
		return false;
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return false;
	/* The formatter does not write through argv; its type only lacks the const. */
	n = redisFormatCommandArgv(
	    &command, argc, (const char **)(uintptr_t)argv, argv_n);
	if (n < 0 ||
	    evbuffer_add_reference(c->out, command, (size_t)n, free_command, command)) {
		if (n >= 0)
			redisFreeCommand(command);
		free(p);
		return false;
	}
	p->fn = fn;
	p->arg = arg;
	p->tick = c->tick;
	*c->tail = p;
	c->tail = &p->next;
	c->pending_n++;
	event_add(c->writable, NULL);
	if (c->connected && !event_pending(c->timer, EV_TIMEOUT, NULL))
		start_ticking(c);
	return true;
}

bool redis_conn_words(
    struct redis_conn *c, redis_reply_fn *fn, void *arg, const char *const *words, int n)
{
	return redis_conn_send(c, n, words, NULL, fn, arg);
}

bool redis_reply_is_text(const redisReply *r)
{
	return r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS;
}

bool redis_reply_is_ok(const redisReply *r)
{
	return r->type == REDIS_REPLY_STATUS && r->len == 2 &&
	       memcmp(r->str, "OK", 2) == 0;
}

bool redis_reply_is_error(const redisReply *r, const char *code)
{
	size_t n = strlen(code);

	return r->type == REDIS_REPLY_ERROR && r->len >= n &&
	       memcmp(r->str, code, n) == 0;
}
