/* What the head of a streamed request to the API says. */
#include "proxy/api/api_upload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct upload u;
static struct api_error e;

static enum upload_route read_fields(const char *line, const char *fields, bool any_host)
{
	static const struct http1_limits limits = {16384, 8192};
	char text[16384], *head;
	struct http1_request r;
	enum upload_route route;
	int n = snprintf(text, sizeof text, "%s HTTP/1.1\r\n%s\r\n", line, fields);

	/* exactly as long, so that a read behind it is found */
	head = malloc((size_t)n);
	memcpy(head, text, (size_t)n);
	assert_int_equal(http1_parse(&r, head, (size_t)n, &limits), 0);
	route = api_upload_read(&r, any_host, &u, &e);
	free(head);
	return route;
}

#define LOCAL "Host: localhost:8081\r\n"

/* type "": no Content-Type. */
static enum upload_route read_typed(const char *line, const char *type)
{
	char fields[512];

	snprintf(fields, sizeof fields, LOCAL "%s%s%s",
	    type[0] != '\0' ? "Content-Type: " : "", type, type[0] != '\0' ? "\r\n" : "");
	return read_fields(line, fields, false);
}

static void refused(const char *line, const char *type, int status, const char *part)
{
	assert_int_equal(read_typed(line, type), UPLOAD_ERROR);
	assert_int_equal(e.status, status);
	if (strstr(e.message, part) == NULL)
		fail_msg("\"%s\" does not have \"%s\"", e.message, part);
}

#define PEM    "application/x-pem-file"
#define NDJSON "application/x-ndjson"
#define CSV    "text/csv"

static void each_streamed_call_is_found(void **state)
{
	(void)state;
	assert_int_equal(read_typed("PUT /v1/watchlists/web", PEM), UPLOAD_READ);
	assert_int_equal(u.call, UPLOAD_REPLACE);
	assert_int_equal(u.format, WATCH_PEM);
	assert_int_equal(u.base, WATCH_BASE_UNSAID);
	assert_string_equal(u.name, "web");
	assert_string_equal(u.map, "");
	assert_int_equal(read_typed("POST /v1/watchlists/a.b_c-9", NDJSON), UPLOAD_READ);
	assert_int_equal(u.call, UPLOAD_ADD);
	assert_int_equal(u.format, WATCH_NDJSON);
	assert_string_equal(u.name, "a.b_c-9");
	assert_int_equal(read_typed("POST /v1/status", NDJSON), UPLOAD_READ);
	assert_int_equal(u.call, UPLOAD_STATUS);
	assert_string_equal(u.name, "");
	assert_int_equal(read_typed("PUT /v1/watchlists/%77eb", CSV), UPLOAD_READ);
	assert_string_equal(u.name, "web");
}

static void an_incident_says_what_is_said_of_all(void **state)
{
	(void)state;
	assert_int_equal(
	    read_typed("PUT /v1/incidents/2020-02-29", "text/plain"), UPLOAD_READ);
	assert_int_equal(u.call, UPLOAD_INCIDENT);
	assert_int_equal(u.format, WATCH_PLAIN);
	assert_true(u.deadline == WATCH_TIME_NONE);
	assert_string_equal(u.url, "");
	assert_string_equal(u.issuer, "");
	assert_int_equal(
	    read_typed("PUT /v1/incidents/i?deadline=2020-03-05T03:00:00Z&url=https://x/"
		       "%3Fa=b&issuer=R3&serial=dec",
		CSV),
	    UPLOAD_READ);
	assert_int_equal(u.deadline, 1583377200); /* date -d 2020-03-05T03:00:00Z +%s */
	assert_string_equal(u.url, "https://x/?a=b");
	assert_string_equal(u.issuer, "r3");
	assert_int_equal(u.base, WATCH_BASE_DEC);
	refused("PUT /v1/incidents/i", PEM, 415, "text/plain");
	refused("PUT /v1/watchlists/i", "text/plain", 415, CSV);
	refused("PUT /v1/incidents/i?deadline=soon", NDJSON, 400, "deadline");
	refused("PUT /v1/incidents/i?url=file:///x", NDJSON, 400, "url");
	refused("PUT /v1/incidents/i?url=https://x/%ff", NDJSON, 400, "url");
	refused("PUT /v1/incidents/i?issuer=", NDJSON, 404, "issuer");
	refused("PUT /v1/watchlists/i?issuer=a", NDJSON, 400, "unknown parameter");
	refused("PUT /v1/incidents/I", NDJSON, 400, "name");
}

static void other_calls_are_none_of_these(void **state)
{
	static const char *const lines[] = {"GET /v1/watchlists/web",
	    "DELETE /v1/watchlists/web", "GET /v1/watchlists", "PUT /v1/watchlists",
	    "PUT /v1/watchlists/", "PUT /v1/watchlists/web/x", "PUT /v1/watchlistsx/web",
	    "POST /v1/status/", "POST /v1/status/a/1", "PUT /v1/status", "POST /v1/purge",
	    "GET /v1/status/demo/1000", "HEAD /v1/watchlists/web"};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		assert_int_equal(read_typed(lines[i], PEM), UPLOAD_NONE);
}

