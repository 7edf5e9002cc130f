/* conn.h - client connections of one thread: reading requests, writing answers, every
 * deadline.
 *
 * A conn_loop is everything that the connections of one thread share: limits, a read
 * buffer, deadlines, counters.  The front's workers and the API run the same code
 * with another handler.
 *
 * One libevent entry point per connection; a state, a step function per state.  Bytes are
 * read into the thread's buffer and handled there: a connection owns a buffer only while
 * it holds part of a request or an answer that its client has not taken yet, so that an
 * idle one costs its struct. A request that is whole when it is read and whose answer the
 * socket takes at once costs one read and one write, and allocates nothing.  Answers of
 * pipelined requests leave in one write.
 *
 * Deadlines (idle, head, body, write, linger) stand in a wheel that one coarse timer
 * turns; a connection that is active only notes the time (no timer is touched
 * for a hit).  A client that takes what it is sent, however slowly above a least pace, is
 * not late (proxy/http/pace.h): nor is it idle while the kernel still has some of it.
 *
 * While a request is parked its connection reads nothing.  A client that leaves is
 * noticed when the answer is written, or at once when it resets.
 *
 * SIGPIPE has to be ignored by the process or blocked in the thread.
 */
#ifndef PROXY_HTTP_CONN_H
#define PROXY_HTTP_CONN_H

#include <sys/uio.h>

#include "proxy/base/metrics.h"
#include "proxy/http/http1.h"

struct conn;
struct conn_loop;
struct event_base;

struct conn_limits { /* in ms and bytes; conf/options.def has defaults and reasons */
	int64_t header_ms, body_ms, idle_ms, write_ms, linger_ms;
	size_t linger_bytes;
	size_t head, target, body;
};
struct conf;
/* As configured; max_body: of this port. */
struct conn_limits conn_limits_of(const struct conf *c, int64_t max_body);

struct conn_handler {
	/* A whole request has come.  r and body are borrowed until it returns.  It
	 * answers with conn_reply() or conn_error() before it returns, or calls
	 * conn_park() and answers later. */
	void (*request)(
	    void *arg, struct conn *c, const struct http1_request *r, struct bytes body);
	/* A head has come whose body is still to come, or is larger than the limit; body:
	 * what of it is here, decoded.  Both are borrowed.  Return 0 to read it (one over
	 * the limit is refused with 413), CONN_ANSWERED, or else the HTTP status to
	 * refuse it with (403, 404, ...; the answer closes; not 405, which needs an Allow
	 * that request() or an answer of its own gives).  Not called when the body came
	 * with the head: request() makes the same decision.  May be NULL. */
	int (*head)(
	    void *arg, struct conn *c, const struct http1_request *r, struct bytes body);
	/* The client of a parked request has gone; parked is what conn_park was given. */
	void (*gone)(void *arg, void *parked);
	/* An HTTP error was answered by the connection itself (for counting). May be
	 * NULL. */
	void (*refused)(void *arg, int status);
};

/* Of head(): it has taken the socket with conn_take(), or answered as request() does, but
 * not parked.  conn_will_close() is true there: the connection ends, lingering, since a
 * body is on its way. */
#define CONN_ANSWERED (-1)

/* limits are copied; counters borrowed for life.  NULL when out of memory. */
struct conn_loop *conn_loop_new(struct event_base *base, const struct conn_limits *limits,
    const struct conn_handler *handler, void *arg, struct counters *counters);
void conn_loop_free(struct conn_loop *l); /* closes all connections */
void conn_loop_limits(struct conn_loop *l, const struct conn_limits *limits); /* reload */
/* Close idle connections now and each other one after its current answer (TERM). */
void conn_loop_drain(struct conn_loop *l);
size_t conn_loop_count(const struct conn_loop *l);
struct counters *conn_loop_counters(const struct conn_loop *l);
/* The clocks, read once in a turn of the loop. */
int64_t conn_loop_mono_ms(struct conn_loop *l);
int64_t conn_loop_now(struct conn_loop *l); /* wall clock, seconds */
struct bytes conn_loop_date(
    struct conn_loop *l); /* "Date: ...\r\n", borrowed, not kept */

/* Serve fd (non-blocking) until its client leaves; on_close (may be NULL) is called when
 * it has been closed.  fd is handed over, also on failure. */
