/* watch_room.h - octets that grow up to a bound: what a reader holds of a line, a row or
 * a block.  A plain value, zeroed to begin with; what it leaves behind it wipes, as it
 * may be a key.
 */
#ifndef CACHE_WATCH_WATCH_ROOM_H
#define CACHE_WATCH_WATCH_ROOM_H

#include "cache/base/bytes.h"

struct watch_room {
	uint8_t *p; /* owned; its octets are kept when it grows */
	size_t n;
};

/* At least n octets; false when out of memory: what was there is there. */
bool watch_room_grow(struct watch_room *r, size_t n);
void watch_room_free(struct watch_room *r);

#endif
