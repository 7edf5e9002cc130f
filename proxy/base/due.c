/* due.c - a binary heap; each entry knows its place. */
#include "proxy/base/due.h"

#include <assert.h>
#include <stdlib.h>

#define ROOM_MIN 64

void dues_free(struct dues *d)
{
	free(d->heap);
	*d = (struct dues){0};
}

static void put(struct dues *d, size_t pos, struct due *e)
{
	d->heap[pos] = e;
	e->_pos = pos;
}

static void up(struct dues *d, struct due *e)
{
	size_t pos = e->_pos;

	for (; pos > 0 && d->heap[(pos - 1) / 2]->at_ms > e->at_ms; pos = (pos - 1) / 2)
		put(d, pos, d->heap[(pos - 1) / 2]);
	put(d, pos, e);
}

static void down(struct dues *d, struct due *e)
{
	size_t pos = e->_pos;

	for (;;) {
		size_t child = 2 * pos + 1;

		if (child + 1 < d->n && d->heap[child + 1]->at_ms < d->heap[child]->at_ms)
			child++;
		if (child >= d->n || d->heap[child]->at_ms >= e->at_ms)
			break;
		put(d, pos, d->heap[child]);
		pos = child;
	}
	put(d, pos, e);
}

static bool has(const struct dues *d, const struct due *e)
{
	return e->_pos < d->n && d->heap[e->_pos] == e;
}

bool dues_add(struct dues *d, struct due *e, int64_t at_ms)
{
	if (d->n == d->_room) {
		size_t room = d->_room == 0 ? ROOM_MIN : d->_room * 2;
		struct due **heap = realloc(d->heap, room * sizeof(struct due *));

		if (heap == NULL)
			return false;
		d->heap = heap;
		d->_room = room;
	}
	e->at_ms = at_ms;
	put(d, d->n++, e);
	up(d, e);
	return true;
}

void dues_move(struct dues *d, struct due *e, int64_t at_ms)
{
	assert(has(d, e));
	e->at_ms = at_ms;
	up(d, e);
	down(d, e);
}

void dues_remove(struct dues *d, struct due *e)
{
	struct due *last;

	assert(has(d, e));
	last = d->heap[--d->n];
	if (last == e)
		return;
	put(d, e->_pos, last);
	up(d, last);
	down(d, last);
}
