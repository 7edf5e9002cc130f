/* upstream_fetch.c - one fetch of an ask, and what its ending says of the responder. */
#include "proxy/base/clock.h"

#include <assert.h>
#include <event2/event.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proxy/base/alarms.h"
#include "proxy/base/log.h"
#include "proxy/source/upstream_core.h"

#define GET_URL_MAX 255 /* RFC 9919 section 5 */

/* Health. */

/* xorshift64: jitter needs no secrecy. */
static unsigned random16(struct upstream *u)
{
	u->random ^= u->random << 13;
	u->random ^= u->random >> 7;
	u->random ^= u->random << 17;
	return (unsigned)(u->random >> 32) & 0xffff;
}

static bool may_be_asked(
    const struct source_ask *a, const struct responder *r, int64_t now)
{
	return endpoint_may_be_asked(&r->endpoint, a, a->class == KNOWN, now);
}

static void tell_failed(
    const struct source_ask *a, const struct fetch_result *f, enum err e, int64_t pause)
{
	log_warn("upstream_failed",
	    "issuer=%s url=%s err=%s status=%d detail=%s ms=%lld failures=%d "
	    "retry_ms=%lld",
	    a->queue->name, a->at->url, err_label(e), f->status, f->detail,
	    (long long)(f->us / 1000), a->at->endpoint.failures, (long long)pause);
	alarm_raise(ALARM_RESPONDER_DOWN, a->queue->name, a->at->url,
	    f->detail[0] != '\0' ? f->detail : err_text(e));
}

static void tell_recovered(const struct source_ask *a, int64_t now)
{
	const struct endpoint *p = &a->at->endpoint;

	log_settled(LOG_INFO, "upstream_recovered",
	    "issuer=%s url=%s failures=%d down_ms=%lld", a->queue->name, a->at->url,
	    p->failures, (long long)(now - p->failed_at_ms));
	alarm_clear_all(ALARM_RESPONDER_DOWN, a->at->url);
}

/* Serials that nobody has bring errors all day, also from one that answers others. */
static void tell_error(
    const struct source_ask *a, const struct fetch_result *f, enum err e)
{
	bool worth = a->class == KNOWN || !endpoint_has_answered(&a->at->endpoint);

	log_event(worth ? LOG_WARN : LOG_INFO, "upstream_error",
	    "issuer=%s url=%s err=%s status=%d detail=%s ms=%lld", a->queue->name,
	    a->at->url, err_label(e), f->status, f->detail, (long long)(f->us / 1000));
}

/* Is e an answer that is of use, or none at all? */
static bool is_error(enum err e)
{
	switch (e) {
	case ERR_UP_TIMEOUT:
	case ERR_UP_CONNECT:
	case ERR_UP_HTTP:
	case ERR_UP_TYPE:
	case ERR_UP_TRUNCATED:
	case ERR_RESP_INTERNAL:
	case ERR_RESP_TRYLATER:
		return true;
	default:
		return false;
	}
}

/* What came last, for people: the label first, so that it can be told by a program. */
static void note_words(struct responder *r, const struct fetch_result *f)
{
	snprintf(r->words, sizeof r->words, "%s%s%s", r->last_error,
	    r->last_error[0] != '\0' && f->detail[0] != '\0' ? ": " : "",
	    r->last_error[0] != '\0' ? f->detail : "");
}

/* What an ending of one fetch says about the responder. */
static void note_health(struct source_ask *a, const struct fetch_result *f, enum err e)
{
	struct upstream *u = a->up;
	struct endpoint *p = &a->at->endpoint;
	struct endpoint_news news = {
	    .word = endpoint_word(f, a->timeout_ms >= a->fair_ms),
	    .key = &a->key,
	    .known = a->class == KNOWN,
	    .admitted = e == ERR_OK,
	    .epoch = a->epoch};
	int64_t now = clock_mono_ms(), pause;

	a->at->failed += is_error(e);
	a->at->last_error = e == ERR_OK || e == ERR_RESP_UNAUTHORIZED ||
				    e == ERR_RESP_MALFORMED || e == ERR_RESP_SIGREQ
				? ""
				: err_label(e);
	note_words(a->at, f);
	if (e == ERR_OK) {
		endpoint_vouch(p, &a->key, a->queue);
		if (!a->posts || a->here->get_failed)
			endpoint_answered(p, a->posts, news.known, now);
	}
	switch (endpoint_heard(p, &news, now)) {
	case ENDPOINT_FELL:
		pause = backoff_ms(&u->config.backoff, p->failures, random16(u));
		p->retry_at_ms = now + pause;
		tell_failed(a, f, e, pause);
		break;
	case ENDPOINT_ROSE:
		tell_recovered(a, now);
		endpoint_clear(p);
		break;
	case ENDPOINT_AS_BEFORE:
		if (is_error(e))
			tell_error(a, f, e);
		break;
	}
}

