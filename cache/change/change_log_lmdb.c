/* change_log_lmdb.c - the change log in one file below a directory.
 *
 * The file, DIR/events.mdb, is an environment of its own, so that a full store of answers
 * never stops the log, nor the other way round.  Three databases; numbers are big-endian:
 *   "meta"  "format"  -> "ocspcached events 1"
 *           "epoch"   -> 4 octets
 *           "dropped" -> of the last batch that is no longer kept: seq (8), changes (4)
 *   "log"   seq (8)   -> when (8, seconds), changes (4), batch as change_batch_encode()
 *   "told"  scope (32) -> as change_told_encode()
 * Each batch says its own version, and those of before are read: so "format" is still 1,
 * a file of before is gone on with, and a program of before finds gaps in ours. A batch
 * and its told pointer change in one transaction, with full sync: an append that was told
 * of is on the disk.  `when` is the batch's seen_at: cache/ reads no clock. "dropped"
 * keeps the numbers going when everything was dropped, and tells exactly who has missed
 * something.
 *
 * What is to be written waits in a queue, in order.  One job at a time takes the whole
 * queue to the executor, which writes as many as fit in one transaction (group commit:
 * lmdb_writer.h).  Reads are on the keeper's thread, from a renewed read transaction,
 * which sees what was committed and nothing else, and copies out.
 *
 * Full: the oldest batches go.  Told pointers never go.  A map that is smaller than a
 * file of earlier days is made larger by that eighth.
 *
 * Weak point: after a failed write of its own root page LMDB refuses everything until the
 * file is opened again (MDB_PANIC); the log is then down until a restart, and says so.
 */
#include "cache/change/change_log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/base/lmdb_file.h"
#include "cache/store/lmdb_writer.h"

#define FORMAT    "ocspcached events 1"
#define HEAD_N    12    /* of a value in "log": when, changes */
#define ROW_N     24    /* LMDB's own octets around a key and a value, and our key */
#define SLICE_MAX 1000  /* appends in one transaction */
#define DROP_MAX  1000  /* batches that are dropped in one transaction */
#define TRIM_MAX  10000 /* ... before what waits is written first */
#define SEQ_END   (UINT64_C(1) << 48) /* an event's id has room for less */
#define REMEDY                                                                           \
	"move it away while ocspcached is stopped: a new log begins, subscribers are "   \
	"told of a gap"

enum item_what { ITEM_APPEND, ITEM_EPOCH, ITEM_TRIM };

/* One thing to do.  The keeper's, but between take() and back(). */
struct item {
	struct item *next;
	enum item_what what;
	struct change_batch *batch; /* a reference, or NULL */
	bool has_scope;
	uint8_t scope[CHANGE_SCOPE_N];
	struct change_told expect, told;
	int64_t before; /* of a trim */
	change_log_done_fn *done;
	void *arg;
	/* The outcome: */
	enum err error;
	bool again;            /* a trim that has not come to its end */
	struct change_pos end; /* of the log, behind this */
};

/* What the file says. */
struct state {
	struct change_pos oldest, newest;
	uint64_t used; /* bytes */
};

struct log_job {
	struct lmdb_job job; /* first */
	struct lmdb_log *log;
	struct item *items;
	/* The outcome: */
	int failure; /* the last one, to be told */
	bool wrote;
	uint64_t dropped;
	struct state state;
};

struct lmdb_log {
	struct change_log log;
	struct change_log_hooks hooks;
	size_t size;
	int64_t opened_at;
	struct lmdb_writer writer;
	MDB_dbi meta, batches, told;
	struct item *first, **last;
	struct log_job *job;   /* the one that there is */
	struct state state;    /* as of the last job */
	struct change_pos bad; /* the last batch that was told to be unreadable */
	bool failed;           /* the last write did */
	bool unread;           /* the last read failed */
	bool bad_told;         /* the pointer of bad_scope is unreadable */
	uint8_t bad_scope[CHANGE_SCOPE_N];
	struct change_pos newer; /* as bad: of a newer version */
	char damage[512];        /* of the last that could not be read */
	bool full;               /* events_full was told; until a trim makes room */
};

static const struct change_log_ops lmdb_ops;

static struct lmdb_log *of(struct change_log *l)
{
	assert(l->ops == &lmdb_ops);
	return (struct lmdb_log *)l;
}

static MDB_val val_of(const void *p, size_t n)
{
	return (MDB_val){n, (void *)(uintptr_t)p};
}

/* The file; either thread, in a transaction. */

/* What a cursor stands at; false: the key is not of our format.  A head that cannot be
 * right reads as of no age and no changes; decoding will refuse the batch. */
