/* list_changes.c - a job for each list: ask for the pointer, decide, append, and again
 * from the start when anything went otherwise.
 *
 * Where the pointer will stand after each batch is known before, so that several appends
 * are under way and share an fsync.  One that fails makes those behind it fail too.
 *
 * The filter drops what has not moved for this node.  It never changes where a batch
 * begins or ends: another node goes on by the diff alone.
 */
#include "proxy/tell/list_changes.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/timer.h"
#include "proxy/tell/outlet.h"

#define APPENDS_MAX   8     /* appends under way, 320 KB each; more is no faster */
#define SLICE         2     /* batches made in one turn: 5 ms, 10 with many latches */
#define MOVING_MS     2000  /* the pointer stands still for so long: its node is gone */
#define OTHER_MS      5000  /* the same, where it tells another list */
#define POLL_MS       250   /* between looks while another node moves it */
#define LISTS_BASE_MS 10000 /* for a node that has a base, where we have none */
#define BASE_POLL_MS  500
/* Diffs of at most so many changes are compared with the answers in memory too: that is
 * some eight look-ups for each, 3 s of the keeper's time for 1.7 M.  In a larger diff a
 * hold that an answer told already is told twice, which is allowed. */
#define HOT_LOOKUPS_MAX 1000

struct list_job;

/* An append under way. */
struct list_append {
	LIST_ENTRY(list_append) link;
	struct list_job *job;
	struct change_batch *batch;
	struct latch *latches; /* whose change is in the batch */
	size_t latches_n;
	struct change_told expect, next;
};

#define LIST_JOB_MAGIC 0x6a6f6273u

struct list_job {
	unsigned magic; /* LIST_JOB_MAGIC: log and timer hand us a void pointer */
	LIST_ENTRY(list_job) link;
	struct list_changes *all;
	struct list_change l;
	uint32_t total; /* batches */
	struct barrier_want want;
	struct event timer;
	bool in_barrier, asking; /* the barrier, the log has a pointer to this */
	/* One job for each list.
	 *
	 *	PASSING --> WAITING <-----------------------+
	 *	               |                            | look again, failure,
	 *	               v                            | somebody else has moved it
	 *	            ASKING -------------------------+
	 *	             |  |                           |
	 *	             |  +--> LEAVING_GAP --+--------+
	 *	             v                     |        |
	 *	          APPENDING <--------------+        |
	 *	             v                              |
	 *	           LINKED --------------------------+
	 *	             v
	 *	            OVER   also from ASKING, and from each of them when it is
	 *	                   cancelled
	 *
	 * OVER it goes when nobody will call back into it any more. */
	enum {
		LIST_PASSING,     /* the barrier */
		LIST_WAITING,     /* for its time to ask for the pointer */
		LIST_ASKING,      /* the log was asked for it */
		LIST_LEAVING_GAP, /* the log was asked for a new epoch */
		LIST_APPENDING,   /* the chain of appends was begun */
		LIST_LINKED,      /* its last append was */
		LIST_OVER         /* done was called */
	} state;
	bool late; /* there was no memory for the timer */
	struct log_user user;
	/* the pointer as it was last seen, and since when: */
	struct change_told seen;
	int64_t seen_at_ms;
	bool seen_any;
	bool mine;             /* who moved it last is this node */
	bool waits;            /* for a node that has a base */
	int64_t waits_from_ms; /* since then */
	/* the chain of appends: */
	struct change_told expect; /* of the next one */
	uint32_t next;             /* batch */
	enum err broke;            /* the first failure of this chain */
	bool going;                /* go_on() is on the stack */
	LIST_HEAD(, list_append) appends;
	unsigned appends_n;
};

struct list_changes {
	struct log_writer *writer;
	LIST_HEAD(, list_job) jobs;
	bool cancelled; /* what comes now ends as soon as it may */
};

static bool same(const uint8_t a[32], const uint8_t b[32])
{
	return memcmp(a, b, 32) == 0;
}

static void arm(struct list_job *j, int64_t ms)
{
	j->late = !timer_arm(&j->timer, ms);
	if (j->late)
		log_error("changes_late", "err=%s", err_label(ERR_NOMEM));
}

/* Then it asks for the pointer. */
static void wait_ms(struct list_job *j, int64_t ms)
{
	assert(j->state != LIST_OVER && j->appends_n == 0);
	j->state = LIST_WAITING;
	arm(j, ms);
}

/* The end of a job. */

static void job_free(struct list_job *j)
{
	LIST_REMOVE(j, link);
	event_del(&j->timer);
	log_writer_ended(j->all->writer, &j->user);
	crl_diff_free(j->l.diff);
	free(j);
}

