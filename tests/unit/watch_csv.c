#include "cache/watch/watch_csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/watch_kit.h"

static struct watch_kit kit;

static void start(const char *map)
{
	kit = (struct watch_kit){.want = {.format = WATCH_CSV, .map = map}};
}

/* The same comes of it however it is cut into pieces. */
static void expect(const char *body, const char *text)
{
	static const size_t pieces[] = {0, 1, 2, 7, 64};

	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		kit.piece = pieces[i];
		watch_kit_read(&kit, body, strlen(body));
		assert_string_equal(kit.text, text);
	}
	kit.piece = 0;
}

static void a_row_is_a_certificate(void **state)
{
	(void)state;
	start(NULL);
	expect(
	    "serial,issuer,names,not_before,not_after,crl,labels\r\n"
	    "1004,demo,A.example;*.b.example,2026-01-02T03:04:05Z,2026-12-31T23:59:59Z,"
	    "http://c/a.crl;http://c/b.crl,owner=web;stage\r\n"
	    "0xAB,demo,,,,,\r\n",
	    "2 demo 1004 1767323045..1798761599 names=a.example;*.b.example "
	    "labels=owner=web;stage crl=http://c/a.crl;http://c/b.crl\n3 demo ab\n");
	expect("ISSUER_KEY,x,Serial\nab:cd,,1", "2 - 1 key=abcd\n");
}

/* The seven rules of RFC 4180 section 2, with its own examples. */
static void quotes_are_read_as_the_rfc_says(void **state)
{
	(void)state;
	start(NULL);
	expect("serial,issuer,labels\r\n\"a1\",\"demo\",\"b \r\nbb\"\r\n"
	       "a2,demo,\"b\"\"bb\"\r\na3,demo,\"x,y\"\r\na4,demo,\"\"\r\na5,demo,"
	       "\"\"\"\"\r\n"
	       "a6,demo,ccc",
	    "2 demo a1 labels=b \r\nbb\n4 demo a2 labels=b\"bb\n5 demo a3 labels=x,y\n"
	    "6 demo a4\n7 demo a5 labels=\"\n8 demo a6 labels=ccc\n");
}

static void a_mark_lf_and_empty_rows_are_taken(void **state)
{
	(void)state;
	start(NULL);
	expect("\xef\xbb\xbf\"serial\",issuer\n\n\r\n1,a\n\n2,b\n\n", "4 a 1\n6 b 2\n");
	/* what only begins like a mark is text */
	expect("\xef\xbbserial,issuer\n1,a",
	    "1!! bad_utf8: field 1 is not UTF-8, or has a NUL\n");
}

static void blanks_around_values_are_none_of_them(void **state)
{
	(void)state;
	start(NULL);
	expect("serial,issuer,names\n 1A:2B ,\ta ,  x.example ;; \ty.example;\n",
	    "2 a 1a2b names=x.example;y.example\n");
}

static void a_map_says_which_column_is_what(void **state)
{
	(void)state;
	start("serial=Serial Number,issuer=CA,names=SAN");
	expect("CA,serial,SAN,Serial Number,issuer\ndemo,zz,a.example,1f,Some \xc3\xa9\n",
	    "2 demo 1f names=a.example\n");
	expect("CA,Serial Number\nx,1",
	    "1!! bad_column: there is no column \"SAN\" (map: names)\n");
	start("\"serial=Serial, \"\"hex\"\"\",issuer_key=k=");
	expect("\"Serial, \"\"hex\"\"\",k=\n1f,ab\n", "2 - 1f key=ab\n");
}

