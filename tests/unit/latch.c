#include "cache/held/latch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cache/base/facts.h"
#include "tests/lib/store_kit.h"

#define NOW INT64_C(1700000000)

static struct latches *table;
#include "tests/lib/child.h"

static int setup(void **state)
{
	(void)state;
	table = latches_new();
	return table != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	latches_free(table);
	return 0;
}

static struct latch make(int ca, uint32_t n, int64_t set_at)
{
	struct latch l = {.serial = kit_serial(n),
	    .reason = 1,
	    .revoked_at = NOW - 5000,
	    .set_at = set_at};
	struct issuer_ca c;

	kit_ca(&c, ca);
	memcpy(l.ca_id, c.id, sizeof l.ca_id);
	return l;
}

static const struct latch *look(int ca, uint32_t n)
{
	struct issuer_ca c;
	struct issuer i = {.ca = &c, .ca_n = 1};
	struct serial s = kit_serial(n);

	kit_ca(&c, ca);
	return latches_find(table, &i, &s);
}

static void a_latch_is_found_again_with_what_the_answer_said(void **state)
{
	struct latch l = make(1, 7, NOW);
	bool added = false;

	(void)state;
	l.reason = REASON_NONE;
	assert_int_equal(latches_add(table, &l, &added), ERR_OK);
	assert_true(added);
	assert_memory_equal(look(1, 7), &l, sizeof l);
	assert_null(look(1, 8));
	assert_null(look(2, 7)); /* T3: another CA, the same serial */
}

static void the_first_latch_of_a_certificate_stays(void **state)
{
	struct latch first = make(1, 7, NOW), second = make(1, 7, NOW + 9);
	bool added = true;

	(void)state;
	second.reason = 4;
	latches_add(table, &first, NULL);
	assert_int_equal(latches_add(table, &second, &added), ERR_OK);
	assert_false(added);
	assert_int_equal(look(1, 7)->reason, 1);
	assert_int_equal(latches_count(table), 1);
}

/* R16: neither padding nor length makes two serials one. */
static void serials_that_look_alike_are_different(void **state)
{
	struct latch l = make(1, 0, NOW);
	struct issuer_ca c;
	struct issuer i = {.ca = &c, .ca_n = 1};
	struct serial alike[] = {{1, {1}}, {2, {1, 0}}, {2, {0, 1}}, {1, {0xff}}};

	(void)state;
	kit_ca(&c, 1);
	l.serial = (struct serial){3, {1, 0, 0}};
	latches_add(table, &l, NULL);
	for (size_t n = 0; n < 4; n++)
		assert_null(latches_find(table, &i, &alike[n]));
	assert_non_null(latches_find(table, &i, &l.serial));
}

/* A latch outlives the renewal of its CA. */
static void a_renewed_issuer_still_has_the_latches_of_its_old_certificate(void **state)
{
	struct latch old = make(1, 7, NOW), fresh = make(2, 7, NOW), removed[2];
	struct issuer_ca c[2];
	struct issuer i = {.ca = c, .ca_n = 2};
	struct serial s = kit_serial(7);

	(void)state;
	kit_ca(&c[0], 2);
	kit_ca(&c[1], 1);
	latches_add(table, &old, NULL);
	assert_non_null(latches_find(table, &i, &s));
	latches_add(table, &fresh, NULL);
	assert_int_equal(latches_remove(table, &i, &s, removed), 2);
	assert_null(latches_find(table, &i, &s));
	assert_int_equal(latches_remove(table, &i, &s, removed), 0);
}

static void a_hundred_thousand_latches_are_all_found(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 100000; n++) {
		struct latch l = make(1, n, NOW + n);

		assert_int_equal(latches_add(table, &l, NULL), ERR_OK);
	}
	for (uint32_t n = 0; n < 100000; n++)
		assert_int_equal(look(1, n)->set_at, NOW + n);
	assert_int_equal(latches_sweep(table, NOW + 60000), 60000);
	assert_int_equal(latches_count(table), 40000);
	assert_null(look(1, 59999));
	assert_non_null(look(1, 60000));
}

static void collect(void *arg, const struct latch *l)
{
	int *seen = arg;

	seen[l->serial.octets[l->serial.n - 1]] += l->untold ? 100 : 1;
}

