/* report.h - where the mistakes of one load are collected.
 *
 * Whoever finds a mistake says it here and goes on, so that one load names them all. What
 * is quoted from a file may hold anything: control characters become '?', and user and
 * password of a URL "***", because these lines go to terminals and logs.  Whoever quotes
 * a value that may be a URL with space or quotes in it calls url_shown() first.
 */
#ifndef CONF_REPORT_H
#define CONF_REPORT_H

#include "conf/conf.h"

struct report_place {
	const char *file; /* compared, never read */
	int line;
};

struct report {
	struct conf_errors *errors;
	struct report_place *error_at, *warning_at; /* where each line belongs */
	bool nomem; /* memory ran out: the load failed, and a line may be missing */
};

/* "FILE:LINE: OPTION: text" with text "what is wrong; remedy".  line 0 and option NULL
 * are left out.  Any errno is kept. */
void report_error(struct report *r, const char *file, int line, const char *option,
    const char *format, ...) __attribute__((format(printf, 5, 6)));
void report_warning(struct report *r, const char *file, int line, const char *option,
    const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Bring the lines into the order of files (as they were first met) and lines, and free
 * what that took.  Mistakes are found in another order: forms, then values, then what
 * fits together. */
void report_finish(struct report *r);

/* Nothing was refused so far. */
bool report_is_clean(const struct report *r);

#endif
