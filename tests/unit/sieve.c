/* The first ones of a filter behind a place, in the order of pages, page after page. */
#include "proxy/watch/sieve.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/lib/watch_house.h"

#define MANY 10000 /* more than two batches */

static struct watch_house h;

static int set_up(void **state)
{
	(void)state;
	watch_house_begin(&h, 64u << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	watch_house_end(&h);
	return 0;
}

static struct {
	bool done;
	enum err error;
} told;

static void on_done(void *arg, enum err e)
{
	(void)arg;
	assert_false(told.done);
	told.done = true;
	told.error = e;
}

static const struct watch_filter everything = {
    .status = STATUS_NONE, .expires_before = INT64_MAX, .limit = 10};

static struct sieve *sift(const struct watch_filter *f)
{
	enum err e;
	struct sieve *s = sieve_new(&h.context, f, on_done, NULL, &e);

	assert_non_null(s);
	assert_false(told.done);
	watch_house_turn(&h, &told.done);
	told.done = false;
	return s;
}

static uint64_t serial_at(const struct sieve *s, size_t i)
{
	const struct serial *n = &sieve_at(s, i)->serial;

	return get_be(n->octets, n->n);
}

/* All pages: the serials one after the other, each once and more than the one before
 * within its CA; how many there are. */
static size_t walk(struct watch_filter f)
{
	size_t found = 0;
	uint32_t ca = 0;
	uint64_t last = 0;
	bool more;

	do {
		struct sieve *s = sift(&f);
		size_t n = sieve_count(s);

		assert_int_equal(told.error, ERR_OK);
		assert_true(n <= f.limit);
		for (size_t i = 0; i < n; i++) {
			assert_true(sieve_at(s, i)->ca != ca || serial_at(s, i) > last);
			ca = sieve_at(s, i)->ca;
			last = serial_at(s, i);
		}
		more = sieve_has_more(s);
		assert_true(!more || n == f.limit);
		if (more)
			f.from = *sieve_at(s, n - 1);
		found += n;
		sieve_free(s);
	} while (more);
	return found;
}

static void put(const char *name, unsigned from, unsigned n, bool foreign)
{
	assert_int_equal(watch_house_put(&h, LEDGER_PUT, name, from, n, foreign), ERR_OK);
}

static void few_of_many_are_revoked(void **state)
{
	struct watch_filter f = everything;
	struct sieve *s;

	(void)state;
	put("a", 1, MANY, false);
	put("b", 1, 5, true);
	f.status = STATUS_REVOKED;
	s = sift(&f);
	assert_int_equal(sieve_count(s), 2);
	assert_false(sieve_has_more(s));
	assert_int_equal(serial_at(s, 0), WATCH_HOUSE_REVOKED);
	assert_int_equal(serial_at(s, 1), WATCH_HOUSE_HELD);
	sieve_free(s);
	f.limit = 1;
	s = sift(&f);
	assert_true(sieve_has_more(s));
	sieve_free(s);
	assert_int_equal(walk(f), 2);
	f.status = STATUS_UNKNOWN;
	assert_int_equal(walk(f), 5);
	f.covered = WATCH_COVERED;
	assert_int_equal(walk(f), 0);
	f.covered = WATCH_NOT_COVERED;
	assert_int_equal(walk(f), 5);
	f.status = STATUS_NONE;
	assert_int_equal(walk(f), 5);
	f.covered = WATCH_COVERED;
	f.limit = 97; /* a page takes up the walk anew */
	assert_int_equal(walk(f), MANY);
}

static void pages_are_all_of_it(void **state)
{
	struct watch_filter f = everything;

	(void)state;
	put("a", 1, 300, false);
	put("b", 200, 300, false);
	put("c", 1, 40, true);
	f.limit = 7;
	assert_int_equal(walk(f), 499 + 40);
	f.limit = 1;
	strcpy(f.list, "b");
	assert_int_equal(walk(f), 300);
	f.list[0] = '\0';
	strcpy(f.issuer, "house");
	f.limit = WATCH_PAGE_MAX;
	assert_int_equal(walk(f), 499);
	strcpy(f.issuer, "nobody");
	assert_int_equal(walk(f), 0);
}

/* serial * 1000 is their end. */
static void who_ends_before(void **state)
{
	struct watch_filter f = everything;

	(void)state;
	put("a", 1, 100, false);
	f.expires_before = 50000;
	assert_int_equal(walk(f), 49);
	f.expires_before = 50001;
	assert_int_equal(walk(f), 50);
	f.status = STATUS_GOOD;
	assert_int_equal(walk(f), 48);
}

static void a_list_that_is_none_is_told(void **state)
{
	struct watch_filter f = everything;
	enum err e = ERR_OK;

	(void)state;
	strcpy(f.list, "none");
	assert_null(sieve_new(&h.context, &f, on_done, NULL, &e));
	assert_int_equal(e, ERR_NOT_FOUND);
	assert_false(told.done);
}

/* By what it asks for, and how many there are. */
static void what_it_is_for(void **state)
{
	struct watch_filter f = everything;

	(void)state;
	put("a", 1, 100, false);
	assert_false(sieve_fits(&h.context, &f)); /* each row is one */
	strcpy(f.list, "a");
	assert_true(sieve_fits(&h.context, &f));
	strcpy(f.name, "s1.example");
	assert_false(sieve_fits(&h.context, &f));
	f = everything;
	f.expires_before = 1;
	assert_true(sieve_fits(&h.context, &f));
	f = everything;
	f.status = STATUS_REVOKED;
	assert_true(sieve_fits(&h.context, &f));
}

/* The place before: a search from there begins with it. */
static void what_stands_before(void **state)
{
	struct watch_place p = {7, {2, {1, 0}}}, before = sieve_before(&p);

	(void)state;
	assert_int_equal(before.ca, 7);
	assert_int_equal(before.serial.n, 2);
	assert_int_equal(get_be(before.serial.octets, 2), 0xff);
	p = (struct watch_place){7, {2, {0, 0}}};
	before = sieve_before(&p);
	assert_int_equal(before.serial.n, 1);
	assert_int_equal(before.serial.octets[0], 0xff);
}

static void a_stop_ends_it(void **state)
{
	struct watch_filter f = everything;
	struct sieve *s;

	(void)state;
	put("a", 1, MANY, false);
	f.status = STATUS_GOOD;
	h.context.stopping = true;
	s = sift(&f);
	assert_int_equal(told.error, ERR_CANCELLED);
	sieve_free(s);
}

#define A_HOUSE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    A_HOUSE(few_of_many_are_revoked),
	    A_HOUSE(pages_are_all_of_it),
	    A_HOUSE(who_ends_before),
	    A_HOUSE(a_list_that_is_none_is_told),
	    A_HOUSE(what_it_is_for),
	    cmocka_unit_test(what_stands_before),
	    A_HOUSE(a_stop_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
