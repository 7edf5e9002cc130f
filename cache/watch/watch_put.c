/* watch_put.c - the phases of a put:
 *   GATHER   what the list has goes into the draft (a large POST)
 *   SORT     CAs get their numbers, the draft its order
 *   INSERT   a small POST: one transaction into the list as it is; it is done
 *   WRITE    under a new generation; its last transaction moves the list there
 */
#include "cache/watch/watch_put.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "cache/watch/watch_generation.h"

#define SLICE        60000 /* puts in one transaction: some 5 MB */
#define INSERT_MAX   5000  /* certificates; and of their rows: */
#define INSERT_BYTES ((size_t)4 << 20)

enum phase { GATHER, SORT, INSERT, WRITE, DONE };

struct watch_put {
	struct watch_db *db;
	char name[WATCH_NAME_MAX];
	enum watch_source source;
	bool add;
	struct watch_draft *draft;
	enum phase phase;
	struct watch_opened opened; /* its generation; linked while that is nobody's */
	bool is_opened;
	uint32_t version; /* the list's, at the end */
	struct watch_mark mark;
	bool told;
	struct watch_head base; /* GATHER, INSERT: the list that it adds to */
	uint8_t from[WATCH_KEY_MAX];
	size_t from_n;
	struct watch_generation written; /* WRITE */
};

/* CAs. */

/* The one that the file has, or NULL.  A CA that was watched before it was configured is
 * the configured one now. */
static const struct watch_ca *ca_known(
    const struct watch_cas *cas, const struct watch_draft_ca *d)
{
	struct bytes aki = bytes_of(d->aki, d->aki_n);
	const struct watch_ca *ca = watch_cas_find(cas, d->issuer, aki, d->dn);

	if (ca == NULL && d->issuer[0] != '\0' && aki.n > 0) {
		ca = watch_cas_find(cas, "", aki, d->dn);
		if (ca != NULL && ca->issuer[0] != '\0')
			ca = NULL;
	}
	return ca;
}

/* What is known of it together; true: more than the file has. */
static bool ca_join(struct watch_ca *out, const struct watch_ca *known,
    const struct watch_draft_ca *d, uint32_t id)
{
	bool more = known == NULL;

	*out = known != NULL ? *known : (struct watch_ca){.id = id, .issuer = d->issuer};
	if (out->issuer[0] == '\0' && d->issuer[0] != '\0') {
		out->issuer = d->issuer;
		more = true;
	}
	if (out->dn == NULL || (out->dn[0] == '\0' && d->dn[0] != '\0')) {
		out->dn = d->dn;
		more = true;
	}
	if (out->aki_n == 0 && d->aki_n > 0) {
		out->aki_n = d->aki_n;
		memcpy(out->aki, d->aki, d->aki_n);
		more = true;
	}
	return more;
}

struct numbering {
	const struct watch_draft *draft;
	uint32_t *id; /* of each of its CAs */
};

static int cas_step(struct watch_db *db, MDB_txn *txn, void *arg)
{
	const struct numbering *n = arg;
	const struct watch_cas *cas, *more;
	int e = watch_db_cas_read(db, txn, &cas);

	if (e != 0)
		return e;
	for (size_t i = 0; e == 0 && i < watch_draft_cas(n->draft); i++) {
		const struct watch_draft_ca *d = watch_draft_ca(n->draft, i);
		uint32_t next = cas->n > 0 ? cas->ca[cas->n - 1].id + 1 : 1;
		struct watch_ca ca;
		bool news = ca_join(&ca, ca_known(cas, d), d, next);

		n->id[i] = ca.id;
		if (!news)
			continue;
		e = watch_db_ca_put(db, txn, &ca);
		if (e == 0 && (more = watch_cas_with(cas, &ca)) == NULL)
			e = ENOMEM;
		if (e != 0)
			break;
		watch_cas_unref(cas);
		cas = more;
	}
	watch_cas_unref(cas);
	return e;
}

/* Life. */

static int base_step(struct watch_db *db, MDB_txn *txn, void *arg)
{
	struct watch_put *p = arg;

	return watch_db_head_get(db, txn, p->name, &p->base);
}

/* A POST: to which list, and in which way? */
static enum err start_add(struct watch_put *p)
{
	enum err e = watch_db_write(p->db, true, base_step, p);

