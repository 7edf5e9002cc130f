#include "cache/base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static bool valid(const char *text)
{
	return utf8_is_valid(bytes_of(text, strlen(text)));
}

/* RFC 3629 sections 3, 7 and 10. */
static void what_is_utf8_is_known(void **state)
{
	static const char *const good[] = {"", "A\xe2\x89\xa2\xce\x91.",
	    "\xed\x95\x9c\xea\xb5\xad\xec\x96\xb4", "\xef\xbb\xbf\xf0\xa3\x8e\xb4",
	    "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
	    "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2",
	    "\xc2\x41", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
	    "\xef\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
	    "\xff",
	    "a\xe4"
	    "b"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_true(valid(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(valid(bad[i]));
}

static void every_code_point_is_read_as_it_was_written(void **state)
{
	(void)state;
	for (unsigned code = 0; code < 0x110000; code++) {
		uint8_t out[UTF8_MAX];
		unsigned back;
		size_t n;

		if (code == 0xd800)
			code = 0xe000;
		n = utf8_put(code, out);
		assert_int_equal(utf8_length(out, n, &back), n);
		assert_int_equal(back, code);
		assert_int_equal(n > 1 ? utf8_length(out, n - 1, &back) : 0, 0);
	}
}

static void controls_are_those_of_unicode_and_what_breaks_a_line(void **state)
{
	(void)state;
	for (unsigned code = 0; code < 0x3000; code++)
		assert_int_equal(utf8_is_control(code),
		    code <= 0x1f || (code >= 0x7f && code <= 0x9f) || code == 0x2028 ||
			code == 0x2029);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_utf8_is_known),
	    cmocka_unit_test(every_code_point_is_read_as_it_was_written),
	    cmocka_unit_test(controls_are_those_of_unicode_and_what_breaks_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
