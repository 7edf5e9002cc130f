/* events_ask.c - what only the keeper's thread can say: pages of the log.
 *
 * Those who want the same place are answered together: after a restart thousands come
 * back to where they all were.  At most LAG_READS_MAX pages are asked for at a time, so
 * that a crowd of laggards cannot fill memory with pages, nor the keeper with work.
 */
#include "proxy/push/events_core.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/push/events_say.h"

#define READ_BYTES    (1u << 20) /* of a page: about 30,000 changes */
#define LAG_READS_MAX 8

/* Questions. */

void events_ask(struct events *e, struct teller_ask *a, const struct change_pos *from,
    size_t max_bytes, void (*done)(void *inbox_arg, struct question *q))
{
	a->question.reply_to = e->own;
	a->question.done = done;
	a->teller = e->shared->teller;
	a->from = *from;
	a->max_bytes = max_bytes;
	e->asking++;
	question_ask(&a->question, e->shared->keeper, teller_read);
}

void events_answered(struct events *e)
{
	assert(e->asking > 0);
	if (--e->asking == 0 && e->idle != NULL)
		e->idle(e->idle_arg);
}

/* Before the first news has come: the end of the log is where a page said it is. */
static void learn(struct events *e, const struct change_pos *newest)
{
	if (e->known || newest->epoch == 0)
		return;
	events_begin(e, newest);
	e->start = e->end = *newest;
}

void events_begin(struct events *e, const struct change_pos *end)
{
	if (!e->known)
		e->first = *end;
	e->known = true;
}

/* Pages. */

/* The batches, which are taken, as a page with one reference; NULL: none, or out of
 * memory. */
static struct lag_page *lag_page_new(struct events *e, struct teller_ask *a, bool wanted)
{
	struct lag_page *p = wanted && a->n > 0 ? calloc(1, sizeof *p) : NULL;
	bool whole = p != NULL;

	/* a page may end early, but nothing in it may be left out */
	for (size_t i = 0; i < a->n; i++) {
		if (whole)
			whole = roll_add(&p->roll, a->batches[i]);
		else
			change_batch_unref(a->batches[i]);
	}
	free(a->batches);
	a->batches = NULL;
	if (p == NULL)
		return NULL;
	p->refs = 1;
	e->paged += p->roll.bytes;
	if (roll_n(&p->roll) == 0) {
		lag_page_unref(e, p);
		return NULL;
	}
	return p;
}

/* What followed pos is no longer kept. */
static void begin_gap(struct sub *s, const struct change_pos *oldest)
{
	struct events *e = s->events;

	metrics_count(e->counters, M_EVENT_GAPS);
	if (!s->bad_since)
		change_pos_text(&s->pos, s->since);
	s->bad_since = false;
	s->pos = *oldest;
	s->verified = true;
	s->say_gap = true;
	if (s->snapshot_on_gap)
		s->wants_snapshot = true;
	else
		s->say_position = true;
}

/* What the answer says of the place of s.  false: s was closed, as its client has half an
 * event that will not be read again: it comes back to that event's beginning. */
static bool place(struct sub *s, const struct teller_ask *a, const struct lag_page *p)
{
	bool gap = a->gap || s->bad_since;
	bool behind = p == NULL && change_pos_cmp(&s->pos, &a->newest) < 0;

	if ((gap || behind) && s->skip > 0 && !s->say_head && !s->say_wait) {
		sub_close(s);
		return false;
	}
	if (gap) {
		begin_gap(s, &a->oldest);
	} else if (behind) {
		s->pos = a->newest; /* nothing stands between them */
	}
	if (!s->verified) {
		s->verified = true;
		s->say_position = true;
	}
	return true;
}

/* s is in r's list when this is called, and in one of the events' own, or closed, when it
 * returns. */
static void take_page(struct sub *s, const struct teller_ask *a, struct lag_page *p)
{
	struct events *e = s->events;

	if (a->newest.epoch == 0 || (p == NULL && (a->error != ERR_OK || a->n > 0))) {
		if (events_say_wait(s, WAIT_LOG))
			sub_move(s, &e->later);
		return;
	}
	if (s->wants_end) {
		sub_move(s, &e->due);
		return;
	}
	if (!place(s, a, p))
		return;
	assert(s->page == NULL);
	if (p != NULL) {
		s->page = p;
		p->refs++;
	}
	/* Nothing follows a place that our window has not come to, as when the news of a
	 * new epoch are still on their way: no need to ask again at once. */
	sub_move(s, p != NULL || a->gap || events_has(e, &s->pos) ? &e->due : &e->later);
}

static void start_queued(struct events *e)
{
	struct subs waiting = TAILQ_HEAD_INITIALIZER(waiting);
	struct sub *s;

	while ((s = TAILQ_FIRST(&e->queued)) != NULL)
		sub_move(s, &waiting);
	while ((s = TAILQ_FIRST(&waiting)) != NULL)
		events_read(s);
}

static void on_page(void *arg, struct question *q)
{
	struct lag_read *r = (struct lag_read *)q;
	struct teller_ask *a = &r->ask;
	struct events *e = r->events;
	struct lag_page *p;
	struct sub *s;

	(void)arg;
	assert(e->magic == EVENTS_MAGIC && e->lag_reads_n > 0);
	e->now_ms = clock_mono_ms();
	TAILQ_REMOVE(&e->lag_reads, r, link);
	e->lag_reads_n--;
	if (a->error == ERR_OK)
		learn(e, &a->newest);
	p = lag_page_new(e, a, !TAILQ_EMPTY(&r->subs));
	while ((s = TAILQ_FIRST(&r->subs)) != NULL)
		take_page(s, a, p);
	lag_page_unref(e, p);
	free(r);
	start_queued(e);
	events_wake(e);
	events_answered(e);
}

static bool is_same(const struct change_pos *a, const struct change_pos *b)
{
	return a->epoch == b->epoch && a->seq == b->seq && a->index == b->index;
}

bool events_read_on(struct sub *s)
{
	lag_page_unref(s->events, s->page);
	s->page = NULL;
	if (events_has(s->events, &s->pos))
		return true;
	events_read(s);
	return false;
}

void events_read(struct sub *s)
{
	static const struct change_pos oldest;
	struct events *e = s->events;
	const struct change_pos *from = s->wants_end || s->bad_since ? &oldest : &s->pos;
	struct lag_read *r;

	assert(s->page == NULL && s->share == NULL);
	TAILQ_FOREACH(r, &e->lag_reads, link)
		if (is_same(&r->ask.from, from)) {
			sub_move(s, &r->subs);
			return;
		}
	if (e->lag_reads_n == LAG_READS_MAX) {
		sub_move(s, &e->queued);
		return;
	}
	r = calloc(1, sizeof *r);
	if (r == NULL) {
		sub_move(s, &e->later);
		return;
	}
	r->events = e;
	TAILQ_INIT(&r->subs);
	TAILQ_INSERT_TAIL(&e->lag_reads, r, link);
	e->lag_reads_n++;
	sub_move(s, &r->subs);
	events_ask(e, &r->ask, from, READ_BYTES, on_page);
}
