/* backoff.h - how long to wait before the next try, after so many failures in a row.
 *
 * A value, and pure functions: chance comes from the caller, as a number of 0..65535.
 */
#ifndef CACHE_BASE_BACKOFF_H
#define CACHE_BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
	int64_t initial_ms, max_ms;
	int doublings; /* at most */
};

/* initial_ms, doubled with each failure but the first, at most `doublings` times, and at
 * most max_ms, also where that is below initial_ms.  failures: 1..; less counts as 1. */
int64_t backoff_step_ms(const struct backoff *b, int failures);
/* The step after one of last_ms, for who knows that and not how many failures there were:
 * twice as long, at most max_ms; initial_ms where it is 0.  doublings counts for nothing.
 */
int64_t backoff_after_ms(const struct backoff *b, int64_t last_ms);
/* ms times 0.5 (random 0) to 1.5 (65535), so that those who failed together do not come
 * back together. */
int64_t backoff_spread_ms(int64_t ms, unsigned random);
/* A step, spread: up to one and a half of max_ms. */
int64_t backoff_ms(const struct backoff *b, int failures, unsigned random);

#endif
