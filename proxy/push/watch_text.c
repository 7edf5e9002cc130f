/* watch_text.c - found by a gallop, written with a few rows of the file at a time. */
#include "proxy/push/watch_text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/push/notices_text.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/watcher.h"

#define SLICE      2048 /* of a list, in one look at a snapshot: some 0.5 ms */
#define WATCH_PICK 64   /* of it, in one event */

void watch_view_open_all(struct watch_view *w, const struct shared *shared)
{
	w->shared = shared;
	w->v = ledger_inventory(shared);
	w->list = NULL;
	w->db = shared->watcher != NULL ? watcher_db(shared->watcher) : NULL;
	w->out.n = 0;
	w->out.failed = false;
	w->steps = 0;
	w->entries = w->last = NULL;
	w->missing = w->unreadable = false;
}

bool watch_view_open(struct watch_view *w, const struct shared *shared, const char *name)
{
	watch_view_open_all(w, shared);
	w->list = inventory_list(w->v, name);
	return w->list != NULL && w->db != NULL;
}

bool watch_view_has_issuer(const struct watch_view *w, const char *issuer)
{
	const struct watch_ca *ca = NULL;
	size_t n = 0;

	while (n == 0 && (ca = watch_cas_called(w->v->cas, issuer, ca)) != NULL)
		watch_list_of(w->list, ca->id, &n);
	return n > 0;
}

void watch_view_rest(struct watch_view *w)
{
	watch_rows_close(w->rows);
	w->rows = NULL;
}

void watch_view_close(struct watch_view *w)
{
	watch_view_rest(w);
	free(w->out.p);
	w->out = (struct json_line){0};
}

/* One change, with its names and labels. */

static void put_run(struct json_line *l, const char *key, struct bytes run)
{
	const char *comma = "";
	struct bytes text;

	json_put(l, key);
	while (watch_run_next(&run, &text)) {
		json_put(l, comma);
		json_put_string(l, text);
		comma = ",";
	}
	json_put(l, "]");
}

/* Up to where names and labels go. */
static size_t entry_text(const struct watch_view *w, const struct crl_entry *e, char *out)
{
	const struct change *c = (const struct change *)e;

	if (w->what == WATCH_NOTICES)
		return (size_t)(put_notice_begin(out, e) - out);
	if (w->what == WATCH_REVOKED)
		return events_text_change(e, CHANGE_REVOKED, CHANGE_NONE, out);
	return events_text_change(e, change_now(c), change_before(c), out);
}

/* What comes behind them. */
static size_t entry_end(const struct watch_view *w, const struct crl_entry *e,
    const struct change_window *window, char *out)
{
	if (w->what == WATCH_NOTICES)
		return (size_t)(put_notice_end(out, window, e->spare[0] != 0) - out);
	*out = '}';
	return 1;
}

/* What the list says of it; nothing where that cannot be read. */
static void find_row(struct watch_view *w, uint32_t ca, const struct crl_entry *e,
    struct watch_record *row)
{
	enum err error = ERR_OK;

	*row = (struct watch_record){0};
	if (w->rows == NULL)
		error = watch_rows_open(&w->rows, w->db);
	if (error == ERR_OK)
		error = watch_rows_find(w->rows, w->list->generation, ca, e, row);
	w->missing = w->missing || error == ERR_NOT_FOUND;
	w->unreadable = w->unreadable || (error != ERR_OK && error != ERR_NOT_FOUND);
	if (error != ERR_OK)
		*row = (struct watch_record){0};
}

static void put_names(struct watch_view *w, uint32_t ca, const struct crl_entry *e)
{
	struct watch_record row;

	find_row(w, ca, e, &row);
	put_run(&w->out, ",\"names\":[", row.names);
	if (row.names_more > 0) {
		json_put(&w->out, ",\"names_more\":");
		json_put_number(&w->out, row.names_more);
	}
	put_run(&w->out, ",\"labels\":[", row.labels);
}

void watch_text_entry(struct watch_view *w, uint32_t ca, const struct crl_entry *e,
    bool bare, const struct change_window *window)
{
	char text[EVENTS_CHANGE_TEXT];

	json_put(&w->out, w->changes > 0 ? "," : "");
	json_put_bytes(&w->out, text, entry_text(w, e, text));
	w->changes++;
	if (bare)
		json_put(&w->out, ",\"names\":[],\"labels\":[]");
	else
		put_names(w, ca, e);
	json_put_bytes(&w->out, text, entry_end(w, e, window, text));
	w->full = w->out.n - w->begun >= WATCH_EVENT_BYTES || w->out.failed;
}

void watch_text_begin(struct watch_view *w, enum watch_entries what)
{
	w->begun = w->out.n;
	w->changes = 0;
	w->full = false;
	w->what = what;
}

/* Which changes of a batch. */

static int hit_cmp(const void *a, const void *b)
{
	const struct watch_hit *x = a, *y = b;

	if (x->change != y->change)
		return x->change < y->change ? -1 : 1;
	return x->ca < y->ca ? -1 : x->ca > y->ca;
}

