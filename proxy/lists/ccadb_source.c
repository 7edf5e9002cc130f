/* ccadb_source.c - rounds: what is due is fetched, then all is read together. */
#include "proxy/lists/ccadb_source.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/base/backoff.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/http/fetch.h"
#include "proxy/lists/ccadb_place.h"
#include "proxy/lists/ccadb_spoken.h"
#include "proxy/lists/crl_feed.h"

#define RETRY_MS       5000     /* after memory failed us */
#define FAILURES_MAX   1000     /* counted no further: the pause is at its cap */
#define BACKOFF_CAP_MS 21600000 /* six hours: a day's news is no older then */

/* A round of reading, on the bulk thread. */
struct ccadb_round {
	struct ccadb_job job;
	struct ccadb_source *source;
	struct ccadb_place **place; /* references, as the files of the job */
	char (*issuer)[64];
	size_t issuers;
	bool overtaken; /* by a reload: these may be other issuers of the same names */
};

struct ccadb_source {
	const struct context *context;
	struct crl_feed *feed;
	struct fetcher *fetcher;
	struct executor *bulk;
	const struct conf *conf;
	struct ccadb_place **place;
	size_t n;
	struct ccadb_spoken *spoken;
	struct event timer;
	struct ccadb_round *round;
	bool again;       /* to be read once more after that */
	int64_t retry_ms; /* monotonic; INT64_MAX: nothing failed for want of memory */
	bool cancelled;
	_Atomic bool stop;
};

static void read_all(struct ccadb_source *s);

/* Places. */

static struct ccadb_place *place_named(const struct ccadb_source *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->place[i]->name, name) == 0)
			return s->place[i];
	return NULL;
}

static bool is_asked_for(const struct issuer *i)
{
	return i->rules.learns[LEARNT_CCADB];
}

static size_t count_issuers(const struct conf *c)
{
	size_t n = 0;

	for (size_t i = 0; i < issuers_count(c->issuers); i++)
		n += is_asked_for(issuers_at(c->issuers, i));
	return n;
}

static bool is_in(const struct ccadb_place *p, struct ccadb_place *const *all, size_t n)
{
	size_t i = 0;

	while (i < n && all[i] != p)
		i++;
	return i < n;
}

/* Places by the configuration, none where no issuer asks.  False: out of memory, and they
 * are as they were. */
static bool configure(struct ccadb_source *s)
{
	size_t n = count_issuers(s->conf) > 0 ? s->conf->ccadb_n : 0, made = 0;
	struct ccadb_place **all = calloc(n + 1, sizeof(struct ccadb_place *));

	for (; all != NULL && made < n; made++) {
		all[made] = place_named(s, s->conf->ccadb[made]);
		if (all[made] != NULL)
			all[made]->refs++;
		else
			all[made] = ccadb_place_new(
			    s, s->conf->ccadb[made], s->conf->state_directory);
		if (all[made] == NULL)
			break;
	}
	if (all == NULL || made < n) {
		while (made > 0)
			ccadb_place_unref(all[--made]);
		free(all);
		return false;
	}
	for (size_t i = 0; i < s->n; i++)
		if (is_in(s->place[i], all, n))
			ccadb_place_unref(s->place[i]);
		else
			ccadb_place_gone(s->place[i]);
	free(s->place);
	s->place = all;
	s->n = n;
	return true;
}

/* When. */

static int64_t pause_ms(struct ccadb_source *s, const struct ccadb_place *p)
{
	int64_t interval = s->conf->ccadb_interval_ms, width = interval / 10;
	unsigned random = schedule_random(s->context->schedule);
	struct backoff b = {s->conf->backoff_initial_ms,
	    interval < BACKOFF_CAP_MS ? interval : BACKOFF_CAP_MS,
	    (int)s->conf->backoff_doublings};

	if (p->failures > 0)
		return backoff_ms(&b, p->failures, random);
	return interval - width + 2 * width * random / 65536;
}

/* The interval may be a shorter one now. */
static void hurry(struct ccadb_source *s, struct ccadb_place *p)
{
	int64_t due = clock_mono_ms() + pause_ms(s, p);

	if (due < p->due_ms)
		p->due_ms = due;
}

