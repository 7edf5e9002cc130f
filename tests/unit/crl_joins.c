#include "cache/crl/crl_joins.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_joined_list_has_the_others_name(void **state)
{
	struct crl_joins *one = crl_joins_new(NULL, "b", "a");
	struct crl_joins *two = crl_joins_new(one, "d", "c");
	struct crl_joins *none;

	(void)state;
	assert_string_equal(crl_joins_name(one, "b"), "a");
	assert_string_equal(crl_joins_name(two, "b"), "a");
	assert_string_equal(crl_joins_name(two, "d"), "c");
	assert_string_equal(crl_joins_name(two, "a"), "a");
	assert_string_equal(crl_joins_name(NULL, "b"), "b");
	assert_string_equal(crl_joins_name(one, "d"), "d"); /* immutable */
	crl_joins_unref(one);
	one = crl_joins_new(two, "b", "c"); /* another one now */
	assert_int_equal(one->n, 2);
	assert_string_equal(crl_joins_name(one, "b"), "c");
	none = crl_joins_new(one, "b", NULL); /* its own again */
	assert_int_equal(none->n, 1);
	assert_string_equal(crl_joins_name(none, "b"), "b");
	assert_ptr_equal(crl_joins_ref(none), none);
	assert_null(crl_joins_ref(NULL));
	crl_joins_unref(none);
	assert_string_equal(crl_joins_name(none, "d"), "c");
	crl_joins_unref(none);
	crl_joins_unref(one);
	crl_joins_unref(two);
	crl_joins_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    cmocka_unit_test(a_joined_list_has_the_others_name),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
