/* flight.c - a flight's steps, and what follows from an admitted answer.
 *
 *	start -> read_store -> [lease -> [hold -> read_store ...]] -> fetch -> end
 *
 * Each step may call back before it returns and then the flight may be gone: a step is
 *always the last thing that its caller does with the flight.
 */
#include "proxy/flight.h"

#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/ocsp_http.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

#define BUCKETS          4096 /* chains stay short up to max-waiting's default of 10,000 */
#define DUE_SLICE        256 /* keys looked at in one turn, so that the loop is not held */
#define HOLD_FIRST_MS    20  /* first look whether the other node has its answer */
#define HOLD_MAX_MS      250
#define RETRY_MAX_MS     300000 /* a failed refresh is tried again within five minutes */
#define COMPARE_SLICE    256
#define COMPARE_PAUSE_MS 50 /* 5,000 comparisons a second after the store came back */

enum flight_state {
	FLIGHT_READING,
	FLIGHT_LEASING,
	FLIGHT_HOLDING,
	FLIGHT_FETCHING,
	FLIGHT_CANCELLED
};

struct want { /* somebody on this thread who waits for the outcome */
	struct want *next;
	flight_done_fn *done;
	void *arg;
};

struct flight {
	struct flight *next; /* of the bucket */
	struct flights *all;
	struct key key;
	enum flight_state state;
	enum flight_why why;
	struct ask *first, *last;
	struct want *wants;
	struct source_ask *source_ask;
	struct event timer; /* FLIGHT_HOLDING */
	int hold_ms;
	int64_t started_ms;
	bool has_held;
	bool leased;
	bool force_put;   /* what the store had was refused */
	bool scheduled;   /* counts among its issuer's refreshes: */
	size_t refreshes; /* index; the issuer may be gone when it ends */
	enum tier tier;
	struct facts
	    held; /* the newest that was ever verified under this key, in date or not */
	const struct answer *got; /* set by the judge, until end */
};

struct latch_job {
	struct latch_job *next;
	struct flights *all;
	struct latch latch;
	enum err e;
};

struct refreshes { /* refreshes under way, for each issuer */
	char name[64];
	unsigned n;
};

struct flights {
	struct flight_deps d;
	struct flight *bucket[BUCKETS];
	uint64_t seed, random;
	size_t n;
	bool cancelled;
	struct ask *newest, *oldest; /* of all flights */
	struct event timeout;        /* of the oldest ask */
	struct refreshes *refreshes;
	size_t refreshes_n;
	struct latch_job *failed_latches;
	struct key *compare; /* keys still to be compared */
	size_t compare_n;
	struct event compare_timer;
};

static void read_store(struct flight *f);
static void fetch(struct flight *f);
static void end(struct flight *f, const struct answer *a, enum err e, enum tier tier);
static void on_timeout(evutil_socket_t fd, short what, void *arg);
static void on_compare_timer(evutil_socket_t fd, short what, void *arg);
static void on_hold_timer(evutil_socket_t fd, short what, void *arg);

/* Small helpers. */

static const struct conf *conf_of(const struct flights *fs)
{
	return shared_conf(fs->d.shared);
}

static const struct issuer *issuer_of(const struct flights *fs, const struct key *k)
{
	return issuers_find(conf_of(fs)->issuers, k, NULL);
}

static unsigned random16(struct flights *fs)
{
	/* xorshift64*: spreads refreshes, keeps no secret */
	fs->random ^= fs->random >> 12;
	fs->random ^= fs->random << 25;
	fs->random ^= fs->random >> 27;
	return (unsigned)(fs->random * UINT64_C(2685821657736338717) >> 48);
}

static void timer_set(struct event *ev, int64_t ms)
{
	struct timeval tv;

	if (ms < 0)
		ms = 0;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	evtimer_add(ev, &tv);
}

static bool in_date(const struct answer *a)
{
	return a != NULL && a->expiry > clock_now();
}

/* What memory holds for k and may be served: not an error, in date. */
static const struct answer *held_in_date(const struct flights *fs, const struct key *k)
{
	const struct answer *a = hot_find(fs->d.shared->hot, key_der(k));

	return in_date(a) && a->facts.status != STATUS_NONE ? a : NULL;
}

static bool facts_newer(const struct facts *a, const struct facts *b)
{
	return a->this_update != b->this_update ? a->this_update > b->this_update
						: a->produced_at > b->produced_at;
}

static struct flight **slot_of(struct flights *fs, const struct key *k)
{
	uint64_t h = XXH3_64bits_withSeed(k->der, k->der_n, fs->seed);
	struct flight **f = &fs->bucket[h % BUCKETS];

