/* upstream.c - queues, turns, health.
 *
 * An ask is waiting (in a lane of its issuer's queue), fetching, or being told its end.
 * Only pump() starts fetches, and pump() runs only from the loop (the kick event or a
 * queue's timer), never inside a caller's ask() or cancel(): so whatever a callback does,
 * it finds the queues whole.
 *
 * A queue has four lanes, two for each class (keys that were answered before, and
 * strangers).  The classes take turns.  Within one, asks that go on from a responder that
 * failed come first, and neither lane holds up the other when the host at its head is
 * full.  A lane that waits for a host stands in that host's line for its class; a place
 * that gets free goes to the first there, so that issuers with a common host take turns.
 */
#include "proxy/source/upstream.h"

#include <assert.h>
#include <ctype.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "cache/ocsp/ocsp_request.h"
#include "cache/ocsp/ocsp_response.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/http/fetch_words.h"
#include "proxy/source/endpoint.h"

#define GET_URL_MAX 255  /* RFC 9919 section 5 */
#define PUMP_MAX    64   /* asks handled in one go, so that no flood holds the loop */
#define LANES       4    /* of each class: going on, fresh */
#define TOKEN       1000 /* what a fetch costs; a rate of n a second adds n each ms */

struct lane;
struct issuer_queue;
TAILQ_HEAD(ask_list, source_ask);
TAILQ_HEAD(lane_list, lane);
TAILQ_HEAD(queue_list, issuer_queue);

enum class { KNOWN, STRANGER, CLASSES };

/* How many asks of each class there are: of fetches under way, or waiting. */
struct share {
	unsigned n[CLASSES];
};

/* host:port of responders, with the fetches under way there. */
struct host {
	char *name;
	struct share in_flight;
	struct lane_list line[CLASSES]; /* lanes whose first ask waits for a place here */
	enum class turn;
};

struct responder {
	char *url;
	struct host *host;
	struct endpoint endpoint;
	const char *last_error;
	char words[FETCH_WORDS_MAX]; /* of last_error */
	uint64_t fetches, failed;
	bool asked; /* one fetch has ended at least */
};

struct lane {
	TAILQ_ENTRY(lane) link; /* in host->line */
	struct host *blocked_on;
	struct host *woken_by; /* has a place for us: pass it on if it is not used */
	struct issuer_queue *queue;
	enum class class;
	struct ask_list asks;
};

/* An issuer's queue, by the issuer's name. */
struct issuer_queue {
	char *name;
	struct upstream *up;
	TAILQ_ENTRY(issuer_queue) link; /* in up->kicked */
	bool is_kicked;
	struct issuer_rules rules; /* as of the last ask */
	struct share in_flight, waiting;
	int64_t tokens, refilled_ms;
	struct event *timer; /* the next token */
	enum class turn;
	struct lane lane[LANES];
};

enum ask_state { ASK_WAITING, ASK_FETCHING, ASK_JUDGING, ASK_CANCELLED };

struct source_ask {
	TAILQ_ENTRY(source_ask) link; /* in lane->asks, or up->busy */
	struct upstream *up;
	struct issuer_queue *queue;
	struct lane *lane;
	enum class class;
	enum ask_state state;
	int64_t deadline_ms;
	int fair_ms; /* a timeout of a fetch that had less says nothing */
	struct event timer;
	source_judge_fn *judge;
	source_done_fn *done;
	void *arg;
	/* the fetch under way: */
	struct fetch *fetch;
	struct responder *at;
	struct place *here; /* the same, in place[] */
	bool posts;
	unsigned epoch;
	int timeout_ms;
	/* the outcome so far: */
	bool tried_any, unauthorized;
	enum err error;
	struct key key;
	uint8_t nonce_n;
	uint8_t nonce[OCSP_NONCE_MAX];
	unsigned n;
	struct place {
		struct responder *r;
		bool tried;
		bool get_failed; /* POST is left */
	} place[];
};

struct upstream {
	struct source source; /* first: the caller's handle */
	struct event_base *base;
	struct fetcher *fetcher;
	struct upstream_config config;
	struct counters *counters;
	uint64_t random;
	void *hosts, *responders, *queues; /* tsearch(3) trees, by their first member */
	struct event *kick;
	struct queue_list kicked;
	struct ask_list busy; /* asks that are in no lane */
};

