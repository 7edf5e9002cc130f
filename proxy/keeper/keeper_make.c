/* keeper_make.c - hooks, the making, the freeing. */
#include "proxy/keeper/keeper_make.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "cache/change/change_log.h"
#include "cache/redis/redis_link.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/seed.h"
#include "proxy/base/store_event.h"
#include "proxy/base/version.h"
#include "proxy/lists/ccadb_source.h"
#include "proxy/lists/watched_source.h"
#include "proxy/source/upstream.h"

/* What response-max-size may become by a reload, and its record. */
#define STORED_MAX ((1 << 20) + RECORD_OVERHEAD)
#define BULK_NICE  10 /* lists are read when nobody else wants the core */

/* Store hooks. */

static void on_store_changed(void *arg, const struct key *key)
{
	struct keeper_parts *p = arg;

	refreshes_compare(p->refreshes, key);
	polls_hear(p->polls, key);
}

static void on_store_all_changed(void *arg)
{
	struct keeper_parts *p = arg;

	refreshes_compare_all(p->refreshes);
}

static void on_store_settled(void *arg)
{
	struct keeper_parts *p = arg;

	atomic_store(&p->context.shared->store_settled, true);
}

/* Change log hooks. */

static void on_log_grown(void *arg)
{
	struct keeper_parts *p = arg;

	if (p->teller != NULL) /* else it is being opened */
		teller_grown(p->teller);
}

/* Making it. */

/* The log of changes, and what fills it.  With memory: it ends with us: said, so that
 * nobody counts on resuming over a restart. */
static enum err make_telling(struct keeper_parts *p, const struct conf *c,
    const struct store_config *sc, char *why, size_t why_n)
{
	struct change_log_config lc = {
	    .store = sc,
	    .size = (size_t)c->events_size,
	    .now = clock_now(),
	    .hooks = {on_log_grown, store_event_log, p},
	};
	struct change_log_health health;
	struct change_log *log;
	enum err e = change_log_open(&log, &lc, why, why_n);

	if (e != ERR_OK)
		return e;
	change_log_health(log, &health);
	if (!health.durable && !health.shared)
		log_info("events_in_memory", "note=%s",
		    "a restart is a gap for subscribers; store = lmdb: or redis: keeps "
		    "changes");
	p->teller = teller_new(&p->context, p->latches, p->latch_file, log);
	p->context.shared->teller = p->teller;
	if (p->teller == NULL) {
		change_log_close(log);
		return ERR_NOMEM;
	}
	if (!teller_alarms(p->teller, c->state_directory))
		return ERR_NOMEM;
	p->crl_feed = crl_feed_new(&p->context, p->fetcher, p->bulk, p->teller);
	if (p->crl_feed == NULL)
		return ERR_NOMEM;
	p->ccadb = ccadb_source_new(&p->context, p->crl_feed, p->fetcher, p->bulk);
	p->watched = watched_source_new(&p->context, p->crl_feed);
	return p->ccadb != NULL && p->watched != NULL ? ERR_OK : ERR_NOMEM;
}

static enum err open_stores(
    struct keeper_parts *p, const struct conf *c, char *why, size_t why_n)
{
	struct store_config sc = {
	    .url = c->store,
	    .prefix = c->store_prefix,
	    .size = (size_t)c->store_size,
	    .timeout_ms = (int)c->store_timeout_ms,
	    .connect_timeout_ms = REDIS_CONNECT_MS,
	    .backoff_max_ms = (int)c->store_backoff_max_ms,
	    .max_value = STORED_MAX,
	    .base = p->context.base,
	    .exec = executor_exec(p->context.disk),
	    .hooks = {.changed = on_store_changed,
		.all_changed = on_store_all_changed,
		.settled = on_store_settled,
		.event = store_event_log,
		.arg = p},
	};
	enum err e;

