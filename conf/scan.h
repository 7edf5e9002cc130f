/* scan.h - the look at a file's text before libconfuse parses it.
 *
 * libconfuse 3.3 takes an unclosed section or quote at the end of a file, lets a
 * duplicate win silently, refuses comments inside lists, counts lines wrongly after a
 * comment of several lines, and stops at the first mistake.  So this scan walks the same
 * grammar first, says every mistake with its line, and overwrites with spaces what
 * libconfuse must not see: comments, the names of sections, include(), and each refused
 * statement.  What is left are whole statements of known options, and only their values
 * are libconfuse's to read.
 *
 *   statement: NAME = VALUE | NAME = { VALUE, VALUE } | issuer "NAME" { statements }
 *              | watchlist "NAME" { statements } | include("PATTERN")
 *   VALUE:     a word of letters, digits and . _ : / @ % - without "//", or "..." with
 *              \" \\ \$ and ${VARIABLE} or ${VARIABLE:-default}, or '...' with \' and \\
 *   comments:  # and // to the end of the line, and C's
 *
 * Strings end on the line where they start, so that a lost quote is found where it is.
 */
#ifndef CONF_SCAN_H
#define CONF_SCAN_H

#include "conf/option.h"
#include "conf/report.h"

enum statement_kind { STATEMENT_OPTION, STATEMENT_SECTION, STATEMENT_INCLUDE };

struct statement {
	enum statement_kind kind;
	enum option_id id; /* of an option */
	size_t from, to;   /* bytes of the text */
	int line;
	/* The section that it stands in, or is: its kind, and its number among those of
	 * this kind in this file; SCOPE_GLOBAL and -1: none. */
	enum option_scope scope;
	int section;
	bool refused; /* reported and blanked already */
	char *text;   /* name of a section, pattern of an include; owned */
	int *value_line;
	size_t value_n;
};

struct scan {
	struct statement *statement;
	size_t n;
	bool whole; /* every brace and comment is closed: libconfuse may parse the rest */
};

/* Scan text[0..n-1] in place.  False when memory ran out; out is filled, and to be freed,
 * always. */
bool scan_text(
    struct scan *out, char *text, size_t n, const char *file, struct report *report);
void scan_free(struct scan *s);

/* Hide a statement from libconfuse; lines stay where they are. */
void scan_blank(char *text, const struct statement *st);

#endif
