/* 63-first: the first list of a scope, and what of its issuer is watched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/watch/inventory.h"
#include "tests/lib/feed_world.h"

/* The teller is the test. */
bool teller_list(struct teller *t, const struct list_change *l)
{
	return feed_told(t, l);
}

/* These certificates of demo are watched. */
static void watch(const char *letters)
{
	struct watch_list *l = watch_list_new("web", WATCH_API, 1, strlen(letters));
	const struct watch_cas *cas = watch_cas_with(
	    &watch_cas_none, &(struct watch_ca){.id = 1, .issuer = "demo", .dn = ""});

	for (size_t i = 0; i < strlen(letters); i++) {
		struct serial s = {.n = 2, .octets = {0x10, (uint8_t)letters[i]}};
		struct watched w;

		watched_set(&w, &s, WATCH_TIME_NONE, true);
		assert_true(watch_list_add(l, 1, &w));
	}
	inventory_unref(feed_watched);
	feed_watched = inventory_with(&inventory_none, l, cas, &watch_points_none);
	watch_list_unref(l);
	watch_cas_unref(cas);
}

static int end(void **state)
{
	int e = feed_end(state);

	inventory_unref(feed_watched);
	feed_watched = NULL;
	tell_later = false;
	return e;
}

static const struct telling_told *last(void)
{
	assert_true(told_n > 0);
	return &told[told_n - 1];
}

static void what_is_watched_is_told_of_the_first_list(void **state)
{
	(void)state;
	watch("ACZ");
	tell_later = true;
	live("", DEMO);
	answer(0, LIST(.number = "01", .serials = "ABCD"));
	assert_int_equal(told_n, 1);
	assert_true(told[0].c.baseline);
	assert_int_equal(told[0].added, 2);
	assert_int_equal(told[0].all, 2);
	assert_int_equal(change_before(&told[0].first), CHANGE_NONE);
	assert_true(same_files("current", "told"));
	assert_true(there_is("first"));
	tell_done(0, ERR_OK);
	feed_turn();
	assert_false(there_is("first"));
	assert_false(there_is("next"));
	assert_true(same_files("current", "told"));
	assert_int_equal(told_n, 1);
}

static void where_nothing_is_watched_nothing_is_compared(void **state)
{
	(void)state;
	live("", DEMO);
	answer(0, LIST(.number = "01", .serials = "ABCD"));
	assert_int_equal(told_n, 1);
	assert_true(told[0].c.baseline);
	assert_int_equal(told[0].all, 0);
	assert_false(there_is("first"));
}

/* Something is watched, and not on it: the place alone. */
static void what_is_watched_and_not_listed_is_not_told(void **state)
{
	(void)state;
	watch("XYZ");
	live("", DEMO);
	answer(0, LIST(.number = "01", .serials = "ABCD"));
	assert_int_equal(told_n, 1);
	assert_int_equal(told[0].all, 0);
	assert_false(there_is("first"));
}

/* T23: killed before it is told, the next life tells it, and the one after does not. */
static void a_first_list_that_was_not_told_is_told_by_the_next_life(void **state)
{
	(void)state;
	watch("AC");
	tell_later = true;
	live("", DEMO);
	answer(0, LIST(.number = "01", .serials = "ABCD"));
	assert_int_equal(told_n, 1);
	for (int life = 0; life < 2; life++) {
		die();
		live("", DEMO);
		assert_int_equal(told_n, 1);
		assert_true(told[0].c.baseline);
		assert_false(told[0].c.lost);
		assert_int_equal(told[0].added, 2);
		assert_true(there_is("first"));
	}
	tell_done(0, ERR_OK);
	feed_turn();
	assert_false(there_is("first"));
	die();
	live("", DEMO);
	assert_int_equal(told_n, 1);
	assert_false(told[0].c.baseline); /* its place alone */
	assert_int_equal(told[0].all, 0);
}

