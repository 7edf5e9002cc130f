/* crl_set.c - the merge is linear in the entries that stay, and writes each of them once
 * into a mapping of just the size.  A list that is alone is not merged at all: its array
 * becomes the set's, so that an issuer with one list of 3 M entries never needs more than
 * the old array and the new one (64 bytes an entry, for as long as the old set is read).
 *
 * Rejected: an array for each list, searched one after the other.  An issuer may have 128
 * of them, and the look-up is on the way of every first hit after a swap.
 */
#include "cache/crl/crl_set.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#define SHARDS_MAX 65536 /* what crl_entry.shard can tell apart */

/* Generations that no counter comes to, and a reference that nobody gives back. */
struct crl_set crl_set_none = {.refs = 1, .generation = UINT64_MAX};
struct crl_set crl_set_unopened = {
    .refs = 1, .generation = UINT64_MAX - 1, .unopened = true};

struct crl_file *crl_file_new(int fd, const struct crl_facts *f, const char *scope)
{
	struct shared_file *shared = shared_file_new(fd, f->size);
	struct crl_file *file = calloc(1, sizeof *file + strlen(scope) + 1);

	if (shared == NULL || file == NULL) {
		shared_file_unref(shared);
		free(file);
		return NULL;
	}
	atomic_init(&file->refs, 1);
	file->shared = shared;
	file->this_update = f->this_update;
	file->next_update = f->next_update;
	file->before = CRL_BEFORE_UNKNOWN;
	memcpy(file->sha256, f->sha256, sizeof file->sha256);
	strcpy(file->scope, scope);
	return file;
}

struct crl_file *crl_file_ref(const struct crl_file *f)
{
	struct crl_file *w = (struct crl_file *)(uintptr_t)f;
	unsigned had = atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);

	assert(had > 0);
	(void)had;
	return w;
}

void crl_file_unref(struct crl_file *f)
{
	if (f == NULL || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) > 1)
		return;
	shared_file_unref(f->shared);
	free(f);
}

struct crl_set *crl_set_new(size_t shards_n, uint64_t generation)
{
	struct crl_set *s;

	assert(shards_n <= SHARDS_MAX);
	s = calloc(1, sizeof *s + shards_n * sizeof s->shard[0]);
	if (s == NULL)
		return NULL;
	atomic_init(&s->refs, 1);
	s->generation = generation;
	s->shards_n = shards_n;
	return s;
}

const struct crl_set *crl_set_ref(const struct crl_set *s)
{
	struct crl_set *w = (struct crl_set *)(uintptr_t)s;
	unsigned had = atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);

	assert(had > 0);
	(void)had;
	return s;
}

void crl_set_unref(const struct crl_set *s)
{
	struct crl_set *w = (struct crl_set *)(uintptr_t)s;

	if (w == NULL || atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) > 1)
		return;
	assert(w != &crl_set_none && w != &crl_set_unopened);
	for (size_t i = 0; i < w->shards_n; i++)
		crl_file_unref(w->shard[i].file);
	if (w->owner != NULL)
		crl_set_unref(w->owner);
	else if (w->entries != NULL)
		crl_entries_free((struct crl_entry *)(uintptr_t)w->entries, w->mapped);
	crl_joins_unref(w->joins);
	free(w);
}

struct crl_file *crl_set_file(const struct crl_set *s, size_t place, const char *scope)
{
	scope = crl_joins_name(s->joins, scope);
	for (size_t i = 0; i < s->shards_n; i++) {
		struct crl_file *f = s->shard[(place + i) % s->shards_n].file;

		if (f != NULL && strcmp(f->scope, scope) == 0)
			return f;
	}
	return NULL;
}

static void entry_set_shard(struct crl_entry *e, size_t shard)
{
	e->shard[0] = (uint8_t)(shard >> 8);
	e->shard[1] = (uint8_t)shard;
}

static void shard_copy(struct crl_shard *to, const struct crl_shard *from)
{
	*to = *from;
	if (to->file != NULL)
		crl_file_ref(to->file);
}

struct crl_set *crl_set_again(const struct crl_set *s, uint64_t generation)
{
	struct crl_set *again = crl_set_new(s->shards_n, generation);

	if (again == NULL)
		return NULL;
	for (size_t i = 0; i < s->shards_n; i++)
		shard_copy(&again->shard[i], &s->shard[i]);
	again->unopened = s->unopened;
	again->unlearnt = s->unlearnt;
	again->joins = crl_joins_ref(s->joins);
	again->entries = s->entries;
	again->n = s->n;
	/* of the set that has them, so that no chain of sets is kept */
	again->owner = crl_set_ref(s->owner != NULL ? s->owner : s);
	return again;
}

