/* watch_search.c - a page: batches of candidates by one of the two indices, each looked
 * up on every list and shown to the caller. */
#include "cache/watch/watch_search.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "cache/watch/watch_candidate.h"

#define LOOK_MAX 100000 /* keys; a page that has looked at so many ends */
#define TRY      256    /* certificates, for how many have the name: 0.5 ms */

/* Places. */

void watch_place_text(const struct watch_place *p, char out[WATCH_PLACE_TEXT_MAX])
{
	uint8_t octets[4 + SERIAL_MAX];

	put_be(octets, p->ca, 4);
	memcpy(octets + 4, p->serial.octets, p->serial.n);
	hex_encode(octets, 4u + p->serial.n, out);
}

bool watch_place_parse(struct watch_place *p, const char *text)
{
	size_t n = strlen(text) / 2;
	uint8_t octets[4 + SERIAL_MAX];
	char again[WATCH_PLACE_TEXT_MAX];

	if (n < 5 || n > sizeof octets || !hex_decode(text, n, octets))
		return false;
	p->ca = (uint32_t)get_be(octets, 4);
	p->serial.n = (uint8_t)(n - 4);
	memcpy(p->serial.octets, octets + 4, n - 4);
	watch_place_text(p, again);
	return p->ca != 0 && strcmp(again, text) == 0;
}

/* Opening. */

/* A list of the inventory that has just what the file has. */
static const struct watch_list *same_in_memory(
    const struct inventory *v, const struct watch_live *l)
{
	const struct watch_list *m = v != NULL ? inventory_list(v, l->name) : NULL;

	return m != NULL && m->generation == l->head.generation &&
		       m->version == l->head.version
		   ? m
		   : NULL;
}

