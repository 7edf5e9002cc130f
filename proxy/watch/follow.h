/* follow.h - the watchlists of the configuration, as their files change.
 *
 * A round (watch_files.h) looks at all files, on a thread of its own ("files"), below the
 * others' priority: reading 15,000 certificates takes seconds, and neither searches nor
 * barriers wait for that.  What has changed goes to the ledger as a PUT does.  A round
 * comes FOLLOW_DELAY_MS after inotify has told of something in a folder that was read,
 * else when a file's time is up, and each FOLLOW_SWEEP_MS: not every file system tells,
 * and what a link leads to is not watched.
 *
 * The first round of a run puts each list, whatever the last run left; from then on one
 * is written only when something of it has changed.
 *
 * On a shared store what they say is this node's part of a list (share.h); a list that
 * could be put here alone, as Redis was away, is put again when that is back.
 *
 * A reload adds, changes and removes lists, and all files are read anew, since others may
 * have issued them now.  A list of the API that has the name of a section stays, and is
 * told: watchlist_conflict.
 *
 * The functions are the inventory thread's, where nothing else is said.
 */
#ifndef PROXY_WATCH_FOLLOW_H
#define PROXY_WATCH_FOLLOW_H

#include "proxy/watch/watch_context.h"

#define FOLLOW_DELAY_MS 200
#define FOLLOW_SWEEP_MS 60000

struct follow;

/* NULL with errno. */
struct follow *follow_new(struct watch_context *context);
/* The configuration in force is another, or the first one (also before the thread has
 * started). */
void follow_reload(struct follow *f);
/* All lists are put again, soon, as if all of them had changed. */
void follow_again(struct follow *f);
void follow_cancel(struct follow *f); /* we stop: what is under way ends early */
/* Ends its thread; what it has done is in the inbox.  NULL is allowed, as in the next. */
void follow_stop(struct follow *f);
void follow_free(struct follow *f);

struct metrics_text;
void follow_gauges(const struct follow *f, struct metrics_text *t); /* any thread */

#endif
