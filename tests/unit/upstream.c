/* The whole module on virtual time: clock_gettime (libevent's and ours) and fetch.h are
 * defined here, so that hours pass in milliseconds and every fetch ends as a case wants.
 */
#include "proxy/source/upstream.h"

#include <event2/event.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include <cmocka.h>

#include "cache/ocsp/ocsp_request.h"
#include "proxy/base/alarms.h"
#include "proxy/base/log.h"

static int64_t now_ms;

int clock_gettime(clockid_t id, struct timespec *t)
{
	(void)id;
	t->tv_sec = (time_t)(now_ms / 1000);
	t->tv_nsec = (long)(now_ms % 1000) * 1000000;
	return 0;
}

/* Fetches that end when the case says so. */

struct fetch {
	TAILQ_ENTRY(fetch) link;
	char url[400];
	bool post, cancelled;
	struct bytes body;
	uint8_t body_copy[OCSP_REQUEST_MAX];
	int timeout_ms;
	size_t max_size;
	fetch_done_fn *done;
	void *arg;
};
static TAILQ_HEAD(, fetch) fetches = TAILQ_HEAD_INITIALIZER(fetches);
static unsigned fetches_n, started, told;
static bool memory_is_short;

struct fetch *fetch_start(
    struct fetcher *f, const struct fetch_request *r, fetch_done_fn *done, void *arg)
{
	struct fetch *x = memory_is_short ? NULL : calloc(1, sizeof *x);

	(void)f;
	if (x == NULL)
		return NULL;
	assert_in_range(r->timeout_ms, 1, INT_MAX);
	snprintf(x->url, sizeof x->url, "%s", r->url);
	x->post = r->body.n > 0;
	if (x->post)
		memcpy(x->body_copy, r->body.p, r->body.n);
	x->body = bytes_of(x->body_copy, r->body.n);
	x->timeout_ms = r->timeout_ms;
	x->max_size = r->max_size;
	x->done = done;
	x->arg = arg;
	assert_string_equal(r->content_type, "application/ocsp-request");
	assert_string_equal(r->accept, "application/ocsp-response");
	TAILQ_INSERT_TAIL(&fetches, x, link);
	fetches_n++;
	started++;
	return x;
}

void fetch_cancel(struct fetch *x)
{
	TAILQ_REMOVE(&fetches, x, link);
	fetches_n--;
	free(x);
}

static struct fetch *fetch_at(unsigned i)
{
	struct fetch *x = TAILQ_FIRST(&fetches);

	while (x != NULL && i-- > 0)
		x = TAILQ_NEXT(x, link);
	assert_non_null(x);
	return x;
}

static bool goes_to(unsigned i, const char *part)
{
	const char *url = fetch_at(i)->url;

	return strstr(url, part) != NULL;
}

static struct event_base *base;
static struct source *source;
static struct counters *counters;
static struct upstream_config config;

