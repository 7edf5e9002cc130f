/* A row of the file of watchlists that a damaged disk gave: it is refused, or it is one
 * that we write in just these bytes; what is read stays inside it. */
#include "cache/watch/watch_record.h"

#include <stdlib.h>

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t walk(struct bytes run, const uint8_t *data, size_t n)
{
	struct bytes text;
	size_t texts = 0;

	while (watch_run_next(&run, &text)) {
		MUST(text.p >= data && text.p + text.n <= data + n);
		texts++;
	}
	return texts;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct watch_record r;
	uint8_t *again;

	walk(bytes_of(data, n), data, n);
	if (watch_record_decode(&r, bytes_of(data, n)) != ERR_OK)
		return 0;
	MUST(watch_record_size(&r) == n);
	walk(r.names, data, n);
	walk(r.labels, data, n);
	walk(r.crl, data, n);
	again = malloc(n);
	MUST(again != NULL && watch_record_encode(&r, again) == n);
	MUST(memcmp(again, data, n) == 0);
	free(again);
	return 0;
}
