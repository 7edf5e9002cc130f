/* ari_id, ari_answer: what a CA is asked, and what its answer says (RFC 9773, R146-R148).
 */
#include "cache/watch/ari_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/watch/ari_id.h"
#include "tests/lib/unhex.h"

#define DAY 86400

/* R146: the example of section 4.1; the others are Python's base64.urlsafe_b64encode().
 */
static void the_identifier_is_the_one_of_the_rfc(void **state)
{
	static const struct {
		const char *aki, *serial, *id;
	} row[] = {
	    {"69885B6B87464041E1B37B847BA0AE2CDE01C8D4", "0087654321",
		"aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"},
	    {"ff", "01", "_w.AQ"},
	    {"fbff", "00fffefefefefefefefefefefefefefefefefefe",
		"-_8.AP_-_v7-_v7-_v7-_v7-_v7-_v4"},
	    {"0000000000000000000000000000000000000000",
		"7fffffffffffffffffffffffffffffffffffffff",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAA.f_________________________8"},
	};
	uint8_t octets[64];
	struct serial s;
	char id[ARI_ID_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		s.n = (uint8_t)unhex(row[i].serial, s.octets, sizeof s.octets);
		assert_int_equal(
		    ari_id(bytes_of(octets, unhex(row[i].aki, octets, sizeof octets)), &s,
			id),
		    strlen(row[i].id));
		assert_string_equal(id, row[i].id);
	}
}

static void the_longest_identifier_fits(void **state)
{
	uint8_t aki[WATCH_AKI_MAX];
	struct serial s = {.n = SERIAL_MAX};
	char id[ARI_ID_MAX];

	(void)state;
	memset(aki, 0xa5, sizeof aki);
	memset(s.octets, 0x80, sizeof s.octets);
	s.octets[0] = 0;
	assert_true(ari_id(bytes_of(aki, sizeof aki), &s, id) < sizeof id);
	assert_string_equal(strchr(id, '.'), ".AICAgICAgICAgICAgICAgICAgICA");
}

static const char *read_text(struct ari_answer *a, const char *text)
{
	return ari_answer_read(a, bytes_of(text, strlen(text)));
}

/* R147: the example of section 4.2; the seconds are GNU date's. */
static void an_answer_is_a_window_and_a_page(void **state)
{
	struct ari_answer a;

	(void)state;
	assert_null(
	    read_text(&a, "{\"suggestedWindow\": {\"start\": \"2025-01-02T04:00:00Z\","
			  " \"end\": \"2025-01-03T04:00:00Z\"},"
			  " \"explanationURL\": \"https://acme.example.com/docs/ari\"}"));
	assert_int_equal(a.start, 1735790400);
	assert_int_equal(a.end, 1735876800);
	assert_string_equal(a.url, "https://acme.example.com/docs/ari");
}

#define WINDOW                                                                           \
	"\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00Z\","                       \
	"\"end\":\"2025-01-03T04:00:00Z\"}"

/* R147 */
static void what_is_no_answer_is_refused_with_its_reason(void **state)
{
	static const struct {
		const char *body, *why;
	} row[] = {
	    {"", "it is no JSON object"},
	    {"garbage", "it is no JSON object"},
	    {"[]", "it is no JSON object"},
	    {"{}", "it has no suggestedWindow"},
	    {"{" WINDOW "," WINDOW "}", "it is no JSON object"},
	    {"{" WINDOW "} x", "it is no JSON object"},
	    {"{\"suggestedWindow\":[]}", "it has no suggestedWindow"},
	    {"{\"suggestedWindow\":{}}", "suggestedWindow.start is no time (RFC 3339)"},
	    {"{\"suggestedWindow\":{\"start\":1735790400,\"end\":1735876800}}",
		"suggestedWindow.start is no time (RFC 3339)"},
	    {"{\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00Z\"}}",
		"suggestedWindow.end is no time (RFC 3339)"},
	    {"{\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00Z\",\"end\":"
	     "\"2025-01-32T04:00:00Z\"}}",
		"suggestedWindow.end is no time (RFC 3339)"},
	    {"{\"suggestedWindow\":{\"start\":\"2025-01-03T04:00:00Z\",\"end\":"
	     "\"2025-01-02T04:00:00Z\"}}",
		"suggestedWindow ends before it starts"},
	    {"{\"suggestedWindow\":{\"start\":\"2025-01-03T04:00:00Z\",\"end\":"
	     "\"2025-01-03T04:00:00Z\"}}",
		"suggestedWindow ends before it starts"},
	};
	struct ari_answer a;
	char *long_one = malloc(ARI_BODY_MAX + 2);

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		assert_string_equal(read_text(&a, row[i].body), row[i].why);
	assert_non_null(long_one);
	memset(long_one, ' ', ARI_BODY_MAX + 1);
	memcpy(long_one, "{" WINDOW "}", strlen("{" WINDOW "}"));
	assert_null(ari_answer_read(&a, bytes_of(long_one, ARI_BODY_MAX)));
	assert_string_equal(ari_answer_read(&a, bytes_of(long_one, ARI_BODY_MAX + 1)),
	    "it is longer than 8 KiB");
	free(long_one);
}

/* People follow it: http and https, and nothing that would break a line or a shell. */
static void a_page_that_nobody_should_open_is_none(void **state)
{
	static const char *const bad[] = {"javascript:alert(1)", "file:///etc/passwd", "",
	    "https://a.example/\\u001b[2J", "https://a.example/\\u0000", "https://a b/",
	    "https://\\u00e4.example/"};
	char text[400], url[WATCH_URL_MAX + 300];
	struct ari_answer a;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(
		    text, sizeof text, "{" WINDOW ",\"explanationURL\":\"%s\"}", bad[i]);
		/* jansson refuses \u0000 itself */
		if (read_text(&a, text) == NULL)
			assert_string_equal(a.url, "");
		else
			assert_non_null(strstr(bad[i], "u0000"));
	}
	assert_null(read_text(&a, "{" WINDOW ",\"explanationURL\":7}"));
	assert_string_equal(a.url, "");
	snprintf(url, sizeof url, "{" WINDOW ",\"explanationURL\":\"https://%0*d\"}",
	    WATCH_URL_MAX - 8, 0);
	assert_null(read_text(&a, url));
	assert_int_equal(strlen(a.url), WATCH_URL_MAX);
	snprintf(url, sizeof url, "{" WINDOW ",\"explanationURL\":\"https://%0*d\"}",
	    WATCH_URL_MAX - 7, 0);
	assert_null(read_text(&a, url));
	assert_string_equal(a.url, "");
}

