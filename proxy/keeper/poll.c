/* poll.c - for each issuer when the next certificate is due, and what becomes of it. */
#include "proxy/keeper/poll.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "cache/base/backoff.h"
#include "cache/watch/watch_issuer.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/keeper/answers.h"
#include "proxy/keeper/poll_pace.h"
#include "proxy/source/upstream.h"

#define STEP_SLICE   256    /* certificates looked at in one turn: the loop is not held */
#define STEP_MS      20     /* those due within it are asked for together */
#define READ_SLICE   16     /* read from the store in one step: 800 a second */
#define LOOK_MS      100    /* until a bound that was reached is looked at again */
#define LOOK_MAX_MS  1000   /* the same of a back-off */
#define AGAIN_MAX    64     /* certificates of an issuer that wait to be tried again */
#define AGAIN_TRIES  3      /* of one, in a round */
#define AGAIN_MAX_MS 300000 /* as a failed refresh */
#define LOOKS        256    /* issuers in one tick, a second */

enum poll_how {
	POLL_ASK,  /* by a fetch */
	POLL_HEAR, /* another node has just done so */
	POLL_READ  /* nobody has; the store may know something */
};

/* A certificate, and how it is asked for. */
struct poll_ask {
	struct poller *poller;
	struct watched watched;
	struct serial serial;
	unsigned ca; /* of its issuer's */
	unsigned tries;
	enum poll_how how;
	int64_t due_ms;
};

struct poller { /* an issuer, by its name: it may be gone when flights end */
	struct poller *next;
	struct polls *all;
	char name[64];
	struct event timer;
	struct poll_place place;
	struct poll_pace pace;
	bool reads; /* as it begins: what the store has, of all */
	struct poll_place read;
	unsigned in_flight;
	struct poll_ask again[AGAIN_MAX]; /* oldest first */
	size_t again_n;
};

struct polls {
	const struct context *context;
	const struct evidence_sources *evidence;
	struct flights *flights;
	struct source *source;
	struct poller *pollers;
	size_t next; /* of the issuers: who is looked at first in the next tick */
	bool cancelled;
};

static const struct conf *conf_of(const struct polls *u)
{
	return shared_conf(u->context->shared);
}

static unsigned by_chance(const struct polls *u) /* 0..65535 */
{
	return schedule_random(u->context->schedule);
}

static const struct inventory *inventory_of(const struct polls *u)
{
	return atomic_load_explicit(&u->context->shared->inventory, memory_order_acquire);
}

static struct poller *poller_of(const struct polls *u, const char *issuer)
{
	struct poller *p = u->pollers;

	while (p != NULL && strcmp(p->name, issuer) != 0)
		p = p->next;
	return p;
}

/* Whom. */

static const struct crl_set *set_of(const struct polls *u, const struct issuer *i)
{
	return crl_feed_set(u->evidence->crl_feed, i->name);
}

/* Configured or learnt. */
static bool lists_tell(const struct crl_set *s, const struct issuer *i)
{
	enum crl_absence a = crl_set_absence(s, ABSENT_GOOD, clock_now(), NULL);

	return evidence_is_as_configured(s, i) &&
	       (a == CRL_ABSENT_GOOD || a == CRL_ABSENT_REASONS);
}

/* The one that it names, where others are not in force: those that nobody needs are not
 * asked for.  A hint may name a list that will never have it. */
static bool its_list_tells(const struct polls *u, const struct issuer *i,
    const struct inventory *v, const struct watched *w)
{
	const char *url = watch_points_url(v->points, watched_point(w));
	const struct crl_set *s = set_of(u, i);

	return url != NULL && watched_is_verified(w) && evidence_is_as_configured(s, i) &&
	       crl_set_absence_at(s, i, url, clock_now(), NULL) == CRL_ABSENT_GOOD;
}

static bool is_polled(const struct polls *u, const struct issuer *i)
{
	const struct crl_set *s;

	if (i == NULL || i->ocsp_n == 0)
		return false;
	s = set_of(u, i);
	return !s->unopened && !lists_tell(s, i);
}

static bool is_recent(const struct polls *u, int64_t at)
{
	int64_t age_ms = (clock_now() - at) * 1000;

	return age_ms >= 0 && 2 * age_ms < conf_of(u)->watch_interval_ms;
}