static void arm(struct ccadb_source *s)
{
	int64_t next = s->retry_ms;

	if (s->cancelled)
		return;
	for (size_t i = 0; i < s->n; i++)
		if (s->place[i]->fetch == NULL && s->place[i]->file.fd < 0 &&
		    s->place[i]->due_ms < next)
			next = s->place[i]->due_ms;
	if (next == INT64_MAX)
		evtimer_del(&s->timer);
	else
		timer_arm(&s->timer, next - clock_mono_ms());
}

static void retry_later(struct ccadb_source *s)
{
	s->retry_ms = clock_mono_ms() + RETRY_MS;
	arm(s);
}

static void note_failed(struct ccadb_source *s, struct ccadb_place *p, const char *why)
{
	p->failed++;
	if (p->failures < FAILURES_MAX)
		p->failures++;
	p->due_ms = clock_mono_ms() + pause_ms(s, p);
	log_warn("ccadb_failed", "url=%s detail=%s failures=%d effect=%s remedy=%s",
	    p->name, why, p->failures,
	    p->file.known ? "the last one that could be read counts"
			  : "nothing is known of the lists that it names",
	    "see that ccadb in the configuration leads to certificate records as CSV");
}

static void note_well(struct ccadb_source *s, struct ccadb_place *p)
{
	p->failures = 0;
	p->read_at = clock_now();
	p->due_ms = clock_mono_ms() + pause_ms(s, p);
}

/* Fetching. */

/* All that was asked for is here. */
static void fetch_ends(struct ccadb_source *s)
{
	bool fresh = false;

	for (size_t i = 0; i < s->n; i++) {
		if (s->place[i]->fetch != NULL)
			return;
		fresh = fresh || s->place[i]->file.fd >= 0;
	}
	if (fresh)
		read_all(s);
	else
		arm(s);
}

static void on_fetched(void *arg, const struct fetch_result *r)
{
	struct ccadb_place *p = arg;
	struct ccadb_source *s = p->source;

	p->fetch = NULL;
	if (r->error == ERR_OK && r->status == 200) {
		crl_hints_take(&p->file.asked, r->etag, r->last_modified, r->date);
		fetch_ends(s);
		return;
	}
	ccadb_file_drop(&p->file);
	if (r->error == ERR_OK && r->status == 304 && p->file.known)
		note_well(s, p);
	else if (r->error == ERR_OK && r->status == 304)
		note_failed(s, p, "it says 304, and nothing is kept that it could mean");
	else if (r->error == ERR_UP_SIZE)
		note_failed(s, p, "it has more bytes than ccadb-max-size");
	else
		note_failed(s, p, r->detail[0] != '\0' ? r->detail : err_text(r->error));
	fetch_ends(s);
}

static void fetch(struct ccadb_source *s, struct ccadb_place *p)
{
	struct ccadb_file *f = &p->file;
	bool held = f->known; /* then the validators are of what is kept, and well */
	struct fetch_request r = {.url = p->name,
	    .accept = "text/csv",
	    .timeout_ms = (int)s->conf->crl_timeout_ms,
	    .max_size = (size_t)s->conf->ccadb_max_size,
	    .if_none_match = held && f->hints.etag[0] != '\0' ? f->hints.etag : NULL,
	    .if_modified_since =
		held && f->hints.last_modified[0] != '\0' ? f->hints.last_modified : NULL,
	    .sink = true};

	f->fd = crl_state_new(f->dir, f->fresh, sizeof f->fresh);
	if (f->fd < 0) {
		f->fresh[0] = '\0';
		f->look = true; /* the folder is made anew */
		note_failed(s, p, crl_state_why(errno));
		return;
	}
	r.sink_fd = f->fd;
	f->asked = (struct crl_hints){0};
	p->fetch = fetch_start(s->fetcher, &r, on_fetched, p);
	if (p->fetch == NULL) {
		ccadb_file_drop(f);
		note_failed(s, p, err_text(ERR_NOMEM));
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ccadb_source *s = arg;
	int64_t now = clock_mono_ms();
	bool read = s->retry_ms <= now;

	(void)fd, (void)what;
	if (s->round != NULL) {
		s->again = true;
		return;
	}
	s->retry_ms = INT64_MAX;
	if (read && !configure(s)) {
		retry_later(s);
		return;
	}
	for (size_t i = 0; i < s->n; i++) {
		struct ccadb_place *p = s->place[i];

		if (p->fetch != NULL || p->due_ms > now)
			continue;
		if (p->file.local || p->file.look)
			read = true;
		else
			fetch(s, p);
	}
	if (read)
		read_all(s);
	else
		fetch_ends(s);
}

/* Reading. */

static void round_free(struct ccadb_round *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->job.n; i++) {
		ccadb_file_drop(&r->job.file[i]);
		ccadb_place_unref(r->place[i]);
	}
	free(r->place);
	free(r->job.file);
	free(r->issuer);
	ccadb_sets_free(r->job.sets);
	free(r);
}

