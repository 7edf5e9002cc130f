/* latch.h - which certificates were once seen revoked, so that they never become good
 * again.
 *
 * A latch is (CA id, serial) with the revocation date and reason (R69).  It is set when a
 * validly signed answer says revoked (not certificateHold), kept `latch-keep`, durable in
 * the state directory whatever the store is, and untouched by purge.
 *
 * The table lives in memory and belongs to the keeper.  What makes it durable is a step
 * of its own, on the disk thread (latch_file.h), so that the keeper never waits for
 * fsync: between the two the latch holds in memory only, and a crash in that moment loses
 * only a latch whose answer the next fetch brings again.
 */
#ifndef CACHE_HELD_LATCH_H
#define CACHE_HELD_LATCH_H

#include "cache/base/issuer.h"

struct latch {
	uint8_t ca_id[32]; /* issuer_ca.id */
	struct serial serial;
	int reason;
	int64_t revoked_at; /* as the answer said */
	int64_t set_at;     /* when we saw it */
	/* Whose change is not in the change log yet: one of the two, or none.
	 *
	 *	                 untold                    listed
	 *	means            to be told by itself      part of a list's, which said
	 *	                                           revoked before
	 *	set              as the latch is new, in memory and with it on disk
	 *	gone in memory   an append of it begins,   an append of the list that has
	 *	                 by itself or in a list    it begins
	 *	back in memory   an append of a list has failed (latches_mark)
	 *	gone on disk     the append is durable (latch_file_told)
	 *
	 * The mark in memory says that nobody is telling the change yet: who takes it
	 * tells it, and the other leaves it.  What was begun by itself stays with who
	 * began.  The mark on disk brings it back after a kill (T23). */
	bool untold, listed;
};

/* What names a latch: the CA's id, then the serial's octets.  Returns how many. */
#define LATCH_KEY_MAX (32 + SERIAL_MAX)
size_t latch_key(
    uint8_t out[LATCH_KEY_MAX], const uint8_t ca_id[32], const struct serial *s);

struct latches; /* the table; keeper */

/* An empty one; NULL when out of memory, or of random numbers. */
struct latches *latches_new(void);
void latches_free(struct latches *t); /* NULL is allowed */

/* Borrowed until the table changes; NULL where there is none.  Looks under every
 * certificate of the issuer: a latch outlives a renewal of the CA. */
const struct latch *latches_find(
    const struct latches *t, const struct issuer *i, const struct serial *s);
/* Is it still there: of this CA and serial, and set at that time? */
bool latches_has(const struct latches *t, const struct latch *l);
/* ERR_OK; ERR_NOMEM.  *added (may be NULL) tells whether it was new. */
enum err latches_add(struct latches *t, const struct latch *l, bool *added);
/* All latches of (issuer, serial); *removed (room for i->ca_n) gets a copy of each.
 * Returns how many. */
size_t latches_remove(struct latches *t, const struct issuer *i, const struct serial *s,
    struct latch *removed);
size_t latches_count(const struct latches *t);
/* Drop those set before `before`; returns how many. */
size_t latches_sweep(struct latches *t, int64_t before);

/* Call fn for each latch, in no order; it changes nothing. */
void latches_each(
    const struct latches *t, void (*fn)(void *arg, const struct latch *l), void *arg);
/* A walk over all of them in slices, for who may not take so long at once: every latch
 * that is in the table when it begins is visited, whatever happens meanwhile; one that is
 * removed before its turn comes, just before it goes.  What is added may be visited or
 * not.  Several walks may be under way.  The table does not grow more buckets until they
 * have ended. */
struct latches_walk {
	void (*fn)(void *arg, const struct latch *l); /* as in latches_each() */
	void *arg;
	size_t _bucket;
	struct latches_walk *_next;
};
/* fn and arg are set; w is the caller's, and stays until it has ended. */
void latches_walk_begin(struct latches *t, struct latches_walk *w);
/* Visit the next ones: at most n latches and empty buckets, or one bucket's chain more.
 * False: that was all, and the walk has ended. */
bool latches_walk_on(struct latches *t, struct latches_walk *w, size_t n);
void latches_walk_end(struct latches *t, struct latches_walk *w); /* before it is over */

/* The change of this latch is told: clears untold and listed; nothing where there is
 * none. */
void latches_told(struct latches *t, const uint8_t ca_id[32], const struct serial *s);
/* It could not be told: the latch has the marks untold and listed that l has; nothing
 * where there is none. */
void latches_mark(struct latches *t, const struct latch *l);

#endif
