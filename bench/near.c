/* near.c - are two cores near?  How long a cache line takes to the other one and back.
 *
 *	near CORE CORE
 *
 * Prints nanoseconds: the median of short bursts, so that an interrupt in one of them
 * does not count.  A virtual machine may be moved between two samples of a bench, and
 * cores that no longer share a cache make everything that two of them do take three
 * times as long; so each sample is tagged with this.
 */
#include <err.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BURSTS 101
#define ROUNDS 500 /* there and back; a burst is 50 to 250 us */

static _Alignas(128) _Atomic unsigned line;

static void pin(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)core, &set);
	if (sched_setaffinity(0, sizeof set, &set) != 0)
		err(1, "core %d", core);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Wait for each odd number and answer with the next. */
static void *answer(void *core)
{
	pin(*(int *)core);
	for (unsigned want = 1; want < 2u * BURSTS * ROUNDS; want += 2) {
		while (atomic_load_explicit(&line, memory_order_acquire) != want)
			;
		atomic_store_explicit(&line, want + 1, memory_order_release);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static int64_t ns[BURSTS];
	unsigned say = 1;
	pthread_t other;
	int core;

	if (argc != 3)
		errx(64, "usage: near CORE CORE");
	pin(atoi(argv[1]));
	core = atoi(argv[2]);
	if (pthread_create(&other, NULL, answer, &core) != 0)
		errx(1, "no thread");
	for (int i = 0; i < BURSTS; i++) {
		int64_t start = now_ns();

		for (int k = 0; k < ROUNDS; k++, say += 2) {
			atomic_store_explicit(&line, say, memory_order_release);
			while (
			    atomic_load_explicit(&line, memory_order_acquire) != say + 1)
				;
		}
		ns[i] = (now_ns() - start) / ROUNDS;
	}
	pthread_join(other, NULL);
	qsort(ns, BURSTS, sizeof ns[0], compare);
	printf("%lld\n", (long long)ns[BURSTS / 2]);
	return 0;
}
