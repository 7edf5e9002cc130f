/* watch_db_table.c - the two small databases: which lists there are, and which CAs. */
#include <errno.h>
#include <stdlib.h>

#include "cache/watch/watch_db_file.h"

#define HEAD_N 13 /* of a list's row; of one with a mark: */
#define MARK_N (HEAD_N + WATCH_REVISION_N + 8)

/* Lists. */

bool watch_db_head_read(
    MDB_val k, MDB_val v, char name[WATCH_NAME_MAX], struct watch_head *h)
{
	const uint8_t *p = v.mv_data;

	if (k.mv_size < 1 || k.mv_size >= WATCH_NAME_MAX ||
	    (v.mv_size != HEAD_N && v.mv_size != MARK_N) ||
	    memchr(k.mv_data, 0, k.mv_size) != NULL || p[8] > WATCH_INCIDENT)
		return false;
	memcpy(name, k.mv_data, k.mv_size);
	name[k.mv_size] = '\0';
	h->generation = (uint32_t)get_be(p, 4);
	h->version = (uint32_t)get_be(p + 4, 4);
	h->source = (enum watch_source)p[8];
	h->n = (uint32_t)get_be(p + 9, 4);
	h->mark = (struct watch_mark){{0}, 0};
	if (v.mv_size == HEAD_N)
		return true;
	memcpy(h->mark.revision, p + HEAD_N, WATCH_REVISION_N);
	h->mark.number = get_be(p + HEAD_N + WATCH_REVISION_N, 8);
	return true;
}

int watch_db_head_get(
    struct watch_db *db, MDB_txn *txn, const char *name, struct watch_head *h)
{
	char again[WATCH_NAME_MAX];
	MDB_val k = watch_val(name, strlen(name)), v;
	int e = mdb_get(txn, db->dbi[DBI_LISTS], &k, &v);

	return e != 0 || watch_db_head_read(k, v, again, h) ? e : WATCH_DB_UNREADABLE;
}

int watch_db_head_put(
    struct watch_db *db, MDB_txn *txn, const char *name, const struct watch_head *h)
{
	uint8_t value[MARK_N];
	bool marked = watch_mark_is_set(&h->mark);
	MDB_val k = watch_val(name, strlen(name)),
		v = watch_val(value, marked ? MARK_N : HEAD_N);

	put_be(value, h->generation, 4);
	put_be(value + 4, h->version, 4);
	value[8] = (uint8_t)h->source;
	put_be(value + 9, h->n, 4);
	memcpy(value + HEAD_N, h->mark.revision, WATCH_REVISION_N);
	put_be(value + HEAD_N + WATCH_REVISION_N, h->mark.number, 8);
	return mdb_put(txn, db->dbi[DBI_LISTS], &k, &v, 0);
}

int watch_db_withdraw(struct watch_db *db, MDB_txn *txn, const char *key)
{
	char other[WATCH_NAME_MAX];
	struct watch_head h;
	int e = watch_db_head_get(db, txn, key, &h);

	if (e != 0)
		return e;
	incident_withdrawn_key(other, h.generation);
	return watch_db_head_put(db, txn, other, &h);
}

static int drop_step(struct watch_db *db, MDB_txn *txn, void *arg)
{
	const char *name = arg;
	MDB_val k = watch_val(name, strlen(name));
	int e = name[0] == '!' ? watch_db_withdraw(db, txn, name) : 0;

	if (e == 0)
		e = mdb_del(txn, db->dbi[DBI_LISTS], &k, NULL);

	return e == 0 ? watch_db_mark_del(db, txn, name) : e;
}

enum err watch_db_drop(struct watch_db *db, const char *name)
{
	return watch_db_write(db, true, drop_step, (void *)(uintptr_t)name);
}

/* CAs. */

