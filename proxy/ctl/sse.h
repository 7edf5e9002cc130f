/* sse.h - the reader of a text/event-stream (WHATWG HTML, section 9.2.6), fed piece by
 * piece.
 *
 * A block is told also when it has an id and no data: that is how ocspcached tells a
 * position.  Bytes come from a server that need not be ours: a block of more than SSE_MAX
 * bytes is told without its data, since it would come again after each reconnect and
 * nothing would ever follow it; one that has not ended after SSE_END ends the stream.
 */
#ifndef PROXY_CTL_SSE_H
#define PROXY_CTL_SSE_H

#include <stdbool.h>
#include <stddef.h>

#define SSE_MAX ((size_t)4 << 20) /* 1,000 changes are about 130 KB */
#define SSE_END (16 * SSE_MAX)

struct sse_block { /* valid for the call; NUL-terminated */
	/* Not NULL: this is a line of comment, told when it has come, and the rest is of
	 * no meaning. */
	const char *comment;
	const char *id;    /* NULL: the block has none */
	const char *event; /* "message" where it has none */
	const char *data;  /* NULL: none */
	size_t data_n;
	bool too_large; /* it had more data than is kept; data is NULL */
};

struct sse {
	char *line, *data;
	size_t line_n, line_room, data_n, data_room;
	bool after_cr, has_data, has_id;
	bool too_large, in_long_line;
	size_t passed; /* bytes of the block that were not kept */
	char id[128], event[64];
};

/* Starts as zeros.  false: out of memory (errno is ENOMEM), or over SSE_END (EFBIG). */
bool sse_feed(struct sse *s, const char *p, size_t n,
    void (*fn)(void *arg, const struct sse_block *b), void *arg);
void sse_reset(struct sse *s); /* another stream begins; frees */

#endif
