/* batches.c - in the barrier, ready, or at the log. */
#include "proxy/tell/batches.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "proxy/base/timer.h"
#include "proxy/tell/outlet.h"

#define APPENDS_MAX 16 /* under way: one fsync or round trip for all of them */

#define BATCHES_MAGIC 0x62617463u

struct batches {
	unsigned magic; /* BATCHES_MAGIC: the timer hands us a void pointer */
	struct log_writer *writer;
	TAILQ_HEAD(, teller_batch) ready;
	LIST_HEAD(, teller_batch) passing, appending;
	unsigned appends_n;
	uint64_t waiting; /* changes of all of them */
	struct event timer;
	struct log_user user;
	bool pausing; /* for the back-off */
	bool going;   /* go() is on the stack */
	bool cancelled;
};

static uint64_t changes_of(const struct teller_batch *t)
{
	return t->batch != NULL ? t->batch->n : 0;
}

static void answer(struct batches *b, struct teller_batch *t, enum err e)
{
	assert(b->waiting >= changes_of(t));
	b->waiting -= changes_of(t);
	t->error = e;
	question_answer(&t->question);
}

static void go(struct batches *b);

static void back_off(struct batches *b, enum err e)
{
	if (b->pausing) /* one of several that were under way */
		return;
	log_writer_failed(b->writer, &b->user, "watchlists", e);
	b->pausing = timer_arm(&b->timer, log_writer_backoff_ms(b->writer, &b->user));
}

static void on_appended(void *arg, enum err e, const struct change_pos *end)
{
	struct teller_batch *t = arg;
	struct batches *b = t->_all;

	(void)end;
	assert(b->magic == BATCHES_MAGIC && b->appends_n > 0);
	LIST_REMOVE(t, _link);
	b->appends_n--;
	if (e == ERR_OK || e == ERR_CONFLICT)
		log_writer_wrote(b->writer, &b->user);
	if (e == ERR_CONFLICT) {
		outlet_grown(b->writer->outlet); /* by others, or a try of before */
		answer(b, t, e);
	} else if (e == ERR_OK) {
		if (t->batch != NULL)
			log_writer_durable(b->writer, t->batch);
		answer(b, t, ERR_OK);
	} else if (b->cancelled) {
		answer(b, t, ERR_CANCELLED);
	} else {
		TAILQ_INSERT_HEAD(&b->ready, t, _ready);
		back_off(b, e);
	}
	go(b);
}

static void go(struct batches *b)
{
	struct teller_batch *t;

	if (b->going)
		return;
	b->going = true;
	while (!b->pausing && b->appends_n < APPENDS_MAX &&
	       (t = TAILQ_FIRST(&b->ready)) != NULL) {
		TAILQ_REMOVE(&b->ready, t, _ready);
		LIST_INSERT_HEAD(&b->appending, t, _link);
		b->appends_n++;
		change_log_append(b->writer->log, t->batch, t->scope, &t->expect,
		    &t->next, on_appended, t);
	}
	b->going = false;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct batches *b = arg;

	(void)fd, (void)what;
	assert(b->magic == BATCHES_MAGIC);
	b->pausing = false;
	go(b);
}

static void barrier_passed(struct barrier_want *w)
{
	struct teller_batch *t =
	    (struct teller_batch *)((char *)w - offsetof(struct teller_batch, _want));
	struct batches *b = t->_all;

	if (b == NULL) /* freed */
		return;
	assert(b->magic == BATCHES_MAGIC);
	LIST_REMOVE(t, _link);
	if (b->cancelled) {
		answer(b, t, ERR_CANCELLED);
		return;
	}
	TAILQ_INSERT_TAIL(&b->ready, t, _ready);
	go(b);
}

void batches_add(struct batches *b, struct teller_batch *t)
{
	assert(t->batch != NULL ? t->batch->n > 0 : t->scope != NULL);
	/* those have ways of their own */
	assert(t->batch == NULL || t->batch->kind != CHANGE_MOVES);
	t->_all = b;
	b->waiting += changes_of(t);
	if (b->cancelled) {
		answer(b, t, ERR_CANCELLED);
		return;
	}
	LIST_INSERT_HEAD(&b->passing, t, _link);
	t->_want.done = barrier_passed;
	barrier_pass(b->writer->context->barrier, &t->_want);
}

static void on_scope(void *arg, enum err e, const struct change_told *told)
{
	struct teller_scope *s = arg;

	s->error = e;
	if (e == ERR_OK)
		s->told = *told;
	question_answer(&s->question);
}

void batches_ask(struct batches *b, struct teller_scope *s)
{
	if (!b->cancelled) {
		change_log_told(b->writer->log, s->scope, on_scope, s);
		return;
	}
	s->error = ERR_CANCELLED;
	question_answer(&s->question);
}

void batches_cancel(struct batches *b)
{
	struct teller_batch *t;

	b->cancelled = true;
	event_del(&b->timer);
	while ((t = TAILQ_FIRST(&b->ready)) != NULL) {
		TAILQ_REMOVE(&b->ready, t, _ready);
		answer(b, t, ERR_CANCELLED);
	}
}

void batches_look_again(struct batches *b)
{
	go(b);
}

uint64_t batches_waiting(const struct batches *b)
{
	return b->waiting;
}

struct batches *batches_new(struct log_writer *writer)
{
	struct batches *b = calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	b->magic = BATCHES_MAGIC;
	b->writer = writer;
	TAILQ_INIT(&b->ready);
	LIST_INIT(&b->passing);
	LIST_INIT(&b->appending);
	evtimer_assign(&b->timer, writer->context->base, on_timer, b);
	return b;
}

void batches_free(struct batches *b)
{
	struct teller_batch *t;

	if (b == NULL)
		return;
	LIST_FOREACH(t, &b->passing, _link)
		t->_all = NULL;
	event_del(&b->timer);
	free(b);
}
