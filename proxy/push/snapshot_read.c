/* snapshot_read.c - read on the asker's thread, and dropped there.
 *
 * Lists and latches are two sorted arrays.  Both are passed through one after the other,
 * with a look-up in the other one, so that the place of a reader is an index.
 */
#include "proxy/push/snapshot.h"

#include <assert.h>
#include <stdlib.h>

void snapshot_drop(struct snapshot *s)
{
	for (size_t i = 0; i < s->n; i++)
		crl_set_unref(s->of[i].set);
	crl_entries_free(s->latches, s->mapped);
	free(s->of);
	s->latches = NULL;
	s->of = NULL;
	s->n = 0;
}

static bool issuer_same(const struct snapshot_issuer *a, const struct snapshot_issuer *b)
{
	return a->set == b->set && strcmp(a->name, b->name) == 0 &&
	       a->latches_n == b->latches_n &&
	       (a->latches_n == 0 || memcmp(a->latches, b->latches,
					 a->latches_n * sizeof *a->latches) == 0);
}

bool snapshot_same(const struct snapshot *a, const struct snapshot *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!issuer_same(&a->of[i], &b->of[i]))
			return false;
	return true;
}

size_t snapshot_bytes(const struct snapshot *s)
{
	size_t entries = 0;

	for (size_t i = 0; i < s->n; i++)
		entries +=
		    s->of[i].latches_n + (s->of[i].set != NULL ? s->of[i].set->n : 0);
	return entries * sizeof(struct crl_entry);
}

/* Of the entries with one serial, which stand together, the one that says worst; *at
 * moves behind them. */
static const struct crl_entry *worst_of(
    const struct crl_entry *entries, size_t n, size_t *at)
{
	const struct crl_entry *e = &entries[*at], *best = e;

	while (++*at < n && crl_entry_cmp(e, &entries[*at]) == 0)
		if (crl_entry_weigh(&entries[*at], best) < 0)
			best = &entries[*at];
	return best;
}

static const struct crl_entry *find_in_set(
    const struct crl_set *set, const struct crl_entry *key)
{
	const struct crl_entry *e;
	size_t at;

	if (set == NULL || set->n == 0)
		return NULL;
	e = crl_entries_find(set->entries, set->n, key);
	if (e == NULL)
		return NULL;
	at = (size_t)(e - set->entries);
	return worst_of(set->entries, set->n, &at);
}

const struct crl_entry *snapshot_find(
    const struct snapshot_issuer *of, const struct crl_entry *key, bool *from_list)
{
	const struct crl_entry *listed = find_in_set(of->set, key), *latch = NULL;

	if (of->latches_n > 0 && (listed == NULL || crl_entry_is_hold(listed)))
		latch = crl_entries_find(of->latches, of->latches_n, key);
	*from_list = latch == NULL;
	return latch != NULL ? latch : listed;
}

/* Entries of the lists, but for holds of which a latch knows worse. */
static size_t next_of_set(const struct snapshot_issuer *of, size_t *at,
    const struct crl_entry **entries, size_t room)
{
	size_t n = 0;

	while (of->set != NULL && *at < of->set->n && n < room) {
		const struct crl_entry *e = worst_of(of->set->entries, of->set->n, at);

		if (crl_entry_is_hold(e) && of->latches_n > 0 &&
		    crl_entries_find(of->latches, of->latches_n, e) != NULL)
			continue;
		entries[n++] = e;
	}
	return n;
}

/* Latches of what no list has, or has on hold only. */
static size_t next_of_latches(const struct snapshot_issuer *of, size_t *at,
    const struct crl_entry **entries, size_t room)
{
	size_t n = 0;

	while (*at < of->latches_n && n < room) {
		const struct crl_entry *e = &of->latches[(*at)++],
				       *listed = find_in_set(of->set, e);

		if (listed == NULL || crl_entry_is_hold(listed))
			entries[n++] = e;
	}
	return n;
}

bool snapshot_next(const struct snapshot *s, struct snapshot_cursor *c,
    const struct crl_entry **entries, size_t room, struct snapshot_part *part)
{
	assert(room > 0 && c->issuer <= s->n);
	for (; c->issuer < s->n; c->issuer++, c->latches = false, c->at = 0) {
		const struct snapshot_issuer *of = &s->of[c->issuer];

		*part = (struct snapshot_part){.of = of, .from_list = !c->latches};
		if (!c->latches) {
			part->n = next_of_set(of, &c->at, entries, room);
			if (part->n > 0 && of->set->shards_n == 1)
				part->list = &of->set->shard[0].facts;
			if (part->n > 0)
				return true;
			c->latches = true;
			c->at = 0;
			part->from_list = false;
		}
		part->n = next_of_latches(of, &c->at, entries, room);
		if (part->n > 0)
			return true;
	}
	return false;
}