	while (*f != NULL && !key_equal(&(*f)->key, k))
		f = &(*f)->next;
	return f;
}

/* Asks: in the list of their flight and in the list of all, oldest first. */

static void run_done(void *inbox_arg, struct msg *m)
{
	struct ask *a = (struct ask *)m; /* msg is its first member */

	a->done(inbox_arg, a);
}

void flights_reply(struct ask *a, const struct answer *answer, enum err e, enum tier tier)
{
	a->answer = answer;
	a->error = answer != NULL ? ERR_OK : e;
	a->tier =
	    answer != NULL && answer->facts.status != STATUS_NONE ? tier : TIER_NONE;
	a->msg.run = run_done;
	inbox_post(a->reply_to, &a->msg);
}

static void timeout_arm(struct flights *fs)
{
	if (fs->oldest == NULL) {
		evtimer_del(&fs->timeout);
		return;
	}
	if (!evtimer_pending(&fs->timeout, NULL))
		timer_set(&fs->timeout, fs->oldest->asked_at_ms +
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

/* A client has waited for answer-timeout: it gets what there is; the flight goes on. */
static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct flights *fs = arg;
	int64_t now = clock_mono_ms(), wait = conf_of(fs)->answer_timeout_ms;

	(void)fd, (void)what;
	while (fs->oldest != NULL && fs->oldest->asked_at_ms + wait <= now) {
		struct ask *a = fs->oldest;

		ask_remove(a);
		flights_reply(a, held_in_date(fs, &a->key), ERR_UP_TIMEOUT, TIER_MEMORY);
	}
	timeout_arm(fs);
}

/* Latches. */

static void latch_write(void *arg)
{
	struct latch_job *j = arg;

	j->e = latch_file_put(j->all->d.latch_file, &j->latch, 1);
}

static void latch_written(void *arg)
{
	struct latch_job *j = arg;

	if (j->e == ERR_OK) {
		free(j);
		return;
	}
	log_error("latch_not_durable", "err=%s", err_label(j->e));
	j->next = j->all->failed_latches;
	j->all->failed_latches = j;
}

void flights_tick(struct flights *fs)
{
	struct latch_job *j = fs->failed_latches, *next;

	fs->failed_latches = NULL;
	for (; j != NULL; j = next) {
		next = j->next;
		disk_run(fs->d.disk, latch_write, latch_written, j);
	}
}

static void latch_add(struct flights *fs, const struct latch *l)
{
	struct latch_job *j;
	bool added;

	if (latches_add(fs->d.latches, l, &added) != ERR_OK) {
		log_error("latch_not_kept", "err=%s", err_label(ERR_NOMEM));
		return;
	}
	if (!added)
		return;
	metrics_count(fs->d.counters, M_LATCHED);
	j = calloc(1, sizeof *j);
	if (j == NULL) {
		log_error("latch_not_durable", "err=%s", err_label(ERR_NOMEM));
		return;
	}
	j->all = fs;
	j->latch = *l;
	disk_run(fs->d.disk, latch_write, latch_written, j);
}

/* Take the answers of a revoked certificate out of service, all but those that say
 * revoked. */
static void withdraw(struct flights *fs, const struct issuer *i, const struct serial *s)
{
	for (unsigned ca = 0; ca < i->ca_n; ca++) {
		for (enum certid_hash h = 0; h < CERTID_HASH_COUNT; h++) {
			const struct answer *a;
			struct key k;

			issuer_key(i, ca, h, s, &k);
			a = hot_find(fs->d.shared->hot, key_der(&k));
			if (a == NULL || a->facts.status == STATUS_REVOKED)
				continue;
			hot_remove(fs->d.shared->hot, key_der(&k));
			schedule_cancel(fs->d.schedule, &k);
		}
	}
}

/* The store's too: no node shall find an old good under another hash algorithm. */
static void withdraw_stored(struct flights *fs, const struct issuer *i,
    const struct serial *s, const struct key *but)
{
	for (unsigned ca = 0; ca < i->ca_n; ca++) {
		for (enum certid_hash h = 0; h < CERTID_HASH_COUNT; h++) {
			const struct answer *a;
			struct key k;

			issuer_key(i, ca, h, s, &k);
			a = hot_find(fs->d.shared->hot, key_der(&k));
			if (!key_equal(&k, but) &&
			    (a == NULL || a->facts.status != STATUS_REVOKED))
				store_delete(fs->d.store, &k, NULL, NULL);
		}
	}
}

void flights_latch(struct flights *fs, const struct issuer *i, const struct key *k,
    const struct admit_verdict *v)
{
	struct latch l = {
	    .reason = v->reason, .revoked_at = v->revoked_at, .set_at = clock_now()};
	char serial[SERIAL_HEX_MAX];
	unsigned ca = 0;

	if (!v->revoked_proved)
		return;
	key_serial(k, &l.serial);
	issuers_find(conf_of(fs)->issuers, k, &ca);
	memcpy(l.ca_id, i->ca[ca].id, sizeof l.ca_id);
	if (latches_find(fs->d.latches, i, &l.serial) == NULL) {
		serial_to_hex(&l.serial, serial);
		log_info("revoked", "issuer=%s serial=%s reason=%s", i->name, serial,
		    reason_name(v->reason) != NULL ? reason_name(v->reason) : "none");
		withdraw_stored(fs, i, &l.serial, k);
	}
	latch_add(fs, &l);
	withdraw(fs, i, &l.serial);
}

/* From an admitted answer to one that is served. */

static void schedule_next_look(
    struct flights *fs, const struct answer *a, const struct key *k)
{
	const struct conf *c = conf_of(fs);
	int64_t now = clock_now_ms(), end_ms = a->expiry * 1000, at = end_ms;

	if (a->facts.status != STATUS_UNKNOWN)
		at = schedule_refresh_at(a->facts.this_update * 1000, end_ms, now,
		    (int)c->refresh_at, (int)c->refresh_jitter, c->refresh_min_ms,
		    c->refresh_max_ms, random16(fs));
	/* the schedule runs on the monotonic clock */
	if (schedule_set(fs->d.schedule, k, clock_mono_ms() + at - now) != ERR_OK)
		log_error("schedule_full", "err=%s", err_label(ERR_NOMEM));
}

static uint32_t jittered_cap(struct flights *fs)
{
	int64_t cap = conf_of(fs)->max_age_cap_ms / 1000;

	return (uint32_t)(cap - cap / 4 * (int64_t)random16(fs) / 65536);
}

/* Make the answer that is served from facts and DER that passed admit(), and put it into
 * the hot table.  NULL when out of memory.  Borrowed until a barrier has passed, also
 * where the table did not keep it. */
static const struct answer *install(struct flights *fs, const struct issuer *i,
    const struct key *k, const struct facts *facts, struct bytes der)
{
	char head[OCSP_HEAD_MAX];
	struct facts shown = *facts;
	int64_t now = clock_now(), expiry = facts_expiry(facts);
	struct answer *a;
	struct serial s;

	/* a signed unknown is repeated for unknown-ttl only: the certificate may be new
	 * (R151) */
	if (facts->status == STATUS_UNKNOWN && expiry > now + i->rules.unknown_ttl_s)
		shown.next_update = expiry = now + i->rules.unknown_ttl_s;
	a = answer_new(k, facts, bytes_of(head, ocsp_http_head(head, &shown, der)), der);
	if (a == NULL)
		return NULL;
	a->expiry = expiry;
	a->obtained_at = now;
	a->max_age_cap = jittered_cap(fs);
	if (facts->status == STATUS_REVOKED) {
		key_serial(k, &s);
		withdraw(fs, i, &s);
		if (facts->reason ==
		    REASON_CERTIFICATE_HOLD) /* the others: flights_latch() */
			withdraw_stored(fs, i, &s, k);
	}
	if (hot_put(fs->d.shared->hot, a) == ERR_OK)
		schedule_next_look(fs, a, k);
	else
		schedule_cancel(fs->d.schedule, k);
	return a;
}

/* An error that is repeated for a while, so that a failing CA is not asked for every
 * request. */
static void install_error(
    struct flights *fs, const struct key *k, enum err e, int64_t ttl_ms)
{
	struct facts none = {.status = STATUS_NONE};
	struct answer *a;

	/* whole seconds, as expiry is; under one second a repeat is not worth it */
	if (ttl_ms < 1000 ||
	    (a = answer_new(k, &none, bytes_of("", 0), bytes_of("", 0))) == NULL)
		return;
	a->error = (uint8_t)e;
	a->obtained_at = clock_now();
	a->expiry = a->obtained_at + ttl_ms / 1000;
	hot_put(fs->d.shared->hot, a);
}

static void mark_used(const struct answer *a)
{
	struct answer *w = (struct answer *)(uintptr_t)a;

	atomic_fetch_or_explicit(&w->mark, MARK_USED, memory_order_relaxed);
}

void flights_question(struct flights *fs, const struct issuer *i, const struct key *k,
    struct admit_question *q, struct facts *held)
{
	const struct conf *c = conf_of(fs);
	const struct answer *a = hot_find(fs->d.shared->hot, key_der(k));
	struct serial s;

	key_serial(k, &s);
	*q = (struct admit_question){
	    .issuer = i,
	    .key = k,
	    .now = clock_now(),
	    .skew_s = c->clock_skew_ms / 1000,
	    .max_size = (size_t)c->response_max_size,
	    .latched = latches_find(fs->d.latches, i, &s) != NULL,
	};
	if (a != NULL && a->facts.status != STATUS_NONE) {
		*held = a->facts;
		q->held = held;
	}
}

/* The question of a flight, which may know of a newer answer than memory holds. */
static void question(struct flight *f, const struct issuer *i, struct admit_question *q,
    struct facts *held)
{
	flights_question(f->all, i, &f->key, q, held);
	if (f->has_held && (q->held == NULL || facts_newer(&f->held, q->held)))
		q->held = &f->held;
}

static void note_held(struct flight *f, const struct facts *facts)
{
	if (f->has_held && !facts_newer(facts, &f->held))
		return;
	f->held = *facts;
	f->has_held = true;
}

static void log_refused(const struct issuer *i, enum err e, const char *from)
{
	if (e == ERR_RESP_LATCH)
		log_error("revoked_became_good", "issuer=%s from=%s", i->name, from);
	else
		log_warn("answer_refused", "issuer=%s err=%s from=%s", i->name,
		    err_label(e), from);
}

/* arg: the counters, which outlive flights and store. */
static void on_written(void *arg, enum err e)
{
	if (e == ERR_OK)
		return;
	metrics_count(arg, M_STORE_ERRORS);
	log_warn("store_write_failed", "err=%s", err_label(e));
}

void flights_admitted(struct flights *fs, const struct issuer *i, const struct key *k,
    const struct admit_verdict *v, struct bytes der)
{
	metrics_count(fs->d.counters, M_ADMITTED_UPSTREAM);
	flights_latch(fs, i, k, v);
	if (install(fs, i, k, &v->facts, der) != NULL &&
	    v->facts.status != STATUS_UNKNOWN)
		store_put(
		    fs->d.store, k, &v->facts, der, false, on_written, fs->d.counters);
}

/* The end of a flight. */

static struct refreshes *refreshes_of(struct flights *fs, const char *name)
{
	struct refreshes *r;

	for (size_t i = 0; i < fs->refreshes_n; i++) {
		if (strcmp(fs->refreshes[i].name, name) == 0)
			return &fs->refreshes[i];
	}
	r = realloc(fs->refreshes, (fs->refreshes_n + 1) * sizeof *r);
	if (r == NULL)
		return NULL;
	fs->refreshes = r;
	r = &fs->refreshes[fs->refreshes_n++];
	memset(r, 0, sizeof *r);
	strncpy(r->name, name, sizeof r->name - 1);
	return r;
}

static void refresh_ended(struct flight *f)
{
	if (f->scheduled)
		f->all->refreshes[f->refreshes].n--;
}

static void flight_free(struct flight *f)
{
	event_del(&f->timer);
	free(f);
}

static void unlink_flight(struct flight *f)
{
	struct flight **slot = slot_of(f->all, &f->key);

	assert(*slot == f);
	*slot = f->next;
	f->all->n--;
}

/* A refresh that fails while less than a third of the answer's life is left is an alarm:
 * the next attempt is at most 3/16 of that later, so it comes before the last quarter
 * (R143).  A signed unknown's life is our own unknown-ttl and none to worry about. */
static void tell_late(struct flights *fs, const struct answer *held, int64_t left_s)
{
	int64_t life = held->expiry - held->facts.this_update;

	if (left_s >= life / 3 || held->facts.status == STATUS_UNKNOWN)
		return;
	metrics_count(fs->d.counters, M_REFRESHES_LATE);
	log_warn("refresh_late", "left_s=%lld", (long long)left_s);
}

/* A refresh that failed is tried again while its answer lives, sooner as the end comes
 * nearer. */
static void schedule_retry(
    struct flights *fs, const struct key *k, const struct answer *held)
{
	int64_t left = held->expiry * 1000 - clock_now_ms();
	int64_t wait = left / 8;

	if (wait > RETRY_MAX_MS)
		wait = RETRY_MAX_MS;
	if (wait < conf_of(fs)->refresh_min_ms)
		wait = conf_of(fs)->refresh_min_ms;
	wait = wait / 2 + wait / 2 * (int64_t)random16(fs) / 32768;
	tell_late(fs, held, left / 1000);
	mark_used(held);
	schedule_set(fs->d.schedule, k, clock_mono_ms() + (wait < left ? wait : left));
}

static void answer_all(
    struct flight *f, const struct answer *a, enum err e, enum tier tier)
{
	struct ask *k;

	while ((k = f->first) != NULL) {
		ask_remove(k);
		flights_reply(k, a, e, tier);
	}
	timeout_arm(f->all);
}

static void failed(struct flight *f, const struct issuer *i, enum err e)
{
	struct flights *fs = f->all;
	const struct answer *held = held_in_date(fs, &f->key);
	int64_t ttl = conf_of(fs)->error_ttl_ms;

	if (f->why == FLIGHT_COMPARE || e == ERR_CANCELLED)
		return;
	if (e == ERR_RESP_UNAUTHORIZED && i != NULL)
		ttl = i->rules.unknown_ttl_s * 1000;
	if (held != NULL)
		schedule_retry(fs, &f->key, held);
	else
		install_error(fs, &f->key, e, ttl);
}

static void end(struct flight *f, const struct answer *a, enum err e, enum tier tier)
{
	struct flights *fs = f->all;
	const struct issuer *i = issuer_of(fs, &f->key);
	struct want *w = f->wants, *next;

	unlink_flight(f);
	refresh_ended(f);
	if (f->leased)
		store_release(fs->d.store, &f->key,
		    a != NULL || e == ERR_RESP_UNAUTHORIZED
			? 0
			: (int)conf_of(fs)->error_ttl_ms);
	if (a == NULL) {
		failed(f, i, e);
		a = held_in_date(fs, &f->key);
		tier = TIER_MEMORY;
	} else if (f->first != NULL || f->why == FLIGHT_FORCE) {
		mark_used(a);
	}
	answer_all(f, a, e, tier);
	for (; w != NULL; w = next) {
		next = w->next;
		w->done(w->arg, a, e, tier);
		free(w);
	}
	flight_free(f);
}

/* Fetch. */

static enum err judge(void *arg, struct bytes der, const char *from)
{
	struct flight *f = arg;
	struct flights *fs = f->all;
	const struct issuer *i = issuer_of(fs, &f->key);
	struct admit_question q;
	struct admit_verdict v;
	struct facts held;
	enum err e;

	if (i == NULL) /* a reload took the issuer away */
		return ERR_REQ_ISSUER;
	question(f, i, &q, &held);
	e = admit_der(fs->d.admit, &q, der, &v, NULL);
	flights_latch(fs, i, &f->key, &v);
	if (e == ERR_RESP_LATCH)
		metrics_count(fs->d.counters, M_CONTRADICTED);
	if (e != ERR_OK) {
		metrics_count(fs->d.counters, M_REFUSED_UPSTREAM);
		log_refused(i, e, from);
		return e;
	}
	metrics_count(fs->d.counters, M_ADMITTED_UPSTREAM);
	f->got = install(fs, i, &f->key, &v.facts, der);
	if (f->got == NULL)
		return ERR_NOMEM;
	if (v.facts.status != STATUS_UNKNOWN) {
		store_put(fs->d.store, &f->key, &v.facts, der, f->force_put, on_written,
		    fs->d.counters);
		metrics_count(fs->d.counters, M_STORE_PUTS);
	}
	return ERR_OK;
}

static void on_fetched(void *arg, enum err e)
{
	struct flight *f = arg;

	f->source_ask = NULL;
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

static void fetch(struct flight *f)
{
	struct flights *fs = f->all;
	const struct issuer *i = issuer_of(fs, &f->key);
	struct source_ask *a;

	if (i == NULL) {
		end(f, NULL, ERR_REQ_ISSUER, TIER_NONE);
		return;
	}
	f->state = FLIGHT_FETCHING;
	a = fs->d.source->ops->ask(fs->d.source, i, &f->key, bytes_of(NULL, 0),
	    fetch_wait_ms(f, i), judge, on_fetched, f);
	if (a != NULL) /* else on_fetched was called, and f is gone */
		f->source_ask = a;
}

/* Lease: on a shared store one node fetches and the others look again. */

static void hold(struct flight *f)
{
	f->state = FLIGHT_HOLDING;
	f->hold_ms = f->hold_ms == 0 ? HOLD_FIRST_MS : f->hold_ms * 2;
	if (f->hold_ms > HOLD_MAX_MS)
		f->hold_ms = HOLD_MAX_MS;
	timer_set(&f->timer, f->hold_ms);
}

static void on_hold_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	read_store(arg);
}

/* A flight that will not end gives its lease back, or the other nodes would wait for a
 * fetch that never comes. */
static void lease_back(struct flight *f)
{
	if (f->leased)
		store_release(f->all->d.store, &f->key, 0);
	f->leased = false;
}

static void on_leased(void *arg, enum lease l, int64_t retry_ms)
{
	struct flight *f = arg;

	(void)retry_ms;
	f->leased = l == LEASE_YOURS;
	if (f->state == FLIGHT_CANCELLED) {
		lease_back(f);
		return;
	}
	if (l == LEASE_TAKEN && f->why != FLIGHT_FORCE)
		hold(f);
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
		flights_reply(
		    a, held_in_date(f->all, &a->key), ERR_NOT_FOUND, TIER_MEMORY);
	}
}

