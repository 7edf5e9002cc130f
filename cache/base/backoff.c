/* backoff.c - nothing here overflows, however many the failures (P12). */
#include "cache/base/backoff.h"

#include <assert.h>

int64_t backoff_step_ms(const struct backoff *b, int failures)
{
	int shift = failures > 1 ? failures - 1 : 0;

	assert(b->initial_ms >= 0 && b->max_ms >= 0 && b->doublings >= 0);
	if (shift > b->doublings)
		shift = b->doublings;
	if (shift > 62 || b->initial_ms > b->max_ms >> shift)
		return b->max_ms;
	return b->initial_ms << shift;
}

int64_t backoff_after_ms(const struct backoff *b, int64_t last_ms)
{
	assert(last_ms >= 0);
	if (last_ms == 0)
		return backoff_step_ms(b, 1);
	return last_ms > b->max_ms / 2 ? b->max_ms : last_ms * 2;
}

int64_t backoff_spread_ms(int64_t ms, unsigned random)
{
	assert(ms >= 0);
	return ms / 2 + (int64_t)((double)ms * (random & 0xffff) / 65535);
}

int64_t backoff_ms(const struct backoff *b, int failures, unsigned random)
{
	return backoff_spread_ms(backoff_step_ms(b, failures), random);
}
