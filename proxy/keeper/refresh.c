/* refresh.c - due times, retries, and comparisons with a shared store. */
#include "proxy/keeper/refresh.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "cache/base/backoff.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/keeper/answers.h"

#define DUE_SLICE        256    /* keys looked at in one turn: the loop is not held */
#define RETRY_MAX_MS     300000 /* a failed refresh is tried again within five minutes */
#define COMPARE_SLICE    256
#define COMPARE_PAUSE_MS 50 /* 5,000 comparisons a second after the store came back */

struct load { /* refreshes of one issuer, by its name: it may be gone when they end */
	struct load *next;
	unsigned n;
	char name[64];
};

struct refresh { /* under way */
	TAILQ_ENTRY(refresh) link;
	struct refreshes *all;
	struct load *load;
	struct key key;
	int64_t started_ms;
};

struct refreshes {
	const struct context *context;
	struct answers *answers;
	struct flights *flights;
	struct load *loads;
	TAILQ_HEAD(, refresh) under_way; /* oldest first */
	struct key *compare;             /* keys still to be compared */
	size_t compare_n;
	struct event compare_timer;
};

static const struct conf *conf_of(const struct refreshes *u)
{
	return shared_conf(u->context->shared);
}

static const struct issuer *issuer_of(const struct refreshes *u, const struct key *k)
{
	return issuers_find(conf_of(u)->issuers, k, NULL);
}

static struct load *load_of(struct refreshes *u, const struct issuer *i)
{
	struct load *l = u->loads;

	while (l != NULL && strcmp(l->name, i->name) != 0)
		l = l->next;
	if (l != NULL || (l = calloc(1, sizeof *l)) == NULL)
		return l;
	strncpy(l->name, i->name, sizeof l->name - 1);
	l->next = u->loads;
	u->loads = l;
	return l;
}

/* Refreshes. */

/* A refresh that fails while less than a third of the answer's life is left is an alarm:
 * the next attempt is at most 3/16 of that later, so it comes before the last quarter
 * (R143).  A signed unknown's life is our own unknown-ttl and none to worry about. */
static void tell_late(
    struct refreshes *u, const char *issuer, const struct answer *held, int64_t left_s)
{
	int64_t life = held->expiry - held->facts.this_update;

	if (left_s >= life / 3 || held->facts.status == STATUS_UNKNOWN)
		return;
	metrics_count(u->context->counters, M_REFRESHES_LATE);
	log_warn("refresh_late", "issuer=%s left_s=%lld effect=%s remedy=%s", issuer,
	    (long long)left_s, "after that its clients get tryLater",
	    "reach its responders: upstream_failed or answer_refused says why not");
}

/* A refresh that failed is tried again while its answer lives, sooner as the end comes
 * nearer. */
static void schedule_retry(struct refreshes *u, const char *issuer, const struct key *k,
    const struct answer *held)
{
	int64_t left = held->expiry * 1000 - clock_now_ms();
	int64_t wait = left / 8;

	if (wait > RETRY_MAX_MS)
		wait = RETRY_MAX_MS;
	if (wait < conf_of(u)->refresh_min_ms)
		wait = conf_of(u)->refresh_min_ms;
	wait = backoff_spread_ms(wait, schedule_random(u->context->schedule));
	tell_late(u, issuer, held, left / 1000);
	hot_mark_used(held);
	schedule_set(
	    u->context->schedule, k, clock_mono_ms() + (wait < left ? wait : left));
}

static void on_refreshed(void *arg, const struct answer *a, enum err e, enum tier tier)
{
	struct refresh *r = arg;
	struct refreshes *u = r->all;
	const struct answer *held = answers_in_date(u->answers, &r->key);

	(void)a, (void)tier;
	assert(r->load->n > 0);
	if (e != ERR_OK && e != ERR_CANCELLED && held != NULL)
		schedule_retry(u, r->load->name, &r->key, held);
	r->load->n--;
	TAILQ_REMOVE(&u->under_way, r, link);
	free(r);
}

static void refresh(struct refreshes *u, const struct issuer *i, const struct key *k)
{
	struct load *l = load_of(u, i);
	struct refresh *r = NULL;
	enum err e;

	/* half of the issuer's fetches are left to clients who wait */
	if (l == NULL || l->n > i->rules.max_in_flight / 2 ||
	    (r = malloc(sizeof *r)) == NULL) {
		schedule_set(u->context->schedule, k,
		    clock_mono_ms() + 500 + schedule_random(u->context->schedule) / 64);
		return;
	}
	*r = (struct refresh){
	    .all = u, .load = l, .key = *k, .started_ms = clock_mono_ms()};
	TAILQ_INSERT_TAIL(&u->under_way, r, link);
	l->n++;
	metrics_count(u->context->counters, M_REFRESHES);
	e = flights_go(u->flights, k, FLIGHT_REFRESH, on_refreshed, r);
	if (e != ERR_OK)
		on_refreshed(r, NULL, e, TIER_NONE);
}

