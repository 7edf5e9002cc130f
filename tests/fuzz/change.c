/* A batch that is read writes the same bytes again, or the same batch where it was one of
 * version 1, and so does a place in the log; from anything else nothing is read. */
#include "cache/change/change.h"

#include <stdlib.h>

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_change(const struct change *c, bool moves)
{
	struct serial s;

	crl_entry_serial(&c->entry, &s);
	MUST(s.n >= 1 && s.n <= SERIAL_MAX);
	MUST(change_status_name(change_now(c)) != NULL);
	MUST((change_status_name(change_before(c)) != NULL) == moves);
	MUST(crl_entry_reason(&c->entry) == REASON_NONE ||
	     reason_name(crl_entry_reason(&c->entry)) != NULL);
}

/* out: what a batch that was read from `in` writes. */
static void check_written(struct bytes in, const uint8_t *out, size_t n)
{
	struct change_batch *again;
	uint8_t *twice;

	if (in.p[0] != 1) {
		MUST(n == in.n && memcmp(out, in.p, n) == 0);
		return;
	}
	MUST(n == in.n + 4);
	MUST(change_batch_decode(&again, bytes_of(out, n)) == ERR_OK);
	twice = malloc(n);
	MUST(twice != NULL && change_batch_encode(again, twice) == n);
	MUST(memcmp(out, twice, n) == 0);
	free(twice);
	change_batch_unref(again);
}

static void check_changes(const struct change_batch *b)
{
	MUST(b->watchlist[0] == '\0' || b->kind == CHANGE_WATCHED);
	for (uint32_t i = 0; i < b->n; i++)
		check_change(&b->change[i], b->kind == CHANGE_MOVES);
}

static void check_notices(const struct change_batch *b)
{
	MUST((b->incident[0] == '\0') == (b->source == CHANGE_ARI));
	MUST(strlen(b->url) <= CHANGE_URL_MAX);
	for (uint32_t i = 0; i < b->n; i++) {
		struct serial s;

		crl_entry_serial(&b->change[i].entry, &s);
		MUST(s.n >= 1 && s.n <= SERIAL_MAX);
		MUST(b->window == NULL || b->window[i].after <= b->window[i].before);
	}
}

static void check_alarms(const struct change_batch *b)
{
	MUST(b->n <= CHANGE_ALARMS_MAX && b->node[0] != '\0');
	for (uint32_t i = 0; i < b->n; i++) {
		MUST(b->alarm[i].alarm[0] != '\0');
		MUST(strlen(b->alarm[i].subject) <= CHANGE_ALARM_TEXT_MAX);
		MUST(strlen(b->alarm[i].detail) <= CHANGE_ALARM_TEXT_MAX);
	}
}

static void check_batch(struct bytes in)
{
	struct change_batch *b;
	uint8_t *out;
	size_t n;

	if (change_batch_decode(&b, in) != ERR_OK) {
		MUST(b == NULL);
		(void)change_batch_is_newer(in);
		return;
	}
	MUST(!change_batch_is_newer(in));
	MUST(b->n >= 1 && b->n <= CHANGE_BATCH_MAX);
	MUST(b->issuer[0] != '\0' || b->kind == CHANGE_ALARMS);
	if (b->kind == CHANGE_NOTICES)
		check_notices(b);
	else if (b->kind == CHANGE_ALARMS)
		check_alarms(b);
	else
		check_changes(b);
	n = change_batch_size(b);
	out = malloc(n);
	MUST(out != NULL && change_batch_encode(b, out) == n);
	check_written(in, out, n);
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
