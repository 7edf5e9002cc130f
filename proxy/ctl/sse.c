/* sse.c - lines, the fields of an event, and the event when its empty line comes. */
#include "proxy/ctl/sse.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The rest of this block is not kept. */
static bool pass_over(struct sse *s, size_t n)
{
	s->too_large = true;
	s->passed += n;
	if (s->passed <= SSE_END)
		return true;
	errno = EFBIG;
	return false;
}

static bool fits(size_t n, size_t more)
{
	return n + more + 1 <= SSE_MAX;
}

static bool append(char **p, size_t *n, size_t *room, const char *text, size_t more)
{
	char *bigger;

	assert(*n < *room || *room == 0);
	if (*n + more + 1 > *room) {
		size_t want = 2 * (*n + more + 1);

		bigger = realloc(*p, want);
		if (bigger == NULL)
			return false;
		*p = bigger;
		*room = want;
	}
	memcpy(*p + *n, text, more);
	*n += more;
	(*p)[*n] = '\0';
	return true;
}

static void tell(
    struct sse *s, void (*fn)(void *arg, const struct sse_block *b), void *arg)
{
	struct sse_block b = {.id = s->has_id ? s->id : NULL,
	    .event = s->event[0] != '\0' ? s->event : "message",
	    .data = s->has_data && !s->too_large ? s->data : NULL,
	    .data_n = s->has_data && !s->too_large ? s->data_n : 0,
	    .too_large = s->too_large};

	if (s->has_id || s->has_data || s->too_large)
		fn(arg, &b);
	s->has_id = s->has_data = s->too_large = false;
	s->passed = 0;
	s->event[0] = '\0';
	s->data_n = 0;
}

/* Lines of data are joined by a line feed. */
static bool add_data(struct sse *s, const char *value, size_t n)
{
	if (s->too_large || !fits(s->data_n, n + 1))
		return pass_over(s, n);
	if (s->has_data && !append(&s->data, &s->data_n, &s->data_room, "\n", 1))
		return false;
	s->has_data = true;
	return append(&s->data, &s->data_n, &s->data_room, value, n);
}

static bool on_line(
    struct sse *s, void (*fn)(void *arg, const struct sse_block *b), void *arg)
{
	const char *line = s->line_n > 0 ? s->line : "", *value;
	size_t name_n = strcspn(line, ":");

	if (s->line_n == 0) {
		tell(s, fn, arg);
		return true;
	}
	value = line + name_n;
	if (*value == ':')
		value++;
	if (*value == ' ')
		value++;
	if (name_n == 0) {
		fn(arg, &(struct sse_block){.comment = value});
		return true;
	}
	if (name_n == 4 && memcmp(line, "data", 4) == 0)
		return add_data(s, value, s->line_n - (size_t)(value - line));
	if (name_n == 2 && memcmp(line, "id", 2) == 0 && strlen(value) < sizeof s->id) {
		snprintf(s->id, sizeof s->id, "%s", value);
		s->has_id = true;
	} else if (name_n == 5 && memcmp(line, "event", 5) == 0) {
		snprintf(s->event, sizeof s->event, "%s", value);
	}
	return true; /* retry and what is unknown are nothing to us */
}

static bool add_to_line(struct sse *s, const char *p, size_t n)
{
	if (!s->in_long_line && fits(s->line_n, n))
		return append(&s->line, &s->line_n, &s->line_room, p, n);
	s->in_long_line = true;
	return pass_over(s, n);
}

bool sse_feed(struct sse *s, const char *p, size_t n,
    void (*fn)(void *arg, const struct sse_block *b), void *arg)
{
	while (n > 0) {
		size_t m = 0;

		if (s->after_cr && *p == '\n') { /* of a CR LF: the line has ended */
			s->after_cr = false;
			p++, n--;
			continue;
		}
		s->after_cr = false;
		while (m < n && p[m] != '\n' && p[m] != '\r')
			m++;
		if (m > 0 && !add_to_line(s, p, m))
			return false;
		if (m == n)
			return true;
		s->after_cr = p[m] == '\r';
		if (!s->in_long_line && !on_line(s, fn, arg))
			return false;
		s->in_long_line = false;
		s->line_n = 0;
		p += m + 1;
		n -= m + 1;
	}
	return true;
}

void sse_reset(struct sse *s)
{
	free(s->line);
	free(s->data);
	memset(s, 0, sizeof *s);
}
