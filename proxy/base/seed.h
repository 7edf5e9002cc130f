/* seed.h - a number that strangers do not know, for tables that they could fill otherwise
 * and for jitter.
 *
 * Any thread.  Weak point: where the kernel has none (a filter of system calls, a machine
 * that has just booted) it is the clock's, since a weak seed is better than no service;
 * nothing secret is made of it.
 */
#ifndef PROXY_BASE_SEED_H
#define PROXY_BASE_SEED_H

#include <stdint.h>
#include <sys/random.h>

#include "proxy/base/clock.h"

static inline uint64_t seed_new(void)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
		seed = (uint64_t)clock_mono_us();
	return seed;
}

#endif
