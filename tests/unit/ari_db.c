/* ari_state, ari_db: what is known of renewal information outlives us, and who is next.
 */
#include "tests/lib/faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/watch/ari_db.h"
#include "tests/lib/store_kit.h"

#define SIZE ((size_t)16 << 20)

static char *dir;
static struct ari_db *db;
static char why[8192];

static int setup(void **state)
{
	(void)state;
	dir = kit_directory();
	return ari_db_open(&db, dir, SIZE, why, sizeof why);
}

static int teardown(void **state)
{
	(void)state;
	ari_db_close(db);
	db = NULL;
	kit_remove(dir);
	return 0;
}

static void reopen(void)
{
	ari_db_close(db);
	assert_int_equal(ari_db_open(&db, dir, SIZE, why, sizeof why), ERR_OK);
}

static struct ari_who who(uint8_t ca, uint32_t number)
{
	struct ari_who w = {.aki_n = 20, .serial.n = 4};

	memset(w.aki, ca, w.aki_n);
	put_be(w.serial.octets, number, 4);
	return w;
}

static uint32_t number(const struct ari_who *w)
{
	return (uint32_t)get_be(w->serial.octets, 4);
}

static const struct ari_state full = {
    .known = {.seen = true,
	.ordinary = true,
	.noticed = true,
	.start = -5,
	.page = 0xfedcba9876543210},
    .untold = true,
    .asked_at = 1735790400,
    .next_at = INT64_C(1) << 40,
    .start = 1735790401,
    .end = 1735790402,
    .failures = 0xffffffff,
    .url = "https://ca.example/incident",
    .error = "503: tr\xc3\xa8s occup\xc3\xa9",
};

static void same(const struct ari_state *a, const struct ari_state *b)
{
	assert_int_equal(a->known.seen, b->known.seen);
	assert_int_equal(a->known.ordinary, b->known.ordinary);
	assert_int_equal(a->known.noticed, b->known.noticed);
	assert_int_equal(a->untold, b->untold);
	assert_int_equal(a->known.start, b->known.start);
	assert_int_equal(a->known.page, b->known.page);
	assert_int_equal(a->asked_at, b->asked_at);
	assert_int_equal(a->next_at, b->next_at);
	assert_int_equal(a->start, b->start);
	assert_int_equal(a->end, b->end);
	assert_int_equal(a->failures, b->failures);
	assert_string_equal(a->url, b->url);
	assert_string_equal(a->error, b->error);
}

static void a_state_is_read_as_it_was_written(void **state)
{
	static const struct ari_state none;
	struct ari_state longest = full, back;
	uint8_t out[ARI_STATE_MAX];
	size_t n;

	(void)state;
	memset(longest.url, 'u', sizeof longest.url - 1);
	memset(longest.error, 'e', sizeof longest.error - 1);
	n = ari_state_encode(&longest, out);
	assert_true(n <= sizeof out);
	assert_int_equal(ari_state_decode(&back, bytes_of(out, n)), ERR_OK);
	same(&back, &longest);
	n = ari_state_encode(&none, out);
	assert_int_equal(ari_state_decode(&back, bytes_of(out, n)), ERR_OK);
	same(&back, &none);
}

static void every_octet_of_a_state_is_checked(void **state)
{
	uint8_t out[ARI_STATE_MAX + 1];
	struct ari_state back;
	size_t n = ari_state_encode(&full, out);

	(void)state;
	for (size_t i = 0; i < n; i++) /* cut off anywhere */
		assert_int_equal(ari_state_decode(&back, bytes_of(out, i)), ERR_RECORD);
	assert_int_equal(ari_state_decode(&back, bytes_of(out, n + 1)), ERR_RECORD);
	out[0]++; /* another version */
	assert_int_equal(ari_state_decode(&back, bytes_of(out, n)), ERR_RECORD);
	out[0]--;
	out[1] |= 16; /* a flag that nobody has given a meaning */
	assert_int_equal(ari_state_decode(&back, bytes_of(out, n)), ERR_RECORD);
	out[1] &= 15;
	out[n - 1] = 0xc3; /* half a character */
	assert_int_equal(ari_state_decode(&back, bytes_of(out, n)), ERR_RECORD);
	out[n - 1] = 0;
	assert_int_equal(ari_state_decode(&back, bytes_of(out, n)), ERR_RECORD);
}

