/* clock_watch: steps of the wall clock, found against the monotonic one. */
#include "proxy/base/clock_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/metrics.h"

#define NOW   INT64_C(1900000000)
#define ALARM 5000

/* T20: a step of either direction is found, and told from alarm_ms on; time that passes
 * on both clocks is none. */
static void steps_are_found_and_the_large_ones_told(void **state)
{
	struct counters *c = metrics_thread();
	struct clock_watch w;

	(void)state;
	log_setup(LEVEL_ERROR, LOG_FORMAT_LOGFMT, 0);
	clock_set(NOW, 1000);
	clock_watch_begin(&w);
	clock_set(NOW + 60, 61000);
	assert_int_equal(clock_watch_look(&w, ALARM, c), 0);
	clock_set(NOW + 64, 61000);
	assert_int_equal(clock_watch_look(&w, ALARM, c), 4000);
	assert_int_equal(metrics_sum(M_CLOCK_STEPS), 0);
	clock_set(NOW + 59, 61000);
	assert_int_equal(clock_watch_look(&w, ALARM, c), -5000);
	assert_int_equal(metrics_sum(M_CLOCK_STEPS), 1);
	clock_set(NOW + 3659, 61000);
	assert_int_equal(clock_watch_look(&w, ALARM, c), 3600000);
	assert_int_equal(metrics_sum(M_CLOCK_STEPS), 2);
	assert_int_equal(clock_watch_look(&w, ALARM, c), 0);
	metrics_reset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(steps_are_found_and_the_large_ones_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
