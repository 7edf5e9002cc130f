/* share_write.h - one change of a list in the shared store, and of this node's copy.
 *
 * The head is looked at, what the list is to be is made of it and of what was asked for,
 * and it is saved where the head is still that one; where it is not, from the beginning.
 * Then it is read back, as every other node does, so that the copy is what stands there.
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_SHARE_WRITE_H
#define PROXY_WATCH_SHARE_WRITE_H

#include "proxy/watch/ledger.h"
#include "proxy/watch/share_core.h"

/* So often a head is looked at.  Where others change the list all the time, each second
 * look loads a newer one. */
#define SHARE_TRIES 32

struct share_write;

/* What the job asks for (not LEDGER_NAME); a list from files: this node's part.  done:
 * once, possibly before this returns; the job's outcome is in the job, whose own done is
 * not called, and what it has is freed.  ERR_CONFLICT: others changed the list
 * in the middle of each try.  NULL when out of memory. */
struct share_write *share_write_job(struct share_core *core, struct ledger_job *job,
    void (*done)(void *arg, enum err e), void *arg);

/* This node's copy is written again, where what was read of its head (copied) is still
 * there.  ERR_CONFLICT: it is not.  done as above. */
struct share_write *share_write_back(struct share_core *core,
    const struct watch_list *list, const struct share_head *head,
    void (*done)(void *arg, enum err e), void *arg);

/* Did it commit? */
bool share_write_is_done(const struct share_write *w);
/* Behind done, or in it: w is not touched any more then.  NULL is allowed. */
void share_write_free(struct share_write *w);

#endif