/* By this node's poll, by another node, or for a client. */
static bool was_asked(
    const struct polls *u, const struct issuer *i, const struct serial *s)
{
	struct polled_word word;

	if (polled_find(u->evidence->polled, i->name, s, &word) &&
	    is_recent(u, word.heard_at))
		return true;
	for (size_t n = 0; n < issuer_keys_n(i); n++) {
		const struct answer *a;
		struct key k;

		issuer_key_at(i, n, s, &k);
		a = hot_find(u->evidence->hot, key_der(&k));
		if (a != NULL && a->fetched && is_recent(u, a->obtained_at) &&
		    hot_serves(a, clock_now()))
			return true;
	}
	return false;
}

static bool is_revoked_for_good(
    const struct polls *u, const struct issuer *i, const struct serial *s)
{
	struct crl_finding found;

	return latches_find(u->evidence->latches, i, s) != NULL ||
	       (crl_set_find(set_of(u, i), s, &found) && !found.hold);
}

static bool is_over(const struct watched *w)
{
	int64_t end = watched_not_after(w);

	return end != WATCH_TIME_NONE && end <= clock_now();
}

/* When. */

static int64_t interval_us(const struct poller *p)
{
	return conf_of(p->all)->watch_interval_ms * 1000;
}

static void tell_behind(struct poller *p)
{
	if (!poll_pace_tells(&p->pace, interval_us(p), clock_mono_us()))
		return;
	log_warn("polls_behind",
	    "issuer=%s behind_s=%lld certificates=%zu effect=%s remedy=%s", p->name,
	    (long long)poll_pace_late_us(&p->pace, clock_mono_us()) / 1000000, p->pace.n,
	    "revocations that only OCSP tells of are seen later than watch-interval",
	    "where its responders are well (upstream_failed says), raise max-in-flight "
	    "or "
	    "fetch-rate of the issuer, or watch-interval");
}

/* May one more be asked for?  0, or for how many ms not. */
static int64_t has_to_wait(const struct poller *p, const struct issuer *i)
{
	unsigned most = i->rules.max_in_flight / 4;
	int64_t back_off = INT64_MAX;
	struct upstream_health h;
	struct upstream_load load;
	bool well = false;

	for (size_t n = 0; n < i->ocsp_n; n++) {
		upstream_health(p->all->source, i->ocsp[n], &h);
		well = well || h.healthy;
		if (h.retry_in_ms < back_off)
			back_off = h.retry_in_ms;
	}
	if (back_off > 0)
		return back_off < LOOK_MAX_MS ? back_off : LOOK_MAX_MS;
	upstream_load(p->all->source, i->name, &load);
	if (most == 0 || !well)
		most = 1; /* who finds out */
	return load.waiting > 0 || p->in_flight >= most ? LOOK_MS : 0;
}

/* Asking. */

static void wake(struct poller *p, int64_t ms)
{
	if (p->pace.n > 0 && !p->all->cancelled)
		timer_arm(&p->timer, ms);
}

/* Nobody has answered; what somebody has said of it waits for the next round. */
static bool is_worth_again(enum err e)
{
	return (e >= ERR_UP_TIMEOUT && e <= ERR_UP_BUSY) || e == ERR_NOMEM;
}

static void ask_again(struct poller *p, const struct poll_ask *a)
{
	int64_t wait = conf_of(p->all)->watch_interval_ms / 8;
	struct poll_ask *next = &p->again[p->again_n];

	if (p->again_n == AGAIN_MAX || a->tries >= AGAIN_TRIES)
		return;
	if (wait > AGAIN_MAX_MS)
		wait = AGAIN_MAX_MS;
	p->again_n++;
	*next = *a;
	next->due_ms = clock_mono_ms() + backoff_spread_ms(wait, by_chance(p->all));
}

static void on_polled(void *arg, const struct answer *a, enum err e, enum tier tier)
{
	struct poll_ask *ask = arg;
	struct poller *p = ask->poller;
	struct counters *counters = p->all->context->counters;
	bool ok = e == ERR_OK && a != NULL;

	(void)tier;
	p->all->cancelled = p->all->cancelled || e == ERR_CANCELLED;
	if (ok)
		polled_put(p->all->evidence->polled, p->name, &ask->serial, &a->facts,
		    a->expiry,
		    ask->how == POLL_READ ? facts_made_at(&a->facts) : clock_now());
	if (ask->how == POLL_ASK) {
		assert(p->in_flight > 0);
		p->in_flight--;
		metrics_count(counters, ok ? M_POLLS_ANSWERED : M_POLLS_FAILED);
		if (!ok && is_worth_again(e))
			ask_again(p, ask);
		if (poll_pace_late_us(&p->pace, clock_mono_us()) > 0)
			wake(p, STEP_MS);
	}
	free(ask);
}

