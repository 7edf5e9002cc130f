/* The keeper is this file: keeper_ask() keeps the question, and a case answers it. */
#include "proxy/front/serve.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/crl/crl_set.h"
#include "proxy/base/clock.h"
#include "proxy/http/ocsp_http.h"
#include "proxy/keeper/keeper.h"
#include "tests/lib/forge.h"
#include "tests/lib/small_set.h"

#define NOW  1700000000 /* Tue, 14 Nov 2023 22:13:20 GMT (date -u -d @1700000000) */
#define DATE "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
#define BODY "stands for the DER of an answer" /* 31 bytes */
#define CC   ", public, no-transform, must-revalidate\r\n"

struct stage {
	struct shared shared;
	struct conf conf;
	char *path[2];
	struct conf_authority authority;
	struct event_base *base;
	struct counters *counters;
	struct serve *serve;
	struct inbox *inbox;
	struct conn_loop *loop;
	X509 *ca;
	EVP_PKEY *ca_key;
	int client;
	struct key key; /* of serial 1 */
};

static struct ask *asked;
static int asks;

void keeper_ask(struct shared *shared, struct ask *a)
{
	(void)shared;
	assert_null(asked);
	asked = a;
	asks++;
}

static void run(struct stage *s)
{
	for (int i = 0; i < 8; i++)
		event_base_loop(s->base, EVLOOP_NONBLOCK);
}

static void keeper_says(
    struct stage *s, const struct answer *a, enum err e, enum tier tier)
{
	struct ask *q = asked;

	assert_non_null(q);
	asked = NULL;
	q->answer = a;
	q->error = e;
	q->tier = tier;
	question_answer(&q->question);
	run(s);
}

static void make_issuers(struct stage *s)
{
	struct forge_cert ca = {
	    .subject = "Test CA", .from = NOW - 86400, .to = NOW + 86400, .ca = true};
	struct issuer_spec spec = {.name = "test", .certificates_n = 1};
	struct serial one = {1, {1}};
	size_t clash[2];

	s->ca_key = forge_key("P-256");
	ca.key = ca.issuer_key = s->ca_key;
	s->ca = forge_cert(&ca);
	spec.certificates = &s->ca;
	assert_int_equal(issuers_new(&s->conf.issuers, &spec, 1, clash), ERR_OK);
	issuer_key(issuers_at(s->conf.issuers, 0), 0, CERTID_SHA1, &one, &s->key);
}

static void make_conf(struct stage *s)
{
	s->path[0] = (char *)(uintptr_t) "/ocsp";
	s->path[1] = (char *)(uintptr_t) "/";
	s->conf.path = s->path;
	s->conf.path_n = 2;
	s->authority = (struct conf_authority){(char *)(uintptr_t) "ca.example", 80};
	s->conf.authority = &s->authority;
	s->conf.authority_n = 1;
	s->conf.max_target_size = 4096;
	make_issuers(s);
}

