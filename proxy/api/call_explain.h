/* call_explain.h - why an answer is served or refused: every check of the one door, told.
 *
 * Looks at what memory holds under each key of the certificate, then at what the store
 * has, then asks upstream once, and writes each check that admit() makes into JSON: the
 * "answers" of GET /v1/explain; beside them what the CA said last of renewing it ("ari").
 * What upstream brings goes through the door as a flight's
 * would: it is used, or counted and told as refused; a revocation that it proves, or what
 * the store has, is latched.
 *
 * Keeper's thread.  Borrows nothing of the configuration over a turn.
 */
#ifndef PROXY_API_CALL_EXPLAIN_H
#define PROXY_API_CALL_EXPLAIN_H

#include <jansson.h>

#include "proxy/keeper/keeper.h"

struct explain;

/* answers: an array, handed over; NULL when it was stopped or memory ran out.  ari: an
 * object or null, handed over; NULL with answers. */
typedef void explain_done_fn(void *arg, json_t *answers, json_t *ari);

/* Start.  done is called exactly once, from the loop and never before this returns; at
 * most store-timeout and answer-timeout later.  NULL when out of memory: it is not called
 * then. */
struct explain *explain_start(struct keeper *k, const struct issuer *i,
    const struct serial *s, explain_done_fn *done, void *arg);
/* End soon: at once when it waits for upstream; when the store has answered otherwise. */
void explain_stop(struct explain *e);

#endif
