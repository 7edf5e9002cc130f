/* hook_turn.h - when a webhook is tried again, and when it is given up.
 *
 *	           a body is there          failed, 429, 503
 *	TURN_IDLE -----------------> tried ------------------> waits until next_ms --+
 *	    ^                        |  |  ^                                         |
 *	    +------- 2xx ------------+  |  +-----------------------------------------+
 *	                                +--> given up: 410; or 120 h of nothing but
 *failures
 *
 * The waits are those of webhook-retry, the last of which repeats, each spread by a half
 * before and after, and never shorter than what the receiver asked for.  The 120 h run
 * from the first failure since the last success, by the wall clock, as they go on over
 * restarts; waits by the monotonic one (what is left of one after a restart is
 * webhook_state.next_try's to say).
 *
 * A value, pure functions; chance and both clocks come from the caller.
 */
#ifndef PROXY_PUSH_HOOK_TURN_H
#define PROXY_PUSH_HOOK_TURN_H

#include "proxy/push/hook_answer.h"

#define HOOK_GIVEN_UP_S (120 * 3600)

struct hook_retry { /* webhook-retry; borrowed */
	const int64_t *ms;
	size_t n; /* 1.. */
};

struct hook_turn {
	unsigned failures;  /* in a row */
	int64_t failing_at; /* wall clock, seconds: of the first of them; 0: none */
	int64_t next_ms;    /* monotonic; 0: at once */
};

enum hook_goes { HOOK_GOES_ON, HOOK_WAITS, HOOK_GIVEN_UP };

struct hook_moment {
	int64_t now;     /* wall clock, seconds */
	int64_t now_ms;  /* monotonic */
	unsigned random; /* 0..65535 */
};

/* A try has ended so. */
enum hook_goes hook_turn_ended(struct hook_turn *t, const struct hook_answer *a,
    const struct hook_retry *r, const struct hook_moment *m);
bool hook_turn_may(const struct hook_turn *t, int64_t now_ms);

#endif