static bool read_row(
    const MDB_val *k, const MDB_val *v, int64_t *at, struct change_pos *p)
{
	const uint8_t *head = v->mv_data;

	if (k->mv_size != 8)
		return false;
	p->seq = get_be(k->mv_data, 8);
	*at = v->mv_size < HEAD_N ? 0 : (int64_t)get_be(head, 8);
	p->index = v->mv_size < HEAD_N ? 0 : (uint32_t)get_be(head + 8, 4);
	if (p->index > CHANGE_BATCH_MAX)
		p->index = 0;
	return p->seq > 0 && p->seq < SEQ_END;
}

static int load_meta(const struct lmdb_log *l, MDB_txn *txn, struct state *st)
{
	MDB_val k = val_of("epoch", 5), v;
	int e = mdb_get(txn, l->meta, &k, &v);

	if (e != 0)
		return e;
	if (v.mv_size != 4)
		return MDB_CORRUPTED;
	st->oldest = (struct change_pos){(uint32_t)get_be(v.mv_data, 4), 0, 0};
	k = val_of("dropped", 7);
	if ((e = mdb_get(txn, l->meta, &k, &v)) != 0)
		return e;
	if (v.mv_size != 12)
		return MDB_CORRUPTED;
	st->oldest.seq = get_be(v.mv_data, 8);
	st->oldest.index = (uint32_t)get_be((const uint8_t *)v.mv_data + 8, 4);
	if (st->oldest.epoch == 0 || st->oldest.seq >= SEQ_END ||
	    st->oldest.index > CHANGE_BATCH_MAX)
		return MDB_CORRUPTED;
	return 0;
}

/* Oldest and newest place, not the size. */
static int load_state(const struct lmdb_log *l, MDB_txn *txn, struct state *st)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	int64_t at;
	int e = load_meta(l, txn, st);

	if (e != 0 || (e = mdb_cursor_open(txn, l->batches, &cursor)) != 0)
		return e;
	st->newest = st->oldest;
	e = mdb_cursor_get(cursor, &k, &v, MDB_LAST);
	if (e == 0 && !read_row(&k, &v, &at, &st->newest))
		e = MDB_CORRUPTED;
	if (e == 0 && st->newest.seq <= st->oldest.seq)
		e = MDB_CORRUPTED;
	mdb_cursor_close(cursor);
	return e == MDB_NOTFOUND ? 0 : e;
}

static int put_dropped(const struct lmdb_log *l, MDB_txn *txn, const struct change_pos *p)
{
	uint8_t value[12];
	MDB_val k = val_of("dropped", 7), v = val_of(value, sizeof value);

	put_be(value, p->seq, 8);
	put_be(value + 8, p->index, 4);
	return mdb_put(txn, l->meta, &k, &v, 0);
}

static int put_epoch(const struct lmdb_log *l, MDB_txn *txn, uint32_t epoch)
{
	static const struct change_pos nothing;
	uint8_t value[4];
	MDB_val k = val_of("epoch", 5), v = val_of(value, sizeof value);
	int e;

	put_be(value, epoch, 4);
	e = mdb_put(txn, l->meta, &k, &v, 0);
	return e != 0 ? e : put_dropped(l, txn, &nothing);
}

static uint32_t epoch_at(int64_t now, uint32_t old)
{
	return now > old ? (uint32_t)now : old + 1;
}

static enum err get_told(const struct lmdb_log *l, MDB_txn *txn, const uint8_t *scope,
    struct change_told *t, int *e)
{
	MDB_val k = val_of(scope, CHANGE_SCOPE_N), v;

	memset(t, 0, sizeof *t);
	*e = mdb_get(txn, l->told, &k, &v);
	if (*e == 0)
		return change_told_decode(t, bytes_of(v.mv_data, v.mv_size));
	if (*e != MDB_NOTFOUND)
		return ERR_STORE;
	*e = 0;
	return ERR_OK;
}

/* Writing; the executor's thread. */

static bool has_changes(const struct item *i)
{
	return i->batch != NULL && i->batch->n > 0;
}

static int put_batch(const struct lmdb_log *l, MDB_txn *txn, struct state *st,
    const struct change_batch *b)
{
	uint8_t key[8];
	MDB_val k = val_of(key, sizeof key), v = {HEAD_N + change_batch_size(b), NULL};
	int e;

	put_be(key, st->newest.seq + 1, 8);
	e = mdb_put(txn, l->batches, &k, &v, MDB_APPEND | MDB_RESERVE);
	if (e != 0)
		return e;
	put_be(v.mv_data, (uint64_t)(b->seen_at_ms / 1000), 8);
	put_be((uint8_t *)v.mv_data + 8, b->n, 4);
	change_batch_encode(b, (uint8_t *)v.mv_data + HEAD_N);
	st->newest.seq++;
	st->newest.index = b->n;
	return 0;
}

