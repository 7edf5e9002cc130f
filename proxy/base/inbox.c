/* inbox.c - a stack that senders push on and the receiver takes whole, turned round.
 *
 * Taking all at once needs no tags against ABA.  The eventfd is emptied before the stack
 * is taken: a message that is pushed after the taking finds the stack empty and writes
 * again, one that is pushed before it is taken; at worst a wake-up finds nothing.
 */
#include "proxy/base/inbox.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct inbox {
	/* shared */
	_Atomic(struct msg *) head; /* newest first */
	_Atomic unsigned posting;   /* senders that are inside inbox_post() */
	int fd;
	/* the receiver's */
	struct event *ev;
	void *arg;
	bool running; /* messages run now: the inbox may not be freed by one */
};

static struct msg *reversed(struct msg *m)
{
	struct msg *out = NULL;

	while (m != NULL) {
		struct msg *next = m->_next;

		m->_next = out;
		out = m;
		m = next;
	}
	return out;
}

/* Run what is there now; what these messages post themselves comes with the next turn. */
static void run_all(struct inbox *in)
{
	struct msg *m =
	    reversed(atomic_exchange_explicit(&in->head, NULL, memory_order_acquire));

	assert(!in->running); /* never inside another callback */
	in->running = true;
	while (m != NULL) {
		struct msg *next = m->_next; /* m is gone when it has run */

		m->run(in->arg, m);
		m = next;
	}
	in->running = false;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n;

	(void)what;
	while (read(fd, &n, sizeof n) < 0 && errno == EINTR)
		;
	run_all(arg);
}

struct inbox *inbox_new(struct event_base *base, void *arg)
{
	struct inbox *in = calloc(1, sizeof *in);
	int e;

	if (in == NULL)
		return NULL;
	in->arg = arg;
	in->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (in->fd < 0)
		goto fail;
	errno = ENOMEM; /* libevent does not always say why */
	in->ev = event_new(base, in->fd, EV_READ | EV_PERSIST, on_wake, in);
	if (in->ev == NULL || event_priority_set(in->ev, 0) != 0 ||
	    event_add(in->ev, NULL) != 0)
		goto fail;
	return in;

fail:
	e = errno;
	if (in->ev != NULL)
		event_free(in->ev);
	if (in->fd >= 0)
		close(in->fd);
	free(in);
	errno = e;
	return NULL;
}

void inbox_free(struct inbox *in)
{
	if (in == NULL)
		return;
	assert(!in->running);
	/* A message may have run while its sender has yet to write the eventfd; closing
	 * it now would send that write to whoever gets the descriptor next. */
	while (atomic_load_explicit(&in->posting, memory_order_acquire) != 0)
		sched_yield();
	while (atomic_load_explicit(&in->head, memory_order_relaxed) != NULL)
		run_all(in);
	event_free(in->ev);
	close(in->fd);
	free(in);
}

static void wake(int fd)
{
	const uint64_t one = 1;

	/* EAGAIN: the counter is full, so the receiver is awake already. */
	while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

void inbox_post(struct inbox *in, struct msg *m)
{
	struct msg *head;

	assert(m->run != NULL);
	atomic_fetch_add_explicit(&in->posting, 1, memory_order_relaxed);
	head = atomic_load_explicit(&in->head, memory_order_relaxed);
	do
		m->_next = head;
	while (!atomic_compare_exchange_weak_explicit(
	    &in->head, &head, m, memory_order_release, memory_order_relaxed));
	if (head == NULL)
		wake(in->fd);
	atomic_fetch_sub_explicit(&in->posting, 1, memory_order_release);
}

void question_ask(
    struct question *q, struct inbox *to, void (*run)(void *inbox_arg, struct msg *m))
{
	assert(q->reply_to != NULL && q->done != NULL);
	q->msg.run = run;
	inbox_post(to, &q->msg);
}

static void on_answer(void *inbox_arg, struct msg *m)
{
	struct question *q = (struct question *)m; /* msg is its first member */

	q->done(inbox_arg, q);
}

void question_answer(struct question *q)
{
	q->msg.run = on_answer;
	inbox_post(q->reply_to, &q->msg);
}
