/* page.c - rows as they are found, their status as it is known. */
#include "proxy/watch/page.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>

#include "cache/watch/watch_candidate.h"
#include "proxy/base/executor.h"
#include "proxy/base/json_line.h"
#include "proxy/watch/ari_board.h"
#include "proxy/watch/known.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/noticed.h"
#include "proxy/watch/replaced.h"
#include "proxy/watch/sieve.h"
#include "proxy/watch/usage.h"
#include "proxy/watch/verdicts.h"
#include "proxy/watch/watch_reply.h"

/* Looked at in one turn of the loop, where most of it may have another status. */
#define SLICE 256

/* A certificate that was found; its texts stand in page.texts. */
struct page_row {
	struct watch_place place;
	size_t head, middle, end; /* head to middle; status; middle to end; the rest */
	size_t on, on_n;          /* its lists: those of page.on */
	/* when it is known: */
	bool taken, covered;
	struct evidence evidence;
	int64_t last_asked;
	size_t by, by_n; /* of who is hit: those of page.replaced */
};

struct page {
	struct watch_context *context;
	struct watch_ask *ask;
	struct known *known; /* a reference, as the next: for the search thread */
	const struct inventory *v;
	const struct ari_noticed *ari; /* the same */
	struct verdicts *verdicts;
	struct replaced *replaced;
	struct sieve *sieve; /* or NULL */
	struct page_row row[WATCH_PAGE_MAX];
	size_t n;
	size_t *on; /* places in v->list */
	size_t on_n, on_room;
	struct json_line texts, out;
	struct watch_place next; /* ca 0: that was all */
	size_t told, looked_at;
	size_t fetched;            /* of the sieve's */
	struct watch_place wanted; /* the one that is fetched */
	enum err error;            /* of the search */
};

static void page_free(struct page *p)
{
	verdicts_free(p->verdicts);
	replaced_free(p->replaced);
	sieve_free(p->sieve);
	known_unref(p->known);
	inventory_unref(p->v);
	ari_noticed_unref(p->ari);
	free(p->on);
	free(p->texts.p);
	free(p->out.p);
	free(p);
}

static void fail(struct page *p, enum err e)
{
	struct refusal r;

	if (e == ERR_NOT_FOUND) {
		refusal_of_list(&r, p->context);
		watch_reply_refuse(p->ask, &r);
	} else {
		watch_reply_fail(p->ask, p->context, e);
	}
	page_free(p);
}

/* A row. */

/* Texts of several runs, each once. */
static void put_texts(struct json_line *l, const struct watch_found *f, bool labels)
{
	json_t *seen = f->lists_n > 1 ? json_object() : NULL;
	const char *comma = "";

	json_put(l, "[");
	for (size_t n = 0; n < f->lists_n; n++) {
		const struct watch_record *row = &f->on[n].row;
		struct bytes run = labels ? row->labels : row->names, text;

		while (watch_run_next(&run, &text)) {
			if (seen != NULL &&
			    json_object_getn(seen, (const char *)text.p, text.n) != NULL)
				continue;
			if (seen != NULL)
				json_object_setn_new_nocheck(
				    seen, (const char *)text.p, text.n, json_true());
			json_put(l, comma);
			json_put_string(l, text);
			comma = ",";
		}
	}
	json_put(l, "]");
	json_decref(seen);
}

static uint64_t names_more(const struct watch_found *f)
{
	uint64_t more = 0;

	for (size_t n = 0; n < f->lists_n; n++)
		if (f->on[n].row.names_more > more)
			more = f->on[n].row.names_more;
	return more;
}

/* Up to the status. */
static void put_head(struct page *p, const struct watch_found *f, const char *issuer)
{
	struct json_line *l = &p->texts;
	char serial[SERIAL_HEX_MAX];
	const char *dn = f->ca->dn;

	if (dn[0] == '\0')
		dn = known_dn(p->known, issuer);
	serial_to_hex(&f->serial, serial);
	json_put(l, "{\"issuer\":");
	json_put_text(l, issuer[0] != '\0' ? issuer : NULL);
	json_put(l, ",\"issuer_name\":");
	json_put_text(l, dn[0] != '\0' ? dn : NULL);
	json_put(l, ",\"serial\":\"");
	json_put(l, serial);
	json_put(l, "\",\"names\":");
	put_texts(l, f, false);
	if (names_more(f) > 0) {
		json_put(l, ",\"names_more\":");
		json_put_number(l, names_more(f));
	}
	json_put(l, ",\"not_before\":");
	json_put_time(l, f->not_before);
	json_put(l, ",\"not_after\":");
	json_put_time(l, f->not_after);
}

