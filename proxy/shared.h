/* shared.h - what all threads of the process see: configuration in force, hot table,
 * state.
 *
 * Everything here is either immutable behind an atomic pointer (conf), written by one
 * thread and read by all (hot, draining), or an address (inboxes).  conf is published by
 * the keeper's barrier: a thread reads it with shared_conf() anew in each callback and
 * keeps no pointer into it.
 */
#ifndef PROXY_SHARED_H
#define PROXY_SHARED_H

#include "cache/hot.h"
#include "conf/conf.h"
#include "proxy/inbox.h"

struct telling; /* proxy/telling.h */

#define SHARED_READERS_MAX 260 /* workers and API */

struct shared {
	_Atomic(const struct conf *) conf;
	struct hot *hot;         /* writer: keeper */
	_Atomic int connections; /* clients of all workers */
	int max_connections;     /* what the descriptors allow at most; set before threads
				    start */
	_Atomic int subscribers; /* event streams; set by the API */
	int max_subscribers;   /* what the descriptors allow at most, 0: not limited; set
				  before threads start */
	_Atomic bool draining; /* TERM came; set by main */
	_Atomic bool
	    reload_failed; /* the last HUP found a bad configuration; set by main */
	bool watched;      /* somebody wants to know that all threads live */
	_Atomic int64_t
	    beat_ms; /* monotonic: when a barrier last passed; set by keeper */
	_Atomic bool
	    store_settled;  /* the store is up or known to be down; set by keeper */
	int64_t started_at; /* wall clock */
	struct inbox *keeper;
	struct telling *telling; /* for telling_ask messages; set before threads start */
	struct inbox
	    *readers[SHARED_READERS_MAX]; /* threads that a barrier goes through */
	unsigned readers_n;               /* fixed before the keeper starts */
};

static inline const struct conf *shared_conf(const struct shared *s)
{
	return atomic_load_explicit(&s->conf, memory_order_acquire);
}

#endif
