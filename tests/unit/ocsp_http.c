#include "proxy/http/ocsp_http.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/corpus.h"
#include "tests/lib/key_vectors.h"
#include "tests/lib/unhex.h"

static char path_ca[] = "/ca/ocsp", path_ocsp[] = "/ocsp", path_top[] = "/",
	    host_ca[] = "ocsp.ca.example", host_literal[] = "::1";
static char *paths[] = {path_ca, path_ocsp, path_top};
static struct conf_authority authorities[] = {{host_ca, 80}, {host_literal, 8080}};
static const struct conf all = {
    .path = paths, .path_n = 3, .authority = authorities, .authority_n = 2};
/* without "/" */
static const struct conf some = {
    .path = paths, .path_n = 2, .authority = authorities, .authority_n = 2};

static enum route route(
    const struct conf *c, const char *target, char *rest, size_t rest_n)
{
	const struct http1_limits limits = {8192, 4096};
	struct http1_request r;
	struct bytes found = {0};
	char text[5000];
	enum route way;
	int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);

	assert_int_equal(http1_parse(&r, text, (size_t)n, &limits), 0);
	way = ocsp_http_route(c, &r, &found);
	snprintf(
	    rest, rest_n, "%.*s", (int)found.n, found.n ? (const char *)found.p : "");
	return way;
}

static void expect_rest(const struct conf *c, const char *target, const char *rest)
{
	char got[5000];

	assert_int_equal(route(c, target, got, sizeof got), ROUTE_OCSP);
	assert_string_equal(got, rest);
}

static void expect_route(const struct conf *c, const char *target, enum route way)
{
	char got[5000];

	assert_int_equal(route(c, target, got, sizeof got), way);
}

/* R23, R24, R25, R30 */
static void the_longest_path_wins_on_a_segment_boundary(void **state)
{
	(void)state;
	expect_rest(&all, "/MEM", "MEM");
	expect_rest(&all, "//MEM", "MEM");
	expect_rest(&all, "///MEM", "/MEM");
	expect_rest(&all, "/", "");
	expect_rest(&all, "//", "");
	expect_rest(&all, "/ocsp", "");
	expect_rest(&all, "/ocsp/", "");
	expect_rest(&all, "/ocsp//", "");
	expect_rest(&all, "/ocsp/MEM", "MEM");
	expect_rest(&all, "/ocsp//MEM", "MEM");
	expect_rest(&all, "/ocsp/M//EM%2f%2F", "M//EM%2f%2F");
	expect_rest(&all, "/ca/ocsp/MEM?x=y", "MEM");
	expect_rest(&all, "/ca/MEM", "ca/MEM");
	expect_rest(&all, "/ocspx", "ocspx");
	expect_rest(&all, "/ocsp%2fMEM", "ocsp%2fMEM");
	expect_route(&some, "/ocspx", ROUTE_NONE);
	expect_route(&some, "/", ROUTE_NONE);
	expect_route(&some, "/MEM", ROUTE_NONE);
	expect_route(&some, "/OCSP/MEM", ROUTE_NONE);
	expect_rest(&some, "/ocsp/MEM", "MEM");
}

/* R28 */
static void bad_escapes_are_bad_wherever_they_are(void **state)
{
	static const char *const bad[] = {
	    "/%", "/M%", "/M%2", "/%ZZ", "/%%", "/ocsp/M%2", "/x%g0/y", "/M%41%4", "/%0"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		expect_route(&all, bad[i], ROUTE_BAD);
		expect_route(&some, bad[i], ROUTE_BAD);
	}
	/* a query is nobody's */
	expect_rest(&all, "/M?%", "M");
	/* what is good to the last octet is */
	expect_rest(&all, "/MEM%3D", "MEM%3D");
	expect_rest(&all, "/M%41", "M%41");
}

