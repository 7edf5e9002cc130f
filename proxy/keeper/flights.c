/* flights.c - the set of flights: who starts one or joins it, and who is told of its end.
 */
#include "cache/crl/crl_set.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <xxhash.h>

#include "proxy/base/clock.h"
#include "proxy/base/seed.h"
#include "proxy/keeper/flight_core.h"

static struct flight_bucket *bucket_of(struct flights *fs, const struct key *k)
{
	return &fs->bucket[XXH3_64bits_withSeed(k->der, k->der_n, fs->seed) %
			   FLIGHT_BUCKETS];
}

static struct flight *find(struct flights *fs, const struct key *k)
{
	struct flight *f;

	LIST_FOREACH(f, bucket_of(fs, k), link)
		if (key_equal(&f->key, k))
			break;
	return f;
}

/* Start or join. */

/* Polls of a certificate are all for one key, so that it is not one of another key's. */
static void note_polled(struct flight *f)
{
	const struct issuer *i = flights_issuer(f->all, &f->key);
	struct polled_word word;
	struct serial s;

	key_serial(&f->key, &s);
	if (i != NULL && polled_find(f->all->door->evidence->polled, i->name, &s, &word))
		flight_note_held(f, &word.facts);
}

static struct flight *flight_new(
    struct flights *fs, const struct key *k, enum flight_why why)
{
	const struct answer *held = hot_find(fs->context->shared->hot, key_der(k));
	struct flight *f = calloc(1, sizeof *f);

	if (f == NULL)
		return NULL;
	f->all = fs;
	f->key = *k;
	f->why = why;
	evtimer_assign(&f->timer, fs->context->base, flight_on_look, f);
	/* in date or not: what comes is compared with it */
	if (held != NULL && held->facts.status != STATUS_NONE && hot_is_allowed(held))
		flight_note_held(f, &held->facts);
	if (why == FLIGHT_POLL)
		note_polled(f);
	LIST_INSERT_HEAD(bucket_of(fs, k), f, link);
	fs->n++;
	metrics_count(fs->context->counters, M_FLIGHTS);
	return f;
}

/* A stronger reason to fly changes the flight that is under way. */
static void strengthen(struct flight *f, enum flight_why why)
{
	f->again = f->again || (why == FLIGHT_FORCE && f->state == FLIGHT_FETCHING);
	if (why <= f->why)
		return;
	f->why = why;
	if (why == FLIGHT_FORCE && f->state == FLIGHT_WAITING) {
		event_del(&f->timer);
		flight_fetch(f);
	}
}

static bool want_add(struct flight *f, flight_done_fn *done, void *arg)
{
	struct want *w;

	if (done == NULL)
		return true;
	w = malloc(sizeof *w);
	if (w == NULL)
		return false;
	*w = (struct want){f->wants, done, arg};
	f->wants = w;
	return true;
}

enum err flights_go(struct flights *fs, const struct key *k, enum flight_why why,
    flight_done_fn *done, void *arg)
{
	struct flight *f = find(fs, k);
	bool fresh = f == NULL;

	if (fs->cancelled)
		return ERR_CANCELLED;
	if (fresh)
		f = flight_new(fs, k, why);
	if (f == NULL)
		return ERR_NOMEM;
	if (!want_add(f, done, arg)) {
		if (fresh) {
			flight_unlink(f);
			flight_free(f);
		}
		return ERR_NOMEM;
	}
	if (fresh)
		flight_begin(f);
	else
		strengthen(f, why);
	return ERR_OK;
}

/* May a client's no-cache start a fetch?  At most once per key in revalidate-min (R130).
 */
static bool may_revalidate(const struct flights *fs, const struct answer *held)
{
	return clock_now() - held->obtained_at >=
	       flights_conf(fs)->revalidate_min_ms / 1000;
}

void flights_ask(struct flights *fs, struct ask *a)
{
	const struct answer *held = hot_find(fs->context->shared->hot, key_der(&a->key));
	enum flight_why why = a->only_if_cached ? FLIGHT_COMPARE : FLIGHT_CLIENT;
	struct flight *f;

	if (fs->cancelled) {
		ask_reply(a, NULL, ERR_CANCELLED, TIER_NONE);
		return;
	}
	if (flights_issuer(fs, &a->key) == NULL) {
		ask_reply(a, NULL, ERR_REQ_ISSUER, TIER_NONE);
		return;
	}
	if (held != NULL && hot_serves(held, clock_now())) {
		if (!a->revalidate || held->facts.status == STATUS_NONE ||
		    !may_revalidate(fs, held)) {
			hot_visit(held);
			ask_reply(a, held, ERR_OK, TIER_MEMORY);
			return;
		}
		why = FLIGHT_REFRESH;
	}
	f = find(fs, &a->key);
	if (f != NULL) {
		metrics_count(fs->context->counters, M_FLIGHT_JOINED);
		flight_ask_add(f, a);
		if (a->only_if_cached && f->state > FLIGHT_READING)
			flight_answer_cached(f);
		else
			strengthen(f, why);
		return;
	}
	f = flight_new(fs, &a->key, why);
	if (f == NULL) {
		ask_reply(a, NULL, ERR_NOMEM, TIER_NONE);
		return;
	}
	flight_ask_add(f, a);
	flight_begin(f);
}

