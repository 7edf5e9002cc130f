/* intake.h - what came through the one door is taken in, and what it changes is told.
 *
 * The same steps as in answers.h, with the certificate's effective status (evidence.h)
 * looked at before and after: where it moves to revoked, or away from revoked, that is a
 * change (DESIGN 1.4, R72).  Moves between good and unknown are none, nor is a second
 * evidence for what is known.
 *
 * Keeper's thread.  d is what a module was made with: telling may be NULL, then nobody is
 * told.
 */
#ifndef PROXY_KEEPER_INTAKE_H
#define PROXY_KEEPER_INTAKE_H

#include "proxy/keeper/answers.h"

/* For every verdict, also of a refused answer, and before the answer is taken. */
void intake_latch(const struct parts *d, const struct issuer *i, const struct key *k,
    const struct admit_verdict *v);

/* As answers_install() and answers_take(). */
const struct answer *intake_install(const struct parts *d, const struct issuer *i,
    const struct key *k, const struct facts *facts, struct bytes der);
const struct answer *intake_take(const struct parts *d, const struct issuer *i,
    const struct key *k, const struct facts *facts, struct bytes der, bool force);

#endif
