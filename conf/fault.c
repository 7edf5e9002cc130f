/* fault.c - one line of the report for each. */
#include "conf/fault.h"

#include <stdarg.h>

#include "cache/base/secret.h"

const struct setting *setting_of(const struct group *g, enum option_id id)
{
	return &g->setting[id];
}

bool is_refused(const struct group *g, enum option_id id)
{
	return g->setting[id].refused;
}

bool is_given(const struct group *g, enum option_id id)
{
	return g->setting[id].line > 0;
}

const char *place(const struct group *g, enum option_id id, size_t i, int *line)
{
	const struct setting *set = setting_of(g, id);

	if (set->line == 0) {
		*line = g->line;
		return g->file;
	}
	*line = i < set->n ? set->value_line[i] : set->line;
	return set->file;
}

void fault(const struct draft *d, const struct group *g, enum option_id id, size_t i,
    const char *format, ...)
{
	char text[768];
	int line;
	const char *file = place(g, id, i, &line);
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	report_error(d->report, file, line, option_table[id].name, "%s", text);
}

void fault_value(const struct draft *d, const struct group *g, enum option_id id,
    size_t i, const char *value, const char *why)
{
	char shown[512];

	fault(d, g, id, i, "\"%s\" %s", url_shown(value, shown, sizeof shown), why);
}

void advise(
    const struct draft *d, const struct group *g, enum option_id id, const char *text)
{
	int line;
	const char *file = place(g, id, 0, &line);

	report_warning(d->report, file, line, option_table[id].name, "%s", text);
}

size_t first_equal(char **list, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(list[k], list[i]) == 0)
			return k;
	return i;
}