/* A told pointer that differs is this item's outcome and no failure of the others. */
static int write_append(
    const struct lmdb_log *l, MDB_txn *txn, struct state *st, struct item *i)
{
	struct change_told held;
	uint8_t value[CHANGE_TOLD_N];
	MDB_val k = val_of(i->scope, CHANGE_SCOPE_N), v = val_of(value, sizeof value);
	int e = 0;

	i->error = ERR_OK;
	if (i->has_scope) {
		i->error = get_told(l, txn, i->scope, &held, &e);
		if (i->error == ERR_OK && !change_told_equal(&held, &i->expect))
			i->error = ERR_CONFLICT;
	}
	if (i->error == ERR_OK && has_changes(i))
		e = put_batch(l, txn, st, i->batch);
	if (e == 0 && i->error == ERR_OK && i->has_scope) {
		change_told_encode(&i->told, value);
		e = mdb_put(txn, l->told, &k, &v, 0);
	}
	i->end = st->newest;
	return e;
}

/* What is to be dropped: the oldest, up to max batches or the first that does not fit. */
struct drop {
	bool by_age;
	int64_t before; /* by age */
	uint64_t bytes; /* else: until so many are free */
	size_t max;
	size_t n; /* how many were */
};

static int drop_some(
    const struct lmdb_log *l, MDB_txn *txn, struct change_pos *oldest, struct drop *d)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	uint64_t bytes = 0;
	int64_t at;
	int e = mdb_cursor_open(txn, l->batches, &cursor);

	d->n = 0;
	if (e != 0)
		return e;
	while (d->n < d->max && (e = mdb_cursor_get(cursor, &k, &v, MDB_FIRST)) == 0) {
		struct change_pos p = *oldest;

		if (!read_row(&k, &v, &at, &p)) {
			e = MDB_CORRUPTED;
			break;
		}
		if (d->by_age ? at >= d->before : bytes >= d->bytes)
			break;
		bytes += v.mv_size;
		if ((e = mdb_cursor_del(cursor, 0)) != 0)
			break;
		*oldest = p;
		d->n++;
	}
	mdb_cursor_close(cursor);
	return e == MDB_NOTFOUND ? 0 : e;
}

/* One transaction of it.  When there is no room, and nothing to drop, it still writes a
 * little: after two such the pages of what went before are free. */
static int drop(const struct lmdb_log *l, struct log_job *job, struct drop *d)
{
	struct state st;
	MDB_txn *txn;
	int e = mdb_txn_begin(l->writer.env, NULL, 0, &txn);

	d->n = 0;
	if (e != 0)
		return e;
	if ((e = load_state(l, txn, &st)) == 0 &&
	    (e = drop_some(l, txn, &st.oldest, d)) == 0 && (d->n > 0 || !d->by_age))
		e = put_dropped(l, txn, &st.oldest);
	e = lmdb_file_finish(txn, e);
	if (e == 0 && d->n > 0)
		job->wrote = true;
	if (e == 0 && !d->by_age)
		job->dropped += d->n;
	return e;
}

static int measure(const struct lmdb_log *l, struct state *st)
{
	const MDB_dbi dbi[] = {l->batches, l->told};
	MDB_txn *txn;
	int e = mdb_txn_begin(l->writer.env, NULL, MDB_RDONLY, &txn);

	if (e != 0)
		return e;
	if ((e = load_state(l, txn, st)) == 0)
		e = lmdb_writer_used(&l->writer, txn, dbi, 2, &st->used);
	mdb_txn_abort(txn);
	return e;
}

/* Drop the oldest until `need` more bytes fit under the limit, or nothing is left. */
static int make_room(const struct lmdb_log *l, struct log_job *job, uint64_t need)
{
	struct drop d = {.max = lmdb_writer_step(&l->writer, DROP_MAX)};
	struct state st;
	int e;

	for (;;) {
		if ((e = measure(l, &st)) != 0 || st.used + need <= l->writer.limit)
			return e;
		/* A little more, so that not every append has to. */
		d.bytes = st.used + need - l->writer.limit + l->writer.limit / 64;
		e = drop(l, job, &d);
		if (e == MDB_MAP_FULL && d.max > 1)
			d.max = 1;
		else if (e != 0 || d.n == 0)
			return e;
	}
}

