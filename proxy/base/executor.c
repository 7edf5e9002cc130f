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
#include <sys/resource.h>

#include "proxy/base/inbox.h"
#include "proxy/base/log.h"
#include "proxy/base/thread.h"

struct job {
	struct msg reply; /* first: what the inbox hands back is the job */
	struct job *next;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

struct disk {
	struct inbox *replies;
	const char *name;
	int nice;
	pthread_t thread;
	pthread_mutex_t lock; /* over the next four */
	struct job *head, **tail;
	bool busy; /* a job runs */
	bool stop;
	pthread_cond_t work, idle;
};

static void on_reply(void *inbox_arg, struct msg *m)
{
	struct job *j = (struct job *)m;

	(void)inbox_arg;
	j->done(j->arg);
	free(j);
}

/* The next job, or NULL when there is none and none will come. */
static struct job *wait_for_job(struct disk *d)
{
	struct job *j;

	pthread_mutex_lock(&d->lock);
	d->busy = false;
	if (d->head == NULL)
		pthread_cond_signal(&d->idle);
	while (d->head == NULL && !d->stop)
		pthread_cond_wait(&d->work, &d->lock);
	j = d->head;
	if (j != NULL) {
		d->busy = true;
		d->head = j->next;
		if (d->head == NULL)
			d->tail = &d->head;
	}
	pthread_mutex_unlock(&d->lock);
	return j;
}

static void *disk_thread(void *arg)
{
	struct disk *d = arg;
	struct job *j;

	/* Linux has a nice value for each thread, and pid 0 is the calling one; that it
	 * is refused is no reason not to work. */
	if (d->nice > 0 && setpriority(PRIO_PROCESS, 0, d->nice) != 0)
		log_warn("priority_refused",
		    "thread=%s nice=%d error=%s remedy=\"allow setpriority: a filter "
		    "of system calls forbids it\"",
		    d->name, d->nice, strerror(errno));
	while ((j = wait_for_job(d)) != NULL) {
		j->work(j->arg);
		if (j->done == NULL)
			free(j);
		else
			inbox_post(d->replies, &j->reply);
	}
	return NULL;
}

struct disk *disk_start(struct inbox *replies, const char *name, int niceness)
{
	struct disk *d = calloc(1, sizeof *d);
	int e;

	if (d == NULL)
		return NULL;
	d->replies = replies;
	d->tail = &d->head;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->work, NULL);
	pthread_cond_init(&d->idle, NULL);
	d->name = name;
	d->nice = niceness;
	e = thread_start(&d->thread, name, disk_thread, d);
	if (e != 0) {
		pthread_cond_destroy(&d->idle);
		pthread_cond_destroy(&d->work);
		pthread_mutex_destroy(&d->lock);
		free(d);
		errno = e;
		return NULL;
	}
	return d;
}

void disk_stop(struct disk *d)
{
	if (d == NULL)
		return;
	pthread_mutex_lock(&d->lock);
	d->stop = true;
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->thread, NULL);
	assert(d->head == NULL);
}

void disk_free(struct disk *d)
{
	if (d == NULL)
		return;
	assert(d->stop);
	pthread_cond_destroy(&d->idle);
	pthread_cond_destroy(&d->work);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* Here and now, but in its turn. */
static void run_here(
    struct disk *d, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	pthread_mutex_lock(&d->lock);
	while (d->head != NULL || d->busy)
		pthread_cond_wait(&d->idle, &d->lock);
	pthread_mutex_unlock(&d->lock);
	work(arg);
	if (done != NULL)
		done(arg);
}

void disk_run(struct disk *d, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	/* d->stop is set by this thread only */
	struct job *j = d->stop ? NULL : calloc(1, sizeof *j);

	if (j == NULL) {
		run_here(d, work, done, arg);
		return;
	}
	j->reply.run = on_reply;
	j->work = work;
	j->done = done;
	j->arg = arg;
	pthread_mutex_lock(&d->lock);
	*d->tail = j;
	d->tail = &j->next;
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
}

static void exec_run(
    void *ctx, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	disk_run(ctx, work, done, arg);
}

struct exec disk_exec(struct disk *d)
{
	return (struct exec){.run = exec_run, .ctx = d};
}