/* Free it when nobody will call back into it. */
static void let_go(struct list_job *j)
{
	if (j->state == LIST_OVER && !j->in_barrier && !j->asking && j->appends_n == 0 &&
	    !j->going)
		job_free(j);
}

static void finish(struct list_job *j, enum err e)
{
	if (j->state != LIST_OVER) {
		j->state = LIST_OVER;
		if (e == ERR_OK)
			log_writer_wrote(j->all->writer, &j->user);
		event_del(&j->timer);
		j->l.done(j->l.arg, e);
	}
	let_go(j);
}

static void failed(struct list_job *j, enum err e)
{
	log_writer_failed(j->all->writer, &j->user, j->l.issuer, e);
	wait_ms(j, log_writer_backoff_ms(j->all->writer, &j->user));
}

/* The filter. */

struct filter {
	struct log_writer *writer;
	const struct issuer *issuer; /* NULL: not configured any more */
	bool latches, hot;
	int64_t untold_since; /* seconds */
	struct list_append *append;
};

/* Does an answer in memory, in date and there before `before`, say revoked? */
static bool is_hot_revoked(const struct filter *f, const struct serial *s, int64_t before)
{
	int64_t now = clock_now();

	for (size_t n = 0; n < issuer_keys_n(f->issuer); n++) {
		const struct answer *a;
		struct key k;

		issuer_key_at(f->issuer, n, s, &k);
		a = hot_find(f->writer->context->shared->hot, key_der(&k));
		if (a != NULL && a->facts.status == STATUS_REVOKED &&
		    hot_serves(a, now) && a->obtained_at < before)
			return true;
	}
	return false;
}

/* This batch tells the change of the latch.  False when out of memory: then both tell. */
static bool take_latch(struct filter *f, const struct latch *l)
{
	struct list_append *x = f->append;
	struct latch *p;

	if ((x->latches_n & (x->latches_n - 1)) == 0) { /* grows at powers of two */
		p = realloc(
		    x->latches, (x->latches_n > 0 ? 2 * x->latches_n : 1) * sizeof *p);
		if (p == NULL)
			return false;
		x->latches = p;
	}
	x->latches[x->latches_n++] = *l;
	latches_told(f->writer->latches, l->ca_id, &l->serial);
	return true;
}

/* Has the certificate moved, as far as this node knows?  From revoked it has not while a
 * latch or an answer says revoked.  To revoked it has not where either was told before;
 * one that came when this list was in force was not told for that reason. */
static bool has_moved(struct filter *f, const struct change *c)
{
	bool revoked = change_now(c) == CHANGE_REVOKED;
	const struct latch *l;
	struct serial s;

	if (f->issuer == NULL || (!f->latches && !f->hot))
		return true;
	crl_entry_serial(&c->entry, &s);
	l = f->latches ? latches_find(f->writer->latches, f->issuer, &s) : NULL;
	if (l != NULL && (!revoked || (!l->untold && !l->listed)))
		return false;
	if (l != NULL)
		return take_latch(f, l), true;
	/* from hold to worse is a move */
	if (!f->hot || (revoked && c->entry.reason != REASON_CERTIFICATE_HOLD))
		return true;
	return !is_hot_revoked(f, &s, revoked ? f->untold_since : INT64_MAX);
}

static void fill(
    struct list_job *j, struct list_append *x, const struct change *c, uint32_t n)
{
	struct log_writer *writer = j->all->writer;
	struct filter f = {.writer = writer,
	    .issuer =
		issuers_named(shared_conf(writer->context->shared)->issuers, j->l.issuer),
	    .latches = latches_count(writer->latches) > 0,
	    .hot = j->l.diff->n <= HOT_LOOKUPS_MAX,
	    .untold_since = j->l.untold_since_ms / 1000,
	    .append = x};
	struct change_batch *b = x->batch;

	b->kind = j->l.baseline ? CHANGE_WATCHED : CHANGE_MOVES;
	memcpy(b->issuer, j->l.issuer, sizeof b->issuer);
	b->evidence = CHANGE_CRL;
	b->has_number = j->l.facts.has_number;
	memcpy(b->number, j->l.facts.number, sizeof b->number);
	b->seen_at_ms = j->l.seen_at_ms;
	b->published_at = j->l.facts.this_update;
	b->n = 0;
	for (uint32_t i = 0; i < n; i++)
		if (!change_is_moot(&c[i]) && has_moved(&f, &c[i]))
			b->change[b->n++] = c[i];
}

/* The chain of appends. */