static void lease(struct flight *f)
{
	answer_only_if_cached(f);
	if (f->why == FLIGHT_COMPARE) {
		end(f, NULL, ERR_NOT_FOUND, TIER_NONE);
		return;
	}
	f->state = FLIGHT_LEASING;
	store_lease(
	    f->all->d.store, &f->key, (int)conf_of(f->all)->lease_time_ms, on_leased, f);
}

/* Store. */

/* The store's value was refused: is it worth a word, and what does it tell us all the
 * same? */
static void refused_stored(
    struct flight *f, const struct issuer *i, enum err e, const struct admit_verdict *v)
{
	if (e ==
	    ERR_RESP_EXPIRED) { /* the ordinary end of a life: still a high-water mark */
		note_held(f, &v->facts);
		return;
	}
	if (e == ERR_RESP_OLDER)
		return;
	f->force_put = true;
	metrics_count(f->all->d.counters, M_REFUSED_STORE);
	log_refused(i, e, "store");
}

static const struct answer *admit_stored(
    struct flight *f, struct bytes value, bool *newer)
{
	struct flights *fs = f->all;
	const struct issuer *i = issuer_of(fs, &f->key);
	struct admit_question q;
	struct admit_verdict v;
	struct bytes der;
	struct facts held;
	enum err e;