/* Bytes that an append adds, or a little less: a value over half a page has pages of its
 * own, others fill theirs, and told pointers fill theirs to half at least. */
static uint64_t cost(const struct lmdb_log *l, const struct item *i)
{
	size_t n = has_changes(i) ? ROW_N + HEAD_N + change_batch_size(i->batch) : 0;

	if (n > l->writer.page / 2)
		n += l->writer.page;
	return n + (i->has_scope ? 2 * (ROW_N + CHANGE_SCOPE_N + CHANGE_TOLD_N) : 0);
}

/* How many appends from i on go into one transaction: few enough that the pages which
 * they copy fit into what is kept free, even in a small map. */
static size_t slice_of(const struct lmdb_log *l, const struct item *i)
{
	uint64_t bytes = 0;
	size_t n = 0;

	for (; i != NULL && i->what == ITEM_APPEND && n < SLICE_MAX; i = i->next, n++) {
		bytes += cost(l, i) + 4 * (uint64_t)l->writer.page;
		if (n > 0 && bytes > l->writer.limit / 16)
			break;
	}
	return n;
}

/* n appends from i on, in one transaction, with `spare` bytes more of room. */
static int write_slice(const struct lmdb_log *l, struct log_job *job, struct item *i,
    size_t n, uint64_t spare)
{
	uint64_t need = spare + 4 * (uint64_t)l->writer.page; /* branches that split */
	struct item *x = i;
	struct state st;
	MDB_txn *txn;
	int e;

	for (size_t c = 0; c < n; c++, x = x->next)
		need += cost(l, x);
	if ((e = make_room(l, job, need)) != 0 ||
	    (e = mdb_txn_begin(l->writer.env, NULL, 0, &txn)) != 0)
		return e;
	e = load_state(l, txn, &st);
	for (; e == 0 && n > 0; n--, i = i->next)
		e = write_append(l, txn, &st, i);
	return lmdb_file_finish(txn, e);
}

static enum err from_mdb(int e)
{
	if (e == 0)
		return ERR_OK;
	if (e == ENOMEM)
		return ERR_NOMEM;
	return e == MDB_MAP_FULL || e == ENOSPC || e == EDQUOT ? ERR_STORE_FULL
							       : ERR_STORE;
}

/* The next appends; returns what follows them. */
static struct item *write_appends(
    const struct lmdb_log *l, struct log_job *job, struct item *i)
{
	size_t n = slice_of(l, i);
	uint64_t spare = 0;
	int e = MDB_MAP_FULL;

	/* What takes more than half is not worth all that is kept. */
	if (n > 1 || cost(l, i) <= l->writer.limit / 2)
		e = write_slice(l, job, i, n, spare);
	else
		spare = l->writer.limit;
	/* Full before the mark: less at a time, then more room. */
	while (e == MDB_MAP_FULL && (n > 1 || spare < l->writer.limit)) {
		if (n > 1)
			n /= 2;
		else
			spare += l->writer.limit / 16;
		e = write_slice(l, job, i, n, spare);
	}
	if (e != 0)
		job->failure = e;
	else
		job->wrote = true;
	for (; n > 0; n--, i = i->next)
		if (e != 0)
			i->error = from_mdb(e);
	return i;
}

static int begin_epoch(const struct lmdb_log *l, struct change_pos *end)
{
	struct state st;
	MDB_txn *txn;
	int e = mdb_txn_begin(l->writer.env, NULL, 0, &txn);

	if (e != 0)
		return e;
	if ((e = load_meta(l, txn, &st)) == 0 &&
	    (e = mdb_drop(txn, l->batches, 0)) == 0) {
		*end = (struct change_pos){epoch_at(l->opened_at, st.oldest.epoch), 0, 0};
		e = put_epoch(l, txn, end->epoch);
	}
	return lmdb_file_finish(txn, e);
}

static int trim(const struct lmdb_log *l, struct log_job *job, struct item *i)
{
	struct drop d = {.by_age = true,
	    .before = i->before,
	    .max = lmdb_writer_step(&l->writer, DROP_MAX)};
	size_t n = 0;
	int e;

	do {
		e = drop(l, job, &d);
		n += d.n;
	} while (e == 0 && d.n == d.max && n < TRIM_MAX);
	i->again = e == 0 && d.n == d.max;
	return e;
}

