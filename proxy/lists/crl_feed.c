/* crl_feed.c - when each list is asked for, and what comes of it.
 *
 * One timer stands at the earliest of all due times.  Jobs of an issuer run one at a
 * time, so that each begins with the set that the one before left in force; whatever has
 * changed meanwhile (reload, other certificates) is looked at when a job comes back.
 */
#include "cache/base/backoff.h"
#include "proxy/base/timer.h"
#include "proxy/lists/feed_list.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"

#define NEXT_UPDATE_JITTER 10000 /* ms, or a tenth of the interval: many ask then */
#define FAILURES_MAX       1000  /* counted no further: the pause is at its cap */

static _Atomic uint64_t generations; /* 0 is nobody's */

static void ask(struct feed_list *l);
static void swap(struct feed_work *w);
static void arranged(struct feed_work *w, bool skipped);
static void read_done(struct feed_work *w, bool skipped);

/* ---- small things ---- */

const struct crl_shard *feed_in_force(const struct feed_list *l)
{
	const struct crl_set *s = feed_set_of(l->issuer);

	return l->place >= 0 && (size_t)l->place < s->shards_n &&
		       s->shard[l->place].in_force
		   ? &s->shard[l->place]
		   : NULL;
}

size_t feed_kept(const struct feed_issuer *i)
{
	const struct feed_list *l;
	size_t n = 0;

	LIST_FOREACH(l, &i->gone, link)
		n += l->kept;
	return n;
}

static bool is_kept_untold(const struct feed_issuer *i)
{
	const struct feed_list *l;

	LIST_FOREACH(l, &i->gone, link)
		if (l->kept && l->untold)
			return true;
	return false;
}

void feed_drop_kept(struct feed_issuer *i, const char *why)
{
	struct feed_list *l;

	for (size_t n = 0; n < i->n; n++)
		if (i->list[n]->relieves)
			return;
	LIST_FOREACH(l, &i->gone, link) {
		if (!l->kept)
			continue;
		l->kept = false;
		i->rearrange = true;
		log_warn("crl_dropped", "issuer=%s url=%s entries=%zu reason=%s", i->name,
		    l->url, feed_in_force(l) != NULL ? feed_in_force(l)->n : 0, why);
	}
}

uint64_t feed_generation(void)
{
	return atomic_fetch_add(&generations, 1) + 1;
}

bool feed_is_unopened(const struct feed_issuer *i)
{
	for (size_t n = 0; n < i->n; n++)
		if (!i->list[n]->looked)
			return true;
	return false;
}

/* From this store on, every cached answer of the issuer is looked up again. */
const struct crl_set *feed_put(struct feed_issuer *i, struct crl_set *s, bool unopened)
{
	const struct crl_set *old = feed_set_of(i);

	if (s->shards_n > 0) /* the two others are everybody's */
		s->unopened = unopened;
	assert(s->unopened == unopened);
	i->feed->unopened += (size_t)s->unopened - (size_t)old->unopened;
	atomic_store_explicit(&i->slot->set, s, memory_order_release);
	return old;
}

/* ---- work ---- */

struct feed_work *feed_work_new(struct feed_issuer *i, struct feed_list *l,
    enum crl_job_kind kind, void (*done)(struct feed_work *w, bool skipped))
{
	struct feed_work *w = calloc(1, sizeof *w);

	if (w == NULL)
		return NULL;
	w->job.kind = kind;
	w->job.fd = -1;
	w->done = done;
	w->feed = i->feed;
	w->issuer = i;
	w->list = l;
	if (l != NULL) {
		w->job.scope = l->scope;
		w->job.dir = l->dir;
		w->job.local = l->local;
		w->job.url = strdup(l->url);
		if (w->job.url == NULL) {
			free(w);
			return NULL;
		}
		l->works++;
	}
	TAILQ_INSERT_TAIL(&i->feed->works, w, link);
	return w;
}

static void clear_work(void *arg)
{
	struct feed_work *w = arg;

	crl_job_clear(&w->job);
	crl_set_unref(w->retired);
	free(w);
}

