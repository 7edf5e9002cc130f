/* table.h - rows of text for people: in columns on a terminal, as lines with two blanks
 * between their cells elsewhere, so that grep and awk see only data.
 *
 * Every cell is printed without control characters: some are anybody's.
 */
#ifndef PROXY_CTL_TABLE_H
#define PROXY_CTL_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct show {
	FILE *out;
	bool terminal;
	bool colour;
	int64_t now; /* seconds since 1970: how old lists are */
};

/* Write text, which may be anybody's, without control characters. */
void show_text(FILE *out, const char *text);
/* A member that is a string, borrowed; NULL: there is none. */
const char *table_text(const json_t *object, const char *field);
/* A member that is a number, as text; NULL: there is none. */
const char *table_count(const json_t *object, const char *field, char out[24]);
/* The first of an array of strings, and how many more there are; NULL: there is none. */
#define TABLE_FIRST_MAX 300
const char *table_first(const json_t *texts, char out[TABLE_FIRST_MAX]);

#define COLUMNS_MAX 11

/* Cells are borrowed; NULL is printed as "-".  A row at a time is given to table_row(),
 * twice: first to measure, then to print, so that nothing is kept. */
struct table {
	const struct show *show;
	const char *const *heading;
	size_t columns;
	size_t width[COLUMNS_MAX];
	bool measuring;
};
void table_row(struct table *t, const char *const *cell);
void table_print(const struct show *s, const char *const *heading, size_t columns,
    void (*each_row)(struct table *t, const json_t *data), const json_t *data);
/* Cells without a table: two spaces between them. */
void table_line(FILE *out, const char *const *cell, size_t n);

/* Rows as they come: on a terminal a table of so many at a time, under one heading;
 * elsewhere a line at once. */
#define TABLE_FEED_ROWS 200
struct table_feed {
	const struct show *show; /* these three, then zeros */
	const char *const *heading;
	size_t columns;
	json_t *rows;
	bool headed;
};
void table_feed(struct table_feed *f, const char *const *cell); /* copied */
void table_feed_end(struct table_feed *f);                      /* the last ones; frees */

#endif
