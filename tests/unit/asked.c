/* asked, and how it is kept: when a client last asked for what is watched. */
#include "cache/watch/asked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cache/watch/watch_asked.h"
#include "tests/lib/inventory_kit.h"
#include "tests/lib/store_kit.h"

#define NOON 30000000u /* a minute of 2027 */

static struct asked_table *t;
static uint16_t house;

static int begin(void **state)
{
	(void)state;
	t = asked_new(7);
	assert_non_null(t);
	house = asked_issuer(t, "house");
	assert_int_not_equal(house, 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	asked_free(t);
	return 0;
}

static struct serial number(uint32_t n)
{
	struct serial s = {5, {1}};

	put_be(s.octets + 1, n, 4);
	return s;
}

static struct asked_row row_of(uint32_t n, uint32_t minute)
{
	return (struct asked_row){
	    .issuer = house, .own = true, .minute = minute, .serial = number(n)};
}

static void note(uint32_t n, uint32_t minute)
{
	struct asked_row r = row_of(n, minute);

	assert_true(asked_note(t, &r));
}

static uint32_t find(uint32_t n)
{
	struct serial s = number(n);

	return asked_find(t, house, &s);
}

static void drop(uint32_t n)
{
	struct serial s = number(n);

	asked_drop(t, house, &s);
}

static size_t due(struct asked_row *out)
{
	return asked_due(t, out, 16);
}

static void who_was_never_asked_for_has_no_time(void **state)
{
	struct serial s = number(1);
	uint16_t other = asked_issuer(t, "other");

	(void)state;
	note(1, NOON);
	assert_int_equal(find(1), NOON);
	assert_int_equal(find(2), 0);
	assert_int_not_equal(other, house);
	assert_int_equal(asked_find(t, other, &s), 0);
	assert_int_equal(asked_issuer(t, "house"), house);
	assert_int_equal(asked_issuer_find(t, "nobody"), 0);
	assert_string_equal(asked_issuer_name(t, house), "house");
}

static void a_time_never_goes_back(void **state)
{
	(void)state;
	note(1, NOON);
	note(1, NOON - 1);
	assert_int_equal(find(1), NOON);
	note(1, NOON + 1);
	assert_int_equal(find(1), NOON + 1);
	assert_int_equal(asked_count(t), 1);
}

static void each_is_written_once_an_hour(void **state)
{
	struct asked_row out[16];

	(void)state;
	assert_false(asked_is_due(t));
	note(1, NOON);
	note(1, NOON + 3);
	assert_true(asked_is_due(t));
	assert_int_equal(due(out), 1);
	assert_int_equal(out[0].minute, NOON + 3); /* as it is now */
	assert_true(out[0].own);
	for (uint32_t m = 4; m < 3 + ASKED_EACH; m++)
		note(1, NOON + m);
	assert_false(asked_is_due(t));
	assert_int_equal(due(out), 0);
	note(1, NOON + 3 + ASKED_EACH);
	assert_int_equal(due(out), 1);
	assert_int_equal(out[0].minute, NOON + 3 + ASKED_EACH);
}

static void what_was_read_is_written_already(void **state)
{
	struct asked_row r = row_of(1, NOON), out[16];

	(void)state;
	assert_true(asked_load(t, &r));
	assert_int_equal(find(1), NOON);
	assert_int_equal(due(out), 0);
	note(1, NOON + ASKED_EACH - 1);
	assert_int_equal(due(out), 0);
	note(1, NOON + ASKED_EACH);
	assert_int_equal(due(out), 1);
}

/* What another node noted is kept, and not told on. */
static void the_last_one_says_whose_it_is(void **state)
{
	struct asked_row r = row_of(1, NOON + 1), out[16];

	(void)state;
	note(1, NOON);
	r.own = false;
	assert_true(asked_note(t, &r));
	assert_int_equal(due(out), 1);
	assert_false(out[0].own);
}

static void who_is_dropped_is_gone_and_may_come_back(void **state)
{
	struct asked_row out[16];

	(void)state;
	note(1, NOON);
	note(2, NOON);
	drop(1);
	drop(3);
	assert_int_equal(find(1), 0);
	assert_int_equal(asked_count(t), 1);
	assert_int_equal(due(out), 1);
	assert_true(out[0].serial.octets[4] == 2);
	note(1, NOON - 5);
	assert_int_equal(find(1), NOON - 5);
	assert_int_equal(due(out), 1);
}

static void thousands_are_found_and_walked_through(void **state)
{
	enum { MANY = 20000 };
	struct asked_row out[100];
	static bool seen[MANY];
	size_t place = 0, n, all = 0;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		note(i, NOON + i);
	for (uint32_t i = 0; i < MANY; i += 2)
		drop(i);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(find(i), i % 2 == 0 ? 0 : NOON + i);
	while ((n = asked_walk(t, &place, out, 100)) > 0) {
		for (size_t i = 0; i < n; i++) {
			seen[out[i].minute - NOON] = true;
			all++;
		}
	}
	assert_int_equal(all, MANY / 2);
	for (uint32_t i = 1; i < MANY; i += 2)
		assert_true(seen[i]);
	/* come and gone for ever: the table does not grow by it */
	for (uint32_t i = 0; i < 10 * MANY; i++) {
		note(MANY + i, NOON);
		drop(MANY + i);
	}
	assert_int_equal(asked_count(t), MANY / 2);
}

static void issuers_are_as_many_as_there_are(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "ca-%d", i);
		assert_int_equal(asked_issuer(t, name), i + 2);
	}
	assert_int_equal(asked_issuer_find(t, "ca-2999"), 3001);
	assert_string_equal(asked_issuer_name(t, 3001), "ca-2999");
}