static void put_notice(struct json_line *l, const char *comma, const char *incident,
    int64_t deadline, const char *url)
{
	json_put(l, comma);
	json_put(l, "{\"source\":");
	json_put(l, incident != NULL ? "\"incident\"" : "\"ari\"");
	json_put(l, ",\"incident\":");
	json_put_text(l, incident);
	json_put(l, ",\"deadline\":");
	json_put_time(l, deadline);
	json_put(l, ",\"url\":");
	json_put_text(l, url[0] != '\0' ? url : NULL);
	json_put(l, "}");
}

/* The incidents in force that it stands on, and what its CA says of renewing it; whether
 * it is revoked is not asked: the row says so.  More than so many are not shown. */
#define NOTICES_MAX 16
static void put_notices(struct page *p, const struct watch_found *f)
{
	const struct incident *on[NOTICES_MAX];
	struct json_line *l = &p->texts;
	const struct ari_notice *ari;
	struct watched key;
	size_t n = incidents_with(
	    p->v->incidents, p->v->cas, f->ca->id, &f->serial, on, NOTICES_MAX);

	json_put(l, ",\"notices\":[");
	for (size_t i = 0; i < n && i < NOTICES_MAX; i++) {
		const struct incident_about *about = &on[i]->about;

		put_notice(l, i > 0 ? "," : "", about->name, about->deadline, about->url);
	}
	watched_set(&key, &f->serial, WATCH_TIME_NONE, false);
	ari = ari_noticed_find(p->ari, f->ca->id, &key);
	if (ari != NULL)
		put_notice(l, n > 0 ? "," : "", NULL, WATCH_TIME_NONE,
		    ari_noticed_url(p->ari, ari));
	json_put(l, "]");
}

/* Behind it. */
static void put_tail(struct page *p, const struct watch_found *f)
{
	struct json_line *l = &p->texts;

	json_put(l, ",\"watchlists\":[");
	for (size_t n = 0; n < f->lists_n; n++) {
		json_put(l, n > 0 ? "," : "");
		json_put_text(l, f->on[n].list);
	}
	json_put(l, "],\"labels\":");
	put_texts(l, f, true);
	put_notices(p, f);
}

/* The issuer's name as it is configured now; "": it is not. */
static const char *issuer_now(const struct page *p, const struct watch_ca *ca)
{
	const struct issuer *i = issuers_named(p->known->issuers, ca->issuer);

	return i != NULL ? i->name : "";
}

/* On which lists it is, of those in force when the page began.  False: out of memory. */
static bool put_on(struct page *p, struct page_row *r, const struct watch_found *f)
{
	size_t *more, room = p->on_n + f->lists_n + WATCH_PAGE_MAX;

	if (p->on_n + f->lists_n > p->on_room) {
		more = realloc(p->on, room * sizeof *more);
		if (more == NULL)
			return false;
		p->on = more;
		p->on_room = room;
	}
	r->on = p->on_n;
	for (size_t n = 0; n < f->lists_n; n++) {
		size_t place = inventory_place(p->v, f->on[n].list);

		if (place < p->v->n)
			p->on[p->on_n++] = place;
	}
	r->on_n = p->on_n - r->on;
	return true;
}

static bool row_make(struct page *p, const struct watch_found *f, const char *issuer)
{
	struct page_row *r = &p->row[p->n++];

	assert(p->n <= WATCH_PAGE_MAX);
	r->place = (struct watch_place){f->ca->id, f->serial};
	r->head = p->texts.n;
	put_head(p, f, issuer);
	r->middle = p->texts.n;
	put_tail(p, f);
	r->end = p->texts.n;
	return put_on(p, r, f);
}

static bool is_named(const struct watch_record *row, struct bytes asked)
{
	struct bytes run = row->names, name;

	while (watch_run_next(&run, &name))
		if (watch_name_fits(name, asked))
			return true;
	return asked.n == 0;
}

/* The same certificate as only the lists tell it that the asker sees: names, labels and
 * dates of others are not there, nor does it fit the filter by them.  on has room for as
 * many as f has; false: there is none. */