/* In the order of changes, each once, at most room. */
static size_t hits_merge(struct watch_hit *hit, size_t n, size_t room)
{
	size_t kept = 0;

	qsort(hit, n, sizeof *hit, hit_cmp);
	for (size_t i = 0; i < n && kept < room; i++)
		if (kept == 0 || hit[kept - 1].change != hit[i].change)
			hit[kept++] = hit[i];
	return kept;
}

/* Batches of a list are parts of one order: what was passed over in the last one need not
 * be looked at again. */
static const struct watched *first_entry(const struct watch_view *w,
    const struct watch_index *x, uint32_t from, const struct watched *entries)
{
	bool on = x->sorted && from < x->n && w->entries == entries &&
		  w->last > entries && crl_order(w->last - 1, &x->change[from]) < 0;

	return on ? w->last : entries;
}

static size_t hits_of_ca(struct watch_view *w, const struct watch_index *x, uint32_t from,
    uint32_t ca, struct watch_hit *hit, size_t room)
{
	const struct watched *entries, *first;
	struct watch_match m;
	size_t count, n = 0, walked;

	entries = watch_list_of(w->list, ca, &count);
	if (count == 0)
		return 0;
	first = first_entry(w, x, from, entries);
	watch_match_start(&m, x, from, first, entries + count);
	first = m.entry; /* a leap to there */
	while (n < room) {
		const struct watched *entry;
		size_t i = watch_match_next(&m, &entry);

		if (i == x->n)
			break;
		hit[n++] = (struct watch_hit){(uint32_t)i, ca, watched_is_bare(entry)};
	}
	/* a step passes an entry at least, and a change */
	walked = x->sorted ? (size_t)(m.entry - first) + 1 : x->n;
	w->steps += walked < x->n - from ? walked : x->n - from;
	w->entries = entries;
	w->last = x->sorted ? m.entry : entries;
	return n;
}

/* The first ones from `from` on, of all CAs of this issuer. */
static size_t hits_find(struct watch_view *w, const struct change_batch *b,
    const struct watch_index *x, uint32_t from, size_t room)
{
	const struct watch_ca *ca = NULL;
	size_t n = 0;

	while ((ca = watch_cas_called(w->v->cas, b->issuer, ca)) != NULL) {
		size_t more = hits_of_ca(w, x, from, ca->id, w->hit + n, room);

		n = n > 0 && more > 0 ? hits_merge(w->hit, n + more, room) : n + more;
	}
	return n;
}

/* How many went in. */
static size_t put_hits(struct watch_view *w, const struct change_batch *b, size_t n)
{
	size_t done = 0;

	for (; done < n && !w->full; done++) {
		uint32_t i = w->hit[done].change;

		watch_text_entry(w, w->hit[done].ca, &b->change[i].entry,
		    w->hit[done].bare, b->window != NULL ? &b->window[i] : NULL);
	}
	return done;
}

/* The head, or the same once more where it stands: what it covers is known at the end. */
static void put_begin(struct watch_view *w, const struct change_batch *b,
    const struct change_pos *end, bool member, bool again)
{
	char text[EVENTS_HEAD_TEXT];
	size_t n = events_text_begin(b, end, member, text);

	if (!again)
		json_put_bytes(&w->out, text, n);
	else if (!w->out.failed)
		memcpy(w->out.p + w->begun, text, n);
}

static void put_changes(struct watch_view *w, const struct change_batch *b,
    const struct watch_index *x, struct change_pos *pos, uint32_t room, bool member)
{
	bool within = pos->epoch == b->epoch && pos->seq == b->seq && pos->index < b->n;
	uint32_t from = within ? pos->index : 0;
	size_t n = hits_find(w, b, x, from, room), done;

	watch_text_begin(w, b->kind == CHANGE_NOTICES ? WATCH_NOTICES : WATCH_CHANGES);
	*pos = (struct change_pos){b->epoch, b->seq, b->n};
	if (n == 0)
		return;
	put_begin(w, b, pos, member, false);
	done = put_hits(w, b, n);
	if (done < n || n == room) {
		pos->index = w->hit[done > 0 ? done - 1 : 0].change + 1;
		put_begin(w, b, pos, member, true);
	}
	json_put(&w->out, member ? "]}}" : "]}\n\n");
}

/* What is in force now, where rows of the list that was borrowed are gone. */
static bool is_newer(struct watch_view *w)
{
	const struct inventory *v = ledger_inventory(w->shared);
	const struct watch_list *list;

	if (!w->missing || v == w->v)
		return false;
	list = inventory_list(v, w->list->name);
	watch_view_rest(w); /* the file as it was may not have its rows */
	w->missing = false;
	w->v = v;
	if (list != NULL)
		w->list = list;
	return true;
}

void watch_text_changes(struct watch_view *w, const struct change_batch *b,
    const struct watch_index *x, struct change_pos *pos, uint32_t room, bool member)
{
	const struct change_pos from = *pos;
	size_t before = w->out.n;

	assert(room >= 1 && room <= EVENTS_CHANGES);
	put_changes(w, b, x, pos, room, member);
	if (!is_newer(w))
		return;
	w->out.n = before;
	*pos = from;
	put_changes(w, b, x, pos, room, member);
}

