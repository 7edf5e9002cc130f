/* The API: what a request means (api_request), and its thread with a keeper that is made
 * up here.  calls.h is replaced: these cases are about HTTP, tests/unit/calls.c about the
 * calls. */
#include "proxy/api/api.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/crl/crl_set.h"
#include "proxy/api/api_request.h"
#include "proxy/http/api_reply.h"
#include "proxy/http/listener.h"
#include "proxy/push/snapshot.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/watch_ask.h"
#include "proxy/watch/watcher.h"

/* What a request means. */

static const struct http1_limits limits = {8192, 4096};

static enum api_route read_text(
    const char *head, const char *body, struct call *c, struct api_error *e)
{
	/* on the heap and exactly as long, so that a read behind the head is found */
	char *text = malloc(strlen(head));
	struct http1_request r;
	enum api_route route;

	memcpy(text, head, strlen(head));
	memset(c, 0, sizeof *c);
	assert_int_equal(http1_parse(&r, text, strlen(head), &limits), 0);
	route = api_request_read(&r, bytes_of(body, strlen(body)), false, c, e);
	free(text);
	return route;
}

static enum api_route read_line(const char *line, struct call *c, struct api_error *e)
{
	char head[8192];

	snprintf(head, sizeof head, "%s HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n\r\n", line);
	return read_text(head, "", c, e);
}

static void expect_error(const char *line, int status, const char *code)
{
	struct call c;
	struct api_error e;

	assert_int_equal(read_line(line, &c, &e), API_ERROR);
	assert_int_equal(e.status, status);
	assert_string_equal(e.code, code);
	assert_true(e.message[0] != '\0');
}

static void expect_body_error(const char *body, const char *names)
{
	struct call c;
	struct api_error e;

	assert_int_equal(read_text("POST /v1/purge HTTP/1.1\r\nHost: "
				   "localhost\r\nContent-Type: application/json\r\n\r\n",
			     body, &c, &e),
	    API_ERROR);
	assert_int_equal(e.status, 400);
	assert_string_equal(e.code, "bad_request");
	assert_non_null(strstr(e.message, names));
}

static void each_path_of_the_contract_is_its_call(void **state)
{
	static const struct {
		const char *line;
		enum call_what what;
	} rows[] = {
	    {"GET /v1/issuers", CALL_ISSUERS},
	    {"HEAD /v1/issuers", CALL_ISSUERS},
	    {"GET /v1/status/demo/1000", CALL_STATUS},
	    {"GET /v1/explain/demo/1000", CALL_EXPLAIN},
	    {"GET /v1/latches", CALL_LATCHES},
	    {"HEAD /v1/latches?issuer=demo", CALL_LATCHES},
	    {"DELETE /v1/latches/demo/1000", CALL_LATCH_DELETE},
	    {"GET /metrics", CALL_METRICS},
	    {"GET /metrics?x=y", CALL_METRICS},
	    {"GET /readyz", CALL_READY},
	};
	struct call c;
	struct api_error e;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(read_line(rows[i].line, &c, &e), API_CALL);
		assert_int_equal(c.what, rows[i].what);
	}
	assert_int_equal(read_line("GET /healthz", &c, &e), API_HEALTHZ);
	assert_int_equal(read_line("HEAD /healthz", &c, &e), API_HEALTHZ);
}

/* Any case, odd length and leading zeros are accepted. */
static void a_serial_is_read_in_any_spelling(void **state)
{
	static const char *const lines[] = {"GET /v1/status/demo/abc",
	    "GET /v1/status/demo/ABC", "GET /v1/status/demo/0aBc",
	    "GET /v1/status/demo/000000000000000000000000000000000000000000000000abc",
	    "GET /v1/status/de%6do/%61%42c"};
	static const uint8_t octets[] = {0x0a, 0xbc};
	struct call c;
	struct api_error e;

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		assert_int_equal(read_line(lines[i], &c, &e), API_CALL);
		assert_string_equal(c.issuer, "demo");
		assert_true(c.has_serial);
		assert_int_equal(c.serial.n, 2);
		assert_memory_equal(c.serial.octets, octets, 2);
	}
}

static void what_is_no_serial_is_a_bad_request(void **state)
{
	(void)state;
	expect_error("GET /v1/status/demo/xyz", 400, "bad_request");
	expect_error("GET /v1/status/demo/12%2034", 400, "bad_request");
	expect_error("GET /v1/status/demo/0xx12", 400, "bad_request");
	expect_error("GET /v1/status/demo/12%2", 400, "bad_request");
	expect_error("GET /v1/status/demo/12%zz", 400, "bad_request");
	expect_error("GET /v1/status/demo/12%00", 400, "bad_request");
	expect_error("GET /v1/status/de%00mo/12", 400, "bad_request");
	/* 22 octets; and more than any buffer of ours */
	expect_error("GET /v1/status/demo/"
		     "11111111111111111111111111111111111111111111",
	    400, "bad_request");
	char line[2100] = "GET /v1/status/demo/";
	memset(line + strlen(line), '1', 2000);
	expect_error(line, 400, "bad_request");
}

static void a_name_that_no_issuer_can_have_is_not_found(void **state)
{
	char line[600] = "GET /v1/status/";

	(void)state;
	memset(line + strlen(line), 'a', 64);
	strcat(line, "/1000");
	expect_error(line, 404, "not_found");
	memset(line, 0, sizeof line);
	strcpy(line, "GET /v1/status/");
	memset(line + strlen(line), 'a', 500);
	strcat(line, "/1000");
	expect_error(line, 404, "not_found");
}

static void other_paths_are_not_found(void **state)
{
	(void)state;
	expect_error("GET /", 404, "not_found");
	expect_error("GET /v1", 404, "not_found");
	expect_error("GET /v1/issuersx", 404, "not_found");
	expect_error("GET /v1/issuers/", 404, "not_found");
	expect_error("GET /v1/issuers/demo", 404, "not_found");
	expect_error("GET /v1/status/demo", 404, "not_found");
	expect_error("GET /v1/status/demo/", 404, "not_found");
	expect_error("GET /v1/status//1000", 404, "not_found");
	expect_error("GET /v1/status/demo/1000/x", 404, "not_found");
	expect_error("GET /HEALTHZ", 404, "not_found");
	expect_error("GET /healthz/x", 404, "not_found");
}

