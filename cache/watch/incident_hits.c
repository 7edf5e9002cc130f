/* incident_hits.c - list after list, then sorted: what stands on several comes once. */
#include "cache/watch/incident_hits.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define AHEAD  12 /* entries whose memory is brought near before they are asked for */
#define NOBODY UINT32_MAX /* the incident names none of this CA */

struct hits_found {
	struct incident_hits *out;
	const struct incident_hits_want *want;
	uint32_t *who_of; /* by the place of a CA in its table */
	size_t room;
};

int incident_place_cmp(const struct incident_place *a, const struct incident_place *b)
{
	int order = memcmp(a->issuer, b->issuer, sizeof a->issuer);

	return order != 0 ? order : (a->at > b->at) - (a->at < b->at);
}

struct incident_place incident_place_end(void)
{
	struct incident_place p;

	memset(&p, 0xff, sizeof p);
	return p;
}

/* Who. */

static int who_cmp(const void *a, const void *b)
{
	const struct incident_who *x = a, *y = b;
	int order = (x->issuer[0] == '\0') - (y->issuer[0] == '\0');

	if (order == 0)
		order = memcmp(x->sha256, y->sha256, sizeof x->sha256);
	return order != 0 ? order : (x->ca > y->ca) - (x->ca < y->ca);
}

static bool who_set(struct incident_who *w, const struct watch_ca *ca)
{
	*w = (struct incident_who){.ca = ca->id};
	snprintf(w->issuer, sizeof w->issuer, "%s", ca->issuer);
	return ca->issuer[0] == '\0' || EVP_Digest(ca->issuer, strlen(ca->issuer),
					    w->sha256, NULL, EVP_sha256(), NULL) == 1;
}

static bool is_who(const struct incident_who *w, const struct watch_ca *ca)
{
	return ca->issuer[0] != '\0' ? strcmp(w->issuer, ca->issuer) == 0
				     : w->ca == ca->id;
}

/* Those of the table whose certificates may be on the incident, each once. */
static bool whos_make(struct hits_found *f)
{
	const struct watch_cas *cas = f->want->inventory->cas;
	struct incident_hits *out = f->out;
	struct incident_of of;
	size_t kept = 0;

	out->who = calloc(cas->n + 1, sizeof out->who[0]);
	f->who_of = malloc((cas->n + 1) * sizeof f->who_of[0]);
	if (out->who == NULL || f->who_of == NULL)
		return false;
	for (size_t i = 0; i < cas->n; i++)
		if (incident_of(&of, f->want->incident, cas, cas->ca[i].id) &&
		    !who_set(&out->who[out->whos++], &cas->ca[i]))
			return false;
	qsort(out->who, out->whos, sizeof out->who[0], who_cmp);
	for (size_t i = 0; i < out->whos; i++)
		if (kept == 0 || out->who[i].issuer[0] == '\0' ||
		    strcmp(out->who[i].issuer, out->who[kept - 1].issuer) != 0)
			out->who[kept++] = out->who[i];
	out->whos = kept;
	return true;
}

static void whos_number(struct hits_found *f)
{
	const struct watch_cas *cas = f->want->inventory->cas;
	struct incident_of of;

	for (size_t i = 0; i < cas->n; i++) {
		f->who_of[i] = NOBODY;
		if (!incident_of(&of, f->want->incident, cas, cas->ca[i].id))
			continue;
		for (size_t n = 0; n < f->out->whos; n++)
			if (is_who(&f->out->who[n], &cas->ca[i]))
				f->who_of[i] = (uint32_t)n;
	}
}

/* Hits. */

static bool hit_add(struct hits_found *f, uint32_t who, uint32_t at)
{
	struct incident_hits *out = f->out;

	if (out->n == f->room) {
		size_t room = 2 * f->room + 1024;
		void *p = realloc(out->hit, room * sizeof out->hit[0]);

		if (p == NULL)
			return false;
		out->hit = p;
		f->room = room;
	}
	out->hit[out->n++] = (struct incident_hit){who, at};
	return true;
}

static bool is_left_out(const struct hits_found *f, const struct incident_of *but,
    uint32_t who, const void *e)
{
	struct incident_place place;

	for (size_t n = 0; n < INCIDENT_BUT_MAX; n++) {
		if (but[n].n == 0 || !incident_has(&but[n], e, &place.at))
			continue;
		memcpy(place.issuer, f->out->who[who].sha256, sizeof place.issuer);
		if (incident_place_cmp(&place, &f->want->but[n].upto) < 0)
			return true;
	}
	return false;
}

static bool is_stopped(const struct hits_found *f)
{
	return f->want->stop != NULL && atomic_load(f->want->stop);
}

