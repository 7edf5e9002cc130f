#include "proxy/lists/crl_pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], path[128];

static int begin(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/crl_pace.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/pace", dir);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static void the_median_is_of_the_last_five_intervals(void **state)
{
	static const struct {
		int64_t interval, median;
	} rows[] = {{9999, 0}, {10, 0}, {20, 0}, {30, 0}, {500, 30}, {40, 30}, {1, 30},
	    {60, 40}, {70, 60}};
	struct crl_pace p = {0};
	int64_t at = -1000; /* a list may be of 1969 */

	(void)state;
	assert_int_equal(crl_pace_median_s(&p), 0);
	crl_pace_note(&p, at);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		at += rows[i].interval;
		crl_pace_note(&p, at);
		crl_pace_note(&p, at); /* the same list, verified once more */
		assert_int_equal(crl_pace_median_s(&p), rows[i].median);
	}
}

/* The operator takes a list that is dated earlier: the CA has begun anew. */
static void an_earlier_date_begins_anew(void **state)
{
	struct crl_pace p = {0};

	(void)state;
	for (int64_t at = 0; at <= 500; at += 100)
		crl_pace_note(&p, at);
	assert_int_equal(crl_pace_median_s(&p), 100);
	crl_pace_note(&p, 499);
	assert_int_equal(p.n, 1);
	assert_int_equal(crl_pace_median_s(&p), 0);
}

static void it_is_as_it_was_written(void **state)
{
	struct crl_pace p = {0}, q;

	(void)state;
	crl_pace_read(dir, &q);
	assert_int_equal(q.n, 0);
	for (int64_t at = -7; at < 1795328880; at += 179532888)
		crl_pace_note(&p, at);
	crl_pace_write(dir, &p);
	crl_pace_read(dir, &q);
	assert_memory_equal(&p, &q, sizeof p);
	p.n = 1;
	crl_pace_write(dir, &p);
	crl_pace_read(dir, &q);
	assert_int_equal(q.n, 1);
	assert_int_equal(q.at[0], p.at[0]);
}

static void what_we_have_not_written_is_no_pace(void **state)
{
	static const char *const broken[] = {"", "\n", "this-update 1 2",
	    "this-update 2 1\n", "this-update 1 1\n", "this-update 1 x\n",
	    "this-update 1,2\n", "pace 1 2\n", "this-update 1 2 3 4 5 6 7\n",
	    "this-update 1  \n", "this-update 1 2\n3",
	    "this-update 9999999999999999999999\n",
	    "this-update -9999999999999999999999\n"};
	struct crl_pace p;

	(void)state;
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		FILE *f = fopen(path, "w");

		assert_true(fputs(broken[i], f) >= 0 && fclose(f) == 0);
		crl_pace_read(dir, &p);
		assert_int_equal(p.n, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_median_is_of_the_last_five_intervals),
	    cmocka_unit_test(an_earlier_date_begins_anew),
	    cmocka_unit_test_setup_teardown(it_is_as_it_was_written, begin, end),
	    cmocka_unit_test_setup_teardown(
		what_we_have_not_written_is_no_pace, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
