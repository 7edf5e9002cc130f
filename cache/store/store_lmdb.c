/* store_lmdb.c - answers in one file below a directory, warm after a kill -9.
 *
 * The file, DIR/answers.mdb (LMDB, MDB_NOSUBDIR: the directory may be the state directory
 * too, which has latches.mdb and lock), holds three databases:
 *   "meta"     "format" -> "ocspcached answers 1"
 *   "answers"  key -> expiry, record (cache/ocsp/record.h)
 *   "expiry"   expiry , key -> nothing
 * where expiry is seconds since 1970, be64, with the sign bit inverted so that the bytes
 * sort as the numbers do, and key is one octet of enum certid_hash, issuer name hash,
 * issuer key hash, serial: shorter than key_name(), and all answers of a CA and a hash
 * algorithm are one range. The expiry stands before the record so that the index never
 * depends on a record being readable.  Main and index change in one transaction.
 *
 * Group commit: a write joins the batch that is being gathered.  When no batch is on the
 * executor's thread it goes there at once, alone; else it goes with all that gathered
 * when that one comes back.  So a quiet store writes without delay, a busy one pays one
 * fsync for many, without a timer, and a batch is never older than one commit of at most
 * SLICE_MAX records for each slice before it.
 *
 * Reads see what was put before them: the file's value, then the batch that is being
 * written, then the one that gathers, by the same rule (`wins`) that the write
 * transaction applies.  That the middle one may have been committed already is harmless:
 * each step done twice gives the same.  A read transaction is renewed and reset within
 * one store_get(); the value is copied out before the callback, which may ask again.
 *
 * Flags: MDB_NOTLS, so that the reader slot belongs to the transaction that is renewed
 * and not to a thread; MDB_NORDAHEAD, since reads are random; MDB_NOMETASYNC, which saves
 * one fsync of two and can lose the last commit in a power failure but never the file:
 * for answers, that can be fetched again, a good bargain (latches take full sync).
 *
 * Full: LMDB copies pages to change them, so a file that is full to the last page cannot
 * even delete.  An eighth of the map is therefore kept free, and the answers that expire
 * first go before a slice that would pass this mark.
 *
 * Weak point: LMDB trusts its file; a page that something else overwrote can end the
 * process.  Format and size are checked at open.
 */
#include "cache/store/store.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <lmdb.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "cache/base/lmdb_file.h"

#define FORMAT        "ocspcached answers 1"
#define REMEDY        "move it away while ocspcached is stopped: answers are fetched again"
#define KEY_MAX       (1 + 2 * CERTID_HASH_MAX + SERIAL_MAX)
#define EXPIRY_N      8
#define PREFIX_MAX    (1 + 2 * CERTID_HASH_MAX)
#define SLICE_MAX     1000  /* records in one transaction */
#define SWEEP_MAX     10000 /* expired answers deleted by one job */
#define EVICT_STEP    64    /* answers that go together when the map is full */
#define RETRY_MS      50    /* after there was no memory for the next batch */
#define GATHER_MAX    ((size_t)64 << 20) /* bytes for a slow disk; then puts fail */
#define BATCH_BUCKETS 1024               /* of the index of a batch; a power of two */

/* One pending change of one key. */
struct change {
	struct change *next, *next_in_bucket;
	struct waiter *waiters;
	uint8_t key[KEY_MAX];
	uint8_t key_n;
	bool force;
	uint8_t *value; /* expiry and record; NULL: delete */
	size_t value_n;
};

/* Somebody who wants to know how it ended. */
struct waiter {
	struct waiter *next;
	store_done_fn *done;
	void *arg;
};

struct prefix {
	struct prefix *next;
	size_t n;
	uint8_t p[PREFIX_MAX];
};

/* What one job writes: first the purges, then the changes, then the sweep.  The keeper
 * gathers; from `launch` to `on_written` it is the executor's and read-only for us. */
struct batch {
	struct lmdb_store *s; /* NULL: the store was closed meanwhile */
	struct prefix *purges;
	struct change *first, **last;
	struct change *bucket[BATCH_BUCKETS];
	size_t bytes;
	bool sweep;
	int64_t sweep_before;
	struct waiter *waiters; /* of the purges */
	/* The outcome: */
	int e;
	bool sweep_again, wrote;
	uint64_t evicted, entries, used;
};

struct lmdb_store {
	struct store store;
	struct store_config config; /* url and prefix are not kept */
	MDB_env *env;
	MDB_dbi names, meta, answers, expiry; /* names: LMDB's own list of the others */
	MDB_txn *reader;
	size_t page, limit; /* bytes: of a page; that may be used */
	uint64_t seed;
	struct batch *gathering; /* never NULL */
	struct batch *writing;   /* or NULL */
	struct event *next;      /* launches the next batch; NULL without a loop */
	bool failed;             /* the last write did */
	char *path;
	char error[512]; /* of the last failure: path and cause */
	const char *remedy;
	uint64_t entries, used;
};