/* A certificate of a hundred days, from day 0; windows are of a day. */
static enum ari_word says(struct ari_known *k, int64_t day, const char *page)
{
	struct ari_answer a = {.start = day * DAY, .end = (day + 1) * DAY};

	strcpy(a.url, page);
	return ari_judge(k, &a, 0, 100 * DAY);
}

/* R148 */
static void a_window_that_moves_far_ahead_is_a_notice(void **state)
{
	struct ari_known k = {0};

	(void)state;
	assert_int_equal(says(&k, 66, ""), ARI_ORDINARY);
	assert_int_equal(says(&k, 56, ""), ARI_ORDINARY); /* a tenth, and no more */
	assert_int_equal(says(&k, 60, ""), ARI_ORDINARY);
	assert_int_equal(says(&k, 49, ""), ARI_NOTICE);
	assert_int_equal(says(&k, 49, ""), ARI_STANDS);
	assert_int_equal(says(&k, 30, ""), ARI_STANDS);
	assert_int_equal(says(&k, 62, ""), ARI_WITHDRAWN);
	assert_int_equal(says(&k, 62, ""), ARI_ORDINARY);
	assert_int_equal(says(&k, 99, ""), ARI_ORDINARY); /* later is no news */
}

/* R148 */
static void at_first_sight_what_is_over_before_half_of_its_life_is_one(void **state)
{
	struct ari_known k = {0}, other = {0};

	(void)state;
	assert_int_equal(says(&k, 49, ""), ARI_ORDINARY); /* its end is the half */
	assert_int_equal(says(&other, 48, ""), ARI_NOTICE);
	assert_int_equal(says(&other, 48, ""), ARI_STANDS);
	assert_int_equal(says(&other, 66, ""), ARI_WITHDRAWN);
	assert_int_equal(says(&other, 66, ""), ARI_ORDINARY);
	assert_int_equal(says(&other, 50, ""), ARI_NOTICE);
}

static void a_page_that_was_not_named_before_is_one(void **state)
{
	struct ari_known k = {0};

	(void)state;
	assert_int_equal(says(&k, 66, ""), ARI_ORDINARY);
	assert_int_equal(says(&k, 66, "https://ca.example/1"), ARI_NOTICE);
	assert_int_equal(says(&k, 66, "https://ca.example/1"), ARI_STANDS);
	assert_int_equal(says(&k, 66, "https://ca.example/2"), ARI_NOTICE);
	assert_int_equal(says(&k, 66, ""), ARI_WITHDRAWN);
	assert_int_equal(says(&k, 66, "https://ca.example/2"), ARI_NOTICE);
	k = (struct ari_known){0};
	assert_int_equal(says(&k, 66, "https://ca.example/1"), ARI_NOTICE);
}

/* Who gave a serial alone: a window says nothing, a page does. */
static void where_its_life_is_not_known_only_a_page_is_news(void **state)
{
	struct ari_known k = {0};
	struct ari_answer a = {.start = 66 * DAY, .end = 67 * DAY};

	(void)state;
	assert_int_equal(
	    ari_judge(&k, &a, WATCH_TIME_NONE, WATCH_TIME_NONE), ARI_ORDINARY);
	a.start = DAY;
	assert_int_equal(ari_judge(&k, &a, 0, WATCH_TIME_NONE), ARI_ORDINARY);
	assert_int_equal(ari_judge(&k, &a, 5, 5), ARI_ORDINARY);
	strcpy(a.url, "https://ca.example/1");
	assert_int_equal(ari_judge(&k, &a, 0, WATCH_TIME_NONE), ARI_NOTICE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_identifier_is_the_one_of_the_rfc),
	    cmocka_unit_test(the_longest_identifier_fits),
	    cmocka_unit_test(an_answer_is_a_window_and_a_page),
	    cmocka_unit_test(what_is_no_answer_is_refused_with_its_reason),
	    cmocka_unit_test(a_page_that_nobody_should_open_is_none),
	    cmocka_unit_test(a_window_that_moves_far_ahead_is_a_notice),
	    cmocka_unit_test(at_first_sight_what_is_over_before_half_of_its_life_is_one),
	    cmocka_unit_test(a_page_that_was_not_named_before_is_one),
	    cmocka_unit_test(where_its_life_is_not_known_only_a_page_is_news),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
