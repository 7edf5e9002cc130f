/* watch_db_mark.c - lists whose last gain was not told: "untold NAME" in the table meta,
 * the generation and version that the list had then. */
#include "cache/watch/watch_db_file.h"

#include <stdio.h>

#define KEY_N  (sizeof "untold " + WATCH_NAME_MAX)
#define MARK_N 8

struct mark_asked {
	const char *name;
	uint64_t upto;
	bool found;
};

static uint64_t moment_of(uint32_t generation, uint32_t version)
{
	return (uint64_t)generation << 32 | version;
}

static MDB_val key_of(const char *name, char key[KEY_N])
{
	return watch_val(key, (size_t)snprintf(key, KEY_N, "untold %s", name));
}

int watch_db_mark_put(
    struct watch_db *db, MDB_txn *txn, const char *name, const struct watch_head *h)
{
	char key[KEY_N];
	uint8_t value[MARK_N];
	MDB_val k = key_of(name, key), v = watch_val(value, sizeof value);

	put_be(value, moment_of(h->generation, h->version), sizeof value);
	return mdb_put(txn, db->dbi[DBI_META], &k, &v, 0);
}

int watch_db_mark_del(struct watch_db *db, MDB_txn *txn, const char *name)
{
	char key[KEY_N];
	MDB_val k = key_of(name, key);
	int e = mdb_del(txn, db->dbi[DBI_META], &k, NULL);

	return e == MDB_NOTFOUND ? 0 : e;
}

static int get_step(struct watch_db *db, MDB_txn *txn, void *arg)
{
	struct mark_asked *a = arg;
	char key[KEY_N];
	MDB_val k = key_of(a->name, key), v;
	int e = mdb_get(txn, db->dbi[DBI_META], &k, &v);

	if (e != 0)
		return e;
	a->found = v.mv_size != MARK_N || get_be(v.mv_data, MARK_N) <= a->upto;
	return 0;
}

static int told_step(struct watch_db *db, MDB_txn *txn, void *arg)
{
	struct mark_asked *a = arg;
	int e = get_step(db, txn, a);

	return e == 0 && a->found ? watch_db_mark_del(db, txn, a->name) : e;
}

enum err watch_db_is_untold(struct watch_db *db, const char *name, bool *untold)
{
	struct mark_asked a = {.name = name, .upto = UINT64_MAX};
	enum err e = watch_db_read(db, get_step, &a);

	*untold = e != ERR_NOT_FOUND;
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err watch_db_told(
    struct watch_db *db, const char *name, uint32_t generation, uint32_t version)
{
	struct mark_asked a = {.name = name, .upto = moment_of(generation, version)};
	enum err e = watch_db_write(db, true, told_step, &a);

	return e == ERR_NOT_FOUND ? ERR_OK : e;
}