/* One fetch. */

static bool type_is_ocsp(const char *type)
{
	static const char ocsp[] = "application/ocsp-response";
	size_t n = strcspn(type, "; \t");

	return n == sizeof ocsp - 1 && strncasecmp(type, ocsp, n) == 0;
}

#define PATH_MAX_N (3 * (OCSP_REQUEST_MAX * 4 / 3 + 4) + 1)

/* base64 of the request, percent-encoded (RFC 6960 appendix A.1). */
static void encode_path(struct bytes der, char out[PATH_MAX_N])
{
	unsigned char b64[OCSP_REQUEST_MAX * 4 / 3 + 8];

	EVP_EncodeBlock(b64, der.p, (int)der.n);
	for (const unsigned char *p = b64; *p != '\0'; p++) {
		if (*p == '+' || *p == '/' || *p == '=') {
			memcpy(out, *p == '+' ? "%2B" : *p == '/' ? "%2F" : "%3D", 3);
			out += 3;
		} else {
			*out++ = (char)*p;
		}
	}
	*out = '\0';
}

/* The URL of a GET; false: it has to be a POST.  A URL with a query is no prefix to put a
 * path behind. */
static bool get_url(const char *url, struct bytes der, char out[GET_URL_MAX + 1])
{
	char path[PATH_MAX_N];
	size_t n = strlen(url);
	int made;

	if (strpbrk(url, "?#") != NULL)
		return false;
	while (n > 0 && url[n - 1] == '/')
		n--;
	encode_path(der, path);
	made = snprintf(out, GET_URL_MAX + 1, "%.*s/%s", (int)n, url, path);
	return made > 0 && made <= GET_URL_MAX;
}

/* Whoever was to find out and did not: another may. */
static void probe_over(const struct source_ask *a)
{
	for (unsigned n = 0; n < a->n; n++)
		if (a->place[n].r->endpoint.probe == a)
			a->place[n].r->endpoint.probe = NULL;
}

void upstream_release(struct source_ask *a)
{
	struct responder *r = a->at;

	assert(a->queue->in_flight.n[a->class] > 0 && r->host->in_flight.n[a->class] > 0);
	a->fetch = NULL;
	a->queue->in_flight.n[a->class]--;
	r->host->in_flight.n[a->class]--;
	probe_over(a);
	upstream_kick(a->queue);
	upstream_wake(a->up, r->host);
}

static enum err judge(struct source_ask *a, const struct fetch_result *f)
{
	enum err e;

	if (f->error != ERR_OK)
		return f->error;
	if (f->status != 200)
		return ERR_UP_HTTP;
	e = a->judge(a->arg, f->body, a->at->url);
	/* What was no OCSP response by name either is a web page, not a bad signature. */
	if (e == ERR_RESP_DER && !type_is_ocsp(f->content_type))
		return ERR_UP_TYPE;
	return e;
}

/* No OCSP answer, though somebody answered: POST may do better. */
static bool brought_none(const struct fetch_result *f, enum err e)
{
	switch (e) {
	case ERR_UP_HTTP:
	case ERR_UP_TYPE:
	case ERR_UP_TRUNCATED:
	case ERR_UP_CONNECT:
		return f->reached;
	case ERR_UP_SIZE: /* a long page */
		return f->status != 200 || !type_is_ocsp(f->content_type);
	case ERR_RESP_DER:
	case ERR_RESP_MALFORMED:
		return true;
	default:
		return false;
	}
}