static void write_job(struct log_job *job)
{
	const struct lmdb_log *l = job->log;
	struct item *i = job->items;
	int e;

	job->failure = 0;
	job->wrote = false;
	job->dropped = 0;
	while (i != NULL) {
		if (i->what == ITEM_APPEND) {
			i = write_appends(l, job, i);
			continue;
		}
		e = i->what == ITEM_EPOCH ? begin_epoch(l, &i->end) : trim(l, job, i);
		i->error = from_mdb(e);
		if (e != 0)
			job->failure = e;
		else if (i->what == ITEM_EPOCH)
			job->wrote = true;
		i = i->next;
	}
	if ((e = measure(l, &job->state)) != 0)
		job->failure = e;
}

/* The keeper again. */

static void note_damage(struct lmdb_log *l, const char *what)
{
	snprintf(l->damage, sizeof l->damage, "%s: %s", l->writer.path, what);
}

static void take_outcome(struct lmdb_log *l, const struct log_job *job)
{
	if (job->wrote)
		l->failed = false;
	if (job->failure != 0) {
		l->failed = true;
		lmdb_writer_failed(&l->writer, "events_write_failed", job->failure);
	}
	if (job->dropped > 0 && !l->full) {
		l->full = true;
		lmdb_writer_tell(&l->writer, "events_full",
		    "store=lmdb size=%zu effect=\"the oldest changes go\" "
		    "option=events-size",
		    l->size);
	}
	l->state = job->state;
}

static void item_free(struct item *i)
{
	change_batch_unref(i->batch);
	free(i);
}

static void items_free(struct item *i)
{
	for (struct item *next; i != NULL; i = next) {
		next = i->next;
		item_free(i);
	}
}

static void enqueue(struct lmdb_log *l, struct item *i)
{
	i->next = NULL;
	*l->last = i;
	l->last = &i->next;
}

/* A trim that goes on waits behind what came meanwhile. */
static void end_trim(struct lmdb_log *l, struct item *i)
{
	if (i->again) {
		enqueue(l, i);
		return;
	}
	if (l->state.used < l->writer.limit / 4 * 3)
		l->full = false; /* age bounds it again */
	item_free(i);
}

/* What the keeper could not read. */
static void tell_unread(struct lmdb_log *l, int e)
{
	/* for a write of its head that failed LMDB refuses all; the file is as it was */
	l->unread = e != 0 && e != MDB_PANIC;
	if (e == 0)
		return;
	note_damage(l, mdb_strerror(e));
	lmdb_writer_tell(&l->writer, "events_read_failed",
	    "store=lmdb error=\"%s\" file=%s remedy=\"%s\"", mdb_strerror(e),
	    l->writer.path, lmdb_writer_remedy(&l->writer, e));
}

/* How a read of the pointer of scope ended. */
static void tell_pointer(struct lmdb_log *l, const uint8_t *scope, enum err e)
{
	if (e == ERR_OK && memcmp(scope, l->bad_scope, sizeof l->bad_scope) == 0)
		l->bad_told = false;
	if (e != ERR_RECORD)
		return;
	l->bad_told = true;
	memcpy(l->bad_scope, scope, sizeof l->bad_scope);
	note_damage(
	    l, "a list's pointer cannot be read; its changes are held back; " REMEDY);
	lmdb_writer_tell(&l->writer, "events_damaged",
	    "store=lmdb what=told effect=\"changes of this list are held back\" "
	    "remedy=\"" REMEDY "\"");
}

static void end_item(struct lmdb_log *l, struct item *i)
{
	struct change_pos end = i->error == ERR_OK ? i->end : l->state.newest;

	assert(i->what == ITEM_APPEND || i->what == ITEM_EPOCH);
	if (i->error == ERR_OK && has_changes(i)) {
		i->batch->epoch = i->end.epoch;
		i->batch->seq = i->end.seq;
	}
	if (i->has_scope)
		tell_pointer(l, i->scope, i->error);
	i->done(i->arg, i->error, &end);
	item_free(i);
}

static struct lmdb_job *take(void *owner, bool *again)
{
	struct lmdb_log *l = owner;

	(void)again;
	if (l->first == NULL)
		return NULL;
	assert(l->job->items == NULL);
	l->job->items = l->first;
	l->first = NULL;
	l->last = &l->first;
	return &l->job->job;
}

static void work(struct lmdb_job *j)
{
	write_job((struct log_job *)j);
}

static void drop_job(struct lmdb_job *j)
{
	struct log_job *job = (struct log_job *)j;

	items_free(job->items);
	free(job);
}

static bool back(void *owner, struct lmdb_job *j)
{
	struct lmdb_log *l = owner;
	struct log_job *job = (struct log_job *)j;

	assert(job == l->job && job->items != NULL);
	take_outcome(l, job);
	for (struct item *i; (i = job->items) != NULL && j->writer != NULL;) {
		job->items = i->next;
		if (i->what == ITEM_TRIM)
			end_trim(l, i);
		else
			end_item(l, i);
	}
	if (j->writer != NULL)
		return true;
	drop_job(j);
	return false;
}