	if (i == NULL)
		return NULL;
	question(f, i, &q, &held);
	e = admit_record(fs->d.admit, &q, value, fs->d.keys, &der, &v, NULL);
	flights_latch(fs, i, &f->key, &v);
	if (e != ERR_OK) {
		refused_stored(f, i, e, &v);
		return NULL;
	}
	metrics_count(fs->d.counters, M_ADMITTED_STORE);
	metrics_count(fs->d.counters, M_STORE_HITS);
	*newer = q.held == NULL || facts_newer(&v.facts, q.held);
	note_held(f, &v.facts);
	if (!*newer && held_in_date(fs, &f->key) != NULL)
		return held_in_date(fs, &f->key);
	return install(fs, i, &f->key, &v.facts, der);
}

static void on_stored(void *arg, enum err e, struct bytes value)
{
	struct flight *f = arg;
	const struct answer *a = NULL;
	bool newer = false;

	if (f->state == FLIGHT_CANCELLED)
		return;
	if (e == ERR_OK)
		a = admit_stored(f, value, &newer);
	else if (e != ERR_NOT_FOUND)
		metrics_count(f->all->d.counters, M_STORE_ERRORS);
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
	metrics_count(f->all->d.counters, M_STORE_GETS);
	store_get(f->all->d.store, &f->key, on_stored, f);
}

