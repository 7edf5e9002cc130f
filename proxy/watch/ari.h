/* ari.h - the thread "ari": watched certificates are asked for renewal information, each
 * issuer's at its CA (RFC 9773), and what a CA announces by it is told as notices.
 *
 * It waits for CAs and for its own file, and nobody waits for it.  The keeper's barriers
 * go through it (shared->readers), so that it may look at the inventory and the
 * configuration.
 *
 *	ari_enrol  watched certificates -> the queue (ari.mdb)
 *	ari_ca     for each issuer with `ari`: the queue -> questions -> answers
 *	ari_notices  what they announce -> the change log
 *	ari_share  nodes that share a Redis: one of them asks, all know
 *
 * Stopping: ari_cancel() while the keeper still runs; it ends when what it has given to
 * the log has come back.
 */
#ifndef PROXY_WATCH_ARI_H
#define PROXY_WATCH_ARI_H

#include "cache/watch/ari_state.h"
#include "proxy/base/shared.h"

struct ari;

/* Opens ari.mdb, in the store's folder with lmdb:, else in state-directory.  NULL with a
 * line in why. */
struct ari *ari_new(struct shared *shared, char *why, size_t why_n);
struct inbox *ari_inbox(struct ari *a); /* one of shared->readers */
int ari_start(struct ari *a);           /* after watcher_start(); 0 or errno */

/* Any thread. */
void ari_reload(struct ari *a); /* conf in force has changed */
/* Nothing is asked any more; it ends by itself. */
void ari_cancel(struct ari *a);
void ari_join(struct ari *a);
void ari_free(struct ari *a); /* NULL is allowed */

/* Any thread: what is known of a certificate, for explain. */
struct ari_ask {
	struct question question; /* to ari_inbox(), with ari_tell */
	char issuer[64];
	struct serial serial;
	/* Outcome.  False: it was never asked for. */
	bool found;
	struct ari_state state;
};
void ari_tell(void *inbox_arg, struct msg *m); /* the run of an ari_ask */

/* Any thread: gauges. */
struct metrics_text;
void ari_gauges(struct ari *a, struct metrics_text *t);

#endif
