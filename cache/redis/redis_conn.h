/* redis_conn.h - one connection to a Redis that we do not trust.
 *
 * hiredis is used as a codec only (its reader and its formatter), with our own socket
 * below, because its asynchronous API aborts the process on replies that a hostile or
 * broken server can send (an answer that nobody asked for, a subscription message of
 * another shape: assert() in async.c, and Debian builds it in), resolves names while the
 * loop waits, and has no limit for what one header can make it allocate.
 *
 * The law: commands are answered in order; each callback is called exactly once, from
 * the event loop, never from inside redis_conn_send().  A connection that fails (closed,
 * timed out, a limit broken, a reply that nobody asked for) first gives every pending
 * callback its error, then calls `closed` once, and is freed by itself after that.
 * So does one whose server says that it is not the one to ask (`leave` of
 * redis_word.h), whichever command it says it to, with its own words as the reason.
 * Commands are written together once in a turn of the loop (pipelining).
 *
 * Everything on the thread of the loop.
 */
#ifndef CACHE_REDIS_REDIS_CONN_H
#define CACHE_REDIS_REDIS_CONN_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "cache/base/err.h"

/* The maxmemory-policy that is advised, as conf/recipes/redis-shared.conf does: answers
 * go, those first that nobody asks for; the change log, which has no time to live, never.
 * With noeviction a full Redis takes no changes; volatile-ttl drops leases first. */
#define REDIS_POLICY "volatile-lru"

struct event_base;
struct redis_conn;

/* r is borrowed for the call, of any type that the server chose, and NULL unless e is
 * ERR_OK.  ERR_STORE: connection lost.  ERR_STORE_TIMEOUT.  ERR_CANCELLED:
 * redis_conn_free(). */
typedef void redis_reply_fn(void *arg, enum err e, const redisReply *r);

struct redis_conn_config {
	struct event_base *base;
	int timeout_ms; /* one command; a late answer ends the connection */
	int connect_timeout_ms;
	size_t max_reply; /* bytes of one reply, all its parts together */
	void (*connected)(void *arg);
	/* why: for people, borrowed for the call, may hold what the server said. */
	void (*closed)(void *arg, const char *why, bool was_connected);
	/* What comes on a subscribed connection besides replies; NULL: nothing may. */
	void (*message)(void *arg, const redisReply *payload);
	void *arg;
};

/* Start to connect.  NULL with errno when not even that works; `closed` is not called
 * then. */
struct redis_conn *redis_conn_open(
    const struct redis_conn_config *c, const struct sockaddr *addr, socklen_t addr_n);

/* Close, with ERR_CANCELLED for every pending callback; `closed` is not called.  NULL is
 * allowed.  Not from inside a callback of this connection: redis_conn_fail() is for that.
 */
void redis_conn_free(struct redis_conn *c);

/* End the connection from the next turn of the loop on, with this reason (copied). */
void redis_conn_fail(struct redis_conn *c, const char *why);

/* Send a command; the arguments are copied.  False: the connection is ending, out of
 * memory, or so much is pending already that the server cannot be keeping up; fn is not
 * called then. */
bool redis_conn_send(struct redis_conn *c, int argc, const char *const *argv,
    const size_t *argv_n, redis_reply_fn *fn, void *arg);

/* The same for words: WORDS(conn, fn, arg, "PING"). */
bool redis_conn_words(
    struct redis_conn *c, redis_reply_fn *fn, void *arg, const char *const *words, int n);
#define WORDS(conn, fn, arg, ...)                                                        \
	redis_conn_words((conn), (fn), (arg), (const char *const[]){__VA_ARGS__},        \
	    (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

/* Reading replies without trusting their type. */
bool redis_reply_is_ok(const redisReply *r);                      /* +OK */
bool redis_reply_is_error(const redisReply *r, const char *code); /* "" for any */
bool redis_reply_is_text(const redisReply *r); /* bulk string or status: str, len */

#endif
