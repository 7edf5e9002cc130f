/* serve.h - the front's handler: from one HTTP request to its answer.
 *
 * The hit: route, decode, look up, in date, one conn_send().  No lock, no allocation;
 * nothing shared is written but a mark.  Everything else is a miss: parse with OpenSSL,
 * find the issuer, look up the canonical form, else ask the keeper and park.
 *
 * No answer is sent at or after its end, nor one that a list in force speaks against by
 * now: a hit is looked at as it is written, what comes back from the keeper once more
 * before it is, and then asked for anew (once; then tryLater).  What a client does not
 * take at once waits in its connection, at most a batch of answers, and may be older when
 * it does.
 *
 * Worker's thread.
 */
#ifndef PROXY_FRONT_SERVE_H
#define PROXY_FRONT_SERVE_H

#include "proxy/base/shared.h"
#include "proxy/http/conn.h"

struct serve;

/* NULL when out of memory. */
struct serve *serve_new(struct shared *shared, struct counters *counters);
/* Once, before the first request, with what was made for it: the inbox that answers from
 * the keeper come to, and the connections, whose arg both is this serve. */
void serve_attach(struct serve *s, struct inbox *own, struct conn_loop *loop);
void serve_free(struct serve *s);
extern const struct conn_handler serve_handler; /* arg: struct serve */

/* Requests that are parked at the keeper; a worker is not freed before it is 0. */
size_t serve_parked(const struct serve *s);

#endif
