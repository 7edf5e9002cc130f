/* notices.c - what there is to be told, one after the other; how it is told is
 * telling.c's.
 *
 * Each incident of the inventory has one record here, from when it was first seen until
 * it is gone; a withdrawn one's has the place up to which it was announced. */
#include "proxy/watch/notices.h"

#include <assert.h>
#include <event2/event.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/watch/gains.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/telling.h"

/* What a list has gained, and who waits for it. */
struct incident_gain {
	const struct watch_list *list; /* borrowed */
	uint64_t number;               /* of the inventory with which it came */
	size_t left;                   /* of it, in the queue */
	void (*done)(void *arg, enum err e);
	void *arg;
};

struct incident_notice {
	TAILQ_ENTRY(incident_notice) link;
	const struct incident *incident; /* a reference */
	struct incident_gain *gain;      /* NULL: of all that is watched */
	enum incident_others others;     /* of a gain */
	bool closed;                     /* withdrawn: it is announced no further */
	bool all_back; /* withdrawn: so is each of its, whoever else has it */
	bool over;
	bool forgetting; /* the ledger drops it */
	bool gone;       /* it is in no inventory any more */
	bool mine;
	struct incident_place upto; /* of a closed one */
	int64_t from_ms;            /* monotonic: not before */
	bool looked;                /* at the pointer, which others may be moving: */
	struct change_told seen;
	/* The inventory that it was matched with: what comes later is a gain. UINT64_MAX:
	 * with none yet. */
	uint64_t number;
	uint64_t first;        /* that with which it came, in this run; else 0 */
	struct ledger_job job; /* forgetting */
	struct notices *notices;
};

struct notices {
	struct watch_context *context;
	struct telling *telling;
	struct event *timer;
	TAILQ_HEAD(, incident_notice) queue;
	struct incident_notice *now; /* being told */
	bool started, begun;         /* begun: what an earlier life has left was seen */
};

static void go(struct notices *n);

/* The queue. */

static void notice_free(struct notices *n, struct incident_notice *x)
{
	TAILQ_REMOVE(&n->queue, x, link);
	incident_unref(x->incident);
	free(x);
}

static struct incident_notice *notice_add(struct notices *n, const struct incident *i)
{
	struct incident_notice *x = calloc(1, sizeof *x);

	if (x == NULL)
		return NULL;
	x->notices = n;
	x->incident = incident_ref(i);
	x->number = UINT64_MAX;
	x->from_ms = clock_mono_ms();
	TAILQ_INSERT_TAIL(&n->queue, x, link);
	return x;
}

static bool is_same(const struct incident *a, const struct incident *b)
{
	return a->withdrawn == b->withdrawn && a->list->generation == b->list->generation;
}

static struct incident_notice *notice_of(
    const struct notices *n, const struct incident *i)
{
	struct incident_notice *x;

	TAILQ_FOREACH(x, &n->queue, link)
		if (x->gain == NULL && is_same(x->incident, i))
			return x;
	return NULL;
}

static bool is_of_name(const struct incident_notice *x, const char *name)
{
	return x->gain == NULL && strcmp(x->incident->about.name, name) == 0;
}

/* Of this name, and not in force any more, may one still be announced? */
static bool is_one_open(const struct notices *n, const char *name)
{
	const struct incident_notice *x;

	TAILQ_FOREACH(x, &n->queue, link)
		if (is_of_name(x, name) && x->incident->withdrawn && !x->gone &&
		    !x->closed)
			return true;
	return false;
}

/* The last of those that has announced anything.  NULL: none; or one of them takes all
 * back, and what the others have announced by then is not known. */
static const struct incident_notice *announced_before(
    const struct notices *n, const char *name)
{
	const struct incident_place none = {{0}, 0};
	const struct incident_notice *x, *last = NULL;

	TAILQ_FOREACH(x, &n->queue, link) {
		if (!is_of_name(x, name) || !x->incident->withdrawn || x->gone)
			continue;
		if (x->all_back)
			return NULL;
		if (!x->forgetting && incident_place_cmp(&x->upto, &none) > 0 &&
		    (last == NULL ||
			x->incident->list->generation > last->incident->list->generation))
			last = x;
	}
	return last;
}

/* The one that took the place of a withdrawn one, is withdrawn too, and will take its own
 * back; NULL: none. */
