/* watch_lines.h - lines out of pieces of any size; for the readers whose bodies are lines
 * (watch_ndjson.c, watch_plain.c) only.
 *
 * A line that is whole in its piece is handed out where it is; others are put together
 * first, up to WATCH_LINE_MAX.  A byte order mark before the first one is passed over.
 */
#ifndef CACHE_WATCH_WATCH_LINES_H
#define CACHE_WATCH_WATCH_LINES_H

#include "cache/watch/watch_reader.h"
#include "cache/watch/watch_room.h"

struct watch_lines {
	struct watch_out *out;
	/* A line without its end, borrowed.  False: it is bad, with the reason in
	 * out->error. */
	bool (*take)(void *arg, struct bytes text);
	void *arg;
	uint64_t line; /* of the next octet, from 1 */
	/* its own: */
	struct watch_room _part;
	size_t _part_n; /* of this line, from pieces before */
	bool _dropping; /* it was too long */
};

void watch_lines_start(struct watch_lines *l, struct watch_out *out,
    bool (*take)(void *arg, struct bytes text), void *arg);
/* As watch_reader.feed and end; end tells of serials that may be of either base. */
bool watch_lines_feed(struct watch_lines *l, struct bytes piece);
bool watch_lines_end(struct watch_lines *l);
void watch_lines_free(struct watch_lines *l);
/* Out of memory; returns false. */
bool watch_lines_nomem(struct watch_lines *l);

#endif
