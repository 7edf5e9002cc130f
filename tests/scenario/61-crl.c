/* 61-crl: when OCSP and the lists disagree, and what is told of it. */
#include "proxy/keeper/answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/base/clock.h"
#include "proxy/keeper/evidence_ask.h"
#include "proxy/keeper/memo.h"
#include "tests/lib/world.h"

#define LISTS "crl = \"http://ca.example/list.crl\"\n"

static int begin(void **state)
{
	(void)state;
	world_begin("", LISTS);
	return 0;
}

static int begin_without_memory(void **state)
{
	(void)state;
	world_begin("hot-cache = 0", LISTS);
	return 0;
}

static int begin_with_nonces(void **state)
{
	(void)state;
	world_begin("", LISTS "nonce = \"forward\"");
	return 0;
}

static int end(void **state)
{
	(void)state;
	world_end();
	return 0;
}

#define HOLD REASON_CERTIFICATE_HOLD

static struct bytes says_from(
    enum certid_hash h, enum status status, int reason, int64_t from)
{
	struct world_says s = {.serial = 1,
	    .hash = h,
	    .status = status,
	    .reason = reason,
	    .from = from,
	    .to = 1000};

	return world_sign(&s);
}

static struct bytes says(enum status status, int reason)
{
	return says_from(CERTID_SHA1, status, reason, 0);
}

static struct world_asked *hear(struct bytes der)
{
	struct world_asked *w = world_ask(1, CERTID_SHA1);

	assert_int_equal(w->answers, 0);
	assert_int_equal(fake_fetches_waiting(), 1);
	fake_fetch_answer(0, 200, der);
	world_elapse(0);
	assert_int_equal(w->answers, 1);
	return w;
}

static int begin_with_few_waiting(void **state)
{
	(void)state;
	world_begin("error-ttl = 0s", LISTS "max-waiting = 3");
	return 0;
}

/* Lists are put in force by hand: what is told of them is not looked at here. */
static void listed(int64_t from, int reason)
{
	struct fake_entry e = {1, reason};

	fake_list(from, 1000, &e, 1);
}

static void absent(int64_t from)
{
	struct fake_entry e = {2, 1};

	fake_list(from, 1000, &e, 1);
}

/* Another thread asks the keeper for its part, among others, and judges by itself. */
static void judge_elsewhere(const struct serial *s, struct evidence *out)
{
	static const char name[][64] = {"nobody", "world"};
	static const struct evidence_kept nothing;
	const struct evidence_sources *from = &world_parts()->evidence;
	const struct issuer *i = world_issuer();
	struct evidence_item item[3] = {{*s, 0, 7}, {*s, 1, 7}, {*s, 1, 7}};
	struct evidence_ask ask = {.name = name, .names_n = 2, .item = item, .n = 3};
	struct evidence_lists lists;

	evidence_ask_answer(from, shared_conf(&world_shared)->issuers, &ask);
	assert_int_equal(ask.error, ERR_OK);
	assert_int_equal(item[0].kept, 0);
	assert_int_equal(item[2].kept, item[1].kept > 0 ? item[1].kept + 1 : 0);
	evidence_list(crl_feed_set(from->crl_feed, i->name), i, &inventory_none,
	    clock_now(), &lists);
	evidence_judge(item[1].kept > 0 ? &ask.kept[item[1].kept - 1] : &nothing, &lists,
	    from->hot, i, s, NULL, NULL, out);
	free(ask.kept);
}

static struct evidence evidence(void)
{
	struct evidence st, elsewhere;
	struct serial s;

	world_serial(1, &s);
	evidence_of(&world_parts()->evidence, world_issuer(), &s, NULL, &st);
	judge_elsewhere(&s, &elsewhere);
	assert_int_equal(elsewhere.status, st.status);
	assert_int_equal(elsewhere.revoked_at, st.revoked_at);
	assert_int_equal(elsewhere.reason, st.reason);
	assert_int_equal(elsewhere.disagree, st.disagree);
	return st;
}