/* Let everything that is due happen. */
static void settle(void)
{
	for (int i = 0; i < 30; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void pass(int64_t ms)
{
	now_ms += ms;
	settle();
}

static const char *body_of_next; /* NULL: what every judge of ours takes */
static bool reached;             /* the server, by the next fetches that end */

static void end_as(struct fetch *x, enum err e, int status, const char *type)
{
	struct fetch_result r = {.error = e,
	    .reached = reached,
	    .status = status,
	    .content_type = type,
	    .body =
		body_of_next != NULL ? bytes_of(body_of_next, 5) : bytes_of("answer", 6),
	    .detail = e == ERR_OK ? "" : "words",
	    .us = 1000};

	TAILQ_REMOVE(&fetches, x, link);
	fetches_n--;
	x->done(x->arg, &r);
	free(x);
	settle();
}

#define OCSP_TYPE "application/ocsp-response"

/* A probe that nobody asked for has a judge that wants real ones. */
static void end_unauthorized(unsigned i)
{
	body_of_next = "\x30\x03\x0a\x01\x06";
	end_as(fetch_at(i), ERR_OK, 200, OCSP_TYPE);
	body_of_next = NULL;
}

static void end_ok(unsigned i)
{
	end_as(fetch_at(i), ERR_OK, 200, OCSP_TYPE);
}

static void end_error(unsigned i, enum err e)
{
	reached = e != ERR_UP_CONNECT;
	end_as(fetch_at(i), e, 0, "");
	reached = true;
}

/* Asks. */

struct outcome {
	uint8_t serial; /* what is asked for; 0: 1 */
	bool stranger;  /* it was not answered before */
	int done, judged;
	enum err error;
	enum err verdict; /* what its judge says */
	char from[200];
	struct source_ask *ask;
	struct outcome *cancels;   /* from the judge */
	const struct issuer *then; /* asked from done */
};

static void ask(const struct issuer *i, int wait_ms, struct outcome *o);

static enum err on_judge(void *arg, struct bytes der, const char *from)
{
	struct outcome *o = arg;

	assert_int_equal(o->done, 0);
	assert_int_equal(der.n, 6);
	o->judged++;
	snprintf(o->from, sizeof o->from, "%s", from);
	if (o->cancels != NULL) {
		source->ops->cancel(source, o->cancels->ask);
		o->cancels->ask = NULL;
	}
	return o->verdict;
}

static void on_done(void *arg, enum err e)
{
	struct outcome *o = arg;

	told++;
	o->done++;
	o->error = e;
	o->ask = NULL;
	if (o->then != NULL) {
		const struct issuer *i = o->then;

		memset(o, 0, sizeof *o);
		ask(i, 8000, o);
	}
}

static void key_of(uint8_t serial, struct key *k)
{
	uint8_t hash[20];

	memset(hash, 0xfb, sizeof hash);
	key_make(k, CERTID_SHA1, hash, hash, &(struct serial){1, {serial}});
}

/* With room for the caller's verdict: o is zeroed by the caller. */
static void ask(const struct issuer *i, int wait_ms, struct outcome *o)
{
	struct key k;
	enum err e;

	key_of(o->serial != 0 ? o->serial : 1, &k);
	e = source->ops->ask(source,
	    &(struct source_question){
		.issuer = i, .key = &k, .known = !o->stranger, .wait_ms = wait_ms},
	    on_judge, on_done, o, &o->ask);
	assert_int_equal(o->done, 0); /* never before it returns */
	assert_true((o->ask == NULL) == (e != ERR_OK));
	if (e != ERR_OK)
		on_done(o, e);
}

static enum err ask_and_settle(const struct issuer *i, struct outcome *o)
{
	memset(o, 0, sizeof *o);
	ask(i, 8000, o);
	settle();
	return o->done ? o->error : ERR_COUNT;
}

#define URL_1 "http://one.test/ocsp"
#define URL_2 "http://two.test/"
#define URL_3 "http://three.test:8080"

#define POST_URL "http://one.test/ocsp?ca=1" /* for what is about one fetch only */
static char *post_url[] = {(char[]){POST_URL}};
static char *one_url[] = {(char[]){URL_1}};
static char *two_urls[] = {(char[]){URL_1}, (char[]){URL_2}};
static char *other_url[] = {(char[]){URL_3}};
static char *same_host_url[] = {(char[]){"HTTP://user:pw@ONE.test:80/other?x"}};

static struct issuer issuer_of(const char *name, char **ocsp, size_t n)
{
	static char names[8][16];
	static int next;
	char *mine = names[next++ % 8];

	snprintf(mine, 16, "%s", name);
	return (struct issuer){.name = mine,
	    .rules = {.max_in_flight = 64, .max_waiting = 10000, .fetch_rate = 1000},
	    .ocsp = ocsp,
	    .ocsp_n = n};
}

static int begin(void **state)
{
	(void)state;
	now_ms = 1000000;
	started = told = 0;
	reached = true;
	memory_is_short = false;
	log_setup(-1, 0, 0); /* errors of cmocka only */
	config = (struct upstream_config){.timeout_ms = 10000,
	    .max_size = 15360,
	    .host_max_in_flight = 64,
	    .backoff = {500, 10000, 10}};
	base = event_base_new();
	counters = metrics_thread();
	source = upstream_new(base, NULL, &config, counters);
	return source == NULL;
}

static int end(void **state)
{
	(void)state;
	upstream_free(source);
	assert_int_equal(fetches_n, 0);
	assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	event_base_free(base);
	metrics_reset();
	return 0;
}

static bool was_asked(const char *url)
{
	struct upstream_health h;

	upstream_health(source, url, &h);
	return h.asked;
}

static void backoff_is(const char *url, int failures, int64_t least, int64_t most)
{
	struct upstream_health h;

	upstream_health(source, url, &h);
	assert_int_equal(h.failures, failures);
	assert_int_equal(h.healthy, failures == 0);
	if (failures == 0)
		assert_int_equal(h.retry_in_ms, 0);
	else
		assert_in_range(h.retry_in_ms, least, most);
}

static bool is_healthy(const char *url)
{
	struct upstream_health h;

	upstream_health(source, url, &h);
	return h.healthy;
}

static void load_is(const struct issuer *i, unsigned in_flight, unsigned waiting)
{
	struct upstream_load l;

	upstream_load(source, i->name, &l);
	assert_int_equal(l.in_flight, in_flight);
	assert_int_equal(l.waiting, waiting);
}

/* How a responder is asked. */

/* The path is what Python says: urllib.parse.quote(base64.b64encode(der), safe=''). */
#define PATH_1                                                                           \
	"MEIwQDA%2BMDwwOjAJBgUrDgMCGgUABBT7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%"         \
	"2Fv7%2B%2Fv7%2BwQU%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%"         \
	"2FsCAQE%3D"

static void a_short_url_is_a_get_with_one_slash_and_percent_encoding(void **state)
{
	char *url[] = {(char[]){"http://a.test"}, (char[]){"http://a.test/"},
	    (char[]){"http://a.test/p"}, (char[]){"http://a.test/p/"}};
	static const char *const want[] = {"http://a.test/" PATH_1,
	    "http://a.test/" PATH_1, "http://a.test/p/" PATH_1,
	    "http://a.test/p/" PATH_1};

	(void)state;
	for (int n = 0; n < 4; n++) {
		struct issuer i = issuer_of("i", &url[n], 1);
		struct outcome o;

		ask_and_settle(&i, &o);
		assert_false(fetch_at(0)->post);
		assert_string_equal(fetch_at(0)->url, want[n]);
		assert_int_equal(fetch_at(0)->max_size, 15360);
		end_ok(0);
		assert_int_equal(o.done, 1);
		assert_int_equal(o.error, ERR_OK);
		assert_string_equal(o.from, url[n]);
	}
}

/* P3: RFC 9919 section 5: GET when the whole URL has at most 255 bytes. */
static void a_url_of_255_bytes_is_a_get_and_of_256_a_post(void **state)
{
	struct key k;

	(void)state;
	key_of(1, &k);
	for (size_t n = 255; n <= 256; n++) {
		char text[256] = "http://a.test/", *url[] = {text};
		struct issuer i = issuer_of("i", url, 1);
		struct outcome o;

		memset(text + 14, 'x', n - 14 - 1 - strlen(PATH_1));
		ask_and_settle(&i, &o);
		assert_int_equal(fetch_at(0)->post, n == 256);
		if (n == 255) {
			assert_int_equal(strlen(fetch_at(0)->url), 255);
		} else {
			assert_string_equal(fetch_at(0)->url, text);
			assert_true(bytes_equal(fetch_at(0)->body, key_der(&k)));
		}
		end_ok(0);
		assert_int_equal(o.error, ERR_OK);
	}
}

static void a_url_with_a_query_is_asked_by_post(void **state)
{
	struct issuer i = issuer_of("i", same_host_url, 1);
	struct outcome o;

	(void)state;
	ask_and_settle(&i, &o);
	assert_true(fetch_at(0)->post);
	assert_string_equal(fetch_at(0)->url, same_host_url[0]);
	end_ok(0);
	assert_int_equal(o.error, ERR_OK);
}

/* Nothing is known of it before its first answer is here, however that ends. */
static void a_responder_was_asked_when_a_fetch_has_ended(void **state)
{
	struct issuer i = issuer_of("i", two_urls, 2);
	struct outcome o;

	(void)state;
	assert_false(was_asked(URL_1));
	ask_and_settle(&i, &o);
	assert_false(was_asked(URL_1));
	end_error(0, ERR_UP_TIMEOUT);
	assert_true(was_asked(URL_1));
	assert_false(was_asked(URL_2));
	settle();
	end_ok(0);
	assert_true(was_asked(URL_2));
	assert_int_equal(o.error, ERR_OK);
}

/* RFC 6960 appendix A.1: POST is what every responder takes.  What Apache (404 for %2F by
 * default), Tomcat (400), WildFly, servlets (405, 501) and pages say to a GET. */
static const struct {
	enum err fetch;
	int status;
	const char *type;
	enum err verdict;
	bool goes_on;
} of_a_get[] = {
    {ERR_OK, 404, "text/html", 0, true},
    {ERR_OK, 405, "", 0, true},
    {ERR_OK, 400, "", 0, true},
    {ERR_OK, 501, "", 0, true},
    {ERR_OK, 500, OCSP_TYPE, 0, true},
    {ERR_OK, 301, "", 0, true},
    {ERR_OK, 204, "", 0, true},
    {ERR_OK, 200, "text/html", ERR_RESP_DER, true},
    {ERR_OK, 200, OCSP_TYPE, ERR_RESP_DER, true}, /* an empty one */
    {ERR_OK, 200, OCSP_TYPE, ERR_RESP_MALFORMED, true},
    {ERR_UP_SIZE, 200, "text/html", 0, true},
    {ERR_UP_SIZE, 404, OCSP_TYPE, 0, true},
    {ERR_UP_TRUNCATED, 0, "", 0, true},
    {ERR_UP_CONNECT, 0, "", 0, true}, /* reset */
    {ERR_UP_SIZE, 200, OCSP_TYPE, 0, false},
    {ERR_UP_TIMEOUT, 0, "", 0, false},
    {ERR_OK, 200, OCSP_TYPE, ERR_RESP_UNAUTHORIZED, false},
    {ERR_OK, 200, OCSP_TYPE, ERR_RESP_INTERNAL, false},
    {ERR_OK, 200, OCSP_TYPE, ERR_RESP_TRYLATER, false},
    {ERR_OK, 200, OCSP_TYPE, ERR_RESP_SIGNATURE, false},
    {ERR_NOMEM, 0, "", 0, false},
};

/* P39 */
static void a_get_that_brings_no_answer_is_followed_by_a_post(void **state)
{
	struct key k;

	(void)state;
	key_of(1, &k);
	for (size_t n = 0; n < sizeof of_a_get / sizeof of_a_get[0]; n++) {
		char text[40], *urls[] = {text, (char[]){URL_2}};
		struct issuer i = issuer_of("i", urls, 2);
		struct outcome o = {.verdict = of_a_get[n].verdict};

		snprintf(text, sizeof text, "http://get%zu.test/", n); /* a new one */
		ask(&i, 8000, &o);
		settle();
		assert_false(fetch_at(0)->post);
		pass(3000);
		end_as(
		    fetch_at(0), of_a_get[n].fetch, of_a_get[n].status, of_a_get[n].type);
		o.verdict = ERR_OK;
		if (!of_a_get[n].goes_on) {
			assert_non_null(strstr(fetch_at(0)->url, "two.test"));
			end_ok(0);
			continue;
		}
		if (o.done || !fetch_at(0)->post)
			fail_msg("row %zu", n);
		assert_string_equal(fetch_at(0)->url, text);
		assert_true(bytes_equal(fetch_at(0)->body, key_der(&k)));
		assert_int_equal(
		    fetch_at(0)->timeout_ms, 2500); /* half of what is left */
		end_ok(0);
		assert_int_equal(o.error, ERR_OK);
		assert_string_equal(o.from, text);
		assert_true(is_healthy(text));
	}
}

static void when_the_post_fails_too_the_next_responder_is_asked(void **state)
{
	struct issuer i = issuer_of("i", two_urls, 2);
	struct outcome o;

	(void)state;
	for (int n = 0; n < 2; n++) { /* nothing is remembered of that */
		ask_and_settle(&i, &o);
		assert_false(fetch_at(0)->post);
		end_as(fetch_at(0), ERR_OK, 404, "");
		assert_true(fetch_at(0)->post);
		end_as(fetch_at(0), ERR_OK, 404, "");
		assert_non_null(strstr(fetch_at(0)->url, "two.test"));
		assert_false(fetch_at(0)->post);
		end_as(fetch_at(0), ERR_OK, 404, "");
		assert_true(fetch_at(0)->post);
		end_as(fetch_at(0), ERR_OK, 405, "");
		assert_int_equal(o.error, ERR_UP_HTTP);
	}
}

static void the_post_comes_in_the_asks_own_time(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct outcome o;

	(void)state;
	ask_and_settle(&i, &o);
	pass(8000);
	end_as(fetch_at(0), ERR_OK, 404, "");
	assert_int_equal(fetches_n, 0);
	assert_int_equal(o.error, ERR_UP_HTTP);
}

/* Ask for serial; the GET, if there is one, gets 405; what comes last is taken.  Was
 * there a GET? */
static bool got_first(const struct issuer *i, uint8_t serial, bool stranger)
{
	struct outcome o = {.serial = serial, .stranger = stranger};
	bool get;

	ask(i, 8000, &o);
	settle();
	get = !fetch_at(0)->post;
	if (get)
		end_as(fetch_at(0), ERR_OK, 405, "");
	assert_true(fetch_at(0)->post);
	end_ok(0);
	assert_int_equal(o.error, ERR_OK);
	return get;
}

static void what_works_is_remembered_for_a_day(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct issuer other = issuer_of("other", other_url, 1);

	(void)state;
	assert_true(got_first(&i, 1, true));
	for (int n = 0; n < 10; n++)
		assert_false(got_first(&i, 2, n % 2 == 0));
	assert_true(got_first(&other, 1, false)); /* for each responder */
	now_ms += 86400000 - 1;
	assert_false(got_first(&i, 2, true));
	now_ms += 1;
	assert_true(got_first(&i, 2, false));
	assert_false(got_first(&i, 2, false));
}

/* Of a responder whose GETs are answered no stranger's error makes a POST for all. */
static void one_stranger_does_not_change_how_the_others_are_asked(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct outcome o;

	(void)state;
	ask_and_settle(&i, &o);
	end_ok(0);
	for (int n = 0; n < 5; n++)
		assert_true(got_first(&i, 9, true));
	assert_true(got_first(&i, 1, false)); /* this one was answered by GET before */
	assert_false(got_first(&i, 1, false));
}

static void a_nonce_goes_by_post_too(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct outcome o = {0};
	uint8_t want[OCSP_REQUEST_MAX];
	struct bytes nonce = bytes_of("0123456789abcdef", 16);
	struct key k;

	(void)state;
	key_of(1, &k);
	assert_int_equal(
	    source->ops->ask(source,
		&(struct source_question){
		    .issuer = &i, .key = &k, .nonce = nonce, .wait_ms = 8000},
		on_judge, on_done, &o, &o.ask),
	    ERR_OK);
	settle();
	end_as(fetch_at(0), ERR_OK, 404, "");
	assert_true(bytes_equal(
	    fetch_at(0)->body, bytes_of(want, ocsp_request_build(&k, nonce, want))));
	end_ok(0);
	assert_int_equal(o.error, ERR_OK);
}

static void an_issuer_without_responder_is_told_at_once(void **state)
{
	struct issuer i = issuer_of("i", NULL, 0);
	struct outcome o;

	(void)state;
	assert_int_equal(ask_and_settle(&i, &o), ERR_UP_NONE);
	assert_int_equal(o.done, 1);
}

/* Going on. */

static void the_time_left_is_shared_by_the_responders_left(void **state)
{
	struct issuer i = issuer_of("i", two_urls, 2);
	struct outcome o;

	(void)state;
	ask_and_settle(&i, &o);
	assert_int_equal(fetch_at(0)->timeout_ms, 4000);
	pass(1000);
	end_error(0, ERR_UP_CONNECT);
	assert_non_null(strstr(fetch_at(0)->url, "two.test"));
	assert_int_equal(fetch_at(0)->timeout_ms, 7000);
	end_ok(0);
	assert_int_equal(o.error, ERR_OK);
	assert_string_equal(o.from, URL_2);

	/* the first is in back-off now: the other one has all the time */
	ask_and_settle(&i, &o);
	assert_non_null(strstr(fetch_at(0)->url, "two.test"));
	assert_int_equal(fetch_at(0)->timeout_ms, 8000);
	end_ok(0);

	/* never more than upstream-timeout */
	memset(&o, 0, sizeof o);
	ask(&i, 60000, &o);
	settle();
	assert_int_equal(fetch_at(0)->timeout_ms, 10000);
	end_ok(0);
	assert_int_equal(metrics_sum(M_REQ_HIT_MEMORY), 0);
}

static void a_refused_answer_sends_the_ask_to_the_next_responder(void **state)
{
	struct issuer i = issuer_of("i", two_urls, 2);
	struct outcome o = {.verdict = ERR_RESP_SIGNATURE};

	(void)state;
	ask(&i, 8000, &o);
	settle();
	end_ok(0);
	assert_int_equal(o.judged, 1);
	assert_int_equal(o.done, 0);
	o.verdict = ERR_OK;
	end_ok(0);
	assert_int_equal(o.done, 1);
	assert_int_equal(o.error, ERR_OK);
	assert_string_equal(o.from, URL_2);
	backoff_is(URL_1, 0, 0, 0);
}

/* source.h: unauthorized when one said so and no other did better, else the last reason.
 */
static void unauthorized_outlives_other_reasons(void **state)
{
	struct issuer i = issuer_of("i", two_urls, 2);
	struct outcome o = {.verdict = ERR_RESP_UNAUTHORIZED};

	(void)state;
	ask(&i, 8000, &o);
	settle();
	end_ok(0);
	end_error(0, ERR_UP_CONNECT);
	assert_int_equal(o.done, 1);
	assert_int_equal(o.error, ERR_RESP_UNAUTHORIZED);

	upstream_retry_now(source, &i);
	memset(&o, 0, sizeof o);
	o.verdict = ERR_RESP_SIGNATURE;
	ask(&i, 8000, &o);
	settle();
	end_error(0, ERR_UP_TRUNCATED);
	end_error(0, ERR_UP_TRUNCATED); /* by POST */
	end_ok(0);
	assert_int_equal(o.error, ERR_RESP_SIGNATURE);
}

/* Health. */

/* How an ending counts: AWAY at once and for whoever asked, SICK when several keys that
 * were answered before get it, NOT never. */
enum counts { NOT, SICK, AWAY };

static const struct {
	enum err fetch;
	bool reached;
	int status;
	const char *type;
	enum err verdict, told;
	enum counts counts;
} ending[] = {
    {ERR_UP_CONNECT, false, 0, "", 0, ERR_UP_CONNECT, AWAY},
    {ERR_UP_TIMEOUT, false, 0, "", 0, ERR_UP_TIMEOUT, AWAY},
    {ERR_UP_TIMEOUT, true, 0, "", 0, ERR_UP_TIMEOUT, SICK},
    {ERR_UP_CONNECT, true, 0, "", 0, ERR_UP_CONNECT, SICK}, /* reset */
    {ERR_UP_TRUNCATED, true, 200, OCSP_TYPE, 0, ERR_UP_TRUNCATED, SICK},
    {ERR_UP_HTTP, true, 0, "", 0, ERR_UP_HTTP, SICK},
    {ERR_OK, true, 500, OCSP_TYPE, 0, ERR_UP_HTTP, SICK},
    {ERR_OK, true, 503, "text/html", 0, ERR_UP_HTTP, SICK},
    {ERR_OK, true, 404, "text/html", 0, ERR_UP_HTTP, NOT},
    {ERR_OK, true, 429, "", 0, ERR_UP_HTTP, NOT},
    {ERR_OK, true, 302, "", 0, ERR_UP_HTTP, NOT},
    {ERR_OK, true, 204, "", 0, ERR_UP_HTTP, NOT},
    {ERR_OK, true, 200, "text/html", ERR_RESP_DER, ERR_UP_TYPE, NOT},
    {ERR_OK, true, 200, "application/ocsp-responses", ERR_RESP_DER, ERR_UP_TYPE, NOT},
    {ERR_OK, true, 200, "", ERR_RESP_DER, ERR_UP_TYPE, NOT},
    {ERR_OK, true, 200, OCSP_TYPE, ERR_RESP_INTERNAL, ERR_RESP_INTERNAL, NOT},
    {ERR_OK, true, 200, OCSP_TYPE, ERR_RESP_TRYLATER, ERR_RESP_TRYLATER, NOT},
    {ERR_OK, true, 200, OCSP_TYPE, ERR_RESP_UNAUTHORIZED, ERR_RESP_UNAUTHORIZED, NOT},
    {ERR_OK, true, 200, OCSP_TYPE, ERR_RESP_MALFORMED, ERR_RESP_MALFORMED, NOT},
    {ERR_OK, true, 200, OCSP_TYPE, ERR_RESP_SIGREQ, ERR_RESP_SIGREQ, NOT},
    {ERR_OK, true, 200, OCSP_TYPE, ERR_RESP_SIGNATURE, ERR_RESP_SIGNATURE, NOT},
    {ERR_OK, true, 200, "text/html", ERR_RESP_SIGNATURE, ERR_RESP_SIGNATURE, NOT},
    {ERR_OK, true, 200, "Application/OCSP-response; a=b", ERR_RESP_DER, ERR_RESP_DER,
	NOT},
    {ERR_OK, true, 200, OCSP_TYPE, ERR_RESP_OLDER, ERR_RESP_OLDER, NOT},
    {ERR_OK, true, 200, OCSP_TYPE, ERR_NOMEM, ERR_NOMEM, NOT},
    {ERR_OK, true, 200, "application/octet-stream", ERR_OK, ERR_OK, NOT},
    {ERR_OK, true, 200, "", ERR_OK, ERR_OK, NOT},
    {ERR_UP_SIZE, true, 200, OCSP_TYPE, 0, ERR_UP_SIZE, NOT},
    {ERR_NOMEM, false, 0, "", 0, ERR_NOMEM, NOT},
};
#define ENDINGS (sizeof ending / sizeof ending[0])

static void end_with(size_t row)
{
	reached = ending[row].reached;
	end_as(fetch_at(0), ending[row].fetch, ending[row].status, ending[row].type);
	reached = true;
}

static void each_ending_is_told_and_counts_as_it_should(void **state)
{
	struct issuer i = issuer_of("i", post_url, 1);
	struct upstream_health h;
	char said[100];

	(void)state;
	for (size_t n = 0; n < ENDINGS; n++) {
		for (uint8_t key = 1; key <= 3; key++) {
			struct outcome o = {.serial = key, .verdict = ending[n].verdict};
			bool fails = ending[n].counts == AWAY ||
				     (ending[n].counts == SICK && key == 3);

			ask(&i, 8000, &o);
			settle();
			end_with(n);
			if (o.done != 1 || o.error != ending[n].told ||
			    is_healthy(POST_URL) == fails)
				fail_msg(
				    "row %zu, key %d: %s", n, key, err_label(o.error));
			snprintf(said, sizeof said, "%s%s", err_label(o.error),
			    ending[n].fetch != ERR_OK ? ": words" : ""); /* the fetch's */
			upstream_health(source, POST_URL, &h);
			assert_string_equal(h.last_error,
			    o.error == ERR_OK || o.error == ERR_RESP_UNAUTHORIZED ||
				    o.error == ERR_RESP_MALFORMED ||
				    o.error == ERR_RESP_SIGREQ
				? ""
				: said);
			if (fails)
				upstream_retry_now(source, &i);
		}
		upstream_retry_now(source, &i);
	}
	assert_int_equal(h.fetches, 3 * ENDINGS);
	assert_int_equal(h.failed, 3 * 17);
	upstream_health(source, "http://never.asked/", &h);
	assert_true(h.healthy && h.failures == 0 && h.last_error[0] == '\0');
}

/* The operator's word ends it as a recovery does, or it would stand for ever: what goes
 * well after that is none. */
static void no_alarm_outlives_the_operators_word(void **state)
{
	struct issuer i = issuer_of("i", post_url, 1);
	struct outcome o = {.serial = 1};

	(void)state;
	ask(&i, 8000, &o);
	settle();
	end_error(0, ERR_UP_CONNECT);
	assert_false(is_healthy(POST_URL));
	assert_false(alarm_raise(ALARM_RESPONDER_DOWN, "i", POST_URL, "still"));
	upstream_retry_now(source, &i);
	memset(&o, 0, sizeof o);
	ask(&i, 8000, &o);
	settle();
	end_ok(0);
	assert_true(is_healthy(POST_URL));
	assert_false(alarm_clear(ALARM_RESPONDER_DOWN, "i", POST_URL));
}

/* T13: whoever asks for serials that bring errors keeps nobody else's from being asked
 * for. */
static void what_strangers_get_never_counts_but_that_it_cannot_be_reached(void **state)
{
	struct issuer i = issuer_of("i", post_url, 1);

	(void)state;
	for (size_t n = 0; n < ENDINGS; n++) {
		for (uint8_t key = 1; key <= 20; key++) {
			struct outcome o = {.serial = key,
			    .stranger = true,
			    .verdict = ending[n].verdict};

			ask(&i, 8000, &o);
			settle();
			end_with(n);
			assert_int_equal(is_healthy(POST_URL), ending[n].counts != AWAY);
			upstream_retry_now(source, &i);
		}
	}
}

static void fail_key(const struct issuer *i, uint8_t serial)
{
	struct outcome o = {.serial = serial};

	ask(i, 8000, &o);
	settle();
	end_error(0, ERR_UP_TIMEOUT);
}

/* One certificate whose answer the responder cannot make is no sick responder, however
 * often it is asked for; nor are errors with successes between. */
static void only_several_keys_with_no_success_between_make_it_unwell(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct outcome o, stranger = {.stranger = true, .serial = 9};

	(void)state;
	for (int n = 0; n < 50; n++)
		fail_key(&i, 1);
	fail_key(&i, 2);
	assert_true(is_healthy(URL_1));
	ask_and_settle(&i, &o);
	end_ok(0);
	fail_key(&i, 1);
	fail_key(&i, 2);
	assert_true(is_healthy(URL_1));

	/* a stranger's error is no success between, an answer is one */
	ask(&i, 8000, &stranger);
	settle();
	end_as(fetch_at(0), ERR_OK, 404, "text/html");
	end_as(fetch_at(0), ERR_OK, 404, "text/html");
	fail_key(&i, 3);
	assert_false(is_healthy(URL_1));
	upstream_retry_now(source, &i);
	fail_key(&i, 1);
	fail_key(&i, 2);
	stranger = (struct outcome){.stranger = true, .serial = 9};
	ask(&i, 8000, &stranger);
	settle();
	end_ok(0);
	fail_key(&i, 3);
	assert_true(is_healthy(URL_1));
}

/* Strangers cannot be the probe: it goes with a key that was answered before, the
 * stranger is told at once, and other strangers make no second one. */
static void a_stranger_after_the_pause_has_a_known_key_probed(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct outcome o;

	(void)state;
	ask_and_settle(&i, &o); /* serial 1 is answered */
	end_ok(0);
	ask_and_settle(&i, &o);
	end_error(0, ERR_UP_CONNECT);
	pass(750);
	for (uint8_t n = 10; n < 15; n++) {
		o = (struct outcome){.stranger = true, .serial = n};
		ask(&i, 8000, &o);
		assert_int_equal(o.error, ERR_UP_BACKOFF);
		settle();
		assert_int_equal(fetches_n, 1);
		assert_non_null(strstr(fetch_at(0)->url, PATH_1));
	}
	end_as(fetch_at(0), ERR_OK, 500, "");
	assert_int_equal(fetches_n, 1); /* by POST, as anybody's would */
	assert_true(fetch_at(0)->post);
	end_as(fetch_at(0), ERR_OK, 500, "");
	assert_false(is_healthy(URL_1));
	backoff_is(URL_1, 2, 500, 1500);

	/* whatever it answers, it is there */
	pass(1500);
	o = (struct outcome){.stranger = true, .serial = 15};
	ask(&i, 8000, &o);
	settle();
	end_unauthorized(0);
	assert_true(is_healthy(URL_1));
	assert_int_equal(started, 5);
}

/* One of the keys that are remembered may have gone bad since. */
static void the_next_probe_goes_with_another_key(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct outcome o = {0};
	char first[400];

	(void)state;
	for (uint8_t n = 1; n <= 2; n++) {
		o = (struct outcome){.serial = n};
		ask(&i, 8000, &o);
		settle();
		end_ok(0);
	}
	ask_and_settle(&i, &o);
	end_error(0, ERR_UP_CONNECT);
	for (int n = 0; n < 2; n++) {
		pass(20000);
		o = (struct outcome){.stranger = true, .serial = 9};
		ask(&i, 8000, &o);
		settle();
		if (n == 1)
			assert_string_not_equal(fetch_at(0)->url, first);
		snprintf(first, sizeof first, "%s", fetch_at(0)->url);
		end_error(0, ERR_UP_TIMEOUT);
		assert_false(is_healthy(URL_1));
	}
}

/* At a cold start nothing was answered yet, and it can only be that the responder was not
 * reached: then anybody finds out, and any word of it is enough. */
static void where_nothing_was_answered_yet_anybody_may_probe(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct outcome o = {.stranger = true};

	(void)state;
	ask(&i, 8000, &o);
	settle();
	end_error(0, ERR_UP_CONNECT);
	assert_false(is_healthy(URL_1));
	pass(750);
	o = (struct outcome){.stranger = true, .serial = 2};
	ask(&i, 8000, &o);
	settle();
	assert_int_equal(fetches_n, 1);
	end_as(fetch_at(0), ERR_OK, 500, "");
	end_as(fetch_at(0), ERR_OK, 500, "");
	assert_int_equal(o.error, ERR_UP_HTTP);
	assert_true(is_healthy(URL_1));
}

/* The healthy one answers the stranger; the other one is found out about meanwhile. */
static void a_stranger_is_answered_while_the_preferred_one_is_probed(void **state)
{
	struct issuer i = issuer_of("i", two_urls, 2);
	struct outcome o;
	unsigned probe;

	(void)state;
	ask_and_settle(&i, &o);
	end_ok(0);
	ask_and_settle(&i, &o);
	end_error(0, ERR_UP_CONNECT);
	end_ok(0);
	pass(750);
	o = (struct outcome){.stranger = true, .serial = 2};
	ask(&i, 8000, &o);
	settle();
	assert_int_equal(fetches_n, 2);
	probe = goes_to(1, "one.test");
	assert_true(goes_to(probe, "one.test") && goes_to(probe, PATH_1));
	end_unauthorized(probe);
	end_ok(0);
	assert_int_equal(o.error, ERR_OK);
	assert_string_equal(o.from, URL_2);
	assert_true(is_healthy(URL_1));
}

static void in_back_off_nobody_asks_and_after_it_exactly_one_probe(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct outcome o, probe, p;

	(void)state;
	ask_and_settle(&i, &o);
	end_error(0, ERR_UP_CONNECT);
	assert_int_equal(o.error, ERR_UP_CONNECT);
	backoff_is(URL_1, 1, 250, 750);
	assert_int_equal(ask_and_settle(&i, &o), ERR_UP_BACKOFF);

	pass(750);
	assert_int_equal(ask_and_settle(&i, &probe), ERR_COUNT);
	assert_int_equal(fetches_n, 1);
	assert_int_equal(ask_and_settle(&i, &o), ERR_UP_BACKOFF);
	end_error(0, ERR_UP_TIMEOUT);
	assert_int_equal(probe.error, ERR_UP_TIMEOUT);
	backoff_is(URL_1, 2, 500, 1500);

	/* a probe whose asker leaves makes room for the next one */
	pass(1500);
	ask_and_settle(&i, &probe);
	assert_int_equal(ask_and_settle(&i, &o), ERR_UP_BACKOFF);
	source->ops->cancel(source, probe.ask);
	settle();
	assert_int_equal(fetches_n, 0);
	backoff_is(URL_1, 2, 0, 0);
	assert_int_equal(ask_and_settle(&i, &probe), ERR_COUNT);

	/* two that came in one turn: the second finds the place taken when its turn comes
	 */
	source->ops->cancel(source, probe.ask);
	settle();
	memset(&o, 0, sizeof o);
	memset(&p, 0, sizeof p);
	ask(&i, 8000, &o);
	ask(&i, 8000, &p);
	settle();
	assert_int_equal(fetches_n, 1);
	assert_int_equal(p.error, ERR_UP_BACKOFF);
	end_ok(0);
	assert_int_equal(o.error, ERR_OK);
	backoff_is(URL_1, 0, 0, 0);
	assert_int_equal(ask_and_settle(&i, &o), ERR_COUNT);
	end_ok(0);
}

static void a_preferred_responder_is_probed_while_the_other_one_answers(void **state)
{
	struct issuer i = issuer_of("i", two_urls, 2);
	struct outcome probe, o;

	(void)state;
	ask_and_settle(&i, &o);
	end_error(0, ERR_UP_CONNECT);
	end_ok(0);
	pass(750);
	ask_and_settle(&i, &probe);
	assert_non_null(strstr(fetch_at(0)->url, "one.test"));
	ask_and_settle(&i, &o);
	assert_non_null(strstr(fetch_at(1)->url, "two.test"));
	assert_int_equal(fetch_at(1)->timeout_ms, 8000);
	end_ok(1);
	assert_int_equal(o.error, ERR_OK);
	end_ok(0);
	assert_int_equal(probe.error, ERR_OK);
	backoff_is(URL_1, 0, 0, 0);
}

static void a_thousand_failures_leave_the_pause_at_its_cap(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct outcome o;

	(void)state;
	for (int n = 1; n <= 1000; n++) {
		ask_and_settle(&i, &o);
		end_error(0, ERR_UP_CONNECT);
		assert_int_equal(o.error, ERR_UP_CONNECT);
		pass(15000);
	}
	ask_and_settle(&i, &o);
	end_error(0, ERR_UP_CONNECT);
	backoff_is(URL_1, 1001, 5000, 15000);
}

static void fetches_that_fail_together_count_once(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct outcome o[40];
	struct upstream_health h;

	(void)state;
	memset(o, 0, sizeof o);
	for (int n = 0; n < 40; n++)
		ask(&i, 8000, &o[n]);
	settle();
	assert_int_equal(fetches_n, 40);
	for (int n = 0; n < 40; n++)
		end_error(0, ERR_UP_CONNECT);
	backoff_is(URL_1, 1, 250, 750);
	upstream_health(source, URL_1, &h);
	assert_int_equal(h.failed, 40);
}

/* An ask that waited long has little time left for its fetch: that is our congestion and
 * not the responder's fault. */
static void a_timeout_after_a_long_wait_is_no_failure_of_the_responder(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct outcome a, b;

	(void)state;
	i.rules.max_in_flight = 1;
	ask_and_settle(&i, &a);
	ask_and_settle(&i, &b);
	pass(7000);
	end_ok(0);
	assert_int_equal(fetch_at(0)->timeout_ms, 1000);
	pass(1000);
	end_error(0, ERR_UP_TIMEOUT);
	assert_int_equal(b.error, ERR_UP_TIMEOUT);
	backoff_is(URL_1, 0, 0, 0);
	assert_int_equal(ask_and_settle(&i, &b), ERR_COUNT);
	end_ok(0);
}

static void the_operator_ends_a_back_off(void **state)
{
	struct issuer i = issuer_of("i", two_urls, 2);
	struct outcome o;

	(void)state;
	ask_and_settle(&i, &o);
	end_error(0, ERR_UP_CONNECT);
	end_error(0, ERR_UP_CONNECT);
	assert_int_equal(ask_and_settle(&i, &o), ERR_UP_BACKOFF);
	upstream_retry_now(source, &i);
	backoff_is(URL_1, 0, 0, 0);
	backoff_is(URL_2, 0, 0, 0);
	assert_int_equal(ask_and_settle(&i, &o), ERR_COUNT);
	end_ok(0);
}

/* Bounds. */

static void what_is_over_max_in_flight_waits_first_come_first_served(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct outcome o[5];

	(void)state;
	i.rules.max_in_flight = 2;
	i.rules.max_waiting = 2;
	for (int n = 0; n < 4; n++)
		ask_and_settle(&i, &o[n]);
	load_is(&i, 2, 2);
	assert_int_equal(ask_and_settle(&i, &o[4]), ERR_UP_BUSY);
	end_ok(1);
	load_is(&i, 2, 1);
	assert_int_equal(o[1].done, 1);
	assert_ptr_equal(fetch_at(1)->arg, o[2].ask);
	end_ok(0);
	end_ok(0);
	end_ok(0);
	for (int n = 0; n < 4; n++)
		assert_true(o[n].done == 1 && o[n].error == ERR_OK);
	load_is(&i, 0, 0);
}

static void fetch_rate_is_a_bucket_of_one_second(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct outcome o[40];

	(void)state;
	i.rules.fetch_rate = 10;
	memset(o, 0, sizeof o);
	for (int n = 0; n < 40; n++)
		ask(&i, 60000, &o[n]);
	settle();
	assert_int_equal(started, 10);
	pass(99);
	assert_int_equal(started, 10);
	pass(1);
	assert_int_equal(started, 11);
	pass(500);
	assert_int_equal(started, 16);
	pass(100000); /* all expired but one bucket full: nothing is saved up */
	assert_int_equal(started, 16);
	for (int n = 16; n < 40; n++)
		assert_int_equal(o[n].error, ERR_UP_BUSY);
	while (fetches_n > 0)
		end_ok(0);
	memset(o, 0, sizeof o);
	for (int n = 0; n < 40; n++)
		ask(&i, 60000, &o[n]);
	settle();
	assert_int_equal(started, 26);
	while (fetches_n > 0)
		end_ok(0);
	for (int n = 0; n < 40; n++)
		if (o[n].ask != NULL)
			source->ops->cancel(source, o[n].ask);
	load_is(&i, 0, 0);
}

static void an_ask_that_waits_ends_in_its_own_time(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct outcome a, b = {0}, c = {0};

	(void)state;
	i.rules.max_in_flight = 1;
	ask_and_settle(&i, &a);
	ask(&i, 5000, &b);
	ask(&i, 2000, &c);
	pass(1999);
	assert_int_equal(c.done, 0);
	pass(1);
	assert_int_equal(c.error, ERR_UP_BUSY);
	assert_int_equal(c.done, 1);
	assert_int_equal(b.done, 0);
	pass(3000);
	assert_int_equal(b.error, ERR_UP_BUSY);
	load_is(&i, 1, 0);
	backoff_is(URL_1, 0, 0, 0);
	end_ok(0);
	assert_int_equal(a.error, ERR_OK);
}

static void a_full_host_delays_nobody_elses_issuer(void **state)
{
	struct issuer slow = issuer_of("slow", one_url, 1);
	struct issuer same = issuer_of("same", same_host_url, 1);
	struct issuer other = issuer_of("other", other_url, 1);
	struct outcome a[3], b, c;

	(void)state;
	config.host_max_in_flight = 2;
	upstream_configure(source, &config);
	for (int n = 0; n < 3; n++)
		ask_and_settle(&slow, &a[n]);
	ask_and_settle(&same, &b); /* the same host, spelled otherwise */
	ask_and_settle(&other, &c);
	assert_int_equal(fetches_n, 3);
	assert_non_null(strstr(fetch_at(2)->url, "three.test:8080/"));
	end_ok(2);
	assert_int_equal(c.error, ERR_OK);
	load_is(&slow, 2, 1);
	load_is(&same, 0, 1);

	/* both wait for the host: they take turns */
	end_ok(0);
	load_is(&slow, 2, 0);
	end_ok(0);
	load_is(&same, 1, 0);
	end_ok(0);
	end_ok(0);
	assert_int_equal(b.error, ERR_OK);
}

/* The issuer whose fetches end keeps asking; the other one must get its share. */
static void a_busy_issuer_cannot_keep_a_host_for_itself(void **state)
{
	struct issuer busy = issuer_of("busy", one_url, 1);
	struct issuer quiet = issuer_of("quiet", same_host_url, 1);
	struct outcome a[20], b;

	(void)state;
	config.host_max_in_flight = 1;
	upstream_configure(source, &config);
	memset(a, 0, sizeof a);
	for (int n = 0; n < 20; n++)
		ask(&busy, 60000, &a[n]);
	settle();
	ask_and_settle(&quiet, &b);
	for (int n = 0; n < 2; n++)
		end_ok(0);
	load_is(&quiet, 1, 0);
	while (fetches_n > 0)
		end_ok(0);
	assert_int_equal(b.error, ERR_OK);
	for (int n = 0; n < 20; n++)
		assert_int_equal(a[n].error, ERR_OK);
}

/* Whoever was given a host's place and cannot use it passes it on. */
static void a_place_that_is_not_used_goes_to_the_next(void **state)
{
	struct issuer first = issuer_of("first", one_url, 1);
	struct issuer second = issuer_of("second", same_host_url, 1);
	struct issuer third = issuer_of("third", same_host_url, 1);
	struct outcome a, b, c;

	(void)state;
	config.host_max_in_flight = 1;
	upstream_configure(source, &config);
	ask_and_settle(&first, &a);
	ask_and_settle(&second, &b);
	ask_and_settle(&third, &c);
	source->ops->cancel(source, b.ask); /* its lane is first in line, and empty */
	end_ok(0);
	assert_int_equal(fetches_n, 1);
	load_is(&third, 1, 0);
	end_ok(0);
	assert_int_equal(c.error, ERR_OK);
}

/* Nothing is left that would fire into what is gone: end() looks. */
static void who_waits_in_any_line_is_forgotten_with_it(void **state)
{
	struct issuer busy = issuer_of("busy", &two_urls[1], 1);
	struct issuer both = issuer_of("both", two_urls, 2);
	struct outcome holds = {.serial = 9};
	struct outcome o[6] = {{.serial = 1}, {.serial = 2, .stranger = true},
	    {.serial = 3}, {.serial = 4}, {.serial = 5, .stranger = true}};

	(void)state;
	config.host_max_in_flight = 1;
	upstream_configure(source, &config);
	ask(&busy, 60000, &holds); /* until the end */
	settle();
	for (int i = 0; i < 5; i++) {
		ask(&both, 60000, &o[i]);
		settle();
		if (i < 2) /* on to the second one, which has no place */
			end_error(1, ERR_UP_TIMEOUT);
		assert_int_equal(o[i].done, 0);
	}
	assert_int_equal(fetches_n, 2);
}

static struct outcome stranger_of(int n)
{
	return (struct outcome){.stranger = true, .serial = (uint8_t)(n % 100 + 100)};
}

/* T13: of every bound there is a part that strangers do not get. */
static void strangers_leave_a_quarter_of_each_bound(void **state)
{
	static const struct {
		unsigned bound, theirs;
	} want[] = {{1, 1}, {2, 1}, {3, 2}, {7, 6}, {8, 6}, {64, 48}};
	static struct outcome o[200];

	(void)state;
	for (size_t w = 0; w < sizeof want / sizeof want[0]; w++) {
		struct issuer i = issuer_of((char[]){(char)('a' + w), '\0'}, one_url, 1);
		struct outcome known;
		unsigned n;

		i.rules.max_in_flight = want[w].bound;
		i.rules.max_waiting = want[w].bound;
		for (n = 0; n < 130; n++) {
			o[n] = stranger_of((int)n);
			ask(&i, 8000, &o[n]);
			settle();
		}
		load_is(&i, want[w].theirs, want[w].theirs);
		ask_and_settle(&i, &known);
		if (want[w].bound > 1) {
			assert_int_equal(fetches_n, want[w].theirs + 1);
			assert_int_equal(known.done, 0);
		} else {
			assert_int_equal(known.error, ERR_UP_BUSY);
		}
		while (fetches_n > 0)
			end_ok(0);
		if (want[w].bound > 1)
			assert_int_equal(known.error, ERR_OK);
		load_is(&i, 0, 0);
	}
}

static void strangers_leave_a_quarter_of_a_host(void **state)
{
	struct issuer a = issuer_of("a", one_url, 1),
		      b = issuer_of("b", same_host_url, 1);
	static struct outcome o[20];
	struct outcome known;

	(void)state;
	config.host_max_in_flight = 8;
	upstream_configure(source, &config);
	for (int n = 0; n < 20; n++) {
		o[n] = stranger_of(n);
		ask(&a, 8000, &o[n]);
	}
	settle();
	load_is(&a, 6, 14);
	ask_and_settle(&b, &known);
	load_is(&b, 1, 0);
	while (fetches_n > 0)
		end_ok(0);
	assert_int_equal(known.error, ERR_OK);
	for (int n = 0; n < 20; n++)
		assert_int_equal(o[n].error, ERR_OK);
}

/* Neither a flood of strangers nor a wave of refreshes takes every turn. */
static void the_two_classes_take_turns(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	static struct outcome o[40];
	int known = 0;

	(void)state;
	i.rules.fetch_rate = 10;
	for (int n = 0; n < 40; n++) {
		o[n] = n < 20 ? stranger_of(n) : (struct outcome){.serial = 1};
		ask(&i, 60000, &o[n]);
	}
	settle();
	pass(1000);
	assert_int_equal(fetches_n, 20);
	for (unsigned n = 0; n < 20; n++)
		known += strstr(fetch_at(n)->url, PATH_1) != NULL;
	assert_int_equal(known, 10);
	while (fetches_n > 0)
		end_ok(0);
	for (int n = 0; n < 40; n++)
		if (o[n].ask != NULL)
			source->ops->cancel(source, o[n].ask);
}

/* Callbacks that come back in. */

static void done_may_ask_again_and_a_judge_may_cancel(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct outcome a = {0}, b = {0}, c = {0};

	(void)state;
	i.rules.max_in_flight = 2;
	a.then = &i;
	ask(&i, 8000, &a);
	ask(&i, 8000, &b);
	ask(&i, 8000, &c);
	settle();
	a.cancels = &c; /* it waits */
	end_ok(0);
	assert_int_equal(c.done, 0);
	assert_int_equal(a.done, 0); /* the new ask of a's */
	load_is(&i, 2, 0);
	b.cancels = &a; /* it is being fetched */
	end_ok(0);
	assert_int_equal(b.done, 1);
	assert_int_equal(a.done, 0);
	load_is(&i, 0, 0);
	assert_int_equal(fetches_n, 0);

	/* itself */
	memset(&a, 0, sizeof a);
	a.cancels = &a;
	ask(&i, 8000, &a);
	settle();
	end_ok(0);
	assert_int_equal(a.judged, 1);
	assert_int_equal(a.done, 0);
	load_is(&i, 0, 0);
}

static void an_issuer_may_go_while_it_is_asked(void **state)
{
	char *name = strdup("gone"), *url = strdup("http://one.test/"),
	     *second = strdup("http://two.test/"), *urls[] = {url, second};
	struct issuer *i = malloc(sizeof *i);
	struct outcome o;

	(void)state;
	*i = issuer_of("x", urls, 2);
	i->name = name;
	ask_and_settle(i, &o);
	memset(url, 'x', strlen(url));
	memset(name, 'x', strlen(name));
	free(url);
	free(second);
	free(name);
	free(i);
	end_error(0, ERR_UP_CONNECT);
	assert_non_null(strstr(fetch_at(0)->url, "http://two.test/M"));
	end_ok(0);
	assert_int_equal(o.error, ERR_OK);
}

static void want_of_memory_is_an_error_and_gives_its_place_back(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	struct outcome o;

	(void)state;
	memory_is_short = true;
	assert_int_equal(ask_and_settle(&i, &o), ERR_NOMEM);
	assert_int_equal(o.done, 1);
	load_is(&i, 0, 0);
	backoff_is(URL_1, 0, 0, 0);
	memory_is_short = false;
	assert_int_equal(ask_and_settle(&i, &o), ERR_COUNT);
	end_ok(0);
}

static void what_is_under_way_goes_with_the_source(void **state)
{
	struct issuer i = issuer_of("i", one_url, 1);
	static struct outcome o[3];

	(void)state;
	i.rules.max_in_flight = 1;
	for (int n = 0; n < 3; n++)
		ask_and_settle(&i, &o[n]);
	load_is(&i, 1, 2); /* end() checks that the fetch was cancelled */
}

/* Anything, in any order. */

#define ASKS 100

static void whatever_happens_each_ask_ends_once_and_no_bound_is_broken(void **state)
{
	struct issuer is[3] = {issuer_of("a", two_urls, 2),
	    issuer_of("b", same_host_url, 1), issuer_of("c", other_url, 1)};
	static struct outcome o[ASKS];
	unsigned asked = 0, cancelled = 0;

	(void)state;
	srand(1);
	memset(o, 0, sizeof o);
	config.host_max_in_flight = 5;
	config.backoff.max_ms = 50;
	upstream_configure(source, &config);
	for (int n = 0; n < 3; n++)
		is[n].rules = (struct issuer_rules){
		    .max_in_flight = 4, .max_waiting = 50, .fetch_rate = 100};
	for (int n = 0; n < ASKS * 30; n++) {
		struct outcome *x = &o[rand() % ASKS];

		if (x->ask != NULL && rand() % 2 == 0) {
			source->ops->cancel(source, x->ask);
			x->ask = NULL;
			cancelled++;
		} else if (x->ask == NULL) {
			memset(x, 0, sizeof *x);
			x->verdict = rand() % 3 == 0 ? ERR_RESP_SIGNATURE : ERR_OK;
			x->stranger = rand() % 2 == 0;
			x->serial = (uint8_t)(1 + rand() % 20);
			asked++;
			ask(&is[rand() % 3], rand() % 3000, x);
		}
		if (fetches_n > 0 && rand() % 3 == 0) {
			struct fetch *f = fetch_at((unsigned)rand() % fetches_n);

			reached = rand() % 2 == 0;
			if (rand() % 5 == 0)
				end_as(f, ERR_UP_CONNECT, 0, "");
			else
				end_as(f, ERR_OK, 200, OCSP_TYPE);
		}
		pass(rand() % 20);
		for (int q = 0; q < 3; q++) {
			struct upstream_load l;

			upstream_load(source, is[q].name, &l);
			assert_in_range(l.in_flight, 0, 4);
			assert_in_range(l.waiting, 0, 50 + 4);
		}
	}
	while (fetches_n > 0)
		end_ok(0);
	pass(60000);
	while (fetches_n > 0)
		end_ok(0);
	for (int n = 0; n < ASKS; n++)
		assert_null(o[n].ask);
	assert_int_equal(told + cancelled, asked);
	assert_true(told > 300 && cancelled > 100 && started > 300);
	for (int q = 0; q < 3; q++)
		load_is(&is[q], 0, 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest cases[] = {
	    CASE(a_short_url_is_a_get_with_one_slash_and_percent_encoding),
	    CASE(a_url_of_255_bytes_is_a_get_and_of_256_a_post),
	    CASE(a_url_with_a_query_is_asked_by_post),
	    CASE(a_responder_was_asked_when_a_fetch_has_ended),
	    CASE(a_get_that_brings_no_answer_is_followed_by_a_post),
	    CASE(when_the_post_fails_too_the_next_responder_is_asked),
	    CASE(the_post_comes_in_the_asks_own_time),
	    CASE(what_works_is_remembered_for_a_day),
	    CASE(one_stranger_does_not_change_how_the_others_are_asked),
	    CASE(a_nonce_goes_by_post_too),
	    CASE(an_issuer_without_responder_is_told_at_once),
	    CASE(the_time_left_is_shared_by_the_responders_left),
	    CASE(a_refused_answer_sends_the_ask_to_the_next_responder),
	    CASE(unauthorized_outlives_other_reasons),
	    CASE(each_ending_is_told_and_counts_as_it_should),
	    CASE(no_alarm_outlives_the_operators_word),
	    CASE(what_strangers_get_never_counts_but_that_it_cannot_be_reached),
	    CASE(only_several_keys_with_no_success_between_make_it_unwell),
	    CASE(a_stranger_after_the_pause_has_a_known_key_probed),
	    CASE(the_next_probe_goes_with_another_key),
	    CASE(where_nothing_was_answered_yet_anybody_may_probe),
	    CASE(a_stranger_is_answered_while_the_preferred_one_is_probed),
	    CASE(in_back_off_nobody_asks_and_after_it_exactly_one_probe),
	    CASE(a_preferred_responder_is_probed_while_the_other_one_answers),
	    CASE(a_thousand_failures_leave_the_pause_at_its_cap),
	    CASE(fetches_that_fail_together_count_once),
	    CASE(a_timeout_after_a_long_wait_is_no_failure_of_the_responder),
	    CASE(the_operator_ends_a_back_off),
	    CASE(what_is_over_max_in_flight_waits_first_come_first_served),
	    CASE(fetch_rate_is_a_bucket_of_one_second),
	    CASE(an_ask_that_waits_ends_in_its_own_time),
	    CASE(a_full_host_delays_nobody_elses_issuer),
	    CASE(a_busy_issuer_cannot_keep_a_host_for_itself),
	    CASE(a_place_that_is_not_used_goes_to_the_next),
	    CASE(who_waits_in_any_line_is_forgotten_with_it),
	    CASE(strangers_leave_a_quarter_of_each_bound),
	    CASE(strangers_leave_a_quarter_of_a_host),
	    CASE(the_two_classes_take_turns),
	    CASE(done_may_ask_again_and_a_judge_may_cancel),
	    CASE(an_issuer_may_go_while_it_is_asked),
	    CASE(want_of_memory_is_an_error_and_gives_its_place_back),
	    CASE(what_is_under_way_goes_with_the_source),
	    CASE(whatever_happens_each_ask_ends_once_and_no_bound_is_broken),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
