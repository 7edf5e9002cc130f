/* events_say.h - what one subscriber is sent, below the question what that is: bytes of
 * frames, and what comes before the events (head, waiting, gap, position).
 *
 * API's thread.  Knows nothing of pages and snapshots: whoever asks for these may say
 * that their subscribers have to wait.
 */
#ifndef PROXY_PUSH_EVENTS_SAY_H
#define PROXY_PUSH_EVENTS_SAY_H

#include <sys/uio.h>

#include "proxy/push/events_core.h"

enum step {
	STEP_MORE,  /* there may be more to send */
	STEP_END,   /* it has all that there is */
	STEP_FULL,  /* its socket takes no more */
	STEP_WAITS, /* for an answer of the keeper: it is in a list already */
	STEP_LATER, /* out of memory */
	STEP_GONE   /* the client has left */
};

/* Give iov to the socket, without the first s->skip bytes.  What the socket took of it,
 * these included, or -1 when the client has gone. */
ssize_t say_push(struct sub *s, struct iovec *iov, size_t n);
/* One frame; STEP_MORE when it went whole. */
enum step say_frame(struct sub *s, char *text, size_t n);
/* All of out, which was made for s alone and has so many events and changes.  What its
 * socket does not take is kept: say_rest() goes on with it before anything else. */
enum step say_gathered(
    struct sub *s, const struct json_line *out, uint32_t events, uint32_t changes);
enum step say_rest(struct sub *s);
/* What is to be said before anything else.  A prefix that went in part may have become
 * longer behind, never other. */
enum step say_prefix(struct sub *s);
/* s has to wait: say so, where it was not told or not for position-interval.  Its list
 * stays.  False: its client has gone, and s too. */
bool events_say_wait(struct sub *s, enum events_wait what);

#endif
