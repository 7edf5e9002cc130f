/* clock.c - clock_gettime, and the values that tests put in its place. */
#include "proxy/base/clock.h"

#include <stdatomic.h>
#include <time.h>

/* Relaxed atomics only so that a test may move the clock while its threads run. */
static _Atomic bool standing;
static _Atomic int64_t standing_now_ms, standing_mono_us;

static int64_t read_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_now_ms(void)
{
	if (atomic_load_explicit(&standing, memory_order_relaxed))
		return atomic_load_explicit(&standing_now_ms, memory_order_relaxed);
	return read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_now(void)
{
	return clock_now_ms() / 1000;
}

int64_t clock_mono_us(void)
{
	if (atomic_load_explicit(&standing, memory_order_relaxed))
		return atomic_load_explicit(&standing_mono_us, memory_order_relaxed);
	return read_us(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

bool clock_text(int64_t at, char out[CLOCK_TEXT_MAX])
{
	time_t t = (time_t)at;
	struct tm tm;

	return gmtime_r(&t, &tm) != NULL &&
	       strftime(out, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) != 0;
}

void clock_set(int64_t now_s, int64_t mono_ms)
{
	atomic_store_explicit(&standing_now_ms, now_s * 1000, memory_order_relaxed);
	atomic_store_explicit(&standing_mono_us, mono_ms * 1000, memory_order_relaxed);
	atomic_store_explicit(&standing, true, memory_order_relaxed);
}
