/* api_query.h - texts of a target, percent-decoded; a query one parameter after the
 * other; and how an error of a request is said.
 *
 * A '+' is a plus: queries here are names, places and serials, not forms.
 *
 * Pure functions, any thread.
 */
#ifndef PROXY_API_API_QUERY_H
#define PROXY_API_API_QUERY_H

#include "cache/base/bytes.h"

struct api_error {
	int status;
	const char *code;  /* static: "not_found", "bad_request", ... */
	const char *allow; /* with 405; else NULL */
	char message[256]; /* for people; UTF-8 */
};
/* Fills in *e but allow. */
void api_fail(struct api_error *e, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Without case. */
bool api_is(struct bytes b, const char *text);
/* The part of *rest before the next sep, without blanks around it; *rest is moved behind.
 */
struct bytes api_cut(struct bytes *rest, char sep);
struct bytes api_trim(struct bytes b);

/* in, decoded and with a NUL, to out of room bytes.  0; 400 for a bad escape or an
 * escaped NUL; 414 when it does not fit. */
int api_decode(struct bytes in, char *out, size_t room);

struct api_query {         /* starts with the rest, and zeros */
	struct bytes rest; /* of the query, as it came */
	unsigned seen;     /* a bit for each name */
};
/* The next parameter: its place in names (n of them, at most 32) and its value, decoded;
 * one that does not fit in room is cut, and fills it: too long for whatever it is.
 * false, with e->status 0: there is none left; with another: *e says why it is refused
 * (unknown, twice, a bad escape). */
bool api_query_next(struct api_query *q, const char *const names[], size_t n,
    size_t *which, char *value, size_t room, struct api_error *e);

#endif
