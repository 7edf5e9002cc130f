/* turns.h - turns of a loop for so many milliseconds of ours.
 *
 * A machine that stands still for a second between two turns has run nothing in it: such
 * a turn counts as TURN_MAX_MS, so that what is due by then has had its turns, however
 * busy the machine is.  What must *not* have happened yet is no question for it: it takes
 * ms at least, and may take any time.
 */
#ifndef TESTS_LIB_TURNS_H
#define TESTS_LIB_TURNS_H

#include <event2/event.h>
#include <stdint.h>
#include <unistd.h>

#include "proxy/base/clock.h"

#define TURN_MAX_MS 4

static inline void turns_for_ms(struct event_base *base, int64_t ms)
{
	int64_t before = clock_mono_ms();

	do {
		int64_t now;

		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(500);
		now = clock_mono_ms();
		ms -= now - before < TURN_MAX_MS ? now - before : TURN_MAX_MS;
		before = now;
	} while (ms > 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
}

#endif
