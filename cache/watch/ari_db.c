/* ari_db.c - the file, its three tables, and what is told when a call fails. */
#include "cache/watch/ari_db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/base/lmdb_file.h"

#define FILE_NAME "ari.mdb"
#define FORMAT    "ocspcached ari 1"
#define REMEDY    "remove it: certificates are asked for anew"

enum { DBI_META, DBI_STATES, DBI_DUE, DBI_NOTICED, DBI_N };
static const char *const names[DBI_N] = {[DBI_META] = "meta",
    [DBI_STATES] = "states",
    [DBI_DUE] = "due",
    [DBI_NOTICED] = "noticed"};

struct ari_db {
	MDB_env *env;
	MDB_dbi names;
	MDB_dbi dbi[DBI_N];
	size_t page, limit; /* bytes */
	char *dir, *path;
	int failure; /* the last one */
};

/* LMDB takes what it only reads as if it wrote to it. */
static MDB_val val(const void *p, size_t n)
{
	return (MDB_val){n, (void *)(uintptr_t)p};
}

static struct bytes bytes_of_val(MDB_val v)
{
	return bytes_of(v.mv_data, v.mv_size);
}

/* Errors. */

static void tell(const struct ari_db *db, int e, char *why, size_t why_n)
{
	if (lmdb_file_is_damage(e))
		snprintf(why, why_n, "%s: %s; " REMEDY, db->path, lmdb_file_text(e));
	else if (e == MDB_MAP_FULL)
		snprintf(why, why_n, "%s: it is full; raise watch-size", db->path);
	else
		lmdb_file_why(why, why_n, db->path, e);
}

void ari_db_why(const struct ari_db *db, char *why, size_t why_n)
{
	tell(db, db->failure, why, why_n);
}

static enum err as_err(struct ari_db *db, int e)
{
	if (e == 0)
		return ERR_OK;
	if (e == MDB_NOTFOUND)
		return ERR_NOT_FOUND;
	db->failure = e;
	if (e == ENOMEM)
		return ERR_NOMEM;
	return e == MDB_MAP_FULL || e == ENOSPC || e == EDQUOT ? ERR_STORE_FULL
							       : ERR_STORE;
}

/* Keys. */

#define DUE_KEY_MAX (1 + WATCH_AKI_MAX + 8 + 1 + SERIAL_MAX)

static size_t aki_key(struct bytes aki, uint8_t *out)
{
	out[0] = (uint8_t)aki.n;
	if (aki.n > 0)
		memcpy(out + 1, aki.p, aki.n);
	return 1 + aki.n;
}

/* Times are never before 1970: next_at below 0 counts as 0. */
static size_t due_key(const struct ari_who *w, int64_t next_at, uint8_t *out)
{
	size_t n = aki_key(ari_who_aki(w), out);
	uint8_t *p = put_be(out + n, next_at > 0 ? (uint64_t)next_at : 0, 8);

	*p++ = w->serial.n;
	memcpy(p, w->serial.octets, w->serial.n);
	return (size_t)(p + w->serial.n - out);
}

/* False: not a key of ours. */
static bool due_key_read(struct bytes key, struct ari_who *w, int64_t *next_at)
{
	uint8_t who[DUE_KEY_MAX];
	size_t aki_n;

	if (key.n < 1 || key.n > sizeof who || key.n < 1u + key.p[0] + 8)
		return false;
	aki_n = 1u + key.p[0];
	*next_at = (int64_t)get_be(key.p + aki_n, 8);
	memcpy(who, key.p, aki_n);
	memcpy(who + aki_n, key.p + aki_n + 8, key.n - aki_n - 8);
	return *next_at >= 0 && ari_who_decode(w, bytes_of(who, key.n - 8));
}

/* Reading. */

static int get(struct ari_db *db, MDB_txn *txn, const struct ari_who *w,
    struct ari_state *s, enum err *read)
{
	uint8_t key[ARI_WHO_MAX];
	MDB_val k = val(key, ari_who_encode(w, key)), v;
	int e = mdb_get(txn, db->dbi[DBI_STATES], &k, &v);

	*read = e == 0 ? ari_state_decode(s, bytes_of_val(v)) : ERR_OK;
	return e;
}

enum err ari_db_get(struct ari_db *db, const struct ari_who *w, struct ari_state *s)
{
	enum err read = ERR_OK;
	MDB_txn *txn;
	int e = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);

	if (e == 0) {
		e = get(db, txn, w, s, &read);
		mdb_txn_abort(txn);
	}
	return e != 0 ? as_err(db, e) : read;
}

