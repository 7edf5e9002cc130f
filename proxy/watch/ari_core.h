/* ari_core.h - what the parts of asking for renewal information (ari.h) work with.
 *
 * Made and freed by ari.c; a part borrows it for life.  The thread "ari", where nothing
 * else is said.
 */
#ifndef PROXY_WATCH_ARI_CORE_H
#define PROXY_WATCH_ARI_CORE_H

#include "cache/watch/ari_db.h"
#include "proxy/base/metrics.h"
#include "proxy/base/shared.h"
#include "proxy/watch/ari_pace.h"

struct event_base;
struct ari_share;
struct fetcher;
struct watch_ca;
struct watch_db;
struct watched;

struct ari_core {
	struct shared *shared;
	struct event_base *base;
	struct inbox *inbox; /* one of shared->readers */
	struct counters *counters;
	struct fetcher *fetcher;
	struct ari_db *db;
	struct watch_db *watch_db; /* dates of certificates; NULL: none are known */
	struct ari_share *share;   /* NULL: this node is alone (ari_share.h) */
	uint64_t chance;
	bool noticed_changed; /* the board says something else than the file */
	/* The board says what the file does: before it is told, so that a snapshot that
	 * is taken meanwhile has it. */
	void (*renew_board)(struct ari_core *core);
	size_t away; /* batches at the teller, states on their way: a stop waits */
	bool stopping;
};

/* 0..65535 */
unsigned ari_chance(struct ari_core *core);
struct ari_bounds ari_bounds(const struct ari_core *core);

/* What the inventory in force says of a certificate of this issuer: false: nobody watches
 * it, or its CA is not called so (any more).  not_before: of the first list that says. */
struct ari_life {
	uint32_t ca;
	int64_t not_before, not_after;
};
bool ari_life(const struct ari_core *core, const char *issuer, const struct ari_who *w,
    struct ari_life *out);

/* Does a newer certificate with all of its names stand on a list that has it, that is not
 * announced itself (watch_newer.h)?  Then its CA's word on it is of no use any more. */
bool ari_is_replaced(
    const struct ari_core *core, const struct ari_who *w, const struct ari_life *life);

/* What is wrong with the file, where e is not ERR_OK. */
void ari_tell_db(struct ari_core *core, enum err e);

#endif
