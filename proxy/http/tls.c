/* tls.c - handshakes, and links that carry bytes. */
#include "proxy/http/tls.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "conf/conf.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/thread.h"
#include "proxy/base/timer.h"

#define RECORD     16384 /* of plain text: RFC 8446 section 5.1 */
#define TURN       16    /* records of one link, then others have their turn */
#define ACCEPT_MAX 16    /* a handshake costs a millisecond */
#define TICK_MS    250
#define LEAVE_MS   500

/* What one side has not taken of one record. */
struct carried {
	uint8_t *p;
	size_t n, at;
};

struct tls_link {
	struct tls *tls;
	struct event outside, inside; /* its client; the pair */
	SSL *ssl;
	bool shaken;
	bool wants_write; /* SSL waits for the client's socket */
	bool up_ended, down_ended;
	struct carried up, down; /* to the server; to the client */
	int64_t began_ms;
	int64_t patience_ms; /* with which outside waits; 0: for ever */
	TAILQ_ENTRY(tls_link) entry;
};
TAILQ_HEAD(tls_links, tls_link);

struct tls {
	struct event_base *base;
	struct inbox *own, *to;
	void (*arrived)(void *inbox_arg, struct msg *m);
	SSL_CTX *context;
	_Atomic(SSL_CTX *) next; /* of a reload; NULL: none */
	struct event accepting[CONF_API_LISTEN_MAX], tick;
	size_t listeners, max, n, halves;
	bool paused;                  /* accepting, until the next tick */
	struct tls_links half, whole; /* the oldest first */
	struct order reload, close, stop;
	int64_t leave_ms; /* 0: we stay */
	pthread_t thread;
	bool started;
	uint8_t record[RECORD];
};

/* A link. */

static void carried_free(struct carried *c)
{
	if (c->p != NULL)
		explicit_bzero(c->p, c->n);
	free(c->p);
	*c = (struct carried){NULL, 0, 0};
}

static bool carried_keep(struct carried *c, const uint8_t *p, size_t n)
{
	assert(c->p == NULL && n > 0);
	c->p = malloc(n);
	if (c->p == NULL)
		return false;
	memcpy(c->p, p, n);
	c->n = n;
	c->at = 0;
	return true;
}

static void link_free(struct tls_link *l)
{
	struct tls *t = l->tls;

	TAILQ_REMOVE(l->shaken ? &t->whole : &t->half, l, entry);
	t->halves -= !l->shaken;
	t->n--;
	event_del(&l->outside);
	close(event_get_fd(&l->outside));
	if (l->shaken) {
		event_del(&l->inside);
		close(event_get_fd(&l->inside));
	}
	carried_free(&l->up);
	carried_free(&l->down);
	SSL_free(l->ssl);
	free(l);
}

/* Did SSL do it?  False: it waits, or *end: it has ended or failed. */
static bool went(struct tls_link *l, int result, bool *end)
{
	int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(l->ssl, result);

	if (error == SSL_ERROR_WANT_WRITE)
		l->wants_write = true;
	*end = error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ &&
	       error != SSL_ERROR_WANT_WRITE;
	return error == SSL_ERROR_NONE;
}

