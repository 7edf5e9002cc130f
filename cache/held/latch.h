/* latch.h - which certificates were once seen revoked, so that they never become good
 * again.
 *
 * A latch is (CA id, serial) with the revocation date and reason (R69).  It is set when a
 * validly signed answer says revoked (not certificateHold), kept `latch-keep`, durable in
 * the state directory whatever the store is, and untouched by purge.
 *
 * The table lives in memory and belongs to the keeper; latch_open() fills it.  Writing to
 * disk is a separate step (latch_file_put, latch_file_delete, latch_file_sweep) for the
 * disk thread, so that the keeper never waits for fsync: between the two calls the latch
 * holds in memory only, and a crash in that moment loses only a latch whose answer the
 * next fetch brings again.
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
	/* Its change is not in the change log yet (proxy/tell/teller.h); durable with the
	 * latch, so that a kill between the two loses no change (T23). */
	bool untold;
	/* Nor is it to be told by itself: a list in force said revoked before.  Its
	 * change is that of the list, which may not be in the log either. */
	bool listed;
};

struct latches;    /* the table; keeper */
struct latch_file; /* the LMDB environment below it; disk thread after latch_open */

/* Open or create DIR/latches.mdb (directory must exist; created only where there never
 * was one: else it is refused, as it is when damaged, with the remedy in why) and read
 * all latches, however old they are: the clock of this moment may be wrong, and only a
 * sweep removes (T20). ERR_STORE with a line in why (why_n bytes) that names the file and
 * the cause. */
enum err latch_open(struct latches **table, struct latch_file **file, const char *dir,
    char *why, size_t why_n);
void latches_free(struct latches *t);
void latch_file_close(struct latch_file *f);

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

/* Disk: durable (fsync) when they return.  Any one thread, not two at once. */
enum err latch_file_put(struct latch_file *f, const struct latch *l, size_t n);
/* The marks untold and listed of n latches are cleared. */
enum err latch_file_told(struct latch_file *f, const struct latch *l, size_t n);
enum err latch_file_delete(struct latch_file *f, const struct latch *l, size_t n);
enum err latch_file_sweep(struct latch_file *f, int64_t before);
/* The file, and what was wrong when one of these failed last: a line for people.  Any
 * thread. */
void latch_file_why(const struct latch_file *f, char *why, size_t why_n);
/* Any thread: did the last write fail?  Then the file, what was wrong, and the remedy
 * where one is known, are in why. */
bool latch_file_failed(const struct latch_file *f, char *why, size_t why_n);

#endif
