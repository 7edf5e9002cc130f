/* 31-unlatch: the operator takes a latch back, and the CA is asked anew. */
#include "proxy/keeper/answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/keeper/unlatch.h"
#include "tests/lib/world.h"

static struct {
	unsigned n;
	struct unlatch_end end;
} ended;

static void on_end(void *arg, const struct unlatch_end *end)
{
	assert_ptr_equal(arg, &ended);
	ended.n++;
	ended.end = *end;
}

static int begin(void **state)
{
	(void)state;
	ended.n = 0;
	world_begin("error-ttl = 10s", "");
	return 0;
}

static int end(void **state)
{
	(void)state;
	fake_disk_hold(false);
	world_end();
	return 0;
}

static struct bytes says(enum certid_hash h, enum status status, int64_t from)
{
	struct world_says s = {
	    .serial = 1, .hash = h, .status = status, .from = from, .to = 1000};

	return world_sign(&s);
}

static struct world_asked *ask_and_hear(enum certid_hash h, enum status status)
{
	struct world_asked *w = world_ask(1, h);

	fake_fetch_answer(0, 200, says(h, status, 0));
	world_elapse(0);
	assert_int_equal(w->answers, 1);
	return w;
}

static void take_back(void)
{
	unsigned before = ended.n;
	struct serial s;
	enum err e;

	world_serial(1, &s);
	e = unlatch(world_parts(), world_issuer(), &s, on_end, &ended);
	assert_int_equal(ended.n, before); /* never before it returns */
	if (e != ERR_OK)
		on_end(&ended, &(struct unlatch_end){.e = e, .why = ""});
	world_elapse(0); /* fetches begin with the next turn */
}

static bool is_latched(void)
{
	struct serial s;

	world_serial(1, &s);
	return latches_find(world_latches, world_issuer(), &s) != NULL;
}

static const struct single_change *told(size_t n)
{
	assert_int_equal(fake_told.n, n);
	return &fake_told.change[n - 1];
}

/* R68 does not keep the mistake: what the CA says now is no newer than it. */
static void a_good_that_is_not_newer_is_served_at_once(void **state)
{
	struct world_asked *w, *sha256;

	(void)state;
	ask_and_hear(CERTID_SHA1, STATUS_REVOKED);
	ask_and_hear(CERTID_SHA256, STATUS_REVOKED);
	assert_int_equal(told(1)->now, CHANGE_REVOKED);
	take_back();
	assert_int_equal(ended.n, 1);
	assert_int_equal(ended.end.e, ERR_OK);
	assert_int_equal(ended.end.disk, ERR_OK);
	assert_int_equal(ended.end.store, ERR_OK);
	assert_false(is_latched());
	/* nobody has asked, and both keys are fetched anew */
	assert_int_equal(fake_fetches_waiting(), 2);
	w = world_ask(1, CERTID_SHA1);
	sha256 = world_ask(1, CERTID_SHA256);
	assert_int_equal(w->answers + sha256->answers, 0); /* nobody knows */
	fake_fetch_answer(0, 200, says(CERTID_SHA1, STATUS_GOOD, -10));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_GOOD);
	assert_int_equal(fake_told.n, 1); /* the other answer is still to come */
	fake_fetch_answer(0, 200, says(CERTID_SHA256, STATUS_GOOD, -10));
	world_elapse(0);
	assert_int_equal(sha256->status, STATUS_GOOD);
	assert_int_equal(told(2)->now, CHANGE_GOOD);
	assert_int_equal(told(2)->before, CHANGE_REVOKED);
}

/* R69 */
static void what_the_ca_still_says_counts(void **state)
{
	struct world_asked *w;

	(void)state;
	ask_and_hear(CERTID_SHA1, STATUS_REVOKED);
	take_back();
	w = world_ask(1, CERTID_SHA1);
	fake_fetch_answer(0, 200, says(CERTID_SHA1, STATUS_REVOKED, 0));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_REVOKED);
	assert_true(is_latched());
	/* at least once: it has a new latch */
	assert_int_equal(told(2)->now, CHANGE_REVOKED);
	assert_true(fake_told.latch[1]);
}

static void a_ca_that_is_away_leaves_it_unknown(void **state)
{
	struct world_asked *w;

	(void)state;
	ask_and_hear(CERTID_SHA1, STATUS_REVOKED);
	take_back();
	w = world_ask(1, CERTID_SHA1);
	fake_fetch_fail(0, ERR_UP_CONNECT);
	world_elapse(0);
	assert_int_equal(w->status, STATUS_NONE);
	assert_int_equal(told(2)->now, CHANGE_UNKNOWN);
	assert_int_equal(told(2)->before, CHANGE_REVOKED);
}

/* The latch is gone from disk before the CA is asked: a kill in between brings back
 * revoked, never a good that nobody remembers. */
static void the_disk_comes_before_the_fetch(void **state)
{
	(void)state;
	ask_and_hear(CERTID_SHA1, STATUS_REVOKED);
	fake_disk_hold(true);
	take_back();
	assert_false(is_latched());
	assert_int_equal(ended.n, 0);
	assert_int_equal(fake_fetches_waiting(), 0);
	assert_true(fake_disk_step());
	world_elapse(0);
	assert_int_equal(ended.n, 1);
	assert_int_equal(ended.end.disk, ERR_OK);
	assert_int_equal(fake_fetches_waiting(), 1);
}

/* T19: nor does our own store set it again. */
static void the_store_forgets_before_memory_does(void **state)
{
	struct bytes value;
	struct key k;

	(void)state;
	ask_and_hear(CERTID_SHA1, STATUS_REVOKED);
	world_key(1, CERTID_SHA1, &k);
	assert_true(fake_store_get(&k, &value));
	take_back();
	assert_false(fake_store_get(&k, &value));
	assert_int_equal(fake_fetches_waiting(), 1); /* the store had none */
	fake_fetch_answer(0, 200, says(CERTID_SHA1, STATUS_GOOD, 0));
	world_elapse(0);
	assert_true(fake_store_get(&k, &value));
}