/* R31, R32, T7, T8 */
static void an_absolute_target_names_a_configured_host(void **state)
{
	static const char *const ours[] = {"http://ocsp.ca.example/MEM",
	    "http://OCSP.ca.Example:80//MEM", "http://ocsp.ca.example:/MEM",
	    "HTTP://ocsp.ca.example:080/ocsp/MEM", "http://[::1]:8080/MEM"};
	static const char *const foreign[] = {"http://ocsp.ca.example:81/MEM",
	    "http://ocsp.ca.exampl/MEM", "http://xocsp.ca.example/MEM",
	    "http://[::1]/MEM", "http://[::2]:8080/MEM", "http://127.0.0.1:6379/MEM",
	    "https://ocsp.ca.example/MEM", "https://ocsp.ca.example:80/MEM",
	    "http://ocsp.ca.example./MEM", "http://localhost/healthz",
	    "http://redis:6379/%0d%0aSET%20x%20y", "http://169.254.169.254/MEM",
	    "http://[::ffff:127.0.0.1]/MEM"};

	(void)state;
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		expect_rest(&all, ours[i], "MEM");
	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
		expect_route(&all, foreign[i], ROUTE_FORBIDDEN);
	expect_rest(&all, "http://ocsp.ca.example", "");
	expect_rest(&all, "http://ocsp.ca.example?x", "");
}

static void healthz_is_ours_alone(void **state)
{
	(void)state;
	expect_route(&all, "/healthz", ROUTE_HEALTHZ);
	expect_route(&all, "/healthz?x", ROUTE_HEALTHZ);
	expect_rest(&all, "//healthz", "healthz");
	expect_rest(&all, "http://ocsp.ca.example/healthz", "healthz");
	expect_route(&some, "/healthz/", ROUTE_NONE);
}

/* R32 */
static void connect_and_asterisk_have_no_route(void **state)
{
	const struct http1_limits limits = {8192, 4096};
	static const char *const text[] = {
	    "CONNECT ocsp.ca.example:80 HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.0\r\n\r\n"};
	struct http1_request r;
	struct bytes rest;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(http1_parse(&r, text[i], strlen(text[i]), &limits), 0);
		assert_int_equal(ocsp_http_route(&all, &r, &rest), ROUTE_NONE);
	}
}

/* The input ends where its allocation ends, so that a sanitizer sees every read beyond.
 */
static enum err decode(const char *text, uint8_t *out, size_t *n)
{
	size_t length = strlen(text);
	char *copy = malloc(length ? length : 1);
	enum err e;

	memcpy(copy, text, length);
	e = ocsp_http_decode(bytes_of(copy, length), out, n);
	free(copy);
	return e;
}

static void expect_octets(const char *text, const uint8_t *octets, size_t octets_n)
{
	uint8_t out[512];
	size_t n = sizeof out;

	if (decode(text, out, &n) != ERR_OK)
		fail_msg("%s", text);
	assert_int_equal(n, octets_n);
	assert_memory_equal(out, octets, n);
}

static void escape_some(const char *in, char *out, unsigned which)
{
	for (unsigned i = 0; *in != '\0'; in++, i++) {
		bool special = strchr("+/=", *in) != NULL;

		if (which == 1 ? special : which > 1 && i % which == 0)
			out += sprintf(
			    out, which % 2 ? "%%%02X" : "%%%02x", (unsigned char)*in);
		else if (which == 0 && *in == '+')
			out += sprintf(out, "%%20"); /* R22 */
		else
			*out++ = *in;
	}
	*out = '\0';
}

/* R2, R21, R22, R26; OpenSSL writes the base64. */
static void every_spelling_is_the_same_request(void **state)
{
	uint8_t der[KEY_DER_MAX + 3];
	char base64[300], text[900];

	(void)state;
	for (size_t i = 0; i < sizeof key_vectors / sizeof key_vectors[0]; i++) {
		size_t n = unhex(key_vectors[i].der, der, sizeof der);
		size_t base64_n =
		    (size_t)EVP_EncodeBlock((unsigned char *)base64, der, (int)n);

		expect_octets(base64, der, n);
		for (unsigned which = 0; which < 8; which++) {
			escape_some(base64, text, which);
			expect_octets(text, der, n);
		}
		while (base64[base64_n - 1] == '=') {
			base64[--base64_n] = '\0';
			expect_octets(base64, der, n);
		}
	}
}

