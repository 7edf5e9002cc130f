/* clock_watch.h - steps of the wall clock, and one that cannot be right (T20).
 *
 * Validity follows the wall clock, timers the monotonic one.  A step moves what is in
 * date: a person should know, and it is never a reason to refuse.  One thread.
 */
#ifndef PROXY_BASE_CLOCK_WATCH_H
#define PROXY_BASE_CLOCK_WATCH_H

#include <stdint.h>

struct counters;

struct clock_watch {
	int64_t offset_ms; /* wall minus monotonic at the last look */
};

void clock_watch_begin(struct clock_watch *w);
/* By how many ms the wall clock has stepped since the last look, back where negative.
 * One of alarm_ms or more is counted and told. */
int64_t clock_watch_look(struct clock_watch *w, int64_t alarm_ms, struct counters *c);
/* Tell where the clock is before our own release. */
void clock_watch_judge(void);

#endif
