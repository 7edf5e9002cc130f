/* roll.h - batches of the change log with the text of their events, each written
 * once for everybody.
 *
 * A sheet is a batch and its frames: frame k is the event of changes [1,000 k, 1,000 k +
 * 1,000).  Frames are written when somebody needs them first.  A roll is a run of sheets
 * in the order of the log, with nothing left out between them: the window of recent
 * batches, or a page that was read for somebody who is behind it.
 *
 * One thread.
 */
#ifndef PROXY_PUSH_ROLL_H
#define PROXY_PUSH_ROLL_H

#include "cache/change/change.h"
#include "cache/watch/watch_match.h"

struct frame {
	struct change_pos end;
	uint32_t changes;
	bool loose; /* kept by nobody: whoever asked frees it */
	size_t n;
	char text[];
};

struct sheet {
	struct change_batch *batch; /* a reference */
	struct watch_index *index;  /* for who has a watchlist; NULL: nobody yet */
	struct frame *frame[];      /* NULL: not written yet */
};
struct change_pos sheet_end(const struct sheet *s);

struct roll {
	struct sheet **sheet;
	size_t first, end, room; /* sheet[first..end) */
	size_t bytes;            /* memory of it all, about */
};
void roll_clear(struct roll *r); /* frees everything but the struct itself */
/* Put b (handed over, also on failure) at the end.  false when out of memory. */
bool roll_add(struct roll *r, struct change_batch *b);
void roll_drop_first(struct roll *r);
static inline size_t roll_n(const struct roll *r)
{
	return r->end - r->first;
}
/* The first sheet that pos does not cover in full, or NULL. */
struct sheet *roll_after(const struct roll *r, const struct change_pos *pos);

/* The event that begins behind change pos->index where that lies within the sheet's
 * batch, else at its beginning; up to the next whole thousand.  scratch: EVENTS_TEXT_MAX.
 * NULL when out of memory. */
struct frame *roll_frame(
    struct roll *r, struct sheet *s, const struct change_pos *pos, char *scratch);
/* The index of its batch, made for the first who wants it; NULL when out of memory. */
const struct watch_index *roll_index(struct roll *r, struct sheet *s);
/* Free a frame of s that has been used: it is written again for the next who wants it. */
void roll_forget(struct roll *r, struct sheet *s, const struct frame *f);

#endif
