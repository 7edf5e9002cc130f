/* feed_wait.c - two kinds of lists of who waits: of one issuer, and for all of them.
 */
#include "proxy/base/timer.h"

#include <assert.h>
#include <event2/event.h>

#include "proxy/lists/feed_list.h"

static void take_out(struct crl_wait *w)
{
	assert(w->_list != NULL && *w->_count > 0);
	TAILQ_REMOVE(w->_list, w, _link);
	w->_list = NULL;
	--*w->_count;
	if (w->_timed)
		evtimer_del(&w->_timer);
	w->_timed = false;
}

static void end(struct crl_wait *w, enum err e)
{
	take_out(w);
	w->done(w, e);
}

void crl_feed_wait_end(struct crl_wait *w)
{
	if (w->_list != NULL)
		take_out(w);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	end(arg, ERR_RESP_LISTS);
}

static void set_timer(const struct crl_feed *f, struct crl_wait *w, int ms)
{
	evtimer_assign(&w->_timer, f->context->base, on_timer, w);
	w->_timed = timer_arm(&w->_timer, ms);
}

static void on_cancelled(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	end(arg, ERR_CANCELLED);
}

/* In the next turn, which needs no memory. */
static void cancel_soon(const struct crl_feed *f, struct crl_wait *w)
{
	evtimer_assign(&w->_timer, f->context->base, on_cancelled, w);
	w->_timed = true;
	event_active(&w->_timer, EV_TIMEOUT, 1);
}

static void put_in(struct crl_wait *w, struct crl_waits *waits, size_t *count)
{
	assert(w->_list == NULL && w->done != NULL);
	w->_list = waits;
	w->_count = count;
	++*count;
	TAILQ_INSERT_TAIL(waits, w, _link);
}

void feed_wait_begin(
    struct crl_feed *f, struct feed_issuer *i, struct crl_wait *w, int ms)
{
	if (i == NULL)
		put_in(w, &f->waits, &f->waits_n);
	else
		put_in(w, &i->waits, &i->waits_n);
	if (f->cancelled)
		cancel_soon(f, w);
	else if (ms >= 0)
		set_timer(f, w, ms);
}

size_t crl_feed_waiting(const struct crl_feed *f, const char *issuer)
{
	const struct feed_issuer *i = feed_issuer_find(f, issuer);

	return i != NULL ? i->waits_n : 0;
}

/* Those who are there now: who is called may wait again. */
static void end_all(struct crl_waits *waits, enum err e)
{
	struct crl_waits now = TAILQ_HEAD_INITIALIZER(now);
	struct crl_wait *w;

	TAILQ_CONCAT(&now, waits, _link);
	TAILQ_FOREACH(w, &now, _link)
		w->_list = &now;
	while ((w = TAILQ_FIRST(&now)) != NULL)
		end(w, e);
}

void feed_wake(struct feed_issuer *i)
{
	struct crl_feed *f = i->feed;

	if (!feed_set_of(i)->unopened && !TAILQ_EMPTY(&i->waits))
		end_all(&i->waits, ERR_OK);
	if (f->unopened == 0 && !TAILQ_EMPTY(&f->waits))
		end_all(&f->waits, ERR_OK);
}

void feed_wake_all(struct crl_feed *f)
{
	struct feed_issuer *i;

	LIST_FOREACH(i, &f->issuers, link)
		feed_wake(i);
}

void feed_waits_cancel(struct crl_feed *f)
{
	struct feed_issuer *i;

	LIST_FOREACH(i, &f->issuers, link)
		end_all(&i->waits, ERR_CANCELLED);
	end_all(&f->waits, ERR_CANCELLED);
}