/* Event streams. */

static enum api_route read_events(
    const char *query, const char *fields, struct events_query *q, struct api_error *e)
{
	char head[8192];
	struct http1_request r;
	struct call c = {0};
	enum api_route route;

	snprintf(head, sizeof head,
	    "GET /v1/events%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", query, fields);
	assert_int_equal(http1_parse(&r, head, strlen(head), &limits), 0);
	route = api_request_read(&r, bytes_of(NULL, 0), false, &c, e);
	if (route == API_EVENTS && !api_request_events(&r, q, e))
		return API_ERROR;
	return route;
}

static void expect_events_error(const char *query, int status, const char *names)
{
	struct events_query q;
	struct api_error e;

	assert_int_equal(read_events(query, "", &q, &e), API_ERROR);
	assert_int_equal(e.status, status);
	assert_non_null(strstr(e.message, names));
}

#define PLACE "00000007-000000000003-00002"

static void a_query_of_events_is_read_strictly(void **state)
{
	struct events_query q;
	struct api_error e;
	char name[128] = "?issuer=";

	(void)state;
	assert_int_equal(read_events("", "", &q, &e), API_EVENTS);
	assert_false(q.has_since || q.snapshot || q.json || q.issuer[0] != '\0');
	assert_int_equal(
	    read_events("?since=" PLACE "&issuer=de%6do&snapshot=0", "", &q, &e),
	    API_EVENTS);
	assert_true(q.has_since && !q.bad_since && !q.snapshot);
	assert_string_equal(q.issuer, "demo");
	assert_string_equal(q.since_text, PLACE);
	assert_int_equal(q.since.epoch, 7);
	assert_int_equal(q.since.seq, 3);
	assert_int_equal(q.since.index, 2);
	/* a script that has no place yet */
	assert_int_equal(read_events("?since=", "", &q, &e), API_EVENTS);
	assert_false(q.has_since);
	assert_int_equal(
	    read_events("?watchlist=we%62&issuer=demo", "", &q, &e), API_EVENTS);
	assert_string_equal(q.watchlist, "web");
	assert_string_equal(q.issuer, "demo");
	expect_events_error("?watchlist=", 404, "no watchlist");
	expect_events_error("?sinze=x", 400, "unknown parameter");
	expect_events_error("?Since=x", 400, "unknown parameter");
	assert_int_equal(read_events("?since", "", &q, &e), API_EVENTS);
	expect_events_error("?since=a&since=a", 400, "since");
	expect_events_error("?issuer=a&x=&issuer=b", 400, "unknown");
	expect_events_error("?snapshot=yes", 400, "snapshot");
	expect_events_error("?snapshot=", 400, "snapshot");
	expect_events_error("?issuer=%zz", 400, "percent");
	expect_events_error("?issuer=a%00b", 400, "percent");
	expect_events_error("?issuer=", 404, "issuer");
	memset(name + 8, 'a', 64);
	expect_events_error(name, 404, "issuer");
	expect_error("HEAD /v1/events", 405, "method_not_allowed");
	expect_error("POST /v1/events", 405, "method_not_allowed");
	expect_error("GET /v1/events/", 404, "not_found");
	expect_error("GET /v1/eventsx", 404, "not_found");
}

/* An id of another program, or a forged one, is answered with a gap and not refused:
 * EventSource would give up. */
static void an_id_that_is_none_is_no_error(void **state)
{
	static const char *const bad[] = {"?since=x", ("?since=" PLACE "0"),
	    "?since=00000000-000000000003-00002", ("?since=%20" PLACE)};
	struct events_query q;
	struct api_error e;
	char query[700] = "?since=";

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(read_events(bad[i], "", &q, &e), API_EVENTS);
		assert_true(q.has_since && q.bad_since);
	}
	memset(query + 7, 'y', 600);
	assert_int_equal(read_events(query, "", &q, &e), API_EVENTS);
	assert_true(q.bad_since);
	assert_int_equal(strlen(q.since_text), sizeof q.since_text - 1);
}

static void a_last_event_id_wins_over_since(void **state)
{
	struct events_query q;
	struct api_error e;

	(void)state;
	assert_int_equal(
	    read_events("?since=x", "last-event-id: " PLACE "\r\n", &q, &e), API_EVENTS);
	assert_true(q.has_since && !q.bad_since);
	assert_string_equal(q.since_text, PLACE);
	/* a snapshot begins anew, but not for who reconnects by itself */
	assert_int_equal(read_events("?snapshot=1&since=" PLACE, "", &q, &e), API_EVENTS);
	assert_true(q.snapshot && !q.has_since);
	assert_int_equal(
	    read_events("?snapshot=1", "Last-Event-ID: " PLACE "\r\n", &q, &e),
	    API_EVENTS);
	assert_true(q.snapshot && q.has_since);
}

static bool json_page(const char *accept)
{
	struct events_query q;
	struct api_error e;
	char fields[256];

	snprintf(fields, sizeof fields, "Accept: %s\r\n", accept);
	assert_int_equal(read_events("", fields, &q, &e), API_EVENTS);
	return q.json;
}

static void json_is_for_who_names_it(void **state)
{
	struct events_query q;
	struct api_error e;

	(void)state;
	assert_true(json_page("application/json"));
	assert_true(json_page("application/json, text/plain, */*")); /* axios */
	assert_true(json_page("text/event-stream;q=0.5, application/json"));
	assert_false(json_page("text/event-stream")); /* EventSource */
	assert_false(json_page("*/*"));               /* curl */
	assert_false(json_page("text/event-stream, application/json;q=0.9"));
	assert_false(json_page("application/json;q=0"));
	assert_int_equal(
	    read_events("?snapshot=1", "Accept: application/json\r\n", &q, &e),
	    API_ERROR);
	assert_int_equal(e.status, 400);
}

