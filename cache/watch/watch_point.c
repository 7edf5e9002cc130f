/* watch_point.c - the table; the draft of the next one, which finds a point by its hash.
 */
#include "cache/watch/watch_point.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#define SLOTS_FIRST  64
#define NEAR(n, max) ((n) > (max) / 4 * 3)

struct watch_points watch_points_none = {.refs = 1};

const struct watch_points *watch_points_ref(const struct watch_points *t)
{
	struct watch_points *w = (struct watch_points *)(uintptr_t)t;

	atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
	return t;
}

void watch_points_unref(const struct watch_points *t)
{
	struct watch_points *w = (struct watch_points *)(uintptr_t)t;

	/* the URLs stand behind it, in the same block */
	if (w != NULL &&
	    atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) == 1)
		free(w);
}

const char *watch_points_url(const struct watch_points *t, uint16_t number)
{
	return number > 0 && number <= t->n ? t->at[number - 1].url : NULL;
}

bool watch_points_are_many(const struct watch_points *t)
{
	return NEAR(t->used, WATCH_POINTS_MAX) || NEAR(t->most, WATCH_POINTS_OF_CA) ||
	       NEAR(t->octets, WATCH_POINTS_OCTETS);
}

/* The draft. */

struct draft_point {
	uint32_t ca;
	uint32_t n; /* octets; 0: the number is nobody's */
	const char *url;
	uint64_t hash;
};

struct ca_points {
	uint32_t ca;
	uint32_t n;
};

struct watch_point_draft {
	const struct watch_points *base; /* a reference: its URLs are borrowed */
	struct draft_point *at;          /* by number, less one */
	size_t n, room, used, octets;
	size_t first_free;    /* no number before it is nobody's */
	uint32_t *slot;       /* by hash: a number */
	size_t slots;         /* a power of two */
	struct ca_points *ca; /* by ca */
	size_t cas, cas_room;
	size_t last; /* the number that was found last: mostly the next one's too */
	char **own;  /* URLs that came */
	size_t own_n, own_room;
	bool changed;
	uint64_t left_out;
};

static uint64_t hash_of(uint32_t ca, struct bytes url)
{
	return XXH3_64bits_withSeed(url.p, url.n, ca);
}

static bool is_point(const struct draft_point *p, uint32_t ca, struct bytes url)
{
	return p->ca == ca && p->n == url.n && memcmp(p->url, url.p, url.n) == 0;
}

/* The slot that has it, or the empty one where it belongs. */
static uint32_t *slot_of(
    const struct watch_point_draft *d, uint64_t hash, uint32_t ca, struct bytes url)
{
	size_t at = hash & (d->slots - 1);

	while (d->slot[at] != 0 && !is_point(&d->at[d->slot[at] - 1], ca, url))
		at = (at + 1) & (d->slots - 1);
	return &d->slot[at];
}

static struct bytes url_of(const struct draft_point *p)
{
	return bytes_of(p->url, p->n);
}

static bool slots_make(struct watch_point_draft *d, size_t slots)
{
	uint32_t *slot = calloc(slots, sizeof *slot);

	if (slot == NULL)
		return false;
	free(d->slot);
	d->slot = slot;
	d->slots = slots;
	for (size_t i = 0; i < d->n; i++)
		if (d->at[i].n > 0)
			*slot_of(d, d->at[i].hash, d->at[i].ca, url_of(&d->at[i])) =
			    (uint32_t)i + 1;
	return true;
}

/* How many this CA has, to be counted up; NULL: out of memory. */
static uint32_t *count_of(struct watch_point_draft *d, uint32_t ca)
{
	size_t low = 0, high = d->cas;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (d->ca[middle].ca < ca)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < d->cas && d->ca[low].ca == ca)
		return &d->ca[low].n;
	if (d->cas == d->cas_room) {
		size_t room = d->cas_room > 0 ? 2 * d->cas_room : 8;
		void *p = realloc(d->ca, room * sizeof d->ca[0]);

		if (p == NULL)
			return NULL;
		d->ca = p;
		d->cas_room = room;
	}
	memmove(&d->ca[low + 1], &d->ca[low], (d->cas - low) * sizeof d->ca[0]);
	d->ca[low] = (struct ca_points){ca, 0};
	d->cas++;
	return &d->ca[low].n;
}

/* Room for one more number, and for its URL. */
static bool grow(struct watch_point_draft *d)
{
	if (d->n == d->room) {
		size_t room = d->room > 0 ? 2 * d->room : SLOTS_FIRST / 2;
		void *p = realloc(d->at, room * sizeof d->at[0]);

		if (p == NULL)
			return false;
		d->at = p;
		d->room = room;
	}
	if (d->own_n == d->own_room) {
		size_t room = d->own_room > 0 ? 2 * d->own_room : 8;
		void *p = realloc(d->own, room * sizeof d->own[0]);

		if (p == NULL)
			return false;
		d->own = p;
		d->own_room = room;
	}
	return 2 * (d->used + 1) <= d->slots || slots_make(d, 2 * d->slots);
}

