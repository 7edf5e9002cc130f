#include "conf/crl_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* All that an item stands for: lists in lines, their places between spaces. */
static const char *lists(const char *text)
{
	static char out[4096];
	struct crl_item i;
	const char *why = crl_item_parse(text, &i);
	size_t n = 0;

	if (why != NULL) {
		print_message("%s\n", why);
		return "refused";
	}
	out[0] = '\0';
	for (size_t k = 0; k < i.lists_n; k++)
		for (size_t p = 0; p < i.places_n; p++) {
			char *url = crl_item_url(&i, k, p);

			assert_non_null(url);
			n += (size_t)snprintf(out + n, sizeof out - n, "%s%s", url,
			    p + 1 < i.places_n ? " " : "\n");
			assert_true(n < sizeof out);
			free(url);
		}
	return out;
}

static void refused(const char *text, const char *part)
{
	struct crl_item i;
	const char *why = crl_item_parse(text, &i);

	assert_non_null(why);
	if (strstr(why, part) == NULL)
		fail_msg("%s: %s", text, why);
	assert_non_null(strstr(why, "; "));
}

static void what_has_no_range_is_one_list(void **state)
{
	(void)state;
	assert_string_equal(lists("http://x/a.crl"), "http://x/a.crl\n");
	assert_string_equal(
	    lists("http://x/%7B1..3%7D.crl"), "http://x/%7B1..3%7D.crl\n");
	assert_string_equal(lists("file:a|b"), "file:a|b\n"); /* a name of a file */
}

/* The outcomes are those of bash, `echo x{08..11}y`. */
static void a_range_counts_from_its_first_to_its_last(void **state)
{
	struct crl_item i;

	(void)state;
	assert_string_equal(lists("x{1..3}y"), "x1y\nx2y\nx3y\n");
	assert_string_equal(lists("x{9..11}"), "x9\nx10\nx11\n");
	assert_string_equal(lists("x{08..11}y"), "x08y\nx09y\nx10y\nx11y\n");
	assert_string_equal(lists("{099..101}"), "099\n100\n101\n");
	assert_string_equal(lists("x{9..010}"), "x009\nx010\n");
	assert_string_equal(lists("x{0..1}"), "x0\nx1\n");
	assert_string_equal(lists("x{00..1}"), "x00\nx01\n");
	assert_string_equal(lists("x{7..7}"), "x7\n");
	assert_null(crl_item_parse("http://x/{1..128}.crl", &i));
	assert_int_equal(i.lists_n, 128);
	assert_true(i.ranged);
	assert_null(crl_item_parse("x{0..999999999}", &i));
	assert_int_equal(i.lists_n, 1000000000);
}

static void places_are_parted_first_and_equal_ranges_go_together(void **state)
{
	(void)state;
	assert_string_equal(lists("http://a/x | http://b/x"), "http://a/x http://b/x\n");
	assert_string_equal(lists("a | b |c | d"), "a b |c d\n"); /* told as no URL */
	assert_string_equal(lists("a |  b  | d "), "a b d\n");
	assert_string_equal(lists("a{1..2} | b{08..09}c"), "a1 b08c\na2 b09c\n");
	refused("a{1..2} | b{1..3}", "different numbers of lists");
	refused("a{1..2} | b", "different numbers of lists");
	refused("a | b{1..2} | c", "different numbers of lists");
	refused("a | ", "no URL on one side");
	refused(" | a", "no URL on one side");
	refused("a |  | b", "no URL on one side");
	refused("a|b | c | d | e | f | g | h | i | j | k | l | m | n | o | p | q | r",
	    "more than 16");
}

static void what_is_no_range_is_refused_with_its_remedy(void **state)
{
	(void)state;
	refused("x{}", "no range");
	refused("x{a..b}", "no range");
	refused("x{-1..2}", "no range");
	refused("x{1}", "without \"..\"");
	refused("x{1.2}", "without \"..\"");
	refused("x{1..", "no range");
	refused("x{1..2", "without its \"}\"");
	refused("x{1..2..3}", "without its \"}\"");
	refused("x{1, 2}", "without \"..\"");
	refused("x{3..1}", "counts down");
	refused("x{1..2}y{1..2}", "two ranges");
	refused("x{1..2}}", "of no range");
	refused("x}{1..2}", "of no range");
	refused("x}", "of no range");
	refused("x{", "no range");
	refused("x{0..1000000000}", "more than nine digits");
	refused("x{0000000001..2}", "more than nine digits");
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    cmocka_unit_test(what_has_no_range_is_one_list),
	    cmocka_unit_test(a_range_counts_from_its_first_to_its_last),
	    cmocka_unit_test(places_are_parted_first_and_equal_ranges_go_together),
	    cmocka_unit_test(what_is_no_range_is_refused_with_its_remedy),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