static bool is_again(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* To the server.  False: the link has ended. */

static bool push_up(struct tls_link *l, const uint8_t *p, size_t n)
{
	ssize_t taken = send(event_get_fd(&l->inside), p, n, MSG_NOSIGNAL);

	if (taken < 0 && !is_again(taken))
		return false;
	if (taken < 0)
		taken = 0;
	if (l->up.p != NULL) {
		l->up.at += (size_t)taken;
		if (l->up.at == l->up.n)
			carried_free(&l->up);
		return true;
	}
	return (size_t)taken == n || carried_keep(&l->up, p + taken, n - (size_t)taken);
}

static bool carry_up(struct tls_link *l)
{
	struct tls *t = l->tls;
	bool end = false;
	int n = 0;

	if (l->up.p != NULL && !push_up(l, l->up.p + l->up.at, l->up.n - l->up.at))
		return false;
	for (int i = 0; i < TURN && l->up.p == NULL && !l->up_ended; i++) {
		ERR_clear_error();
		n = SSL_read(l->ssl, t->record, sizeof t->record);
		if (went(l, n, &end)) {
			bool pushed = push_up(l, t->record, (size_t)n);

			explicit_bzero(t->record, (size_t)n); /* a bundle may have keys */
			if (!pushed)
				return false;
			continue;
		}
		if (!end)
			return true;
		if (SSL_get_error(l->ssl, n) != SSL_ERROR_ZERO_RETURN)
			return false;
		l->up_ended = true;
		shutdown(event_get_fd(&l->inside), SHUT_WR);
	}
	/* what SSL has read already wakes nobody */
	if (l->up.p == NULL && !l->up_ended && SSL_pending(l->ssl) > 0)
		event_active(&l->outside, EV_READ, 0);
	return true;
}

/* To the client. */

static bool push_down(struct tls_link *l, const uint8_t *p, size_t n)
{
	bool end;
	int taken;

	ERR_clear_error();
	taken = SSL_write(l->ssl, p, (int)n);
	if (!went(l, taken, &end)) {
		if (end)
			return false;
		taken = 0;
	}
	if (l->down.p != NULL) {
		l->down.at += (size_t)taken;
		if (l->down.at == l->down.n)
			carried_free(&l->down);
		return true;
	}
	return (size_t)taken == n || carried_keep(&l->down, p + taken, n - (size_t)taken);
}

static void end_down(struct tls_link *l)
{
	l->down_ended = true;
	ERR_clear_error();
	SSL_shutdown(l->ssl); /* close_notify; nobody waits for theirs */
	shutdown(event_get_fd(&l->outside), SHUT_WR);
}

static bool carry_down(struct tls_link *l)
{
	struct tls *t = l->tls;

	if (l->down.p != NULL &&
	    !push_down(l, l->down.p + l->down.at, l->down.n - l->down.at))
		return false;
	for (int i = 0; i < TURN && l->down.p == NULL && !l->down_ended; i++) {
		ssize_t n =
		    recv(event_get_fd(&l->inside), t->record, sizeof t->record, 0);

		if (is_again(n))
			return true;
		if (n < 0)
			return false;
		if (n == 0)
			end_down(l);
		else if (!push_down(l, t->record, (size_t)n))
			return false;
		else if ((size_t)n < sizeof t->record)
			return true; /* it was all */
	}
	return true;
}

/* Waiting. */

static void on_link(evutil_socket_t fd, short what, void *arg);

/* What waits as it should already costs no system call: a stream's turn has three. */
static bool rearm(struct event *ev, struct tls_link *l, short want, int64_t ms)
{
	struct timeval tv = {ms / 1000, 0};

	if (event_get_events(ev) == (want | EV_PERSIST) &&
	    event_pending(ev, EV_READ | EV_WRITE | EV_TIMEOUT, NULL))
		return true;
	event_del(ev);
	if (want == 0 && ms == 0)
		return true;
	return event_assign(ev, l->tls->base, event_get_fd(ev), want | EV_PERSIST,
		   on_link, l) == 0 &&
	       event_add(ev, ms > 0 ? &tv : NULL) == 0;
}

static short outside_wants(const struct tls_link *l)
{
	short want = 0;

	if (!l->shaken || (l->up.p == NULL && !l->up_ended))
		want |= EV_READ;
	if (l->wants_write || l->down.p != NULL)
		want |= EV_WRITE;
	return want;
}

static short inside_wants(const struct tls_link *l)
{
	short want = 0;

	if (l->down.p == NULL && !l->down_ended)
		want |= EV_READ;
	if (l->up.p != NULL)
		want |= EV_WRITE;
	return want;
}

/* False: out of memory, or both sides have ended. */
static bool settle(struct tls_link *l)
{
	int64_t ms = l->down_ended ? TLS_LAST_MS : l->down.p != NULL ? TLS_STALL_MS : 0;

	if (l->up_ended && l->down_ended && l->up.p == NULL && l->down.p == NULL)
		return false;
	if (ms != l->patience_ms)
		event_del(&l->outside);
	l->patience_ms = ms;
	if (!rearm(&l->outside, l, outside_wants(l), ms))
		return false;
	return !l->shaken || rearm(&l->inside, l, inside_wants(l), 0);
}

/* Handshakes. */

static bool introduce(struct tls_link *l, int fd)
{
	struct tls_guest *g = calloc(1, sizeof *g);
	socklen_t n = sizeof g->peer;
	X509 *x;

	if (g == NULL)
		return false;
	g->fd = fd;
	g->msg.run = l->tls->arrived;
	getpeername(event_get_fd(&l->outside), (struct sockaddr *)&g->peer, &n);
	x = SSL_get0_peer_certificate(l->ssl);
	g->has_certificate = x != NULL && SSL_get_verify_result(l->ssl) == X509_V_OK &&
			     X509_digest(x, EVP_sha256(), g->certificate, NULL) == 1;
	inbox_post(l->tls->to, &g->msg);
	return true;
}

/* We have nothing to say behind a handshake, so that our kernel would put its
 * acknowledgement off, and a client with Nagle's algorithm its request: 40 ms. */
static void set_quick(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

static bool welcome(struct tls_link *l)
{
	struct tls *t = l->tls;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	if (event_assign(
		&l->inside, t->base, pair[0], EV_READ | EV_PERSIST, on_link, l) != 0 ||
	    !introduce(l, pair[1])) {
		close(pair[0]);
		close(pair[1]);
		return false;
	}
	TAILQ_REMOVE(&t->half, l, entry);
	TAILQ_INSERT_TAIL(&t->whole, l, entry);
	t->halves--;
	l->shaken = true;
	set_quick(event_get_fd(&l->outside));
	return true;
}

static bool shake(struct tls_link *l)
{
	bool end;

	ERR_clear_error();
	if (!went(l, SSL_accept(l->ssl), &end))
		return !end;
	return welcome(l);
}

static void on_link(evutil_socket_t fd, short what, void *arg)
{
	struct tls_link *l = arg;
	bool alive = (what & EV_TIMEOUT) == 0;
	bool is_outside = fd == event_get_fd(&l->outside);

	l->wants_write = false;
	if (alive && !l->shaken)
		alive = shake(l);
	if (alive && l->shaken && (is_outside || l->up.p != NULL))
		alive = carry_up(l);
	if (alive && l->shaken && (!is_outside || l->down.p != NULL))
		alive = carry_down(l);
	ERR_clear_error();
	if (!alive || !settle(l))
		link_free(l);
}

static void set_socket(int fd)
{
	int on = 1, ms = TLS_STALL_MS;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

/* fd is handed over. */
static void link_new(struct tls *t, int fd)
{
	struct tls_link *l = calloc(1, sizeof *l);

	if (l != NULL)
		l->ssl = SSL_new(t->context);
	if (l == NULL || l->ssl == NULL || SSL_set_fd(l->ssl, fd) != 1 ||
	    event_assign(&l->outside, t->base, fd, EV_READ | EV_PERSIST, on_link, l) !=
		0 ||
	    event_add(&l->outside, NULL) != 0) {
		if (l != NULL)
			SSL_free(l->ssl);
		free(l);
		close(fd);
		return;
	}
	SSL_set_accept_state(l->ssl);
	set_socket(fd);
	l->tls = t;
	l->began_ms = clock_mono_ms();
	TAILQ_INSERT_TAIL(&t->half, l, entry);
	t->halves++;
	t->n++;
}

/* Who waits at the door of a house without descriptors would wake us at once again. */
static void pause_accept(struct tls *t, int error)
{
	if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM)
		return;
	log_warn(
	    "accept_paused", "reason=%s connections=%zu", strerrorname_np(error), t->n);
	for (size_t i = 0; i < t->listeners; i++)
		event_del(&t->accepting[i]);
	t->paused = true;
}

static void resume_accept(struct tls *t)
{
	t->paused = false;
	for (size_t i = 0; i < t->listeners; i++)
		t->paused |= event_add(&t->accepting[i], NULL) != 0;
}

static void on_accept(evutil_socket_t at, short what, void *arg)
{
	struct tls *t = arg;

	(void)what;
	for (int i = 0; i < ACCEPT_MAX; i++) {
		int fd = accept4(at, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			pause_accept(t, errno);
			return;
		}
		if (t->halves >= TLS_HALF_MAX)
			link_free(TAILQ_FIRST(&t->half));
		if (t->n >= t->max + TLS_HALF_MAX)
			close(fd);
		else
			link_new(t, fd);
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct tls *t = arg;
	int64_t now = clock_mono_ms();
	struct tls_link *l;

	(void)fd, (void)what;
	while ((l = TAILQ_FIRST(&t->half)) != NULL && now - l->began_ms >= TLS_SHAKE_MS)
		link_free(l);
	if (t->paused)
		resume_accept(t);
	if (t->leave_ms != 0 && (t->n == 0 || now >= t->leave_ms))
		event_base_loopbreak(t->base);
}

/* Orders. */

static void on_reload(void *arg)
{
	struct tls *t = arg;
	SSL_CTX *next = atomic_exchange(&t->next, NULL);

	if (next == NULL)
		return;
	SSL_CTX_free(t->context);
	t->context = next;
}

static void on_close(void *arg)
{
	struct tls *t = arg;

	while (t->listeners > 0) {
		struct event *ev = &t->accepting[--t->listeners];

		event_del(ev);
		close(event_get_fd(ev));
	}
	while (!TAILQ_EMPTY(&t->half))
		link_free(TAILQ_FIRST(&t->half));
}

static void on_stop(void *arg)
{
	struct tls *t = arg;

	on_close(t);
	t->leave_ms = clock_mono_ms() + LEAVE_MS;
	if (t->n == 0)
		event_base_loopbreak(t->base);
}

void tls_reload(struct tls *t, SSL_CTX *context)
{
	SSL_CTX_up_ref(context);
	SSL_CTX_free(atomic_exchange(&t->next, context));
	order_post(&t->reload, t->own);
}

void tls_close(struct tls *t)
{
	order_post(&t->close, t->own);
}

void tls_stop(struct tls *t)
{
	order_post(&t->stop, t->own);
}

/* Life. */

static bool listen_to(struct tls *t, int fd)
{
	struct event *ev = &t->accepting[t->listeners];

	if (event_assign(ev, t->base, fd, EV_READ | EV_PERSIST, on_accept, t) != 0 ||
	    event_add(ev, NULL) != 0) {
		close(fd);
		return false;
	}
	t->listeners++;
	return true;
}

struct tls *tls_new(const int *fds, size_t n, SSL_CTX *context, struct inbox *to,
    void (*arrived)(void *inbox_arg, struct msg *m), size_t max)
{
	struct tls *t = calloc(1, sizeof *t);
	bool made = t != NULL;

	assert(n <= CONF_API_LISTEN_MAX);
	if (made) {
		TAILQ_INIT(&t->half);
		TAILQ_INIT(&t->whole);
		t->to = to;
		t->arrived = arrived;
		t->max = max;
		SSL_CTX_up_ref(context);
		t->context = context;
		order_init(&t->reload, on_reload, t);
		order_init(&t->close, on_close, t);
		order_init(&t->stop, on_stop, t);
		t->base = event_base_new();
		t->own = t->base != NULL ? inbox_new(t->base, t) : NULL;
		made = t->own != NULL &&
		       event_assign(&t->tick, t->base, -1, EV_PERSIST, on_tick, t) == 0 &&
		       timer_arm(&t->tick, TICK_MS);
	}
	for (size_t i = 0; i < n; i++) {
		if (made)
			made = listen_to(t, fds[i]);
		else
			close(fds[i]);
	}
	if (made)
		return t;
	tls_free(t);
	return NULL;
}

static void *run(void *arg)
{
	struct tls *t = arg;

	event_base_loop(t->base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

int tls_start(struct tls *t)
{
	int e = thread_start(&t->thread, "tls", run, t);

	t->started = e == 0;
	return e;
}

void tls_join(struct tls *t)
{
	if (!t->started)
		return;
	pthread_join(t->thread, NULL);
	t->started = false;
}

void tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	assert(!t->started);
	if (t->own != NULL)
		inbox_free(t->own);
	if (t->base != NULL) {
		on_close(t);
		while (!TAILQ_EMPTY(&t->whole))
			link_free(TAILQ_FIRST(&t->whole));
		if (event_initialized(&t->tick))
			event_del(&t->tick);
		event_base_free(t->base);
	}
	SSL_CTX_free(atomic_exchange(&t->next, NULL));
	SSL_CTX_free(t->context);
	free(t);
}
