/* executor.h - a thread for work that blocks, one task at a time and in order.
 *
 * There are two: "disk", for every file and LMDB write, and "bulk", for lists: walk,
 * verify, merge, diff, below the priority of the others.
 *
 * A task is (work, done, arg): work runs on the executor's thread, then done comes back
 * through the inbox of the thread that owns it (the keeper).  executor_exec() is this as
 * a struct exec, so that cache/ needs no thread of its own.
 */
#ifndef PROXY_BASE_EXECUTOR_H
#define PROXY_BASE_EXECUTOR_H

#include "cache/base/exec.h"

struct executor;
struct inbox;

/* Start the thread, called name (a literal), with this nice value (the bulk thread: below
 * the others); that it may not have it is a warning.  done callbacks come through
 * replies. NULL with errno. */
struct executor *executor_start(struct inbox *replies, const char *name, int niceness);
/* Run what is queued, then end the thread and join it.  The done callbacks of those tasks
 * are in the inbox when this returns.  A task that is given from now on is done before
 * executor_run() returns, its done too: so those callbacks may give tasks.  NULL is
 * allowed, as in the next. */
void executor_stop(struct executor *x);
void executor_free(struct executor *x); /* after executor_stop() */

/* Queue a task; the keeper's thread.  done may be NULL.  A write that is promised is
 * never dropped: out of memory, this waits for the tasks before it, does the work itself
 * and calls done before it returns. */
void executor_run(
    struct executor *x, void (*work)(void *arg), void (*done)(void *arg), void *arg);
struct exec executor_exec(struct executor *x);

#endif
