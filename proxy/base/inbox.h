/* inbox.h - how threads talk: a queue of messages and an eventfd on the receiver's loop.
 *
 * Many senders, one receiver.  Messages of one sender arrive in the order in which they
 * were posted, and a message is run at the top of a turn of the receiver's loop, never
 * inside another callback; before all else, where the loop has priorities.  Two promises
 * are built on that: when a message that was posted after X was unlinked has run, its
 * receiver holds no pointer to X any more (proxy/base/barrier.h); and what one thread
 * lends to another in a message stays valid until a barrier that was posted later has
 * passed.
 *
 * Posting takes no lock and allocates nothing: the message is part of what it is about.
 * The eventfd is written only when the queue was empty.
 */
#ifndef PROXY_BASE_INBOX_H
#define PROXY_BASE_INBOX_H

#include <stdatomic.h>

struct event_base;
struct inbox;

struct msg {
	struct msg *_next;
	/* Runs on the receiver's thread and owns m from then on; arg is the inbox's. */
	void (*run)(void *arg, struct msg *m);
};

/* NULL with errno.  arg is handed to every message that runs. */
struct inbox *inbox_new(struct event_base *base, void *arg);
/* On the receiver's thread or after it ended; messages that have not run are run first.
 */
void inbox_free(struct inbox *in);

/* Any thread, until inbox_free. m is handed over. */
void inbox_post(struct inbox *in, struct msg *m);

/* A message both ways, the first member of what is asked: the asker allocates it, and
 * posts it to a thread that fills in the outcome and posts it back.  Exactly one thread
 * has it at a time.  An asker for whom nobody waits any more clears its own `owner`,
 * which who answers never reads, and frees the question when it comes back. */
struct question {
	struct msg msg;
	/* the asker's: */
	struct inbox *reply_to;
	void (*done)(void *inbox_arg, struct question *q); /* inbox_arg: of reply_to */
	void *owner;
};
/* run, on the thread of `to`, has the question from then on. */
void question_ask(
    struct question *q, struct inbox *to, void (*run)(void *inbox_arg, struct msg *m));
/* Hand it back: done runs on the asker's thread.  Once for each time that it was asked.
 */
void question_answer(struct question *q);

#endif