/* The log's calls. */

static void lmdb_told(
    struct change_log *log, const uint8_t *scope, change_log_told_fn *done, void *arg)
{
	struct lmdb_log *l = of(log);
	struct change_told t = {0};
	enum err err = ERR_STORE;
	int e = mdb_txn_renew(l->writer.reader);

	if (e == 0)
		err = get_told(l, l->writer.reader, scope, &t, &e);
	mdb_txn_reset(l->writer.reader);
	tell_unread(l, e);
	tell_pointer(l, scope, err);
	done(arg, err, &t);
}

static void lmdb_append(struct change_log *log, struct change_batch *b,
    const uint8_t *scope, const struct change_told *expect,
    const struct change_told *next, change_log_done_fn *done, void *arg)
{
	struct lmdb_log *l = of(log);
	struct item *i = calloc(1, sizeof *i);
	struct change_pos end = l->state.newest;

	if (i == NULL) {
		done(arg, ERR_NOMEM, &end);
		return;
	}
	i->what = ITEM_APPEND;
	i->batch = b != NULL ? change_batch_ref(b) : NULL;
	i->has_scope = scope != NULL;
	if (scope != NULL) {
		memcpy(i->scope, scope, sizeof i->scope);
		i->expect = *expect;
		i->told = *next;
	}
	i->done = done;
	i->arg = arg;
	enqueue(l, i);
	lmdb_writer_launch(&l->writer);
}

struct lmdb_page {
	struct change_batch **batch; /* references */
	size_t n, room, bytes;
	struct state state;
	bool gap;
};

static void reading_end(struct lmdb_page *r)
{
	for (size_t i = 0; i < r->n; i++)
		change_batch_unref(r->batch[i]);
	free(r->batch);
}

static enum err add_batch(struct lmdb_page *r, struct change_batch *b)
{
	if (r->n == r->room) {
		size_t room = 2 * r->room + 8;
		struct change_batch **batch = realloc(r->batch, room * sizeof *batch);

		if (batch == NULL)
			return ERR_NOMEM;
		r->batch = batch;
		r->room = room;
	}
	r->batch[r->n++] = b;
	return ERR_OK;
}

/* Told once, although every reader comes by. */
static void tell_bad(struct lmdb_log *l, const struct change_pos *p, bool newer)
{
	struct change_pos *told = newer ? &l->newer : &l->bad;

	if (p->epoch == told->epoch && p->seq <= told->seq)
		return;
	*told = *p;
	if (!newer)
		note_damage(l, "a batch cannot be read: a gap for who reads it");
	lmdb_writer_tell(&l->writer, newer ? "events_newer" : "events_damaged",
	    "store=lmdb epoch=%u seq=%llu effect=\"a gap\"", p->epoch,
	    (unsigned long long)p->seq);
}

/* What cannot be read was perhaps a change that somebody waits for: a gap, behind which
 * readers go on.  What is before it comes with a page of its own. */
static void pass_bad(struct lmdb_page *r, uint64_t seq)
{
	r->gap = true;
	r->state.oldest.seq = seq;
	r->state.oldest.index = CHANGE_BATCH_MAX; /* covers any batch */
}

/* Decode what the cursor stands at and add it, unless the page is full. */
static enum err take_batch(struct lmdb_log *l, struct lmdb_page *r, const MDB_val *k,
    const MDB_val *v, size_t max_bytes, bool *page_full)
{
	struct change_pos p = {r->state.oldest.epoch, 0, 0};
	struct change_batch *b = NULL;
	size_t size = v->mv_size < HEAD_N ? 0 : v->mv_size - HEAD_N;
	enum err e = ERR_RECORD;
	int64_t at;

	*page_full = r->n > 0 && r->bytes + v->mv_size - HEAD_N > max_bytes;
	if (*page_full)
		return ERR_OK;
	if (read_row(k, v, &at, &p))
		e = change_batch_decode(
		    &b, bytes_of((uint8_t *)v->mv_data + HEAD_N, v->mv_size - HEAD_N));
	if (e == ERR_RECORD || (e == ERR_OK && b->n != p.index)) {
		change_batch_unref(b);
		tell_bad(l, &p,
		    e == ERR_RECORD && v->mv_size > HEAD_N &&
			change_batch_is_newer(bytes_of(
			    (uint8_t *)v->mv_data + HEAD_N, v->mv_size - HEAD_N)));
		*page_full = true;
		if (r->n == 0)
			pass_bad(r, p.seq);
		return ERR_OK;
	}
	if (e != ERR_OK)
		return e;
	b->epoch = p.epoch;
	b->seq = p.seq;
	r->bytes += size;
	if ((e = add_batch(r, b)) != ERR_OK)
		change_batch_unref(b);
	return e;
}

