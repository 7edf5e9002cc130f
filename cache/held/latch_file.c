/* latch_file.c - the file, DIR/latches.mdb, is an LMDB environment of three databases:
 *   "meta"     "format" -> "ocspcached latches 1"
 *   "latches"  CA id (32 octets), serial (1..21 octets)
 *              -> reason (be32), revoked_at (be64), set_at (be64)
 *   "untold"   the same key -> nothing: untold; 1 octet (1): listed
 * Files from before there was a change log have no "untold", and their latches were all
 * seen; a program of then reads the file without it, so the format is still 1.
 * DIR/latches.mdb.mark, an empty file, stays from the first start on: a latches.mdb that
 * is gone, or empty, is no new one then.  To forget all latches is to remove both.
 * An entry that cannot be read is no small thing: skipping it would let a revoked
 * certificate become good again, so the file is refused as a whole.
 */
#include "cache/held/latch_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cache/base/lmdb_file.h"

#define FORMAT      "ocspcached latches 1"
#define MARK        ".mark"           /* behind the file's name: there was one */
#define MAP_START   ((size_t)4 << 20) /* about 20,000 latches; doubles by itself */
#define MAP_LAST    ((size_t)1 << 40) /* a file so large is a fault, not growth */
#define VALUE_N     20
#define SWEEP_BATCH 10000 /* deleted in one transaction: bounds its dirty pages */

struct latch_file {
	MDB_env *env;
	MDB_dbi latches, untold;
	_Atomic int failure; /* LMDB's last error, or errno */
	_Atomic bool failed; /* the last write did */
};

static bool read_key(struct latch *l, const MDB_val *k)
{
	const uint8_t *key = k->mv_data;

	memset(l, 0, sizeof *l);
	if (k->mv_size < 33 || k->mv_size > LATCH_KEY_MAX)
		return false;
	memcpy(l->ca_id, key, 32);
	l->serial.n = (uint8_t)(k->mv_size - 32);
	memcpy(l->serial.octets, key + 32, l->serial.n);
	return true;
}

static bool read_latch(struct latch *l, const MDB_val *k, const MDB_val *v)
{
	const uint8_t *value = v->mv_data;

	if (!read_key(l, k) || v->mv_size != VALUE_N)
		return false;
	l->reason = (int32_t)get_be(value, 4);
	l->revoked_at = (int64_t)get_be(value + 4, 8);
	l->set_at = (int64_t)get_be(value + 12, 8);
	return true;
}

static enum err complain(char *why, size_t n, const char *path, const char *cause)
{
	snprintf(why, n, "%s: %s", path, cause);
	return ERR_STORE;
}

/* Write the format into a new file, compare it in an old one. */
static int check_format(MDB_txn *txn, MDB_dbi meta, bool *same)
{
	MDB_val k = {6, (void *)(uintptr_t) "format"};
	MDB_val want = {strlen(FORMAT), (void *)(uintptr_t)FORMAT}, v;
	int e = mdb_get(txn, meta, &k, &v);

	*same = true;
	if (e == MDB_NOTFOUND)
		return mdb_put(txn, meta, &k, &want, 0);
	if (e == 0)
		*same = v.mv_size == want.mv_size &&
			memcmp(v.mv_data, want.mv_data, v.mv_size) == 0;
	return e;
}

static int open_databases(struct latch_file *f, bool *same)
{
	MDB_txn *txn;
	MDB_dbi meta;
	int e = mdb_txn_begin(f->env, NULL, 0, &txn);

	if (e != 0)
		return e;
	if ((e = mdb_dbi_open(txn, "meta", MDB_CREATE, &meta)) != 0 ||
	    (e = mdb_dbi_open(txn, "latches", MDB_CREATE, &f->latches)) != 0 ||
	    (e = mdb_dbi_open(txn, "untold", MDB_CREATE, &f->untold)) != 0 ||
	    (e = check_format(txn, meta, same)) != 0) {
		mdb_txn_abort(txn);
		return e;
	}
	return mdb_txn_commit(txn);
}

/* Full sync: a latch is worth its fsync.  One thread at a time uses the environment, so
 * nothing speaks for MDB_NOTLS, and MDB_NOMEMINIT would put our heap into the file. */
