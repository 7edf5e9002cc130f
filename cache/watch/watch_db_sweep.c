/* watch_db_sweep.c - deleting what no list has: old generations, and those of puts that
 * were given up or ended with the process. */
#include <errno.h>
#include <stdlib.h>

#include "cache/watch/watch_db_file.h"

#define SWEEP_MAX 20000 /* deleted in one transaction: bounds its dirty pages */

struct sweeping {
	uint32_t generation;
	size_t left; /* so many may still be deleted */
	bool found;  /* a generation that no list has */
};

/* Mark those that lists have in a sorted array; LMDB's order of lists is by name. */
static int live_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int live_read(struct watch_db *db, MDB_txn *txn, uint32_t **live, size_t *n)
{
	char name[WATCH_NAME_MAX];
	struct watch_head h;
	MDB_cursor *cursor;
	MDB_stat st;
	MDB_val k, v;
	int e = mdb_stat(txn, db->dbi[DBI_LISTS], &st);

	*n = 0;
	if (e != 0)
		return e;
	if ((*live = malloc((st.ms_entries + 1) * sizeof **live)) == NULL)
		return ENOMEM;
	if ((e = mdb_cursor_open(txn, db->dbi[DBI_LISTS], &cursor)) != 0)
		return e;
	while (
	    *n < st.ms_entries && (e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		if (!watch_db_head_read(k, v, name, &h)) {
			e = WATCH_DB_UNREADABLE;
			break;
		}
		(*live)[(*n)++] = h.generation;
	}
	mdb_cursor_close(cursor);
	qsort(*live, *n, sizeof **live, live_cmp);
	return e == MDB_NOTFOUND ? 0 : e;
}

static bool is_opened(const struct watch_db *db, uint32_t generation)
{
	for (const struct watch_opened *o = db->opened; o != NULL; o = o->next)
		if (o->generation == generation)
			return true;
	return false;
}

/* The first generation that is nobody's. */
static int find_dead(struct watch_db *db, MDB_txn *txn, struct sweeping *s)
{
	uint32_t *live = NULL;
	MDB_cursor *cursor = NULL;
	MDB_val k, v;
	size_t n;
	int e = live_read(db, txn, &live, &n);

	if (e == 0)
		e = mdb_cursor_open(txn, db->dbi[DBI_GENS], &cursor);
	while (
	    e == 0 && !s->found && (e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		s->generation = k.mv_size == 4 ? (uint32_t)get_be(k.mv_data, 4) : 0;
		s->found =
		    bsearch(&s->generation, live, n, sizeof *live, live_cmp) == NULL &&
		    !is_opened(db, s->generation);
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	free(live);
	return e == MDB_NOTFOUND ? 0 : e;
}

static int sweep_row(void *arg, MDB_cursor *cursor, MDB_val k, MDB_val v)
{
	struct sweeping *s = arg;

	(void)k, (void)v;
	if (s->left == 0)
		return MDB_NOTFOUND;
	s->left--;
	return mdb_cursor_del(cursor, 0);
}

static int sweep_step(struct watch_db *db, MDB_txn *txn, void *arg)
{
	struct sweeping *s = arg;
	uint8_t key[4];
	int e = find_dead(db, txn, s);

	for (int i = DBI_ROWS; e == 0 && s->found && i <= DBI_NAMES; i++)
		e = watch_db_each(db, txn, i, s->generation, sweep_row, s);
	if (e != 0 || !s->found || s->left == 0)
		return e;
	put_be(key, s->generation, sizeof key);
	return watch_db_del(db, txn, DBI_GENS, key, sizeof key);
}

/* They stand side by side, some 40 on a page, but the pages of the last two transactions
 * are not free yet: in a small map they are few. */
static size_t sweep_max(const struct watch_db *db)
{
	size_t n = db->limit / db->page / 2;

	return n < 1 ? 1 : n < SWEEP_MAX ? n : SWEEP_MAX;
}

enum err watch_db_sweep(struct watch_db *db, bool *more)
{
	struct sweeping s = {.left = sweep_max(db)};
	enum err e = watch_db_write(db, true, sweep_step, &s);

	*more = e == ERR_OK && s.found;
	return e;
}
