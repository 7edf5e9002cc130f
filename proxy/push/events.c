/* events.c - who listens, and the walk that brings them what is new.
 *
 * News wait until the walk over the live subscribers that brings the ones before has
 * ended; then some of them come into the window and the next walk begins.  So the window
 * never moves on faster than those who keep up, and a list of millions is taken from the
 * log at the pace at which it can be told.  Who does not keep up is no longer in the list
 * that is walked.
 */
#include "proxy/push/events.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/timer.h"
#include "proxy/push/events_core.h"
#include "proxy/push/events_say.h"

/* Recent batches and their text: six of a list's.  Where there are watchlists, 190
 * without text: who reads slowly meanwhile is not worth a page of his own, of which his
 * list has next to nothing. */
#define WINDOW_BYTES  (8u << 20)
#define WATCHED_BYTES (64u << 20)
#define NEWS_BYTES    (WINDOW_BYTES / 2) /* of text, in one walk */
#define NEWS_CHANGES  250000             /* the same where nobody wants all of it */
#define SLICE_BYTES   (4u << 20)         /* written in one turn */
#define DUE_SLICE     64          /* of those who are not at the end, in one turn */
#define DROPPED_MAX   (64 * 1024) /* a subscriber has nothing to say */
#define TICK_MAX_MS   1000
#define TICK_MIN_MS   20
#define QUIET_MS      5000 /* since the last walk: everybody has been told */
#define SILENT_MS     300  /* without a head */

/* What a subscriber says. */

/* What a subscriber sends is of no interest; that it has gone is.  Its own end of sending
 * counts as that: to us both look the same. */
static bool is_gone(struct sub *s)
{
	struct events *e = s->events;
	ssize_t n =
	    recv(event_get_fd(&s->ev), e->scratch, sizeof e->scratch, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0 && errno == ETIMEDOUT) /* TCP_USER_TIMEOUT */
		metrics_count(e->counters, M_SUBSCRIBERS_CUT);
	if (n > 0)
		s->dropped += (uint32_t)n;
	return n <= 0 || s->dropped > DROPPED_MAX;
}

static void on_sub(evutil_socket_t fd, short what, void *arg)
{
	struct sub *s = arg;

	(void)fd;
	assert(s->magic == SUB_MAGIC);
	s->events->now_ms = clock_mono_ms();
	s->events->turn_bytes = 0;
	if ((what & EV_READ) != 0 && is_gone(s))
		sub_close(s);
	else if ((what & EV_WRITE) != 0 && s->list == &s->events->blocked)
		events_send(s);
}

/* News. */

static void news_init(struct news_list *l)
{
	l->first = NULL;
	l->last = &l->first;
}

static void news_put(struct news_list *l, struct teller_news *n)
{
	n->msg._next = NULL;
	*l->last = &n->msg;
	l->last = &n->msg._next;
}

static struct teller_news *news_take(struct news_list *l)
{
	struct teller_news *n = (struct teller_news *)l->first;

	if (n == NULL)
		return NULL;
	l->first = n->msg._next;
	if (l->first == NULL)
		l->last = &l->first;
	return n;
}

static void window_restart(struct events *e, struct change_pos start)
{
	roll_clear(&e->window);
	e->start = start;
}

static void window_add(struct events *e, struct change_batch *b)
{
	const struct change_pos end = {b->epoch, b->seq, b->n};

	if (e->known && b->epoch == e->end.epoch && change_pos_cmp(&end, &e->end) <= 0)
		return; /* we learnt of the end before we were told */
	if (!e->known || b->epoch != e->end.epoch || b->seq != e->end.seq + 1)
		window_restart(
		    e, (struct change_pos){b->epoch, b->seq - 1, CHANGE_BATCH_MAX});
	events_begin(e, &e->start);
	if (!roll_add(&e->window, change_batch_ref(b)))
		window_restart(e, end); /* the log has it */
	e->end = end;
}

/* Take the next news into the window; returns how much of a walk it is, as bytes of
 * text.  Who has a watchlist is told little of each batch: many batches in one walk, so
 * that one write has something of several. */
static size_t take_news(struct events *e)
{
	struct teller_news *n = news_take(&e->news);
	struct change_batch *b = n->batch;

	news_put(&e->walked, n);
	if (b != NULL && b->n > 0) {
		window_add(e, b);
		return e->watching < e->count ? (size_t)b->n * EVENTS_CHANGE_TEXT
					      : (size_t)b->n * NEWS_BYTES / NEWS_CHANGES;
	}
	if (n->end.epoch != 0) {
		window_restart(e, n->end);
		e->end = n->end;
		events_begin(e, &e->end);
	}
	return 0;
}