/* T21: who may subscribe is who may ask. */
static void a_web_page_cannot_subscribe(void **state)
{
	struct events_query q;
	struct api_error e;

	(void)state;
	assert_int_equal(
	    read_events("", "Origin: https://evil.example\r\n", &q, &e), API_ERROR);
	assert_int_equal(e.status, 403);
	struct call c;
	assert_int_equal(
	    read_text(
		"GET /v1/events HTTP/1.1\r\nHost: evil.example\r\n\r\n", "", &c, &e),
	    API_ERROR);
	assert_int_equal(e.status, 403);
}

static void another_method_is_refused_with_allow(void **state)
{
	struct call c;
	struct api_error e;

	(void)state;
	expect_error("POST /v1/issuers", 405, "method_not_allowed");
	assert_int_equal(read_line("PATCH /healthz", &c, &e), API_ERROR);
	assert_string_equal(e.allow, "GET, HEAD");
	assert_int_equal(read_line("GET /v1/purge", &c, &e), API_ERROR);
	assert_int_equal(e.status, 405);
	assert_string_equal(e.allow, "POST");
	assert_int_equal(read_line("GET /v1/latches/demo/1000", &c, &e), API_ERROR);
	assert_string_equal(e.allow, "DELETE");
	assert_int_equal(read_line("DELETE /v1/latches", &c, &e), API_ERROR);
	assert_string_equal(e.allow, "GET, HEAD");
}

/* A misspelt parameter must not list all. */
static void latches_may_be_those_of_one_issuer(void **state)
{
	struct call c;
	struct api_error e;

	(void)state;
	assert_int_equal(read_line("GET /v1/latches?issuer=d%65mo", &c, &e), API_CALL);
	assert_string_equal(c.issuer, "demo");
	assert_int_equal(read_line("GET /v1/latches", &c, &e), API_CALL);
	assert_string_equal(c.issuer, "");
	expect_error("GET /v1/latches?isuer=demo", 400, "bad_request");
	expect_error("GET /v1/latches?issuer=a&issuer=b", 400, "bad_request");
	expect_error("GET /v1/latches?issuer=%zz", 400, "bad_request");
	expect_error("GET /v1/latches?issuer=", 404, "not_found");
}

static void a_body_names_an_issuer_and_perhaps_a_serial(void **state)
{
	static const char head[] = "POST /v1/refresh HTTP/1.1\r\nHost: "
				   "localhost\r\nContent-Type: application/json\r\n\r\n";
	struct call c;
	struct api_error e;

	(void)state;
	assert_int_equal(read_text(head, "{\"issuer\":\"demo\"}", &c, &e), API_CALL);
	assert_int_equal(c.what, CALL_REFRESH);
	assert_string_equal(c.issuer, "demo");
	assert_false(c.has_serial);
	assert_int_equal(
	    read_text(head, "{\"serial\":\"0A\", \"issuer\":\"demo\"}\n", &c, &e),
	    API_CALL);
	assert_true(c.has_serial);
	assert_int_equal(c.serial.octets[0], 10);
	assert_false(c.accept_number);
	assert_int_equal(
	    read_text(head, "{\"issuer\":\"demo\",\"accept_number\":false}", &c, &e),
	    API_CALL);
	assert_false(c.accept_number);
	assert_int_equal(
	    read_text(head, "{\"accept_number\":true,\"issuer\":\"demo\"}", &c, &e),
	    API_CALL);
	assert_true(c.accept_number);
	assert_int_equal(
	    read_text(head, "{\"issuer\":\"demo\",\"accept_number\":1}", &c, &e),
	    API_ERROR);
	assert_int_equal(e.status, 400);
	assert_non_null(strstr(e.message, "accept_number"));
}

static int type_status(const char *type)
{
	char head[512];
	struct call c;
	struct api_error e;

	snprintf(head, sizeof head,
	    "POST /v1/purge HTTP/1.1\r\nHost: localhost\r\n%s\r\n", type);
	return read_text(head, "{\"issuer\":\"demo\"}", &c, &e) == API_CALL ? 200
									    : e.status;
}

/* A body needs its Content-Type, another one is 415 (RFC 9110 section
 * 15.5.16).  The second and third rows are what a form of any page can send. */
static void a_body_needs_its_content_type(void **state)
{
	(void)state;
	assert_int_equal(type_status(""), 415);
	assert_int_equal(type_status("Content-Type: text/plain\r\n"), 415);
	assert_int_equal(
	    type_status("Content-Type: application/x-www-form-urlencoded\r\n"), 415);
	assert_int_equal(
	    type_status("Content-Type: application/json-patch+json\r\n"), 415);
	assert_int_equal(type_status("Content-Type: application/json\r\n"), 200);
	assert_int_equal(
	    type_status("content-type: Application/JSON ; charset=utf-8\r\n"), 200);
}

/* A misspelt "serial" must not purge a whole issuer. */
static void an_error_in_a_body_names_the_field(void **state)
{
	(void)state;
	expect_body_error("", "body");
	expect_body_error("[]", "body");
	expect_body_error("{\"issuer\":\"demo\"", "body");
	expect_body_error("{\"issuer\":\"demo\"} x", "body");
	expect_body_error("{\"issuer\":\"demo\",\"issuer\":\"other\"}", "body");
	expect_body_error("{\"issuer\":\"de\\u0000mo\"}", "body");
	expect_body_error("{}", "issuer");
	expect_body_error("{\"serial\":\"10\"}", "issuer");
	expect_body_error("{\"issuer\":1}", "issuer");
	expect_body_error("{\"issuer\":null}", "issuer");
	expect_body_error("{\"issuer\":\"demo\",\"serial\":10}", "serial");
	expect_body_error("{\"issuer\":\"demo\",\"serial\":null}", "serial");
	expect_body_error("{\"issuer\":\"demo\",\"serial\":\"\"}", "serial");
	expect_body_error("{\"issuer\":\"demo\",\"serial\":\"1z\"}", "serial");
	expect_body_error(
	    "{\"issuer\":\"demo\",\"accept_number\":true}", "accept_number");
	expect_body_error("{\"issuer\":\"demo\",\"seral\":\"10\"}", "\"seral\"");
	expect_body_error("{\"issuer\":\"demo\",\"dry\\u00e9\":true}", "dry");
}