static struct lmdb_store *of(struct store *s)
{
	return (struct lmdb_store *)s;
}

/* Keys and values. */

/* Signed seconds so that their bytes sort as the numbers do. */
static void put_time(uint8_t *p, int64_t t)
{
	put_be(p, (uint64_t)t ^ (uint64_t)INT64_MIN, 8);
}

static size_t ca_prefix(uint8_t out[PREFIX_MAX], const struct key *k)
{
	size_t n = certid_hash_size((enum certid_hash)k->hash);

	out[0] = k->hash;
	memcpy(out + 1, key_issuer_name_hash(k).p, n);
	memcpy(out + 1 + n, key_issuer_key_hash(k).p, n);
	return 1 + 2 * n;
}

static uint8_t write_key(uint8_t out[KEY_MAX], const struct key *k)
{
	struct serial serial;
	size_t n = ca_prefix(out, k);

	key_serial(k, &serial);
	memcpy(out + n, serial.octets, serial.n);
	return (uint8_t)(n + serial.n);
}

/* Does a put of `value` replace `held`?  Without force the newer thisUpdate, then
 * producedAt, stays.  What is no record of our version always gives way. */
static bool wins(struct bytes value, bool force, struct bytes held)
{
	size_t n = RECORD_PRODUCED_AT_OFFSET + 8 - RECORD_THIS_UPDATE_OFFSET;
	size_t at = EXPIRY_N + RECORD_THIS_UPDATE_OFFSET;

	if (force || held.p == NULL || held.n < at + n || value.n < at + n ||
	    held.p[EXPIRY_N] != value.p[EXPIRY_N])
		return true;
	return memcmp(value.p + at, held.p + at, n) >= 0;
}

static bool key_has_prefix(const uint8_t *key, size_t n, const struct prefix *p)
{
	return n >= p->n && memcmp(key, p->p, p->n) == 0;
}

static bool is_purged(const struct batch *b, const uint8_t *key, size_t n)
{
	for (const struct prefix *p = b->purges; p != NULL; p = p->next)
		if (key_has_prefix(key, n, p))
			return true;
	return false;
}

/* Batches; the keeper. */

static struct batch *batch_new(struct lmdb_store *s)
{
	struct batch *b = calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	b->s = s;
	b->last = &b->first;
	return b;
}

static void answer(struct waiter *w, enum err e, bool silent)
{
	for (struct waiter *next; w != NULL; w = next) {
		next = w->next;
		if (!silent)
			w->done(w->arg, e);
		free(w);
	}
}

/* Free, telling those who wait unless silent. */
static void batch_end(struct batch *b, enum err e, bool silent)
{
	if (b == NULL)
		return;
	for (struct change *c = b->first, *next; c != NULL; c = next) {
		next = c->next;
		answer(c->waiters, e, silent);
		free(c->value);
		free(c);
	}
	for (struct prefix *p = b->purges, *next; p != NULL; p = next) {
		next = p->next;
		free(p);
	}
	answer(b->waiters, e, silent);
	free(b);
}

static bool batch_is_empty(const struct batch *b)
{
	return b->first == NULL && b->purges == NULL && !b->sweep;
}

static struct change **bucket_of(
    struct lmdb_store *s, struct batch *b, const uint8_t *key, size_t n)
{
	return &b->bucket[XXH3_64bits_withSeed(key, n, s->seed) & (BATCH_BUCKETS - 1)];
}

static struct change *batch_find(
    struct lmdb_store *s, struct batch *b, const uint8_t *key, size_t n)
{
	struct change *c = *bucket_of(s, b, key, n);

	while (c != NULL && !(c->key_n == n && memcmp(c->key, key, n) == 0))
		c = c->next_in_bucket;
	return c;
}

/* The change of this key, a new one that deletes when there is none. */
static struct change *batch_change(
    struct lmdb_store *s, struct batch *b, const uint8_t *key, uint8_t n, bool *is_new)
{
	struct change *c = batch_find(s, b, key, n), **bucket;

	*is_new = c == NULL;
	if (c != NULL)
		return c;
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return NULL;
	memcpy(c->key, key, n);
	c->key_n = n;
	bucket = bucket_of(s, b, key, n);
	c->next_in_bucket = *bucket;
	*bucket = c;
	*b->last = c;
	b->last = &c->next;
	b->bytes += sizeof *c;
	return c;
}

