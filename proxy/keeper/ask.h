/* ask.h - one client's question on its way from a worker (or the API) to the keeper and
 * back.
 *
 * It is a message both ways: the asker allocates it and posts it to the keeper; the
 * keeper fills in the outcome and posts it back to reply_to, where done() runs.  Exactly
 * one thread has it at a time.  A client that leaves meanwhile is no event for the
 * keeper: the asker clears its own `owner` field, which the keeper never reads, and frees
 * the ask when it comes back (T27).
 *
 * answer is borrowed: valid until the asker's next turn, by the order of its inbox
 * (proxy/base/inbox.h).
 */
#ifndef PROXY_KEEPER_ASK_H
#define PROXY_KEEPER_ASK_H

#include "cache/held/answer.h"
#include "cache/ocsp/ocsp_request.h"
#include "proxy/base/inbox.h"

enum tier {
	TIER_MEMORY,
	TIER_STORE,
	TIER_UPSTREAM,
	TIER_FORWARD, /* upstream, with the client's nonce: for this client only */
	TIER_NONE     /* an error answer */
};

struct ask {
	struct msg msg;
	/* question: */
	struct key key;
	struct inbox *reply_to;
	int64_t asked_at_ms; /* monotonic */
	bool only_if_cached; /* do not fetch: memory and store only */
	uint8_t nonce_n;     /* > 0: send this nonce upstream (nonce = "forward") */
	uint8_t nonce[OCSP_NONCE_MAX];
	bool revalidate; /* client said no-cache: a held answer may be fetched anew once
			    in a while */
	/* outcome: */
	const struct answer *answer; /* NULL: error */
	enum err error;
	enum tier tier;
	/* the asker's own: */
	void *owner;
	void (*done)(void *inbox_arg, struct ask *a);
	/* the keeper's own: */
	struct ask *_next, *_prev;   /* of one flight */
	struct ask *_newer, *_older; /* of all flights, by asked_at_ms */
	struct flight *_flight;
};

/* Post it back with this outcome: answer where it is not NULL (borrowed as above), else
 * e.  tier: of an answer that is no error. */
void ask_reply(struct ask *a, const struct answer *answer, enum err e, enum tier tier);

#endif