static void look_again(struct refreshes *u, const struct answer *a, const struct key *k)
{
	int64_t left = a->expiry * 1000 - clock_now_ms();

	schedule_set(u->context->schedule, k,
	    clock_mono_ms() + (left / 4 > 1000  ? left / 4
				  : left > 1000 ? 1000
						: left));
}

static void due(struct refreshes *u, const struct key *k)
{
	const struct answer *a = hot_find(u->context->shared->hot, key_der(k));
	const struct issuer *i = issuer_of(u, k);
	uint8_t used;

	if (a == NULL || a->facts.status == STATUS_NONE)
		return;
	if (i == NULL || a->expiry <= clock_now()) {
		hot_remove(u->context->shared->hot, key_der(k));
		return;
	}
	used = atomic_load_explicit(&a->mark, memory_order_relaxed) & MARK_USED;
	if (used == 0 || a->facts.status == STATUS_UNKNOWN)
		look_again(u, a, k);
	else
		refresh(u, i, k);
}

void refreshes_due(struct refreshes *u)
{
	int64_t now = clock_mono_ms(), due_ms;
	struct key k;

	for (int i = 0; i < DUE_SLICE; i++) {
		if (!schedule_take(u->context->schedule, now, &k, &due_ms))
			return;
		due(u, &k);
	}
}

/* Comparing with a shared store. */

static void compare_later(struct refreshes *u)
{
	timer_arm(&u->compare_timer, COMPARE_PAUSE_MS);
}

static bool holds_certificate(
    const struct refreshes *u, const struct issuer *i, const struct key *k)
{
	struct serial s;

	key_serial(k, &s);
	for (size_t n = 0; n < issuer_keys_n(i); n++) {
		struct key other;

		issuer_key_at(i, n, &s, &other);
		if (hot_find(u->context->shared->hot, key_der(&other)) != NULL)
			return true;
	}
	return false;
}

void refreshes_compare(struct refreshes *u, const struct key *k)
{
	const struct issuer *i = issuer_of(u, k);

	if (i == NULL || flights_wake(u->flights, k))
		return;
	/* any hash algorithm: a revocation under one key concerns them all */
	if (holds_certificate(u, i, k))
		flights_go(u->flights, k, FLIGHT_COMPARE, NULL, NULL);
}

static bool compare_note(void *arg, const struct answer *a)
{
	struct refreshes *u = arg;

	if (a->facts.status != STATUS_NONE &&
	    key_from_der(&u->compare[u->compare_n], answer_key(a)) == ERR_OK)
		u->compare_n++;
	return false;
}

void refreshes_compare_all(struct refreshes *u)
{
	struct hot_stats st;

	hot_stats(u->context->shared->hot, &st);
	free(u->compare);
	u->compare_n = 0;
	u->compare = malloc((st.answers + 1) * sizeof *u->compare);
	if (u->compare == NULL)
		return; /* their refresh reads the store first anyway */
	hot_sweep(u->context->shared->hot, compare_note, u);
	compare_later(u);
}

static void on_compare_timer(evutil_socket_t fd, short what, void *arg)
{
	struct refreshes *u = arg;

	(void)fd, (void)what;
	for (int i = 0; i < COMPARE_SLICE && u->compare_n > 0; i++) {
		struct key k = u->compare[--u->compare_n];

		refreshes_compare(u, &k);
	}
	if (u->compare_n > 0) {
		compare_later(u);
		return;
	}
	free(u->compare);
	u->compare = NULL;
}

struct refreshes *refreshes_new(
    const struct context *context, struct answers *answers, struct flights *flights)
{
	struct refreshes *u = calloc(1, sizeof *u);

	if (u == NULL)
		return NULL;
	u->context = context;
	u->answers = answers;
	u->flights = flights;
	TAILQ_INIT(&u->under_way);
	evtimer_assign(&u->compare_timer, context->base, on_compare_timer, u);
	return u;
}

void refreshes_free(struct refreshes *u)
{
	if (u == NULL)
		return;
	event_del(&u->compare_timer);
	while (u->loads != NULL) {
		struct load *l = u->loads;

		u->loads = l->next;
		free(l);
	}
	free(u->compare);
	free(u);
}

int64_t refreshes_overdue_s(const struct refreshes *u)
{
	int64_t now = clock_mono_ms(), oldest = now;
	const struct refresh *r = TAILQ_FIRST(&u->under_way);

	if (schedule_next(u->context->schedule) < oldest)
		oldest = schedule_next(u->context->schedule);
	if (r != NULL && r->started_ms < oldest)
		oldest = r->started_ms;
	return (now - oldest) / 1000;
}
