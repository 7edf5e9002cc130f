/* polled.c - for each issuer an open table, searched in a line from where the serial's
 * hash points. */
#include "cache/held/polled.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define ROOM_MIN 64 /* places of a first table */

/* STATUS_NONE: forgotten, but its place is taken until the table is made anew. */
struct polled_place {
	uint8_t octets[SERIAL_MAX];
	uint8_t n; /* 0: empty */
	uint8_t status;
	int8_t reason;
	uint32_t revoked_at, this_update, produced_at, expiry, heard_at;
	uint32_t hash;
};
_Static_assert(sizeof(struct polled_place) == 48, "what the header says");

struct polled_issuer {
	struct polled_issuer *next;
	char name[64];
	struct polled_place *place;
	size_t room, taken;
};

struct polled {
	uint64_t seed;
	struct polled_issuer *first;
};

static uint32_t in_32(int64_t at)
{
	return at < 0 ? 0 : at > UINT32_MAX ? UINT32_MAX : (uint32_t)at;
}

static uint32_t hash_of(const struct polled *t, const struct serial *s)
{
	return (uint32_t)XXH3_64bits_withSeed(s->octets, s->n, t->seed);
}

/* The serial's place, or the empty one where it would be put.  One is empty always. */
static struct polled_place *place_of(
    const struct polled_issuer *i, uint32_t hash, const uint8_t *octets, size_t n)
{
	size_t at = (size_t)((uint64_t)hash * i->room >> 32);

	for (;;) {
		struct polled_place *p = &i->place[at];

		if (p->n == 0 ||
		    (p->hash == hash && p->n == n && memcmp(p->octets, octets, n) == 0))
			return p;
		at = at + 1 < i->room ? at + 1 : 0;
	}
}

static struct polled_issuer *issuer_named(const struct polled *t, const char *name)
{
	struct polled_issuer *i = t->first;

	while (i != NULL && strcmp(i->name, name) != 0)
		i = i->next;
	return i;
}

static struct polled_issuer *issuer_new(struct polled *t, const char *name)
{
	struct polled_issuer *i = calloc(1, sizeof *i);

	assert(strlen(name) < sizeof i->name);
	if (i == NULL || (i->place = calloc(ROOM_MIN, sizeof *i->place)) == NULL) {
		free(i);
		return NULL;
	}
	i->room = ROOM_MIN;
	memcpy(i->name, name, strlen(name) + 1);
	i->next = t->first;
	t->first = i;
	return i;
}

static bool is_alive(const struct polled_place *p, int64_t now)
{
	return p->n > 0 && p->status != STATUS_NONE && p->expiry > now;
}

/* A table with two thirds taken by those that live. */
static bool make_anew(struct polled_issuer *i, int64_t now)
{
	struct polled_issuer anew = {.room = ROOM_MIN};

	for (size_t n = 0; n < i->room; n++)
		anew.taken += is_alive(&i->place[n], now);
	if (anew.room < anew.taken + anew.taken / 2 + 1)
		anew.room = anew.taken + anew.taken / 2 + 1;
	anew.place = calloc(anew.room, sizeof *anew.place);
	if (anew.place == NULL)
		return false;
	for (size_t n = 0; n < i->room; n++) {
		const struct polled_place *p = &i->place[n];

		if (is_alive(p, now))
			*place_of(&anew, p->hash, p->octets, p->n) = *p;
	}
	free(i->place);
	i->place = anew.place;
	i->room = anew.room;
	i->taken = anew.taken;
	return true;
}

/* The certificate's place, which is empty where it is new. */
static struct polled_place *place_for(
    struct polled *t, const char *issuer, const struct serial *s, int64_t now)
{
	struct polled_issuer *i = issuer_named(t, issuer);
	uint32_t hash = hash_of(t, s);
	struct polled_place *p;

	if (i == NULL && (i = issuer_new(t, issuer)) == NULL)
		return NULL;
	p = place_of(i, hash, s->octets, s->n);
	if (p->n > 0)
		return p;
	if (i->taken >= i->room - i->room / 7) {
		if (!make_anew(i, now))
			return NULL;
		p = place_of(i, hash, s->octets, s->n);
	}
	i->taken++;
	p->hash = hash;
	p->n = s->n;
	memcpy(p->octets, s->octets, s->n);
	return p;
}

static struct facts facts_of(const struct polled_place *p)
{
	return (struct facts){.status = (enum status)p->status,
	    .reason = p->reason,
	    .revoked_at = p->revoked_at,
	    .this_update = p->this_update,
	    .produced_at = p->produced_at,
	    .next_update = p->expiry,
	    .signer_not_after = INT64_MAX};
}

bool polled_put(struct polled *t, const char *issuer, const struct serial *s,
    const struct facts *f, int64_t expiry, int64_t heard_at)
{
	struct polled_place *p = place_for(t, issuer, s, heard_at);
	struct facts here;

	assert(f->status != STATUS_NONE && s->n > 0);
	if (p == NULL)
		return false;
	here = facts_of(p);
	if (here.status != STATUS_NONE && facts_newer(&here, f))
		return true;
	p->status = (uint8_t)f->status;
	p->reason = (int8_t)f->reason;
	p->revoked_at = in_32(f->revoked_at);
	p->this_update = in_32(f->this_update);
	p->produced_at = in_32(f->produced_at);
	p->expiry = in_32(expiry);
	p->heard_at = in_32(heard_at);
	return true;
}

static struct polled_place *find(
    const struct polled *t, const char *issuer, const struct serial *s)
{
	struct polled_issuer *i = t != NULL ? issuer_named(t, issuer) : NULL;
	struct polled_place *p =
	    i != NULL ? place_of(i, hash_of(t, s), s->octets, s->n) : NULL;

	return p != NULL && p->n > 0 ? p : NULL;
}

bool polled_find(const struct polled *t, const char *issuer, const struct serial *s,
    struct polled_word *out)
{
	const struct polled_place *p = find(t, issuer, s);

	if (p == NULL || p->status == STATUS_NONE)
		return false;
	out->facts = facts_of(p);
	out->heard_at = p->heard_at;
	return true;
}

static void issuer_free(struct polled_issuer *i)
{
	free(i->place);
	free(i);
}

void polled_forget(struct polled *t, const char *issuer, const struct serial *s)
{
	struct polled_place *p = s != NULL ? find(t, issuer, s) : NULL;

	if (p != NULL)
		p->status = STATUS_NONE;
	if (s != NULL)
		return;
	for (struct polled_issuer **at = &t->first; *at != NULL; at = &(*at)->next)
		if (strcmp((*at)->name, issuer) == 0) {
			struct polled_issuer *i = *at;

			*at = i->next;
			issuer_free(i);
			return;
		}
}

size_t polled_bytes(const struct polled *t)
{
	size_t sum = 0;

	for (const struct polled_issuer *i = t->first; i != NULL; i = i->next)
		sum += i->room * sizeof *i->place;
	return sum;
}

struct polled *polled_new(uint64_t seed)
{
	struct polled *t = malloc(sizeof *t);

	if (t != NULL)
		*t = (struct polled){.seed = seed};
	return t;
}

void polled_free(struct polled *t)
{
	while (t != NULL && t->first != NULL) {
		struct polled_issuer *i = t->first;

		t->first = i->next;
		issuer_free(i);
	}
	free(t);
}
