/* json_line.c - a buffer that doubles, and what is escaped. */
#include "proxy/base/json_line.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/clock.h"

static bool grow(struct json_line *l, size_t n)
{
	size_t room = l->room > 0 ? l->room : 1024;
	char *p;

	while (room - l->n < n)
		room *= 2;
	p = l->failed ? NULL : realloc(l->p, room);
	if (p == NULL) {
		l->failed = true;
		return false;
	}
	l->p = p;
	l->room = room;
	return true;
}

void json_put_bytes(struct json_line *l, const void *p, size_t n)
{
	if (n == 0 || (l->room - l->n < n && !grow(l, n)))
		return;
	memcpy(l->p + l->n, p, n);
	l->n += n;
}

void json_put(struct json_line *l, const char *text)
{
	json_put_bytes(l, text, strlen(text));
}

/* Octets of a control, or of another that has to be escaped, at p; 0: it may stand. */
static size_t escaped(const uint8_t *p, size_t n)
{
	if (p[0] < 0x20 || p[0] == 0x7f || p[0] == '"' || p[0] == '\\')
		return 1;
	return p[0] == 0xc2 && n > 1 && p[1] < 0xa0 ? 2 : 0;
}

static void put_escape(struct json_line *l, const uint8_t *p, size_t n)
{
	char text[8];

	if (n == 1 && (p[0] == '"' || p[0] == '\\'))
		snprintf(text, sizeof text, "\\%c", p[0]);
	else
		snprintf(text, sizeof text, "\\u00%02x", p[n - 1]);
	json_put(l, text);
}

void json_put_string(struct json_line *l, struct bytes text)
{
	size_t from = 0;

	json_put(l, "\"");
	for (size_t i = 0, n; i < text.n; i++) {
		n = escaped(text.p + i, text.n - i);
		if (n == 0)
			continue;
		json_put_bytes(l, text.p + from, i - from);
		put_escape(l, text.p + i, n);
		i += n - 1;
		from = i + 1;
	}
	if (text.n > from)
		json_put_bytes(l, text.p + from, text.n - from);
	json_put(l, "\"");
}

void json_put_text(struct json_line *l, const char *text)
{
	if (text == NULL)
		json_put(l, "null");
	else
		json_put_string(l, bytes_of(text, strlen(text)));
}

void json_put_number(struct json_line *l, uint64_t v)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%llu", (unsigned long long)v);

	json_put_bytes(l, text, (size_t)n);
}

void json_put_time(struct json_line *l, int64_t at)
{
	char text[CLOCK_TEXT_MAX];

	json_put_text(l, clock_text(at, text) ? text : NULL);
}
