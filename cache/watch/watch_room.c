/* watch_room.c - room that grows, wiped when it goes. */
#include "cache/watch/watch_room.h"

#include <openssl/crypto.h>

#define ROOM_MIN 4096

bool watch_room_grow(struct watch_room *r, size_t n)
{
	size_t more = r->n > 0 ? r->n : ROOM_MIN;
	uint8_t *p;

	if (n <= r->n)
		return true;
	while (more < n)
		more *= 2;
	p = OPENSSL_clear_realloc(r->p, r->n, more);
	if (p == NULL)
		return false;
	*r = (struct watch_room){p, more};
	return true;
}

void watch_room_free(struct watch_room *r)
{
	OPENSSL_clear_free(r->p, r->n);
	*r = (struct watch_room){NULL, 0};
}