static void a_map_that_cannot_be_is_told(void **state)
{
	static const struct {
		const char *map, *told;
	} row[] = {
	    {"serial=a,issuer=b,name=c",
		"0!! bad_column: map: \"name=c\" is not FIELD=COLUMN with FIELD one of "
		"serial, "
		"issuer, issuer_key, names, not_before, not_after, crl, labels\n"},
	    {"serial", "0!! bad_column: map: \"serial\" is not FIELD=COLUMN with FIELD "
		       "one of serial, "
		       "issuer, issuer_key, names, not_before, not_after, crl, labels\n"},
	    {"serial=a,serial=b", "0!! bad_column: map names two columns for serial\n"},
	    {"serial=\"a",
		"0!! bad_column: map is no line of CSV (serial=Column,issuer=Column)\n"},
	    {"\"serial=a",
		"0!! bad_column: map is no line of CSV (serial=Column,issuer=Column)\n"},
	    {"serial=a\nissuer=b",
		"0!! bad_column: map is no line of CSV (serial=Column,issuer=Column)\n"},
	    {"issuer=a",
		"1!! bad_column: no column is the serial; map=serial=COLUMN says "
		"which\n"},
	    {"serial=a",
		"1!! bad_column: no column is the issuer; map=issuer=COLUMN says "
		"which\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		start(row[i].map);
		expect("a,b\n1,x\n", row[i].told);
		if (row[i].told[0] == '0')
			expect("", row[i].told);
	}
}

static void a_header_that_cannot_be_is_told(void **state)
{
	static const struct {
		const char *body, *told;
	} row[] = {
	    {"", "1!! bad_column: there is no header line\n"},
	    {"\n\n", "1!! bad_column: there is no header line\n"},
	    {"1004,demo\n",
		"1!! bad_column: no column is the serial; map=serial=COLUMN says "
		"which\n"},
	    {"serial,x\n",
		"1!! bad_column: no column is the issuer; map=issuer=COLUMN says "
		"which\n"},
	    {"serial,issuer,Serial\n",
		"1!! bad_column: the column \"Serial\" is there twice\n"},
	    {"\nser\"ial,issuer\n1,a\n",
		"2!! bad_csv: a quote inside of a field that has none "
		"around it\n"},
	};

	(void)state;
	start(NULL);
	for (int go_on = 0; go_on < 2; go_on++) {
		kit.go_on = go_on;
		for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
			expect(row[i].body, row[i].told);
	}
	kit.want.issuer_optional = true;
	expect("serial\n1f\n", "2 - 1f\n");
}

static void a_bad_row_is_told_with_the_line_where_it_begins(void **state)
{
	static const struct {
		const char *row, *told;
	} row[] = {
	    {"1,a,b,c", "bad_csv: it has 4 fields, the header has 3"},
	    {"1,a", "bad_csv: it has 2 fields, the header has 3"},
	    {"1,a,x\"y", "bad_csv: a quote inside of a field that has none around it"},
	    {"1,a,\"x\"y", "bad_csv: something behind the quote that ends a field"},
	    {"1,a,\"x\" ", "bad_csv: something behind the quote that ends a field"},
	    {"1,a,x\ry", "bad_csv: a CR without LF"},
	    {"1,a,\"\n\n\"x", "bad_csv: something behind the quote that ends a field"},
	    {"1,a,caf\xe9", "bad_utf8: field 3 is not UTF-8, or has a NUL"},
	    {"\xc3,\xa9,", "bad_utf8: field 1 is not UTF-8, or has a NUL"},
	    {",a,", "bad_field: there is no serial"},
	    {"1,,", "bad_field: there is neither issuer nor issuer_key"},
	    {"1.23E+17,a,",
		"bad_serial: the serial \"1.23E+17\" is not hexadecimal, or longer "
		"than any certificate's"},
	    {"1,CN=A B,", "bad_issuer: the issuer \"CN=A B\" is no name of an issuer "
			  "([a-z0-9._-], at most 63); issuer_key names one by its key"},
	};
	char body[256], told[512];

	(void)state;
	start(NULL);
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		snprintf(body, sizeof body, "serial,issuer,names\n1,a,\"\n\"\n%s\n2,b,\n",
		    row[i].row);
		snprintf(told, sizeof told, "2 a 1 names=\n\n4!! %s\n", row[i].told);
		kit.go_on = false;
		expect(body, told);
		snprintf(told, sizeof told, "2 a 1 names=\n\n4! %s\n%d b 2\n",
		    row[i].told, strstr(row[i].row, "\n\n") != NULL ? 7 : 5);
		kit.go_on = true;
		expect(body, told);
	}
}

