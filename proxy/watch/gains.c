/* gains.c - the first of the queue: a slice is asked about, judged, told; the next one.
 *
 * A gain goes through its ranges, each of one CA.  One whose issuer is not opened is left
 * out of this pass; after it the gain goes to the end of the queue for another.
 */
#include "proxy/watch/gains.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "cache/watch/watch_db.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/tell/teller.h"
#include "proxy/watch/gained.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/notices.h"
#include "proxy/watch/share.h"
#include "proxy/watch/verdicts.h"

#define SLICE 4096 /* certificates in one question, and so in one batch */

struct gain {
	TAILQ_ENTRY(gain) link;
	const struct watch_list *list;
	uint32_t generation, version; /* all that it gained up to these is told */
	uint64_t number;              /* of the inventory with which it came */
	bool *over;                   /* by range: it was judged */
	int64_t from_ms;              /* monotonic: not before */
	bool begun;                   /* some of it was asked about */
	size_t range, entry;
};

struct gain_batch {
	struct teller_batch ask; /* first: what comes back is this */
	struct gains *gains;
};

struct gains {
	struct watch_context *context;
	struct verdicts *verdicts;
	struct event *timer;
	TAILQ_HEAD(, gain) queue;
	/* Of the first one: */
	enum {
		GAINS_IDLE,    /* or none; or each waits for lists, and the timer runs */
		GAINS_JUDGING, /* the keeper is asked */
		GAINS_TELLING, /* batches are at the teller */
		GAINS_ANNOUNCING, /* what stands on an incident is told */
		GAINS_MARKING     /* the ledger takes the mark away */
	} state;
	size_t passes;  /* since one of the queue moved: all of them wait */
	size_t batches; /* at the teller */
	enum err error; /* of them */
	struct gained found[SLICE];
	struct ledger_job job;
};

static void go(struct gains *g);

static void later(struct gains *g)
{
	if (!timer_arm(g->timer, GAINS_LOOK_MS))
		log_error("watched_late", "err=%s", err_label(ERR_NOMEM));
}

/* The queue. */

static void gain_free(struct gain *x)
{
	watch_list_unref(x->list);
	free(x->over);
	free(x);
}

static bool is_later(const struct gain *x, const struct gain *than)
{
	return x->generation != than->generation ? x->generation > than->generation
						 : x->version > than->version;
}

/* Another one of this list that waits, behind the first. */
static struct gain *other_of(struct gains *g, const struct gain *x)
{
	struct gain *y;

	TAILQ_FOREACH(y, &g->queue, link)
		if (y != x && y != TAILQ_FIRST(&g->queue) &&
		    strcmp(y->list->name, x->list->name) == 0)
			return y;
	return NULL;
}

static void take_moment(struct gain *of, const struct gain *x)
{
	if (!is_later(x, of))
		return;
	of->generation = x->generation;
	of->version = x->version;
	of->number = x->number;
}

/* Both in one; false: out of memory. */
static bool join(struct gains *g, struct gain *x, const struct gain *y)
{
	const struct watch_list *now =
	    inventory_list(ledger_inventory(g->context->shared), x->list->name);
	const struct watch_list *both = watch_list_join(x->list, y->list);
	bool *over;

	if (both != NULL && now != NULL && both->n > now->n) {
		watch_list_unref(both);
		both = watch_list_ref(now);
	}
	over = both != NULL ? calloc(both->ranges_n + 1, sizeof *over) : NULL;
	if (over == NULL) {
		watch_list_unref(both);
		return false;
	}
	watch_list_unref(x->list);
	free(x->over);
	x->list = both;
	x->over = over;
	x->from_ms = y->from_ms;
	take_moment(x, y);
	return true;
}

void gains_add(void *gains, const struct watch_list *list)
{
	struct gains *g = gains;
	struct gain *x = calloc(1, sizeof *x), *y;

	if (x == NULL ||
	    (x->over = calloc(list->ranges_n + 1, sizeof *x->over)) == NULL) {
		log_error("watched_not_told", "watchlist=%s err=%s effect=%s", list->name,
		    err_label(ERR_NOMEM), "told at the next start");
		watch_list_unref(list);
		free(x);
		return;
	}
	x->list = list;
	x->from_ms = clock_mono_ms() + (g->context->share != NULL ? GAINS_SETTLE_MS : 0);
	x->generation = list->generation;
	x->version = list->version;
	x->number = list->number;
	y = other_of(g, x);
	if (y != NULL && !y->begun && join(g, y, x))
		gain_free(x);
	else
		TAILQ_INSERT_TAIL(&g->queue, x, link);
	g->passes = 0;
	go(g);
}

/* Its end. */

