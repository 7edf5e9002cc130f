/* watcher.h - the thread "inventory": what you run, and what is asked about it.
 *
 * It reads the bodies of watchlists and of bulk status as they come, searches and counts,
 * and asks the keeper for what only that knows.  The file is read and written by threads
 * of its own: "search" looks for the rows of pages (page.h), "shelf" makes changes
 * (ledger.h); and the API's looks up names of what it tells (watcher_db()).  It serves no
 * client of the front, and holds nobody up who does.  The keeper's barriers go through it
 * (shared->readers), so that it may look at the hot table, the lists in force and the
 * configuration as the workers do; no turn of its loop takes more than some milliseconds.
 *
 * Stopping, in this order: watcher_drain() with the front; watcher_cancel() before the
 * API is stopped, so that this gets back what it asked; watcher_stop() when nobody asks
 * any more and the keeper still runs.
 */
#ifndef PROXY_WATCH_WATCHER_H
#define PROXY_WATCH_WATCHER_H

#include "proxy/base/shared.h"
#include "proxy/watch/watch_upload.h"

struct counts;
struct incident_calls;
struct watcher;

/* Opens watch.mdb, in the store's folder with lmdb:, else in state-directory; sets
 * shared->watcher and shared->inventory.  NULL with a line in why. */
struct watcher *watcher_new(struct shared *shared, char *why, size_t why_n);
struct inbox *watcher_inbox(struct watcher *w); /* one of shared->readers */
int watcher_start(struct watcher *w);           /* after keeper_new(); 0 or errno */

/* Any thread. */
void watcher_reload(struct watcher *w); /* conf in force has changed */
/* No body is taken any more, and one that has not come whole is refused. */
void watcher_drain(struct watcher *w);
bool watcher_is_idle(const struct watcher *w); /* no streamed call is left */
/* What is under way is given up, and everybody who asked is told so. */
void watcher_cancel(struct watcher *w);
void watcher_stop(struct watcher *w);
void watcher_join(struct watcher *w);
void watcher_free(struct watcher *w); /* NULL is allowed */

/* Any thread: a place for a streamed call; false: all are taken, or we drain. */
bool watcher_reserve(struct watcher *w);
void watcher_release(struct watcher *w); /* it is not needed */
/* A streamed call for a reserved place; o and what it has are handed over. */
void watcher_take(struct watcher *w, struct watch_order *o);

/* The inventory thread. */
struct watch_context *watcher_context(struct watcher *w);
struct counts *watcher_counts(struct watcher *w);
struct incident_calls *watcher_incidents(struct watcher *w);

/* Any thread: what lists say of certificates. */
struct watch_db;
struct watch_db *watcher_db(struct watcher *w);

/* Any thread: can watchlists be changed?  False where watch.mdb is full or cannot be
 * written, with file, cause and remedy. */
bool watcher_can_write(struct watcher *w, char *why, size_t why_n);

/* Any thread: gauges of what is watched and of watch.mdb. */
struct metrics_text;
void watcher_gauges(struct watcher *w, struct metrics_text *t);

#endif
