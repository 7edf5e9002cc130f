/* share_whole.h - all that a list is to have, as a sorted draft whose CAs are numbered in
 * its own order: what chunks are made of.
 *
 * Made on the thread "share": it sorts, and reads rows of watch.mdb, for seconds where
 * there are millions.
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_SHARE_WHOLE_H
#define PROXY_WATCH_SHARE_WHOLE_H

#include "proxy/watch/share_core.h"

struct share_whole {
	struct share_core *core;
	/* What it is made of: these certificates, or NULL; not sorted the first time, and
	 * sorted from then on.  Borrowed until done. */
	struct watch_draft *more;
	bool sorted;
	const struct watch_list *base; /* and those of a list, or NULL; a reference */
	const char *issuer; /* but this one's (a name or a hexadecimal AKI); NULL */
	struct serial serial;
	void (*done)(void *arg, enum err e);
	void *arg;
	/* Outcome: more itself where base is NULL, else a draft of its own; ours.
	 * ERR_NOT_FOUND: the one that was to be left out is not there. */
	struct watch_draft *draft;
	enum err error;
	size_t left_out;
	/* its own: */
	const struct watch_cas *_cas;
};

/* w is the caller's, and stays until done, which comes from the loop. */
void share_whole_make(struct share_whole *w);
void share_whole_clear(struct share_whole *w); /* what it owns */

#endif
