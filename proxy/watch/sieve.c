/* sieve.c - a walk for each CA, and a sorted array of the first ones. */
#include "proxy/watch/sieve.h"

#include <assert.h>
#include <stdlib.h>

#include "cache/watch/inventory.h"
#include "proxy/watch/ari_board.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/noticed.h"
#include "proxy/watch/verdicts.h"

#define BATCH 4096

/* A CA that is wanted, and where it stands among all. */
struct sieve_ca {
	const struct watch_ca *ca;
	uint32_t dn, who; /* ranks: of its DN; the first id of those that are one */
	bool wanted;
};

struct sieve_row {
	uint32_t ca; /* place in sieve.ca */
	struct serial serial;
};

struct sieve {
	struct watch_context *context;
	const struct watch_filter *filter;
	void (*done)(void *arg, enum err e);
	void *arg;
	const struct inventory *v;     /* a reference: all lists, or the one */
	const struct inventory *all;   /* a reference */
	const struct ari_noticed *ari; /* the same */
	struct verdicts *verdicts;
	struct sieve_ca *ca; /* by DN, issuer and id, as the search has them */
	size_t ca_n, at;
	struct inventory_walk *walk; /* of ca[at]; NULL: not begun */
	struct sieve_row from;       /* behind this one; with begun */
	bool begun;
	struct sieve_row seen[BATCH];
	struct sieve_row best[WATCH_PAGE_MAX + 2];
	struct watch_place place[WATCH_PAGE_MAX + 1]; /* of best, at the end */
	size_t best_n;
};

/* Order. */

static int ca_order(const void *a, const void *b)
{
	const struct watch_ca *x = ((const struct sieve_ca *)a)->ca;
	const struct watch_ca *y = ((const struct sieve_ca *)b)->ca;
	int order = strcmp(x->dn, y->dn);

	if (order == 0)
		order = strcmp(x->issuer, y->issuer);
	return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

static int row_order(
    const struct sieve *s, const struct sieve_row *a, const struct sieve_row *b)
{
	const struct sieve_ca *x = &s->ca[a->ca], *y = &s->ca[b->ca];
	int order;

	if (x->dn != y->dn)
		return x->dn < y->dn ? -1 : 1;
	if (a->serial.n != b->serial.n)
		return a->serial.n < b->serial.n ? -1 : 1;
	order = memcmp(a->serial.octets, b->serial.octets, a->serial.n);
	return order != 0 ? order : (x->who > y->who) - (x->who < y->who);
}

static void rank_cas(struct sieve *s)
{
	for (size_t i = 0; i < s->ca_n; i++) {
		struct sieve_ca *c = &s->ca[i], *last = i > 0 ? c - 1 : NULL;
		bool dn = last != NULL && strcmp(last->ca->dn, c->ca->dn) == 0;
		bool same = dn && c->ca->issuer[0] != '\0' &&
			    strcmp(last->ca->issuer, c->ca->issuer) == 0;

		c->dn = last == NULL ? 0 : last->dn + !dn;
		c->who = same ? last->who : c->ca->id;
	}
}

static bool choose_cas(struct sieve *s)
{
	const struct watch_cas *cas = s->v->cas;
	const char *issuer = s->filter->issuer;

	s->ca = calloc(cas->n + 1, sizeof *s->ca);
	if (s->ca == NULL)
		return false;
	for (size_t i = 0; i < cas->n; i++)
		s->ca[s->ca_n++] =
		    (struct sieve_ca){.ca = &cas->ca[i], .wanted = issuer[0] == '\0'};
	for (const struct watch_ca *c = NULL;
	     issuer[0] != '\0' && (c = watch_cas_called(cas, issuer, c)) != NULL;)
		s->ca[c - cas->ca].wanted = true;
	qsort(s->ca, s->ca_n, sizeof *s->ca, ca_order);
	rank_cas(s);
	for (size_t i = 0; i < s->ca_n; i++)
		if (s->ca[i].ca->id == s->filter->from.ca) {
			s->begun = true;
			s->from = (struct sieve_row){(uint32_t)i, s->filter->from.serial};
		}
	return true;
}

/* Keep it where it is one of the first. */
static void keep(struct sieve *s, const struct sieve_row *row)
{
	size_t low = 0, high = s->best_n, room = s->filter->limit + 1;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = row_order(s, &s->best[middle], row);

		if (order == 0) /* under another number of its CA */
			return;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == room)
		return;
	memmove(&s->best[low + 1], &s->best[low], (s->best_n - low) * sizeof *row);
	s->best[low] = *row;
	if (s->best_n < room)
		s->best_n++;
}