static void detach(struct feed_work *w)
{
	TAILQ_REMOVE(&w->feed->works, w, link);
	if (w->list != NULL)
		w->list->works--;
	feed_ca_unref(w->ca);
}

void feed_work_free(struct feed_work *w)
{
	struct executor *bulk = w->feed->bulk;

	detach(w);
	executor_run(bulk, clear_work, NULL, w);
}

struct trash {
	const struct crl_set *a, *b;
};

static void trash_work(void *arg)
{
	struct trash *t = arg;

	crl_set_unref(t->a);
	crl_set_unref(t->b);
	free(t);
}

void feed_release_old(struct feed_work *w)
{
	struct trash *t = malloc(sizeof *t);

	if (t == NULL) {
		crl_set_unref(w->retired);
		crl_set_unref(w->job.old);
	} else {
		*t = (struct trash){w->retired, w->job.old};
		executor_run(w->feed->bulk, trash_work, NULL, t);
	}
	w->retired = w->job.old = NULL;
}

static void on_retired(struct barrier_want *want)
{
	struct feed_work *w =
	    (struct feed_work *)((char *)want - offsetof(struct feed_work, want));

	feed_release_old(w);
	feed_work_free(w);
}

void feed_retire(struct feed_work *w)
{
	w->want.done = on_retired;
	barrier_pass(w->feed->parts.barrier, &w->want);
}

/* What the job begins with, as it is now. */
static void fill_in(struct feed_work *w)
{
	struct feed_issuer *i = w->issuer;
	const struct conf *c = feed_conf(w->feed);
	struct crl_job *j = &w->job;

	w->ca = i->ca;
	w->ca->refs++;
	j->issuer = w->ca->issuer;
	if (feed_has_places(i))
		j->old = crl_set_ref(feed_set_of(i));
	if (j->kind == CRL_JOB_ARRANGE)
		j->shards_n = i->n + feed_kept(i);
	else
		j->shards_n = j->old != NULL ? j->old->shards_n : i->n;
	j->generation = feed_generation();
	j->now = clock_now();
	j->absent = i->absent;
	j->skew_s = c->clock_skew_ms / 1000;
	j->max_size = (uint64_t)c->crl_max_size;
	j->stop = &w->feed->stop;
}

/* Where no list has a place, the next set is arranged as they are configured. */
static void take_places(struct feed_issuer *i)
{
	struct feed_list *l;

	if (feed_has_places(i))
		return;
	LIST_FOREACH(l, &i->gone, link)
		l->place = -1;
	for (size_t n = 0; n < i->n; n++)
		i->list[n]->place = (int)n;
}

static bool told_is_in_force(const struct feed_list *l)
{
	const struct crl_shard *s = feed_in_force(l);

	return s != NULL && l->has_told && !l->telling && !l->next_left &&
	       memcmp(l->told, s->facts.sha256, sizeof l->told) == 0;
}

static void begin_job(struct feed_work *w)
{
	struct feed_list *l = w->list;
	struct crl_job *j = &w->job;

	fill_in(w);
	if (l != NULL) {
		take_places(w->issuer);
		j->shard = j->old != NULL || j->kind != CRL_JOB_DIFF ? l->place : -1;
		j->first = !l->known && l->works == 1; /* this one */
		j->stamp = l->stamp;
		j->diff = told_is_in_force(l);
		j->accept_number =
		    j->kind == CRL_JOB_READ && clock_mono_ms() < l->accept_ms;
		j->succeeds = j->kind == CRL_JOB_READ && l->relieves && l->known &&
			      !l->has_told && feed_kept(l->issuer) > 0;
		j->others_untold = j->succeeds && is_kept_untold(l->issuer);
	}
	feed_run(w);
}

void feed_work_queue(struct feed_work *w)
{
	TAILQ_INSERT_TAIL(&w->issuer->queue, w, waiting);
	feed_next(w->issuer);
}

/* No list is configured any more. */
static bool take_out_of_force(struct feed_issuer *i)
{
	struct feed_work *w = feed_work_new(i, NULL, CRL_JOB_ARRANGE, arranged);
	struct feed_list *l;

	if (w == NULL)
		return false;
	i->rearrange = false;
	crl_set_ref(&crl_set_none);
	w->retired = feed_put(i, &crl_set_none, false);
	LIST_FOREACH(l, &i->gone, link)
		l->place = -1;
	feed_retire(w);
	return true;
}

