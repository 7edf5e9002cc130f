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
 * A write joins the batch that gathers (group commit: lmdb_writer.h).  A batch is never
 * older than one commit of at most SLICE_MAX records for each slice before it.
 *
 * Reads see what was put before them: the file's value, then the batch that is being
 * written, then the one that gathers, by the same rule (`wins`) that the write
 * transaction applies.  That the middle one may have been committed already is harmless:
 * each step done twice gives the same.  A read transaction is renewed and reset within
 * one store_get(); the value is copied out before the callback, which may ask again.
 *
 * Flags: MDB_NORDAHEAD, since reads are random; MDB_NOMETASYNC, which saves one fsync of
 * two and can lose the last commit in a power failure but never the file: for answers,
 * that can be fetched again, a good bargain (latches take full sync).
 *
 * Full: the answers that expire first go.
 */
#include "cache/store/store.h"

#include <assert.h>
#include <errno.h>
#include <lmdb.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "cache/base/lmdb_file.h"
#include "cache/store/lmdb_writer.h"

#define FORMAT        "ocspcached answers 1"
#define REMEDY        "move it away while ocspcached is stopped: answers are fetched again"
#define KEY_MAX       (1 + 2 * CERTID_HASH_MAX + SERIAL_MAX)
#define EXPIRY_N      8
#define PREFIX_MAX    (1 + 2 * CERTID_HASH_MAX)
#define SLICE_MAX     1000  /* records in one transaction */
#define SWEEP_MAX     10000 /* expired answers deleted by one job */
#define EVICT_STEP    64    /* answers that go together when the map is full */
#define GATHER_MAX    ((size_t)64 << 20) /* bytes for a slow disk; then puts fail */
#define BATCH_BUCKETS 1024               /* of the index of a batch; a power of two */

/* One pending write of one key. */
struct write {
	struct write *next, *next_in_bucket;
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

/* What one job writes: first the purges, then the writes of keys, then the sweep.  The
 * keeper gathers; from `take` to `back` it is the executor's and read-only for us. */
struct writes {
	struct lmdb_job job; /* first */
	struct lmdb_store *s;
	struct prefix *purges;
	struct write *first, **last;
	struct write *bucket[BATCH_BUCKETS];
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
	struct lmdb_writer writer;
	MDB_dbi answers, expiry;
	uint64_t seed;
	struct writes *gathering; /* never NULL */
	struct writes *writing;   /* or NULL */
	bool failed;              /* the last write did */
	uint64_t entries, used;
};

static const struct store_ops lmdb_ops;

static struct lmdb_store *of(struct store *s)
{
	assert(s->ops == &lmdb_ops);
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

static bool is_purged(const struct writes *b, const uint8_t *key, size_t n)
{
	for (const struct prefix *p = b->purges; p != NULL; p = p->next)
		if (key_has_prefix(key, n, p))
			return true;
	return false;
}

/* Batches; the keeper. */

static struct writes *writes_new(struct lmdb_store *s)
{
	struct writes *b = calloc(1, sizeof *b);

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

/* All but the batch itself goes, and who waits is told unless silent. */
static void writes_clear(struct writes *b, enum err e, bool silent)
{
	for (struct write *x = b->first, *next; x != NULL; x = next) {
		next = x->next;
		answer(x->waiters, e, silent);
		free(x->value);
		free(x);
	}
	for (struct prefix *p = b->purges, *next; p != NULL; p = next) {
		next = p->next;
		free(p);
	}
	answer(b->waiters, e, silent);
}

static void writes_drop(struct writes *b)
{
	if (b != NULL)
		writes_clear(b, ERR_CANCELLED, true);
	free(b);
}

static bool writes_are_none(const struct writes *b)
{
	return b->first == NULL && b->purges == NULL && !b->sweep;
}

static struct write **bucket_of(
    struct lmdb_store *s, struct writes *b, const uint8_t *key, size_t n)
{
	return &b->bucket[XXH3_64bits_withSeed(key, n, s->seed) & (BATCH_BUCKETS - 1)];
}

static struct write *writes_find(
    struct lmdb_store *s, struct writes *b, const uint8_t *key, size_t n)
{
	struct write *x = *bucket_of(s, b, key, n);

