#include "proxy/base/calm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proxy/base/clock.h"

#define START INT64_C(1750000000)
#define DAY   INT64_C(86400)
#define KEEP  (400 * DAY)

static struct calm calm;
static int64_t wall, mono; /* seconds */

/* Time passes, the wall clock is stepped as well, and somebody looks. */
static int64_t after(int64_t s, int64_t step)
{
	wall += s + step;
	mono += s;
	clock_set(wall, mono * 1000);
	return calm_look(&calm, KEEP, CALM_MS);
}

/* The verdict then: KEEP before so long ago. */
static void expect(int64_t s, int64_t step, int64_t ago)
{
	int64_t before = after(s, step);

	assert_int_equal(before, wall - ago - KEEP);
}

static int begin(void **state)
{
	(void)state;
	calm = (struct calm){0};
	wall = START;
	mono = 5000;
	return 0;
}

static void nothing_goes_for_a_day_and_then_what_two_looks_found_old(void **state)
{
	(void)state;
	for (int hour = 0; hour < 24; hour++)
		assert_int_equal(after(hour > 0 ? 3600 : 0, 0), INT64_MIN);
	assert_int_equal(after(3600, 0), START + DAY - 3600 - KEEP);
	assert_int_equal(after(3600, 0), START + DAY - KEEP);
}

/* T20.  Started at +500 d, and right a second later. */
static void what_the_start_took_for_old_stays(void **state)
{
	(void)state;
	wall += 500 * DAY;
	assert_int_equal(after(0, 0), INT64_MIN);
	assert_int_equal(after(3600, -500 * DAY), INT64_MIN);
	for (int hour = 1; hour < 24; hour++)
		assert_int_equal(after(3600, 0), INT64_MIN);
	expect(3600, 0, 3600);
}

/* T20 */
static void ten_days_ahead_for_a_minute_delete_nothing(void **state)
{
	(void)state;
	for (int day = 0; day < 10; day++)
		after(DAY, 0);
	assert_int_equal(after(60, 10 * DAY), INT64_MIN); /* looked at in that minute */
	assert_int_equal(after(60, -10 * DAY), INT64_MIN);
	assert_int_equal(after(DAY - 60, 0), INT64_MIN);
	expect(60, 0, 60);
}

static void a_step_that_is_gone_at_the_next_look_is_none(void **state)
{
	(void)state;
	after(0, 0);
	after(DAY, 0);
	clock_set(wall + 500 * DAY, (mono + 10) * 1000); /* nobody looks */
	expect(60, 0, 60);
}

/* A leap second, a machine that slept for a moment: no step.  What it adds up to is. */
static void small_steps_are_borne_until_they_add_up(void **state)
{
	(void)state;
	after(0, 0);
	after(DAY, 0);
	expect(60, 59, 60 + 59);
	assert_int_equal(after(60, 2), INT64_MIN);
}

/* A clock that goes back takes its verdict back, too. */
static void the_earlier_of_two_verdicts_counts(void **state)
{
	(void)state;
	after(0, 0);
	after(DAY, 0);
	after(60, 0);
	expect(10, -40, 0);
}

static void the_hold_is_the_callers(void **state)
{
	(void)state;
	clock_set(wall, mono * 1000);
	assert_int_equal(calm_look(&calm, 0, 3600000), INT64_MIN);
	clock_set(wall + 3599, (mono + 3599) * 1000);
	assert_int_equal(calm_look(&calm, 0, 3600000), INT64_MIN);
	clock_set(wall + 3600, (mono + 3600) * 1000);
	assert_int_equal(calm_look(&calm, 0, 3600000), wall + 3599);
}

#define CASE(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(nothing_goes_for_a_day_and_then_what_two_looks_found_old),
	    CASE(what_the_start_took_for_old_stays),
	    CASE(ten_days_ahead_for_a_minute_delete_nothing),
	    CASE(a_step_that_is_gone_at_the_next_look_is_none),
	    CASE(small_steps_are_borne_until_they_add_up),
	    CASE(the_earlier_of_two_verdicts_counts),
	    CASE(the_hold_is_the_callers),
	};

	return cmocka_run_group_tests_name("calm", tests, NULL, NULL);
}
