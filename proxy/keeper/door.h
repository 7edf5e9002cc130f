/* door.h - through the one door and in: the same steps for whoever brings an answer.
 *
 * The question as it stands now, admit(), and what follows from every verdict: a proved
 * revocation is latched (revoke.h); what was refused is counted, logged, remembered and
 * an alarm where it is one; what was admitted is counted and taken in (answers.h).  A
 * flight, a forwarded nonce and an operator's question go through here; nobody else calls
 * admit().
 *
 * The certificate's effective status (evidence.h) is looked at before and after: where it
 * moves to revoked, or away from revoked, that is a change, and told (R72).  Moves
 * between good and unknown are none, nor is a second evidence for what is known.
 *
 * Keeper's thread.  Borrows nothing over a call: the issuer is found by the key, and may
 * be gone since the question was asked (ERR_REQ_ISSUER).
 */
#ifndef PROXY_KEEPER_DOOR_H
#define PROXY_KEEPER_DOOR_H

#include "proxy/keeper/answers.h"
#include "proxy/tell/teller.h"

/* What it works with; all there, and borrowed for life. */
struct door {
	const struct context *context;
	const struct evidence_sources *evidence;
	struct admit *admit;
	const struct mac_keys *keys; /* the store's; NULL without store-key-file */
	struct answers *answers;
	struct revoker *revoker;
	struct teller *teller;
};

struct door_visit {
	/* What is asked; all borrowed for the call. */
	const struct key *key;
	struct bytes nonce; /* that was sent; n is 0 for none */
	const struct facts
	    *newest;      /* heard under this key and perhaps not held; or NULL */
	const char *from; /* the responder's URL; not for what was stored */
	const struct admit_trace *trace; /* or NULL */
	bool aside; /* no client uses what comes (answers_install()) */
	/* What was found. */
	struct facts facts; /* of what came, as far as it could be read */
	bool newer;         /* than what was held or heard; when it was admitted */
};

/* An OCSPResponse that was fetched is held, served and stored (force: there also in place
 * of a newer value that was refused).  ERR_OK: *answer is in force, borrowed as
 * answers_install() says.  ERR_NOMEM also when it was admitted and could not be taken;
 * any other error is admit()'s. */
enum err door_take(const struct door *d, struct door_visit *x, struct bytes der,
    bool force, const struct answer **answer);
/* The same for one client: nobody else gets it.  *answer is owned, to be given to
 * hot_discard(). */
enum err door_pass(
    const struct door *d, struct door_visit *x, struct bytes der, struct answer **answer);

/* A value of the store is held and served; *answer is what is in force then, which is
 * another one where this is no newer.  answer NULL: it is looked at, and heeded, only.
 * That a value has expired, or is older than what is held, is the ordinary end of its
 * life and is not told. */
enum err door_take_stored(const struct door *d, struct door_visit *x, struct bytes value,
    const struct answer **answer);

/* Does what is held, and was admitted once, still come through?  A look: nothing follows
 * from the verdict, and it is not compared with itself. */
enum err door_look(const struct door *d, const struct key *k, struct bytes der,
    const struct admit_trace *trace);

/* A reload: is this answer's issuer gone, or the certificate that it was verified
 * against, or are the rules others than those it was admitted by? */
bool door_rules_changed(
    const struct issuers *old, const struct issuers *new, const struct answer *a);
/* The same for all that was admitted of this issuer; is: NULL where it is gone. */
bool door_issuer_changed(const struct issuer *was, const struct issuer *is);

#endif