static int host_status(const char *host)
{
	char head[512];
	struct call c;
	struct api_error e;

	snprintf(head, sizeof head, "GET /readyz HTTP/1.1\r\nHost: %s\r\n\r\n", host);
	return read_text(head, "", &c, &e) == API_CALL ? 200 : e.status;
}

/* T21: A page at evil.example whose name now points to 127.0.0.1 sends its own name. */
static void only_addresses_and_localhost_are_names_of_ours(void **state)
{
	struct call c;
	struct api_error e;
	struct http1_request r;
	static const char unix_text[] = "GET /readyz HTTP/1.1\r\nHost: any\r\n\r\n";

	(void)state;
	assert_int_equal(host_status("127.0.0.1"), 200);
	assert_int_equal(host_status("127.0.0.1:8081"), 200);
	assert_int_equal(host_status("[::1]:8081"), 200);
	assert_int_equal(host_status("localhost:8081"), 200);
	assert_int_equal(host_status("LocalHost"), 200);
	assert_int_equal(host_status("evil.example"), 403);
	assert_int_equal(host_status("evil.example:8081"), 403);
	assert_int_equal(host_status("localhost.evil.example"), 403);
	assert_int_equal(host_status("127.0.0.1.evil.example"), 403);
	assert_int_equal(read_text("GET http://evil.example/readyz HTTP/1.1\r\nHost: "
				   "127.0.0.1\r\n\r\n",
			     "", &c, &e),
	    API_ERROR);
	assert_int_equal(e.status, 403);
	/* HTTP/1.0 without Host: no browser of today */
	assert_int_equal(read_text("GET /readyz HTTP/1.0\r\n\r\n", "", &c, &e), API_CALL);
	assert_int_equal(http1_parse(&r, unix_text, sizeof unix_text - 1, &limits), 0);
	assert_int_equal(api_request_read(&r, bytes_of(NULL, 0), true, &c, &e), API_CALL);
}

/* A form or fetch() of any page may post to 127.0.0.1 without asking; it says Origin. */
static void a_request_of_a_web_page_is_refused(void **state)
{
	struct call c;
	struct api_error e;

	(void)state;
	assert_int_equal(read_text("POST /v1/purge HTTP/1.1\r\nHost: 127.0.0.1\r\n"
				   "origin: https://evil.example\r\n\r\n",
			     "{\"issuer\":\"demo\"}", &c, &e),
	    API_ERROR);
	assert_int_equal(e.status, 403);
	assert_int_equal(read_text("\r\nGET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
				   "X-Origin: a\r\nOriginal: b\r\n\r\n",
			     "", &c, &e),
	    API_CALL);
}

static int fetched_from(const char *line, const char *fields)
{
	char head[512];
	struct call c;
	struct api_error e;

	snprintf(
	    head, sizeof head, "%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", line, fields);
	return read_text(head, "", &c, &e) != API_ERROR ? 200 : e.status;
}

/* T21: W3C Fetch Metadata, section 2.1: the values that there are.  An image, a link or a
 * form of another site makes the browser ask, without Origin where it is a GET. */
static void who_a_browser_asks_for_is_looked_at(void **state)
{
	static const char *const calls[] = {"GET /v1/status/demo/1",
	    "GET /v1/explain/demo/1", "HEAD /v1/status/demo/1", "GET /v1/issuers",
	    "GET /v1/events", "GET /metrics", "GET /readyz", "GET /healthz",
	    "DELETE /v1/latches/demo/1"};

	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		assert_int_equal(fetched_from(calls[i], ""), 200);
		assert_int_equal(fetched_from(calls[i], "Sec-Fetch-Site: none\r\n"), 200);
		assert_int_equal(
		    fetched_from(calls[i], "sec-fetch-site:Same-Origin \r\n"), 200);
		assert_int_equal(
		    fetched_from(calls[i], "Sec-Fetch-Site: cross-site\r\n"), 403);
		assert_int_equal(
		    fetched_from(calls[i], "SEC-FETCH-SITE:\tSame-Site\r\n"), 403);
	}
	assert_int_equal(
	    fetched_from("POST /v1/purge", "Sec-Fetch-Site: same-site\r\n"), 403);
	/* more than one, and what is none of them */
	assert_int_equal(fetched_from("GET /readyz", "Sec-Fetch-Site: none\r\nA: b\r\n"
						     "Sec-Fetch-Site: cross-site\r\n"),
	    403);
	assert_int_equal(
	    fetched_from("GET /readyz", "Sec-Fetch-Site: none, cross-site\r\n"), 403);
	assert_int_equal(fetched_from("GET /readyz", "Sec-Fetch-Site:\r\n"), 403);
	assert_int_equal(fetched_from("GET /readyz", "X-Sec-Fetch-Site: cross-site\r\n"
						     "Sec-Fetch-Sites: cross-site\r\n"),
	    200);
}

static bool openmetrics(const char *accept)
{
	char head[1024];
	struct call c;
	struct api_error e;

	snprintf(head, sizeof head,
	    "GET /metrics HTTP/1.1\r\nHost: [::1]\r\nAccept: %s\r\n\r\n", accept);
	assert_int_equal(read_text(head, "", &c, &e), API_CALL);
	return c.openmetrics;
}

static void openmetrics_is_for_who_asks_for_it(void **state)
{
	(void)state;
	/* what Prometheus 2.42 sends */
	assert_true(openmetrics("application/openmetrics-text;version=1.0.0,"
				"application/openmetrics-text;version=0.0.1;q=0.75,"
				"text/plain;version=0.0.4;q=0.5,*/*;q=0.1"));
	assert_true(openmetrics("application/openmetrics-text"));
	assert_true(
	    openmetrics("text/plain;q=0.3, Application/OpenMetrics-Text ; q=0.5"));
	assert_false(openmetrics("*/*"));
	/* RFC 9110 section 12.5.1: a wildcard is for what is not named more precisely */
	assert_false(openmetrics("application/openmetrics-text;q=0.2,*/*;q=0.9"));
	assert_false(openmetrics("application/openmetrics-text;q=0.2,text/*;q=0.9"));
	assert_true(openmetrics("application/openmetrics-text;q=0.9,text/*;q=0.2"));
	assert_false(openmetrics("text/plain"));
	assert_false(openmetrics("application/openmetrics-text;q=0"));
	assert_false(openmetrics("application/openmetrics-text;q=0.2,text/plain;q=0.9"));
	assert_false(openmetrics("application/openmetrics-text-x"));
	assert_false(openmetrics(",;,;q=,"));
}

