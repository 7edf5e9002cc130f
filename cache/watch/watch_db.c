/* watch_db.c - opening the file, transactions, and what is told when they fail. */
#include "cache/watch/watch_db.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/base/lmdb_file.h"
#include "cache/watch/watch_db_file.h"

#define FILE_NAME "watch.mdb"
#define FORMAT    "ocspcached watch 1"
#define REMEDY                                                                           \
	"restore it from a copy, or remove it and put the watchlists again (those of "   \
	"files and of Redis come back by themselves)"

static const char *const names[DBI_N] = {[DBI_META] = "meta",
    [DBI_CAS] = "cas",
    [DBI_LISTS] = "lists",
    [DBI_GENS] = "gens",
    [DBI_ROWS] = "rows",
    [DBI_SERIALS] = "serials",
    [DBI_NAMES] = "names",
    [DBI_ASKED] = "asked"};

/* Errors. */

enum err watch_db_err(struct watch_db *db, int e)
{
	if (e == 0)
		return ERR_OK;
	if (e == MDB_NOTFOUND)
		return ERR_NOT_FOUND;
	atomic_store(&db->failure, e);
	if (e == ENOMEM)
		return ERR_NOMEM;
	if (e == WATCH_DB_UNREADABLE)
		return ERR_RECORD;
	return e == MDB_MAP_FULL || e == ENOSPC || e == EDQUOT ? ERR_STORE_FULL
							       : ERR_STORE;
}

static void tell(const struct watch_db *db, int e, char *why, size_t why_n)
{
	if (e == WATCH_DB_UNREADABLE)
		snprintf(why, why_n, "%s: it holds an unreadable row; " REMEDY, db->path);
	else if (lmdb_file_is_damage(e))
		snprintf(why, why_n, "%s: %s; " REMEDY, db->path, lmdb_file_text(e));
	else if (e == MDB_MAP_FULL)
		snprintf(why, why_n, "%s: it is full; raise watch-size", db->path);
	else
		lmdb_file_why(why, why_n, db->path, e);
}

void watch_db_why(struct watch_db *db, char *why, size_t why_n)
{
	tell(db, atomic_load(&db->failure), why, why_n);
}

/* Transactions. */

static int used_pages(struct watch_db *db, MDB_txn *txn, uint64_t *used)
{
	return lmdb_file_used(txn, db->names, db->dbi, DBI_N, db->page, used);
}

enum err watch_db_write(struct watch_db *db, bool frees,
    int (*step)(struct watch_db *db, MDB_txn *txn, void *arg), void *arg)
{
	uint64_t used;
	MDB_txn *txn;
	int e = mdb_txn_begin(db->env, NULL, 0, &txn);

	if (e != 0)
		return watch_db_err(db, e);
	e = step(db, txn, arg);
	if (e == 0 && !frees && (e = used_pages(db, txn, &used)) == 0 && used > db->limit)
		e = MDB_MAP_FULL;
	return watch_db_err(db, lmdb_file_finish(txn, e));
}

enum err watch_db_read(struct watch_db *db,
    int (*step)(struct watch_db *db, MDB_txn *txn, void *arg), void *arg)
{
	MDB_txn *txn;
	int e = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);

	if (e == 0) {
		e = step(db, txn, arg);
		mdb_txn_abort(txn);
	}
	return watch_db_err(db, e);
}

int watch_db_each(struct watch_db *db, MDB_txn *txn, int which, uint32_t generation,
    int (*step)(void *arg, MDB_cursor *cursor, MDB_val k, MDB_val v), void *arg)
{
	uint8_t prefix[4];
	MDB_cursor *cursor;
	MDB_val k = watch_val(prefix, sizeof prefix), v;
	int e = mdb_cursor_open(txn, db->dbi[which], &cursor);

	if (e != 0)
		return e;
	put_be(prefix, generation, sizeof prefix);
	e = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	while (e == 0 && k.mv_size >= sizeof prefix &&
	       memcmp(k.mv_data, prefix, sizeof prefix) == 0 &&
	       (e = step(arg, cursor, k, v)) == 0)
		e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	mdb_cursor_close(cursor);
	return e == MDB_NOTFOUND ? 0 : e;
}

static int used_step(struct watch_db *db, MDB_txn *txn, void *arg)
{
	return used_pages(db, txn, arg);
}

enum err watch_db_used(struct watch_db *db, uint64_t *used, uint64_t *limit)
{
	*limit = db->limit;
	return watch_db_read(db, used_step, used);
}

/* Opening. */

static int open_env(struct watch_db *db, size_t size, bool *same)
{
	int e = lmdb_file_open(&db->env, db->path, size, DBI_N, &db->page);

	db->limit = size / 8 * 7;
	return e != 0 ? e
		      : lmdb_file_databases(
			    db->env, FORMAT, names, DBI_N, &db->names, db->dbi, same);
}

/* Look at the file before LMDB does, and make it where there is none. */
static enum err prepare(struct watch_db *db, char *why, size_t why_n)
{
	char cause[LMDB_FILE_WHY];
	enum lmdb_file_is is = lmdb_file_look(db->path, cause);
	int e = 0;

	if (is == LMDB_UNUSABLE)
		snprintf(why, why_n, "%s: %s", db->path, cause);
	else if (is == LMDB_DAMAGED)
		snprintf(why, why_n, "%s: %s; " REMEDY, db->path, cause);
	else if (is == LMDB_ABSENT) {
		db->was_here = lmdb_file_was_here(db->path);
		if ((e = lmdb_file_make(db->path)) != 0)
			tell(db, e, why, why_n);
	}
	return is == LMDB_UNUSABLE || is == LMDB_DAMAGED || e != 0 ? ERR_STORE : ERR_OK;
}

static enum err open_file(struct watch_db *db, size_t size, char *why, size_t why_n)
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
		    "\"" FORMAT "\": run that version, or remove it and put the "
		    "watchlists again",
		    db->path);
	return e == 0 && same ? ERR_OK : ERR_STORE;
}

enum err watch_db_open(
    struct watch_db **out, const char *dir, size_t size, char *why, size_t why_n)
{
	struct watch_db *db = calloc(1, sizeof *db);
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
		watch_db_close(db);
		return e;
	}
	*out = db;
	return ERR_OK;
}

bool watch_db_is_gone(const struct watch_db *db)
{
	return db->was_here;
}

void watch_db_close(struct watch_db *db)
{
	if (db == NULL)
		return;
	assert(db->opened == NULL);
	if (db->env != NULL)
		mdb_env_close(db->env);
	free(db->dir);
	free(db->path);
	free(db);
}
