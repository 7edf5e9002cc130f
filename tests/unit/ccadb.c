#include "cache/watch/ccadb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEADER                                                                           \
	"\"CA Owner\",\"Certificate Name\",\"SHA-256 Fingerprint\",\"Subject Key "       \
	"Identifier\",\"Full CRL Issued By This CA\",\"JSON Array of Partitioned "       \
	"CRLs\","                                                                        \
	"\"JSON Array of All Full CRL URLs\"\r\n"

static char text[65536];

static void note(const char *format, ...)
{
	size_t n = strlen(text);
	va_list a;

	va_start(a, format);
	vsnprintf(text + n, sizeof text - n, format, a);
	va_end(a);
}

static void note_urls(const char *what, const struct bytes *url, size_t n)
{
	for (size_t i = 0; i < n; i++)
		note(" %s=%.*s", what, (int)url[i].n, (const char *)url[i].p);
}

static bool record(void *arg, const struct ccadb_record *r)
{
	(void)arg;
	note("%d %.*s key=", (int)r->line, (int)r->name.n, (const char *)r->name.p);
	for (size_t i = 0; i < r->key.n; i++)
		note("%02x", r->key.p[i]);
	if (r->has_fingerprint)
		note(" sha256=%02x..%02x", r->sha256[0], r->sha256[31]);
	note_urls("full", r->full, r->full_n);
	note_urls("part", r->part, r->part_n);
	note("%s\n", r->malformed ? " malformed" : "");
	return r->name.n != 4 || memcmp(r->name.p, "stop", 4) != 0;
}

static void bad(void *arg, const struct watch_error *e)
{
	(void)arg;
	note("%d bad\n", (int)e->line);
}

static bool read_in(const char *body, size_t piece, struct watch_error *e)
{
	struct ccadb_want want = {.record = record, .bad = bad};
	struct ccadb_reader *r = ccadb_reader_new(&want);
	size_t n = strlen(body);
	bool good = true;

	assert_non_null(r);
	text[0] = '\0';
	for (size_t i = 0; good && i < n; i += piece)
		good = ccadb_reader_feed(
		    r, bytes_of(body + i, n - i < piece ? n - i : piece), e);
	good = good && ccadb_reader_end(r, e);
	ccadb_reader_free(r);
	return good;
}

static void expect(const char *body, const char *wanted)
{
	static const size_t pieces[] = {100000, 1, 7};
	struct watch_error e;

	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		assert_true(read_in(body, pieces[i], &e));
		assert_string_equal(text, wanted);
	}
}

/* The key identifier of ISRG Root X1 and its fingerprint, as openssl x509 prints them:
 * 79:B4:59:E6:...:E9:9B:6E is ebRZ5nu25eQBc4AIiMgaWPbpm24= in base64. */
static void a_row_names_a_ca_and_its_lists(void **state)
{
	(void)state;
	expect(HEADER
	    "\"ISRG\",\"ISRG Root X1\","
	    "\"96BCEC06264976F37460779ACF28C5A7CFE8A3C0AAE11A8FFCEE05C0BDDF08C6\","
	    "\"ebRZ5nu25eQBc4AIiMgaWPbpm24=\",\"http://x1.c.lencr.org/\",\"\",\"\"\r\n",
	    "2 ISRG Root X1 key=79b459e67bb6e5e40173800888c81a58f6e99b6e "
	    "sha256=96..c6 full=http://x1.c.lencr.org/\n");
}

static void arrays_have_line_ends_and_empty_strings(void **state)
{
	(void)state;
	expect(HEADER "\"a\",\"R10\",,\"AQI=\",\"\",\"[\n  \"\"http://c/1.crl\"\",\n"
		      "  \"\"http://c/2.crl\"\"\n]\",\"[\"\"\"\"]\"\r\n"
		      "\"a\",\"R11\",,\"AwQ=\",\"\",\"[\"\"\"\"]\",\"[]\"\r\n",
	    "2 R10 key=0102 part=http://c/1.crl part=http://c/2.crl\n6 R11 key=0304\n");
}

static void places_of_one_list_are_one(void **state)
{
	(void)state;
	expect(HEADER "a,D,,AQI=,http://a/d.crl,,\"[\"\"http://b/d.crl\"\", "
		      "\"\"http://a/d.crl\"\"]\"\n",
	    "2 D key=0102 full=http://a/d.crl full=http://b/d.crl\n");
}