static void all_octets_and_lengths_are_decoded(void **state)
{
	uint8_t in[256];
	char base64[400];

	(void)state;
	for (size_t n = 3; n < sizeof in; n++) {
		for (size_t i = 0; i < n; i++)
			in[i] = (uint8_t)(i * 167 + n);
		in[0] = 0x30;
		EVP_EncodeBlock((unsigned char *)base64, in, (int)n);
		expect_octets(base64, in, n);
	}
}

/* R26, R27, R29 */
static void what_is_not_base64_is_malformed(void **state)
{
	static const char *const bad[] = {"M", "MEMwQ", "MEM=M",
	    "MEM==", "MEMw=", "MEMw====", "ME===", "ME=M", "ME==M", "ME==%20", "ME==\n",
	    "M=", "M===", "MEM-", "MEM_", "MEM%2d", "MEM%00", "ME%0aM", "ME%0d%0aMw",
	    "ME Mw", "MEM%25", "MEM%", "MEM%2", "MEM%zz", "MEM\x80", "MEM%ff", "MEM.",
	    "MEM,wQTA", "MEMw%3D%3D%3D%3D", "MEM%3D%3D", "ME%253D"};
	uint8_t out[64];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		size_t n = sizeof out;

		if (decode(bad[i], out, &n) != ERR_REQ_BASE64)
			fail_msg("%s", bad[i]);
	}
}

/* R25: an OCSPRequest begins with 0x30, its base64 with M */
static void what_cannot_be_a_request_is_not_found(void **state)
{
	static const char *const bad[] = {"", "AAAA", "/MEM", "==MF", "ocspx", "%41",
	    "%2FMEM", "favicon.ico", "m", "%"};
	uint8_t out[64];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		size_t n = sizeof out;

		assert_int_equal(decode(bad[i], out, &n), ERR_NOT_FOUND);
	}
	expect_octets("%4dEMw", (const uint8_t *)"\x30\x43\x30", 3);
}

static void too_small_an_output_is_refused(void **state)
{
	uint8_t *out;

	(void)state;
	for (size_t room = 0; room < 8; room++) {
		size_t n = room;

		out = malloc(room ? room : 1);
		assert_int_equal(
		    decode("MEMwQTA/MDA=", out, &n), room < 8 ? ERR_REQ_BASE64 : ERR_OK);
		n = room;
		assert_int_equal(
		    decode("MEMwQQ", out, &n), room < 4 ? ERR_REQ_BASE64 : ERR_OK);
		free(out);
	}
}

static struct answer *make_answer(const struct facts *f, struct bytes body)
{
	char head[OCSP_HEAD_MAX];
	uint8_t hash[20] = {0};
	struct serial s = {1, {1}};
	struct answer *a;
	struct key k;
	size_t n = ocsp_http_head(head, f, body);

	assert_true(n < sizeof head);
	key_make(&k, CERTID_SHA1, hash, hash, &s);
	a = answer_new(&k, f, bytes_of(head, n), body);
	assert_non_null(a);
	return a;
}

static const struct facts good = {.status = STATUS_GOOD,
    .reason = REASON_NONE,
    .this_update = 784111777,
    .next_update = 784111777 + 864000,
    .signer_not_after = INT64_MAX};

/* R116, R117, R122, R123; the hash is that of FIPS 180's "abc" */
#define ABC "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\""

