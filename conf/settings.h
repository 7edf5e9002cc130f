/* settings.h - from a file and all that it includes to settings: what was written for
 * each option, and where.
 *
 * Each file is scanned (scan.h) and then parsed by libconfuse by itself; include()
 * is ours, because libconfuse's does not glob and goes ten deep.  A setting that was
 * refused is kept without values, so that nobody says that it is missing.
 */
#ifndef CONF_SETTINGS_H
#define CONF_SETTINGS_H

#include "conf/option.h"
#include "conf/report.h"

#define CONF_FILE_MAX     (1 << 20) /* bytes; a configuration of 5,000 issuers */
#define INCLUDE_DEPTH_MAX 16        /* deeper is a mistake */
#define INCLUDE_FILES_MAX 10000     /* of all globs together */

struct setting {
	const char *file; /* borrowed from struct settings */
	int line;         /* 0: not given */
	bool refused;     /* given, but reported: no values */
	char **value;
	int *value_line; /* of each */
	size_t n;
};

/* The global options, or one section's. */
struct group {
	const char *file;
	int line;
	char
	    *name; /* of the section; NULL for the global ones, or where it was refused */
	struct setting setting[OPTION_COUNT];
};

struct settings {
	struct group global;
	struct group **issuer;
	size_t issuer_n;
	struct group **watchlist;
	size_t watchlist_n;
	struct group **token;
	size_t token_n;
	struct settings_file *files; /* which were read */
	size_t file_n;
	bool incomplete; /* a file or a section could not be read */
};

/* Read path, or base_text under its name.  False when memory ran out; *s is filled, and
 * to be freed, always. */
bool settings_read(
    struct settings *s, const char *path, const char *base_text, struct report *report);
void settings_free(struct settings *s);

/* A whole regular file of at most max bytes and a NUL, owned by the caller; else NULL
 * with errno (EFBIG: larger; EINVAL: no regular file, which might block). */
char *read_regular_file(const char *path, size_t max, size_t *n);

/* path as seen from the directory of file: owned, NULL when memory ran out. */
char *path_beside(const char *file, const char *path);

#endif
