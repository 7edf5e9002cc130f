/* flight.c - a flight's steps.
 *
 *	begin -> read_store -> [lease -> [wait -> read_store ...]] -> fetch -> end -> over
 *
 * It begins when the issuer's lists are opened, and again where a reload has brought a
 * list that is not: what the one door cannot judge (ERR_RESP_LISTS) is asked for anew.
 *
 * Each step may end the flight, which may be gone then: a step is always the last thing
 * that its caller does with the flight.  Who waits on this thread is told after the step,
 * from the loop, and whatever is to fly again does so then: nobody is called back by what
 * it has called.
 */
#include "proxy/keeper/flight.h"

#include <assert.h>
#include <event2/event.h>
#include <stddef.h>
#include <stdlib.h>

#include "cache/crl/crl_set.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/keeper/flight_core.h"

#define LOOK_FIRST_MS 20 /* first look whether the other node has its answer */
#define LOOK_MAX_MS   250

void flight_note_held(struct flight *f, const struct facts *facts)
{
	if (f->has_held && !facts_newer(facts, &f->held))
		return;
	f->held = *facts;
	f->has_held = true;
}

/* The end of a flight. */

void flight_free(struct flight *f)
{
	event_del(&f->timer);
	free(f);
}

void flight_unlink(struct flight *f)
{
	assert(f->all->n > 0);
	LIST_REMOVE(f, link);
	f->all->n--;
}

/* Is that how it went for this node only?  Its queue, its back-off, its memory and its
 * configuration keep no other node from asking. */
static bool is_ours_alone(enum err e)
{
	switch (e) {
	case ERR_UP_BUSY:
	case ERR_UP_BACKOFF:
	case ERR_UP_NONE:
	case ERR_NOMEM:
	case ERR_REQ_ISSUER:
	case ERR_CANCELLED:
		return true;
	default:
		return false;
	}
}

/* Nobody but polling has asked: what comes is for its table (polled.h). */
static bool is_aside(const struct flight *f)
{
	return f->first == NULL && (f->why == FLIGHT_HEAR || f->why == FLIGHT_POLL);
}

/* What is held stays, unless the lists contradict it; where nothing is, the failure is
 * repeated for a while.  Returns how long (ms) other nodes shall not try again. */
static int64_t failed(struct flight *f, const struct issuer *i, enum err e)
{
	struct flights *fs = f->all;
	int64_t ttl = flights_conf(fs)->error_ttl_ms, for_others = ttl;

	if (e == ERR_RESP_UNAUTHORIZED || is_ours_alone(e))
		for_others = 0;
	if (f->why == FLIGHT_COMPARE || is_aside(f) || e == ERR_CANCELLED ||
	    e == ERR_RESP_LISTS || answers_in_date(fs->answers, &f->key) != NULL)
		return for_others;
	if (f->contradicted)
		return answers_back_off(fs->answers, &f->key);
	if (e == ERR_RESP_UNAUTHORIZED && i != NULL)
		ttl = i->rules.unknown_ttl_s * 1000;
	answers_install_error(fs->answers, &f->key, e, ttl);
	return for_others;
}

/* A flight that will not end gives its lease back, or the other nodes would wait for a
 * fetch that never comes. */
static void lease_back(struct flight *f)
{
	if (f->leased)
		store_release(f->all->store, &f->key, 0);
	f->leased = false;
}

/* What is too old for a poll is not for a client who has joined it. */
static bool goes_on(struct flight *f, const struct answer *a, enum err e)
{
	if (a != NULL || f->why != FLIGHT_POLL || f->first == NULL || e == ERR_CANCELLED)
		return false;
	f->why = FLIGHT_CLIENT;
	lease_back(f);
	flight_begin(f);
	return true;
}

static void end(struct flight *f, const struct answer *a, enum err e, enum tier tier)
{
	struct flights *fs = f->all;
	int64_t pause_ms;

	assert(f->state < FLIGHT_OVER);
	if (goes_on(f, a, e))
		return;
	pause_ms = a == NULL ? failed(f, flights_issuer(fs, &f->key), e) : 0;
	flight_unlink(f);
	if (f->leased)
		store_release(fs->store, &f->key, (int)pause_ms);
	if (a == NULL) {
		a = answers_in_date(fs->answers, &f->key);
		tier = TIER_MEMORY;
	} else if (f->first != NULL || f->why == FLIGHT_FORCE) {
		hot_mark_used(a);
	}
	flight_answer_all(f, a, e, tier);
	f->state = FLIGHT_OVER;
	f->got = a;
	f->error = e;
	f->tier = tier;
	STAILQ_INSERT_TAIL(&fs->over, f, over);
	event_active(&fs->over_now, EV_TIMEOUT, 0);
}

void flight_leave(struct flight *f)
{
	if (f->state == FLIGHT_LISTS && f->first == NULL && f->wants == NULL &&
	    f->why <= FLIGHT_CLIENT) {
		crl_feed_wait_end(&f->lists);
		end(f, NULL, ERR_RESP_LISTS, TIER_NONE);
	}
}

/* Fetch. */