/* The set for the lists that are configured now, and those that are kept behind them. */
static bool begin_arranging(struct feed_issuer *i)
{
	struct feed_work *w = feed_work_new(i, NULL, CRL_JOB_ARRANGE, arranged);
	struct feed_list *l;
	size_t places = i->n;
	int *map = malloc((i->n + feed_kept(i) + 1) * sizeof *map);

	if (w == NULL || map == NULL) {
		free(map);
		if (w != NULL)
			feed_work_free(w);
		return false;
	}
	i->rearrange = false;
	for (size_t n = 0; n < i->n; n++) {
		map[n] = i->list[n]->drop ? -1 : i->list[n]->place;
		i->list[n]->next_place = (int)n;
	}
	LIST_FOREACH(l, &i->gone, link) {
		l->next_place = l->kept ? (int)places : -1;
		if (l->kept)
			map[places++] = l->place;
	}
	w->job.map = map;
	begin_job(w);
	return true;
}

static bool may_begin(const struct feed_work *w)
{
	const struct feed_list *l = w->list;

	/* current is about to be another: feed_open() asks again */
	return !l->gone && (w->job.kind != CRL_JOB_OPEN || l->unsettled == 0);
}

/* False: out of memory, or too early after that. */
static bool arrange(struct feed_issuer *i)
{
	struct crl_feed *f = i->feed;

	if (clock_mono_ms() >= i->retry_ms) {
		if (i->n == 0 ? take_out_of_force(i) : begin_arranging(i))
			return true;
		i->retry_ms = clock_mono_ms() + FEED_RETRY_MS;
	}
	if (i->retry_ms < f->arrange_ms)
		f->arrange_ms = i->retry_ms;
	feed_arm(f);
	return false;
}

void feed_next(struct feed_issuer *i)
{
	struct feed_work *w;

	if (i->running != NULL || i->feed->cancelled)
		return;
	if (i->rearrange && feed_has_places(i)) {
		arrange(i);
		return;
	}
	i->rearrange = false;
	while ((w = TAILQ_FIRST(&i->queue)) != NULL) {
		TAILQ_REMOVE(&i->queue, w, waiting);
		if (may_begin(w)) {
			begin_job(w);
			return;
		}
		w->done(w, true);
	}
}

/* ---- times ---- */

static int64_t pause_ms(struct feed_list *l)
{
	const struct conf *c = feed_conf(l->issuer->feed);
	int64_t interval = l->issuer->interval_ms;
	struct backoff b = {c->backoff_initial_ms,
	    c->crl_backoff_max_ms < interval ? c->crl_backoff_max_ms : interval,
	    (int)c->backoff_doublings};
	int64_t ms = backoff_ms(
	    &b, l->failures, schedule_random(l->issuer->feed->context->schedule));

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
		l->failures = 0;
	else if (l->failures < FAILURES_MAX)
		l->failures++;
	l->due_ms = clock_mono_ms() + (l->failures > 0 ? pause_ms(l) : interval_ms(l));
	feed_watch_age(l); /* the wall clock may have been stepped since */
}

void feed_retry_in(struct feed_list *l, int64_t ms)
{
	l->retry_ms = clock_mono_ms() + ms;
	feed_due(l);
}

void feed_retry_later(struct feed_list *l)
{
	feed_retry_in(l, FEED_RETRY_MS);
}

static int64_t next_of(const struct feed_list *l)
{
	int64_t next = l->retry_ms < l->alarm_ms ? l->retry_ms : l->alarm_ms;

	return l->opened && !l->asking && l->due_ms < next ? l->due_ms : next;
}

void feed_arm(struct crl_feed *f)
{
	int64_t next = dues_next(&f->dues);

	if (f->reload_ms < next)
		next = f->reload_ms;
	if (f->arrange_ms < next)
		next = f->arrange_ms;
	if (f->cancelled || next == f->armed_ms)
		return;
	f->armed_ms = next;
	evtimer_del(&f->timer);
	if (next == INT64_MAX)
		return;
	timer_arm(&f->timer, next - clock_mono_ms());
}

