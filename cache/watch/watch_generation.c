/* watch_generation.c - appending, in three orders. */
#include "cache/watch/watch_generation.h"

#include <errno.h>
#include <stdlib.h>

#define LARGE 256 /* so many bytes of a row count as one put more */

/* A key that mostly follows all others; once one does not, those after it do not. */
static int push(struct watch_generation *g, MDB_cursor *cursor, MDB_val k, MDB_val v)
{
	int e = g->append ? mdb_cursor_put(cursor, &k, &v, MDB_APPEND) : MDB_KEYEXIST;

	if (e != MDB_KEYEXIST)
		return e;
	g->append = false;
	return mdb_cursor_put(cursor, &k, &v, 0);
}

/* In "gens" from its first row on. */
static int open_generation(struct watch_generation *g, struct watch_db *db, MDB_txn *txn)
{
	MDB_val k = watch_val("generation", 10), v;
	uint8_t next[4], key[4];
	int e = mdb_get(txn, db->dbi[DBI_META], &k, &v);
	uint32_t generation = 1;

	if (e == 0 && v.mv_size != sizeof next)
		return WATCH_DB_UNREADABLE;
	if (e == 0)
		generation = (uint32_t)get_be(v.mv_data, sizeof next);
	else if (e != MDB_NOTFOUND)
		return e;
	put_be(next, generation + 1, sizeof next);
	v = watch_val(next, sizeof next);
	if ((e = mdb_put(txn, db->dbi[DBI_META], &k, &v, 0)) != 0)
		return e;
	put_be(key, generation, sizeof key);
	k = watch_val(key, sizeof key);
	v = watch_val("", 0);
	g->number = generation;
	return mdb_put(txn, db->dbi[DBI_GENS], &k, &v, 0);
}

/* Rows. */

static int put_rows(struct watch_generation *g, MDB_cursor *cursor, size_t *left)
{
	uint8_t key[WATCH_KEY_MAX];
	int e = 0;

	for (; e == 0 && *left > 0 && g->at < g->count; g->at++) {
		struct bytes row = watch_draft_row(g->draft, g->at);
		size_t cost = 1 + row.n / LARGE;
		struct serial s;

		crl_entry_serial(watch_draft_entry(g->draft, g->at), &s);
		e = push(g, cursor,
		    watch_val(key, watch_record_key(key, g->number,
				       watch_draft_id(g->draft, g->at), &s)),
		    watch_val(row.p, row.n));
		*left -= cost < *left ? cost : *left;
	}
	return e;
}

/* Serials. */

/* A place in the draft behind what is compared first. */
struct ranked {
	uint64_t head;
	uint32_t place;
};

static int ranked_cmp(const void *a, const void *b, void *arg)
{
	const struct ranked *x = a, *y = b;
	const struct crl_entry *e, *f;

	if (x->head != y->head)
		return x->head < y->head ? -1 : 1;
	e = watch_draft_entry(arg, x->place);
	f = watch_draft_entry(arg, y->place);
	return memcmp(e->octets, f->octets, sizeof e->octets);
}

/* The order of numbers: by CA (as the draft is already), by octets, by their value. */
static bool order_make(struct watch_generation *g)
{
	struct ranked *r = malloc((g->count + 1) * sizeof *r);

	g->order = malloc((g->count + 1) * sizeof *g->order);
	if (r == NULL || g->order == NULL) {
		free(r);
		return false;
	}
	for (uint32_t i = 0; i < g->count; i++) {
		const struct crl_entry *e = watch_draft_entry(g->draft, i);
		uint8_t first[SERIAL_MAX + 7] = {0};

		memcpy(first, e->octets + SERIAL_MAX - e->n, e->n);
		r[i] = (struct ranked){(uint64_t)e->n << 56 | get_be(first, 7), i};
	}
	for (uint32_t from = 0, i = 1; i <= g->count; i++)
		if (i == g->count ||
		    watch_draft_id(g->draft, i) != watch_draft_id(g->draft, from)) {
			qsort_r(r + from, i - from, sizeof *r, ranked_cmp,
			    (void *)(uintptr_t)g->draft);
			from = i;
		}
	for (uint32_t i = 0; i < g->count; i++)
		g->order[i] = r[i].place;
	free(r);
	return true;
}

static int put_serials(struct watch_generation *g, MDB_cursor *cursor, size_t *left)
{
	uint8_t key[WATCH_KEY_MAX], date[WATCH_DATE_N];
	int e = 0;

	if (g->order == NULL && !order_make(g))
		return ENOMEM;
	for (; e == 0 && *left > 0 && g->at < g->count; g->at++, --*left) {
		size_t i = g->order[g->at];
		struct watch_record row;
		struct serial s;

		if (watch_record_decode(&row, watch_draft_row(g->draft, i)) != ERR_OK)
			return WATCH_DB_UNREADABLE; /* it was kept from the file */
		crl_entry_serial(watch_draft_entry(g->draft, i), &s);
		watch_date_put(date, row.not_after);
		e = push(g, cursor,
		    watch_val(key, watch_serial_key(
				       key, g->number, watch_draft_id(g->draft, i), &s)),
		    watch_val(date, sizeof date));
	}
	return e;
}