	if (c->store_key_file[0] != '\0') {
		e = mac_keys_load(&p->keys, c->store_key_file, why, why_n);
		if (e != ERR_OK)
			return e;
	}
	sc.keys = p->keys;
	e = latch_file_open(&p->latches, &p->latch_file, c->state_directory, why, why_n);
	if (e != ERR_OK)
		return e;
	atomic_store(&p->context.shared->store_settled, false);
	e = store_open(&p->store, &sc, why, why_n);
	if (e != ERR_OK)
		return e;
	e = make_telling(p, c, &sc, why, why_n);
	if (e == ERR_NOMEM)
		snprintf(why, why_n, "%s", err_text(e));
	return e;
}

static bool make_context(struct keeper_parts *p, struct shared *shared, void *inbox_arg)
{
	struct context *c = &p->context;

	c->shared = shared;
	c->base = event_base_new();
	if (c->base == NULL)
		return false;
	p->inbox = inbox_new(c->base, inbox_arg);
	if (p->inbox != NULL)
		c->barrier = barrier_new(shared, p->inbox);
	c->counters = metrics_thread();
	c->schedule = schedule_new(seed_new());
	if (c->barrier == NULL || c->counters == NULL || c->schedule == NULL)
		return false;
	c->disk = executor_start(p->inbox, "disk", 0);
	return c->disk != NULL;
}

static bool make_source(struct keeper_parts *p, const struct conf *c)
{
	struct upstream_config u = {.timeout_ms = (int)c->upstream_timeout_ms};

	p->admit = admit_new();
	p->bulk = executor_start(p->inbox, "bulk", BULK_NICE);
	p->fetcher = fetcher_new(p->context.base, "ocspcached/" OCSPCACHED_VERSION);
	if (p->admit == NULL || p->bulk == NULL || p->fetcher == NULL)
		return false;
	p->source = upstream_new(p->context.base, p->fetcher, &u, p->context.counters);
	return p->source != NULL;
}

bool keeper_make(struct keeper_parts *p, struct shared *shared, void *inbox_arg,
    char *why, size_t why_n)
{
	const struct conf *c = shared_conf(shared);

	if (!make_context(p, shared, inbox_arg) || !make_source(p, c)) {
		snprintf(why, why_n, "cannot make the keeper: %s", strerror(errno));
		return false;
	}
	if (open_stores(p, c, why, why_n) != ERR_OK)
		return false;
	if (!keeper_parts_make(p)) {
		snprintf(why, why_n, "%s", err_text(ERR_NOMEM));
		return false;
	}
	return true;
}

/* Freeing it. */

/* Whoever still waits for another thread, or for a client, is told; then nothing comes
 * any more. */
static void let_go(struct keeper_parts *p)
{
	if (p->ccadb != NULL)
		ccadb_source_cancel(p->ccadb);
	if (p->crl_feed != NULL)
		crl_feed_cancel(p->crl_feed);
	if (p->teller != NULL)
		teller_cancel(p->teller);
	executor_stop(p->bulk);
	executor_stop(p->context.disk);
	if (p->forwards != NULL)
		forwards_cancel(p->forwards);
	if (p->flights != NULL)
		flights_cancel(p->flights);
	/* The readers are gone: a round that begins when the last probe is back must not
	 * go to them. */
	p->context.shared->readers_n = 0;
	if (p->inbox != NULL)
		inbox_free(p->inbox); /* runs what is left: done callbacks, probes */
	barrier_free(p->context.barrier);
}

void keeper_unmake(struct keeper_parts *p)
{
	let_go(p);
	watched_source_free(p->watched);
	ccadb_source_free(p->ccadb);
	crl_feed_free(p->crl_feed);
	teller_free(p->teller);
	store_close(p->store);
	upstream_free(p->source);
	fetcher_free(p->fetcher);
	keeper_parts_free(p);
	schedule_free(p->context.schedule);
	admit_free(p->admit);
	latches_free(p->latches);
	latch_file_close(p->latch_file);
	mac_keys_free(p->keys);
	executor_free(p->bulk);
	executor_free(p->context.disk);
	if (p->context.base != NULL)
		event_base_free(p->context.base);
}
