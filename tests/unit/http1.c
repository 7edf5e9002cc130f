#include "proxy/http/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static const struct http1_limits limits = {.head = 8192, .target = 4096};

/* A request whose bytes end where the allocation ends, so that a sanitizer sees every
 * read beyond; kept until the next one, because the result points into it. */
static char *kept;

static int parse_n(struct http1_request *r, const char *text, size_t n)
{
	free(kept);
	kept = malloc(n ? n : 1);
	memcpy(kept, text, n);
	return http1_parse(r, kept, n, &limits);
}

static int drop_kept(void **state)
{
	(void)state;
	free(kept);
	kept = NULL;
	return 0;
}

/* Whole, and each prefix: the first one that says something says the same. */
static int parse(struct http1_request *r, const char *text)
{
	size_t n = strlen(text);
	int status = -1;

	for (size_t i = 0; i < n && status == -1; i++)
		status = parse_n(r, text, i);
	if (status == -1)
		return parse_n(r, text, n);
	assert_true(status > 0);
	assert_int_equal(parse_n(r, text, n), status);
	return status;
}

static void expect(const char *text, int status)
{
	struct http1_request r;
	int got = parse(&r, text);

	if (got != status)
		print_error("%s", text);
	assert_int_equal(got, status);
}

static void assert_bytes(struct bytes b, const char *text)
{
	assert_int_equal(b.n, strlen(text));
	assert_memory_equal(b.p, text, b.n);
}

static void a_plain_get_is_read(void **state)
{
	static const char text[] = "GET /ocsp/MEM?x=1 HTTP/1.1\r\nHost: a.example:80\r\n"
				   "User-Agent:\tx y\t \r\nAccept: */*\r\n\r\n";
	struct http1_request r;

	(void)state;
	assert_int_equal(parse(&r, text), 0);
	assert_int_equal(r.method, HTTP1_GET);
	assert_bytes(r.method_text, "GET");
	assert_bytes(r.target, "/ocsp/MEM?x=1");
	assert_bytes(r.path, "/ocsp/MEM");
	assert_bytes(r.query, "x=1");
	assert_int_equal(r.authority.n, 0);
	assert_int_equal(r.minor, 1);
	assert_true(r.keep_alive);
	assert_false(r.has_length || r.chunked || r.expect_continue || r.no_cache);
	assert_bytes(r.host, "a.example:80");
	assert_bytes(r.accept, "*/*");
	assert_int_equal(r.head_n, strlen(text));
}

