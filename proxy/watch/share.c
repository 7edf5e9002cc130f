/* share.c - what is done next, and the life of what it is done with. */
#include "proxy/watch/share.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/executor.h"
#include "proxy/base/log.h"
#include "proxy/base/store_event.h"
#include "proxy/base/timer.h"
#include "proxy/watch/node.h"
#include "proxy/watch/share_asked.h"
#include "proxy/watch/share_sync.h"
#include "proxy/watch/share_write.h"

struct share_queued {
	struct share_queued *next;
	struct ledger_job *job;
};

/* A part of this node that stands in Redis since this run. */
struct share_part {
	struct share_part *next;
	char name[WATCH_NAME_MAX];
};

struct share {
	struct share_core core;
	struct event *kick;  /* go on */
	struct event *timer; /* look at the heads */
	struct share_queued *head, **tail;
	struct share_part *parts;
	struct share_asked *asked;
	bool settled;     /* Redis is up, or was found away */
	bool look;        /* at the heads, as soon as may be */
	bool again;       /* or soon */
	int64_t swept_ms; /* when they were looked at with a sweep */
	bool alone;       /* a part of this node is to be written when Redis is back */
	struct share_sync *sync;   /* under way, or over */
	struct share_write *write; /* the same */
	struct ledger_job *job;    /* of write */
	bool busy, over;
	enum err error; /* of what is over */
	void (*files_again)(void *arg);
	void *files_arg;
};

bool share_is_wanted(const struct conf *c)
{
	return strncmp(c->store, "redis", 5) == 0 && c->mac_keys != NULL;
}

bool share_is_up(const struct share *s)
{
	return s->core.redis != NULL && watch_redis_is_up(s->core.redis);
}

static void kick(struct share *s)
{
	event_active(s->kick, EV_TIMEOUT, 0);
}

/* Parts. */

static struct share_part **part_of(struct share *s, const char *name)
{
	struct share_part **p = &s->parts;

	while (*p != NULL && strcmp((*p)->name, name) != 0)
		p = &(*p)->next;
	return p;
}

static bool has_part(void *arg, const char *name)
{
	return *part_of(arg, name) != NULL;
}

bool share_owes(struct share *s, const char *name)
{
	return conf_watchlist_named(shared_conf(s->core.context->shared), name) != NULL &&
	       !has_part(s, name);
}

static void part_is_there(struct share *s, const char *name)
{
	struct share_part **p = part_of(s, name);

	if (*p == NULL && (*p = calloc(1, sizeof **p)) != NULL)
		strcpy((*p)->name, name);
}

static void part_is_gone(struct share *s, const char *name)
{
	struct share_part **p = part_of(s, name), *gone = *p;

	if (gone == NULL)
		return;
	*p = gone->next;
	free(gone);
}

static void on_part_lost(void *arg, const char *name)
{
	struct share *s = arg;

	share_tell_lost(&s->core, name, "files");
	part_is_gone(s, name);
	s->files_again(s->files_arg);
}

/* Looks. */

static void on_looked(void *arg, enum err e, bool again)
{
	struct share *s = arg;

	s->over = true;
	s->error = e;
	s->again = s->again || again;
	kick(s);
}

static void begin_look(struct share *s)
{
	int64_t now = clock_mono_ms();
	struct share_sync_want want = {.core = &s->core,
	    .sweep = now - s->swept_ms >= SHARE_SWEEP_MS,
	    .part_lost = on_part_lost,
	    .has_part = has_part,
	    .done = on_looked,
	    .arg = s};

	if (want.sweep)
		s->swept_ms = now;
	s->look = false;
	s->busy = true;
	s->sync = share_sync_start(&want);
	if (s->sync == NULL)
		on_looked(s, ERR_NOMEM, true);
}

static void look_later(struct share *s, int64_t ms)
{
	timer_arm(s->timer, ms);
}