static const struct answer *held(enum certid_hash h)
{
	struct key k;

	world_key(1, h, &k);
	return hot_find(world_shared.hot, key_der(&k));
}

static void told(size_t n, enum change_status before, enum change_status now)
{
	const struct single_change *c = &fake_told.change[n - 1];

	assert_int_equal(fake_told.n, n);
	assert_int_equal(c->before, before);
	assert_int_equal(c->now, now);
}

static uint64_t count(enum metric m)
{
	return metrics_sum(m);
}

/* Before the lists are opened. */

/* T19: "not opened yet" is not "no list": nothing is good, no responder is asked, and who
 * asks gets tryLater when his time is over; the flight goes on. */
static void nothing_is_good_before_the_lists_are_opened(void **state)
{
	struct world_asked *w, *late, *cached;

	(void)state;
	fake_list_unopened();
	w = world_ask(1, CERTID_SHA1);
	cached = world_ask_cached(1, CERTID_SHA1);
	world_elapse(7000);
	late = world_ask(1, CERTID_SHA1);
	assert_int_equal(evidence().status, STATUS_UNKNOWN);
	world_elapse(1000);
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->status, STATUS_NONE);
	assert_int_equal(w->error, ERR_RESP_LISTS);
	assert_int_equal(err_wire(w->error), 3); /* tryLater */
	assert_int_equal(cached->answers, 1);
	assert_int_equal(fake_fetches(), 0);
	assert_int_equal(late->answers, 0);
	listed(0, 1);
	fake_lists_opened();
	world_elapse(0);
	assert_int_equal(fake_fetches_waiting(), 1);
	fake_fetch_answer(0, 200, says(STATUS_GOOD, 0));
	world_elapse(0);
	assert_int_equal(late->answers, 1);
	assert_int_equal(late->error, ERR_RESP_CRL);
	assert_int_equal(fake_told.n, 0); /* it was known: the list was told before */
}

/* R70: the store has a good one, which is newer than a hold: what ends the hold is told
 * though it was asked for before anybody knew of the hold. */
static void a_hold_that_ends_before_the_lists_are_opened_is_told(void **state)
{
	struct world_asked *w;
	struct key k;

	(void)state;
	world_key(1, CERTID_SHA1, &k);
	fake_store_put(&k, says(STATUS_GOOD, 0));
	fake_list_unopened();
	w = world_ask(1, CERTID_SHA1);
	world_elapse(0);
	assert_int_equal(w->answers, 0);
	listed(-50, HOLD);
	fake_lists_opened();
	world_elapse(0);
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->status, STATUS_GOOD);
	told(1, CHANGE_REVOKED, CHANGE_GOOD);
}

/* A reload brings a list while the responder is asked: what it says cannot be judged, and
 * is asked for again when the list is opened. */
static void what_comes_before_a_new_list_is_opened_is_asked_for_again(void **state)
{
	struct world_asked *w = world_ask(1, CERTID_SHA1);

	(void)state;
	assert_int_equal(fake_fetches_waiting(), 1);
	fake_list_unopened();
	fake_fetch_answer(0, 200, says(STATUS_GOOD, 0));
	world_elapse(0);
	assert_int_equal(w->answers, 0);
	assert_null(held(CERTID_SHA1));
	assert_int_equal(count(M_REFUSED_UPSTREAM), 0);
	absent(0);
	fake_lists_opened();
	world_elapse(0);
	assert_int_equal(fake_fetches_waiting(), 1);
	fake_fetch_answer(0, 200, says(STATUS_GOOD, 0));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_GOOD);
	/* what is held is looked at anew, and is a hit no more */
	fake_list_unopened();
	w = world_ask(1, CERTID_SHA1);
	assert_int_equal(w->answers, 0);
	fake_list_absent(); /* looked for, and there is none */
	fake_lists_opened();
	world_elapse(0);
	assert_int_equal(w->status, STATUS_GOOD);
	assert_int_equal(fake_fetches_waiting(), 0);
}

/* What the store has is told where it is newer than the list that has it revoked: the CA
 * said so after it had revoked it. */
