/* outgoing.h - what is to be sent and the socket has not taken: a buffer that grows while
 * its client is slow, and goes when all is gone.
 *
 * Parts of a chunked body are gathered in one open chunk, whose size is written over when
 * it is closed: many short lines become one chunk.  Nothing is written while one is open.
 *
 * A value that starts as zeros; the thread of its socket.
 */
#ifndef PROXY_HTTP_OUTGOING_H
#define PROXY_HTTP_OUTGOING_H

#include <sys/types.h>

#include "cache/base/bytes.h"

struct outgoing {
	char *p;
	size_t n, room;
	size_t at;    /* the socket has taken what stands before */
	size_t chunk; /* where the open chunk's size stands; with has_chunk */
	bool has_chunk;
};

void outgoing_free(struct outgoing *o);
/* Bytes that are still to be sent. */
static inline size_t outgoing_left(const struct outgoing *o)
{
	return o->n - o->at;
}

/* Add a copy, outside of any chunk.  false: out of memory, nothing was added. */
bool outgoing_put(struct outgoing *o, const void *p, size_t n);
/* Add a copy to the open chunk, or to new ones.  false: out of memory, and what was added
 * is not all. */
bool outgoing_chunk(struct outgoing *o, struct bytes text);
bool outgoing_chunk_close(struct outgoing *o); /* if there is one; false as above */
bool outgoing_chunk_last(struct outgoing *o);  /* the end of the body */

/* One write, of all that there is.  How many bytes the socket took; -1: it has failed. */
ssize_t outgoing_write(struct outgoing *o, int fd);

#endif
