/* What a CA answers when it is asked for renewal information. */
#include <stdlib.h>
#include <string.h>

#include "cache/watch/ari_answer.h"
#include "tests/lib/fuzz_watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1); /* so that a read beyond the end is seen */
	struct ari_known k = {0};
	struct ari_answer a;

	MUST(copy != NULL);
	memcpy(copy, data, size);
	if (ari_answer_read(&a, bytes_of(copy, size)) == NULL) {
		MUST(a.start < a.end && a.end <= ARI_TIME_MAX);
		MUST(strlen(a.url) <= WATCH_URL_MAX);
		for (const char *p = a.url; *p != '\0'; p++)
			MUST(*p > ' ' && *p <= '~');
		ari_judge(&k, &a, a.start - 100, a.end);
		MUST(k.seen);
		MUST(ari_judge(&k, &a, a.start - 100, a.end) != ARI_NOTICE);
		MUST(ari_judge(&k, &a, a.start - 100, a.end) != ARI_WITHDRAWN ||
		     a.url[0] != '\0');
	}
	free(copy);
	return 0;
}
