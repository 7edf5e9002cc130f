/* upstream_pump.c - turns: of lanes, of classes, and of issuers with a common host. */
#include "proxy/base/clock.h"

#include <assert.h>
#include <event2/event.h>

#include "proxy/base/timer.h"
#include "proxy/source/upstream_core.h"

#define PUMP_MAX 64 /* asks handled in one go, so that no flood holds the loop */

static void refill(struct issuer_queue *q, int64_t now)
{
	int64_t full = (int64_t)q->rules.fetch_rate * UPSTREAM_TOKEN,
		passed = now - q->refilled_ms;

	if (passed > 1000)
		passed = 1000;
	q->refilled_ms = now;
	q->tokens += passed * q->rules.fetch_rate;
	if (q->tokens > full)
		q->tokens = full;
}

static bool has_token(struct issuer_queue *q, int64_t now)
{
	int64_t ms;

	refill(q, now);
	if (q->tokens >= UPSTREAM_TOKEN)
		return true;
	ms = (UPSTREAM_TOKEN - q->tokens + q->rules.fetch_rate - 1) / q->rules.fetch_rate;
	if (!timer_arm(q->timer, ms)) /* out of memory: look again at once */
		event_active(q->timer, EV_TIMEOUT, 0);
	return false;
}

/* A place at h for the head of l; if there is none, l stands in line.  A free place is
 * for those who stood in line: who has just come may not overtake them, or an issuer
 * whose own fetches end often would take every place. */
static bool host_has_place(struct lane *l, struct host *h)
{
	if (l->blocked_on == h)
		return false; /* upstream_wake() takes us out of the line */
	upstream_unblock(l);
	if (upstream_has_room(
		&h->in_flight, l->class, l->queue->up->config.host_max_in_flight) &&
	    (l->woken_by == h || TAILQ_EMPTY(&h->line[l->class])))
		return true;
	upstream_block(l, h);
	return false;
}

/* One step for the head of a lane: end it, start it, or find what it waits for (false).
 */
static bool lane_step(struct lane *l)
{
	struct source_ask *a = TAILQ_FIRST(&l->asks);
	struct issuer_queue *q = l->queue;
	int64_t now = clock_mono_ms();
	struct place *p;
	int places;

	if (a == NULL) {
		upstream_unblock(l);
		return false;
	}
	p = upstream_next(a, now, &places);
	if (p == NULL || now >= a->deadline_ms) {
		upstream_leave(a);
		upstream_end(a, a->tried_any ? a->error
				: p == NULL  ? ERR_UP_BACKOFF
					     : ERR_UP_BUSY);
		return true;
	}
	if (!upstream_has_room(&q->in_flight, l->class, q->rules.max_in_flight) ||
	    !host_has_place(l, p->r->host))
		return false;
	if (!has_token(q, now))
		return false;
	upstream_start(a, p, a->deadline_ms - now, places);
	return true;
}

/* One step for the class whose turn it is, or for the other one. */
static bool class_step(struct issuer_queue *q)
{
	for (int i = 0; i < CLASSES; i++) {
		struct lane *l = &q->lane[2 * q->turn];

		q->turn = (q->turn + 1) % CLASSES;
		if (lane_step(l) || lane_step(l + 1))
			return true;
	}
	return false;
}

/* Hand out turns until nothing more can start.  A lane that got a host's free place and
 * did not use it up passes the rest on. */
static void pump(struct issuer_queue *q)
{
	int done = 0;

	while (done < PUMP_MAX && class_step(q))
		done++;
	if (done == PUMP_MAX)
		upstream_kick(q);
	for (int i = 0; i < UPSTREAM_LANES; i++) {
		struct host *h = q->lane[i].woken_by;

		q->lane[i].woken_by = NULL;
		if (h != NULL)
			upstream_wake(q->up, h);
	}
}

void upstream_on_kick(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *u = arg;
	struct queue_list now;
	struct issuer_queue *q;

	(void)fd;
	(void)what;
	/* Those that are kicked meanwhile come with the next activation. */
	TAILQ_INIT(&now);
	TAILQ_CONCAT(&now, &u->kicked, link);
	while ((q = TAILQ_FIRST(&now)) != NULL) {
		TAILQ_REMOVE(&now, q, link);
		q->is_kicked = false;
		pump(q);
	}
}

void upstream_on_token(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	upstream_kick(arg);
}

void upstream_on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct source_ask *a = arg;

	(void)fd;
	(void)what;
	assert(a->state == ASK_WAITING);
	upstream_leave(a);
	upstream_end(a, a->tried_any ? a->error : ERR_UP_BUSY);
}
