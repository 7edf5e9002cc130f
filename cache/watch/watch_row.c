/* watch_row.c - what a list says of a certificate, as octets and back. */
#include "cache/watch/watch_row.h"

#include <assert.h>
#include <stdlib.h>

#include "cache/watch/watch_room.h"

struct watch_row {
	enum {
		START,   /* of a field */
		PLAIN,   /* in one without quotes */
		QUOTED,  /* in one with */
		QUOTE,   /* behind a quote in it: its end, or the first of two */
		RETURN,  /* behind a CR that ends the row */
		BROKEN,  /* passed over up to the row's end */
		FINISHED /* given out: the next octet begins another */
	} at;
	struct watch_room text;
	size_t n, max;
	size_t end[WATCH_COLUMNS_MAX]; /* of each field that is whole */
	size_t fields;
	uint64_t line, begun;
	bool quoted; /* it had a field with quotes, so it is not empty */
};

struct watch_row *watch_row_new(size_t max)
{
	struct watch_row *r = malloc(sizeof *r);

	if (r == NULL)
		return NULL;
	*r = (struct watch_row){.at = START, .max = max, .line = 1, .begun = 1};
	return r;
}

void watch_row_free(struct watch_row *r)
{
	if (r == NULL)
		return;
	watch_room_free(&r->text);
	free(r);
}

static bool field_ends(struct watch_row *r)
{
	if (r->fields == WATCH_COLUMNS_MAX)
		return false;
	r->end[r->fields++] = r->n;
	return true;
}

static bool is_empty(const struct watch_row *r)
{
	return r->fields == 1 && r->n == 0 && !r->quoted;
}

static void begin(struct watch_row *r)
{
	r->at = START;
	r->n = r->fields = 0;
	r->begun = r->line;
	r->quoted = false;
}

static const char *broken(struct watch_row *r, const char *why)
{
	r->at = BROKEN;
	return why;
}

static const char *put(struct watch_row *r, uint8_t c)
{
	r->text.p[r->n++] = c;
	return NULL;
}

/* Behind a field, or at the start of one. */
static const char *separate(struct watch_row *r, uint8_t c)
{
	if (c == '\r') {
		r->at = RETURN;
		return NULL;
	}
	if (!field_ends(r))
		return broken(r, "it has too many fields");
	r->at = c == ',' ? START : FINISHED;
	return NULL;
}

static bool separates(uint8_t c)
{
	return c == ',' || c == '\n' || c == '\r';
}

/* One octet; NULL, or what is wrong with the row. */
static const char *take(struct watch_row *r, uint8_t c)
{
	switch (r->at) {
	case START:
		if (c == '"') {
			r->at = QUOTED;
			r->quoted = true;
			return NULL;
		}
		r->at = PLAIN;
		/* fall through */
	case PLAIN:
		if (c == '"')
			return broken(
			    r, "a quote inside of a field that has none around it");
		return separates(c) ? separate(r, c) : put(r, c);
	case QUOTED:
		if (c != '"')
			return put(r, c);
		r->at = QUOTE;
		return NULL;
	case QUOTE:
		if (c == '"') {
			r->at = QUOTED;
			return put(r, c);
		}
		return separates(c)
			   ? separate(r, c)
			   : broken(r, "something behind the quote that ends a field");
	case RETURN:
		return c == '\n' ? separate(r, c) : broken(r, "a CR without LF");
	default: /* BROKEN: up to the row's end */
		return NULL;
	}
}

static enum watch_row_step refuse(
    struct watch_row *r, struct watch_error *e, const char *why)
{
	e->line = r->begun;
	watch_refuse(e, WATCH_BAD_CSV, "%s", why);
	return WATCH_ROW_BAD;
}

/* For one octet more. */
static bool has_room(struct watch_row *r, struct watch_error *e)
{
	if (r->n < r->max && watch_room_grow(&r->text, r->n + 1))
		return true;
	e->line = r->begun;
	return r->n < r->max
		   ? watch_refuse(e, WATCH_NOMEM, "out of memory")
		   : watch_refuse(e, WATCH_BAD_LONG,
			 "it has more than %zu octets; is there a quote too many?",
			 r->max);
}

/* Behind an octet: is a row over? */
static bool row_is_whole(struct watch_row *r, uint8_t c)
{
	if (c == '\n')
		r->line++;
	if (r->at == BROKEN && c == '\n')
		begin(r);
	if (r->at == FINISHED && is_empty(r))
		begin(r);
	return r->at == FINISHED;
}

enum watch_row_step watch_row_step(
    struct watch_row *r, struct bytes *piece, struct watch_error *e)
{
	if (r->at == FINISHED)
		begin(r);
	while (piece->n > 0) {
		uint8_t c = *piece->p++;
		const char *why;

		piece->n--;
		if ((r->n == r->text.n || r->n == r->max) && !has_room(r, e))
			return WATCH_ROW_OVER;
		why = take(r, c);
		if (why != NULL)
			refuse(r, e, why);
		if (row_is_whole(r, c))
			return WATCH_ROW_WHOLE;
		if (why != NULL)
			return WATCH_ROW_BAD;
	}
	return WATCH_ROW_MORE;
}

enum watch_row_step watch_row_end(struct watch_row *r, struct watch_error *e)
{
	enum watch_row_step step = WATCH_ROW_MORE;

	if (r->at == QUOTED) {
		step = refuse(r, e, "a quote without end");
	} else if (r->at == RETURN) {
		step = refuse(r, e, "a CR without LF");
	} else if (r->at != FINISHED && r->at != BROKEN &&
		   (r->at != START || r->fields > 0)) {
		if (!field_ends(r))
			step = refuse(r, e, "it has too many fields");
		else
			step = is_empty(r) ? WATCH_ROW_MORE : WATCH_ROW_WHOLE;
	}
	r->at = FINISHED;
	return step;
}

uint64_t watch_row_line(const struct watch_row *r)
{
	return r->begun;
}

size_t watch_row_fields(const struct watch_row *r)
{
	return r->fields;
}

struct bytes watch_row_field(const struct watch_row *r, size_t i)
{
	size_t from = i > 0 ? r->end[i - 1] : 0;

	assert(i < r->fields);
	return bytes_of(r->text.p + from, r->end[i] - from);
}
