/* feed_ask.c - when a list is asked for, and what comes of it. */
#include "proxy/lists/feed_list.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "cache/base/backoff.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"

#define NEXT_UPDATE_JITTER 10000 /* ms, or a tenth of the interval: many ask then */
#define FAILURES_MAX       1000  /* counted no further: the pause is at its cap */

/* Times. */

static int64_t pause_ms(struct feed_list *l)
{
	const struct conf *c = feed_conf(l->issuer->feed);
	int64_t interval = l->issuer->interval_ms;
	struct backoff b = {c->backoff_initial_ms,
	    c->crl_backoff_max_ms < interval ? c->crl_backoff_max_ms : interval,
	    (int)c->backoff_doublings};
	int64_t ms = backoff_ms(
	    &b, l->ask.failures, schedule_random(l->issuer->feed->context->schedule));

	return ms < b.max_ms ? ms : b.max_ms;
}

/* crl-interval, give or take a tenth; or when the list in force ends. */
static int64_t interval_ms(struct feed_list *l)
{
	struct schedule *s = l->issuer->feed->context->schedule;
	int64_t ms = l->issuer->interval_ms, width = ms / 10;
	int64_t jitter = width < NEXT_UPDATE_JITTER ? width : NEXT_UPDATE_JITTER, left;
	const struct crl_shard *held = feed_in_force(l);

	ms += width * 2 * schedule_random(s) / 65536 - width;
	if (held == NULL)
		return ms;
	left = held->facts.next_update * 1000 - clock_now_ms() +
	       jitter * schedule_random(s) / 65536;
	return left < ms ? left : ms;
}

static void plan(struct feed_list *l, bool failed)
{
	/* A list that is past its end is looked for as one that failed, whatever the
	 * server says: never a tight loop. */
	if (!failed && !feed_is_over(l))
		l->ask.failures = 0;
	else if (l->ask.failures < FAILURES_MAX)
		l->ask.failures++;
	l->ask.due_ms =
	    clock_mono_ms() + (l->ask.failures > 0 ? pause_ms(l) : interval_ms(l));
	feed_watch_age(l); /* the wall clock may have been stepped since */
}

/* The end. */

static void ask_ends(struct feed_list *l, bool failed)
{
	bool again = l->ask.state == FEED_ASKING_AGAIN && !feed_is_gone(l);

	if (l->ask.state < FEED_ASKING)
		return; /* the list was gone meanwhile, and came back */
	l->ask.state = FEED_IDLE;
	l->ask.tried = true;
	if (l->parked)
		l->ask.error = ERR_OK;
	feed_watch_ask(l);
	plan(l, failed);
	if (again && !l->parked && l->joining == NULL && !l->issuer->feed->cancelled)
		feed_ask(l);
	else
		feed_due(l);
}

static const char *asked_url(const struct feed_list *l)
{
	return l->urls->url[l->ask.site];
}

/* next: the site that is asked instead; as many as there are: none. */
static void log_failed(
    const struct feed_list *l, enum err e, const char *why, size_t next)
{
	const char *event = feed_is_refusal(e) ? "crl_refused" : "crl_fetch_failed";

	if (next < l->urls->n)
		log_warn(event, "issuer=%s url=%s err=%s detail=%s failures=%d next=%s",
		    l->issuer->name, asked_url(l), err_label(e), why,
		    l->site[l->ask.site].failures, l->urls->url[next]);
	else
		log_warn(event, "issuer=%s url=%s err=%s detail=%s failures=%d",
		    l->issuer->name, asked_url(l), err_label(e), why,
		    l->ask.failures + 1);
}

/* Another site would be met by it too. */
static bool is_our_fault(enum err e)
{
	return e == ERR_NOMEM || e == ERR_STORE || e == ERR_CANCELLED;
}

static void ask_site(struct feed_list *l, size_t site);

/* The site that is asked has failed: the next one; as many as there are: none, or nobody
 * waits for it any more. */