static void what_is_stored_against_an_older_list_is_told(void **state)
{
	struct key k;

	(void)state;
	world_key(1, CERTID_SHA1, &k);
	fake_store_put(&k, says_from(CERTID_SHA1, STATUS_GOOD, 0, 0));
	listed(-100, 1);
	world_ask(1, CERTID_SHA1);
	world_elapse(0);
	assert_int_equal(count(M_CONTRADICTED_CRL), 1);
	assert_int_equal(count(M_DISAGREED), 1);
}

/* The same while the store reads. */
static void what_is_read_before_a_new_list_is_opened_is_read_again(void **state)
{
	struct world_asked *w;
	struct key k;

	(void)state;
	world_key(1, CERTID_SHA1, &k);
	fake_store_put(&k, says(STATUS_GOOD, 0));
	fake_store.silent = true;
	w = world_ask(1, CERTID_SHA1);
	fake_list_unopened();
	fake_store.silent = false;
	fake_store_speak();
	world_elapse(0);
	assert_int_equal(w->answers, 0);
	assert_int_equal(count(M_REFUSED_STORE), 0);
	listed(0, 1);
	fake_lists_opened();
	world_elapse(0);
	assert_int_equal(w->answers, 0); /* the store's is contradicted: a fetch */
	assert_int_equal(fake_fetches_waiting(), 1);
	/* which is no fault of the store's, nor of the responder's */
	assert_int_equal(count(M_REFUSED_STORE) + count(M_CONTRADICTED_CRL), 0);
	fake_fetch_answer(0, 200, says(STATUS_REVOKED, 1));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_REVOKED);
}

/* A revoked answer needs no list. */
static void revoked_is_served_whatever_is_not_opened(void **state)
{
	(void)state;
	hear(says(STATUS_REVOKED, 1));
	fake_list_unopened();
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_REVOKED);
	assert_int_equal(evidence().status, STATUS_REVOKED);
}

/* T13: lists that cannot be opened gather no more than what may wait for a responder, and
 * nothing that nobody waits for. */
static void lists_that_are_never_opened_gather_nothing(void **state)
{
	struct world_asked *w[5];

	(void)state;
	fake_list_unopened();
	for (unsigned n = 0; n < 5; n++)
		w[n] = world_ask(n + 1, CERTID_SHA1);
	world_elapse(0);
	for (unsigned n = 0; n < 5; n++)
		assert_int_equal(w[n]->answers, n >= 3);
	assert_int_equal(w[4]->error, ERR_UP_BUSY);
	assert_int_equal(flights_count(world_flights), 3);
	world_elapse(8000);
	assert_int_equal(w[0]->error, ERR_RESP_LISTS);
	assert_int_equal(flights_count(world_flights), 0);
	listed(0, 1);
	fake_lists_opened();
	w[0] = world_ask(1, CERTID_SHA1); /* it is no error that is repeated */
	world_elapse(0);
	assert_int_equal(fake_fetches_waiting(), 1);
}

/* R86: a nonce is forwarded when they are; the time that is spent on it is the client's.
 */
static void a_nonce_waits_for_the_lists_too(void **state)
{
	struct world_asked *w, *late;

	(void)state;
	fake_list_unopened();
	late = world_ask_nonce(1, CERTID_SHA1);
	world_elapse(3000);
	w = world_ask_nonce(1, CERTID_SHA1);
	assert_int_equal(fake_fetches(), 0);
	world_elapse(1000);
	listed(0, 1);
	fake_lists_opened();
	world_elapse(0);
	assert_int_equal(fake_fetches_waiting(), 2);
	for (int i = 0; i < 2; i++)
		fake_fetch_answer(0, 200, says(STATUS_REVOKED, 1));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_REVOKED);
	assert_int_equal(late->status, STATUS_REVOKED);
}

/* R71, first row: a good that is held when the list comes is served no more, and a hit
 * on it goes to a flight. */
