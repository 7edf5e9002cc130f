/* call_latches.h - GET /v1/latches: which certificates this node has seen revoked, as
 *JSON in a file.
 *
 * There may be hundreds of thousands.  So the keeper passes through the table in slices
 * (latches_walk, cache/held/latch.h), the disk thread sorts and writes what was found
 *into a file in memory, and a client takes that at its own pace, as it takes a list:
 *nobody is held up, and nobody holds the text twice.  LATCH_LISTS_MAX of them are made or
 *read at a time; who comes then is sent away for the moment.
 *
 *	[
 *	{"issuer","serial","status":"revoked","revoked_at","reason","since"},
 *	...
 *	]
 *
 * One line for each certificate, in the order of the configuration and of the serials:
 * those of the issuers that were configured when it was asked for, as they were at some
 * moment since then.  since: when this node saw it first.
 *
 * Keeper's thread, but for the free.
 */
#ifndef PROXY_API_CALL_LATCHES_H
#define PROXY_API_CALL_LATCHES_H

#include "cache/crl/crl_set.h"
#include "proxy/keeper/keeper.h"

#define LATCH_LISTS_MAX 4

struct latch_lists; /* those that are made, and those that are read */

struct latch_lists *latch_lists_new(void); /* any thread; NULL when out of memory */
void latch_lists_free(
    struct latch_lists *all); /* nothing is under way; NULL is allowed */
/* Forget those that nobody reads any more: now and then. */
void latch_lists_sweep(struct latch_lists *all);

/* issuer: a configured name, or "" for all.  ERR_OK: done is called exactly once, from
 * the loop and never before this returns, with ERR_OK and a reference to the file, which
 * is the asker's then, or with another outcome.  ERR_UP_BUSY, ERR_NOMEM: nothing is
 * begun, and done is not called. */
enum err latch_list_make(struct latch_lists *all, struct keeper *k, const char *issuer,
    void (*done)(void *arg, enum err e, struct shared_file *file), void *arg);

#endif
