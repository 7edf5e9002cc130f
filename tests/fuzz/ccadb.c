/* CCADB's certificate records.  Whatever the pieces, the same comes of them, within its
 * bounds. */
#include "cache/watch/ccadb.h"

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

static void check_urls(uint64_t *hash, const struct bytes *url, size_t n)
{
	MUST(n <= CCADB_URLS_MAX);
	for (size_t i = 0; i < n; i++) {
		MUST(url[i].n > 7 && url[i].n <= CCADB_URL_MAX);
		for (size_t k = 0; k < url[i].n; k++)
			MUST(url[i].p[k] > ' ' && url[i].p[k] < 0x7f);
		mix(hash, url[i].p, url[i].n);
	}
}

static bool record(void *arg, const struct ccadb_record *r)
{
	MUST(r->key.n > 0 || r->has_fingerprint);
	MUST(r->key.n <= WATCH_AKI_MAX && utf8_is_valid(r->name) && r->line > 1);
	mix(arg, &r->line, sizeof r->line);
	mix(arg, r->name.p, r->name.n);
	mix(arg, r->key.p, r->key.n);
	mix(arg, r->sha256, sizeof r->sha256);
	check_urls(arg, r->full, r->full_n);
	check_urls(arg, r->part, r->part_n);
	return true;
}

static void bad(void *arg, const struct watch_error *e)
{
	MUST(e->code > WATCH_FINE && e->code < WATCH_BAD_COUNT);
	MUST(utf8_is_valid(bytes_of(e->why, strlen(e->why))));
	mix(arg, &e->line, sizeof e->line);
}

static uint64_t read_all(struct bytes text, size_t piece)
{
	uint64_t hash = 1;
	struct ccadb_want want = {.record = record, .bad = bad, .arg = &hash};
	struct ccadb_reader *r = ccadb_reader_new(&want);
	struct watch_error e = {0};
	bool good = true;

	MUST(r != NULL);
	for (size_t i = 0; good && i < text.n; i += piece)
		good = ccadb_reader_feed(
		    r, bytes_of(text.p + i, text.n - i < piece ? text.n - i : piece), &e);
	good = good && ccadb_reader_end(r, &e);
	if (!good)
		bad(&hash, &e);
	ccadb_reader_free(r);
	return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = bytes_of(data, size);
	uint64_t whole = read_all(text, size > 0 ? size : 1);

	MUST(read_all(text, 1) == whole && read_all(text, 13) == whole);
	return 0;
}
