/* watch_reader.h - what the readers of the three formats have in common; for those and
 * watch_body.c only.
 */
#ifndef CACHE_WATCH_WATCH_READER_H
#define CACHE_WATCH_WATCH_READER_H

#include "cache/watch/watch_body.h"

/* Where a reader hands its certificates and bad lines to; owned by the body. */
struct watch_out {
	const struct watch_want *want;
	struct watch_serials serials;
	struct watch_count count;
	struct watch_error error;
};

/* A certificate; false: stop, with the reason in out->error. */
bool watch_out_cert(struct watch_out *out, const struct watch_cert *c);
/* out->error is told of a line, where there can be more behind it; true: go on there. */
bool watch_out_bad(struct watch_out *out, uint64_t line);

struct watch_reader {
	void *(*new)(struct watch_out *out); /* NULL when out of memory */
	bool (*feed)(void *reader, struct bytes piece);
	bool (*end)(void *reader);
	void (*free)(void *reader);
	uint64_t (*passed_over)(const void *reader); /* blocks; NULL: there are none */
};

#endif
