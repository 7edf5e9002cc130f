#include "cache/watch/watch_match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/inventory_kit.h"

#define MOST 3000

static struct change changes[CHANGE_BATCH_MAX];
static struct watched entries[MOST];
static struct watch_index built;

static int by_order(const void *a, const void *b)
{
	return crl_order(a, b);
}

/* n of them, sorted; of few shapes (odd), or spread evenly over `span` serials. */
static struct serial some(bool odd, uint64_t span)
{
	return odd ? kit_odd_serial() : kit_wide_serial(kit_random() % span);
}

static void make_changes(size_t n, bool odd, uint64_t span)
{
	memset(changes, 0, n * sizeof changes[0]);
	for (size_t i = 0; i < n; i++) {
		struct serial s = some(odd, span);

		crl_entry_set_serial(&changes[i].entry, &s);
	}
	qsort(changes, n, sizeof changes[0], by_order);
}

/* Returns how many are left when each stands once. */
static size_t make_entries(size_t n, bool odd, uint64_t span)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		struct serial s = some(odd, span);

		watched_set(&entries[i], &s, 0, false);
	}
	qsort(entries, n, sizeof entries[0], by_order);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || crl_order(&entries[kept - 1], &entries[i]) != 0)
			entries[kept++] = entries[i];
	return kept;
}

static const struct watched *naive(const struct change *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (crl_order(c, &entries[i]) == 0)
			return &entries[i];
	return NULL;
}

/* From `from` on, in one go or with a new start at each match. */
static size_t check(size_t changes_n, size_t from, size_t entries_n, bool restart)
{
	const struct watched *e, *want;
	struct watch_match m;
	size_t hits = 0, got;

	watch_match_start(&m, &built, from, entries, entries + entries_n);
	for (size_t i = from; i < changes_n; i++) {
		want = naive(&changes[i], entries_n);
		if (want == NULL)
			continue;
		got = watch_match_next(&m, &e);
		assert_int_equal(got, i);
		assert_ptr_equal(e, want);
		hits++;
		if (restart)
			watch_match_start(
			    &m, &built, i + 1, entries, entries + entries_n);
	}
	assert_int_equal(watch_match_next(&m, NULL), changes_n);
	assert_int_equal(watch_match_next(&m, NULL), changes_n);
	return hits;
}

/* Every proportion of the two, with serials that are spread, and that have most octets
 * in common. */
static void a_gallop_finds_what_looking_at_each_pair_finds(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 15, 200, 1500};
	size_t hits = 0;

	(void)state;
	for (int round = 0; round < 3; round++)
		for (size_t c = 0; c < 6; c++)
			for (size_t e = 0; e < 6; e++)
				for (int odd = 0; odd < 2; odd++) {
					size_t n;

					make_changes(sizes[c], odd, 2000);
					n = make_entries(sizes[e], odd, 2000);
					watch_index_make(&built, changes, sizes[c]);
					assert_true(built.sorted);
					hits += check(sizes[c], 0, n, false);
					check(sizes[c], sizes[c] / 3, n, true);
				}
	assert_true(hits > 5000);
}

/* A CA whose serials end in the same octets: the index tells nothing. */
static void serials_that_end_alike_are_found_too(void **state)
{
	size_t n = 0, hits = 0;
	struct watch_match m;

	(void)state;
	memset(changes, 0, sizeof changes);
	for (uint32_t i = 0; i < CHANGE_BATCH_MAX; i++) {
		struct serial s = {.n = 12, .octets = {1}};

		put_be(s.octets + 1, i, 3); /* and eight that are zero */
		crl_entry_set_serial(&changes[i].entry, &s);
		if (i % 7 == 0 && n < MOST)
			watched_set(&entries[n++], &s, 0, false);
	}
	qsort(changes, CHANGE_BATCH_MAX, sizeof changes[0], by_order);
	qsort(entries, n, sizeof entries[0], by_order);
	watch_index_make(&built, changes, CHANGE_BATCH_MAX);
	watch_match_start(&m, &built, 0, entries, entries + n);
	while (watch_match_next(&m, NULL) < CHANGE_BATCH_MAX)
		hits++;
	assert_int_equal(hits, n);
}

/* Also a list far longer than the changes, and one where each has many: few changes are
 * come to by leaps, many by their bits. */