static void ask_end(struct source_ask *a, enum err e);

/* ---- what is known by name ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The thing of that name, made with size bytes of zeros if there is none.  NULL when out
 * of memory. */
static void *named(void **root, const char *name, size_t size, bool *is_new)
{
	void *found = tfind(&name, root, by_name);
	char **thing;

	*is_new = false;
	if (found != NULL)
		return *(void **)found;
	thing = calloc(1, size);
	if (thing == NULL)
		return NULL;
	*thing = strdup(name);
	if (*thing == NULL || tsearch(thing, root, by_name) == NULL) {
		free(*thing);
		free(thing);
		return NULL;
	}
	*is_new = true;
	return thing;
}

static void *find_named(void *const *root, const char *name)
{
	void *found = tfind(&name, root, by_name);

	return found == NULL ? NULL : *(void **)found;
}

/* "host:port" of a URL, lower case, the scheme's port where it names none. */
static void host_of(const char *url, char *out, size_t room)
{
	const char *p = strstr(url, "://"), *port = "80", *colon;
	char *name;
	size_t n;

	if (strncasecmp(url, "https:", 6) == 0)
		port = "443";
	p = p == NULL ? url : p + 3;
	n = strcspn(p, "/?#");
	if (memchr(p, '@', n) != NULL) { /* user and password */
		const char *at = memrchr(p, '@', n);

		n -= (size_t)(at + 1 - p);
		p = at + 1;
	}
	snprintf(out, room, "%.*s", (int)n, p);
	for (name = out; *name != '\0'; name++)
		*name = (char)tolower((unsigned char)*name);
	colon = strrchr(out, ':');
	if (colon == NULL || strchr(colon, ']') != NULL) {
		n = strlen(out);
		snprintf(out + n, room - n, ":%s", port);
	} else if (colon[1] == '\0') {
		n = strlen(out);
		snprintf(out + n, room - n, "%s", port);
	}
}

static struct responder *responder_get(struct upstream *u, const char *url)
{
	char name[300]; /* a host name has at most 253 octets */
	struct responder *r;
	struct host *h;
	bool is_new;

	host_of(url, name, sizeof name);
	h = named(&u->hosts, name, sizeof *h, &is_new);
	if (h == NULL)
		return NULL;
	for (enum class c = 0; is_new && c < CLASSES; c++)
		TAILQ_INIT(&h->line[c]);
	r = named(&u->responders, url, sizeof *r, &is_new);
	if (r == NULL)
		return NULL;
	if (is_new) {
		r->host = h;
		r->last_error = "";
	}
	return r;
}

/* ---- shares ---- */

static unsigned share_sum(const struct share *s)
{
	return s->n[KNOWN] + s->n[STRANGER];
}

/* What strangers may have of a bound: all but a quarter, all but one of a few.  Who has
 * only one place has none to keep free. */
static unsigned for_strangers(unsigned bound)
{
	return bound - (bound < 2 ? 0 : bound < 8 ? 1 : bound / 4);
}

static bool share_has_room(const struct share *s, enum class c, unsigned bound)
{
	return share_sum(s) < bound &&
	       (c == KNOWN || s->n[STRANGER] < for_strangers(bound));
}

/* ---- turns ---- */

static void queue_kick(struct issuer_queue *q)
{
	struct upstream *u = q->up;

	if (q->is_kicked)
		return;
	q->is_kicked = true;
	TAILQ_INSERT_TAIL(&u->kicked, q, link);
	/* Not event_active() first: other events come before a timer.  But a kick that is
	 * lost would stop the queue for ever, and event_active() needs no memory. */
	if (!timer_arm(u->kick, 0))
		event_active(u->kick, EV_TIMEOUT, 0);
}

static void lane_unblock(struct lane *l)
{
	if (l->blocked_on == NULL)
		return;
	TAILQ_REMOVE(&l->blocked_on->line[l->class], l, link);
	l->blocked_on = NULL;
}

