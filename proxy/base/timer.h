/* timer.h - a libevent timer that is armed in milliseconds, as all durations here are.
 *
 * On the thread of the timer's loop.
 */
#ifndef PROXY_BASE_TIMER_H
#define PROXY_BASE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct event;

/* To run in so many ms; at once, that is in the loop's next turn, where that is past. One
 * that is armed already is put there instead; one made with EV_PERSIST comes back as
 * often.  False: out of memory, it is as it was. */
bool timer_arm(struct event *timer, int64_t ms);

#endif
