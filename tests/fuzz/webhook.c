/* Whatever stands in a store as a webhook or its state is refused, or encodes to what can
 * be read again; whatever a PUT says is refused with a reason, or has what a webhook
 * needs. */
#include <stdlib.h>

#include "proxy/push/hook_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool x)
{
	if (!x)
		abort();
}

static void try_webhook(struct bytes in)
{
	uint8_t out[WEBHOOK_BINARY_MAX];
	struct webhook *w, *again;

	if (webhook_decode(&w, "name", in) != ERR_OK)
		return;
	must(webhook_encode(w, out) == in.n && in.n <= sizeof out);
	must(webhook_decode(&again, "name", bytes_of(out, in.n)) == ERR_OK);
	webhook_unref(again);
	webhook_unref(w);
}

static void try_state(struct bytes in)
{
	uint8_t out[WEBHOOK_STATE_MAX];
	struct webhook_state s, again;
	size_t n;

	if (webhook_state_decode(&s, in) != ERR_OK)
		return;
	n = webhook_state_encode(&s, out); /* shorter where an error was no UTF-8 */
	must(n <= sizeof out && n <= in.n);
	must(webhook_state_decode(&again, bytes_of(out, n)) == ERR_OK);
}

static void try_body(struct bytes in)
{
	struct hook_body b;
	char why[256] = "";

	if (hook_body_read(&b, in, why, sizeof why))
		must(b.url[0] == 'h' && b.types != 0 && b.secrets_n <= WEBHOOK_SECRETS);
	else
		must(why[0] != '\0');
}

/* An octet says which. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes in;

	if (n < 1)
		return 0;
	in = bytes_of(data + 1, n - 1);
	if (data[0] == 'h')
		try_webhook(in);
	else if (data[0] == 's')
		try_state(in);
	else
		try_body(in);
	return 0;
}
