/* sockets.c - a table by descriptor. */
#include "proxy/http/sockets.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM_FIRST 64

struct watch {
	struct event ev;
	struct sockets *all;
	short flags; /* as it is on the loop; 0: it is not */
	bool wanted; /* libcurl waits for it */
	bool ours;   /* sockets_close() will hear of its end */
};

struct sockets {
	struct event_base *base;
	sockets_ready_fn *ready;
	void *arg;
	struct watch **at; /* by descriptor, room of them */
	size_t room;
};

struct sockets *sockets_new(struct event_base *base, sockets_ready_fn *ready, void *arg)
{
	struct sockets *s = calloc(1, sizeof *s);

	if (s != NULL)
		*s = (struct sockets){.base = base, .ready = ready, .arg = arg};
	return s;
}

static struct watch *find(const struct sockets *s, curl_socket_t fd)
{
	assert(fd >= 0);
	return (size_t)fd < s->room ? s->at[fd] : NULL;
}

static void drop(struct sockets *s, curl_socket_t fd)
{
	struct watch *w = find(s, fd);

	if (w == NULL)
		return;
	if (w->flags != 0)
		event_del(&w->ev);
	s->at[fd] = NULL;
	free(w);
}

void sockets_clear(struct sockets *s)
{
	for (size_t fd = 0; fd < s->room; fd++)
		drop(s, (curl_socket_t)fd);
}

void sockets_free(struct sockets *s)
{
	if (s == NULL)
		return;
	for (size_t fd = 0; fd < s->room; fd++)
		assert(s->at[fd] == NULL);
	free(s->at);
	free(s);
}

static bool make_room(struct sockets *s, curl_socket_t fd)
{
	size_t room = s->room == 0 ? ROOM_FIRST : s->room;
	struct watch **at;

	while (room <= (size_t)fd)
		room *= 2;
	if (room == s->room)
		return true;
	at = realloc(s->at, room * sizeof(struct watch *));
	if (at == NULL)
		return false;
	for (size_t i = s->room; i < room; i++)
		at[i] = NULL;
	s->at = at;
	s->room = room;
	return true;
}

/* NULL when out of memory. */
static struct watch *add(struct sockets *s, curl_socket_t fd, bool ours)
{
	struct watch *w = make_room(s, fd) ? calloc(1, sizeof *w) : NULL;

	if (w == NULL)
		return NULL;
	w->all = s;
	w->ours = ours;
	s->at[fd] = w;
	return w;
}

curl_socket_t sockets_open(struct sockets *s, const struct curl_sockaddr *to)
{
	curl_socket_t fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);

	if (fd < 0)
		return CURL_SOCKET_BAD;
	drop(s, fd); /* of what was closed behind our back */
	(void)add(s, fd, true);
	return fd;
}

int sockets_close(void *arg, curl_socket_t fd)
{
	drop(arg, fd);
	return close(fd);
}

/* w may be gone when libcurl has been told. */
static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;
	int flags = 0;

	if (!w->wanted) {
		event_del(&w->ev);
		w->flags = 0;
		return;
	}
	if (what & EV_READ)
		flags |= CURL_CSELECT_IN;
	if (what & EV_WRITE)
		flags |= CURL_CSELECT_OUT;
	w->all->ready(w->all->arg, fd, flags);
}

static void put_on_loop(struct watch *w, curl_socket_t fd, short flags)
{
	if (w->flags == flags)
		return;
	if (w->flags != 0)
		event_del(&w->ev);
	w->flags = 0;
	if (event_assign(&w->ev, w->all->base, fd, flags, on_event, w) == 0 &&
	    event_add(&w->ev, NULL) == 0)
		w->flags = flags;
}

int sockets_watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	struct sockets *s = arg;
	struct watch *w = find(s, fd);
	bool wanted = what != CURL_POLL_REMOVE && what != CURL_POLL_NONE;

	(void)easy, (void)unused;
	if (w != NULL)
		w->wanted = wanted;
	if (!wanted && w != NULL && !w->ours)
		drop(s, fd);
	if (!wanted || (w == NULL && (w = add(s, fd, false)) == NULL))
		return 0;
	w->wanted = true;
	put_on_loop(w, fd,
	    (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
		    (what & CURL_POLL_OUT ? EV_WRITE : 0)));
	return 0;
}
