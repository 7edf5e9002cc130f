/* asked.c - an open table, searched in a line from where the hash points; a queue of what
 * is due. */
#include "cache/watch/asked.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#define ROOM_MIN   64 /* places of a first table; a power of two, as all */
#define NAMES_ROOM 256

#define ASKED_OWN    1u
#define ASKED_QUEUED 2u

struct asked_place {
	uint8_t octets[SERIAL_MAX];
	uint8_t n;       /* of the serial; 0: empty */
	uint16_t issuer; /* with n, of who was dropped: its place is taken until the
			    table is made anew, and minute is 0 */
	uint32_t minute;
	uint32_t written : 30; /* the minute, 0: never; enough until the year 4011 */
	uint32_t flags : 2;
};
_Static_assert(sizeof(struct asked_place) == 32, "what the header says");

struct asked_name {
	char name[NAME_MAX_OCTETS + 1];
	uint16_t next; /* of its bucket; 0: none */
};

struct asked_key {
	uint16_t issuer;
	struct serial serial;
};

struct asked_table {
	uint64_t seed;
	struct asked_place *place;
	size_t room, taken, live;
	struct asked_name *name; /* by number - 1 */
	size_t names_n, names_room;
	uint16_t bucket[NAMES_ROOM];
	struct asked_key *due; /* from due_at on */
	size_t due_at, due_n, due_room;
};

struct asked_table *asked_new(uint64_t seed)
{
	struct asked_table *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	t->seed = seed;
	t->room = ROOM_MIN;
	t->place = calloc(t->room, sizeof *t->place);
	if (t->place != NULL)
		return t;
	free(t);
	return NULL;
}

void asked_free(struct asked_table *t)
{
	if (t == NULL)
		return;
	free(t->place);
	free(t->name);
	free(t->due);
	free(t);
}

/* Issuers. */

static uint16_t *bucket_of(const struct asked_table *t, const char *name)
{
	uint64_t hash = XXH3_64bits_withSeed(name, strlen(name), t->seed);

	return (uint16_t *)(uintptr_t)&t->bucket[hash % NAMES_ROOM];
}

uint16_t asked_issuer_find(const struct asked_table *t, const char *name)
{
	uint16_t i = *bucket_of(t, name);

	while (i != 0 && strcmp(t->name[i - 1].name, name) != 0)
		i = t->name[i - 1].next;
	return i;
}

static bool name_reserve(struct asked_table *t)
{
	size_t room = t->names_room == 0 ? 16 : 2 * t->names_room;
	struct asked_name *more;

	if (t->names_n < t->names_room)
		return true;
	more = realloc(t->name, room * sizeof *more);
	if (more == NULL)
		return false;
	t->name = more;
	t->names_room = room;
	return true;
}

uint16_t asked_issuer(struct asked_table *t, const char *name)
{
	uint16_t i = asked_issuer_find(t, name), *bucket = bucket_of(t, name);

	if (i != 0)
		return i;
	if (t->names_n == UINT16_MAX || strlen(name) > NAME_MAX_OCTETS ||
	    !name_reserve(t))
		return 0;
	memcpy(t->name[t->names_n].name, name, strlen(name) + 1);
	t->name[t->names_n].next = *bucket;
	*bucket = (uint16_t)++t->names_n;
	return *bucket;
}

const char *asked_issuer_name(const struct asked_table *t, uint16_t issuer)
{
	assert(issuer >= 1 && issuer <= t->names_n);
	return t->name[issuer - 1].name;
}

/* Places. */

static bool is_of(const struct asked_place *p, uint16_t issuer, const struct serial *s)
{
	return p->issuer == issuer && p->n == s->n &&
	       memcmp(p->octets, s->octets, s->n) == 0;
}

/* Its place, or the empty one where it would be put.  One is empty always. */
static struct asked_place *place_of(
    const struct asked_table *t, uint16_t issuer, const struct serial *s)
{
	uint64_t hash = XXH3_64bits_withSeed(s->octets, s->n, t->seed + issuer);
	size_t at = hash & (t->room - 1);

	while (t->place[at].n != 0 && !is_of(&t->place[at], issuer, s))
		at = (at + 1) & (t->room - 1);
	return &t->place[at];
}

static void serial_of(const struct asked_place *p, struct serial *s)
{
	s->n = p->n;
	memcpy(s->octets, p->octets, p->n);
}