static void a_name_is_of_a_few_octets_only(void **state)
{
	char line[600] = "PUT /v1/watchlists/";
	size_t n = strlen(line);

	(void)state;
	memset(line + n, 'a', 63);
	assert_int_equal(read_typed(line, PEM), UPLOAD_READ);
	assert_int_equal(strlen(u.name), 63);
	line[n + 63] = 'a';
	refused(line, PEM, 400, "name");
	memset(line + n, 'a', 500);
	refused(line, PEM, 400, "name");
	refused("PUT /v1/watchlists/Web", PEM, 400, "name");
	refused("PUT /v1/watchlists/a%2Fb", PEM, 400, "name");
	refused("PUT /v1/watchlists/a%20b", PEM, 400, "name");
	refused("PUT /v1/watchlists/%C3%BC", PEM, 400, "name");
	refused("PUT /v1/watchlists/a%0", PEM, 400, "percent");
	/* what cannot be is not there */
	refused("POST /v1/watchlists/Web", PEM, 404, "no watchlist");
	/* no segments of a URL (RFC 3986 section 5.2.4), in no spelling */
	refused("PUT /v1/watchlists/.", PEM, 400, "name");
	refused("PUT /v1/watchlists/..", PEM, 400, "only dots");
	refused("PUT /v1/watchlists/%2e%2E", PEM, 400, "name");
	refused("POST /v1/watchlists/..", PEM, 404, "no watchlist");
	assert_int_equal(read_typed("PUT /v1/watchlists/..a", PEM), UPLOAD_READ);
}

static void a_body_says_what_it_is(void **state)
{
	(void)state;
	assert_int_equal(
	    read_typed("PUT /v1/watchlists/a", "Text/CSV ; header=present"), UPLOAD_READ);
	assert_int_equal(u.format, WATCH_CSV);
	refused("PUT /v1/watchlists/a", "", 415, "text/csv");
	refused("PUT /v1/watchlists/a", "application/json", 415, "x-ndjson");
	refused("PUT /v1/watchlists/a", "text/plain", 415, "x-pem-file");
	refused("PUT /v1/watchlists/a", "application/x-www-form-urlencoded", 415, "");
	refused("PUT /v1/watchlists/a", "text/csvx", 415, "");
	refused("PUT /v1/watchlists/a", "; text/csv", 415, "");
	refused("POST /v1/status", CSV, 415, "application/x-ndjson");
	assert_null(strstr(e.message, "csv"));
	assert_string_equal(e.code, "unsupported_media_type");
}

static void a_coded_body_is_refused(void **state)
{
	(void)state;
	assert_int_equal(
	    read_fields("PUT /v1/watchlists/a",
		LOCAL "Content-Type: text/csv\r\nContent-Encoding: gzip\r\n", false),
	    UPLOAD_ERROR);
	assert_int_equal(e.status, 415);
	assert_non_null(strstr(e.message, "Content-Encoding"));
	assert_int_equal(
	    read_fields("PUT /v1/watchlists/a",
		LOCAL "content-encoding: identity\r\nContent-Type: text/csv\r\n", false),
	    UPLOAD_READ);
}

static void the_query_says_how_to_read_it(void **state)
{
	static char line[8192] = "PUT /v1/watchlists/a?map=";
	size_t n = strlen(line);

	(void)state;
	assert_int_equal(
	    read_typed(
		"PUT /v1/watchlists/a?map=serial%3DSerial%20No%2Cissuer=CA&serial=dec",
		CSV),
	    UPLOAD_READ);
	assert_string_equal(u.map, "serial=Serial No,issuer=CA");
	assert_int_equal(u.base, WATCH_BASE_DEC);
	assert_int_equal(read_typed("POST /v1/status?serial=hex", NDJSON), UPLOAD_READ);
	assert_int_equal(u.base, WATCH_BASE_HEX);
	refused("POST /v1/status?serial=", NDJSON, 400, "serial");
	refused("POST /v1/status?serial=DEC", NDJSON, 400, "serial");
	refused("POST /v1/status?serial=dec", PEM, 400, "PEM");
	refused("POST /v1/status?map=serial=a", NDJSON, 400, "map");
	refused("PUT /v1/watchlists/a?replace=1", CSV, 400, "unknown parameter");
	refused("PUT /v1/watchlists/a?map=a&map=b", CSV, 400, "map: more than once");
	refused("PUT /v1/watchlists/a?map=%x", CSV, 400, "percent");
	memset(line + n, 'm', UPLOAD_MAP_MAX - 2);
	assert_int_equal(read_typed(line, CSV), UPLOAD_READ);
	line[n + UPLOAD_MAP_MAX - 2] = 'm';
	refused(line, CSV, 400, "too long");
}

/* As every other call: no web page, and by no name but ours. */
static void a_web_page_uploads_nothing(void **state)
{
	static const char *const fields[] = {
	    LOCAL "Content-Type: text/csv\r\nOrigin: http://localhost\r\n",
	    LOCAL "Content-Type: text/csv\r\nSec-Fetch-Site: cross-site\r\n",
	    LOCAL "Content-Type: text/csv\r\nSec-Fetch-Site: same-site\r\n",
	    "Host: evil.example\r\nContent-Type: text/csv\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		assert_int_equal(
		    read_fields("PUT /v1/watchlists/a", fields[i], false), UPLOAD_ERROR);
		assert_int_equal(e.status, 403);
		assert_string_equal(e.code, "forbidden");
	}
	assert_int_equal(
	    read_fields("PUT /v1/watchlists/a", fields[3], true), UPLOAD_READ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_streamed_call_is_found),
	    cmocka_unit_test(an_incident_says_what_is_said_of_all),
	    cmocka_unit_test(other_calls_are_none_of_these),
	    cmocka_unit_test(a_name_is_of_a_few_octets_only),
	    cmocka_unit_test(a_body_says_what_it_is),
	    cmocka_unit_test(a_coded_body_is_refused),
	    cmocka_unit_test(the_query_says_how_to_read_it),
	    cmocka_unit_test(a_web_page_uploads_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