static void on_marked(void *arg, struct ledger_job *j)
{
	struct gains *g = arg;
	char why[512];

	assert(g->state == GAINS_MARKING && g->context->away > 0);
	g->context->away--;
	g->state = GAINS_IDLE;
	if (j->error != ERR_OK && j->error != ERR_CANCELLED) {
		watch_db_why(ledger_db(g->context->ledger), why, sizeof why);
		log_warn("watched_mark_stays", "watchlist=%s err=%s why=%s effect=%s",
		    j->name, err_label(j->error), why, "told again at the next start");
	}
	go(g);
}

/* All of x is told.  Where more of its list waits, the mark goes with that. */
static void end(struct gains *g, struct gain *x)
{
	struct gain *other = other_of(g, x);

	TAILQ_REMOVE(&g->queue, x, link);
	if (other != NULL) {
		take_moment(other, x);
	} else {
		g->state = GAINS_MARKING;
		g->job = (struct ledger_job){.what = LEDGER_TOLD,
		    .generation = x->generation,
		    .version = x->version,
		    .done = on_marked,
		    .arg = g};
		memcpy(g->job.name, x->list->name, sizeof g->job.name);
		g->context->away++;
		ledger_do(g->context->ledger, &g->job);
	}
	g->passes = 0;
	gain_free(x);
}

/* Telling. */

static void again(struct gains *g, struct gain *x)
{
	memset(x->over, 0, x->list->ranges_n * sizeof *x->over);
	x->range = x->entry = 0;
	later(g);
}

/* What stands on an incident. */

static void on_announced(void *arg, enum err e)
{
	struct gains *g = arg;

	assert(g->state == GAINS_ANNOUNCING);
	g->state = GAINS_IDLE;
	if (e == ERR_OK)
		end(g, TAILQ_FIRST(&g->queue));
	else if (e != ERR_CANCELLED)
		later(g);
	if (e == ERR_OK)
		go(g);
}

static void announce(struct gains *g, struct gain *x)
{
	g->state = GAINS_ANNOUNCING;
	notices_gain(g->context->notices, x->list, x->number, on_announced, g);
}

/* The slice.  When we stop, the mark stays. */
static void told(struct gains *g)
{
	g->state = GAINS_IDLE;
	if (g->error == ERR_OK)
		go(g);
	else if (g->error != ERR_CANCELLED)
		again(g, TAILQ_FIRST(&g->queue));
}

static void on_told(void *inbox_arg, struct question *q)
{
	struct gain_batch *b = (struct gain_batch *)q;
	struct gains *g = b->gains;

	(void)inbox_arg;
	assert(g->state == GAINS_TELLING && g->batches > 0 && g->context->away > 0);
	g->context->away--;
	if (b->ask.error != ERR_OK)
		g->error = b->ask.error;
	change_batch_unref(b->ask.batch);
	free(b);
	if (--g->batches == 0)
		told(g);
}

/* False: out of memory. */
static bool tell_batch(struct gains *g, const struct gained *found, size_t n)
{
	struct gain_batch *b = calloc(1, sizeof *b);

	if (b == NULL || (b->ask.batch = gained_batch(
			      TAILQ_FIRST(&g->queue)->list->name, found, n)) == NULL) {
		free(b);
		return false;
	}
	b->gains = g;
	b->ask.teller = g->context->shared->teller;
	b->ask.question.reply_to = g->context->inbox;
	b->ask.question.done = on_told;
	g->batches++;
	g->context->away++;
	question_ask(&b->ask.question, g->context->shared->keeper, teller_append);
	return true;
}

/* n of them; how many went. */
static size_t tell(struct gains *g, size_t n)
{
	size_t first = 0, run;

	gained_sort(g->found, n);
	for (; first < n; first += run) {
		run = gained_run(&g->found[first], n - first);
		if (!tell_batch(g, &g->found[first], run))
			break;
	}
	return first;
}

/* Judging. */

static size_t find_revoked(struct gains *g)
{
	size_t n = 0;

	for (size_t i = 0; i < verdicts_count(g->verdicts); i++) {
		struct evidence e;

		if (!verdicts_is_revoked(g->verdicts, i))
			continue;
		verdicts_at(g->verdicts, i, &e);
		gained_set(&g->found[n++], verdicts_issuer(g->verdicts, i),
		    verdicts_serial(g->verdicts, i), &e);
	}
	return n;
}

static void on_verdicts(void *arg)
{
	struct gains *g = arg;
	size_t n;

	assert(g->state == GAINS_JUDGING);
	g->state = GAINS_IDLE;
	if (g->context->stopping)
		return;
	if (verdicts_error(g->verdicts) != ERR_OK) {
		again(g, TAILQ_FIRST(&g->queue));
		return;
	}
	n = find_revoked(g);
	g->state = GAINS_TELLING;
	g->error = ERR_OK;
	if (tell(g, n) < n)
		g->error = ERR_NOMEM;
	if (g->batches == 0)
		told(g);
}