static int stage_up(void **state)
{
	static const struct conn_limits limits = {
	    5000, 5000, 30000, 10000, 2000, 1 << 20, 8192, 4096, 10000};
	struct stage *s = calloc(1, sizeof *s);
	int fd[2];

	signal(SIGPIPE, SIG_IGN);
	assert_non_null(s);
	make_conf(s);
	asked = NULL;
	asks = 0;
	atomic_store(&s->shared.conf, &s->conf);
	s->shared.hot = hot_new(1 << 20, 7);
	s->base = event_base_new();
	s->counters = calloc(1, sizeof *s->counters);
	s->serve = serve_new(&s->shared, s->counters);
	s->inbox = inbox_new(s->base, s->serve);
	s->loop = conn_loop_new(s->base, &limits, &serve_handler, s->serve, s->counters);
	serve_attach(s->serve, s->inbox, s->loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	s->client = fd[0];
	assert_non_null(conn_new(s->loop, fd[1], NULL, NULL));
	*state = s;
	return 0;
}

static int stage_down(void **state)
{
	struct stage *s = *state;

	conn_loop_free(s->loop);
	if (asked != NULL)
		keeper_says(s, NULL, ERR_CANCELLED, TIER_NONE);
	assert_int_equal(serve_parked(s->serve), 0);
	inbox_free(s->inbox);
	serve_free(s->serve);
	event_base_free(s->base);
	hot_free(s->shared.hot);
	issuers_free(s->conf.issuers);
	X509_free(s->ca);
	EVP_PKEY_free(s->ca_key);
	forge_reset();
	free(s->counters);
	close(s->client);
	free(s);
	return 0;
}

static struct answer *make_answer(struct stage *s)
{
	struct facts f = {.status = STATUS_GOOD,
	    .reason = REASON_NONE,
	    .this_update = NOW - 3600,
	    .next_update = NOW + 86400,
	    .signer_not_after = INT64_MAX};
	struct bytes body = bytes_of(BODY, sizeof BODY - 1);
	char head[OCSP_HEAD_MAX];
	struct answer *a =
	    answer_new(&s->key, &f, bytes_of(head, ocsp_http_head(head, &f, body)), body);

	assert_non_null(a);
	a->max_age_cap = 3000;
	return a;
}

static void hold_answer(struct stage *s)
{
	assert_int_equal(hot_put(s->shared.hot, make_answer(s)), ERR_OK);
}

static void hold_error(struct stage *s, enum err e, int64_t until)
{
	static const struct facts none = {.status = STATUS_NONE};
	struct answer *a = answer_new(&s->key, &none, bytes_of("", 0), bytes_of("", 0));

	a->error = (uint8_t)e;
	a->expiry = until;
	assert_int_equal(hot_put(s->shared.hot, a), ERR_OK);
}

static const char *hear(struct stage *s)
{
	static char text[16 * 1024];
	ssize_t n;

	run(s);
	n = read(s->client, text, sizeof text - 1);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static const char *ask_raw(struct stage *s, const char *text, size_t n)
{
	assert_int_equal(write(s->client, text, n), (ssize_t)n);
	return hear(s);
}

static const char *ask_text(struct stage *s, const char *text)
{
	return ask_raw(s, text, strlen(text));
}

/* METHOD PREFIX+base64(der) with these extra header lines. */
static const char *get(
    struct stage *s, const char *method, const char *prefix, const char *more)
{
	char base64[512], text[1024];
	struct bytes der = key_der(&s->key);
	int n;

	EVP_EncodeBlock((unsigned char *)base64, der.p, (int)der.n);
	n = snprintf(text, sizeof text, "%s %s%s HTTP/1.1\r\nHost: a\r\n%s\r\n", method,
	    prefix, base64, more);
	return ask_raw(s, text, (size_t)n);
}

static const char *post(struct stage *s, const char *target, struct bytes body)
{
	char text[1024];
	int n = snprintf(text, sizeof text,
	    "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", target, body.n);

	memcpy(text + n, body.p, body.n);
	return ask_raw(s, text, (size_t)n + body.n);
}

static void has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no \"%s\" in \"%s\"", part, text);
}

static void has_not(const char *text, const char *part)
{
	if (strstr(text, part) != NULL)
		fail_msg("\"%s\" in \"%s\"", part, text);
}