static bool is_gap(const struct state *st, const struct change_pos *from)
{
	const struct change_pos *oldest = &st->oldest;

	return from->epoch != 0 &&
	       (from->epoch != oldest->epoch || from->seq > st->newest.seq ||
		   from->seq < oldest->seq ||
		   (from->seq == oldest->seq && from->index < oldest->index));
}

/* The cursor at the first batch that `from` does not cover, or MDB_NOTFOUND. */
static int seek(MDB_cursor *cursor, const struct state *st, const struct change_pos *from,
    MDB_val *k, MDB_val *v)
{
	uint8_t key[8];
	uint64_t seq = from->epoch != 0 ? from->seq : st->oldest.seq;
	struct change_pos p;
	int64_t at;
	int e;

	put_be(key, seq, 8);
	*k = val_of(key, sizeof key);
	e = mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);
	if (e != 0 || get_be(k->mv_data, k->mv_size) != seq)
		return e;
	/* Its head cannot be read: then it cannot be covered in part. */
	if (from->epoch != 0 && read_row(k, v, &at, &p) && from->index < p.index)
		return 0;
	return mdb_cursor_get(cursor, k, v, MDB_NEXT);
}

static enum err read_batches(struct lmdb_log *l, struct lmdb_page *r,
    const struct change_pos *from, size_t max_bytes, int *e)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	enum err err = ERR_OK;
	bool page_full = false;

	if ((*e = load_state(l, l->writer.reader, &r->state)) != 0)
		return ERR_STORE;
	r->gap = is_gap(&r->state, from);
	if (r->gap)
		return ERR_OK;
	if ((*e = mdb_cursor_open(l->writer.reader, l->batches, &cursor)) != 0)
		return ERR_STORE;
	*e = seek(cursor, &r->state, from, &k, &v);
	while (*e == 0 && err == ERR_OK && !page_full) {
		err = take_batch(l, r, &k, &v, max_bytes, &page_full);
		*e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	if (*e == MDB_NOTFOUND)
		*e = 0;
	return *e != 0 ? ERR_STORE : err;
}

static void lmdb_read(struct change_log *log, const struct change_pos *from,
    size_t max_bytes, change_log_page_fn *done, void *arg)
{
	struct lmdb_log *l = of(log);
	struct lmdb_page r = {.state = l->state};
	enum err err = ERR_STORE;
	int e = mdb_txn_renew(l->writer.reader);

	if (e == 0)
		err = read_batches(l, &r, from, max_bytes, &e);
	mdb_txn_reset(l->writer.reader);
	tell_unread(l, e);
	/* What was read before a failure is good. */
	if (r.n > 0)
		err = ERR_OK;
	done(arg, err,
	    &(struct change_log_page){
		.batches = r.batch,
		.n = r.n,
		.oldest = r.state.oldest,
		.newest = r.state.newest,
		.gap = r.gap,
	    });
	reading_end(&r);
}

static void lmdb_new_epoch(struct change_log *log, change_log_done_fn *done, void *arg)
{
	struct lmdb_log *l = of(log);
	struct item *i = calloc(1, sizeof *i);
	struct change_pos end = l->state.newest;

	if (i == NULL) {
		done(arg, ERR_NOMEM, &end);
		return;
	}
	i->what = ITEM_EPOCH;
	i->done = done;
	i->arg = arg;
	enqueue(l, i);
	lmdb_writer_launch(&l->writer);
}

static void lmdb_trim(struct change_log *log, int64_t before)
{
	struct lmdb_log *l = of(log);
	struct item *i = calloc(1, sizeof *i);

	if (i == NULL)
		return; /* there will be another trim */
	i->what = ITEM_TRIM;
	i->before = before;
	enqueue(l, i);
	lmdb_writer_launch(&l->writer);
}

/* A bad batch is none any more when it was dropped for its age, or with its epoch. */
static bool is_damaged(const struct lmdb_log *l)
{
	return l->unread || l->bad_told ||
	       (l->bad.epoch == l->state.oldest.epoch &&
		   l->bad.seq > l->state.oldest.seq);
}