static void ask(struct poller *p, const struct issuer *i, const struct poll_ask *what)
{
	struct poll_ask *a = malloc(sizeof *a);
	struct key k;
	enum err e;

	if (a == NULL)
		return; /* its next turn comes */
	*a = *what;
	a->tries++;
	p->in_flight += a->how == POLL_ASK;
	issuer_key(i, a->ca < i->ca_n ? a->ca : 0, CERTID_SHA1, &a->serial, &k);
	e = flights_go(p->all->flights, &k,
	    a->how == POLL_ASK ? FLIGHT_POLL : FLIGHT_HEAR, on_polled, a);
	if (e != ERR_OK)
		on_polled(a, NULL, e, TIER_NONE);
}

/* Is there a reason to ask for it now? */
static bool is_wanted(
    const struct poller *p, const struct issuer *i, const struct poll_ask *a)
{
	return !is_over(&a->watched) && !is_revoked_for_good(p->all, i, &a->serial) &&
	       !was_asked(p->all, i, &a->serial);
}

/* Those that are to be tried again come first: they are late. */
static void again(struct poller *p, const struct issuer *i)
{
	while (p->again_n > 0 && p->again[0].due_ms <= clock_mono_ms() &&
	       has_to_wait(p, i) == 0 && !p->all->cancelled) {
		struct poll_ask a = p->again[0];

		memmove(&p->again[0], &p->again[1], --p->again_n * sizeof p->again[0]);
		if (is_wanted(p, i, &a))
			ask(p, i, &a);
	}
}

/* The next of the walk; false: there is none. */
static bool take(struct poller *p, const struct issuer *i, struct poll_walk *w)
{
	struct poll_ask a = {.poller = p};
	bool wrapped = false;
	struct bytes aki;

	if (!poll_walk_next(w, &a.watched, &aki, &wrapped))
		return false;
	if (wrapped)
		poll_pace_round(&p->pace, clock_mono_us());
	poll_pace_next(&p->pace, interval_us(p), by_chance(p->all));
	watched_serial(&a.watched, &a.serial);
	a.ca = watch_issuer_ca(i, aki);
	if (is_wanted(p, i, &a) && !its_list_tells(p->all, i, w->v, &a.watched))
		ask(p, i, &a);
	return true;
}

/* What was asked for before a start is known from the store, without asking anybody. */
static void read_on(struct poller *p, const struct issuer *i)
{
	struct poll_walk w = {
	    .v = inventory_of(p->all), .issuer = p->name, .place = &p->read};
	struct polled_word word;

	for (int n = 0; n < READ_SLICE && p->reads; n++) {
		struct poll_ask a = {.poller = p, .how = POLL_READ};
		bool wrapped = false;
		struct bytes aki;

		p->reads = poll_walk_next(&w, &a.watched, &aki, &wrapped) && !wrapped;
		if (!p->reads)
			break;
		watched_serial(&a.watched, &a.serial);
		a.ca = watch_issuer_ca(i, aki);
		if (is_wanted(p, i, &a) &&
		    !polled_find(p->all->evidence->polled, p->name, &a.serial, &word))
			ask(p, i, &a);
	}
	poll_walk_end(&w);
}

/* In how many ms to look again. */
static int64_t walk(struct poller *p, const struct issuer *i)
{
	struct poll_walk w = {
	    .v = inventory_of(p->all), .issuer = p->name, .place = &p->place};
	int64_t wait = 0;

	for (int n = 0; n < STEP_SLICE && p->pace.due_us <= clock_mono_us(); n++) {
		wait = has_to_wait(p, i);
		if (wait == 0 && !take(p, i, &w))
			wait = LOOK_MAX_MS;
		if (wait > 0)
			break;
	}
	poll_walk_end(&w);
	if (wait > 0)
		return wait;
	wait = (p->pace.due_us - clock_mono_us() + 999) / 1000;
	return wait > STEP_MS ? wait : STEP_MS;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct poller *p = arg;
	const struct issuer *i = issuers_named(conf_of(p->all)->issuers, p->name);
	int64_t wait, most = p->reads ? STEP_MS : LOOK_MAX_MS;

	(void)fd, (void)what;
	if (p->pace.n == 0 || p->all->cancelled || !is_polled(p->all, i))
		return; /* the next tick sees */
	if (p->reads && atomic_load(&p->all->context->shared->store_settled))
		read_on(p, i);
	again(p, i);
	wait = walk(p, i);
	if (wait > most)
		wait = most;
	wake(p, wait);
	tell_behind(p);
}

