/* watch_candidate.c - the order of CAs, and that of certificates by it. */
#include "cache/watch/watch_candidate.h"

#include <stdlib.h>

int watch_candidate_cmp(const void *a, const void *b)
{
	const struct watch_candidate *x = a, *y = b;
	int order;

	if (x->dn != y->dn)
		return x->dn < y->dn ? -1 : 1;
	if (x->serial.n != y->serial.n)
		return x->serial.n < y->serial.n ? -1 : 1;
	order = memcmp(x->serial.octets, y->serial.octets, x->serial.n);
	return order != 0 ? order : (x->who > y->who) - (x->who < y->who);
}

bool watch_candidate_make(const struct watch_page *p, uint32_t ca, const struct serial *s,
    struct watch_candidate *out, int *e)
{
	const struct watch_ca *known = watch_cas_at(p->cas, ca);
	const struct watch_rank *rank;

	if (known == NULL) {
		*e = WATCH_DB_UNREADABLE;
		return false;
	}
	rank = &p->rank[known - p->cas->ca];
	*out = (struct watch_candidate){.dn = rank->dn, .who = rank->who, .serial = *s};
	return rank->wanted && (!p->begun || watch_candidate_cmp(out, &p->after) > 0);
}

static int dn_cmp(const void *a, const void *b)
{
	const struct watch_ca *x = *(const struct watch_ca *const *)a;
	const struct watch_ca *y = *(const struct watch_ca *const *)b;
	int order = strcmp(x->dn, y->dn);

	if (order == 0)
		order = strcmp(x->issuer, y->issuer);
	return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

/* Each CA's rank; those of one DN and one issuer's name stand behind each other. */
bool watch_ranks_make(struct watch_page *p)
{
	const struct watch_ca **by_dn = malloc((p->cas->n + 1) * sizeof *by_dn);
	const struct watch_ca *last = NULL, *first = NULL;

	p->rank = calloc(p->cas->n + 1, sizeof *p->rank);
	if (by_dn == NULL || p->rank == NULL) {
		free(by_dn);
		return false;
	}
	for (size_t i = 0; i < p->cas->n; i++)
		by_dn[i] = &p->cas->ca[i];
	qsort(by_dn, p->cas->n, sizeof *by_dn, dn_cmp);
	for (size_t i = 0; i < p->cas->n; i++) {
		struct watch_rank *r = &p->rank[by_dn[i] - p->cas->ca];
		bool same = last != NULL && strcmp(last->dn, by_dn[i]->dn) == 0;

		p->dns += !same;
		if (!same || by_dn[i]->issuer[0] == '\0' ||
		    strcmp(last->issuer, by_dn[i]->issuer) != 0)
			first = by_dn[i];
		r->dn = p->dns - 1;
		r->who = first->id;
		r->wanted = p->query->issuer == NULL;
		last = by_dn[i];
	}
	free(by_dn);
	return true;
}

/* Who goes by the issuer's name, and whoever is one with him. */
void watch_ranks_choose(struct watch_page *p)
{
	const struct watch_ca *ca = NULL;

	if (p->query->issuer == NULL)
		return;
	while ((ca = watch_cas_called(p->cas, p->query->issuer, ca)) != NULL)
		for (size_t i = 0; i < p->cas->n; i++)
			if (p->rank[i].who == p->rank[ca - p->cas->ca].who)
				p->rank[i].wanted = true;
}
