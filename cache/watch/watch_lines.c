/* watch_lines.c - the end of a line is looked for in each piece. */
#include "cache/watch/watch_lines.h"

bool watch_lines_nomem(struct watch_lines *l)
{
	l->out->error.line = l->line;
	return watch_refuse(&l->out->error, WATCH_NOMEM, "out of memory");
}

/* Without its end. */
static bool take_line(struct watch_lines *l, struct bytes text)
{
	if (l->line == 1 && text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
		text = bytes_of(text.p + 3, text.n - 3);
	return l->take(l->arg, text) || watch_out_bad(l->out, l->line);
}

static bool line_is_long(struct watch_lines *l)
{
	l->_dropping = true;
	l->_part_n = 0;
	watch_refuse(
	    &l->out->error, WATCH_BAD_LONG, "it has more than %d octets", WATCH_LINE_MAX);
	return watch_out_bad(l->out, l->line);
}

/* The first octets of a line whose end is not here yet. */
static bool keep(struct watch_lines *l, struct bytes part)
{
	if (l->_dropping)
		return true;
	if (part.n > WATCH_LINE_MAX - l->_part_n)
		return line_is_long(l);
	if (part.n == 0)
		return true;
	if (!watch_room_grow(&l->_part, l->_part_n + part.n))
		return watch_lines_nomem(l);
	memcpy(l->_part.p + l->_part_n, part.p, part.n);
	l->_part_n += part.n;
	return true;
}

static bool line_ends(struct watch_lines *l, struct bytes rest)
{
	bool go = true;

	if (!l->_dropping && l->_part_n == 0 && rest.n <= WATCH_LINE_MAX) {
		go = take_line(l, rest);
	} else {
		go = keep(l, rest);
		if (go && !l->_dropping)
			go = take_line(l, bytes_of(l->_part.p, l->_part_n));
	}
	l->_part_n = 0;
	l->_dropping = false;
	l->line++;
	return go;
}

bool watch_lines_feed(struct watch_lines *l, struct bytes piece)
{
	while (piece.n > 0) {
		const uint8_t *end = memchr(piece.p, '\n', piece.n);
		size_t n;

		if (end == NULL)
			return keep(l, piece);
		n = (size_t)(end - piece.p);
		if (!line_ends(l, bytes_of(piece.p, n)))
			return false;
		piece = bytes_of(end + 1, piece.n - n - 1);
	}
	return true;
}

bool watch_lines_end(struct watch_lines *l)
{
	return line_ends(l, bytes_of("", 0)) &&
	       watch_serials_end(&l->out->serials, &l->out->error);
}

void watch_lines_start(struct watch_lines *l, struct watch_out *out,
    bool (*take)(void *arg, struct bytes text), void *arg)
{
	*l = (struct watch_lines){.out = out, .take = take, .arg = arg, .line = 1};
}

void watch_lines_free(struct watch_lines *l)
{
	watch_room_free(&l->_part);
}
