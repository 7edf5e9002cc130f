/* feed_work.c - whose job is next: of an issuer, and for the bulk thread.
 *
 * Jobs of an issuer run one at a time, so that each begins with the set that the one
 * before left in force; whatever has changed meanwhile (reload, other certificates) is
 * looked at when a job comes back.  A work calls its `done` then, and nobody else.
 *
 * On the bulk thread openings come before everything else, and the first of them is one
 * that somebody waits for: while a list is not opened, its issuer answers nobody.  There
 * may be thousands, and small ones: they go in batches, and a batch that has become long
 * comes back with what it has not done, so that nobody's turn is behind a large list that
 * nobody waits for.
 */
#include "proxy/lists/feed_list.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/clock.h"

#define BATCH_US 5000

static bool arrange(struct feed_issuer *i);

/* Life. */

struct feed_work *feed_work_new(struct feed_issuer *i, struct feed_list *l,
    enum crl_job_kind kind, void (*done)(struct feed_work *w, bool skipped))
{
	struct feed_work *w = calloc(1, sizeof *w);

	if (w == NULL)
		return NULL;
	w->magic = FEED_WORK_MAGIC;
	w->job.kind = kind;
	if (kind == CRL_JOB_READ)
		w->job.read.fd = -1;
	w->done = done;
	w->feed = i->feed;
	w->issuer = i;
	w->list = l;
	if (l != NULL) {
		w->urls = feed_urls_ref(l->urls);
		w->site = l->ask.site;
		w->job.scope = l->scope;
		w->job.dir = l->dir;
		w->job.urls = l->urls->url;
		w->job.urls_n = l->urls->n;
		w->job.strict = l->urls->strict;
		if (kind == CRL_JOB_READ) {
			w->job.url = l->urls->url[w->site];
			w->job.read.local = l->site[w->site].local;
		}
		l->works++;
	}
	TAILQ_INSERT_TAIL(&i->feed->works, w, link);
	return w;
}

static void clear_work(void *arg)
{
	struct feed_work *w = feed_work_of(arg);

	crl_job_clear(&w->job);
	crl_set_unref(w->retired);
	free(w);
}

static void detach(struct feed_work *w)
{
	assert(w->list == NULL || w->list->works > 0);
	TAILQ_REMOVE(&w->feed->works, w, link);
	if (w->list != NULL)
		w->list->works--;
	feed_urls_unref(w->urls); /* what the job has of them it needs no more */
	feed_ca_unref(w->ca);
}

void feed_work_free(struct feed_work *w)
{
	struct executor *bulk = w->feed->bulk;

	assert(w->at == FEED_OUTSIDE && w->issuer->running != w);
	detach(w);
	executor_run(bulk, clear_work, NULL, w);
}

void feed_works_free(struct crl_feed *f)
{
	struct feed_work *w;

	while ((w = TAILQ_FIRST(&f->works)) != NULL) {
		detach(w);
		clear_work(w);
	}
}

/* The set that was in force before. */

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
	struct feed_work *w = feed_work_passing(want);

	feed_release_old(w);
	feed_work_free(w);
}

/* w has put a set into force that has no new list: it is freed when no reader has the one
 * before. */
static void retire(struct feed_work *w)
{
	assert(w->list == NULL && w->retired != NULL);
	w->want.done = on_retired;
	barrier_pass(w->feed->context->barrier, &w->want);
}

void feed_swap(struct feed_work *w)
{
	assert(w->retired == NULL && w->job.set != NULL);
	w->retired = feed_put(w->issuer, w->job.set, feed_is_unopened(w->issuer));
	w->job.set = NULL;
}

/* The bulk thread. */

static void dispatch(struct crl_feed *f);

static void job_done(struct feed_work *w);

static void batch_work(void *arg)
{
	struct feed_batch *b = arg;
	int64_t end = clock_mono_us() + BATCH_US;

	assert(b->busy && b->done == 0 && b->n > 0 && b->n <= FEED_BATCH);
	do
		crl_job_work(&b->work[b->done]->job);
	while (++b->done < b->n && clock_mono_us() < end && !atomic_load(&b->feed->stop));
}

