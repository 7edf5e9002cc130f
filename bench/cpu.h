/* cpu.h - the CPU time that other processes have used, thread by thread.
 *
 * From /proc/PID/task/TID/schedstat, which counts nanoseconds where /proc/PID/stat counts
 * ticks.  A thread that is not running is exact; one that runs on another core is up to
 * a scheduler tick old.
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <stddef.h>
#include <stdint.h>

#define CPU_THREADS 256

struct cpu {
	size_t n;
	struct {
		int tid;
		int64_t ns;
	} thread[CPU_THREADS];
};

/* All threads of n processes; those that are gone count nothing. */
void cpu_read(struct cpu *c, const int *pid, size_t n);

/* What was used between two readings, in all and by the thread that used most. */
void cpu_between(
    const struct cpu *before, const struct cpu *after, int64_t *all, int64_t *busiest);

#endif
