/* share.h - watchlists that nodes share through Redis: store = "redis…" with
 * store-key-file.
 *
 * Redis has the lists (watch_redis.h), watch.mdb in the state directory is this node's
 * copy of them.  Changes go there first, in one step, and into the copy when they stand
 * there; so all nodes have one order of changes, and a kill anywhere leaves the old list
 * or the new one.  What others change is heard of by news of the heads, and found by a
 * look each SHARE_SWEEP_MS (each SHARE_POLL_MS where Redis tells no news).
 *
 * While Redis is away, what is loaded stays in force, and nothing can be changed, but for
 * what this machine's files say: that goes into the copy, and to Redis when it is back.
 *
 * Changes, and looks, are done one after the other: a change of millions of certificates
 * holds up what comes behind it for some seconds.  Each change writes its whole list: who
 * adds one certificate to 15,000 writes 1.5 MB.
 *
 * The inventory thread, where nothing else is said.
 */
#ifndef PROXY_WATCH_SHARE_H
#define PROXY_WATCH_SHARE_H

#include "proxy/watch/ledger.h"
#include "proxy/watch/watch_context.h"

#define SHARE_NEWS_MS  100 /* so long more news are waited for */
#define SHARE_SWEEP_MS 60000
#define SHARE_POLL_MS  1000

struct share;

/* Does the configuration want it? */
bool share_is_wanted(const struct conf *c);

/* NULL with a line in why. */
struct share *share_new(struct watch_context *context, char *why, size_t why_n);
/* Parts of lists from files are lost, or were not written: all are to be given again. */
void share_on_files_again(struct share *s, void (*again)(void *arg), void *arg);
/* The configuration in force is another: a look at once, with its sweep. */
void share_reload(struct share *s);

/* A change: by the shared store where there is one (context->share), else the ledger's
 * alone.  As ledger_do(); job->shared: its error is the shared store's. */
void share_change(struct watch_context *context, struct ledger_job *j);

/* Does Redis not have this node's part of the list yet, as its files say it now? */
bool share_owes(struct share *s, const char *name);

/* Can lists be changed now? */
bool share_is_up(const struct share *s);

void share_cancel(struct share *s); /* we stop: who waits gets ERR_CANCELLED */
/* Ends its thread; what it has done is in the inbox.  NULL is allowed, as in the next. */
void share_stop(struct share *s);
void share_free(struct share *s);

#endif