void feed_due(struct feed_list *l)
{
	struct crl_feed *f = l->issuer->feed;

	dues_move(&f->dues, &l->due, l->gone ? INT64_MAX : next_of(l));
	feed_arm(f);
}

static void look_after(struct feed_list *l, int64_t now)
{
	if (l->retry_ms <= now) {
		l->retry_ms = INT64_MAX;
		feed_open(l);
		feed_tell(l);
	}
	if (l->alarm_ms <= now)
		feed_watch_age(l);
	if (l->opened && !l->asking && l->due_ms <= now)
		ask(l);
}

static void rearrange_all(struct crl_feed *f)
{
	struct feed_issuer *i;

	f->arrange_ms = INT64_MAX;
	LIST_FOREACH(i, &f->issuers, link)
		if (i->rearrange)
			feed_next(i);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct crl_feed *f = arg;
	int64_t now = clock_mono_ms();

	(void)fd, (void)what;
	f->armed_ms = INT64_MAX;
	if (f->reload_ms <= now)
		crl_feed_reload(f, f->conf);
	if (f->arrange_ms <= now)
		rearrange_all(f);
	while (dues_next(&f->dues) <= now) {
		struct feed_list *l = (struct feed_list *)dues_first(&f->dues);

		dues_move(&f->dues, &l->due, INT64_MAX);
		look_after(l, now);
		if (next_of(l) > now) /* else what it waits for moves it */
			feed_due(l);
	}
	feed_arm(f);
}

/* ---- asking ---- */

static void ask_ends(struct feed_list *l, bool failed)
{
	bool again = l->again && !l->gone;

	if (!l->asking)
		return; /* the list was gone meanwhile, and came back */
	l->asking = false;
	l->tried = true;
	plan(l, failed);
	if (again && !l->issuer->feed->cancelled)
		ask(l);
	else
		feed_due(l);
}

static void log_failed(const struct feed_list *l)
{
	log_warn(feed_is_refusal(l->error) ? "crl_refused" : "crl_fetch_failed",
	    "issuer=%s url=%s err=%s detail=%s failures=%d", l->issuer->name, l->url,
	    err_label(l->error), l->why, l->failures + 1);
}

/* The file is the one that was refused, and is not read again: told less and less. */
static void ask_refused_again(struct feed_list *l)
{
	if (l->error != ERR_OK && feed_again(&l->refused))
		log_failed(l);
	ask_ends(l, true);
}

static void ask_failed(struct feed_list *l, enum err e, const char *why)
{
	l->error = e;
	snprintf(l->why, sizeof l->why, "%s", why[0] != '\0' ? why : err_text(e));
	if (e != ERR_CANCELLED) {
		l->issuer->failed[e]++;
		l->refused = (struct feed_again){0};
		feed_again(&l->refused);
		log_failed(l);
	}
	ask_ends(l, true);
}

static void ask_went_well(struct feed_list *l)
{
	if (l->error != ERR_OK)
		log_each(LOG_INFO, "crl_recovered", "issuer=%s url=%s failures=%d",
		    l->issuer->name, l->url, l->failures);
	l->error = ERR_OK;
	l->fetched_at = clock_now();
	if (l->relieves) { /* not before: what the disk had may be older than those */
		l->relieves = false;
		feed_drop_kept(l->issuer, "replaced");
		feed_next(l->issuer);
	}
	ask_ends(l, false);
}

