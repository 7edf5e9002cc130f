/* bytes.h - a borrowed run of bytes, hexadecimal, and numbers in network order.
 *
 * struct bytes owns nothing: who hands one out says until when it may be read.  p may be
 * NULL only where n is 0.
 */
#ifndef CACHE_BASE_BYTES_H
#define CACHE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *p;
	size_t n;
};

static inline struct bytes bytes_of(const void *p, size_t n)
{
	return (struct bytes){p, n};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* The last n octets of v, big-endian (n <= 8); returns what follows them. */
static inline uint8_t *put_be(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = n; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
	return p + n;
}

static inline uint64_t get_be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* Lower-case hexadecimal of n bytes and a NUL; out has room for 2 * n + 1. */
static inline void hex_encode(const uint8_t *in, size_t n, char *out)
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digit[in[i] >> 4];
		out[2 * i + 1] = digit[in[i] & 15];
	}
	out[2 * n] = '\0';
}

/* Value of one hexadecimal digit of either case, or -1.  A table: the digits of serials
 * are random, and a branch for each kind of them is one mispredicted in two. */
static inline int hex_value(int c)
{
	static const int8_t above[256] = {['0'] = 1,
	    ['1'] = 2,
	    ['2'] = 3,
	    ['3'] = 4,
	    ['4'] = 5,
	    ['5'] = 6,
	    ['6'] = 7,
	    ['7'] = 8,
	    ['8'] = 9,
	    ['9'] = 10,
	    ['a'] = 11,
	    ['b'] = 12,
	    ['c'] = 13,
	    ['d'] = 14,
	    ['e'] = 15,
	    ['f'] = 16,
	    ['A'] = 11,
	    ['B'] = 12,
	    ['C'] = 13,
	    ['D'] = 14,
	    ['E'] = 15,
	    ['F'] = 16};

	return above[(uint8_t)c] - 1;
}

/* n octets from 2 * n digits of either case; false when one is none. */
static inline bool hex_decode(const char *in, size_t n, uint8_t *out)
{
	for (size_t i = 0; i < n; i++) {
		int high = hex_value((unsigned char)in[2 * i]);
		int low = hex_value((unsigned char)in[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

#endif
