#include "cache/watch/watch_ndjson.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/key_vectors.h"
#include "tests/lib/watch_kit.h"

static struct watch_kit kit;

static void start(void)
{
	kit = (struct watch_kit){.want = {.format = WATCH_NDJSON}};
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

static void a_line_is_a_certificate(void **state)
{
	(void)state;
	start();
	expect("{\"issuer\":\"demo\",\"serial\":\"1004\"}\n", "1 demo 1004\n");
	expect("{\"issuer_key\":\"A7:BA\",\"serial\":\"0x00AB\",\"names\":[\"A.example\","
	       "\"*.B.example\"],\"not_before\":\"2026-01-02T03:04:05Z\","
	       "\"not_after\":\"2027-01-01T00:59:59+01:00\",\"crl\":[\"http://c/x.crl\"],"
	       "\"labels\":[\"owner=web team\",\"Z\\u00fcrich\"]}",
	    "1 - ab key=a7ba 1767323045..1798761599 names=a.example;*.b.example "
	    "labels=owner=web team;Z\xc3\xbcrich crl=http://c/x.crl\n");
	assert_int_equal(kit.count.certificates, 1);
}

static void lines_end_with_lf_or_cr_lf_and_may_be_empty(void **state)
{
	(void)state;
	start();
	expect("\xef\xbb\xbf{\"issuer\":\"a\",\"serial\":\"1\"}\r\n\r\n \t\n"
	       "  {\"serial\" : \"2\" , \"issuer\" :\t\"b\" } \n\n{\"issuer\":\"c\","
	       "\"serial\":\"3\"}",
	    "1 a 1\n4 b 2\n6 c 3\n");
	expect("", "");
	expect("\n\n", "");
}

/* RFC 8259: order, blanks, escapes of names too; what is not ours means nothing. */
static void members_in_any_order_and_others_besides(void **state)
{
	(void)state;
	start();
	expect("{\"x\":[1,{\"serial\":\"9\"},[],{}],\"s\\u0065rial\":\"a\",\"y\":-1.5e+3,"
	       "\"issuer\":\"i\",\"z\":null,\"t\":true,\"f\":false,\"names\":null,"
	       "\"labels\":[],\"not_before\":null,\"issuer_key\":null,\"serials\":0,\"\":"
	       "\"\"}",
	    "1 i a\n");
}

static void strings_are_decoded(void **state)
{
	(void)state;
	start();
	expect("{\"issuer\":\"\\u0069\",\"serial\":\"\\u0031\\u0030\",\"labels\":["
	       "\"\\\"\\\\\\/"
	       "\\b\\f\\n\\r\\t\",\"\\u00e9\\u20AC\\ud83d\\ude00\",\"plain then \\\\ "
	       "again\"]}",
	    "1 i 10 labels=\"\\/\b\f\n\r\t;\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80;plain "
	    "then \\ "
	    "again\n");
}

static void what_is_no_json_is_refused_with_its_line(void **state)
{
	static const char *const bad[] = {"{", "}", "[]", "1", "\"a\"", "{]", "{\"a\"}",
	    "{\"a\":}", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "{,}", "{a:1}", "{'a':1}",
	    "{\"a\":01}", "{\"a\":1.}", "{\"a\":.5}", "{\"a\":+1}", "{\"a\":1e}",
	    "{\"a\":-}", "{\"a\":tru}", "{\"a\":nul}", "{\"a\":NaN}", "{\"a\":[1,]}",
	    "{\"a\":[1 2]}", "{\"a\":[}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}",
	    "{\"a\":\"\\ud800\"}", "{\"a\":\"\\ud800\\u0041\"}", "{\"a\":\"\\udc00\"}",
	    "{\"a\":\"\\u0000\"}", "{\"a\":\"\t\"}", "{\"a\":\"b}", "{\"a\":1}}",
	    "{\"a\":1}{\"a\":1}", "{} x", "{\"a\":\"\\", "{\"a\":\"\\u1", "// {}",
	    "{\"a\":\"\\ud800\\"};
	char body[128];

	(void)state;
	start();
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(body, sizeof body,
		    "{\"issuer\":\"a\",\"serial\":\"1\"}\n%s\n"
		    "{\"issuer\":\"a\",\"serial\":\"2\"}",
		    bad[i]);
		assert_false(watch_kit_read(&kit, body, strlen(body)));
		if (strncmp(kit.text, "1 a 1\n2!! bad_json: ", 20) != 0)
			fail_msg("%s: %s", bad[i], kit.text);
	}
}