/* NULL also when nobody wants to know; *ok tells the difference. */
static struct waiter *waiter_new(store_done_fn *done, void *arg, bool *ok)
{
	struct waiter *w = done != NULL ? malloc(sizeof *w) : NULL;

	*ok = done == NULL || w != NULL;
	if (w != NULL)
		*w = (struct waiter){NULL, done, arg};
	return w;
}

static void add_waiter(struct waiter **list, struct waiter *w)
{
	if (w == NULL)
		return;
	w->next = *list;
	*list = w;
}

static void set_value(struct batch *b, struct change *c, uint8_t *value, size_t n)
{
	b->bytes += n;
	b->bytes -= c->value_n;
	free(c->value);
	c->value = value;
	c->value_n = n;
}

/* Writing; the executor's thread. */

static int del_indexed(
    const struct lmdb_store *s, MDB_txn *txn, const MDB_val *key, const MDB_val *value)
{
	uint8_t buffer[EXPIRY_N + KEY_MAX];
	MDB_val k = {EXPIRY_N + key->mv_size, buffer};
	int e = 0;

	if (value->mv_size >= EXPIRY_N && key->mv_size <= KEY_MAX) {
		memcpy(buffer, value->mv_data, EXPIRY_N);
		memcpy(buffer + EXPIRY_N, key->mv_data, key->mv_size);
		e = mdb_del(txn, s->expiry, &k, NULL);
	}
	return e == MDB_NOTFOUND ? 0 : e;
}

static int write_change(const struct lmdb_store *s, MDB_txn *txn, struct change *c)
{
	uint8_t buffer[EXPIRY_N + KEY_MAX];
	MDB_val k = {c->key_n, c->key}, held, nothing = {0, NULL};
	MDB_val index = {EXPIRY_N + (size_t)c->key_n, buffer}, v = {c->value_n, c->value};
	int e = mdb_get(txn, s->answers, &k, &held);

	if (e != 0 && e != MDB_NOTFOUND)
		return e;
	if (e == 0) {
		if (c->value != NULL && !wins(bytes_of(c->value, c->value_n), c->force,
					    bytes_of(held.mv_data, held.mv_size)))
			return 0;
		if ((e = del_indexed(s, txn, &k, &held)) != 0)
			return e;
		if (c->value == NULL)
			return mdb_del(txn, s->answers, &k, NULL);
	}
	if (c->value == NULL)
		return 0;
	memcpy(buffer, c->value, EXPIRY_N);
	memcpy(buffer + EXPIRY_N, c->key, c->key_n);
	if ((e = mdb_put(txn, s->expiry, &index, &nothing, 0)) != 0)
		return e;
	return mdb_put(txn, s->answers, &k, &v, 0);
}

/* Pages in use times page size, exactly: LMDB's own map is a high-water mark. */
static int measure(
    const struct lmdb_store *s, MDB_txn *txn, uint64_t *used, uint64_t *entries)
{
	MDB_dbi dbi[] = {s->names, s->meta, s->answers, s->expiry};
	MDB_stat st;
	int e;

	*used = 0;
	for (size_t i = 0; i < 4; i++) {
		if ((e = mdb_stat(txn, dbi[i], &st)) != 0)
			return e;
		*used += (st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages) *
			 (uint64_t)s->page;
		if (dbi[i] == s->answers && entries != NULL)
			*entries = st.ms_entries;
	}
	return 0;
}

/* Delete what expires first, at most max; before NULL: whatever it is.  *n: how many. */
static int delete_first(const struct lmdb_store *s, MDB_txn *txn, const uint8_t *before,
    size_t max, size_t *n)
{
	uint8_t buffer[KEY_MAX];
	MDB_cursor *cursor;
	MDB_val k, v;
	int e = mdb_cursor_open(txn, s->expiry, &cursor);

	*n = 0;
	if (e != 0)
		return e;
	while (*n < max && (e = mdb_cursor_get(cursor, &k, &v, MDB_FIRST)) == 0) {
		MDB_val key = {k.mv_size - EXPIRY_N, buffer};

		if (before != NULL && memcmp(k.mv_data, before, EXPIRY_N) >= 0)
			break;
		if (k.mv_size <= EXPIRY_N || key.mv_size > KEY_MAX) {
			e = MDB_CORRUPTED;
			break;
		}
		/* A copy: k lies in a page that deleting may move. */
		memcpy(buffer, (const uint8_t *)k.mv_data + EXPIRY_N, key.mv_size);
		e = mdb_del(txn, s->answers, &key, NULL);
		if (e != 0 && e != MDB_NOTFOUND)
			break;
		if ((e = mdb_cursor_del(cursor, 0)) != 0)
			break;
		++*n;
	}
	mdb_cursor_close(cursor);
	return e == MDB_NOTFOUND ? 0 : e;
}