static void what_is_no_array_is_told_with_what_could_be_read(void **state)
{
	(void)state;
	expect(HEADER "a,A,,AQI=,,\"[\"\"http://c/1.crl\"\", \",\n"
		      "a,B,,AQI=,,\"http://c/1.crl\",\n"
		      "a,C,,AQI=,,\"[\"\"http://c/1.crl\"\", 2]\",\n"
		      "a,D,,AQI=,,\"[\"\"ldap://c/1.crl\"\", \"\"http://c/2.crl\"\"]\",\n"
		      "a,E,,AQI=,\"http://c/with blank.crl\",,\n"
		      "a,F,,AQI=,,\"[\"\"http://c/1.crl\"\"] x\",\n"
		      "a,G,,AQI=,,\"{}\",\n"
		      "a,H,,AQI=,,\"[\"\"http:\\/\\/c\\u002f1.crl\"\"]\",\n",
	    "2 bad\n2 A key=0102 part=http://c/1.crl malformed\n"
	    "3 bad\n3 B key=0102 malformed\n"
	    "4 bad\n4 C key=0102 part=http://c/1.crl malformed\n"
	    "5 bad\n5 D key=0102 part=http://c/2.crl malformed\n"
	    "6 bad\n6 E key=0102 malformed\n"
	    "7 bad\n7 F key=0102 part=http://c/1.crl malformed\n"
	    "8 bad\n8 G key=0102 malformed\n"
	    "9 H key=0102 part=http://c/1.crl\n");
}

static void rows_that_name_nobody_are_passed_over(void **state)
{
	(void)state;
	expect(HEADER "a,A,,,http://c/1.crl,,\n"
		      "a,B,,no base64,http://c/1.crl,,\n"
		      "a,C,12ab,AQI=,,,\n"
		      "a,D,,AQI=\n"
		      "a,E,,AQ==,,,\n",
	    "3 bad\n4 bad\n5 bad\n6 E key=01\n");
}

static void columns_are_found_by_name(void **state)
{
	struct watch_error e;

	(void)state;
	expect(
	    "\xef\xbb\xbf"
	    "Full CRL Issued By This CA,X,Subject Key Identifier,Certificate Name,JSON "
	    "Array of Partitioned CRLs\nhttp://c/a.crl,9,AQI=, A ,\n",
	    "2 A key=0102 full=http://c/a.crl\n");
	assert_false(read_in("Certificate Name,Subject Key Identifier\nA,AQI=\n", 3, &e));
	assert_int_equal(e.code, WATCH_BAD_COLUMN);
	assert_int_equal(e.line, 1);
	assert_non_null(strstr(e.why, "\"Full CRL Issued By This CA\""));
	assert_non_null(strstr(e.why, "\"JSON Array of Partitioned CRLs\""));
	assert_null(strstr(e.why, "\"Certificate Name\""));
	assert_false(read_in("", 3, &e));
	assert_int_equal(e.code, WATCH_BAD_COLUMN);
}

static void who_takes_them_may_stop(void **state)
{
	struct watch_error e;

	(void)state;
	assert_false(read_in(HEADER "a,stop,,AQI=,,,\na,B,,AQI=,,,\n", 5, &e));
	assert_int_equal(e.code, WATCH_STOPPED);
	assert_string_equal(text, "2 stop key=0102\n");
}

static void a_row_without_end_is_refused(void **state)
{
	char *body = malloc(CCADB_ROW_MAX + 1000);
	struct watch_error e;

	(void)state;
	assert_non_null(body);
	strcpy(body, HEADER "a,\"");
	memset(body + strlen(body), 'x', CCADB_ROW_MAX);
	body[CCADB_ROW_MAX + 500] = '\0';
	assert_false(read_in(body, 4096, &e));
	assert_int_equal(e.code, WATCH_BAD_LONG);
	assert_int_equal(e.line, 2);
	free(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_row_names_a_ca_and_its_lists),
	    cmocka_unit_test(arrays_have_line_ends_and_empty_strings),
	    cmocka_unit_test(places_of_one_list_are_one),
	    cmocka_unit_test(what_is_no_array_is_told_with_what_could_be_read),
	    cmocka_unit_test(rows_that_name_nobody_are_passed_over),
	    cmocka_unit_test(columns_are_found_by_name),
	    cmocka_unit_test(who_takes_them_may_stop),
	    cmocka_unit_test(a_row_without_end_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