/* The pointer when so many batches of ours are in the log. */
static struct change_told told_after(const struct list_job *j, uint32_t done)
{
	struct change_told t = {.known = true,
	    .this_update = j->l.facts.this_update,
	    .done = done,
	    .total = j->total};

	if (!j->l.baseline)
		memcpy(t.from, j->l.from, sizeof t.from);
	memcpy(t.to, j->l.to, sizeof t.to);
	return t;
}

static void append_free(struct list_append *x)
{
	LIST_REMOVE(x, link);
	x->job->appends_n--;
	change_batch_unref(x->batch);
	free(x->latches);
	free(x);
}

static void go_on(struct list_job *j);

/* The next append of this batch tells the changes of its latches, or the next start. */
static void leave_latches(struct list_append *x)
{
	for (size_t i = 0; i < x->latches_n; i++)
		latches_mark(x->job->all->writer->latches, &x->latches[i]);
}

static void on_appended(void *arg, enum err e, const struct change_pos *end)
{
	struct list_append *x = arg;
	struct list_job *j = x->job;

	(void)end;
	assert(j->magic == LIST_JOB_MAGIC);
	assert(j->state >= LIST_APPENDING && j->appends_n > 0);
	if (e == ERR_OK) {
		log_writer_wrote(j->all->writer, &j->user);
		if (x->batch != NULL)
			log_writer_durable(j->all->writer, x->batch);
		log_writer_latches_told(j->all->writer, x->latches, x->latches_n);
		x->latches = NULL;
	} else {
		leave_latches(x);
		if (j->broke == ERR_OK)
			j->broke = e;
	}
	append_free(x);
	go_on(j);
}

static struct list_append *append_new(struct list_job *j)
{
	struct list_append *x = calloc(1, sizeof *x);

	if (x == NULL)
		return NULL;
	x->job = j;
	x->expect = j->expect;
	x->next = told_after(j, j->total > 0 ? j->next + 1 : 0);
	if (j->total > 0) {
		size_t at = crl_diff_from(j->l.diff, j->next);
		size_t n = crl_diff_from(j->l.diff, j->next + 1) - at;

		x->batch = change_batch_new(n);
		if (x->batch == NULL) {
			free(x);
			return NULL;
		}
		fill(j, x, j->l.diff->changes + at, (uint32_t)n);
	}
	LIST_INSERT_HEAD(&j->appends, x, link);
	j->appends_n++;
	return x;
}

/* Over those of a baseline that have nothing to tell; the last one moves the pointer to
 * the end. */
static void leap(struct list_job *j)
{
	const struct crl_diff *d = j->l.diff;

	while (j->l.baseline && j->next + 1 < j->total &&
	       crl_diff_from(d, j->next) == crl_diff_from(d, j->next + 1))
		j->next++;
}

static void launch(struct list_job *j)
{
	struct list_append *x;

	assert(j->state == LIST_APPENDING && j->going);
	leap(j);
	x = append_new(j);
	if (x == NULL) {
		j->broke = ERR_NOMEM;
		return;
	}
	j->expect = x->next;
	if (++j->next >= j->total)
		j->state = LIST_LINKED;
	j->mine = true;
	change_log_append(j->all->writer->log, x->batch, j->l.scope, &x->expect, &x->next,
	    on_appended, x);
}

static void chain_ended(struct list_job *j)
{
	enum err e = j->broke;

	assert(j->state == LIST_APPENDING || j->state == LIST_LINKED);
	assert(e != ERR_OK || j->state == LIST_LINKED);
	if (e == ERR_OK) {
		finish(j, ERR_OK);
	} else if (e == ERR_CONFLICT) {
		j->mine = false;
		wait_ms(j, 0);
	} else {
		failed(j, e);
	}
}

static void go_on(struct list_job *j)
{
	unsigned n = 0;
	bool may;

	if (j->going || j->state < LIST_APPENDING)
		return;
	j->going = true;
	for (;;) {
		may = j->state == LIST_APPENDING && j->broke == ERR_OK;
		if (!may || j->appends_n >= APPENDS_MAX || n == SLICE)
			break;
		launch(j);
		n++;
	}
	j->going = false;
	if (j->state == LIST_OVER)
		let_go(j);
	else if (!may && j->appends_n == 0)
		chain_ended(j);
	else if (may && n == SLICE && j->appends_n < APPENDS_MAX)
		arm(j, 0);
}

/* From batch `at` on, where the pointer is p. */
static void begin(struct list_job *j, const struct change_told *p, uint32_t at)
{
	assert(j->state == LIST_ASKING || j->state == LIST_LEAVING_GAP);
	assert(j->appends_n == 0 && (at < j->total || j->total == 0));
	j->state = LIST_APPENDING;
	j->broke = ERR_OK;
	j->expect = *p;
	j->next = at;
	go_on(j);
}