/* The file. */

struct loaded {
	size_t n, most;
	struct watch_asked row[8];
};

static bool on_loaded(void *arg, const struct watch_asked *row)
{
	struct loaded *l = arg;

	if (l->n == l->most)
		return false;
	l->row[l->n++] = *row;
	return true;
}

static struct watch_db *open_db(const char *dir)
{
	struct watch_db *db;
	char why[512];

	assert_int_equal(
	    watch_db_open(&db, dir, (size_t)16 << 20, why, sizeof why), ERR_OK);
	return db;
}

static void the_file_keeps_it_over_restarts(void **state)
{
	struct watch_asked rows[] = {{"house", number(1), NOON}, {"house", number(2), 7},
	    {"house-2", number(1), NOON + 9}};
	char *dir = kit_directory();
	struct watch_db *db = open_db(dir);
	struct loaded l = {.most = 8};

	(void)state;
	assert_int_equal(watch_db_asked_put(db, rows, 3), ERR_OK);
	rows[0].minute = NOON + 60;
	rows[1].minute = 0; /* not watched any more */
	assert_int_equal(watch_db_asked_put(db, rows, 2), ERR_OK);
	assert_int_equal(watch_db_asked_put(db, rows + 1, 1), ERR_OK);
	watch_db_close(db);
	db = open_db(dir);
	assert_int_equal(watch_db_asked_load(db, on_loaded, &l), ERR_OK);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.row[0].issuer, "house");
	assert_true(serial_equal(&l.row[0].serial, &rows[0].serial));
	assert_int_equal(l.row[0].minute, NOON + 60);
	assert_string_equal(l.row[1].issuer, "house-2");
	assert_int_equal(l.row[1].minute, NOON + 9);
	l = (struct loaded){.most = 1};
	assert_int_equal(watch_db_asked_load(db, on_loaded, &l), ERR_NOMEM);
	watch_db_close(db);
	kit_remove(dir);
}

/* Pieces. */

static struct mac_keys *keys_of(uint8_t octet)
{
	uint8_t key[1][MAC_KEY_SIZE];

	memset(key, octet, sizeof key);
	return mac_keys_new((const uint8_t(*)[MAC_KEY_SIZE])key, 1);
}