static bool narrow(const struct page *p, struct watch_found *f, struct watch_on *on)
{
	const struct watch_filter *want = &p->ask->filter;
	bool named = false;
	size_t n = 0;

	f->not_before = f->not_after = WATCH_TIME_NONE;
	for (size_t i = 0; i < f->lists_n; i++) {
		const struct watch_record *row = &f->on[i].row;

		if (!access_list(p->ask->access, f->on[i].list))
			continue;
		if (f->not_before == WATCH_TIME_NONE)
			f->not_before = row->not_before;
		if (f->not_after == WATCH_TIME_NONE ||
		    (row->not_after != WATCH_TIME_NONE && row->not_after < f->not_after))
			f->not_after = row->not_after;
		named |= is_named(row, bytes_of(want->name, strlen(want->name)));
		on[n++] = f->on[i];
	}
	f->on = on;
	f->lists_n = n;
	return named && (want->expires_before == INT64_MAX ||
			    (f->not_after != WATCH_TIME_NONE &&
				f->not_after < want->expires_before));
}

static bool take_found(struct page *p, const struct watch_found *f, const char *issuer)
{
	if (!row_make(p, f, issuer) || !verdicts_add(p->verdicts, issuer, &f->serial))
		p->error = ERR_NOMEM;
	return p->error == ERR_OK;
}

static bool on_found(void *arg, const struct watch_found *f)
{
	struct page *p = arg;
	const char *issuer = issuer_now(p, f->ca);
	struct watch_found seen = *f;
	struct watch_on *on;
	bool taken;

	if (!noticed_fits(&p->ask->filter, p->v, p->ari, f->ca->id, &f->serial))
		return false;
	if (!access_is_narrow(p->ask->access))
		return take_found(p, f, issuer);
	if (!access_issuer(p->ask->access, issuer))
		return false;
	on = calloc(f->lists_n + 1, sizeof *on);
	if (on == NULL) {
		p->error = ERR_NOMEM;
		return false;
	}
	taken = narrow(p, &seen, on) && take_found(p, &seen, issuer);
	free(on);
	return taken;
}

/* Exactly this one, under whichever number of its CA. */
static bool on_wanted(void *arg, const struct watch_found *f)
{
	struct page *p = arg;
	const struct watch_ca *ca = watch_cas_at(p->v->cas, p->wanted.ca);
	bool same =
	    f->ca->id == p->wanted.ca || (ca != NULL && ca->issuer[0] != '\0' &&
					     strcmp(f->ca->issuer, ca->issuer) == 0);

	if (same && serial_equal(&f->serial, &p->wanted.serial))
		on_found(p, f);
	return true;
}

/* The latest of those on all its lists. */
static const struct watch_newer *replaced_by(
    const struct page *p, const struct page_row *r)
{
	const struct watch_newer *by = NULL;

	for (size_t i = r->by; i < r->by + r->by_n; i++) {
		const struct watch_newer *x = replaced_at(p->replaced, i);

		if (x != NULL && (by == NULL || x->not_before > by->not_before))
			by = x;
	}
	return by;
}

static void put_replaced(
    const struct page *p, struct json_line *l, const struct watch_newer *by)
{
	char serial[SERIAL_HEX_MAX];
	const char *issuer;

	json_put(l, ",\"replaced_by\":");
	if (by == NULL) {
		json_put(l, "null");
		return;
	}
	issuer = replaced_issuer(p->replaced, by);
	serial_to_hex(&by->serial, serial);
	json_put(l, "{\"issuer\":");
	json_put_text(l, issuer[0] != '\0' ? issuer : NULL);
	json_put(l, ",\"serial\":\"");
	json_put(l, serial);
	json_put(l, "\"}");
}

static void put_status(struct json_line *l, const struct evidence *e)
{
	bool revoked = e->status == STATUS_REVOKED;

	json_put(l, ",\"status\":\"");
	json_put(l, status_name(e->status));
	json_put(l, "\",\"revoked_at\":");
	if (revoked)
		json_put_time(l, e->revoked_at);
	else
		json_put(l, "null");
	json_put(l, ",\"reason\":");
	json_put_text(l, revoked ? reason_name(e->reason) : NULL);
}

