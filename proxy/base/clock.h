/* clock.h - the two clocks, and how tests set them.
 *
 * Wall clock for validity and HTTP dates; monotonic for timers and durations.  Nothing
 * else in proxy/ reads a clock, and cache/ takes the time from its caller.  Any thread.
 */
#ifndef PROXY_BASE_CLOCK_H
#define PROXY_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

int64_t clock_now(void);     /* seconds since 1970 */
int64_t clock_now_ms(void);  /* the same in milliseconds */
int64_t clock_mono_ms(void); /* from an arbitrary start, never steps */
int64_t clock_mono_us(void);

#define CLOCK_TEXT_MAX 40
/* Seconds since 1970 as RFC 3339 writes them, in UTC; false: no calendar has them. */
bool clock_text(int64_t at, char out[CLOCK_TEXT_MAX]);

/* Tests only: the clocks stand where they are put; before any thread starts. */
void clock_set(int64_t now_s, int64_t mono_ms);

#endif
