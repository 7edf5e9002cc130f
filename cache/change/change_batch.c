/* change_batch.c - batches come and go, and what the encodings of all kinds check alike.
 *
 * One allocation: the struct, its changes, and behind them what a kind has besides.
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "cache/change/change_kinds.h"

_Static_assert(sizeof(struct change_batch) % _Alignof(struct change_alarm) == 0 &&
		   sizeof(struct change) % _Alignof(struct change_alarm) == 0,
    "what stands behind is aligned");

const char *change_status_name(enum change_status s)
{
	static const char *const name[] = {
	    [CHANGE_GOOD] = "good",
	    [CHANGE_REVOKED] = "revoked",
	    [CHANGE_UNKNOWN] = "unknown",
	    [CHANGE_REMOVED] = "removed",
	    [CHANGE_NONE] = NULL,
	};

	assert(s <= CHANGE_NONE);
	return name[s];
}

struct change_batch *change_batch_room(enum change_kind kind, size_t n, size_t behind)
{
	size_t memory = sizeof(struct change_batch) + n * sizeof(struct change) + behind;
	struct change_batch *b;

	b = calloc(1, memory);
	if (b == NULL)
		return NULL;
	atomic_init(&b->refs, 1);
	b->memory = memory;
	b->kind = kind;
	return b;
}

void *change_batch_behind(struct change_batch *b, size_t n)
{
	return (char *)b + sizeof *b + n * sizeof b->change[0];
}

struct change_batch *change_batch_new(size_t n)
{
	assert(n <= CHANGE_BATCH_MAX);
	return change_batch_room(CHANGE_MOVES, n, 0);
}

struct change_batch *change_batch_ref(const struct change_batch *b)
{
	struct change_batch *w = (struct change_batch *)(uintptr_t)b;
	unsigned had = atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);

	assert(had > 0);
	(void)had;
	return w;
}

void change_batch_unref(struct change_batch *b)
{
	if (b != NULL &&
	    atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		free(b);
}

bool change_batch_is_changes(const struct change_batch *b)
{
	return b->kind == CHANGE_MOVES || b->kind == CHANGE_WATCHED;
}

bool change_batch_is_for(
    const struct change_batch *b, const char *issuer, const char *watchlist)
{
	if (b->kind == CHANGE_ALARMS && b->issuer[0] == '\0' && watchlist[0] != '\0')
		return false;
	return (issuer[0] == '\0' || strcmp(issuer, b->issuer) == 0) &&
	       (b->watchlist[0] == '\0' || strcmp(watchlist, b->watchlist) == 0);
}

void change_head_put(const struct change_batch *b, uint8_t *out)
{
	out[0] = CHANGE_VERSION;
	out[CHANGE_KIND_AT] = (uint8_t)b->kind;
	out[2] = out[3] = 0;
	put_be(out + CHANGE_COUNT_AT, b->n, 4);
	put_be(out + CHANGE_SEEN_AT, (uint64_t)b->seen_at_ms, 8);
}

size_t change_head_get(struct change_batch *b, struct bytes in)
{
	b->seen_at_ms = (int64_t)get_be(in.p + CHANGE_SEEN_AT, 8);
	return b->n = (uint32_t)get_be(in.p + CHANGE_COUNT_AT, 4);
}

bool change_name_is_good(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9') ||
			p[i] == '.' || p[i] == '_' || p[i] == '-'))
			return false;
	return n >= 1 && n <= CHANGE_NAME_MAX;
}

bool change_serial_is_good(const struct crl_entry *e)
{
	const uint8_t *p;

	if (e->n < 1 || e->n > SERIAL_MAX)
		return false;
	for (int i = 0; i < SERIAL_MAX - e->n; i++)
		if (e->octets[i] != 0)
			return false;
	p = e->octets + SERIAL_MAX - e->n;
	/* X.690 section 8.3.2: the first nine bits are not all equal */
	return e->n == 1 ||
	       !((p[0] == 0x00 && p[1] < 0x80) || (p[0] == 0xff && p[1] >= 0x80));
}