/* A flight may know of a newer answer than memory holds. */
static struct door_visit visit(const struct flight *f, const char *from)
{
	return (struct door_visit){.key = &f->key,
	    .newest = f->has_held ? &f->held : NULL,
	    .from = from,
	    .aside = is_aside(f)};
}

static enum err judge(void *arg, struct bytes der, const char *from)
{
	struct flight *f = arg;
	struct door_visit x = visit(f, from);
	enum err e = door_take(f->all->door, &x, der, f->force_put, &f->got);

	f->contradicted = f->contradicted || e == ERR_RESP_CRL;
	f->unjudged = f->unjudged || e == ERR_RESP_LISTS;
	return e;
}

static void on_fetched(void *arg, enum err e)
{
	struct flight *f = arg;

	assert(f->state == FLIGHT_FETCHING);
	f->source_ask = NULL;
	if (e != ERR_OK && f->unjudged)
		flight_begin(f);
	else
		end(f, e == ERR_OK ? f->got : NULL, e, TIER_UPSTREAM);
}

/* One responder may use upstream-timeout, so that a slow answer still serves those who
 * come later; several share a client's wait. */
static int fetch_wait_ms(const struct flight *f, const struct issuer *i)
{
	const struct conf *c = flights_conf(f->all);
	int64_t wait = c->answer_timeout_ms;

	if (f->why != FLIGHT_CLIENT)
		wait = c->upstream_timeout_ms * (int64_t)(i->ocsp_n > 0 ? i->ocsp_n : 1);
	else if (i->ocsp_n <= 1 && wait < c->upstream_timeout_ms)
		wait = c->upstream_timeout_ms;
	return (int)(wait < INT32_MAX ? wait : INT32_MAX);
}

/* Was its key answered before: as memory knows, or the store?  A signed unknown, which
 * any serial may get, is not enough. */
static bool is_known(const struct flight *f)
{
	return (f->has_held && f->held.status != STATUS_UNKNOWN) ||
	       answers_know(f->all->answers, &f->key);
}

void flight_fetch(struct flight *f)
{
	struct flights *fs = f->all;
	const struct issuer *i = flights_issuer(fs, &f->key);
	struct source_question q = {.issuer = i, .key = &f->key, .known = is_known(f)};
	enum err e;

	if (i == NULL) {
		end(f, NULL, ERR_REQ_ISSUER, TIER_NONE);
		return;
	}
	assert(f->state < FLIGHT_OVER && f->source_ask == NULL);
	f->state = FLIGHT_FETCHING;
	q.wait_ms = fetch_wait_ms(f, i);
	e = fs->source->ops->ask(fs->source, &q, judge, on_fetched, f, &f->source_ask);
	if (e != ERR_OK)
		end(f, NULL, e, TIER_UPSTREAM);
}

/* Lease: on a shared store one node fetches and the others look again. */

static void wait_for_node(struct flight *f)
{
	f->state = FLIGHT_WAITING;
	f->seen_change = false;
	f->look_ms = f->look_ms == 0 ? LOOK_FIRST_MS : f->look_ms * 2;
	if (f->look_ms > LOOK_MAX_MS)
		f->look_ms = LOOK_MAX_MS;
	if (!timer_arm(&f->timer, f->look_ms))
		flight_fetch(f); /* rather twice than never */
}

void flight_on_look(evutil_socket_t fd, short what, void *arg)
{
	struct flight *f = arg;

	(void)fd, (void)what;
	assert(f->state == FLIGHT_WAITING);
	flight_read_store(f);
}

static void on_leased(void *arg, enum lease l, int64_t retry_ms)
{
	struct flight *f = arg;

	(void)retry_ms;
	assert(f->state == FLIGHT_LEASING || f->state == FLIGHT_CANCELLED);
	f->leased = l == LEASE_YOURS;
	if (f->state == FLIGHT_CANCELLED) {
		lease_back(f);
		return;
	}
	f->seen_change = l == LEASE_CHANGED;
	if (l == LEASE_CHANGED)
		flight_read_store(f);
	else if (l == LEASE_TAKEN && f->why != FLIGHT_FORCE)
		wait_for_node(f);
	else if (l == LEASE_FAILED && f->why != FLIGHT_FORCE)
		end(f, NULL, ERR_UP_BACKOFF, TIER_NONE);
	else
		flight_fetch(f);
}

void flight_answer_cached(struct flight *f)
{
	for (struct ask *a = f->first, *next; a != NULL; a = next) {
		next = a->_next;
		if (!a->only_if_cached)
			continue;
		flight_ask_remove(a);
		ask_reply(a, answers_in_date(f->all->answers, &a->key), ERR_NOT_FOUND,
		    TIER_MEMORY);
	}
}

/* The lease is for who still sees what it has read.  Only once in a row: a value that
 * can be compared and not be read would keep us here for ever. */
static void lease(struct flight *f)
{
	bool compare = f->has_seen && !f->seen_change && f->why != FLIGHT_FORCE;

	flight_answer_cached(f);
	if (f->why <= FLIGHT_COMPARE) {
		end(f, NULL, ERR_NOT_FOUND, TIER_NONE);
		return;
	}
	f->state = FLIGHT_LEASING;
	store_lease(f->all->store, &f->key, compare ? &f->seen : NULL,
	    (int)flights_conf(f->all)->lease_time_ms, on_leased, f);
}