static void on_fetched(void *arg, const struct fetch_result *r)
{
	struct feed_work *w = arg;
	struct feed_list *l = w->list;
	char why[sizeof l->why];

	l->fetch = NULL;
	l->fetching = NULL;
	w->fetch_us = r->us;
	if (r->error == ERR_OK && r->status == 200) {
		crl_hints_take(&w->job.hints, r->etag, r->last_modified, r->date);
		feed_work_queue(w);
		return;
	}
	if (r->error == ERR_UP_SIZE) { /* an OCSP answer's words would mislead */
		ask_failed(l, ERR_CRL_LARGE, "the list has more bytes than crl-max-size");
	} else if (r->error == ERR_STORE) {
		snprintf(why, sizeof why, "%.400s: %s", w->job.path, r->detail);
		ask_failed(l, ERR_STORE, why);
	} else if (r->error == ERR_OK && r->status == 304 && w->conditional) {
		ask_went_well(l);
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
	const struct conf *c = feed_conf(w->feed);
	char why[sizeof l->why];
	struct fetch_request r = {.url = l->url,
	    .accept = "application/pkix-crl",
	    .timeout_ms = (int)c->crl_timeout_ms,
	    .max_size = (size_t)c->crl_max_size,
	    .sink = true};

	w->job.fd = crl_state_new(l->dir, w->job.path, sizeof w->job.path);
	if (w->job.fd < 0) {
		w->job.path[0] = '\0';
		snprintf(why, sizeof why, "%.400s: %s", l->dir, strerror(errno));
		ask_failed(l, ERR_STORE, why);
		feed_work_free(w);
		return;
	}
	r.sink_fd = w->job.fd;
	if (s != NULL && memcmp(l->hints.sha256, s->facts.sha256, 32) == 0) {
		r.if_none_match = l->hints.etag[0] != '\0' ? l->hints.etag : NULL;
		r.if_modified_since =
		    l->hints.last_modified[0] != '\0' ? l->hints.last_modified : NULL;
	}
	w->conditional = r.if_none_match != NULL || r.if_modified_since != NULL;
	l->fetching = w;
	l->fetch = fetch_start(w->feed->fetcher, &r, on_fetched, w);
	if (l->fetch != NULL)
		return;
	l->fetching = NULL;
	ask_failed(l, ERR_NOMEM, "");
	feed_work_free(w);
}

void feed_stop_fetch(struct feed_list *l)
{
	struct feed_work *w = l->fetching;

	if (w == NULL)
		return;
	fetch_cancel(l->fetch);
	l->fetch = NULL;
	l->fetching = NULL;
	l->asking = false;
	feed_work_free(w);
}

static void ask(struct feed_list *l)
{
	struct feed_work *w;

	assert(l->opened && !l->asking && !l->gone);
	l->asking = true;
	l->again = false;
	w = feed_work_new(l->issuer, l, CRL_JOB_READ, read_done);
	if (w == NULL) {
		ask_failed(l, ERR_NOMEM, "");
		return;
	}
	w->job.anew = l->anew;
	l->anew = false;
	if (l->local)
		feed_work_queue(w);
	else
		begin_fetch(w);
}

/* ---- what jobs bring back ---- */

static void log_entries(const struct feed_work *w, const char *warning, uint64_t n)
{
	if (n > 0)
		log_warn("crl_warning", "issuer=%s url=%s warning=%s entries=%llu",
		    w->issuer->name, w->list->url, warning, (unsigned long long)n);
}

static void log_warnings(const struct feed_work *w)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = {
	    {CRL_WARN_DUPLICATE, "duplicate_serial"},
	    {CRL_WARN_LATER, "entry_after_this_update"},
	    {CRL_WARN_EMPTY, "empty_revoked_certificates"},
	    {CRL_WARN_SHA1, "sha1_signature"},
	    {CRL_WARN_NONUMBER, "no_crl_number"},
	    {CRL_WARN_NAME, "issuer_encoded_otherwise"},
	};
	unsigned warnings = w->job.facts.warnings;

	for (size_t n = 0; n < sizeof names / sizeof names[0]; n++)
		if (warnings & names[n].bit)
			log_warn("crl_warning", "issuer=%s url=%s warning=%s",
			    w->issuer->name, w->list->url, names[n].name);
	log_entries(w, "odd_entries", w->job.facts.odd);
	log_entries(w, "entries_left_out", w->job.facts.left_out);
	/* RFC 5280 section 5.2.3: another list has another number (R95) */
	if (warnings & CRL_WARN_REUSED)
		log_warn("crl_number_reused", "issuer=%s url=%s", w->issuer->name,
		    w->list->url);
}

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
	    w->issuer->name, w->list->url, number, hex, was, was_hex, effect);
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
	w->list->accept_ms = 0;
}