	if (e == ERR_NOT_FOUND)
		return ERR_OK; /* a new list */
	if (e != ERR_OK)
		return e;
	p->source = p->base.source;
	p->add = watch_draft_count(p->draft) <= INSERT_MAX &&
		 watch_draft_size(p->draft) <= INSERT_BYTES;
	p->phase = p->add ? SORT : GATHER;
	p->from_n = 4;
	put_be(p->from, p->base.generation, 4);
	return ERR_OK;
}

enum err watch_put_new(struct watch_put **out, struct watch_db *db, const char *name,
    enum watch_source source, bool add, struct watch_draft *draft)
{
	struct watch_put *p = calloc(1, sizeof *p);
	enum err e = ERR_OK;

	assert(name[0] != '\0' && strlen(name) < WATCH_NAME_MAX);
	*out = NULL;
	if (p == NULL) {
		watch_draft_free(draft);
		return ERR_NOMEM;
	}
	*p =
	    (struct watch_put){.db = db, .source = source, .draft = draft, .phase = SORT};
	strcpy(p->name, name);
	if (add)
		e = start_add(p);
	if (e != ERR_OK) {
		watch_put_free(p);
		return e;
	}
	*out = p;
	return ERR_OK;
}

void watch_put_told(struct watch_put *p)
{
	p->told = true;
}

void watch_put_mark(struct watch_put *p, const struct watch_mark *mark)
{
	p->mark = *mark;
}

static void close_generation(struct watch_put *p)
{
	struct watch_opened **o = &p->db->opened;

	if (!p->is_opened)
		return;
	while (*o != &p->opened)
		o = &(*o)->next;
	*o = p->opened.next;
	p->is_opened = false;
}

void watch_put_free(struct watch_put *p)
{
	if (p == NULL)
		return;
	close_generation(p);
	watch_draft_free(p->draft);
	watch_generation_end(&p->written);
	free(p);
}

/* GATHER. */

static enum err keep_row(
    struct watch_put *p, const struct watch_cas *cas, MDB_val k, MDB_val v)
{
	const struct watch_ca *ca;
	struct watch_draft_ca who;
	struct serial s;
	uint32_t id;

	if (!watch_record_key_read(k, &id, &s) || (ca = watch_cas_at(cas, id)) == NULL)
		return ERR_RECORD;
	who = (struct watch_draft_ca){
	    .issuer = ca->issuer, .dn = ca->dn, .aki_n = ca->aki_n};
	memcpy(who.aki, ca->aki, ca->aki_n);
	return watch_draft_keep(p->draft, &who, &s, bytes_of(v.mv_data, v.mv_size));
}

/* A slice of the list that it adds to; *err: what the draft says. */
static int gather(struct watch_put *p, MDB_txn *txn, const struct watch_cas *cas,
    MDB_cursor *cursor, enum err *err)
{
	MDB_val k = watch_val(p->from, p->from_n), v;
	size_t n = 0;
	int e = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);

	(void)txn;
	while (e == 0 && memcmp(k.mv_data, p->from, 4) == 0) {
		if (n++ == SLICE) {
			memcpy(p->from, k.mv_data, k.mv_size);
			p->from_n = k.mv_size;
			return 0;
		}
		if ((*err = keep_row(p, cas, k, v)) != ERR_OK)
			return 0;
		e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	p->phase = SORT;
	return e == MDB_NOTFOUND ? 0 : e;
}

static enum err gather_step(struct watch_put *p)
{
	const struct watch_cas *cas = NULL;
	enum err err = ERR_OK;
	MDB_cursor *cursor;
	MDB_txn *txn;
	int e = mdb_txn_begin(p->db->env, NULL, MDB_RDONLY, &txn);

	if (e != 0)
		return watch_db_err(p->db, e);
	if ((e = watch_db_cas_read(p->db, txn, &cas)) == 0 &&
	    (e = mdb_cursor_open(txn, p->db->dbi[DBI_ROWS], &cursor)) == 0) {
		e = gather(p, txn, cas, cursor, &err);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	watch_cas_unref(cas);
	if (err == ERR_RECORD)
		e = WATCH_DB_UNREADABLE;
	return e != 0 ? watch_db_err(p->db, e) : err;
}

static enum err sort_step(struct watch_put *p)
{
	size_t cas = watch_draft_cas(p->draft);
	struct numbering n = {p->draft, malloc((cas + 1) * sizeof *n.id)};
	enum err e = ERR_NOMEM;