static int live_read(struct watch_page *p)
{
	MDB_cursor *cursor;
	MDB_stat st;
	MDB_val k, v;
	int e = mdb_stat(p->txn, p->db->dbi[DBI_LISTS], &st);

	if (e != 0)
		return e;
	if ((p->live = calloc(st.ms_entries + 1, sizeof *p->live)) == NULL)
		return ENOMEM;
	if ((e = mdb_cursor_open(p->txn, p->db->dbi[DBI_LISTS], &cursor)) != 0)
		return e;
	while (p->live_n < st.ms_entries &&
	       (e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		struct watch_live *l = &p->live[p->live_n++];

		if (!watch_db_head_read(k, v, l->name, &l->head)) {
			e = WATCH_DB_UNREADABLE;
			break;
		}
		if (l->head.source == WATCH_INCIDENT) { /* nobody watches these */
			p->live_n--;
			continue;
		}
		l->memory = same_in_memory(p->query->inventory, l);
	}
	mdb_cursor_close(cursor);
	return e == MDB_NOTFOUND ? 0 : e;
}

/* MDB_NOTFOUND: no such list. */
static int live_choose(struct watch_page *p)
{
	p->end = p->live_n;
	if (p->query->list == NULL)
		return 0;
	while (
	    p->first < p->live_n && strcmp(p->live[p->first].name, p->query->list) != 0)
		p->first++;
	p->end = p->first + 1;
	return p->first < p->live_n ? 0 : MDB_NOTFOUND;
}

/* Where the last page ended.  A CA that is not there any more was never there. */
static void start_after(struct watch_page *p)
{
	const struct watch_ca *ca = watch_cas_at(p->cas, p->query->from.ca);

	if (ca == NULL)
		return;
	p->begun = true;
	p->after = (struct watch_candidate){.dn = p->rank[ca - p->cas->ca].dn,
	    .who = p->rank[ca - p->cas->ca].who,
	    .serial = p->query->from.serial};
}

static int page_open(struct watch_page *p)
{
	int e = watch_db_cas_read(p->db, p->txn, &p->cas);

	if (e == 0 && !watch_ranks_make(p))
		e = ENOMEM;
	if (e == 0)
		e = live_read(p);
	if (e == 0)
		e = live_choose(p);
	for (size_t i = p->first; e == 0 && i < p->end; i++)
		p->certificates += p->live[i].head.n;
	if (e != 0)
		return e;
	p->keep = p->query->limit + 1;
	/* what others say of one list's certificates is not known by serial */
	p->tried = p->query->list != NULL || p->query->expires_before != INT64_MAX;
	p->batch = malloc(2 * p->keep * sizeof *p->batch);
	if (p->batch == NULL)
		return ENOMEM;
	watch_ranks_choose(p);
	start_after(p);
	return 0;
}

static void page_close(struct watch_page *p)
{
	watch_cas_unref(p->cas);
	free(p->rank);
	free(p->live);
	free(p->batch);
}

/* One certificate on all lists. */

struct looked_up {
	struct watch_found found;
	uint32_t *id; /* the numbers that its CA has; room for all */
	size_t ids;
	struct watch_on *on; /* room for each list */
	bool named;          /* one of them has a name that fits */
	bool listed;         /* the one that is searched has it */
};

static void take_row(struct looked_up *f, const char *list,
    const struct watch_record *row, const struct watch_query *q)
{
	f->on[f->found.lists_n++] = (struct watch_on){.list = list, .row = *row};
	f->found.verified |= row->verified;
	if (f->found.not_before == WATCH_TIME_NONE)
		f->found.not_before = row->not_before;
	if (row->not_after != WATCH_TIME_NONE && (f->found.not_after == WATCH_TIME_NONE ||
						     row->not_after < f->found.not_after))
		f->found.not_after = row->not_after;
	f->named |= q->name.n == 0 || watch_row_fits(row, q->name);
	f->listed |= q->list == NULL || strcmp(list, q->list) == 0;
}

/* On this list, under any of the numbers that its CA has. */
static int look_up(struct watch_page *p, MDB_cursor *cursor, const struct watch_live *l,
    const struct serial *s, struct looked_up *f)
{
	int e = MDB_NOTFOUND;

	for (size_t i = 0; i < f->ids && e == MDB_NOTFOUND; i++) {
		uint8_t key[WATCH_KEY_MAX];
		MDB_val k = {0, key}, v;
		struct watch_record row;

		if (l->memory != NULL && watch_list_find(l->memory, f->id[i], s) == NULL)
			continue;
		k.mv_size = watch_record_key(key, l->head.generation, f->id[i], s);
		e = mdb_cursor_get(cursor, &k, &v, MDB_SET_KEY);
		if (e == 0 &&
		    watch_record_decode(&row, bytes_of(v.mv_data, v.mv_size)) != ERR_OK)
			e = WATCH_DB_UNREADABLE;
		if (e == 0)
			take_row(f, l->name, &row, p->query);
	}
	return e == MDB_NOTFOUND ? 0 : e;
}

/* All lists at once wait for memory. */
static void look_ahead(const struct watch_page *p, const struct looked_up *f,
    const struct serial *s, bool again)
{
	struct watched key;

	watched_set(&key, s, 0, false);
	for (size_t i = 0; i < p->live_n; i++)
		for (size_t k = 0; p->live[i].memory != NULL && k < f->ids; k++) {
			size_t n;
			const struct watched *e =
			    watch_list_of(p->live[i].memory, f->id[k], &n);

			watched_ahead(e, n, &key, again);
		}
}

static int find(struct watch_page *p, MDB_cursor *cursor, const struct watch_candidate *c,
    struct looked_up *f)
{
	int e = 0;

	f->named = f->listed = false;
	f->ids = 0;
	for (size_t i = 0; i < p->cas->n; i++)
		if (p->rank[i].who == c->who)
			f->id[f->ids++] = p->cas->ca[i].id;
	f->found = (struct watch_found){.ca = watch_cas_at(p->cas, c->who),
	    .serial = c->serial,
	    .not_before = WATCH_TIME_NONE,
	    .not_after = WATCH_TIME_NONE,
	    .on = f->on};
	look_ahead(p, f, &c->serial, false);
	look_ahead(p, f, &c->serial, true);
	for (size_t i = 0; e == 0 && i < p->live_n; i++)
		e = look_up(p, cursor, &p->live[i], &c->serial, f);
	return e;
}

static bool fits(const struct watch_query *q, const struct looked_up *f)
{
	int64_t at = f->found.not_after;

	return f->named && f->listed &&
	       (q->expires_before == INT64_MAX ||
		   (at != WATCH_TIME_NONE && at < q->expires_before));
}

/* The page. */

struct taker {
	bool (*take)(void *arg, const struct watch_found *f);
	void *arg;
	size_t taken;
};

/* The batch is shown, until the page is full; *left: it was before the batch was over. */
static int show(struct watch_page *p, struct taker *t, struct looked_up *f, bool *left)
{
	MDB_cursor *cursor;
	int e = mdb_cursor_open(p->txn, p->db->dbi[DBI_ROWS], &cursor);

	if (e != 0)
		return e;
	for (size_t i = 0; e == 0 && i < p->batch_n && !*left; i++) {
		if (t->taken == p->query->limit) {
			*left = true;
			break;
		}
		e = find(p, cursor, &p->batch[i], f);
		if (e == 0 && fits(p->query, f))
			t->taken += t->take(t->arg, &f->found);
		p->begun = true;
		p->after = p->batch[i];
	}
	mdb_cursor_close(cursor);
	return e;
}

/* What fits of the first few is the batch, where that tells that many do. */
static int try_some(struct watch_page *p)
{
	size_t before = p->looked;
	int e = watch_by_serial(p, TRY);

	p->tried = true;
	p->many = !p->more || watch_are_many(p, p->batch_n, p->looked - before);
	if (!p->many)
		p->looked = before;
	return e;
}

/* The next batch, by what is cheaper; whichever it is, the page gets on. */
static int batch_fill(struct watch_page *p)
{
	int e = 0;

	if (p->query->name.n == 0)
		p->many = true;
	if (!p->many)
		e = watch_by_name(p);
	if (e == 0 && p->unsure) {
		e = try_some(p);
		if (e != 0 || p->many)
			return e;
		e = watch_by_name(p);
	}
	return e == 0 && p->many ? watch_by_serial(p, LOOK_MAX) : e;
}

static int page_run(struct watch_page *p, struct taker *t, bool *left)
{
	struct looked_up f = {.on = malloc((p->live_n + 1) * sizeof *f.on),
	    .id = malloc((p->cas->n + 1) * sizeof *f.id)};
	int e = f.on != NULL && f.id != NULL ? 0 : ENOMEM;

	p->more = true;
	while (e == 0 && p->more && !*left && p->looked < LOOK_MAX) {
		e = batch_fill(p);
		if (e == 0)
			e = show(p, t, &f, left);
		if (e == 0 && p->many && !*left && p->more) {
			p->begun = true;
			p->after = p->reached;
		}
	}
	*left |= p->more;
	free(f.on);
	free(f.id);
	return e;
}

enum err watch_search(struct watch_db *db, const struct watch_query *q,
    bool (*take)(void *arg, const struct watch_found *f), void *arg,
    struct watch_place *next)
{
	struct watch_page p = {.db = db, .query = q};
	struct taker t = {take, arg, 0};
	bool left = false;
	int e;

	assert(q->limit >= 1 && q->limit <= WATCH_PAGE_MAX);
	*next = (struct watch_place){0};
	if ((e = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &p.txn)) != 0)
		return watch_db_err(db, e);
	if ((e = page_open(&p)) == 0)
		e = page_run(&p, &t, &left);
	if (e == 0 && left)
		*next = (struct watch_place){p.after.who, p.after.serial};
	page_close(&p);
	mdb_txn_abort(p.txn);
	return watch_db_err(db, e);
}