/* each for what has this prefix from `from` on, until it says false. */
static int walk(struct ari_db *db, int which, struct bytes prefix, struct bytes from,
    bool (*each)(void *arg, struct bytes key), void *arg)
{
	MDB_cursor *cursor;
	MDB_txn *txn;
	MDB_val k = val(from.p, from.n), v;
	int e = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);

	if (e != 0)
		return e;
	if ((e = mdb_cursor_open(txn, db->dbi[which], &cursor)) == 0) {
		e = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
		while (e == 0 && k.mv_size >= prefix.n &&
		       memcmp(k.mv_data, prefix.p, prefix.n) == 0 &&
		       each(arg, bytes_of_val(k)))
			e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return e == MDB_NOTFOUND ? 0 : e;
}

struct due {
	int64_t now, next_at;
	struct ari_who *out;
	size_t max, n;
};

/* What is no key of ours is passed over: it never was anybody's turn. */
static bool take_due(void *arg, struct bytes key)
{
	struct due *d = arg;
	struct ari_who w;
	int64_t at;

	if (!due_key_read(key, &w, &at))
		return true;
	if (at > d->now || d->n == d->max) {
		d->next_at = at;
		return false;
	}
	d->out[d->n++] = w;
	return true;
}

enum err ari_db_due(struct ari_db *db, struct bytes aki, int64_t now, struct ari_who *out,
    size_t max, size_t *n, int64_t *next_at)
{
	uint8_t key[DUE_KEY_MAX];
	struct bytes prefix = bytes_of(key, aki_key(aki, key));
	struct due d = {.now = now, .next_at = INT64_MAX, .out = out, .max = max};
	int e = walk(db, DBI_DUE, prefix, prefix, take_due, &d);

	*n = d.n;
	*next_at = d.next_at;
	return as_err(db, e);
}

struct noticed {
	const struct ari_who *after;
	struct ari_who *out;
	size_t max, n;
};

static bool take_noticed(void *arg, struct bytes key)
{
	struct noticed *t = arg;
	struct ari_who w;

	if (!ari_who_decode(&w, key) || (t->after != NULL && ari_who_equal(t->after, &w)))
		return true;
	if (t->n == t->max)
		return false;
	t->out[t->n++] = w;
	return true;
}

enum err ari_db_noticed(struct ari_db *db, struct bytes aki, const struct ari_who *after,
    struct ari_who *out, size_t max, size_t *n)
{
	uint8_t key[DUE_KEY_MAX], from[ARI_WHO_MAX];
	struct bytes first = bytes_of(key, aki_key(aki, key)),
		     prefix = bytes_of(key, aki.n > 0 ? first.n : 0);
	struct noticed t = {.after = after, .out = out, .max = max};
	int e = walk(db, DBI_NOTICED, prefix,
	    after != NULL ? bytes_of(from, ari_who_encode(after, from)) : first,
	    take_noticed, &t);

	*n = t.n;
	return as_err(db, e);
}

/* Writing. */

static int del(struct ari_db *db, MDB_txn *txn, int which, const uint8_t *key, size_t n)
{
	MDB_val k = val(key, n);
	int e = mdb_del(txn, db->dbi[which], &k, NULL);

	return e == MDB_NOTFOUND ? 0 : e;
}

static int put(struct ari_db *db, MDB_txn *txn, int which, const uint8_t *key, size_t n,
    struct bytes value)
{
	MDB_val k = val(key, n), v = val(value.p, value.n);

	return mdb_put(txn, db->dbi[which], &k, &v, 0);
}

/* The row in the place of what is there. */
static int put_row(struct ari_db *db, MDB_txn *txn, const struct ari_row *r)
{
	uint8_t who[ARI_WHO_MAX], due[DUE_KEY_MAX], value[ARI_STATE_MAX];
	size_t who_n = ari_who_encode(&r->who, who);
	struct ari_state old;
	enum err read;
	int e = get(db, txn, &r->who, &old, &read);

	if (e == 0 && r->if_new && read == ERR_OK)
		return 0;
	if (e == 0 && read == ERR_OK)
		e = del(db, txn, DBI_DUE, due, due_key(&r->who, old.next_at, due));
	if (e != 0 && e != MDB_NOTFOUND)
		return e;
	if ((e = del(db, txn, DBI_NOTICED, who, who_n)) != 0)
		return e;
	if (r->state == NULL)
		return del(db, txn, DBI_STATES, who, who_n);
	e = put(db, txn, DBI_STATES, who, who_n,
	    bytes_of(value, ari_state_encode(r->state, value)));
	if (e == 0)
		e = put(db, txn, DBI_DUE, due, due_key(&r->who, r->state->next_at, due),
		    bytes_of("", 0));
	if (e == 0 && (r->state->known.noticed || r->state->untold))
		e = put(db, txn, DBI_NOTICED, who, who_n, bytes_of("", 0));
	return e;
}

