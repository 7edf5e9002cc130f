/* singles.c - four queues: fresh (the next barrier), passing (in the barrier that
 * is under way), ready, and what is in appends under way.
 *
 * Each change has a number, by which what failed finds its place again.
 */
#include "proxy/tell/singles.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/tell/outlet.h"

#define APPENDS_MAX 64  /* appends under way: one fsync or round trip for all of them */
#define SLICE       256 /* appends begun in one turn, so that the loop is not held */
/* Some 150 MB.  Over it, changes that their latch's mark keeps on disk leave memory. */
#define WAITING_MAX 1000000

struct single {
	TAILQ_ENTRY(single) link;
	TAILQ_ENTRY(single) spare_link; /* of those with a latch that wait */
	uint64_t number;
	struct change change;
	int64_t seen_at_ms, published_at;
	uint8_t ca_id[32];
	bool has_latch;
	bool begun;    /* an append was begun: this change is ours to tell */
	bool restored; /* of an earlier life */
	char issuer[];
};
TAILQ_HEAD(single_list, single);

/* An append under way. */
struct single_append {
	LIST_ENTRY(single_append) link;
	struct singles *all;
	struct change_batch *batch;
	struct single_list list;
};

#define SINGLES_MAGIC 0x6f6e6573u

struct singles {
	unsigned magic; /* SINGLES_MAGIC: barrier and timer hand us a pointer to a part */
	struct log_writer *writer;
	struct single_list fresh, passing, ready;
	struct single_list spare; /* oldest first: those with a latch, in no append */
	LIST_HEAD(, single_append) appends;
	unsigned appends_n;
	size_t waiting; /* in the queues and in appends */
	uint64_t last_number;
	struct barrier_want want;
	bool in_barrier;
	bool freed; /* the barrier still has want */
	bool over;  /* WAITING_MAX was told */
	struct event timer;
	struct log_user user;
	bool pausing; /* for the back-off */
	bool going;   /* go() is on the stack */
};

static const struct issuer *issuer_of(const struct singles *s, const char *name)
{
	return issuers_named(shared_conf(s->writer->context->shared)->issuers, name);
}

/* Queues. */

static void drop(struct singles *s, struct single *x)
{
	assert(s->waiting > 0);
	s->waiting--;
	free(x);
}

static void drop_list(struct singles *s, struct single_list *list)
{
	struct single *x;

	while ((x = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, x, link);
		drop(s, x);
	}
}

/* Out of `ready`, for good or for an append. */
static void take_out(struct singles *s, struct single *x)
{
	TAILQ_REMOVE(&s->ready, x, link);
	if (x->has_latch)
		TAILQ_REMOVE(&s->spare, x, spare_link);
}

/* Before the first of a higher number.  What comes back is among the oldest: a short
 * walk. */
static void put_back(struct singles *s, struct single *x)
{
	struct single *y = TAILQ_FIRST(&s->ready);

	while (y != NULL && y->number < x->number)
		y = TAILQ_NEXT(y, link);
	if (y != NULL)
		TAILQ_INSERT_BEFORE(y, x, link);
	else
		TAILQ_INSERT_TAIL(&s->ready, x, link);
	if (x->has_latch)
		TAILQ_INSERT_HEAD(&s->spare, x, spare_link);
}

static struct single_list *queue_of(struct singles *s, const struct single *x)
{
	const struct single *fresh = TAILQ_FIRST(&s->fresh);
	const struct single *passing = TAILQ_FIRST(&s->passing);

	if (fresh != NULL && x->number >= fresh->number)
		return &s->fresh;
	return passing != NULL && x->number >= passing->number ? &s->passing : &s->ready;
}

/* The mark on disk brings it back at the next start. */
static void make_room(struct singles *s)
{
	struct single *x = TAILQ_FIRST(&s->spare);

	if (s->waiting < WAITING_MAX || x == NULL)
		return;
	if (!s->over)
		log_error("changes_over_limit", "waiting=%zu effect=%s", s->waiting,
		    "told at the next start");
	s->over = true;
	TAILQ_REMOVE(&s->spare, x, spare_link);
	TAILQ_REMOVE(queue_of(s, x), x, link);
	drop(s, x);
}

