/* timer.c - milliseconds as a struct timeval. */
#include "proxy/base/timer.h"

#include <assert.h>
#include <event2/event.h>

bool timer_arm(struct event *timer, int64_t ms)
{
	struct timeval tv = {0, 0};

	assert(event_initialized(timer));
	if (ms > 0)
		tv = (struct timeval){
		    (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};
	return evtimer_add(timer, &tv) == 0;
}
