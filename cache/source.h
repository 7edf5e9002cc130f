/* source.h - the interface of whatever can be asked for an answer: upstream OCSP today;
 * our own signer over a CRL, or one after the other, later.
 *
 * One method, after boulder's Source.  A source brings bytes, it never judges them: the
 * asker's judge does (admit() behind it), and a source that has several places to ask
 * goes on to the next one when the judge refuses.  Keeper's thread.
 */
#ifndef CACHE_SOURCE_H
#define CACHE_SOURCE_H

#include "cache/issuer.h"

struct source;
struct source_ask; /* one question under way */

/* Look at an OCSPResponse (borrowed for the call).  ERR_OK: taken, stop asking. */
typedef enum err source_judge_fn(void *arg, struct bytes der, const char *from);
/* The end: ERR_OK when the judge took one; else why none was taken.  When one place said
 * unauthorized and no other did better, ERR_RESP_UNAUTHORIZED; else the last reason. */
typedef void source_done_fn(void *arg, enum err e);

struct source_ops {
	/* Ask for k, with this nonce in the request where it has bytes, for at most
	 * wait_ms, all places together.  done is called exactly once, possibly before
	 * this returns (then NULL is returned), or never after cancel. */
	struct source_ask *(*ask)(struct source *s, const struct issuer *i,
	    const struct key *k, struct bytes nonce, int wait_ms, source_judge_fn *judge,
	    source_done_fn *done, void *arg);
	void (*cancel)(struct source *s, struct source_ask *a);
};
struct source {
	const struct source_ops *ops;
};

#endif