static void log_in_force(const struct feed_work *w)
{
	const struct crl_facts *f = &w->job.facts;
	char number[CRL_NUMBER_TEXT_MAX], hex[CRL_NUMBER_HEX_MAX];

	crl_number_text(f, number);
	crl_number_hex(f, hex);
	log_info("crl_in_force",
	    "issuer=%s url=%s crl_number=%s crl_number_hex=%s entries=%llu from=%s "
	    "fetch_ms=%lld read_ms=%lld diff_ms=%lld",
	    w->issuer->name, w->list->url, number, hex, (unsigned long long)f->entries,
	    w->job.kind == CRL_JOB_OPEN ? "state" : "fetch",
	    (long long)(w->fetch_us / 1000),
	    (long long)((w->job.us - w->job.diff_us) / 1000),
	    (long long)(w->job.diff_us / 1000));
}

/* What is in force is what the job began with, or says otherwise what is opened. */
static void swap(struct feed_work *w)
{
	w->retired = feed_put(w->issuer, w->job.set, feed_is_unopened(w->issuer));
	w->job.set = NULL;
}

bool feed_say(struct feed_issuer *i, bool unopened)
{
	struct feed_work *w;
	struct crl_set *s;

	if (feed_set_of(i)->unopened == unopened)
		return true;
	if (!feed_has_places(i)) {
		s = unopened ? &crl_set_unopened : &crl_set_none;
		crl_set_ref(s);
		crl_set_unref(feed_put(i, s, unopened));
		return true;
	}
	w = feed_work_new(i, NULL, CRL_JOB_ARRANGE, arranged);
	s = w != NULL ? crl_set_again(feed_set_of(i), feed_generation()) : NULL;
	if (s == NULL) {
		if (w != NULL)
			feed_work_free(w);
		return false;
	}
	w->retired = feed_put(i, s, unopened);
	feed_retire(w);
	return true;
}

bool feed_all_told(const struct feed_list *l)
{
	return l->unsettled == 0 && !l->telling && l->has_durable && l->has_told &&
	       memcmp(l->durable, l->told, sizeof l->durable) == 0;
}

static void publish(struct feed_work *w)
{
	struct feed_list *l = w->list;

	if (!l->looked && l->known) { /* what could not be read is current no more */
		l->to_open = false;
		l->retry_ms = INT64_MAX;
	}
	l->looked = true;
	swap(w);
	l->drop = false;
	l->seen_at_ms = clock_now_ms();
	if (l->untold_since_ms == 0 || feed_all_told(l))
		l->untold_since_ms = l->seen_at_ms;
	log_in_force(w);
	log_warnings(w);
	feed_watch_age(l);
	feed_watch_part(l->issuer);
	feed_settle(w);
}

/* By which the list is known again where it was read from, unless a reload has moved it
 * meanwhile. */
static void learn_marks(struct feed_list *l, const struct crl_job *j)
{
	if (strcmp(j->url, l->url) != 0)
		return;
	if (j->local)
		l->stamp = j->stamp;
	else if (j->error == ERR_OK)
		l->hints = j->hints;
}

static void read_done(struct feed_work *w, bool skipped)
{
	struct feed_list *l = w->list;
	const struct crl_job *j = &w->job;

	if (skipped) {
		feed_work_free(w);
		return;
	}
	if (w->ca != l->issuer->ca) { /* verified by other certificates than today's */
		feed_work_free(w);
		l->again = l->anew = true;
		ask_ends(l, false);
		return;
	}
	learn_marks(l, j);
	if (j->error == ERR_OK && !j->unchanged && !j->still_refused) {
		number_taken(w);
		publish(w);
		ask_went_well(l);
		return;
	}
	if (!j->still_refused)
		l->number_back = j->number_back;
	if (j->number_back)
		number_refused(w);
	if (j->still_refused)
		ask_refused_again(l);
	else if (j->unchanged)
		ask_went_well(l);
	else
		ask_failed(l, j->error, j->why);
	feed_work_free(w);
}