static void starts(const char *text, const char *with)
{
	if (strncmp(text, with, strlen(with)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", text, with);
}

static void ends(const char *text, const char *with)
{
	size_t n = strlen(text), m = strlen(with);

	if (n < m || strcmp(text + n - m, with) != 0)
		fail_msg("\"%s\" does not end with \"%s\"", text, with);
}

/* An OCSP error answer with this OCSPResponseStatus (R5: 30 03 0A 01 xx), R120. */
static void is_ocsp_error(const char *text, char wire)
{
	char want[] = "\r\n\r\n\x30\x03\x0a\x01?";

	want[sizeof want - 2] = wire;
	starts(text, "HTTP/1.1 200 OK\r\n" DATE);
	has(text, "Content-Type: application/ocsp-response\r\n");
	has(text, "Content-Length: 5\r\n");
	has(text, "Cache-Control: no-store\r\n");
	ends(text, want);
}

#define COUNT(s, m) ((int)(s)->counters->value[m])

/* R2, R116, R117, R119, R122, R126: our own Date and no Age; R129 */
static void a_hit_says_everything_a_cache_needs(void **state)
{
	struct stage *s = *state;
	const char *text;

	hold_answer(s);
	text = get(s, "GET", "/", "");
	starts(text, "HTTP/1.1 200 OK\r\n" DATE "Cache-Control: max-age=3000" CC
		     "Cache-Status: ocspcached; hit\r\n");
	has(text, "\r\nContent-Type: application/ocsp-response\r\n");
	has(text, "\r\nContent-Length: 31\r\n");
	has(text, "\r\nLast-Modified: Tue, 14 Nov 2023 21:13:20 GMT\r\n");
	has(text, "\r\nExpires: Wed, 15 Nov 2023 22:13:20 GMT\r\n");
	has(text, "\r\nETag: \"");
	has_not(text, "Connection:");
	has_not(text, "Age:");
	has_not(text, "Vary:");
	ends(text, "\r\n\r\n" BODY);
	assert_int_equal(COUNT(s, M_REQ_HIT_MEMORY), 1);
	assert_int_equal(COUNT(s, M_PARSED), 0);
	assert_int_equal(asks, 0);
}

static void in_force(struct crl_slot *slot, const struct crl_set *s)
{
	crl_set_unref(atomic_exchange(&slot->set, s));
}

/* R71: the swap of the issuer's lists is the revocation; and when a list drops the
 * certificate (a hold that ended), the answer is served again.  What a list that has not
 * been opened may contradict is no hit either. */
static void a_good_that_a_list_contradicts_is_no_hit(void **state)
{
	struct stage *s = *state;
	struct small_entry one = {{1, {1}}, 1, NOW}, other = {{1, {2}}, 1, NOW};
	struct crl_slot slot = {crl_set_ref(&crl_set_none)};
	struct answer *a = make_answer(s);

	a->crl = &slot;
	assert_int_equal(hot_put(s->shared.hot, a), ERR_OK);
	has(get(s, "GET", "/", ""), "Cache-Status: ocspcached; hit\r\n");
	in_force(&slot, small_set(&other, 1, NOW, NOW + 100, 1));
	has(get(s, "GET", "/", ""), "Cache-Status: ocspcached; hit\r\n");
	assert_int_equal(atomic_load(&a->crl_checked), 1);
	in_force(&slot, small_set(&one, 1, NOW, NOW + 100, 2));
	assert_string_equal(get(s, "GET", "/", ""), "");
	assert_int_equal(asks, 1);
	keeper_says(s, NULL, ERR_RESP_CRL, TIER_NONE);
	is_ocsp_error(hear(s), '\x03');
	in_force(&slot, small_set(&other, 1, NOW, NOW + 100, 3));
	has(get(s, "GET", "/", ""), "Cache-Status: ocspcached; hit\r\n");
	assert_int_equal(asks, 1);
	in_force(&slot, crl_set_ref(&crl_set_unopened));
	assert_string_equal(get(s, "GET", "/", ""), "");
	assert_int_equal(asks, 2);
	keeper_says(s, NULL, ERR_RESP_LISTS, TIER_NONE);
	is_ocsp_error(hear(s), '\x03');
	in_force(&slot, crl_set_ref(&crl_set_none));
	has(get(s, "GET", "/", ""), "Cache-Status: ocspcached; hit\r\n");
}

/* R2, R127, R128: one entry for both, and no redirect from one to the other */
static void get_and_post_get_the_same_bytes(void **state)
{
	struct stage *s = *state;
	char first[16 * 1024];

	hold_answer(s);
	strcpy(first, get(s, "GET", "/ocsp/", ""));
	assert_string_equal(post(s, "/ocsp", key_der(&s->key)), first);
	assert_string_equal(post(s, "/", key_der(&s->key)), first);
	assert_string_equal(get(s, "GET", "//", ""), first);
	assert_string_equal(get(s, "GET", "http://ca.example/", ""), first);
}

/* R3 */
static void head_is_get_without_the_body(void **state)
{
	struct stage *s = *state;
	char whole[16 * 1024];
	size_t n;

	hold_answer(s);
	strcpy(whole, get(s, "GET", "/", ""));
	n = strlen(whole) - (sizeof BODY - 1);
	whole[n] = '\0';
	assert_string_equal(get(s, "HEAD", "/", ""), whole);
}

/* R153, R158, R124, R125, R38 */
static void a_copy_that_is_still_good_gets_304(void **state)
{
	struct stage *s = *state;
	char etag[80], more[160];
	const char *text;

	hold_answer(s);
	text = strstr(get(s, "GET", "/", ""), "ETag: ") + 6;
	snprintf(etag, sizeof etag, "%.*s", (int)strcspn(text, "\r"), text);
	snprintf(more, sizeof more, "If-None-Match: \"x\", W/%s\r\n", etag);
	text = get(s, "GET", "/", more);
	starts(
	    text, "HTTP/1.1 304 Not Modified\r\n" DATE "Cache-Control: max-age=3000" CC);
	has(text, etag);
	has(text, "Expires: Wed, 15 Nov 2023 22:13:20 GMT\r\n");
	has(text, "Last-Modified: Tue, 14 Nov 2023 21:13:20 GMT\r\n");
	has_not(text, "Content-");
	ends(text, "\r\n\r\n");
	starts(get(s, "GET", "/", "If-Modified-Since: Tue, 14 Nov 2023 21:13:20 GMT\r\n"),
	    "HTTP/1.1 304 ");
	starts(get(s, "GET", "/", "If-None-Match: \"\"\r\n"), "HTTP/1.1 200 ");
	assert_int_equal(COUNT(s, M_REQ_NOT_MODIFIED), 2);
}

/* R132, R134: past its end nothing is served from memory. */
static void an_answer_past_its_end_is_not_served(void **state)
{
	struct stage *s = *state;
	struct answer *a = make_answer(s);

	a->expiry = NOW;
	hot_put(s->shared.hot, a);
	assert_string_equal(get(s, "GET", "/", ""), "");
	assert_int_equal(asks, 1);
	keeper_says(s, NULL, ERR_UP_TIMEOUT, TIER_NONE);
	is_ocsp_error(hear(s), 3);
	assert_int_equal(COUNT(s, M_REQ_TRYLATER), 1);
}

/* R39, R120 */
static void a_held_error_is_repeated_until_its_end(void **state)
{
	struct stage *s = *state;

	hold_error(s, ERR_RESP_UNAUTHORIZED, NOW + 60);
	is_ocsp_error(get(s, "GET", "/", ""), 6);
	assert_int_equal(asks, 0);
	assert_int_equal(COUNT(s, M_REQ_UNAUTHORIZED), 1);
	hold_error(s, ERR_RESP_UNAUTHORIZED, NOW);
	assert_string_equal(get(s, "GET", "/", ""), "");
	assert_int_equal(asks, 1);
}

static void a_miss_waits_for_the_keeper(void **state)
{
	struct stage *s = *state;
	struct answer *a = make_answer(s);
	const char *text;

	assert_string_equal(get(s, "GET", "/", ""), "");
	assert_int_equal(serve_parked(s->serve), 1);
	assert_true(key_equal(&asked->key, &s->key));
	assert_false(asked->only_if_cached);
	assert_false(asked->revalidate);
	keeper_says(s, a, ERR_OK, TIER_UPSTREAM);
	text = hear(s);
	has(text, "Cache-Status: ocspcached; fwd=miss\r\n");
	ends(text, "\r\n\r\n" BODY);
	assert_int_equal(COUNT(s, M_REQ_FETCHED), 1);

	assert_string_equal(post(s, "/", key_der(&s->key)), "");
	keeper_says(s, a, ERR_OK, TIER_STORE);
	has(hear(s), "Cache-Status: ocspcached; hit\r\n");
	assert_int_equal(COUNT(s, M_REQ_HIT_STORE), 1);
	assert_int_equal(serve_parked(s->serve), 0);
	answer_free(a);
}

/* R132: the keeper's answer was in date when it was given, and no more when it comes. */
static void an_answer_that_ended_on_its_way_is_asked_for_anew(void **state)
{
	static const char *const method[] = {"GET", "HEAD"};
	struct stage *s = *state;
	struct answer *old = make_answer(s), *fresh = make_answer(s);

	old->expiry = NOW; /* the first second in which it is not served */
	for (int i = 0; i < 2; i++) {
		int64_t asked_at;

		assert_string_equal(get(s, method[i], "/", ""), "");
		asked_at = asked->asked_at_ms;
		keeper_says(s, old, ERR_OK, i == 0 ? TIER_UPSTREAM : TIER_MEMORY);
		assert_string_equal(hear(s), "");
		assert_int_equal(serve_parked(s->serve), 1);
		assert_non_null(asked);
		assert_int_equal(asked->asked_at_ms, asked_at); /* its time goes on */
		keeper_says(s, fresh, ERR_OK, TIER_UPSTREAM);
		starts(hear(s), "HTTP/1.1 200 OK\r\n" DATE);
	}
	assert_int_equal(asks, 4);
	assert_int_equal(COUNT(s, M_REQ_FETCHED), 2);
	answer_free(old);
	answer_free(fresh);
}

static void an_answer_that_ends_again_and_again_is_try_later(void **state)
{
	struct stage *s = *state;
	struct answer *old = make_answer(s);

	old->expiry = NOW - 1;
	get(s, "GET", "/", "Cache-Control: only-if-cached\r\n");
	keeper_says(s, old, ERR_OK, TIER_STORE);
	assert_true(asked->only_if_cached);
	keeper_says(s, NULL, ERR_NOT_FOUND, TIER_NONE);
	starts(hear(s), "HTTP/1.1 504 ");
	get(s, "GET", "/", "");
	keeper_says(s, old, ERR_OK, TIER_UPSTREAM);
	keeper_says(s, old, ERR_OK, TIER_UPSTREAM);
	is_ocsp_error(hear(s), 3);
	assert_null(asked);
	assert_int_equal(COUNT(s, M_REQ_TRYLATER), 1);
	/* and whose client has left meanwhile is not asked for any more */
	get(s, "GET", "/", "");
	conn_loop_free(s->loop);
	s->loop = NULL;
	keeper_says(s, old, ERR_OK, TIER_UPSTREAM);
	assert_null(asked);
	answer_free(old);
}

/* A list that came into force while the answer was on its way. */
static void an_answer_that_a_list_contradicts_on_its_way_is_asked_for_anew(void **state)
{
	struct stage *s = *state;
	struct answer *a = make_answer(s);
	struct small_entry one = {{1, {1}}, 1, NOW};
	struct crl_slot slot = {NULL};

	a->crl = &slot;
	get(s, "GET", "/", "");
	in_force(&slot, small_set(&one, 1, NOW, NOW + 100, 1));
	keeper_says(s, a, ERR_OK, TIER_UPSTREAM);
	assert_non_null(asked);
	keeper_says(s, NULL, ERR_RESP_CRL, TIER_NONE);
	is_ocsp_error(hear(s), 3);
	in_force(&slot, NULL);
	answer_free(a);
}

/* R3: also when it had to be fetched */
static void a_head_that_waited_gets_no_body(void **state)
{
	struct stage *s = *state;
	struct answer *a = make_answer(s);

	get(s, "HEAD", "/", "");
	keeper_says(s, a, ERR_OK, TIER_UPSTREAM);
	ends(hear(s), "\r\n\r\n");
	get(s, "HEAD", "/", "");
	keeper_says(s, NULL, ERR_UP_BUSY, TIER_NONE);
	ends(hear(s), "\r\n\r\n");
	answer_free(a);
}

/* T27 */
static void a_client_that_left_harms_nobody(void **state)
{
	struct stage *s = *state;

	get(s, "GET", "/", "");
	conn_loop_free(s->loop);
	assert_null(asked->question.owner);
	keeper_says(s, NULL, ERR_UP_TIMEOUT, TIER_NONE);
	assert_int_equal(serve_parked(s->serve), 0);
	s->loop = NULL;
}

/* R130, R131 */
static void what_the_client_says_of_caches_reaches_the_keeper(void **state)
{
	struct stage *s = *state;

	hold_answer(s);
	starts(
	    get(s, "GET", "/", "Cache-Control: only-if-cached\r\n"), "HTTP/1.1 200 OK");
	assert_string_equal(get(s, "GET", "/", "Cache-Control: no-cache\r\n"), "");
	assert_true(asked->revalidate);
	keeper_says(s, hot_find(s->shared.hot, key_der(&s->key)), ERR_OK, TIER_MEMORY);
	has(hear(s), "Cache-Status: ocspcached; hit\r\n");
	hot_remove(s->shared.hot, key_der(&s->key));
	assert_string_equal(get(s, "GET", "/", "Cache-Control: only-if-cached\r\n"), "");
	assert_true(asked->only_if_cached);
	keeper_says(s, NULL, ERR_NOT_FOUND, TIER_NONE);
	starts(hear(s), "HTTP/1.1 504 Gateway Timeout\r\n");
	assert_int_equal(COUNT(s, M_REQ_ONLY_IF_CACHED), 1);
}

/* R13, T12: the same question without the NULL parameters of its AlgorithmIdentifier. */
static void another_spelling_shares_the_answer(void **state)
{
	struct stage *s = *state;
	uint8_t der[256];
	struct bytes k = key_der(&s->key);
	size_t cut = 0;

	for (size_t i = 0; i + 9 < k.n && cut == 0; i++)
		if (memcmp(k.p + i, "\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00", 9) == 0)
			cut = i + 7;
	assert_in_range(cut, 10, 40);
	memcpy(der, k.p, cut);
	memcpy(der + cut, k.p + cut + 2, k.n - cut - 2);
	for (size_t i = 1; i < cut - 7; i += 2) /* each enclosing length is 2 less */
		der[i] -= 2;
	hold_answer(s);
	ends(post(s, "/", bytes_of(der, k.n - 2)), BODY);
	assert_int_equal(COUNT(s, M_PARSED), 1);
	assert_int_equal(COUNT(s, M_REQ_HIT_MEMORY), 1);
}

/* R5, R6, R17, R26 */
static void what_is_no_question_of_ours_costs_no_flight(void **state)
{
	struct stage *s = *state;
	uint8_t der[256];
	struct bytes k = key_der(&s->key);

	memcpy(der, k.p, k.n);
	der[k.n] = 0;
	is_ocsp_error(post(s, "/", bytes_of("junk", 4)), 1);
	is_ocsp_error(post(s, "/", bytes_of("", 0)), 1);
	is_ocsp_error(post(s, "/", bytes_of(der, k.n + 1)), 1);
	is_ocsp_error(ask_text(s, "GET /M!!! HTTP/1.1\r\nHost: a\r\n\r\n"), 1);
	assert_int_equal(COUNT(s, M_REQ_MALFORMED), 4);
	der[k.n - 5] ^= 1; /* within issuerKeyHash: INTEGER 1 is the last 3 bytes */
	is_ocsp_error(post(s, "/", bytes_of(der, k.n)), 6);
	assert_int_equal(COUNT(s, M_REQ_UNAUTHORIZED), 1);
	assert_int_equal(asks, 0);
}

struct http_row {
	const char *request, *status, *part;
};

/* R4, R28, R30, R32, R33, T8 */
static void http_errors_are_http_errors(void **state)
{
	static const struct http_row row[] = {
	    {"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405 ",
		"\r\nAllow: GET, HEAD, POST\r\n"},
	    {"PUT /ocsp HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 405 ", "\r\nAllow: GET, HEAD, POST\r\n"},
	    {"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 405 ", "\r\nAllow: GET, HEAD\r\n"},
	    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 ", "404 Not Found\n"},
	    {"GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 ", ""},
	    {"POST /ocsp/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 404 ", ""},
	    {"GET http://other.example/MA== HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 403 ",
		"\r\nCache-Control: no-store\r\n"},
	};
	struct stage *s = *state;
	size_t n = sizeof row / sizeof row[0];

	for (size_t i = 0; i < n; i++) {
		const char *text = ask_text(s, row[i].request);

		starts(text, row[i].status);
		has(text, row[i].part);
	}
	assert_int_equal(COUNT(s, M_HTTP_ERRORS), (int)n);
	assert_int_equal(asks, 0);
	assert_int_equal(conn_loop_count(s->loop), 1); /* none of these closes */
}

/* R32 */
static void connect_is_refused(void **state)
{
	static const char text[] = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";

	has(ask_text(*state, text), "HTTP/1.1 405 ");
}

static void a_body_that_nobody_wants_is_not_waited_for(void **state)
{
	static const char text[] = "POST http://other.example/ HTTP/1.1\r\nHost: a\r\n"
				   "Content-Length: 100\r\n\r\n";
	struct stage *s = *state;

	starts(ask_text(s, text), "HTTP/1.1 403 ");
	assert_int_equal(COUNT(s, M_HTTP_ERRORS), 1);
}

static void the_process_is_healthy_while_it_answers(void **state)
{
	struct stage *s = *state;

	ends(ask_text(s, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"), "\r\n\r\nok\n");
	ends(ask_text(s, "HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n"), "\r\n\r\n");
}

/* R118: nginx and Apache ask so. */
static void an_http10_client_gets_a_length_and_a_close(void **state)
{
	struct stage *s = *state;
	char base64[512], text[600];
	struct bytes der = key_der(&s->key);
	int n;

	hold_answer(s);
	EVP_EncodeBlock((unsigned char *)base64, der.p, (int)der.n);
	n = snprintf(text, sizeof text, "GET /%s HTTP/1.0\r\n\r\n", base64);
	has(ask_raw(s, text, (size_t)n), "\r\nConnection: close\r\n");
	run(s);
	assert_int_equal(conn_loop_count(s->loop), 0);
}

/* R138 */
static void pipelined_hits_and_misses_keep_their_order(void **state)
{
	struct stage *s = *state;
	struct answer *a = make_answer(s);
	char base64[512], text[2048];
	struct bytes der = key_der(&s->key);
	const char *got, *one, *two;
	int n;

	EVP_EncodeBlock((unsigned char *)base64, der.p, (int)der.n);
	n = snprintf(text, sizeof text,
	    "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
	    "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"
	    "GET /none HTTP/1.1\r\nHost: a\r\n\r\n",
	    base64);
	ends(ask_raw(s, text, (size_t)n), "ok\n");
	keeper_says(s, a, ERR_OK, TIER_UPSTREAM);
	got = hear(s);
	one = strstr(got, BODY);
	two = strstr(got, "HTTP/1.1 404 ");
	assert_non_null(one);
	assert_non_null(two);
	assert_true(one < two);
	answer_free(a);
}

static void one_hit_of_64_is_measured(void **state)
{
	struct stage *s = *state;
	uint64_t seen = 0, ages = 0;

	hold_answer(s);
	for (int i = 0; i < 128; i++)
		ends(get(s, "GET", "/", ""), BODY);
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += s->counters->histogram[H_HIT].bucket[i];
		ages += s->counters->histogram[H_AGE].bucket[i];
	}
	assert_int_equal(seen, 2);
	assert_int_equal(ages, 2);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_hit_says_everything_a_cache_needs),
	    CASE(a_good_that_a_list_contradicts_is_no_hit),
	    CASE(get_and_post_get_the_same_bytes),
	    CASE(head_is_get_without_the_body),
	    CASE(a_copy_that_is_still_good_gets_304),
	    CASE(an_answer_past_its_end_is_not_served),
	    CASE(a_held_error_is_repeated_until_its_end),
	    CASE(a_miss_waits_for_the_keeper),
	    CASE(an_answer_that_ended_on_its_way_is_asked_for_anew),
	    CASE(an_answer_that_ends_again_and_again_is_try_later),
	    CASE(an_answer_that_a_list_contradicts_on_its_way_is_asked_for_anew),
	    CASE(a_head_that_waited_gets_no_body),
	    CASE(a_client_that_left_harms_nobody),
	    CASE(what_the_client_says_of_caches_reaches_the_keeper),
	    CASE(another_spelling_shares_the_answer),
	    CASE(what_is_no_question_of_ours_costs_no_flight),
	    CASE(http_errors_are_http_errors),
	    CASE(connect_is_refused),
	    CASE(a_body_that_nobody_wants_is_not_waited_for),
	    CASE(the_process_is_healthy_while_it_answers),
	    CASE(an_http10_client_gets_a_length_and_a_close),
	    CASE(pipelined_hits_and_misses_keep_their_order),
	    CASE(one_hit_of_64_is_measured),
	};

	clock_set(NOW, 1000000);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
