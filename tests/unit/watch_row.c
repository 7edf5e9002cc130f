#include "cache/watch/watch_row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cache/watch/watch_room.h"

#define ROW_MAX 64

static char told[1024];

static void tell_row(const struct watch_row *r)
{
	size_t n = strlen(told);

	n += (size_t)sprintf(told + n, "%d", (int)watch_row_line(r));
	for (size_t i = 0; i < watch_row_fields(r); i++) {
		struct bytes f = watch_row_field(r, i);

		n += (size_t)sprintf(told + n, "|%.*s", (int)f.n, (const char *)f.p);
	}
	sprintf(told + n, "\n");
}

static bool take_step(struct watch_row *r, enum watch_row_step s, struct watch_error *e)
{
	if (s == WATCH_ROW_WHOLE)
		tell_row(r);
	else if (s != WATCH_ROW_MORE)
		sprintf(told + strlen(told), "%d! %s\n", (int)e->line, e->why);
	return s != WATCH_ROW_OVER;
}

/* LINE|FIELD|FIELD, LINE! WHY. */
static void expect(const char *text, const char *rows)
{
	for (size_t step = 1; step < 5; step++) {
		struct watch_row *r = watch_row_new(ROW_MAX);
		struct watch_error e = {.line = 0};
		size_t n = strlen(text);
		bool go = true;

		assert_non_null(r);
		told[0] = '\0';
		for (size_t i = 0; go && i < n; i += step) {
			struct bytes piece =
			    bytes_of(text + i, n - i < step ? n - i : step);

			while (go && piece.n > 0)
				go = take_step(r, watch_row_step(r, &piece, &e), &e);
		}
		if (go)
			take_step(r, watch_row_end(r, &e), &e);
		assert_string_equal(told, rows);
		watch_row_free(r);
	}
}

/* RFC 4180 section 2. */
static void rows_are_read_as_the_rfc_says(void **state)
{
	(void)state;
	expect("aaa,bbb,ccc\r\nzzz,yyy,xxx\r\n", "1|aaa|bbb|ccc\n2|zzz|yyy|xxx\n");
	expect("aaa,bbb,ccc\r\nzzz,yyy,xxx", "1|aaa|bbb|ccc\n2|zzz|yyy|xxx\n");
	expect("\"aaa\",\"b \r\nbb\",\"ccc\"\r\nzzz,yyy,xxx",
	    "1|aaa|b \r\nbb|ccc\n3|zzz|yyy|xxx\n");
	expect("\"aaa\",\"b\"\"bb\",\"ccc\"", "1|aaa|b\"bb|ccc\n");
	expect(",\n\"\"\n \n", "1||\n2|\n3| \n");
	expect("", "");
	expect("\n\r\n\n", "");
	expect("a,", "1|a|\n");
}

static void behind_a_broken_row_is_the_next(void **state)
{
	(void)state;
	expect("a\"b,\"c\nd\n\ne\"\"f\ng",
	    "1! a quote inside of a field that has none around it\n2|d\n"
	    "4! a quote inside of a field that has none around it\n5|g\n");
	expect("\"a\"b\n\"c", "1! something behind the quote that ends a field\n"
			      "2! a quote without end\n");
	expect("a\rb\nc\r", "1! a CR without LF\n2! a CR without LF\n");
}

static void a_row_has_a_bound(void **state)
{
	char text[ROW_MAX + 8];

	(void)state;
	memset(text, 'x', sizeof text);
	strcpy(text + ROW_MAX - 1, "\ny");
	told[0] = '\0';
	for (int more = 0; more < 2; more++) {
		struct watch_row *r = watch_row_new(ROW_MAX);
		struct watch_error e;
		struct bytes piece = bytes_of(text, strlen(text));
		enum watch_row_step s = watch_row_step(r, &piece, &e);

		assert_int_equal(s, more ? WATCH_ROW_OVER : WATCH_ROW_WHOLE);
		if (more) {
			assert_int_equal(e.code, WATCH_BAD_LONG);
			assert_int_equal(e.line, 1);
		}
		watch_row_free(r);
		memset(text, 'x', ROW_MAX + 1);
		strcpy(text + ROW_MAX + 1, "\ny");
	}
	watch_row_free(NULL);
}

/* What was there is there when it grows. */
static void room_grows(void **state)
{
	struct watch_room r = {NULL, 0};

	(void)state;
	for (size_t n = 1; n < 100000; n = n * 3 + 1) {
		assert_true(watch_room_grow(&r, n));
		assert_true(r.n >= n);
		r.p[n - 1] = (uint8_t)n;
		for (size_t m = 1; m <= n; m = m * 3 + 1)
			assert_int_equal(r.p[m - 1], (uint8_t)m);
	}
	watch_room_free(&r);
	assert_int_equal(r.n, 0);
	watch_room_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_are_read_as_the_rfc_says),
	    cmocka_unit_test(behind_a_broken_row_is_the_next),
	    cmocka_unit_test(a_row_has_a_bound),
	    cmocka_unit_test(room_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