static void a_held_good_goes_to_a_flight_when_a_list_has_it(void **state)
{
	struct world_asked *w;

	(void)state;
	hear(says(STATUS_GOOD, 0));
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_GOOD);
	world_elapse(1000);
	listed(0, 1);
	assert_int_equal(evidence().status, STATUS_REVOKED);
	assert_false(evidence().disagree);
	w = world_ask_cached(1, CERTID_SHA1);
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->status, STATUS_NONE);
	w = world_ask(1, CERTID_SHA1);
	assert_int_equal(w->answers, 0); /* nor from the store, which has it too */
	fake_fetch_answer(0, 200, says(STATUS_REVOKED, 1));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_REVOKED);
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_REVOKED);
}

/* R71, second row: one that is not newer is refused, and is no alarm. */
static void a_fetched_good_that_is_not_newer_is_refused(void **state)
{
	struct world_asked *w;

	(void)state;
	listed(0, 1);
	w = hear(says(STATUS_GOOD, 0));
	assert_int_equal(w->status, STATUS_NONE);
	assert_int_equal(w->error, ERR_RESP_CRL);
	assert_int_equal(err_wire(ERR_RESP_CRL), 3); /* tryLater */
	assert_int_equal(count(M_CONTRADICTED_CRL), 1);
	assert_int_equal(count(M_REFUSED_UPSTREAM), 0);
	assert_int_equal(evidence().status, STATUS_REVOKED);
	assert_false(evidence().disagree);
	assert_false(evidence().kept.refused.found);
	assert_int_equal(fake_told.n, 0);
}

/* R71, third row: a newer one is refused as well, and "disagree" is true until a list
 * drops the certificate, a newer list has it all the same, or the good one expires. */
static void a_newer_good_is_refused_and_the_two_disagree(void **state)
{
	struct evidence st;

	(void)state;
	listed(-100, 1);
	assert_int_equal(hear(says(STATUS_GOOD, 0))->error, ERR_RESP_CRL);
	st = evidence();
	assert_int_equal(st.status, STATUS_REVOKED);
	assert_true(st.disagree);
	assert_true(st.kept.refused.found);
	listed(100, 1);
	assert_false(evidence().disagree);
	listed(-100, 1);
	assert_true(evidence().disagree);
	absent(0);
	assert_false(evidence().disagree);
	listed(-100, 1);
	world_elapse(999000);
	assert_true(evidence().disagree);
	world_elapse(1000);
	assert_false(evidence().disagree);
	assert_int_equal(evidence().status, STATUS_REVOKED);
}

/* R71: the same for a good that is held already when an older list comes. */
static void a_held_good_that_is_newer_than_the_list_disagrees(void **state)
{
	(void)state;
	hear(says(STATUS_GOOD, 0));
	listed(-1, 1);
	assert_int_equal(evidence().status, STATUS_REVOKED);
	assert_true(evidence().disagree);
	assert_int_equal(world_ask(1, CERTID_SHA1)->answers, 0);
	fake_fetch_answer(0, 200, says(STATUS_REVOKED, 1));
	world_elapse(0);
	assert_false(evidence().disagree); /* they agree now */
}

/* R70, R71, fourth row: a hold in the list ends with a good that is newer. */
static void a_good_that_is_newer_than_the_hold_is_admitted_and_told(void **state)
{
	(void)state;
	listed(-100, HOLD);
	assert_int_equal(evidence().status, STATUS_REVOKED);
	assert_int_equal(
	    hear(says_from(CERTID_SHA1, STATUS_GOOD, 0, -100))->error, ERR_RESP_CRL);
	assert_int_equal(evidence().status, STATUS_REVOKED);
	world_elapse(3000);
	assert_int_equal(hear(says(STATUS_GOOD, 0))->status, STATUS_GOOD);
	assert_int_equal(evidence().status, STATUS_GOOD);
	assert_false(evidence().disagree);
	told(1, CHANGE_REVOKED, CHANGE_GOOD);
	assert_int_equal(fake_told.change[0].reason, HOLD);
	assert_int_equal(fake_told.change[0].revoked_at, WORLD_START - 60);
	assert_false(fake_told.latch[0]);
	/* and is on again with a newer list */
	world_elapse(1000);
	listed(0, HOLD);
	assert_int_equal(evidence().status, STATUS_REVOKED);
	assert_int_equal(world_ask(1, CERTID_SHA1)->answers, 0);
}

