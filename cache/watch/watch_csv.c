/* watch_csv.c - fields and rows by a state for each octet, columns by the header line. */
#include "cache/watch/watch_csv.h"

#include <stdlib.h>
#include <strings.h>

#include "cache/base/utf8.h"
#include "cache/watch/watch_entry.h"
#include "cache/watch/watch_row.h"

static const char *const field[] = {"serial", "issuer", "issuer_key", "names",
    "not_before", "not_after", "crl", "labels"};
enum field {
	F_SERIAL,
	F_ISSUER,
	F_ISSUER_KEY,
	F_NAMES,
	F_NOT_BEFORE,
	F_NOT_AFTER,
	F_CRL,
	F_LABELS,
	FIELDS
};

#define NO_COLUMN SIZE_MAX

struct csv {
	struct watch_out *out;
	struct watch_row *row;
	struct watch_entry_room entry;
	char *column[FIELDS]; /* owned: what map calls it; NULL: it says nothing of it */
	bool mapped, bad_map;
	size_t bom_n;      /* octets of a byte order mark so far */
	size_t at[FIELDS]; /* its column, or NO_COLUMN */
	size_t columns;    /* 0: the header is still to come */
};

static enum field find_field(const char *name, size_t n)
{
	int f = 0;

	while (f < FIELDS && !(strlen(field[f]) == n && memcmp(field[f], name, n) == 0))
		f++;
	return f;
}

/* "serial=Serial Number" */
static bool take_mapping(struct csv *c, struct bytes text)
{
	const uint8_t *is = memchr(text.p, '=', text.n);
	size_t n = is != NULL ? (size_t)(is - text.p) : text.n;
	enum field f = find_field((const char *)text.p, n);
	char shown[WATCH_SHOWN_MAX];

	if (is == NULL || f == FIELDS)
		return watch_refuse(&c->out->error, WATCH_BAD_COLUMN,
		    "map: \"%s\" is not FIELD=COLUMN with FIELD one of serial, issuer, "
		    "issuer_key, names, not_before, not_after, crl, labels",
		    watch_shown(text, shown));
	if (c->column[f] != NULL)
		return watch_refuse(&c->out->error, WATCH_BAD_COLUMN,
		    "map names two columns for %s", field[f]);
	c->column[f] = strndup((const char *)is + 1, text.n - n - 1);
	return c->column[f] != NULL ||
	       watch_refuse(&c->out->error, WATCH_NOMEM, "out of memory");
}

/* It is a line of CSV itself. */
static bool read_map_line(struct csv *c, struct watch_row *row, struct bytes map)
{
	enum watch_row_step step;

	if (memchr(map.p, '\n', map.n) != NULL)
		return false;
	step = watch_row_step(row, &map, &c->out->error);
	if (step == WATCH_ROW_MORE)
		step = watch_row_end(row, &c->out->error);
	return step == WATCH_ROW_WHOLE;
}

static bool read_map(struct csv *c, const char *map)
{
	struct watch_row *row = watch_row_new(strlen(map) + 1);
	bool good = true;

	if (row == NULL)
		return watch_refuse(&c->out->error, WATCH_NOMEM, "out of memory");
	if (!read_map_line(c, row, bytes_of(map, strlen(map))))
		good = c->out->error.code != WATCH_NOMEM &&
		       watch_refuse(&c->out->error, WATCH_BAD_COLUMN,
			   "map is no line of CSV (serial=Column,issuer=Column)");
	for (size_t i = 0; good && i < watch_row_fields(row); i++)
		good = take_mapping(c, watch_row_field(row, i));
	watch_row_free(row);
	c->out->error.line = 0;
	return good;
}

static bool is_column(const struct csv *c, enum field f, struct bytes name)
{
	const char *wanted = c->mapped ? c->column[f] : field[f];

	return wanted != NULL && strlen(wanted) == name.n &&
	       (c->mapped ? memcmp(wanted, name.p, name.n) == 0
			  : strncasecmp(wanted, (const char *)name.p, name.n) == 0);
}

static bool find_column(struct csv *c, enum field f)
{
	char shown[WATCH_SHOWN_MAX];

	c->at[f] = NO_COLUMN;
	for (size_t i = 0; i < watch_row_fields(c->row); i++) {
		if (!is_column(c, f, watch_row_field(c->row, i)))
			continue;
		if (c->at[f] != NO_COLUMN)
			return watch_refuse(&c->out->error, WATCH_BAD_COLUMN,
			    "the column \"%s\" is there twice",
			    watch_shown(watch_row_field(c->row, i), shown));
		c->at[f] = i;
	}
	if (c->at[f] != NO_COLUMN || c->column[f] == NULL)
		return true;
	return watch_refuse(&c->out->error, WATCH_BAD_COLUMN,
	    "there is no column \"%s\" (map: %s)",
	    watch_shown(bytes_of(c->column[f], strlen(c->column[f])), shown), field[f]);
}

static bool take_header(struct csv *c)
{
	bool issuer;

	c->columns = watch_row_fields(c->row);
	for (int f = 0; f < FIELDS; f++)
		if (!find_column(c, f))
			return false;
	issuer = c->at[F_ISSUER] != NO_COLUMN || c->at[F_ISSUER_KEY] != NO_COLUMN;
	if (c->at[F_SERIAL] != NO_COLUMN && (issuer || c->out->want->issuer_optional))
		return true;
	return watch_refuse(&c->out->error, WATCH_BAD_COLUMN,
	    "no column is the %s; map=%s=COLUMN says which",
	    c->at[F_SERIAL] == NO_COLUMN ? "serial" : "issuer",
	    c->at[F_SERIAL] == NO_COLUMN ? "serial" : "issuer");
}

