/* share_save.h - a sorted draft becomes a list of the shared store: its chunks, then, in
 * one step, its head.
 *
 * Until that step the list is what it was; after it the list is this one, whatever ends
 * here.
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_SHARE_SAVE_H
#define PROXY_WATCH_SHARE_SAVE_H

#include "proxy/watch/share_core.h"

struct share_save {
	struct share_core *core;
	const struct share_head *old;    /* what is there; borrowed until done */
	const struct watch_draft *draft; /* borrowed until done; NULL: a tombstone */
	uint64_t above;                  /* its number is to be above this one, too */
	/* ERR_CONFLICT: somebody else was there before; ERR_NOT_FOUND: it took too long,
	 * and what was written first is gone again; both: nothing has changed.  Else what
	 * watch_redis.h says. */
	void (*done)(void *arg, enum err e);
	void *arg;
	/* Outcome: the head as it is then. */
	struct watch_stored stored;
	/* its own: */
	struct watch_chunk_place _place;
	size_t _at;
	unsigned _flying;
	enum err _error;
	uint8_t *_buffer;
	uint8_t _head[WATCH_STORED_N];
};

/* s is the caller's, and stays until done; that may come at once. */
void share_save_start(struct share_save *s);
/* The same list was seen alive now (a part's owner); draft is not looked at. */
void share_save_seen(struct share_save *s);

#endif
