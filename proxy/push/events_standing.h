/* events_standing.h - the last part of a snapshot: the notices in force, of its watchlist
 * or of all that is watched (standing_text.h).
 *
 * API's thread.
 */
#ifndef PROXY_PUSH_EVENTS_STANDING_H
#define PROXY_PUSH_EVENTS_STANDING_H

#include "proxy/push/events_say.h"
#include "proxy/push/standing_text.h"

/* s->standing is where it is.  With a watchlist, after events_watch_open().  *end: with
 * STEP_MORE, that was all. */
enum step events_standing(struct sub *s, bool *end);

#endif