/* The thread, with a keeper that is made up. */

struct calls {
	struct call *held[8]; /* calls for the issuer "slow" */
	size_t held_n;
	bool stopping;
};
static struct calls the_calls;
static unsigned calls_seen;

/* The log's side: nothing but an end. */
static const struct change_pos log_end = {7, 3, 1};

void teller_read(void *keeper, struct msg *m)
{
	struct teller_ask *a = (struct teller_ask *)m;

	assert_ptr_equal(keeper, &the_calls);
	a->oldest = a->newest = log_end;
	question_answer(&a->question);
}
void teller_news_done(struct teller_news *n)
{
	change_batch_unref(n->batch);
	free(n);
}
void snapshot_take(void *keeper, struct msg *m)
{
	(void)keeper, (void)m;
	fail_msg("nobody asks for a snapshot here");
}
struct snapshots *snapshots_new(void)
{
	return malloc(1);
}
void snapshots_free(struct snapshots *s)
{
	free(s);
}

/* What is watched: with an inventory thread that is made up. */

static struct watch_made_up {
	struct inbox *inbox;
	bool full;
	unsigned places;
	struct watch_ask *held; /* of the list "slow" */
} watched_by;

struct inbox *watcher_inbox(struct watcher *w)
{
	assert_ptr_equal(w, &watched_by);
	return watched_by.inbox;
}
bool watcher_reserve(struct watcher *w)
{
	assert_ptr_equal(w, &watched_by);
	watched_by.places += !watched_by.full;
	return !watched_by.full;
}
const struct inventory *ledger_inventory(const struct shared *s)
{
	(void)s;
	return &inventory_none;
}
struct watch_db *watcher_db(struct watcher *w)
{
	assert_ptr_equal(w, &watched_by);
	return NULL;
}
void watcher_release(struct watcher *w)
{
	assert_ptr_equal(w, &watched_by);
	watched_by.places--;
}
/* Its socket is answered and closed. */
void watcher_take(struct watcher *w, struct watch_order *o)
{
	char text[256];
	int n = snprintf(text, sizeof text,
	    "HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n%s %d %d %.*s", o->name,
	    (int)o->what, (int)o->format, (int)o->taken.body.n,
	    (const char *)o->taken.body.p);

	assert_ptr_equal(w, &watched_by);
	assert_int_equal(write(o->taken.fd, text, (size_t)n), n);
	conn_taken_drop(&o->taken);
	watched_by.places--;
	free(o);
}
static void give_ask(struct watch_ask *a)
{
	static const char text[] = "{\"name\":\"web\"}\n";

	a->status = 200;
	a->body = memcpy(malloc(sizeof text), text, sizeof text);
	a->body_n = sizeof text - 1;
	question_answer(&a->question);
}
void watch_ask_take(void *watcher, struct msg *m)
{
	struct watch_ask *a = (struct watch_ask *)m;

	(void)watcher;
	if (strcmp(a->name, "slow") == 0) {
		watched_by.held = a;
		return;
	}
	if (a->what == WATCH_DROP) {
		a->status = 204;
	} else if (strcmp(a->name, "nope") == 0) {
		a->refusal = (struct refusal){.status = 404, .code = "not_found"};
		a->status = 404;
	} else {
		give_ask(a);
		return;
	}
	question_answer(&a->question);
}

struct calls *calls_new(void)
{
	memset(&the_calls, 0, sizeof the_calls);
	return &the_calls;
}
void calls_free(struct calls *o)
{
	if (o != NULL)
		assert_int_equal(o->held_n, 0);
}
static void give_back(struct call *c, int status, json_t *body)
{
	c->http_status = status;
	c->body = body;
	question_answer(&c->question);
}

/* Two mebibytes: more than a socket takes at once. */
static void give_file(struct call *c)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, 2 << 20), 0);
	assert_int_equal(pwrite(fd, "[", 1, 0), 1);
	assert_int_equal(pwrite(fd, "]", 1, (2 << 20) - 1), 1);
	c->file = shared_file_new(fd, 2 << 20);
	give_back(c, 200, NULL);
}

void call_take(void *keeper, struct msg *m)
{
	struct call *c = (struct call *)m;

	assert_ptr_equal(keeper, &the_calls); /* the arg of the keeper's inbox */
	if (c->what == CALL_STOP) {
		if (watched_by.held != NULL)
			give_ask(watched_by.held);
		watched_by.held = NULL;
		for (size_t i = 0; i < the_calls.held_n; i++)
			give_back(the_calls.held[i], 503,
			    api_error_json("unavailable", "stop"));
		the_calls.held_n = 0;
		give_back(c, 204, NULL);
		return;
	}
	calls_seen++;
	if (strcmp(c->issuer, "slow") == 0)
		the_calls.held[the_calls.held_n++] = c;
	else if (c->what == CALL_METRICS)
		give_back(c, 200, json_string("x 1\n"));
	else if (c->what == CALL_REFRESH)
		give_back(c, 202, NULL);
	else if (c->what == CALL_PURGE || c->what == CALL_LATCH_DELETE)
		give_back(c, 204, NULL);
	else if (c->what == CALL_READY)
		give_back(c, 200, NULL); /* as when memory ran out */
	else if (c->what == CALL_LATCHES)
		give_file(c);
	else
		give_back(c, 200, json_pack("{s:s}", "issuer", c->issuer));
}

struct world {
	struct event_base *base;
	struct inbox *keeper;
	pthread_t thread;
	struct conf conf;
	struct shared shared;
	struct api *api;
	int port;
	struct msg quit;
};

static void on_quit(void *arg, struct msg *m)
{
	struct world *w = (struct world *)((char *)m - offsetof(struct world, quit));

	(void)arg;
	event_base_loopbreak(w->base);
}