static void put_row(struct page *p, const struct page_row *r)
{
	struct json_line *l = &p->out;

	json_put(l, p->told++ > 0 ? ",\n" : "");
	json_put_bytes(l, p->texts.p + r->head, r->middle - r->head);
	put_status(l, &r->evidence);
	json_put_bytes(l, p->texts.p + r->middle, r->end - r->middle);
	put_replaced(p, l, replaced_by(p, r));
	json_put(l, ",\"last_asked\":");
	json_put_time(l, r->last_asked);
	json_put(l, ",\"covered\":");
	json_put(l, r->covered ? "true}" : "false}");
}

/* The page. */

static void finish(struct page *p)
{
	char next[WATCH_PLACE_TEXT_MAX];

	json_put(&p->out, "],\"next\":");
	if (p->next.ca != 0)
		watch_place_text(&p->next, next);
	json_put_text(&p->out, p->next.ca != 0 ? next : NULL);
	json_put(&p->out, "}\n");
	watch_reply(p->ask, &p->out);
	page_free(p);
}

static void query_make(const struct page *p, struct watch_query *q)
{
	const struct watch_filter *f = &p->ask->filter;

	*q = (struct watch_query){.name = bytes_of(f->name, strlen(f->name)),
	    .issuer = f->issuer[0] != '\0' ? f->issuer : NULL,
	    .list = f->list[0] != '\0' ? f->list : NULL,
	    .expires_before = f->expires_before,
	    .from = p->next,
	    .inventory = p->v};
}

/* Is each certificate that the search finds a row? */
static bool is_each_one(const struct watch_filter *f)
{
	return f->status == STATUS_NONE && f->covered == WATCH_COVERED_OR_NOT &&
	       !noticed_is_asked(f);
}

/* The search thread: a search may look at 100,000 rows, and no barrier waits for that. */

static void look_work(void *arg)
{
	struct page *p = arg;
	const struct watch_filter *f = &p->ask->filter;
	size_t room = f->limit - p->told;
	struct watch_query q;
	enum err e;

	query_make(p, &q);
	q.limit = is_each_one(f) ? room : SLICE; /* the page is of one moment */
	e = watch_search(ledger_db(p->context->ledger), &q, on_found, p, &p->next);
	if (p->error == ERR_OK)
		p->error = e;
}

/* Rows for the next places that the sieve has found; what is gone meanwhile is left out.
 */
static void fetch_work(void *arg)
{
	struct page *p = arg;
	size_t end = p->fetched + SLICE;

	for (;
	     p->error == ERR_OK && p->fetched < end && p->fetched < sieve_count(p->sieve);
	     p->fetched++) {
		struct watch_place next;
		struct watch_query q;
		enum err e;

		p->wanted = *sieve_at(p->sieve, p->fetched);
		query_make(p, &q);
		q.from = sieve_before(&p->wanted);
		q.limit = 2; /* a CA of the same DN may have the same serial */
		e = watch_search(ledger_db(p->context->ledger), &q, on_wanted, p, &next);
		if (p->error == ERR_OK)
			p->error = e;
	}
}

/* The inventory thread. */

static void on_searched(void *arg)
{
	struct page *p = arg;

	assert(p->context->away > 0);
	p->context->away--;
	if (p->error == ERR_OK && p->texts.failed)
		p->error = ERR_NOMEM;
	if (p->error != ERR_OK)
		fail(p, p->error);
	else
		verdicts_ask(p->verdicts);
}

static void search(struct page *p, void (*work)(void *arg))
{
	if (p->context->stopping) {
		fail(p, ERR_CANCELLED);
		return;
	}
	p->n = p->on_n = p->texts.n = 0;
	verdicts_clear(p->verdicts);
	p->context->away++;
	executor_run(p->context->search, work, on_searched, p);
}

/* One that is hit: on any of its lists somebody may stand in for it. */
static bool look_for_newer(struct page *p, struct page_row *r)
{
	bool ok = true;

	r->by = replaced_count(p->replaced);
	for (size_t i = r->on; ok && i < r->on + r->on_n; i++)
		ok = replaced_add_found(
		    p->replaced, p->on[i], r->place.ca, &r->place.serial);
	r->by_n = replaced_count(p->replaced) - r->by;
	return ok;
}

/* Does number n fit?  Then what is told of it is known but for who stands in for it.
 * False: out of memory. */
