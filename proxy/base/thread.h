/* thread.h - how a thread begins, and how others tell it what they want.
 *
 * Signals are the main thread's: every other one has all of them blocked from its first
 * instruction on, so that no handler runs in the middle of a commit.
 */
#ifndef PROXY_BASE_THREAD_H
#define PROXY_BASE_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "proxy/base/inbox.h"

/* Start *t with run(arg), called name from its first instruction on (copied; 15 bytes of
 * it, as the kernel has it).  To be joined.  0 or errno. */
int thread_start(pthread_t *t, const char *name, void *(*run)(void *arg), void *arg);

/* The calling thread, called name, has this nice value from now on: below the others'
 * priority (0: as they are).  That it may not have it is a warning. */
void thread_lower(const char *name, int nice);

/* Something that a thread is told by others, again and again: told once more before it
 * was heard, it is heard once; told from then on, also while it is being heard, it is
 * heard again.  Part of what it is about, so that telling cannot fail. */
struct order {
	struct msg msg;
	_Atomic bool _posted;
	void (*heard)(void *owner);
	void *owner;
};
void order_init(struct order *o, void (*heard)(void *owner), void *owner);
/* Any thread.  heard(owner) runs on the thread of the inbox; that of one order, always
 * the same. */
void order_post(struct order *o, struct inbox *to);

#endif