static size_t pass_on(struct feed_list *l, enum err e)
{
	if (l->ask.state < FEED_ASKING || feed_is_gone(l) || is_our_fault(e) ||
	    l->issuer->feed->cancelled)
		return l->urls->n;
	feed_site_failed(l, l->ask.site, e);
	return feed_site_next(l);
}

/* Of several sites each error says which it was. */
static void note_error(struct feed_list *l, enum err e, const char *why)
{
	bool named = l->urls->n > 1 && !is_our_fault(e);

	l->ask.error = e;
	snprintf(l->ask.why, sizeof l->ask.why, "%.200s%s%s", named ? asked_url(l) : "",
	    named ? ": " : "", why);
}

/* The file is the one that was refused, and is not read again: told less and less.  The
 * list may have had no error since, from other sites. */
static void ask_refused_again(struct feed_list *l)
{
	enum err e = l->site[l->ask.site].error;
	size_t next = pass_on(l, e);

	if (next < l->urls->n) {
		ask_site(l, next);
		return;
	}
	if (l->ask.error == ERR_OK)
		note_error(l, e, err_text(e));
	if (feed_again(&l->ask.refused))
		log_failed(l, l->ask.error, l->ask.why, next);
	ask_ends(l, true);
}

static void ask_failed(struct feed_list *l, enum err e, const char *why)
{
	const char *words = why[0] != '\0' ? why : err_text(e);
	size_t next = pass_on(l, e);

	if (e != ERR_CANCELLED) {
		l->issuer->failed[e]++;
		l->ask.refused = (struct feed_again){0};
		feed_again(&l->ask.refused);
		log_failed(l, e, words, next);
	}
	if (next < l->urls->n) {
		ask_site(l, next);
		return;
	}
	note_error(l, e, words);
	ask_ends(l, true);
}

/* site: as many as there are where a reload has taken it away since. */
static void site_is_well(struct feed_list *l, size_t site)
{
	bool known = site < l->urls->n;
	int failures = known ? l->site[site].failures : 0;
	bool was_failing = l->ask.error != ERR_OK;

	if (was_failing || failures > 0)
		log_settled(LOG_INFO, "crl_recovered", "issuer=%s url=%s failures=%d",
		    l->issuer->name, known ? l->urls->url[site] : feed_url(l),
		    was_failing ? l->ask.failures : failures);
	l->ask.from = site;
	if (known) {
		l->site[site].failures = 0;
		l->site[site].again_ms = 0;
	}
}

static void ask_went_well(struct feed_list *l, size_t site)
{
	site_is_well(l, site);
	l->ask.error = ERR_OK;
	l->ask.fetched_at = clock_now();
	if (l->conf ==
	    FEED_RELIEVING) { /* not before: what the disk had may be older than those */
		l->conf = FEED_LISTED;
		feed_drop_kept(l->issuer, "replaced");
		feed_next(l->issuer);
	}
	ask_ends(l, false);
}

/* What was read. */

/* R95: a number that is lower than the one in force.  Who has to act is the CA, but where
 * an old list came once more. */
static void log_number(
    const struct feed_work *w, int level, const char *event, const char *effect)
{
	const struct crl_shard *s = feed_in_force(w->list);
	char number[CRL_NUMBER_TEXT_MAX], was[CRL_NUMBER_TEXT_MAX] = "";
	char hex[CRL_NUMBER_HEX_MAX], was_hex[CRL_NUMBER_HEX_MAX] = "";

	crl_number_text(&w->job.facts, number);
	crl_number_hex(&w->job.facts, hex);
	if (s != NULL) {
		crl_number_text(&s->facts, was);
		crl_number_hex(&s->facts, was_hex);
	}
	log_event(level, event,
	    "issuer=%s url=%s crl_number=%s crl_number_hex=%s was=%s was_hex=%s "
	    "effect=%s",
	    w->issuer->name, w->job.url, number, hex, was, was_hex, effect);
}

