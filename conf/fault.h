/* fault.h - a mistake in a value: which option, where it was written, what to do.
 *
 * For what is checked behind the parser; the lines go to the draft's report.
 */
#ifndef CONF_FAULT_H
#define CONF_FAULT_H

#include "conf/check.h"

#define TWICE "is named twice; take one out"

const struct setting *setting_of(const struct group *g, enum option_id id);
/* Was it told already that the setting is wrong?  Then it has no values. */
bool is_refused(const struct group *g, enum option_id id);
bool is_given(const struct group *g, enum option_id id);
/* Where value i of an option was written; else where its group starts. */
const char *place(const struct group *g, enum option_id id, size_t i, int *line);

void fault(const struct draft *d, const struct group *g, enum option_id id, size_t i,
    const char *format, ...) __attribute__((format(printf, 5, 6)));
/* What is wrong with value i, which may be a URL with a password. */
void fault_value(const struct draft *d, const struct group *g, enum option_id id,
    size_t i, const char *value, const char *why);
/* A warning. */
void advise(
    const struct draft *d, const struct group *g, enum option_id id, const char *text);

/* Index of an earlier equal item, or i. */
size_t first_equal(char **list, size_t i);

#endif
