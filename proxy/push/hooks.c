/* hooks.c - the loop, what it is told, its life. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/seed.h"
#include "proxy/base/timer.h"
#include "proxy/base/version.h"
#include "proxy/push/hooks_core.h"
#include "proxy/tell/teller.h"

#define TICK_MS    1000 /* who waits for a time is looked at so often */
#define HOOKS_NICE 5
/* A barrier waits for the callback that runs, and for what is left of a turn. */
#define SLICE_US   5000
#define SLICE_SENT 8 /* libcurl begins them at once: of https about 1 ms each */

/* Time. */

static void count(struct hooks *h)
{
	size_t failing = 0, disabled = 0, n = 0;
	const struct hook *k;

	TAILQ_FOREACH(k, &h->all, link) {
		n++;
		failing += k->phase > HOOK_TAKING && k->state.tries > 0;
		disabled +=
		    k->phase > HOOK_TAKING && webhook_is_disabled(k->w, &k->state);
	}
	atomic_store(&h->count, n);
	atomic_store(&h->failing, failing);
	atomic_store(&h->disabled, disabled);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct hooks *h = arg;
	int64_t now_ms = clock_mono_ms();
	struct hook *k, *next;

	(void)fd, (void)what;
	hook_pages_grown(h->maker.pages);
	for (k = TAILQ_FIRST(&h->all); k != NULL; k = next) {
		next = TAILQ_NEXT(k, link);
		hook_send_slow(k, now_ms);
		hook_tick_lease(k, now_ms);
	}
	hooks_wake(h, FOR_TIME);
	hooks_wake(h, FOR_END);
	hooks_wake(h, FOR_SEAT);
	count(h);
}

/* What it is told. */

static void on_grown(void *arg)
{
	struct hooks *h = arg;

	hook_pages_grown(h->maker.pages);
	hooks_wake(h, FOR_END);
}

/* Others get theirs in between: sockets, and before all what comes through the inbox. */
static void on_steps(evutil_socket_t fd, short what, void *arg)
{
	struct hooks *h = arg;
	int64_t until_us = clock_mono_us() + SLICE_US;
	struct hook *k;
	int sent = 0;

	(void)fd, (void)what;
	do {
		k = hooks_next(h);
		if (k == NULL)
			return;
		hook_step(k);
		sent += k->phase == HOOK_SENDING;
	} while (sent < SLICE_SENT && clock_mono_us() < until_us);
	hooks_turn(h);
}

static void on_pages(void *arg)
{
	hooks_wake(arg, FOR_LOG);
}

/* Copies: the configuration in force is another one by the time that a fetch ends. */
struct copies {
	struct network *allow;
	uint8_t *tls_ca;
	char *api_url;
	int64_t *retry_ms;
};

static void *copy(const void *p, size_t n)
{
	void *to = malloc(n + 1);

	if (to != NULL && n > 0)
		memcpy(to, p, n);
	return to;
}

static bool copy_conf(struct copies *of, const struct conf *c)
{
	of->allow =
	    copy(c->webhook_allowed, c->webhook_allow_address_n * sizeof of->allow[0]);
	of->tls_ca = copy(c->server_cas, c->server_cas_n);
	of->api_url = strdup(c->api_url);
	of->retry_ms =
	    copy(c->webhook_retry_ms, c->webhook_retry_n * sizeof of->retry_ms[0]);
	return of->allow != NULL && of->tls_ca != NULL && of->api_url != NULL &&
	       of->retry_ms != NULL;
}

static void free_copies(struct copies *of)
{
	free(of->allow);
	free(of->tls_ca);
	free(of->api_url);
	free(of->retry_ms);
}