static int open_env(struct latch_file *f, const char *path, bool *same)
{
	MDB_stat st;
	int e = mdb_env_create(&f->env);

	if (e == 0 && (e = mdb_env_set_maxdbs(f->env, 3)) == 0 &&
	    (e = mdb_env_set_mapsize(f->env, MAP_START)) == 0 &&
	    (e = mdb_env_open(f->env, path, MDB_NOSUBDIR, 0600)) == 0 &&
	    (e = mdb_env_stat(f->env, &st)) == 0 &&
	    (e = lmdb_file_mend(f->env, st.ms_psize)) == 0)
		e = open_databases(f, same);
	return e;
}

static enum err complain_of_damage(
    char *why, size_t n, const char *path, const char *cause)
{
	snprintf(why, n,
	    "%s: %s; restore it from a copy, or, to begin without what was latched "
	    "(revoked certificates may be good again), remove it and %s" MARK,
	    path, cause, path);
	return ERR_STORE;
}

static bool has_mark(const char *path)
{
	char mark[4352];

	return (size_t)snprintf(mark, sizeof mark, "%s" MARK, path) < sizeof mark &&
	       access(mark, F_OK) == 0;
}

/* On a full disk there is none: then the next start makes it. */
static void make_mark(const char *path)
{
	char mark[4352];
	int fd;

	if ((size_t)snprintf(mark, sizeof mark, "%s" MARK, path) >= sizeof mark)
		return;
	fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

/* Look at the file before LMDB does, and make it where there never was one. */
static enum err prepare(const char *path, char *why, size_t why_n)
{
	char cause[LMDB_FILE_WHY];
	enum lmdb_file_is is = lmdb_file_look(path, cause);
	int e = 0;

	if (is == LMDB_UNUSABLE)
		return complain(why, why_n, path, cause);
	if (is == LMDB_DAMAGED)
		return complain_of_damage(why, why_n, path, cause);
	if (is == LMDB_ABSENT && has_mark(path))
		return complain_of_damage(why, why_n, path, "it is gone");
	if (is == LMDB_ABSENT)
		e = lmdb_file_make(path);
	if (e != 0) {
		lmdb_file_why(why, why_n, path, e);
		return ERR_STORE;
	}
	make_mark(path);
	return ERR_OK;
}

static enum err open_file(struct latch_file *f, const char *path, char *why, size_t why_n)
{
	bool same = true;
	int e;

	if (prepare(path, why, why_n) != ERR_OK)
		return ERR_STORE;
	e = open_env(f, path, &same);
	if (e != 0 && lmdb_file_is_damage(e))
		return complain_of_damage(why, why_n, path, lmdb_file_text(e));
	if (e != 0) {
		lmdb_file_why(why, why_n, path, e);
		return ERR_STORE;
	}
	if (!same)
		return complain(why, why_n, path,
		    "written by another version of ocspcached; this one reads "
		    "\"" FORMAT "\": run that version, or restore it from a copy");
	return ERR_OK;
}

static enum err take_latch(struct latches *t, const MDB_val *k, const MDB_val *v)
{
	struct latch l;

	if (!read_latch(&l, k, v))
		return ERR_RECORD;
	return latches_add(t, &l, NULL);
}

static enum err take_untold(struct latches *t, const MDB_val *k, const MDB_val *v)
{
	struct latch l;

	if (!read_key(&l, k) || v->mv_size > 1)
		return ERR_RECORD;
	l.untold = v->mv_size == 0;
	l.listed = v->mv_size == 1;
	latches_mark(t, &l); /* a mark goes with its latch; else nothing */
	return ERR_OK;
}

/* *e: LMDB's error, where it is at fault. */
static enum err read_database(MDB_txn *txn, MDB_dbi dbi, struct latches *t,
    enum err (*take)(struct latches *t, const MDB_val *k, const MDB_val *v), int *e)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	enum err err = ERR_OK;

	if ((*e = mdb_cursor_open(txn, dbi, &cursor)) != 0)
		return ERR_STORE;
	while (err == ERR_OK && (*e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0)
		err = take(t, &k, &v);
	mdb_cursor_close(cursor);
	if (*e == MDB_NOTFOUND)
		*e = 0;
	return *e != 0 ? ERR_STORE : err;
}

static enum err read_all(const struct latch_file *f, struct latches *t, const char *path,
    char *why, size_t why_n)
{
	MDB_txn *txn;
	enum err err = ERR_STORE;
	int e = mdb_txn_begin(f->env, NULL, MDB_RDONLY, &txn);

	if (e == 0) {
		err = read_database(txn, f->latches, t, take_latch, &e);
		if (err == ERR_OK)
			err = read_database(txn, f->untold, t, take_untold, &e);
		mdb_txn_abort(txn);
	}
	if (err == ERR_RECORD || (err != ERR_OK && lmdb_file_is_damage(e))) {
		complain_of_damage(why, why_n, path,
		    e != 0 ? mdb_strerror(e) : "it holds an unreadable latch");
		return ERR_STORE;
	}
	if (err != ERR_OK && e != 0)
		lmdb_file_why(why, why_n, path, e);
	else if (err != ERR_OK)
		complain(why, why_n, path, err_text(err));
	return err;
}

enum err latch_file_open(struct latches **table, struct latch_file **file,
    const char *dir, char *why, size_t why_n)
{
	struct latch_file *f = calloc(1, sizeof *f);
	struct latches *t = latches_new();
	char path[4096];
	enum err e = ERR_NOMEM;

	*table = NULL;
	*file = NULL;
	if (f == NULL || t == NULL)
		complain(why, why_n, dir, err_text(e));
	else if ((size_t)snprintf(path, sizeof path, "%s/latches.mdb", dir) >=
		 sizeof path)
		e = complain(why, why_n, dir,
		    "its name is too long; choose a shorter state-directory");
	else if ((e = open_file(f, path, why, why_n)) == ERR_OK)
		e = read_all(f, t, path, why, why_n);
	if (e != ERR_OK) {
		latches_free(t);
		latch_file_close(f);
		return e;
	}
	*table = t;
	*file = f;
	return ERR_OK;
}

void latch_file_close(struct latch_file *f)
{
	if (f == NULL)
		return;
	mdb_env_close(f->env); /* takes NULL */
	free(f);
}

/* Twice the map; true when the transaction is worth another try. */
static bool grow_map(const struct latch_file *f, int e)
{
	MDB_envinfo info;

	return e == MDB_MAP_FULL && mdb_env_info(f->env, &info) == 0 &&
	       info.me_mapsize < MAP_LAST &&
	       mdb_env_set_mapsize(f->env, 2 * info.me_mapsize) == 0;
}

static enum err from_mdb(struct latch_file *f, int e)
{
	if (e == 0)
		return ERR_OK;
	atomic_store(&f->failure, e);
	return e == ENOMEM ? ERR_NOMEM : e == MDB_MAP_FULL ? ERR_STORE_FULL : ERR_STORE;
}

/* Run step in a write transaction of its own; again with a larger map when it was full.
 * Durable on success. */
static enum err transact(struct latch_file *f,
    int (*step)(const struct latch_file *f, MDB_txn *txn, void *arg), void *arg)
{
	size_t before = lmdb_file_commits(f->env);
	MDB_txn *txn;
	enum err err;
	int e;

	assert(f->env != NULL);
	do {
		e = mdb_txn_begin(f->env, NULL, 0, &txn);
		if (e != 0)
			break;
		e = step(f, txn, arg);
		if (e == 0)
			e = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	} while (grow_map(f, e));
	err = from_mdb(f, e);
	if (e != 0 || lmdb_file_commits(f->env) != before)
		atomic_store(&f->failed, e != 0);
	return err;
}

struct latch_list {
	const struct latch *latch;
	size_t n;
};

static int remove_key(MDB_txn *txn, MDB_dbi dbi, MDB_val *k)
{
	int e = mdb_del(txn, dbi, k, NULL);

	return e == MDB_NOTFOUND ? 0 : e;
}

static int put_one(const struct latch_file *f, MDB_txn *txn, const struct latch *l)
{
	uint8_t key[LATCH_KEY_MAX], value[VALUE_N];
	MDB_val k = {latch_key(key, l->ca_id, &l->serial), key};
	uint8_t one = 1;
	MDB_val v = {sizeof value, value}, mark = {l->untold ? 0 : 1, &one};
	int e;

	put_be(value, (uint32_t)l->reason, 4);
	put_be(value + 4, (uint64_t)l->revoked_at, 8);
	put_be(value + 12, (uint64_t)l->set_at, 8);
	if ((e = mdb_put(txn, f->latches, &k, &v, 0)) != 0)
		return e;
	return l->untold || l->listed ? mdb_put(txn, f->untold, &k, &mark, 0)
				      : remove_key(txn, f->untold, &k);
}

static int put_step(const struct latch_file *f, MDB_txn *txn, void *arg)
{
	const struct latch_list *list = arg;
	int e = 0;

	for (size_t i = 0; e == 0 && i < list->n; i++)
		e = put_one(f, txn, &list->latch[i]);
	return e;
}

enum err latch_file_put(struct latch_file *f, const struct latch *l, size_t n)
{
	struct latch_list list = {l, n};

	return transact(f, put_step, &list);
}

static int told_step(const struct latch_file *f, MDB_txn *txn, void *arg)
{
	const struct latch_list *list = arg;
	uint8_t key[LATCH_KEY_MAX];
	int e = 0;

	for (size_t i = 0; e == 0 && i < list->n; i++) {
		const struct latch *l = &list->latch[i];
		MDB_val k = {latch_key(key, l->ca_id, &l->serial), key};

		e = remove_key(txn, f->untold, &k);
	}
	return e;
}

enum err latch_file_told(struct latch_file *f, const struct latch *l, size_t n)
{
	struct latch_list list = {l, n};

	return transact(f, told_step, &list);
}

static int delete_step(const struct latch_file *f, MDB_txn *txn, void *arg)
{
	const struct latch_list *list = arg;
	uint8_t key[LATCH_KEY_MAX];
	int e = 0;

	for (size_t i = 0; e == 0 && i < list->n; i++) {
		const struct latch *l = &list->latch[i];
		MDB_val k = {latch_key(key, l->ca_id, &l->serial), key};

		if ((e = remove_key(txn, f->latches, &k)) == 0)
			e = remove_key(txn, f->untold, &k);
	}
	return e;
}

enum err latch_file_delete(struct latch_file *f, const struct latch *l, size_t n)
{
	struct latch_list list = {l, n};

	return transact(f, delete_step, &list);
}

void latch_file_why(const struct latch_file *f, char *why, size_t why_n)
{
	const char *path = "latches.mdb";

	mdb_env_get_path(f->env, &path);
	complain(why, why_n, path, mdb_strerror(atomic_load(&f->failure)));
}

bool latch_file_failed(const struct latch_file *f, char *why, size_t why_n)
{
	const char *remedy = lmdb_file_remedy(atomic_load(&f->failure));
	size_t n;

	if (!atomic_load(&f->failed))
		return false;
	latch_file_why(f, why, why_n);
	n = strlen(why);
	if (remedy[0] != '\0')
		snprintf(why + n, why_n - n, "; remedy: %s", remedy);
	return true;
}

struct sweep {
	int64_t before;
	size_t deleted;
};

/* The latch at the cursor, with its mark. */
static int sweep_one(
    const struct latch_file *f, MDB_txn *txn, MDB_cursor *cursor, const struct latch *l)
{
	uint8_t key[LATCH_KEY_MAX]; /* a copy: the cursor's own goes with the entry */
	MDB_val k = {latch_key(key, l->ca_id, &l->serial), key};
	int e = mdb_cursor_del(cursor, 0);

	return e != 0 ? e : remove_key(txn, f->untold, &k);
}

static int sweep_step(const struct latch_file *f, MDB_txn *txn, void *arg)
{
	struct sweep *s = arg;
	struct latch l;
	MDB_cursor *cursor;
	MDB_val k, v;
	int e = mdb_cursor_open(txn, f->latches, &cursor);

	if (e != 0)
		return e;
	s->deleted = 0;
	while (s->deleted < SWEEP_BATCH &&
	       (e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		/* What cannot be read is kept, and told at the next start. */
		if (!read_latch(&l, &k, &v) || l.set_at >= s->before)
			continue;
		if ((e = sweep_one(f, txn, cursor, &l)) != 0)
			break;
		s->deleted++;
	}
	mdb_cursor_close(cursor);
	return e == MDB_NOTFOUND ? 0 : e;
}

enum err latch_file_sweep(struct latch_file *f, int64_t before)
{
	struct sweep s = {.before = before};
	enum err e;

	do
		e = transact(f, sweep_step, &s);
	while (e == ERR_OK && s.deleted == SWEEP_BATCH);
	return e;
}