void events_news(struct events *e, struct teller_news *n)
{
	assert(e->magic == EVENTS_MAGIC);
	news_put(&e->news, n);
	events_wake(e);
}

/* The walk. */

static size_t window_max(const struct events *e)
{
	return e->watching > 0 ? WATCHED_BYTES : WINDOW_BYTES;
}

static void window_trim(struct events *e, size_t bytes)
{
	while (roll_n(&e->window) > 0 && e->window.bytes > bytes) {
		e->start = sheet_end(e->window.sheet[e->window.first]);
		roll_drop_first(&e->window);
	}
}

/* Would news put out of the window what somebody still has to read, whose socket takes
 * it?  They wait for those, who are served in this turn or the next, and for nobody whose
 * socket is full: else a burst of batches would make laggards of all. */
static bool is_window_read(const struct events *e)
{
	const struct sub *s;
	struct change_pos end;

	if (e->window.bytes <= window_max(e) || roll_n(&e->window) == 0)
		return false;
	end = sheet_end(e->window.sheet[e->window.first]);
	TAILQ_FOREACH(s, &e->due, link)
		if (s->verified && events_has(e, &s->pos) &&
		    change_pos_cmp(&s->pos, &end) < 0)
			return true;
	return false;
}

static void walk_begin(struct events *e)
{
	size_t text = 0;

	assert(e->cursor == NULL && e->walked.first == NULL);
	e->told_ms = e->now_ms;
	window_trim(e, window_max(e));
	while (e->news.first != NULL && text < NEWS_BYTES)
		text += take_news(e);
	e->cursor = TAILQ_FIRST(&e->live);
}

static void walk_end(struct events *e)
{
	struct teller_news *n;

	while ((n = news_take(&e->walked)) != NULL) {
		if (n->batch != NULL && e->count > 0)
			metrics_observe_us(e->counters, H_DURABLE_TOLD,
			    clock_mono_us() - n->durable_at_us);
		teller_news_done(n);
	}
}

static void walk(struct events *e)
{
	for (int left = EVENTS_SLICE; left > 0 && e->turn_bytes < SLICE_BYTES; left--) {
		struct sub *s = e->cursor;

		if (s != NULL) {
			e->cursor = TAILQ_NEXT(s, link);
			events_send(s);
			continue;
		}
		walk_end(e);
		if (e->news.first == NULL || is_window_read(e))
			return;
		walk_begin(e);
	}
}

static void serve_due(struct events *e)
{
	e->turn_bytes = 0;
	for (int left = DUE_SLICE; left > 0 && e->turn_bytes < SLICE_BYTES; left--) {
		struct sub *s = TAILQ_FIRST(&e->due);

		if (s == NULL)
			return;
		events_send(s);
	}
}

static void on_run(evutil_socket_t fd, short what, void *arg)
{
	struct events *e = arg;

	(void)fd, (void)what;
	assert(e->magic == EVENTS_MAGIC);
	e->now_ms = clock_mono_ms();
	e->turn_bytes = 0;
	walk(e);
	serve_due(e);
	if (!TAILQ_EMPTY(&e->due) || e->cursor != NULL || e->news.first != NULL ||
	    e->walked.first != NULL)
		events_wake(e);
}

/* Time. */

static bool is_late(const struct events *e, struct sub *s)
{
	if (e->now_ms < pace_due(&s->pace, e->timeout_ms))
		return false;
	return !pace_look(&s->pace, event_get_fd(&s->ev), e->now_ms, e->timeout_ms,
	    s->share != NULL ? PACE_HOLDING : PACE_ANY);
}

static void cut_slow(struct events *e)
{
	struct sub *s = TAILQ_FIRST(&e->blocked), *next;

	for (; s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (is_late(e, s))
			sub_cut(s);
	}
}

static void tell_positions(struct events *e)
{
	struct sub *s = TAILQ_FIRST(&e->live), *next;

	for (; s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (e->now_ms - s->said_ms < e->position_ms)
			continue;
		s->say_position = true;
		sub_move(s, &e->due);
	}
}

/* Whoever waits is not left in silence: nor without a head, where the keeper's answer
 * takes long, which is usually here within a millisecond. */
static void say_waits(struct subs *list)
{
	struct sub *s = TAILQ_FIRST(list), *next;

	for (; s != NULL; s = next) {
		const struct events *e = s->events;
		int64_t silent_ms = e->now_ms - s->said_ms;

		next = TAILQ_NEXT(s, link);
		if (silent_ms >= e->position_ms ||
		    (s->say_head && silent_ms >= SILENT_MS))
			events_say_wait(s, s->wants_snapshot ? WAIT_SNAPSHOT : WAIT_LOG);
	}
}