static int delete_prefix(const struct lmdb_store *s, MDB_txn *txn, const struct prefix *p,
    size_t max, size_t *n)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	int e = mdb_cursor_open(txn, s->answers, &cursor);

	*n = 0;
	if (e != 0)
		return e;
	for (; *n < max; ++*n) {
		k = (MDB_val){p->n, (void *)(uintptr_t)p->p};
		e = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
		if (e != 0 || !key_has_prefix(k.mv_data, k.mv_size, p))
			break;
		if ((e = del_indexed(s, txn, &k, &v)) != 0 ||
		    (e = mdb_cursor_del(cursor, 0)) != 0)
			break;
	}
	mdb_cursor_close(cursor);
	return e == MDB_NOTFOUND ? 0 : e;
}

/* How many answers, at most max, are deleted in one transaction: each makes LMDB copy
 * about three pages, and the pages of the last two transactions are not free yet, so that
 * a small map takes small steps. */
static size_t step_of(const struct lmdb_store *s, size_t max)
{
	size_t n = s->limit / s->page / 64;

	return n < 1 ? 1 : n < max ? n : max;
}

/* Evict until `need` more bytes fit under the limit. */
static int make_room(const struct lmdb_store *s, struct batch *b, uint64_t need)
{
	uint64_t used;
	size_t n = 0, step = step_of(s, EVICT_STEP);
	MDB_txn *txn;
	int e;

	if (need > s->limit / 2)
		return MDB_MAP_FULL; /* not worth all that is held */
	do {
		if ((e = mdb_txn_begin(s->env, NULL, 0, &txn)) != 0)
			return e;
		if ((e = measure(s, txn, &used, NULL)) != 0 || used + need <= s->limit) {
			mdb_txn_abort(txn);
			return e;
		}
		e = lmdb_file_finish(txn, delete_first(s, txn, NULL, step, &n));
		if (e == 0)
			b->evicted += n;
		else if (e != MDB_MAP_FULL || step == 1)
			return e;
		else
			step = 1;
	} while (e != 0 || n > 0);
	return MDB_MAP_FULL; /* empty, and still too small */
}

/* Bytes that a change may add: its pages, and those of the trees that split for it. */
static uint64_t cost(const struct lmdb_store *s, const struct change *c)
{
	return c->value == NULL ? 0 : (c->value_n / s->page + 3) * (uint64_t)s->page;
}

/* Write n changes from c on in one transaction, with `spare` bytes more of room. */
static int write_slice(const struct lmdb_store *s, struct batch *b, struct change *c,
    size_t n, uint64_t spare)
{
	uint64_t need = spare;
	struct change *x = c;
	MDB_txn *txn;
	int e;

	for (size_t i = 0; i < n; i++, x = x->next)
		need += cost(s, x);
	if ((e = make_room(s, b, need)) != 0 ||
	    (e = mdb_txn_begin(s->env, NULL, 0, &txn)) != 0)
		return e;
	for (; e == 0 && n > 0; n--, c = c->next)
		e = write_change(s, txn, c);
	return lmdb_file_finish(txn, e);
}

/* How many changes from c on go into one transaction: few enough that the pages which
 * they copy fit into what is kept free, even in a small map. */
static size_t slice_of(const struct lmdb_store *s, const struct change *c)
{
	uint64_t bytes = 0;
	size_t n = 0;

	for (; c != NULL && n < SLICE_MAX; c = c->next, n++) {
		bytes += cost(s, c) + 4 * (uint64_t)s->page;
		if (n > 0 && bytes > s->limit / 16)
			break;
	}
	return n;
}

static int write_changes(const struct lmdb_store *s, struct batch *b)
{
	struct change *c = b->first;
	uint64_t spare = 0;

	while (c != NULL) {
		size_t n = slice_of(s, c);
		int e = write_slice(s, b, c, n, spare);

		/* Full before the mark: less at a time, then more room. */
		while (e == MDB_MAP_FULL && (n > 1 || spare < s->limit / 2)) {
			if (n > 1)
				n /= 2;
			else
				spare += s->limit / 16;
			e = write_slice(s, b, c, n, spare);
		}
		if (e != 0)
			return e;
		for (; n > 0; n--)
			c = c->next;
	}
	return 0;
}

static int write_purges(const struct lmdb_store *s, const struct batch *b)
{
	MDB_txn *txn;
	size_t n, step = step_of(s, SLICE_MAX);
	int e = 0;

	for (const struct prefix *p = b->purges; e == 0 && p != NULL; p = p->next)
		do {
			if ((e = mdb_txn_begin(s->env, NULL, 0, &txn)) == 0)
				e = lmdb_file_finish(
				    txn, delete_prefix(s, txn, p, step, &n));
		} while (e == 0 && n == step);
	return e;
}

