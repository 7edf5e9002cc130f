/* When a webhook is tried again: the schedule of webhook-retry, what receivers ask for,
 * and the end.  And how many are tried at once. */
#include "proxy/push/hook_turn.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "proxy/push/hook_seats.h"

#define MIDDLE 32768 /* as long as it is written */
#define NOW    1700000000

/* The default of webhook-retry. */
static const int64_t steps[] = {5000, 300000, 1800000, 7200000, 18000000, 36000000};
static const struct hook_retry retry = {steps, 6};
static const struct hook_answer taken = {HOOK_TAKEN, 0}, failed = {HOOK_FAILED, 0},
				gone = {HOOK_GONE, 0};

/* In seconds. */
static int64_t wait_after(
    struct hook_turn *t, const struct hook_answer *a, int64_t at_s, unsigned random)
{
	const struct hook_moment m = {NOW + at_s, 1000 * at_s, random};

	assert_int_equal(hook_turn_ended(t, a, &retry, &m), HOOK_WAITS);
	assert_false(hook_turn_may(t, t->next_ms - 1));
	assert_true(hook_turn_may(t, t->next_ms));
	return (t->next_ms - 1000 * at_s + 500) / 1000;
}

static void waits_are_those_of_the_option_and_the_last_repeats(void **state)
{
	static const int64_t s[] = {5, 300, 1800, 7200, 18000, 36000, 36000, 36000};
	struct hook_turn t = {0};
	int64_t at = 0;

	(void)state;
	assert_true(hook_turn_may(&t, 0));
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(wait_after(&t, &failed, at, MIDDLE), s[i]);
		at += s[i];
	}
}

static void waits_are_spread(void **state)
{
	struct hook_turn a = {0}, b = {0};

	(void)state;
	assert_in_range(wait_after(&a, &failed, 0, 0), 2, 3);
	assert_in_range(wait_after(&b, &failed, 0, 65535), 7, 8);
}

static void a_success_begins_anew(void **state)
{
	const struct hook_moment m = {NOW, 0, MIDDLE};
	struct hook_turn t = {0};

	(void)state;
	wait_after(&t, &failed, 0, MIDDLE);
	wait_after(&t, &failed, 0, MIDDLE);
	assert_int_equal(hook_turn_ended(&t, &taken, &retry, &m), HOOK_GOES_ON);
	assert_true(hook_turn_may(&t, 0));
	assert_int_equal(t.failing_at, 0);
	assert_int_equal(wait_after(&t, &failed, 0, MIDDLE), 5);
}

static void who_asks_for_more_time_has_it(void **state)
{
	const struct hook_answer busy = {HOOK_FAILED, 60}, hardly = {HOOK_FAILED, 1};
	struct hook_turn t = {0};

	(void)state;
	assert_int_equal(wait_after(&t, &hardly, 0, MIDDLE), 5);
	t = (struct hook_turn){0};
	assert_int_equal(wait_after(&t, &busy, 0, MIDDLE), 60);
	assert_int_equal(wait_after(&t, &busy, 0, MIDDLE), 300);
}

static enum hook_goes ended_at(
    struct hook_turn *t, const struct hook_answer *a, int64_t s)
{
	const struct hook_moment m = {NOW + s, 1000 * s, MIDDLE};

	return hook_turn_ended(t, a, &retry, &m);
}

static void five_days_of_failures_are_the_end(void **state)
{
	struct hook_turn t = {0};

	(void)state;
	assert_int_equal(ended_at(&t, &failed, 0), HOOK_WAITS);
	assert_int_equal(ended_at(&t, &failed, 120 * 3600 - 1), HOOK_WAITS);
	assert_int_equal(ended_at(&t, &failed, 120 * 3600), HOOK_GIVEN_UP);
	t = (struct hook_turn){0};
	assert_int_equal(ended_at(&t, &failed, 0), HOOK_WAITS);
	assert_int_equal(ended_at(&t, &taken, 119 * 3600), HOOK_GOES_ON);
	assert_int_equal(ended_at(&t, &failed, 121 * 3600), HOOK_WAITS);
}

static void gone_is_the_end_at_once(void **state)
{
	struct hook_turn t = {0};

	(void)state;
	assert_int_equal(ended_at(&t, &gone, 0), HOOK_GIVEN_UP);
}

/* By the wall clock: what was before a step is forgotten, not added up. */
static void a_clock_that_is_put_back_gives_nobody_up(void **state)
{
	struct hook_turn t = {0};

	(void)state;
	assert_int_equal(ended_at(&t, &failed, 1000000), HOOK_WAITS);
	assert_int_equal(ended_at(&t, &failed, 0), HOOK_WAITS);
	assert_int_equal(ended_at(&t, &failed, 119 * 3600), HOOK_WAITS);
	assert_int_equal(ended_at(&t, &failed, 120 * 3600), HOOK_GIVEN_UP);
}

/* T22: a thousand of which half hang: those that are well never wait for them. */
static void who_hangs_costs_the_others_nothing(void **state)
{
	struct hook_seats s = {0};
	struct hook_seat hanging[500] = {{0}}, well[64] = {{0}};
	size_t n = 0;

	(void)state;
	for (int turn = 0; turn < 8; turn++) {
		while (n < 500 && hook_seat_take(&s, &hanging[n], true))
			n++;
		for (size_t i = 0; i < 64; i++)
			assert_true(hook_seat_take(&s, &well[i], false));
		for (size_t i = 0; i < 64; i++)
			hook_seat_give(&s, &well[i]);
		for (size_t i = 0; i < n; i++)
			hook_seat_slow(&s, &hanging[i]);
	}
	assert_int_equal(n, 500); /* all were tried, in as many ticks */
	for (size_t i = 0; i < 500; i++)
		hook_seat_give(&s, &hanging[i]);
	assert_int_equal(s.quick + s.doubted + s.slow, 0);
}

static void places_are_bounded(void **state)
{
	static struct hook_seat of[HOOK_QUICK + HOOK_SLOW + 1];
	struct hook_seats s = {0};
	struct hook_seat one = {0};
	size_t n = 0;

	(void)state;
	while (n < HOOK_SLOW) {
		assert_true(hook_seat_take(&s, &of[n], true));
		hook_seat_slow(&s, &of[n++]);
	}
	assert_false(hook_seat_take(&s, &one, true));
	while (hook_seat_take(&s, &of[n], false))
		hook_seat_slow(&s, &of[n++]); /* there is no place: it stays quick */
	assert_int_equal(n, HOOK_SLOW + HOOK_QUICK);
	hook_seat_give(&s, &of[0]);
	assert_false(hook_seat_take(&s, &one, false));
	hook_seat_slow(&s, &of[n - 1]);
	assert_true(hook_seat_take(&s, &one, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(waits_are_those_of_the_option_and_the_last_repeats),
	    cmocka_unit_test(waits_are_spread),
	    cmocka_unit_test(a_success_begins_anew),
	    cmocka_unit_test(who_asks_for_more_time_has_it),
	    cmocka_unit_test(five_days_of_failures_are_the_end),
	    cmocka_unit_test(gone_is_the_end_at_once),
	    cmocka_unit_test(a_clock_that_is_put_back_gives_nobody_up),
	    cmocka_unit_test(who_hangs_costs_the_others_nothing),
	    cmocka_unit_test(places_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
