/* revoke.h - a proven revocation: its latch, and its certificate's answers out of
 * service.
 *
 * A latch is in memory at once and on disk soon; one that the disk refused is tried again
 * each second.  A certificate's answers under its other keys, and those in the store, go
 * with it, so that no hash algorithm finds an old good.
 *
 * Keeper's thread.
 */
#ifndef PROXY_KEEPER_REVOKE_H
#define PROXY_KEEPER_REVOKE_H

#include "cache/held/latch_file.h"
#include "cache/ocsp/admit.h"
#include "cache/store/store.h"
#include "proxy/base/context.h"

struct revoker;

/* All borrowed for life.  NULL when out of memory. */
struct revoker *revoker_new(const struct context *context, struct latches *latches,
    struct latch_file *latch_file, struct store *store);
void revoker_free(struct revoker *r); /* after the disk thread has ended */
/* Once a second: latches that the disk refused are tried again, but for those that are
 * gone meanwhile. */
void revoke_tick(struct revoker *r);

/* A verdict that proves a revocation: latch the certificate and take its other answers
 * out of service, here and in the store.  To be called for every such verdict, also of a
 * refused answer.  untold: the latch, where it is new, is a change that is still to be
 * told. */
void revoke_latch(struct revoker *r, const struct issuer *i, const struct key *k,
    const struct admit_verdict *v, bool untold);

/* The operator takes the latch of a certificate back.  What rests on it alone goes too:
 * the errors that are repeated, and the answers that say revoked (not hold), which would
 * be served on and let in nothing that is not newer; but where a list in force says
 * revoked as well, in a way that lasts (listed), these stay.  removed: room for i->ca_n.
 * Returns how many latches there were; where 0, nothing has happened. */
size_t revoke_unlatch(struct revoker *r, const struct issuer *i, const struct serial *s,
    bool listed, struct latch *removed);

/* Facts of k are about to be served that say revoked, or hold: its certificate's other
 * answers go out of service.  The store's at a hold alone: all other revocations have a
 * latch, with which they went. */
void revoke_withdraw(struct revoker *r, const struct issuer *i, const struct key *k,
    const struct facts *facts);

#endif
