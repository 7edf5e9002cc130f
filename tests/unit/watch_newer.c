/* watch_newer: who could stand in for whom. */
#include "cache/watch/watch_newer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/lib/inventory_kit.h"
#include "tests/lib/store_kit.h"

#define NOW INT64_C(1700000000)
#define DAY INT64_C(86400)

static char *dir;
static struct watch_db *db;
static struct watch_draft *draft;
static const struct watch_list *list;
static struct watch_newers *newers;

static int setup(void **state)
{
	char why[512];

	(void)state;
	dir = kit_directory();
	draft = watch_draft_new(dir);
	assert_non_null(draft);
	return watch_db_open(&db, dir, (size_t)256 << 20, why, sizeof why);
}

static int teardown(void **state)
{
	(void)state;
	watch_newers_close(newers);
	newers = NULL;
	watch_list_unref(list);
	watch_db_close(db);
	kit_remove(dir);
	return 0;
}

/* Certificate number n, with names up to NULL. */
static void add(unsigned ca, uint64_t n, int64_t from, int64_t to, const char *a,
    const char *b, const char *c)
{
	const char *const names[] = {a, b, c};
	struct kit_cert x;

	kit_cert(&x, ca, kit_wide_serial(n));
	for (size_t i = 0; i < 3 && names[i] != NULL; i++)
		kit_name(&x, names[i]);
	x.cert.not_before = from;
	x.cert.not_after = to;
	assert_int_equal(watch_draft_add(draft, &x.cert), ERR_OK);
}

/* One that is in date. */
static void add_day(uint64_t n, int day, const char *a, const char *b, const char *c)
{
	add(0, n, NOW + day * DAY, NOW + 100 * DAY, a, b, c);
}

static void put(void)
{
	assert_int_equal(kit_put(db, "fleet", false, draft, NULL, &list), ERR_OK);
	assert_int_equal(watch_newers_open(&newers, db, NOW), ERR_OK);
}

static enum err find(uint64_t n, const struct watch_newer_set **set, int64_t *since)
{
	struct serial s = kit_wide_serial(n);

	return watch_newers_find(
	    newers, list->generation, list->ranges[0].ca, &s, set, since);
}

/* The numbers of who could stand in for n, the latest first, 0 behind the last. */
static void check(uint64_t n, const uint64_t *wanted)
{
	const struct watch_newer_set *set;
	int64_t since;
	size_t i = 0;

	assert_int_equal(find(n, &set, &since), ERR_OK);
	for (; i < set->n && set->at[i].not_before > since; i++) {
		struct serial s = kit_wide_serial(wanted[i]);

		assert_int_not_equal(wanted[i], 0);
		assert_true(serial_equal(&set->at[i].serial, &s));
	}
	assert_int_equal(wanted[i], 0);
}
#define NOBODY ((const uint64_t[]){0})

static void who_has_all_of_its_names_and_began_later(void **state)
{
	(void)state;
	add_day(1, 0, "shop.example", "www.shop.example", NULL);
	add_day(2, 1, "www.shop.example", "shop.example", NULL); /* in any order */
	add_day(3, 2, "shop.example", "www.shop.example", "pay.shop.example");
	add_day(4, 3, "shop.example", NULL, NULL); /* has not all */
	add_day(5, 3, "www.shop.example", "pay.shop.example", NULL);
	add_day(6, -1, "shop.example", "www.shop.example", NULL); /* is older */
	put();
	check(1, (const uint64_t[]){3, 2, 0});
	check(2, (const uint64_t[]){3, 0});
	check(3, NOBODY);
	check(4, NOBODY);
	check(5, NOBODY);
	check(6, (const uint64_t[]){3, 2, 1, 0});
}

/* A wildcard is a name, and covers nothing here; nor does a name that ends alike. */
static void names_are_compared_as_they_are(void **state)
{
	(void)state;
	add_day(1, 0, "www.shop.example", NULL, NULL);
	add_day(2, 1, "*.shop.example", NULL, NULL);
	add_day(3, 2, "www.shop.example.net", "shop.example", "a.www.shop.example");
	add_day(4, 3, "*.shop.example", "www.shop.example.net", NULL);
	add_day(5, 0, "192.0.2.1", "2001:db8::1", "mail@shop.example");
	add_day(6, 1, "2001:db8::1", "mail@shop.example", "192.0.2.1");
	put();
	check(1, NOBODY);
	check(2, (const uint64_t[]){4, 0});
	check(5, (const uint64_t[]){6, 0});
}