	if (n.id != NULL)
		e = watch_db_write(p->db, false, cas_step, &n);
	if (e == ERR_OK)
		e = watch_draft_sort(p->draft, n.id);
	free(n.id);
	watch_generation_start(&p->written, p->draft);
	p->phase = p->add ? INSERT : WRITE;
	return e;
}

/* The list is this one now, and, unless others see to that, nobody was told what it has
 * gained.  The incident that it was stays until its end is told. */
static int move_name(struct watch_db *db, MDB_txn *txn, const struct watch_put *p,
    const struct watch_head *h)
{
	int e = p->source == WATCH_INCIDENT ? watch_db_withdraw(db, txn, p->name) : 0;

	if (e == 0 || e == MDB_NOTFOUND)
		e = watch_db_head_put(db, txn, p->name, h);

	return e == 0 && !p->told ? watch_db_mark_put(db, txn, p->name, h) : e;
}

/* INSERT. */
static int insert_step(struct watch_db *db, MDB_txn *txn, void *arg)
{
	struct watch_put *p = arg;
	struct watch_head h;
	int e = watch_db_head_get(db, txn, p->name, &h);

	for (size_t i = 0; e == 0 && i < watch_draft_count(p->draft); i++) {
		bool fresh = false;
		struct serial s;

		crl_entry_serial(watch_draft_entry(p->draft, i), &s);
		e = watch_db_row_put(db, txn, h.generation, watch_draft_id(p->draft, i),
		    &s, watch_draft_row(p->draft, i), &fresh);
		h.n += fresh;
	}
	if (e != 0)
		return e;
	p->opened.generation = h.generation;
	p->version = ++h.version;
	h.mark = p->mark;
	return move_name(db, txn, p, &h);
}

/* WRITE. */

static int slice_step(struct watch_db *db, MDB_txn *txn, void *arg)
{
	struct watch_put *p = arg;
	struct watch_generation *g = &p->written;
	struct watch_head h;
	int e = watch_generation_write(g, db, txn, SLICE);

	if (e != 0 || g->writing != WRITE_DONE)
		return e;
	h = (struct watch_head){
	    .generation = g->number, .source = p->source, .n = g->count, .mark = p->mark};
	return move_name(db, txn, p, &h);
}

static enum err slice(struct watch_put *p)
{
	enum err e = watch_db_write(p->db, false, slice_step, p);

	if (e != ERR_OK)
		return e;
	if (!p->is_opened) {
		p->opened = (struct watch_opened){p->written.number, p->db->opened};
		p->db->opened = &p->opened;
		p->is_opened = true;
	}
	if (p->written.writing == WRITE_DONE) {
		close_generation(p);
		p->phase = DONE;
	}
	return ERR_OK;
}

enum err watch_put_step(struct watch_put *p, bool *done)
{
	enum err e;

	assert(p->phase != DONE);
	*done = false;
	switch (p->phase) {
	case GATHER:
		return gather_step(p);
	case SORT:
		return sort_step(p);
	case INSERT:
		e = watch_db_write(p->db, false, insert_step, p);
		p->phase = DONE;
		break;
	default:
		e = slice(p);
	}
	*done = e == ERR_OK && p->phase == DONE;
	return e;
}

/* What the draft has, as a list. */
static struct watch_list *list_of(
    const struct watch_put *p, struct watch_point_draft *points)
{
	size_t n = watch_draft_count(p->draft);
	struct watch_list *l =
	    watch_list_new(p->name, p->source, p->opened.generation, n);

	if (l != NULL) {
		l->version = p->version;
		l->mark = p->mark;
	}
	for (size_t i = 0; l != NULL && i < n; i++) {
		uint32_t ca = watch_draft_id(p->draft, i);
		struct watched e;
		struct watch_record row;
		struct serial s;

		watch_record_decode(&row, watch_draft_row(p->draft, i));
		crl_entry_serial(watch_draft_entry(p->draft, i), &s);
		if ((p->source == WATCH_INCIDENT && incident_hear(l, &row) != ERR_OK) ||
		    !watch_point_draft_entry(points, ca, &s, &row, &e) ||
		    !watch_list_add(l, ca, &e)) {
			watch_list_unref(l);
			l = NULL;
		}
	}
	return l;
}

enum err watch_put_list(struct watch_put *p, const struct watch_list *old,
    struct watch_point_draft *points, const struct watch_list **out)
{
	struct watch_list *l = list_of(p, points), *joined = l;

	assert(p->phase == DONE);
	if (l != NULL && p->add && old != NULL) {
		joined = watch_list_join(old, l);
		watch_list_unref(l);
	}
	*out = joined;
	return joined != NULL ? ERR_OK : ERR_NOMEM;
}