static void batch_done(void *arg)
{
	struct feed_batch *b = arg;
	struct crl_feed *f = b->feed;

	assert(b->busy && b->done > 0 && b->done <= b->n);
	for (; b->n > b->done; b->n--) {
		assert(b->work[b->n - 1]->at == FEED_RUNNING);
		b->work[b->n - 1]->at = FEED_DUE;
		TAILQ_INSERT_HEAD(&f->opens, b->work[b->n - 1], waiting);
	}
	for (size_t n = 0; n < b->n; n++)
		job_done(b->work[n]);
	b->busy = false;
	dispatch(f);
}

static void take(struct feed_batch *b, struct feed_queue *q, size_t most)
{
	struct feed_work *w;

	b->n = b->done = 0;
	while (b->n < most && (w = TAILQ_FIRST(q)) != NULL) {
		TAILQ_REMOVE(q, w, waiting);
		assert(w->at == FEED_DUE);
		w->at = FEED_RUNNING;
		b->work[b->n++] = w;
	}
}

static void dispatch(struct crl_feed *f)
{
	for (size_t n = 0; n < FEED_BATCHES && !f->cancelled; n++) {
		struct feed_batch *b = &f->batch[n];

		if (b->busy)
			continue;
		b->feed = f;
		if (!TAILQ_EMPTY(&f->opens))
			take(b, &f->opens, FEED_BATCH);
		else
			take(b, &f->others, 1);
		if (b->n == 0)
			return;
		b->busy = true;
		executor_run(f->bulk, batch_work, batch_done, b);
	}
}

static void run_job(struct feed_work *w)
{
	struct crl_feed *f = w->feed;

	assert(w->issuer->running == NULL && w->at == FEED_OUTSIDE);
	w->issuer->running = w;
	w->at = FEED_DUE;
	if (w->job.kind != CRL_JOB_OPEN)
		TAILQ_INSERT_TAIL(&f->others, w, waiting);
	else if (TAILQ_EMPTY(&w->issuer->waits))
		TAILQ_INSERT_TAIL(&f->opens, w, waiting);
	else
		TAILQ_INSERT_HEAD(&f->opens, w, waiting);
	dispatch(f);
}

void feed_hurry(struct feed_issuer *i)
{
	struct feed_work *w = i->running;

	if (w == NULL || w->at != FEED_DUE || w->job.kind != CRL_JOB_OPEN)
		return;
	TAILQ_REMOVE(&i->feed->opens, w, waiting);
	TAILQ_INSERT_HEAD(&i->feed->opens, w, waiting);
}

/* An issuer. */

/* What the job begins with, as it is now. */
static void fill_in(struct feed_work *w)
{
	struct feed_issuer *i = w->issuer;
	const struct conf *c = feed_conf(w->feed);
	struct crl_job *j = &w->job;

	assert(w->ca == NULL && i->ca != NULL);
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

	return s != NULL && l->told.state >= FEED_BASE && !l->told.first_left &&
	       l->tell.step == FEED_QUIET &&
	       memcmp(l->told.sha256, s->facts.sha256, sizeof l->told.sha256) == 0;
}

static bool is_kept_untold(const struct feed_issuer *i)
{
	const struct feed_list *l;

	LIST_FOREACH(l, &i->gone, link)
		if (l->conf == FEED_KEPT_UNTOLD)
			return true;
	return false;
}

/* Which lists may turn out to be this one: of thousands of shards none does, so that it
 * costs an array for each read.  Out of memory none may. */
static bool *peers_of(const struct feed_list *l, size_t places)
{
	const struct feed_issuer *i = l->issuer;
	bool *peer = i->n > 1 && feed_may_join(l) ? calloc(places, sizeof *peer) : NULL;

	for (size_t n = 0; peer != NULL && n < i->n; n++) {
		const struct feed_list *k = i->list[n];

		if (k->place >= 0 && (size_t)k->place < places)
			peer[k->place] =
			    feed_may_join(k) && !k->parked &&
			    (k->learnt == LEARNT_COUNT) == (l->learnt == LEARNT_COUNT);
	}
	return peer;
}