/* Names. */

/* The keys of a slice of names, one behind the other, each behind its length. */
struct keys {
	uint8_t *p;
	size_t n, room;
	uint32_t *place;
	size_t count, count_room;
};

static bool keys_room(struct keys *ks)
{
	if (ks->room - ks->n < 2 + WATCH_KEY_MAX) {
		size_t room = 2 * ks->room + 64 * 1024;
		void *p = realloc(ks->p, room);

		if (p == NULL)
			return false;
		ks->p = p;
		ks->room = room;
	}
	if (ks->count == ks->count_room) {
		size_t room = 2 * ks->count_room + 1024;
		void *p = realloc(ks->place, room * sizeof *ks->place);

		if (p == NULL)
			return false;
		ks->place = p;
		ks->count_room = room;
	}
	return true;
}

/* All names of certificate number i. */
static int keys_add(struct keys *ks, const struct watch_generation *g, size_t i)
{
	struct watch_record row;
	struct bytes name;
	struct serial s;

	if (watch_record_decode(&row, watch_draft_row(g->draft, i)) != ERR_OK)
		return WATCH_DB_UNREADABLE;
	crl_entry_serial(watch_draft_entry(g->draft, i), &s);
	while (watch_run_next(&row.names, &name)) {
		size_t n;

		if (!keys_room(ks))
			return ENOMEM;
		n = watch_name_row_key(
		    ks->p + ks->n + 2, g->number, name, watch_draft_id(g->draft, i), &s);
		put_be(ks->p + ks->n, n, 2);
		ks->place[ks->count++] = (uint32_t)ks->n;
		ks->n += 2 + n;
	}
	return 0;
}

static MDB_val key_at(const struct keys *ks, uint32_t place)
{
	return watch_val(ks->p + place + 2, (size_t)get_be(ks->p + place, 2));
}

static int keys_cmp(const void *a, const void *b, void *arg)
{
	MDB_val x = key_at(arg, *(const uint32_t *)a),
		y = key_at(arg, *(const uint32_t *)b);
	size_t n = x.mv_size < y.mv_size ? x.mv_size : y.mv_size;
	int order = memcmp(x.mv_data, y.mv_data, n);

	return order != 0 ? order : (x.mv_size > y.mv_size) - (x.mv_size < y.mv_size);
}

static int keys_push(struct keys *ks, struct watch_generation *g, MDB_cursor *cursor)
{
	int e = 0;

	if (ks->count == 0)
		return 0;
	qsort_r(ks->place, ks->count, sizeof *ks->place, keys_cmp, ks);
	for (size_t i = 0; e == 0 && i < ks->count; i++)
		if (i == 0 || keys_cmp(&ks->place[i - 1], &ks->place[i], ks) != 0)
			e = push(g, cursor, key_at(ks, ks->place[i]), watch_val("", 0));
	return e;
}

static int put_names(struct watch_generation *g, MDB_cursor *cursor, size_t *left)
{
	struct keys ks = {0};
	int e = 0;

	while (e == 0 && ks.count < *left && g->at < g->count)
		e = keys_add(&ks, g, g->at++);
	if (e == 0)
		e = keys_push(&ks, g, cursor);
	*left -= ks.count < *left ? ks.count : *left;
	free(ks.p);
	free(ks.place);
	return e;
}

void watch_generation_start(struct watch_generation *g, const struct watch_draft *d)
{
	*g = (struct watch_generation){
	    .draft = d, .count = (uint32_t)watch_draft_count(d), .append = true};
}

void watch_generation_end(struct watch_generation *g)
{
	free(g->order);
	g->order = NULL;
}

/* Of what is being written. */
static int write_some(
    struct watch_generation *g, struct watch_db *db, MDB_txn *txn, size_t *left)
{
	static const struct {
		int dbi;
		int (*put)(struct watch_generation *g, MDB_cursor *cursor, size_t *left);
	} what[] = {[WRITE_ROWS] = {DBI_ROWS, put_rows},
	    [WRITE_SERIALS] = {DBI_SERIALS, put_serials},
	    [WRITE_NAMES] = {DBI_NAMES, put_names}};
	MDB_cursor *cursor;
	int e = mdb_cursor_open(txn, db->dbi[what[g->writing].dbi], &cursor);

	if (e != 0)
		return e;
	e = what[g->writing].put(g, cursor, left);
	mdb_cursor_close(cursor);
	if (e == 0 && g->at == g->count) {
		g->writing++;
		g->at = 0;
		g->append = true;
	}
	return e;
}

int watch_generation_write(
    struct watch_generation *g, struct watch_db *db, MDB_txn *txn, size_t puts)
{
	int e = g->number == 0 ? open_generation(g, db, txn) : 0;

	while (e == 0 && puts > 0 && g->writing != WRITE_DONE)
		e = write_some(g, db, txn, &puts);
	return e;
}