static void a_piece_says_what_was_put_into_it(void **state)
{
	static struct watch_asked rows[WATCH_ASKED_ROWS], out[WATCH_ASKED_ROWS];
	static uint8_t piece[WATCH_ASKED_MAX];
	struct mac_keys *keys = keys_of(1);
	size_t n, got;

	(void)state;
	for (uint32_t i = 0; i < WATCH_ASKED_ROWS; i++) {
		rows[i] = (struct watch_asked){"", number(i), NOON + i};
		memset(rows[i].issuer, 'x', NAME_MAX_OCTETS);
		rows[i].serial.n = i % 2 ? 5 : SERIAL_MAX;
	}
	n = watch_asked_encode(rows, WATCH_ASKED_ROWS, keys, piece);
	assert_in_range(n, 1, sizeof piece);
	assert_int_equal(watch_asked_decode(bytes_of(piece, n), keys, out, &got), ERR_OK);
	assert_int_equal(got, WATCH_ASKED_ROWS);
	for (size_t i = 0; i < got; i++) {
		assert_string_equal(out[i].issuer, rows[i].issuer);
		assert_true(serial_equal(&out[i].serial, &rows[i].serial));
		assert_int_equal(out[i].minute, rows[i].minute);
	}
	mac_keys_free(keys);
}

/* T16: what a shared store has is a stranger's, whatever octet he changes. */
static void a_piece_that_somebody_changed_is_refused(void **state)
{
	struct watch_asked row = {"house", number(1), NOON}, out[WATCH_ASKED_ROWS];
	static uint8_t piece[WATCH_ASKED_MAX];
	struct mac_keys *keys = keys_of(1), *others = keys_of(2);
	size_t n = watch_asked_encode(&row, 1, keys, piece), got;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		piece[i] ^= 1;
		assert_int_not_equal(
		    watch_asked_decode(bytes_of(piece, n), keys, out, &got), ERR_OK);
		assert_int_not_equal(
		    watch_asked_decode(bytes_of(piece, i), keys, out, &got), ERR_OK);
		piece[i] ^= 1;
	}
	assert_int_equal(
	    watch_asked_decode(bytes_of(piece, n), others, out, &got), ERR_RECORD_KEY);
	assert_int_equal(watch_asked_decode(bytes_of(piece, n), keys, out, &got), ERR_OK);
	mac_keys_free(keys);
	mac_keys_free(others);
}

/* By who has the key, and is another version or broken. */
static void a_piece_with_more_or_less_in_it_is_refused(void **state)
{
	struct watch_asked row = {"house", number(1), NOON}, out[WATCH_ASKED_ROWS];
	static uint8_t piece[WATCH_ASKED_MAX];
	struct mac_keys *keys = keys_of(1);
	size_t n = watch_asked_encode(&row, 1, keys, piece) - MAC_SIZE, got;
	static const struct {
		size_t at;
		uint8_t octet;
	} wrong[] = {{0, 2}, {2, 0}, {2, 2}, {1, 0xff}, {3, 0}, {3, 64}, {4, 'A'},
	    {13, 22}, {13, 0}, {13, 6}, {13, 4}};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		uint8_t was = piece[wrong[i].at];

		piece[wrong[i].at] = wrong[i].octet;
		assert_true(
		    mac_make(keys, bytes_of("asked", 5), bytes_of(piece, n), piece + n));
		assert_int_equal(
		    watch_asked_decode(bytes_of(piece, n + MAC_SIZE), keys, out, &got),
		    ERR_RECORD);
		piece[wrong[i].at] = was;
	}
	mac_keys_free(keys);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
	    T(who_was_never_asked_for_has_no_time),
	    T(a_time_never_goes_back),
	    T(each_is_written_once_an_hour),
	    T(what_was_read_is_written_already),
	    T(the_last_one_says_whose_it_is),
	    T(who_is_dropped_is_gone_and_may_come_back),
	    T(thousands_are_found_and_walked_through),
	    T(issuers_are_as_many_as_there_are),
	    cmocka_unit_test(the_file_keeps_it_over_restarts),
	    cmocka_unit_test(a_piece_says_what_was_put_into_it),
	    cmocka_unit_test(a_piece_that_somebody_changed_is_refused),
	    cmocka_unit_test(a_piece_with_more_or_less_in_it_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
