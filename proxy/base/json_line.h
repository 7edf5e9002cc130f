/* json_line.h - JSON that is written from left to right, for answers of many lines.
 *
 * No values are made: the caller puts braces and commas.  Strings are UTF-8, as whoever
 * read them has checked; quotes, backslashes and all controls (C0, DEL, C1) in them are
 * escaped.  Out of memory it stays short and says so.
 */
#ifndef PROXY_BASE_JSON_LINE_H
#define PROXY_BASE_JSON_LINE_H

#include "cache/base/bytes.h"

struct json_line { /* starts as zeros; p is the caller's to free */
	char *p;
	size_t n, room;
	bool failed;
};

/* Text as it is. */
void json_put_bytes(struct json_line *l, const void *p, size_t n);
void json_put(struct json_line *l, const char *text);
/* A value: a string (NULL: null), a number, a time of seconds since 1970 (one that no
 * calendar has: null). */
void json_put_string(struct json_line *l, struct bytes text);
void json_put_text(struct json_line *l, const char *text);
void json_put_number(struct json_line *l, uint64_t v);
void json_put_time(struct json_line *l, int64_t at);

#endif
