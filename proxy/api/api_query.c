/* api_query.c - strict: a parameter that is misspelt must not be passed over. */
#include "proxy/api/api_query.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

void api_fail(struct api_error *e, int status, const char *code, const char *fmt, ...)
{
	va_list ap;

	e->status = status;
	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->message, sizeof e->message, fmt, ap);
	va_end(ap);
}

bool api_is(struct bytes b, const char *text)
{
	return b.n == strlen(text) && strncasecmp((const char *)b.p, text, b.n) == 0;
}

struct bytes api_trim(struct bytes b)
{
	while (b.n > 0 && (b.p[0] == ' ' || b.p[0] == '\t'))
		b = bytes_of(b.p + 1, b.n - 1);
	while (b.n > 0 && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
		b.n--;
	return b;
}

struct bytes api_cut(struct bytes *rest, char sep)
{
	const uint8_t *end = rest->n > 0 ? memchr(rest->p, sep, rest->n) : NULL;
	struct bytes part = *rest;

	if (end == NULL) {
		*rest = bytes_of(NULL, 0);
		return api_trim(part);
	}
	part.n = (size_t)(end - rest->p);
	*rest = bytes_of(end + 1, rest->n - part.n - 1);
	return api_trim(part);
}

int api_decode(struct bytes in, char *out, size_t room)
{
	size_t n = 0;

	assert(room > 0);
	for (size_t i = 0; i < in.n; i++) {
		int c = in.p[i];

		if (c == '%') {
			int high = i + 2 < in.n ? hex_value(in.p[i + 1]) : -1;
			int low = i + 2 < in.n ? hex_value(in.p[i + 2]) : -1;

			if (high < 0 || low < 0 || high + low == 0)
				return 400;
			c = high << 4 | low;
			i += 2;
		}
		if (n == room - 1) {
			out[n] = '\0';
			return 414;
		}
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return 0;
}

static bool fail_unknown(struct api_error *e, const char *const names[], size_t n)
{
	char all[160] = "";
	size_t at = 0;

	for (size_t i = 0; i < n && at < sizeof all; i++)
		at += (size_t)snprintf(all + at, sizeof all - at, "%s%s",
		    i == 0       ? ""
		    : i + 1 == n ? " and "
				 : ", ",
		    names[i]);
	if (n == 0)
		api_fail(e, 400, "bad_request", "query: this call has none");
	else
		api_fail(e, 400, "bad_request", "query: unknown parameter; there %s %s",
		    n == 1 ? "is" : "are", all);
	return false;
}

bool api_query_next(struct api_query *q, const char *const names[], size_t n,
    size_t *which, char *value, size_t room, struct api_error *e)
{
	struct bytes text = {NULL, 0}, name;
	size_t i = 0;

	assert(n <= 32);
	e->status = 0;
	while (text.n == 0 && q->rest.n > 0)
		text = api_cut(&q->rest, '&');
	if (text.n == 0)
		return false;
	name = api_cut(&text, '=');
	while (i < n && !bytes_equal(name, bytes_of(names[i], strlen(names[i]))))
		i++;
	if (i == n)
		return fail_unknown(e, names, n);
	if ((q->seen & UINT32_C(1) << i) != 0)
		api_fail(e, 400, "bad_request", "%s: more than once", names[i]);
	else if (api_decode(text, value, room) == 400)
		api_fail(e, 400, "bad_request", "query: bad percent-escape");
	q->seen |= UINT32_C(1) << i;
	*which = i;
	return e->status == 0;
}