/* Is POST still to be tried where the ask has just been? */
static bool posts_next(struct source_ask *a, const struct fetch_result *f, enum err e)
{
	if (a->posts || !brought_none(f, e) || clock_mono_ms() >= a->deadline_ms)
		return false;
	a->here->get_failed = true;
	a->here->tried = false;
	return true;
}

static void on_fetched(void *arg, const struct fetch_result *f)
{
	struct source_ask *a = arg;
	enum err e;

	assert(a->state == ASK_FETCHING);
	metrics_observe_us(a->up->counters, H_FETCH, f->us);
	upstream_release(a);
	a->at->asked = true;
	a->state = ASK_JUDGING;
	e = judge(a, f);
	log_debug("upstream_fetch", "issuer=%s url=%s method=%s err=%s status=%d ms=%lld",
	    a->queue->name, a->at->url, a->posts ? "POST" : "GET", err_label(e),
	    f->status, (long long)(f->us / 1000));
	if (!posts_next(a, f, e))
		note_health(a, f, e);
	if (a->state == ASK_CANCELLED) {
		TAILQ_REMOVE(&a->up->busy, a, link);
		free(a);
		return;
	}
	a->tried_any = true;
	a->error = e;
	a->unauthorized |= e == ERR_RESP_UNAUTHORIZED;
	if (e == ERR_OK) {
		upstream_end(a, e);
		return;
	}
	/* Even if no responder is left: pump() finds that out, in one place. */
	TAILQ_REMOVE(&a->up->busy, a, link);
	upstream_wait(a, upstream_lane(a, GOING_ON));
}

void upstream_end(struct source_ask *a, enum err e)
{
	source_done_fn *done = a->done;
	void *arg = a->arg;

	TAILQ_REMOVE(&a->up->busy, a, link);
	if (e != ERR_OK && a->unauthorized)
		e = ERR_RESP_UNAUTHORIZED;
	probe_over(a);
	free(a);
	done(arg, e);
}

struct place *upstream_next(struct source_ask *a, int64_t now, int *n)
{
	struct place *first = NULL;

	*n = 0;
	for (unsigned i = 0; i < a->n; i++) {
		struct place *p = &a->place[i];

		if (p->tried || !may_be_asked(a, p->r, now))
			continue;
		if (first == NULL)
			first = p;
		++*n;
	}
	return first;
}

static bool fetch_from(struct source_ask *a, const struct place *p)
{
	char url[GET_URL_MAX + 1];
	uint8_t request[OCSP_REQUEST_MAX];
	struct bytes der = bytes_of(request,
	    ocsp_request_build(&a->key, bytes_of(a->nonce, a->nonce_n), request));
	bool get = !p->get_failed && !endpoint_posts(&p->r->endpoint, clock_mono_ms()) &&
		   get_url(p->r->url, der, url);
	struct fetch_request q = {
	    .url = get ? url : p->r->url,
	    .content_type = "application/ocsp-request",
	    .accept = "application/ocsp-response",
	    .body = get ? bytes_of(NULL, 0) : der,
	    .timeout_ms = a->timeout_ms,
	    .max_size = a->up->config.max_size,
	};

	a->posts = !get;
	a->fetch = fetch_start(a->up->fetcher, &q, on_fetched, a);
	return a->fetch != NULL;
}

void upstream_start(struct source_ask *a, struct place *p, int64_t left, int places)
{
	struct responder *r = p->r;
	int64_t share = left / places;

	if (share > a->up->config.timeout_ms)
		share = a->up->config.timeout_ms;
	upstream_leave(a);
	a->timeout_ms = share < 1 ? 1 : (int)share;
	a->at = r;
	a->here = p;
	a->epoch = r->endpoint.epoch;
	p->tried = true;
	if (!fetch_from(a, p)) {
		upstream_end(a, ERR_NOMEM);
		return;
	}
	a->state = ASK_FETCHING;
	a->queue->in_flight.n[a->class]++;
	a->queue->tokens -= UPSTREAM_TOKEN;
	r->host->in_flight.n[a->class]++;
	r->fetches++;
	if (a->class == KNOWN)
		endpoint_vouch(&r->endpoint, &a->key, a->queue);
	if (r->endpoint.failures > 0)
		r->endpoint.probe = a;
}