	while (x != NULL && !(x->key_n == n && memcmp(x->key, key, n) == 0))
		x = x->next_in_bucket;
	return x;
}

/* The write of this key, a new one that deletes when there is none. */
static struct write *writes_add(
    struct lmdb_store *s, struct writes *b, const uint8_t *key, uint8_t n, bool *is_new)
{
	struct write *x = writes_find(s, b, key, n), **bucket;

	*is_new = x == NULL;
	if (x != NULL)
		return x;
	x = calloc(1, sizeof *x);
	if (x == NULL)
		return NULL;
	memcpy(x->key, key, n);
	x->key_n = n;
	bucket = bucket_of(s, b, key, n);
	x->next_in_bucket = *bucket;
	*bucket = x;
	*b->last = x;
	b->last = &x->next;
	b->bytes += sizeof *x;
	return x;
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

static void set_value(struct writes *b, struct write *x, uint8_t *value, size_t n)
{
	b->bytes += n;
	b->bytes -= x->value_n;
	free(x->value);
	x->value = value;
	x->value_n = n;
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

static int write_one(const struct lmdb_store *s, MDB_txn *txn, struct write *x)
{
	uint8_t buffer[EXPIRY_N + KEY_MAX];
	MDB_val k = {x->key_n, x->key}, held, nothing = {0, NULL};
	MDB_val index = {EXPIRY_N + (size_t)x->key_n, buffer}, v = {x->value_n, x->value};
	int e = mdb_get(txn, s->answers, &k, &held);

	if (e != 0 && e != MDB_NOTFOUND)
		return e;
	if (e == 0) {
		if (x->value != NULL && !wins(bytes_of(x->value, x->value_n), x->force,
					    bytes_of(held.mv_data, held.mv_size)))
			return 0;
		if ((e = del_indexed(s, txn, &k, &held)) != 0)
			return e;
		if (x->value == NULL)
			return mdb_del(txn, s->answers, &k, NULL);
	}
	if (x->value == NULL)
		return 0;
	memcpy(buffer, x->value, EXPIRY_N);
	memcpy(buffer + EXPIRY_N, x->key, x->key_n);
	if ((e = mdb_put(txn, s->expiry, &index, &nothing, 0)) != 0)
		return e;
	return mdb_put(txn, s->answers, &k, &v, 0);
}

static int measure(
    const struct lmdb_store *s, MDB_txn *txn, uint64_t *used, uint64_t *entries)
{
	const MDB_dbi dbi[] = {s->answers, s->expiry};
	MDB_stat st;
	int e = lmdb_writer_used(&s->writer, txn, dbi, 2, used);

	if (e == 0 && entries != NULL && (e = mdb_stat(txn, s->answers, &st)) == 0)
		*entries = st.ms_entries;
	return e;
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

/* Evict until `need` more bytes fit under the limit. */
static int make_room(const struct lmdb_store *s, struct writes *b, uint64_t need)
{
	uint64_t used;
	size_t n = 0, step = lmdb_writer_step(&s->writer, EVICT_STEP);
	MDB_txn *txn;
	int e;

	if (need > s->writer.limit / 2)
		return MDB_MAP_FULL; /* not worth all that is held */
	do {
		if ((e = mdb_txn_begin(s->writer.env, NULL, 0, &txn)) != 0)
			return e;
		if ((e = measure(s, txn, &used, NULL)) != 0 ||
		    used + need <= s->writer.limit) {
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

/* Bytes that a write may add: its pages, and those of the trees that split for it. */
static uint64_t cost(const struct lmdb_store *s, const struct write *x)
{
	return x->value == NULL
		   ? 0
		   : (x->value_n / s->writer.page + 3) * (uint64_t)s->writer.page;
}

/* Do n writes from x on in one transaction, with `spare` bytes more of room. */
static int write_slice(const struct lmdb_store *s, struct writes *b, struct write *x,
    size_t n, uint64_t spare)
{
	uint64_t need = spare;
	struct write *ahead = x;
	MDB_txn *txn;
	int e;

	for (size_t i = 0; i < n; i++, ahead = ahead->next)
		need += cost(s, ahead);
	if ((e = make_room(s, b, need)) != 0 ||
	    (e = mdb_txn_begin(s->writer.env, NULL, 0, &txn)) != 0)
		return e;
	for (; e == 0 && n > 0; n--, x = x->next)
		e = write_one(s, txn, x);
	return lmdb_file_finish(txn, e);
}

/* How many writes from x on go into one transaction: few enough that the pages which
 * they copy fit into what is kept free, even in a small map. */
static size_t slice_of(const struct lmdb_store *s, const struct write *x)
{
	uint64_t bytes = 0;
	size_t n = 0;

	for (; x != NULL && n < SLICE_MAX; x = x->next, n++) {
		bytes += cost(s, x) + 4 * (uint64_t)s->writer.page;
		if (n > 0 && bytes > s->writer.limit / 16)
			break;
	}
	return n;
}

static int write_all(const struct lmdb_store *s, struct writes *b)
{
	struct write *x = b->first;
	uint64_t spare = 0;

	while (x != NULL) {
		size_t n = slice_of(s, x);
		int e = write_slice(s, b, x, n, spare);

		/* Full before the mark: less at a time, then more room. */
		while (e == MDB_MAP_FULL && (n > 1 || spare < s->writer.limit / 2)) {
			if (n > 1)
				n /= 2;
			else
				spare += s->writer.limit / 16;
			e = write_slice(s, b, x, n, spare);
		}
		if (e != 0)
			return e;
		for (; n > 0; n--)
			x = x->next;
	}
	return 0;
}

static int write_purges(const struct lmdb_store *s, const struct writes *b)
{
	MDB_txn *txn;
	size_t n, step = lmdb_writer_step(&s->writer, SLICE_MAX);
	int e = 0;

	for (const struct prefix *p = b->purges; e == 0 && p != NULL; p = p->next)
		do {
			if ((e = mdb_txn_begin(s->writer.env, NULL, 0, &txn)) == 0)
				e = lmdb_file_finish(
				    txn, delete_prefix(s, txn, p, step, &n));
		} while (e == 0 && n == step);
	return e;
}

static int sweep_some(const struct lmdb_store *s, struct writes *b)
{
	uint8_t before[EXPIRY_N];
	size_t n, step = lmdb_writer_step(&s->writer, SLICE_MAX), swept = 0;
	MDB_txn *txn;
	int e;

	put_time(before, b->sweep_before);
	do {
		if ((e = mdb_txn_begin(s->writer.env, NULL, 0, &txn)) != 0)
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
	int e = mdb_txn_begin(s->writer.env, NULL, MDB_RDONLY, &txn);

	if (e != 0)
		return e;
	e = measure(s, txn, used, entries);
	mdb_txn_abort(txn);
	return e;
}

static void do_writes(struct writes *b)
{
	const struct lmdb_store *s = b->s;
	size_t before = lmdb_file_commits(s->writer.env);

	b->e = write_purges(s, b);
	if (b->e == 0)
		b->e = write_all(s, b);
	if (b->e == 0 && b->sweep)
		b->e = sweep_some(s, b);
	b->wrote = lmdb_file_commits(s->writer.env) != before;
	(void)count(s, &b->used, &b->entries); /* stale numbers in the health, no more */
}

/* The keeper again. */

static enum err from_mdb(int e)
{
	if (e == 0)
		return ERR_OK;
	return e == ENOMEM ? ERR_NOMEM : e == MDB_MAP_FULL ? ERR_STORE_FULL : ERR_STORE;
}

static void take_outcome(struct lmdb_store *s, const struct writes *b)
{
	if (b->e != 0 || b->wrote)
		s->failed = b->e != 0;
	if (b->e != 0)
		lmdb_writer_failed(&s->writer, "store_write_failed", b->e);
	if (b->evicted > 0)
		lmdb_writer_tell(&s->writer, "store_full", "store=lmdb evicted=%llu",
		    (unsigned long long)b->evicted);
	s->used = b->used;
	s->entries = b->entries;
	if (b->sweep_again && !s->gathering->sweep) {
		s->gathering->sweep = true;
		s->gathering->sweep_before = b->sweep_before;
	}
}

static struct lmdb_job *take(void *owner, bool *again)
{
	struct lmdb_store *s = owner;
	struct writes *b = s->gathering, *next;

	if (writes_are_none(b))
		return NULL;
	next = writes_new(s);
	if (next == NULL) {
		*again = true;
		return NULL;
	}
	assert(s->writing == NULL);
	s->gathering = next;
	s->writing = b;
	return &b->job;
}

static void work(struct lmdb_job *j)
{
	do_writes((struct writes *)j);
}

static bool back(void *owner, struct lmdb_job *j)
{
	struct lmdb_store *s = owner;
	struct writes *b = (struct writes *)j;
	bool alive;

	assert(b == s->writing && b->s == s);
	s->writing = NULL;
	take_outcome(s, b);
	writes_clear(b, from_mdb(b->e), false);
	alive = j->writer != NULL;
	free(b);
	return alive;
}

static void drop(struct lmdb_job *j)
{
	writes_drop((struct writes *)j);
}

/* The store's calls. */

/* What held becomes when the batch is applied to it; value borrowed from either. */
static struct bytes apply(struct lmdb_store *s, struct writes *b, const uint8_t *key,
    size_t n, struct bytes held)
{
	const struct write *x;
	struct bytes value;

	if (b == NULL)
		return held;
	if (is_purged(b, key, n))
		held = bytes_of(NULL, 0);
	x = writes_find(s, b, key, n);
	if (x == NULL)
		return held;
	value = bytes_of(x->value, x->value_n);
	return x->value == NULL || wins(value, x->force, held) ? value : held;
}

/* Copy the record, so that neither transaction nor batch outlives this call. */
static enum err copy_out(
    const struct lmdb_store *s, struct bytes v, uint8_t **out, size_t *n)
{
	if (v.p == NULL || v.n <= EXPIRY_N || v.n - EXPIRY_N > s->config.max_value)
		return ERR_NOT_FOUND;
	if ((*out = malloc(v.n - EXPIRY_N)) == NULL)
		return ERR_NOMEM;
	*n = v.n - EXPIRY_N;
	memcpy(*out, v.p + EXPIRY_N, *n);
	return ERR_OK;
}

static enum err find(struct lmdb_store *s, const struct key *k, uint8_t **out, size_t *n)
{
	uint8_t key[KEY_MAX];
	MDB_val mk = {write_key(key, k), key}, mv;
	struct bytes v = {NULL, 0};
	enum err err;
	int e = mdb_txn_renew(s->writer.reader);

	if (e == 0) {
		e = mdb_get(s->writer.reader, s->answers, &mk, &mv);
		if (e == 0)
			v = bytes_of(mv.mv_data, mv.mv_size);
	}
	if (e != 0 && e != MDB_NOTFOUND) {
		lmdb_writer_failed(&s->writer, "store_read_failed", e);
		err = ERR_STORE;
	} else {
		v = apply(s, s->writing, key, mk.mv_size, v);
		v = apply(s, s->gathering, key, mk.mv_size, v);
		err = copy_out(s, v, out, n);
	}
	mdb_txn_reset(s->writer.reader);
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
	struct writes *b = s->gathering;
	uint8_t key[KEY_MAX];
	uint8_t key_n = write_key(key, k);
	bool is_new = false, ok;
	struct waiter *w;
	struct write *x;

	if (value != NULL && b->bytes + n > GATHER_MAX) {
		free(value);
		return ERR_STORE_FULL;
	}
	w = waiter_new(done, arg, &ok);
	x = ok ? writes_add(s, b, key, key_n, &is_new) : NULL;
	if (x == NULL) {
		free(w);
		free(value);
		return ERR_NOMEM;
	}
	add_waiter(&x->waiters, w);
	if (value != NULL && !is_new && x->value == NULL)
		force = true; /* deleted, then put: nothing older can win */
	if (value == NULL || is_new || force ||
	    wins(bytes_of(value, n), force, bytes_of(x->value, x->value_n))) {
		set_value(b, x, value, n);
		x->force = force || x->force;
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
		lmdb_writer_launch(&s->writer);
	else if (done != NULL)
		done(arg, e);
}

static void lmdb_del(
    struct store *st, const struct key *k, store_done_fn *done, void *arg)
{
	struct lmdb_store *s = of(st);
	enum err e = gather(s, k, NULL, 0, true, done, arg);

	if (e == ERR_OK)
		lmdb_writer_launch(&s->writer);
	else if (done != NULL)
		done(arg, e);
}

/* Of all keys that differ from k in the serial alone. */
static bool add_purge(struct lmdb_store *s, const struct key *k)
{
	struct writes *b = s->gathering;
	struct prefix *p = calloc(1, sizeof *p);

	if (p == NULL)
		return false;
	p->n = ca_prefix(p->p, k);
	p->next = b->purges;
	b->purges = p;
	/* What gathered before the purge is purged too. */
	for (struct write *x = b->first; x != NULL; x = x->next)
		if (key_has_prefix(x->key, x->key_n, p))
			set_value(b, x, NULL, 0);
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
	lmdb_writer_launch(&s->writer);
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
	lmdb_writer_launch(&s->writer);
}

static void lmdb_health(const struct store *st, struct store_health *out)
{
	const struct lmdb_store *s = (const struct lmdb_store *)st;

	assert(st->ops == &lmdb_ops);
	out->kind = "lmdb";
	out->up = !s->failed;
	out->refuses = s->failed;
	out->error = s->writer.error;
	out->remedy = s->writer.remedy;
	out->bytes = s->used;
	out->entries = s->entries;
}

/* What gathers is written, but nobody hears of it. */
static void lmdb_close(struct store *st)
{
	struct lmdb_store *s = of(st);

	if (s->gathering != NULL && !writes_are_none(s->gathering))
		do_writes(s->gathering);
	writes_drop(s->gathering);
	lmdb_writer_close(&s->writer);
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

static int databases(void *owner, MDB_txn *txn, MDB_dbi meta)
{
	struct lmdb_store *s = owner;
	int e = mdb_dbi_open(txn, "answers", MDB_CREATE, &s->answers);

	(void)meta;
	return e != 0 ? e : mdb_dbi_open(txn, "expiry", MDB_CREATE, &s->expiry);
}

static int opened(void *owner)
{
	struct lmdb_store *s = owner;

	return count(s, &s->used, &s->entries);
}

/* What is damaged is a cache: it goes out of the way, to be looked at or deleted, and
 * answers are fetched again. */
static bool put_aside(void *owner, const char *cause, char *why, size_t why_n)
{
	struct lmdb_store *s = owner;
	const char *path = s->writer.path;
	char aside[4128];

	snprintf(aside, sizeof aside, "%s.damaged", path);
	if (rename(path, aside) != 0) {
		snprintf(why, why_n,
		    "%s: damaged: %s; it cannot be put aside: %s; " REMEDY, path, cause,
		    strerror(errno));
		return false;
	}
	lmdb_writer_tell(&s->writer, "store_put_aside",
	    "store=lmdb error=\"%s\" kept=%s.damaged", cause, path);
	return true;
}

static const struct lmdb_writer_ops writer_ops = {
    .databases = databases,
    .opened = opened,
    .damaged = put_aside,
    .take = take,
    .work = work,
    .back = back,
    .drop = drop,
};

static enum err open_writer(struct lmdb_store *s, const char *dir, char *why, size_t n)
{
	const struct lmdb_writer_config c = {
	    .dir = dir,
	    .name = "answers.mdb",
	    .format = FORMAT,
	    .remedy = REMEDY,
	    .flags = MDB_NORDAHEAD | MDB_NOMETASYNC,
	    .size = s->config.size,
	    .base = s->config.base,
	    .exec = s->config.exec,
	    .event = s->config.hooks.event,
	    .event_arg = s->config.hooks.arg,
	};

	return lmdb_writer_open(&s->writer, &c, &writer_ops, s, why, n);
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
	s->gathering = writes_new(s);
	if (s->gathering != NULL &&
	    RAND_bytes((unsigned char *)&s->seed, sizeof s->seed) == 1)
		e = open_writer(s, c->url + strlen("lmdb:"), why, n);
	else
		snprintf(why, n, "%s", err_text(e));
	if (e != ERR_OK) {
		lmdb_close(&s->store);
		return e;
	}
	*out = &s->store;
	return ERR_OK;
}