/* Give back the pages of an array that has been read up to its n-th entry. */
#define RELEASE_ENTRIES ((size_t)32768) /* 1 MiB at a time: whole pages, few calls */
static void release_read(struct crl_entry *entries, size_t n)
{
	size_t bytes = RELEASE_ENTRIES * sizeof *entries;

	if (n > 0 && n % RELEASE_ENTRIES == 0)
		madvise((char *)(entries + n) - bytes, bytes, MADV_DONTNEED);
}

/* old's entries but those of shard, and all of the list's, into out; the list's pages
 * are given back as they are read. */
static void merge(struct crl_entry *out, const struct crl_set *old, size_t shard,
    struct crl_entry *list, size_t list_n)
{
	size_t i = 0, j = 0;

	for (;;) {
		int order;

		while (i < old->n && crl_entry_shard(&old->entries[i]) == shard)
			i++;
		if (i == old->n && j == list_n)
			return;
		if (i == old->n || j == list_n)
			order = i == old->n ? 1 : -1;
		else
			order = crl_entry_cmp(&old->entries[i], &list[j]);
		if (order == 0)
			order = crl_entry_shard(&old->entries[i]) < shard ? -1 : 1;
		if (order < 0) {
			*out++ = old->entries[i++];
			continue;
		}
		*out = list[j++];
		entry_set_shard(out++, shard);
		release_read(list, j);
	}
}

/* The list's array becomes the set's. */
static void take_over(struct crl_set *s, struct crl_list *list, size_t shard)
{
	if (shard != 0)
		for (size_t i = 0; i < list->n; i++)
			entry_set_shard(&list->entries[i], shard);
	s->entries = list->entries;
	s->n = list->n;
	s->mapped = list->mapped;
}

enum err crl_set_replace(struct crl_set **out, const struct crl_set *old, size_t shards_n,
    size_t shard, struct crl_list *list, struct crl_file *file, uint64_t generation)
{
	struct crl_set *s = crl_set_new(shards_n, generation);
	size_t rest = old != NULL ? old->n - old->shard[shard].n : 0;

	assert(shard < shards_n && (old == NULL || old->shards_n == shards_n));
	if (s == NULL)
		return ERR_NOMEM;
	if (rest == 0) {
		take_over(s, list, shard);
	} else {
		struct crl_entry *e = crl_entries_new(rest + list->n, &s->mapped);

		if (e == NULL) {
			crl_set_unref(s);
			return ERR_NOMEM;
		}
		merge(e, old, shard, list->entries, list->n);
		s->entries = e;
		s->n = rest + list->n;
		if (list->entries != NULL)
			crl_entries_free(list->entries, list->mapped);
	}
	for (size_t i = 0; old != NULL && i < shards_n; i++)
		if (i != shard)
			shard_copy(&s->shard[i], &old->shard[i]);
	s->shard[shard] = (struct crl_shard){
	    .in_force = true, .facts = list->facts, .file = file, .n = list->n};
	list->entries = NULL;
	list->n = list->mapped = 0;
	*out = s;
	return ERR_OK;
}

/* Entries of one serial, newly numbered, in the order of their lists again.  There are
 * few of them: a certificate is seldom in two lists. */
static void sort_by_shard(struct crl_entry *e, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct crl_entry moved = e[i];
		size_t j = i;

		for (; j > 0 && crl_entry_shard(&e[j - 1]) > crl_entry_shard(&moved); j--)
			e[j] = e[j - 1];
		e[j] = moved;
	}
}

/* old's entries of the lists that have a new place (to[] by their old one; -1: none). */
static void renumber(struct crl_entry *out, const struct crl_set *old, const int *to)
{
	size_t n = 0, first = 0; /* first: of those with the serial of the last */

	for (size_t i = 0; i < old->n; i++) {
		int place = to[crl_entry_shard(&old->entries[i])];

		if (place < 0)
			continue;
		if (n > 0 && crl_entry_cmp(&out[n - 1], &old->entries[i]) != 0) {
			sort_by_shard(out + first, n - first);
			first = n;
		}
		out[n] = old->entries[i];
		entry_set_shard(&out[n++], (size_t)place);
	}
	sort_by_shard(out + first, n - first);
}

enum err crl_set_rearrange(struct crl_set **out, const struct crl_set *old,
    const int *map, size_t shards_n, uint64_t generation)
{
	struct crl_set *s = crl_set_new(shards_n, generation);
	size_t old_n = old != NULL ? old->shards_n : 0;
	int *to = malloc((old_n + 1) * sizeof *to);
	struct crl_entry *e = NULL;

	if (s == NULL || to == NULL)
		goto fail;
	for (size_t i = 0; i < old_n; i++)
		to[i] = -1;
	for (size_t i = 0; i < shards_n && old != NULL; i++) {
		if (map[i] < 0)
			continue;
		assert((size_t)map[i] < old_n && to[map[i]] < 0);
		to[map[i]] = (int)i;
		s->n += old->shard[map[i]].n;
		shard_copy(&s->shard[i], &old->shard[map[i]]);
	}
	if (s->n > 0) {
		e = crl_entries_new(s->n, &s->mapped);
		if (e == NULL)
			goto fail;
		renumber(e, old, to);
	}
	s->entries = e;
	free(to);
	*out = s;
	return ERR_OK;
fail:
	free(to);
	crl_set_unref(s);
	return ERR_NOMEM;
}

