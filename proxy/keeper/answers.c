/* answers.c - from an admitted answer to one that is served. */
#include "proxy/keeper/answers.h"

#include <assert.h>
#include <stdlib.h>

#include "cache/base/backoff.h"
#include "proxy/base/alarms.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/http/ocsp_http.h"

#define BACKOFF_MIN_MS 1000 /* error answers live whole seconds */

struct answers {
	const struct context *context;
	const struct evidence_sources *evidence;
	struct revoker *revoker;
	struct store *store;
};

static const struct conf *conf_of(const struct answers *all)
{
	return shared_conf(all->context->shared);
}

const struct answer *answers_in_date(const struct answers *all, const struct key *k)
{
	const struct answer *a = hot_find(all->context->shared->hot, key_der(k));

	if (a == NULL || a->facts.status == STATUS_NONE || !hot_serves(a, clock_now()))
		return NULL;
	return a;
}

bool answers_know(const struct answers *all, const struct key *k)
{
	const struct answer *a = hot_find(all->context->shared->hot, key_der(k));

	return a != NULL && (a->facts.status == STATUS_GOOD ||
				a->facts.status == STATUS_REVOKED || a->was_known);
}

static void schedule_next_look(
    struct answers *all, const struct answer *a, const struct key *k)
{
	const struct conf *c = conf_of(all);
	int64_t now = clock_now_ms(), end_ms = a->expiry * 1000, at = end_ms;

	if (a->facts.status != STATUS_UNKNOWN)
		at = schedule_refresh_at(a->facts.this_update * 1000, end_ms, now,
		    (int)c->refresh_at, (int)c->refresh_jitter, c->refresh_min_ms,
		    c->refresh_max_ms, schedule_random(all->context->schedule));
	/* the schedule runs on the monotonic clock */
	if (schedule_set(all->context->schedule, k, clock_mono_ms() + at - now) != ERR_OK)
		log_error("schedule_full", "err=%s", err_label(ERR_NOMEM));
}

static uint32_t jittered_cap(struct answers *all)
{
	int64_t cap = conf_of(all)->max_age_cap_ms / 1000;

	return (uint32_t)(cap - cap / 4 *
				    (int64_t)schedule_random(all->context->schedule) /
				    65536);
}

/* The lists that a has just been judged by; hits look again when others are in force.
 * False when out of memory: nobody could look. */
static bool set_lists(struct answers *all, const struct issuer *i, struct answer *a,
    const struct crl_set **set)
{
	a->crl = crl_feed_slot(all->evidence->crl_feed, i->name);
	if (a->crl == NULL)
		return false;
	*set = atomic_load_explicit(&a->crl->set, memory_order_acquire);
	atomic_store_explicit(&a->crl_checked, (*set)->generation, memory_order_relaxed);
	return true;
}

/* Has a's thisUpdate been that of other bytes, as far as is held? */
static bool shares_date(const struct answers *all, const struct answer *a)
{
	const struct answer *old = hot_find(all->context->shared->hot, answer_key(a));

	if (old == NULL || old->error != ERR_OK ||
	    old->facts.this_update < a->facts.this_update)
		return false;
	return old->date_shared || !bytes_equal(answer_body(old), answer_body(a));
}

static void hold(struct answers *all, const struct key *k, struct answer *a, bool aside)
{
	struct hot *hot = all->context->shared->hot;

	if (aside && hot_find(hot, key_der(k)) == NULL)
		hot_discard(hot, a);
	else if (hot_put(hot, a) == ERR_OK)
		schedule_next_look(all, a, k);
	else
		schedule_cancel(all->context->schedule, k);
}

static const struct answer *install(struct answers *all, const struct issuer *i,
    const struct key *k, const struct facts *facts, struct bytes der, bool aside,
    bool fetched)
{
	char head[OCSP_HEAD_MAX];
	struct facts shown = *facts;
	int64_t now = clock_now(), expiry = facts_expiry(facts);
	const struct crl_set *set;
	struct answer *a;
	struct serial s;

	assert(facts->status != STATUS_NONE && der.n > 0);
	/* a signed unknown is repeated for unknown-ttl only: the certificate may be new
	 * (R151) */
	if (facts->status == STATUS_UNKNOWN && expiry > now + i->rules.unknown_ttl_s)
		shown.next_update = expiry = now + i->rules.unknown_ttl_s;
	a = answer_new(k, facts, bytes_of(head, ocsp_http_head(head, &shown, der)), der);
	if (a == NULL || !set_lists(all, i, a, &set)) {
		answer_free(a);
		return NULL;
	}
	a->expiry = expiry;
	a->obtained_at = now;
	a->max_age_cap = jittered_cap(all);
	a->date_shared = shares_date(all, a);
	a->fetched = fetched;
	key_serial(k, &s);
	memos_admitted(all->evidence->memos, i, &s, facts, set);
	if (facts->status == STATUS_REVOKED)
		revoke_withdraw(all->revoker, i, k, facts);
	hold(all, k, a, aside);
	return a;
}

const struct answer *answers_install(struct answers *all, const struct issuer *i,
    const struct key *k, const struct facts *facts, struct bytes der, bool aside)
{
	return install(all, i, k, facts, der, aside, false);
}