static void go(struct singles *s);

static void barrier_passed(struct barrier_want *w);

static void pass(struct singles *s)
{
	if (s->in_barrier || TAILQ_EMPTY(&s->fresh))
		return;
	assert(TAILQ_EMPTY(&s->passing));
	TAILQ_CONCAT(&s->passing, &s->fresh, link);
	s->in_barrier = true;
	s->want.done = barrier_passed;
	barrier_pass(s->writer->context->barrier, &s->want);
}

static void barrier_passed(struct barrier_want *w)
{
	struct singles *s =
	    (struct singles *)((char *)w - offsetof(struct singles, want));

	assert(s->magic == SINGLES_MAGIC && s->in_barrier);
	s->in_barrier = false;
	if (s->freed) {
		free(s);
		return;
	}
	TAILQ_CONCAT(&s->ready, &s->passing, link);
	pass(s);
	go(s);
}

static void enqueue(struct singles *s, struct single *x)
{
	make_room(s);
	x->number = ++s->last_number;
	TAILQ_INSERT_TAIL(&s->fresh, x, link);
	if (x->has_latch)
		TAILQ_INSERT_TAIL(&s->spare, x, spare_link);
	s->waiting++;
}

static struct single *single_new(const char *issuer)
{
	size_t n = strlen(issuer) + 1;
	struct single *x = calloc(1, sizeof *x + n);

	if (x == NULL)
		log_error("change_not_kept", "err=%s", err_label(ERR_NOMEM));
	else
		memcpy(x->issuer, issuer, n);
	return x;
}

static void describe(struct single *x, const struct serial *serial, int64_t revoked_at,
    int reason, enum change_status now, enum change_status before)
{
	struct crl_entry *e = &x->change.entry;

	crl_entry_set_serial(e, serial);
	crl_entry_set_at(e, revoked_at);
	e->reason = reason < 0 ? CRL_NO_REASON : (uint8_t)reason;
	e->spare[0] = (uint8_t)now;
	e->spare[1] = (uint8_t)before;
}

void singles_add(struct singles *s, const struct single_change *c)
{
	struct single *x = single_new(c->issuer->name);

	if (x == NULL)
		return;
	describe(x, &c->serial, c->revoked_at, c->reason, c->now, c->before);
	x->seen_at_ms = clock_now_ms();
	x->published_at = c->this_update;
	x->has_latch = c->latch != NULL;
	if (x->has_latch)
		memcpy(x->ca_id, c->latch->ca_id, sizeof x->ca_id);
	metrics_observe_us(s->writer->context->counters, H_PUBLISHED_SEEN,
	    (x->seen_at_ms - x->published_at * 1000) * 1000);
	enqueue(s, x);
	pass(s);
}

/* Latches of an earlier life. */

static void add_latch(void *arg, const struct latch *l)
{
	struct singles *s = arg;
	const struct issuers *all = shared_conf(s->writer->context->shared)->issuers;
	const struct issuer *i = l->untold ? issuers_with(all, l->ca_id) : NULL;
	struct single *x;

	if (i == NULL || (x = single_new(i->name)) == NULL)
		return;
	/* what it was before is no longer known */
	describe(x, &l->serial, l->revoked_at, l->reason, CHANGE_REVOKED, CHANGE_UNKNOWN);
	x->seen_at_ms = l->set_at * 1000;
	x->published_at = l->set_at;
	x->has_latch = x->restored = true;
	memcpy(x->ca_id, l->ca_id, sizeof x->ca_id);
	enqueue(s, x);
}

void singles_add_latches(struct singles *s)
{
	latches_each(s->writer->latches, add_latch, s);
	pass(s);
}

/* Into the log. */