static void the_head_of_an_answer(void **state)
{
	struct answer *a = make_answer(&good, bytes_of("abc", 3));
	static const char expected[] = "Content-Type: application/ocsp-response\r\n"
				       "Content-Length: 3\r\n"
				       "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
				       "Expires: Wed, 16 Nov 1994 08:49:37 GMT\r\n"
				       "ETag: " ABC "\r\n\r\n";

	(void)state;
	assert_int_equal(answer_head(a).n, strlen(expected));
	assert_memory_equal(answer_head(a).p, expected, strlen(expected));
	assert_true(bytes_equal(ocsp_http_etag(a), bytes_of(ABC, 66)));
	answer_free(a);
}

static void an_answer_expires_with_its_delegate(void **state)
{
	struct facts f = good;
	struct answer *a;

	(void)state;
	f.signer_not_after = f.this_update + 60;
	a = make_answer(&f, bytes_of("abc", 3));
	assert_non_null(memmem(answer_head(a).p, answer_head(a).n,
	    "Expires: Sun, 06 Nov 1994 08:50:37 GMT\r\n", 40));
	answer_free(a);
}

/* R120 */
static void the_head_of_an_error_has_nothing_to_keep(void **state)
{
	struct facts f = {.status = STATUS_NONE};
	struct answer *a = make_answer(&f, ocsp_http_error_body(3));
	struct http1_request r = {.method = HTTP1_GET, .if_none_match = bytes_of("*", 1)};
	static const char expected[] =
	    "Content-Type: application/ocsp-response\r\nContent-Length: 5\r\n\r\n";

	(void)state;
	assert_int_equal(answer_head(a).n, strlen(expected));
	assert_memory_equal(answer_head(a).p, expected, strlen(expected));
	assert_int_equal(ocsp_http_etag(a).n, 0);
	assert_false(ocsp_http_not_modified(&r, a));
	answer_free(a);
}

/* R119, R121; R126: all caches in a row count max-age from our Date */
static void max_age_ends_before_the_answer(void **state)
{
	struct answer *a = make_answer(&good, bytes_of("abc", 3));
	int64_t end = good.next_update;

	(void)state;
	a->max_age_cap = 3600;
	assert_int_equal(ocsp_http_max_age(a, end - 864000), 3600);
	assert_int_equal(ocsp_http_max_age(a, end - 3602), 3600);
	assert_int_equal(ocsp_http_max_age(a, end - 3600), 3599);
	assert_int_equal(ocsp_http_max_age(a, end - 2), 1);
	assert_int_equal(ocsp_http_max_age(a, end - 1), 0);
	assert_int_equal(ocsp_http_max_age(a, end), 0);
	assert_int_equal(ocsp_http_max_age(a, end + 1000000), 0);
	answer_free(a);
}

/* R5, RFC 6960 section 4.2.1; T29: five octets, whatever was asked */
static void error_bodies_are_the_five_octets(void **state)
{
	(void)state;
	for (int wire = 1; wire <= 6; wire++) {
		uint8_t expected[] = {0x30, 0x03, 0x0a, 0x01, (uint8_t)wire};

		if (wire != 4)
			assert_true(bytes_equal(
			    ocsp_http_error_body(wire), bytes_of(expected, 5)));
	}
}

