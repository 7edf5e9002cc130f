/* A batch that is read writes the same bytes again, and so does a place in the log; from
 * anything else nothing is read. */
#include "cache/change/change.h"

#include <stdlib.h>

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_change(const struct change *c)
{
	struct serial s;

	crl_entry_serial(&c->entry, &s);
	MUST(s.n >= 1 && s.n <= SERIAL_MAX);
	MUST(change_status_name(change_now(c)) != NULL);
	MUST(change_status_name(change_before(c)) != NULL);
	MUST(crl_entry_reason(&c->entry) == REASON_NONE ||
	     reason_name(crl_entry_reason(&c->entry)) != NULL);
}

static void check_batch(struct bytes in)
{
	struct change_batch *b;
	uint8_t *out;

	if (change_batch_decode(&b, in) != ERR_OK) {
		MUST(b == NULL);
		return;
	}
	MUST(b->n >= 1 && b->n <= CHANGE_BATCH_MAX && change_batch_size(b) == in.n);
	for (uint32_t i = 0; i < b->n; i++)
		check_change(&b->change[i]);
	out = malloc(in.n);
	MUST(out != NULL && change_batch_encode(b, out) == in.n);
	MUST(memcmp(out, in.p, in.n) == 0);
	free(out);
	change_batch_unref(b);
}

static void check_place(const char *text, size_t n)
{
	char again[CHANGE_POS_TEXT_MAX];
	struct change_pos p;

	if (!change_pos_parse(&p, text, n))
		return;
	change_pos_text(&p, again);
	MUST(strlen(again) == n && memcmp(again, text, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	check_batch(bytes_of(data, n));
	check_place((const char *)data, n);
	return 0;
}
