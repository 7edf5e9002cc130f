/* What a request about watchlists, certificates and counts means. */
#include "proxy/api/watch_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct watch_ask ask;
static struct api_error e;

/* -1: none of ours; else as watch_request_read(). */
static int read_line(const char *line)
{
	static const struct http1_limits limits = {16384, 8192};
	char text[8192], *head;
	struct http1_request r;
	int n =
	    snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: localhost\r\n\r\n", line);
	int result;

	/* exactly as long, so that a read behind it is found */
	head = malloc((size_t)n);
	memcpy(head, text, (size_t)n);
	assert_int_equal(http1_parse(&r, head, (size_t)n, &limits), 0);
	memset(&ask, 0, sizeof ask);
	result = !watch_request_is(&r) ? -1 : watch_request_read(&r, &ask, &e);
	free(head);
	return result;
}

static void is(const char *line, enum watch_ask_what what)
{
	assert_int_equal(read_line(line), true);
	assert_int_equal(ask.what, what);
}

static void refused(const char *line, int status, const char *part)
{
	assert_int_equal(read_line(line), false);
	assert_int_equal(e.status, status);
	if (strstr(status == 405 ? e.allow : e.message, part) == NULL)
		fail_msg("\"%s\" does not have \"%s\"", e.message, part);
}

static void each_call_is_found(void **state)
{
	(void)state;
	is("GET /v1/watchlists", WATCH_LISTS);
	is("HEAD /v1/watchlists", WATCH_LISTS);
	is("GET /v1/watchlists/web", WATCH_LIST);
	assert_string_equal(ask.name, "web");
	is("DELETE /v1/watchlists/w%65b", WATCH_DROP);
	assert_string_equal(ask.name, "web");
	is("DELETE /v1/watchlists/web/demo/0x00:FF", WATCH_REMOVE);
	assert_string_equal(ask.issuer, "demo");
	assert_int_equal(ask.serial.n, 2); /* 00ff */
	is("DELETE /v1/watchlists/web/ABCDEF/1", WATCH_REMOVE);
	assert_string_equal(ask.issuer, "abcdef");
	is("GET /v1/incidents", WATCH_INCIDENTS);
	is("HEAD /v1/incidents/2020-02-29", WATCH_INCIDENT_ONE);
	assert_string_equal(ask.name, "2020-02-29");
	is("DELETE /v1/incidents/2020-02-29", WATCH_INCIDENT_DROP);
	refused("POST /v1/incidents/a", 405, "GET, HEAD, PUT, DELETE");
	refused("GET /v1/incidents/A", 404, "no incident");
	refused("GET /v1/incidents/a/b", 404, "no such path");
	is("GET /v1/summary", WATCH_SUMMARY);
	is("GET /v1/certificates", WATCH_CERTIFICATES);
	assert_int_equal(read_line("GET /v1/issuers"), -1);
	assert_int_equal(read_line("GET /v1/status/demo/1"), -1);
	assert_int_equal(read_line("GET /v1/summary/x"), -1);
	assert_int_equal(read_line("GET /v1/watchlistsx"), -1);
}

static void other_methods_are_told_which_there_are(void **state)
{
	(void)state;
	refused("POST /v1/watchlists", 405, "GET, HEAD");
	refused("PATCH /v1/watchlists/web", 405, "GET, HEAD, PUT, POST, DELETE");
	refused("GET /v1/watchlists/web/demo/1", 405, "DELETE");
	refused("GET /v1/status", 405, "POST");
	refused("PUT /v1/summary", 405, "GET, HEAD");
	refused("POST /v1/certificates", 405, "GET, HEAD");
}

