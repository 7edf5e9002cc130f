/* due: the heap of times. */
#include "proxy/base/due.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define N 500

/* Against a plain search, over a long mix of all that can be done. */
static void the_earliest_is_always_first(void **state)
{
	struct due e[N];
	bool in[N] = {false};
	struct dues d = {0};
	uint32_t x = 1;

	(void)state;
	for (int step = 0; step < 20000; step++) {
		int64_t want = INT64_MAX;
		size_t i;

		x = x * 1664525 + 1013904223;
		i = (x >> 8) % N;
		if (!in[i])
			assert_true(dues_add(&d, &e[i], x >> 20));
		else if ((x & 0xff) < 100)
			dues_remove(&d, &e[i]);
		else
			dues_move(&d, &e[i], x % 7 == 0 ? INT64_MAX : x >> 20);
		in[i] = !in[i] || (x & 0xff) >= 100;
		for (size_t k = 0, n = 0; k < N; k++) {
			n += in[k];
			if (in[k] && e[k].at_ms < want)
				want = e[k].at_ms;
			if (k == N - 1)
				assert_int_equal(d.n, n);
		}
		assert_int_equal(dues_next(&d), want);
		if (d.n > 0)
			assert_int_equal(dues_first(&d)->at_ms, want);
	}
	dues_free(&d);
	assert_null(dues_first(&d));
	assert_int_equal(dues_next(&d), INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_earliest_is_always_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
