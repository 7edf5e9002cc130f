/* block.h - an issuer section of a configuration, out of a proposal.
 *
 * Names and URLs in it are anybody's.  Values are written as the loader reads them
 * (value_quote()), comments in printable ASCII and on one line, so that whoever chose a
 * CA's name writes no option of ours.  Pure.
 */
#ifndef PROXY_CTL_BLOCK_H
#define PROXY_CTL_BLOCK_H

#include <stdio.h>

#include "proxy/ctl/proposal.h"

#define BLOCK_COMMENT_MAX 1000 /* characters of a comment's line */

/* "# text\n" */
void block_comment(FILE *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Where it came from, as comments, and the section, whose certificate is in these files.
 */
void block_write(
    FILE *out, const struct proposal *p, const char *const *certificate, size_t n);
/* Does it name whom to ask?  What does not is refused. */
bool block_is_whole(const struct proposal *p);

#endif
