/* hook_answer.h - what a webhook's receiver says: a status, and perhaps when to come
 * again.
 *
 * Only 2xx is success.  410 says that nobody wants it any more.  Everything else is a
 * failure that is tried again; of 429 and 503 a Retry-After is heeded, within bounds: it
 * is a stranger's word, and a year would be the end of it.  Pure, any thread.
 */
#ifndef PROXY_PUSH_HOOK_ANSWER_H
#define PROXY_PUSH_HOOK_ANSWER_H

#include "cache/base/bytes.h"

#define HOOK_WAIT_MAX_S 86400 /* a day: below what 120 h of failures need */

enum hook_verdict { HOOK_TAKEN, HOOK_GONE, HOOK_FAILED };

struct hook_answer {
	enum hook_verdict verdict;
	int64_t wait_s; /* 0..HOOK_WAIT_MAX_S; 0: it said nothing of it that counts */
};

/* status: 0 for no answer.  retry_after: the field as it came ("" for none), a number of
 * seconds or a date (IMF-fixdate); now: seconds. */
struct hook_answer hook_answer_read(int status, struct bytes retry_after, int64_t now);

#endif
