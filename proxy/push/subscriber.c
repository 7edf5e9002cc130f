/* subscriber.c - in and out of its lists, and what goes with it. */
#include "proxy/push/subscriber.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/timer.h"
#include "proxy/push/events_core.h"

void events_wake(struct events *e)
{
	/* A timer and not event_active(): that would run before the other descriptors
	 * are looked at. */
	if (!evtimer_pending(&e->run, NULL))
		timer_arm(&e->run, 0);
}

void lag_page_unref(struct events *e, struct lag_page *p)
{
	if (p == NULL)
		return;
	assert(p->refs > 0);
	if (--p->refs > 0)
		return;
	assert(e->paged >= p->roll.bytes);
	e->paged -= p->roll.bytes;
	roll_clear(&p->roll);
	free(p);
}

void snapshot_share_unref(struct snapshot_share *s)
{
	struct events *e = s->events;

	assert(s->refs > 0);
	if (--s->refs > 0)
		return;
	assert(TAILQ_EMPTY(&s->subs));
	TAILQ_REMOVE(&e->shares, s, link);
	if (s->lender != NULL)
		snapshot_share_unref(s->lender);
	else
		snapshot_drop(&s->snapshot);
	if (s->holds) {
		assert(e->shares_held > 0 && e->shares_bytes >= s->bytes);
		e->shares_held--;
		e->shares_bytes -= s->bytes;
	}
	free(s);
}

void sub_move(struct sub *s, struct subs *to)
{
	struct events *e = s->events;

	assert(s->magic == SUB_MAGIC);
	if (e->cursor == s)
		e->cursor = TAILQ_NEXT(s, link);
	if (s->list != NULL)
		TAILQ_REMOVE(s->list, s, link);
	s->list = to;
	if (to != NULL)
		TAILQ_INSERT_TAIL(to, s, link);
}

void sub_watch_free(struct sub_watch *w)
{
	if (w == NULL)
		return;
	watch_list_unref(w->then);
	watch_cas_unref(w->cas);
	free(w);
}

void sub_close(struct sub *s)
{
	struct events *e = s->events;

	assert(e->count > 0);
	sub_move(s, NULL);
	event_del(&s->ev);
	close(event_get_fd(&s->ev));
	lag_page_unref(e, s->page);
	e->watching -= s->watch != NULL;
	sub_watch_free(s->watch);
	free(s->standing);
	free(s->rest);
	if (s->access != NULL)
		s->access->streams--;
	access_unref(s->access);
	if (s->share != NULL)
		snapshot_share_unref(s->share);
	metrics_count(e->counters, M_CONN_CLOSED);
	if (--e->count == 0)
		event_del(&e->tick);
	atomic_fetch_sub(&e->shared->subscribers, 1);
	s->magic = 0;
	free(s);
}

void sub_cut(struct sub *s)
{
	/* The kernel would go on offering the rest to a client that does not take it. */
	struct linger hard = {.l_onoff = 1, .l_linger = 0};

	metrics_count(s->events->counters, M_SUBSCRIBERS_CUT);
	setsockopt(event_get_fd(&s->ev), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	sub_close(s);
}