/* A place at h may be free: to the first lane in a line; the lines take turns. */
static void host_wake(const struct upstream *u, struct host *h)
{
	for (int i = 0; i < CLASSES; i++) {
		enum class c = h->turn;
		struct lane *l = TAILQ_FIRST(&h->line[c]);

		h->turn = (c + 1) % CLASSES;
		if (l == NULL ||
		    !share_has_room(&h->in_flight, c, u->config.host_max_in_flight))
			continue;
		lane_unblock(l);
		l->woken_by = h;
		queue_kick(l->queue);
		return;
	}
}

static void lane_block(struct lane *l, struct host *h)
{
	l->blocked_on = h;
	TAILQ_INSERT_TAIL(&h->line[l->class], l, link);
}

enum lane_kind { GOING_ON, FRESH };

static struct lane *lane_of(const struct source_ask *a, enum lane_kind kind)
{
	return &a->queue->lane[2 * a->class + kind];
}

/* Into a lane; l->asks keeps the order of arrival. */
static void ask_wait(struct source_ask *a, struct lane *l)
{
	a->state = ASK_WAITING;
	a->lane = l;
	TAILQ_INSERT_TAIL(&l->asks, a, link);
	a->queue->waiting.n[a->class]++;
	timer_arm(&a->timer, a->deadline_ms - clock_mono_ms());
	queue_kick(a->queue);
}

/* Out of its lane, among the busy ones. */
static void ask_leave(struct source_ask *a)
{
	struct lane *l = a->lane;

	if (TAILQ_FIRST(&l->asks) == a) /* the next one may not have to wait */
		queue_kick(a->queue);
	TAILQ_REMOVE(&l->asks, a, link);
	a->lane = NULL;
	a->queue->waiting.n[a->class]--;
	evtimer_del(&a->timer);
	TAILQ_INSERT_TAIL(&a->up->busy, a, link);
}

static void on_ask_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct source_ask *a = arg;

	(void)fd;
	(void)what;
	assert(a->state == ASK_WAITING);
	ask_leave(a);
	ask_end(a, a->tried_any ? a->error : ERR_UP_BUSY);
}

/* ---- health ---- */

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
}

static void tell_recovered(const struct source_ask *a, int64_t now)
{
	const struct endpoint *p = &a->at->endpoint;

	log_each(LOG_INFO, "upstream_recovered",
	    "issuer=%s url=%s failures=%d down_ms=%lld", a->queue->name, a->at->url,
	    p->failures, (long long)(now - p->failed_at_ms));
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

/* ---- one fetch ---- */

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

/* Give back what the fetch took. */
static void release(struct source_ask *a)
{
	struct responder *r = a->at;

	a->fetch = NULL;
	a->queue->in_flight.n[a->class]--;
	r->host->in_flight.n[a->class]--;
	probe_over(a);
	queue_kick(a->queue);
	host_wake(a->up, r->host);
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
	release(a);
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
		ask_end(a, e);
		return;
	}
	/* Even if no responder is left: pump() finds that out, in one place. */
	TAILQ_REMOVE(&a->up->busy, a, link);
	ask_wait(a, lane_of(a, GOING_ON));
}

static void ask_end(struct source_ask *a, enum err e)
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

/* The responder to ask next, NULL for none; *n: how many could be asked. */
static struct place *next_place(struct source_ask *a, int64_t now, int *n)
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

/* Start the ask at the head of a lane; everything that bounds it was looked at. */
static void ask_start(struct source_ask *a, struct place *p, int64_t left, int places)
{
	struct responder *r = p->r;
	int64_t share = left / places;

	if (share > a->up->config.timeout_ms)
		share = a->up->config.timeout_ms;
	ask_leave(a);
	a->timeout_ms = share < 1 ? 1 : (int)share;
	a->at = r;
	a->here = p;
	a->epoch = r->endpoint.epoch;
	p->tried = true;
	if (!fetch_from(a, p)) {
		ask_end(a, ERR_NOMEM);
		return;
	}
	a->state = ASK_FETCHING;
	a->queue->in_flight.n[a->class]++;
	a->queue->tokens -= TOKEN;
	r->host->in_flight.n[a->class]++;
	r->fetches++;
	if (a->class == KNOWN)
		endpoint_vouch(&r->endpoint, &a->key, a->queue);
	if (r->endpoint.failures > 0)
		r->endpoint.probe = a;
}

