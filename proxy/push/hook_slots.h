/* hook_slots.h - how many webhooks are being sent at once, and which of them.
 *
 * A try that takes its time must not keep others from theirs.  So a place is one of
 * HOOK_QUICK, and a try that has had no answer for HOOK_QUICK_MS moves to one of
 * HOOK_SLOW, where half of a thousand webhooks may hang.  Who has not yet taken a body,
 * or failed last, is doubted: he may have half of the quick places and none while the
 * slow ones are all taken, so that who is well goes on at once beside any number of
 * others. (Who was well, and hangs while they are all taken, keeps his quick place until
 * his time is over, and is doubted from then on.)
 *
 * A value that starts as zeros; one thread.
 */
#ifndef PROXY_PUSH_HOOK_SLOTS_H
#define PROXY_PUSH_HOOK_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#define HOOK_QUICK    128 /* a descriptor each, and while a name is looked up a thread */
#define HOOK_SLOW     512
#define HOOK_QUICK_MS 1000

struct hook_slots {
	unsigned quick, doubted, slow; /* doubted: of quick */
};

struct hook_slot { /* of one try; starts as zeros */
	enum { SLOT_NONE, SLOT_QUICK, SLOT_SLOW } kind;
	bool doubted;
};

bool hook_slot_take(struct hook_slots *s, struct hook_slot *of, bool doubted);
/* It takes long; no change where there is no place for that. */
void hook_slot_slow(struct hook_slots *s, struct hook_slot *of);
void hook_slot_give(struct hook_slots *s, struct hook_slot *of);

#endif