static int used_pages(struct ari_db *db, MDB_txn *txn, uint64_t *used)
{
	return lmdb_file_used(txn, db->names, db->dbi, DBI_N, db->page, used);
}

enum err ari_db_put(struct ari_db *db, const struct ari_row *rows, size_t n)
{
	bool frees = true;
	uint64_t used;
	MDB_txn *txn;
	int e = mdb_txn_begin(db->env, NULL, 0, &txn);

	if (e != 0)
		return as_err(db, e);
	for (size_t i = 0; e == 0 && i < n; i++) {
		e = put_row(db, txn, &rows[i]);
		frees = frees && rows[i].state == NULL;
	}
	if (e == 0 && !frees && (e = used_pages(db, txn, &used)) == 0 && used > db->limit)
		e = MDB_MAP_FULL;
	return as_err(db, lmdb_file_finish(txn, e));
}

/* Opening. */

static int open_env(struct ari_db *db, size_t size, bool *same)
{
	int e = lmdb_file_open(&db->env, db->path, size, DBI_N, &db->page);

	db->limit = size / 8 * 7; /* the rest is what rows take that go */
	return e != 0 ? e
		      : lmdb_file_databases(
			    db->env, FORMAT, names, DBI_N, &db->names, db->dbi, same);
}

/* Look at the file before LMDB does, and make it where there is none. */
static enum err prepare(struct ari_db *db, char *why, size_t why_n)
{
	char cause[LMDB_FILE_WHY];
	enum lmdb_file_is is = lmdb_file_look(db->path, cause);
	int e = 0;

	if (is == LMDB_UNUSABLE)
		snprintf(why, why_n, "%s: %s", db->path, cause);
	else if (is == LMDB_DAMAGED)
		snprintf(why, why_n, "%s: %s; " REMEDY, db->path, cause);
	else if (is == LMDB_ABSENT && (e = lmdb_file_make(db->path)) != 0)
		tell(db, e, why, why_n);
	return is == LMDB_UNUSABLE || is == LMDB_DAMAGED || e != 0 ? ERR_STORE : ERR_OK;
}

static enum err open_file(struct ari_db *db, size_t size, char *why, size_t why_n)
{
	bool same = true;
	int e = lmdb_file_directories(db->dir);

	if (e != 0) {
		snprintf(why, why_n, "%s: %s", db->dir, strerror(e));
		return ERR_STORE;
	}
	if (prepare(db, why, why_n) != ERR_OK)
		return ERR_STORE;
	e = open_env(db, size, &same);
	if (e != 0)
		tell(db, e, why, why_n);
	else if (!same)
		snprintf(why, why_n,
		    "%s: written by another version of ocspcached; this one reads "
		    "\"" FORMAT "\": run that version, or " REMEDY,
		    db->path);
	return e == 0 && same ? ERR_OK : ERR_STORE;
}

enum err ari_db_open(
    struct ari_db **out, const char *dir, size_t size, char *why, size_t why_n)
{
	struct ari_db *db = calloc(1, sizeof *db);
	size_t room = strlen(dir) + sizeof "/" FILE_NAME;
	enum err e = ERR_NOMEM;

	*out = NULL;
	if (db != NULL && (db->dir = strdup(dir)) != NULL &&
	    (db->path = malloc(room)) != NULL) {
		snprintf(db->path, room, "%s/" FILE_NAME, dir);
		e = open_file(db, size, why, why_n);
	} else {
		snprintf(why, why_n, "%s: %s", dir, err_text(e));
	}
	if (e != ERR_OK) {
		ari_db_close(db);
		return e;
	}
	*out = db;
	return ERR_OK;
}

void ari_db_close(struct ari_db *db)
{
	if (db == NULL)
		return;
	if (db->env != NULL)
		mdb_env_close(db->env);
	free(db->dir);
	free(db->path);
	free(db);
}