static void number_refused(const struct feed_work *w)
{
	const struct crl_shard *s = feed_in_force(w->list);
	bool old = s != NULL && w->job.facts.this_update < s->facts.this_update;

	log_number(w, old ? LEVEL_WARN : LEVEL_ERROR, "crl_number_back", "refused");
}

/* Before it takes the place of the other. */
static void number_taken(struct feed_work *w)
{
	if (w->job.facts.warnings & CRL_WARN_BACK)
		log_number(w, LEVEL_ERROR, "crl_number_back", "taken");
	if (w->job.facts.warnings & CRL_WARN_ACCEPTED)
		log_number(w, LEVEL_WARN, "crl_number_accepted", "a new count");
	w->list->ask.accept_ms = 0;
}

/* By which the list is known again where it was read from, unless a reload has moved it
 * meanwhile.  A file elsewhere that is the one that was read there is not the list in
 * force any more. */
static void learn_marks(const struct feed_work *w, size_t site)
{
	struct feed_list *l = w->list;
	const struct crl_job *j = &w->job;

	if (j->error == ERR_OK && j->read.found == CRL_READ_NEW)
		for (size_t k = 0; k < l->urls->n; k++)
			l->site[k].stamp.known &= k == site || l->site[k].stamp.refused;
	if (site == l->urls->n)
		return;
	if (j->read.local)
		l->site[site].stamp = j->read.stamp;
	else if (j->error == ERR_OK)
		l->site[site].hints = j->hints;
}

/* The list that stands at this place in the set in force. */
static struct feed_list *list_at(const struct feed_issuer *i, int place)
{
	for (size_t n = 0; n < i->n; n++)
		if (i->list[n]->place == place)
			return i->list[n];
	return NULL;
}

/* A list that is complete was read under two URLs: the later one is a place of the
 * earlier one. */
static void join_twin(const struct feed_work *w)
{
	struct feed_list *other = list_at(w->issuer, w->job.read.twin);

	if (w->job.read.twin < 0 || other == NULL)
		return;
	if (w->job.read.found == CRL_READ_TWIN)
		feed_join_soon(w->list, other);
	else
		feed_join_soon(other, w->list);
}

static void read_done(struct feed_work *w, bool skipped)
{
	struct feed_list *l = w->list;
	const struct crl_job *j = &w->job;
	size_t site;

	assert(j->kind == CRL_JOB_READ && l->ask.fetching != w);
	if (skipped) {
		feed_work_free(w);
		return;
	}
	if (w->ca != l->issuer->ca) { /* verified by other certificates than today's */
		feed_work_free(w);
		feed_ask_again(l);
		l->ask.anew = true;
		ask_ends(l, false);
		return;
	}
	site = feed_urls_find(l->urls, j->url);
	learn_marks(w, site);
	join_twin(w);
	if (j->error == ERR_OK && j->read.found == CRL_READ_NEW) {
		number_taken(w);
		feed_publish(w);
		ask_went_well(l, site);
		return;
	}
	if (j->read.found != CRL_READ_REFUSED)
		l->ask.number_back = j->read.number_back;
	if (j->read.number_back)
		number_refused(w);
	if (j->read.found == CRL_READ_REFUSED)
		ask_refused_again(l);
	else if (j->read.found == CRL_READ_UNCHANGED || j->read.found == CRL_READ_TWIN)
		ask_went_well(l, site);
	else
		ask_failed(l, j->error, j->why);
	feed_work_free(w);
}

/* The fetch. */

