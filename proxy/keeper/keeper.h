/* keeper.h - the thread that keeps what we know: flights, schedule, upstream, store,
 * admission, latches, lists and what is told of them; the only writer of the hot table.
 *
 * It owns everything in struct keeper.  Other threads reach it through its inbox
 * (shared->keeper) only; what it lends them is valid until a barrier that it posts later
 * has passed.
 */
#ifndef PROXY_KEEPER_KEEPER_H
#define PROXY_KEEPER_KEEPER_H

#include "proxy/keeper/keeper_parts.h"
#include "proxy/source/upstream.h"

struct keeper; /* opaque: its accessors are for who runs on its thread (api, push) */

/* Make it: opens latches, store and change log, creates directories; of threads it starts
 * those of the disks alone.  Sets shared->keeper and shared->teller.  NULL with a line
 * in why. */
struct keeper *keeper_new(struct shared *shared, char *why, size_t why_n);
int keeper_start(struct keeper *k); /* after shared->readers is complete; 0 or errno */

/* Any thread.  conf is handed over and becomes the configuration in force; then
 * published(arg, old, conf) is called, on the keeper's thread, to tell the others; old is
 * borrowed until it returns.  conf lives until the next one is in force.  False when out
 * of memory: conf is freed, the old one stays. */
typedef void keeper_published_fn(
    void *arg, const struct conf *old, const struct conf *conf);
bool keeper_reload(
    struct keeper *k, struct conf *conf, keeper_published_fn *published, void *arg);
/* Any thread.  A reload has failed, for this reason (copied): what keeper_mistake() tells
 * until the next one that works. */
void keeper_reload_failed(struct keeper *k, const char *why);
void keeper_ask(struct shared *shared, struct ask *a); /* handed over */
struct evidence_ask;                                   /* evidence_ask.h */
void keeper_ask_evidence(struct shared *shared, struct evidence_ask *a);
struct watched_names; /* watched_source.h */
void keeper_tell_names(struct shared *shared, struct watched_names *n); /* handed over */
/* From now on everybody who waits or asks is told ERR_CANCELLED at once: the first step
 * of a stop, so that the other threads get their parked requests back. */
void keeper_cancel(struct keeper *k); /* once */
void keeper_stop(struct keeper *k);   /* once; leave the loop; nobody may ask any more */
void keeper_join(struct keeper *k);
/* After every other thread was joined. */
void keeper_free(struct keeper *k);

/* Keeper's thread: what it works with. */
const struct keeper_parts *keeper_parts(struct keeper *k);
const struct conf *keeper_conf(struct keeper *k);
/* Why the last reload has failed, a line for people; NULL: it has not. */
const char *keeper_mistake(struct keeper *k);

#endif
