/* ari_pace: politely, evenly, and never early (RFC 9773 section 4.3, R147). */
#include "proxy/watch/ari_pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW    INT64_C(1800000000)
#define HOUR   3600
#define DAY    86400
#define MOST   65535u
#define SECOND INT64_C(1000000)

static const struct ari_bounds bounds = {60, DAY};

static void no_more_than_the_rate_and_two_at_a_time(void **state)
{
	struct ari_pace p = {0};
	int64_t wait_us;

	(void)state;
	assert_true(ari_pace_may(&p, 0, NOW, &wait_us));
	ari_pace_asks(&p, 5 * SECOND, 2);
	assert_false(ari_pace_may(&p, 5 * SECOND, NOW, &wait_us));
	assert_int_equal(wait_us, SECOND / 2);
	assert_true(ari_pace_may(&p, 5 * SECOND + SECOND / 2, NOW, &wait_us));
	ari_pace_asks(&p, 6 * SECOND, 2);
	assert_false(ari_pace_may(&p, 60 * SECOND, NOW, &wait_us));
	assert_int_equal(wait_us, 0); /* an answer has to come */
	ari_pace_answered(&p);
	assert_true(ari_pace_may(&p, 60 * SECOND, NOW, &wait_us));
	/* a minute of nothing is no claim to 120 questions */
	ari_pace_asks(&p, 60 * SECOND, 2);
	ari_pace_answered(&p);
	assert_false(ari_pace_may(&p, 60 * SECOND, NOW, &wait_us));
}

static void a_ca_that_says_stop_is_left_alone(void **state)
{
	struct ari_pace p = {0};
	int64_t wait_us;

	(void)state;
	ari_pace_halt(&p, 300, NOW, &bounds);
	assert_false(ari_pace_may(&p, 0, NOW + 300, &wait_us));
	assert_int_equal(wait_us, SECOND);
	assert_true(ari_pace_may(&p, 0, NOW + 301, &wait_us));
	ari_pace_halt(&p, 1, NOW, &bounds);
	assert_false(ari_pace_may(&p, 0, NOW + 60, &wait_us));
	ari_pace_halt(&p, 10 * DAY, NOW, &bounds);
	assert_true(ari_pace_may(&p, 0, NOW + 1 + DAY, &wait_us));
	ari_pace_halt(&p, -1, NOW, &bounds);
	assert_false(ari_pace_may(&p, 0, NOW + 60, &wait_us));
}

static void what_came_of_it(void **state)
{
	(void)state;
	assert_int_equal(ari_outcome(200, true), ARI_ANSWERED);
	assert_int_equal(ari_outcome(200, false), ARI_FAILED);
	assert_int_equal(ari_outcome(404, false), ARI_NOT_FOUND);
	assert_int_equal(ari_outcome(429, true), ARI_HALT);
	assert_int_equal(ari_outcome(503, false), ARI_HALT);
	assert_int_equal(ari_outcome(500, true), ARI_FAILED);
	assert_int_equal(ari_outcome(301, true), ARI_FAILED);
	assert_int_equal(ari_outcome(0, false), ARI_FAILED);
}

/* RFC 9110 section 10.2.3; the date is section 5.6.7's, by GNU date 784111777. */
static void retry_after_is_seconds_or_a_date(void **state)
{
	(void)state;
	assert_int_equal(ari_retry_after("120", NOW), 120);
	assert_int_equal(ari_retry_after("0", NOW), 0);
	assert_true(ari_retry_after("99999999999999999999", NOW) > DAY);
	assert_int_equal(
	    ari_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111777 - 21600), 21600);
	assert_int_equal(ari_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", NOW), 0);
	assert_int_equal(ari_retry_after("", NOW), -1);
	assert_int_equal(ari_retry_after("-5", NOW), -1);
	assert_int_equal(ari_retry_after("1h", NOW), -1);
}

static int64_t wait_after(
    struct ari_state *s, enum ari_outcome outcome, int64_t retry_after, unsigned chance)
{
	ari_pace_next(s, outcome, retry_after, NOW, &bounds, chance);
	assert_int_equal(s->asked_at, NOW);
	return s->next_at - NOW - 1; /* NOW is somewhere in its second */
}