uint32_t watch_text_count(struct watch_view *w, const struct change_batch *b,
    const struct watch_index *x, uint32_t from, uint32_t *last)
{
	uint32_t count = 0;
	size_t n = EVENTS_CHANGES;

	while (n == EVENTS_CHANGES) {
		n = hits_find(w, b, x, from, EVENTS_CHANGES);
		if (n > 0)
			from = *last = w->hit[n - 1].change + 1;
		count += (uint32_t)n;
	}
	return count;
}

/* A snapshot. */

/* The CA that *c is at, or the next one that goes by the issuer's name; NULL: none. */
static const struct watch_ca *ca_at(
    const struct watch_cas *cas, const char *issuer, const struct watch_cursor *c)
{
	return c->ca != 0 ? watch_cas_at(cas, c->ca)
			  : watch_cas_called(cas, issuer, NULL);
}

static void next_ca(const struct watch_cas *cas, const char *issuer,
    const struct watch_ca *ca, struct watch_cursor *c)
{
	const struct watch_ca *next =
	    ca != NULL ? watch_cas_called(cas, issuer, ca) : NULL;

	c->ca = next != NULL ? next->id : 0;
	c->at = 0;
	if (next == NULL)
		c->issuer++;
}

/* Does one of the CAs before this one have it too? */
static bool is_told(const struct watch_list *list, const struct watch_cas *cas,
    const char *issuer, const struct watch_ca *ca, const struct serial *serial)
{
	const struct watch_ca *o = NULL;

	while ((o = watch_cas_called(cas, issuer, o)) != NULL && o != ca)
		if (watch_list_find(list, o->id, serial) != NULL)
			return true;
	return false;
}

struct picked { /* of a slice */
	struct {
		const struct crl_entry *entry;
		size_t at; /* where in the list it is */
		bool bare;
	} of[WATCH_PICK];
	size_t n, next;
	bool from_list; /* all of them, or none */
};

/* Revoked ones, of one evidence, from entry `at` on. */
static void pick(struct watch_view *w, const struct snapshot_issuer *of,
    const struct watch_list *list, const struct watch_cas *cas, const struct watch_ca *ca,
    size_t at, struct picked *p)
{
	size_t count, end = at + SLICE;
	const struct watched *entries = watch_list_of(list, ca->id, &count);

	*p = (struct picked){.next = at};
	for (; p->next < count && p->next < end && p->n < WATCH_PICK; p->next++) {
		struct crl_entry key = {0};
		const struct crl_entry *e;
		struct serial serial;
		bool from_list;

		watched_serial(&entries[p->next], &serial);
		crl_entry_set_serial(&key, &serial);
		e = snapshot_find(of, &key, &from_list);
		if (e == NULL || is_told(list, cas, of->name, ca, &serial))
			continue;
		if (p->n > 0 && from_list != p->from_list)
			break;
		p->from_list = from_list;
		p->of[p->n].entry = e;
		p->of[p->n].at = p->next;
		p->of[p->n++].bare =
		    list == w->list && watched_is_bare(&entries[p->next]);
	}
	w->steps += p->next - at + 1;
}

static void put_snapshot_begin(struct watch_view *w, const struct snapshot *s,
    const struct snapshot_issuer *of, bool from_list)
{
	bool one = from_list && of->set != NULL && of->set->shards_n == 1;
	const struct events_snapshot text = {.issuer = of->name,
	    .at = s->at,
	    .evidence = from_list ? CHANGE_CRL : CHANGE_OCSP,
	    .list = one ? &of->set->shard[0].facts : NULL};
	char head[EVENTS_FRAME_TEXT];

	json_put_bytes(&w->out, head, events_text_snapshot_begin(&text, head));
}

bool watch_text_snapshot(struct watch_view *w, const struct snapshot *s,
    const struct watch_list *list, const struct watch_cas *cas, struct watch_cursor *c)
{
	const struct snapshot_issuer *of;
	const struct watch_ca *ca;
	struct picked p;
	size_t count = 0;

	watch_text_begin(w, WATCH_REVOKED);
	if (c->issuer == s->n)
		return false;
	of = &s->of[c->issuer];
	ca = access_issuer(w->access, of->name) ? ca_at(cas, of->name, c) : NULL;
	if (ca != NULL)
		watch_list_of(list, ca->id, &count);
	if (ca == NULL || c->at >= count) {
		w->steps++;
		next_ca(cas, of->name, ca, c);
		return true;
	}
	c->ca = ca->id;
	pick(w, of, list, cas, ca, c->at, &p);
	c->at = p.next;
	if (p.n == 0)
		return true;
	put_snapshot_begin(w, s, of, p.from_list);
	for (size_t i = 0; i < p.n && !w->full; i++) {
		watch_text_entry(w, ca->id, p.of[i].entry, p.of[i].bare, NULL);
		c->at = p.of[i].at + 1;
	}
	if (!w->full)
		c->at = p.next;
	json_put(&w->out, "]}\n\n");
	return true;
}