static void take_outcome(struct ccadb_source *s, struct ccadb_place *p)
{
	struct ccadb_file *f = &p->file;

	if (f->bad > 0 && f->taken)
		log_warn("ccadb_rows", "url=%s rows=%llu line=%llu detail=%s", p->name,
		    (unsigned long long)f->bad, (unsigned long long)f->first.line,
		    f->first.why);
	if (f->why[0] != '\0')
		note_failed(s, p, f->why);
	else if (f->taken)
		note_well(s, p);
}

/* What is known is said, to each issuer that asks for it now. */
static bool speak(struct ccadb_source *s, const struct ccadb_round *r)
{
	bool known = false, whole = true, good = true;

	for (size_t i = 0; i < r->job.n; i++) {
		known = known || r->place[i]->file.known;
		whole = whole && r->place[i]->file.known;
	}
	for (size_t i = 0; i < r->issuers; i++) {
		struct ccadb_set set;

		ccadb_sets_of(r->job.sets, i, &set);
		good = ccadb_speak(s->spoken, s->feed, r->issuer[i], known ? &set : NULL,
			   whole) &&
		       good;
	}
	return good;
}

static void on_read(void *arg)
{
	struct ccadb_round *r = arg;
	struct ccadb_source *s = r->source;
	bool good = false;

	assert(s->round == r);
	s->round = NULL;
	for (size_t i = 0; i < r->job.n; i++) {
		ccadb_place_take_back(r->place[i], &r->job.file[i]);
		if (!s->cancelled && r->place[i]->source != NULL)
			take_outcome(s, r->place[i]);
	}
	if (!s->cancelled && !r->overtaken && r->job.sets != NULL)
		good = speak(s, r);
	round_free(r);
	if (s->cancelled)
		return;
	if (s->again)
		read_all(s);
	else if (!good)
		retry_later(s);
	else
		arm(s);
}

/* The issuers that ask, and sets for them.  False: out of memory. */
static bool name_issuers(struct ccadb_round *r, const struct conf *c)
{
	size_t n = count_issuers(c);
	const struct issuer **list = calloc(n + 1, sizeof(const struct issuer *));

	r->issuer = calloc(n + 1, sizeof *r->issuer);
	for (size_t i = 0;
	     list != NULL && r->issuer != NULL && i < issuers_count(c->issuers); i++) {
		const struct issuer *one = issuers_at(c->issuers, i);

		if (!is_asked_for(one))
			continue;
		snprintf(r->issuer[r->issuers], sizeof *r->issuer, "%s", one->name);
		list[r->issuers++] = one;
	}
	if (list != NULL && r->issuer != NULL)
		r->job.sets = ccadb_sets_new(list, r->issuers);
	free(list);
	return r->job.sets != NULL;
}

static struct ccadb_round *round_new(struct ccadb_source *s)
{
	struct ccadb_round *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->source = s;
	r->job.stop = &s->stop;
	r->job.max_size = (size_t)s->conf->ccadb_max_size;
	r->place = calloc(s->n + 1, sizeof(struct ccadb_place *));
	r->job.file = calloc(s->n + 1, sizeof *r->job.file);
	if (r->place == NULL || r->job.file == NULL || !name_issuers(r, s->conf)) {
		round_free(r);
		return NULL;
	}
	return r;
}

