#include "proxy/base/timer.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/time.h>

#include <cmocka.h>

static void count(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	++*(int *)arg;
}

/* Milliseconds until it runs, by libevent's own word. */
static int64_t left_ms(struct event *timer)
{
	struct timeval at, now;

	assert_int_equal(evtimer_pending(timer, &at), EV_TIMEOUT);
	gettimeofday(&now, NULL);
	return ((int64_t)at.tv_sec - now.tv_sec) * 1000 +
	       (at.tv_usec - now.tv_usec) / 1000;
}

static void it_runs_when_it_was_put(void **state)
{
	struct event_base *base = event_base_new();
	int runs = 0;
	struct event *timer = evtimer_new(base, count, &runs);
	/* with part of a second, whole seconds, and more of them than 32 bits of us have
	 */
	static const int64_t ms[] = {90500, 60000, INT64_C(30) * 86400 * 1000 + 7};

	(void)state;
	for (size_t i = 0; i < sizeof ms / sizeof ms[0]; i++) {
		assert_true(timer_arm(timer, ms[i])); /* instead of the one before */
		assert_in_range(left_ms(timer), ms[i] - 30000, ms[i] + 30000);
	}
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(runs, 0);
	event_free(timer);
	event_base_free(base);
}

static void what_is_past_comes_with_the_next_turn_and_not_before(void **state)
{
	struct event_base *base = event_base_new();
	int runs = 0;
	struct event *timer = evtimer_new(base, count, &runs);
	static const int64_t ms[] = {0, -1, -5000, INT64_MIN};

	(void)state;
	for (size_t i = 0; i < sizeof ms / sizeof ms[0]; i++) {
		assert_true(timer_arm(timer, ms[i]));
		assert_int_equal(runs, (int)i);
		event_base_loop(base, EVLOOP_ONCE);
		assert_int_equal(runs, (int)i + 1);
	}
	event_free(timer);
	event_base_free(base);
}

static void one_that_persists_comes_back(void **state)
{
	struct event_base *base = event_base_new();
	int runs = 0;
	struct event *timer = event_new(base, -1, EV_PERSIST, count, &runs);

	(void)state;
	assert_true(timer_arm(timer, 1));
	while (runs < 3)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_true(evtimer_pending(timer, NULL));
	event_free(timer);
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_runs_when_it_was_put),
	    cmocka_unit_test(what_is_past_comes_with_the_next_turn_and_not_before),
	    cmocka_unit_test(one_that_persists_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