static bool take_base(struct watch_point_draft *d, const bool *used)
{
	const struct watch_points *base = d->base;

	d->room = base->n + 1;
	d->at = calloc(d->room, sizeof d->at[0]);
	if (d->at == NULL)
		return false;
	for (d->n = 0; d->n < base->n; d->n++) {
		const struct watch_point *from = &base->at[d->n];
		struct draft_point *p = &d->at[d->n];
		uint32_t *count;

		if (from->url == NULL || (used != NULL && !used[d->n + 1])) {
			d->changed |= from->url != NULL;
			continue;
		}
		if ((count = count_of(d, from->ca)) == NULL)
			return false;
		*p = (struct draft_point){
		    .ca = from->ca, .n = (uint32_t)strlen(from->url), .url = from->url};
		p->hash = hash_of(p->ca, url_of(p));
		++*count;
		d->used++;
		d->octets += p->n;
	}
	return true;
}

struct watch_point_draft *watch_point_draft_new(
    const struct watch_points *base, const bool *used)
{
	struct watch_point_draft *d = calloc(1, sizeof *d);
	size_t slots = SLOTS_FIRST;

	if (d == NULL)
		return NULL;
	d->base = watch_points_ref(base);
	while (slots < 2 * (base->n + 1))
		slots *= 2;
	if (take_base(d, used) && slots_make(d, slots))
		return d;
	watch_point_draft_free(d);
	return NULL;
}

void watch_point_draft_free(struct watch_point_draft *d)
{
	if (d == NULL)
		return;
	watch_points_unref(d->base);
	for (size_t i = 0; i < d->own_n; i++)
		free(d->own[i]);
	free(d->own);
	free(d->at);
	free(d->slot);
	free(d->ca);
	free(d);
}

/* It has room: the next free number is its. */
static bool add(struct watch_point_draft *d, uint32_t ca, struct bytes url, uint64_t hash,
    uint32_t *count)
{
	char *copy;

	if (!grow(d) || (copy = strndup((const char *)url.p, url.n)) == NULL)
		return false;
	d->own[d->own_n++] = copy;
	while (d->first_free < d->n && d->at[d->first_free].n > 0)
		d->first_free++;
	d->at[d->first_free] = (struct draft_point){ca, (uint32_t)url.n, copy, hash};
	d->last = d->first_free + 1;
	if (d->n < d->last)
		d->n = d->last;
	*slot_of(d, hash, ca, url) = (uint32_t)d->last;
	++*count;
	d->used++;
	d->octets += url.n;
	d->changed = true;
	return true;
}

/* *number: 0 where there is no room.  False: out of memory. */
static bool find(
    struct watch_point_draft *d, uint32_t ca, struct bytes url, uint16_t *number)
{
	uint64_t hash;
	uint32_t *count;

	*number = 0;
	if (d->last == 0 || !is_point(&d->at[d->last - 1], ca, url)) {
		hash = hash_of(ca, url);
		d->last = *slot_of(d, hash, ca, url);
		if (d->last == 0) {
			if ((count = count_of(d, ca)) == NULL)
				return false;
			if (d->used == WATCH_POINTS_MAX || *count == WATCH_POINTS_OF_CA ||
			    url.n > WATCH_POINTS_OCTETS - d->octets) {
				d->left_out++;
				return true;
			}
			if (!add(d, ca, url, hash, count))
				return false;
		}
	}
	*number = (uint16_t)d->last;
	return true;
}

bool watch_point_draft_entry(struct watch_point_draft *d, uint32_t ca,
    const struct serial *s, const struct watch_record *row, struct watched *out)
{
	struct bytes run = row->crl, url;
	uint16_t number = 0;

	watch_record_watched(row, s, out);
	if (watch_run_next(&run, &url) && url.n > 0 && !find(d, ca, url, &number))
		return false;
	watched_set_point(out, number);
	return true;
}

uint64_t watch_point_draft_left_out(const struct watch_point_draft *d)
{
	return d->left_out;
}

const struct watch_points *watch_point_draft_end(const struct watch_point_draft *d)
{
	size_t n = d->n;
	struct watch_points *t;
	char *text;

	if (!d->changed)
		return watch_points_ref(d->base);
	while (n > 0 && d->at[n - 1].n == 0)
		n--;
	t = calloc(1, sizeof *t + n * sizeof t->at[0] + d->octets + d->used);
	if (t == NULL)
		return NULL;
	atomic_init(&t->refs, 1);
	t->n = n;
	t->used = d->used;
	t->octets = d->octets;
	for (size_t i = 0; i < d->cas; i++)
		if (d->ca[i].n > t->most)
			t->most = d->ca[i].n;
	text = (char *)&t->at[n];
	for (size_t i = 0; i < n; i++) {
		t->at[i].ca = d->at[i].ca;
		if (d->at[i].n == 0)
			continue;
		memcpy(text, d->at[i].url, d->at[i].n + 1);
		t->at[i].url = text;
		text += d->at[i].n + 1;
	}
	return t;
}
