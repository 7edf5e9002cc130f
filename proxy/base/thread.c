/* thread.c - pthread_create() with a signal mask and a name; a message with a flag. */
#include "proxy/base/thread.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "proxy/base/log.h"

struct start {
	char name[16];
	void *(*run)(void *arg);
	void *arg;
};

static void *begin(void *arg)
{
	struct start s = *(struct start *)arg;

	free(arg);
	/* By the thread itself: it has its name before it does anything. */
	pthread_setname_np(pthread_self(), s.name);
	return s.run(s.arg);
}

int thread_start(pthread_t *t, const char *name, void *(*run)(void *arg), void *arg)
{
	struct start *s = malloc(sizeof *s);
	sigset_t all, before;
	int e;

	if (s == NULL)
		return ENOMEM;
	snprintf(s->name, sizeof s->name, "%s", name);
	s->run = run;
	s->arg = arg;
	/* A thread begins with the mask of who makes it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	e = pthread_create(t, NULL, begin, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (e != 0)
		free(s);
	return e;
}

/* Linux has a nice value for each thread, and pid 0 is the calling one. */
void thread_lower(const char *name, int nice)
{
	if (nice > 0 && setpriority(PRIO_PROCESS, 0, nice) != 0)
		log_warn("priority_refused",
		    "thread=%s nice=%d error=%s remedy=\"allow setpriority: a filter "
		    "of system calls forbids it\"",
		    name, nice, strerror(errno));
}

static void on_order(void *inbox_arg, struct msg *m)
{
	struct order *o = (struct order *)m; /* msg is its first member */

	(void)inbox_arg;
	/* First, so that who tells it from now on has it heard again. */
	atomic_store(&o->_posted, false);
	o->heard(o->owner);
}

void order_init(struct order *o, void (*heard)(void *owner), void *owner)
{
	*o = (struct order){.msg = {.run = on_order}, .heard = heard, .owner = owner};
}

void order_post(struct order *o, struct inbox *to)
{
	assert(o->heard != NULL);
	if (!atomic_exchange(&o->_posted, true))
		inbox_post(to, &o->msg);
}
