/* listed.h - the serials of the bench's certificates: which number has which, so that who
 * makes a list and who makes inventories agree without a file between them.
 *
 * Pure functions of seed and number.
 */
#ifndef BENCH_LISTED_H
#define BENCH_LISTED_H

#include <stddef.h>
#include <stdint.h>

#define LISTED_SERIAL_MAX 20

/* splitmix64, the generator of Steele, Lea and Flood. */
uint64_t listed_mix(uint64_t x);

/* What tells certificate number i apart from others besides its serial. */
static inline uint64_t listed_word(uint64_t seed, uint64_t i)
{
	return listed_mix(seed + 4 * i);
}
/* Its serial: 16 to 20 octets, positive, in the fewest octets.  Returns how many. */
size_t listed_serial(uint64_t seed, uint64_t i, uint8_t out[LISTED_SERIAL_MAX]);

#endif
