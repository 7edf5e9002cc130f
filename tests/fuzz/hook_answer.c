/* Whatever a receiver answers, it is one of three things, and nobody is waited for long.
 */
#include <stdlib.h>

#include "proxy/push/hook_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool x)
{
	if (!x)
		abort();
}

/* Two octets of status, then the field. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct hook_answer a;
	int status;

	if (n < 2)
		return 0;
	status = (int)get_be(data, 2) % 1000;
	a = hook_answer_read(status, bytes_of(data + 2, n - 2), 1700000000);
	must((a.verdict == HOOK_TAKEN) == (status / 100 == 2));
	must((a.verdict == HOOK_GONE) == (status == 410));
	must(a.wait_s >= 0 && a.wait_s <= HOOK_WAIT_MAX_S);
	must(a.wait_s == 0 || status == 429 || status == 503);
	return 0;
}
