/* shared.h - what all threads of the process see: configuration in force, hot table,
 * state.
 *
 * Everything here is either immutable behind an atomic pointer (conf), written by one
 * thread and read by all (hot, draining), counted by several (connections), or an address
 * (inboxes).  conf is published by the keeper (keeper.c), who frees the one before it
 * after a barrier: a thread reads it with shared_conf() anew in each callback and keeps
 * no pointer into it.
 */
#ifndef PROXY_BASE_SHARED_H
#define PROXY_BASE_SHARED_H

#include "cache/held/hot.h"
#include "conf/conf.h"
#include "proxy/base/inbox.h"

struct teller;    /* proxy/tell/teller.h */
struct watcher;   /* proxy/watch/watcher.h */
struct inventory; /* cache/watch/inventory.h */
struct hooks;     /* proxy/push/hooks.h */
struct hook_desk; /* proxy/push/hook_desk.h */
struct ari;       /* proxy/watch/ari.h */
struct ari_board; /* proxy/watch/ari_board.h */

#define SHARED_READERS_MAX 262 /* workers, API, inventory, ari, hooks */

struct shared {
	_Atomic(const struct conf *) conf;
	struct hot *hot; /* writer: keeper */
	/* What the descriptors allow at most is set before threads start. */
	_Atomic int connections; /* clients of all workers */
	int max_connections;
	_Atomic int subscribers; /* event streams; set by the API */
	int max_subscribers;     /* 0: not limited */
	/* Set by main: TERM came; the last HUP found a bad configuration. */
	_Atomic bool draining, reload_failed;
	/* Somebody wants to know that all threads live: when a barrier last passed,
	 * monotonic, set by the keeper. */
	bool watched;
	_Atomic int64_t beat_ms;
	_Atomic bool store_settled; /* it is up, or known to be down; set by the keeper */
	int64_t started_at;         /* wall clock */
	struct inbox *keeper;
	struct teller *teller;   /* for teller_ask messages; set before threads start */
	struct watcher *watcher; /* set before threads start; NULL in tests */
	struct hooks *hooks;     /* the same: proxy/push/hooks.h */
	struct hook_desk *hook_desk; /* the same */
	struct ari *ari;             /* the same */
	struct ari_board *ari_board; /* the same */
	/* What is watched (ledger_inventory()); set before threads start, then by the
	 * watcher's ledger. */
	_Atomic(const struct inventory *) inventory;
	/* Who is told what clients asked for (asked_keys.h), and how: messages with this
	 * run; set by the watcher before threads start.  NULL: nobody. */
	struct inbox *asked_to;
	void (*asked_run)(void *inbox_arg, struct msg *m);
	/* Those of the shared store have not been read yet; set by the watcher's share.
	 */
	_Atomic bool watchlists_waiting;
	/* Threads that a barrier goes through; fixed before the keeper starts. */
	struct inbox *readers[SHARED_READERS_MAX];
	unsigned readers_n;
};

static inline const struct conf *shared_conf(const struct shared *s)
{
	return atomic_load_explicit(&s->conf, memory_order_acquire);
}
/* As ledger_inventory(), but NULL where there is no ledger. */
static inline const struct inventory *shared_inventory(const struct shared *s)
{
	return atomic_load_explicit(&s->inventory, memory_order_acquire);
}

/* A watchlist that is not here may be in the shared store, which was not read yet. */
static inline bool shared_waits_for_lists(const struct shared *s)
{
	return atomic_load_explicit(&s->watchlists_waiting, memory_order_acquire);
}

#endif