static void say_all_waits(struct events *e)
{
	struct lag_read *r;
	struct snapshot_share *share;

	say_waits(&e->queued);
	say_waits(&e->later);
	TAILQ_FOREACH(r, &e->lag_reads, link)
		say_waits(&r->subs);
	TAILQ_FOREACH(share, &e->shares, link)
		say_waits(&share->subs);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct events *e = arg;
	struct sub *s;

	(void)fd, (void)what;
	assert(e->magic == EVENTS_MAGIC && e->count > 0);
	e->now_ms = clock_mono_ms();
	snapshot_share_make_room(e);
	e->shares_wanted = false;
	say_all_waits(e);
	while ((s = TAILQ_FIRST(&e->later)) != NULL)
		sub_move(s, &e->due);
	cut_slow(e);
	if (e->now_ms - e->told_ms > QUIET_MS)
		window_trim(e, WINDOW_BYTES);
	tell_positions(e);
	events_wake(e);
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static bool tick_start(struct events *e)
{
	int64_t ms = smaller(TICK_MAX_MS, smaller(e->timeout_ms, e->position_ms) / 4);

	return timer_arm(&e->tick, ms < TICK_MIN_MS ? TICK_MIN_MS : ms);
}

/* Subscribing. */

static bool may_subscribe(const struct events *e, const struct access *a)
{
	size_t limit = (size_t)e->shared->max_subscribers;

	if (a != NULL && a->streams >= a->streams_max)
		return false;
	if (limit == 0 || limit > e->max)
		limit = e->max;
	return e->count < limit;
}

static void set_query(struct sub *s, const struct events_query *q)
{
	memcpy(s->issuer, q->issuer, sizeof s->issuer);
	memcpy(s->since, q->since_text, sizeof s->since);
	s->since[sizeof s->since - 1] = '\0';
	s->pos = q->since;
	s->bad_since = q->bad_since;
	s->wants_snapshot = q->snapshot && !q->has_since;
	s->snapshot_on_gap = q->snapshot && q->has_since;
	s->wants_end = !q->has_since && !q->snapshot;
	s->say_head = true;
	s->access = access_ref(q->access);
	if (s->access != NULL)
		s->access->streams++;
}

static void set_socket(const struct events *e, int fd)
{
	/* not on a unix socket, which needs neither */
	int on = 1, ms = (int)e->timeout_ms;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

/* fd is handed over, also on failure. */
static void subscribe(
    struct events *e, struct sub *s, int fd, const struct events_query *q)
{
	s->magic = SUB_MAGIC;
	s->events = e;
	set_query(s, q);
	set_socket(e, fd);
	s->armed = EV_READ | EV_PERSIST;
	e->now_ms = clock_mono_ms();
	s->said_ms = e->now_ms;
	s->joined_at = clock_now();
	if (event_assign(&s->ev, e->base, fd, s->armed, on_sub, s) != 0 ||
	    event_add(&s->ev, NULL) != 0 || (e->count == 0 && !tick_start(e))) {
		event_del(&s->ev);
		close(fd);
		sub_watch_free(s->watch);
		if (s->access != NULL)
			s->access->streams--;
		access_unref(s->access);
		free(s);
		return;
	}
	e->count++;
	e->watching += s->watch != NULL;
	atomic_fetch_add(&e->shared->subscribers, 1);
	metrics_count(e->counters, M_SUBSCRIBERS_OPENED);
	sub_move(s, &e->due); /* in the list before the log is looked at (P37) */
	events_wake(e);
}

/* False: out of memory. */
static bool set_watch(struct sub *s, const struct events_query *q)
{
	if (q->watchlist[0] == '\0')
		return true;
	s->watch = calloc(1, sizeof *s->watch);
	if (s->watch == NULL)
		return false;
	memcpy(s->watch->list, q->watchlist, sizeof s->watch->list);
	return true;
}

/* What is watched is loaded before threads start, but where nothing is. */
static bool has_list(struct events *e, const struct events_query *q, int *status)
{
	if (e->shared->watcher == NULL)
		return false;
	*status = shared_waits_for_lists(e->shared) ? 503 : 404;
	if (!watch_view_open(&e->view, e->shared, q->watchlist))
		return false;
	*status = 503;
	return true;
}

bool events_serve(
    struct events *e, struct conn *c, const struct events_query *q, int *status)
{
	struct sub *s = NULL;
	int fd = -1;

	*status = 503;
	if (e->draining || e->shared->teller == NULL)
		return false;
	if (q->issuer[0] != '\0' &&
	    issuers_named(shared_conf(e->shared)->issuers, q->issuer) == NULL) {
		*status = 404;
		return false;
	}
	if (q->watchlist[0] != '\0' && !has_list(e, q, status))
		return false;
	if (q->json)
		return json_page_serve(e, c, q);
	if (may_subscribe(e, q->access))
		s = calloc(1, sizeof *s);
	else
		metrics_count(e->counters, M_SUBSCRIBERS_REFUSED);
	if (s != NULL && set_watch(s, q))
		fd = conn_detach(c);
	if (fd < 0) {
		if (s != NULL)
			sub_watch_free(s->watch);
		free(s);
		return false;
	}
	subscribe(e, s, fd, q);
	return true;
}

bool events_gone(struct events *e, const void *parked)
{
	return json_page_gone(e, parked);
}

/* Life. */

void events_reload(struct events *e)
{
	const struct conf *c = shared_conf(e->shared);

	e->max = (size_t)c->max_subscribers;
	e->timeout_ms = c->subscriber_timeout_ms;
	e->position_ms = c->position_interval_ms;
	e->shares_max = (size_t)c->snapshot_memory;
	/* One that cannot be added again now (out of memory) still runs. */
	if (e->count > 0)
		tick_start(e);
}

/* Whom to keep; NULL: nobody. */
struct keeping {
	bool (*keep)(void *arg, const struct access *a);
	void *arg;
};

static void close_list(struct subs *list, const struct keeping *k)
{
	struct sub *s = TAILQ_FIRST(list), *next;

	for (; s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (k->keep == NULL || !k->keep(k->arg, s->access))
			sub_close(s);
	}
}

static void close_all(struct events *e, const struct keeping *k)
{
	struct lag_read *r;
	struct snapshot_share *share, *next;

	close_list(&e->live, k);
	close_list(&e->due, k);
	close_list(&e->blocked, k);
	close_list(&e->queued, k);
	close_list(&e->later, k);
	TAILQ_FOREACH(r, &e->lag_reads, link)
		close_list(&r->subs, k);
	/* a share goes with the last who reads it, but not while it is asked for */
	for (share = TAILQ_FIRST(&e->shares); share != NULL; share = next) {
		next = TAILQ_NEXT(share, link);
		close_list(&share->subs, k);
	}
}

void events_keep(
    struct events *e, bool (*keep)(void *arg, const struct access *a), void *arg)
{
	const struct keeping k = {keep, arg};

	close_all(e, &k);
}

void events_drain(struct events *e)
{
	const struct keeping nobody = {NULL, NULL};

	e->draining = true;
	close_all(e, &nobody);
	assert(e->count == 0);
}

size_t events_count(const struct events *e)
{
	return e->count;
}

size_t events_asking(const struct events *e)
{
	return e->asking;
}

void events_on_idle(struct events *e, void (*idle)(void *arg), void *arg)
{
	e->idle = idle;
	e->idle_arg = arg;
}

struct events *events_new(struct shared *shared, struct event_base *base,
    struct inbox *own, struct counters *counters)
{
	struct events *e = calloc(1, sizeof *e);

	if (e == NULL)
		return NULL;
	e->magic = EVENTS_MAGIC;
	e->shared = shared;
	e->base = base;
	e->own = own;
	e->counters = counters;
	TAILQ_INIT(&e->live);
	TAILQ_INIT(&e->due);
	TAILQ_INIT(&e->blocked);
	TAILQ_INIT(&e->queued);
	TAILQ_INIT(&e->later);
	TAILQ_INIT(&e->lag_reads);
	TAILQ_INIT(&e->shares);
	TAILQ_INIT(&e->json_pages);
	news_init(&e->news);
	news_init(&e->walked);
	e->snapshots = snapshots_new();
	if (e->snapshots == NULL || evtimer_assign(&e->run, base, on_run, e) != 0 ||
	    event_assign(&e->tick, base, -1, EV_PERSIST, on_tick, e) != 0) {
		snapshots_free(e->snapshots);
		free(e);
		return NULL;
	}
	events_reload(e);
	return e;
}

void events_free(struct events *e)
{
	struct teller_news *n;

	if (e == NULL)
		return;
	events_drain(e);
	assert(e->asking == 0);
	event_del(&e->run);
	event_del(&e->tick);
	walk_end(e);
	while ((n = news_take(&e->news)) != NULL)
		teller_news_done(n);
	roll_clear(&e->window);
	snapshots_free(e->snapshots);
	watch_view_close(&e->view);
	e->magic = 0;
	free(e);
}
