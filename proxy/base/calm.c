/* calm.c - the wall clock against the monotonic one, at each look. */
#include "proxy/base/calm.h"

#include <assert.h>

#include "proxy/base/clock.h"

static int64_t distance(int64_t a, int64_t b)
{
	return a > b ? a - b : b - a;
}

int64_t calm_look(struct calm *c, int64_t keep_s, int64_t hold_ms)
{
	int64_t wall = clock_now_ms(), mono = clock_mono_ms();
	int64_t before = wall / 1000 - keep_s, last = c->before;

	assert(keep_s >= 0 && hold_ms >= 0);
	c->before = before;
	if (!c->begun || distance(wall - mono, c->offset_ms) > CALM_STEP_MS) {
		c->begun = true;
		c->offset_ms = wall - mono;
		c->since_ms = mono;
		return INT64_MIN;
	}
	if (mono - c->since_ms < hold_ms)
		return INT64_MIN;
	return before < last ? before : last;
}
