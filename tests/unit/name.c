#include "cache/base/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void plain_names_are_those_of_the_configuration(void **state)
{
	char name[64];

	(void)state;
	memset(name, 'x', sizeof name);
	assert_true(name_is_plain(bytes_of("a", 1)));
	assert_true(name_is_plain(bytes_of("az09._-", 7)));
	assert_true(name_is_plain(bytes_of(name, 63)));
	assert_false(name_is_plain(bytes_of(name, 64)));
	assert_false(name_is_plain(bytes_of("", 0)));
	assert_false(name_is_plain(bytes_of(".", 1)));
	assert_false(name_is_plain(bytes_of("..", 2)));
	assert_true(name_is_plain(bytes_of("..a", 3)));
	assert_false(name_is_plain(bytes_of("A", 1)));
	assert_false(name_is_plain(bytes_of("a b", 3)));
	assert_false(name_is_plain(bytes_of("a\0", 2)));
	assert_false(name_is_plain(bytes_of("\xc3\xa4", 2)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_names_are_those_of_the_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
