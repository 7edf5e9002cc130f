/* roll.c - an array of sheets that grows behind and shrinks in front. */
#include "proxy/push/roll.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/push/events_text.h"

static size_t frames_of(const struct change_batch *b)
{
	return ((size_t)b->n + EVENTS_CHANGES - 1) / EVENTS_CHANGES;
}

static size_t bytes_of_sheet(const struct sheet *s)
{
	size_t n = frames_of(s->batch),
	       bytes = sizeof *s + n * sizeof s->frame[0] + s->batch->memory;

	for (size_t i = 0; i < n; i++)
		if (s->frame[i] != NULL)
			bytes += sizeof *s->frame[i] + s->frame[i]->n;
	return bytes + (s->index != NULL ? sizeof *s->index : 0);
}

static void sheet_free(struct sheet *s)
{
	size_t n = frames_of(s->batch);

	for (size_t i = 0; i < n; i++)
		free(s->frame[i]);
	change_batch_unref(s->batch);
	free(s->index);
	free(s);
}

struct change_pos sheet_end(const struct sheet *s)
{
	return (struct change_pos){s->batch->epoch, s->batch->seq, s->batch->n};
}

/* Room for one more, by moving down what is left of a window that moves on. */
static bool make_room(struct roll *r)
{
	struct sheet **bigger;
	size_t room;

	if (r->end < r->room)
		return true;
	if (r->first > r->room / 2) {
		memmove(r->sheet, r->sheet + r->first, roll_n(r) * sizeof *r->sheet);
		r->end -= r->first;
		r->first = 0;
		return true;
	}
	room = r->room > 0 ? 2 * r->room : 16;
	bigger = realloc(r->sheet, room * sizeof(struct sheet *));
	if (bigger == NULL)
		return false;
	r->sheet = bigger;
	r->room = room;
	return true;
}

bool roll_add(struct roll *r, struct change_batch *b)
{
	struct sheet *s =
	    make_room(r) ? calloc(1, sizeof *s + frames_of(b) * sizeof(struct frame *))
			 : NULL;

	if (s == NULL) {
		change_batch_unref(b);
		return false;
	}
	s->batch = b;
	r->sheet[r->end++] = s;
	r->bytes += bytes_of_sheet(s);
	return true;
}

void roll_drop_first(struct roll *r)
{
	struct sheet *s;

	assert(roll_n(r) > 0);
	s = r->sheet[r->first++];
	r->bytes -= bytes_of_sheet(s);
	sheet_free(s);
	if (r->first == r->end)
		r->first = r->end = 0;
}

void roll_clear(struct roll *r)
{
	while (roll_n(r) > 0)
		roll_drop_first(r);
	free(r->sheet);
	*r = (struct roll){0};
}

static bool is_covered(const struct sheet *s, const struct change_pos *pos)
{
	const struct change_batch *b = s->batch;

	if (b->epoch != pos->epoch)
		return b->epoch < pos->epoch;
	return b->seq < pos->seq || (b->seq == pos->seq && b->n <= pos->index);
}

struct sheet *roll_after(const struct roll *r, const struct change_pos *pos)
{
	size_t low = r->first, high = r->end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (is_covered(r->sheet[middle], pos))
			low = middle + 1;
		else
			high = middle;
	}
	return low < r->end ? r->sheet[low] : NULL;
}

static struct frame *frame_new(
    const struct change_batch *b, uint32_t from, uint32_t to, char *scratch)
{
	size_t n = events_text_changes(b, from, to, scratch);
	struct frame *f = malloc(sizeof *f + n);

	if (f == NULL)
		return NULL;
	f->end = (struct change_pos){b->epoch, b->seq, to};
	f->changes = to - from;
	f->loose = from % EVENTS_CHANGES != 0;
	f->n = n;
	memcpy(f->text, scratch, n);
	return f;
}

struct frame *roll_frame(
    struct roll *r, struct sheet *s, const struct change_pos *pos, char *scratch)
{
	const struct change_batch *b = s->batch;
	bool within = pos->epoch == b->epoch && pos->seq == b->seq && pos->index < b->n;
	uint32_t from = within ? pos->index : 0;
	uint32_t k = from / EVENTS_CHANGES, to = (k + 1) * EVENTS_CHANGES;

	assert(from < b->n);
	if (to > b->n)
		to = b->n;
	if (from % EVENTS_CHANGES != 0)
		return frame_new(b, from, to, scratch);
	if (s->frame[k] == NULL) {
		s->frame[k] = frame_new(b, from, to, scratch);
		if (s->frame[k] != NULL)
			r->bytes += sizeof *s->frame[k] + s->frame[k]->n;
	}
	return s->frame[k];
}

const struct watch_index *roll_index(struct roll *r, struct sheet *s)
{
	if (s->index != NULL)
		return s->index;
	s->index = malloc(sizeof *s->index);
	if (s->index == NULL)
		return NULL;
	watch_index_make(s->index, s->batch->change, s->batch->n);
	r->bytes += sizeof *s->index;
	return s->index;
}

void roll_forget(struct roll *r, struct sheet *s, const struct frame *f)
{
	uint32_t k = (f->end.index - 1) / EVENTS_CHANGES;

	assert(s->frame[k] == f);
	r->bytes -= sizeof *f + f->n;
	free(s->frame[k]);
	s->frame[k] = NULL;
}