static void a_store_that_is_away_is_told(void **state)
{
	(void)state;
	ask_and_hear(CERTID_SHA1, STATUS_REVOKED);
	fake_store.down = true;
	take_back();
	assert_int_equal(ended.end.e, ERR_OK);
	assert_int_equal(ended.end.store, ERR_STORE);
	assert_false(is_latched());
	assert_int_equal(fake_fetches_waiting(), 1);
}

/* R71: the list says so too; what is held agrees with it and is served on. */
static void what_a_list_says_as_well_stays(void **state)
{
	struct fake_entry e = {1, 1};

	(void)state;
	ask_and_hear(CERTID_SHA1, STATUS_REVOKED);
	fake_list(-100, 1000, &e, 1);
	take_back();
	assert_false(is_latched());
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_REVOKED);
	fake_fetch_answer(0, 200, says(CERTID_SHA1, STATUS_GOOD, 0));
	world_elapse(0);
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_REVOKED);
	assert_int_equal(fake_told.n, 1); /* it has not moved */
}

/* A hold is no latch, and its own word counts on. */
static void a_hold_that_is_held_is_not_taken_away(void **state)
{
	struct world_says hold = {.serial = 1,
	    .hash = CERTID_SHA256,
	    .status = STATUS_REVOKED,
	    .reason = REASON_CERTIFICATE_HOLD,
	    .to = 1000};
	struct world_asked *w = world_ask(1, CERTID_SHA256);

	(void)state;
	fake_fetch_answer(0, 200, world_sign(&hold));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_REVOKED);
	ask_and_hear(CERTID_SHA1, STATUS_REVOKED);
	take_back();
	assert_int_equal(world_ask(1, CERTID_SHA256)->status, STATUS_REVOKED);
}

/* Somebody was asking already, by what was held then, and perhaps of a CA that had not
 * mended it yet. */
static void a_fetch_under_way_forgets_and_is_followed_by_one_more(void **state)
{
	(void)state;
	ask_and_hear(CERTID_SHA1, STATUS_REVOKED);
	world_elapse(501000); /* the refresh */
	assert_int_equal(fake_fetches_waiting(), 1);
	take_back();
	assert_int_equal(fake_fetches_waiting(), 1);
	fake_fetch_answer(0, 200, says(CERTID_SHA1, STATUS_GOOD, -510));
	world_elapse(0);
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_GOOD);
	assert_int_equal(fake_fetches_waiting(), 1);
	fake_fetch_answer(0, 200, says(CERTID_SHA1, STATUS_GOOD, 0));
	world_elapse(0);
	assert_int_equal(fake_fetches_waiting(), 0);
	assert_int_equal(told(2)->now, CHANGE_GOOD);
}

/* The same of a refresh that an operator asks for (POST /v1/refresh). */
static void an_order_to_ask_now_is_not_answered_by_what_was_asked_before(void **state)
{
	struct key k;

	(void)state;
	world_ask(1, CERTID_SHA1);
	world_key(1, CERTID_SHA1, &k);
	flights_go(world_flights, &k, FLIGHT_FORCE, NULL, NULL);
	flights_go(world_flights, &k, FLIGHT_FORCE, NULL, NULL);
	assert_int_equal(fake_fetches(), 1);
	fake_fetch_answer(0, 200, says(CERTID_SHA1, STATUS_GOOD, -10));
	world_elapse(0);
	assert_int_equal(fake_fetches(), 2);
	fake_fetch_answer(0, 200, says(CERTID_SHA1, STATUS_GOOD, 0));
	world_elapse(0);
	assert_int_equal(fake_fetches(), 2); /* and no more than one */
}

static void without_a_latch_nothing_happens(void **state)
{
	(void)state;
	ask_and_hear(CERTID_SHA1, STATUS_GOOD);
	take_back();
	assert_int_equal(ended.n, 1);
	assert_int_equal(ended.end.e, ERR_NOT_FOUND);
	assert_int_equal(fake_fetches_waiting(), 0);
	assert_int_equal(fake_store.deletes, 0);
}

static void a_stop_in_between_ends_it(void **state)
{
	(void)state;
	ask_and_hear(CERTID_SHA1, STATUS_REVOKED);
	take_back();
	assert_int_equal(fake_fetches_waiting(), 1);
	/* world_end() cancels the flight; sanitizers see what is left */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		a_good_that_is_not_newer_is_served_at_once, begin, end),
	    cmocka_unit_test_setup_teardown(what_the_ca_still_says_counts, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_ca_that_is_away_leaves_it_unknown, begin, end),
	    cmocka_unit_test_setup_teardown(the_disk_comes_before_the_fetch, begin, end),
	    cmocka_unit_test_setup_teardown(
		the_store_forgets_before_memory_does, begin, end),
	    cmocka_unit_test_setup_teardown(a_store_that_is_away_is_told, begin, end),
	    cmocka_unit_test_setup_teardown(what_a_list_says_as_well_stays, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_hold_that_is_held_is_not_taken_away, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_fetch_under_way_forgets_and_is_followed_by_one_more, begin, end),
	    cmocka_unit_test_setup_teardown(
		an_order_to_ask_now_is_not_answered_by_what_was_asked_before, begin, end),
	    cmocka_unit_test_setup_teardown(without_a_latch_nothing_happens, begin, end),
	    cmocka_unit_test_setup_teardown(a_stop_in_between_ends_it, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