/* A list has taken this change meanwhile. */
static bool is_taken(const struct singles *s, const struct single *x)
{
	const struct issuer *i = issuer_of(s, x->issuer);
	const struct latch *l;
	struct serial serial;

	if (!x->has_latch || x->begun || i == NULL)
		return false;
	crl_entry_serial(&x->change.entry, &serial);
	l = latches_find(s->writer->latches, i, &serial);
	return l != NULL && !l->untold;
}

static bool same_certificate(const struct single *x, const struct single *y)
{
	return crl_entry_cmp(&x->change.entry, &y->change.entry) == 0 &&
	       strcmp(x->issuer, y->issuer) == 0;
}

static bool is_under_way(const struct singles *s, const struct single *x)
{
	for (const struct single_append *f = LIST_FIRST(&s->appends); f != NULL;
	     f = LIST_NEXT(f, link))
		for (const struct single *y = TAILQ_FIRST(&f->list); y != NULL;
		     y = TAILQ_NEXT(y, link))
			if (same_certificate(x, y))
				return true;
	return false;
}

/* May x be in the batch that begins with first?  What the last life left may be many and
 * shares a batch, but not on a shared log, which looks at each change alone whether
 * another node has told it (change_log_append). */
static bool goes_with(const struct single *first, const struct single *x, uint32_t n)
{
	return n < CHANGE_BATCH_MAX && first->restored && x->restored &&
	       strcmp(first->issuer, x->issuer) == 0;
}

static bool is_shared(const struct singles *s)
{
	struct change_log_health h;

	change_log_health(s->writer->log, &h);
	return h.shared;
}

static void begin(struct singles *s, struct single *x)
{
	struct serial serial;

	if (x->has_latch && !x->begun) {
		crl_entry_serial(&x->change.entry, &serial);
		latches_told(s->writer->latches, x->ca_id, &serial);
	}
	x->begun = true;
}

/* The next ones that go into one batch; how many. */
static uint32_t collect(struct singles *s, struct single_list *list)
{
	struct single *x, *next;
	bool alone = is_shared(s);
	uint32_t n = 0;

	for (x = TAILQ_FIRST(&s->ready); x != NULL; x = next) {
		next = TAILQ_NEXT(x, link);
		if (is_taken(s, x)) {
			take_out(s, x);
			drop(s, x);
			continue;
		}
		if ((n > 0 && (alone || !goes_with(TAILQ_FIRST(list), x, n))) ||
		    (!x->restored && is_under_way(s, x)))
			break;
		take_out(s, x);
		begin(s, x);
		TAILQ_INSERT_TAIL(list, x, link);
		n++;
	}
	return n;
}

static int by_serial(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	return crl_entry_cmp(&x->entry, &y->entry);
}

static struct change_batch *batch_of(const struct single_list *list, uint32_t n)
{
	struct change_batch *b = change_batch_new(n);
	const struct single *x = TAILQ_FIRST(list);
	uint32_t i = 0;

	if (b == NULL)
		return NULL;
	memcpy(b->issuer, x->issuer, strlen(x->issuer) + 1);
	b->evidence = CHANGE_OCSP;
	b->n = n;
	TAILQ_FOREACH(x, list, link) {
		b->change[i++] = x->change;
		if (x->seen_at_ms > b->seen_at_ms)
			b->seen_at_ms = x->seen_at_ms;
		if (x->published_at > b->published_at)
			b->published_at = x->published_at;
	}
	qsort(b->change, n, sizeof b->change[0], by_serial);
	return b;
}

static void tell_latches(struct singles *s, const struct single_append *f)
{
	struct latch *l = calloc(f->batch->n, sizeof *l);
	const struct single *x;
	size_t n = 0;

	if (l == NULL)
		return; /* told again at the next start */
	TAILQ_FOREACH(x, &f->list, link) {
		if (!x->has_latch)
			continue;
		memcpy(l[n].ca_id, x->ca_id, sizeof x->ca_id);
		crl_entry_serial(&x->change.entry, &l[n++].serial);
	}
	log_writer_latches_told(s->writer, l, n);
}

