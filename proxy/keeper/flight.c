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

#include "cache/crl/crl_set.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <xxhash.h>

#define BUCKETS       4096 /* chains stay short up to max-waiting's default of 10,000 */
#define LOOK_FIRST_MS 20   /* first look whether the other node has its answer */
#define LOOK_MAX_MS   250

enum flight_state {
	FLIGHT_LISTS, /* to be opened */
	FLIGHT_READING,
	FLIGHT_LEASING,
	FLIGHT_WAITING, /* for another node */
	FLIGHT_FETCHING,
	FLIGHT_OVER, /* its wants are to be told; nobody finds it any more */
	FLIGHT_CANCELLED
};

struct want { /* somebody on this thread who waits for the outcome */
	struct want *next;
	flight_done_fn *done;
	void *arg;
};

struct flight {
	LIST_ENTRY(flight) link;   /* of the bucket */
	STAILQ_ENTRY(flight) over; /* FLIGHT_OVER */
	struct flights *all;
	struct key key;
	enum flight_state state;
	enum flight_why why;
	struct ask *first, *last;
	struct want *wants;
	struct source_ask *source_ask;
	struct crl_wait lists; /* FLIGHT_LISTS */
	struct event timer;    /* FLIGHT_WAITING */
	int look_ms;
	bool has_held;
	bool leased;
	bool has_seen;    /* seen is what the store had when it was read last */
	bool seen_change; /* and it had changed before the lease was asked for */
	bool news;        /* another node has written since */
	struct store_seen seen;
	bool again;        /* the operator asked while a fetch was under way */
	bool force_put;    /* what the store had was refused */
	bool contradicted; /* what was fetched is not what the lists say */
	bool unjudged;     /* a list came meanwhile that is not opened */
	struct facts
	    held; /* the newest that was ever verified under this key, in date or not */
	const struct answer *got; /* set by the judge; then the outcome, with: */
	enum err error;
	enum tier tier;
};

LIST_HEAD(flight_bucket, flight);
STAILQ_HEAD(flight_queue, flight);

struct flights {
	const struct context *context;
	const struct door *door;
	struct answers *answers;
	struct source *source;
	struct store *store;
	struct crl_feed *crl_feed;
	struct flight_bucket bucket[BUCKETS];
	uint64_t seed;
	size_t n;
	bool cancelled;
	struct ask *newest, *oldest; /* of all flights */
	struct event timeout;        /* of the oldest ask */
	struct flight_queue over;
	struct event over_now; /* only ever made active: it comes in this turn */
};

static void begin(struct flight *f);
static void read_store(struct flight *f);
static void fetch(struct flight *f);
static void end(struct flight *f, const struct answer *a, enum err e, enum tier tier);
static void on_timeout(evutil_socket_t fd, short what, void *arg);
static void on_look_timer(evutil_socket_t fd, short what, void *arg);
static void on_over(evutil_socket_t fd, short what, void *arg);

/* Small helpers. */

static const struct conf *conf_of(const struct flights *fs)
{
	return shared_conf(fs->context->shared);
}

static const struct issuer *issuer_of(const struct flights *fs, const struct key *k)
{
	return issuers_find(conf_of(fs)->issuers, k, NULL);
}

static struct flight_bucket *bucket_of(struct flights *fs, const struct key *k)
{
	return &fs->bucket[XXH3_64bits_withSeed(k->der, k->der_n, fs->seed) % BUCKETS];
}

static struct flight *find(struct flights *fs, const struct key *k)
{
	struct flight *f;

	LIST_FOREACH(f, bucket_of(fs, k), link)
		if (key_equal(&f->key, k))
			break;
	return f;
}

/* Asks: in the list of their flight and in the list of all, oldest first. */

