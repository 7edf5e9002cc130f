/* watch_ndjson.c - a line (watch_lines.h) is an object. */
#include "cache/watch/watch_ndjson.h"

#include <stdlib.h>

#include "cache/watch/watch_entry.h"
#include "cache/watch/watch_json.h"
#include "cache/watch/watch_lines.h"

struct ndjson {
	struct watch_out *out;
	struct watch_lines lines;
	struct watch_entry_room entry;
	struct watch_room strings; /* that had escapes */
};

enum member {
	SERIAL,
	ISSUER,
	ISSUER_KEY,
	NAMES,
	NOT_BEFORE,
	NOT_AFTER,
	CRL,
	LABELS,
	MEMBERS
};

static const struct {
	const char *name;
	size_t n;
} members[MEMBERS] = {
#define M(m, name) [m] = {name, sizeof name - 1}
    M(SERIAL, "serial"),
    M(ISSUER, "issuer"),
    M(ISSUER_KEY, "issuer_key"),
    M(NAMES, "names"),
    M(NOT_BEFORE, "not_before"),
    M(NOT_AFTER, "not_after"),
    M(CRL, "crl"),
    M(LABELS, "labels"),
#undef M
};

static enum member find_member(struct bytes key)
{
	int m = 0;

	while (m < MEMBERS && !bytes_equal(key, bytes_of(members[m].name, members[m].n)))
		m++;
	return m;
}

static bool is_of_type(
    struct watch_json *j, enum member m, char begin, const char *type, bool *null)
{
	int c = watch_json_peek(j);

	*null = c == 'n';
	if (*null)
		return watch_json_word(j, "null");
	return c == begin || watch_refuse(j->error, WATCH_BAD_FIELD, "%s is no %s",
				 members[m].name, type);
}

static bool take_text(struct watch_json *j, enum member m, struct bytes *text)
{
	bool null;

	return is_of_type(j, m, '"', "string", &null) &&
	       (null || watch_json_string(j, text));
}

static bool take_one(struct watch_texts *t, enum member m, struct bytes text)
{
	if (m == LABELS)
		return watch_texts_label(t, text);
	if (m == NAMES)
		watch_texts_name(t, text);
	else
		watch_texts_url(t, text);
	return true;
}

static bool take_array(struct watch_json *j, enum member m, struct watch_texts *t)
{
	struct bytes text;
	bool null;

	if (!is_of_type(j, m, '[', "array of strings", &null))
		return false;
	if (null || (j->p++, watch_json_take(j, ']')))
		return true;
	do {
		if (watch_json_peek(j) != '"')
			return watch_refuse(j->error, WATCH_BAD_FIELD,
			    "%s is no array of strings", members[m].name);
		if (!watch_json_string(j, &text))
			return false;
		if (!take_one(t, m, text))
			return watch_refuse(j->error, WATCH_BAD_LABELS,
			    "the labels have more than %d octets", WATCH_TEXT_MAX);
	} while (watch_json_take(j, ','));
	return watch_json_expect(j, ']');
}

static bool take_value(
    struct watch_json *j, enum member m, struct watch_entry *e, struct watch_texts *t)
{
	switch (m) {
	case SERIAL:
		return take_text(j, m, &e->serial);
	case ISSUER:
		return take_text(j, m, &e->issuer);
	case ISSUER_KEY:
		return take_text(j, m, &e->issuer_key);
	case NOT_BEFORE:
		return take_text(j, m, &e->not_before);
	case NOT_AFTER:
		return take_text(j, m, &e->not_after);
	case NAMES:
	case CRL:
	case LABELS:
		return take_array(j, m, t);
	default:
		return watch_json_skip(j);
	}
}

static bool take_members(
    struct watch_json *j, struct watch_entry *e, struct watch_texts *t)
{
	unsigned seen = 0;
	struct bytes key;

	if (watch_json_take(j, '}'))
		return true;
	do {
		enum member m;

		if (!watch_json_string(j, &key) || !watch_json_expect(j, ':'))
			return false;
		m = find_member(key);
		if (m < MEMBERS && (seen & 1u << m) != 0)
			return watch_refuse(j->error, WATCH_BAD_FIELD,
			    "%s is there twice", members[m].name);
		seen |= 1u << m;
		if (!take_value(j, m, e, t))
			return false;
	} while (watch_json_take(j, ','));
	return watch_json_expect(j, '}');
}

static bool take_object(void *reader, struct bytes text)
{
	struct ndjson *l = reader;
	struct watch_json j = {text.p, text.p, text.p + text.n, NULL, &l->out->error};
	struct watch_entry e = {.serial = {NULL, 0}};

	if (text.n > 0 && memchr(text.p, '\\', text.n) != NULL &&
	    !watch_room_grow(&l->strings, text.n))
		return watch_lines_nomem(&l->lines);
	j.room = l->strings.p;
	if (watch_json_peek(&j) == 0 && j.p == j.end)
		return true; /* an empty line */
	watch_texts_reset(&l->entry.texts);
	if (!watch_json_expect(&j, '{') || !take_members(&j, &e, &l->entry.texts))
		return false;
	if (watch_json_peek(&j) != 0 || j.p != j.end)
		return watch_refuse(&l->out->error, WATCH_BAD_JSON,
		    "there is something behind the object, at octet %zu",
		    (size_t)(j.p - text.p) + 1);
	return watch_entry_out(&l->entry, &e, l->lines.line, l->out);
}

static bool feed(void *reader, struct bytes piece)
{
	struct ndjson *l = reader;

	return watch_lines_feed(&l->lines, piece);
}

static bool end(void *reader)
{
	struct ndjson *l = reader;

	return watch_lines_end(&l->lines);
}

static void lines_free(void *reader)
{
	struct ndjson *l = reader;

	if (l == NULL)
		return;
	watch_lines_free(&l->lines);
	watch_room_free(&l->strings);
	free(l);
}

static void *lines_new(struct watch_out *out)
{
	struct ndjson *l = malloc(sizeof *l); /* its arrays are for what is put there */

	if (l == NULL)
		return NULL;
	l->out = out;
	l->entry.configured = NULL;
	l->strings = (struct watch_room){NULL, 0};
	watch_lines_start(&l->lines, out, take_object, l);
	return l;
}

const struct watch_reader watch_ndjson_reader = {lines_new, feed, end, lines_free, NULL};