/* R94, T19: the configuration names a list more than the set has: a reload is under way.
 */
static void absence_says_nothing_while_a_list_is_on_its_way(void **state)
{
	(void)state;
	end(state);
	world_begin("", "crl = { \"http://ca.example/1\", \"http://ca.example/2\" }");
	absent(-100);
	assert_int_equal(evidence().status, STATUS_UNKNOWN);
	listed(-50, 1);
	assert_int_equal(evidence().status, STATUS_REVOKED);
}

/* R71, last row: revoked is served though an in-date list does not have it; they
 * disagree only when the list could know. */
static void revoked_is_served_though_no_list_has_it(void **state)
{
	(void)state;
	absent(-100);
	assert_int_equal(evidence().status, STATUS_GOOD);
	assert_int_equal(hear(says(STATUS_REVOKED, 1))->status, STATUS_REVOKED);
	assert_int_equal(evidence().status, STATUS_REVOKED);
	assert_false(evidence().disagree);
	told(1, CHANGE_GOOD, CHANGE_REVOKED);
	world_elapse(1000);
	absent(0);
	assert_true(evidence().disagree);
	assert_int_equal(evidence().status, STATUS_REVOKED);
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_REVOKED);
	assert_int_equal(fake_told.n, 1);
}

/* R71, T13: hits join, and a contradicted hot certificate costs one fetch for each step
 * of 2, 4, 8, 10, 10, ... s (error-ttl, backoff-max). */
static void a_contradicted_certificate_costs_one_fetch_for_each_step(void **state)
{
	static const int step_s[] = {2, 4, 8, 10, 10, 10};
	size_t before;

	(void)state;
	hear(says(STATUS_GOOD, 0));
	world_elapse(1000);
	listed(0, 1);
	before = fake_fetches();
	for (size_t n = 0; n < sizeof step_s / sizeof step_s[0]; n++) {
		struct world_asked *a = world_ask(1, CERTID_SHA1),
				   *b = world_ask(1, CERTID_SHA1);

		assert_int_equal(fake_fetches(), before + n + 1);
		fake_fetch_answer(0, 200, says(STATUS_GOOD, 0));
		world_elapse(0);
		assert_int_equal(a->error, ERR_RESP_CRL);
		assert_int_equal(b->error, ERR_RESP_CRL);
		for (int s = 0; s < step_s[n]; s++) {
			a = world_ask(1, CERTID_SHA1);
			assert_int_equal(a->answers, 1);
			assert_int_equal(a->error, ERR_RESP_CRL);
			world_elapse(1000);
		}
	}
	assert_int_equal(fake_fetches(), before + 6);
}

/* On a shared store the other nodes leave it alone for as long. */
static void a_contradicted_fetch_is_marked_as_failed_for_the_other_nodes(void **state)
{
	(void)state;
	fake_store.shared = true;
	fake_store.lease = LEASE_YOURS;
	listed(0, 1);
	assert_int_equal(hear(says(STATUS_GOOD, 0))->error, ERR_RESP_CRL);
	assert_int_equal(fake_store.releases, 1);
	assert_int_equal(fake_store.failed_marks, 1);
	world_elapse(2000);
	fake_store.lease = LEASE_FAILED;
	assert_int_equal(world_ask(1, CERTID_SHA1)->error, ERR_UP_BACKOFF);
	assert_int_equal(fake_fetches(), 1);
}

/* A refresh that brings what the list contradicts ends the refreshing: nothing is asked
 * for without a client. */
static void refresh_lets_a_contradicted_certificate_be(void **state)
{
	(void)state;
	hear(says(STATUS_GOOD, 0));
	world_ask(1, CERTID_SHA1);
	world_elapse(1000);
	listed(0, 1);
	world_elapse(500000); /* its refresh */
	assert_int_equal(fake_fetches_waiting(), 1);
	fake_fetch_answer(0, 200, says(STATUS_GOOD, 0));
	world_elapse(2000000);
	assert_int_equal(fake_fetches(), 2);
	assert_int_equal(schedule_count(world_schedule), 0);
}

