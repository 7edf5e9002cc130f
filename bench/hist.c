/* hist.c - a bucket's number is the value's exponent and its first HIST_BITS bits. */
#include "bench/hist.h"

static unsigned bucket_of(uint64_t v)
{
	unsigned shift;

	if (v < 1u << HIST_BITS)
		return (unsigned)v;
	shift = 63 - (unsigned)__builtin_clzll(v) - HIST_BITS;
	return (shift << HIST_BITS) + (unsigned)(v >> shift);
}

static uint64_t bucket_end(unsigned b)
{
	unsigned shift;

	if (b < 2u << HIST_BITS)
		return b;
	shift = (b >> HIST_BITS) - 1;
	return ((uint64_t)(b - (shift << HIST_BITS) + 1) << shift) - 1;
}

void hist_add(struct hist *h, uint64_t ns)
{
	h->n++;
	h->count[bucket_of(ns)]++;
	if (ns > h->max)
		h->max = ns;
}

uint64_t hist_quantile(const struct hist *h, double q)
{
	uint64_t seen = 0;

	for (unsigned b = 0; b < HIST_BUCKETS; b++) {
		seen += h->count[b];
		if (seen > 0 && (double)seen >= q * (double)h->n) {
			uint64_t end = bucket_end(b);

			return end < h->max ? end : h->max;
		}
	}
	return h->max;
}