void answers_install_error(
    struct answers *all, const struct key *k, enum err e, int64_t ttl_ms)
{
	struct facts none = {.status = STATUS_NONE};
	struct answer *a;

	assert(e != ERR_OK);
	/* whole seconds, as expiry is; under one second a repeat is not worth it */
	if (ttl_ms < 1000 ||
	    (a = answer_new(k, &none, bytes_of("", 0), bytes_of("", 0))) == NULL)
		return;
	a->error = (uint8_t)e;
	a->was_known = answers_know(all, k);
	a->obtained_at = clock_now();
	a->expiry = a->obtained_at + ttl_ms / 1000;
	hot_put(all->context->shared->hot, a);
}

bool answers_backing_off(const struct answers *all, const struct key *k)
{
	const struct answer *a = hot_find(all->context->shared->hot, key_der(k));

	return a != NULL && a->error == ERR_RESP_CRL && hot_serves(a, clock_now());
}

/* How long the error was repeated last is what the table itself remembers, also when it
 * has expired. */
int64_t answers_back_off(struct answers *all, const struct key *k)
{
	const struct conf *c = conf_of(all);
	const struct answer *a = hot_find(all->context->shared->hot, key_der(k));
	struct backoff b = {
	    .initial_ms =
		c->error_ttl_ms > BACKOFF_MIN_MS ? c->error_ttl_ms : BACKOFF_MIN_MS,
	};
	int64_t ttl, last = 0;

	b.max_ms = c->backoff_max_ms > b.initial_ms ? c->backoff_max_ms : b.initial_ms;
	if (answers_in_date(all, k) != NULL)
		return 0;
	if (a != NULL && a->error == ERR_RESP_CRL)
		last = (a->expiry - a->obtained_at) * 1000;
	ttl = backoff_after_ms(&b, last);
	answers_install_error(all, k, ERR_RESP_CRL, ttl);
	return ttl;
}

void answers_question(struct answers *all, const struct issuer *i, const struct key *k,
    struct admit_question *q, struct facts *held)
{
	const struct conf *c = conf_of(all);
	const struct answer *a = hot_find(all->context->shared->hot, key_der(k));
	struct serial s;

	key_serial(k, &s);
	*q = (struct admit_question){
	    .issuer = i,
	    .key = k,
	    .now = clock_now(),
	    .skew_s = c->clock_skew_ms / 1000,
	    .max_size = (size_t)c->response_max_size,
	    .crl = crl_feed_set(all->evidence->crl_feed, i->name),
	    .latched = latches_find(all->evidence->latches, i, &s) != NULL,
	};
	/* in date or not: nothing older is taken in its place */
	if (a != NULL && a->facts.status != STATUS_NONE && hot_is_allowed(a)) {
		*held = a->facts;
		q->held = held;
	}
}

void answers_refused(struct answers *all, const struct issuer *i, const struct key *k,
    enum err e, const struct admit_verdict *v, enum metric refused, const char *from)
{
	char serial[SERIAL_HEX_MAX];
	struct serial s;

	if (e == ERR_RESP_LISTS) /* nobody knows yet: it is asked again */
		return;
	key_serial(k, &s);
	serial_to_hex(&s, serial);
	metrics_count(
	    all->context->counters, e == ERR_RESP_CRL ? M_CONTRADICTED_CRL : refused);
	if (e == ERR_RESP_LATCH) {
		metrics_count(all->context->counters, M_CONTRADICTED);
		log_error("revoked_became_good", "issuer=%s serial=%s from=%s", i->name,
		    serial, from);
		alarm_raise(ALARM_REVOKED_BECAME_GOOD, i->name, serial, from);
	} else if (e == ERR_RESP_CRL && v->crl_disagrees) {
		if (v->facts.status == STATUS_GOOD)
			memos_refused(all->evidence->memos, i, &s, &v->facts);
		metrics_count(all->context->counters, M_DISAGREED);
		log_error("ocsp_and_crl_disagree", "issuer=%s serial=%s from=%s", i->name,
		    serial, from);
		alarm_raise(ALARM_DISAGREE, i->name, serial, from);
	} else {
		log_warn("answer_refused", "issuer=%s err=%s from=%s", i->name,
		    err_label(e), from);
	}
}

/* arg: the counters, which outlive store and answers. */
static void on_written(void *arg, enum err e)
{
	if (e == ERR_OK)
		return;
	metrics_count(arg, M_STORE_ERRORS);
	log_warn("store_write_failed", "err=%s", err_label(e));
}

const struct answer *answers_take(struct answers *all, const struct issuer *i,
    const struct key *k, const struct facts *facts, struct bytes der, bool aside,
    bool force)
{
	const struct answer *a = install(all, i, k, facts, der, aside, true);

	/* an unknown is repeated by nobody but us, and not for long (R151) */
	if (a != NULL && facts->status != STATUS_UNKNOWN) {
		store_put(
		    all->store, k, facts, der, force, on_written, all->context->counters);
		metrics_count(all->context->counters, M_STORE_PUTS);
	}
	return a;
}

struct answers *answers_new(const struct context *context,
    const struct evidence_sources *evidence, struct revoker *revoker, struct store *store)
{
	struct answers *all = malloc(sizeof *all);

	if (all != NULL)
		*all = (struct answers){context, evidence, revoker, store};
	return all;
}

void answers_free(struct answers *all)
{
	free(all);
}
