/* context.h - what the modules of the keeper's thread work with.
 *
 * The keeper owns all of it and makes it in this order; a module copies the struct when
 * it is made, where what is made later is NULL, and borrows what it names for life.
 */
#ifndef PROXY_BASE_CONTEXT_H
#define PROXY_BASE_CONTEXT_H

#include "cache/held/latch.h"
#include "cache/ocsp/admit.h"
#include "cache/ocsp/source.h"
#include "cache/store/store.h"
#include "proxy/base/barrier.h"
#include "proxy/base/executor.h"
#include "proxy/base/metrics.h"
#include "proxy/base/schedule.h"
#include "proxy/base/shared.h"

struct memos;    /* proxy/keeper/memo.h */
struct revoker;  /* proxy/keeper/revoke.h */
struct answers;  /* proxy/keeper/answers.h */
struct telling;  /* proxy/tell/teller.h */
struct crl_feed; /* proxy/lists/crl_feed.h */

struct parts {
	struct event_base *base;
	struct shared *shared;
	struct barrier *barrier;
	struct counters *counters;
	struct admit *admit;
	struct schedule *schedule;
	struct executor *disk;
	struct source *source;
	const struct mac_keys *keys; /* the store's; NULL without store-key-file */
	struct latches *latches;
	struct latch_file *latch_file;
	struct store *store;
	struct telling *telling;
	struct crl_feed *crl_feed;
	struct memos *memos;
	struct revoker *revoker;
	struct answers *answers;
};

#endif