static void a_quote_without_end_is_told_with_its_row(void **state)
{
	(void)state;
	start(NULL);
	expect("serial,issuer\n1,a\n2,\"b\n3,c\n4,d\n",
	    "2 a 1\n3!! bad_csv: a quote without end\n");
	expect("serial,issuer\n1,a\n2,b\r", "2 a 1\n3!! bad_csv: a CR without LF\n");
}

static void a_row_and_its_fields_have_bounds(void **state)
{
	size_t n = WATCH_LINE_MAX;
	char *body = malloc(n + 100);

	(void)state;
	start(NULL);
	kit.go_on = true;
	assert_non_null(body);
	memset(body, 'x', n + 100);
	strcpy(body, "serial,issuer,y\n1,a,\"");
	body[strlen(body)] = 'x';
	strcpy(body + n + 90, "\"\n2,b,\n");
	assert_false(watch_kit_read(&kit, body, strlen(body)));
	assert_string_equal(kit.text,
	    "2!! too_long: it has more than 1048576 octets; is there a "
	    "quote too many?\n");
	strcpy(body, "serial,issuer");
	memset(body + 13, ',', 2000);
	strcpy(body + 13 + 1022, "\n1,a");
	memset(body + 13 + 1022 + 4, ',', 1022);
	strcpy(body + 13 + 1022 + 4 + 1022, "\n");
	assert_true(watch_kit_read(&kit, body, strlen(body)));
	assert_string_equal(kit.text, "2 a 1\n");
	body[13 + 1022 + 4 + 1022] = ',';
	strcpy(body + 13 + 1022 + 4 + 1022 + 1, "\n2,b");
	assert_true(watch_kit_read(&kit, body, strlen(body)));
	assert_string_equal(kit.text,
	    "2! bad_csv: it has too many fields\n"
	    "3! bad_csv: it has 2 fields, the header has 1024\n");
	free(body);
}

static void a_nul_is_no_text(void **state)
{
	static const char body[] = "serial,issuer,names\n1,a,x\0y\n";

	(void)state;
	start(NULL);
	assert_false(watch_kit_read(&kit, body, sizeof body - 1));
	assert_string_equal(
	    kit.text, "2!! bad_utf8: field 3 is not UTF-8, or has a NUL\n");
}

static void serials_may_be_decimal(void **state)
{
	(void)state;
	start(NULL);
	expect("serial,issuer\n340282366920938463463374607431768211455,a\n",
	    "2 a 340282366920938463463374607431768211455\n2!! serials_ambiguous: all "
	    "serials "
	    "are digits, and this one has more than ten: say whether they are "
	    "hexadecimal or "
	    "decimal (serial=hex, serial=dec)\n");
	kit.want.base = WATCH_BASE_DEC;
	expect("serial,issuer\n340282366920938463463374607431768211455,a\n",
	    "2 a ffffffffffffffffffffffffffffffff\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_row_is_a_certificate),
	    cmocka_unit_test(quotes_are_read_as_the_rfc_says),
	    cmocka_unit_test(a_mark_lf_and_empty_rows_are_taken),
	    cmocka_unit_test(blanks_around_values_are_none_of_them),
	    cmocka_unit_test(a_map_says_which_column_is_what),
	    cmocka_unit_test(a_map_that_cannot_be_is_told),
	    cmocka_unit_test(a_header_that_cannot_be_is_told),
	    cmocka_unit_test(a_bad_row_is_told_with_the_line_where_it_begins),
	    cmocka_unit_test(a_quote_without_end_is_told_with_its_row),
	    cmocka_unit_test(a_row_and_its_fields_have_bounds),
	    cmocka_unit_test(a_nul_is_no_text),
	    cmocka_unit_test(serials_may_be_decimal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
