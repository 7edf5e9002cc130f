/* fake_disk.c - executor.h without a thread: a job is done when it is given, or, where a
 * test holds them back, when the test says so, in order. */
#include "proxy/base/executor.h"

#include <stdlib.h>

#include "tests/lib/world.h"

struct job {
	struct job *next;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

static struct job *held;
static bool holding;

static void run(void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	work(arg);
	if (done != NULL)
		done(arg);
}

void executor_run(
    struct executor *d, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	struct job *j, **end = &held;

	(void)d;
	if (!holding) {
		run(work, done, arg);
		return;
	}
	j = malloc(sizeof *j);
	if (j == NULL)
		abort();
	*j = (struct job){NULL, work, done, arg};
	while (*end != NULL)
		end = &(*end)->next;
	*end = j;
}

bool fake_disk_step(void)
{
	struct job *j = held;

	if (j == NULL)
		return false;
	held = j->next;
	run(j->work, j->done, j->arg);
	free(j);
	return true;
}

void fake_disk_hold(bool hold)
{
	holding = hold;
	while (!hold && fake_disk_step())
		;
}
