/* watch_db_load.c - all lists, at the start: every row is looked at, so that what a
 * damaged disk did to one is told then and not when it is asked for. */
#include <errno.h>

#include "cache/watch/watch_db_file.h"

/* All lists as they are read so far. */
struct watch_loading {
	const struct inventory *all;
	struct watch_point_draft *points;
};

struct list_loading {
	struct watch_list *list;
	const struct watch_loading *to;
};

static int load_row(void *arg, MDB_cursor *cursor, MDB_val k, MDB_val v)
{
	const struct list_loading *l = arg;
	struct watch_record row;
	struct watched entry;
	struct serial s;
	uint32_t ca;

	(void)cursor;
	if (!watch_record_key_read(k, &ca, &s) ||
	    watch_cas_at(l->to->all->cas, ca) == NULL ||
	    watch_record_decode(&row, bytes_of(v.mv_data, v.mv_size)) != ERR_OK ||
	    l->list->n == l->list->room)
		return WATCH_DB_UNREADABLE;
	if (l->list->source == WATCH_INCIDENT) {
		enum err heard = incident_hear(l->list, &row);

		if (heard != ERR_OK)
			return heard == ERR_NOMEM ? ENOMEM : WATCH_DB_UNREADABLE;
	}
	return watch_point_draft_entry(l->to->points, ca, &s, &row, &entry) &&
		       watch_list_add(l->list, ca, &entry)
		   ? 0
		   : ENOMEM;
}

/* The rows of its generation, and as many as its head says. */
static int load_list(struct watch_db *db, MDB_txn *txn, const struct watch_loading *to,
    struct watch_list *l)
{
	struct list_loading loading = {l, to};
	int e = watch_db_each(db, txn, DBI_ROWS, l->generation, load_row, &loading);

	return e != 0 || l->n == l->room ? e : WATCH_DB_UNREADABLE;
}

static int load_next(
    struct watch_db *db, MDB_txn *txn, MDB_val k, MDB_val v, struct watch_loading *to)
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
	l->mark = h.mark;
	l->number = 1;
	e = load_list(db, txn, to, l);
	if (e == 0 &&
	    (more = inventory_with(to->all, l, to->all->cas, to->all->points)) == NULL)
		e = ENOMEM;
	watch_list_unref(l);
	if (e != 0)
		return e;
	inventory_unref(to->all);
	to->all = more;
	return 0;
}

static int load_step(struct watch_db *db, MDB_txn *txn, void *arg)
{
	struct watch_loading *to = arg;
	const struct watch_cas *cas;
	MDB_cursor *cursor;
	MDB_val k, v;
	int e = watch_db_cas_read(db, txn, &cas);

	if (e != 0)
		return e;
	to->all = inventory_renamed(&inventory_none, cas, &watch_points_none);
	watch_cas_unref(cas);
	if (to->all == NULL)
		return ENOMEM;
	if ((e = mdb_cursor_open(txn, db->dbi[DBI_LISTS], &cursor)) != 0)
		return e;
	while ((e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0 &&
	       (e = load_next(db, txn, k, v, to)) == 0)
		;
	mdb_cursor_close(cursor);
	return e == MDB_NOTFOUND ? 0 : e;
}

/* With the table of the numbers that its entries have; NULL: out of memory. */
static const struct inventory *pointed(const struct watch_loading *to)
{
	const struct watch_points *points = watch_point_draft_end(to->points);
	const struct inventory *v = NULL;

	if (points != NULL)
		v = inventory_renamed(to->all, to->all->cas, points);
	watch_points_unref(points);
	return v;
}

enum err watch_db_load(
    struct watch_db *db, const struct inventory **out, uint64_t *left_out)
{
	struct watch_loading to = {
	    .points = watch_point_draft_new(&watch_points_none, NULL)};
	enum err e = ERR_NOMEM;

	*out = NULL;
	*left_out = 0;
	if (to.points != NULL)
		e = watch_db_read(db, load_step, &to);
	if (e == ERR_OK && (*out = pointed(&to)) == NULL)
		e = ERR_NOMEM;
	if (e == ERR_OK)
		*left_out = watch_point_draft_left_out(to.points);
	inventory_unref(to.all);
	watch_point_draft_free(to.points);
	return e;
}