static void put_at(uint8_t ca, uint32_t serial, int64_t next_at)
{
	struct ari_state s = {.next_at = next_at};
	struct ari_row row = {.who = who(ca, serial), .state = &s};

	assert_int_equal(ari_db_put(db, &row, 1), ERR_OK);
}

static void drop(uint8_t ca, uint32_t serial)
{
	struct ari_row row = {.who = who(ca, serial)};

	assert_int_equal(ari_db_put(db, &row, 1), ERR_OK);
}

/* "3 1 " of whose time has come, and when the next one's does. */
static const char *due(uint8_t ca, int64_t now, size_t max, int64_t *next_at)
{
	static char text[200];
	struct ari_who out[8], w = who(ca, 0);
	size_t n;
	int at = 0;

	text[0] = '\0';
	assert_int_equal(
	    ari_db_due(db, ari_who_aki(&w), now, out, max, &n, next_at), ERR_OK);
	for (size_t i = 0; i < n; i++)
		at +=
		    snprintf(text + at, sizeof text - (size_t)at, "%u ", number(&out[i]));
	return text;
}

static void they_come_by_their_time_and_their_ca(void **state)
{
	int64_t next_at;

	(void)state;
	assert_string_equal(due(1, 1000, 8, &next_at), "");
	assert_true(next_at == INT64_MAX);
	put_at(1, 10, 300);
	put_at(1, 11, 100);
	put_at(1, 12, INT64_C(1) << 33); /* after 2106 */
	put_at(2, 13, 50);
	put_at(1, 14, -1); /* before 1970: at once */
	assert_string_equal(due(1, 99, 8, &next_at), "14 ");
	assert_int_equal(next_at, 100);
	assert_string_equal(due(1, 300, 8, &next_at), "14 11 10 ");
	assert_int_equal(next_at, INT64_C(1) << 33);
	assert_string_equal(due(1, 300, 2, &next_at), "14 11 ");
	assert_int_equal(next_at, 300);
	assert_string_equal(due(2, 300, 8, &next_at), "13 ");
	put_at(1, 11, 400); /* asked: it has one place, and that is another */
	drop(1, 14);
	assert_string_equal(due(1, 300, 8, &next_at), "10 ");
	reopen();
	assert_string_equal(due(1, 400, 8, &next_at), "10 11 ");
}

static void what_is_there_stays_where_only_new_ones_are_wanted(void **state)
{
	struct ari_state s = {.next_at = 7}, got;
	struct ari_row rows[2] = {{.who = who(1, 1), .state = &s, .if_new = true},
	    {.who = who(1, 2), .state = &s, .if_new = true}};
	int64_t next_at;

	(void)state;
	put_at(1, 1, 1000);
	assert_int_equal(ari_db_put(db, rows, 2), ERR_OK);
	assert_string_equal(due(1, 1000, 8, &next_at), "2 1 ");
	assert_int_equal(ari_db_get(db, &rows[0].who, &got), ERR_OK);
	assert_int_equal(got.next_at, 1000);
	rows[0].who = who(1, 3);
	assert_int_equal(ari_db_get(db, &rows[0].who, &got), ERR_NOT_FOUND);
}

static void who_is_under_a_notice_is_found_again(void **state)
{
	struct ari_row row = {.state = &full};
	struct ari_who out[2], w = who(1, 0);
	struct ari_state s;
	size_t n;

	(void)state;
	for (uint32_t i = 1; i <= 3; i++) {
		row.who = who(1, i);
		assert_int_equal(ari_db_put(db, &row, 1), ERR_OK);
	}
	put_at(1, 4, 5);
	reopen();
	assert_int_equal(ari_db_noticed(db, ari_who_aki(&w), NULL, out, 2, &n), ERR_OK);
	assert_int_equal(n, 2);
	assert_int_equal(number(&out[1]), 2);
	assert_int_equal(
	    ari_db_noticed(db, ari_who_aki(&w), &out[1], out, 2, &n), ERR_OK);
	assert_int_equal(n, 1);
	assert_int_equal(number(&out[0]), 3);
	assert_int_equal(ari_db_get(db, &out[0], &s), ERR_OK);
	same(&s, &full);
	put_at(1, 3, 5); /* it was withdrawn */
	drop(1, 2);
	assert_int_equal(ari_db_noticed(db, ari_who_aki(&w), NULL, out, 2, &n), ERR_OK);
	assert_int_equal(n, 1);
	w = who(2, 0);
	assert_int_equal(ari_db_noticed(db, ari_who_aki(&w), NULL, out, 2, &n), ERR_OK);
	assert_int_equal(n, 0);
}

