/* progress.h - a bar on standard error, while something long goes on.
 *
 * Only where that is a terminal; in a pipe nothing is written.
 */
#ifndef PROXY_CTL_PROGRESS_H
#define PROXY_CTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress { /* starts as zeros but for what and shown */
	const char *what;
	bool shown;
	int64_t drawn_ms;
	int drawn; /* columns */
};
/* done of all (-1: nobody knows; done -1: no amount is shown); at most ten times a
 * second, or at once. */
void progress_draw(struct progress *p, int64_t done, int64_t all, bool now);
void progress_clear(struct progress *p);
/* A line over the last one of out, which is a terminal; cut to its width. */
void progress_over(struct progress *p, FILE *out, const char *line);
/* A bar of so many columns into out (room for columns + 3 and NUL): "[###   ]". */
void progress_bar(char *out, int columns, int64_t done, int64_t all);

#endif
