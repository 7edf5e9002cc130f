/* answers.h - what this node holds and serves: from an answer that passed the one door
 * to the hot table and the store.
 *
 * Whatever is served comes from here, so that the rules that follow from a status stand
 * in one place: a revoked answer takes the certificate's other keys out of service
 * (revoke.h), a signed unknown is short-lived, an error is repeated for a while and
 * displaces nothing.
 *
 * Keeper's thread.
 */
#ifndef PROXY_KEEPER_ANSWERS_H
#define PROXY_KEEPER_ANSWERS_H

#include "proxy/base/context.h"
#include "proxy/keeper/evidence.h"
#include "proxy/keeper/revoke.h"

struct answers;

/* All borrowed for life.  NULL when out of memory. */
struct answers *answers_new(const struct context *context,
    const struct evidence_sources *evidence, struct revoker *revoker,
    struct store *store);
void answers_free(struct answers *all); /* after the disk thread has ended */

/* What memory holds for k and may be served: in date, allowed by the lists in force, and
 * no error.  NULL for nothing; borrowed as hot_find() says. */
const struct answer *answers_in_date(const struct answers *all, const struct key *k);

/* Was k answered before, as source.h says?  A good or a revoked answer is held, in date
 * or not, or an error in the place of one. */
bool answers_know(const struct answers *all, const struct key *k);

/* The admit question for k as it stands now, held facts, latch and lists filled in.
 * held: room for a copy.  What the lists contradict is not held: a revocation that is
 * older shall replace it. */
void answers_question(struct answers *all, const struct issuer *i, const struct key *k,
    struct admit_question *q, struct facts *held);

/* What the one door refused is counted (refused: M_REFUSED_UPSTREAM or M_REFUSED_STORE)
 * and logged, but for ERR_RESP_LISTS, which is no refusal; good after revoked is an alarm
 * (R69), and so is one that is newer than the list that says revoked (R71), which is
 * remembered too.  from: the responder's URL, or "store". */
void answers_refused(struct answers *all, const struct issuer *i, const struct key *k,
    enum err e, const struct admit_verdict *v, enum metric refused, const char *from);

/* Serve what passed admit(): make the answer, put it into the hot table, set its next due
 * time. NULL when out of memory.  Borrowed until a barrier has passed, also where the
 * table did not keep it.  aside: no client uses it, so it goes into the table only in the
 * place of one that is held: it shall take nobody else's. */
const struct answer *answers_install(struct answers *all, const struct issuer *i,
    const struct key *k, const struct facts *facts, struct bytes der, bool aside);
/* The same for what came from upstream: the store gets it too (force: in place of a newer
 * value that was refused). */
const struct answer *answers_take(struct answers *all, const struct issuer *i,
    const struct key *k, const struct facts *facts, struct bytes der, bool aside,
    bool force);
/* An error that is repeated for ttl_ms, so that a failing CA is not asked for every
 * request.  Only where nothing in date is held. */
void answers_install_error(
    struct answers *all, const struct key *k, enum err e, int64_t ttl_ms);

/* The lists contradict what was fetched for k: ERR_RESP_CRL is repeated in the place of
 * a contradicted answer, error-ttl long (a second at least) and each time, while it stays
 * so, twice as long, up to backoff-max: a hot certificate costs one fetch for each step.
 * Returns for how many ms; 0 where something in date is held and nothing is repeated. */
int64_t answers_back_off(struct answers *all, const struct key *k);
/* Is that error being repeated? */
bool answers_backing_off(const struct answers *all, const struct key *k);

#endif
