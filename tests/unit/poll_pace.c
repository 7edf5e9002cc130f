/* poll_pace: evenly, round and round, and what is told when it is not. */
#include "proxy/keeper/poll_pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define INTERVAL INT64_C(100000000) /* us */

static struct poll_pace p;

static int begin(void **state)
{
	(void)state;
	p = (struct poll_pace){0};
	return 0;
}

static bool set(size_t all, size_t most, int64_t now)
{
	const struct poll_count count = {.all = all, .most = most};

	return poll_pace_set(&p, &count, INTERVAL, now, 0);
}

static void the_distance_is_the_interval_shared_out(void **state)
{
	(void)state;
	assert_true(set(100, 100, 5000));
	assert_false(set(100, 100, 6000));
	assert_int_equal(p.due_us, 5000);
	poll_pace_next(&p, INTERVAL, 0);
	assert_int_equal(p.due_us, 5000 + 1000000);
	poll_pace_next(&p, INTERVAL, 65535);
	assert_in_range(p.due_us, 5000 + 1900000, 5000 + 1900010);
	assert_int_equal(poll_pace_late_us(&p, 5000), 0);
	assert_int_equal(poll_pace_late_us(&p, p.due_us + 7), 7);
}

static void another_number_changes_the_distance_alone(void **state)
{
	(void)state;
	set(1, 1, 0);
	poll_pace_next(&p, INTERVAL, 0);
	assert_int_equal(p.due_us, INTERVAL);
	assert_false(set(1000, 1000, 10));
	assert_int_equal(p.due_us, 10 + INTERVAL / 1000);
	assert_false(set(1, 1, 20));
	assert_int_equal(p.due_us, 10 + INTERVAL / 1000);
	assert_false(set(0, 0, 30));
	assert_int_equal(poll_pace_late_us(&p, 1 << 30), 0);
	assert_true(set(1, 1, 40)); /* it begins anew */
}

/* A whole round over the same lists tells how many certificates they have. */
static void a_round_teaches_how_many_there_are(void **state)
{
	(void)state;
	set(300, 100, 0);
	assert_int_equal(p.n, 300);
	for (int i = 0; i < 50; i++)
		poll_pace_next(&p, INTERVAL, 0);
	poll_pace_round(&p, 1000); /* it began in the middle */
	set(300, 100, 1000);
	assert_int_equal(p.n, 300);
	for (int i = 0; i < 150; i++)
		poll_pace_next(&p, INTERVAL, 0);
	poll_pace_round(&p, 2000);
	set(300, 100, 2000);
	assert_int_equal(p.n, 150);
	set(301, 200, 2000); /* other lists */
	assert_int_equal(p.n, 301);
}

static void a_round_that_is_late_is_told_once_and_not_made_up_for(void **state)
{
	(void)state;
	set(10, 10, 0);
	poll_pace_round(&p, 0);
	assert_false(poll_pace_tells(&p, INTERVAL, INTERVAL)); /* late, but not over */
	for (int i = 0; i < 10; i++)
		poll_pace_next(&p, INTERVAL, 0);
	assert_false(poll_pace_tells(&p, INTERVAL, INTERVAL + 1)); /* over, hardly late */
	assert_true(poll_pace_tells(&p, INTERVAL, 2 * INTERVAL));
	assert_false(poll_pace_tells(&p, INTERVAL, 3 * INTERVAL));
	poll_pace_round(&p, 3 * INTERVAL);
	assert_int_equal(p.due_us, 3 * INTERVAL);
	assert_false(poll_pace_tells(&p, INTERVAL, 4 * INTERVAL));
	assert_true(poll_pace_tells(&p, INTERVAL, 4 * INTERVAL + 1));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
	    T(the_distance_is_the_interval_shared_out),
	    T(another_number_changes_the_distance_alone),
	    T(a_round_teaches_how_many_there_are),
	    T(a_round_that_is_late_is_told_once_and_not_made_up_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
