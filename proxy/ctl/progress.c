/* progress.c - a line that is written over. */
#include "proxy/ctl/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define COLUMNS     40 /* of a bar, at most */
#define DRAWN_MAX   256
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

/* Of the terminal: what is longer would go on in a line that is never written over. */
static int width(FILE *out)
{
	struct winsize w;
	int n = ioctl(fileno(out), TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;

	return n < DRAWN_MAX ? n : DRAWN_MAX;
}

/* The name has a quarter of it, the bar a fifth; without an amount the name has all. */
static void put_line(
    char *out, int room, const struct progress *p, int64_t done, int64_t all)
{
	char bar[COLUMNS + 3] = "", size[32];

	if (done < 0) {
		snprintf(out, (size_t)room, "%s", p->what);
		return;
	}
	if (all > 0)
		progress_bar(bar, room / 5 < COLUMNS ? room / 5 : COLUMNS, done, all);
	amount(done, size);
	snprintf(out, (size_t)room, "%.*s  %s  %s%s", room / 4, p->what, bar, size,
	    all > 0 && done >= all ? ", is being applied" : "");
}

void progress_over(struct progress *p, FILE *out, const char *line)
{
	int room = width(out) - 1, n = (int)strlen(line);

	if (n > room)
		n = room;
	fprintf(out, "\r%.*s%*s", n, line, n < p->drawn ? p->drawn - n : 0, "");
	p->drawn = n;
	fflush(out);
}

void progress_draw(struct progress *p, int64_t done, int64_t all, bool now)
{
	char line[DRAWN_MAX];
	int64_t at = now_ms();

	if (!p->shown || (!now && at - p->drawn_ms < INTERVAL_MS))
		return;
	p->drawn_ms = at;
	put_line(line, width(stderr), p, done, all);
	progress_over(p, stderr, line);
}

void progress_clear(struct progress *p)
{
	if (p->drawn > 0)
		fprintf(stderr, "\r%*s\r", p->drawn, "");
	p->drawn = 0;
}
