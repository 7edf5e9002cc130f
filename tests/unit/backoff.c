/* backoff: pauses that double, their cap, and their spread. */
#include "cache/base/backoff.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* P12: HAProxy's back-off overflows after 26 failures. */
static void the_pause_grows_to_its_cap_and_stays_there(void **state)
{
	static const int64_t want[] = {500, 1000, 2000, 4000, 8000, 10000, 10000};
	struct backoff b = {500, 10000, 10};

	(void)state;
	for (int n = 1; n <= 1000; n++) {
		int64_t ms = want[n > 7 ? 6 : n - 1];

		assert_int_equal(backoff_ms(&b, n, 0), ms / 2);
		assert_int_equal(backoff_ms(&b, n, 65535), ms / 2 + ms);
		assert_in_range(backoff_ms(&b, n, 32768), ms - 1, ms + 1);
	}
	assert_int_equal(backoff_ms(&b, INT_MAX, 0), 5000);
	b.doublings = 2;
	assert_int_equal(backoff_ms(&b, 1000, 0), 1000);
	b.doublings = 0;
	assert_int_equal(backoff_ms(&b, 1000, 0), 250);
	b = (struct backoff){600000, 86400000, INT_MAX};
	assert_int_equal(backoff_ms(&b, 1000, 65535), 86400000 / 2 * 3);
	b.max_ms = 10; /* below initial: the cap wins */
	assert_int_equal(backoff_ms(&b, 1, 0), 5);
}

static void a_step_is_without_chance(void **state)
{
	static const int64_t want[] = {100, 200, 400, 800, 1600, 3200, 5000};
	struct backoff b = {100, 5000, INT_MAX};

	(void)state;
	for (int n = 1; n <= 7; n++)
		assert_int_equal(backoff_step_ms(&b, n), want[n - 1]);
	assert_int_equal(backoff_step_ms(&b, INT_MAX), 5000);
	/* less than one failure counts as one */
	assert_int_equal(backoff_step_ms(&b, 0), 100);
	assert_int_equal(backoff_step_ms(&b, -1), 100);
}

static void who_knows_the_last_pause_doubles_it_up_to_the_cap(void **state)
{
	static const int64_t want[] = {1000, 2000, 4000, 8000, 10000, 10000};
	struct backoff b = {1000, 10000, 0};
	int64_t ms = 0;

	(void)state;
	for (int n = 0; n < 6; n++) {
		ms = backoff_after_ms(&b, ms);
		assert_int_equal(ms, want[n]);
	}
	/* the cap was lowered meanwhile, below what the first would be */
	b.max_ms = 500;
	assert_int_equal(backoff_after_ms(&b, 10000), 500);
	assert_int_equal(backoff_after_ms(&b, 0), 500);
	assert_int_equal(backoff_after_ms(&b, INT64_MAX), 500);
}

static void what_is_spread_is_half_to_one_and_a_half(void **state)
{
	(void)state;
	assert_int_equal(backoff_spread_ms(1000, 0), 500);
	assert_int_equal(backoff_spread_ms(1000, 65535), 1500);
	assert_in_range(backoff_spread_ms(1000, 32768), 999, 1001);
	assert_int_equal(backoff_spread_ms(0, 65535), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_pause_grows_to_its_cap_and_stays_there),
	    cmocka_unit_test(a_step_is_without_chance),
	    cmocka_unit_test(who_knows_the_last_pause_doubles_it_up_to_the_cap),
	    cmocka_unit_test(what_is_spread_is_half_to_one_and_a_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
