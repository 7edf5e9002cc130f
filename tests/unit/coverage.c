/* Rounds over what is watched, and what the keeper makes of them. */
#include "proxy/watch/coverage.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/base/alarms.h"
#include "proxy/base/clock.h"
#include "tests/lib/watch_house.h"

#define MANY  20000   /* more than two slices */
#define ALIVE 3000000 /* its serial is the thousandth of its end, in the year 2065 */

static struct watch_house h;
static struct coverage *c;

static int set_up(void **state)
{
	(void)state;
	alarms_reset();
	watch_house_begin(&h, 64u << 20);
	c = coverage_new(&h.context);
	assert_non_null(c);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	coverage_free(c);
	watch_house_end(&h);
	alarms_reset();
	return 0;
}

static char said[200];

static void see(void *arg, const struct alarm_seen *s)
{
	(void)arg;
	if (s->alarm == ALARM_NOT_CONFIGURED)
		snprintf(said, sizeof said, "%s", s->detail);
}

static void put(const char *name, unsigned from, unsigned n)
{
	assert_int_equal(watch_house_put(&h, LEDGER_PUT, name, from, n, true), ERR_OK);
}

/* What stands of the stranger's certificates; "" for nothing. */
static const char *alarm_now(void)
{
	said[0] = '\0';
	assert_true(alarms_each(see, NULL));
	return said;
}

static void turns(int64_t ms)
{
	int64_t end = clock_mono_ms() + ms;

	do {
		struct timeval soon = {0, 1000};

		event_base_loopexit(h.context.base, &soon);
		event_base_loop(h.context.base, 0);
	} while (clock_mono_ms() < end);
}

/* Turns until the keeper says this. */
static void wait_for(const char *text)
{
	int64_t end = clock_mono_ms() + 20000;

	while (strcmp(alarm_now(), text) != 0 && clock_mono_ms() < end)
		turns(1);
	assert_string_equal(said, text);
}

static void what_is_watched_is_counted(void **state)
{
	(void)state;
	put("a", ALIVE, MANY);
	put("b", ALIVE + 10, 20);
	put("old", 1, 50); /* ended */
	turns(20);
	assert_string_equal(alarm_now(), ""); /* held */
	coverage_hold(c, shared_conf(&h.shared));
	coverage_go(c);
	wait_for("watched certificates: 20000");
}

/* Changes that come together are one round, a moment later. */
static void a_change_is_looked_at_after_a_while(void **state)
{
	int64_t start;

	(void)state;
	put("a", ALIVE, 3);
	coverage_hold(c, shared_conf(&h.shared));
	coverage_go(c);
	wait_for("watched certificates: 3");
	start = clock_mono_ms();
	put("a", ALIVE, 4);
	coverage_changed(c);
	put("b", ALIVE + 100, 4);
	coverage_changed(c);
	wait_for("watched certificates: 8");
	assert_true(clock_mono_ms() - start >= COVERAGE_DELAY_MS - 1);
}

/* It is another one's then, and the keeper would take it for what it is not. */
static void a_hold_gives_up_what_is_under_way(void **state)
{
	(void)state;
	put("a", ALIVE, MANY);
	coverage_hold(c, NULL);
	coverage_go(c);
	event_base_loop(h.context.base, EVLOOP_ONCE);
	coverage_hold(c, shared_conf(&h.shared));
	turns(50);
	assert_string_equal(alarm_now(), "");
	coverage_go(c);
	wait_for("watched certificates: 20000");
	coverage_hold(c, NULL); /* nobody's configuration: the keeper passes it over */
	put("b", ALIVE + MANY, 1);
	coverage_go(c);
	turns(100);
	assert_string_equal(alarm_now(), "watched certificates: 20000");
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    cmocka_unit_test_setup_teardown(
		what_is_watched_is_counted, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_change_is_looked_at_after_a_while, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_hold_gives_up_what_is_under_way, set_up, tear_down),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