static void what_is_no_utf8_is_refused(void **state)
{
	static const char *const bad[] = {"\x80", "\xc0\xaf", "\xe0\x80\x80",
	    "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xc3"};
	char body[128];

	(void)state;
	start();
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(body, sizeof body,
		    "\n{\"issuer\":\"a\",\"serial\":\"1\",\"labels\":[\"caf%s\"]}",
		    bad[i]);
		assert_false(watch_kit_read(&kit, body, strlen(body)));
		assert_string_equal(kit.text, "2!! bad_utf8: octet 42 is not UTF-8\n");
	}
}

static void a_field_of_another_type_is_told(void **state)
{
	static const struct {
		const char *line, *told;
	} row[] = {
	    {"{\"issuer\":\"a\",\"serial\":4097}", "bad_field: serial is no string"},
	    {"{\"issuer\":[],\"serial\":\"1\"}", "bad_field: issuer is no string"},
	    {"{\"issuer\":\"a\",\"serial\":\"1\",\"names\":\"x\"}",
		"bad_field: names is no array of strings"},
	    {"{\"issuer\":\"a\",\"serial\":\"1\",\"names\":[\"x\",1]}",
		"bad_field: names is no array of strings"},
	    {"{\"issuer\":\"a\",\"serial\":\"1\",\"crl\":{}}",
		"bad_field: crl is no array of strings"},
	    {"{\"issuer\":\"a\"}", "bad_field: there is no serial"},
	    {"{}", "bad_field: there is no serial"},
	    {"{\"issuer\":\"a\",\"serial\":null}", "bad_field: there is no serial"},
	    {"{\"serial\":\"1\"}", "bad_field: there is neither issuer nor issuer_key"},
	    {"{\"serial\":\"1\",\"issuer\":\"a\",\"issuer_key\":\"ab\"}",
		"bad_field: issuer and issuer_key are both there; one of them says it"},
	    {"{\"serial\":\"1\",\"issuer\":\"a\",\"serial\":\"1\"}",
		"bad_field: serial is there twice"},
	    {"{\"issuer\":\"a\",\"serial\":\"12x\"}",
		"bad_serial: the serial \"12x\" is not hexadecimal, or longer than any "
		"certificate's"},
	    {"{\"issuer\":\"a\",\"serial\":\"\"}",
		"bad_serial: the serial \"\" is not hexadecimal, or longer than any "
		"certificate's"},
	    {"{\"issuer\":\"A b\\n\",\"serial\":\"1\"}",
		"bad_issuer: the issuer \"A b?\" is no name of an issuer ([a-z0-9._-], "
		"at "
		"most 63); issuer_key names one by its key"},
	    {"{\"issuer_key\":\"abc\",\"serial\":\"1\"}",
		"bad_issuer: the issuer_key \"abc\" is not 1 to 64 octets in "
		"hexadecimal"},
	    {"{\"issuer\":\"a\",\"serial\":\"1\",\"not_after\":\"2026-11-22\"}",
		"bad_time: not_after \"2026-11-22\" is no time (2026-11-22T10:13:48Z, "
		"RFC "
		"3339)"},
	};
	char told[256];

	(void)state;
	start();
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		snprintf(told, sizeof told, "1!! %s\n", row[i].told);
		expect(row[i].line, told);
	}
}

/* The key identifier of the CA of key_vectors.h is a7ba... (openssl x509 -ext
 * subjectKeyIdentifier). */