bool crl_set_find(
    const struct crl_set *s, const struct serial *serial, struct crl_finding *out)
{
	const struct crl_entry *e = NULL, *worst = NULL;
	struct crl_entry key = {0};

	*out = (struct crl_finding){.reason = REASON_NONE};
	crl_entry_set_serial(&key, serial);
	if (s->n > 0)
		e = crl_entries_find(s->entries, s->n, &key);
	for (; e != NULL && e < s->entries + s->n && crl_entry_cmp(e, &key) == 0; e++) {
		int64_t this_update = s->shard[crl_entry_shard(e)].facts.this_update;

		if (worst == NULL || this_update > out->this_update)
			out->this_update = this_update;
		if (worst == NULL || crl_entry_weigh(e, worst) < 0)
			worst = e;
	}
	if (worst == NULL)
		return false;
	out->listed = true;
	out->reason = crl_entry_reason(worst);
	out->hold = crl_entry_is_hold(worst);
	out->revoked_at = crl_entry_at(worst);
	out->shard = crl_entry_shard(worst);
	return true;
}

/* What is in the way of one list's absence. */
static enum crl_absence shard_absence(const struct crl_facts *f, int64_t now)
{
	if (f == NULL)
		return CRL_ABSENT_MISSING;
	if (f->next_update <= now)
		return CRL_ABSENT_OVERDUE;
	return f->some_reasons ? CRL_ABSENT_REASONS : CRL_ABSENT_GOOD;
}

static enum crl_absence absence(const struct crl_set *s, size_t place,
    const struct crl_facts *instead, enum absent said, int64_t now, size_t *list)
{
	bool users = false, whole = said == ABSENT_GOOD;
	enum crl_absence worst = CRL_ABSENT_GOOD;

	if (said == ABSENT_UNKNOWN)
		return CRL_ABSENT_BY_OPTION;
	if (s->unopened)
		return CRL_ABSENT_UNOPENED;
	if (s->unlearnt)
		return CRL_ABSENT_UNLEARNT;
	if (s->shards_n == 0)
		return CRL_ABSENT_NO_LIST;
	for (size_t i = 0; i < s->shards_n; i++) {
		const struct crl_facts *f = instead != NULL && i == place ? instead
					    : s->shard[i].in_force ? &s->shard[i].facts
								   : NULL;
		enum crl_absence a = shard_absence(f, now);

		if (a != CRL_ABSENT_GOOD && (worst == CRL_ABSENT_GOOD || a < worst)) {
			worst = a;
			*list = i;
		}
		users |= f != NULL && !f->only_ca;
		whole |= f != NULL && !f->only_ca && !f->has_point;
	}
	if (worst != CRL_ABSENT_GOOD)
		return worst;
	if (!users)
		return CRL_ABSENT_ONLY_CA;
	return whole ? CRL_ABSENT_GOOD : CRL_ABSENT_PART;
}

enum crl_absence crl_set_absence(
    const struct crl_set *s, enum absent said, int64_t now, size_t *list)
{
	size_t here = 0;

	return absence(s, 0, NULL, said, now, list != NULL ? list : &here);
}

enum crl_absence crl_set_absence_with(const struct crl_set *s, size_t place,
    const struct crl_facts *facts, enum absent said, int64_t now)
{
	size_t here;

	return absence(s, place, facts, said, now, &here);
}

static bool is_named(const struct issuer_list *l, const char *url)
{
	if (strcmp(l->scope, url) == 0)
		return true;
	for (size_t p = 0; p < l->place_n; p++)
		if (strcmp(l->place[p], url) == 0)
			return true;
	return false;
}

/* Where the configured list of this name stands: in their order, but for those that are
 * joined with another. */
static size_t place_of(const struct crl_set *s, const struct issuer *i, const char *scope)
{
	size_t place = 0;

	for (size_t n = 0; n < i->crl_n && strcmp(i->crl[n].scope, scope) != 0; n++)
		place += crl_joins_name(s->joins, i->crl[n].scope) == i->crl[n].scope;
	return place;
}

/* The list at this place is one that the URL names: of several the first one is told, or
 * one that is well. */
static void hear_list(const struct crl_set *s, size_t place, int64_t now,
    enum crl_absence *said, size_t *list)
{
	const struct crl_facts *f =
	    s->shard[place].in_force ? &s->shard[place].facts : NULL;
	enum crl_absence a = shard_absence(f, now);