static const struct incident_notice *next_withdrawn(
    const struct notices *n, const struct incident_notice *of)
{
	const struct incident_notice *x, *next = NULL;

	TAILQ_FOREACH(x, &n->queue, link)
		if (is_of_name(x, of->incident->about.name) && x->incident->withdrawn &&
		    x->closed && !x->over && !x->gone &&
		    x->incident->list->generation > of->incident->list->generation &&
		    (next == NULL ||
			x->incident->list->generation < next->incident->list->generation))
			next = x;
	return next;
}

/* The one in force of this name, or NULL. */
static const struct incident_notice *in_force(const struct notices *n, const char *name)
{
	const struct incident_notice *x;

	TAILQ_FOREACH(x, &n->queue, link)
		if (is_of_name(x, name) && !x->incident->withdrawn && !x->gone)
			return x;
	return NULL;
}

/* Forgetting. */

static void on_forgotten(void *arg, struct ledger_job *j)
{
	struct incident_notice *x = arg;

	x->notices->context->away--;
	if (x->gone)
		notice_free(x->notices, x);
	else if (j->error != ERR_OK && j->error != ERR_CANCELLED &&
		 j->error != ERR_NOT_FOUND)
		log_warn("incident_stays", "incident=%s err=%s effect=%s",
		    x->incident->about.name, err_label(j->error),
		    "its rows stay in watch.mdb until the next start");
}

static void forget(struct notices *n, struct incident_notice *x)
{
	x->forgetting = true;
	x->job = (struct ledger_job){.what = LEDGER_DROP,
	    .source = WATCH_INCIDENT,
	    .done = on_forgotten,
	    .arg = x};
	memcpy(x->job.name, x->incident->key, sizeof x->job.name);
	n->context->away++;
	ledger_do(n->context->ledger, &x->job);
}

/* Withdrawn ones that are told, where nobody asks what they had announced any more. */
static void forget_all(struct notices *n)
{
	struct incident_notice *x;

	TAILQ_FOREACH(x, &n->queue, link) {
		const struct incident_notice *other;

		if (x->gain != NULL || !x->incident->withdrawn || !x->over ||
		    x->forgetting || x->gone)
			continue;
		other = in_force(n, x->incident->about.name);
		if ((other == NULL || other->over) && next_withdrawn(n, x) == NULL)
			forget(n, x);
	}
}

/* Scopes. */

static void scope_of(const struct incident_notice *x, const char *what, uint8_t scope[32])
{
	char text[256];
	uint8_t id[2 * INCIDENT_ID_N + 1];
	const struct watch_list *l = x->gain != NULL ? x->gain->list : NULL;
	char revision[2 * WATCH_REVISION_N + 1] = "";
	int n;

	hex_encode(x->incident->about.id, INCIDENT_ID_N, (char *)id);
	if (l != NULL)
		hex_encode(l->mark.revision, WATCH_REVISION_N, revision);
	n = snprintf(text, sizeof text, "incident %s %s %s %u %u %s %d", what,
	    (const char *)id, l != NULL ? l->name : "", l != NULL ? l->generation : 0,
	    l != NULL ? l->version : 0, revision, (int)x->others);
	if (EVP_Digest(text, (size_t)n, scope, NULL, EVP_sha256(), NULL) != 1)
		memset(scope, 0, 32); /* without memory: told again, perhaps */
}

static bool is_same_about(const struct incident *a, const struct incident *b)
{
	return a->about.deadline == b->about.deadline &&
	       strcmp(a->about.url, b->about.url) == 0;
}

static void want_gain(const struct incident_notice *x, struct telling_want *w)
{
	w->list = x->gain->list;
	w->others = x->others;
	w->rare = true;
	scope_of(x, "gain", w->scope);
}

/* But those that the one of before has announced in the same words. */
static void want_announced(
    const struct notices *n, const struct incident_notice *x, struct telling_want *w)
{
	const struct incident_notice *old = announced_before(n, x->incident->about.name);

	scope_of(x, "announced", w->scope);
	if (old == NULL || !is_same_about(old->incident, x->incident))
		return;
	w->but[0] = (struct incident_but){old->incident, old->upto};
}

static void want_withdrawn(
    const struct notices *n, struct incident_notice *x, struct telling_want *w)
{
	const struct incident_notice *other = in_force(n, x->incident->about.name);
	const struct incident_notice *next = next_withdrawn(n, x);

	if (!x->closed) {
		w->close = true;
		scope_of(x, "announced", w->scope);
		return;
	}
	w->withdrawn = true;
	w->upto = x->upto;
	scope_of(x, "withdrawn", w->scope);
	x->all_back = other == NULL;
	if (other != NULL)
		w->but[0] = (struct incident_but){other->incident, incident_place_end()};
	if (next != NULL)
		w->but[1] = (struct incident_but){next->incident, next->upto};
}

