#include "proxy/base/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct key key_of(uint16_t number)
{
	static const uint8_t hash[CERTID_HASH_MAX];
	struct serial s = {3, {1, (uint8_t)(number >> 8), (uint8_t)number}};
	struct key k;

	key_make(&k, CERTID_SHA256, hash, hash, &s);
	return k;
}

static void keys_come_out_in_the_order_of_their_time(void **state)
{
	struct schedule *s = schedule_new(3);
	struct key k;
	int64_t at, last = -1;

	(void)state;
	for (uint16_t i = 0; i < 2000; i++) {
		k = key_of(i);
		assert_int_equal(schedule_set(s, &k, (i * 7919) % 2003), ERR_OK);
	}
	assert_int_equal(schedule_count(s), 2000);
	assert_false(schedule_take(s, -1, &k, &at));
	while (schedule_take(s, 10000, &k, &at)) {
		assert_true(at >= last);
		last = at;
	}
	assert_int_equal(schedule_count(s), 0);
	assert_int_equal(schedule_next(s), INT64_MAX);
	schedule_free(s);
}

static void setting_a_key_again_moves_it(void **state)
{
	struct schedule *s = schedule_new(3);
	struct key a = key_of(1), b = key_of(2), k;
	int64_t at;

	(void)state;
	schedule_set(s, &a, 100);
	schedule_set(s, &b, 200);
	schedule_set(s, &a, 300);
	assert_int_equal(schedule_count(s), 2);
	assert_int_equal(schedule_next(s), 200);
	assert_true(schedule_due(s, &a, &at));
	assert_int_equal(at, 300);
	assert_true(schedule_take(s, 250, &k, &at));
	assert_true(key_equal(&k, &b));
	assert_false(schedule_take(s, 250, &k, &at));
	schedule_free(s);
}

static void a_cancelled_key_is_forgotten_and_the_others_keep_their_order(void **state)
{
	struct schedule *s = schedule_new(3);
	int64_t at, last = -1;
	struct key k;
	int n = 0;

	(void)state;
	for (uint16_t i = 0; i < 500; i++) {
		k = key_of(i);
		schedule_set(s, &k, (i * 31) % 500);
	}
	for (uint16_t i = 0; i < 500; i += 3) {
		k = key_of(i);
		assert_true(schedule_cancel(s, &k));
		assert_false(schedule_cancel(s, &k));
		assert_false(schedule_due(s, &k, &at));
	}
	for (; schedule_take(s, 10000, &k, &at); n++) {
		assert_true(at >= last);
		last = at;
	}
	assert_int_equal(n, 500 - 167);
	schedule_free(s);
}

/* R143: Half of validity, in ms; no jitter. */
static void a_refresh_is_due_at_the_set_share_of_validity(void **state)
{
	(void)state;
	assert_int_equal(
	    schedule_refresh_at(0, 1000000, 0, 50, 0, 1000, 1000000000, 0), 500000);
	assert_int_equal(
	    schedule_refresh_at(0, 1000000, 0, 75, 0, 1000, 1000000000, 0), 750000);
}

static void jitter_moves_it_to_both_sides_and_not_further(void **state)
{
	(void)state;
	assert_int_equal(
	    schedule_refresh_at(0, 1000000, 0, 50, 10, 1000, 1000000000, 0), 400000);
	for (unsigned r = 0; r < 65536; r += 97) {
		int64_t at =
		    schedule_refresh_at(0, 1000000, 0, 50, 10, 1000, 1000000000, r);

		assert_in_range(at, 400000, 600000);
	}
}

/* A responder that hands out one answer for its whole life must not be asked each second.
 */
static void past_the_middle_the_tries_come_closer_but_never_below_the_minimum(
    void **state)
{
	int64_t now = 600000, last = 0, at;

	(void)state;
	for (; now < 1000000 - 2000; now = at) {
		at = schedule_refresh_at(0, 1000000, now, 50, 0, 1000, 1000000000, 0);
		assert_true(at >= now + 1000 || at == 999999);
		assert_true(last == 0 || at - now <= last);
		last = at - now;
	}
}

/* T5: nextUpdate in the year 9999 does not put the refresh off for ever, nor overflow. */
static void absurd_validity_is_capped(void **state)
{
	int64_t to = INT64_C(253402300799000), day = 86400000;
	int64_t at = schedule_refresh_at(0, to, 1000, 50, 10, 1000, 4 * day, 65535);

	(void)state;
	assert_in_range(at, day, 5 * day);
}

static void it_is_never_after_the_end(void **state)
{
	(void)state;
	assert_true(schedule_refresh_at(0, 1500, 1000, 50, 0, 1000, 100000, 0) < 1500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_come_out_in_the_order_of_their_time),
	    cmocka_unit_test(setting_a_key_again_moves_it),
	    cmocka_unit_test(
		a_cancelled_key_is_forgotten_and_the_others_keep_their_order),
	    cmocka_unit_test(a_refresh_is_due_at_the_set_share_of_validity),
	    cmocka_unit_test(jitter_moves_it_to_both_sides_and_not_further),
	    cmocka_unit_test(
		past_the_middle_the_tries_come_closer_but_never_below_the_minimum),
	    cmocka_unit_test(absurd_validity_is_capped),
	    cmocka_unit_test(it_is_never_after_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