static int sweep_some(const struct lmdb_store *s, struct batch *b)
{
	uint8_t before[EXPIRY_N];
	size_t n, step = step_of(s, SLICE_MAX), swept = 0;
	MDB_txn *txn;
	int e;

	put_time(before, b->sweep_before);
	do {
		if ((e = mdb_txn_begin(s->env, NULL, 0, &txn)) != 0)
			return e;
		e = lmdb_file_finish(txn, delete_first(s, txn, before, step, &n));
		swept += n;
	} while (e == 0 && n == step && swept < SWEEP_MAX);
	b->sweep_again = e == 0 && n == step;
	return e;
}

static int count(const struct lmdb_store *s, uint64_t *used, uint64_t *entries)
{
	MDB_txn *txn;
	int e = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);

	if (e != 0)
		return e;
	e = measure(s, txn, used, entries);
	mdb_txn_abort(txn);
	return e;
}

static void write_batch(void *arg)
{
	struct batch *b = arg;
	const struct lmdb_store *s = b->s;
	size_t before = lmdb_file_commits(s->env);

	b->e = write_purges(s, b);
	if (b->e == 0)
		b->e = write_changes(s, b);
	if (b->e == 0 && b->sweep)
		b->e = sweep_some(s, b);
	b->wrote = lmdb_file_commits(s->env) != before;
	(void)count(s, &b->used, &b->entries); /* stale numbers in the health, no more */
}

/* The keeper again. */

static enum err from_mdb(int e)
{
	if (e == 0)
		return ERR_OK;
	return e == ENOMEM ? ERR_NOMEM : e == MDB_MAP_FULL ? ERR_STORE_FULL : ERR_STORE;
}