/* R147 */
static void nothing_is_asked_early(void **state)
{
	static const unsigned chance[] = {0, 1, 32768, MOST};

	(void)state;
	for (size_t i = 0; i < sizeof chance / sizeof chance[0]; i++)
		for (int64_t after = 60; after <= DAY; after += 977) {
			struct ari_state s = {0};

			for (int round = 0; round < 3; round++) {
				int64_t wait =
				    wait_after(&s, ARI_ANSWERED, after, chance[i]);

				assert_true(wait >= after);
				assert_true(wait <= 2 * after);
				assert_true(wait <= DAY + DAY / 20);
			}
		}
}

/* R147: one minute to one day; without a word six hours. */
static void the_cas_word_counts_within_bounds(void **state)
{
	struct ari_state s = {.asked_at = 1};

	(void)state;
	assert_int_equal(wait_after(&s, ARI_ANSWERED, 0, 0), 60);
	assert_int_equal(wait_after(&s, ARI_ANSWERED, 30 * DAY, 0), DAY);
	assert_int_equal(wait_after(&s, ARI_ANSWERED, -1, 0), 6 * HOUR);
	assert_int_equal(wait_after(&s, ARI_HALT, 600, 0), 600);
	assert_int_equal(wait_after(&s, ARI_NOT_FOUND, 600, 0), DAY);
}

/* Those of one PUT: asked one after the other at first, spread over the round then. */
static void the_second_question_spreads_them_over_the_round(void **state)
{
	struct ari_state s = {0};

	(void)state;
	assert_int_equal(wait_after(&s, ARI_ANSWERED, 6 * HOUR, MOST), 12 * HOUR);
	assert_int_equal(
	    wait_after(&s, ARI_ANSWERED, 6 * HOUR, MOST), 6 * HOUR + 6 * HOUR / 20);
	s = (struct ari_state){0};
	assert_int_equal(wait_after(&s, ARI_ANSWERED, 20 * HOUR, MOST), 24 * HOUR);
	s = (struct ari_state){0};
	assert_int_equal(wait_after(&s, ARI_ANSWERED, 6 * HOUR, 0), 6 * HOUR);
}

static void failures_are_tried_again_soon_and_then_each_six_hours(void **state)
{
	struct ari_state s = {.asked_at = 1};

	(void)state;
	assert_int_equal(wait_after(&s, ARI_FAILED, -1, 0), 60);
	assert_int_equal(wait_after(&s, ARI_FAILED, -1, 0), 120);
	assert_int_equal(wait_after(&s, ARI_FAILED, 5, 0), 240);
	for (int i = 0; i < 60; i++)
		wait_after(&s, ARI_FAILED, -1, 0);
	assert_int_equal(wait_after(&s, ARI_FAILED, -1, 0), 6 * HOUR);
	assert_int_equal(s.failures, 64);
	assert_int_equal(wait_after(&s, ARI_ANSWERED, 600, 0), 600);
	assert_int_equal(s.failures, 0);
}

static void a_round_that_takes_too_long_is_behind(void **state)
{
	struct ari_state asked = {.asked_at = NOW - 2 * DAY, .next_at = NOW - DAY},
			 fresh = {.next_at = NOW - DAY / 2},
			 halted = {.asked_at = NOW - 2 * DAY, .next_at = NOW + 1};

	(void)state;
	assert_true(ari_is_behind(&asked, NOW, &bounds));
	assert_false(ari_is_behind(&fresh, NOW, &bounds)); /* new: not for a day yet */
	fresh.next_at = NOW - 2 * DAY;
	assert_true(ari_is_behind(&fresh, NOW, &bounds));
	assert_false(ari_is_behind(&halted, NOW, &bounds));
	asked.asked_at = NOW - DAY;
	assert_false(ari_is_behind(&asked, NOW, &bounds));
	/* it was let be for a month, and its turn has come a second ago */
	asked = (struct ari_state){.asked_at = NOW - 30 * DAY, .next_at = NOW - 1};
	assert_false(ari_is_behind(&asked, NOW, &bounds));
	asked.next_at = NOW - DAY;
	assert_true(ari_is_behind(&asked, NOW, &bounds));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_more_than_the_rate_and_two_at_a_time),
	    cmocka_unit_test(a_ca_that_says_stop_is_left_alone),
	    cmocka_unit_test(what_came_of_it),
	    cmocka_unit_test(retry_after_is_seconds_or_a_date),
	    cmocka_unit_test(nothing_is_asked_early),
	    cmocka_unit_test(the_cas_word_counts_within_bounds),
	    cmocka_unit_test(the_second_question_spreads_them_over_the_round),
	    cmocka_unit_test(failures_are_tried_again_soon_and_then_each_six_hours),
	    cmocka_unit_test(a_round_that_takes_too_long_is_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
