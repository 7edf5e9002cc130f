/* 50-nonce: nonce = "forward". */
#include "tests/lib/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int begin(void **state)
{
	(void)state;
	world_begin("", "nonce = \"forward\"\n\tnonce-rate = 5");
	return 0;
}

static int end(void **state)
{
	(void)state;
	world_end();
	return 0;
}

static struct bytes says(enum status status)
{
	struct world_says s = {.serial = 1, .status = status, .from = 0, .to = 1000};

	return world_sign(&s);
}

/* R86, R87: each has a fetch of its own, and nobody else gets what came. */
static void a_nonce_is_fetched_for_and_its_answer_is_not_kept(void **state)
{
	struct world_asked *a = world_ask_nonce(1, CERTID_SHA1),
			   *b = world_ask_nonce(1, CERTID_SHA1);
	struct bytes value;
	struct key k;

	(void)state;
	assert_int_equal(fake_fetches_waiting(), 2);
	fake_fetch_answer(0, 200, says(STATUS_GOOD)); /* R64: without a nonce is taken */
	fake_fetch_answer(0, 200, says(STATUS_GOOD));
	world_elapse(0);
	assert_int_equal(a->tier, TIER_FORWARD);
	assert_int_equal(b->status, STATUS_GOOD);
	world_key(1, CERTID_SHA1, &k);
	assert_null(hot_find(world_shared.hot, key_der(&k)));
	assert_false(fake_store_get(&k, &value));
}

/* R87 */
static void over_the_rate_the_cached_answer_is_given(void **state)
{
	struct world_asked *w;

	(void)state;
	world_ask(1, CERTID_SHA1);
	fake_fetch_answer(0, 200, says(STATUS_GOOD));
	world_elapse(0);
	for (int i = 0; i < 5; i++)
		world_ask_nonce(1, CERTID_SHA1);
	assert_int_equal(fake_fetches_waiting(), 5);
	w = world_ask_nonce(1, CERTID_SHA1);
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->tier, TIER_MEMORY);
	world_elapse(1000);
	world_ask_nonce(1, CERTID_SHA1);
	assert_int_equal(fake_fetches_waiting(), 6);
}

static void with_the_responder_away_the_cached_answer_is_given(void **state)
{
	struct world_asked *w, *slow;

	(void)state;
	world_ask(1, CERTID_SHA1);
	fake_fetch_answer(0, 200, says(STATUS_GOOD));
	world_elapse(0);
	slow = world_ask_nonce(1, CERTID_SHA1);
	fake_fetch_fail(0, ERR_UP_TIMEOUT);
	world_elapse(0);
	assert_int_equal(slow->answers, 1);
	assert_int_equal(slow->tier, TIER_MEMORY);
	w = world_ask_nonce(1, CERTID_SHA1);
	if (fake_fetches_waiting() > 0)
		fake_fetch_fail(0, ERR_UP_CONNECT);
	world_elapse(0);
	assert_int_equal(w->status, STATUS_GOOD);
	assert_int_equal(w->tier, TIER_MEMORY);
}

static void without_a_cached_answer_an_outage_is_try_later(void **state)
{
	struct world_asked *w = world_ask_nonce(1, CERTID_SHA1);

	(void)state;
	fake_fetch_fail(0, ERR_UP_CONNECT);
	world_elapse(8100);
	while (fake_fetches_waiting() > 0)
		fake_fetch_fail(0, ERR_UP_CONNECT);
	world_elapse(100);
	assert_int_equal(w->answers, 1);
	assert_int_equal(err_wire(w->error), 3);
}

/* The first law holds for these too. */
static void a_forged_answer_to_a_nonce_is_refused(void **state)
{
	struct world_says forged = {
	    .serial = 1, .status = STATUS_GOOD, .to = 1000, .forged = true};
	struct world_asked *w = world_ask_nonce(1, CERTID_SHA1);

	(void)state;
	fake_fetch_answer(0, 200, world_sign(&forged));
	world_elapse(0);
	while (fake_fetches_waiting() > 0)
		fake_fetch_answer(0, 200, world_sign(&forged));
	world_elapse(0);
	assert_int_equal(w->answers, 1);
	assert_int_equal(w->status, STATUS_NONE);
}

static void a_revocation_seen_this_way_is_latched(void **state)
{
	struct world_asked *w;
	struct key k;

	(void)state;
	world_ask(1, CERTID_SHA1);
	fake_fetch_answer(0, 200, says(STATUS_GOOD));
	world_elapse(1000);
	w = world_ask_nonce(1, CERTID_SHA1);
	fake_fetch_answer(0, 200, says(STATUS_REVOKED));
	world_elapse(0);
	assert_int_equal(w->status, STATUS_REVOKED);
	assert_int_equal(latches_count(world_latches), 1);
	world_key(1, CERTID_SHA1, &k);
	assert_null(hot_find(world_shared.hot, key_der(&k))); /* the good one */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		a_nonce_is_fetched_for_and_its_answer_is_not_kept, begin, end),
	    cmocka_unit_test_setup_teardown(
		over_the_rate_the_cached_answer_is_given, begin, end),
	    cmocka_unit_test_setup_teardown(
		with_the_responder_away_the_cached_answer_is_given, begin, end),
	    cmocka_unit_test_setup_teardown(
		without_a_cached_answer_an_outage_is_try_later, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_forged_answer_to_a_nonce_is_refused, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_revocation_seen_this_way_is_latched, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
