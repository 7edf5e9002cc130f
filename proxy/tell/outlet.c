/* outlet.c - a log that can only be read forward, and one reader that may be
 * slow.
 *
 * Bytes that are out are counted in a struct of their own, which lives as long as the
 * last news: the API's thread may give one back when this outlet is gone.  It wakes
 * nobody when it does, as the keeper's inbox may be gone too; the outlet looks again.
 */
#include "proxy/tell/outlet.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/tell/log_writer.h"

#define PAGE_BYTES ((size_t)1 << 20) /* 1 MiB: some 3 batches of 10,000 */
#define FULL_MS    10                /* between looks whether the API has caught up */
#define FAILED_MS  1000              /* a log that cannot be read is tried again */

struct teller_flow {
	_Atomic unsigned refs;
	_Atomic size_t out; /* bytes of news that were not given back yet */
};

/* A question of the API's that is at the log. */
struct reader {
	LIST_ENTRY(reader) link;
	struct teller_ask *ask; /* NULL: answered already */
};

#define OUTLET_MAGIC 0x6c616e65u

struct outlet {
	unsigned magic; /* OUTLET_MAGIC: log and timer hand us a void pointer */
	struct change_log *log;
	struct inbox *inbox; /* NULL: nobody listens */
	void (*run)(void *inbox_arg, struct msg *m);
	struct order *grows; /* NULL: nobody else reads pages of it as it grows */
	struct inbox *grows_inbox;
	struct teller_flow *flow;
	struct change_pos end; /* news were posted up to here; epoch 0: not known yet */
	struct event timer;    /* to read on */
	/* Whether what follows `end` in the log is being read.
	 *
	 *	        on_timer()           pump()             on_timer()
	 *	QUIET ------------> TO_READ -------> READING ------------> READING_ON
	 *	  ^                  |   ^             |  |                   |
	 *	  +-- API is full ---+   +--- more ----+--|-------------------+
	 *	  +-- the log's end, or it failed --------+-------------------+ on_page()
	 *
	 * READING_ON: the log has grown since the page was asked for.  TO_READ lasts no
	 * longer than a call: pump() goes on. */
	enum { OUTLET_QUIET, OUTLET_TO_READ, OUTLET_READING, OUTLET_READING_ON } state;
	bool pumping; /* pump() is on the stack: the log may call back at once */
	bool cancelled;
	LIST_HEAD(, reader) readers;
};

/* News. */

static size_t batch_bytes(const struct change_batch *b)
{
	return b != NULL ? b->memory : 0;
}

static void flow_unref(struct teller_flow *f)
{
	if (atomic_fetch_sub(&f->refs, 1) == 1)
		free(f);
}

void teller_news_done(struct teller_news *n)
{
	size_t bytes = batch_bytes(n->batch);
	size_t out = atomic_fetch_sub(&n->_flow->out, bytes);

	assert(out >= bytes);
	(void)out;
	flow_unref(n->_flow);
	change_batch_unref(n->batch);
	free(n);
}

static bool is_full(const struct outlet *o)
{
	return atomic_load(&o->flow->out) >= TELLER_NEWS_MAX;
}

/* False when out of memory: nothing was posted. */
static bool post(
    struct outlet *o, const struct change_batch *b, const struct change_pos *end)
{
	struct teller_news *n = calloc(1, sizeof *n);

	/* never back, within an epoch */
	assert(o->end.epoch != end->epoch || change_pos_cmp(end, &o->end) >= 0);
	if (n == NULL)
		return false;
	n->msg.run = o->run;
	n->batch = b != NULL ? change_batch_ref(b) : NULL;
	n->end = *end;
	n->durable_at_us = clock_mono_us();
	n->_flow = o->flow;
	atomic_fetch_add(&o->flow->refs, 1);
	atomic_fetch_add(&o->flow->out, batch_bytes(b));
	o->end = *end;
	inbox_post(o->inbox, &n->msg);
	return true;
}

static struct change_pos end_of(const struct change_batch *b)
{
	return (struct change_pos){b->epoch, b->seq, b->n};
}