/* R38, R124, R125 */
static void a_client_with_a_current_copy_gets_304(void **state)
{
	static const struct {
		const char *none_match, *since;
		bool not_modified;
	} row[] = {{ABC, NULL, true}, {"W/" ABC, NULL, true}, {"\"x\", " ABC, NULL, true},
	    {"*", NULL, true}, {"\"\"", NULL, false}, {"\"x\"", NULL, false},
	    {NULL, "Sun, 06 Nov 1994 08:49:37 GMT", true},
	    {NULL, "Sunday, 06-Nov-94 08:49:37 GMT", true},
	    {NULL, "Sun, 06 Nov 1994 08:49:38 GMT", true},
	    {NULL, "Sun, 06 Nov 1994 08:49:36 GMT", false},
	    {NULL, "Sun, 06 Nov 1994 08:49:37 UTC", false}, {NULL, "yesterday", false},
	    {"\"x\"", "Sun, 06 Nov 1994 08:49:37 GMT", false},
	    {ABC, "Sun, 06 Nov 1994 08:49:36 GMT", true}, {NULL, NULL, false}};
	struct answer *a = make_answer(&good, bytes_of("abc", 3));

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct http1_request r = {.method = i % 2 ? HTTP1_GET : HTTP1_HEAD};

		if (row[i].none_match != NULL)
			r.if_none_match =
			    bytes_of(row[i].none_match, strlen(row[i].none_match));
		if (row[i].since != NULL)
			r.if_modified_since =
			    bytes_of(row[i].since, strlen(row[i].since));
		assert_int_equal(ocsp_http_not_modified(&r, a), row[i].not_modified);
		r.method = HTTP1_POST;
		assert_false(ocsp_http_not_modified(&r, a));
	}
	answer_free(a);
}

/* R125: Last-Modified is thisUpdate, which two answers may share: the date alone hides no
 * revocation, and nothing that came after another one of that date. */
static void by_the_date_alone_nobody_is_told_too_much(void **state)
{
	struct http1_request by_date = {.method = HTTP1_GET,
	    .if_modified_since = bytes_of("Sun, 06 Nov 1994 08:49:37 GMT", 29)};
	struct http1_request by_tag = {
	    .method = HTTP1_GET, .if_none_match = bytes_of(ABC, strlen(ABC))};
	struct facts revoked = good;
	struct answer *a = make_answer(&good, bytes_of("abc", 3));

	(void)state;
	assert_true(ocsp_http_not_modified(&by_date, a));
	a->date_shared = true;
	assert_false(ocsp_http_not_modified(&by_date, a));
	assert_true(ocsp_http_not_modified(&by_tag, a));
	answer_free(a);
	revoked.status = STATUS_REVOKED;
	a = make_answer(&revoked, bytes_of("abc", 3));
	assert_false(ocsp_http_not_modified(&by_date, a));
	assert_true(ocsp_http_not_modified(&by_tag, a));
	answer_free(a);
}

/* Cases of boulder and cfssl.  What they refuse with 400 because it decodes to no request
 * is no path of ours: 404, or malformed. */
static void paths_of_boulder_and_cfssl(void **state)
{
	char text[8192], *line, *save;
	size_t n = corpus_read("get-paths/cases.tsv", (uint8_t *)text, sizeof text - 1);
	int cases = 0;

	(void)state;
	text[n] = '\0';
	for (line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char source[40], method[10], path[1000], code[100], target[1010],
		    rest[1010];
		uint8_t out[1000];
		size_t out_n = sizeof out;
		enum route way;
		enum err e = ERR_OK;

		if (sscanf(line, "%39[^\t]\t%9[^\t]\t%999[^\t]\t%99[^\n]", source, method,
			path, code) != 4 ||
		    strcmp(method, "GET") != 0)
			continue;
		snprintf(target, sizeof target, "/%s",
		    path[0] == '/' && path[1] == '\0' ? "" : path);
		way = route(&all, target, rest, sizeof rest);
		if (way == ROUTE_OCSP)
			e = decode(rest, out, &out_n);
		if (strstr(code, "percent") != NULL)
			assert_int_equal(way, ROUTE_BAD);
		else if (strncmp(code, "400", 3) == 0)
			assert_true(way == ROUTE_OCSP && e == ERR_NOT_FOUND);
		else
			assert_true(way == ROUTE_OCSP && e == ERR_OK && out[0] == 0x30);
		cases++;
	}
	assert_int_equal(cases, 9);
}

