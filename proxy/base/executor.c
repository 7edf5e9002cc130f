/* executor.c - the queue of such a thread: a mutex, a condition, a list.
 *
 * A mutex and not an inbox, because this thread has no event loop: it sleeps on the
 * condition and in fsync.
 */
#include "proxy/base/executor.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/inbox.h"
#include "proxy/base/thread.h"

struct task {
	struct msg reply; /* first: what the inbox hands back is the task */
	struct task *next;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

struct executor {
	struct inbox *replies;
	const char *name;
	int nice;
	pthread_t thread;
	pthread_mutex_t lock; /* over the next four */
	struct task *head, **tail;
	bool busy; /* a task runs */
	bool stop;
	pthread_cond_t work, idle;
};

static void on_reply(void *inbox_arg, struct msg *m)
{
	struct task *t = (struct task *)m;

	(void)inbox_arg;
	t->done(t->arg);
	free(t);
}

/* The next task, or NULL when there is none and none will come. */
static struct task *wait_for_task(struct executor *x)
{
	struct task *t;

	pthread_mutex_lock(&x->lock);
	x->busy = false;
	if (x->head == NULL)
		pthread_cond_signal(&x->idle);
	while (x->head == NULL && !x->stop)
		pthread_cond_wait(&x->work, &x->lock);
	t = x->head;
	if (t != NULL) {
		x->busy = true;
		x->head = t->next;
		if (x->head == NULL)
			x->tail = &x->head;
	}
	pthread_mutex_unlock(&x->lock);
	return t;
}

static void *disk_thread(void *arg)
{
	struct executor *x = arg;
	struct task *t;

	thread_lower(x->name, x->nice);
	while ((t = wait_for_task(x)) != NULL) {
		t->work(t->arg);
		if (t->done == NULL)
			free(t);
		else
			inbox_post(x->replies, &t->reply);
	}
	return NULL;
}

struct executor *executor_start(struct inbox *replies, const char *name, int niceness)
{
	struct executor *x = calloc(1, sizeof *x);
	int e;

	if (x == NULL)
		return NULL;
	x->replies = replies;
	x->tail = &x->head;
	pthread_mutex_init(&x->lock, NULL);
	pthread_cond_init(&x->work, NULL);
	pthread_cond_init(&x->idle, NULL);
	x->name = name;
	x->nice = niceness;
	e = thread_start(&x->thread, name, disk_thread, x);
	if (e != 0) {
		pthread_cond_destroy(&x->idle);
		pthread_cond_destroy(&x->work);
		pthread_mutex_destroy(&x->lock);
		free(x);
		errno = e;
		return NULL;
	}
	return x;
}

void executor_stop(struct executor *x)
{
	if (x == NULL)
		return;
	pthread_mutex_lock(&x->lock);
	x->stop = true;
	pthread_cond_signal(&x->work);
	pthread_mutex_unlock(&x->lock);
	pthread_join(x->thread, NULL);
	assert(x->head == NULL);
}

void executor_free(struct executor *x)
{
	if (x == NULL)
		return;
	assert(x->stop && x->head == NULL && !x->busy);
	pthread_cond_destroy(&x->idle);
	pthread_cond_destroy(&x->work);
	pthread_mutex_destroy(&x->lock);
	free(x);
}

/* Here and now, but in its turn. */
static void run_here(
    struct executor *x, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	pthread_mutex_lock(&x->lock);
	while (x->head != NULL || x->busy)
		pthread_cond_wait(&x->idle, &x->lock);
	pthread_mutex_unlock(&x->lock);
	work(arg);
	if (done != NULL)
		done(arg);
}

void executor_run(
    struct executor *x, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	/* x->stop is set by this thread only */
	struct task *t = x->stop ? NULL : calloc(1, sizeof *t);

	assert(work != NULL);
	if (t == NULL) {
		run_here(x, work, done, arg);
		return;
	}
	t->reply.run = on_reply;
	t->work = work;
	t->done = done;
	t->arg = arg;
	pthread_mutex_lock(&x->lock);
	*x->tail = t;
	x->tail = &t->next;
	pthread_cond_signal(&x->work);
	pthread_mutex_unlock(&x->lock);
}

static void exec_run(
    void *ctx, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	executor_run(ctx, work, done, arg);
}

struct exec executor_exec(struct executor *x)
{
	return (struct exec){.run = exec_run, .ctx = x};
}