/* The walk. */

static bool is_asked_for(
    const struct sieve *s, const struct watched *w, const struct sieve_row *row)
{
	int64_t at = watched_not_after(w);

	if (s->filter->expires_before != INT64_MAX &&
	    (at == WATCH_TIME_NONE || at >= s->filter->expires_before))
		return false;
	if (s->begun && row_order(s, row, &s->from) <= 0)
		return false;
	return !noticed_is_asked(s->filter) || noticed_fits(s->filter, s->all, s->ari,
						   s->ca[row->ca].ca->id, &row->serial);
}

/* What a list does not have verified another may have. */
static bool judge(struct sieve *s, const char *issuer, const struct watched *w,
    const struct sieve_row *row)
{
	struct evidence_watch watch = evidence_watch_of(w);

	return watch.verified || s->v == s->all
		   ? verdicts_add_watched(s->verdicts, issuer, &row->serial, &watch)
		   : verdicts_add(s->verdicts, issuer, &row->serial);
}

static enum err gather_ca(struct sieve *s, const char *issuer, size_t *passed)
{
	struct watched w;

	while (*passed < BATCH && inventory_walk_next(s->walk, &w)) {
		struct sieve_row *row = &s->seen[verdicts_count(s->verdicts)];

		(*passed)++;
		row->ca = (uint32_t)s->at;
		watched_serial(&w, &row->serial);
		if (!is_asked_for(s, &w, row))
			continue;
		if (s->filter->status == STATUS_NONE &&
		    s->filter->covered == WATCH_COVERED_OR_NOT)
			keep(s, row);
		else if (!judge(s, issuer, &w, row))
			return ERR_NOMEM;
	}
	if (*passed < BATCH) {
		inventory_walk_free(s->walk);
		s->walk = NULL;
		s->at++;
	}
	return ERR_OK;
}

static const char *issuer_now(const struct sieve *s, const struct watch_ca *ca)
{
	const struct issuer *i =
	    issuers_named(shared_conf(s->context->shared)->issuers, ca->issuer);

	return i != NULL ? i->name : "";
}

static enum err gather(struct sieve *s)
{
	enum err e = ERR_OK;

	for (size_t passed = 0; e == ERR_OK && s->at < s->ca_n && passed < BATCH;) {
		const struct sieve_ca *c = &s->ca[s->at];

		if (!c->wanted) {
			s->at++;
			continue;
		}
		if (s->walk == NULL)
			s->walk = inventory_walk_new(s->v, c->ca->id, NULL);
		e = s->walk != NULL ? gather_ca(s, issuer_now(s, c->ca), &passed)
				    : ERR_NOMEM;
	}
	return e;
}

static void end(struct sieve *s, enum err e)
{
	for (size_t i = 0; i < s->best_n; i++)
		s->place[i] =
		    (struct watch_place){s->ca[s->best[i].ca].ca->id, s->best[i].serial};
	s->done(s->arg, e);
}

/* Of most nothing says revoked, which is told without a look at the answers. */
static bool is_of_status(const struct sieve *s, size_t i)
{
	enum status wanted = s->filter->status;

	return wanted == STATUS_NONE ||
	       (wanted == STATUS_REVOKED ? verdicts_is_revoked(s->verdicts, i)
					 : verdicts_status(s->verdicts, i) == wanted);
}

static bool is_one(const struct sieve *s, size_t i)
{
	enum watch_covered wanted = s->filter->covered;

	return is_of_status(s, i) &&
	       (wanted == WATCH_COVERED_OR_NOT ||
		   verdicts_is_covered(s->verdicts, i) == (wanted == WATCH_COVERED));
}

