/* poll_walk.h - an issuer's watched certificates, one after the other, round and round.
 *
 * The place of the walk is a value of its own: the last certificate that was given, and
 * its CA.  So it outlives the inventory in force then, and who goes on with another one
 * is given what comes behind it there.  Whoever is watched all the time is given once a
 * round.
 *
 * Keeper's thread, which borrows the inventory for one callback: so long a walk lives.
 */
#ifndef PROXY_KEEPER_POLL_WALK_H
#define PROXY_KEEPER_POLL_WALK_H

#include "cache/watch/inventory.h"

struct poll_place { /* zeroes: before the first */
	uint32_t ca;
	bool has_after;
	struct watched after;
};

/* How many certificates of this issuer are watched: at most `all` (who stands on two
 * lists counts twice), at least `most` (those of each CA's longest list). */
struct poll_count {
	size_t all, most;
};
struct poll_count poll_count(const struct inventory *v, const char *issuer);
/* Somewhere, by chance (any number). */
void poll_place_by_chance(
    struct poll_place *p, const struct inventory *v, const char *issuer, uint32_t chance);

struct poll_walk { /* everything borrowed */
	const struct inventory *v;
	const char *issuer;
	struct poll_place *place;
	struct inventory_walk *_walk;
};
/* The next one; *aki: of its CA.  *wrapped is set where a new round has begun with it.
 * False: nobody is watched, or out of memory. */
bool poll_walk_next(
    struct poll_walk *w, struct watched *out, struct bytes *aki, bool *wrapped);
void poll_walk_end(struct poll_walk *w);

#endif
