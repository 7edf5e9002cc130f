/* 30-revoked: revoked stays revoked. */
#include "tests/lib/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int begin(void **state)
{
	(void)state;
	world_begin("error-ttl = 0s", "");
	return 0;
}

static int end(void **state)
{
	(void)state;
	world_end();
	return 0;
}

static struct bytes says(enum certid_hash h, enum status status, int reason)
{
	struct world_says s = {.serial = 1,
	    .hash = h,
	    .status = status,
	    .reason = reason,
	    .from = 0,
	    .to = 1000};

	return world_sign(&s);
}

static struct world_asked *ask_and_hear(enum certid_hash h, struct bytes der)
{
	struct world_asked *w = world_ask(1, h);

	fake_fetch_answer(0, 200, der);
	world_elapse(0);
	assert_int_equal(w->answers, 1);
	return w;
}

static bool is_latched(void)
{
	struct serial s = {3, {0x10, 0, 1}};

	return latches_find(world_latches, world_issuer(), &s) != NULL;
}

/* A revoked answer under one key takes the certificate's other keys out of service. */
static void revoked_by_one_hash_algorithm_is_good_by_no_other(void **state)
{
	struct world_asked *w;
	struct bytes value;
	struct key k;

	(void)state;
	ask_and_hear(CERTID_SHA256, says(CERTID_SHA256, STATUS_GOOD, 0));
	world_elapse(1000);
	ask_and_hear(CERTID_SHA1, says(CERTID_SHA1, STATUS_REVOKED, 1));
	world_key(1, CERTID_SHA256, &k);
	assert_null(hot_find(world_shared.hot, key_der(&k)));
	assert_false(fake_store_get(&k, &value));
	world_elapse(1000);
	w = ask_and_hear(CERTID_SHA256, says(CERTID_SHA256, STATUS_GOOD, 0));
	assert_int_equal(w->status, STATUS_NONE);
	assert_int_equal(w->error, ERR_RESP_LATCH);
	w = ask_and_hear(CERTID_SHA256, says(CERTID_SHA256, STATUS_REVOKED, 1));
	assert_int_equal(w->status, STATUS_REVOKED);
}

/* R69, T2: good after revoked is refused however new it is. */
static void a_newer_good_is_refused_after_revoked(void **state)
{
	(void)state;
	ask_and_hear(CERTID_SHA1, says(CERTID_SHA1, STATUS_REVOKED, 4));
	assert_true(is_latched());
	world_elapse(501000); /* the refresh */
	assert_int_equal(fake_fetches_waiting(), 1);
	fake_fetch_answer(0, 200, says(CERTID_SHA1, STATUS_GOOD, 0));
	world_elapse(0);
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_REVOKED);
}

static void the_latch_is_on_disk_and_goes_only_when_it_is_cleared(void **state)
{
	struct serial s = {3, {0x10, 0, 1}};
	struct latch removed[1];
	struct world_asked *w;

	(void)state;
	ask_and_hear(CERTID_SHA1, says(CERTID_SHA1, STATUS_REVOKED, 1));
	assert_int_equal(latches_count(world_latches), 1);
	world_elapse(1100000); /* expired and gone from memory */
	fake_store_reset();
	w = ask_and_hear(CERTID_SHA1, says(CERTID_SHA1, STATUS_GOOD, 0));
	assert_int_equal(w->error, ERR_RESP_LATCH);
	assert_int_equal(latches_remove(world_latches, world_issuer(), &s, removed), 1);
	world_elapse(1000);
	w = ask_and_hear(CERTID_SHA1, says(CERTID_SHA1, STATUS_GOOD, 0));
	assert_int_equal(w->status, STATUS_GOOD);
}

/* R70 */
static void from_hold_a_certificate_may_come_back(void **state)
{
	struct world_asked *w;

	(void)state;
	w = ask_and_hear(
	    CERTID_SHA1, says(CERTID_SHA1, STATUS_REVOKED, REASON_CERTIFICATE_HOLD));
	assert_int_equal(w->status, STATUS_REVOKED); /* R65 */
	assert_false(is_latched());
	world_elapse(501000);
	fake_fetch_answer(0, 200, says(CERTID_SHA1, STATUS_GOOD, 0));
	world_elapse(0);
	assert_int_equal(world_ask(1, CERTID_SHA1)->status, STATUS_GOOD);
}

static void hold_takes_the_other_keys_out_of_service_too(void **state)
{
	struct bytes value;
	struct key k;

	(void)state;
	ask_and_hear(CERTID_SHA256, says(CERTID_SHA256, STATUS_GOOD, 0));
	ask_and_hear(
	    CERTID_SHA1, says(CERTID_SHA1, STATUS_REVOKED, REASON_CERTIFICATE_HOLD));
	world_key(1, CERTID_SHA256, &k);
	assert_null(hot_find(world_shared.hot, key_der(&k)));
	assert_false(fake_store_get(&k, &value));
}

/* R53, T6: contradicting duplicates are never served, and a signed revoked among them is
 * a latch. */
static void contradicting_duplicates_set_the_latch_and_are_not_served(void **state)
{
	struct world_says s = {
	    .serial = 1, .status = STATUS_GOOD, .also = STATUS_REVOKED, .to = 1000};
	struct world_asked *w;

	(void)state;
	ask_and_hear(CERTID_SHA256, says(CERTID_SHA256, STATUS_GOOD, 0));
	w = ask_and_hear(CERTID_SHA1, world_sign(&s));
	assert_int_equal(w->error, ERR_RESP_CONTRADICT);
	assert_true(is_latched());
	w = world_ask(1, CERTID_SHA256); /* its good answer is out of service */
	assert_int_equal(w->answers, 0);
	fake_fetch_fail(0, ERR_UP_CONNECT);
	world_elapse(0);
	assert_int_equal(w->status, STATUS_NONE);
}

static void a_forged_revocation_changes_nothing(void **state)
{
	struct world_says s = {
	    .serial = 1, .status = STATUS_REVOKED, .to = 1000, .forged = true};

	(void)state;
	ask_and_hear(CERTID_SHA256, says(CERTID_SHA256, STATUS_GOOD, 0));
	ask_and_hear(CERTID_SHA1, world_sign(&s));
	assert_false(is_latched());
	assert_int_equal(world_ask(1, CERTID_SHA256)->status, STATUS_GOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		revoked_by_one_hash_algorithm_is_good_by_no_other, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_newer_good_is_refused_after_revoked, begin, end),
	    cmocka_unit_test_setup_teardown(
		the_latch_is_on_disk_and_goes_only_when_it_is_cleared, begin, end),
	    cmocka_unit_test_setup_teardown(
		from_hold_a_certificate_may_come_back, begin, end),
	    cmocka_unit_test_setup_teardown(
		hold_takes_the_other_keys_out_of_service_too, begin, end),
	    cmocka_unit_test_setup_teardown(
		contradicting_duplicates_set_the_latch_and_are_not_served, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_forged_revocation_changes_nothing, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