static void refill(struct issuer_queue *q, int64_t now)
{
	int64_t full = (int64_t)q->rules.fetch_rate * TOKEN,
		passed = now - q->refilled_ms;

	if (passed > 1000)
		passed = 1000;
	q->refilled_ms = now;
	q->tokens += passed * q->rules.fetch_rate;
	if (q->tokens > full)
		q->tokens = full;
}

static bool has_token(struct issuer_queue *q, int64_t now)
{
	int64_t ms;

	refill(q, now);
	if (q->tokens >= TOKEN)
		return true;
	ms = (TOKEN - q->tokens + q->rules.fetch_rate - 1) / q->rules.fetch_rate;
	if (!timer_arm(q->timer, ms)) /* out of memory: look again at once */
		event_active(q->timer, EV_TIMEOUT, 0);
	return false;
}

/* A place at h for the head of l; if there is none, l stands in line.  A free place is
 * for those who stood in line: who has just come may not overtake them, or an issuer
 * whose own fetches end often would take every place. */
static bool host_has_place(struct lane *l, struct host *h)
{
	if (l->blocked_on == h)
		return false; /* host_wake() takes us out of the line */
	lane_unblock(l);
	if (share_has_room(
		&h->in_flight, l->class, l->queue->up->config.host_max_in_flight) &&
	    (l->woken_by == h || TAILQ_EMPTY(&h->line[l->class])))
		return true;
	lane_block(l, h);
	return false;
}

/* One step for the head of a lane: end it, start it, or find what it waits for (false).
 */
static bool lane_step(struct lane *l)
{
	struct source_ask *a = TAILQ_FIRST(&l->asks);
	struct issuer_queue *q = l->queue;
	int64_t now = clock_mono_ms();
	struct place *p;
	int places;

	if (a == NULL) {
		lane_unblock(l);
		return false;
	}
	p = next_place(a, now, &places);
	if (p == NULL || now >= a->deadline_ms) {
		ask_leave(a);
		ask_end(a, a->tried_any ? a->error
			   : p == NULL  ? ERR_UP_BACKOFF
					: ERR_UP_BUSY);
		return true;
	}
	if (!share_has_room(&q->in_flight, l->class, q->rules.max_in_flight) ||
	    !host_has_place(l, p->r->host))
		return false;
	if (!has_token(q, now))
		return false;
	ask_start(a, p, a->deadline_ms - now, places);
	return true;
}

/* One step for the class whose turn it is, or for the other one. */
static bool class_step(struct issuer_queue *q)
{
	for (int i = 0; i < CLASSES; i++) {
		struct lane *l = &q->lane[2 * q->turn];

		q->turn = (q->turn + 1) % CLASSES;
		if (lane_step(l) || lane_step(l + 1))
			return true;
	}
	return false;
}

/* Hand out turns until nothing more can start.  A lane that got a host's free place and
 * did not use it up passes the rest on. */
static void pump(struct issuer_queue *q)
{
	int done = 0;

	while (done < PUMP_MAX && class_step(q))
		done++;
	if (done == PUMP_MAX)
		queue_kick(q);
	for (int i = 0; i < LANES; i++) {
		struct host *h = q->lane[i].woken_by;

		q->lane[i].woken_by = NULL;
		if (h != NULL)
			host_wake(q->up, h);
	}
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *u = arg;
	struct queue_list now;
	struct issuer_queue *q;

	(void)fd;
	(void)what;
	/* Those that are kicked meanwhile come with the next activation. */
	TAILQ_INIT(&now);
	TAILQ_CONCAT(&now, &u->kicked, link);
	while ((q = TAILQ_FIRST(&now)) != NULL) {
		TAILQ_REMOVE(&now, q, link);
		q->is_kicked = false;
		pump(q);
	}
}

static void on_token(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	queue_kick(arg);
}

/* ---- asking ---- */

static struct issuer_queue *queue_get(struct upstream *u, const struct issuer *i)
{
	bool is_new;
	struct issuer_queue *q = named(&u->queues, i->name, sizeof *q, &is_new);

