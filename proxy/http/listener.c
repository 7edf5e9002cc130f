/* listener.c - accepting, and opening what is accepted from.
 *
 * A listener lives as long as the last of its connections, because they tell it when they
 * close; listener_free() only makes it deaf.
 */
#include "proxy/http/listener.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/base/timer.h"

#define ACCEPT_MAX 64  /* in one turn: then those who are connected have theirs */
#define PAUSE_MS   100 /* and then another try, when no connection closed before */

struct listener {
	struct conn_loop *loop;
	struct counters *counters;
	struct event accept_event, pause_event;
	struct listener_limits limits;
	int fd; /* -1: stopped */
	bool shared_fd;
	bool paused;
	size_t live; /* connections */
};

static void on_close(void *arg);

static void pause_accept(struct listener *ls, const char *why)
{
	log_warn("accept_paused", "reason=%s connections=%d", why,
	    atomic_load_explicit(ls->limits.connections, memory_order_relaxed));
	metrics_count(ls->counters, M_ACCEPT_PAUSED);
	/* Without the timer nothing might wake us: then rather go on trying. */
	if (!timer_arm(&ls->pause_event, PAUSE_MS))
		return;
	event_del(&ls->accept_event);
	ls->paused = true;
}

static void resume_accept(struct listener *ls)
{
	event_del(&ls->pause_event);
	ls->paused = event_add(&ls->accept_event, NULL) != 0;
	if (ls->paused)
		timer_arm(&ls->pause_event, PAUSE_MS);
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Accept one client: false when there is none, or no room for it. */
static bool accept_one(struct listener *ls)
{
	_Atomic int *count = ls->limits.connections;
	int fd;

	if (atomic_fetch_add_explicit(count, 1, memory_order_relaxed) >=
	    ls->limits.max_connections) {
		atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
		pause_accept(ls, "max_connections");
		return false;
	}
	fd = accept4(ls->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		int error = errno;

		atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
		if (is_shortage(error))
			pause_accept(ls, strerrorname_np(error));
		/* Anything but these is the fate of one client only. */
		return !is_shortage(error) && error != EAGAIN;
	}
	if (conn_new(ls->loop, fd, on_close, ls) == NULL) {
		atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
		pause_accept(ls, "ENOMEM");
		return false;
	}
	ls->live++;
	return true;
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct listener *ls = arg;

	(void)what;
	assert(ls->fd == fd && !ls->paused);
	for (int i = 0; i < ACCEPT_MAX; i++)
		if (!accept_one(ls))
			break;
}

static void on_pause_end(evutil_socket_t fd, short what, void *arg)
{
	struct listener *ls = arg;

	(void)fd;
	(void)what;
	assert(ls->fd >= 0 && ls->paused);
	resume_accept(ls);
}

/* A connection has closed. */
static void on_close(void *arg)
{
	struct listener *ls = arg;

	assert(ls->live > 0);
	ls->live--;
	atomic_fetch_sub_explicit(ls->limits.connections, 1, memory_order_relaxed);
	if (ls->fd >= 0 && ls->paused)
		resume_accept(ls);
	if (ls->fd < 0 && ls->live == 0)
		free(ls);
}

struct listener *listener_new(struct conn_loop *l, struct event_base *base, int fd,
    bool shared_fd, const struct listener_limits *limits)
{
	struct listener *ls = calloc(1, sizeof *ls);

	if (ls == NULL)
		goto fail;
	ls->loop = l;
	ls->counters = conn_loop_counters(l);
	ls->limits = *limits;
	ls->fd = fd;
	ls->shared_fd = shared_fd;
	if (event_assign(
		&ls->accept_event, base, fd, EV_READ | EV_PERSIST, on_accept, ls) != 0 ||
	    event_assign(&ls->pause_event, base, -1, 0, on_pause_end, ls) != 0 ||
	    event_add(&ls->accept_event, NULL) != 0)
		goto fail;
	return ls;

fail:
	free(ls);
	if (!shared_fd)
		close(fd);
	return NULL;
}

void listener_limit(struct listener *ls, int max_connections)
{
	ls->limits.max_connections = max_connections;
	if (ls->paused)
		resume_accept(ls);
}

void listener_free(struct listener *ls)
{
	if (ls == NULL)
		return;
	event_del(&ls->accept_event);
	event_del(&ls->pause_event);
	if (!ls->shared_fd)
		close(ls->fd);
	ls->fd = -1;
	ls->paused = false;
	if (ls->live == 0)
		free(ls);
}

/* Opening. */

struct place { /* where to listen */
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_storage room;
	} at;
	socklen_t n;
};

static int fail(char *why, size_t why_n, const char *address, int error, const char *say)
{
	snprintf(
	    why, why_n, "cannot listen on %s: %s; %s", address, strerror(error), say);
	errno = error;
	return -1;
}

static const char *remedy(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "another program listens there: stop it or choose another address";
	case EACCES:
	case EPERM:
		return "choose a port above 1023, or give the process "
		       "CAP_NET_BIND_SERVICE (for a unix socket: write permission in its "
		       "directory)";
	case EADDRNOTAVAIL:
		return "no interface of this host has that address";
	case ENOENT:
	case ENOTDIR:
		return "create the directory first";
	case EMFILE:
	case ENFILE:
		return "raise the limit on open files";
	default:
		return "see ocspcached.conf(5), option listen";
	}
}

