/* Any Authorization field names a token of the form that we take, or none. */
#include <stdlib.h>

#include "proxy/base/access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool x)
{
	if (!x)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes token;

	if (!access_bearer(bytes_of(data, n), &token))
		return 0;
	must(token.n >= 1 && token.n <= ACCESS_TOKEN_MAX);
	must(token.p > data && token.p + token.n == data + n);
	for (size_t i = 0; i < token.n; i++)
		must(token.p[i] > ' ' && token.p[i] < 0x7f && token.p[i] != ',' &&
		     token.p[i] != '"');
	return 0;
}
