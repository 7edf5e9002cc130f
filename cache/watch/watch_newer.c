/* watch_newer.c - by the index of names; what was looked for is kept by its names. */
#include "cache/watch/watch_newer.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "cache/watch/watch_db_file.h"

#define LOOK_MAX 100000 /* keys of one name: 0.2 s */
#define NAMES    16     /* of which the rarest is looked for */
#define KEPT     256    /* sets, by their names */

struct newer_kept {
	uint32_t generation;
	struct bytes names; /* the row's, in the file */
	struct watch_newer_set *set;
};

struct watch_newers {
	struct watch_db *db;
	MDB_txn *txn;
	MDB_cursor *names, *rows;
	int64_t now;
	size_t sets;
	struct newer_kept kept[KEPT];
	/* The names that are looked for, sorted, each once; and the certificate that was
	 * last found to have one. */
	struct bytes name[WATCH_TEXTS_MAX];
	uint32_t had_by[WATCH_TEXTS_MAX];
	size_t name_n;
	uint32_t candidate;
};

enum err watch_newers_open(struct watch_newers **out, struct watch_db *db, int64_t now)
{
	struct watch_newers *w = calloc(1, sizeof *w);
	int e = ENOMEM;

	*out = w;
	if (w != NULL) {
		w->db = db;
		w->now = now;
		e = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &w->txn);
	}
	if (e == 0)
		e = mdb_cursor_open(w->txn, db->dbi[DBI_NAMES], &w->names);
	if (e == 0)
		e = mdb_cursor_open(w->txn, db->dbi[DBI_ROWS], &w->rows);
	if (e == 0)
		return ERR_OK;
	watch_newers_close(w);
	*out = NULL;
	return watch_db_err(db, e);
}

void watch_newers_close(struct watch_newers *w)
{
	if (w == NULL)
		return;
	if (w->names != NULL)
		mdb_cursor_close(w->names);
	if (w->rows != NULL)
		mdb_cursor_close(w->rows);
	if (w->txn != NULL)
		mdb_txn_abort(w->txn);
	for (size_t i = 0; i < KEPT; i++)
		free(w->kept[i].set);
	free(w);
}

/* Names. */

static int name_cmp(const void *a, const void *b)
{
	const struct bytes *x = a, *y = b;

	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	return memcmp(x->p, y->p, x->n);
}

static void take_names(struct watch_newers *w, struct bytes run)
{
	size_t n = 0, once = 0;

	while (n < WATCH_TEXTS_MAX && watch_run_next(&run, &w->name[n]))
		n++;
	qsort(w->name, n, sizeof w->name[0], name_cmp);
	for (size_t i = 0; i < n; i++)
		if (once == 0 || name_cmp(&w->name[once - 1], &w->name[i]) != 0)
			w->name[once++] = w->name[i];
	w->name_n = once;
	memset(w->had_by, 0, once * sizeof w->had_by[0]);
	w->candidate = 0;
}

/* Does it have all of them?  Each of its own names is looked for once. */
static bool has_all(struct watch_newers *w, const struct watch_record *row)
{
	struct bytes run = row->names, name;
	size_t had = 0;

	w->candidate++;
	while (had < w->name_n && watch_run_next(&run, &name)) {
		const struct bytes *found =
		    bsearch(&name, w->name, w->name_n, sizeof name, name_cmp);
		size_t i = found != NULL ? (size_t)(found - w->name) : 0;

		if (found != NULL && w->had_by[i] != w->candidate) {
			w->had_by[i] = w->candidate;
			had++;
		}
	}
	return had == w->name_n;
}

/* Certificates. */

static int row_of(struct watch_newers *w, uint32_t generation, uint32_t ca,
    const struct serial *s, struct watch_record *row)
{
	uint8_t key[WATCH_KEY_MAX];
	MDB_val k = watch_val(key, watch_record_key(key, generation, ca, s)), v;
	int e = mdb_cursor_get(w->rows, &k, &v, MDB_SET);

	if (e == 0 && watch_record_decode(row, bytes_of(v.mv_data, v.mv_size)) != ERR_OK)
		e = WATCH_DB_UNREADABLE;
	return e;
}

