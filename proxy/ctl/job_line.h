/* job_line.h - what a command of watch --exec is told: a change, or a notice, as a line
 * of JSON and as variables of its environment.
 *
 * Of a notice the line says status, announced or withdrawn, as that of a change says what
 * became of it; and what its event says of all of its notices.
 *
 * A field that no command can be given (the kernel takes 128 KiB of a variable,
 * ocspcached sends a URL of 2 KiB, of which an octet may have become three) has more than
 * JOB_FIELD_MAX bytes.  Cut short it would name another certificate.
 */
#ifndef PROXY_CTL_JOB_LINE_H
#define PROXY_CTL_JOB_LINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define JOB_FIELD_MAX 8192
#define JOB_VARIABLES 11

/* The changes of an event, or its notices; NULL: it has neither. */
const json_t *job_items(const json_t *data);
/* One of them with what is said of all; a reference.  NULL: out of memory. */
json_t *job_line(const json_t *data, const json_t *item);
/* The field of a line that is too long, and its bytes; NULL: there is none. */
const char *job_line_too_long(const json_t *line, size_t *bytes);
/* OCSP_ISSUER=...: each to be freed, also on failure (false: out of memory).  UTF-8, and
 * controls are '?'. */
bool job_variables(const json_t *line, char *own[JOB_VARIABLES]);

#endif
