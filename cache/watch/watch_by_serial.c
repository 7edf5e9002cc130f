/* watch_by_serial.c - candidates out of the index of serials: the lists are walked side
 * by side, each with a cursor of its own, for one DN after the other. */
#include <errno.h>
#include <stdlib.h>

#include "cache/watch/watch_candidate.h"

/* One list's certificates of one CA. */
struct side {
	MDB_cursor *cursor;
	MDB_val k, v;
	uint32_t who;
};

struct sides {
	struct side *side; /* a heap by the serials of their keys */
	size_t n, room;
	MDB_cursor *spare;
	MDB_cursor *rows; /* of who is asked for by name; NULL: nobody yet */
};

/* Behind generation and CA: the octets' number, the octets. */
static int side_cmp(const struct side *a, const struct side *b)
{
	size_t n = a->k.mv_size < b->k.mv_size ? a->k.mv_size : b->k.mv_size;
	int order = memcmp(
	    (const uint8_t *)a->k.mv_data + 8, (const uint8_t *)b->k.mv_data + 8, n - 8);

	return order != 0 ? order : (a->who > b->who) - (a->who < b->who);
}

static void sink(struct sides *s, size_t i)
{
	struct side moved = s->side[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= s->n)
			break;
		child += child + 1 < s->n &&
			 side_cmp(&s->side[child + 1], &s->side[child]) < 0;
		if (side_cmp(&s->side[child], &moved) >= 0)
			break;
		s->side[i] = s->side[child];
		i = child;
	}
	s->side[i] = moved;
}

/* Does the key still belong to it?  Then it is one that can be read. */
static int side_check(const struct side *s, const uint8_t *prefix, bool *is)
{
	struct serial serial;
	uint32_t ca;

	*is = s->k.mv_size >= 8 && memcmp(s->k.mv_data, prefix, 8) == 0;
	if (*is &&
	    (!watch_serial_key_read(s->k, &ca, &serial) || s->v.mv_size != WATCH_DATE_N))
		return WATCH_DB_UNREADABLE;
	return 0;
}

/* A list's certificates of a CA from `from` on, where it has any. */
static int sides_add(struct sides *s, struct watch_page *p, uint32_t generation,
    uint32_t ca, uint32_t who, const struct serial *from)
{
	static const struct serial least = {.n = 1};
	uint8_t key[WATCH_KEY_MAX];
	struct side *side;
	bool is = false;
	int e = 0;

	if (s->n == s->room) {
		size_t room = s->room == 0 ? 16 : 2 * s->room;

		side = realloc(s->side, room * sizeof *side);
		if (side == NULL)
			return ENOMEM;
		s->side = side;
		s->room = room;
	}
	if (s->spare == NULL)
		e = mdb_cursor_open(p->txn, p->db->dbi[DBI_SERIALS], &s->spare);
	if (e != 0)
		return e;
	side = &s->side[s->n];
	*side = (struct side){.cursor = s->spare, .who = who};
	side->k = (MDB_val){
	    watch_serial_key(key, generation, ca, from != NULL ? from : &least), key};
	e = mdb_cursor_get(side->cursor, &side->k, &side->v, MDB_SET_RANGE);
	if (e == 0)
		e = side_check(side, key, &is);
	if (is && e == 0) {
		s->n++;
		s->spare = NULL;
	}
	return e == MDB_NOTFOUND ? 0 : e;
}

/* The first one goes on. */
static int sides_step(struct sides *s)
{
	struct side *first = &s->side[0];
	uint8_t prefix[8];
	bool is = false;
	int e;

	memcpy(prefix, first->k.mv_data, sizeof prefix);
	e = mdb_cursor_get(first->cursor, &first->k, &first->v, MDB_NEXT);
	if (e == 0)
		e = side_check(first, prefix, &is);
	if (e != 0 && e != MDB_NOTFOUND)
		return e;
	if (!is) {
		if (s->spare == NULL)
			s->spare = first->cursor;
		else
			mdb_cursor_close(first->cursor);
		*first = s->side[--s->n];
	}
	if (s->n > 0)
		sink(s, 0);
	return 0;
}

static void sides_close(struct sides *s)
{
	for (size_t i = 0; i < s->n; i++)
		mdb_cursor_close(s->side[i].cursor);
	if (s->spare != NULL)
		mdb_cursor_close(s->spare);
	if (s->rows != NULL)
		mdb_cursor_close(s->rows);
	free(s->side);
}