void flights_forget(struct flights *fs, const struct issuer *i, const struct serial *s)
{
	for (size_t b = 0; b < FLIGHT_BUCKETS; b++) {
		struct flight *f;

		LIST_FOREACH(f, &fs->bucket[b], link) {
			struct serial mine;

			key_serial(&f->key, &mine);
			if (flights_issuer(fs, &f->key) == i &&
			    (s == NULL || serial_equal(&mine, s)))
				f->has_held = false;
		}
	}
}

bool flights_wake(struct flights *fs, const struct key *k)
{
	struct flight *f = find(fs, k);

	if (f == NULL)
		return false;
	f->news = true;
	if (f->state == FLIGHT_WAITING) {
		event_del(&f->timer);
		flight_read_store(f);
	}
	return true;
}

/* Clients wait no longer than they may. */

static enum err timeout_error(const struct flight *f)
{
	return f->state == FLIGHT_LISTS ? ERR_RESP_LISTS : ERR_UP_TIMEOUT;
}

/* Who has waited for answer-timeout gets what there is; the flight goes on. */
static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct flights *fs = arg;
	int64_t now = clock_mono_ms(), wait = flights_conf(fs)->answer_timeout_ms;

	(void)fd, (void)what;
	while (fs->oldest != NULL && fs->oldest->asked_at_ms + wait <= now) {
		struct ask *a = fs->oldest;
		struct flight *f = a->_flight;
		enum err e = timeout_error(f);

		flight_ask_remove(a);
		ask_reply(a, answers_in_date(fs->answers, &a->key), e, TIER_MEMORY);
		flight_leave(f);
	}
	flight_timeout_arm(fs);
}

/* A flight is over. */

static void tell_wants(
    struct flight *f, const struct answer *a, enum err e, enum tier tier)
{
	struct want *w = f->wants, *next;

	f->wants = NULL;
	for (; w != NULL; w = next) {
		next = w->next;
		w->done(w->arg, a, e, tier);
		free(w);
	}
}

/* Its wants are told, and it flies again where it has to. */
static void over(struct flights *fs, struct flight *f)
{
	tell_wants(f, f->got, f->error, f->tier);
	/* what it has read, or fetched, may not be the last word */
	if (f->news && f->error != ERR_CANCELLED)
		flights_go(fs, &f->key, FLIGHT_COMPARE, NULL, NULL);
	if (f->again && f->error != ERR_CANCELLED)
		flights_go(fs, &f->key, FLIGHT_FORCE, NULL, NULL);
	flight_free(f);
}

static void on_over(evutil_socket_t fd, short what, void *arg)
{
	struct flights *fs = arg;
	struct flight *f;

	(void)fd, (void)what;
	while ((f = STAILQ_FIRST(&fs->over)) != NULL) {
		assert(f->state == FLIGHT_OVER);
		STAILQ_REMOVE_HEAD(&fs->over, over);
		over(fs, f);
	}
}

/* The set. */

struct flights *flights_new(const struct door *door, struct source *source,
    struct store *store, struct crl_feed *crl_feed)
{
	struct flights *fs = calloc(1, sizeof *fs);

	if (fs == NULL)
		return NULL;
	fs->context = door->context;
	fs->door = door;
	fs->answers = door->answers;
	fs->source = source;
	fs->store = store;
	fs->crl_feed = crl_feed;
	fs->seed = seed_new();
	evtimer_assign(&fs->timeout, fs->context->base, on_timeout, fs);
	evtimer_assign(&fs->over_now, fs->context->base, on_over, fs);
	STAILQ_INIT(&fs->over);
	return fs;
}

void flights_cancel(struct flights *fs)
{
	fs->cancelled = true;
	event_del(&fs->over_now);
	on_over(-1, 0, fs);
	for (size_t b = 0; b < FLIGHT_BUCKETS; b++) {
		struct flight *f;

		LIST_FOREACH(f, &fs->bucket[b], link) {
			flight_cancel(f);
			flight_answer_all(f, NULL, ERR_CANCELLED, TIER_NONE);
			tell_wants(f, NULL, ERR_CANCELLED, TIER_NONE);
		}
	}
}

void flights_free(struct flights *fs)
{
	if (fs == NULL)
		return;
	assert(STAILQ_EMPTY(&fs->over));
	for (size_t b = 0; b < FLIGHT_BUCKETS; b++) {
		struct flight *f;

		while ((f = LIST_FIRST(&fs->bucket[b])) != NULL) {
			LIST_REMOVE(f, link);
			flight_free(f);
		}
	}
	event_del(&fs->timeout);
	free(fs);
}

size_t flights_count(const struct flights *fs)
{
	return fs->n;
}