static void set_add(struct watch_newer_set *set, const struct watch_newer *x)
{
	size_t i = set->n;

	while (i > 0 && set->at[i - 1].not_before < x->not_before)
		i--;
	if (i == WATCH_NEWER_MAX)
		return;
	if (set->n < WATCH_NEWER_MAX)
		set->n++;
	memmove(&set->at[i + 1], &set->at[i], (set->n - i - 1) * sizeof set->at[0]);
	set->at[i] = *x;
}

/* What is in the index and has no row is damage. */
static int take_candidate(
    struct watch_newers *w, uint32_t generation, MDB_val k, struct watch_newer_set *set)
{
	struct watch_record row;
	struct watch_newer x;
	int e;

	if (!watch_name_key_read(k, &x.ca, &x.serial))
		return WATCH_DB_UNREADABLE;
	if ((e = row_of(w, generation, x.ca, &x.serial, &row)) != 0)
		return e == MDB_NOTFOUND ? WATCH_DB_UNREADABLE : e;
	x.not_before = row.not_before;
	if (row.not_before != WATCH_TIME_NONE &&
	    (row.not_after == WATCH_TIME_NONE || row.not_after > w->now) &&
	    has_all(w, &row))
		set_add(set, &x);
	return 0;
}

/* The keys of a name, `most` of them at most: their number in *n; with a set, what they
 * lead to. */
static int scan(struct watch_newers *w, uint32_t generation, struct bytes name,
    size_t most, size_t *n, struct watch_newer_set *set)
{
	uint8_t prefix[WATCH_KEY_MAX];
	size_t prefix_n = 4 + watch_name_key(put_be(prefix, generation, 4), name);
	MDB_val k, v;
	int e;

	prefix[prefix_n++] = 0;
	k = watch_val(prefix, prefix_n);
	*n = 0;
	e = mdb_cursor_get(w->names, &k, &v, MDB_SET_RANGE);
	while (e == 0 && *n < most && k.mv_size > prefix_n &&
	       memcmp(k.mv_data, prefix, prefix_n) == 0) {
		++*n;
		if (set != NULL)
			e = take_candidate(w, generation, k, set);
		if (e == 0)
			e = mdb_cursor_get(w->names, &k, &v, MDB_NEXT);
	}
	return e == MDB_NOTFOUND ? 0 : e;
}

/* Nobody has them all who does not have the rarest. */
static int look(struct watch_newers *w, uint32_t generation, struct watch_newer_set *set)
{
	size_t tried = w->name_n < NAMES ? w->name_n : NAMES, rarest = 0, n = LOOK_MAX;
	int e = 0;

	for (size_t i = 0; e == 0 && tried > 1 && n > 1 && i < tried; i++) {
		size_t of;

		e = scan(w, generation, w->name[i], n, &of, NULL);
		if (of < n) {
			n = of;
			rarest = i;
		}
	}
	return e == 0 ? scan(w, generation, w->name[rarest], LOOK_MAX, &n, set) : e;
}

static int find(struct watch_newers *w, uint32_t generation, struct bytes names,
    const struct watch_newer_set **set)
{
	struct newer_kept *k = &w->kept[XXH3_64bits(names.p, names.n) % KEPT];
	int e;

	*set = k->set;
	if (k->set != NULL && k->generation == generation && bytes_equal(k->names, names))
		return 0;
	free(k->set);
	*k = (struct newer_kept){generation, names, calloc(1, sizeof *k->set)};
	if (k->set == NULL)
		return ENOMEM;
	*set = k->set;
	k->set->number = w->sets++;
	take_names(w, names);
	e = look(w, generation, k->set);
	if (e != 0) {
		free(k->set);
		k->set = NULL;
	}
	return e;
}

enum err watch_newers_find(struct watch_newers *w, uint32_t generation, uint32_t ca,
    const struct serial *s, const struct watch_newer_set **set, int64_t *since)
{
	struct watch_record row;
	int e = row_of(w, generation, ca, s, &row);

	if (e == 0 &&
	    (row.names.n == 0 || row.names_more > 0 || row.not_before == WATCH_TIME_NONE))
		return ERR_NOT_FOUND;
	if (e == 0)
		e = find(w, generation, row.names, set);
	if (e == 0)
		*since = row.not_before;
	return watch_db_err(w->db, e);
}