static bool read_ca(MDB_val k, MDB_val v, struct watch_ca *ca)
{
	struct bytes rest = bytes_of(v.mv_data, v.mv_size), issuer, dn;

	*ca = (struct watch_ca){0};
	if (k.mv_size != 4 || rest.n < 1 || rest.p[0] > WATCH_AKI_MAX ||
	    rest.p[0] > rest.n - 1)
		return false;
	ca->id = (uint32_t)get_be(k.mv_data, 4);
	ca->aki_n = rest.p[0];
	memcpy(ca->aki, rest.p + 1, ca->aki_n);
	rest = bytes_of(rest.p + 1 + ca->aki_n, rest.n - 1 - ca->aki_n);
	if (!watch_run_next(&rest, &issuer) || !watch_run_next(&rest, &dn) || rest.n != 0)
		return false;
	ca->issuer = strndup((const char *)issuer.p, issuer.n);
	ca->dn = strndup((const char *)dn.p, dn.n);
	return true;
}

static void ca_free(struct watch_ca *ca)
{
	free((char *)(uintptr_t)ca->issuer);
	free((char *)(uintptr_t)ca->dn);
}

/* *cas with one more. */
static int take_ca(const struct watch_cas **cas, MDB_val k, MDB_val v)
{
	const struct watch_cas *more = NULL;
	struct watch_ca ca;

	if (!read_ca(k, v, &ca))
		return WATCH_DB_UNREADABLE;
	if (ca.issuer != NULL && ca.dn != NULL)
		more = watch_cas_with(*cas, &ca);
	ca_free(&ca);
	if (more == NULL)
		return ENOMEM;
	watch_cas_unref(*cas);
	*cas = more;
	return 0;
}

int watch_db_cas_read(struct watch_db *db, MDB_txn *txn, const struct watch_cas **out)
{
	const struct watch_cas *cas = watch_cas_ref(&watch_cas_none);
	MDB_cursor *cursor;
	MDB_val k, v;
	int e = mdb_cursor_open(txn, db->dbi[DBI_CAS], &cursor);

	*out = NULL;
	if (e == 0) {
		while ((e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0 &&
		       (e = take_ca(&cas, k, v)) == 0)
			;
		mdb_cursor_close(cursor);
	}
	if (e != MDB_NOTFOUND) {
		watch_cas_unref(cas);
		return e;
	}
	*out = cas;
	return 0;
}

int watch_db_ca_put(struct watch_db *db, MDB_txn *txn, const struct watch_ca *ca)
{
	size_t issuer_n = strlen(ca->issuer), dn_n = strlen(ca->dn), n;
	uint8_t key[4], *value = malloc(1 + WATCH_AKI_MAX + 4 + issuer_n + dn_n);
	MDB_val k = watch_val(key, sizeof key), v;
	int e;

	if (value == NULL)
		return ENOMEM;
	put_be(key, ca->id, 4);
	value[0] = ca->aki_n;
	memcpy(value + 1, ca->aki, ca->aki_n);
	n = 1u + ca->aki_n;
	watch_run_add(value, &n, ca->issuer, issuer_n);
	watch_run_add(value, &n, ca->dn, dn_n);
	v = watch_val(value, n);
	e = mdb_put(txn, db->dbi[DBI_CAS], &k, &v, 0);
	free(value);
	return e;
}

static int cas_step(struct watch_db *db, MDB_txn *txn, void *arg)
{
	return watch_db_cas_read(db, txn, arg);
}

enum err watch_db_cas(struct watch_db *db, const struct watch_cas **out)
{
	*out = NULL;
	return watch_db_read(db, cas_step, out);
}

struct naming {
	uint32_t id;
	const char *issuer;
};

static int name_step(struct watch_db *db, MDB_txn *txn, void *arg)
{
	const struct naming *n = arg;
	uint8_t key[4];
	MDB_val k = watch_val(key, sizeof key), v;
	struct watch_ca ca, named;
	int e;

	put_be(key, n->id, 4);
	if ((e = mdb_get(txn, db->dbi[DBI_CAS], &k, &v)) != 0)
		return e;
	if (!read_ca(k, v, &ca))
		return WATCH_DB_UNREADABLE;
	named = ca;
	named.issuer = n->issuer;
	e = ca.dn != NULL ? watch_db_ca_put(db, txn, &named) : ENOMEM;
	ca_free(&ca);
	return e;
}

enum err watch_db_name_ca(struct watch_db *db, uint32_t id, const char *issuer)
{
	struct naming n = {id, issuer};

	return watch_db_write(db, true, name_step, &n);
}
