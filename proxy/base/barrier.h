/* barrier.h - to know that every reader has turned.
 *
 * An empty message goes through the inbox of every reader (shared->readers: workers and
 * API); when all have run it, no reader holds anything that was unlinked before the
 * barrier began, and no worker can newly serve it.  It frees garbage, old configurations
 * and old CRL sets, and (second law: know, then tell) is what a change waits for before
 * it is told.  Wants that come while a round is under way go into the next one; they are
 * done in the order in which they came.
 *
 * Keeper's thread.
 */
#ifndef PROXY_BASE_BARRIER_H
#define PROXY_BASE_BARRIER_H

#include "proxy/base/shared.h"

struct barrier;

/* own: the keeper's inbox.  NULL when out of memory. */
struct barrier *barrier_new(struct shared *shared, struct inbox *own);
/* After the inbox was freed; what still waits is done. */
void barrier_free(struct barrier *b);

/* w->done(w) is called when a barrier that begins now (or later) has passed; at once
 * where there are no readers.  w is the caller's, usually part of what waits, so that a
 * barrier cannot fail. */
struct barrier_want {
	struct barrier_want *_next;
	void (*done)(struct barrier_want *w);
};
void barrier_pass(struct barrier *b, struct barrier_want *w);

#endif