static bool judge(struct page *p, size_t n)
{
	const struct watch_filter *f = &p->ask->filter;
	struct page_row *r = &p->row[n];

	verdicts_at(p->verdicts, n, &r->evidence);
	r->covered = verdicts_is_covered(p->verdicts, n);
	r->last_asked = usage_last(
	    p->context->usage, verdicts_issuer(p->verdicts, n), &r->place.serial);
	r->taken = (f->status == STATUS_NONE || r->evidence.status == f->status) &&
		   (f->covered == WATCH_COVERED_OR_NOT ||
		       r->covered == (f->covered == WATCH_COVERED));
	r->by_n = 0;
	if (!r->taken || (r->evidence.status != STATUS_REVOKED &&
			     !noticed_is(p->v, p->ari, r->place.ca, &r->place.serial)))
		return true;
	return look_for_newer(p, r);
}

/* The rows that fit; those behind a page that is full are looked at anew by the next.
 * False: out of memory. */
static bool take_rows(struct page *p)
{
	size_t told = p->told, n = 0;
	bool ok = true;

	replaced_begin(p->replaced, p->v, p->ask->access);
	for (; ok && n < p->n; n++) {
		if (told == p->ask->filter.limit) {
			p->next = p->row[n - 1].place;
			break;
		}
		ok = judge(p, n);
		told += p->row[n].taken;
	}
	if (n == p->n)
		p->looked_at += p->n > 0 ? p->n : SLICE;
	p->n = n;
	return ok;
}

static void go_on(struct page *p)
{
	if (p->next.ca == 0 || p->told == p->ask->filter.limit ||
	    p->looked_at >= PAGE_LOOK_MAX)
		finish(p);
	else
		search(p, look_work);
}

static void fetch_on(struct page *p)
{
	size_t n = sieve_count(p->sieve);

	if (p->fetched < n) {
		search(p, fetch_work);
		return;
	}
	p->next = (struct watch_place){.ca = 0};
	if (sieve_has_more(p->sieve))
		p->next = *sieve_at(p->sieve, n - 1);
	finish(p);
}

static void on_sieved(void *arg, enum err e)
{
	struct page *p = arg;

	if (e != ERR_OK)
		fail(p, e);
	else
		fetch_on(p);
}

static void put_rows(struct page *p)
{
	for (size_t n = 0; n < p->n; n++)
		if (p->row[n].taken)
			put_row(p, &p->row[n]);
	if (p->sieve != NULL)
		fetch_on(p);
	else
		go_on(p);
}

static void on_replaced(void *arg)
{
	struct page *p = arg;
	enum err e = replaced_error(p->replaced);

	if (e != ERR_OK)
		fail(p, e);
	else
		put_rows(p);
}

static void on_verdicts(void *arg)
{
	struct page *p = arg;

	if (verdicts_error(p->verdicts) != ERR_OK || !take_rows(p))
		fail(p, ERR_NOMEM);
	else if (replaced_count(p->replaced) > 0)
		replaced_ask(p->replaced);
	else
		put_rows(p);
}

static void begin(struct page *p)
{
	const struct watch_filter *f = &p->ask->filter;
	enum err e = ERR_OK;

	json_put(&p->out, "{\"certificates\":[");
	if (sieve_fits(p->context, f))
		p->sieve = sieve_new(p->context, f, on_sieved, p, &e);
	if (e != ERR_OK)
		fail(p, e);
	else if (p->sieve == NULL)
		search(p, look_work);
}

void page_make(struct watch_context *context, struct watch_ask *a)
{
	struct page *p = calloc(1, sizeof *p);

	if (p != NULL)
		p->verdicts = verdicts_new(context, on_verdicts, p);
	if (p != NULL)
		p->replaced = replaced_new(context, on_replaced, p);
	if (p == NULL || p->verdicts == NULL || p->replaced == NULL) {
		if (p != NULL) {
			verdicts_free(p->verdicts);
			replaced_free(p->replaced);
		}
		free(p);
		watch_reply_fail(a, context, ERR_NOMEM);
		return;
	}
	p->context = context;
	p->known = known_ref(context->known);
	p->v = inventory_ref(ledger_inventory(context->shared));
	p->ari = ari_board_get(context->shared);
	verdicts_watch(p->verdicts, p->v);
	p->ask = a;
	p->next = a->filter.from;
	begin(p);
}