static void fill_in_read(struct feed_work *w)
{
	struct feed_list *l = w->list;
	struct crl_job *j = &w->job;

	if (w->urls == l->urls)
		j->read.stamp = l->site[w->site].stamp;
	j->read.accept_number = clock_mono_ms() < l->ask.accept_ms;
	j->read.succeeds = l->conf == FEED_RELIEVING && l->told.state == FEED_NOTHING &&
			   feed_kept(l->issuer) > 0;
	j->read.others_untold = j->read.succeeds && is_kept_untold(l->issuer);
	j->read.peer = peers_of(l, j->shards_n);
}

static bool others_untold(const struct feed_list *l)
{
	const struct feed_issuer *i = l->issuer;

	for (size_t n = 0; n < i->n; n++)
		if (i->list[n] != l && feed_in_force(i->list[n]) != NULL &&
		    !feed_all_told(i->list[n]))
			return true;
	return is_kept_untold(i);
}

static void begin_job(struct feed_work *w)
{
	struct feed_list *l = w->list;
	struct crl_job *j = &w->job;

	fill_in(w);
	if (l != NULL) {
		take_places(w->issuer);
		j->shard = j->old != NULL || j->kind != CRL_JOB_DIFF ? l->place : -1;
		j->compare = told_is_in_force(l);
	}
	if (j->kind == CRL_JOB_OPEN) /* this is the one work */
		j->open.first = l->told.state == FEED_UNKNOWN && l->works == 1;
	if (j->kind == CRL_JOB_READ)
		fill_in_read(w);
	if (j->kind == CRL_JOB_DIFF && j->diff.watched != NULL)
		j->diff.others_untold = others_untold(l);
	run_job(w);
}

static void unqueue(struct feed_work *w)
{
	assert(w->at == FEED_QUEUED);
	w->at = FEED_OUTSIDE;
	TAILQ_REMOVE(&w->issuer->queue, w, waiting);
}

static bool may_begin(const struct feed_work *w)
{
	const struct feed_list *l = w->list;

	/* current is about to be another: feed_open() asks again */
	return !feed_is_gone(l) && (w->job.kind != CRL_JOB_OPEN || l->settle.n == 0);
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
		unqueue(w);
		if (may_begin(w)) {
			begin_job(w);
			return;
		}
		w->done(w, true);
	}
}

static void job_done(struct feed_work *w)
{
	struct feed_issuer *i = w->issuer;

	assert(i->running == w && w->at == FEED_RUNNING);
	i->running = NULL;
	w->at = FEED_OUTSIDE;
	w->done(w, i->feed->cancelled || (w->list != NULL && feed_is_gone(w->list)));
	feed_next(i);
	feed_wake(i);
}

void feed_work_queue(struct feed_work *w)
{
	assert(w->at == FEED_OUTSIDE && w->list != NULL);
	w->at = FEED_QUEUED;
	TAILQ_INSERT_TAIL(&w->issuer->queue, w, waiting);
	feed_next(w->issuer);
}

void feed_works_drop(struct feed_issuer *i)
{
	struct feed_work *w;

	while ((w = TAILQ_FIRST(&i->queue)) != NULL) {
		unqueue(w);
		w->done(w, true);
	}
}

/* A set of the same lists, in other places. */

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
	feed_swap(w);
	LIST_FOREACH(l, &i->gone, link)
		l->place = l->next_place;
	for (size_t n = 0; n < i->n; n++)
		i->list[n]->place = i->list[n]->next_place;
	for (size_t n = 0; n < i->n; n++)
		i->list[n]->drop &= feed_in_force(i->list[n]) != NULL;
	retire(w);
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
	retire(w);
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
		l->next_place = feed_is_kept(l) ? (int)places : -1;
		if (feed_is_kept(l))
			map[places++] = l->place;
	}
	w->job.arrange.map = map;
	begin_job(w);
	return true;
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

bool feed_say(struct feed_issuer *i, bool unopened)
{
	struct feed_work *w;
	struct crl_set *s;

	if (feed_set_of(i)->unopened == unopened &&
	    (!feed_has_places(i) || feed_set_of(i)->unlearnt == feed_is_unlearnt(i)))
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
	retire(w);
	return true;
}
