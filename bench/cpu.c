/* cpu.c - what the threads of a process have used, by /proc. */
#include "bench/cpu.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static void thread_read(struct cpu *c, int pid, int tid)
{
	char path[64];
	long long ns;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", pid, tid);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	if (fscanf(f, "%lld", &ns) == 1 && c->n < CPU_THREADS) {
		c->thread[c->n].tid = tid;
		c->thread[c->n++].ns = ns;
	}
	fclose(f);
}

static void process_read(struct cpu *c, int pid)
{
	char path[64];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/task", pid);
	d = opendir(path);
	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			thread_read(c, pid, atoi(e->d_name));
	closedir(d);
}

void cpu_read(struct cpu *c, const int *pid, size_t n)
{
	c->n = 0;
	for (size_t i = 0; i < n; i++)
		process_read(c, pid[i]);
}

static int64_t ns_of(const struct cpu *c, int tid)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->thread[i].tid == tid)
			return c->thread[i].ns;
	return 0;
}

void cpu_between(
    const struct cpu *before, const struct cpu *after, int64_t *all, int64_t *busiest)
{
	*all = *busiest = 0;
	for (size_t i = 0; i < after->n; i++) {
		int64_t ns = after->thread[i].ns - ns_of(before, after->thread[i].tid);

		*all += ns;
		if (ns > *busiest)
			*busiest = ns;
	}
}
