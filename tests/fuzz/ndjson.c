/* Bodies of NDJSON.  Whatever the pieces, the same comes of them; what comes out is
 * within its bounds; and jansson, line by line, agrees what is JSON and what it says. */
#include "tests/lib/fuzz_watch.h"

#include <jansson.h>

/* What became of each line. */
struct seen {
	const uint8_t *data;
	size_t size, at; /* at: where the next line begins */
	uint64_t line, hash;
	bool ask;
};

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

	MUST(!c->verified && c->configured == NULL);
	MUST((c->issuer != NULL) != (c->aki.n > 0));
	fuzz_cert(&s->hash, c);
	if (s->ask)
		ask_about(s, c);
	return true;
}

/* jansson takes what is nested deeper, and nothing else. */
static bool bad(void *arg, const struct watch_error *e)
{
	struct seen *s = arg;

	fuzz_error(&s->hash, e);
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
	if (!fuzz_feed(b, bytes_of(data, size), piece))
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
