/* listed.c - three or four words of the generator for each. */
#include "bench/listed.h"

#include <string.h>

uint64_t listed_mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

size_t listed_serial(uint64_t seed, uint64_t i, uint8_t out[LISTED_SERIAL_MAX])
{
	size_t n = 16 + listed_word(seed, i) % 5;

	for (size_t k = 0; k < n; k += 8) {
		uint64_t part = listed_mix(seed + 4 * i + 1 + k / 8);

		memcpy(out + k, &part, n - k < 8 ? n - k : 8);
	}
	out[0] = (out[0] & 0x7f) | 0x01;
	return n;
}
