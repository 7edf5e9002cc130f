/* outgoing.c - a buffer with a mark, and chunks of RFC 9112 section 7.1. */
#include "proxy/http/outgoing.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHUNK_MAX  (64 * 1024)
#define CHUNK_LINE 8            /* six digits (leading zeros are digits as well), CR LF */
#define KEPT       (512 * 1024) /* of a buffer that is empty: the client was slow once */

void outgoing_free(struct outgoing *o)
{
	free(o->p);
	*o = (struct outgoing){0};
}

/* Begin where others have gone. */
static void move_down(struct outgoing *o)
{
	memmove(o->p, o->p + o->at, o->n - o->at);
	o->chunk -= o->has_chunk ? o->at : 0;
	o->n -= o->at;
	o->at = 0;
}

static bool reserve(struct outgoing *o, size_t n)
{
	size_t room = o->room + o->room / 4;
	char *p;

	if (o->room - o->n >= n)
		return true;
	/* A part of it: who takes a little at a time does not have all moved for it. */
	if (o->at > 0 && o->at >= outgoing_left(o) / 4)
		move_down(o);
	if (o->room - o->n >= n)
		return true;
	if (room < o->n + n)
		room = o->n + n;
	p = realloc(o->p, room);
	if (p == NULL)
		return false;
	o->p = p;
	o->room = room;
	return true;
}

static bool add(struct outgoing *o, const void *p, size_t n)
{
	if (!reserve(o, n))
		return false;
	if (n > 0)
		memcpy(o->p + o->n, p, n);
	o->n += n;
	return true;
}

bool outgoing_put(struct outgoing *o, const void *p, size_t n)
{
	assert(!o->has_chunk);
	return add(o, p, n);
}

static size_t chunk_n(const struct outgoing *o)
{
	return o->n - o->chunk - CHUNK_LINE;
}

static bool chunk_open(struct outgoing *o)
{
	if (!outgoing_put(o, "000000\r\n", CHUNK_LINE))
		return false;
	o->chunk = o->n - CHUNK_LINE;
	o->has_chunk = true;
	return true;
}

bool outgoing_chunk_close(struct outgoing *o)
{
	char line[CHUNK_LINE + 1];

	if (!o->has_chunk)
		return true;
	snprintf(line, sizeof line, "%06zx\r\n", chunk_n(o));
	memcpy(o->p + o->chunk, line, CHUNK_LINE);
	o->has_chunk = false;
	return add(o, "\r\n", 2);
}

bool outgoing_chunk(struct outgoing *o, struct bytes text)
{
	while (text.n > 0) {
		size_t n;

		if (o->has_chunk && chunk_n(o) == CHUNK_MAX && !outgoing_chunk_close(o))
			return false;
		if (!o->has_chunk && !chunk_open(o))
			return false;
		n = CHUNK_MAX - chunk_n(o);
		if (n > text.n)
			n = text.n;
		if (!add(o, text.p, n))
			return false;
		text = bytes_of(text.p + n, text.n - n);
	}
	return true;
}

bool outgoing_chunk_last(struct outgoing *o)
{
	return outgoing_chunk_close(o) && outgoing_put(o, "0\r\n\r\n", 5);
}

ssize_t outgoing_write(struct outgoing *o, int fd)
{
	ssize_t n;

	assert(!o->has_chunk && o->n > o->at);
	n = write(fd, o->p + o->at, o->n - o->at);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	o->at += (size_t)n;
	if (o->at == o->n && o->room > KEPT)
		outgoing_free(o);
	else if (o->at == o->n)
		o->at = o->n = 0;
	return n;
}