static void a_full_file_takes_what_goes(void **state)
{
	enum { ROWS = 1000 };
	struct ari_state s = full;
	struct ari_row row[ROWS];
	enum err e = ERR_OK;
	uint32_t next = 0;
	int64_t next_at;

	(void)state;
	ari_db_close(db);
	assert_int_equal(ari_db_open(&db, dir, (size_t)1 << 20, why, sizeof why), ERR_OK);
	while (e == ERR_OK) {
		for (size_t i = 0; i < ROWS; i++)
			row[i] = (struct ari_row){.who = who(1, next + i), .state = &s};
		e = ari_db_put(db, row, ROWS);
		next += e == ERR_OK ? ROWS : 0;
		assert_true(next < 100000);
	}
	assert_int_equal(e, ERR_STORE_FULL);
	ari_db_why(db, why, sizeof why);
	assert_non_null(strstr(why, "ari.mdb: it is full; raise watch-size"));
	assert_true(next > 0);
	for (size_t i = 0; i < ROWS; i++)
		row[i] = (struct ari_row){.who = who(1, i)};
	assert_int_equal(ari_db_put(db, row, ROWS), ERR_OK);
	due(1, 0, 8, &next_at);
	put_at(1, 0, 1);
}

/* A file that is not ours, or was damaged, is told with its remedy. */
static void what_is_no_file_of_ours_is_refused(void **state)
{
	char path[4200];
	FILE *f;

	(void)state;
	put_at(1, 1, 1);
	ari_db_close(db);
	snprintf(path, sizeof path, "%s/ari.mdb", dir);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(ari_db_open(&db, dir, SIZE, why, sizeof why), ERR_STORE);
	assert_null(db);
	assert_non_null(strstr(why, "remove it: certificates are asked for anew"));
	f = fopen(path, "w");
	assert_non_null(f);
	for (int i = 0; i < 20000; i++)
		fputc('x', f);
	fclose(f);
	assert_int_equal(ari_db_open(&db, dir, SIZE, why, sizeof why), ERR_STORE);
	assert_non_null(strstr(why, path));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ari_db_open(&db, dir, SIZE, why, sizeof why), ERR_OK);
}

/* Memory or the disk fails at each place once: the next life has the row of before, or
 * the new one, and goes on. */
static void what_fails_loses_no_row(void **state)
{
	static const enum fault kinds[] = {
	    FAULT_MEMORY, FAULT_DISK_FULL, FAULT_DISK_ERROR};
	struct ari_state s = full, read;
	struct ari_who w = who(1, 7);
	struct ari_row row = {.who = w, .state = &s};
	int failed = 0;

	(void)state;
	assert_int_equal(ari_db_put(db, &row, 1), ERR_OK);
	for (size_t kind = 0; kind < 3; kind++) {
		unsigned long n = 0, calls;

		do {
			int64_t before = s.asked_at;
			enum err e;

			s.asked_at++;
			faults_arm(kinds[kind], ++n, 1);
			e = ari_db_put(db, &row, 1);
			calls = faults_disarm();
			failed += e != ERR_OK;
			if (e != ERR_OK)
				reopen(); /* LMDB wants that after some */
			assert_int_equal(ari_db_get(db, &w, &read), ERR_OK);
			if (e == ERR_OK || read.asked_at != before)
				assert_int_equal(read.asked_at, s.asked_at);
			s.asked_at = read.asked_at;
		} while (calls >= n && n < 100);
	}
	assert_true(failed > 2);
	assert_int_equal(ari_db_put(db, &row, 1), ERR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_state_is_read_as_it_was_written),
	    cmocka_unit_test(every_octet_of_a_state_is_checked),
	    cmocka_unit_test_setup_teardown(
		they_come_by_their_time_and_their_ca, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		what_is_there_stays_where_only_new_ones_are_wanted, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		who_is_under_a_notice_is_found_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_full_file_takes_what_goes, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		what_is_no_file_of_ours_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_fails_loses_no_row, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