static void what_is_passed_is_no_match(void **state)
{
	static const uint64_t spans[] = {3001, 100000, 1000000, UINT64_C(1) << 40};
	static const size_t sizes[] = {3, 64, CHANGE_BATCH_MAX};
	size_t hits = 0;

	(void)state;
	for (size_t c = 0; c < sizeof sizes / sizeof sizes[0]; c++)
		for (size_t k = 0; k < sizeof spans / sizeof spans[0]; k++) {
			struct watch_match m;
			size_t n, i, want = 0, got = 0;

			make_changes(sizes[c], false, spans[k]);
			n = make_entries(MOST, false, spans[k]);
			for (i = 0; i < sizes[c]; i++)
				want += bsearch(&changes[i], entries, n,
					    sizeof entries[0], by_order) != NULL;
			watch_index_make(&built, changes, sizes[c]);
			watch_match_start(&m, &built, 0, entries, entries + n);
			for (; watch_match_next(&m, NULL) < sizes[c]; got++)
				;
			assert_int_equal(got, want);
			hits += got;
		}
	assert_true(hits > 3000);
}

/* The same certificate may stand behind itself, in a batch and at the end of one. */
static void a_certificate_that_moved_twice_is_found_twice(void **state)
{
	struct watch_match m;
	size_t n, k;

	(void)state;
	make_changes(400, false, 1000000);
	for (size_t i = 1; i < 400; i += 2)
		changes[i] = changes[i - 1];
	for (n = 0; n < 200; n++) {
		struct serial s;

		crl_entry_serial(&changes[2 * n].entry, &s);
		watched_set(&entries[n], &s, 0, false);
	}
	watch_index_make(&built, changes, 400);
	assert_int_equal(check(400, 0, n, false), 400);
	watch_index_make(&built, changes, 5); /* its last one's second is in the next */
	watch_match_start(&m, &built, 0, entries, entries + n);
	for (k = 0; k < 5; k++)
		assert_int_equal(watch_match_next(&m, NULL), k);
	assert_int_equal(watch_match_next(&m, NULL), 5);
	watch_index_make(&built, changes + 5, 395);
	watch_match_start(&m, &built, 0, m.entry, entries + n);
	for (k = 0; watch_match_next(&m, NULL) < 395; k++)
		;
	assert_int_equal(k, 395);
}

/* The batches of a diff, one after the other: the entries that were passed stay passed.
 */
static void batches_are_gone_through_one_after_the_other(void **state)
{
	const size_t all = 9000, batch = 700;
	size_t n, hits = 0, want = 0;
	const struct watched *at = entries;

	(void)state;
	make_changes(all, false, 20000);
	n = make_entries(MOST, false, 20000);
	for (size_t i = 0; i < all; i++)
		want += naive(&changes[i], n) != NULL;
	for (size_t b = 0; b < all; b += batch) {
		size_t k = all - b < batch ? all - b : batch;
		struct watch_match m;

		watch_index_make(&built, changes + b, k);
		watch_match_start(&m, &built, 0, at, entries + n);
		while (watch_match_next(&m, NULL) < k)
			hits++;
		at = m.entry;
	}
	assert_int_equal(hits, want);
	assert_true(want > 500);
}

/* Nobody relies on the order of a batch that was read from a store (change.h). */
static void changes_in_no_order_are_found_all_the_same(void **state)
{
	size_t n;

	(void)state;
	make_changes(500, false, 800);
	for (size_t i = 0; i < 500; i++) {
		size_t k = kit_random() % 500;
		struct change c = changes[i];

		changes[i] = changes[k];
		changes[k] = c;
	}
	n = make_entries(500, false, 800);
	watch_index_make(&built, changes, 500);
	assert_false(built.sorted);
	assert_true(check(500, 0, n, false) > 100);
	check(500, 123, n, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_gallop_finds_what_looking_at_each_pair_finds),
	    cmocka_unit_test(serials_that_end_alike_are_found_too),
	    cmocka_unit_test(what_is_passed_is_no_match),
	    cmocka_unit_test(a_certificate_that_moved_twice_is_found_twice),
	    cmocka_unit_test(batches_are_gone_through_one_after_the_other),
	    cmocka_unit_test(changes_in_no_order_are_found_all_the_same),
	};

	return cmocka_run_group_tests_name("watch_match", tests, NULL, NULL);
}