static void back_off(struct singles *s, enum err e)
{
	if (s->pausing) /* one of several that were under way */
		return;
	log_writer_failed(s->writer, &s->user, "answers", e);
	s->pausing = timer_arm(&s->timer, log_writer_backoff_ms(s->writer, &s->user));
}

static void return_list(struct singles *s, struct single_list *list)
{
	struct single *x;

	while ((x = TAILQ_LAST(list, single_list)) != NULL) {
		TAILQ_REMOVE(list, x, link);
		put_back(s, x);
	}
}

static void append_free(struct single_append *f)
{
	LIST_REMOVE(f, link);
	f->all->appends_n--;
	change_batch_unref(f->batch);
	free(f);
}

static void on_appended(void *arg, enum err e, const struct change_pos *end)
{
	struct single_append *f = arg;
	struct singles *s = f->all;

	(void)end;
	assert(s->magic == SINGLES_MAGIC && s->appends_n > 0);
	assert(!TAILQ_EMPTY(&f->list));
	if (e == ERR_OK) {
		log_writer_wrote(s->writer, &s->user);
		log_writer_durable(s->writer, f->batch);
		tell_latches(s, f);
		drop_list(s, &f->list);
		s->over = s->over && s->waiting > 0;
	} else {
		return_list(s, &f->list);
		back_off(s, e);
	}
	append_free(f);
	go(s);
}

/* False when there is nothing to begin. */
static bool launch(struct singles *s)
{
	struct single_list list = TAILQ_HEAD_INITIALIZER(list);
	uint32_t n = collect(s, &list);
	struct single_append *f;

	if (n == 0)
		return false;
	f = calloc(1, sizeof *f);
	if (f == NULL || (f->batch = batch_of(&list, n)) == NULL) {
		free(f);
		return_list(s, &list);
		back_off(s, ERR_NOMEM);
		return false;
	}
	f->all = s;
	TAILQ_INIT(&f->list);
	TAILQ_CONCAT(&f->list, &list, link);
	LIST_INSERT_HEAD(&s->appends, f, link);
	s->appends_n++;
	change_log_append(s->writer->log, f->batch, NULL, NULL, NULL, on_appended, f);
	return true;
}

static void go(struct singles *s)
{
	unsigned n = 0;

	if (s->going)
		return;
	s->going = true;
	while (!s->pausing && s->appends_n < APPENDS_MAX && n < SLICE && launch(s))
		n++;
	s->going = false;
	if (n == SLICE && !s->pausing)
		timer_arm(&s->timer, 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct singles *s = arg;

	(void)fd, (void)what;
	assert(s->magic == SINGLES_MAGIC && !s->freed);
	s->pausing = false;
	go(s);
}

void singles_look_again(struct singles *s)
{
	go(s);
}

size_t singles_count(const struct singles *s)
{
	return s->waiting;
}

struct singles *singles_new(struct log_writer *writer)
{
	struct singles *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->magic = SINGLES_MAGIC;
	s->writer = writer;
	TAILQ_INIT(&s->fresh);
	TAILQ_INIT(&s->passing);
	TAILQ_INIT(&s->ready);
	TAILQ_INIT(&s->spare);
	LIST_INIT(&s->appends);
	evtimer_assign(&s->timer, writer->context->base, on_timer, s);
	return s;
}

void singles_free(struct singles *s)
{
	struct single_append *f;

	if (s == NULL)
		return;
	while ((f = LIST_FIRST(&s->appends)) != NULL) {
		drop_list(s, &f->list);
		append_free(f);
	}
	drop_list(s, &s->fresh);
	drop_list(s, &s->passing);
	drop_list(s, &s->ready);
	event_del(&s->timer);
	s->freed = true;
	if (!s->in_barrier)
		free(s);
}