static void use(struct hooks *h, const struct copies *of, const struct conf *c)
{
	h->allow = of->allow;
	h->allow_n = c->webhook_allow_address_n;
	h->tls_ca = of->tls_ca;
	h->maker.api_url = h->api_url = of->api_url;
	h->retry_ms = of->retry_ms;
	h->retry = (struct hook_retry){h->retry_ms, c->webhook_retry_n};
	h->timeout_ms = (int)c->webhook_timeout_ms;
	hook_own_load(&h->own, c);
	fetcher_configure(h->fetcher, &(struct fetch_policy){.proxy = "",
					  .tls_ca = bytes_of(h->tls_ca, c->server_cas_n),
					  .guard = {.allow = h->allow,
					      .allow_n = h->allow_n,
					      .any_port = true,
					      .never = hook_own_is,
					      .never_arg = &h->own}});
}

/* False: no memory; all is as it was. */
static bool configure(struct hooks *h, const struct conf *c)
{
	struct copies old = {h->allow, h->tls_ca, h->api_url, h->retry_ms}, new = {0};
	bool ok = copy_conf(&new, c);

	if (ok)
		use(h, &new, c);
	free_copies(ok ? &old : &new);
	return ok;
}

static void on_reload(void *arg)
{
	struct hooks *h = arg;

	if (!configure(h, shared_conf(h->shared)))
		log_error("webhooks_not_reloaded", "err=%s", err_label(ERR_NOMEM));
}

static void on_drain(void *arg)
{
	struct hooks *h = arg;

	h->draining = true;
}

static void on_cancel(void *arg)
{
	struct hooks *h = arg;

	h->draining = h->cancelled = true;
	hooks_let_go(h);
	hook_tests_cancel(h);
	hook_desk_cancel(h->desk);
}

static void on_stop(void *arg)
{
	struct hooks *h = arg;

	h->leaving = true;
}

void hooks_reload(struct hooks *h)
{
	order_post(&h->reload, h->inbox);
}

void hooks_drain(struct hooks *h)
{
	order_post(&h->drain, h->inbox);
}

void hooks_cancel(struct hooks *h)
{
	order_post(&h->cancel, h->inbox);
}

void hooks_stop(struct hooks *h)
{
	order_post(&h->stop, h->inbox);
}

bool hooks_is_idle(const struct hooks *h)
{
	return atomic_load(&h->busy) == 0;
}

/* The loop. */

static bool may_end(const struct hooks *h)
{
	return h->leaving && h->away == 0 && hook_desk_is_idle(h->desk) &&
	       hook_pages_asking(h->maker.pages) == 0;
}

static void *run(void *arg)
{
	struct hooks *h = arg;

	thread_lower("hooks", HOOKS_NICE);
	while (!may_end(h))
		event_base_loop(h->base, EVLOOP_ONCE);
	return NULL;
}

static void on_settled(void *arg)
{
	(void)arg; /* each was put */
}

static bool open_store(struct hooks *h, const struct conf *c, char *why, size_t why_n)
{
	const struct hook_store_config config = {.conf = c,
	    .base = h->base,
	    .exec = executor_exec(h->disk),
	    .put = hook_put,
	    .dropped = hook_dropped,
	    .settled = on_settled,
	    .arg = h};

	return hook_store_refusal(c) != NULL ||
	       hook_store_open(&h->store, &config, why, why_n) == ERR_OK;
}

/* The inbox first, and after a slice of all else again: two hundred handshakes, ready
 * together, are a turn of half a second. */
static struct event_base *loop_new(void)
{
	const struct timeval slice = {0, SLICE_US};
	struct event_config *c = event_config_new();
	struct event_base *base = NULL;

	if (c == NULL)
		return NULL;
	if (event_config_set_max_dispatch_interval(c, &slice, -1, 1) == 0)
		base = event_base_new_with_config(c);
	event_config_free(c);
	if (base == NULL || event_base_priority_init(base, 2) == 0)
		return base;
	event_base_free(base);
	return NULL;
}

