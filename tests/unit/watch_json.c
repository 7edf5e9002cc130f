#include "cache/watch/watch_json.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Is the text one JSON value, and no more? */
static bool is_json(const char *text, size_t n)
{
	struct watch_error e = {.code = WATCH_FINE};
	uint8_t *room = malloc(n + 1), *copy = malloc(n + 1);
	struct watch_json j = {copy, copy, copy + n, room, &e};
	bool good;

	assert_true(room != NULL && copy != NULL);
	memcpy(copy, text, n);
	good = watch_json_skip(&j) && watch_json_peek(&j) == 0 && j.p == j.end;
	assert_true(j.p <= j.end && j.room <= room + n);
	assert_true(good || e.code != WATCH_FINE || j.p < j.end);
	free(room);
	free(copy);
	return good;
}

static bool jansson_says(const char *text, size_t n)
{
	json_error_t e;
	json_t *o = json_loadb(text, n, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &e);
	bool good = o != NULL || json_error_code(&e) == json_error_numeric_overflow;

	json_decref(o);
	return good;
}

/* RFC 8259: all that it knows, in one text. */
static const char sample[] =
    "{\"a\" : [1, -0, 0.5e-7, 1E+9, -12.25],\t\"b\":{\"\":null, \"\\u00e9\":true},\n"
    "\"c\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t \\ud834\\udd1e \xc3\xa9 \xf0\x9f\x98\x80 longer "
    "than eight\","
    "\r\"d\":[[],{},[{}],false]}";

/* Whatever one or two octets are changed into, taken out or put in. */
static void jansson_agrees_about_each_change(void **state)
{
	static const char with[] =
	    "{}[]\",:\\/0129.eE+-truefalsn \t\n\x01\x1f\x7f\x80\xc3\xff";
	uint32_t random = 1;
	size_t valid = 0;

	(void)state;
	assert_true(is_json(sample, sizeof sample - 1));
	for (int i = 0; i < 20000; i++) {
		char text[sizeof sample + 2];
		size_t n = sizeof sample - 1;

		memcpy(text, sample, n);
		for (int changes = 0; changes <= i % 2; changes++) {
			size_t at = (random = random * 1664525 + 1013904223) >> 8;
			char c = with[(random >> 4) % (sizeof with - 1)];

			at %= n;
			switch (random >> 28 & 3) {
			case 0:
				memmove(text + at, text + at + 1, --n - at);
				break;
			case 1:
				memmove(text + at + 1, text + at, n++ - at);
				/* fall through */
			default:
				text[at] = c;
			}
		}
		if (is_json(text, n) != jansson_says(text, n))
			fail_msg("%d: %.*s", i, (int)n, text);
		valid += is_json(text, n);
	}
	assert_true(valid > 1000 && valid < 19000);
}

static void every_beginning_of_a_text_is_none(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof sample - 1; n++)
		assert_false(is_json(sample, n));
}

/* Strings without escapes are borrowed from the text, others from the room. */
static void strings_are_borrowed_where_they_stand(void **state)
{
	static const char text[] =
	    "\"plain and long\" \"esc\\u0061ped\\n\" \"\\\"\" \"\"";
	static const char *const expected[] = {"plain and long", "escaped\n", "\"", ""};
	uint8_t room[sizeof text];
	struct watch_error e;
	struct bytes got[4];
	const uint8_t *from = (const uint8_t *)text;
	struct watch_json j = {from, from, from + sizeof text - 1, room, &e};

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_true(watch_json_string(&j, &got[i]));
	for (int i = 0; i < 4; i++) {
		bool borrowed = got[i].p >= from && got[i].p < from + sizeof text;

		assert_int_equal(got[i].n, strlen(expected[i]));
		assert_memory_equal(got[i].p, expected[i], got[i].n);
		assert_int_equal(borrowed, i == 0 || i == 3);
	}
	assert_false(watch_json_string(&j, &got[0]));
	assert_int_equal(e.code, WATCH_BAD_JSON);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(jansson_agrees_about_each_change),
	    cmocka_unit_test(every_beginning_of_a_text_is_none),
	    cmocka_unit_test(strings_are_borrowed_where_they_stand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