/* The list that a request means: "NAME N", or "" for none. */
static const char *list_of(const struct conf *c, const char *target, const char *host)
{
	static char found[80];
	const struct http1_limits limits = {8192, 4096};
	struct http1_request r;
	const struct issuer *i;
	char text[500];
	size_t list;
	int n = snprintf(
	    text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, host);

	assert_int_equal(http1_parse(&r, text, (size_t)n, &limits), 0);
	i = ocsp_http_list(c, &r, &list);
	found[0] = '\0';
	if (i != NULL)
		snprintf(found, sizeof found, "%s %zu", i->name, list);
	return found;
}

static X509 *a_ca(void)
{
	X509 *x = X509_new();
	EVP_PKEY *key = EVP_EC_gen("P-256");

	X509_set_pubkey(x, key);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	EVP_PKEY_free(key);
	return x;
}

/* R112: our own names and the configured ones, nothing else. */
static void a_list_is_found_by_each_of_its_names(void **state)
{
	static char url0[] = "http://crl.ca.example/a.crl", url1[] = "http://x/b";
	char *place[] = {url0, url1};
	struct issuer_list one[] = {{.place = place, .place_n = 1, .scope = url0}};
	struct issuer_list two[] = {
	    one[0], {.place = place + 1, .place_n = 1, .scope = url1}};
	X509 *ca[] = {a_ca(), a_ca()};
	struct issuer_spec spec[] = {{.name = "one",
					 .certificates = ca,
					 .certificates_n = 1,
					 .crl = one,
					 .crl_n = 1},
	    {.name = "two.2",
		.certificates = ca + 1,
		.certificates_n = 1,
		.crl = two,
		.crl_n = 2}};
	static char crl_host[] = "crl.ca.example", port_host[] = "::1",
		    short_host[] = "y";
	struct conf_mirror mirror[] = {{crl_host, 80, "/a.crl", 0, 0},
	    {port_host, 8080, "/b?x=1", 1, 1}, {crl_host, 80, "/", 1, 0},
	    {short_host, 80, "/c", 0, 0}};
	struct conf c = {.mirror = mirror, .mirror_n = 4};
	size_t clash[2];

	(void)state;
	assert_int_equal(issuers_new(&c.issuers, spec, 2, clash), ERR_OK);
	assert_string_equal(list_of(&c, "/crl/one.crl", "x"), "one 0");
	assert_string_equal(list_of(&c, "/crl/one/0.crl", "x"), "one 0");
	assert_string_equal(list_of(&c, "/crl/two.2/0.crl", "x"), "two.2 0");
	assert_string_equal(list_of(&c, "/crl/two.2/1.crl", "x"), "two.2 1");
	assert_string_equal(list_of(&c, "/crl/two.2.crl", "x"), "");
	assert_string_equal(list_of(&c, "/crl/two.2/2.crl", "x"), "");
	assert_string_equal(list_of(&c, "/crl/two.2/01.crl", "x"), "");
	assert_string_equal(list_of(&c, "/crl/two.2/99999999999999999999.crl", "x"), "");
	assert_string_equal(list_of(&c, "/crl/two.2/.crl", "x"), "");
	assert_string_equal(list_of(&c, "/crl/.crl", "x"), "");
	assert_string_equal(list_of(&c, "/crl/none.crl", "x"), "");
	assert_string_equal(list_of(&c, "/crl/one", "x"), "");
	assert_string_equal(list_of(&c, "http://crl.ca.example/crl/one.crl", "x"), "");
	assert_string_equal(list_of(&c, "/a.crl", "CRL.ca.example"), "one 0");
	assert_string_equal(list_of(&c, "/a.crl", "crl.ca.example:80"), "one 0");
	assert_string_equal(list_of(&c, "/a.crl", "crl.ca.example:81"), "");
	assert_string_equal(list_of(&c, "/c", "y"), "one 0");
	assert_string_equal(list_of(&c, "/c", ""), "");
	assert_string_equal(list_of(&c, "/a.crl?x", "crl.ca.example"), "");
	assert_string_equal(list_of(&c, "http://crl.ca.example/a.crl", "x"), "one 0");
	assert_string_equal(list_of(&c, "http://crl.ca.example", "x"), "two.2 0");
	assert_string_equal(list_of(&c, "/b?x=1", "[::1]:8080"), "two.2 1");
	assert_string_equal(list_of(&c, "/b?x=1", "[::1]"), "two.2 1");
	assert_string_equal(list_of(&c, "/b", "[::1]"), "");
	issuers_free(c.issuers);
	X509_free(ca[0]);
	X509_free(ca[1]);
}