struct conn *conn_new(
    struct conn_loop *l, int fd, void (*on_close)(void *arg), void *arg);

/* The three ways to answer the current request.  Once a parked request has been answered,
 * its struct conn may be gone.  A parked request is answered from a callback that is not
 * the handler's (a message of the inbox). */

/* The whole response, head included.  iov is borrowed for the call: it is written at
 * once, and what the socket does not take is copied.  close: say nothing after it (the
 * head must have said so). */
void conn_reply(struct conn *c, const struct iovec *iov, int n, bool close);

/* The same for the hot path: head (at most CONN_HEAD_MAX bytes) is copied; rest is not,
 * and must stay where it is until the event loop's callback ends (an answer borrowed from
 * the hot table does).  The answers of all requests that came in one read leave in one
 * write. */
#define CONN_HEAD_MAX 1024
void conn_send(struct conn *c, struct bytes head, struct bytes rest, bool close);

/* Write what conn_send() has gathered so far: for measuring. */
void conn_flush(struct conn *c);

/* The head, then n bytes of f from offset on, by sendfile as the client takes them: a
 * list of 155 MB costs a slow client's connection a reference and an offset.  head is
 * copied; a reference to f is taken.  Behind it the connection goes on as after
 * conn_reply(). */
struct shared_file; /* cache/base/shared_file.h */
void conn_send_file(struct conn *c, struct bytes head, struct shared_file *f,
    uint64_t offset, uint64_t n, bool close);

/* Take the socket out of the connection: the fd, and counting its end (M_CONN_CLOSED),
 * are the caller's from now on; on_close is called, so that the listener's limits forget
 * it, and c is gone: at once when it was parked, else when request() returns.  What the
 * client sent behind its request is dropped.  Only from within request() or for a parked
 * request. -1 when earlier answers still wait to be written: then answer as usual. */
int conn_detach(struct conn *c);

/* A request whose body nobody holds in memory: its socket and how it is framed. */
struct conn_taken {
	int fd;
	uint8_t minor;
	bool chunked;
	bool go_on;    /* the client waits for a 100 (Continue) */
	uint64_t left; /* bytes of the body behind `body`; not when chunked */
	struct http1_chunked chunk; /* ... then this is where its decoder stands */
	struct bytes body; /* what has come of it, decoded; malloc'd, NULL where n == 0 */
};
/* Take the socket as conn_detach() does, in the middle of a body: from within head() or
 * request(), of a request that was not parked; r and body are what they were given.  Its
 * bytes so far are copied, and wiped where they were: it may have a private key in it.
 * *t is the caller's, to be handed to stream_open() or conn_taken_drop().  false: out of
 * memory, or earlier answers still wait to be written; then answer as usual. */
bool conn_take(struct conn *c, const struct http1_request *r, struct bytes body,
    struct conn_taken *t);
/* Close, wipe and free; counting its end is still the caller's. */
void conn_taken_drop(struct conn_taken *t);
void conn_taken_wipe(struct conn_taken *t); /* the body alone */

/* An HTTP error: one-line plain text body, no-store.  allow: value of Allow,
 * or NULL. close: the connection ends after it, lingering. */
void conn_error(struct conn *c, int status, const char *allow, bool close);

/* The answer comes later.  parked: non-NULL, handed to gone() should the client leave
 * before. */
void conn_park(struct conn *c, void *parked);

/* Where its client is; of a unix socket only the family.  A system call. */
struct sockaddr_storage;
void conn_peer(const struct conn *c, struct sockaddr_storage *a);
bool conn_is_unix(const struct conn *c); /* the same: came it on a unix socket? */

/* What conn_new() was given with this on_close; NULL: it was given another. */
void *conn_owner(const struct conn *c, void (*on_close)(void *arg));

/* Must the answer to the current request say "Connection: close"? */
bool conn_will_close(const struct conn *c);
/* The line that says so, for a head that is composed: "Connection: close" (close: the
 * answer ends the connection), "Connection: keep-alive" for a 1.0 client that asked for
 * it, or ""; static. */
const char *conn_connection(const struct conn *c, bool close);
bool conn_is_head(
    const struct conn *c); /* the current request is HEAD: no body in the answer */

#endif
