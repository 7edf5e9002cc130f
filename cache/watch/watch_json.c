/* watch_json.c - one object of one line, value by value (RFC 8259). */
#include "cache/watch/watch_json.h"

#include <stdio.h>

#include "cache/base/utf8.h"

static bool refuse(struct watch_json *j, const char *why)
{
	return watch_refuse(j->error, WATCH_BAD_JSON, "%s at octet %zu", why,
	    (size_t)(j->p - j->begin) + 1);
}

static void skip_blanks(struct watch_json *j)
{
	while (j->p < j->end &&
	       (*j->p == ' ' || *j->p == '\t' || *j->p == '\r' || *j->p == '\n'))
		j->p++;
}

int watch_json_peek(struct watch_json *j)
{
	skip_blanks(j);
	return j->p < j->end ? *j->p : 0;
}

bool watch_json_take(struct watch_json *j, char c)
{
	if (j->p == j->end || *j->p != (uint8_t)c) { /* blanks are rare */
		skip_blanks(j);
		if (j->p == j->end || *j->p != (uint8_t)c)
			return false;
	}
	j->p++;
	return true;
}

bool watch_json_expect(struct watch_json *j, char c)
{
	char why[32];

	if (watch_json_take(j, c))
		return true;
	snprintf(why, sizeof why, "there is no %c", c);
	return refuse(j, why);
}

static bool take_hex4(struct watch_json *j, unsigned *code)
{
	uint8_t octets[2];

	if (j->end - j->p < 4 || !hex_decode((const char *)j->p, 2, octets))
		return refuse(j, "no four hexadecimal digits");
	*code = (unsigned)get_be(octets, 2);
	j->p += 4;
	return true;
}

/* Behind "\u"; the second half of a pair stands right behind the first. */
static bool take_unicode(struct watch_json *j, unsigned *code)
{
	unsigned low = 0;

	if (!take_hex4(j, code))
		return false;
	if (*code >= 0xd800 && *code < 0xdc00) {
		if (j->end - j->p < 2 || j->p[0] != '\\' || j->p[1] != 'u')
			return refuse(j, "half of a surrogate pair");
		j->p += 2;
		if (!take_hex4(j, &low))
			return false;
		if (low < 0xdc00 || low >= 0xe000)
			return refuse(j, "half of a surrogate pair");
		*code = 0x10000 + ((*code - 0xd800) << 10 | (low - 0xdc00));
	} else if (*code >= 0xdc00 && *code < 0xe000) {
		return refuse(j, "half of a surrogate pair");
	}
	return *code != 0 || refuse(j, "a NUL in a string");
}