/* What comes meanwhile is told behind it, from the first one on. */
static void the_next_list_waits_for_the_first(void **state)
{
	(void)state;
	watch("AE");
	tell_later = true;
	live("", DEMO);
	answer(0, LIST(.number = "01", .serials = "AB"));
	refresh();
	answer(0, LIST(.number = "02", .from = 1, .serials = "ABE"));
	assert_true(listed('E'));
	assert_int_equal(told_n, 1);
	assert_int_equal(told[0].added, 1);
	die(); /* and in the next life the first is read from the disk */
	live("", DEMO);
	assert_true(listed('E'));
	assert_int_equal(told_n, 1);
	assert_true(told[0].c.baseline);
	assert_int_equal(told[0].added, 1);
	tell_done(0, ERR_OK);
	feed_turn();
	assert_int_equal(told_n, 2);
	assert_false(told[1].c.baseline);
	assert_int_equal(told[1].added, 1);
	assert_memory_equal(told[1].c.from, told[0].c.to, 32);
	tell_done(1, ERR_OK);
	feed_turn();
	assert_false(there_is("first"));
	assert_true(same_files("current", "told"));
}

/* A first list that never became told: whatever is in force is the first then. */
static void a_list_that_is_only_current_is_a_first_one(void **state)
{
	char path[400];

	(void)state;
	watch("A");
	tell_later = true;
	live("", DEMO);
	answer(0, LIST(.number = "01", .serials = "AB"));
	die();
	file_of(A, "told", path);
	assert_int_equal(unlink(path), 0);
	live("", DEMO);
	assert_int_equal(told_n, 1);
	assert_true(told[0].c.baseline);
	assert_int_equal(told[0].added, 1);
	assert_true(same_files("current", "next"));
	tell_done(0, ERR_OK);
	feed_turn();
	assert_true(same_files("current", "told"));
	assert_false(there_is("next"));
}

/* A first list that cannot be read any more is given up, with a word; the next one's
 * telling says that changes are missing. */
static void a_first_list_that_is_damaged_is_given_up(void **state)
{
	char path[400];

	(void)state;
	watch("A");
	tell_later = true;
	live("", DEMO);
	answer(0, LIST(.number = "01", .serials = "AB"));
	refresh();
	answer(0, LIST(.number = "02", .from = 1, .serials = "ABE"));
	die();
	file_of(A, "told", path);
	assert_int_equal(unlink(path), 0);
	write_file(path + strlen(directory) + 1, bytes_of("x", 1));
	live("", DEMO);
	feed_turn();
	assert_int_equal(told_n, 1);
	assert_true(told[0].c.baseline);
	assert_true(told[0].c.lost);
}

/* R72: each scope has its own; what another list has told already is not told again. */
static void each_scope_has_a_first_list(void **state)
{
	(void)state;
	watch("ABCD");
	live("", BOTH);
	answer(0, LIST(.number = "01", .serials = "AB"));
	assert_int_equal(told_n, 1);
	assert_int_equal(last()->added, 2);
	answer(0, LIST(.number = "01", .serials = "BC"));
	assert_int_equal(told_n, 2);
	assert_true(last()->c.baseline);
	assert_int_equal(last()->added, 1);
	assert_int_equal(last()->all, 2); /* B is there for the cut */
}

/* A hold is revoked too. */
static void a_hold_of_the_first_list_is_told(void **state)
{
	(void)state;
	watch("AB");
	live("", DEMO);
	answer(0, LIST(.number = "01", .serials = "ab"));
	assert_int_equal(told[0].added, 2);
	assert_int_equal(crl_entry_reason(&told[0].first.entry), 6);
	refresh();
	answer(0, LIST(.number = "02", .from = 1, .serials = "b"));
	assert_int_equal(told_n, 2);
	assert_int_equal(told[1].released, 1);
}

#undef CASE
#define CASE(name) cmocka_unit_test_setup_teardown(name, feed_begin, end)

int main(void)
{
	const struct CMUnitTest cases[] = {
	    CASE(what_is_watched_is_told_of_the_first_list),
	    CASE(where_nothing_is_watched_nothing_is_compared),
	    CASE(what_is_watched_and_not_listed_is_not_told),
	    CASE(a_first_list_that_was_not_told_is_told_by_the_next_life),
	    CASE(the_next_list_waits_for_the_first),
	    CASE(a_list_that_is_only_current_is_a_first_one),
	    CASE(a_first_list_that_is_damaged_is_given_up),
	    CASE(each_scope_has_a_first_list),
	    CASE(a_hold_of_the_first_list_is_told),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