/* Another node has asked. */

static struct poll_ask *ask_heard(
    struct polls *u, const struct issuer *i, const struct key *k)
{
	struct poll_ask a = {.how = POLL_HEAR}, *copy;
	struct polled_word word;

	key_serial(k, &a.serial);
	a.poller = i != NULL ? poller_of(u, i->name) : NULL;
	if (a.poller == NULL ||
	    !polled_find(u->evidence->polled, i->name, &a.serial, &word) ||
	    (copy = malloc(sizeof *copy)) == NULL)
		return NULL;
	*copy = a;
	return copy;
}

void polls_hear(struct polls *u, const struct key *k)
{
	struct poll_ask *a = ask_heard(u, issuers_find(conf_of(u)->issuers, k, NULL), k);

	if (a != NULL && flights_go(u->flights, k, FLIGHT_HEAR, on_polled, a) != ERR_OK)
		free(a);
}

/* Who is to be polled. */

static struct poller *poller_new(struct polls *u, const char *issuer)
{
	struct poller *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL; /* again at the next tick */
	assert(strlen(issuer) < sizeof p->name);
	strncpy(p->name, issuer, sizeof p->name - 1);
	p->all = u;
	p->next = u->pollers;
	evtimer_assign(&p->timer, u->context->base, on_timer, p);
	return u->pollers = p;
}

static void begin(struct poller *p)
{
	uint32_t chance = (uint32_t)by_chance(p->all) << 16 | by_chance(p->all);

	poll_place_by_chance(&p->place, inventory_of(p->all), p->name, chance);
	p->again_n = 0;
	p->reads = true;
	p->read = (struct poll_place){0};
	wake(p, STEP_MS);
}

/* So many are to be polled from now on. */
static void set_count(struct poller *p, const struct poll_count *n)
{
	int64_t now_us = clock_mono_us();

	if (poll_pace_set(&p->pace, n, interval_us(p), now_us, by_chance(p->all)))
		begin(p);
	else if (p->pace.n == 0)
		event_del(&p->timer);
	else if (!evtimer_pending(&p->timer, NULL) || p->pace.due_us <= now_us)
		wake(p, 0);
}

static void look_at(struct polls *u, const struct issuer *i)
{
	struct poll_count none = {0}, n = none;
	struct poller *p = poller_of(u, i->name);

	if (is_polled(u, i))
		n = poll_count(inventory_of(u), i->name);
	if (p == NULL && n.all > 0)
		p = poller_new(u, i->name);
	if (p != NULL)
		set_count(p, &n);
}

/* Of thousands of issuers each is looked at every some seconds: a look compares its name
 * with those of all CAs. */
void polls_tick(struct polls *u)
{
	const struct issuers *is = conf_of(u)->issuers;
	const struct poll_count none = {0};

	/* nothing is watched, as most often */
	if (u->pollers == NULL && (inventory_of(u) == NULL || inventory_of(u)->n == 0))
		return;
	for (size_t n = 0; n < issuers_count(is) && n < LOOKS; n++)
		look_at(u, issuers_at(is, u->next++ % issuers_count(is)));
	for (struct poller *p = u->pollers; p != NULL; p = p->next)
		if (issuers_named(is, p->name) == NULL)
			set_count(p, &none);
}

void polls_reload(struct polls *u, const struct issuers *old, const struct issuers *new)
{
	for (size_t n = 0; n < issuers_count(old); n++) {
		const struct issuer *was = issuers_at(old, n);

		if (door_issuer_changed(was, issuers_named(new, was->name)))
			polled_forget(u->evidence->polled, was->name, NULL);
	}
}

void polls_state(const struct polls *u, const char *issuer, struct poll_state *out)
{
	const struct poller *p = poller_of(u, issuer);

	*out = (struct poll_state){0};
	if (p == NULL)
		return;
	out->certificates = p->pace.n;
	out->behind_s = poll_pace_late_us(&p->pace, clock_mono_us()) / 1000000;
}

/* Its life. */

struct polls *polls_new(const struct context *context,
    const struct evidence_sources *evidence, struct flights *flights,
    struct source *source)
{
	struct polls *u = malloc(sizeof *u);

	if (u != NULL)
		*u = (struct polls){.context = context,
		    .evidence = evidence,
		    .flights = flights,
		    .source = source};
	return u;
}

void polls_free(struct polls *u)
{
	while (u != NULL && u->pollers != NULL) {
		struct poller *p = u->pollers;

		u->pollers = p->next;
		event_del(&p->timer);
		free(p);
	}
	free(u);
}
