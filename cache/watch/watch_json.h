/* watch_json.h - a strict reader of one JSON text (RFC 8259), from left to right.
 *
 * It makes no values: its caller takes one token after the other, strings borrowed from
 * the text where they have no escapes, and passes over what it does not want.  UTF-8 is
 * checked (no surrogates, no overlong forms); \u0000 is refused, as no name may have it.
 *
 * For watch_ndjson.c; a plain value that borrows the text and the room for escapes.
 */
#ifndef CACHE_WATCH_WATCH_JSON_H
#define CACHE_WATCH_WATCH_JSON_H

#include "cache/watch/watch_error.h"

/* Arrays and objects within each other. */
#define WATCH_JSON_DEPTH_MAX 32

struct watch_json {
	const uint8_t *begin, *p, *end;
	/* Where strings with escapes are decoded: at least as much as is left to read. */
	uint8_t *room;
	struct watch_error *error;
};

/* Blanks, then this character; false with WATCH_BAD_JSON where there is another. */
bool watch_json_expect(struct watch_json *j, char c);
/* Blanks, then is it this one?  Taken if so. */
bool watch_json_take(struct watch_json *j, char c);
/* The next character behind blanks, 0 at the end. */
int watch_json_peek(struct watch_json *j);
/* A string; borrowed until the text or its room is gone.  False with WATCH_BAD_JSON or
 * WATCH_BAD_UTF8. */
bool watch_json_string(struct watch_json *j, struct bytes *out);
/* true, false, null: this one, where a value begins. */
bool watch_json_word(struct watch_json *j, const char *word);
/* Any value, passed over. */
bool watch_json_skip(struct watch_json *j);

#endif