/* R112, RFC 3986 sections 6.2.2.1 and 6.2.2.2: what needs no escape may have one, and its
 * digits any case; what has a meaning of its own is another character where it is
 * escaped. */
static void a_name_is_the_same_in_each_of_its_spellings(void **state)
{
	static char url0[] = "http://ca.example/~pki/a%2cb.crl?dn=CN%3D%7Ex,O",
		    url1[] = "http://ca.example/%7Epki/c";
	char *place[] = {url0, url1};
	struct issuer_list one[] = {{.place = place, .place_n = 1, .scope = url0},
	    {.place = place + 1, .place_n = 1, .scope = url1}};
	X509 *ca[] = {a_ca()};
	struct issuer_spec spec[] = {{.name = "one",
	    .certificates = ca,
	    .certificates_n = 1,
	    .crl = one,
	    .crl_n = 2}};
	static char host[] = "ca.example";
	struct conf_mirror mirror[] = {{host, 80, "/~pki/a%2cb.crl?dn=CN%3D%7Ex,O", 0, 0},
	    {host, 80, "/%7Epki/c", 0, 1}};
	struct conf c = {.mirror = mirror, .mirror_n = 2};
	static const char *const same[] = {"/~pki/a%2cb.crl?dn=CN%3D%7Ex,O",
	    "/%7Epki/a%2Cb.crl?dn=CN%3d~x,O", "/%7epki/%61%2Cb%2ecrl?%64n=CN%3D%7ex,O"};
	static const char *const others[] = {"/~pki/a,b.crl?dn=CN%3D%7Ex,O",
	    "/~pki/a%2cb.crl?dn=CN=%7Ex,O", "/~pki/a%2cb.crl?dn=CN%3D%7Ex%2CO",
	    "/~pki/a%252cb.crl?dn=CN%3D%7Ex,O", "/~pki/a%2cb.crl%3Fdn=CN%3D%7Ex,O",
	    "/~PKI/a%2cb.crl?dn=CN%3D%7Ex,O", "/~pki/a%2cb.crl?dn=CN%3D%7Ex,",
	    "/~pki/a%2cb.crl?dn=CN%3D%7Ex,Oo"};
	size_t clash[2];

	(void)state;
	assert_int_equal(issuers_new(&c.issuers, spec, 1, clash), ERR_OK);
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		char absolute[200];

		assert_string_equal(list_of(&c, same[i], "CA.example"), "one 0");
		snprintf(absolute, sizeof absolute, "http://Ca.Example:80%s", same[i]);
		assert_string_equal(list_of(&c, absolute, "x"), "one 0");
	}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_string_equal(list_of(&c, others[i], "ca.example"), "");
	assert_string_equal(list_of(&c, "/~pki/c", "ca.example"), "one 1");
	assert_string_equal(list_of(&c, "/%7epki/%63", "ca.example"), "one 1");
	assert_string_equal(list_of(&c, "/crl/%6Fne/%30.crl", "x"), "one 0");
	assert_string_equal(list_of(&c, "/crl%2Fone/0.crl", "x"), "");
	{
		char longer[400] = "/crl/";

		for (int i = 0; i < 80; i++)
			strcat(longer, "%6f");
		strcat(longer, "/0.crl");
		assert_string_equal(list_of(&c, longer, "x"), "");
		/* one octet more than a name has: an octet behind its room, else */
		strcpy(longer, "/crl/");
		memset(longer + 5, 'o', 64);
		strcpy(longer + 5 + 64, ".crl");
		assert_string_equal(list_of(&c, longer, "x"), "");
	}
	issuers_free(c.issuers);
	X509_free(ca[0]);
}

