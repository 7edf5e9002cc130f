/* Many at once are told what each would be told by itself. */
#include "cache/watch/inventory_many.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/inventory_kit.h"

#define LISTS 9
#define CAS   3 /* numbers 1, 2 and 3; lists have nothing of 4 */

/* Serials of one shape: spread, odd, counting up in the last octets, alike in those. */
static struct serial any_serial(int shape, size_t range)
{
	uint64_t i = kit_random() % range;
	struct serial s = {.n = 12, .octets = {1}};

	if (shape == 0)
		return kit_wide_serial(i);
	if (shape == 1)
		return kit_odd_serial();
	put_be(shape == 2 ? s.octets + 8 : s.octets + 1, i, 4);
	return s;
}

static int by_order(const void *a, const void *b)
{
	return crl_order(a, b);
}

static struct watch_list *any_list(size_t number, int shape, size_t n, size_t range)
{
	static struct watched e[4000];
	struct watch_list *l;
	char name[16];

	snprintf(name, sizeof name, "list%zu", number);
	l = watch_list_new(name, WATCH_API, 1, CAS * n);
	assert_non_null(l);
	for (uint32_t ca = 1; ca <= CAS; ca++) {
		for (size_t i = 0; i < n; i++) {
			struct serial s = any_serial(shape, range);

			watched_set(&e[i], &s, (int64_t)(kit_random() % 1000),
			    kit_random() % 2 == 0);
			watched_set_point(&e[i], (uint16_t)(kit_random() % 3));
		}
		qsort(e, n, sizeof e[0], by_order);
		for (size_t i = 0; i < n; i++)
			if (i == 0 || crl_order(&e[i - 1], &e[i]) != 0)
				assert_true(watch_list_add(l, ca, &e[i]));
	}
	return l;
}

/* Lists of no, few and many certificates, of which they share some. */
static const struct inventory *any_inventory(int shape, size_t range)
{
	static const size_t sizes[] = {0, 1, 40, 400, 4000};
	const struct inventory *v = inventory_ref(&inventory_none), *w;

	for (size_t i = 0; i < LISTS; i++) {
		struct watch_list *l = any_list(i, shape, sizes[i % 5], range);

		w = inventory_with(v, l, &watch_cas_none, &watch_points_none);
		assert_non_null(w);
		inventory_unref(v);
		watch_list_unref(l);
		v = w;
	}
	return v;
}

/* In slices of every length. */
static void look(struct inventory_many *m, const struct inventory *v, uint32_t ca)
{
	size_t left = 0;

	inventory_many_begin(m, v, ca);
	do {
		assert_int_equal(left, 0);
		left = 1 + kit_random() % (kit_random() % 2 == 0 ? 50 : 50000);
	} while (!inventory_many_go_on(m, &left));
}

/* What CAs 1 and `more` have of it, together. */
static void check(const struct inventory *v, uint32_t more, const struct serial *s,
    const struct watched *e)
{
	struct watched want, other;
	bool found = inventory_find(v, 1, s, &want);

	if (inventory_find(v, more, s, &other)) {
		if (found)
			watched_join(&want, &other);
		else
			want = other;
		found = true;
	}
	assert_int_equal(e != NULL, found);
	if (found)
		assert_memory_equal(e, &want, sizeof want);
}

static void ask(struct inventory_many *m, const struct inventory *v, int shape, size_t n,
    size_t range)
{
	static struct serial s[3000];
	uint32_t more = 2 + (uint32_t)(kit_random() % 3);

	inventory_many_clear(m);
	for (size_t i = 0; i < n; i++) {
		s[i] = i > 0 && kit_random() % 8 == 0 ? s[kit_random() % i]
						      : any_serial(shape, range);
		assert_true(inventory_many_add(m, &s[i]));
	}
	assert_int_equal(inventory_many_count(m), n);
	look(m, v, 1);
	look(m, v, more);
	for (size_t i = 0; i < n; i++)
		check(v, more, &s[i], inventory_many_at(m, i));
}

/* Few are searched for and many are met; lists of either kind are in each inventory. */
static void many_are_told_what_each_would_be(void **state)
{
	static const size_t batches[] = {0, 1, 7, 99, 101, 3000};
	struct inventory_many *m = inventory_many_new();

	(void)state;
	assert_non_null(m);
	for (int shape = 0; shape < 4; shape++)
		for (size_t range = 1000; range <= 30000; range *= 30) {
			const struct inventory *v = any_inventory(shape, range);

			for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++)
				ask(m, v, shape, batches[i], range);
			inventory_unref(v);
		}
	inventory_many_free(m);
	inventory_many_free(NULL);
}

/* A slice is no longer than it may be: by a search for each key, and by reading. */
static void a_slice_ends(void **state)
{
	struct watch_list *l = any_list(0, 0, 4000, 1u << 30);
	const struct inventory *v =
	    inventory_with(&inventory_none, l, &watch_cas_none, &watch_points_none);
	struct inventory_many *m = inventory_many_new();
	size_t slices = 0, left;

	(void)state;
	for (uint64_t i = 0; i < 200; i++) {
		struct serial s = kit_wide_serial(i);

		assert_true(inventory_many_add(m, &s));
	}
	inventory_many_begin(m, v, 1);
	do {
		left = 500;
		slices++;
	} while (!inventory_many_go_on(m, &left));
	assert_in_range(slices, 4000 / 500, 4000 / 500 + 200 * 50 / 500 + 200 * 16 / 500);
	inventory_many_free(m);
	inventory_unref(v);
	watch_list_unref(l);
}

/* More lists make larger batches worth it, up to what one may have. */
static void what_is_worth_it_has_an_end(void **state)
{
	const struct inventory *v = any_inventory(0, 1000);

	(void)state;
	assert_true(inventory_many_worth(&inventory_none) > 0);
	assert_true(inventory_many_worth(v) > inventory_many_worth(&inventory_none));
	assert_true(inventory_many_worth(v) <= INVENTORY_MANY_MAX);
	inventory_unref(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(many_are_told_what_each_would_be),
	    cmocka_unit_test(a_slice_ends),
	    cmocka_unit_test(what_is_worth_it_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
