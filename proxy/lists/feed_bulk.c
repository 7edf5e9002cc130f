/* feed_bulk.c - whose job is the bulk thread's next.
 *
 * Openings come before everything else, and the first of them is one that somebody waits
 * for: while a list is not opened, its issuer answers nobody.  There may be thousands,
 * and small ones: they go in batches, and a batch that has become long comes back with
 * what it has not done, so that nobody's turn is behind a large list that nobody waits
 * for.
 */
#include "proxy/lists/feed_list.h"

#include "proxy/base/clock.h"

#define BATCH_US 5000

static void dispatch(struct crl_feed *f);

static void batch_work(void *arg)
{
	struct feed_batch *b = arg;
	int64_t end = clock_mono_us() + BATCH_US;

	do
		crl_job_work(&b->work[b->done]->job);
	while (++b->done < b->n && clock_mono_us() < end && !atomic_load(&b->feed->stop));
}

static void batch_done(void *arg)
{
	struct feed_batch *b = arg;
	struct crl_feed *f = b->feed;

	for (; b->n > b->done; b->n--) {
		b->work[b->n - 1]->begun = true;
		TAILQ_INSERT_HEAD(&f->opens, b->work[b->n - 1], waiting);
	}
	for (size_t n = 0; n < b->n; n++)
		feed_job_done(b->work[n]);
	b->busy = false;
	dispatch(f);
}

static void take(struct feed_batch *b, struct feed_queue *q, size_t most)
{
	struct feed_work *w;

	b->n = b->done = 0;
	while (b->n < most && (w = TAILQ_FIRST(q)) != NULL) {
		TAILQ_REMOVE(q, w, waiting);
		w->begun = false;
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

void feed_run(struct feed_work *w)
{
	struct crl_feed *f = w->feed;

	w->issuer->running = w;
	w->begun = true;
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

	if (w == NULL || !w->begun || w->job.kind != CRL_JOB_OPEN)
		return;
	TAILQ_REMOVE(&i->feed->opens, w, waiting);
	TAILQ_INSERT_HEAD(&i->feed->opens, w, waiting);
}