static void each_latch_is_shown_once_and_told_is_told_in_memory(void **state)
{
	int seen[256] = {0};
	struct latch l = make(1, 1, NOW);

	(void)state;
	for (uint32_t n = 1; n <= 200; n++) {
		l = make(1, n, NOW);
		l.untold = true;
		assert_int_equal(latches_add(table, &l, NULL), ERR_OK);
	}
	latches_told(table, l.ca_id, &l.serial);
	l = make(2, 200, NOW); /* another CA's: there is none */
	latches_told(table, l.ca_id, &l.serial);
	latches_each(table, collect, seen);
	for (int n = 1; n < 200; n++)
		assert_int_equal(seen[n], 100);
	assert_int_equal(seen[200], 1);
}

#define WALKED 3000

struct counted {
	unsigned of[2 * WALKED]; /* visits of each serial */
	unsigned in_step;
};

static void count_visit(void *arg, const struct latch *l)
{
	struct counted *c = arg;

	for (uint32_t n = 0; n < 2 * WALKED; n++) {
		const struct serial s = kit_serial(n);

		if (serial_equal(&s, &l->serial)) {
			c->of[n]++;
			c->in_step++;
			return;
		}
	}
	fail_msg("a latch that nobody has set");
}

static bool step(struct latches_walk *w, struct counted *c, size_t n)
{
	bool more;

	c->in_step = 0;
	more = latches_walk_on(table, w, n);
	assert_true(c->in_step <= n + 16); /* no chain is longer, by chance */
	return more;
}

static void remove_one(int ca, uint32_t n)
{
	struct issuer_ca c;
	struct issuer i = {.ca = &c, .ca_n = 1};
	struct serial s = kit_serial(n);
	struct latch gone;

	kit_ca(&c, ca);
	assert_int_equal(latches_remove(table, &i, &s, &gone), 1);
}

/* Whatever is removed, swept or added between the slices, and however many walk. */
static void a_walk_visits_all_that_was_there_when_it_began(void **state)
{
	struct counted *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
	struct latches_walk first = {.fn = count_visit, .arg = a},
			    second = {.fn = count_visit, .arg = b};
	uint32_t removed = 0, added = WALKED;
	unsigned steps = 0;
	bool more;

	(void)state;
	for (uint32_t n = 0; n < WALKED; n++) {
		struct latch l = make(1, n, n % 10 == 9 ? NOW - 100 : NOW);

		latches_add(table, &l, NULL);
	}
	latches_walk_begin(table, &first);
	latches_walk_begin(table, &second);
	do {
		struct latch l = make(1, added++, NOW);

		more = step(&first, a, 20);
		step(&second, b, 1);
		latches_add(table, &l, NULL);
		remove_one(1, removed);
		removed += 10;
		if (steps++ == 50)
			latches_sweep(table, NOW - 50);
	} while (more);
	assert_true(steps >= WALKED / 36);
	for (uint32_t n = 0; n < WALKED; n++)
		assert_int_equal(a->of[n], 1);
	latches_walk_end(table, &second); /* given up: it is told nothing more */
	remove_one(1, 1);
	for (uint32_t n = 0; n < WALKED; n++)
		assert_true(b->of[n] <= 1);
	/* the table grows again */
	for (uint32_t n = added; n < 2 * WALKED; n++) {
		struct latch l = make(1, n, NOW);

		latches_add(table, &l, NULL);
	}
	assert_non_null(look(1, 2 * WALKED - 1));
	assert_null(look(1, 1));
	free(a);
	free(b);
}

static void a_walk_over_nothing_is_over(void **state)
{
	struct latches_walk w = {.fn = count_visit};

	(void)state;
	latches_walk_begin(table, &w);
	assert_false(latches_walk_on(table, &w, 1000));
	latches_walk_begin(table, &w);
	assert_true(latches_walk_on(table, &w, 10)); /* empty buckets are work, too */
	latches_walk_end(table, &w);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_latch_is_found_again_with_what_the_answer_said),
	    CASE(the_first_latch_of_a_certificate_stays),
	    CASE(serials_that_look_alike_are_different),
	    CASE(a_renewed_issuer_still_has_the_latches_of_its_old_certificate),
	    CASE(a_hundred_thousand_latches_are_all_found),
	    CASE(each_latch_is_shown_once_and_told_is_told_in_memory),
	    CASE(a_walk_visits_all_that_was_there_when_it_began),
	    CASE(a_walk_over_nothing_is_over),
	};

	return cmocka_run_group_tests_name("latch", tests, NULL, NULL);
}
