/* unlatch.h - the operator takes a latch back: the CA has revoked a certificate by
 * mistake and says good again, against the rules.
 *
 * In this order, so that nothing that says revoked by what is past sets it again:
 *
 *	store    its answers of the certificate go, or reading them would be a proof
 *	memory   the latch, and what rests on it alone (revoke_unlatch)
 *	disk     durable; then done is told
 *	fetch    the certificate is asked for anew, whatever back-off says; until that has
 *	         come back its clients wait, as for any answer that is not held
 *	told     where that has moved it away from revoked, it is a change
 *
 * What the CA says now decides: an answer that says revoked still sets a new latch, and a
 * list that does counts as before.  Other nodes have latches of their own.
 *
 * Keeper's thread.
 */
#ifndef PROXY_KEEPER_UNLATCH_H
#define PROXY_KEEPER_UNLATCH_H

#include "proxy/keeper/keeper_parts.h"

struct unlatch_end {
	enum err e;     /* ERR_OK: this node has no latch any more.  Nothing has happened:
			   ERR_NOT_FOUND, there was none; ERR_REQ_ISSUER, a reload took the
			   issuer away; ERR_NOMEM */
	enum err disk;  /* not ERR_OK: it is back after a restart; why has the words */
	enum err store; /* not ERR_OK: an answer in it may set the latch again */
	const char *why; /* borrowed for the call */
};

/* ERR_OK: done is called exactly once, from the loop and never before this returns; the
 * fetch may take longer.  Any other (ERR_NOT_FOUND, ERR_NOMEM): nothing has happened, and
 * done is not called.  with is borrowed for life.  Ends with flights_cancel(). */
enum err unlatch(const struct keeper_parts *with, const struct issuer *i,
    const struct serial *s, void (*done)(void *arg, const struct unlatch_end *end),
    void *arg);

#endif
