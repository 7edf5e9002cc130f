/* ask.h - one client's question on its way from a worker (or the API) to the keeper and
 * back.
 *
 * A message both ways (proxy/base/inbox.h).  A client that leaves meanwhile is no event
 * for the keeper (T27).
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
	struct question question;
	struct key key;
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
	/* the keeper's own: */
	struct ask *_next, *_prev;   /* of one flight */
	struct ask *_newer, *_older; /* of all flights, by asked_at_ms */
	struct flight *_flight;
};

/* Post it back with this outcome: answer where it is not NULL (borrowed as above), else
 * e.  tier: of an answer that is no error. */
void ask_reply(struct ask *a, const struct answer *answer, enum err e, enum tier tier);

#endif
