/* watch_db_load.c - all lists, at the start: every row is looked at, so that what a
 * damaged disk did to one is told then and not when it is asked for. */
#include <errno.h>

#include "cache/watch/watch_db_file.h"

struct list_loading {
	struct watch_list *list;
	const struct watch_cas *cas;
};

static int load_row(void *arg, MDB_cursor *cursor, MDB_val k, MDB_val v)
{
	const struct list_loading *l = arg;
	struct watch_record row;
	struct watched entry;
	struct serial s;
	uint32_t ca;

	(void)cursor;
	if (!watch_record_key_read(k, &ca, &s) || watch_cas_at(l->cas, ca) == NULL ||
	    watch_record_decode(&row, bytes_of(v.mv_data, v.mv_size)) != ERR_OK ||
	    l->list->n == l->list->room)
		return WATCH_DB_UNREADABLE;
	watched_set(&entry, &s, row.not_after, row.verified);
	return watch_list_add(l->list, ca, &entry) ? 0 : ENOMEM;
}

/* The rows of its generation, and as many as its head says. */
static int load_list(
    struct watch_db *db, MDB_txn *txn, const struct watch_cas *cas, struct watch_list *l)
{
	struct list_loading loading = {l, cas};
	int e = watch_db_each(db, txn, DBI_ROWS, l->generation, load_row, &loading);

	return e != 0 || l->n == l->room ? e : WATCH_DB_UNREADABLE;
}

static int load_next(
    struct watch_db *db, MDB_txn *txn, MDB_val k, MDB_val v, const struct inventory **all)
{
	const struct inventory *more = NULL;
	char name[WATCH_NAME_MAX];
	struct watch_head h;
	struct watch_list *l;
	int e;

	if (!watch_db_head_read(k, v, name, &h))
		return WATCH_DB_UNREADABLE;
	if ((l = watch_list_new(name, h.source, h.generation, h.n)) == NULL)
		return ENOMEM;
	l->version = h.version;
	e = load_list(db, txn, (*all)->cas, l);
	if (e == 0 && (more = inventory_with(*all, l, (*all)->cas)) == NULL)
		e = ENOMEM;
	watch_list_unref(l);
	if (e != 0)
		return e;
	inventory_unref(*all);
	*all = more;
	return 0;
}

static int load_step(struct watch_db *db, MDB_txn *txn, void *arg)
{
	const struct inventory **out = arg;
	const struct watch_cas *cas;
	MDB_cursor *cursor;
	MDB_val k, v;
	int e = watch_db_cas_read(db, txn, &cas);

	if (e != 0)
		return e;
	*out = inventory_renamed(&inventory_none, cas);
	watch_cas_unref(cas);
	if (*out == NULL)
		return ENOMEM;
	if ((e = mdb_cursor_open(txn, db->dbi[DBI_LISTS], &cursor)) != 0)
		return e;
	while ((e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0 &&
	       (e = load_next(db, txn, k, v, out)) == 0)
		;
	mdb_cursor_close(cursor);
	return e == MDB_NOTFOUND ? 0 : e;
}

enum err watch_db_load(struct watch_db *db, const struct inventory **out)
{
	enum err e;

	*out = NULL;
	e = watch_db_read(db, load_step, out);
	if (e != ERR_OK) {
		inventory_unref(*out);
		*out = NULL;
	}
	return e;
}
