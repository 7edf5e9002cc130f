/* clock_watch.c - the distance of two clocks. */
#include "proxy/base/clock_watch.h"

#include <stdio.h>

#include "proxy/base/alarms.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/metrics.h"
#include "proxy/base/version.h"

static int64_t offset(void)
{
	return clock_now_ms() - clock_mono_ms();
}

void clock_watch_judge(void)
{
	if (clock_now() < OCSPCACHED_RELEASED)
		log_error("clock_before_release", "remedy=%s",
		    "set the clock: answers seem to be from the future");
}

void clock_watch_begin(struct clock_watch *w)
{
	w->offset_ms = offset();
}

static void raise_step(int64_t ms)
{
	char detail[64];

	snprintf(detail, sizeof detail, "by %lld ms", (long long)ms);
	alarm_raise(ALARM_CLOCK_STEP, "", "wall clock", detail);
}

int64_t clock_watch_look(struct clock_watch *w, int64_t alarm_ms, struct counters *c)
{
	int64_t now = offset(), step = now - w->offset_ms, by = step < 0 ? -step : step;

	w->offset_ms = now;
	if (by < alarm_ms)
		return step;
	metrics_count(c, M_CLOCK_STEPS);
	log_each(LOG_ERROR, "clock_step", "ms=%lld", (long long)by);
	raise_step(step);
	clock_watch_judge();
	return step;
}
