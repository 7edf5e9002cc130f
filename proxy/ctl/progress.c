/* progress.c - a line that is written over. */
#include "proxy/ctl/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define COLUMNS     40
#define INTERVAL_MS 100

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void progress_bar(char *out, int columns, int64_t done, int64_t all)
{
	int n = all > 0 ? (int)((double)done / (double)all * columns) : 0;

	if (n > columns)
		n = columns;
	out[0] = '[';
	memset(out + 1, '#', (size_t)n);
	memset(out + 1 + n, ' ', (size_t)(columns - n));
	out[columns + 1] = ']';
	out[columns + 2] = '\0';
}

static void amount(int64_t bytes, char out[32])
{
	if (bytes < 10 << 10)
		snprintf(out, 32, "%lld B", (long long)bytes);
	else if (bytes < 10 << 20)
		snprintf(out, 32, "%lld KiB", (long long)(bytes >> 10));
	else
		snprintf(out, 32, "%lld MiB", (long long)(bytes >> 20));
}

void progress_draw(struct progress *p, int64_t done, int64_t all, bool now)
{
	char bar[COLUMNS + 3] = "", size[32];
	int64_t at = now_ms();
	int n;

	if (!p->shown || (!now && at - p->drawn_ms < INTERVAL_MS))
		return;
	p->drawn_ms = at;
	if (all > 0)
		progress_bar(bar, COLUMNS, done, all);
	amount(done, size);
	n = fprintf(stderr, "\r%s  %s  %s%s", p->what, bar, size,
	    all > 0 && done >= all ? ", is being applied" : "");
	if (n < p->drawn)
		fprintf(stderr, "%*s", p->drawn - n, "");
	p->drawn = n;
	fflush(stderr);
}

void progress_clear(struct progress *p)
{
	if (p->drawn > 0)
		fprintf(stderr, "\r%*s\r", p->drawn, "");
	p->drawn = 0;
}