static int sides_open(struct sides *s, struct watch_page *p, uint32_t dn)
{
	const struct serial *from =
	    p->begun && p->after.dn == dn ? &p->after.serial : NULL;
	int e = 0;

	for (size_t i = 0; i < p->cas->n; i++) {
		if (p->rank[i].dn != dn || !p->rank[i].wanted)
			continue;
		for (size_t l = p->first; e == 0 && l < p->end; l++)
			e = sides_add(s, p, p->live[l].head.generation, p->cas->ca[i].id,
			    p->rank[i].who, from);
	}
	for (size_t i = s->n / 2; i-- > 0;)
		sink(s, i);
	return e;
}

/* Where one list is searched, another one may say another date. */
static bool expires(const struct watch_page *p, const struct side *s)
{
	int64_t at = watch_date_get(s->v.mv_data);

	return p->query->expires_before == INT64_MAX || p->query->list != NULL ||
	       (at != WATCH_TIME_NONE && at < p->query->expires_before);
}

/* May it have a name that fits?  Each list that has it is asked for its own; but where
 * one list is searched, or another list may say its end, it is looked at as a whole. */
static int is_named(struct watch_page *p, struct sides *s, uint32_t ca,
    const struct serial *serial, bool *is)
{
	uint32_t generation = (uint32_t)get_be(s->side[0].k.mv_data, 4);
	uint8_t key[WATCH_KEY_MAX];
	struct watch_record row;
	MDB_val k = {0, key}, v;
	int e = 0;

	*is = true;
	if (p->query->name.n == 0 || p->query->list != NULL ||
	    p->query->expires_before != INT64_MAX)
		return 0;
	if (s->rows == NULL)
		e = mdb_cursor_open(p->txn, p->db->dbi[DBI_ROWS], &s->rows);
	k.mv_size = watch_record_key(key, generation, ca, serial);
	if (e == 0)
		e = mdb_cursor_get(s->rows, &k, &v, MDB_SET_KEY);
	if (e == MDB_NOTFOUND ||
	    (e == 0 &&
		watch_record_decode(&row, bytes_of(v.mv_data, v.mv_size)) != ERR_OK))
		return WATCH_DB_UNREADABLE;
	*is = e == 0 && watch_row_fits(&row, p->query->name);
	return e;
}

/* The first one of the heap is looked at: *stop, and it is left, where the batch is full
 * or enough was looked at, but for one more list of the certificate that was looked at
 * last. */
static int look_at(struct watch_page *p, struct sides *s, size_t look, bool *stop)
{
	const struct side *first = &s->side[0];
	struct watch_candidate c;
	struct serial serial;
	bool is = false;
	uint32_t ca;
	int e = 0;

	if (!watch_serial_key_read(first->k, &ca, &serial))
		return WATCH_DB_UNREADABLE;
	if (!watch_candidate_make(p, ca, &serial, &c, &e))
		return e;
	*stop = (p->batch_n == p->keep || p->looked >= look) &&
		(p->looked == 0 || watch_candidate_cmp(&p->reached, &c) != 0);
	if (*stop)
		return 0;
	p->looked++;
	p->reached = c;
	if (expires(p, first) &&
	    (p->batch_n == 0 || watch_candidate_cmp(&p->batch[p->batch_n - 1], &c) != 0))
		e = is_named(p, s, ca, &serial, &is);
	if (is && e == 0)
		p->batch[p->batch_n++] = c;
	return e;
}

static int walk(struct watch_page *p, struct sides *s, size_t look)
{
	int e = 0;

	while (e == 0 && s->n > 0 && !p->more) {
		e = look_at(p, s, look, &p->more);
		if (e == 0 && !p->more)
			e = sides_step(s);
	}
	return e;
}

int watch_by_serial(struct watch_page *p, size_t look)
{
	int e = 0;

	look += p->looked;
	p->batch_n = 0;
	p->more = false;
	for (uint32_t dn = p->begun ? p->after.dn : 0; e == 0 && !p->more && dn < p->dns;
	     dn++) {
		struct sides s = {0};

		e = sides_open(&s, p, dn);
		if (e == 0)
			e = walk(p, &s, look);
		sides_close(&s);
	}
	return e;
}
