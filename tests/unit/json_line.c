#include "proxy/base/json_line.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct json_line line;

static int empty(void **state)
{
	(void)state;
	free(line.p);
	line = (struct json_line){0};
	return 0;
}

static void is(const char *text)
{
	assert_false(line.failed);
	assert_int_equal(line.n, strlen(text));
	assert_memory_equal(line.p, text, line.n);
}

/* jansson reads it, and has what was put in. */
static void every_character_comes_back(void **state)
{
	char text[0x500 * 2];
	size_t n = 0;
	json_t *back;

	(void)state;
	for (unsigned c = 1; c < 0x500; c++) {
		if (c >= 0x80)
			text[n++] = (char)(0xc0 | c >> 6);
		text[n++] = (char)(c < 0x80 ? c : 0x80 | (c & 0x3f));
	}
	json_put_string(&line, bytes_of(text, n));
	assert_false(line.failed);
	for (size_t i = 0; i < line.n; i++) /* a control is told, not written */
		assert_true((unsigned char)line.p[i] >= 0x20 && line.p[i] != 0x7f);
	for (size_t i = 0; i + 1 < line.n; i++)
		assert_false((unsigned char)line.p[i] == 0xc2 &&
			     (unsigned char)line.p[i + 1] < 0xa0);
	back = json_loadb(line.p, line.n, JSON_DECODE_ANY, NULL);
	assert_int_equal(json_string_length(back), n);
	assert_memory_equal(json_string_value(back), text, n);
	json_decref(back);
}

static void values_are_as_json_has_them(void **state)
{
	(void)state;
	json_put(&line, "[");
	json_put_text(&line, NULL);
	json_put(&line, ",");
	json_put_text(&line, "a\"b\\c\n");
	json_put(&line, ",");
	json_put_number(&line, UINT64_MAX);
	json_put(&line, ",");
	json_put_time(&line, 1795342428);
	json_put(&line, ",");
	json_put_time(&line, INT64_MIN);
	json_put(&line, ",");
	json_put_string(&line, bytes_of(NULL, 0));
	json_put(&line, "]");
	is("[null,\"a\\\"b\\\\c\\u000a\",18446744073709551615,"
	   "\"2026-11-22T10:13:48Z\",null,\"\"]");
}

static void it_grows_to_any_length(void **state)
{
	(void)state;
	for (size_t i = 0; i < 100000; i++)
		json_put_bytes(&line, "0123456789", 10);
	assert_int_equal(line.n, 1000000);
	for (size_t i = 0; i < line.n; i++)
		assert_int_equal(line.p[i], '0' + (int)(i % 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(every_character_comes_back, empty),
	    cmocka_unit_test_teardown(values_are_as_json_has_them, empty),
	    cmocka_unit_test_teardown(it_grows_to_any_length, empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