static void an_issuer_is_one_that_is_configured(void **state)
{
	static const struct watch_kit_issuer list[] = {
	    {"demo", vector_ca, false}, {NULL}};

	(void)state;
	start();
	kit.want.issuers = watch_kit_issuers(list);
	expect(
	    "{\"issuer\":\"demo\",\"serial\":\"1\"}\n{\"issuer\":\"demo\",\"serial\":"
	    "\"2\"}\n"
	    "{\"issuer_key\":\"A7:BA:21:04:F6:2A:E1:C4:87:11:F8:03:6A:17:7D:00:B8:05:9E:"
	    "A0\",\"serial\":\"3\"}\n{\"issuer_key\":\"00\",\"serial\":\"4\"}\n"
	    "{\"issuer\":\"demos\",\"serial\":\"5\"}",
	    "1 demo* 1\n2 demo* 2\n"
	    "3 demo* 3 key=a7ba2104f62ae1c48711f8036a177d00b8059ea0\n4 - 4 key=00\n"
	    "5!! bad_issuer: no issuer \"demos\" is configured; issuer_key names one "
	    "that is "
	    "not\n");
	kit.want.issuer_optional = true;
	expect("{\"serial\":\"1\"}", "1 - 1\n");
}

static void behind_a_bad_line_it_goes_on_if_asked(void **state)
{
	(void)state;
	start();
	kit.go_on = true;
	expect("{\"issuer\":\"a\",\"serial\":\"1\"}\n{\n{\"issuer\":\"a\",\"serial\":"
	       "\"g\"}\n"
	       "{\"issuer\":\"a\",\"serial\":\"2\"}\n",
	    "1 a 1\n2! bad_json: there is no \" at octet 2\n"
	    "3! bad_serial: the serial \"g\" is not hexadecimal, or longer than any "
	    "certificate's\n4 a 2\n");
	assert_int_equal(kit.count.bad, 2);
	assert_int_equal(kit.count.certificates, 2);
}

static void a_stop_is_no_bad_line(void **state)
{
	(void)state;
	start();
	kit.go_on = true;
	kit.stop_at = 2;
	expect(
	    "{\"issuer\":\"a\",\"serial\":\"1\"}\n{\"issuer\":\"a\",\"serial\":\"2\"}\n"
	    "{\"issuer\":\"a\",\"serial\":\"3\"}",
	    "1 a 1\n2 a 2\n2!! stopped: stopped\n");
}

/* A line of exactly the bound is read; it is dropped with one octet more, also when it
 * has no end, and the next one is read. */
static void a_line_has_a_bound(void **state)
{
	static const char head[] = "{\"issuer\":\"a\",\"serial\":\"1\",\"x\":\"";
	size_t n = WATCH_LINE_MAX;
	char *body = malloc(n + 100);

	(void)state;
	start();
	kit.go_on = true;
	assert_non_null(body);
	for (int more = 0; more < 2; more++) {
		size_t all = n + (size_t)more, end;

		memset(body, 'x', all);
		memcpy(body, head, sizeof head - 1);
		memcpy(body + all - 2, "\"}", 2);
		end = all + (size_t)sprintf(
				body + all, "\n{\"issuer\":\"a\",\"serial\":\"2\"}\n");
		for (kit.piece = 0; kit.piece < 9000; kit.piece += 4097) {
			assert_true(watch_kit_read(&kit, body, end));
			assert_string_equal(kit.text,
			    more ? "1! too_long: it has more than 1048576 octets\n2 a 2\n"
				 : "1 a 1\n2 a 2\n");
		}
	}
	memset(body, 'x', n + 1);
	assert_true(watch_kit_read(&kit, body, n + 1));
	assert_string_equal(kit.text, "1! too_long: it has more than 1048576 octets\n");
	free(body);
}

static void arrays_in_each_other_have_a_bound(void **state)
{
	char body[256] = "{\"issuer\":\"a\",\"serial\":\"1\",\"x\":";
	size_t n = strlen(body);

	(void)state;
	start();
	for (int depth = 32; depth <= 33; depth++) {
		memset(body + n, '[', (size_t)depth);
		memset(body + n + depth, ']', (size_t)depth);
		strcpy(body + n + 2 * depth, "}");
		expect(body, depth == 32 ? "1 a 1\n"
					 : "1!! bad_json: too many arrays and objects in "
					   "each other at octet 64\n");
	}
}

