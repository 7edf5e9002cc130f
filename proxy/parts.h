/* parts.h - what the modules of the keeper's thread work with.
 *
 * The keeper owns all of it and makes it in this order; a module copies the struct when
 * it is made, where what is made later is NULL, and borrows what it names for life.
 */
#ifndef PROXY_PARTS_H
#define PROXY_PARTS_H

#include "cache/admit.h"
#include "cache/latch.h"
#include "cache/source.h"
#include "cache/store.h"
#include "proxy/ask.h"
#include "proxy/barrier.h"
#include "proxy/disk.h"
#include "proxy/metrics.h"
#include "proxy/schedule.h"
#include "proxy/shared.h"

struct holdings; /* proxy/holdings.h */
struct telling;  /* proxy/telling.h */
struct crl_feed; /* proxy/crl_feed.h */

struct parts {
	struct event_base *base;
	struct shared *shared;
	struct barrier *barrier;
	struct counters *counters;
	struct admit *admit;
	struct schedule *schedule;
	struct disk *disk;
	struct source *source;
	const struct mac_keys *keys; /* the store's; NULL without store-key-file */
	struct latches *latches;
	struct latch_file *latch_file;
	struct store *store;
	struct telling *telling;
	struct crl_feed *crl_feed;
	struct holdings *holdings;
};

#endif
