/* Entries: their order, their memory. */
#include "cache/crl/crl_entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int by_serial(const void *a, const void *b)
{
	return crl_entry_cmp(a, b);
}

/* Serials of every shape that a CA, or an attacker, may choose, against qsort(). */
static void sorting_does_not_depend_on_the_serials(void **state)
{
	enum { COUNT = 60000 };
	struct crl_entry *e, *copy;
	size_t mapped, mapped_copy;

	(void)state;
	e = crl_entries_new(COUNT, &mapped);
	copy = crl_entries_new(COUNT, &mapped_copy);
	assert_non_null(e);
	assert_non_null(copy);
	for (int shape = 0; shape < 7; shape++) {
		memset(e, 0, COUNT * sizeof *e);
		for (size_t i = 0; i < COUNT; i++) {
			uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
			struct serial s = {.n = SERIAL_MAX};

			memset(s.octets, 0x11, sizeof s.octets);
			/* where the three octets that differ are; 6: nowhere but n */
			if (shape < 6)
				for (int k = 0; k < 3; k++)
					s.octets[18 - 3 * shape + k] =
					    (uint8_t)(x >> (40 + 8 * k));
			else
				s.n = (uint8_t)(1 + x % SERIAL_MAX);
			if (shape == 6)
				memset(s.octets, 0, sizeof s.octets);
			crl_entry_set_serial(&e[i], &s);
		}
		memcpy(copy, e, COUNT * sizeof *e);
		qsort(copy, COUNT, sizeof *copy, by_serial);
		{
			size_t n = crl_entries_sort(e, COUNT), kept = 1;

			for (size_t i = 1; i < COUNT; i++)
				if (crl_entry_cmp(&copy[kept - 1], &copy[i]) != 0)
					copy[kept++] = copy[i];
			assert_int_equal(n, kept);
			assert_memory_equal(e, copy, n * sizeof *e);
		}
	}
	assert_int_equal(crl_entries_sort(e, 0), 0);
	assert_int_equal(crl_entries_sort(e, 1), 1);
	crl_entries_free(e, mapped);
	crl_entries_free(copy, mapped_copy);
	crl_entries_free(NULL, 0);
}

static void the_first_of_several_equal_entries_is_found(void **state)
{
	size_t mapped;
	struct crl_entry *e = crl_entries_new(300, &mapped), key = {0};

	(void)state;
	assert_non_null(e);
	for (size_t i = 0; i < 300; i++) {
		struct serial s = {1, {(uint8_t)(1 + i / 3)}};

		crl_entry_set_serial(&e[i], &s);
		e[i].shard[1] = (uint8_t)(i % 3);
	}
	for (size_t n = 0; n <= 300; n += 3)
		for (size_t i = 0; i < 100; i++) {
			struct serial s = {1, {(uint8_t)(1 + i)}};
			const struct crl_entry *found;

			crl_entry_set_serial(&key, &s);
			found = crl_entries_find(e, n, &key);
			assert_ptr_equal(found, 3 * i < n ? &e[3 * i] : NULL);
		}
	crl_entries_free(e, mapped);
}

static void an_entry_keeps_dates_before_1970(void **state)
{
	static const int64_t table[] = {0, -1, 1, -631152000, INT64_C(253402300799)};
	struct crl_entry e = {0};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		crl_entry_set_at(&e, table[i]);
		assert_int_equal(crl_entry_at(&e), table[i]);
		assert_int_equal(e.reason, 0);
	}
}

static void a_mapping_grows_and_shrinks(void **state)
{
	size_t mapped;
	struct crl_entry *e = crl_entries_new(10, &mapped);

	(void)state;
	assert_non_null(e);
	e[9].n = 9;
	assert_true(crl_entries_resize(&e, 200000, &mapped));
	assert_true(mapped >= 200000 * sizeof *e);
	assert_int_equal(e[9].n, 9);
	assert_int_equal(e[199999].n, 0);
	assert_true(crl_entries_resize(&e, 10, &mapped));
	assert_int_equal(e[9].n, 9);
	assert_false(crl_entries_resize(&e, SIZE_MAX / 32, &mapped));
	assert_int_equal(e[9].n, 9);
	crl_entries_free(e, mapped);
	assert_null(crl_entries_new(SIZE_MAX / 32, &mapped));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sorting_does_not_depend_on_the_serials),
	    cmocka_unit_test(the_first_of_several_equal_entries_is_found),
	    cmocka_unit_test(an_entry_keeps_dates_before_1970),
	    cmocka_unit_test(a_mapping_grows_and_shrinks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
