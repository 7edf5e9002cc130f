/* watch_db_asked.c - a row for each certificate that a client has asked for. */
#include "cache/watch/watch_asked.h"

#include <errno.h>

#include "cache/watch/watch_db_file.h"

struct asked_loading {
	bool (*each)(void *arg, const struct watch_asked *row);
	void *arg;
};

struct asked_putting {
	const struct watch_asked *rows;
	size_t n;
};

static size_t put_key(uint8_t *key, const struct watch_asked *row)
{
	size_t n = strlen(row->issuer) + 1;

	memcpy(key, row->issuer, n);
	memcpy(key + n, row->serial.octets, row->serial.n);
	return n + row->serial.n;
}

static bool read_row(MDB_val k, MDB_val v, struct watch_asked *row)
{
	const uint8_t *p = k.mv_data, *zero = memchr(p, 0, k.mv_size);
	size_t n = zero != NULL ? (size_t)(zero - p) : 0, left = k.mv_size - n - 1;

	if (n < 1 || n > NAME_MAX_OCTETS || left < 1 || left > SERIAL_MAX ||
	    v.mv_size != 4)
		return false;
	memcpy(row->issuer, p, n + 1);
	row->serial.n = (uint8_t)left;
	memcpy(row->serial.octets, zero + 1, left);
	row->minute = (uint32_t)get_be(v.mv_data, 4);
	return row->minute != 0;
}

static int load_step(struct watch_db *db, MDB_txn *txn, void *arg)
{
	const struct asked_loading *l = arg;
	struct watch_asked row;
	MDB_cursor *cursor;
	MDB_val k, v;
	int e = mdb_cursor_open(txn, db->dbi[DBI_ASKED], &cursor);

	if (e != 0)
		return e;
	while (e == 0 && (e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0)
		if (!read_row(k, v, &row))
			e = WATCH_DB_UNREADABLE;
		else if (!l->each(l->arg, &row))
			e = ENOMEM;
	mdb_cursor_close(cursor);
	return e == MDB_NOTFOUND ? 0 : e;
}

enum err watch_db_asked_load(struct watch_db *db,
    bool (*each)(void *arg, const struct watch_asked *row), void *arg)
{
	struct asked_loading l = {each, arg};

	return watch_db_read(db, load_step, &l);
}

static int put_step(struct watch_db *db, MDB_txn *txn, void *arg)
{
	const struct asked_putting *p = arg;
	int e = 0;

	for (size_t i = 0; e == 0 && i < p->n; i++) {
		const struct watch_asked *row = &p->rows[i];
		uint8_t key[NAME_MAX_OCTETS + 1 + SERIAL_MAX], value[4];
		MDB_val k = watch_val(key, put_key(key, row));
		MDB_val v = watch_val(value, sizeof value);

		put_be(value, row->minute, sizeof value);
		e = row->minute == 0 ? watch_db_del(db, txn, DBI_ASKED, key, k.mv_size)
				     : mdb_put(txn, db->dbi[DBI_ASKED], &k, &v, 0);
	}
	return e;
}

/* Who deletes rows gets room, also where there is none. */
enum err watch_db_asked_put(struct watch_db *db, const struct watch_asked *rows, size_t n)
{
	struct asked_putting p = {rows, n};
	bool frees = true;

	for (size_t i = 0; i < n; i++)
		frees = frees && rows[i].minute == 0;
	return watch_db_write(db, frees, put_step, &p);
}
