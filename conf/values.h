/* values.h - from the text of a value to its type, and back.
 *
 * One mistake is said once: a field whose setting was refused has its default, so that
 * every check that follows sees a sane value. */
#ifndef CONF_VALUES_H
#define CONF_VALUES_H

#include <stdio.h>

#include "conf/settings.h"

/* Read text as o's type (INT, DURATION in ms, SIZE) within o's range.  False with "what
 * is wrong; remedy" in why. */
bool value_number(
    const struct option *o, const char *text, int64_t *out, char *why, size_t why_n);
/* A duration in ms, whatever its range. */
bool value_duration(const char *text, int64_t *ms, char *why, size_t why_n);

/* Write what value_number() reads, in the largest unit that is exact. */
#define VALUE_TEXT_MAX 32
const char *value_text(enum option_type type, int64_t value, char out[VALUE_TEXT_MAX]);

/* The first n octets of text, which is a string, as they stand in double quotes. */
void value_quote(FILE *out, const char *text, size_t n);

/* Fill the fields of one scope in holder (struct conf or struct conf_issuer) from g, with
 * defaults for what it does not set.  False when memory ran out. */
bool values_apply(
    void *holder, enum option_scope scope, struct group *g, struct report *r);
void values_free(void *holder, enum option_scope scope);

#endif
