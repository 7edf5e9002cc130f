#include "proxy/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void the_wall_clock_agrees_with_time(void **state)
{
	int64_t before = time(NULL);
	int64_t now = clock_now();
	int64_t ms = clock_now_ms();

	(void)state;
	/* time() is the coarse clock: it may lag a tick behind. */
	assert_in_range(now, before, time(NULL) + 1);
	assert_in_range(ms / 1000, now, now + 1);
}

static void the_monotonic_clock_moves_forward(void **state)
{
	int64_t us = clock_mono_us();
	int64_t ms = clock_mono_ms();

	(void)state;
	usleep(2000);
	assert_true(clock_mono_us() >= us + 2000);
	assert_true(clock_mono_ms() >= ms + 1);
}

static void a_clock_that_was_set_stands(void **state)
{
	(void)state;
	clock_set(1795328880, 5000);
	usleep(2000);
	assert_int_equal(clock_now(), 1795328880);
	assert_int_equal(clock_now_ms(), INT64_C(1795328880000));
	assert_int_equal(clock_mono_ms(), 5000);
	assert_int_equal(clock_mono_us(), 5000000);
	clock_set(-1, 5001);
	assert_int_equal(clock_now(), -1);
	assert_int_equal(clock_mono_ms(), 5001);
}

/* Expected values: date -u -d @N +%FT%TZ. */
static void a_time_is_written_as_rfc_3339_has_it(void **state)
{
	char text[CLOCK_TEXT_MAX];

	(void)state;
	assert_true(clock_text(1795328880, text));
	assert_string_equal(text, "2026-11-22T06:28:00Z");
	assert_true(clock_text(-1, text));
	assert_string_equal(text, "1969-12-31T23:59:59Z");
	assert_false(clock_text(INT64_MAX, text));
}

int main(void)
{
	/* The last case leaves the clock standing: it has to stay the last. */
	const struct CMUnitTest cases[] = {
	    cmocka_unit_test(the_wall_clock_agrees_with_time),
	    cmocka_unit_test(the_monotonic_clock_moves_forward),
	    cmocka_unit_test(a_time_is_written_as_rfc_3339_has_it),
	    cmocka_unit_test(a_clock_that_was_set_stands),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