static void begin(struct notices *n, struct incident_notice *x)
{
	struct telling_want w = {.incident = x->incident,
	    .upto = incident_place_end(),
	    .waits = n->context->share != NULL && !x->mine,
	    .first = !x->looked,
	    .seen = x->seen};

	memcpy(w.id, x->incident->about.id, sizeof w.id);
	if (x->gain != NULL)
		want_gain(x, &w);
	else if (x->incident->withdrawn)
		want_withdrawn(n, x, &w);
	else
		want_announced(n, x, &w);
	n->now = x;
	telling_start(n->telling, &w);
}

/* Ends. */

static void end_gain(struct notices *n, struct incident_notice *x, enum err e)
{
	struct incident_gain *g = x->gain;

	notice_free(n, x);
	if (--g->left > 0)
		return;
	g->done(g->arg, e);
	free(g);
}

/* Others may be telling it: looked at again when they should have moved. */
static void put_off(struct notices *n, struct incident_notice *x)
{
	x->looked = true;
	x->seen = *telling_told(n->telling);
	x->from_ms = clock_mono_ms() + NOTICES_TAKEOVER_MS;
	TAILQ_REMOVE(&n->queue, x, link);
	TAILQ_INSERT_TAIL(&n->queue, x, link);
}

static void told(struct notices *n, struct incident_notice *x)
{
	uint64_t number = telling_number(n->telling);

	if (x->incident->withdrawn && !x->closed) {
		x->closed = true;
		x->upto = telling_place(n->telling);
		x->looked = false;
		return;
	}
	x->over = true;
	x->number = number > 0 && telling_is_whole(n->telling) ? number : x->first;
	if (number == 0) /* by others, or in an earlier life */
		return;
	log_each(LOG_INFO,
	    x->incident->withdrawn ? "incident_withdrawn" : "incident_told",
	    "incident=%s serials=%zu", x->incident->about.name, x->incident->serials);
}

static void on_announced(void *arg, enum err e)
{
	struct notices *n = arg;
	struct incident_notice *x = n->now;

	n->now = NULL;
	if (x->gain != NULL && e != ERR_CONFLICT)
		end_gain(n, x, e);
	else if (e == ERR_OK && !x->gone)
		told(n, x);
	else if (e == ERR_CONFLICT && !x->gone)
		put_off(n, x);
	else if (x->gone)
		notice_free(n, x);
	forget_all(n);
	go(n);
}

/* What is next. */

/* An incident waits until those that it replaces are closed, which say what they have
 * announced; these until it has announced the same, and take the rest back, each what the
 * next one does not: so nothing is
 * neither announced nor taken back, when it is replaced too before that.  A gain waits
 * until the incident is told: only then it is known what was matched, and so which of the
 * two tells it. */
static bool has_to_wait(const struct notices *n, const struct incident_notice *x)
{
	const char *name = x->incident->about.name;
	const struct incident_notice *of;

	if (x->gain == NULL && x->incident->withdrawn && !x->closed)
		return false;
	if (x->gain == NULL && is_one_open(n, name))
		return true;
	if (x->gain == NULL && !x->incident->withdrawn)
		return false;
	of = x->gain != NULL ? notice_of(n, x->incident) : in_force(n, name);
	return of != NULL && !of->gone && !of->over;
}

static bool is_ready(
    const struct notices *n, const struct incident_notice *x, int64_t now)
{
	return !x->over && !x->gone && x->from_ms <= now && !has_to_wait(n, x);
}

/* What it was a gain for has been withdrawn, or was matched with it. */
static bool is_moot(const struct notices *n, const struct incident_notice *x)
{
	const struct incident_notice *of;

	if (x->gain == NULL)
		return false;
	of = notice_of(n, x->incident);
	return of == NULL || of->gone || of->number >= x->gain->number;
}

static void go(struct notices *n)
{
	int64_t now = clock_mono_ms(), next = INT64_MAX;
	struct incident_notice *x;

	if (n->now != NULL || !n->started || n->context->stopping)
		return;
	TAILQ_FOREACH(x, &n->queue, link) {
		if (is_ready(n, x, now) && is_moot(n, x)) {
			end_gain(n, x, ERR_OK);
			go(n);
			return;
		}
		if (is_ready(n, x, now)) {
			begin(n, x);
			return;
		}
		if (!x->over && !x->gone && x->from_ms > now && x->from_ms < next)
			next = x->from_ms;
	}
	if (next < INT64_MAX && !timer_arm(n->timer, next - now))
		log_error("notices_late", "err=%s", err_label(ERR_NOMEM));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	go(arg);
}

