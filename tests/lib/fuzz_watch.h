/* fuzz_watch.h - what the fuzz targets of watchlists' bodies share: bounds of what comes
 * out, and a hash over it, so that two ways of feeding can be compared.
 *
 * Header only, so that a target still links with the library alone.
 */
#ifndef TESTS_LIB_FUZZ_WATCH_H
#define TESTS_LIB_FUZZ_WATCH_H

#include <stdlib.h>

#include "cache/base/utf8.h"
#include "cache/watch/watch_body.h"

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void fuzz_mix(uint64_t *hash, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*hash = (*hash ^ ((const uint8_t *)p)[i]) * UINT64_C(0x100000001b3);
	*hash = (*hash ^ 0x100) * UINT64_C(0x100000001b3);
}

/* Names, labels or URLs; how many octets of WATCH_TEXT_MAX they take. */
static inline size_t fuzz_texts(uint64_t *hash, const struct bytes *list, size_t n)
{
	size_t octets = 0;

	for (size_t i = 0; i < n; i++) {
		MUST(list[i].n > 0 && utf8_is_valid(list[i]));
		MUST(memchr(list[i].p, 0, list[i].n) == NULL);
		fuzz_mix(hash, list[i].p, list[i].n);
		octets += list[i].n + 1;
	}
	return octets;
}

/* Of each format. */
static inline void fuzz_cert(uint64_t *hash, const struct watch_cert *c)
{
	MUST(!c->is_ca && c->aki.n <= WATCH_AKI_MAX && c->crl_n <= WATCH_URLS_MAX);
	MUST(c->serial.n >= 1 && c->serial.n <= SERIAL_MAX);
	fuzz_mix(hash, &c->line, sizeof c->line);
	fuzz_mix(hash, c->serial.octets, c->serial.n);
	fuzz_mix(hash, c->aki.p, c->aki.n);
	fuzz_mix(hash, &c->not_before, sizeof c->not_before);
	fuzz_mix(hash, &c->not_after, sizeof c->not_after);
	fuzz_mix(hash, &c->names_more, sizeof c->names_more);
	fuzz_mix(hash, &c->verified, sizeof c->verified);
	MUST(fuzz_texts(hash, c->names, c->names_n) +
		 fuzz_texts(hash, c->labels, c->labels_n) <=
	     WATCH_TEXT_MAX);
	fuzz_texts(hash, c->crl, c->crl_n);
}

static inline void fuzz_error(uint64_t *hash, const struct watch_error *e)
{
	MUST(e->code > WATCH_FINE && e->code < WATCH_BAD_COUNT && e->why[0] != '\0');
	MUST(utf8_is_valid(bytes_of(e->why, strlen(e->why))));
	fuzz_mix(hash, &e->line, sizeof e->line);
	fuzz_mix(hash, e->why, strlen(e->why));
}

/* All of it in pieces of this size, to its end. */
static inline bool fuzz_feed(struct watch_body *b, struct bytes body, size_t piece)
{
	bool good = true;

	for (size_t i = 0; good && i < body.n; i += piece)
		good = watch_body_feed(
		    b, bytes_of(body.p + i, body.n - i < piece ? body.n - i : piece));
	return good && watch_body_end(b);
}

#endif