/* The operator's refresh asks whatever the error says, and does not make the good one
 * good. */
static void a_forced_refresh_is_contradicted_too(void **state)
{
	struct key k;

	(void)state;
	listed(-100, 1);
	hear(says(STATUS_GOOD, 0));
	world_key(1, CERTID_SHA1, &k);
	flights_go(world_flights, &k, FLIGHT_FORCE, NULL, NULL);
	world_elapse(0);
	fake_fetch_answer(0, 200, says(STATUS_GOOD, 0));
	world_elapse(3000);
	assert_int_equal(world_ask(1, CERTID_SHA1)->error, ERR_RESP_CRL); /* 4 s now */
	assert_int_equal(count(M_CONTRADICTED_CRL), 2);
}

/* A list that drops the certificate (a hold that ended) makes the held answer good for
 * serving again; what was refused meanwhile is asked for anew. */
static void what_a_list_drops_is_served_again(void **state)
{
	(void)state;
	hear(says(STATUS_GOOD, 0));
	world_elapse(1000);
	listed(0, HOLD);
	assert_int_equal(world_ask_cached(1, CERTID_SHA1)->status, STATUS_NONE);
	absent(0);
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_GOOD);
	assert_int_equal(fake_fetches(), 1);
}

/* R71: an older revocation replaces a good that the list contradicts, in memory and in
 * the store. */
static void a_contradicted_good_is_no_high_water_mark(void **state)
{
	struct bytes value;
	struct key k;

	(void)state;
	hear(says(STATUS_GOOD, 0));
	world_elapse(1000);
	listed(-500, 1);
	assert_int_equal(hear(says_from(CERTID_SHA1, STATUS_REVOKED, 1, -600))->status,
	    STATUS_REVOKED);
	world_key(1, CERTID_SHA1, &k);
	assert_true(fake_store_get(&k, &value));
	assert_int_equal(fake_store.forced, 1);
}

/* A client's nonce is not forwarded while the error is repeated, and what comes with a
 * nonce meets the lists too. */
static void nonces_meet_the_lists_too(void **state)
{
	struct world_asked *w;

	(void)state;
	listed(0, 1);
	w = world_ask_nonce(1, CERTID_SHA1);
	fake_fetch_answer(0, 200, says(STATUS_GOOD, 0));
	world_elapse(0);
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->error, ERR_RESP_CRL);
	w = world_ask_nonce(1, CERTID_SHA1);
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->error, ERR_RESP_CRL);
	assert_int_equal(fake_fetches(), 1);
	world_elapse(2000);
	w = world_ask_nonce(1, CERTID_SHA1);
	fake_fetch_answer(0, 200, says(STATUS_REVOKED, 1));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_REVOKED);
}

/* T19: revoked by a list that then expires, with every answer evicted, is revoked: for
 * clients and in the status.  What such a list does not have is unknown. */
static void an_expired_list_and_an_eviction_storm_make_nothing_good(void **state)
{
	struct fake_entry e = {1, 1};
	struct evidence st;
	struct serial s;

	(void)state;
	hear(says(STATUS_GOOD, 0));
	fake_list(1, 10, &e, 1);
	world_elapse(20000);
	assert_int_equal(evidence().status, STATUS_REVOKED);
	hot_set_budget(world_shared.hot, 0);
	assert_int_equal(evidence().status, STATUS_REVOKED);
	assert_int_equal(
	    hear(says_from(CERTID_SHA1, STATUS_GOOD, 0, -30))->error, ERR_RESP_CRL);
	assert_int_equal(
	    hear(says_from(CERTID_SHA1, STATUS_GOOD, 0, 0))->error, ERR_RESP_CRL);
	world_serial(2, &s);
	evidence_of(&world_parts()->evidence, world_issuer(), &s, NULL, &st);
	assert_int_equal(st.status, STATUS_UNKNOWN);
	assert_int_equal(st.lists.absence, CRL_ABSENT_OVERDUE);
}

