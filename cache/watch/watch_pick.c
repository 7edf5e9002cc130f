/* watch_pick.c - ten thousand entries after the other, so that they and their index stay
 * in the cache while each list goes through them; a bit for each entry, so that lists,
 * and an issuer's several CAs, need no order among them.
 *
 * Rejected, measured with 1,000 lists of 15,000 and three million entries: a merged walk
 * over the lists (inventory_walk), and a gallop for each list through all entries; 20 s
 * each, for the misses of the cache.
 */
#include "cache/watch/watch_pick.h"

#include <assert.h>
#include <stdlib.h>

#include "cache/watch/watch_match.h"

_Static_assert(sizeof(struct change) == sizeof(struct crl_entry),
    "entries can be matched as changes are");

bool watch_picks_any(const struct inventory *v, const char *issuer)
{
	const struct watch_ca *ca = NULL;
	size_t n;

	while ((ca = watch_cas_called(v->cas, issuer, ca)) != NULL)
		for (size_t i = 0; i < v->n; i++)
			if (watch_list_of(v->list[i], ca->id, &n) != NULL)
				return true;
	return false;
}

/* What one list has of one CA, from where the last slice left it. */
struct pick_strand {
	const struct watched *entry, *end;
};

struct picks {
	struct pick_strand *strand;
	size_t strands;
	struct watch_index index;
	uint8_t *bit;
	size_t n; /* bits that are set */
};

static size_t count_strands(const struct inventory *v, const char *issuer)
{
	const struct watch_ca *ca = NULL;
	size_t n = 0;

	while ((ca = watch_cas_called(v->cas, issuer, ca)) != NULL)
		n += v->n;
	return n;
}

static void find_strands(struct picks *p, const struct inventory *v, const char *issuer)
{
	const struct watch_ca *ca = NULL;
	const struct watched *w;
	size_t n;

	while ((ca = watch_cas_called(v->cas, issuer, ca)) != NULL)
		for (size_t i = 0; i < v->n; i++)
			if ((w = watch_list_of(v->list[i], ca->id, &n)) != NULL)
				p->strand[p->strands++] = (struct pick_strand){w, w + n};
}

static void pick_of(struct picks *p, struct pick_strand *s, size_t first)
{
	struct watch_match m;
	size_t i;

	watch_match_start(&m, &p->index, 0, s->entry, s->end);
	while ((i = watch_match_next(&m, NULL)) < p->index.n) {
		size_t at = first + i;

		p->n += (p->bit[at / 8] >> at % 8 & 1) == 0;
		p->bit[at / 8] |= (uint8_t)(1u << at % 8);
	}
	s->entry = m.entry;
}

static void pick_all(struct picks *p, const struct crl_entry *entries, size_t n)
{
	for (size_t first = 0; first < n && p->strands > 0; first += CHANGE_BATCH_MAX) {
		size_t slice =
		    n - first < CHANGE_BATCH_MAX ? n - first : CHANGE_BATCH_MAX;

		watch_index_make(
		    &p->index, (const struct change *)&entries[first], slice);
		for (size_t i = 0; i < p->strands; i++)
			if (p->strand[i].entry < p->strand[i].end)
				pick_of(p, &p->strand[i], first);
	}
}

/* The places of the bits that are set. */
static uint32_t *places_of(const struct picks *p, size_t n)
{
	uint32_t *places = malloc(p->n * sizeof *places);

	for (size_t i = 0, at = 0; places != NULL && i < n; i++)
		if ((p->bit[i / 8] >> i % 8 & 1) != 0)
			places[at++] = (uint32_t)i;
	return places;
}

enum err watch_pick(const struct inventory *v, const char *issuer,
    const struct crl_entry *entries, size_t n, uint32_t **places, size_t *places_n)
{
	struct picks *p = calloc(1, sizeof *p);
	enum err e = ERR_NOMEM;

	assert(n <= UINT32_MAX);
	*places = NULL;
	*places_n = 0;
	if (p == NULL)
		return ERR_NOMEM;
	p->strand = calloc(count_strands(v, issuer) + 1, sizeof *p->strand);
	p->bit = calloc(n / 8 + 1, 1);
	if (p->strand != NULL && p->bit != NULL) {
		find_strands(p, v, issuer);
		pick_all(p, entries, n);
		*places_n = p->n;
		*places = p->n > 0 ? places_of(p, n) : NULL;
		e = p->n > 0 && *places == NULL ? ERR_NOMEM : ERR_OK;
	}
	free(p->strand);
	free(p->bit);
	free(p);
	return e;
}
