/* watched.c - the value, and the search for a place among many. */
#include "cache/watch/watched.h"

#include <assert.h>

/* A search begins where the key should be, and leaps by twice as much each time from
 * there: in a list of 15,000 that is three looks at memory that is far, by halves ten. */
#define NEAR 4
#define FEW  64 /* by halves at once */

/* The least that 40 bits hold stands for "nobody said". */
#define DATE_MAX ((INT64_C(1) << 39) - 1)
#define DATE_MIN (-DATE_MAX)

void watch_date_put(uint8_t out[WATCH_DATE_N], int64_t at)
{
	if (at == WATCH_TIME_NONE)
		at = DATE_MIN - 1;
	else if (at < DATE_MIN)
		at = DATE_MIN;
	else if (at > DATE_MAX)
		at = DATE_MAX;
	put_be(out, (uint64_t)at, WATCH_DATE_N);
}

int64_t watch_date_get(const uint8_t in[WATCH_DATE_N])
{
	/* the sign is that of the fifth octet */
	int64_t at = (int64_t)(get_be(in, WATCH_DATE_N) << 24) >> 24;

	return at < DATE_MIN ? WATCH_TIME_NONE : at;
}

void watched_set(
    struct watched *e, const struct serial *s, int64_t not_after, bool verified)
{
	assert(s->n >= 1 && s->n <= SERIAL_MAX);
	memset(e, 0, sizeof *e);
	memcpy(e->octets + SERIAL_MAX - s->n, s->octets, s->n);
	e->n = s->n;
	watch_date_put(e->not_after, not_after);
	e->flags = verified ? WATCH_VERIFIED : 0;
}

void watched_serial(const struct watched *e, struct serial *s)
{
	s->n = e->n;
	memcpy(s->octets, e->octets + SERIAL_MAX - e->n, e->n);
}

int64_t watched_not_after(const struct watched *e)
{
	return watch_date_get(e->not_after);
}

void watched_join(struct watched *e, const struct watched *more)
{
	int64_t here = watched_not_after(e), there = watched_not_after(more);
	bool stronger = watched_is_verified(more) && !watched_is_verified(e);
	bool equal = watched_is_verified(more) == watched_is_verified(e);

	if (stronger || (equal && watched_point(e) == 0))
		memcpy(e->point, more->point, sizeof e->point);
	e->flags = (uint8_t)(((e->flags | more->flags) & WATCH_VERIFIED) |
			     (e->flags & more->flags & WATCH_BARE));
	if (there != WATCH_TIME_NONE && (here == WATCH_TIME_NONE || there < here))
		memcpy(e->not_after, more->not_after, sizeof e->not_after);
}

/* Where a word so far behind another one is, in a list of n. */
static inline size_t way_of(uint64_t w, size_t n)
{
	return (size_t)((w >> 32) * n >> 32);
}

/* About where it is: by its word, and once more by how far that was off. */
static size_t about(const struct watched *entries, size_t n, const void *key)
{
	uint64_t w = crl_order_word(key), there;
	size_t at = way_of(w, n), off;

	there = crl_order_word(&entries[at]);
	off = way_of(w > there ? w - there : there - w, n);
	if (w > there)
		return off < n - 1 - at ? at + off : n - 1;
	return off < at ? at - off : 0;
}

/* n entries from `at` on, by halves. */
static size_t halve(const struct watched *entries, size_t at, size_t n, const void *key)
{
	while (n > 0) {
		size_t half = n / 2;

		if (crl_order(&entries[at + half], key) < 0) {
			at += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return at;
}

size_t watched_from(const struct watched *entries, size_t n, const void *key)
{
	size_t step = NEAR, low, high;

	assert(n <= UINT32_MAX);
	if (n <= FEW)
		return halve(entries, 0, n, key);
	low = high = about(entries, n, key);
	if (crl_order(&entries[low], key) < 0) {
		for (low++, high = low; high < n && crl_order(&entries[high], key) < 0;
		     step *= 2) {
			low = high + 1;
			high = n - low > step ? low + step : n;
		}
	} else {
		for (low = high > step ? high - step : 0;
		     low > 0 && crl_order(&entries[low], key) >= 0; step *= 2) {
			high = low;
			low = high > 2 * step ? high - 2 * step : 0;
		}
	}
	return halve(entries, low, high - low, key);
}

void watched_ahead(const struct watched *entries, size_t n, const void *key, bool again)
{
	size_t at;

	if (n <= FEW)
		return;
	at = again ? about(entries, n, key) : way_of(crl_order_word(key), n);
	__builtin_prefetch(&entries[at]);
	__builtin_prefetch((const uint8_t *)&entries[at] + 64);
}