/* T19: and a hold that OCSP told outlives its eviction; it is told once. */
static void a_hold_outlives_its_eviction(void **state)
{
	(void)state;
	hear(says(STATUS_REVOKED, HOLD));
	told(1, CHANGE_UNKNOWN, CHANGE_REVOKED);
	assert_null(held(CERTID_SHA1));
	assert_int_equal(evidence().status, STATUS_REVOKED);
	assert_int_equal(evidence().reason, HOLD);
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_REVOKED); /* store */
	assert_int_equal(fake_told.n, 1);
	fake_store_reset();
	world_elapse(1000);
	hear(says(STATUS_GOOD, 0));
	told(2, CHANGE_REVOKED, CHANGE_GOOD);
	assert_int_equal(evidence().status, STATUS_GOOD);
	world_elapse(1000);
	fake_store_reset();
	hear(says(STATUS_GOOD, 0));
	assert_int_equal(fake_told.n, 2);
}

/* R72: each move to revoked and away from it once, with date and reason. */
static void each_move_is_told_once(void **state)
{
	(void)state;
	hear(says(STATUS_GOOD, 0)); /* unknown to good: no change */
	assert_int_equal(fake_told.n, 0);
	world_elapse(501000); /* good again: none */
	fake_fetch_answer(0, 200, says(STATUS_GOOD, 0));
	world_elapse(1001000); /* it expires: none */
	assert_int_equal(fake_told.n, 0);
	fake_fetch_reset();
	fake_store_reset();
	hear(says(STATUS_REVOKED, HOLD));
	told(1, CHANGE_UNKNOWN, CHANGE_REVOKED);
	assert_false(fake_told.latch[0]);
	assert_int_equal(fake_told.change[0].reason, HOLD);
	world_elapse(501000);
	fake_fetch_answer(0, 200, says(STATUS_GOOD, 0));
	world_elapse(0);
	told(2, CHANGE_REVOKED, CHANGE_GOOD);
	world_elapse(501000);
	fake_fetch_reset();
	world_elapse(600000);
	fake_store_reset();
	hear(says(STATUS_REVOKED, 1));
	told(3, CHANGE_UNKNOWN, CHANGE_REVOKED);
	assert_true(fake_told.latch[2] && fake_told.untold[2]);
	assert_int_equal(fake_told.change[2].reason, 1);
	world_elapse(501000); /* the latch stands */
	fake_fetch_answer(0, 200, says(STATUS_REVOKED, 1));
	world_elapse(0);
	assert_int_equal(fake_told.n, 3);
}

/* R72: a hold that becomes final was revoked already. */
static void a_hold_that_becomes_final_is_no_move(void **state)
{
	(void)state;
	hear(says(STATUS_REVOKED, HOLD));
	world_elapse(501000);
	fake_fetch_answer(0, 200, says(STATUS_REVOKED, 1));
	world_elapse(0);
	assert_int_equal(latches_count(world_latches), 1);
	assert_int_equal(fake_told.n, 1);
}

static bool latch_is_untold(void)
{
	struct serial s;

	world_serial(1, &s);
	return latches_find(world_latches, world_issuer(), &s)->untold;
}

/* R72: the second evidence for the same status makes no change; its latch has nothing
 * left to tell. */
static void list_and_latch_are_one_change(void **state)
{
	(void)state;
	listed(0, 1);
	assert_int_equal(hear(says(STATUS_REVOKED, 1))->status, STATUS_REVOKED);
	assert_int_equal(latches_count(world_latches), 1);
	assert_false(latch_is_untold());
	assert_int_equal(fake_told.n, 0);
}

/* R53, R72: contradicting duplicates prove a revocation though they are refused. */
static void a_proof_in_a_refused_answer_is_told(void **state)
{
	struct world_says s = {
	    .serial = 1, .status = STATUS_GOOD, .also = STATUS_REVOKED, .to = 1000};

	(void)state;
	assert_int_equal(hear(world_sign(&s))->error, ERR_RESP_CONTRADICT);
	told(1, CHANGE_UNKNOWN, CHANGE_REVOKED);
	assert_true(latch_is_untold());
	assert_int_equal(held(CERTID_SHA1)->error, ERR_RESP_CONTRADICT);
}