static void end_look(struct share *s)
{
	share_sync_free(s->sync);
	s->sync = NULL;
	if (s->error == ERR_OK) {
		atomic_store(&s->core.context->shared->watchlists_waiting, false);
		if (s->alone)
			s->files_again(s->files_arg);
		s->alone = false;
	}
	if (s->core.stopping)
		return;
	look_later(s, s->again                           ? SHARE_NEWS_MS
		      : watch_redis_hears(s->core.redis) ? SHARE_SWEEP_MS
							 : SHARE_POLL_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct share *s = arg;

	(void)fd, (void)what;
	s->look = true;
	s->again = false;
	kick(s);
}

/* Changes. */

static void finish(struct ledger_job *j, enum err e)
{
	j->error = e;
	watch_draft_free(j->draft);
	j->draft = NULL;
	j->done(j->arg, j);
}

static void on_written(void *arg, enum err e)
{
	struct share *s = arg;

	s->over = true;
	s->error = e;
	kick(s);
}

static void end_write(struct share *s)
{
	struct ledger_job *j = s->job;

	share_write_free(s->write);
	s->write = NULL;
	s->job = NULL;
	if (s->error == ERR_OK && j->source == WATCH_FILES) {
		part_is_there(s, j->name);
		s->look = true; /* for the union */
	} else if (j->source == WATCH_FILES) {
		s->alone = true;
	}
	finish(j, s->error);
}

/* Of files: this node's copy does not wait for Redis.  What files do not say any more
 * stays until that is back. */
static void change_alone(struct share *s, struct ledger_job *j)
{
	const struct watch_list *list =
	    inventory_list(ledger_inventory(s->core.context->shared), j->name);

	part_is_gone(s, j->name);
	j->what = list != NULL ? LEDGER_ADD : LEDGER_PUT;
	j->alone = s->alone = true;
	ledger_do(s->core.context->ledger, j);
}

/* Of this name there is a list of the other source. */
static bool is_foreign(struct share *s, struct ledger_job *j)
{
	const struct watch_list *list =
	    inventory_list(ledger_inventory(s->core.context->shared), j->name);

	j->foreign = list != NULL && list->source != j->source;
	return j->foreign;
}

static void begin_write(struct share *s)
{
	struct share_queued *q = s->head;
	struct ledger_job *j = q->job;

	s->head = q->next;
	if (s->head == NULL)
		s->tail = &s->head;
	free(q);
	if (s->core.stopping) {
		finish(j, ERR_CANCELLED);
	} else if (is_foreign(s, j)) {
		finish(j, ERR_OK);
	} else if (share_is_up(s)) {
		s->busy = true;
		s->job = j;
		s->write = share_write_job(&s->core, j, on_written, s);
		if (s->write == NULL)
			on_written(s, ERR_NOMEM);
	} else if (j->source == WATCH_FILES) {
		change_alone(s, j);
	} else {
		j->shared = true;
		finish(j, ERR_STORE);
	}
}

void share_change(struct watch_context *context, struct ledger_job *j)
{
	struct share *s = context->share;
	struct share_queued *q;

	if (s == NULL) {
		ledger_do(context->ledger, j);
		return;
	}
	q = calloc(1, sizeof *q);
	if (q == NULL) {
		finish(j, ERR_NOMEM);
		return;
	}
	q->job = j;
	*s->tail = q;
	s->tail = &q->next;
	kick(s);
}

/* What is next. */

static void end_what_is_over(struct share *s)
{
	s->busy = s->over = false;
	if (s->job != NULL)
		end_write(s);
	else
		end_look(s);
}

static void go_on(struct share *s)
{
	if (s->over)
		end_what_is_over(s);
	while (!s->busy && (s->settled || s->core.stopping)) {
		if (s->look && share_is_up(s) && !s->core.stopping)
			begin_look(s);
		else if (s->head != NULL)
			begin_write(s);
		else
			return;
	}
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	go_on(arg);
}

/* News. */

static void on_changed(void *arg)
{
	struct share *s = arg;

	if (shared_waits_for_lists(s->core.context->shared)) {
		s->look = true;
		kick(s);
	} else if (!s->again) {
		s->again = true;
		look_later(s, SHARE_NEWS_MS);
	}
}

/* Tracking was begun, also after Redis was away. */
static void on_settled(void *arg)
{
	struct share *s = arg;

	s->settled = true;
	s->look = true;
	kick(s);
}

void share_on_files_again(struct share *s, void (*again)(void *arg), void *arg)
{
	s->files_again = again;
	s->files_arg = arg;
}

void share_reload(struct share *s)
{
	s->look = true;
	s->swept_ms = clock_mono_ms() - SHARE_SWEEP_MS; /* whoever asks wants all of it */
	kick(s);
}

/* Life. */

static enum err open_redis(struct share *s, const struct conf *c, char *why, size_t why_n)
{
	struct redis_link_config link = {.prefix = c->store_prefix,
	    .base = s->core.context->base,
	    .exec = executor_exec(s->core.thread),
	    .timeout_ms = (int)c->store_timeout_ms,
	    .connect_timeout_ms = REDIS_CONNECT_MS,
	    .backoff_max_ms = (int)c->store_backoff_max_ms,
	    .event = store_event_log};
	struct watch_redis_hooks hooks = {on_changed, on_settled, s};

	return watch_redis_open(&s->core.redis, &link, c->store, &hooks, why, why_n);
}

static bool make(struct share *s, char *why, size_t why_n)
{
	const struct conf *c = shared_conf(s->core.context->shared);
	struct event_base *base = s->core.context->base;

	s->core.keys = watch_stored_keys(c->mac_keys);
	s->kick = evtimer_new(base, on_kick, s);
	s->timer = evtimer_new(base, on_timer, s);
	s->core.thread = executor_start(s->core.context->inbox, "share", 0);
	return s->core.keys != NULL && s->kick != NULL && s->timer != NULL &&
	       s->core.thread != NULL && (s->asked = share_asked_new(&s->core)) != NULL &&
	       node_id(s->core.node, c->state_directory, why, why_n) &&
	       open_redis(s, c, why, why_n) == ERR_OK;
}

struct share *share_new(struct watch_context *context, char *why, size_t why_n)
{
	struct share *s = calloc(1, sizeof *s);

	snprintf(why, why_n, "%s", err_text(ERR_NOMEM));
	if (s == NULL)
		return NULL;
	s->core.context = context;
	s->tail = &s->head;
	if (make(s, why, why_n)) {
		atomic_store(&context->shared->watchlists_waiting, true);
		return s;
	}
	share_stop(s);
	share_free(s);
	return NULL;
}

void share_cancel(struct share *s)
{
	s->core.stopping = true;
	event_del(s->timer);
	watch_redis_close(s->core.redis);
	s->core.redis = NULL;
	kick(s);
}

void share_stop(struct share *s)
{
	if (s == NULL)
		return;
	s->core.stopping = true;
	watch_redis_close(s->core.redis);
	s->core.redis = NULL;
	executor_stop(s->core.thread);
}

void share_free(struct share *s)
{
	if (s == NULL)
		return;
	assert(s->head == NULL);
	share_sync_free(s->sync);
	share_write_free(s->write);
	while (s->parts != NULL)
		part_is_gone(s, s->parts->name);
	share_asked_free(s->asked);
	free(s->core.seen);
	executor_free(s->core.thread);
	if (s->kick != NULL)
		event_free(s->kick);
	if (s->timer != NULL)
		event_free(s->timer);
	mac_keys_free(s->core.keys);
	free(s);
}
