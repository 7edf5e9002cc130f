/* stream.h - exchanges whose body nobody holds: it goes to a sink piece by piece, as fast
 * as that takes it, and the answer is whole, or goes piece by piece too.
 *
 * The API's thread reads the head, reserves a place (max-uploads of them: who comes
 * beyond is refused on his connection), takes the socket out of its connection
 * (conn_take()) and posts it to the thread that has the sink; a stream is opened there.
 * A place is given back when its socket is closed.
 *
 * Memory is flat both ways: one read's bytes of the body, STREAM_OUT_MAX of the answer
 * and what one call of the sink adds to it.  While more than that waits for a client that
 * does not read, its body is not read either.  So who writes all before he reads gets
 * through as long as the answer fits in there (25,000 lines of 160 bytes); with more he
 * waits for us as we for him, and is cut off.  Clients have to read while they write, as
 * curl does, or ask in parts.
 *
 * What was read is wiped as soon as the sink has taken it, since a bundle of certificates
 * may have a private key in it; pieces that the sink copies are its own to wipe.
 *
 * Nothing has a time but progress: each byte of the body puts off body-timeout (408),
 * which does not run while we do not read; an answer that is taken slower than write-
 * timeout allows (proxy/http/pace.h) is cut off when the body waits for it.  A client
 * that leaves is noticed when it is read from or written to.
 *
 * Every answer ends the connection, lingering: our side is shut, and what still comes (of
 * a body that was answered before its end, or behind it) is dropped up to linger-size and
 * linger-timeout, so that the client sees the answer.  An answer that has begun cannot
 * become an error: it breaks off, without its last chunk, or by a reset (HTTP/1.0).
 *
 * All on the thread of the loop, where it says nothing else.  The sink is called from the
 * loop only, never from within a function that it calls itself.
 */
#ifndef PROXY_HTTP_STREAM_H
#define PROXY_HTTP_STREAM_H

#include "cache/base/bytes.h"

struct conf;
struct conn_taken;
struct counters;
struct event_base;
struct stream;
struct streams; /* all of one thread */

#define STREAM_OUT_MAX (4u << 20)

struct stream_limits { /* in ms and bytes; conf/options.def has defaults and reasons */
	int64_t body_ms, write_ms, linger_ms;
	uint64_t linger_bytes;
	uint64_t body; /* upload-max-size */
	int places;    /* max-uploads */
};
struct stream_limits stream_limits_of(const struct conf *c);

struct stream_sink {
	/* The next piece of the body, at least a byte, borrowed.  Returns how much of it
	 * was taken.  The rest is offered again: where the sink has called
	 * stream_pause(), after stream_resume(); where the answer has no room, when it
	 * has; else in the loop's next turn, so that a long piece of work can be done in
	 * slices. */
	size_t (*body)(void *arg, struct stream *s, struct bytes piece);
	/* The body has come whole and was taken: answer, now or later.  At most once. */
	void (*end)(void *arg, struct stream *s);
	/* Exactly once and last: the answer is complete, or there is nobody to get one
	 * (the client left or was cut off, or all streams end).  The stream must not be
	 * touched any more; whoever waits for something of the sink's own goes on
	 * waiting. */
	void (*closed)(void *arg);
};

/* counters: of the thread, borrowed for life.  NULL when out of memory. */
struct streams *streams_new(struct event_base *base, const struct stream_limits *limits,
    struct counters *counters);
/* Cuts all that are left; no place may be reserved any more. */
void streams_free(struct streams *all);
void streams_limits(struct streams *all, const struct stream_limits *limits); /* reload */
/* From now on no place is to be had, and a body that has not come whole is answered with
 * 503 at once; who has sent his is answered still. */
void streams_drain(struct streams *all);
size_t streams_count(const struct streams *all); /* lingering ones too */

/* Any thread: a place for a stream; false: all are taken, or they drain. */
bool streams_reserve(struct streams *all);
/* Any thread: it is not needed: nothing was taken, or what was was dropped. */
void streams_release(struct streams *all);

/* A socket that was taken for a reserved place; t, the place, and counting its end are
 * handed over, also on failure.  sink is borrowed for life.  A body that is announced to
 * be too large is answered here (413), and the sink hears no more than closed().  NULL:
 * out of memory, closed() is not called. */
struct stream *stream_open(
    struct streams *all, struct conn_taken *t, const struct stream_sink *sink, void *arg);

/* For the sink, from within its calls or from others of the thread until closed().  What
 * is said after the stream has ended for another reason (a drain, no memory) is lost:
 * closed() is on its way. */

/* Take no more of the body for now. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);

/* The whole answer, once and instead of stream_begin(); what comes of the body is dropped
 * from now on.  type: NULL where there is no body; more: header lines, each with its end,
 * or NULL; body is copied. */
void stream_answer(
    struct stream *s, int status, const char *type, const char *more, struct bytes body);
/* The same with {"error":{"code","message"}}; message: for people.  Where an answer has
 * begun it is broken off instead. */
void stream_error(struct stream *s, int status, const char *code, const char *message);

/* 200 and an answer piece by piece: chunked, or to the end of the connection (1.0). */
void stream_begin(struct stream *s, const char *type);
/* Copied.  Where no memory is left the answer breaks off. */
void stream_write(struct stream *s, struct bytes text);
void stream_finish(struct stream *s); /* it is whole */

#endif
