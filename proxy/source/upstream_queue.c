/* upstream_queue.c - who waits, in which lane, for which host. */
#include "proxy/base/clock.h"

#include <assert.h>
#include <event2/event.h>

#include "proxy/base/timer.h"
#include "proxy/source/upstream_core.h"

/* Shares. */

unsigned upstream_sum(const struct share *s)
{
	return s->n[KNOWN] + s->n[STRANGER];
}

/* What strangers may have of a bound: all but a quarter, all but one of a few.  Who has
 * only one place has none to keep free. */
static unsigned for_strangers(unsigned bound)
{
	return bound - (bound < 2 ? 0 : bound < 8 ? 1 : bound / 4);
}

bool upstream_has_room(const struct share *s, enum class c, unsigned bound)
{
	return upstream_sum(s) < bound &&
	       (c == KNOWN || s->n[STRANGER] < for_strangers(bound));
}

/* Turns. */

void upstream_kick(struct issuer_queue *q)
{
	struct upstream *u = q->up;

	if (q->is_kicked)
		return;
	q->is_kicked = true;
	TAILQ_INSERT_TAIL(&u->kicked, q, link);
	/* Not event_active() first: other events come before a timer.  But a kick that is
	 * lost would stop the queue for ever, and event_active() needs no memory. */
	if (!timer_arm(u->kick, 0))
		event_active(u->kick, EV_TIMEOUT, 0);
}

void upstream_unblock(struct lane *l)
{
	if (l->blocked_on == NULL)
		return;
	TAILQ_REMOVE(&l->blocked_on->line[l->class], l, link);
	l->blocked_on = NULL;
}

void upstream_wake(const struct upstream *u, struct host *h)
{
	for (int i = 0; i < CLASSES; i++) {
		enum class c = h->turn;
		struct lane *l = TAILQ_FIRST(&h->line[c]);

		h->turn = (c + 1) % CLASSES;
		if (l == NULL ||
		    !upstream_has_room(&h->in_flight, c, u->config.host_max_in_flight))
			continue;
		upstream_unblock(l);
		l->woken_by = h;
		upstream_kick(l->queue);
		return;
	}
}

void upstream_block(struct lane *l, struct host *h)
{
	assert(l->blocked_on == NULL);
	l->blocked_on = h;
	TAILQ_INSERT_TAIL(&h->line[l->class], l, link);
}

struct lane *upstream_lane(const struct source_ask *a, enum lane_kind kind)
{
	return &a->queue->lane[2 * a->class + kind];
}

void upstream_wait(struct source_ask *a, struct lane *l)
{
	a->state = ASK_WAITING;
	a->lane = l;
	TAILQ_INSERT_TAIL(&l->asks, a, link);
	a->queue->waiting.n[a->class]++;
	timer_arm(&a->timer, a->deadline_ms - clock_mono_ms());
	upstream_kick(a->queue);
}

void upstream_leave(struct source_ask *a)
{
	struct lane *l = a->lane;

	assert(a->state == ASK_WAITING && a->queue->waiting.n[a->class] > 0);
	if (TAILQ_FIRST(&l->asks) == a) /* the next one may not have to wait */
		upstream_kick(a->queue);
	TAILQ_REMOVE(&l->asks, a, link);
	a->lane = NULL;
	a->queue->waiting.n[a->class]--;
	evtimer_del(&a->timer);
	TAILQ_INSERT_TAIL(&a->up->busy, a, link);
}