static bool respelt(const struct conf *c, const char *target, char *rest, size_t rest_n)
{
	const struct http1_limits limits = {8192, 4096};
	struct http1_request r;
	struct bytes found = {0};
	char text[5000];
	int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
	bool is;

	assert_int_equal(http1_parse(&r, text, (size_t)n, &limits), 0);
	ocsp_http_route(c, &r, &found);
	is = ocsp_http_respelt(c, &r, &found);
	snprintf(
	    rest, rest_n, "%.*s", (int)found.n, found.n ? (const char *)found.p : "");
	return is;
}

/* R30, RFC 3986 section 6.2.2 */
static void an_ocsp_path_is_the_same_in_each_of_its_spellings(void **state)
{
	static char tilde[] = "/~ca/a%2Fb", slash[] = "/";
	char *both[] = {tilde, slash}, *alone[] = {tilde};
	const struct conf c = {.path = both, .path_n = 2};
	const struct conf one = {.path = alone, .path_n = 1};
	char got[100];

	(void)state;
	expect_rest(&c, "/~ca/a%2Fb/MEM", "MEM");
	expect_rest(&one, "/%7eca/a%2fb/M%2fEM", "M%2fEM");
	expect_rest(&one, "/%7Eca/%61%2Fb//MEM", "MEM");
	expect_rest(&one, "/%7Eca/a%2Fb", "");
	expect_route(&one, "/%7Eca/a/b/MEM", ROUTE_NONE);
	expect_route(&one, "/%7Eca/a%2Fbc/MEM", ROUTE_NONE);
	/* beside "/", whose rest is no request, when it is asked for */
	assert_true(respelt(&c, "/%7Eca/a%2Fb/MEM", got, sizeof got));
	assert_string_equal(got, "MEM");
	assert_false(respelt(&c, "/~ca/a%2Fb/M%45M", got, sizeof got));
	assert_string_equal(got, "M%45M");
	assert_false(respelt(&c, "/M%45M", got, sizeof got));
	assert_false(respelt(&c, "/MEM", got, sizeof got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_longest_path_wins_on_a_segment_boundary),
	    cmocka_unit_test(bad_escapes_are_bad_wherever_they_are),
	    cmocka_unit_test(an_absolute_target_names_a_configured_host),
	    cmocka_unit_test(healthz_is_ours_alone),
	    cmocka_unit_test(connect_and_asterisk_have_no_route),
	    cmocka_unit_test(every_spelling_is_the_same_request),
	    cmocka_unit_test(all_octets_and_lengths_are_decoded),
	    cmocka_unit_test(what_is_not_base64_is_malformed),
	    cmocka_unit_test(what_cannot_be_a_request_is_not_found),
	    cmocka_unit_test(too_small_an_output_is_refused),
	    cmocka_unit_test(the_head_of_an_answer),
	    cmocka_unit_test(an_answer_expires_with_its_delegate),
	    cmocka_unit_test(the_head_of_an_error_has_nothing_to_keep),
	    cmocka_unit_test(max_age_ends_before_the_answer),
	    cmocka_unit_test(error_bodies_are_the_five_octets),
	    cmocka_unit_test(a_client_with_a_current_copy_gets_304),
	    cmocka_unit_test(by_the_date_alone_nobody_is_told_too_much),
	    cmocka_unit_test(paths_of_boulder_and_cfssl),
	    cmocka_unit_test(a_list_is_found_by_each_of_its_names),
	    cmocka_unit_test(a_name_is_the_same_in_each_of_its_spellings),
	    cmocka_unit_test(an_ocsp_path_is_the_same_in_each_of_its_spellings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
