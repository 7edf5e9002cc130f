/* flight_asks.c - clients who wait: two lists through the asks themselves. */
#include "proxy/base/clock.h"

#include <assert.h>
#include <event2/event.h>

#include "proxy/base/timer.h"
#include "proxy/keeper/flight_core.h"

void flight_timeout_arm(struct flights *fs)
{
	if (fs->oldest == NULL) {
		evtimer_del(&fs->timeout);
		return;
	}
	if (!evtimer_pending(&fs->timeout, NULL))
		timer_arm(&fs->timeout, fs->oldest->asked_at_ms +
					    flights_conf(fs)->answer_timeout_ms -
					    clock_mono_ms());
}

/* By the time of asking: nearly always the newest, but one whose nonce was forwarded in
 * vain has waited already. */
static void ask_queue(struct flights *fs, struct ask *a)
{
	struct ask *older = fs->newest;

	while (older != NULL && older->asked_at_ms > a->asked_at_ms)
		older = older->_older;
	a->_older = older;
	a->_newer = older != NULL ? older->_newer : fs->oldest;
	if (a->_newer != NULL)
		a->_newer->_older = a;
	else
		fs->newest = a;
	if (older != NULL) {
		older->_newer = a;
	} else {
		fs->oldest = a;
		evtimer_del(&fs->timeout); /* armed for one that is younger */
	}
	flight_timeout_arm(fs);
}

void flight_ask_add(struct flight *f, struct ask *a)
{
	struct flights *fs = f->all;

	assert(f->state < FLIGHT_OVER);
	a->_flight = f;
	a->_next = NULL;
	a->_prev = f->last;
	if (f->last != NULL)
		f->last->_next = a;
	else
		f->first = a;
	f->last = a;
	ask_queue(fs, a);
}

void flight_ask_remove(struct ask *a)
{
	struct flight *f = a->_flight;
	struct flights *fs = f->all;

	assert(f->first != NULL && fs->oldest != NULL);
	if (a->_next != NULL)
		a->_next->_prev = a->_prev;
	else
		f->last = a->_prev;
	if (a->_prev != NULL)
		a->_prev->_next = a->_next;
	else
		f->first = a->_next;
	if (a->_newer != NULL)
		a->_newer->_older = a->_older;
	else
		fs->newest = a->_older;
	if (a->_older != NULL)
		a->_older->_newer = a->_newer;
	else
		fs->oldest = a->_newer;
}

void flight_answer_all(
    struct flight *f, const struct answer *a, enum err e, enum tier tier)
{
	struct ask *k;

	while ((k = f->first) != NULL) {
		flight_ask_remove(k);
		ask_reply(k, a, e, tier);
	}
	flight_timeout_arm(f->all);
}
