/* elements.c - depth and strings are followed, an element is cut out, jansson reads it.
 */
#include "proxy/ctl/elements.h"

#include <stdlib.h>
#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool keep(struct elements *e, char c)
{
	if (e->n == 0 && is_space(c))
		return true;
	if (e->n == e->room) {
		size_t room = e->room == 0 ? 512 : 2 * e->room;
		char *bigger = room <= ELEMENT_MAX ? realloc(e->text, room) : NULL;

		if (bigger == NULL)
			return false;
		e->text = bigger;
		e->room = room;
	}
	e->text[e->n++] = c;
	return true;
}

/* An element ends here. */
static bool cut(
    struct elements *e, void (*fn)(void *arg, const json_t *element), void *arg)
{
	json_t *value = json_loadb(e->text, e->n, JSON_DECODE_ANY, NULL);

	if (value == NULL)
		return false;
	fn(arg, value);
	json_decref(value);
	e->n = 0;
	return true;
}

/* Inside of a string all is kept, up to its end. */
static bool take_in_string(struct elements *e, char c)
{
	if (e->escaped)
		e->escaped = false;
	else if (c == '\\')
		e->escaped = true;
	else if (c == '"')
		e->in_string = false;
	return keep(e, c);
}

static bool take(
    struct elements *e, char c, void (*fn)(void *arg, const json_t *element), void *arg)
{
	if (e->in_string)
		return take_in_string(e, c);
	if (!e->begun || e->ended) {
		if (is_space(c))
			return true;
		e->begun = c == '[' && !e->ended;
		return e->begun;
	}
	if (e->depth == 0 && c == ',') {
		e->more = true;
		return e->n > 0 && cut(e, fn, arg);
	}
	if (e->depth == 0 && c == ']') {
		e->ended = true;
		return e->n > 0 ? cut(e, fn, arg) : !e->more; /* empty it may be */
	}
	if (e->depth == 0 && c == '}')
		return false;
	if (c == '[' || c == '{')
		e->depth++;
	else if (c == ']' || c == '}')
		e->depth--;
	e->in_string = c == '"';
	return keep(e, c);
}

bool elements_feed(struct elements *e, const char *p, size_t n,
    void (*fn)(void *arg, const json_t *element), void *arg)
{
	for (size_t i = 0; i < n; i++)
		if (!take(e, p[i], fn, arg))
			return false;
	return true;
}

bool elements_end(struct elements *e)
{
	bool whole = e->ended;

	free(e->text);
	memset(e, 0, sizeof *e);
	return whole;
}
