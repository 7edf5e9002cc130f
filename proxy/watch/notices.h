/* notices.h - incidents told: certificates that stand on one, as notices in the change
 * log.
 *
 * Each incident in force is matched with what is watched (incident_hits.h) and announced;
 * one that was withdrawn is taken back, as far as it was announced, and forgotten then.
 * What watchlists gain later is matched with the incidents that were in force already.  A
 * certificate that is revoked is neither announced nor taken back.
 *
 * Told once, whoever tells and however often he is killed: each incident has a scope of
 * the log (change_log.h), whose told pointer moves in the step that appends and says
 * behind which certificate any node goes on, in the order of the hits, which is the same
 * for all.  A withdrawn one's pointer is closed first, so that nobody announces more of
 * it; what it says then is how far to take back.
 *
 *	withdrawn   closed
 *	in force    announced where the one that it replaces has not said just that
 *	withdrawn   taken back where no other has taken its place; forgotten
 *	gain        announced, of each incident that was not matched with it, when that
 *		    is told
 *
 * With lists that nodes share, the node that made a change begins when the others have it
 * (GAINS_SETTLE_MS); the others go on where the pointer stands still for
 * NOTICES_TAKEOVER_MS.
 *
 * Weak points: told twice may be a gain while this node is killed, where the list had
 * gained before; one that comes while an incident is told by several nodes or lives, of
 * which nobody knows what the others matched; and what is replaced again before it was
 * told to its end.  What is deleted, and put again in the same words while that is taken
 * back, by another node or with a kill in between, may stay taken back.  Each incident
 * that was ever put leaves two pointers of some 150 octets in the log.
 *
 * The inventory thread; what is matched, on a thread of its own ("match").
 */
#ifndef PROXY_WATCH_NOTICES_H
#define PROXY_WATCH_NOTICES_H

#include "proxy/watch/watch_context.h"

#define NOTICES_TAKEOVER_MS 5000

struct notices;
struct watch_list;

/* NULL when out of memory. */
struct notices *notices_new(struct watch_context *context);
/* From here on it tells, first what an earlier life has left untold. */
void notices_start(struct notices *n);
/* Another inventory is in force. */
void notices_changed(struct notices *n);
/* What becomes of this incident, now, is a change that this node has made. */
void notices_mine(struct notices *n, const char *name);
/* What a list has gained is announced; done: once, from the loop, when that is durable,
 * with ERR_CANCELLED where we stop.  list: borrowed until then; number: of the inventory
 * with which it came. */
void notices_gain(struct notices *n, const struct watch_list *list, uint64_t number,
    void (*done)(void *arg, enum err e), void *arg);
/* For counting (telling_count()). */
struct telling *notices_telling(struct notices *n);
/* Certificates that are not told yet. */
size_t notices_waiting(const struct notices *n);
/* Nothing more is begun.  What is asked comes back. */
void notices_cancel(struct notices *n);
void notices_stop(
    struct notices *n); /* ends its thread; NULL is allowed, as in the next */
void notices_free(struct notices *n);

#endif
