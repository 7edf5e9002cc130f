/* fake_time.c - clock_gettime for the whole program, libevent included. */
#include "tests/lib/world.h"

#include <time.h>

static int64_t now_ms = WORLD_START * 1000, mono_ms = 1000000;

void fake_time_set(int64_t now, int64_t mono)
{
	now_ms = now;
	mono_ms = mono;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	int64_t ms =
	    id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE ? now_ms : mono_ms;

	t->tv_sec = (time_t)(ms / 1000);
	t->tv_nsec = (long)(ms % 1000) * 1000000;
	return 0;
}
