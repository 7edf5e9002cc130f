/* share_load.h - a list is read from the shared store, whole, and comes into force.
 *
 * A list of the API is one head's, one from files that of several together.  Nothing
 * changes before all of it was read and was good.
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_SHARE_LOAD_H
#define PROXY_WATCH_SHARE_LOAD_H

#include "proxy/watch/ledger.h"
#include "proxy/watch/share_core.h"

struct share_load {
	struct share_core *core;
	const struct share_head *const
	    *head; /* live ones of one name; borrowed until done */
	size_t n;
	bool copy; /* another node made the change */
	bool add;  /* what this node's copy has stays, too */
	/* ERR_NOT_FOUND: a chunk is gone: the list has changed meanwhile, or was lost.
	 * ERR_RECORD, ERR_RECORD_KEY: one cannot be read, and was told; else those of
	 * watch_redis.h and, where `ledger` is set, of ledger.h. */
	void (*done)(void *arg, enum err e);
	void *arg;
	bool ledger;
	struct ledger_job job; /* the last one: added, certificates */
	/* its own: */
	struct watch_draft *_draft;
	bool _lent; /* it is the caller's */
	struct known *_known;
	size_t _at;     /* head */
	uint64_t _read; /* of its certificates */
	struct watch_chunk_place _place;
};

/* The mark of a list with these heads. */
struct watch_mark share_load_mark(const struct share_head *const *head, size_t n);

/* l is the caller's, and stays until done. */
void share_load_start(struct share_load *l);

/* Only read, into a draft that is the caller's: as certificates that the list had before.
 */
void share_load_read(struct share_load *l, struct watch_draft *draft);

#endif
