/* source.h - the interface of whatever can be asked for an answer: upstream OCSP today;
 * our own signer over a CRL, or one after the other, later.
 *
 * One method, after boulder's Source.  A source brings bytes, it never judges them: the
 * asker's judge does (admit() behind it), and a source that has several places to ask
 * goes on to the next one when the judge refuses.  Keeper's thread.
 */
#ifndef CACHE_OCSP_SOURCE_H
#define CACHE_OCSP_SOURCE_H

#include "cache/base/issuer.h"

struct source;
struct source_ask; /* one question under way */

/* Look at an OCSPResponse (borrowed for the call).  ERR_OK: taken, stop asking. */
typedef enum err source_judge_fn(void *arg, struct bytes der, const char *from);
/* The end: ERR_OK when the judge took one; else why none was taken.  When one place said
 * unauthorized and no other did better, ERR_RESP_UNAUTHORIZED; else the last reason. */
typedef void source_done_fn(void *arg, enum err e);

/* Borrowed for the call. */
struct source_question {
	const struct issuer *issuer;
	const struct key *key;
	/* A verified answer, good or revoked, was seen under this very key, in date or
	 * not: so it is no serial that somebody made up, and it has its own share of all
	 * bounds (T13).  Not for another hash algorithm of the same certificate: that is
	 * for anybody to choose. */
	bool known;
	struct bytes nonce; /* in the request, where it has bytes */
	int wait_ms;        /* at most, all places together; 1.. */
};

struct source_ops {
	/* Ask.  ERR_OK: *ask is under way, and done is called exactly once, from the loop
	 * and never before this returns, or never after cancel.  Any other: nobody is
	 * asked, *ask is NULL, and done is not called. */
	enum err (*ask)(struct source *s, const struct source_question *q,
	    source_judge_fn *judge, source_done_fn *done, void *arg,
	    struct source_ask **ask);
	void (*cancel)(struct source *s, struct source_ask *a);
};
struct source {
	const struct source_ops *ops;
};

#endif
