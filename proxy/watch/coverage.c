/* coverage.c - a walk for each CA, until there are no more. */
#include "proxy/watch/coverage.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>

#include "cache/watch/inventory.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/keeper/keeper.h"
#include "proxy/lists/watched_source.h"
#include "proxy/watch/ledger.h"

#define SLICE    8192 /* certificates; a walk that begins counts as one for each list */
#define EACH_MS  3600000
#define RETRY_MS 5000 /* after memory failed us */

/* A round. */
struct coverage_round {
	const struct inventory *v; /* a reference */
	struct watched_names *names;
	struct inventory_walk *walk; /* of CA number `ca`; NULL: not begun */
	size_t ca;
	int64_t now, began_ms;
};

struct coverage {
	struct watch_context *context;
	struct event *timer;
	struct coverage_round *round; /* NULL: none is under way */
	int64_t quiet_until_ms;       /* for the last one's cost */
	bool held, changed;           /* since the last one began */
	const struct conf *conf;      /* by which CAs are named; compared, never read */
};

static void round_free(struct coverage_round *r)
{
	if (r == NULL)
		return;
	inventory_walk_free(r->walk);
	watched_names_free(r->names);
	inventory_unref(r->v);
	free(r);
}

static struct coverage_round *round_new(const struct coverage *c)
{
	struct coverage_round *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->v = inventory_ref(ledger_inventory(c->context->shared));
	r->names = watched_names_new(r->v, c->conf);
	r->now = clock_now();
	r->began_ms = clock_mono_ms();
	if (r->names != NULL)
		return r;
	round_free(r);
	return NULL;
}

static void count(struct coverage_round *r, const struct watched *e)
{
	int64_t end = watched_not_after(e);

	if (end != WATCH_TIME_NONE && end <= r->now)
		return;
	r->names->certificates[r->ca]++;
	inventory_named_add(r->names->by_number, e);
}

/* A slice.  False: out of memory. */
static bool walk(struct coverage_round *r)
{
	size_t lists = r->v->n + 1, left = SLICE;
	struct watched e;

	while (left > 0 && r->ca < r->v->cas->n) {
		if (r->walk == NULL) {
			r->walk = inventory_walk_new(r->v, r->v->cas->ca[r->ca].id, NULL);
			if (r->walk == NULL)
				return false;
			left -= lists < left ? lists : left;
		}
		while (left > 0 && inventory_walk_next(r->walk, &e)) {
			count(r, &e);
			left--;
		}
		if (left == 0)
			return true; /* or that was all: the next slice sees it */
		inventory_walk_free(r->walk);
		r->walk = NULL;
		r->ca++;
	}
	return true;
}

static bool is_over(const struct coverage_round *r)
{
	return r->walk == NULL && r->ca == r->v->cas->n;
}

static void arm(struct coverage *c, int64_t ms)
{
	if (!c->held && !c->context->stopping)
		timer_arm(c->timer, ms);
}

/* The time until the next. */
static void rest(struct coverage *c)
{
	int64_t quiet = c->quiet_until_ms - clock_mono_ms();

	if (!c->changed)
		arm(c, EACH_MS);
	else
		arm(c, quiet > COVERAGE_DELAY_MS ? quiet : COVERAGE_DELAY_MS);
}

static void end(struct coverage *c)
{
	struct coverage_round *r = c->round;
	int64_t now = clock_mono_ms();

	c->quiet_until_ms = now + COVERAGE_KEEP * (now - r->began_ms);
	keeper_tell_names(c->context->shared, r->names);
	r->names = NULL;
	round_free(r);
	c->round = NULL;
	rest(c);
}

static void give_up(struct coverage *c)
{
	log_error("coverage_failed", "err=%s effect=%s", err_label(ERR_NOMEM),
	    "lists and alarms are by what was watched before; tried again in five "
	    "seconds");
	round_free(c->round);
	c->round = NULL;
	arm(c, RETRY_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct coverage *c = arg;

	(void)fd, (void)what;
	if (c->held || c->context->stopping)
		return;
	if (c->round == NULL) {
		c->changed = false;
		c->round = round_new(c);
	}
	if (c->round == NULL || !walk(c->round))
		give_up(c);
	else if (is_over(c->round))
		end(c);
	else
		arm(c, 0);
}

void coverage_cancel(struct coverage *c)
{
	c->held = true;
	event_del(c->timer);
	round_free(c->round);
	c->round = NULL;
}

void coverage_hold(struct coverage *c, const struct conf *conf)
{
	coverage_cancel(c);
	c->conf = conf;
}

void coverage_go(struct coverage *c)
{
	c->held = false;
	arm(c, 0);
}

void coverage_changed(struct coverage *c)
{
	bool was = c->changed;

	c->changed = true;
	if (!was && c->round == NULL)
		rest(c);
}

/* Life. */

struct coverage *coverage_new(struct watch_context *context)
{
	struct coverage *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->context = context;
	c->held = true;
	c->timer = evtimer_new(context->base, on_timer, c);
	if (c->timer != NULL)
		return c;
	free(c);
	return NULL;
}

void coverage_free(struct coverage *c)
{
	if (c == NULL)
		return;
	round_free(c->round);
	event_free(c->timer);
	free(c);
}
