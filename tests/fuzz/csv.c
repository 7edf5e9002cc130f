/* Bodies of CSV.  The first line is the map, or empty.  Whatever the pieces, the same
 * comes of them, within its bounds. */
#include "cache/watch/watch_body.h"

#include <stdlib.h>

#include "cache/base/utf8.h"

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mix(uint64_t *hash, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*hash = (*hash ^ ((const uint8_t *)p)[i]) * UINT64_C(0x100000001b3);
	*hash = (*hash ^ 0x100) * UINT64_C(0x100000001b3);
}

static size_t check_texts(uint64_t *hash, const struct bytes *list, size_t n)
{
	size_t octets = 0;

	for (size_t i = 0; i < n; i++) {
		MUST(list[i].n > 0 && utf8_is_valid(list[i]));
		MUST(memchr(list[i].p, 0, list[i].n) == NULL);
		mix(hash, list[i].p, list[i].n);
		octets += list[i].n + 1;
	}
	return octets;
}

static bool each(void *arg, const struct watch_cert *c)
{
	MUST(!c->verified && !c->is_ca && c->configured == NULL);
	MUST((c->issuer != NULL) != (c->aki.n > 0) && c->aki.n <= WATCH_AKI_MAX);
	MUST(c->crl_n <= WATCH_URLS_MAX && c->serial.n >= 1 && c->serial.n <= SERIAL_MAX);
	mix(arg, &c->line, sizeof c->line);
	mix(arg, c->serial.octets, c->serial.n);
	mix(arg, c->aki.p, c->aki.n);
	mix(arg, &c->not_before, sizeof c->not_before);
	mix(arg, &c->not_after, sizeof c->not_after);
	MUST(check_texts(arg, c->names, c->names_n) +
		 check_texts(arg, c->labels, c->labels_n) <=
	     WATCH_TEXT_MAX);
	check_texts(arg, c->crl, c->crl_n);
	return true;
}

static bool bad(void *arg, const struct watch_error *e)
{
	MUST(e->code > WATCH_FINE && e->code < WATCH_BAD_COUNT && e->why[0] != '\0');
	MUST(utf8_is_valid(bytes_of(e->why, strlen(e->why))));
	mix(arg, &e->line, sizeof e->line);
	mix(arg, e->why, strlen(e->why));
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
	bool good = true;

	MUST(b != NULL);
	for (size_t i = 0; good && i < body.n; i += piece)
		good = watch_body_feed(
		    b, bytes_of(body.p + i, body.n - i < piece ? body.n - i : piece));
	good = good && watch_body_end(b);
	if (!good)
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
