/* watch_rows.c - a cursor that stays where the last question led it. */
#include "cache/watch/watch_rows.h"

#include <errno.h>
#include <stdlib.h>

#include "cache/watch/watch_db_file.h"

struct watch_rows {
	struct watch_db *db;
	MDB_txn *txn;
	MDB_cursor *cursor;
};

enum err watch_rows_open(struct watch_rows **out, struct watch_db *db)
{
	struct watch_rows *r = calloc(1, sizeof *r);
	int e = ENOMEM;

	*out = r;
	if (r != NULL) {
		r->db = db;
		e = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &r->txn);
	}
	if (e == 0)
		e = mdb_cursor_open(r->txn, db->dbi[DBI_ROWS], &r->cursor);
	if (e == 0)
		return ERR_OK;
	watch_rows_close(r);
	*out = NULL;
	return watch_db_err(db, e);
}

void watch_rows_close(struct watch_rows *r)
{
	if (r == NULL)
		return;
	if (r->cursor != NULL)
		mdb_cursor_close(r->cursor);
	mdb_txn_abort(r->txn);
	free(r);
}

enum err watch_rows_find(struct watch_rows *r, uint32_t generation, uint32_t ca,
    const struct crl_entry *entry, struct watch_record *row)
{
	uint8_t key[WATCH_KEY_MAX];
	struct serial s;
	MDB_val k, v;
	int e;

	crl_entry_serial(entry, &s);
	k = watch_val(key, watch_record_key(key, generation, ca, &s));
	e = mdb_cursor_get(r->cursor, &k, &v, MDB_SET);
	if (e == MDB_NOTFOUND)
		return ERR_NOT_FOUND;
	if (e == 0 && watch_record_decode(row, bytes_of(v.mv_data, v.mv_size)) != ERR_OK)
		e = WATCH_DB_UNREADABLE;
	return watch_db_err(r->db, e);
}