static void read_on_in(struct outlet *o, int64_t ms)
{
	if (!timer_arm(&o->timer, ms))
		log_error("events_late", "err=%s", err_label(ERR_NOMEM));
}

/* Everything between o->end and end is a gap. */
static void post_gap(struct outlet *o, const struct change_pos *end)
{
	if (!post(o, NULL, end))
		read_on_in(o, FAILED_MS);
}

/* One batch of a page; false: stop here and come again. */
static bool take(struct outlet *o, const struct change_batch *b)
{
	struct change_pos end = end_of(b);

	if (b->epoch == o->end.epoch && b->seq <= o->end.seq)
		return true; /* posted while the page was under way */
	if (is_full(o)) {
		read_on_in(o, FULL_MS);
		return false;
	}
	if (post(o, b, &end))
		return true;
	read_on_in(o, FAILED_MS);
	return false;
}

/* Is there more to be read at once? */
static bool take_page(struct outlet *o, const struct change_log_page *page)
{
	bool behind = change_pos_cmp(&page->newest, &o->end) > 0;

	if (page->gap) {
		if (behind || page->newest.epoch != o->end.epoch)
			post_gap(o, &page->newest);
		return false;
	}
	for (size_t i = 0; i < page->n; i++)
		if (!take(o, page->batches[i]))
			return false;
	return page->n > 0;
}

static void pump(struct outlet *o);

static void on_page(void *arg, enum err e, const struct change_log_page *page)
{
	struct outlet *o = arg;
	bool more = o->state == OUTLET_READING_ON;

	assert(o->magic == OUTLET_MAGIC && o->state >= OUTLET_READING);
	o->state = OUTLET_QUIET;
	if (o->inbox == NULL) /* cancelled meanwhile */
		return;
	if (e != ERR_OK) {
		read_on_in(o, FAILED_MS);
		return;
	}
	more |= take_page(o, page);
	if (!more)
		return;
	o->state = OUTLET_TO_READ;
	if (!o->pumping)
		pump(o);
}

/* Read on until the log ends, the API has enough, or the log answers later. */
static void pump(struct outlet *o)
{
	struct change_pos from;

	assert(o->state == OUTLET_TO_READ && !o->pumping && o->end.epoch != 0);
	o->pumping = true;
	while (o->state == OUTLET_TO_READ) {
		if (is_full(o)) {
			o->state = OUTLET_QUIET;
			read_on_in(o, FULL_MS);
			break;
		}
		o->state = OUTLET_READING;
		from = o->end;
		change_log_read(o->log, &from, PAGE_BYTES, on_page, o);
	}
	o->pumping = false;
}

/* A log that was never reached before begins for the API where it is found: positions of
 * before are asked for. */
static bool find_end(struct outlet *o)
{
	struct change_log_health h;

	if (o->end.epoch != 0)
		return true;
	change_log_health(o->log, &h);
	if (h.newest.epoch != 0)
		post_gap(o, &h.newest);
	return false;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct outlet *o = arg;

	(void)fd, (void)what;
	assert(o->magic == OUTLET_MAGIC && o->inbox != NULL);
	assert(o->state != OUTLET_TO_READ);
	if (o->state != OUTLET_QUIET) {
		o->state = OUTLET_READING_ON;
	} else if (find_end(o)) {
		o->state = OUTLET_TO_READ;
		pump(o);
	}
}

void outlet_grows(struct outlet *o, struct order *order, struct inbox *inbox)
{
	o->grows = order;
	o->grows_inbox = inbox;
}

static void say_grown(struct outlet *o)
{
	if (o->grows != NULL)
		order_post(o->grows, o->grows_inbox);
}

/* From the loop: the log may call this from inside a call of ours. */
void outlet_grown(struct outlet *o)
{
	say_grown(o);
	if (o->inbox != NULL)
		read_on_in(o, 0);
}