	if (q == NULL)
		return NULL;
	q->rules = i->rules;
	if (is_new) {
		q->up = u;
		q->tokens = (int64_t)q->rules.fetch_rate * TOKEN;
		q->refilled_ms = clock_mono_ms();
		for (int l = 0; l < LANES; l++) {
			q->lane[l].queue = q;
			q->lane[l].class = (enum class)(l / 2);
			TAILQ_INIT(&q->lane[l].asks);
		}
	}
	if (q->timer == NULL) /* also when memory was short the last time */
		q->timer = evtimer_new(u->base, on_token, q);
	return q->timer == NULL ? NULL : q;
}

/* For url_n places, to be filled in. */
static struct source_ask *ask_new(struct issuer_queue *q, const struct source_question *x,
    size_t url_n, source_judge_fn *judge_fn, source_done_fn *done, void *arg)
{
	struct upstream *u = q->up;
	struct source_ask *a = calloc(1, sizeof *a + url_n * sizeof a->place[0]);

	if (a == NULL)
		return NULL;
	a->up = u;
	a->queue = q;
	a->class = x->known ? KNOWN : STRANGER;
	a->key = *x->key;
	assert(x->nonce.n <= sizeof a->nonce);
	a->nonce_n = (uint8_t)x->nonce.n;
	if (x->nonce.n > 0)
		memcpy(a->nonce, x->nonce.p, x->nonce.n);
	a->n = (unsigned)url_n;
	a->deadline_ms = clock_mono_ms() + x->wait_ms;
	a->fair_ms = x->wait_ms / (int)url_n;
	if (a->fair_ms > u->config.timeout_ms)
		a->fair_ms = u->config.timeout_ms;
	a->fair_ms /= 2;
	a->judge = judge_fn;
	a->done = done;
	a->arg = arg;
	evtimer_assign(&a->timer, u->base, on_ask_timeout, a);
	return a;
}

static enum err probe_judge(void *arg, struct bytes der, const char *from)
{
	struct ocsp_response r;
	enum err e = ocsp_response_parse(&r, der, SIZE_MAX);

	(void)arg, (void)from;
	ERR_clear_error();
	if (e == ERR_OK)
		ocsp_response_free(&r);
	return e;
}

static void probe_done(void *arg, enum err e)
{
	(void)arg, (void)e;
}

/* An endpoint whose pause is over, and only strangers ask: find out with a key that was
 * answered before.  The answer is nobody's; what it says about the endpoint counts. */
static void probe(struct upstream *u, struct responder *r)
{
	struct endpoint *p = &r->endpoint;
	const struct endpoint_vouched *v;
	struct source_ask *a;

	if (p->failures == 0 || !endpoint_may_be_asked(p, NULL, true, clock_mono_ms()) ||
	    (v = endpoint_vouched(p)) == NULL)
		return;
	a = ask_new(v->whose,
	    &(struct source_question){
		.key = &v->key, .known = true, .wait_ms = u->config.timeout_ms},
	    1, probe_judge, probe_done, NULL);
	if (a == NULL)
		return;
	a->place[0].r = r;
	p->probe = a;
	ask_wait(a, lane_of(a, FRESH));
}

static enum err ask_ready(struct source_ask *a, const struct issuer *i)
{
	struct issuer_queue *q = a->queue;
	int places;

	for (unsigned n = 0; n < a->n; n++)
		if ((a->place[n].r = responder_get(a->up, i->ocsp[n])) == NULL)
			return ERR_NOMEM;
	for (unsigned n = 0; n < a->n && a->class == STRANGER; n++)
		probe(a->up, a->place[n].r);
	if (next_place(a, clock_mono_ms(), &places) == NULL)
		return ERR_UP_BACKOFF;
	return share_has_room(&q->waiting, a->class, q->rules.max_waiting) ? ERR_OK
									   : ERR_UP_BUSY;
}

static enum err upstream_ask(struct source *s, const struct source_question *x,
    source_judge_fn *judge_fn, source_done_fn *done, void *arg, struct source_ask **ask)
{
	struct upstream *u = (struct upstream *)s;
	struct source_ask *a = NULL;
	struct issuer_queue *q;
	enum err e = ERR_NOMEM;

	*ask = NULL;
	if (x->issuer->ocsp_n == 0)
		return ERR_UP_NONE;
	q = queue_get(u, x->issuer);
	if (q != NULL)
		a = ask_new(q, x, x->issuer->ocsp_n, judge_fn, done, arg);
	if (a != NULL)
		e = ask_ready(a, x->issuer);
	if (e != ERR_OK) {
		free(a);
		return e;
	}
	ask_wait(a, lane_of(a, FRESH));
	*ask = a;
	return ERR_OK;
}

