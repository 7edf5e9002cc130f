/* utf8.h - UTF-8 (RFC 3629), one character at a time.  Pure, any thread. */
#ifndef CACHE_BASE_UTF8_H
#define CACHE_BASE_UTF8_H

#include "cache/base/bytes.h"

#define UTF8_MAX 4 /* octets of a character */

/* Length of the valid sequence at p (n >= 1 octets; section 4), 0 for none; *code: its
 * code point. */
static inline size_t utf8_length(const uint8_t *p, size_t n, unsigned *code)
{
	size_t len = p[0] < 0x80   ? 1
		     : p[0] < 0xc2 ? 0
		     : p[0] < 0xe0 ? 2
		     : p[0] < 0xf0 ? 3
				   : 4;
	static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};

	if (len == 0 || p[0] > 0xf4 || len > n)
		return 0;
	*code = len == 1 ? p[0] : p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (p[i] & 0x3f);
	}
	if (*code < least[len] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000))
		return 0;
	return len;
}

/* A code point that is no surrogate; returns its length. */
static inline size_t utf8_put(unsigned code, uint8_t out[UTF8_MAX])
{
	if (code < 0x80)
		return out[0] = (uint8_t)code, 1;
	if (code < 0x800) {
		out[0] = (uint8_t)(0xc0 | code >> 6);
		out[1] = (uint8_t)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (uint8_t)(0xe0 | code >> 12);
		out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | code >> 18);
	out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (code & 0x3f));
	return 4;
}

static inline bool utf8_is_valid(struct bytes text)
{
	unsigned code;

	for (size_t i = 0, len; i < text.n; i += len) {
		len = utf8_length(text.p + i, text.n - i, &code);
		if (len == 0)
			return false;
	}
	return true;
}

/* Characters that must not reach a terminal or break a line: C0, DEL, C1, and Unicode's
 * line and paragraph separators. */
static inline bool utf8_is_control(unsigned code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 ||
	       code == 0x2029;
}

#endif