static void on_verdicts(void *arg)
{
	struct sieve *s = arg;
	size_t n = verdicts_count(s->verdicts);
	enum err e = verdicts_error(s->verdicts);

	for (size_t i = 0; e == ERR_OK && i < n; i++)
		if (is_one(s, i))
			keep(s, &s->seen[i]);
	if (s->context->stopping)
		e = ERR_CANCELLED;
	if (e != ERR_OK || s->at == s->ca_n) {
		end(s, e);
		return;
	}
	verdicts_clear(s->verdicts);
	e = gather(s);
	if (e == ERR_OK)
		verdicts_ask(s->verdicts);
	else
		end(s, e);
}

/* Life. */

/* All lists, or the one. */
static enum err choose_lists(struct sieve *s)
{
	const struct inventory *v = ledger_inventory(s->context->shared);
	const struct watch_list *l;

	s->all = inventory_ref(v);
	s->ari = ari_board_get(s->context->shared);
	verdicts_watch(s->verdicts, v);
	if (s->filter->list[0] == '\0') {
		s->v = inventory_ref(v);
		return ERR_OK;
	}
	l = inventory_list(v, s->filter->list);
	if (l == NULL)
		return ERR_NOT_FOUND;
	s->v = inventory_with(&inventory_none, l, v->cas, v->points);
	return s->v != NULL ? ERR_OK : ERR_NOMEM;
}

struct sieve *sieve_new(struct watch_context *context, const struct watch_filter *f,
    void (*done)(void *arg, enum err e), void *arg, enum err *e)
{
	struct sieve *s = calloc(1, sizeof *s);

	*e = ERR_NOMEM;
	if (s == NULL)
		return NULL;
	s->context = context;
	s->filter = f;
	s->done = done;
	s->arg = arg;
	s->verdicts = verdicts_new(context, on_verdicts, s);
	if (s->verdicts != NULL)
		*e = choose_lists(s);
	if (*e == ERR_OK && !choose_cas(s))
		*e = ERR_NOMEM;
	if (*e == ERR_OK)
		*e = gather(s);
	if (*e == ERR_OK) {
		verdicts_ask(s->verdicts); /* also for none: a turn has its end */
		return s;
	}
	sieve_free(s);
	return NULL;
}

/* Certificates that are walked through for it. */
static size_t entries_of(const struct watch_context *context, const char *list)
{
	const struct inventory *v = ledger_inventory(context->shared);
	const struct watch_list *l = list[0] != '\0' ? inventory_list(v, list) : NULL;

	return list[0] == '\0' ? v->entries : l != NULL ? l->n : 0;
}

bool sieve_fits(const struct watch_context *context, const struct watch_filter *f)
{
	if (f->name[0] != '\0')
		return false;
	if (noticed_is_asked(f) || f->status != STATUS_NONE ||
	    f->covered != WATCH_COVERED_OR_NOT || f->expires_before != INT64_MAX)
		return true;
	return (f->list[0] != '\0' || f->issuer[0] != '\0') &&
	       entries_of(context, f->list) <= SIEVE_FEW;
}

void sieve_free(struct sieve *s)
{
	if (s == NULL)
		return;
	inventory_walk_free(s->walk);
	verdicts_free(s->verdicts);
	inventory_unref(s->v);
	inventory_unref(s->all);
	ari_noticed_unref(s->ari);
	free(s->ca);
	free(s);
}

size_t sieve_count(const struct sieve *s)
{
	return s->best_n < s->filter->limit ? s->best_n : s->filter->limit;
}

const struct watch_place *sieve_at(const struct sieve *s, size_t i)
{
	assert(i < s->best_n);
	return &s->place[i];
}

bool sieve_has_more(const struct sieve *s)
{
	return s->best_n > s->filter->limit;
}

struct watch_place sieve_before(const struct watch_place *p)
{
	struct watch_place before = *p;
	size_t i = before.serial.n;

	while (i > 0 && before.serial.octets[i - 1] == 0)
		before.serial.octets[--i] = 0xff;
	if (i > 0)
		before.serial.octets[i - 1]--;
	else
		before.serial.n--; /* the last one that is shorter */
	return before;
}