/* What a list has of one CA. */
static bool find_range(
    struct hits_found *f, const struct watch_list *l, const struct watch_range *r)
{
	const struct watch_cas *cas = f->want->inventory->cas;
	const struct watch_ca *ca = watch_cas_at(cas, r->ca);
	const struct watched *e = l->entries + r->first;
	uint32_t who = ca != NULL ? f->who_of[ca - cas->ca] : NOBODY, at;
	struct incident_of of, but[INCIDENT_BUT_MAX] = {{.n = 0}};

	if (who == NOBODY || !incident_of(&of, f->want->incident, cas, r->ca))
		return true;
	for (size_t n = 0; n < INCIDENT_BUT_MAX; n++)
		if (f->want->but[n].incident != NULL)
			incident_of(&but[n], f->want->but[n].incident, cas, r->ca);
	for (uint32_t i = 0; i < r->n; i++) {
		if (i + 2 * AHEAD < r->n)
			incident_ahead(&of, &e[i + 2 * AHEAD], false);
		if (i + AHEAD < r->n)
			incident_ahead(&of, &e[i + AHEAD], true);
		if (incident_has(&of, &e[i], &at) && !is_left_out(f, but, who, &e[i]) &&
		    !hit_add(f, who, at))
			return false;
	}
	return !is_stopped(f);
}

static bool find_list(struct hits_found *f, const struct watch_list *l)
{
	for (size_t n = 0; n < l->ranges_n; n++)
		if (!find_range(f, l, &l->ranges[n]))
			return false;
	return true;
}

static bool find_all(struct hits_found *f)
{
	const struct inventory *v = f->want->inventory;

	if (f->want->list != NULL)
		return find_list(f, f->want->list);
	for (size_t i = 0; i < v->n; i++)
		if (!find_list(f, v->list[i]))
			return false;
	return true;
}

static int hit_cmp(const void *a, const void *b)
{
	const struct incident_hit *x = a, *y = b;

	if (x->who != y->who)
		return x->who < y->who ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

static void sort(struct incident_hits *h)
{
	size_t kept = 0, i = 1;

	while (i < h->n && hit_cmp(&h->hit[i - 1], &h->hit[i]) < 0)
		i++;
	if (i < h->n)
		qsort(h->hit, h->n, sizeof h->hit[0], hit_cmp);
	for (i = 0; i < h->n; i++)
		if (kept == 0 || hit_cmp(&h->hit[kept - 1], &h->hit[i]) != 0)
			h->hit[kept++] = h->hit[i];
	h->n = kept;
	while (h->told < h->n && h->who[h->hit[h->told].who].issuer[0] != '\0')
		h->told++;
}

/* Does another list have it?  A search in each. */
static bool is_elsewhere(const struct hits_found *f, const struct incident_hit *h)
{
	const struct inventory *v = f->want->inventory;
	const struct incident_who *who = &f->out->who[h->who];
	const struct watch_ca *ca = watch_cas_at(v->cas, who->ca);
	struct serial s;

	watched_serial(&f->want->incident->list->entries[h->at], &s);
	for (; ca != NULL; ca = who->issuer[0] != '\0'
				    ? watch_cas_called(v->cas, who->issuer, ca)
				    : NULL)
		for (size_t i = 0; i < v->n; i++)
			if (strcmp(v->list[i]->name, f->want->list->name) != 0 &&
			    watch_list_find(v->list[i], ca->id, &s) != NULL)
				return true;
	return false;
}

/* False: it was stopped. */
static bool choose(const struct hits_found *f)
{
	struct incident_hits *h = f->out;
	bool wanted = f->want->others == OTHERS_SOME;
	size_t kept = 0, told = 0;

	for (size_t i = 0; i < h->n; i++) {
		if (is_stopped(f))
			return false;
		if (is_elsewhere(f, &h->hit[i]) != wanted)
			continue;
		told += i < h->told;
		h->hit[kept++] = h->hit[i];
	}
	h->n = kept;
	h->told = told;
	return true;
}

bool incident_hits_find(struct incident_hits *out, const struct incident_hits_want *want)
{
	struct hits_found f = {.out = out, .want = want};
	bool found;

	*out = (struct incident_hits){0};
	found = whos_make(&f);
	if (found) {
		whos_number(&f);
		found = find_all(&f);
	}
	free(f.who_of);
	if (found) {
		sort(out);
		found = want->others == OTHERS_OR_NOT || choose(&f);
	}
	if (!found)
		incident_hits_clear(out);
	return found;
}

void incident_hits_clear(struct incident_hits *h)
{
	free(h->hit);
	free(h->who);
	*h = (struct incident_hits){0};
}

struct incident_place incident_hits_place(const struct incident_hits *h, size_t i)
{
	struct incident_place p = {.at = h->hit[i].at};

	memcpy(p.issuer, h->who[h->hit[i].who].sha256, sizeof p.issuer);
	return p;
}

size_t incident_hits_from(const struct incident_hits *h, const struct incident_place *p)
{
	size_t low = 0, high = h->told;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct incident_place at = incident_hits_place(h, middle);

		if (incident_place_cmp(&at, p) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
