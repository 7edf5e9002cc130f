/* Lines of an incident's list.  Whatever the pieces, the same comes of them; what comes
 * out is within its bounds, and a serial that stands in its line. */
#include "tests/lib/fuzz_watch.h"

static bool each(void *arg, const struct watch_cert *c)
{
	uint64_t *hash = arg;

	MUST(!c->verified && c->configured == NULL && c->aki.n == 0);
	MUST(c->names_n == 0 && c->labels_n == 0 && c->crl_n == 0);
	fuzz_cert(hash, c);
	if (c->issuer != NULL)
		fuzz_mix(hash, c->issuer, strlen(c->issuer));
	return true;
}

static bool bad(void *arg, const struct watch_error *e)
{
	fuzz_error(arg, e);
	return true;
}

static uint64_t read_all(const uint8_t *data, size_t size, size_t piece, bool decimal)
{
	uint64_t hash = 0;
	struct watch_want want = {.format = WATCH_PLAIN,
	    .base = decimal ? WATCH_BASE_DEC : WATCH_BASE_UNSAID,
	    .each = each,
	    .bad = bad,
	    .arg = &hash};
	struct watch_body *b = watch_body_new(&want);

	MUST(b != NULL);
	if (!fuzz_feed(b, bytes_of(data, size), piece))
		MUST(watch_body_error(b)->code == WATCH_BAD_BASE);
	watch_body_free(b);
	return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int decimal = 0; decimal < 2; decimal++)
		MUST(read_all(data, size, size + 1, decimal) ==
		     read_all(data, size, 1 + size % 7, decimal));
	return 0;
}
