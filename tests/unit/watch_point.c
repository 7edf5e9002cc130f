#include "cache/watch/watch_point.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY ((size_t)WATCH_POINTS_OCTETS)

/* What the row of a certificate says that names these lists, in this order. */
struct row {
	struct watch_record record;
	uint8_t run[WATCH_URLS_MAX * (WATCH_URL_MAX + 2)];
};

static void row_name(struct row *r, const char *url)
{
	size_t n = r->record.crl.n;

	watch_run_add(r->run, &n, url, strlen(url));
	r->record.crl = bytes_of(r->run, n);
}

static struct watched entry_of(
    struct watch_point_draft *d, uint32_t ca, const struct row *r)
{
	struct serial s = {.n = 1, .octets = {7}};
	struct watched e;

	assert_true(watch_point_draft_entry(d, ca, &s, &r->record, &e));
	return e;
}

static uint16_t number_of(struct watch_point_draft *d, uint32_t ca, const char *url)
{
	static struct row r;
	struct watched e;

	r.record.crl.n = 0;
	row_name(&r, url);
	e = entry_of(d, ca, &r);
	return watched_point(&e);
}

/* A name that differs from others in its number, n octets long (0: as it comes). */
static const char *url_of(size_t number, size_t n)
{
	static char text[WATCH_URL_MAX + 1];
	int at = snprintf(text, sizeof text, "http://crl.example/%zu/", number);

	for (size_t i = (size_t)at; i < n; i++)
		text[i] = 'x';
	text[n > (size_t)at ? n : (size_t)at] = '\0';
	return text;
}

static struct watch_point_draft *draft_of(const struct watch_points *base)
{
	struct watch_point_draft *d = watch_point_draft_new(base, NULL);

	assert_non_null(d);
	return d;
}

static const struct watch_points *end(struct watch_point_draft *d)
{
	const struct watch_points *t = watch_point_draft_end(d);

	assert_non_null(t);
	watch_point_draft_free(d);
	return t;
}

static void each_list_of_a_ca_has_one_number(void **state)
{
	struct watch_point_draft *d = draft_of(&watch_points_none);
	const struct watch_points *t;
	uint16_t number[300];

	(void)state;
	for (size_t i = 0; i < 300; i++) {
		number[i] = number_of(d, 1 + i % 3, url_of(i / 3, 0));
		assert_int_equal(number[i], i + 1);
	}
	for (size_t i = 300; i-- > 0;)
		assert_int_equal(number_of(d, 1 + i % 3, url_of(i / 3, 0)), number[i]);
	t = end(d);
	assert_int_equal(t->n, 300);
	assert_int_equal(t->used, 300);
	assert_int_equal(t->most, 100);
	for (size_t i = 0; i < 300; i++) {
		assert_string_equal(watch_points_url(t, number[i]), url_of(i / 3, 0));
		assert_int_equal(t->at[number[i] - 1].ca, 1 + i % 3);
	}
	assert_null(watch_points_url(t, 0));
	assert_null(watch_points_url(t, 301));
	assert_false(watch_points_are_many(t));
	watch_points_unref(t);
	assert_int_equal(watch_points_none.refs, 1);
}

static void an_entry_has_the_first_list_that_its_row_names(void **state)
{
	static struct row r;
	struct watch_point_draft *d = draft_of(&watch_points_none);
	const struct watch_points *t;
	struct watched none, one;

	(void)state;
	r.record = (struct watch_record){.not_after = 1700000000, .verified = true};
	none = entry_of(d, 1, &r);
	assert_int_equal(watched_point(&none), 0);
	assert_true(watched_is_verified(&none));
	assert_int_equal(watched_not_after(&none), 1700000000);
	row_name(&r, "http://a.example/1.crl");
	row_name(&r, "http://b.example/1.crl");
	one = entry_of(d, 1, &r);
	t = end(d);
	assert_string_equal(
	    watch_points_url(t, watched_point(&one)), "http://a.example/1.crl");
	assert_int_equal(t->used, 1);
	watch_points_unref(t);
}

/* A table outlives its draft and the table that it came from, and stays as it was. */
static void what_comes_later_keeps_the_numbers_that_there_are(void **state)
{
	struct watch_point_draft *d = draft_of(&watch_points_none);
	const struct watch_points *first, *same, *second;
	uint16_t a = number_of(d, 1, "http://a"), b = number_of(d, 1, "http://b"), c;

	(void)state;
	first = end(d);
	d = draft_of(first);
	assert_int_equal(number_of(d, 1, "http://b"), b);
	same = end(d);
	assert_ptr_equal(same, first);
	watch_points_unref(same);
	d = draft_of(first);
	c = number_of(d, 2, "http://a"); /* another CA's */
	assert_true(c != a && c != b);
	assert_int_equal(number_of(d, 1, "http://a"), a);
	second = end(d);
	assert_int_equal(first->used, 2);
	assert_null(watch_points_url(first, c));
	watch_points_unref(first);
	assert_string_equal(watch_points_url(second, a), "http://a");
	assert_string_equal(watch_points_url(second, c), "http://a");
	watch_points_unref(second);
}