static void a_filter_has_all_its_parts(void **state)
{
	struct watch_place place = {.ca = 7, .serial = {2, {1, 2}}};
	char text[WATCH_PLACE_TEXT_MAX], query[512];

	(void)state;
	is("GET /v1/certificates", WATCH_CERTIFICATES);
	assert_int_equal(ask.filter.limit, 100);
	assert_int_equal(ask.filter.status, STATUS_NONE);
	assert_int_equal(ask.filter.covered, WATCH_COVERED_OR_NOT);
	assert_int_equal(ask.filter.expires_before, INT64_MAX);
	assert_int_equal(ask.filter.from.ca, 0);
	watch_place_text(&place, text);
	snprintf(query, sizeof query,
	    "GET /v1/certificates?name=B%%C3%%BCcher.Example.&issuer=Demo&status=revoked&"
	    "watchlist=web&expires_before=2026-11-22T10:13:48Z&limit=1000&next=%s",
	    text);
	is(query, WATCH_CERTIFICATES);
	/* RFC 3492: idn2 prints xn--bcher-kva for bücher; a capital is a letter of its
	 * own without IDNA's mapping (watch_name.h) */
	assert_true(strncmp(ask.filter.name, "xn--", 4) == 0);
	assert_string_equal(ask.filter.issuer, "demo");
	assert_int_equal(ask.filter.status, STATUS_REVOKED);
	assert_string_equal(ask.filter.list, "web");
	assert_int_equal(ask.filter.expires_before, 1795342428);
	assert_int_equal(ask.filter.limit, 1000);
	assert_int_equal(ask.filter.from.ca, 7);
	assert_true(serial_equal(&ask.filter.from.serial, &place.serial));
	is("GET /v1/certificates?covered=0", WATCH_CERTIFICATES);
	assert_int_equal(ask.filter.covered, WATCH_NOT_COVERED);
	is("GET /v1/certificates?covered=1", WATCH_CERTIFICATES);
	assert_int_equal(ask.filter.covered, WATCH_COVERED);
	is("GET /v1/certificates?incident=a.b&notice=incident", WATCH_CERTIFICATES);
	assert_string_equal(ask.filter.incident, "a.b");
	assert_int_equal(ask.filter.noticed, WATCH_NOTICED_INCIDENT);
	is("GET /v1/certificates?notice=ari", WATCH_CERTIFICATES);
	assert_int_equal(ask.filter.noticed, WATCH_NOTICED_ARI);
	is("GET /v1/certificates?name=b%C3%BCcher.example", WATCH_CERTIFICATES);
	assert_string_equal(ask.filter.name, "xn--bcher-kva.example");
}

static void what_is_no_filter_is_refused(void **state)
{
	(void)state;
	refused("GET /v1/certificates?limit=0", 400, "limit");
	refused("GET /v1/certificates?limit=1001", 400, "limit");
	refused("GET /v1/certificates?limit=-1", 400, "limit");
	refused("GET /v1/certificates?limit=18446744073709551617", 400, "limit");
	refused("GET /v1/certificates?limit=", 400, "limit");
	refused("GET /v1/certificates?status=none", 400, "status");
	refused("GET /v1/certificates?name=%ff", 400, "name");
	refused("GET /v1/certificates?name=", 400, "name");
	refused("GET /v1/certificates?next=x", 400, "next");
	refused("GET /v1/certificates?expires_before=2026", 400, "expires_before");
	refused("GET /v1/certificates?limit=1&limit=1", 400, "limit");
	refused("GET /v1/certificates?colour=red", 400, "unknown parameter");
	refused("GET /v1/certificates?covered=2", 400, "covered");
	refused("GET /v1/certificates?covered=", 400, "covered");
	refused("GET /v1/certificates?incident=A", 404, "incident");
	refused("GET /v1/certificates?notice=other", 400, "notice");
	refused("GET /v1/certificates?watchlist=A", 404, "watchlist");
	refused("GET /v1/certificates?issuer=", 404, "issuer");
	refused("GET /v1/summary?a=1", 400, "none");
	refused("GET /v1/watchlists/%", 400, "escape");
	refused("GET /v1/watchlists/A", 404, "watchlist");
	refused("GET /v1/watchlists/", 404, "no such path");
	refused("GET /v1/watchlists/a/b", 404, "no such path");
	refused("DELETE /v1/watchlists/a/b/c/d", 404, "no such path");
	refused("DELETE /v1/watchlists/a/b/xyz", 400, "serial");
}

static void an_upload_becomes_an_order(void **state)
{
	static const struct upload u = {.call = UPLOAD_ADD,
	    .format = WATCH_CSV,
	    .base = WATCH_BASE_DEC,
	    .name = "web",
	    .map = "serial=a"};
	struct watch_order *o = watch_order_of(&u);

	(void)state;
	assert_non_null(o);
	assert_int_equal(o->what, WATCH_ORDER_ADD);
	assert_int_equal(o->format, WATCH_CSV);
	assert_int_equal(o->base, WATCH_BASE_DEC);
	assert_string_equal(o->name, "web");
	assert_string_equal(o->map, "serial=a");
	free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_call_is_found),
	    cmocka_unit_test(other_methods_are_told_which_there_are),
	    cmocka_unit_test(a_filter_has_all_its_parts),
	    cmocka_unit_test(what_is_no_filter_is_refused),
	    cmocka_unit_test(an_upload_becomes_an_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
