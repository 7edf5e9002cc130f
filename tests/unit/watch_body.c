#include "cache/watch/watch_body.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cache/base/utf8.h"
#include "tests/lib/watch_kit.h"
#include "tests/lib/watch_vectors.h"

/* RFC 9110 section 8.3.1: type and subtype in any case, parameters behind. */
static void a_format_is_known_by_its_content_type(void **state)
{
	static const struct {
		const char *type;
		enum watch_format format;
	} row[] = {{"application/x-pem-file", WATCH_PEM},
	    {"application/x-ndjson", WATCH_NDJSON}, {"text/csv", WATCH_CSV},
	    {"text/plain", WATCH_PLAIN},
	    {"Text/CSV; charset=utf-8; header=present", WATCH_CSV},
	    {"text/csv ;x", WATCH_CSV}, {"text/csv  ", WATCH_CSV}};
	static const char *const other[] = {"", "text/csvx", "text/cs", "text/csv x",
	    "application/json", "text/html", " text/csv", ";text/csv"};
	enum watch_format f;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		assert_true(watch_format_of(row[i].type, &f));
		assert_int_equal(f, row[i].format);
	}
	for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
		assert_false(watch_format_of(other[i], &f));
}

static void bases_are_known_by_their_names(void **state)
{
	enum watch_base base = WATCH_BASE_DEC;

	(void)state;
	assert_true(watch_base_of("", &base));
	assert_int_equal(base, WATCH_BASE_UNSAID);
	assert_true(watch_base_of("hex", &base));
	assert_int_equal(base, WATCH_BASE_HEX);
	assert_true(watch_base_of("dec", &base));
	assert_int_equal(base, WATCH_BASE_DEC);
	assert_false(watch_base_of("HEX", &base));
	assert_false(watch_base_of("oct", &base));
}

/* Ten digits are no sign, eleven are; anything that is no digit says hexadecimal. */
static void serials_are_ambiguous_only_when_all_are_long_digits(void **state)
{
	static const struct {
		const char *serial[3];
		uint64_t line; /* of the error; 0: none */
	} row[] = {{{"1", "22", "1234567890"}, 0}, {{"1", "12345678901", "2"}, 2},
	    {{"1", "12345678901", "a"}, 0}, {{"0x1", "12345678901", "2"}, 0},
	    {{"1", "12345678901", "12:34"}, 0}, {{"1", "00000000001", "2"}, 2},
	    {{"-1", "12345678901", "2"}, 0}, {{"123456789012", "12345678901", "2"}, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		for (int said = 0; said < 2; said++) {
			struct watch_serials w = {
			    .base = said ? WATCH_BASE_HEX : WATCH_BASE_UNSAID};
			struct watch_error e = {.code = WATCH_FINE};
			struct serial s;

			for (uint64_t line = 1; line <= 3; line++) {
				const char *text = row[i].serial[line - 1];

				assert_true(watch_serial_read(
				    &w, bytes_of(text, strlen(text)), line, &s, &e));
			}
			assert_int_equal(
			    watch_serials_end(&w, &e), said || row[i].line == 0);
			if (!said && row[i].line > 0) {
				assert_int_equal(e.code, WATCH_BAD_BASE);
				assert_int_equal(e.line, row[i].line);
			}
		}
}

static void labels_of_errors_are_words_of_their_own(void **state)
{
	(void)state;
	for (int a = 0; a < WATCH_BAD_COUNT; a++) {
		const char *label = watch_bad_label((enum watch_bad)a);

		assert_int_equal(strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789_"),
		    strlen(label));
		for (int b = 0; b < a; b++)
			assert_string_not_equal(
			    label, watch_bad_label((enum watch_bad)b));
	}
}

/* What others wrote is shown without controls, as UTF-8, and short (T25). */
static void what_is_shown_is_valid_and_short(void **state)
{
	static const struct {
		const char *text, *shown;
	} row[] = {{"", ""}, {"12x", "12x"}, {"a\nb\x1b[31m", "a?b?[31m"},
	    {"caf\xe9", "caf?"}, {"caf\xc3\xa9", "caf\xc3\xa9"},
	    {"\xc2\x9b"
	     "x\xe2\x80\xa8y\x7f",
		"?x?y?"},
	    {"0123456789012345678901234567890123456789",
		"0123456789012345678901234567890123456789"},
	    {"01234567890123456789012345678901234567890",
		"0123456789012345678901234567890123456789..."},
	    {"012345678901234567890123456789012345678\xc3\xa9",
		"012345678901234567890123456789012345678..."}};
	char shown[WATCH_SHOWN_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct bytes text = bytes_of(row[i].text, strlen(row[i].text));

		assert_string_equal(watch_shown(text, shown), row[i].shown);
	}
	for (unsigned c = 0; c < 256; c++) {
		uint8_t text[64];

		memset(text, (int)c, sizeof text);
		watch_shown(bytes_of(text, sizeof text), shown);
		assert_true(strlen(shown) < sizeof shown);
		assert_true(utf8_is_valid(bytes_of(shown, strlen(shown))));
	}
}

static bool count_heap(void *arg, const struct watch_cert *c)
{
	size_t *heap = arg; /* calls, then the heap at the 100th and at the last */

	(void)c;
	heap[++heap[0] <= 100 ? 1 : 2] = mallinfo2().uordblks;
	return true;
}

/* Of 100 certificates and of 5,000. */
static void memory_is_flat(void **state)
{
	static const char *const head[] = {"", "", "serial,issuer,names\n"};
	static const char *const entry[] = {PEM_KEY PEM_NO_AKI_B PEM_CA_B,
	    "{\"issuer\":\"a\",\"serial\":\"1f\",\"names\":[\"x\\u0061\"]}\n",
	    "1f,a,\"x\"\n"};

	(void)state;
	for (enum watch_format f = WATCH_PEM; f <= WATCH_CSV; f++) {
		size_t heap[3] = {0};
		struct watch_want want = {.format = f, .each = count_heap, .arg = heap};
		struct watch_body *b = watch_body_new(&want);

		assert_non_null(b);
		assert_true(watch_body_feed(b, bytes_of(head[f], strlen(head[f]))));
		for (int i = 0; i < (f == WATCH_PEM ? 400 : 5000); i++)
			assert_true(
			    watch_body_feed(b, bytes_of(entry[f], strlen(entry[f]))));
		assert_true(watch_body_end(b));
		assert_true(heap[0] >= 400 && heap[2] <= heap[1] + 16384);
		watch_body_free(b);
	}
}

static void a_body_that_is_not_begun_is_freed(void **state)
{
	struct watch_kit *kit = calloc(1, sizeof *kit);

	(void)state;
	assert_non_null(kit);
	watch_body_free(NULL);
	for (enum watch_format f = WATCH_PEM; f <= WATCH_CSV; f++) {
		kit->want.format = f;
		assert_int_equal(watch_kit_read(kit, "", 0), f != WATCH_CSV);
		assert_int_equal(kit->count.certificates, 0);
	}
	free(kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_format_is_known_by_its_content_type),
	    cmocka_unit_test(bases_are_known_by_their_names),
	    cmocka_unit_test(serials_are_ambiguous_only_when_all_are_long_digits),
	    cmocka_unit_test(labels_of_errors_are_words_of_their_own),
	    cmocka_unit_test(what_is_shown_is_valid_and_short),
	    cmocka_unit_test(memory_is_flat),
	    cmocka_unit_test(a_body_that_is_not_begun_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
