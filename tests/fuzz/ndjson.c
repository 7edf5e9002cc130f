/* Bodies of NDJSON.  Whatever the pieces, the same comes of them; what comes out is
 * within its bounds; and jansson, line by line, agrees what is JSON and what it says. */
#include "cache/watch/watch_body.h"

#include <jansson.h>
#include <stdlib.h>

#include "cache/base/utf8.h"

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What became of each line. */
struct seen {
	const uint8_t *data;
	size_t size, at; /* at: where the next line begins */
	uint64_t line, hash;
	bool ask;
};

static void mix(struct seen *s, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s->hash = (s->hash ^ ((const uint8_t *)p)[i]) * UINT64_C(0x100000001b3);
	s->hash = (s->hash ^ 0x100) * UINT64_C(0x100000001b3);
}

static void check_texts(struct seen *s, const struct bytes *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		MUST(list[i].n > 0 && utf8_is_valid(list[i]));
		MUST(memchr(list[i].p, 0, list[i].n) == NULL);
		mix(s, list[i].p, list[i].n);
	}
}

/* The text of this line of the body. */
static struct bytes line_text(struct seen *s, uint64_t line)
{
	struct bytes text;
	const uint8_t *end;

	for (;;) {
		end = memchr(s->data + s->at, '\n', s->size - s->at);
		text.p = s->data + s->at;
		text.n = end != NULL ? (size_t)(end - text.p) : s->size - s->at;
		if (s->line == line)
			break;
		MUST(end != NULL);
		s->at += text.n + 1;
		s->line++;
	}
	if (line == 1 && text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
		text = bytes_of(text.p + 3, text.n - 3);
	return text;
}

/* Numbers that jansson has no room for are JSON all the same. */
static json_t *by_jansson(struct bytes text, bool *json)
{
	json_error_t e;
	json_t *o = json_loadb((const char *)text.p, text.n, JSON_DECODE_INT_AS_REAL, &e);

	*json = json_is_object(o);
	if (o == NULL && json_error_code(&e) == json_error_numeric_overflow)
		*json = true;
	return o;
}

static void check_list(const json_t *array, const struct bytes *list, size_t n)
{
	size_t all = 0, i;
	json_t *text;

	json_array_foreach(array, i, text)
		all += json_string_length(text) > 0;
	MUST(n == all);
	all = 0;
	json_array_foreach(array, i, text) {
		size_t length = json_string_length(text);

		if (length == 0)
			continue;
		MUST(bytes_equal(list[all], bytes_of(json_string_value(text), length)));
		all++;
	}
}

static void ask_about(struct seen *s, const struct watch_cert *c)
{
	bool json;
	json_t *o = by_jansson(line_text(s, c->line), &json);
	const char *text;
	struct serial serial;

	MUST(json);
	if (o != NULL) {
		text = json_string_value(json_object_get(o, "serial"));
		MUST(text != NULL && serial_from_hex(&serial, text) == ERR_OK);
		MUST(serial_equal(&serial, &c->serial));
		text = json_string_value(json_object_get(o, "issuer"));
		MUST((text == NULL) == (c->issuer == NULL));
		MUST(text == NULL || strcmp(text, c->issuer) == 0);
		check_list(json_object_get(o, "labels"), c->labels, c->labels_n);
	}
	json_decref(o);
}

static bool each(void *arg, const struct watch_cert *c)
{
	struct seen *s = arg;
	size_t octets = 0;

	MUST(!c->verified && !c->is_ca && c->configured == NULL);
	MUST((c->issuer != NULL) != (c->aki.n > 0) && c->aki.n <= WATCH_AKI_MAX);
	MUST(c->crl_n <= WATCH_URLS_MAX && c->serial.n >= 1 && c->serial.n <= SERIAL_MAX);
	for (size_t i = 0; i < c->names_n; i++)
		octets += c->names[i].n + 1;
	for (size_t i = 0; i < c->labels_n; i++)
		octets += c->labels[i].n + 1;
	MUST(octets <= WATCH_TEXT_MAX);
	mix(s, &c->line, sizeof c->line);
	mix(s, c->serial.octets, c->serial.n);
	mix(s, c->aki.p, c->aki.n);
	mix(s, &c->not_before, sizeof c->not_before);
	mix(s, &c->not_after, sizeof c->not_after);
	mix(s, &c->names_more, sizeof c->names_more);
	check_texts(s, c->names, c->names_n);
	check_texts(s, c->labels, c->labels_n);
	check_texts(s, c->crl, c->crl_n);
	if (s->ask)
		ask_about(s, c);
	return true;
}

/* jansson takes what is nested deeper, and nothing else. */
static bool bad(void *arg, const struct watch_error *e)
{
	struct seen *s = arg;

	MUST(e->code > WATCH_FINE && e->code < WATCH_BAD_COUNT && e->why[0] != '\0');
	MUST(utf8_is_valid(bytes_of(e->why, strlen(e->why))));
	mix(s, e, sizeof e->line + sizeof e->code);
	mix(s, e->why, strlen(e->why));
	if (s->ask && (e->code == WATCH_BAD_JSON || e->code == WATCH_BAD_UTF8) &&
	    strstr(e->why, "too many arrays") == NULL) {
		bool json;
		json_t *o = by_jansson(line_text(s, e->line), &json);

		MUST(!json || o == NULL);
		json_decref(o);
	}
	return true;
}

static uint64_t read_all(const uint8_t *data, size_t size, size_t piece, bool ask)
{
	struct seen s = {.data = data, .size = size, .line = 1, .ask = ask};
	struct watch_want want = {
	    .format = WATCH_NDJSON, .each = each, .bad = bad, .arg = &s};
	struct watch_body *b = watch_body_new(&want);

	MUST(b != NULL);
	for (size_t i = 0; i < size; i += piece)
		MUST(watch_body_feed(
		    b, bytes_of(data + i, size - i < piece ? size - i : piece)));
	if (!watch_body_end(b))
		MUST(watch_body_error(b)->code == WATCH_BAD_BASE);
	watch_body_free(b);
	return s.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t hash = read_all(data, size, size + 1, true);

	MUST(read_all(data, size, 1 + size % 7, false) == hash);
	return 0;
}