static void on_fetched(void *arg, const struct fetch_result *r)
{
	struct feed_work *w = feed_work_of(arg);
	struct feed_list *l = w->list;
	char why[sizeof l->ask.why];

	assert(l->ask.fetching == w && l->ask.state >= FEED_ASKING);
	l->ask.fetch = NULL;
	l->ask.fetching = NULL;
	w->fetch_us = r->us;
	if (r->error == ERR_OK && r->status == 200) {
		crl_hints_take(&w->job.hints, r->etag, r->last_modified, r->date);
		feed_work_queue(w);
		return;
	}
	if (r->error == ERR_UP_SIZE) { /* an OCSP answer's words would mislead */
		ask_failed(l, ERR_CRL_LARGE, "the list has more bytes than crl-max-size");
	} else if (r->error == ERR_STORE) {
		snprintf(why, sizeof why, "%.400s: %s", w->job.read.path, r->detail);
		ask_failed(l, ERR_STORE, why);
	} else if (r->error == ERR_OK && r->status == 304 && w->conditional) {
		ask_went_well(l, w->site);
	} else {
		ask_failed(l, r->error != ERR_OK ? r->error : ERR_UP_HTTP, r->detail);
	}
	feed_work_free(w);
}

/* The file is made here: a name in a folder of ours waits for no fsync. */
static void begin_fetch(struct feed_work *w)
{
	struct feed_list *l = w->list;
	const struct crl_shard *s = feed_in_force(l);
	const struct crl_hints *hints = &l->site[w->site].hints;
	const struct conf *c = feed_conf(w->feed);
	char why[sizeof l->ask.why];
	struct fetch_request r = {.url = w->job.url,
	    .learnt = l->learnt != LEARNT_COUNT,
	    .accept = "application/pkix-crl",
	    .timeout_ms = (int)c->crl_timeout_ms,
	    .max_size = (size_t)c->crl_max_size,
	    .sink = true};

	w->job.read.fd = crl_state_new(l->dir, w->job.read.path, sizeof w->job.read.path);
	if (w->job.read.fd < 0) {
		w->job.read.path[0] = '\0';
		snprintf(why, sizeof why, "%.400s: %s", l->dir, strerror(errno));
		ask_failed(l, ERR_STORE, why);
		feed_work_free(w);
		return;
	}
	r.sink_fd = w->job.read.fd;
	if (s != NULL && memcmp(hints->sha256, s->facts.sha256, 32) == 0) {
		r.if_none_match = hints->etag[0] != '\0' ? hints->etag : NULL;
		r.if_modified_since =
		    hints->last_modified[0] != '\0' ? hints->last_modified : NULL;
	}
	w->conditional = r.if_none_match != NULL || r.if_modified_since != NULL;
	l->ask.fetching = w;
	l->ask.fetch = fetch_start(w->feed->fetcher, &r, on_fetched, w);
	if (l->ask.fetch != NULL)
		return;
	l->ask.fetching = NULL;
	ask_failed(l, ERR_NOMEM, "");
	feed_work_free(w);
}

void feed_stop_fetch(struct feed_list *l)
{
	struct feed_work *w = l->ask.fetching;

	if (w == NULL)
		return;
	assert(l->ask.state >= FEED_ASKING);
	fetch_cancel(l->ask.fetch);
	l->ask.fetch = NULL;
	l->ask.fetching = NULL;
	l->ask.state = FEED_IDLE;
	feed_work_free(w);
}

void feed_ask_again(struct feed_list *l)
{
	if (l->ask.state == FEED_ASKING)
		l->ask.state = FEED_ASKING_AGAIN;
}

static void ask_site(struct feed_list *l, size_t site)
{
	struct feed_work *w;

	assert(l->ask.state >= FEED_ASKING && l->ask.fetch == NULL);
	l->ask.site = site;
	w = feed_work_new(l->issuer, l, CRL_JOB_READ, read_done);
	if (w == NULL) {
		ask_failed(l, ERR_NOMEM, "");
		return;
	}
	w->job.read.anew = l->ask.anew;
	l->ask.anew = false;
	if (l->site[site].local)
		feed_work_queue(w);
	else
		begin_fetch(w);
}

void feed_ask(struct feed_list *l)
{
	assert(l->ask.state == FEED_IDLE && l->ask.fetch == NULL && !feed_is_gone(l));
	if (l->parked || l->joining != NULL)
		return;
	l->ask.state = FEED_ASKING;
	l->ask.been = 0;
	ask_site(l, feed_site_next(l));
}
