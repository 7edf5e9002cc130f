/* Queries of the API: each parameter once, decoded, and no other. */
#include "proxy/api/api_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const names[] = {"map", "serial", "issuer"};

/* All parameters as "name=value;", or "STATUS message". */
static const char *read_all(const char *query)
{
	static char text[512];
	/* on the heap and exactly as long, so that a read behind it is found */
	char *copy = malloc(strlen(query) + 1), value[12];
	struct api_query q = {.rest = {(const uint8_t *)copy, strlen(query)}};
	struct api_error e;
	size_t which, n = 0;

	memcpy(copy, query, strlen(query));
	text[0] = '\0';
	while (api_query_next(&q, names, 3, &which, value, sizeof value, &e))
		n += (size_t)snprintf(
		    text + n, sizeof text - n, "%s=%s;", names[which], value);
	if (e.status != 0)
		snprintf(text, sizeof text, "%d %s: %s", e.status, e.code, e.message);
	free(copy);
	return text;
}

static void parameters_come_one_after_the_other(void **state)
{
	(void)state;
	assert_string_equal(read_all(""), "");
	assert_string_equal(read_all("map=a"), "map=a;");
	assert_string_equal(read_all("issuer=x&map=a"), "issuer=x;map=a;");
	assert_string_equal(read_all("&&map=a&"), "map=a;");
	assert_string_equal(read_all("map"), "map=;");
	assert_string_equal(read_all("map=&serial=dec"), "map=;serial=dec;");
	assert_string_equal(read_all("map=serial=A"), "map=serial=A;");
}

/* RFC 3986 section 2.1; a form's plus is none here. */
static void values_are_decoded_once(void **state)
{
	(void)state;
	assert_string_equal(read_all("map=a%2Cb%3dc%26d"), "map=a,b=c&d;");
	assert_string_equal(read_all("map=%2541"), "map=%41;");
	assert_string_equal(read_all("map=a+b"), "map=a+b;");
	assert_string_equal(read_all("map=%C3%BC"), "map=\xc3\xbc;");
}

static void what_is_odd_is_refused(void **state)
{
	static const char *const bad[] = {
	    "map=%", "map=%4", "map=%4g", "map=%g4", "map=a%00b"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_string_equal(
		    read_all(bad[i]), "400 bad_request: query: bad percent-escape");
	assert_string_equal(
	    read_all("map=a&map=a"), "400 bad_request: map: more than once");
	assert_string_equal(read_all("Map=a"),
	    "400 bad_request: query: unknown parameter; there are map, serial and "
	    "issuer");
	assert_string_equal(read_all("=a"), read_all("x"));
	assert_string_equal(read_all("m%61p=a"), read_all("x"));
}

static void what_is_too_long_fills_its_room(void **state)
{
	(void)state;
	assert_string_equal(read_all("map=0123456789a"), "map=0123456789a;");
	assert_string_equal(read_all("map=0123456789abcd"), "map=0123456789a;");
}

static void a_call_without_a_query_says_so(void **state)
{
	struct api_query q = {.rest = bytes_of("x=y", 3)};
	struct api_error e;
	char value[8];
	size_t which;

	(void)state;
	assert_false(api_query_next(&q, NULL, 0, &which, value, sizeof value, &e));
	assert_int_equal(e.status, 400);
	assert_string_equal(e.message, "query: this call has none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parameters_come_one_after_the_other),
	    cmocka_unit_test(values_are_decoded_once),
	    cmocka_unit_test(what_is_odd_is_refused),
	    cmocka_unit_test(what_is_too_long_fills_its_room),
	    cmocka_unit_test(a_call_without_a_query_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
