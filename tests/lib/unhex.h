/* unhex.h - bytes written as hexadecimal, for vectors in tests.  Spaces are skipped. */
#ifndef TESTS_LIB_UNHEX_H
#define TESTS_LIB_UNHEX_H

#include <assert.h>

#include "cache/base/bytes.h"

static inline size_t unhex(const char *hex, uint8_t *out, size_t room)
{
	size_t n = 0;

	for (; *hex != '\0'; hex += 2) {
		while (*hex == ' ')
			hex++;
		if (*hex == '\0')
			break;
		assert(hex_value(hex[0]) >= 0 && hex_value(hex[1]) >= 0 && n < room);
		out[n++] = (uint8_t)(hex_value(hex[0]) << 4 | hex_value(hex[1]));
	}
	return n;
}

#endif