void outlet_appended(struct outlet *o, struct change_batch *b)
{
	struct change_pos end = end_of(b);

	say_grown(o);
	if (o->inbox == NULL)
		return;
	if (o->end.epoch == 0)
		post_gap(o, &(struct change_pos){b->epoch, b->seq - 1, CHANGE_BATCH_MAX});
	if (b->epoch != o->end.epoch || b->seq != o->end.seq + 1 || is_full(o) ||
	    !post(o, b, &end))
		outlet_grown(o);
}

void outlet_epoch(struct outlet *o, const struct change_pos *end)
{
	bool known = end->epoch == o->end.epoch && change_pos_cmp(end, &o->end) < 0;

	say_grown(o);
	if (o->inbox != NULL && !known) /* a page of it may have come before this */
		post_gap(o, end);
}

void outlet_listen(
    struct outlet *o, struct inbox *inbox, void (*run)(void *inbox_arg, struct msg *m))
{
	struct change_log_health h;

	change_log_health(o->log, &h);
	o->inbox = inbox;
	o->run = run;
	o->end = h.newest;
}

void outlet_end(const struct outlet *o, struct change_pos *end)
{
	struct change_log_health h;

	*end = o->end;
	if (o->inbox != NULL)
		return;
	change_log_health(o->log, &h);
	*end = h.newest;
}

/* Pages. */

static void answer(struct teller_ask *a, enum err e)
{
	a->error = e;
	question_answer(&a->question);
}

static enum err copy_page(struct teller_ask *a, const struct change_log_page *page)
{
	a->oldest = page->oldest;
	a->newest = page->newest;
	a->gap = page->gap;
	if (page->n == 0)
		return ERR_OK;
	a->batches = malloc(page->n * sizeof(struct change_batch *));
	if (a->batches == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < page->n; i++)
		a->batches[i] = change_batch_ref(page->batches[i]);
	a->n = page->n;
	return ERR_OK;
}

static void on_read(void *arg, enum err e, const struct change_log_page *page)
{
	struct reader *r = arg;
	struct teller_ask *a = r->ask;

	LIST_REMOVE(r, link);
	free(r);
	if (a == NULL)
		return;
	answer(a, e == ERR_OK ? copy_page(a, page) : e);
}

void outlet_read(struct outlet *o, struct teller_ask *a)
{
	struct reader *r = NULL;
	struct change_pos from = a->from;

	a->batches = NULL;
	a->n = 0;
	a->gap = false;
	a->oldest = a->newest = (struct change_pos){0};
	if (o->cancelled || (r = calloc(1, sizeof *r)) == NULL) {
		answer(a, o->cancelled ? ERR_CANCELLED : ERR_NOMEM);
		return;
	}
	r->ask = a;
	LIST_INSERT_HEAD(&o->readers, r, link);
	change_log_read(o->log, &from, a->max_bytes, on_read, r);
}

void outlet_cancel(struct outlet *o)
{
	struct reader *r;

	o->cancelled = true;
	o->inbox = NULL;
	o->grows = NULL;
	event_del(&o->timer);
	LIST_FOREACH(r, &o->readers, link) {
		struct teller_ask *a = r->ask;

		r->ask = NULL;
		if (a != NULL)
			answer(a, ERR_CANCELLED);
	}
}

struct outlet *outlet_new(struct event_base *base, struct change_log *log)
{
	struct outlet *o = calloc(1, sizeof *o);

	if (o == NULL || (o->flow = calloc(1, sizeof *o->flow)) == NULL) {
		free(o);
		return NULL;
	}
	atomic_init(&o->flow->refs, 1);
	o->magic = OUTLET_MAGIC;
	o->log = log;
	LIST_INIT(&o->readers);
	evtimer_assign(&o->timer, base, on_timer, o);
	return o;
}

void outlet_free(struct outlet *o)
{
	struct reader *r;

	if (o == NULL)
		return;
	while ((r = LIST_FIRST(&o->readers)) != NULL) {
		LIST_REMOVE(r, link);
		free(r);
	}
	event_del(&o->timer);
	flow_unref(o->flow);
	free(o);
}