/* What was in force by other certificates no longer is. */
static void drop_list(struct feed_list *l, const char *why)
{
	const struct crl_shard *s = feed_in_force(l);

	if (s == NULL)
		return;
	log_warn("crl_dropped", "issuer=%s url=%s entries=%zu reason=%s", l->issuer->name,
	    l->url, s->n, why);
	l->drop = true;
	l->issuer->rearrange = true;
}

/* Once in a life: what this node told before. */
static void learn_told(struct feed_list *l, const struct crl_job *j)
{
	if (l->known)
		return;
	l->known = true;
	l->has_told = j->has_told;
	l->next_left = j->next_left;
	l->hints = j->hints;
	if (j->told_is_current && j->error == ERR_OK)
		memcpy(l->told, j->facts.sha256, sizeof l->told);
}

static bool cannot_be_read(enum err e)
{
	return e == ERR_NOMEM || e == ERR_STORE;
}

/* It is there, and nobody can say what it revokes.  One that is in force is verified
 * again for other certificates, and theirs is the last word. */
static bool is_riddle(const struct feed_list *l, enum err e)
{
	return cannot_be_read(e) || (feed_is_refusal(e) && !l->looked);
}

/* Out of memory to say that it is opened. */
static void open_again(struct feed_list *l)
{
	l->looked = false;
	l->to_open = true;
	feed_retry_later(l);
}

static void opened(struct feed_work *w, bool skipped)
{
	struct feed_list *l = w->list;
	const struct crl_job *j = &w->job;

	if (skipped) {
		l->to_open = true;
		feed_work_free(w);
		return;
	}
	if (w->ca != l->issuer->ca || l->unsettled > 0) { /* again, with what is now */
		l->to_open = true;
		feed_work_free(w);
		feed_open(l);
		return;
	}
	if (j->error != ERR_OK && j->error != ERR_NOT_FOUND)
		log_warn("crl_state_refused",
		    "issuer=%s url=%s file=current err=%s detail=%s", w->issuer->name,
		    l->url, err_label(j->error), j->why);
	if (!cannot_be_read(j->error))
		learn_told(l, j);
	if (is_riddle(l, j->error)) {
		l->to_open = true;
		feed_retry_later(l);
		if (j->error == ERR_NOMEM || l->opened) {
			feed_work_free(w);
			return;
		}
	} else {
		l->looked = true;
	}
	l->opened = true; /* a folder that cannot be read keeps no list from being had */
	if (j->error == ERR_OK) {
		if (l->fetched_at == 0)
			l->fetched_at = j->written_at;
		w->durable = true;
		publish(w);
	} else {
		if (feed_is_refusal(j->error))
			drop_list(l, "issuer");
		feed_work_free(w);
		if (!feed_say(l->issuer, feed_is_unopened(l->issuer)))
			open_again(l);
	}
	if (!l->asking)
		ask(l);
}

static void arranged(struct feed_work *w, bool skipped)
{
	struct feed_issuer *i = w->issuer;
	struct feed_list *l;

	if (skipped) {
		feed_work_free(w);
		return;
	}
	if (w->job.error != ERR_OK) {
		i->rearrange = true;
		i->retry_ms = clock_mono_ms() + FEED_RETRY_MS;
		feed_work_free(w);
		return; /* feed_next() follows */
	}
	swap(w);
	LIST_FOREACH(l, &i->gone, link)
		l->place = l->next_place;
	for (size_t n = 0; n < i->n; n++)
		i->list[n]->place = i->list[n]->next_place;
	for (size_t n = 0; n < i->n; n++)
		i->list[n]->drop &= feed_in_force(i->list[n]) != NULL;
	feed_retire(w);
}

void feed_job_done(struct feed_work *w)
{
	struct feed_issuer *i = w->issuer;

	i->running = NULL;
	w->done(w, i->feed->cancelled || (w->list != NULL && w->list->gone));
	feed_next(i);
	feed_wake(i);
}