/* Behind the backslash; into *to. */
static bool take_escape(struct watch_json *j, uint8_t **to)
{
	static const char escape[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	const char *at;
	unsigned code;

	if (j->p == j->end)
		return refuse(j, "a string without end");
	if (*j->p == 'u') {
		j->p++;
		if (!take_unicode(j, &code))
			return false;
		*to += utf8_put(code, *to);
		return true;
	}
	at = *j->p != 0 ? strchr(escape, *j->p) : NULL;
	if (at == NULL)
		return refuse(j, "an unknown escape");
	*(*to)++ = (uint8_t)means[at - escape];
	j->p++;
	return true;
}

#define EACH(octet) (UINT64_C(0x0101010101010101) * (octet))

static uint64_t zeros(uint64_t v)
{
	return (v - EACH(1)) & ~v;
}

/* Are all eight octets ASCII that means itself?  Most of a line is read here: no control,
 * no quote, no backslash, nothing above. */
static bool is_plain(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return ((v | ((v - EACH(0x20)) & ~v) | zeros(v ^ EACH('"')) |
		    zeros(v ^ EACH('\\'))) &
		   EACH(0x80)) == 0;
}

/* Characters of a string that mean themselves, up to what does not. */
static bool take_plain(struct watch_json *j)
{
	unsigned code;

	while (j->end - j->p >= 8 && is_plain(j->p))
		j->p += 8;
	while (j->p < j->end) {
		uint8_t c = *j->p;
		size_t len = 1;

		if (c == '"' || c == '\\' || c < 0x20)
			break;
		if (c >= 0x80)
			len = utf8_length(j->p, (size_t)(j->end - j->p), &code);
		if (len == 0)
			return watch_refuse(j->error, WATCH_BAD_UTF8,
			    "octet %zu is not UTF-8", (size_t)(j->p - j->begin) + 1);
		j->p += len;
	}
	return j->p < j->end || refuse(j, "a string without end");
}

/* From the first escape on; what was before it is copied. */
static bool take_decoded(struct watch_json *j, const uint8_t *from, struct bytes *out)
{
	uint8_t *to = j->room;

	for (;;) {
		memcpy(to, from, (size_t)(j->p - from));
		to += j->p - from;
		if (*j->p != '\\')
			break;
		j->p++;
		if (!take_escape(j, &to))
			return false;
		from = j->p;
		if (!take_plain(j))
			return false;
	}
	*out = bytes_of(j->room, (size_t)(to - j->room));
	j->room = to;
	return true;
}

bool watch_json_string(struct watch_json *j, struct bytes *out)
{
	const uint8_t *from;

	if (!watch_json_expect(j, '"'))
		return false;
	from = j->p;
	if (!take_plain(j))
		return false;
	*out = bytes_of(from, (size_t)(j->p - from));
	if (*j->p == '\\' && !take_decoded(j, from, out))
		return false;
	return *j->p == '"' ? (j->p++, true) : refuse(j, "a control in a string");
}

static bool take_digits(struct watch_json *j)
{
	const uint8_t *from = j->p;

	while (j->p < j->end && *j->p >= '0' && *j->p <= '9')
		j->p++;
	return j->p > from || refuse(j, "a number without a digit");
}

/* RFC 8259 section 6. */
static bool skip_number(struct watch_json *j)
{
	if (*j->p == '-')
		j->p++;
	if (j->p < j->end && *j->p == '0')
		j->p++;
	else if (!take_digits(j))
		return false;
	if (j->p < j->end && *j->p == '.') {
		j->p++;
		if (!take_digits(j))
			return false;
	}
	if (j->p < j->end && (*j->p | 0x20) == 'e') {
		j->p++;
		if (j->p < j->end && (*j->p == '+' || *j->p == '-'))
			j->p++;
		return take_digits(j);
	}
	return true;
}

bool watch_json_word(struct watch_json *j, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(j->end - j->p) < n || memcmp(j->p, word, n) != 0)
		return refuse(j, "no value");
	j->p += n;
	return true;
}

/* One step into, along or out of arrays and objects.  open: of each level its closing
 * character. */
struct levels {
	char close[WATCH_JSON_DEPTH_MAX];
	size_t n;
};

static bool skip_key(struct watch_json *j)
{
	struct bytes key;

	return watch_json_string(j, &key) && watch_json_expect(j, ':');
}

/* *whole: a value is over, else one is to follow. */
static bool skip_open(struct watch_json *j, struct levels *l, bool *whole)
{
	bool object = *j->p == '{';

	if (l->n == WATCH_JSON_DEPTH_MAX)
		return refuse(j, "too many arrays and objects in each other");
	j->p++;
	l->close[l->n++] = object ? '}' : ']';
	if (watch_json_take(j, l->close[l->n - 1])) {
		l->n--;
		*whole = true;
		return true;
	}
	*whole = false;
	return !object || skip_key(j);
}

/* Behind a value: the ends of what it was the last of, or a comma. */
static bool skip_close(struct watch_json *j, struct levels *l, bool *whole)
{
	*whole = true;
	while (l->n > 0 && watch_json_take(j, l->close[l->n - 1]))
		l->n--;
	if (l->n == 0)
		return true;
	*whole = false;
	if (!watch_json_expect(j, ','))
		return false;
	return l->close[l->n - 1] == ']' || skip_key(j);
}

static bool skip_simple(struct watch_json *j, int c)
{
	struct bytes string;

	if (c == '"')
		return watch_json_string(j, &string);
	if (c == '-' || (c >= '0' && c <= '9'))
		return skip_number(j);
	return watch_json_word(j, c == 't' ? "true" : c == 'f' ? "false" : "null");
}

bool watch_json_skip(struct watch_json *j)
{
	struct levels l = {.n = 0};
	bool whole;

	do {
		int c = watch_json_peek(j);

		whole = true;
		if (c == '{' || c == '[' ? !skip_open(j, &l, &whole) : !skip_simple(j, c))
			return false;
		if (whole && !skip_close(j, &l, &whole))
			return false;
	} while (!whole);
	return true;
}