static struct bytes trim(struct bytes s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = bytes_of(s.p + 1, s.n - 1);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* p NULL: absent, or empty. */
static struct bytes value(const struct csv *c, enum field f)
{
	struct bytes s = {NULL, 0};

	if (c->at[f] != NO_COLUMN)
		s = trim(watch_row_field(c->row, c->at[f]));
	return s.n > 0 ? s : bytes_of(NULL, 0);
}

static bool take_element(struct csv *c, enum field f, struct bytes text)
{
	struct watch_texts *t = &c->entry.texts;

	if (f == F_LABELS)
		return watch_texts_label(t, text);
	if (f == F_NAMES)
		watch_texts_name(t, text);
	else
		watch_texts_url(t, text);
	return true;
}

static bool take_list(struct csv *c, enum field f)
{
	struct bytes all = value(c, f);

	while (all.n > 0) {
		const uint8_t *end = memchr(all.p, ';', all.n);
		size_t n = end != NULL ? (size_t)(end - all.p) : all.n;

		if (!take_element(c, f, trim(bytes_of(all.p, n))))
			return watch_refuse(&c->out->error, WATCH_BAD_LABELS,
			    "the labels have more than %d octets", WATCH_TEXT_MAX);
		n += end != NULL;
		all = bytes_of(all.p + n, all.n - n);
	}
	return true;
}

static bool is_text(struct csv *c)
{
	for (size_t i = 0; i < watch_row_fields(c->row); i++) {
		struct bytes s = watch_row_field(c->row, i);

		if (!utf8_is_valid(s) || (s.n > 0 && memchr(s.p, 0, s.n) != NULL))
			return watch_refuse(&c->out->error, WATCH_BAD_UTF8,
			    "field %zu is not UTF-8, or has a NUL", i + 1);
	}
	return true;
}

static bool take_entry(struct csv *c)
{
	struct watch_entry e;

	if (watch_row_fields(c->row) != c->columns)
		return watch_refuse(&c->out->error, WATCH_BAD_CSV,
		    "it has %zu fields, the header has %zu", watch_row_fields(c->row),
		    c->columns);
	e = (struct watch_entry){.serial = value(c, F_SERIAL),
	    .issuer = value(c, F_ISSUER),
	    .issuer_key = value(c, F_ISSUER_KEY),
	    .not_before = value(c, F_NOT_BEFORE),
	    .not_after = value(c, F_NOT_AFTER)};
	watch_texts_reset(&c->entry.texts);
	return take_list(c, F_NAMES) && take_list(c, F_CRL) && take_list(c, F_LABELS) &&
	       watch_entry_out(&c->entry, &e, watch_row_line(c->row), c->out);
}

static bool take_row(struct csv *c)
{
	bool header = c->columns == 0;

	if (is_text(c) && (header ? take_header(c) : take_entry(c)))
		return true;
	if (!header)
		return watch_out_bad(c->out, watch_row_line(c->row));
	c->out->error.line = watch_row_line(c->row);
	return false;
}

static bool take_step(struct csv *c, enum watch_row_step step)
{
	switch (step) {
	case WATCH_ROW_WHOLE:
		return take_row(c);
	case WATCH_ROW_BAD: /* what is behind a bad header means nothing */
		return c->columns > 0 && watch_out_bad(c->out, c->out->error.line);
	case WATCH_ROW_OVER:
		return false;
	default:
		return true;
	}
}

static bool take_piece(struct csv *c, struct bytes piece)
{
	while (piece.n > 0)
		if (!take_step(c, watch_row_step(c->row, &piece, &c->out->error)))
			return false;
	return true;
}

/* A byte order mark is passed over; what only began like one is not. */
static bool feed(void *reader, struct bytes piece)
{
	static const char bom[] = "\xef\xbb\xbf";
	struct csv *c = reader;

	if (c->bad_map)
		return false;
	while (c->bom_n < 3 && piece.n > 0 && piece.p[0] == (uint8_t)bom[c->bom_n]) {
		c->bom_n++;
		piece = bytes_of(piece.p + 1, piece.n - 1);
	}
	if (c->bom_n < 3 && piece.n > 0) {
		size_t n = c->bom_n;

		c->bom_n = 3;
		if (!take_piece(c, bytes_of(bom, n)))
			return false;
	}
	return take_piece(c, piece);
}

static bool end(void *reader)
{
	struct csv *c = reader;

	if (c->bad_map || !take_step(c, watch_row_end(c->row, &c->out->error)))
		return false;
	if (c->columns > 0)
		return watch_serials_end(&c->out->serials, &c->out->error);
	c->out->error.line = 1;
	return watch_refuse(&c->out->error, WATCH_BAD_COLUMN, "there is no header line");
}

static void csv_free(void *reader)
{
	struct csv *c = reader;

	if (c == NULL)
		return;
	for (int f = 0; f < FIELDS; f++)
		free(c->column[f]);
	watch_row_free(c->row);
	free(c);
}

static void *csv_new(struct watch_out *out)
{
	struct csv *c = malloc(sizeof *c); /* its arrays are for what is put there */
	const char *map = out->want->map;

	if (c == NULL)
		return NULL;
	c->out = out;
	memset(c->column, 0, sizeof c->column);
	c->entry.configured = NULL;
	c->columns = c->bom_n = 0;
	c->row = watch_row_new(WATCH_LINE_MAX);
	if (c->row == NULL) {
		csv_free(c);
		return NULL;
	}
	c->mapped = map != NULL && map[0] != '\0';
	c->bad_map = c->mapped && !read_map(c, map);
	return c;
}

const struct watch_reader watch_csv_reader = {csv_new, feed, end, csv_free, NULL};
