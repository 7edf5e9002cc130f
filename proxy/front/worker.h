/* worker.h - one thread that serves clients: its loop, its listeners, its connections.
 *
 * Owner of everything it makes.  main makes it and starts it; from then on it is told
 * things through its inbox only (reload, drain, stop, barriers, answers from the keeper).
 */
#ifndef PROXY_FRONT_WORKER_H
#define PROXY_FRONT_WORKER_H

#include "proxy/base/shared.h"

struct worker;

/* fds: one listening socket for each `listen` address; handed over unless shared_fd[i]
 * (unix sockets, one for all workers).  NULL with a line in why. */
struct worker *worker_new(struct shared *shared, unsigned index, const int *fds,
    const bool *shared_fd, size_t fds_n, char *why, size_t why_n);
struct inbox *worker_inbox(struct worker *w);
int worker_start(struct worker *w); /* 0 or errno */

/* Any thread: */
void worker_reload(struct worker *w); /* conf in force has changed: limits */
void worker_drain(struct worker *w);  /* stop listening, close idle connections */
void worker_stop(
    struct worker *w); /* leave the loop when its last parked request is back */
bool worker_idle(const struct worker *w); /* no connection is left */

/* After worker_stop(): wait for the thread, then free all. */
void worker_join(struct worker *w);
void worker_free(struct worker *w);

#endif