/* What was fetched becomes the round's. */
static void hand_over(struct ccadb_source *s, struct ccadb_round *r)
{
	for (size_t i = 0; i < s->n; i++) {
		struct ccadb_place *p = s->place[i];
		struct ccadb_file *left;

		r->place[i] = p;
		p->refs++;
		r->job.file[i] = p->file;
		r->job.file[i].taken = false;
		r->job.file[i].why[0] = '\0';
		/* what is under way is the next round's */
		left = p->fetch != NULL ? &r->job.file[i] : &p->file;
		left->fresh[0] = '\0';
		left->fd = -1;
	}
	r->job.n = s->n;
}

static void read_all(struct ccadb_source *s)
{
	s->again = s->round != NULL;
	if (s->again || s->cancelled)
		return;
	if (count_issuers(s->conf) == 0) {
		arm(s);
		return;
	}
	s->round = round_new(s);
	if (s->round == NULL) {
		retry_later(s);
		return;
	}
	hand_over(s, s->round);
	executor_run(s->bulk, ccadb_job_run, on_read, s->round);
}

/* From outside. */

struct ccadb_source *ccadb_source_new(const struct context *context,
    struct crl_feed *feed, struct fetcher *fetcher, struct executor *bulk)
{
	struct ccadb_source *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	*s = (struct ccadb_source){.context = context,
	    .feed = feed,
	    .fetcher = fetcher,
	    .bulk = bulk,
	    .retry_ms = INT64_MAX};
	s->spoken = ccadb_spoken_new();
	if (s->spoken == NULL) {
		free(s);
		return NULL;
	}
	evtimer_assign(&s->timer, context->base, on_timer, s);
	return s;
}

void ccadb_source_start(struct ccadb_source *s, const struct conf *conf)
{
	crl_feed_expect(s->feed, LEARNT_CCADB);
	ccadb_source_reload(s, conf);
}

void ccadb_source_reload(struct ccadb_source *s, const struct conf *conf)
{
	s->conf = conf;
	if (s->round != NULL)
		s->round->overtaken = true;
	if (!configure(s))
		retry_later(s);
	for (size_t i = 0; i < s->n; i++)
		hurry(s, s->place[i]);
	ccadb_spoken_keep(s->spoken, conf->issuers);
	read_all(s);
}

void ccadb_source_cancel(struct ccadb_source *s)
{
	s->cancelled = true;
	atomic_store(&s->stop, true);
	for (size_t i = 0; i < s->n; i++) {
		if (s->place[i]->fetch != NULL)
			fetch_cancel(s->place[i]->fetch);
		s->place[i]->fetch = NULL;
	}
	evtimer_del(&s->timer);
}

void ccadb_source_free(struct ccadb_source *s)
{
	if (s == NULL)
		return;
	assert(s->round == NULL);
	for (size_t i = 0; i < s->n; i++)
		ccadb_place_unref(s->place[i]);
	free(s->place);
	ccadb_spoken_free(s->spoken);
	free(s);
}

void ccadb_source_gauges(const struct ccadb_source *s, struct metrics_text *t)
{
	const char *age = "Since certificate records of the CCADB were last well.";
	const char *failed =
	    "Times that a place of ccadb brought none that could be read.";
	char url[512], labels[600];

	for (size_t i = 0; i < s->n; i++) {
		metrics_escape(s->place[i]->name, url, sizeof url);
		snprintf(labels, sizeof labels, "url=\"%s\"", url);
		if (s->place[i]->read_at > 0)
			metrics_line(t, "ccadb_age_seconds", "gauge", age, labels,
			    (double)(clock_now() - s->place[i]->read_at));
		age = s->place[i]->read_at > 0 ? NULL : age;
	}
	for (size_t i = 0; i < s->n; i++) {
		metrics_escape(s->place[i]->name, url, sizeof url);
		snprintf(labels, sizeof labels, "url=\"%s\"", url);
		metrics_line(t, "ccadb_failures_total", "counter", failed, labels,
		    (double)s->place[i]->failed);
		failed = NULL;
	}
}
