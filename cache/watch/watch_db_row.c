/* watch_db_row.c - one certificate's row and what the indices have of it. */
#include <errno.h>
#include <stdlib.h>

#include "cache/watch/watch_db_file.h"

int watch_db_del(
    struct watch_db *db, MDB_txn *txn, int which, const uint8_t *key, size_t n)
{
	MDB_val k = watch_val(key, n);
	int e = mdb_del(txn, db->dbi[which], &k, NULL);

	return e == MDB_NOTFOUND ? 0 : e;
}

/* A copy of the row, since what is written next moves it; MDB_NOTFOUND. */
static int get_row(struct watch_db *db, MDB_txn *txn, const uint8_t *key, size_t n,
    uint8_t **copy, struct watch_record *row)
{
	MDB_val k = watch_val(key, n), v;
	int e = mdb_get(txn, db->dbi[DBI_ROWS], &k, &v);

	*copy = NULL;
	if (e != 0)
		return e;
	if ((*copy = malloc(v.mv_size + 1)) == NULL)
		return ENOMEM;
	memcpy(*copy, v.mv_data, v.mv_size);
	if (watch_record_decode(row, bytes_of(*copy, v.mv_size)) == ERR_OK)
		return 0;
	free(*copy);
	*copy = NULL;
	return WATCH_DB_UNREADABLE;
}

/* With what the indices have of it; MDB_NOTFOUND. */
static int row_delete(struct watch_db *db, MDB_txn *txn, uint32_t generation, uint32_t ca,
    const struct serial *s)
{
	uint8_t key[WATCH_KEY_MAX], *copy;
	size_t n = watch_record_key(key, generation, ca, s);
	struct watch_record row;
	struct bytes name;
	int e = get_row(db, txn, key, n, &copy, &row);

	if (e != 0)
		return e;
	e = watch_db_del(db, txn, DBI_ROWS, key, n);
	while (e == 0 && watch_run_next(&row.names, &name)) {
		n = watch_name_row_key(key, generation, name, ca, s);
		e = watch_db_del(db, txn, DBI_NAMES, key, n);
	}
	if (e == 0)
		e = watch_db_del(
		    db, txn, DBI_SERIALS, key, watch_serial_key(key, generation, ca, s));
	free(copy);
	return e;
}

int watch_db_row_put(struct watch_db *db, MDB_txn *txn, uint32_t generation, uint32_t ca,
    const struct serial *s, struct bytes encoded, bool *fresh)
{
	uint8_t key[WATCH_KEY_MAX], date[WATCH_DATE_N];
	struct watch_record row;
	struct bytes name;
	MDB_val k = {0, key}, v = watch_val(encoded.p, encoded.n);
	int e = row_delete(db, txn, generation, ca, s);

	*fresh = e == MDB_NOTFOUND;
	if (e != 0 && e != MDB_NOTFOUND)
		return e;
	if (watch_record_decode(&row, encoded) != ERR_OK)
		return WATCH_DB_UNREADABLE;
	k.mv_size = watch_record_key(key, generation, ca, s);
	e = mdb_put(txn, db->dbi[DBI_ROWS], &k, &v, 0);
	v = watch_val("", 0);
	while (e == 0 && watch_run_next(&row.names, &name)) {
		k.mv_size = watch_name_row_key(key, generation, name, ca, s);
		e = mdb_put(txn, db->dbi[DBI_NAMES], &k, &v, 0);
	}
	if (e != 0)
		return e;
	watch_date_put(date, row.not_after);
	v = watch_val(date, sizeof date);
	k.mv_size = watch_serial_key(key, generation, ca, s);
	return mdb_put(txn, db->dbi[DBI_SERIALS], &k, &v, 0);
}

struct removal {
	const char *name;
	uint32_t ca;
	const struct serial *serial;
	struct watch_head head; /* as it is then */
};

static int remove_step(struct watch_db *db, MDB_txn *txn, void *arg)
{
	struct removal *r = arg;
	int e = watch_db_head_get(db, txn, r->name, &r->head);

	if (e == 0)
		e = row_delete(db, txn, r->head.generation, r->ca, r->serial);
	if (e != 0)
		return e;
	r->head.n--;
	r->head.version++;
	r->head.mark = (struct watch_mark){{0}, 0}; /* of nothing a copy any more */
	return watch_db_head_put(db, txn, r->name, &r->head);
}

enum err watch_db_remove(struct watch_db *db, const struct watch_list *old, uint32_t ca,
    const struct serial *s, const struct watch_list **out)
{
	struct watch_list *one = watch_list_new(old->name, old->source, 0, 1),
			  *rest = NULL;
	struct removal r = {.name = old->name, .ca = ca, .serial = s};
	struct watched entry;
	enum err e = ERR_NOMEM;

	*out = NULL;
	watched_set(&entry, s, 0, false);
	if (one != NULL && watch_list_add(one, ca, &entry))
		rest = watch_list_minus(old, one);
	if (rest != NULL)
		e = watch_db_write(db, true, remove_step, &r);
	watch_list_unref(one);
	if (e != ERR_OK) {
		watch_list_unref(rest);
		return e;
	}
	rest->generation = r.head.generation;
	rest->version = r.head.version;
	*out = rest;
	return ERR_OK;
}