/* T7: strangers write the URLs. */
static void a_ca_has_so_many_and_no_more(void **state)
{
	struct watch_point_draft *d = draft_of(&watch_points_none);
	const struct watch_points *t;

	(void)state;
	for (size_t i = 0; i < WATCH_POINTS_OF_CA; i++)
		assert_true(number_of(d, 1, url_of(i, 0)) > 0);
	assert_int_equal(watch_point_draft_left_out(d), 0);
	assert_int_equal(number_of(d, 1, "http://more"), 0);
	assert_int_equal(number_of(d, 1, "http://more"), 0);
	assert_int_equal(watch_point_draft_left_out(d), 2);
	/* those that are there, and another CA's, are not hit by it */
	assert_int_equal(number_of(d, 1, url_of(5, 0)), 6);
	assert_int_equal(number_of(d, 2, "http://more"), WATCH_POINTS_OF_CA + 1);
	assert_int_equal(watch_point_draft_left_out(d), 2);
	t = end(d);
	assert_true(watch_points_are_many(t));
	watch_points_unref(t);
}

static void all_have_so_many_and_no_more(void **state)
{
	struct watch_point_draft *d = draft_of(&watch_points_none);
	const struct watch_points *t;

	(void)state;
	for (size_t i = 0; i < WATCH_POINTS_MAX; i++)
		assert_int_equal(number_of(d, (uint32_t)(i / 4000), url_of(i, 0)), i + 1);
	assert_int_equal(number_of(d, 99, "http://more"), 0);
	assert_int_equal(watch_point_draft_left_out(d), 1);
	t = end(d);
	assert_int_equal(t->n, UINT16_MAX);
	assert_string_equal(
	    watch_points_url(t, UINT16_MAX), url_of(WATCH_POINTS_MAX - 1, 0));
	assert_true(watch_points_are_many(t));
	watch_points_unref(t);
}

static void the_octets_of_all_are_bounded(void **state)
{
	struct watch_point_draft *d = draft_of(&watch_points_none);
	const struct watch_points *t;
	size_t fit = MANY / WATCH_URL_MAX;

	(void)state;
	for (size_t i = 0; i < fit; i++)
		assert_true(
		    number_of(d, (uint32_t)(i / 4000), url_of(i, WATCH_URL_MAX)) > 0);
	assert_int_equal(number_of(d, 99, "http://more"), 0);
	t = end(d);
	assert_int_equal(t->octets, fit * WATCH_URL_MAX);
	assert_true(watch_points_are_many(t));
	watch_points_unref(t);
}

/* Lists that change their names do not fill the table: what nobody names makes room. */
static void what_is_not_named_any_more_makes_room(void **state)
{
	struct watch_point_draft *d = draft_of(&watch_points_none);
	const struct watch_points *full, *swept;
	bool *used = calloc(WATCH_POINTS_OF_CA + 1, sizeof *used);

	(void)state;
	for (size_t i = 0; i < WATCH_POINTS_OF_CA; i++)
		number_of(d, 1, url_of(i, 0));
	full = end(d);
	for (size_t n = 2; n <= WATCH_POINTS_OF_CA; n += 2)
		used[n] = true;
	d = watch_point_draft_new(full, used);
	for (size_t n = 2; n <= WATCH_POINTS_OF_CA; n += 2) /* these stay what they are */
		assert_int_equal(number_of(d, 1, url_of(n - 1, 0)), n);
	for (size_t i = 0; i < 100; i++) /* and these are new */
		assert_int_equal(number_of(d, 1, url_of(10000 + i, 0)), 2 * i + 1);
	swept = end(d);
	assert_int_equal(swept->used, WATCH_POINTS_OF_CA / 2 + 100);
	assert_false(watch_points_are_many(swept));
	assert_string_equal(watch_points_url(swept, 1), url_of(10000, 0));
	assert_string_equal(watch_points_url(full, 1), url_of(0, 0)); /* as it was */
	assert_null(watch_points_url(swept, 201));
	assert_string_equal(watch_points_url(swept, 202), url_of(201, 0));
	/* what goes alone is a change too */
	memset(used, 0, WATCH_POINTS_OF_CA + 1);
	watch_points_unref(full);
	d = watch_point_draft_new(swept, used);
	watch_points_unref(swept);
	swept = end(d);
	assert_int_equal(swept->n, 0);
	watch_points_unref(swept);
	free(used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_list_of_a_ca_has_one_number),
	    cmocka_unit_test(an_entry_has_the_first_list_that_its_row_names),
	    cmocka_unit_test(what_comes_later_keeps_the_numbers_that_there_are),
	    cmocka_unit_test(a_ca_has_so_many_and_no_more),
	    cmocka_unit_test(all_have_so_many_and_no_more),
	    cmocka_unit_test(the_octets_of_all_are_bounded),
	    cmocka_unit_test(what_is_not_named_any_more_makes_room),
	};

	return cmocka_run_group_tests_name("watch_point", tests, NULL, NULL);
}
