/* hist.h - how long things took: counts in buckets less than 1 % wide.
 *
 * A value; the caller sets it to zero.  Nanoseconds from 0 to centuries.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

#define HIST_BITS    7 /* 128 buckets for each power of two */
#define HIST_BUCKETS ((64 - HIST_BITS + 1) << HIST_BITS)

struct hist {
	uint64_t n, max;
	uint64_t count[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t ns);

/* The upper end of the bucket in which the fraction q (0..1) of all is reached; the
 * largest value itself for 1; 0 when nothing was added. */
uint64_t hist_quantile(const struct hist *h, double q);

#endif
