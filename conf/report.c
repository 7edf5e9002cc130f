/* Mistakes are kept in the order of their places, not in that in which they were found:
 * the scan, the parser and the checks each go through the files once. */
#include "conf/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

/* Nobody mends more at once; a binary file given by mistake would else fill memory.  What
 * is over it comes up in the next load. */
#define REPORT_LINES_MAX 200
#define REPORT_LINE_SIZE 1024

/* One of the two lists: errors or warnings. */
struct lines {
	struct report *report;
	char ***line;
	size_t *n;
	struct report_place **at;
};

static struct lines errors_of(struct report *r)
{
	return (struct lines){r, &r->errors->line, &r->errors->n, &r->error_at};
}

static struct lines warnings_of(struct report *r)
{
	return (struct lines){
	    r, &r->errors->warning, &r->errors->warning_n, &r->warning_at};
}

static void add(struct lines l, const char *text, const char *file, int line)
{
	char **lines = realloc(*l.line, (*l.n + 1) * sizeof *lines);
	struct report_place *at;
	char *copy;

	if (lines != NULL)
		*l.line = lines;
	at = realloc(*l.at, (*l.n + 1) * sizeof *at);
	if (at != NULL)
		*l.at = at;
	copy = strdup(text);
	if (lines == NULL || at == NULL || copy == NULL) {
		free(copy);
		l.report->nomem = true;
		return;
	}
	lines[*l.n] = copy;
	at[(*l.n)++] = (struct report_place){file, line};
}

static void make_printable(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

/* Our own remedies have a user and a password that are none. */
static bool is_pattern(const char *p)
{
	return strncmp(p, "USER:PASS@", 10) == 0 || strncmp(p, "[USER:PASS@]", 12) == 0;
}

/* Wherever it was quoted from: a word in the wrong place is a URL too. */
static void hide_users(char *s)
{
	for (char *p = s; (p = strstr(p, "://")) != NULL;) {
		char *at = memrchr(p, '@', strcspn(p, " \t\"'"));

		p += 3;
		if (at == NULL || is_pattern(p))
			continue;
		if (at - p >= 3)
			memmove(p + 3, at, strlen(at) + 1);
		memset(p, '*', at - p >= 3 ? 3 : (size_t)(at - p));
	}
}

static void vreport(struct lines l, const char *file, int line, const char *option,
    const char *format, va_list ap) __attribute__((format(printf, 5, 0)));
static void vreport(struct lines l, const char *file, int line, const char *option,
    const char *format, va_list ap)
{
	char text[REPORT_LINE_SIZE];
	char where[REPORT_LINE_SIZE];
	char whole[2 * REPORT_LINE_SIZE + 8];
	int e = errno;

	if (*l.n >= REPORT_LINES_MAX)
		return;
	vsnprintf(text, sizeof text, format, ap);
	if (line > 0)
		snprintf(where, sizeof where, "%s:%d", file, line);
	else
		snprintf(where, sizeof where, "%s", file);
	snprintf(whole, sizeof whole, "%s: %s%s%s", where, option != NULL ? option : "",
	    option != NULL ? ": " : "", text);
	make_printable(whole);
	hide_users(whole);
	add(l, whole, file, line);
	errno = e;
}

void report_error(struct report *r, const char *file, int line, const char *option,
    const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vreport(errors_of(r), file, line, option, format, ap);
	va_end(ap);
}

void report_warning(struct report *r, const char *file, int line, const char *option,
    const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vreport(warnings_of(r), file, line, option, format, ap);
	va_end(ap);
}

/* Does line a of the list come after line b?  Files are in the order of their first
 * mention. */
static bool is_after(struct lines l, const char *const *order, size_t a, size_t b)
{
	struct report_place *at = *l.at;

	if (at[a].file == at[b].file)
		return at[a].line > at[b].line;
	while (*order != at[a].file && *order != at[b].file)
		order++;
	return *order == at[b].file;
}

/* By insertion: stable, and there are few. */
static void sort(struct lines l)
{
	const char *order[REPORT_LINES_MAX];
	char **line = *l.line;
	struct report_place *at = *l.at;

	for (size_t i = 0; i < *l.n; i++)
		order[i] = at[i].file;
	for (size_t i = 1; i < *l.n; i++)
		for (size_t k = i; k > 0 && is_after(l, order, k - 1, k); k--) {
			char *text = line[k];
			struct report_place place = at[k];

			line[k] = line[k - 1];
			at[k] = at[k - 1];
			line[k - 1] = text;
			at[k - 1] = place;
		}
	free(at);
	*l.at = NULL;
}

void report_finish(struct report *r)
{
	sort(errors_of(r));
	sort(warnings_of(r));
}

bool report_is_clean(const struct report *r)
{
	return r->errors->n == 0 && !r->nomem;
}

static void free_lines(char **line, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(line[i]);
	free(line);
}

void conf_errors_free(struct conf_errors *e)
{
	free_lines(e->line, e->n);
	free_lines(e->warning, e->warning_n);
	*e = (struct conf_errors){0};
}
