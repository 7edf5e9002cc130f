/* share_sync.h - a look at all heads of the shared store, and what follows from it.
 *
 *   a head of another revision       the list is loaded
 *   a tombstone                      this node's copy goes
 *   no head, or an older one, and    the copy stays and is written back, watchlist_lost:
 *   the copy was once loaded         Redis was flushed, or an older state was restored
 *   no head, and it never was        it is written there: the store was another before
 *   a head that cannot be read       refused and told; the copy stays
 *
 * A list from files is the union of its parts, which come and go with their nodes: each
 * writes its own (share_write.h), and says each SHARE_SEEN_S that it is there; one that
 * has not for SHARE_PART_S goes, and one of this node whose section is gone.  While a
 * part is lost, and not written again by its node, what the copy has stays.
 *
 * A look with `sweep` does besides what nobody waits for: it says so, drops what is too
 * old, and counts the chunks of what this node has, so that evicted ones are written
 * back.
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_SHARE_SYNC_H
#define PROXY_WATCH_SHARE_SYNC_H

#include "proxy/watch/share_core.h"

#define SHARE_SEEN_S (60 * 60)
#define SHARE_PART_S (7 * 24 * 60 * 60)
/* A node that was away for longer than these brings a deleted list back. */
#define SHARE_GONE_S   (400 * 24 * 60 * 60)
#define SHARE_GONE_MAX 1000 /* the oldest go first */

struct share_sync;

struct share_sync_want {
	struct share_core *core;
	bool sweep;
	/* A part of this node, which it has written in this run, is lost: it is to be
	 * written again. */
	void (*part_lost)(void *arg, const char *name);
	bool (*has_part)(void *arg, const char *name); /* has it? */
	/* ERR_OK: all heads were looked at, whatever was refused.  Else Redis was lost,
	 * or *again: something changed in the middle. */
	void (*done)(void *arg, enum err e, bool again);
	void *arg;
};

/* done: once, possibly before this returns.  NULL when out of memory. */
struct share_sync *share_sync_start(const struct share_sync_want *want);
void share_sync_free(struct share_sync *y); /* behind done, not in it; NULL is allowed */

#endif
