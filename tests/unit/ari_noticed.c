/* ari_noticed: which certificates a CA announces now. */
#include "cache/watch/ari_noticed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/inventory_kit.h"

static struct ari_who who(struct serial s)
{
	return (struct ari_who){.aki_n = 1, .serial = s};
}

static struct crl_entry entry_of(struct serial s)
{
	struct crl_entry e;

	memset(&e, 0, sizeof e);
	crl_entry_set_serial(&e, &s);
	return e;
}

/* Of two CAs with the same serials, in a mixed order, against a search through all. */
static void each_is_found_and_nobody_else(void **state)
{
	enum { N = 300 };
	struct ari_noticed *t = ari_noticed_new();
	struct serial serial[N];
	struct ari_state s = {.start = 1};
	size_t n;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		struct ari_who w = who(serial[i] = kit_odd_serial());

		snprintf(s.url, sizeof s.url, i % 3 == 0 ? "" : "https://ca.example/%zu",
		    i % 3);
		s.end = (int64_t)i;
		if (i % 2 == 0)
			assert_true(ari_noticed_add(t, 1 + i % 4 / 2, &w, &s));
	}
	ari_noticed_sort(t);
	assert_int_equal(t->n, N / 2);
	assert_int_equal(t->urls_n, 3);
	for (size_t i = 0; i < N; i++)
		for (uint32_t ca = 0; ca <= 3; ca++) {
			struct crl_entry e = entry_of(serial[i]);
			const struct ari_notice *found = ari_noticed_find(t, ca, &e);
			bool there = false;

			for (size_t k = 0; k < N; k += 2)
				there =
				    there || (1 + k % 4 / 2 == ca &&
						 serial_equal(&serial[k], &serial[i]));
			assert_int_equal(found != NULL, there);
		}
	assert_non_null(ari_noticed_of(t, 1, &n));
	assert_int_equal(n, N / 4);
	assert_null(ari_noticed_of(t, 3, &n));
	assert_int_equal(n, 0);
	ari_noticed_unref(t);
}

static void what_is_said_of_it_stays_with_it(void **state)
{
	struct ari_noticed *t = ari_noticed_new();
	struct ari_state s = {.start = 5, .end = 6, .url = "https://ca.example/"};
	struct serial one = kit_wide_serial(1), two = kit_wide_serial(2);
	struct ari_who w = who(one);
	struct crl_entry e = entry_of(one);
	const struct ari_notice *n;

	(void)state;
	assert_true(ari_noticed_add(t, 9, &w, &s));
	s = (struct ari_state){.start = 7, .end = 8};
	w = who(two);
	assert_true(ari_noticed_add(t, 9, &w, &s));
	ari_noticed_sort(t);
	n = ari_noticed_find(t, 9, &e);
	assert_non_null(n);
	assert_int_equal(n->start, 5);
	assert_int_equal(n->end, 6);
	assert_string_equal(ari_noticed_url(t, n), "https://ca.example/");
	e = entry_of(two);
	n = ari_noticed_find(t, 9, &e);
	assert_string_equal(ari_noticed_url(t, n), "");
	ari_noticed_unref(t);
}

static void none_is_a_value(void **state)
{
	struct crl_entry e = entry_of(kit_wide_serial(1));

	(void)state;
	assert_null(ari_noticed_find(&ari_noticed_none, 1, &e));
	ari_noticed_unref(ari_noticed_ref(&ari_noticed_none));
	ari_noticed_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_is_found_and_nobody_else),
	    cmocka_unit_test(what_is_said_of_it_stays_with_it),
	    cmocka_unit_test(none_is_a_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
