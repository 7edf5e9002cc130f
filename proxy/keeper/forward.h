/* forward.h - questions whose nonce goes upstream: one client, one fetch, one answer that
 * is not kept (nonce = "forward"; RFC 9654, R86, R87).
 *
 * The answer passes the one door like any other, and carries the client's nonce or none
 * (R64). Nobody else gets it: it enters neither the hot table nor the store.  What it
 * proves is kept all the same: a revocation is latched.
 *
 * Each forward costs the CA a signature, so nonce-rate bounds them for each issuer.  Over
 * it, and when no answer is to be had from upstream, the client is asked for no nonce any
 * more: it gets what a request without one would get.  Keeper's thread.
 */
#ifndef PROXY_KEEPER_FORWARD_H
#define PROXY_KEEPER_FORWARD_H

#include "proxy/keeper/flight.h"

struct forwards;

/* All borrowed for life.  NULL when out of memory. */
struct forwards *forwards_new(const struct door *door, struct source *source,
    struct crl_feed *crl_feed, struct flights *flights);
/* Everybody who waits gets ERR_CANCELLED at once. */
void forwards_cancel(struct forwards *f);
void forwards_free(struct forwards *f); /* after forwards_cancel() */

/* A client's question with a nonce (a->nonce_n > 0); handed over, and posted back to its
 * reply_to exactly once. */
void forwards_ask(struct forwards *f, struct ask *a);

#endif