	if (a == CRL_ABSENT_GOOD && f->only_ca)
		a = CRL_ABSENT_ONLY_CA;
	if (*said == CRL_ABSENT_GOOD ||
	    (a != CRL_ABSENT_GOOD && *said != CRL_ABSENT_NOT_OURS))
		return;
	*said = a;
	if (list != NULL)
		*list = place;
}

/* By its distribution point, or (a learnt one) by its name. */
static bool is_called(const struct crl_shard *h, const char *url)
{
	return h->in_force &&
	       (crl_facts_have_point(&h->facts, bytes_of(url, strlen(url))) ||
		   (h->file != NULL && strcmp(h->file->scope, url) == 0));
}

/* Does the list of this name stand there?  Others do for the moment in which the lists
 * are arranged for another configuration, and for longer where memory has run out. */
static bool stands_at(const struct crl_set *s, size_t place, const char *scope)
{
	const struct crl_file *f = place < s->shards_n ? s->shard[place].file : NULL;

	return place < s->shards_n && (f == NULL || strcmp(f->scope, scope) == 0);
}

enum crl_absence crl_set_absence_at(const struct crl_set *s, const struct issuer *i,
    const char *url, int64_t now, size_t *list)
{
	enum crl_absence said = CRL_ABSENT_NOT_OURS;

	if (s->unopened)
		return CRL_ABSENT_UNOPENED;
	for (size_t n = 0; n < i->crl_n; n++)
		if (is_named(&i->crl[n], url)) {
			const char *scope = crl_joins_name(s->joins, i->crl[n].scope);
			size_t place = place_of(s, i, scope);

			if (stands_at(s, place, scope))
				hear_list(s, place, now, &said, list);
		}
	for (size_t n = 0; n < s->shards_n; n++)
		if (is_called(&s->shard[n], url))
			hear_list(s, n, now, &said, list);
	return said;
}

const char *crl_absence_text_at(enum crl_absence a)
{
	static const char *const text[] = {
	    [CRL_ABSENT_BY_OPTION] = "does not count, since absent is \"unknown\"",
	    [CRL_ABSENT_UNOPENED] = "has not been opened yet",
	    [CRL_ABSENT_MISSING] = "is not in force",
	    [CRL_ABSENT_OVERDUE] = "is past its nextUpdate",
	    [CRL_ABSENT_REASONS] = "is about some reasons only",
	    [CRL_ABSENT_ONLY_CA] = "is about CA certificates only",
	    [CRL_ABSENT_NOT_OURS] = "is not configured",
	};

	return text[a];
}

const char *crl_absence_text(enum crl_absence a)
{
	static const char *const text[] = {
	    [CRL_ABSENT_BY_OPTION] = "absent = \"unknown\" is configured",
	    [CRL_ABSENT_UNOPENED] = "a list has not been opened yet",
	    [CRL_ABSENT_UNLEARNT] = "it is not known yet which lists there are",
	    [CRL_ABSENT_NO_LIST] = "no list is in force",
	    [CRL_ABSENT_MISSING] = "a configured list is not in force",
	    [CRL_ABSENT_OVERDUE] = "a list is past its nextUpdate",
	    [CRL_ABSENT_REASONS] = "a list is about some reasons only",
	    [CRL_ABSENT_ONLY_CA] = ("all lists are about CA certificates only; configure "
				    "those for the others too"),
	    [CRL_ABSENT_PART] =
		("each list names a distribution point of its own and may "
		 "be one of several; configure all of the CA's lists, and "
		 "write absent = \"good\", or watch the certificate"),
	    [CRL_ABSENT_NOT_OURS] = "the list is not configured",
	};

	return text[a];
}

size_t crl_set_oldest(const struct crl_set *s)
{
	const struct crl_shard *first = NULL;

	for (size_t i = 0; i < s->shards_n; i++) {
		const struct crl_shard *l = &s->shard[i];

		if (l->in_force &&
		    (first == NULL || l->facts.next_update < first->facts.next_update))
			first = l;
	}
	return first != NULL ? (size_t)(first - s->shard) : 0;
}

enum crl_verdict crl_set_judge(const struct crl_set *s, const struct serial *serial,
    const struct facts *f, struct crl_finding *found)
{
	struct crl_finding here;
	bool newer;

	if (found == NULL)
		found = &here;
	crl_set_find(s, serial, found);
	if (f->status != STATUS_GOOD && f->status != STATUS_UNKNOWN)
		return CRL_FITS;
	newer = f->this_update > found->this_update;
	if (found->listed && !newer)
		return CRL_CONTRADICTS;
	if (found->listed && !found->hold)
		return CRL_DISAGREES;
	return s->unopened ? CRL_NOT_YET : CRL_FITS;
}