static void lmdb_health(const struct change_log *log, struct change_log_health *out)
{
	const struct lmdb_log *l = (const struct lmdb_log *)log;

	assert(log->ops == &lmdb_ops);
	out->up = !l->failed;
	out->refuses = l->failed;
	out->durable = true;
	out->error = l->writer.error;
	out->remedy = l->writer.remedy;
	out->damage = is_damaged(l) ? l->damage : "";
	out->oldest = l->state.oldest;
	out->newest = l->state.newest;
	out->bytes = l->state.used;
}

/* What still waits is written here, but nobody hears of it. */
static void lmdb_close(struct change_log *log)
{
	struct lmdb_log *l = of(log);
	struct log_job last = {.log = l, .items = l->first};

	if (l->first != NULL)
		write_job(&last);
	items_free(l->first);
	if (!lmdb_writer_is_busy(&l->writer)) /* else who brings it back frees it */
		free(l->job);
	lmdb_writer_close(&l->writer);
	free(l);
}

static const struct change_log_ops lmdb_ops = {
    .close = lmdb_close,
    .told = lmdb_told,
    .append = lmdb_append,
    .read = lmdb_read,
    .new_epoch = lmdb_new_epoch,
    .trim = lmdb_trim,
    .health = lmdb_health,
};

/* Opening. */

static int databases(void *owner, MDB_txn *txn, MDB_dbi meta)
{
	struct lmdb_log *l = owner;
	MDB_val k = val_of("epoch", 5), v;
	int e;

	l->meta = meta;
	if ((e = mdb_dbi_open(txn, "log", MDB_CREATE, &l->batches)) == 0)
		e = mdb_dbi_open(txn, "told", MDB_CREATE, &l->told);
	if (e == 0 && (e = mdb_get(txn, l->meta, &k, &v)) == MDB_NOTFOUND)
		e = put_epoch(l, txn, epoch_at(l->opened_at, 0));
	return e;
}

/* An eighth of the size is free for copies also where more is held than the size allows;
 * LMDB's own map then ends with the file. */
static int widen_map(const struct lmdb_log *l)
{
	MDB_envinfo info;
	size_t want;
	int e = mdb_env_info(l->writer.env, &info);

	if (e != 0 || l->state.used <= l->writer.limit)
		return e;
	want = (info.me_last_pgno + 1) * l->writer.page + l->size / 8;
	return mdb_env_set_mapsize(l->writer.env, want / l->writer.page * l->writer.page);
}

static int opened(void *owner)
{
	struct lmdb_log *l = owner;
	int e = measure(l, &l->state);

	return e != 0 ? e : widen_map(l);
}

/* What was told to nobody yet may be in it: a person has to look. */
static bool refuse(void *owner, const char *cause, char *why, size_t why_n)
{
	const struct lmdb_log *l = owner;

	snprintf(why, why_n, "%s: not a change log, or damaged: %s; " REMEDY,
	    l->writer.path, cause);
	return false;
}

static const struct lmdb_writer_ops writer_ops = {
    .databases = databases,
    .opened = opened,
    .damaged = refuse,
    .take = take,
    .work = work,
    .back = back,
    .drop = drop_job,
};

static enum err open_writer(struct lmdb_log *l, const struct store_config *store,
    const char *dir, char *why, size_t n)
{
	const struct lmdb_writer_config c = {
	    .dir = dir,
	    .name = "events.mdb",
	    .format = FORMAT,
	    .remedy = REMEDY,
	    .size = l->size,
	    .base = store->base,
	    .exec = store->exec,
	    .event = l->hooks.event,
	    .event_arg = l->hooks.arg,
	};

	return lmdb_writer_open(&l->writer, &c, &writer_ops, l, why, n);
}

enum err change_log_lmdb_open(
    struct change_log **out, const struct change_log_config *c, char *why, size_t n)
{
	struct lmdb_log *l = calloc(1, sizeof *l);
	enum err e = ERR_NOMEM;

	*out = NULL;
	if (l == NULL) {
		snprintf(why, n, "%s", err_text(e));
		return e;
	}
	l->log.ops = &lmdb_ops;
	l->hooks = c->hooks;
	l->size = c->size;
	l->opened_at = c->now > 0 && c->now < UINT32_MAX ? c->now : 1;
	l->last = &l->first;
	l->job = calloc(1, sizeof *l->job);
	if (l->job != NULL) {
		l->job->log = l;
		e = open_writer(l, c->store, c->store->url + strlen("lmdb:"), why, n);
	} else {
		snprintf(why, n, "%s", err_text(e));
	}
	if (e != ERR_OK) {
		lmdb_close(&l->log);
		return e;
	}
	*out = &l->log;
	return ERR_OK;
}
