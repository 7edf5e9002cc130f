/* What is kept of renewal information: what is read is written as it came. */
#include <stdlib.h>
#include <string.h>

#include "cache/watch/ari_state.h"
#include "tests/lib/fuzz_watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1), out[ARI_STATE_MAX]; /* its end is seen */
	struct ari_state s;
	struct ari_who w;

	MUST(copy != NULL);
	memcpy(copy, data, size);
	if (ari_state_decode(&s, bytes_of(copy, size)) == ERR_OK) {
		MUST(ari_state_encode(&s, out) == size);
		MUST(memcmp(out, data, size) == 0);
	}
	if (ari_who_decode(&w, bytes_of(copy, size))) {
		MUST(ari_who_encode(&w, out) == size);
		MUST(memcmp(out, data, size) == 0);
	}
	free(copy);
	return 0;
}
