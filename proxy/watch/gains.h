/* gains.h - what watchlists have gained, told where it is revoked already.
 *
 * A PUT, a POST and a round of files add certificates, and their subscribers have to hear
 * of those that were revoked before: no change will come for them.  So each gain is
 * judged, by what this node knows (verdicts.h) and without a fetch, and what is revoked
 * goes into the change log as batches of kind CHANGE_WATCHED that name the watchlist: by
 * the keeper's teller, behind a barrier, durable, and then told.
 *
 *	gain -> judged, a slice at a time -> batches -> durable
 *	     -> announced, where it stands on an incident (notices.h)
 *	     -> the ledger's mark goes
 *
 * The mark (ledger.h) is on disk from the step on that made the list, so that a kill -9
 * anywhere tells what the list has once more, and never nothing.
 *
 * What belongs to an issuer whose lists have not been opened is judged when they are: it
 * is looked at again every GAINS_LOOK_MS, behind all others, and holds nobody up; its
 * mark stays until then.  A certificate that left the list meanwhile is not told.
 *
 * One gain at a time.  While the log is away others wait, 28 bytes for each certificate;
 * those of one list are joined, and where that is more than the list has, the list as it
 * is stands for them (more is told then than it gained).
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_GAINS_H
#define PROXY_WATCH_GAINS_H

#include "proxy/watch/watch_context.h"

#define GAINS_LOOK_MS 200
/* With lists that nodes share, a gain is judged so long after it came: by then the others
 * have it, so that their subscribers hear of it with its names, and what a list has told
 * meanwhile, that they did not take for theirs, is told now.  Who loads it later than
 * that tells it himself (share_sync.c).  A part of this node counts as come when Redis
 * has it. */
#define GAINS_SETTLE_MS 2000

struct gains;
struct watch_list;

/* NULL when out of memory. */
struct gains *gains_new(struct watch_context *context);
/* As ledger_gain_fn: list is handed over. */
void gains_add(void *gains, const struct watch_list *list);
/* Nothing more is begun.  What is asked comes back. */
void gains_cancel(struct gains *g);
void gains_free(struct gains *g); /* NULL is allowed; nothing of it is away */

#endif