/* News. */

static void drop_gone(struct notices *n, const struct incidents *s)
{
	struct incident_notice *x, *next;

	for (x = TAILQ_FIRST(&n->queue); x != NULL; x = next) {
		bool here = x->gain != NULL;

		next = TAILQ_NEXT(x, link);
		for (size_t i = 0; !here && i < s->n; i++)
			here = is_same(x->incident, s->item[i]);
		x->gone = !here;
		if (!here && x != n->now && !x->forgetting)
			notice_free(n, x);
	}
}

void notices_changed(struct notices *n)
{
	const struct inventory *v = ledger_inventory(n->context->shared);

	for (size_t i = 0; i < v->incidents->n; i++) {
		const struct incident *of = v->incidents->item[i];
		struct incident_notice *x = notice_of(n, of);

		if (x != NULL)
			continue;
		x = notice_add(n, of);
		if (x == NULL)
			log_error("notices_late", "incident=%s err=%s", of->about.name,
			    err_label(ERR_NOMEM));
		else if (n->begun) {
			x->first = v->number;
			x->from_ms += n->context->share != NULL ? GAINS_SETTLE_MS : 0;
		}
	}
	n->begun = true;
	drop_gone(n, v->incidents);
	go(n);
}

void notices_mine(struct notices *n, const char *name)
{
	struct incident_notice *x;

	TAILQ_FOREACH(x, &n->queue, link)
		if (is_of_name(x, name))
			x->mine = true;
}

/* Gains. */

/* It may have been matched with less than is watched by then. */
static bool is_before(const struct incident_notice *x, uint64_t number)
{
	return x->gain == NULL && !x->incident->withdrawn && !x->gone &&
	       (!x->over || x->number < number);
}

static bool gain_add(struct notices *n, struct incident_gain *g,
    const struct incident_notice *of, enum incident_others o)
{
	struct incident_notice *x = notice_add(n, of->incident);

	if (x == NULL)
		return false;
	x->gain = g;
	x->others = o;
	x->mine = true;
	g->left++;
	return true;
}

void notices_gain(struct notices *n, const struct watch_list *list, uint64_t number,
    void (*done)(void *arg, enum err e), void *arg)
{
	struct incident_gain *g = calloc(1, sizeof *g);
	const struct incident_notice *x;
	bool all = g != NULL;

	if (g == NULL) {
		done(arg, ERR_NOMEM);
		return;
	}
	*g = (struct incident_gain){
	    .list = list, .number = number, .left = 1, .done = done, .arg = arg};
	TAILQ_FOREACH(x, &n->queue, link)
		if (is_before(x, number))
			all = all && gain_add(n, g, x, OTHERS_NONE) &&
			      gain_add(n, g, x, OTHERS_SOME);
	if (--g->left == 0) {
		free(g);
		done(arg, all ? ERR_OK : ERR_NOMEM);
		return;
	}
	go(n);
}

size_t notices_waiting(const struct notices *n)
{
	return telling_waiting(n->telling);
}

struct telling *notices_telling(struct notices *n)
{
	return n->telling;
}

/* Life. */

struct notices *notices_new(struct watch_context *context)
{
	struct notices *n = calloc(1, sizeof *n);

	if (n == NULL)
		return NULL;
	n->context = context;
	TAILQ_INIT(&n->queue);
	n->telling = telling_new(context, on_announced, n);
	n->timer = evtimer_new(context->base, on_timer, n);
	if (n->telling != NULL && n->timer != NULL)
		return n;
	notices_stop(n);
	notices_free(n);
	return NULL;
}

void notices_start(struct notices *n)
{
	n->started = true;
	notices_changed(n);
}

void notices_cancel(struct notices *n)
{
	event_del(n->timer);
	telling_cancel(n->telling);
}

void notices_stop(struct notices *n)
{
	if (n != NULL)
		telling_stop(n->telling);
}

void notices_free(struct notices *n)
{
	struct incident_notice *x;

	if (n == NULL)
		return;
	while ((x = TAILQ_FIRST(&n->queue)) != NULL) {
		if (x->gain != NULL && --x->gain->left == 0)
			free(x->gain);
		notice_free(n, x);
	}
	telling_free(n->telling);
	if (n->timer != NULL)
		event_free(n->timer);
	free(n);
}