static void tell(struct lmdb_store *s, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void tell(struct lmdb_store *s, const char *event, const char *format, ...)
{
	char text[768];
	va_list ap;

	if (s->config.hooks.event == NULL)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	s->config.hooks.event(s->config.hooks.arg, true, event, text);
}

static void note_failure(struct lmdb_store *s, const char *event, int e)
{
	snprintf(s->error, sizeof s->error, "%s: %s", s->path, mdb_strerror(e));
	s->remedy = lmdb_file_is_damage(e) ? REMEDY : lmdb_file_remedy(e);
	tell(s, event, "store=lmdb error=\"%s\" file=%s remedy=\"%s\"", mdb_strerror(e),
	    s->path, s->remedy);
}

static void take_outcome(struct lmdb_store *s, const struct batch *b)
{
	if (b->e != 0 || b->wrote)
		s->failed = b->e != 0;
	if (b->e != 0)
		note_failure(s, "store_write_failed", b->e);
	if (b->evicted > 0)
		tell(s, "store_full", "store=lmdb evicted=%llu",
		    (unsigned long long)b->evicted);
	s->used = b->used;
	s->entries = b->entries;
	if (b->sweep_again && !s->gathering->sweep) {
		s->gathering->sweep = true;
		s->gathering->sweep_before = b->sweep_before;
	}
}

static void launch(struct lmdb_store *s);

static void on_written(void *arg)
{
	struct batch *b = arg;
	struct lmdb_store *s = b->s;

	if (s == NULL) {
		batch_end(b, ERR_CANCELLED, true);
		return;
	}
	s->writing = NULL;
	take_outcome(s, b);
	/* Not from here: this may be the last that a stopped executor brings back, and
	 * who is told below may close the store.  Without a loop there is no such end. */
	if (s->next != NULL)
		event_active(s->next, EV_TIMEOUT, 0);
	else
		launch(s);
	batch_end(b, from_mdb(b->e), false);
}

/* Hand over what gathered, when there is something and the last batch is back. */
static void launch(struct lmdb_store *s)
{
	static const struct timeval retry = {0, RETRY_MS * 1000};
	struct batch *b = s->gathering, *next;

	if (s->writing != NULL || batch_is_empty(b))
		return;
	next = batch_new(s);
	if (next == NULL) { /* goes on gathering; the next write may try, or time */
		if (s->next != NULL)
			event_add(s->next, &retry);
		return;
	}
	s->gathering = next;
	s->writing = b;
	if (s->config.exec.run != NULL) {
		s->config.exec.run(s->config.exec.ctx, write_batch, on_written, b);
		return;
	}
	write_batch(b);
	on_written(b);
}

static void on_next(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	launch(arg);
}

/* The store's calls. */

/* What held becomes when the batch is applied to it; value borrowed from either. */
static struct bytes apply(struct lmdb_store *s, struct batch *b, const uint8_t *key,
    size_t n, struct bytes held)
{
	const struct change *c;
	struct bytes value;

	if (b == NULL)
		return held;
	if (is_purged(b, key, n))
		held = bytes_of(NULL, 0);
	c = batch_find(s, b, key, n);
	if (c == NULL)
		return held;
	value = bytes_of(c->value, c->value_n);
	return c->value == NULL || wins(value, c->force, held) ? value : held;
}

/* Copy the record, so that neither transaction nor batch outlives this call. */
static enum err copy_out(
    const struct lmdb_store *s, struct bytes v, uint8_t **out, size_t *n)
{
	if (v.p == NULL || v.n <= EXPIRY_N || v.n - EXPIRY_N > s->config.max_value)
		return ERR_NOT_FOUND;
	*n = v.n - EXPIRY_N;
	*out = malloc(*n);
	if (*out == NULL)
		return ERR_NOMEM;
	memcpy(*out, v.p + EXPIRY_N, *n);
	return ERR_OK;
}

static enum err find(struct lmdb_store *s, const struct key *k, uint8_t **out, size_t *n)
{
	uint8_t key[KEY_MAX];
	MDB_val mk = {write_key(key, k), key}, mv;
	struct bytes v = {NULL, 0};
	enum err err;
	int e = mdb_txn_renew(s->reader);

	if (e == 0) {
		e = mdb_get(s->reader, s->answers, &mk, &mv);
		if (e == 0)
			v = bytes_of(mv.mv_data, mv.mv_size);
	}
	if (e != 0 && e != MDB_NOTFOUND) {
		note_failure(s, "store_read_failed", e);
		err = ERR_STORE;
	} else {
		v = apply(s, s->writing, key, mk.mv_size, v);
		v = apply(s, s->gathering, key, mk.mv_size, v);
		err = copy_out(s, v, out, n);
	}
	mdb_txn_reset(s->reader);
	return err;
}

static void lmdb_get(struct store *st, const struct key *k, store_got_fn *done, void *arg)
{
	uint8_t *value = NULL;
	size_t n = 0;
	enum err e = find(of(st), k, &value, &n);

	done(arg, e == ERR_NOMEM ? ERR_STORE : e, bytes_of(value, n));
	free(value);
}

/* Into the batch.  value (NULL: delete) is handed over, also on failure. */
static enum err gather(struct lmdb_store *s, const struct key *k, uint8_t *value,
    size_t n, bool force, store_done_fn *done, void *arg)
{
	struct batch *b = s->gathering;
	uint8_t key[KEY_MAX];
	uint8_t key_n = write_key(key, k);
	bool is_new = false, ok;
	struct waiter *w;
	struct change *c;

	if (value != NULL && b->bytes + n > GATHER_MAX) {
		free(value);
		return ERR_STORE_FULL;
	}
	w = waiter_new(done, arg, &ok);
	c = ok ? batch_change(s, b, key, key_n, &is_new) : NULL;
	if (c == NULL) {
		free(w);
		free(value);
		return ERR_NOMEM;
	}
	add_waiter(&c->waiters, w);
	if (value != NULL && !is_new && c->value == NULL)
		force = true; /* deleted, then put: nothing older can win */
	if (value == NULL || is_new || force ||
	    wins(bytes_of(value, n), force, bytes_of(c->value, c->value_n))) {
		set_value(b, c, value, n);
		c->force = force || c->force;
	} else {
		free(value);
	}
	return ERR_OK;
}

static void lmdb_put(struct store *st, const struct key *k, const struct facts *f,
    struct bytes der, bool force, store_done_fn *done, void *arg)
{
	struct lmdb_store *s = of(st);
	uint8_t *value = NULL;
	enum err e = ERR_STORE;
	size_t n;

	if (der.n + RECORD_OVERHEAD <= s->config.max_value) {
		e = ERR_NOMEM;
		value = malloc(EXPIRY_N + der.n + RECORD_OVERHEAD);
	}
	if (value != NULL) {
		put_time(value, facts_expiry(f));
		n = EXPIRY_N + record_encode(value + EXPIRY_N, k, f, der, s->config.keys);
		e = gather(s, k, value, n, force, done, arg);
	}
	if (e == ERR_OK)
		launch(s);
	else if (done != NULL)
		done(arg, e);
}

static void lmdb_del(
    struct store *st, const struct key *k, store_done_fn *done, void *arg)
{
	struct lmdb_store *s = of(st);
	enum err e = gather(s, k, NULL, 0, true, done, arg);

	if (e == ERR_OK)
		launch(s);
	else if (done != NULL)
		done(arg, e);
}

/* Of all keys that differ from k in the serial alone. */
static bool add_purge(struct lmdb_store *s, const struct key *k)
{
	struct batch *b = s->gathering;
	struct prefix *p = calloc(1, sizeof *p);

	if (p == NULL)
		return false;
	p->n = ca_prefix(p->p, k);
	p->next = b->purges;
	b->purges = p;
	/* What gathered before the purge is purged too. */
	for (struct change *c = b->first; c != NULL; c = c->next)
		if (key_has_prefix(c->key, c->key_n, p))
			set_value(b, c, NULL, 0);
	return true;
}

static void lmdb_purge(
    struct store *st, const struct issuer *i, store_done_fn *done, void *arg)
{
	static const struct serial any = {1, {0}};
	struct lmdb_store *s = of(st);
	bool ok;
	struct waiter *w = waiter_new(done, arg, &ok);

	for (size_t n = 0; n < issuer_keys_n(i); n++) {
		struct key k;

		issuer_key_at(i, n, &any, &k);
		ok = add_purge(s, &k) && ok;
	}
	if (ok)
		add_waiter(&s->gathering->waiters, w);
	else
		free(w);
	launch(s);
	if (!ok && done != NULL)
		done(arg, ERR_NOMEM);
}

static void lmdb_lease(struct store *st, const struct key *k,
    const struct store_seen *seen, int lease_ms, store_lease_fn *done, void *arg)
{
	(void)st, (void)k, (void)seen, (void)lease_ms;
	done(arg, LEASE_ALONE, 0);
}

static void lmdb_release(struct store *st, const struct key *k, int failed_ms)
{
	(void)st, (void)k, (void)failed_ms;
}

static void lmdb_sweep(struct store *st, int64_t now)
{
	struct lmdb_store *s = of(st);

	s->gathering->sweep = true;
	s->gathering->sweep_before = now;
	launch(s);
}

static void lmdb_health(const struct store *st, struct store_health *out)
{
	const struct lmdb_store *s = (const struct lmdb_store *)st;

	out->kind = "lmdb";
	out->up = !s->failed;
	out->refuses = s->failed;
	out->error = s->error;
	out->remedy = s->remedy;
	out->bytes = s->used;
	out->entries = s->entries;
}

/* The executor has stopped: what it was given has run, though perhaps not come back. */
static void lmdb_close(struct store *st)
{
	struct lmdb_store *s = of(st);

	if (s->writing != NULL)
		s->writing->s = NULL;
	if (s->gathering != NULL && !batch_is_empty(s->gathering))
		write_batch(s->gathering);
	batch_end(s->gathering, ERR_CANCELLED, true);
	if (s->next != NULL)
		event_free(s->next);
	if (s->reader != NULL)
		mdb_txn_abort(s->reader);
	if (s->env != NULL)
		mdb_env_close(s->env);
	free(s->path);
	free(s);
}

static const struct store_ops lmdb_ops = {
    .close = lmdb_close,
    .get = lmdb_get,
    .put = lmdb_put,
    .del = lmdb_del,
    .purge = lmdb_purge,
    .lease = lmdb_lease,
    .release = lmdb_release,
    .sweep = lmdb_sweep,
    .health = lmdb_health,
};

/* Opening. */

static int open_databases(struct lmdb_store *s, bool *same)
{
	MDB_txn *txn;
	int e = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (e != 0)
		return e;
	if ((e = mdb_dbi_open(txn, NULL, 0, &s->names)) == 0)
		e = lmdb_file_format(txn, s->names, FORMAT, &s->meta, same);
	if (e == 0 && !*same) {
		mdb_txn_abort(txn);
		return 0;
	}
	if (e == 0)
		e = mdb_dbi_open(txn, "answers", MDB_CREATE, &s->answers);
	if (e == 0)
		e = mdb_dbi_open(txn, "expiry", MDB_CREATE, &s->expiry);
	return lmdb_file_finish(txn, e);
}

static int open_env(struct lmdb_store *s, const char *path, bool *same)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	MDB_stat st;
	int e, dead;

	if ((e = mdb_env_create(&s->env)) != 0 ||
	    (e = mdb_env_set_maxdbs(s->env, 3)) != 0 ||
	    (e = mdb_env_set_mapsize(s->env, s->config.size / page * page)) != 0 ||
	    (e = mdb_env_open(s->env, path,
		 MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD | MDB_NOMETASYNC, 0600)) != 0 ||
	    (e = mdb_env_stat(s->env, &st)) != 0)
		return e;
	s->page = st.ms_psize;
	s->limit = s->config.size / 8 * 7;
	if ((e = lmdb_file_mend(s->env, s->page)) != 0 ||
	    (e = mdb_reader_check(s->env, &dead)) != 0 ||
	    (e = open_databases(s, same)) != 0 || !*same)
		return e;
	if ((e = count(s, &s->used, &s->entries)) != 0)
		return e;
	e = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->reader);
	if (e == 0)
		mdb_txn_reset(s->reader);
	return e;
}