/* Store. */

static const struct answer *admit_stored(
    struct flight *f, struct bytes value, bool *newer)
{
	struct door_visit x = visit(f, NULL);
	const struct answer *a;

	switch (door_take_stored(f->all->door, &x, value, &a)) {
	case ERR_OK:
	case ERR_RESP_EXPIRED: /* a high-water mark all the same */
		*newer = x.newer;
		flight_note_held(f, &x.facts);
		break;
	case ERR_RESP_LISTS:
		f->unjudged = true;
		break;
	case ERR_RESP_OLDER:
	case ERR_REQ_ISSUER:
	case ERR_NOMEM:
		break;
	default:
		f->force_put = true;
		break;
	}
	return a;
}

/* Its CA has said so within half of watch-interval: whoever asked it then, another node
 * or this one before it was started anew, there is no need to ask so soon again. */
static bool is_young(const struct flight *f, const struct answer *a)
{
	int64_t age = clock_now() - facts_made_at(&a->facts);

	return age * 2000 < flights_conf(f->all)->watch_interval_ms;
}

/* Is a, which the store has, all that was asked for?  For a client any answer in date is,
 * for a refresh one that is newer, for the operator none. */
static bool will_do(const struct flight *f, const struct answer *a, bool newer)
{
	if (f->why == FLIGHT_POLL)
		return is_young(f, a);
	return f->why <= FLIGHT_CLIENT || (f->why == FLIGHT_REFRESH && newer);
}

/* Those who have joined a poll need not wait for what it fetches. */
static void answer_clients(struct flight *f, const struct answer *a)
{
	if (f->why != FLIGHT_POLL || f->first == NULL)
		return;
	hot_mark_used(a);
	flight_answer_all(f, a, ERR_OK, TIER_STORE);
}

/* A poll knows what it has heard last, and need not verify it each time. */
static bool is_heard(const struct flight *f, struct bytes value)
{
	return f->why == FLIGHT_POLL && f->first == NULL && f->has_held &&
	       value.n >= RECORD_NEXT_UPDATE_OFFSET && value.p[0] == RECORD_VERSION &&
	       get_be(value.p + RECORD_THIS_UPDATE_OFFSET, 8) ==
		   (uint64_t)f->held.this_update &&
	       get_be(value.p + RECORD_PRODUCED_AT_OFFSET, 8) ==
		   (uint64_t)f->held.produced_at;
}

static void on_stored(void *arg, enum err e, struct bytes value)
{
	struct flight *f = arg;
	const struct answer *a = NULL;
	bool newer = false;

	if (f->state == FLIGHT_CANCELLED)
		return;
	assert(f->state == FLIGHT_READING);
	f->has_seen = e == ERR_OK || e == ERR_NOT_FOUND;
	f->seen = store_seen_of(value);
	if (e == ERR_OK && !is_heard(f, value))
		a = admit_stored(f, value, &newer);
	else if (e != ERR_OK && e != ERR_NOT_FOUND)
		metrics_count(f->all->context->counters, M_STORE_ERRORS);
	if (f->unjudged) {
		flight_begin(f);
		return;
	}
	if (a != NULL && will_do(f, a, newer)) {
		end(f, a, ERR_OK, TIER_STORE);
		return;
	}
	if (a != NULL)
		answer_clients(f, a);
	lease(f);
}

void flight_read_store(struct flight *f)
{
	assert(f->state < FLIGHT_OVER);
	f->state = FLIGHT_READING;
	f->news = false;
	metrics_count(f->all->context->counters, M_STORE_GETS);
	store_get(f->all->store, &f->key, on_stored, f);
}

static void on_lists(struct crl_wait *w, enum err e)
{
	struct flight *f = (struct flight *)((char *)w - offsetof(struct flight, lists));

	assert(f->state == FLIGHT_LISTS);
	if (e == ERR_OK)
		flight_read_store(f);
	else
		end(f, NULL, e, TIER_NONE);
}

void flight_begin(struct flight *f)
{
	const struct issuer *i = flights_issuer(f->all, &f->key);
	struct crl_feed *feed = f->all->crl_feed;

	f->state = FLIGHT_LISTS;
	f->unjudged = false;
	f->lists.done = on_lists;
	/* a flood is bounded as it is before the responders (T13) */
	if (i != NULL && crl_feed_waiting(feed, i->name) >= i->rules.max_waiting) {
		end(f, NULL, ERR_UP_BUSY, TIER_NONE);
		return;
	}
	if (i == NULL || !crl_feed_wait(feed, i->name, &f->lists, -1))
		flight_read_store(f);
}

void flight_cancel(struct flight *f)
{
	event_del(&f->timer);
	crl_feed_wait_end(&f->lists);
	if (f->source_ask != NULL)
		f->all->source->ops->cancel(f->all->source, f->source_ask);
	f->source_ask = NULL;
	lease_back(f);
	f->state = FLIGHT_CANCELLED;
}