static void upstream_cancel(struct source *s, struct source_ask *a)
{
	(void)s;
	switch (a->state) {
	case ASK_WAITING:
		ask_leave(a);
		break;
	case ASK_FETCHING:
		fetch_cancel(a->fetch);
		release(a);
		break;
	case ASK_JUDGING: /* from inside its own judge: on_fetched() frees it */
		a->state = ASK_CANCELLED;
		return;
	case ASK_CANCELLED:
		assert(!"cancelled twice");
		return;
	}
	TAILQ_REMOVE(&a->up->busy, a, link);
	free(a);
}

static const struct source_ops upstream_ops = {upstream_ask, upstream_cancel};

struct source *upstream_new(struct event_base *base, struct fetcher *f,
    const struct upstream_config *c, struct counters *counters)
{
	struct upstream *u = calloc(1, sizeof *u);

	if (u == NULL)
		return NULL;
	u->source.ops = &upstream_ops;
	u->base = base;
	u->fetcher = f;
	u->config = *c;
	u->counters = counters;
	TAILQ_INIT(&u->kicked);
	TAILQ_INIT(&u->busy);
	if (getrandom(&u->random, sizeof u->random, GRND_NONBLOCK) < 0)
		u->random = (uint64_t)clock_mono_us();
	u->random |= 1; /* zero would stay zero */
	u->kick = evtimer_new(base, on_kick, u);
	if (u->kick == NULL) {
		free(u);
		return NULL;
	}
	return &u->source;
}

static void drop_all(struct ask_list *list)
{
	struct source_ask *a;

	while ((a = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, a, link);
		if (a->state == ASK_FETCHING)
			fetch_cancel(a->fetch);
		evtimer_del(&a->timer);
		free(a);
	}
}

static void named_free(void *thing)
{
	free(*(char **)thing);
	free(thing);
}

static void queue_free(void *thing)
{
	struct issuer_queue *q = thing;

	for (int i = 0; i < LANES; i++)
		drop_all(&q->lane[i].asks);
	if (q->timer != NULL)
		event_free(q->timer);
	named_free(q);
}

void upstream_free(struct source *s)
{
	struct upstream *u = (struct upstream *)s;

	if (u == NULL)
		return;
	drop_all(&u->busy);
	tdestroy(u->queues, queue_free);
	tdestroy(u->responders, named_free);
	tdestroy(u->hosts, named_free);
	event_free(u->kick);
	free(u);
}

void upstream_configure(struct source *s, const struct upstream_config *c)
{
	struct upstream *u = (struct upstream *)s;

	u->config = *c;
}

void upstream_health(const struct source *s, const char *url, struct upstream_health *out)
{
	const struct upstream *u = (const struct upstream *)s;
	const struct responder *r = find_named(&u->responders, url);
	int64_t left;

	*out = (struct upstream_health){.healthy = true, .last_error = ""};
	if (r == NULL)
		return;
	left = r->endpoint.retry_at_ms - clock_mono_ms();
	out->healthy = r->endpoint.failures == 0;
	out->failures = r->endpoint.failures;
	out->retry_in_ms = r->endpoint.failures > 0 && left > 0 ? left : 0;
	out->asked = r->asked;
	out->last_error = r->words;
	out->fetches = r->fetches;
	out->failed = r->failed;
}

void upstream_load(const struct source *s, const char *issuer, struct upstream_load *out)
{
	const struct upstream *u = (const struct upstream *)s;
	const struct issuer_queue *q = find_named(&u->queues, issuer);

	*out = (struct upstream_load){0};
	if (q == NULL)
		return;
	out->in_flight = share_sum(&q->in_flight);
	out->waiting = share_sum(&q->waiting);
}

void upstream_retry_now(struct source *s, const struct issuer *i)
{
	const struct upstream *u = (const struct upstream *)s;

	for (size_t n = 0; n < i->ocsp_n; n++) {
		struct responder *r = find_named(&u->responders, i->ocsp[n]);

		if (r != NULL)
			endpoint_clear(&r->endpoint);
	}
}
