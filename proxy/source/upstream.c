/* upstream.c - what is known by name; asking and cancelling; its life. */
#include "proxy/source/upstream.h"

#include <assert.h>
#include <ctype.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cache/ocsp/ocsp_response.h"
#include "proxy/base/alarms.h"
#include "proxy/base/clock.h"
#include "proxy/base/seed.h"
#include "proxy/source/upstream_core.h"

/* What is known by name. */

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

/* Asking. */

static struct issuer_queue *queue_get(struct upstream *u, const struct issuer *i)
{
	bool is_new;
	struct issuer_queue *q = named(&u->queues, i->name, sizeof *q, &is_new);

	if (q == NULL)
		return NULL;
	q->rules = i->rules;
	if (is_new) {
		q->up = u;
		q->tokens = (int64_t)q->rules.fetch_rate * UPSTREAM_TOKEN;
		q->refilled_ms = clock_mono_ms();
		for (int l = 0; l < UPSTREAM_LANES; l++) {
			q->lane[l].queue = q;
			q->lane[l].class = (enum class)(l / 2);
			TAILQ_INIT(&q->lane[l].asks);
		}
	}
	if (q->timer == NULL) /* also when memory was short the last time */
		q->timer = evtimer_new(u->base, upstream_on_token, q);
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
	evtimer_assign(&a->timer, u->base, upstream_on_timeout, a);
	return a;
}

static enum err probe_judge(void *arg, struct bytes der, const char *from)
{
	struct ocsp_response r;
	enum err e = ocsp_response_parse(&r, der, SIZE_MAX, NULL);

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
	upstream_wait(a, upstream_lane(a, FRESH));
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
	if (upstream_next(a, clock_mono_ms(), &places) == NULL)
		return ERR_UP_BACKOFF;
	return upstream_has_room(&q->waiting, a->class, q->rules.max_waiting)
		   ? ERR_OK
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
	upstream_wait(a, upstream_lane(a, FRESH));
	*ask = a;
	return ERR_OK;
}

static void upstream_cancel(struct source *s, struct source_ask *a)
{
	(void)s;
	switch (a->state) {
	case ASK_WAITING:
		upstream_leave(a);
		break;
	case ASK_FETCHING:
		fetch_cancel(a->fetch);
		upstream_release(a);
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
	u->random = seed_new() | 1; /* zero would stay zero */
	u->kick = evtimer_new(base, upstream_on_kick, u);
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

	for (int i = 0; i < UPSTREAM_LANES; i++)
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
	out->in_flight = upstream_sum(&q->in_flight);
	out->waiting = upstream_sum(&q->waiting);
}

void upstream_retry_now(struct source *s, const struct issuer *i)
{
	const struct upstream *u = (const struct upstream *)s;

	for (size_t n = 0; n < i->ocsp_n; n++) {
		struct responder *r = find_named(&u->responders, i->ocsp[n]);

		if (r == NULL)
			continue;
		/* nothing that it does well now is a recovery: this is the end of it */
		if (r->endpoint.failures > 0)
			alarm_clear_all(ALARM_RESPONDER_DOWN, i->ocsp[n]);
		endpoint_clear(&r->endpoint);
	}
}