void feed_open(struct feed_list *l)
{
	struct feed_work *w;

	if (!l->to_open || l->unsettled > 0 || l->gone || l->issuer->feed->cancelled)
		return;
	w = feed_work_new(l->issuer, l, CRL_JOB_OPEN, opened);
	if (w == NULL) {
		feed_retry_later(l);
		return;
	}
	l->to_open = false;
	feed_work_queue(w);
}

/* ---- life ---- */

struct crl_feed *crl_feed_new(const struct context *context, struct fetcher *fetcher,
    struct executor *bulk, struct telling *telling)
{
	struct crl_feed *f = calloc(1, sizeof *f);

	if (f == NULL)
		return NULL;
	f->context = context;
	f->conf = shared_conf(context->shared);
	f->fetcher = fetcher;
	f->bulk = bulk;
	f->telling = telling;
	f->reload_ms = f->arrange_ms = f->armed_ms = INT64_MAX;
	TAILQ_INIT(&f->works);
	TAILQ_INIT(&f->opens);
	TAILQ_INIT(&f->others);
	TAILQ_INIT(&f->waits);
	f->state_directory = strdup(feed_conf(f)->state_directory);
	f->slots = crl_slots_new();
	if (f->state_directory == NULL || f->slots == NULL) {
		free(f->state_directory);
		crl_slots_free(f->slots);
		free(f);
		return NULL;
	}
	evtimer_assign(&f->timer, context->base, on_timer, f);
	return f;
}

static void drop_queue(struct feed_issuer *i)
{
	struct feed_work *w;

	while ((w = TAILQ_FIRST(&i->queue)) != NULL) {
		TAILQ_REMOVE(&i->queue, w, waiting);
		w->done(w, true);
	}
}

void crl_feed_cancel(struct crl_feed *f)
{
	struct feed_issuer *i;

	if (f->cancelled)
		return;
	f->cancelled = true;
	atomic_store(&f->stop, true);
	evtimer_del(&f->timer);
	LIST_FOREACH(i, &f->issuers, link) {
		for (size_t n = 0; n < i->n; n++)
			feed_stop_fetch(i->list[n]);
		drop_queue(i);
	}
	feed_waits_cancel(f);
}

void crl_feed_free(struct crl_feed *f)
{
	struct feed_issuer *i;
	struct feed_work *w;

	if (f == NULL)
		return;
	crl_feed_cancel(f);
	while ((w = TAILQ_FIRST(&f->works)) != NULL) {
		detach(w);
		clear_work(w);
	}
	while ((i = LIST_FIRST(&f->issuers)) != NULL) {
		LIST_REMOVE(i, link);
		feed_issuer_free(i);
	}
	dues_free(&f->dues);
	free(f->bucket);
	free(f->state_directory);
	crl_slots_free(f->slots);
	free(f);
}

/* ---- questions ---- */

const struct crl_set *crl_feed_set(struct crl_feed *f, const char *issuer)
{
	const struct feed_issuer *i = feed_issuer_find(f, issuer);

	return i == NULL ? &crl_set_none : feed_set_of(i);
}

void crl_feed_refresh(struct crl_feed *f, const struct issuer *issuer, bool accept_number)
{
	struct feed_issuer *i = feed_issuer_find(f, issuer->name);

	if (i == NULL || f->cancelled)
		return;
	if (accept_number)
		log_warn("crl_accept_number", "issuer=%s for_s=%lld", i->name,
		    (long long)(FEED_ACCEPT_MS / 1000));
	for (size_t n = 0; n < i->n; n++) {
		struct feed_list *l = i->list[n];

		l->failures = 0;
		l->anew = true;
		if (accept_number)
			l->accept_ms = clock_mono_ms() + FEED_ACCEPT_MS;
		if (l->held != FEED_FLOWS) /* whoever asks may have mended it */
			feed_retry_in(l, 0);
		if (l->asking)
			l->again = true;
		else if (l->opened)
			ask(l);
	}
}

bool crl_feed_tried_all(const struct crl_feed *f)
{
	const struct feed_issuer *i;

	LIST_FOREACH(i, &f->issuers, link)
		for (size_t n = 0; n < i->n; n++)
			if (!i->list[n]->tried)
				return false;
	return true;
}