/* More disagreements than are remembered push out the oldest, and nothing else. */
static void what_is_remembered_is_bounded(void **state)
{
	struct answers *h = world_parts()->answers;
	struct memos *m = world_parts()->evidence.memos;
	struct admit_verdict v = {.crl_disagrees = true,
	    .facts = {.status = STATUS_GOOD,
		.this_update = WORLD_START,
		.next_update = WORLD_START + 1000,
		.signer_not_after = INT64_MAX}};
	struct serial s;
	struct facts f;
	struct key k;

	(void)state;
	for (unsigned n = 0; n <= MEMOS_MAX; n++) {
		world_key(n, CERTID_SHA1, &k);
		answers_refused(
		    h, world_issuer(), &k, ERR_RESP_CRL, &v, M_REFUSED_UPSTREAM, "test");
	}
	for (unsigned n = 0; n <= MEMOS_MAX; n++) {
		world_serial(n, &s);
		assert_int_equal(
		    memos_recall(m, world_issuer(), &s, MEMO_REFUSED, &f), n > 0);
		assert_false(memos_recall(m, world_issuer(), &s, MEMO_HOLD, &f));
	}
	memos_forget(m, world_issuer(), &s);
	assert_false(memos_recall(m, world_issuer(), &s, MEMO_REFUSED, &f));
	world_serial(1, &s);
	assert_true(memos_recall(m, world_issuer(), &s, MEMO_REFUSED, &f));
	world_elapse(1000000);
	assert_false(memos_recall(m, world_issuer(), &s, MEMO_REFUSED, &f));
	memos_forget(m, world_issuer(), NULL);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(nothing_is_good_before_the_lists_are_opened),
	    CASE(a_hold_that_ends_before_the_lists_are_opened_is_told),
	    CASE(what_comes_before_a_new_list_is_opened_is_asked_for_again),
	    CASE(what_is_stored_against_an_older_list_is_told),
	    CASE(what_is_read_before_a_new_list_is_opened_is_read_again),
	    CASE(revoked_is_served_whatever_is_not_opened),
	    cmocka_unit_test_setup_teardown(
		a_nonce_waits_for_the_lists_too, begin_with_nonces, end),
	    cmocka_unit_test_setup_teardown(
		lists_that_are_never_opened_gather_nothing, begin_with_few_waiting, end),
	    CASE(a_held_good_goes_to_a_flight_when_a_list_has_it),
	    CASE(a_fetched_good_that_is_not_newer_is_refused),
	    CASE(a_newer_good_is_refused_and_the_two_disagree),
	    CASE(a_held_good_that_is_newer_than_the_list_disagrees),
	    CASE(a_good_that_is_newer_than_the_hold_is_admitted_and_told),
	    CASE(revoked_is_served_though_no_list_has_it),
	    CASE(absence_says_nothing_while_a_list_is_on_its_way),
	    CASE(a_contradicted_certificate_costs_one_fetch_for_each_step),
	    CASE(a_contradicted_fetch_is_marked_as_failed_for_the_other_nodes),
	    CASE(refresh_lets_a_contradicted_certificate_be),
	    CASE(a_forced_refresh_is_contradicted_too),
	    CASE(what_a_list_drops_is_served_again),
	    CASE(a_contradicted_good_is_no_high_water_mark),
	    cmocka_unit_test_setup_teardown(
		nonces_meet_the_lists_too, begin_with_nonces, end),
	    CASE(an_expired_list_and_an_eviction_storm_make_nothing_good),
	    cmocka_unit_test_setup_teardown(
		a_hold_outlives_its_eviction, begin_without_memory, end),
	    CASE(each_move_is_told_once),
	    CASE(a_hold_that_becomes_final_is_no_move),
	    CASE(list_and_latch_are_one_change),
	    CASE(a_proof_in_a_refused_answer_is_told),
	    CASE(what_is_remembered_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
