/* hook_seats.h - how many webhooks are being sent at once, and which of them.
 *
 * A try that takes its time must not keep others from theirs.  So a place is one of
 * HOOK_QUICK, and a try that has had no answer for HOOK_QUICK_MS moves to one of
 * HOOK_SLOW, where half of a thousand webhooks may hang.  Who has not yet taken a body,
 * or failed last, is doubted: he may have half of the quick places and none while the
 * slow ones are all taken, so that who is well goes on at once beside any number of
 * others. (Who was well, and hangs while they are all taken, keeps his quick place until
 * his time is over, and is doubted from then on.)
 *
 * Weak point: after a start nobody has taken anything yet, so that five hundred who hang
 * cost the others some four seconds, once.  Their descriptors are of those that clients
 * leave (reserved-descriptors).
 *
 * A value that starts as zeros; one thread.
 */
#ifndef PROXY_PUSH_HOOK_SEATS_H
#define PROXY_PUSH_HOOK_SEATS_H

#include <stdbool.h>
#include <stdint.h>

#define HOOK_QUICK    256 /* a descriptor each, and while a name is looked up a thread */
#define HOOK_SLOW     512
#define HOOK_QUICK_MS 500

struct hook_seats {
	unsigned quick, doubted, slow; /* doubted: of quick */
};

struct hook_seat { /* of one try; starts as zeros */
	enum { SEAT_NONE, SEAT_QUICK, SEAT_SLOW } kind;
	bool doubted;
};

bool hook_seat_take(struct hook_seats *s, struct hook_seat *of, bool doubted);
/* It takes long; no change where there is no place for that. */
void hook_seat_slow(struct hook_seats *s, struct hook_seat *of);
void hook_seat_give(struct hook_seats *s, struct hook_seat *of);

#endif