/* getaddrinfo() would take "+80" too, and a port modulo 65536. */
static bool is_port(const char *text)
{
	size_t n = strlen(text);

	return n >= 1 && n <= 5 && strspn(text, "0123456789") == n &&
	       atoi(text) <= UINT16_MAX;
}

/* Split "host:port" and fill *p.  "*" is every IPv4 address and "[::]" every IPv6 one, so
 * that listening on both needs two entries and neither depends on bindv6only. */
static bool place_tcp(struct place *p, const char *address)
{
	struct addrinfo hints = {
	    .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	const char *colon = strrchr(address, ':');
	char host[64];
	size_t n;

	if (colon == NULL || colon == address || !is_port(colon + 1))
		return false;
	n = (size_t)(colon - address);
	if (address[0] == '[') {
		if (n < 3 || address[n - 1] != ']')
			return false;
		address++;
		n -= 2;
		hints.ai_family = AF_INET6;
	} else {
		hints.ai_family = AF_INET;
	}
	if (n >= sizeof host)
		return false;
	memcpy(host, address, n);
	host[n] = '\0';
	if (strcasecmp(host, "localhost") == 0)
		strcpy(host, "127.0.0.1");
	else if (strcmp(host, "*") == 0)
		strcpy(host, "0.0.0.0");
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
		return false;
	memcpy(&p->at, found->ai_addr, found->ai_addrlen);
	p->n = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

static bool place_unix(struct place *p, const char *path)
{
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof p->at.un.sun_path)
		return false;
	p->at.un.sun_family = AF_UNIX;
	memcpy(p->at.un.sun_path, path, n + 1);
	p->n = sizeof p->at.un;
	return true;
}

static int place_socket(const struct place *p)
{
	return socket(p->at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* A bound socket, or -1 with errno. */
/* TCP_NODELAY is set here, once: on Linux the sockets that are accepted inherit it. */
static int place_bind(const struct place *p, bool reuseport)
{
	static const int on = 1;
	int fd = place_socket(p), error;

	if (fd < 0)
		return -1;
	if (p->at.any.sa_family != AF_UNIX &&
	    (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
		(p->at.any.sa_family == AF_INET6 &&
		    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
		(reuseport &&
		    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)))
		goto fail;
	if (bind(fd, &p->at.any, p->n) == 0)
		return fd;
fail:
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* Remove the file of a unix socket that nobody listens on.  0, or -1 with errno. */
static int place_clear(const struct place *p)
{
	struct stat st;
	int fd, error;

	if (lstat(p->at.un.sun_path, &st) != 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	fd = place_socket(p);
	if (fd < 0)
		return -1;
	error = connect(fd, &p->at.any, p->n) == 0 ? 0 : errno;
	close(fd);
	if (error == ECONNREFUSED)
		return unlink(p->at.un.sun_path);
	errno = EADDRINUSE; /* also EAGAIN: a listener whose backlog is full */
	return -1;
}

/* Is another program listening there?  SO_REUSEPORT would let us in beside it, when it
 * has set that too; SO_REUSEADDR alone does not, and does not mind the TIME_WAIT of the
 * last run. */
static int place_probe(const struct place *p)
{
	int fd = place_bind(p, false);

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int open_unix(
    const struct place *p, const char *address, int backlog, char *why, size_t why_n)
{
	int fd;

	if (place_clear(p) != 0)
		return fail(why, why_n, address, errno,
		    errno == EEXIST ? "the path is something else than a socket"
				    : remedy(errno));
	fd = place_bind(p, false);
	/* Owner and group: who else may connect is a matter of the directory.  Nobody can
	 * before listen(). */
	if (fd < 0 || chmod(p->at.un.sun_path, 0660) != 0 || listen(fd, backlog) != 0) {
		int error = errno;

		if (fd >= 0)
			close(fd);
		return fail(why, why_n, address, error, remedy(error));
	}
	return fd;
}

int listener_open(
    const char *address, int backlog, bool reuseport, bool probe, char *why, size_t why_n)
{
	struct place p = {0};
	int fd = -1;

	if (strncmp(address, "unix:", 5) == 0) {
		if (!place_unix(&p, address + 5))
			return fail(why, why_n, address, EINVAL,
			    "a path of 1 to 107 bytes has to follow \"unix:\"");
		return open_unix(&p, address, backlog, why, why_n);
	}
	if (!place_tcp(&p, address))
		return fail(why, why_n, address, EINVAL,
		    "write \"127.0.0.1:8080\", \"[::1]:8080\", \"*:8080\", "
		    "\"localhost:8080\" or \"unix:/path\"");
	if (!probe || place_probe(&p) == 0)
		fd = place_bind(&p, reuseport);
	if (fd < 0 || listen(fd, backlog) != 0) {
		int error = errno;

		if (fd >= 0)
			close(fd);
		return fail(why, why_n, address, error, remedy(error));
	}
	return fd;
}
