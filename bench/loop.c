/* loop.c - clients on one epoll loop: requests out, answers compared, times kept. */
#include "bench/loop.h"

#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define EVENTS     512
#define ANSWER_MAX 65536
#define BROKEN_MAX 100000 /* then it is no measurement any more */
#define SILENCE_S  10
#define SECOND     INT64_C(1000000000)
#define SERIAL_END 8 /* octets that are replaced for a serial that nobody has */

struct conn {
	int fd; /* -1: none */
	bool busy;
	bool unsent; /* the connection is not established yet */
	bool ending; /* has its answer, waits for the server to close */
	size_t key;
	int64_t due; /* of the request; ns */
	size_t n;    /* bytes of an answer that came in pieces */
	char *part;
};

struct loop {
	const struct plan *plan;
	struct result *out;
	int epoll;
	struct conn *conn;
	int *idle; /* open loop: connections that are free, the last used last */
	int idle_n;
	int64_t now, next_due, interval;
	bool measuring;
	size_t started, ended; /* requests, ever */
	uint64_t random;
	char input[ANSWER_MAX];
};

static int64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static uint64_t random_next(struct loop *l)
{
	l->random ^= l->random << 13;
	l->random ^= l->random >> 7;
	l->random ^= l->random << 17;
	return l->random;
}

/* Connections. */

static void conn_open(struct loop *l, struct conn *c)
{
	const int on = 1;
	struct epoll_event e = {
	    .events = EPOLLIN | EPOLLRDHUP, .data = {.u32 = (uint32_t)(c - l->conn)}};

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		err(1, "socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(c->fd, (const struct sockaddr *)&l->plan->at, sizeof l->plan->at) !=
		0 &&
	    errno != EINPROGRESS)
		err(1, "connect");
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e) != 0)
		err(1, "epoll");
	c->n = 0;
	c->ending = false;
}

static void conn_close(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
}

static void conn_want(struct loop *l, struct conn *c, uint32_t events)
{
	struct epoll_event e = {
	    .events = events | EPOLLRDHUP, .data = {.u32 = (uint32_t)(c - l->conn)}};

	epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &e);
}

/* Sending. */

static ssize_t request_send(struct loop *l, const struct conn *c)
{
	struct bytes r = l->plan->wire->request[c->key];
	uint8_t copy[4096];

	if (l->plan->strange && r.n <= sizeof copy) {
		uint64_t serial = random_next(l);

		memcpy(copy, r.p, r.n);
		memcpy(copy + r.n - SERIAL_END, &serial, SERIAL_END);
		return send(c->fd, copy, r.n, MSG_NOSIGNAL);
	}
	return send(c->fd, r.p, r.n, MSG_NOSIGNAL);
}

/* Clients that ask and do not wait for the answer. */
static bool is_leaving(const struct loop *l)
{
	return l->plan->strange && l->plan->reconnect;
}

static void conn_broken(struct loop *l, struct conn *c);

static void conn_send(struct loop *l, struct conn *c)
{
	ssize_t n = request_send(l, c);
	bool was_unsent = c->unsent;

	/* A new connection over loopback usually stands when connect() returns. */
	c->unsent = n < 0 && (errno == EAGAIN || errno == ENOTCONN);
	if (c->unsent != was_unsent || is_leaving(l))
		conn_want(l, c, c->unsent || is_leaving(l) ? EPOLLOUT : EPOLLIN);
	if (!c->unsent && n != (ssize_t)l->plan->wire->request[c->key].n)
		conn_broken(l, c);
}

static void request_start(struct loop *l, struct conn *c, int64_t due)
{
	size_t keys = l->plan->wire->n;

	c->key = l->plan->once ? l->started % keys : random_next(l) % keys;
	c->due = due;
	c->busy = true;
	c->unsent = false;
	l->started++;
	if (c->fd < 0)
		conn_open(l, c);
	conn_send(l, c);
}

static bool is_over(const struct loop *l)
{
	return l->plan->once && l->started >= l->plan->wire->n;
}

/* c is free: what does it do next? */
static void conn_next(struct loop *l, struct conn *c)
{
	c->busy = false;
	if (l->interval > 0)
		l->idle[l->idle_n++] = (int)(c - l->conn);
	else if (!is_over(l))
		request_start(l, c, l->now);
}

/* Send what is due, as far as there are connections. */
static void pump(struct loop *l)
{
	while (l->idle_n > 0 && l->next_due <= l->now) {
		request_start(l, &l->conn[l->idle[--l->idle_n]], l->next_due);
		l->next_due += l->interval;
	}
}

/* Answers. */

/* The open loop loses the request; the closed loop sends it again, from the event loop
 * and not from here: who calls may be sending for thousands of connections in a row. */
static void conn_broken(struct loop *l, struct conn *c)
{
	conn_close(c);
	if (++l->out->broken > BROKEN_MAX)
		errx(1, "the server breaks connections off");
	if (l->interval > 0) {
		l->ended++;
		conn_next(l, c);
		return;
	}
	conn_open(l, c);
	c->unsent = true;
	conn_want(l, c, EPOLLOUT);
}

static void wrong_show(const struct loop *l, const char *p, size_t n)
{
	if (l->out->wrong == 1)
		fprintf(stderr, "a wrong answer: %.*s\n", n < 300 ? (int)n : 300, p);
}

static void answered(struct loop *l, struct conn *c, bool good, uint32_t events)
{
	l->ended++;
	l->now = clock_ns();
	if (l->measuring || l->plan->once) {
		hist_add(&l->out->latency, (uint64_t)(l->now - c->due));
		l->out->good += good;
	}
	c->n = 0;
	if (!l->plan->reconnect) {
		conn_next(l, c);
	} else if (events & EPOLLRDHUP) {
		conn_close(c);
		conn_next(l, c);
	} else {
		c->ending = true;
	}
}

