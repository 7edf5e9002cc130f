/* calm.h - may something be deleted because the wall clock says that it is old?
 *
 * A wall clock can be wrong for a while: a year ahead until NTP has set it right, ten
 * days ahead for a minute.  What is deleted in that while (a latch, a change that nobody
 * has read yet) does not come back when the clock does.  So a verdict "older than that
 * goes" counts only
 *   - when the wall clock has run with the monotonic one for so long: since the start,
 * and since the last look at which it had moved against it by more than CALM_STEP_MS;
 *   - as far as the look before said the same.
 * A step that comes and goes between two looks is none: neither look was wrong.  A clock
 * that stays wrong for longer than the hold cannot be told from a right one.
 *
 * To be looked at regularly, from one thread; zero to begin with.
 */
#ifndef PROXY_BASE_CALM_H
#define PROXY_BASE_CALM_H

#include <stdbool.h>
#include <stdint.h>

#define CALM_MS      INT64_C(86400000) /* the hold for what does not come back */
#define CALM_STEP_MS INT64_C(60000)

struct calm {
	bool begun;
	int64_t offset_ms; /* wall minus monotonic, since since_ms */
	int64_t since_ms;
	int64_t before; /* the verdict of the last look */
};

/* What was made before the returned time (seconds of the wall clock) is older than keep_s
 * and may go; INT64_MIN: nothing may, yet.  The first look begins. */
int64_t calm_look(struct calm *c, int64_t keep_s, int64_t hold_ms);

#endif