/* Decisions. */

static bool is_shared(const struct list_job *j)
{
	struct change_log_health h;

	change_log_health(j->all->writer->log, &h);
	return h.shared;
}

/* Is another node to be given more time, as the pointer has moved less than ms ago? */
static bool is_moving(const struct list_job *j, int64_t ms)
{
	return is_shared(j) && clock_mono_ms() - j->seen_at_ms < ms;
}

static void see(struct list_job *j, const struct change_told *p)
{
	if (j->seen_any && change_told_equal(&j->seen, p))
		return;
	j->seen_any = true;
	j->seen = *p;
	j->seen_at_ms = clock_mono_ms();
}

static void on_epoch(void *arg, enum err e, const struct change_pos *end)
{
	struct list_job *j = arg;

	assert(j->magic == LIST_JOB_MAGIC && j->asking);
	j->asking = false;
	if (e == ERR_OK)
		outlet_epoch(j->all->writer->outlet, end);
	if (j->state == LIST_OVER) {
		let_go(j);
		return;
	}
	assert(j->state == LIST_LEAVING_GAP);
	if (e == ERR_OK) {
		log_writer_wrote(j->all->writer, &j->user);
		begin(j, &j->seen, 0);
	} else {
		failed(j, e);
	}
}

/* Nobody can say what happened between the list that was told and ours. */
static void leave_gap(struct list_job *j)
{
	log_warn("events_gap", "issuer=%s cause=%s effect=%s", j->l.issuer,
	    "the list that was told last is not here",
	    "subscribers have to take a snapshot");
	j->state = LIST_LEAVING_GAP;
	j->asking = true;
	change_log_new_epoch(j->all->writer->log, on_epoch, j);
}

/* The pointer of a baseline: from no list. */
static bool is_from_none(const struct change_told *p)
{
	static const uint8_t none[32];

	return p->known && same(p->from, none);
}

/* No base to tell from.  A newer list that is being told holds all that follows a list
 * which this node has told; what leads to one that it has not told may end on the way. */
static void decide_without_base(struct list_job *j, const struct change_told *p)
{
	if (!p->known && !j->l.lost) {
		begin(j, p, 0);
		return;
	}
	if (p->this_update > j->l.facts.this_update &&
	    (p->done == p->total || !j->l.baseline)) {
		finish(j, ERR_OK);
		return;
	}
	if (!j->waits) {
		j->waits = true;
		j->waits_from_ms = clock_mono_ms();
	}
	if (is_shared(j) && clock_mono_ms() - j->waits_from_ms < LISTS_BASE_MS)
		wait_ms(j, BASE_POLL_MS);
	else
		leave_gap(j);
}

/* The pointer leads to our list, and is not there yet. */
static void decide_ours_begun(struct list_job *j, const struct change_told *p)
{
	bool ours = same(p->from, j->l.from) && p->total == j->total;

	if (ours ? !j->mine && is_moving(j, MOVING_MS) : is_moving(j, OTHER_MS))
		wait_ms(j, POLL_MS);
	else
		begin(j, p, ours ? p->done : 0);
}

/* Has another node told what holds all that follows ours?  A list that begins a new count
 * is dated before lists of the old one, which hold nothing of it. */
static bool is_newer(const struct list_job *j, const struct change_told *p)
{
	return p->known && p->this_update > j->l.facts.this_update &&
	       !same(p->to, j->l.from) && (j->l.facts.warnings & CRL_WARN_ACCEPTED) == 0;
}

static void decide_other(struct list_job *j, const struct change_told *p)
{
	bool complete = !p->known || p->done == p->total;

	if (!complete && is_moving(j, OTHER_MS))
		wait_ms(j, POLL_MS);
	else if (complete && is_newer(j, p))
		finish(j, ERR_OK);
	else
		begin(j, p, 0);
}

static void decide(struct list_job *j, const struct change_told *p)
{
	bool is_to = p->known && same(p->to, j->l.to);
	bool first = is_to && j->l.baseline && is_from_none(p);

	assert(j->state == LIST_ASKING);
	see(j, p);
	if (first && j->total > 0 && p->total == 0)
		begin(j, p, 0); /* by a node that watches none of it */
	else if ((is_to && p->done == p->total) || (first && j->total == 0))
		finish(j, ERR_OK);
	else if (first)
		decide_ours_begun(j, p);
	else if (j->l.baseline || same(j->l.from, j->l.to))
		decide_without_base(j, p);
	else if (is_to)
		decide_ours_begun(j, p);
	else
		decide_other(j, p);
}