/* R138: what follows belongs to the next request. */
static void a_head_ends_at_its_empty_line(void **state)
{
	static const char one[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	struct http1_request r;
	char two[200];

	(void)state;
	snprintf(two, sizeof two, "%s%s", one, one);
	assert_int_equal(parse_n(&r, two, strlen(two)), 0);
	assert_int_equal(r.head_n, strlen(one));
	/* RFC 9112 section 2.2: one empty line before it, and no more */
	snprintf(two, sizeof two, "\r\n%s", one);
	assert_int_equal(parse(&r, two), 0);
	assert_int_equal(r.head_n, strlen(two));
	expect("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
	expect("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
	expect("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
}

static void methods_are_told_apart(void **state)
{
	static const struct {
		const char *text;
		enum http1_method method;
	} row[] = {{"GET", HTTP1_GET}, {"HEAD", HTTP1_HEAD}, {"POST", HTTP1_POST},
	    {"PUT", HTTP1_PUT}, {"DELETE", HTTP1_DELETE}, {"PATCH", HTTP1_OTHER},
	    {"get", HTTP1_OTHER}, {"GETX", HTTP1_OTHER}, {"M-SEARCH", HTTP1_OTHER}};
	struct http1_request r;
	char text[100];

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		snprintf(
		    text, sizeof text, "%s / HTTP/1.1\r\nHost: a\r\n\r\n", row[i].text);
		assert_int_equal(parse(&r, text), 0);
		assert_int_equal(r.method, row[i].method);
		assert_bytes(r.method_text, row[i].text);
	}
	expect(" / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
	expect("GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
	expect("\x16\x03\x01\x02", 400); /* TLS */
	expect("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400);
}

/* RFC 9112 section 3.2; R29, R31, R33 */
static void the_four_forms_of_target(void **state)
{
	struct http1_request r;

	(void)state;
	assert_int_equal(
	    parse(
		&r, "GET http://CA.example:8080/a//b?q HTTP/1.1\r\nHost: other\r\n\r\n"),
	    0);
	assert_bytes(r.authority, "CA.example:8080");
	assert_bytes(r.path, "/a//b");
	assert_bytes(r.query, "q");
	assert_int_equal(parse(&r, "GET HTTP://[::1]?q HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
	assert_bytes(r.authority, "[::1]");
	assert_bytes(r.path, "/");
	assert_bytes(r.query, "q");
	assert_int_equal(parse(&r, "POST https://a HTTP/1.0\r\n\r\n"), 0);
	assert_bytes(r.authority, "a");
	assert_bytes(r.path, "/");
	assert_int_equal(parse(&r, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
	assert_bytes(r.path, "*");
	assert_int_equal(parse(&r, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
	assert_int_equal(r.method, HTTP1_OTHER);
	assert_int_equal(r.path.n, 0);
	assert_int_equal(parse(&r, "GET //MEM/x/+= HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
	assert_bytes(r.path, "//MEM/x/+=");
}

/* R28, R29, R33, T8 */
static void bad_targets_are_refused(void **state)
{
	static const char *const bad[] = {"*", "a:443", "a", "http:/a/", "http://",
	    "http:///x", "ftp://a/", "http://u@a/", "http://u:p@a/", "http://a:x/",
	    "http://a:65536/", "http://a:80:80/", "http://[::1/", "http://[g]/",
	    "http://a%/", "http://a%4/", "http://a b/", "/a b", "/a\tb", "/a\x7f",
	    "/\x01", "/\x80", "/\xc3\xa4", "/a#b", "#", "?x", "", "/\x1f",
	    "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x0b", "/aaaaaaaaa\xffzaaaaaaaaaaaaaa"};
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", bad[i]);
		expect(text, 400);
	}
	expect("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
	expect("CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400);
	expect("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
	expect("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400);
}

/* Every octet, at every distance from a word of eight. */
static void octets_of_a_target_are_judged_one_by_one(void **state)
{
	struct http1_request r;

	(void)state;
	for (int c = 0; c < 256; c++) {
		for (int at = 0; at < 10; at++) {
			char text[] =
			    "GET /aaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: a\r\n\r\n";
			bool good = c > 0x20 && c < 0x7f && c != '#';

			text[5 + at] = (char)c;
			assert_int_equal(
			    parse_n(&r, text, sizeof text - 1), good ? 0 : 400);
		}
	}
}

static void octets_of_a_value_are_judged_one_by_one(void **state)
{
	struct http1_request r;

	(void)state;
	for (int c = 0; c < 256; c++) {
		for (int at = 0; at < 10; at++) {
			char text[] =
			    "GET / HTTP/1.1\r\nHost: a\r\nX:aaaaaaaaaaaaaaaaaaaa\r\n\r\n";
			bool good = c == '\t' || (c >= 0x20 && c != 0x7f);

			text[27 + at] = (char)c;
			assert_int_equal(
			    parse_n(&r, text, sizeof text - 1), good ? 0 : 400);
		}
	}
}

/* RFC 9110 section 5.6.2 */
static void octets_of_a_name_are_tokens(void **state)
{
	static const char others[] = "!#$%&'*+-.^_`|~";
	struct http1_request r;

	(void)state;
	for (int c = 1; c < 256; c++) {
		char text[] = "GET / HTTP/1.1\r\nHost: a\r\nXaX: v\r\n\r\n";
		bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			    (c >= 'A' && c <= 'Z') || strchr(others, c) != NULL ||
			    c == ':';

		text[26] = (char)c;
		assert_int_equal(parse_n(&r, text, sizeof text - 1), good ? 0 : 400);
	}
}

/* R140, HTTP/0.9 */
static void versions(void **state)
{
	struct http1_request r;

	(void)state;
	assert_int_equal(parse(&r, "GET / HTTP/1.0\r\n\r\n"), 0);
	assert_int_equal(r.minor, 0);
	assert_int_equal(parse(&r, "GET / HTTP/1.7\r\nHost: a\r\n\r\n"), 0);
	assert_int_equal(r.minor, 1);
	expect("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505);
	expect("GET / HTTP/0.9\r\n\r\n", 505);
	expect("GET / HTTP/3\r\n\r\n", 505);
	expect("GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400);
	expect("GET / HTTP/1.\r\nHost: a\r\n\r\n", 400);
	expect("GET / HTTP/1.x\r\nHost: a\r\n\r\n", 400);
	expect("GET / H1TP/1.1\r\nHost: a\r\n\r\n", 400);
	expect("GET / HTTP/101\r\nHost: a\r\n\r\n", 400);
	expect("GET / HTTP11.1\r\nHost: a\r\n\r\n", 400);
	expect("GET / http/1.1\r\nHost: a\r\n\r\n", 400);
	expect("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400);
	expect("GET / HTTP/1.1\nHost: a\r\n\r\n", 400);
	expect("GET / \r\n\r\n", 400);
	expect("GET /\r\n\r\n", 400);
	expect("GET /\n", 400);
	expect("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400);
}

/* R35, RFC 9112 section 3.2 */
static void host_comes_once_and_has_its_form(void **state)
{
	static const char *const good[] = {"a", "a:80", "a:", "127.0.0.1:8080", "[::1]",
	    "[2001:db8::1]:80", "a_b.example", "", "a%41", "[::ffff:1.2.3.4]:1"};
	static const char *const bad[] = {"a b", "a/b", "u@a", "a:b", "a:80:80",
	    "a:99999", ":80", "[::1", "::1", "[::1]x", "a\\b", "a?b", "a%4", "a%g1",
	    "a%1g", "[]x", "a\"", "<a>"};
	struct http1_request r;
	char text[100];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		snprintf(text, sizeof text, "GET / HTTP/1.1\r\nhOST:%s\r\n\r\n", good[i]);
		assert_int_equal(parse(&r, text), 0);
		assert_bytes(r.host, good[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", bad[i]);
		expect(text, 400);
		snprintf(text, sizeof text, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", bad[i]);
		expect(text, 400);
	}
	expect("GET / HTTP/1.1\r\n\r\n", 400);
	expect("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
	expect("GET / HTTP/1.1\r\nHost:\r\nHost:\r\n\r\n", 400);
	expect("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 400);
	/* also beside an absolute target */
	expect("GET http://a/ HTTP/1.1\r\n\r\n", 400);
}

/* R137, T9 */
static void framing_is_never_guessed(void **state)
{
	static const char *const bad[] = {"Content-Length: 5\r\nContent-Length: 5",
	    "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5, 5",
	    "Content-Length: 5,6", "Content-Length: +5", "Content-Length: -5",
	    "Content-Length: 0x5", "Content-Length: 5a", "Content-Length: 5 5",
	    "Content-Length: 1e3", "Content-Length:", "Content-Length: \"5\"",
	    "Content-Length: 5\r\nTransfer-Encoding: chunked",
	    "Transfer-Encoding: chunked\r\nContent-Length: 5",
	    "Transfer-Encoding: chunked\r\nContent-Length: 0",
	    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
	    "Transfer-Encoding:", "Content-Length : 5", "Content-Length\t: 5",
	    " Content-Length: 5", "X: y\r\n Content-Length: 5", "X: y\r\n\tfolded",
	    "X: y\n", "X: a\rb", "X: a\r\r\n", "X", ": y", "X Y: z", "X\r\n: y",
	    "X: y\r"};
	static const char *const unknown[] = {"gzip", "gzip, chunked", "chunked, chunked",
	    "identity", "xchunked", "chunked;a=b", "chunked,", "\"chunked\"",
	    "chunked\x0c"};
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(text, sizeof text, "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n",
		    bad[i]);
		expect(text, 400);
	}
	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
		bool control = strchr(unknown[i], 0x0c) != NULL;

		snprintf(text, sizeof text,
		    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: %s\r\n\r\n",
		    unknown[i]);
		expect(text, control ? 400 : 501);
	}
	expect("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
	expect("POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n", 400);
}

/* R1, R137 */
static void bodies_are_announced(void **state)
{
	struct http1_request r;

	(void)state;
	assert_int_equal(
	    parse(&r, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0077\r\n"
		      "Content-Type: application/ocsp-request\r\n\r\n"),
	    0);
	assert_true(r.has_length);
	assert_int_equal(r.length, 77);
	assert_bytes(r.content_type, "application/ocsp-request");
	assert_int_equal(
	    parse(&r, "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: ChunkeD\r\n\r\n"),
	    0);
	assert_true(r.chunked);
	assert_false(r.has_length);
	assert_int_equal(parse(&r, "POST / HTTP/1.1\r\nHost: a\r\n"
				   "Content-Length: 18446744073709551609\r\n\r\n"),
	    0);
	assert_true(r.length == UINT64_C(18446744073709551609));
	expect(
	    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\n",
	    413);
	expect("POST / HTTP/1.1\r\nHost: a\r\n"
	       "Content-Length: 99999999999999999999999999999999999999\r\n\r\n",
	    413);
}

/* R36 */
static void only_one_expectation_is_met(void **state)
{
	struct http1_request r;

	(void)state;
	assert_int_equal(
	    parse(&r, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n\r\n"), 0);
	assert_true(r.expect_continue);
	assert_int_equal(parse(&r, "POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), 0);
	assert_false(r.expect_continue);
	assert_int_equal(parse(&r, "POST / HTTP/1.1\r\nHost: a\r\nExpect:\r\n\r\n"), 0);
	assert_false(r.expect_continue);
	expect("POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", 417);
	expect("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\n\r\n", 417);
}

/* R37, R118 */
static void connections_are_kept_as_asked(void **state)
{
	static const struct {
		const char *version, *connection;
		bool keep;
	} row[] = {{"1.1", "", true}, {"1.1", "Connection: close\r\n", false},
	    {"1.1", "Connection: Keep-Alive\r\n", true},
	    {"1.1", "Connection: Upgrade, HTTP2-Settings\r\n", true},
	    {"1.1", "Connection: TE ,\tCLOSE\r\n", false},
	    {"1.1", "Connection: x\r\nConnection: close\r\n", false},
	    {"1.1", "Connection: closed\r\n", true}, {"1.0", "", false},
	    {"1.0", "Connection: keep-alive\r\n", true},
	    {"1.0", "Connection: x,,keep-alive\r\n", true},
	    {"1.0", "Connection: keep-alive, close\r\n", false}};
	struct http1_request r;
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		snprintf(text, sizeof text, "GET / HTTP/%s\r\nHost: a\r\n%s\r\n",
		    row[i].version, row[i].connection);
		assert_int_equal(parse(&r, text), 0);
		assert_int_equal(r.keep_alive, row[i].keep);
	}
}

/* R130, R131 */
static void cache_directives_are_read(void **state)
{
	static const struct {
		const char *header;
		bool no_cache, only_if_cached;
	} row[] = {{"Cache-Control: no-cache", true, false},
	    {"Cache-Control: x, MAX-AGE=0", true, false},
	    {"Cache-Control: max-age=05, no-store", false, false},
	    {"Cache-Control: only-if-cached , no-cache", true, true},
	    {"Pragma: no-cache", true, false}, {"Pragma: x", false, false},
	    {"Cache-Control:", false, false}, {"Cache-Control: ,,", false, false}};
	struct http1_request r;
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n",
		    row[i].header);
		assert_int_equal(parse(&r, text), 0);
		assert_int_equal(r.no_cache, row[i].no_cache);
		assert_int_equal(r.only_if_cached, row[i].only_if_cached);
	}
}

static void other_headers_are_borrowed(void **state)
{
	struct http1_request r;

	(void)state;
	assert_int_equal(parse(&r, "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"x\"\r\n"
				   "If-None-Match: \"y\"\r\nIf-Modified-Since: z\r\n"
				   "Authorization: Bearer t\r\nLast-Event-ID: 7\r\n\r\n"),
	    0);
	assert_bytes(r.if_none_match, "\"x\"");
	assert_bytes(r.if_modified_since, "z");
	assert_bytes(r.authorization, "Bearer t");
	assert_bytes(r.last_event_id, "7");
	expect(
	    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
	    400);
}

/* R34, R139: as long as allowed, and one octet more */
static void heads_and_targets_have_their_limits(void **state)
{
	const struct http1_limits small = {.head = 200, .target = 50};
	struct http1_request r;
	char text[400];

	(void)state;
	for (int n = 48; n < 54; n++) {
		int at = snprintf(
		    text, sizeof text, "GET /%0*d HTTP/1.1\r\nHost: a\r\n\r\n", n - 1, 0);

		assert_int_equal(
		    http1_parse(&r, text, (size_t)at, &small), n <= 50 ? 0 : 414);
		/* also while it still comes */
		assert_int_equal(
		    http1_parse(&r, text, (size_t)(4 + n), &small), n <= 50 ? -1 : 414);
	}
	for (int n = 195; n < 205; n++) {
		int at = snprintf(text, sizeof text,
		    "GET / HTTP/1.1\r\nHost: a\r\nX: %0*d\r\n\r\n", n - 32, 0);

		assert_int_equal(at, n);
		for (int seen = 0; seen < at; seen++)
			assert_int_equal(http1_parse(&r, text, (size_t)seen, &small),
			    seen <= 200 ? -1 : 431);
		assert_int_equal(
		    http1_parse(&r, text, (size_t)at, &small), at <= 200 ? 0 : 431);
	}
	memset(text, 'A', sizeof text);
	assert_int_equal(http1_parse(&r, text, 200, &small), -1);
	assert_int_equal(http1_parse(&r, text, 201, &small), 431);
}

/* Decode whole, or in pieces; the body goes to out. */
static int dechunk(
    const char *in, size_t n, size_t piece, char *out, size_t *out_n, size_t *consumed)
{
	struct http1_chunked c;
	int status = 0;

	http1_chunked_start(&c);
	*out_n = *consumed = 0;
	while (status == 0 && *consumed < n) {
		size_t room = n - *consumed < piece ? n - *consumed : piece, used;
		struct bytes data;

		status = http1_chunked_feed(&c, in + *consumed, room, &used, &data);
		assert_true(used > 0 && used <= room);
		*consumed += used;
		if (data.n > 0)
			memcpy(out + *out_n, data.p, data.n);
		*out_n += data.n;
	}
	return status;
}

/* RFC 9112 section 7.1; R137: trailers are dropped */
static void chunks_are_joined(void **state)
{
	static const char in[] =
	    "4\r\nWiki\r\n05;a=\"b c\"\r\npedia\r\nA\r\n0123456789\r\n"
	    "0\r\nX-Trailer: y\r\nZ:\r\n\r\nGET";
	char out[100];
	size_t n, consumed;

	(void)state;
	for (size_t piece = 1; piece < sizeof in; piece++) {
		assert_int_equal(
		    dechunk(in, sizeof in - 1, piece, out, &n, &consumed), 1);
		assert_int_equal(n, 19);
		assert_memory_equal(out, "Wikipedia0123456789", 19);
		assert_int_equal(consumed, sizeof in - 1 - 3);
	}
}

/* R137 */
static void bad_chunks_are_refused(void **state)
{
	static const char *const bad[] = {"\r\n", "x\r\n", "+5\r\n", "0x5\r\n", "-1\r\n",
	    " 5\r\n", "5 \r\n", "5 ;a\r\n", "5\n", "5\r\r", "5;a\n", "5;\x01", "5\rx",
	    "4\r\nWikiX", "4\r\nWiki\n", "4\r\nWiki\rX", "11111111111111111\r\n",
	    "fffffffffffffffff\r\n", "0\r\nX\r\n", "0\r\n X: y\r\n", "0\r\nX : y",
	    "0\r\n:", "0\r\nX: \x02", "0\r\nX: y\n", "0\r\nX: y\rz", "0\r\n\rX",
	    "0\r\n\n", ";a\r\n", "g"};
	char out[100];
	size_t n, consumed;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(
		    dechunk(bad[i], strlen(bad[i]), 1000, out, &n, &consumed), 400);
		assert_int_equal(
		    dechunk(bad[i], strlen(bad[i]), 1, out, &n, &consumed), 400);
	}
}

static void chunk_lines_and_trailers_have_their_limits(void **state)
{
	char in[10000], out[10];
	size_t n, consumed;

	(void)state;
	memset(in, '0', sizeof in);
	assert_int_equal(dechunk(in, sizeof in, 100, out, &n, &consumed), 400);
	assert_true(consumed < 300);
	memcpy(in, "0;", 2);
	assert_int_equal(dechunk(in, sizeof in, 100, out, &n, &consumed), 400);
	memcpy(in, "0\r\nX:", 5);
	assert_int_equal(dechunk(in, sizeof in, 100, out, &n, &consumed), 431);
	/* a size of 2^64 - 1 is taken, and never comes */
	assert_int_equal(
	    dechunk("ffffffffffffffff\r\nabc", 21, 5, out, &n, &consumed), 0);
	assert_int_equal(n, 3);
}

/* R125; RFC 9110 section 5.6.7 has this date in its three forms. */
static void dates_have_three_forms(void **state)
{
	static const struct {
		const char *text;
		int64_t at;
	} row[] = {{"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
	    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
	    {"Sun Nov  6 08:49:37 1994", 784111777}, {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
	    {"Wed Nov 16 08:49:37 1994", 784975777},
	    {"Saturday, 01-Jan-00 00:00:00 GMT", 946684800},
	    {"Thu, 29 Feb 2024 23:59:60 GMT", 1709251200},
	    {"Fri, 31 Dec 9999 23:59:59 GMT", INT64_C(253402300799)}};
	static const char *const bad[] = {"", "0", "-1", "Sun, 06 Nov 1994 08:49:37 UTC",
	    "Sun, 06 Nov 1994 08:49:37", "Sun, 6 Nov 1994 08:49:37 GMT",
	    "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
	    "Sun, 29 Feb 2023 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
	    "Son, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
	    "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
	    "Sun, 06 Nov 1994 08.49.37 GMT", "Sun, 06 Nov 199x 08:49:37 GMT",
	    "Sun, 06-Nov-1994 08:49:37 GMT", "Sunday, 06-Nov-9x 08:49:37 GMT",
	    "Sun Nov  6 08:49:37 199x", "Sun Nov  x 08:49:37 1994",
	    "Xxx Nov  6 08:49:37 1994", " Nov  6 08:49:37 1994abc",
	    "xNov  6 08:49:37 1994 ab", "Nov  6 08:49:37 1994",
	    "Sunday Nov  6 08:49:37 1994", "SunxNov  6 08:49:37 1994",
	    "Sun, 06 Nov 1994 08:49:37 GMT ", "Sunday", "Sun", "Wednesday, "};
	int64_t at;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		at = -5;
		assert_true(
		    http1_date_parse(bytes_of(row[i].text, strlen(row[i].text)), &at));
		assert_int_equal(at, row[i].at);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		size_t n = strlen(bad[i]);
		char *copy = malloc(n ? n : 1);

		memcpy(copy, bad[i], n);
		assert_false(http1_date_parse(bytes_of(copy, n), &at));
		free(copy);
	}
}

/* R122; strftime() in the C locale is the judge. */
static void a_date_is_written_as_imf_fixdate(void **state)
{
	char out[HTTP1_DATE_MAX], expected[HTTP1_DATE_MAX];
	int64_t back;

	(void)state;
	http1_date(784111777, out);
	assert_string_equal(out, "Sun, 06 Nov 1994 08:49:37 GMT");
	for (int64_t at = -5000000000; at < 5000000000; at += 12345678) {
		time_t t = at;
		struct tm tm;

		gmtime_r(&t, &tm);
		strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &tm);
		http1_date(at, out);
		assert_string_equal(out, expected);
		assert_true(http1_date_parse(bytes_of(out, 29), &back));
		assert_int_equal(back, at);
	}
	http1_date(INT64_MAX, out);
	assert_string_equal(out, "Fri, 31 Dec 9999 23:59:59 GMT");
	http1_date(INT64_MIN, out);
	assert_string_equal(out, "Sat, 01 Jan 0000 00:00:00 GMT");
}

/* R38, R124 */
static void entity_tags_are_compared_weakly(void **state)
{
	static const char *const match[] = {"*", " * ", "\"a,b\"", "W/\"a,b\"",
	    "\"x\", \"a,b\"", "\"x\",W/\"a,b\" , \"y\"", ",, \"a,b\""};
	static const char *const none[] = {"", "\"\"", "a,b", "\"a\", \"b\"", "\"a,b",
	    "\"A,B\"", "**", "x, \"a,b\"", "\"x\"\"a,b\"", "w/\"a,b\"", "W/", "W/a,b",
	    "\"", ","};

	(void)state;
	for (size_t i = 0; i < sizeof match / sizeof match[0]; i++)
		assert_true(http1_etag_match(
		    bytes_of(match[i], strlen(match[i])), bytes_of("\"a,b\"", 5)));
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		assert_false(http1_etag_match(
		    bytes_of(none[i], strlen(none[i])), bytes_of("\"a,b\"", 5)));
}

static void statuses_have_reasons(void **state)
{
	static const int used[] = {100, 200, 201, 202, 204, 304, 400, 401, 403, 404, 405,
	    408, 413, 414, 417, 431, 500, 501, 503, 504, 505, 507};

	(void)state;
	for (size_t i = 0; i < sizeof used / sizeof used[0]; i++)
		assert_string_not_equal(http1_reason(used[i]), "Unknown");
	assert_string_equal(http1_reason(400), "Bad Request");
	assert_string_equal(http1_reason(507), "Insufficient Storage"); /* RFC 4918 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_plain_get_is_read),
	    cmocka_unit_test(a_head_ends_at_its_empty_line),
	    cmocka_unit_test(methods_are_told_apart),
	    cmocka_unit_test(the_four_forms_of_target),
	    cmocka_unit_test(bad_targets_are_refused),
	    cmocka_unit_test(octets_of_a_target_are_judged_one_by_one),
	    cmocka_unit_test(octets_of_a_value_are_judged_one_by_one),
	    cmocka_unit_test(octets_of_a_name_are_tokens),
	    cmocka_unit_test(versions),
	    cmocka_unit_test(host_comes_once_and_has_its_form),
	    cmocka_unit_test(framing_is_never_guessed),
	    cmocka_unit_test(bodies_are_announced),
	    cmocka_unit_test(only_one_expectation_is_met),
	    cmocka_unit_test(connections_are_kept_as_asked),
	    cmocka_unit_test(cache_directives_are_read),
	    cmocka_unit_test(other_headers_are_borrowed),
	    cmocka_unit_test(heads_and_targets_have_their_limits),
	    cmocka_unit_test(chunks_are_joined),
	    cmocka_unit_test(bad_chunks_are_refused),
	    cmocka_unit_test(chunk_lines_and_trailers_have_their_limits),
	    cmocka_unit_test(dates_have_three_forms),
	    cmocka_unit_test(a_date_is_written_as_imf_fixdate),
	    cmocka_unit_test(entity_tags_are_compared_weakly),
	    cmocka_unit_test(statuses_have_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, drop_kept);
}
