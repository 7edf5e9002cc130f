/* api.c - the thread: its listeners, orders of others, its end. */
#include "proxy/api/api.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/api/api_core.h"
#include "proxy/base/log.h"
#include "proxy/base/thread.h"

/* Clients of the API at once: they come out of reserved-descriptors, and scrapers, people
 * and scripts are few. */
#define CONNECTIONS_MAX 64

/* Orders of other threads. */

static void on_reload(void *arg)
{
	struct api *a = arg;
	const struct conf *c = shared_conf(a->shared);
	struct conn_limits limits = conn_limits_of(c, c->api_max_body_size);

	conn_loop_limits(a->loop, &limits);
	gate_reload(a->gate, c);
	if (a->tls != NULL && c->api_tls != NULL)
		tls_reload(a->tls, c->api_tls);
	events_reload(a->events);
	events_keep(a->events, gate_keeps, a->gate);
}

static void stop_listening(struct api *a)
{
	while (a->listeners > 0)
		listener_free(a->listener[--a->listeners]);
	a->closed = true;
}

static void on_drain(void *arg)
{
	struct api *a = arg;

	events_drain(a->events);
}

static void on_close(void *arg)
{
	struct api *a = arg;

	if (a->closed)
		return;
	if (a->tls != NULL)
		tls_close(a->tls);
	stop_listening(a);
	conn_loop_drain(a->loop);
}

static void on_stop(void *arg)
{
	struct api *a = arg;

	if (a->stopping)
		return;
	on_drain(a);
	on_close(a);
	a->stopping = true;
	if (a->parked > 0) {
		a->halt.what = CALL_STOP;
		api_serve_post(a, &a->halt);
	}
	api_serve_leave(a);
}

void api_reload(struct api *a)
{
	order_post(&a->reload, a->inbox);
}

void api_drain(struct api *a)
{
	order_post(&a->drain, a->inbox);
}

void api_close(struct api *a)
{
	order_post(&a->close, a->inbox);
}

bool api_idle(const struct api *a)
{
	return atomic_load(&a->connections) == 0 && atomic_load(&a->guests) == 0 &&
	       atomic_load(&a->shared->subscribers) == 0;
}

void api_stop(struct api *a)
{
	order_post(&a->stop, a->inbox);
}

/* Life. */

static void on_events_idle(void *arg)
{
	api_serve_leave(arg);
}

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static bool make(struct api *a, const int *fds, size_t n)
{
	const struct conf *c = shared_conf(a->shared);
	struct conn_limits limits = conn_limits_of(c, c->api_max_body_size);
	struct listener_limits listening = {&a->connections, CONNECTIONS_MAX};
	struct counters *counters = metrics_thread();

	a->base = event_base_new();
	a->inbox = a->base != NULL ? inbox_new(a->base, a) : NULL;
	a->calls = calls_new();
	if (a->inbox == NULL || a->calls == NULL || counters == NULL)
		goto fail;
	a->loop = conn_loop_new(a->base, &limits, &api_serve_handler, a, counters);
	a->events = events_new(a->shared, a->base, a->inbox, counters);
	a->gate = gate_new(c, counters);
	if (a->loop == NULL || a->events == NULL || a->gate == NULL)
		goto fail;
	events_on_idle(a->events, on_events_idle, a);
	if (c->token_n == 0)
		log_info("api_open", "text=%s",
		    "whoever reaches the API may do everything: no token is configured "
		    "(ocspctl token)");
	for (size_t i = 0; i < n; i++) {
		struct listener *ls =
		    listener_new(a->loop, a->base, fds[i], false, &listening);

		if (ls == NULL) {
			close_all(fds + i + 1, n - i - 1);
			return false;
		}
		a->listener[a->listeners++] = ls;
	}
	return true;

fail:
	close_all(fds, n);
	return false;
}

struct api *api_new(
    struct shared *shared, const int *fds, size_t n, char *why, size_t why_n)
{
	struct api *a = calloc(1, sizeof *a);

	if (a == NULL) {
		close_all(fds, n);
		snprintf(why, why_n, "API: %s", strerror(ENOMEM));
		return NULL;
	}
	json_object_seed(0); /* before there is a second thread that could do it */
	a->shared = shared;
	order_init(&a->reload, on_reload, a);
	order_init(&a->drain, on_drain, a);
	order_init(&a->close, on_close, a);
	order_init(&a->stop, on_stop, a);
	if (!make(a, fds, n)) {
		snprintf(why, why_n, "API: out of memory or descriptors");
		api_free(a);
		return NULL;
	}
	return a;
}

static void on_guest(void *inbox_arg, struct msg *m)
{
	struct api *a = inbox_arg;
	struct tls_guest *g = (struct tls_guest *)m;

	if (!a->closed) {
		guest_open(a->loop, g, &a->guests);
		return;
	}
	close(g->fd);
	free(g);
}

bool api_open(struct api *a, const int *fds, size_t n)
{
	const struct conf *c = shared_conf(a->shared);
	int streams = a->shared->max_subscribers;

	a->tls = tls_new(fds, n, c->api_tls, a->inbox, on_guest,
	    GUESTS_MAX + (streams > 0 ? (size_t)streams : (size_t)c->max_subscribers));
	return a->tls != NULL;
}

struct inbox *api_inbox(struct api *a)
{
	return a->inbox;
}

void api_news(void *inbox_arg, struct msg *m)
{
	struct api *a = inbox_arg;

	events_news(a->events, (struct teller_news *)m);
}

static void *run(void *arg)
{
	struct api *a = arg;

	event_base_loop(a->base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

int api_start(struct api *a)
{
	int e;

	assert(!a->started);
	e = thread_start(&a->thread, "api", run, a);
	a->started = e == 0;
	if (e == 0 && a->tls != NULL)
		e = tls_start(a->tls);
	return e;
}

void api_join(struct api *a)
{
	if (!a->started)
		return;
	pthread_join(a->thread, NULL);
	a->started = false;
	if (a->tls != NULL) {
		tls_stop(a->tls);
		tls_join(a->tls);
	}
}

void api_free(struct api *a)
{
	if (a == NULL)
		return;
	assert(!a->started);
	a->closed = true;
	tls_free(a->tls);
	if (a->inbox != NULL) /* what is still in it may look at the loop */
		inbox_free(a->inbox);
	stop_listening(a);
	if (a->loop != NULL)
		conn_loop_free(a->loop);
	events_free(a->events);
	gate_free(a->gate);
	calls_free(a->calls);
	if (a->base != NULL)
		event_base_free(a->base);
	free(a);
}
