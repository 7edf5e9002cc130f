/* watch_by_name.c - candidates out of the index of names: two ranges for each list,
 * whichever is asked for.
 *
 * The index is in the order of names and a page in that of serials, so all keys of both
 * ranges are looked at for each batch, and the first ones kept.  Where so many fit that
 * trying one certificate after the other soon fills a page, that is done instead: a key
 * costs 50 ns, a certificate 2 us, of which one in (all / those that fit) fits.  A few
 * are tried before all keys are read (watch_search.c); where these tell wrong, the keys
 * do. */
#include <stdlib.h>

#include "cache/watch/watch_candidate.h"

/* A DNS name one label up: what a wildcard stands before.  n 0: it has no more. */
static struct bytes parent_of(struct bytes name)
{
	const uint8_t *dot = memchr(name.p, '.', name.n);

	return dot != NULL ? bytes_of(dot + 1, name.n - (size_t)(dot + 1 - name.p))
			   : bytes_of(NULL, 0);
}

/* "*." and that. */
static bool is_wildcard_of(struct bytes name, struct bytes parent)
{
	return parent.n > 0 && name.n == parent.n + 2 && name.p[0] == '*' &&
	       name.p[1] == '.' && memcmp(name.p + 2, parent.p, parent.n) == 0;
}

bool watch_name_fits(struct bytes name, struct bytes asked)
{
	if (bytes_equal(name, asked))
		return true;
	if (!watch_name_is_dns(asked) || !watch_name_is_dns(name))
		return false;
	if (is_wildcard_of(name, parent_of(asked)))
		return true;
	return name.n > asked.n && name.p[name.n - asked.n - 1] == '.' &&
	       memcmp(name.p + name.n - asked.n, asked.p, asked.n) == 0;
}

bool watch_row_fits(const struct watch_record *row, struct bytes asked)
{
	struct bytes run = row->names, name;

	while (watch_run_next(&run, &name))
		if (watch_name_fits(name, asked))
			return true;
	return false;
}

/* The first ones stay. */
static void batch_cut(struct watch_page *p)
{
	size_t n = 0;

	qsort(p->batch, p->batch_n, sizeof p->batch[0], watch_candidate_cmp);
	for (size_t i = 0; i < p->batch_n; i++)
		if (n == 0 || watch_candidate_cmp(&p->batch[n - 1], &p->batch[i]) != 0)
			p->batch[n++] = p->batch[i];
	p->more |= n > p->keep;
	p->batch_n = n < p->keep ? n : p->keep;
}

static void batch_add(struct watch_page *p, const struct watch_candidate *c)
{
	if (p->more && watch_candidate_cmp(c, &p->batch[p->keep - 1]) >= 0)
		return;
	p->batch[p->batch_n++] = *c;
	if (p->batch_n == 2 * p->keep)
		batch_cut(p);
}

#define KEYS_FOR_ONE 40   /* cost as much as one certificate */
#define TRY_FROM     5000 /* keys: 0.3 ms */

bool watch_are_many(const struct watch_page *p, size_t fit, size_t n)
{
	return (double)fit * (double)fit * (double)p->certificates >
	       (double)KEYS_FOR_ONE * (double)p->keep * (double)n * (double)n;
}

/* All keys that begin with prefix. */
static int scan(
    struct watch_page *p, MDB_cursor *cursor, const uint8_t *prefix, size_t prefix_n)
{
	MDB_val k = {prefix_n, (void *)(uintptr_t)prefix}, v;
	int e = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);

	while (e == 0 && !p->many && !p->unsure && k.mv_size >= prefix_n &&
	       memcmp(k.mv_data, prefix, prefix_n) == 0) {
		struct watch_candidate c;
		struct serial s;
		uint32_t ca;

		if (!watch_name_key_read(k, &ca, &s))
			return WATCH_DB_UNREADABLE;
		p->many = watch_are_many(p, ++p->keys, p->certificates);
		p->unsure = !p->tried && p->keys == TRY_FROM;
		if (watch_candidate_make(p, ca, &s, &c, &e))
			batch_add(p, &c);
		if (e == 0)
			e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	return e == MDB_NOTFOUND ? 0 : e;
}

/* The keys of one list: the name and what lies below it; the wildcard that covers it. */
static int scan_list(struct watch_page *p, MDB_cursor *cursor, uint32_t generation)
{
	uint8_t key[WATCH_KEY_MAX];
	size_t n = 4 + watch_name_key(put_be(key, generation, 4), p->query->name);
	bool dns = watch_name_is_dns(p->query->name);
	struct bytes parent = parent_of(p->query->name);
	uint8_t wildcard[WATCH_KEY_MAX];
	int e;

	if (!dns && n < 4 + WATCH_NAME_KEY_MAX)
		key[n++] = 0; /* that name alone, and none that is longer */
	e = scan(p, cursor, key, n);
	if (e != 0 || !dns || parent.n == 0 || parent.n + 2 > sizeof wildcard)
		return e;
	wildcard[0] = '*';
	wildcard[1] = '.';
	memcpy(wildcard + 2, parent.p, parent.n);
	n = 4 + watch_name_key(key + 4, bytes_of(wildcard, parent.n + 2));
	if (n < 4 + WATCH_NAME_KEY_MAX)
		key[n++] = 0;
	return scan(p, cursor, key, n);
}

int watch_by_name(struct watch_page *p)
{
	MDB_cursor *cursor;
	int e = mdb_cursor_open(p->txn, p->db->dbi[DBI_NAMES], &cursor);

	if (e != 0)
		return e;
	p->batch_n = p->keys = 0;
	p->more = false;
	/* also of lists that are not searched: what one says is a certificate's name */
	p->unsure = false;
	for (size_t i = 0; e == 0 && !p->unsure && i < p->live_n; i++)
		e = scan_list(p, cursor, p->live[i].head.generation);
	mdb_cursor_close(cursor);
	p->looked += p->keys;
	batch_cut(p);
	if (p->many) {
		p->batch_n = 0;
		p->more = true;
	}
	return e;
}