static void timeout_arm(struct flights *fs)
{
	if (fs->oldest == NULL) {
		evtimer_del(&fs->timeout);
		return;
	}
	if (!evtimer_pending(&fs->timeout, NULL))
		timer_arm(&fs->timeout, fs->oldest->asked_at_ms +
					    conf_of(fs)->answer_timeout_ms -
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
	timeout_arm(fs);
}

static void ask_add(struct flight *f, struct ask *a)
{
	struct flights *fs = f->all;

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

static void ask_remove(struct ask *a)
{
	struct flight *f = a->_flight;
	struct flights *fs = f->all;

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

static enum err timeout_error(const struct flight *f)
{
	return f->state == FLIGHT_LISTS ? ERR_RESP_LISTS : ERR_UP_TIMEOUT;
}

/* A flight that nobody waits for goes on for those who come later, but not while it has
 * not begun: lists that cannot be opened would gather flights for ever. */
static void leave(struct flight *f)
{
	if (f->state == FLIGHT_LISTS && f->first == NULL && f->wants == NULL &&
	    f->why <= FLIGHT_CLIENT) {
		crl_feed_wait_end(&f->lists);
		end(f, NULL, ERR_RESP_LISTS, TIER_NONE);
	}
}

/* A client has waited for answer-timeout: it gets what there is; the flight goes on. */
static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct flights *fs = arg;
	int64_t now = clock_mono_ms(), wait = conf_of(fs)->answer_timeout_ms;

	(void)fd, (void)what;
	while (fs->oldest != NULL && fs->oldest->asked_at_ms + wait <= now) {
		struct ask *a = fs->oldest;
		enum err e = timeout_error(a->_flight);

		struct flight *f = a->_flight;

		ask_remove(a);
		ask_reply(a, answers_in_date(fs->answers, &a->key), e, TIER_MEMORY);
		leave(f);
	}
	timeout_arm(fs);
}

static void note_held(struct flight *f, const struct facts *facts)
{
	if (f->has_held && !facts_newer(facts, &f->held))
		return;
	f->held = *facts;
	f->has_held = true;
}

/* The end of a flight. */

static void flight_free(struct flight *f)
{
	event_del(&f->timer);
	free(f);
}

static void unlink_flight(struct flight *f)
{
	assert(f->all->n > 0);
	LIST_REMOVE(f, link);
	f->all->n--;
}

static void answer_all(
    struct flight *f, const struct answer *a, enum err e, enum tier tier)
{
	struct ask *k;

	while ((k = f->first) != NULL) {
		ask_remove(k);
		ask_reply(k, a, e, tier);
	}
	timeout_arm(f->all);
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

/* What is held stays, unless the lists contradict it; where nothing is, the failure is
 * repeated for a while.  Returns how long (ms) other nodes shall not try again. */
static int64_t failed(struct flight *f, const struct issuer *i, enum err e)
{
	struct flights *fs = f->all;
	int64_t ttl = conf_of(fs)->error_ttl_ms, for_others = ttl;

	if (e == ERR_RESP_UNAUTHORIZED || is_ours_alone(e))
		for_others = 0;
	if (f->why == FLIGHT_COMPARE || e == ERR_CANCELLED || e == ERR_RESP_LISTS ||
	    answers_in_date(fs->answers, &f->key) != NULL)
		return for_others;
	if (f->contradicted)
		return answers_back_off(fs->answers, &f->key);
	if (e == ERR_RESP_UNAUTHORIZED && i != NULL)
		ttl = i->rules.unknown_ttl_s * 1000;
	answers_install_error(fs->answers, &f->key, e, ttl);
	return for_others;
}

static void end(struct flight *f, const struct answer *a, enum err e, enum tier tier)
{
	struct flights *fs = f->all;
	int64_t pause_ms = a == NULL ? failed(f, issuer_of(fs, &f->key), e) : 0;

	assert(f->state < FLIGHT_OVER);
	unlink_flight(f);
	if (f->leased)
		store_release(fs->store, &f->key, (int)pause_ms);
	if (a == NULL) {
		a = answers_in_date(fs->answers, &f->key);
		tier = TIER_MEMORY;
	} else if (f->first != NULL || f->why == FLIGHT_FORCE) {
		hot_mark_used(a);
	}
	answer_all(f, a, e, tier);
	f->state = FLIGHT_OVER;
	f->got = a;
	f->error = e;
	f->tier = tier;
	STAILQ_INSERT_TAIL(&fs->over, f, over);
	event_active(&fs->over_now, EV_TIMEOUT, 0);
}

/* Fetch. */

/* A flight may know of a newer answer than memory holds. */
static struct door_visit visit(const struct flight *f, const char *from)
{
	return (struct door_visit){
	    .key = &f->key, .newest = f->has_held ? &f->held : NULL, .from = from};
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
		begin(f);
	else
		end(f, e == ERR_OK ? f->got : NULL, e, TIER_UPSTREAM);
}

/* One responder may use upstream-timeout, so that a slow answer still serves those who
 * come later; several share a client's wait. */
static int fetch_wait_ms(const struct flight *f, const struct issuer *i)
{
	const struct conf *c = conf_of(f->all);
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

static void fetch(struct flight *f)
{
	struct flights *fs = f->all;
	const struct issuer *i = issuer_of(fs, &f->key);
	struct source_question q = {.issuer = i, .key = &f->key, .known = is_known(f)};
	enum err e;

	if (i == NULL) {
		end(f, NULL, ERR_REQ_ISSUER, TIER_NONE);
		return;
	}
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
		fetch(f); /* rather twice than never */
}

static void on_look_timer(evutil_socket_t fd, short what, void *arg)
{
	struct flight *f = arg;

	(void)fd, (void)what;
	assert(f->state == FLIGHT_WAITING);
	read_store(f);
}

/* A flight that will not end gives its lease back, or the other nodes would wait for a
 * fetch that never comes. */
static void lease_back(struct flight *f)
{
	if (f->leased)
		store_release(f->all->store, &f->key, 0);
	f->leased = false;
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
		read_store(f);
	else if (l == LEASE_TAKEN && f->why != FLIGHT_FORCE)
		wait_for_node(f);
	else if (l == LEASE_FAILED && f->why != FLIGHT_FORCE)
		end(f, NULL, ERR_UP_BACKOFF, TIER_NONE);
	else
		fetch(f);
}

/* Those who asked for what is cached only are not made to wait for a fetch. */
static void answer_only_if_cached(struct flight *f)
{
	for (struct ask *a = f->first, *next; a != NULL; a = next) {
		next = a->_next;
		if (!a->only_if_cached)
			continue;
		ask_remove(a);
		ask_reply(a, answers_in_date(f->all->answers, &a->key), ERR_NOT_FOUND,
		    TIER_MEMORY);
	}
}

/* The lease is for who still sees what it has read.  Only once in a row: a value that
 * can be compared and not be read would keep us here for ever. */
static void lease(struct flight *f)
{
	bool compare = f->has_seen && !f->seen_change && f->why != FLIGHT_FORCE;

	answer_only_if_cached(f);
	if (f->why == FLIGHT_COMPARE) {
		end(f, NULL, ERR_NOT_FOUND, TIER_NONE);
		return;
	}
	f->state = FLIGHT_LEASING;
	store_lease(f->all->store, &f->key, compare ? &f->seen : NULL,
	    (int)conf_of(f->all)->lease_time_ms, on_leased, f);
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
		note_held(f, &x.facts);
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
	if (e == ERR_OK)
		a = admit_stored(f, value, &newer);
	else if (e != ERR_NOT_FOUND)
		metrics_count(f->all->context->counters, M_STORE_ERRORS);
	if (f->unjudged) {
		begin(f);
		return;
	}
	/* a client takes any answer in date, a refresh one that is newer, the operator
	 * neither */
	if (a != NULL && (f->why <= FLIGHT_CLIENT || (f->why == FLIGHT_REFRESH && newer)))
		end(f, a, ERR_OK, TIER_STORE);
	else
		lease(f);
}

static void read_store(struct flight *f)
{
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
		read_store(f);
	else
		end(f, NULL, e, TIER_NONE);
}

static void begin(struct flight *f)
{
	const struct issuer *i = issuer_of(f->all, &f->key);
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
		read_store(f);
}

/* Start or join. */

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
	evtimer_assign(&f->timer, fs->context->base, on_look_timer, f);
	/* in date or not: what comes is compared with it */
	if (held != NULL && held->facts.status != STATUS_NONE && hot_is_allowed(held))
		note_held(f, &held->facts);
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
		fetch(f);
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
			unlink_flight(f);
			flight_free(f);
		}
		return ERR_NOMEM;
	}
	if (fresh)
		begin(f);
	else
		strengthen(f, why);
	return ERR_OK;
}

/* May a client's no-cache start a fetch?  At most once per key in revalidate-min (R130).
 */
static bool may_revalidate(const struct flights *fs, const struct answer *held)
{
	return clock_now() - held->obtained_at >= conf_of(fs)->revalidate_min_ms / 1000;
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
	if (issuer_of(fs, &a->key) == NULL) {
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
		ask_add(f, a);
		if (a->only_if_cached && f->state > FLIGHT_READING)
			answer_only_if_cached(f);
		else
			strengthen(f, why);
		return;
	}
	f = flight_new(fs, &a->key, why);
	if (f == NULL) {
		ask_reply(a, NULL, ERR_NOMEM, TIER_NONE);
		return;
	}
	ask_add(f, a);
	begin(f);
}

void flights_forget(struct flights *fs, const struct issuer *i, const struct serial *s)
{
	for (size_t b = 0; b < BUCKETS; b++) {
		struct flight *f;

		LIST_FOREACH(f, &fs->bucket[b], link) {
			struct serial mine;

			key_serial(&f->key, &mine);
			if (issuer_of(fs, &f->key) == i &&
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
		read_store(f);
	}
	return true;
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
	if (getrandom(&fs->seed, sizeof fs->seed, 0) != sizeof fs->seed)
		fs->seed =
		    (uint64_t)clock_mono_us(); /* no entropy yet: a weak seed, not none */
	evtimer_assign(&fs->timeout, fs->context->base, on_timeout, fs);
	evtimer_assign(&fs->over_now, fs->context->base, on_over, fs);
	STAILQ_INIT(&fs->over);
	return fs;
}

/* Its wants are told, and it flies again where it has to. */
static void over(struct flights *fs, struct flight *f)
{
	struct want *w = f->wants, *next;

	for (; w != NULL; w = next) {
		next = w->next;
		w->done(w->arg, f->got, f->error, f->tier);
		free(w);
	}
	if (f->news && f->error != ERR_CANCELLED) /* what it has read, or fetched, may not be the last word */
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

/* It stays: store and source may still call back. */
static void cancel(struct flights *fs, struct flight *f)
{
	struct want *w = f->wants, *next;

	event_del(&f->timer);
	crl_feed_wait_end(&f->lists);
	if (f->source_ask != NULL)
		fs->source->ops->cancel(fs->source, f->source_ask);
	f->source_ask = NULL;
	lease_back(f);
	f->wants = NULL;
	f->state = FLIGHT_CANCELLED;
	answer_all(f, NULL, ERR_CANCELLED, TIER_NONE);
	for (; w != NULL; w = next) {
		next = w->next;
		w->done(w->arg, NULL, ERR_CANCELLED, TIER_NONE);
		free(w);
	}
}

void flights_cancel(struct flights *fs)
{
	fs->cancelled = true;
	event_del(&fs->over_now);
	on_over(-1, 0, fs);
	for (size_t b = 0; b < BUCKETS; b++) {
		struct flight *f;

		LIST_FOREACH(f, &fs->bucket[b], link)
			cancel(fs, f);
	}
}

void flights_free(struct flights *fs)
{
	if (fs == NULL)
		return;
	assert(STAILQ_EMPTY(&fs->over));
	for (size_t b = 0; b < BUCKETS; b++) {
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
