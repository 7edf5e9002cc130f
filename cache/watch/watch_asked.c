/* watch_asked.c - pieces, row by row. */
#include "cache/watch/watch_asked.h"

#include <assert.h>
#include <string.h>

#define VERSION 1

static struct bytes mac_name(void)
{
	return bytes_of("asked", 5);
}

static uint8_t *put_row(uint8_t *p, const struct watch_asked *row)
{
	size_t n = strlen(row->issuer);

	*p++ = (uint8_t)n;
	memcpy(p, row->issuer, n);
	p = put_be(p + n, row->minute, 4);
	*p++ = row->serial.n;
	memcpy(p, row->serial.octets, row->serial.n);
	return p + row->serial.n;
}

size_t watch_asked_encode(
    const struct watch_asked *rows, size_t n, const struct mac_keys *keys, uint8_t *out)
{
	uint8_t *p = out;

	assert(n >= 1 && n <= WATCH_ASKED_ROWS);
	*p++ = VERSION;
	p = put_be(p, n, 2);
	for (size_t i = 0; i < n; i++)
		p = put_row(p, &rows[i]);
	if (!mac_make(keys, mac_name(), bytes_of(out, (size_t)(p - out)), p))
		return 0;
	return (size_t)(p - out) + MAC_SIZE;
}

/* The next n octets; NULL: there are not so many. */
static const uint8_t *take(struct bytes *in, size_t n)
{
	const uint8_t *p = in->p;

	if (in->n < n)
		return NULL;
	in->p += n;
	in->n -= n;
	return p;
}

static bool take_row(struct bytes *in, struct watch_asked *row)
{
	const uint8_t *p = take(in, 1);
	size_t n = p != NULL ? *p : 0;

	p = take(in, n);
	if (p == NULL || !name_is_plain(bytes_of(p, n)))
		return false;
	memcpy(row->issuer, p, n);
	row->issuer[n] = '\0';
	p = take(in, 5);
	if (p == NULL || (row->minute = (uint32_t)get_be(p, 4)) == 0)
		return false;
	row->serial.n = p[4];
	if (row->serial.n < 1 || row->serial.n > SERIAL_MAX)
		return false;
	p = take(in, row->serial.n);
	if (p != NULL)
		memcpy(row->serial.octets, p, row->serial.n);
	return p != NULL;
}

enum err watch_asked_decode(
    struct bytes in, const struct mac_keys *keys, struct watch_asked *rows, size_t *n)
{
	const uint8_t *p;
	size_t all;

	*n = 0;
	if (in.n < 3 + MAC_SIZE || in.n > WATCH_ASKED_MAX || in.p[0] != VERSION)
		return ERR_RECORD;
	in.n -= MAC_SIZE;
	if (!mac_is_good(keys, mac_name(), in, in.p + in.n))
		return ERR_RECORD_KEY;
	p = take(&in, 3);
	all = (size_t)get_be(p + 1, 2);
	if (all < 1 || all > WATCH_ASKED_ROWS)
		return ERR_RECORD;
	for (; *n < all; ++*n)
		if (!take_row(&in, &rows[*n]))
			return ERR_RECORD;
	return in.n == 0 ? ERR_OK : ERR_RECORD;
}