/* Which issuer a range is of; NULL: none that is configured. */
static const struct issuer *issuer_of(
    const struct gains *g, const struct inventory *v, const struct watch_range *r)
{
	const struct watch_ca *ca = watch_cas_at(v->cas, r->ca);

	return ca != NULL
		   ? issuers_named(shared_conf(g->context->shared)->issuers, ca->issuer)
		   : NULL;
}

static bool is_opened(const struct issuer *i)
{
	return i->slot != NULL &&
	       !atomic_load_explicit(&i->slot->set, memory_order_acquire)->unopened;
}

/* What x's range has next, and is on the list still. */
static bool add_range(struct gains *g, struct gain *x, const struct watch_list *now,
    const char *issuer, const struct watch_range *r)
{
	for (; x->entry < r->n && verdicts_count(g->verdicts) < SLICE; x->entry++) {
		struct serial s;

		watched_serial(&x->list->entries[r->first + x->entry], &s);
		if (watch_list_find(now, r->ca, &s) != NULL &&
		    !verdicts_add_unwatched(g->verdicts, issuer, &s))
			return false;
	}
	return true;
}

/* What files have brought while Redis was away the others do not have yet, while the log
 * may be back before they have: what it tells then, they would not take for theirs. */
static bool has_to_settle(const struct gains *g, struct gain *x)
{
	struct share *share = g->context->share;

	if (share != NULL && x->list->source == WATCH_FILES &&
	    share_owes(share, x->list->name))
		x->from_ms = clock_mono_ms() + GAINS_SETTLE_MS;
	return x->from_ms > clock_mono_ms();
}

/* The next slice of x.  False: out of memory. */
static bool gather(struct gains *g, struct gain *x)
{
	const struct inventory *v = ledger_inventory(g->context->shared);
	const struct watch_list *now = inventory_list(v, x->list->name);

	verdicts_clear(g->verdicts);
	if (has_to_settle(g, x))
		return true;
	for (; now != NULL && x->range < x->list->ranges_n; x->range++, x->entry = 0) {
		const struct watch_range *r = &x->list->ranges[x->range];
		const struct issuer *i = issuer_of(g, v, r);

		if (x->over[x->range] || (x->entry == 0 && i != NULL && !is_opened(i)))
			continue;
		if (i != NULL && !add_range(g, x, now, i->name, r))
			return false;
		if (i != NULL && x->entry < r->n)
			return true;
		x->over[x->range] = true;
	}
	return true;
}

static bool is_over(const struct gains *g, const struct gain *x)
{
	if (inventory_list(ledger_inventory(g->context->shared), x->list->name) == NULL)
		return true;
	for (size_t n = 0; n < x->list->ranges_n; n++)
		if (!x->over[n])
			return false;
	return true;
}

/* It has been passed through, and waits for lists: others first. */
static void pass_on(struct gains *g, struct gain *x)
{
	x->range = x->entry = 0;
	TAILQ_REMOVE(&g->queue, x, link);
	TAILQ_INSERT_TAIL(&g->queue, x, link);
	g->passes++;
}

static size_t queue_n(const struct gains *g)
{
	const struct gain *x;
	size_t n = 0;

	TAILQ_FOREACH(x, &g->queue, link)
		n++;
	return n;
}

static void go(struct gains *g)
{
	struct gain *x;

	while (g->state == GAINS_IDLE && !g->context->stopping &&
	       (x = TAILQ_FIRST(&g->queue)) != NULL) {
		if (g->passes >= queue_n(g)) {
			later(g);
			return;
		}
		if (!gather(g, x)) {
			again(g, x);
			return;
		}
		if (verdicts_count(g->verdicts) > 0) {
			g->state = GAINS_JUDGING;
			g->passes = 0;
			x->begun = true;
			verdicts_ask(g->verdicts);
		} else if (is_over(g, x)) {
			g->passes = 0;
			announce(g, x);
		} else {
			pass_on(g, x);
		}
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct gains *g = arg;

	(void)fd, (void)what;
	g->passes = 0;
	go(g);
}

/* Life. */

struct gains *gains_new(struct watch_context *context)
{
	struct gains *g = calloc(1, sizeof *g);

	if (g == NULL)
		return NULL;
	g->context = context;
	TAILQ_INIT(&g->queue);
	g->verdicts = verdicts_new(context, on_verdicts, g);
	g->timer = evtimer_new(context->base, on_timer, g);
	if (g->verdicts == NULL || g->timer == NULL) {
		gains_free(g);
		return NULL;
	}
	return g;
}

void gains_cancel(struct gains *g)
{
	event_del(g->timer);
}

void gains_free(struct gains *g)
{
	struct gain *x;

	if (g == NULL)
		return;
	while ((x = TAILQ_FIRST(&g->queue)) != NULL) {
		TAILQ_REMOVE(&g->queue, x, link);
		gain_free(x);
	}
	if (g->timer != NULL)
		event_free(g->timer);
	verdicts_free(g->verdicts);
	free(g);
}
