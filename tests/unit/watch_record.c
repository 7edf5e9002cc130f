#include "cache/watch/watch_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cache/watch/watched.h"
#include "tests/lib/inventory_kit.h"

static void what_was_encoded_is_read(void **state)
{
	uint8_t names[100], labels[100], out[400];
	struct watch_record r = {.not_before = -5,
				.not_after = WATCH_TIME_NONE,
				.verified = true,
				.names_more = 70000},
			    back;
	struct bytes text;
	size_t n = 0, size;

	(void)state;
	watch_run_add(names, &n, "shop.example", 12);
	watch_run_add(names, &n, "*.shop.example", 14);
	r.names = bytes_of(names, n);
	n = 0;
	watch_run_add(labels, &n, "", 0);
	r.labels = bytes_of(labels, n);
	size = watch_record_encode(&r, out);
	assert_int_equal(size, watch_record_size(&r));
	assert_int_equal(watch_record_decode(&back, bytes_of(out, size)), ERR_OK);
	assert_int_equal(back.not_before, -5);
	assert_int_equal(back.not_after, WATCH_TIME_NONE);
	assert_true(back.verified);
	assert_int_equal(back.names_more, 70000);
	assert_true(watch_run_next(&back.names, &text));
	assert_true(bytes_equal(text, bytes_of("shop.example", 12)));
	assert_true(watch_run_next(&back.names, &text));
	assert_true(bytes_equal(text, bytes_of("*.shop.example", 14)));
	assert_false(watch_run_next(&back.names, &text));
	assert_true(watch_run_next(&back.labels, &text));
	assert_int_equal(text.n, 0);
	assert_int_equal(back.crl.n, 0);
}

static void runs_may_be_made_where_they_belong(void **state)
{
	uint8_t a[200], b[200], text[32];
	struct watch_record r = {.names_more = 1};
	size_t n = 0;

	(void)state;
	watch_run_add(text, &n, "host", 4);
	r.names = bytes_of(text, n);
	memcpy(b + watch_record_runs_at(&r), text, n);
	assert_int_equal(watch_record_encode(&r, a), watch_record_size(&r));
	r.names = bytes_of(b + watch_record_runs_at(&r), n);
	watch_record_encode(&r, b);
	assert_memory_equal(a, b, watch_record_size(&r));
}

/* Who is bare is not asked for. */
static void what_has_neither_names_nor_labels_is_bare(void **state)
{
	const struct serial serial = {.n = 2, .octets = {1, 2}};
	uint8_t text[16];
	size_t n = 0;
	struct watched e;
	struct watch_record r = {.not_after = 77, .verified = true};

	(void)state;
	watch_run_add(text, &n, "x", 1);
	r.crl = bytes_of(text, n);
	watch_record_watched(&r, &serial, &e);
	assert_true(watched_is_bare(&e) && watched_is_verified(&e));
	assert_int_equal(watched_not_after(&e), 77);
	for (int what = 0; what < 3; what++) {
		r = (struct watch_record){.names_more = what == 0};
		if (what == 1)
			r.names = bytes_of(text, n);
		if (what == 2)
			r.labels = bytes_of(text, n);
		watch_record_watched(&r, &serial, &e);
		assert_false(watched_is_bare(&e) || watched_is_verified(&e));
	}
}

/* What is read encodes to the same bytes; every other value is refused. */
static void a_damaged_row_is_refused_or_is_another_one(void **state)
{
	uint8_t names[64], row[256], again[256], *exact;
	struct watch_record r = {.not_before = 1, .not_after = 2, .names_more = 3}, back;
	size_t n = 0, size, refused = 0;

	(void)state;
	watch_run_add(names, &n, "a.example", 9);
	watch_run_add(names, &n, "b.example", 9);
	r.names = r.labels = r.crl = bytes_of(names, n);
	size = watch_record_encode(&r, row);
	for (size_t cut = 0; cut < size; cut++) {
		exact = malloc(cut + 1);
		memcpy(exact, row, cut);
		assert_int_equal(
		    watch_record_decode(&back, bytes_of(exact, cut)), ERR_RECORD);
		free(exact);
	}
	assert_int_equal(watch_record_decode(&back, bytes_of(row, size + 1)), ERR_RECORD);
	for (size_t i = 0; i < size * 8; i++) {
		row[i / 8] ^= (uint8_t)(1u << i % 8);
		if (watch_record_decode(&back, bytes_of(row, size)) == ERR_OK) {
			assert_int_equal(watch_record_encode(&back, again), size);
			assert_memory_equal(row, again, size);
		} else {
			refused++;
		}
		row[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	assert_true(refused > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_encoded_is_read),
	    cmocka_unit_test(runs_may_be_made_where_they_belong),
	    cmocka_unit_test(what_has_neither_names_nor_labels_is_bare),
	    cmocka_unit_test(a_damaged_row_is_refused_or_is_another_one),
	};

	return cmocka_run_group_tests_name("watch_record", tests, NULL, NULL);
}
