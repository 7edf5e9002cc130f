/* worker.c - a loop, its parts, and the commands that reach it.
 *
 * Commands are messages that are part of the worker; `posted` of each keeps one from
 * being queued twice.  A command that comes again before the first has run is the same
 * command.
 */
#include "proxy/front/worker.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/front/serve.h"
#include "proxy/http/listener.h"

struct command {
	struct msg msg;
	_Atomic bool posted;
	struct worker *worker;
};

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
	struct command reload, drain, stop;
};

static struct conn_limits limits_of(const struct conf *c)
{
	return (struct conn_limits){.header_ms = c->header_timeout_ms,
	    .body_ms = c->body_timeout_ms,
	    .idle_ms = c->idle_timeout_ms,
	    .write_ms = c->write_timeout_ms,
	    .linger_ms = c->linger_timeout_ms,
	    .linger_bytes = (size_t)c->linger_size,
	    .head = (size_t)c->max_head_size,
	    .target = (size_t)c->max_target_size,
	    .body = (size_t)c->max_body_size};
}

static int max_connections(const struct shared *s)
{
	int64_t n = shared_conf(s)->max_connections;

	return n < s->max_connections ? (int)n : s->max_connections;
}

/* Commands, on the worker's thread */

static void listeners_free(struct worker *w)
{
	for (size_t i = 0; i < w->listener_n; i++)
		listener_free(w->listener[i]);
	w->listener_n = 0;
}

static struct worker *command_begin(struct msg *m)
{
	struct command *c = (struct command *)m;

	/* First, so that who posts it from now on has it run again. */
	atomic_store_explicit(&c->posted, false, memory_order_seq_cst);
	return c->worker;
}

static void on_reload(void *arg, struct msg *m)
{
	struct worker *w = command_begin(m);
	struct conn_limits limits = limits_of(shared_conf(w->shared));

	(void)arg;
	if (w->loop != NULL)
		conn_loop_limits(w->loop, &limits);
	for (size_t i = 0; i < w->listener_n; i++)
		listener_limit(w->listener[i], max_connections(w->shared));
}

static void on_drain(void *arg, struct msg *m)
{
	struct worker *w = command_begin(m);

	(void)arg;
	listeners_free(w);
	if (w->loop != NULL)
		conn_loop_drain(w->loop);
	w->drained = true;
}

/* The loop goes on for the questions that are at the keeper, so that their clients hear
 * what it says last; then the connections go. */
static void on_stop(void *arg, struct msg *m)
{
	on_drain(arg, m);
	((struct command *)m)->worker->stopping = true;
}

/* Any thread */

static void post(struct worker *w, struct command *c)
{
	if (!atomic_exchange_explicit(&c->posted, true, memory_order_seq_cst))
		inbox_post(w->inbox, &c->msg);
}

void worker_reload(struct worker *w)
{
	post(w, &w->reload);
}

void worker_drain(struct worker *w)
{
	post(w, &w->drain);
}

void worker_stop(struct worker *w)
{
	post(w, &w->stop);
}

bool worker_idle(const struct worker *w)
{
	return atomic_load_explicit(&w->idle, memory_order_acquire);
}

/* The thread */

static void *run(void *arg)
{
	struct worker *w = arg;
	char name[16];

	snprintf(name, sizeof name, "worker%u", w->index % 1000);
	pthread_setname_np(pthread_self(), name);
	while (!w->stopping || serve_parked(w->serve) > 0) {
		/* -1 is a failing epoll_wait: there is nothing left to wait with. */
		if (event_base_loop(w->base, EVLOOP_ONCE) < 0)
			abort();
		if (w->drained)
			atomic_store_explicit(&w->idle,
			    w->loop == NULL || conn_loop_count(w->loop) == 0,
			    memory_order_release);
	}
	conn_loop_free(w->loop);
	w->loop = NULL;
	return NULL;
}

int worker_start(struct worker *w)
{
	sigset_t all, old;
	int e;

	/* Signals are for the main thread; SIGPIPE is for nobody. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	e = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->started = e == 0;
	return e;
}

void worker_join(struct worker *w)
{
	if (w->started)
		pthread_join(w->thread, NULL);
	w->started = false;
}

/* Making */

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
	struct conn_limits limits = limits_of(shared_conf(w->shared));
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
	serve_set_inbox(w->serve, w->inbox);
	serve_set_loop(w->serve, w->loop);
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

static struct command command_of(
    struct worker *w, void (*run_it)(void *arg, struct msg *m))
{
	return (struct command){.msg = {.run = run_it}, .worker = w};
}

struct worker *worker_new(struct shared *shared, unsigned index, const int *fds,
    const bool *shared_fd, size_t fds_n, char *why, size_t why_n)
{
	struct worker *w = calloc(1, sizeof *w);
	size_t used = 0;

	if (w != NULL) {
		w->shared = shared;
		w->index = index;
		w->reload = command_of(w, on_reload);
		w->drain = command_of(w, on_drain);
		w->stop = command_of(w, on_stop);
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