/* What is damaged is a cache: it goes out of the way, to be looked at or deleted, and
 * answers are fetched again. */
static bool put_aside(
    struct lmdb_store *s, const char *path, const char *cause, char *why, size_t why_n)
{
	char aside[4128];

	if (s->env != NULL)
		mdb_env_close(s->env);
	s->env = NULL;
	snprintf(aside, sizeof aside, "%s.damaged", path);
	if (rename(path, aside) != 0) {
		snprintf(why, why_n,
		    "%s: damaged: %s; it cannot be put aside: %s; " REMEDY, path, cause,
		    strerror(errno));
		return false;
	}
	tell(
	    s, "store_put_aside", "store=lmdb error=\"%s\" kept=%s.damaged", cause, path);
	return true;
}

/* Look at the file before LMDB does, and make it where there is none. */
static enum err prepare(struct lmdb_store *s, const char *path, char *why, size_t why_n)
{
	char cause[LMDB_FILE_WHY];
	enum lmdb_file_is is = lmdb_file_look(path, cause);
	int e = 0;

	if (is == LMDB_UNUSABLE) {
		snprintf(why, why_n, "%s: %s", path, cause);
		return ERR_STORE;
	}
	if (is == LMDB_DAMAGED && !put_aside(s, path, cause, why, why_n))
		return ERR_STORE;
	if (is != LMDB_LOOKS_WELL)
		e = lmdb_file_make(path);
	if (e != 0)
		lmdb_file_why(why, why_n, path, e);
	return e == 0 ? ERR_OK : ERR_STORE;
}