static void what_is_not_known_proves_nothing(void **state)
{
	const struct watch_newer_set *set;
	int64_t since;

	(void)state;
	add_day(1, 0, "a.example", NULL, NULL);
	add(0, 2, WATCH_TIME_NONE, NOW + DAY, "a.example", NULL, NULL);
	add_day(3, 0, "a.example", NULL, NULL);             /* the same second */
	add(0, 4, NOW + DAY, NOW, "a.example", NULL, NULL); /* has ended */
	add_day(5, 0, NULL, NULL, NULL);
	add_day(6, 9, NULL, NULL, NULL);
	add(0, 7, NOW, WATCH_TIME_NONE, "b.example", NULL, NULL);
	add(0, 8, NOW + 1, WATCH_TIME_NONE, "b.example", NULL, NULL);
	put();
	check(1, NOBODY);
	assert_int_equal(find(2, &set, &since), ERR_NOT_FOUND);
	assert_int_equal(find(5, &set, &since), ERR_NOT_FOUND);
	assert_int_equal(find(99, &set, &since), ERR_NOT_FOUND);
	check(7, (const uint64_t[]){8, 0});
}

/* Names that had no room are not known. */
static void names_that_had_no_room_prove_nothing(void **state)
{
	const struct watch_newer_set *set;
	struct kit_cert x;
	int64_t since;

	(void)state;
	kit_cert(&x, 0, kit_wide_serial(1));
	kit_name(&x, "a.example");
	x.cert.names_more = 1;
	assert_int_equal(watch_draft_add(draft, &x.cert), ERR_OK);
	kit_cert(&x, 0, kit_wide_serial(2));
	kit_name(&x, "a.example");
	x.cert.not_before++;
	assert_int_equal(watch_draft_add(draft, &x.cert), ERR_OK);
	put();
	assert_int_equal(find(1, &set, &since), ERR_NOT_FOUND);
	check(2, NOBODY);
}

static void another_ca_may_stand_in(void **state)
{
	const struct watch_newer_set *set;
	int64_t since;

	(void)state;
	add(0, 1, NOW, NOW + DAY, "a.example", NULL, NULL);
	add(1, 1, NOW + 1, NOW + DAY, "a.example", NULL, NULL);
	put();
	assert_int_equal(find(1, &set, &since), ERR_OK);
	assert_int_equal(set->n, 2);
	assert_int_equal(set->at[0].ca, list->ranges[1].ca);
	assert_int_equal(set->at[0].not_before, NOW + 1);
	assert_int_equal(since, NOW);
}

/* By a name that is rare, and once for those with the same ones. */
static void thousands_of_one_name_are_looked_for_once(void **state)
{
	enum { MANY = 5000 };
	const struct watch_newer_set *set, *first;
	int64_t since;

	(void)state;
	for (int i = 1; i <= MANY; i++)
		add(0, (uint64_t)i, NOW + i, NOW + DAY, "a.example", NULL, NULL);
	add(0, 9001, NOW, NOW + DAY, "a.example", "rare.example", NULL);
	add(0, 9002, NOW + 1, NOW + DAY, "a.example", "rare.example", NULL);
	put();
	assert_int_equal(find(1, &first, &since), ERR_OK);
	assert_int_equal(first->n, WATCH_NEWER_MAX);
	for (int i = 0; i < WATCH_NEWER_MAX; i++) {
		struct serial s = kit_wide_serial((uint64_t)(MANY - i));

		assert_true(serial_equal(&first->at[i].serial, &s));
	}
	for (int i = 2; i <= MANY; i++) {
		assert_int_equal(find((uint64_t)i, &set, &since), ERR_OK);
		assert_int_equal(set->number, first->number);
		assert_int_equal(since, NOW + i);
	}
	check(9001, (const uint64_t[]){9002, 0});
}

/* Of the list alone, as it is named. */
static void another_lists_certificates_do_not_count(void **state)
{
	const struct watch_list *other;
	struct watch_draft *more = watch_draft_new(dir);
	struct kit_cert x;

	(void)state;
	add_day(1, 0, "a.example", NULL, NULL);
	kit_cert(&x, 0, kit_wide_serial(2));
	kit_name(&x, "a.example");
	x.cert.not_before = NOW + DAY;
	assert_int_equal(watch_draft_add(more, &x.cert), ERR_OK);
	assert_int_equal(kit_put(db, "other", false, more, NULL, &other), ERR_OK);
	put();
	check(1, NOBODY);
	watch_list_unref(other);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(who_has_all_of_its_names_and_began_later),
	    T(names_are_compared_as_they_are),
	    T(what_is_not_known_proves_nothing),
	    T(names_that_had_no_room_prove_nothing),
	    T(another_ca_may_stand_in),
	    T(thousands_of_one_name_are_looked_for_once),
	    T(another_lists_certificates_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