/* Without those that were dropped, and with room for one more. */
static bool make_anew(struct asked_table *t)
{
	struct asked_table anew = *t;

	anew.room = ROOM_MIN;
	while (anew.room * 3 < (t->live + 1) * 5)
		anew.room *= 2;
	anew.place = calloc(anew.room, sizeof *anew.place);
	if (anew.place == NULL)
		return false;
	for (size_t i = 0; i < t->room; i++) {
		struct serial s;

		if (t->place[i].n == 0 || t->place[i].minute == 0)
			continue;
		serial_of(&t->place[i], &s);
		*place_of(&anew, t->place[i].issuer, &s) = t->place[i];
	}
	free(t->place);
	anew.taken = anew.live;
	*t = anew;
	return true;
}

/* NULL: no memory, or no room. */
static struct asked_place *place_for(
    struct asked_table *t, uint16_t issuer, const struct serial *s)
{
	struct asked_place *p = place_of(t, issuer, s);

	if (p->n != 0 && p->minute != 0)
		return p;
	if (t->live == ASKED_MAX)
		return NULL;
	if (p->n == 0 && (t->taken + 1) * 4 > t->room * 3) {
		if (!make_anew(t))
			return NULL;
		p = place_of(t, issuer, s);
	}
	t->taken += p->n == 0;
	t->live++;
	*p = (struct asked_place){.n = s->n, .issuer = issuer};
	memcpy(p->octets, s->octets, s->n);
	return p;
}

/* What is due. */

static bool due_reserve(struct asked_table *t)
{
	size_t room = t->due_room == 0 ? 64 : 2 * t->due_room;
	struct asked_key *more;

	if (t->due_n < t->due_room)
		return true;
	more = realloc(t->due, room * sizeof *more);
	if (more == NULL)
		return false;
	t->due = more;
	t->due_room = room;
	return true;
}

/* Without memory it is looked at again when it is asked for again. */
static void look_whether_due(struct asked_table *t, struct asked_place *p)
{
	struct asked_key *k;

	if ((p->flags & ASKED_QUEUED) ||
	    (p->written != 0 && p->minute < (uint32_t)p->written + ASKED_EACH) ||
	    !due_reserve(t))
		return;
	k = &t->due[t->due_n++];
	k->issuer = p->issuer;
	serial_of(p, &k->serial);
	p->flags |= ASKED_QUEUED;
}

static void row_of(const struct asked_place *p, struct asked_row *out)
{
	out->issuer = p->issuer;
	out->own = (p->flags & ASKED_OWN) != 0;
	out->minute = p->minute;
	serial_of(p, &out->serial);
}

size_t asked_due(struct asked_table *t, struct asked_row *out, size_t max)
{
	size_t n = 0;

	while (n < max && t->due_at < t->due_n) {
		const struct asked_key *k = &t->due[t->due_at++];
		struct asked_place *p = place_of(t, k->issuer, &k->serial);

		if (p->n == 0 || p->minute == 0 || !(p->flags & ASKED_QUEUED))
			continue; /* dropped */
		p->flags &= (uint8_t)~ASKED_QUEUED;
		p->written = p->minute & 0x3fffffff;
		row_of(p, &out[n++]);
	}
	if (t->due_at == t->due_n)
		t->due_at = t->due_n = 0;
	return n;
}

bool asked_is_due(const struct asked_table *t)
{
	return t->due_at < t->due_n;
}

/* Noting. */

static bool note(struct asked_table *t, const struct asked_row *row, bool written)
{
	struct asked_place *p;

	assert(row->minute != 0 && row->issuer != 0);
	p = place_for(t, row->issuer, &row->serial);
	if (p == NULL)
		return false;
	if (row->minute <= p->minute)
		return true;
	p->minute = row->minute;
	p->flags = (p->flags & ASKED_QUEUED) | (row->own ? ASKED_OWN : 0);
	if (written)
		p->written = row->minute & 0x3fffffff;
	else
		look_whether_due(t, p);
	return true;
}

bool asked_note(struct asked_table *t, const struct asked_row *row)
{
	return note(t, row, false);
}

bool asked_load(struct asked_table *t, const struct asked_row *row)
{
	return note(t, row, true);
}

uint32_t asked_find(const struct asked_table *t, uint16_t issuer, const struct serial *s)
{
	const struct asked_place *p = place_of(t, issuer, s);

	return p->n != 0 ? p->minute : 0;
}

void asked_drop(struct asked_table *t, uint16_t issuer, const struct serial *s)
{
	struct asked_place *p = place_of(t, issuer, s);

	if (p->n == 0 || p->minute == 0)
		return;
	p->minute = 0;
	p->flags = 0;
	t->live--;
}

size_t asked_count(const struct asked_table *t)
{
	return t->live;
}

size_t asked_walk(
    const struct asked_table *t, size_t *place, struct asked_row *out, size_t max)
{
	size_t n = 0;

	for (; *place < t->room && n < max; ++*place)
		if (t->place[*place].n != 0 && t->place[*place].minute != 0)
			row_of(&t->place[*place], &out[n++]);
	return n;
}