static void on_told(void *arg, enum err e, const struct change_told *p)
{
	struct list_job *j = arg;

	assert(j->magic == LIST_JOB_MAGIC && j->asking);
	j->asking = false;
	if (j->state == LIST_OVER)
		let_go(j);
	else if (e == ERR_OK)
		decide(j, p);
	else
		failed(j, e);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct list_job *j = arg;

	(void)fd, (void)what;
	assert(j->magic == LIST_JOB_MAGIC && j->state != LIST_OVER);
	if (j->all->cancelled) {
		finish(j, ERR_CANCELLED);
	} else if (j->state >= LIST_APPENDING) {
		go_on(j);
	} else {
		assert(j->state == LIST_WAITING && !j->asking);
		j->state = LIST_ASKING;
		j->asking = true;
		change_log_told(j->all->writer->log, j->l.scope, on_told, j);
	}
}

/* Lists. */

/* Not from here: done is called from the loop only, and a barrier may pass at once. */
static void barrier_passed(struct barrier_want *w)
{
	struct list_job *j =
	    (struct list_job *)((char *)w - offsetof(struct list_job, want));

	assert(j->magic == LIST_JOB_MAGIC && j->in_barrier);
	j->in_barrier = false;
	if (j->all == NULL) {
		crl_diff_free(j->l.diff);
		free(j);
	} else if (j->state == LIST_OVER) {
		let_go(j);
	} else {
		assert(j->state == LIST_PASSING);
		wait_ms(j, 0);
	}
}

bool list_changes_add(struct list_changes *l, const struct list_change *c)
{
	struct list_job *j = calloc(1, sizeof *j);
	size_t n = c->diff != NULL && !c->baseline ? c->diff->n : 0;

	if (j == NULL)
		return false;
	assert(c->done != NULL);
	assert(c->diff == NULL || c->baseline == (c->diff->place != NULL));
	j->magic = LIST_JOB_MAGIC;
	j->all = l;
	j->l = *c;
	j->total = crl_diff_batches(c->diff);
	if (!c->baseline && same(c->from, c->to))
		j->total = 0;
	LIST_INIT(&j->appends);
	LIST_INSERT_HEAD(&l->jobs, j, link);
	evtimer_assign(&j->timer, l->writer->context->base, on_timer, j);
	if (n > 0)
		metrics_observe_us(l->writer->context->counters, H_PUBLISHED_SEEN,
		    (c->seen_at_ms - c->facts.this_update * 1000) * 1000);
	j->in_barrier = true;
	j->want.done = barrier_passed;
	barrier_pass(l->writer->context->barrier, &j->want);
	return true;
}

void list_changes_cancel(struct list_changes *l)
{
	struct list_job *next;

	l->cancelled = true;
	for (struct list_job *j = LIST_FIRST(&l->jobs); j != NULL; j = next) {
		next = LIST_NEXT(j, link);
		finish(j, ERR_CANCELLED);
	}
}

void list_changes_look_again(struct list_changes *l)
{
	struct list_job *j;

	LIST_FOREACH(j, &l->jobs, link)
		if (j->late && j->state != LIST_OVER)
			arm(j, 0);
}

/* Changes of its diff that are behind it. */
static size_t told_of(const struct list_job *j)
{
	return j->state == LIST_APPENDING ? crl_diff_from(j->l.diff, j->next) : 0;
}

uint64_t list_changes_waiting(const struct list_changes *l)
{
	const struct list_job *j;
	uint64_t n = 0;

	LIST_FOREACH(j, &l->jobs, link) {
		if (j->state == LIST_OVER)
			continue;
		if (j->total == 0)
			n += j->waits; /* a gap */
		else if (j->state != LIST_LINKED)
			n += j->l.diff->n - told_of(j);
	}
	return n;
}

struct list_changes *list_changes_new(struct log_writer *writer)
{
	struct list_changes *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->writer = writer;
	LIST_INIT(&l->jobs);
	return l;
}

void list_changes_free(struct list_changes *l)
{
	struct list_job *j;
	struct list_append *x;

	if (l == NULL)
		return;
	while ((j = LIST_FIRST(&l->jobs)) != NULL) {
		while ((x = LIST_FIRST(&j->appends)) != NULL)
			append_free(x);
		if (!j->in_barrier) {
			job_free(j);
			continue;
		}
		LIST_REMOVE(j, link);
		event_del(&j->timer);
		j->all = NULL;
	}
	free(l);
}
