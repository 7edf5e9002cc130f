/* fake_disk.c - disk.h without a thread: a job is done when it is given. */
#include "proxy/disk.h"

void disk_run(struct disk *d, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	(void)d;
	work(arg);
	if (done != NULL)
		done(arg);
}
