/* Bodies of CSV.  The first line is the map, or empty.  Whatever the pieces, the same
 * comes of them, within its bounds. */
#include "tests/lib/fuzz_watch.h"

static bool each(void *arg, const struct watch_cert *c)
{
	MUST(!c->verified && c->configured == NULL);
	MUST((c->issuer != NULL) != (c->aki.n > 0));
	fuzz_cert(arg, c);
	return true;
}

static bool bad(void *arg, const struct watch_error *e)
{
	fuzz_error(arg, e);
	return true;
}

static uint64_t read_all(const char *map, struct bytes body, size_t piece)
{
	uint64_t hash = 1;
	struct watch_want want = {.format = WATCH_CSV,
	    .base = body.n % 2 ? WATCH_BASE_HEX : WATCH_BASE_DEC,
	    .map = map,
	    .each = each,
	    .bad = bad,
	    .arg = &hash};
	struct watch_body *b = watch_body_new(&want);

	MUST(b != NULL);
	if (!fuzz_feed(b, body, piece))
		bad(&hash, watch_body_error(b));
	watch_body_free(b);
	return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	size_t n = end != NULL ? (size_t)(end - data) : 0;
	char *map = strndup((const char *)data, n);
	struct bytes body = bytes_of(data, size);
	uint64_t hash;

	MUST(map != NULL);
	if (end != NULL)
		body = bytes_of(end + 1, size - n - 1);
	hash = read_all(map, body, body.n + 1);
	MUST(read_all(map, body, 1 + size % 7) == hash);
	free(map);
	return 0;
}
