/* watched.c - the value, and the search for a place among many. */
#include "cache/watch/watched.h"

#include <assert.h>

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

size_t watched_from(const struct watched *entries, size_t n, const void *key)
{
	size_t at = 0;

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