/* 16 KiB of names and labels, each with one octet more; labels first. */
static void names_and_labels_have_a_bound_and_the_rest_is_counted(void **state)
{
	char *body = malloc(400000), *p = body;

	(void)state;
	start();
	assert_non_null(body);
	p += sprintf(p, "{\"issuer\":\"a\",\"serial\":\"1\",\"names\":[");
	for (int i = 0; i < 2000; i++)
		p += sprintf(p, "%s\"name-%04d.xx\"", i > 0 ? "," : "", i);
	sprintf(p, "],\"labels\":[\"0123456789ab\"]}");
	assert_true(watch_kit_read(&kit, body, strlen(body)));
	/* 13 octets each: 1260 in 16384, less the label's one */
	assert_non_null(strstr(kit.text, ";name-1258.xx+741 labels=0123456789ab\n"));
	assert_null(strstr(kit.text, "name-1259"));
	memset(body, 'l', 400000);
	memcpy(body, "{\"labels\":[\"", 12);
	strcpy(body + 12 + WATCH_TEXT_MAX - 1, "\"],\"issuer\":\"a\",\"serial\":\"1\"}");
	assert_true(watch_kit_read(&kit, body, strlen(body)));
	memset(body + 12, 'l', WATCH_TEXT_MAX);
	strcpy(body + 12 + WATCH_TEXT_MAX, "\"],\"issuer\":\"a\",\"serial\":\"1\"}");
	assert_false(watch_kit_read(&kit, body, strlen(body)));
	assert_string_equal(
	    kit.text, "1!! labels_too_long: the labels have more than 16384 octets\n");
	free(body);
}

static void nothing_of_a_line_is_left_for_the_next(void **state)
{
	(void)state;
	start();
	expect("{\"issuer\":\"a\",\"serial\":\"1\",\"names\":[\"n\"],\"labels\":[\"l\"],"
	       "\"crl\":[\"http://c/\"],\"not_after\":\"2026-12-31T23:59:59Z\"}\n"
	       "{\"issuer_key\":\"ab\",\"serial\":\"2\"}\n{\"issuer\":\"b\",\"serial\":"
	       "\"3\"}",
	    "1 a 1 ..1798761599 names=n labels=l crl=http://c/\n2 - 2 key=ab\n3 b 3\n");
}

static void serials_of_a_body_are_of_one_base(void **state)
{
	(void)state;
	start();
	expect("{\"issuer\":\"a\",\"serial\":\"1\"}\n{\"issuer\":\"a\",\"serial\":"
	       "\"12345678901\"}",
	    "1 a 1\n2 a 12345678901\n2!! serials_ambiguous: all serials are digits, and "
	    "this "
	    "one has more than ten: say whether they are hexadecimal or decimal "
	    "(serial=hex, "
	    "serial=dec)\n");
	kit.want.base = WATCH_BASE_DEC;
	expect("{\"issuer\":\"a\",\"serial\":\"12345678901\"}", "1 a 2dfdc1c35\n");
	expect("{\"issuer\":\"a\",\"serial\":\"1f\"}",
	    "1!! bad_serial: the serial \"1f\" is not decimal, or longer than any "
	    "certificate's\n");
	kit.want.base = WATCH_BASE_HEX;
	expect("{\"issuer\":\"a\",\"serial\":\"12345678901\"}", "1 a 12345678901\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_line_is_a_certificate),
	    cmocka_unit_test(lines_end_with_lf_or_cr_lf_and_may_be_empty),
	    cmocka_unit_test(members_in_any_order_and_others_besides),
	    cmocka_unit_test(strings_are_decoded),
	    cmocka_unit_test(what_is_no_json_is_refused_with_its_line),
	    cmocka_unit_test(what_is_no_utf8_is_refused),
	    cmocka_unit_test(a_field_of_another_type_is_told),
	    cmocka_unit_test(an_issuer_is_one_that_is_configured),
	    cmocka_unit_test(behind_a_bad_line_it_goes_on_if_asked),
	    cmocka_unit_test(a_stop_is_no_bad_line),
	    cmocka_unit_test(a_line_has_a_bound),
	    cmocka_unit_test(arrays_in_each_other_have_a_bound),
	    cmocka_unit_test(names_and_labels_have_a_bound_and_the_rest_is_counted),
	    cmocka_unit_test(nothing_of_a_line_is_left_for_the_next),
	    cmocka_unit_test(serials_of_a_body_are_of_one_base),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