/* 0, or an error that is told in why. */
static int open_path(
    struct lmdb_store *s, const char *path, bool *same, char *why, size_t why_n)
{
	int e;

	if (prepare(s, path, why, why_n) != ERR_OK)
		return EINVAL;
	e = open_env(s, path, same);
	if (e != 0 && lmdb_file_is_damage(e)) {
		if (!put_aside(s, path, lmdb_file_text(e), why, why_n) ||
		    prepare(s, path, why, why_n) != ERR_OK)
			return e;
		e = open_env(s, path, same);
	}
	if (e != 0)
		lmdb_file_why(why, why_n, path, e);
	return e;
}

static enum err open_file(struct lmdb_store *s, const char *dir, char *why, size_t why_n)
{
	char path[4096];
	bool same = true;
	int e;

	if (dir[0] == '\0' ||
	    (size_t)snprintf(path, sizeof path, "%s", dir) >= sizeof path - 16) {
		snprintf(why, why_n, "lmdb: needs a directory (lmdb:/path)");
		return ERR_STORE;
	}
	if ((e = lmdb_file_directories(path)) != 0) {
		lmdb_file_why(why, why_n, dir, e);
		return ERR_STORE;
	}
	strcat(path, "/answers.mdb");
	if ((s->path = strdup(path)) == NULL)
		return ERR_NOMEM;
	if (open_path(s, path, &same, why, why_n) != 0)
		return ERR_STORE;
	if (!same) {
		snprintf(why, why_n,
		    "%s: written by another version of ocspcached (this one reads "
		    "\"%s\"); " REMEDY,
		    path, FORMAT);
		return ERR_STORE;
	}
	return ERR_OK;
}

enum err store_lmdb_open(
    struct store **out, const struct store_config *c, char *why, size_t n)
{
	struct lmdb_store *s = calloc(1, sizeof *s);
	enum err e = ERR_NOMEM;

	*out = NULL;
	if (s == NULL)
		return ERR_NOMEM;
	s->store.ops = &lmdb_ops;
	s->config = *c;
	s->config.url = s->config.prefix = NULL;
	s->remedy = "";
	s->gathering = batch_new(s);
	if (c->base != NULL)
		s->next = event_new(c->base, -1, 0, on_next, s);
	if (s->gathering != NULL && (c->base == NULL || s->next != NULL) &&
	    RAND_bytes((unsigned char *)&s->seed, sizeof s->seed) == 1)
		e = open_file(s, c->url + strlen("lmdb:"), why, n);
	if (e == ERR_NOMEM)
		snprintf(why, n, "%s", err_text(e));
	if (e != ERR_OK) {
		lmdb_close(&s->store);
		return e;
	}
	*out = &s->store;
	return ERR_OK;
}