/* Keep a piece of an answer until the rest has come. */
static void part_keep(struct conn *c, const char *p, size_t n)
{
	if (c->part == NULL)
		c->part = malloc(ANSWER_MAX);
	if (c->part == NULL)
		err(1, "answer");
	memmove(c->part, p, n);
	c->n = n;
}

static void conn_read(struct loop *l, struct conn *c, uint32_t events)
{
	char *p = c->n > 0 ? c->part : l->input;
	ssize_t n = recv(c->fd, p + c->n, ANSWER_MAX - c->n, 0);
	struct bytes body = {NULL, 0};
	enum verdict v;

	if (n < 0 && errno == EAGAIN)
		return;
	if (c->ending || !c->busy || n <= 0) {
		if (!c->ending && c->busy) {
			conn_broken(l, c);
			return;
		}
		conn_close(c);
		if (c->ending)
			conn_next(l, c);
		return;
	}
	n += (ssize_t)c->n;
	if (!l->plan->any)
		body = l->plan->wire
			   ->body[l->plan->fixed >= 0 ? (size_t)l->plan->fixed : c->key];
	v = wire_check(p, (size_t)n, body);
	if (v == VERDICT_PART && n < ANSWER_MAX) {
		part_keep(c, p, (size_t)n);
		return;
	}
	if (v != VERDICT_GOOD) {
		l->out->wrong++;
		wrong_show(l, p, (size_t)n);
	}
	answered(l, c, v == VERDICT_GOOD, events);
}

/* The request is out: go, with a reset, so that ports are not used up. */
static void conn_leave(struct loop *l, struct conn *c)
{
	struct linger hard = {.l_onoff = 1, .l_linger = 0};

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	answered(l, c, true, EPOLLRDHUP);
}

static void on_event(struct loop *l, const struct epoll_event *e)
{
	struct conn *c = &l->conn[e->data.u32];

	if (c->fd < 0)
		return;
	if (c->unsent)
		conn_send(l, c);
	else if (is_leaving(l))
		conn_leave(l, c);
	else
		conn_read(l, c, e->events);
}

/* Time. */

/* Sleep until something has come, a request is due that can be sent, or `until`. */
static int wait_some(struct loop *l, struct epoll_event *ready, int64_t until)
{
	struct timespec t;
	int64_t ns;

	if (l->interval > 0 && l->idle_n > 0 && l->next_due < until)
		until = l->next_due;
	ns = until > l->now ? until - l->now : 0;
	t = (struct timespec){ns / SECOND, ns % SECOND};
	return epoll_pwait2(l->epoll, ready, EVENTS, &t, NULL);
}

static void run_until(struct loop *l, int64_t until)
{
	struct epoll_event ready[EVENTS];
	int64_t last = l->now;
	size_t seen = l->ended;

	while (l->now < until && !(l->plan->once && l->ended >= l->plan->wire->n)) {
		int64_t soon = l->now + SECOND < until ? l->now + SECOND : until;
		int n = wait_some(l, ready, soon);

		l->now = clock_ns();
		for (int i = 0; i < n; i++)
			on_event(l, &ready[i]);
		if (l->interval > 0)
			pump(l);
		if (l->ended != seen) {
			seen = l->ended;
			last = l->now;
		} else if (l->now - last > SILENCE_S * SECOND) {
			errx(1, "no answer for %d seconds", SILENCE_S);
		}
	}
}

static void conns_start(struct loop *l)
{
	for (int i = 0; i < l->plan->conns; i++) {
		struct conn *c = &l->conn[i];

		c->fd = -1;
		l->now = clock_ns();
		if (l->interval > 0 && !l->plan->reconnect)
			conn_open(l, c);
		conn_next(l, c);
	}
	l->next_due = l->now = clock_ns();
}

static void measure(struct loop *l, bool begins)
{
	if (l->plan->measure != NULL)
		l->plan->measure(l->plan->arg, begins);
	l->measuring = begins;
}

void loop_run(const struct plan *plan, struct result *out)
{
	struct loop *l = calloc(1, sizeof *l);
	int64_t start;

	*out = (struct result){0};
	if (l == NULL ||
	    (l->conn = calloc((size_t)plan->conns, sizeof *l->conn)) == NULL ||
	    (l->idle = calloc((size_t)plan->conns, sizeof *l->idle)) == NULL)
		err(1, "connections");
	l->plan = plan;
	l->out = out;
	l->random = (uint64_t)clock_ns() | 1;
	l->interval = plan->rate > 0 ? (int64_t)((double)SECOND / plan->rate) : 0;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	/* Or the kernel adds 50 us to every pause of the open loop. */
	prctl(PR_SET_TIMERSLACK, 1UL);
	l->now = clock_ns();
	if (plan->once)
		measure(l, true);
	start = l->now;
	conns_start(l);
	if (!plan->once) {
		run_until(l, l->now + (int64_t)(plan->warm * (double)SECOND));
		measure(l, true);
		start = l->now = clock_ns();
	}
	run_until(l,
	    plan->once ? INT64_MAX : start + (int64_t)(plan->seconds * (double)SECOND));
	l->now = clock_ns();
	out->seconds = (double)(l->now - start) / (double)SECOND;
	measure(l, false);
	if (l->interval > 0 && l->now > l->next_due)
		out->behind = (uint64_t)((l->now - l->next_due) / l->interval);
	for (int i = 0; i < plan->conns; i++) {
		if (l->conn[i].fd >= 0)
			close(l->conn[i].fd);
		free(l->conn[i].part);
	}
	close(l->epoll);
	free(l->conn);
	free(l->idle);
	free(l);
}
