/* worker.c - a loop, its parts, and the orders that reach it. */
#include "proxy/front/worker.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/thread.h"
#include "proxy/front/serve.h"
#include "proxy/http/listener.h"

struct worker {
	struct shared *shared;
	unsigned index;
	pthread_t thread;
	bool started;
	struct event_base *base;
	struct inbox *inbox; /* its arg is serve */
	struct serve *serve;
	struct conn_loop *loop; /* NULL once the thread has ended */
	struct listener **listener;
	size_t listener_n;
	bool stopping;
	bool drained;
	_Atomic bool idle;
	struct order reload, drain, stop;
};

static int max_connections(const struct shared *s)
{
	int64_t n = shared_conf(s)->max_connections;

	return n < s->max_connections ? (int)n : s->max_connections;
}

/* Orders, on the worker's thread. */

static void listeners_free(struct worker *w)
{
	for (size_t i = 0; i < w->listener_n; i++)
		listener_free(w->listener[i]);
	w->listener_n = 0;
}

static void on_reload(void *arg)
{
	struct worker *w = arg;
	const struct conf *c = shared_conf(w->shared);
	struct conn_limits limits = conn_limits_of(c, c->max_body_size);

	if (w->loop != NULL)
		conn_loop_limits(w->loop, &limits);
	for (size_t i = 0; i < w->listener_n; i++)
		listener_limit(w->listener[i], max_connections(w->shared));
}

static void on_drain(void *arg)
{
	struct worker *w = arg;

	listeners_free(w);
	if (w->loop != NULL)
		conn_loop_drain(w->loop);
	w->drained = true;
}

/* The loop goes on for the questions that are at the keeper, so that their clients hear
 * what it says last; then the connections go. */
static void on_stop(void *arg)
{
	struct worker *w = arg;

	on_drain(w);
	w->stopping = true;
}

/* Any thread. */

void worker_reload(struct worker *w)
{
	order_post(&w->reload, w->inbox);
}

void worker_drain(struct worker *w)
{
	order_post(&w->drain, w->inbox);
}

void worker_stop(struct worker *w)
{
	order_post(&w->stop, w->inbox);
}

bool worker_idle(const struct worker *w)
{
	return atomic_load_explicit(&w->idle, memory_order_acquire);
}

/* The thread. */

static void *run(void *arg)
{
	struct worker *w = arg;

	while (!w->stopping || serve_parked(w->serve) > 0) {
		/* -1 is a failing epoll_wait: there is nothing left to wait with. */
		if (event_base_loop(w->base, EVLOOP_ONCE) < 0)
			abort();
		if (w->drained)
			atomic_store_explicit(&w->idle,
			    w->loop == NULL || conn_loop_count(w->loop) == 0,
			    memory_order_release);
	}
	assert(serve_parked(w->serve) == 0);
	conn_loop_free(w->loop);
	w->loop = NULL;
	return NULL;
}

int worker_start(struct worker *w)
{
	char name[16];
	int e;

	snprintf(name, sizeof name, "worker%u", w->index % 1000);
	assert(!w->started);
	e = thread_start(&w->thread, name, run, w);
	w->started = e == 0;
	return e;
}

void worker_join(struct worker *w)
{
	if (w->started)
		pthread_join(w->thread, NULL);
	w->started = false;
}

/* Making. */

static struct event_base *base_new(void)
{
	struct event_config *c = event_config_new();
	struct event_base *base = NULL;

	/* One thread uses it: the inbox is what others may touch. */
	if (c != NULL && event_config_set_flag(c, EVENT_BASE_FLAG_NOLOCK) == 0)
		base = event_base_new_with_config(c);
	if (c != NULL)
		event_config_free(c);
	return base;
}

static bool parts_new(struct worker *w, size_t listeners)
{
	const struct conf *c = shared_conf(w->shared);
	struct conn_limits limits = conn_limits_of(c, c->max_body_size);
	struct counters *counters = metrics_thread();

	w->listener = calloc(listeners + 1, sizeof(struct listener *));
	w->base = base_new();
	if (counters == NULL || w->listener == NULL || w->base == NULL)
		return false;
	w->serve = serve_new(w->shared, counters);
	if (w->serve == NULL)
		return false;
	w->inbox = inbox_new(w->base, w->serve);
	w->loop = conn_loop_new(w->base, &limits, &serve_handler, w->serve, counters);
	if (w->inbox == NULL || w->loop == NULL)
		return false;
	serve_attach(w->serve, w->inbox, w->loop);
	return true;
}

static bool listeners_new(
    struct worker *w, const int *fds, const bool *shared_fd, size_t fds_n, size_t *used)
{
	struct listener_limits limits = {
	    &w->shared->connections, max_connections(w->shared)};

	for (*used = 0; *used < fds_n;) {
		size_t i = (*used)++;
		struct listener *ls =
		    listener_new(w->loop, w->base, fds[i], shared_fd[i], &limits);

		if (ls == NULL)
			return false;
		w->listener[w->listener_n++] = ls;
	}
	return true;
}

struct worker *worker_new(struct shared *shared, unsigned index, const int *fds,
    const bool *shared_fd, size_t fds_n, char *why, size_t why_n)
{
	struct worker *w = calloc(1, sizeof *w);
	size_t used = 0;

	if (w != NULL) {
		w->shared = shared;
		w->index = index;
		order_init(&w->reload, on_reload, w);
		order_init(&w->drain, on_drain, w);
		order_init(&w->stop, on_stop, w);
		if (parts_new(w, fds_n) && listeners_new(w, fds, shared_fd, fds_n, &used))
			return w;
	}
	snprintf(
	    why, why_n, "cannot make worker %u: out of memory or descriptors", index);
	for (; used < fds_n; used++)
		if (!shared_fd[used])
			close(fds[used]);
	worker_free(w);
	return NULL;
}

struct inbox *worker_inbox(struct worker *w)
{
	return w->inbox;
}

void worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	assert(!w->started);
	listeners_free(w);
	conn_loop_free(w->loop);
	w->loop = NULL;
	inbox_free(w->inbox);
	serve_free(w->serve);
	if (w->base != NULL)
		event_base_free(w->base);
	free(w->listener);
	free(w);
}