static bool make(struct hooks *h, char *why, size_t why_n)
{
	const struct conf *c = shared_conf(h->shared);

	snprintf(why, why_n, "%s", err_text(ERR_NOMEM));
	h->base = loop_new();
	h->inbox = h->base != NULL ? inbox_new(h->base, h) : NULL;
	h->counters = metrics_thread();
	if (h->inbox == NULL || h->counters == NULL)
		return false;
	h->fetcher = fetcher_new(h->base, "ocspcached/" OCSPCACHED_VERSION);
	h->maker.shared = h->shared;
	h->maker.pages = hook_pages_new(h->shared, h->inbox, on_pages, h);
	h->tick = event_new(h->base, -1, EV_PERSIST, on_tick, h);
	h->steps = event_new(h->base, -1, 0, on_steps, h);
	h->disk = executor_start(h->inbox, "hookdisk", 0);
	if (h->fetcher == NULL || h->maker.pages == NULL || h->tick == NULL ||
	    h->steps == NULL || h->disk == NULL || !timer_arm(h->tick, TICK_MS) ||
	    !configure(h, c) || !open_store(h, c, why, why_n))
		return false;
	h->desk = hook_desk_new(&(struct hook_desk_config){.shared = h->shared,
	    .inbox = h->inbox,
	    .store = h->store,
	    .live = hook_live,
	    .test = hook_test,
	    .arg = h});
	return h->desk != NULL;
}

struct hooks *hooks_new(struct shared *shared, char *why, size_t why_n)
{
	struct hooks *h = calloc(1, sizeof *h);

	if (h == NULL) {
		snprintf(why, why_n, "%s", err_text(ERR_NOMEM));
		return NULL;
	}
	h->shared = shared;
	h->random = seed_new();
	h->ended = hook_ended;
	TAILQ_INIT(&h->all);
	TAILQ_INIT(&h->due);
	LIST_INIT(&h->tests);
	order_init(&h->reload, on_reload, h);
	order_init(&h->drain, on_drain, h);
	order_init(&h->cancel, on_cancel, h);
	order_init(&h->stop, on_stop, h);
	order_init(&h->grown, on_grown, h);
	if (!make(h, why, why_n)) {
		hooks_free(h);
		return NULL;
	}
	return h;
}

struct inbox *hooks_inbox(struct hooks *h)
{
	return h->inbox;
}

void hooks_listen(struct hooks *h)
{
	teller_grows(h->shared->teller, &h->grown, h->inbox);
}

int hooks_start(struct hooks *h)
{
	int e;

	assert(!h->started);
	e = thread_start(&h->thread, "hooks", run, h);
	h->started = e == 0;
	return e;
}

void hooks_join(struct hooks *h)
{
	if (!h->started)
		return;
	pthread_join(h->thread, NULL);
	h->started = false;
}

void hooks_free(struct hooks *h)
{
	if (h == NULL)
		return;
	assert(!h->started);
	h->draining = h->cancelled = true;
	executor_stop(h->disk);
	if (h->inbox != NULL)
		inbox_free(h->inbox); /* what the disk has done comes back */
	hook_store_close(h->store);
	hook_desk_free(h->desk);
	hooks_free_table(h);
	hook_pages_free(h->maker.pages);
	watch_view_close(&h->maker.view);
	fetcher_free(h->fetcher);
	executor_free(h->disk);
	free_copies(&(struct copies){h->allow, h->tls_ca, h->api_url, h->retry_ms});
	if (h->tick != NULL)
		event_free(h->tick);
	if (h->steps != NULL)
		event_free(h->steps);
	if (h->base != NULL)
		event_base_free(h->base);
	free(h);
}

void hooks_gauges(const struct hooks *h, struct metrics_text *t)
{
	metrics_line(t, "webhooks", "gauge", "Webhooks that are known.", "",
	    (double)atomic_load(&h->count));
	metrics_line(t, "webhooks_failing", "gauge",
	    "Webhooks of this node whose last try failed.", "",
	    (double)atomic_load(&h->failing));
	metrics_line(t, "webhooks_disabled", "gauge",
	    "Webhooks of this node that are disabled, by an operator or for failing.", "",
	    (double)atomic_load(&h->disabled));
}