/* Start or join. */

static struct flight *flight_new(
    struct flights *fs, const struct key *k, enum flight_why why)
{
	const struct answer *held = hot_find(fs->d.shared->hot, key_der(k));
	struct flight *f = calloc(1, sizeof *f), **slot = slot_of(fs, k);

	if (f == NULL)
		return NULL;
	f->all = fs;
	f->key = *k;
	f->why = why;
	f->started_ms = clock_mono_ms();
	evtimer_assign(&f->timer, fs->d.base, on_hold_timer, f);
	if (held != NULL && held->facts.status != STATUS_NONE)
		note_held(f, &held->facts);
	f->next = *slot;
	*slot = f;
	fs->n++;
	metrics_count(fs->d.counters, M_FLIGHTS);
	return f;
}

/* A stronger reason to fly changes the flight that is under way. */
static void strengthen(struct flight *f, enum flight_why why)
{
	if (why <= f->why)
		return;
	f->why = why;
	if (why == FLIGHT_FORCE && f->state == FLIGHT_HOLDING) {
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

void flights_go(struct flights *fs, const struct key *k, enum flight_why why,
    flight_done_fn *done, void *arg)
{
	struct flight *f = *slot_of(fs, k);
	bool fresh = f == NULL;

	if (!fs->cancelled && fresh)
		f = flight_new(fs, k, why);
	if (fs->cancelled || f == NULL || !want_add(f, done, arg)) {
		if (fresh && f != NULL) {
			unlink_flight(f);
			flight_free(f);
		}
		if (done != NULL)
			done(arg, NULL, fs->cancelled ? ERR_CANCELLED : ERR_NOMEM,
			    TIER_NONE);
		return;
	}
	if (fresh)
		read_store(f);
	else
		strengthen(f, why);
}

/* May a client's no-cache start a fetch?  At most once per key in revalidate-min (R130).
 */
static bool may_revalidate(const struct flights *fs, const struct answer *held)
{
	return clock_now() - held->obtained_at >= conf_of(fs)->revalidate_min_ms / 1000;
}

void flights_ask(struct flights *fs, struct ask *a)
{
	const struct answer *held = hot_find(fs->d.shared->hot, key_der(&a->key));
	enum flight_why why = a->only_if_cached ? FLIGHT_COMPARE : FLIGHT_CLIENT;
	struct flight *f;

	if (fs->cancelled) {
		flights_reply(a, NULL, ERR_CANCELLED, TIER_NONE);
		return;
	}
	if (issuer_of(fs, &a->key) == NULL) {
		flights_reply(a, NULL, ERR_REQ_ISSUER, TIER_NONE);
		return;
	}
	if (in_date(held)) {
		if (!a->revalidate || held->facts.status == STATUS_NONE ||
		    !may_revalidate(fs, held)) {
			hot_visit(held);
			flights_reply(a, held, ERR_OK, TIER_MEMORY);
			return;
		}
		why = FLIGHT_REFRESH;
	}
	f = *slot_of(fs, &a->key);
	if (f != NULL) {
		metrics_count(fs->d.counters, M_FLIGHT_JOINED);
		ask_add(f, a);
		if (a->only_if_cached && f->state != FLIGHT_READING)
			answer_only_if_cached(f);
		else
			strengthen(f, why);
		return;
	}
	f = flight_new(fs, &a->key, why);
	if (f == NULL) {
		flights_reply(a, NULL, ERR_NOMEM, TIER_NONE);
		return;
	}
	ask_add(f, a);
	read_store(f);
}

/* The schedule. */

/* Half of the issuer's fetches are left to clients who wait. */
static bool may_refresh(const struct refreshes *r, const struct issuer *i)
{
	return r != NULL && r->n <= i->rules.max_in_flight / 2;
}

static void refresh(struct flights *fs, const struct issuer *i, const struct key *k)
{
	struct refreshes *r;
	struct flight *f;

	if (*slot_of(fs, k) != NULL) {
		strengthen(*slot_of(fs, k), FLIGHT_REFRESH);
		return;
	}
	r = refreshes_of(fs, i->name);
	if (!may_refresh(r, i)) {
		schedule_set(
		    fs->d.schedule, k, clock_mono_ms() + 500 + random16(fs) / 64);
		return;
	}
	f = flight_new(fs, k, FLIGHT_REFRESH);
	if (f == NULL)
		return;
	r->n++;
	f->scheduled = true;
	f->refreshes = (size_t)(r - fs->refreshes);
	metrics_count(fs->d.counters, M_REFRESHES);
	read_store(f);
}

static void look_again(struct flights *fs, const struct answer *a, const struct key *k)
{
	int64_t left = a->expiry * 1000 - clock_now_ms();

	schedule_set(fs->d.schedule, k,
	    clock_mono_ms() + (left / 4 > 1000  ? left / 4
				  : left > 1000 ? 1000
						: left));
}

static void due(struct flights *fs, const struct key *k)
{
	const struct answer *a = hot_find(fs->d.shared->hot, key_der(k));
	const struct issuer *i = issuer_of(fs, k);
	uint8_t used;

	if (a == NULL || a->facts.status == STATUS_NONE)
		return;
	if (i == NULL || !in_date(a)) {
		hot_remove(fs->d.shared->hot, key_der(k));
		return;
	}
	used = atomic_load_explicit(&a->mark, memory_order_relaxed) & MARK_USED;
	if (used == 0 || a->facts.status == STATUS_UNKNOWN)
		look_again(fs, a, k);
	else
		refresh(fs, i, k);
}

void flights_due(struct flights *fs)
{
	int64_t now = clock_mono_ms(), due_ms;
	struct key k;

	for (int i = 0; i < DUE_SLICE && !fs->cancelled; i++) {
		if (!schedule_take(fs->d.schedule, now, &k, &due_ms))
			return;
		due(fs, &k);
	}
}

/* Comparing with a shared store. */

static bool holds_certificate(
    const struct flights *fs, const struct issuer *i, const struct key *k)
{
	struct serial s;

	key_serial(k, &s);
	for (unsigned ca = 0; ca < i->ca_n; ca++) {
		for (enum certid_hash h = 0; h < CERTID_HASH_COUNT; h++) {
			struct key other;

			issuer_key(i, ca, h, &s, &other);
			if (hot_find(fs->d.shared->hot, key_der(&other)) != NULL)
				return true;
		}
	}
	return false;
}

void flights_compare(struct flights *fs, const struct key *k)
{
	struct flight *f = *slot_of(fs, k);
	const struct issuer *i = issuer_of(fs, k);

	if (i == NULL || fs->cancelled)
		return;
	if (f != NULL) {
		if (f->state == FLIGHT_HOLDING) {
			event_del(&f->timer);
			read_store(f);
		}
		return;
	}
	/* any hash algorithm: a revocation under one key concerns them all */
	if (holds_certificate(fs, i, k))
		flights_go(fs, k, FLIGHT_COMPARE, NULL, NULL);
}

static bool compare_note(void *arg, const struct answer *a)
{
	struct flights *fs = arg;

	if (a->facts.status != STATUS_NONE &&
	    key_from_der(&fs->compare[fs->compare_n], answer_key(a)) == ERR_OK)
		fs->compare_n++;
	return false;
}

void flights_compare_all(struct flights *fs)
{
	struct hot_stats st;

	hot_stats(fs->d.shared->hot, &st);
	free(fs->compare);
	fs->compare_n = 0;
	fs->compare = malloc((st.answers + 1) * sizeof *fs->compare);
	if (fs->compare == NULL)
		return; /* their refresh reads the store first anyway */
	hot_sweep(fs->d.shared->hot, compare_note, fs);
	timer_set(&fs->compare_timer, COMPARE_PAUSE_MS);
}

static void on_compare_timer(evutil_socket_t fd, short what, void *arg)
{
	struct flights *fs = arg;

	(void)fd, (void)what;
	for (int i = 0; i < COMPARE_SLICE && fs->compare_n > 0; i++) {
		struct key k = fs->compare[--fs->compare_n];

		flights_compare(fs, &k);
	}
	if (fs->compare_n > 0) {
		timer_set(&fs->compare_timer, COMPARE_PAUSE_MS);
		return;
	}
	free(fs->compare);
	fs->compare = NULL;
}

/* The set. */

struct flights *flights_new(const struct flight_deps *deps)
{
	struct flights *fs = calloc(1, sizeof *fs);

	if (fs == NULL)
		return NULL;
	fs->d = *deps;
	if (getrandom(&fs->seed, sizeof fs->seed, 0) != sizeof fs->seed)
		fs->seed =
		    (uint64_t)clock_mono_us(); /* no entropy yet: a weak seed, not none */
	fs->random = fs->seed | 1;
	evtimer_assign(&fs->timeout, deps->base, on_timeout, fs);
	evtimer_assign(&fs->compare_timer, deps->base, on_compare_timer, fs);
	return fs;
}

void flights_cancel(struct flights *fs)
{
	fs->cancelled = true;
	event_del(&fs->compare_timer);
	for (size_t b = 0; b < BUCKETS; b++) {
		for (struct flight *f = fs->bucket[b]; f != NULL; f = f->next) {
			struct want *w = f->wants, *next;

			event_del(&f->timer);
			if (f->source_ask != NULL)
				fs->d.source->ops->cancel(fs->d.source, f->source_ask);
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
	}
}

void flights_free(struct flights *fs)
{
	if (fs == NULL)
		return;
	for (size_t b = 0; b < BUCKETS; b++) {
		for (struct flight *f = fs->bucket[b], *next; f != NULL; f = next) {
			next = f->next;
			flight_free(f);
		}
	}
	for (struct latch_job *j = fs->failed_latches, *next; j != NULL; j = next) {
		next = j->next;
		free(j);
	}
	event_del(&fs->timeout);
	event_del(&fs->compare_timer);
	free(fs->refreshes);
	free(fs->compare);
	free(fs);
}

size_t flights_count(const struct flights *fs)
{
	return fs->n;
}

int64_t flights_overdue_s(const struct flights *fs)
{
	int64_t now = clock_mono_ms(), oldest = now;

	if (schedule_next(fs->d.schedule) < oldest)
		oldest = schedule_next(fs->d.schedule);
	for (size_t b = 0; b < BUCKETS; b++) {
		for (const struct flight *f = fs->bucket[b]; f != NULL; f = f->next) {
			if (f->why == FLIGHT_REFRESH && f->started_ms < oldest)
				oldest = f->started_ms;
		}
	}
	return (now - oldest) / 1000;
}