static void *keeper_run(void *arg)
{
	struct world *w = arg;

	event_base_loop(w->base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct sockaddr_in at;
	socklen_t n = sizeof at;
	char why[256], api_listen[] = "127.0.0.1:0";
	int fd;

	signal(SIGPIPE, SIG_IGN);
	calls_seen = 0;
	w->base = event_base_new();
	w->keeper = inbox_new(w->base, &the_calls);
	w->conf = (struct conf){.header_timeout_ms = 5000,
	    .body_timeout_ms = 5000,
	    .idle_timeout_ms = 5000,
	    .write_timeout_ms = 5000,
	    .linger_timeout_ms = 100,
	    .linger_size = 1000,
	    .max_head_size = 8192,
	    .max_target_size = 4096,
	    .api_max_body_size = 1000};
	w->shared.conf = &w->conf;
	w->conf.max_subscribers = 3;
	w->conf.subscriber_timeout_ms = 5000;
	w->conf.position_interval_ms = 5000;
	w->shared.keeper = w->keeper;
	watched_by = (struct watch_made_up){.inbox = w->keeper};
	w->shared.watcher = (struct watcher *)&watched_by;
	w->shared.teller = (struct teller *)w; /* any address */
	fd = listener_open(api_listen, 16, false, false, why, sizeof why);
	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	w->port = ntohs(at.sin_port);
	w->api = api_new(&w->shared, &fd, 1, why, sizeof why);
	assert_non_null(w->api);
	w->quit.run = on_quit;
	assert_int_equal(pthread_create(&w->thread, NULL, keeper_run, w), 0);
	assert_int_equal(api_start(w->api), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	api_stop(w->api);
	api_stop(w->api); /* told twice is told once */
	api_join(w->api);
	inbox_post(w->keeper, &w->quit);
	pthread_join(w->thread, NULL);
	api_free(w->api);
	inbox_free(w->keeper);
	event_base_free(w->base);
	free(w);
	metrics_reset();
	return 0;
}

static int dial(const struct world *w)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)w->port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval tv = {5, 0};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* All until the server closes. */
static const char *hear(int fd)
{
	static char text[65536];
	size_t n = 0;
	ssize_t got;

	while ((got = read(fd, text + n, sizeof text - 1 - n)) > 0)
		n += (size_t)got;
	assert_int_equal(got, 0);
	text[n] = '\0';
	close(fd);
	return text;
}

static const char *ask(const struct world *w, const char *text)
{
	int fd = dial(w);

	say(fd, text);
	return hear(fd);
}

#define JSON_BODY "Content-Type: application/json\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"

static void expect(const char *answer, const char *part)
{
	if (strstr(answer, part) == NULL)
		fail_msg("\"%s\" is not in:\n%s", part, answer);
}

static void an_answer_is_json_that_is_not_stored(void **state)
{
	const char *a = ask(*state, GET("/v1/status/demo/1"));

	expect(a, "HTTP/1.1 200 OK\r\n");
	expect(a, "\r\nDate: ");
	expect(a, "\r\nContent-Type: application/json\r\n");
	expect(a, "\r\nCache-Control: no-store\r\n");
	expect(a, "\r\nConnection: close\r\n");
	expect(a, "\r\nContent-Length: 18\r\n");
	expect(a, "\r\n\r\n{\"issuer\":\"demo\"}\n");
}

static void a_head_request_gets_the_length_and_no_body(void **state)
{
	const char *a = ask(*state, "HEAD /v1/status/demo/1 HTTP/1.1\r\nHost: [::1]\r\n"
				    "Connection: close\r\n\r\n");

	expect(a, "\r\nContent-Length: 18\r\n");
	assert_string_equal(strstr(a, "\r\n\r\n"), "\r\n\r\n");
}

static void errors_have_one_shape(void **state)
{
	const char *a = ask(*state, GET("/nothing"));

	expect(a, "HTTP/1.1 404 Not Found\r\n");
	expect(a, "\r\nContent-Type: application/json\r\n");
	expect(a, "\r\n\r\n{\"error\":{\"code\":\"not_found\",\"message\":\"");
	a = ask(*state, GET("/v1/purge"));
	expect(a, "HTTP/1.1 405 ");
	expect(a, "\r\nAllow: POST\r\n");
	a = ask(*state, GET("/readyz")); /* the body could not be made */
	expect(a, "HTTP/1.1 500 ");
	expect(a, "{\"error\":{\"code\":\"internal\"");
	assert_int_equal(calls_seen, 1);
}

static void a_file_is_a_body_of_its_size(void **state)
{
	const char *a = ask(*state, "HEAD /v1/latches HTTP/1.1\r\nHost: "
				    "127.0.0.1\r\nConnection: close\r\n\r\n");

	expect(a, "HTTP/1.1 200 OK\r\n");
	expect(a, "\r\nContent-Type: application/json\r\n");
	expect(a, "\r\nContent-Length: 2097152\r\n");
	assert_string_equal(strstr(a, "\r\n\r\n"), "\r\n\r\n");
}

static void orders_are_answered_without_a_body(void **state)
{
	const char *a = ask(*state,
	    "POST /v1/refresh HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: "
	    "17\r\n" JSON_BODY "Connection: close\r\n\r\n{\"issuer\":\"demo\"}");

	expect(a, "HTTP/1.1 202 Accepted\r\n");
	expect(a, "\r\nContent-Length: 0\r\n");
	a = ask(*state,
	    "POST /v1/purge HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: "
	    "17\r\n" JSON_BODY "Connection: close\r\n\r\n{\"issuer\":\"demo\"}");
	expect(a, "HTTP/1.1 204 No Content\r\n");
	assert_null(strstr(a, "Content-Length"));
	a = ask(*state, "DELETE /v1/latches/demo/1 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
			"Connection: close\r\n\r\n");
	expect(a, "HTTP/1.1 204 No Content\r\n");
}

static void a_body_over_the_limit_is_413(void **state)
{
	expect(ask(*state, "POST /v1/purge HTTP/1.1\r\nHost: 127.0.0.1\r\n"
			   "Content-Length: 1001\r\n\r\n"),
	    "HTTP/1.1 413 ");
	assert_int_equal(calls_seen, 0);
}

/* Whatever its size; what of it has come goes along. */
static void a_streamed_call_goes_to_the_inventory_thread(void **state)
{
	static const char put[] =
	    "PUT /v1/watchlists/web HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	    "Content-Type: text/csv\r\nContent-Length: 5000000000\r\n\r\nserial,is";
	const char *a = ask(*state, put);

	assert_ptr_equal(strstr(a, "HTTP/1.1 201 Created\r\n"), a);
	expect(a, "\r\n\r\nweb 0 2 serial,is");
	a = ask(*state, "POST /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n"
			"Content-Type: application/x-ndjson\r\nContent-Length: 2\r\n\r\n"
			"{}");
	expect(a, "\r\n\r\n 2 1 {}");
	a = ask(*state, "POST /v1/status HTTP/1.1\r\nHost: evil.example\r\n"
			"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n");
	assert_ptr_equal(strstr(a, "HTTP/1.1 403 Forbidden\r\n"), a);
	expect(a, "\r\nConnection: close\r\n");
	watched_by.full = true;
	a = ask(*state, put);
	assert_ptr_equal(strstr(a, "HTTP/1.1 503 "), a);
	watched_by.full = false;
	assert_int_equal(watched_by.places, 0);
	assert_int_equal(calls_seen, 0);
}

static void what_is_watched_is_asked_of_the_inventory_thread(void **state)
{
	const char *a = ask(*state, "GET /v1/watchlists/web HTTP/1.1\r\nHost: "
				    "127.0.0.1\r\nConnection: close\r\n\r\n");

	assert_ptr_equal(strstr(a, "HTTP/1.1 200 OK\r\n"), a);
	expect(a, "{\"name\":\"web\"}\n");
	a = ask(*state, "HEAD /v1/watchlists/web HTTP/1.1\r\nHost: "
			"127.0.0.1\r\nConnection: close\r\n\r\n");
	expect(a, "Content-Length: 15\r\n");
	a = ask(*state, "DELETE /v1/watchlists/web HTTP/1.1\r\nHost: "
			"127.0.0.1\r\nConnection: close\r\n\r\n");
	assert_ptr_equal(strstr(a, "HTTP/1.1 204 "), a);
	a = ask(*state, "GET /v1/watchlists/nope HTTP/1.1\r\nHost: "
			"127.0.0.1\r\nConnection: close\r\n\r\n");
	assert_ptr_equal(strstr(a, "HTTP/1.1 404 "), a);
	expect(a, "{\"error\":{\"code\":\"not_found\"");
	a = ask(*state, "GET /v1/summary HTTP/1.1\r\nHost: evil.example\r\nConnection: "
			"close\r\n\r\n");
	assert_ptr_equal(strstr(a, "HTTP/1.1 403 "), a);
	assert_int_equal(calls_seen, 0);
}

static void metrics_are_text_of_the_kind_that_was_asked_for(void **state)
{
	expect(ask(*state, GET("/metrics")),
	    "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
	expect(ask(*state, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: "
			   "close\r\nAccept: application/openmetrics-text\r\n\r\n"),
	    "\r\nContent-Type: application/openmetrics-text; version=1.0.0; "
	    "charset=utf-8\r\n");
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	const char *a = ask(*state,
	    "GET /v1/status/one/1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
	    "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" GET("/v1/status/two/1"));
	const char *one = strstr(a, "{\"issuer\":\"one\"}\n"), *ok = strstr(a, "ok\n"),
		   *two = strstr(a, "{\"issuer\":\"two\"}\n");

	assert_non_null(one);
	assert_non_null(ok);
	assert_non_null(two);
	assert_true(one < ok && ok < two);
}

/* T27: a client that leaves is no event for the keeper. */
static void a_client_that_leaves_a_parked_call_does_no_harm(void **state)
{
	struct world *w = *state;
	struct linger reset = {1, 0};
	int fd = dial(w);

	say(fd, GET("/v1/status/slow/1"));
	expect(ask(w, GET("/v1/issuers")), "200 OK"); /* so it is parked by now */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close(fd);
	expect(ask(w, GET("/v1/issuers")), "200 OK");
	/* the call comes back in teardown, by CALL_STOP */
}

static void a_stop_waits_for_parked_calls_and_answers_them(void **state)
{
	struct world *w = *state;
	int fd = dial(w);

	say(fd, GET("/v1/status/slow/1"));
	while (strstr(ask(w, GET("/v1/issuers")), "200 OK") == NULL)
		;
	assert_false(api_idle(w->api));
	api_drain(w->api);
	api_stop(w->api);
	expect(hear(fd), "HTTP/1.1 503 Service Unavailable\r\n");
	api_join(w->api);
}

static void a_reload_changes_the_limits(void **state)
{
	struct world *w = *state;
	struct conf bigger = w->conf;
	char text[3000];
	int n = snprintf(text, sizeof text,
	    "POST /v1/purge HTTP/1.1\r\nHost: 127.0.0.1\r\n" JSON_BODY
	    "Connection: close\r\n"
	    "Content-Length: 2000\r\n\r\n");

	memset(text + n, ' ', 2000); /* no JSON, but read */
	text[n + 2000] = '\0';
	bigger.api_max_body_size = 100000;
	atomic_store(&w->shared.conf, &bigger);
	for (int i = 0; i < 100; i++)
		api_reload(w->api);
	expect(ask(w, GET("/v1/issuers")), "200 OK");
	expect(ask(w, text), "HTTP/1.1 400 ");
	atomic_store(&w->shared.conf, &w->conf);
}

/* Bytes until text ends as asked, or the time is over. */
static const char *hear_until(int fd, const char *end)
{
	static char text[65536];
	size_t n = 0, m = strlen(end);
	ssize_t got;

	for (;;) {
		text[n] = '\0';
		if (n >= m && strcmp(text + n - m, end) == 0)
			return text;
		got = read(fd, text + n, sizeof text - 1 - n);
		if (got <= 0)
			fail_msg("\"%s\" ends, without \"%s\"", text, end);
		n += (size_t)got;
	}
}

static int listen_in(const struct world *w)
{
	int fd = dial(w);

	say(fd, "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	expect(hear_until(fd, "id: 00000007-000000000003-00001\n\n"),
	    "\r\nContent-Type: text/event-stream\r\n");
	return fd;
}

static void publish(struct world *w, uint64_t seq)
{
	struct change_batch *b = change_batch_new(1);
	struct teller_news *n = calloc(1, sizeof *n);

	strcpy(b->issuer, "demo");
	b->epoch = 7;
	b->seq = seq;
	b->n = 1;
	b->change[0].entry.n = 1;
	b->change[0].entry.spare[0] = CHANGE_REVOKED;
	n->msg.run = api_news;
	n->batch = b;
	n->end = (struct change_pos){7, seq, 1};
	inbox_post(api_inbox(w->api), &n->msg);
}

static void news_come_to_all_streams(void **state)
{
	struct world *w = *state;
	int a = listen_in(w), b = listen_in(w), c = listen_in(w);
	const char *over;
	int fd[64];

	for (uint64_t seq = 4; seq < 40; seq++)
		publish(w, seq);
	hear_until(a, "}]}\n\n");
	hear_until(b, "}]}\n\n");
	expect(ask(w, GET("/v1/issuers")), "200 OK");
	over = ask(w, GET("/v1/events"));
	expect(over, "HTTP/1.1 503 Service Unavailable\r\n");
	expect(over, "\r\nRetry-After: 5\r\n");
	expect(over, "{\"error\":{\"code\":\"unavailable\"");
	/* who is refused and stays does not keep a place of the API's for itself */
	for (int i = 0; i < 64; i++) {
		fd[i] = dial(w);
		say(fd[i], "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	}
	for (int i = 0; i < 64; i++)
		expect(hear(fd[i]), "\r\nConnection: close\r\n");
	expect(ask(w, GET("/v1/issuers")), "200 OK");
	close(a);
	close(b);
	close(c);
}

static void a_page_of_events_is_json(void **state)
{
	expect(ask(*state, "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: "
			   "application/json\r\nConnection: close\r\n\r\n"),
	    "\r\n\r\n{\"events\":[],\"position\":\"00000007-000000000003-00001\","
	    "\"gap\":null}\n");
	expect(ask(*state, GET("/v1/events?x=y")), "HTTP/1.1 400 ");
}

/* A stream is a connection of nobody: what is left for the others are all of them. */
static void streams_end_with_a_drain(void **state)
{
	struct world *w = *state;
	int a = listen_in(w), b = listen_in(w);

	assert_false(api_idle(w->api));
	api_drain(w->api);
	hear(a);
	hear(b);
	for (int i = 0; i < 5000 && !api_idle(w->api); i++)
		usleep(1000);
	assert_true(api_idle(w->api));
	publish(w, 4); /* is taken back all the same */
}

/* A drain of the front: what is no stream is answered until the API is closed. */
static void a_drain_ends_streams_and_answers_the_others(void **state)
{
	struct world *w = *state;
	int idle = dial(w), stream = listen_in(w);

	api_drain(w->api);
	hear(stream);
	expect(ask(w, GET("/healthz")), "HTTP/1.1 200 OK\r\n");
	expect(ask(w, GET("/v1/issuers")), "HTTP/1.1 200 OK\r\n");
	expect(ask(w, GET("/v1/events")), "HTTP/1.1 503 ");
	assert_false(api_idle(w->api));
	api_close(w->api);
	assert_string_equal(hear(idle), "");
	for (int i = 0; i < 5000 && !api_idle(w->api); i++)
		usleep(1000);
	assert_true(api_idle(w->api));
}

#define thread_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_path_of_the_contract_is_its_call),
	    cmocka_unit_test(a_serial_is_read_in_any_spelling),
	    cmocka_unit_test(what_is_no_serial_is_a_bad_request),
	    cmocka_unit_test(a_name_that_no_issuer_can_have_is_not_found),
	    cmocka_unit_test(other_paths_are_not_found),
	    cmocka_unit_test(another_method_is_refused_with_allow),
	    cmocka_unit_test(a_query_of_events_is_read_strictly),
	    cmocka_unit_test(an_id_that_is_none_is_no_error),
	    cmocka_unit_test(a_last_event_id_wins_over_since),
	    cmocka_unit_test(json_is_for_who_names_it),
	    cmocka_unit_test(a_web_page_cannot_subscribe),
	    cmocka_unit_test(latches_may_be_those_of_one_issuer),
	    cmocka_unit_test(a_body_names_an_issuer_and_perhaps_a_serial),
	    cmocka_unit_test(an_error_in_a_body_names_the_field),
	    cmocka_unit_test(a_body_needs_its_content_type),
	    cmocka_unit_test(only_addresses_and_localhost_are_names_of_ours),
	    cmocka_unit_test(a_request_of_a_web_page_is_refused),
	    cmocka_unit_test(who_a_browser_asks_for_is_looked_at),
	    cmocka_unit_test(openmetrics_is_for_who_asks_for_it),
	    thread_test(an_answer_is_json_that_is_not_stored),
	    thread_test(a_head_request_gets_the_length_and_no_body),
	    thread_test(errors_have_one_shape),
	    thread_test(a_file_is_a_body_of_its_size),
	    thread_test(orders_are_answered_without_a_body),
	    thread_test(a_body_over_the_limit_is_413),
	    thread_test(a_streamed_call_goes_to_the_inventory_thread),
	    thread_test(what_is_watched_is_asked_of_the_inventory_thread),
	    thread_test(metrics_are_text_of_the_kind_that_was_asked_for),
	    thread_test(pipelined_requests_are_answered_in_order),
	    thread_test(a_client_that_leaves_a_parked_call_does_no_harm),
	    thread_test(a_stop_waits_for_parked_calls_and_answers_them),
	    thread_test(a_reload_changes_the_limits),
	    thread_test(news_come_to_all_streams),
	    thread_test(a_page_of_events_is_json),
	    thread_test(streams_end_with_a_drain),
	    thread_test(a_drain_ends_streams_and_answers_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
