/* holdings.h - what this node holds and serves: from an answer that passed the one door
 * to the hot table and the store, and from a proven revocation to its latch.
 *
 * Whatever changes what is served goes through here, so that the rules that follow from a
 * status stand in one place: a revoked answer takes the certificate's other keys out of
 * service, a latch is durable, a signed unknown is short-lived, an error is repeated for
 * a while and displaces nothing.
 *
 * Keeper's thread.
 */
#ifndef PROXY_HOLDINGS_H
#define PROXY_HOLDINGS_H

#include "proxy/parts.h"

struct holdings;

/* parts is copied; what it names is borrowed for life.  NULL when out of memory. */
struct holdings *holdings_new(const struct parts *parts);
void holdings_free(struct holdings *h); /* after the disk thread has ended */
void holdings_tick(struct holdings
	*h); /* once a second: latches that the disk refused are tried again */

/* What memory holds for k and may be served: in date and no error.  NULL for nothing;
 * borrowed as hot_find() says. */
const struct answer *holdings_in_date(const struct holdings *h, const struct key *k);

/* The admit question for k as it stands now, held facts and latch filled in.  held: room
 * for a copy. */
void holdings_question(struct holdings *h, const struct issuer *i, const struct key *k,
    struct admit_question *q, struct facts *held);

/* A verdict that proves a revocation: latch the certificate and take its other answers
 * out of service, here and in the store.  Nothing happens where v->revoked_proved is
 * false.  To be called for every verdict, also of a refused answer. */
void holdings_latch(struct holdings *h, const struct issuer *i, const struct key *k,
    const struct admit_verdict *v);

/* What the one door refused is counted (refused: M_REFUSED_UPSTREAM or M_REFUSED_STORE)
 * and logged; good after revoked is an alarm (R69).  from: the responder's URL, or
 * "store". */
void holdings_refused(struct holdings *h, const struct issuer *i, enum err e,
    enum metric refused, const char *from);

/* Serve what passed admit(): make the answer, put it into the hot table, set its next due
 * time. NULL when out of memory.  Borrowed until a barrier has passed, also where the
 * table did not keep it. */
const struct answer *holdings_install(struct holdings *h, const struct issuer *i,
    const struct key *k, const struct facts *facts, struct bytes der);
/* The same for what came from upstream: the store gets it too (force: in place of a newer
 * value that was refused). */
const struct answer *holdings_take(struct holdings *h, const struct issuer *i,
    const struct key *k, const struct facts *facts, struct bytes der, bool force);
/* An error that is repeated for ttl_ms, so that a failing CA is not asked for every
 * request.  Only where nothing in date is held. */
void holdings_install_error(
    struct holdings *h, const struct key *k, enum err e, int64_t ttl_ms);

#endif
