/* events_watch.h - what a subscriber of a watchlist is sent.
 *
 * Of each batch that it comes to it gets what its list has (watch_text.h), as the list is
 * at that moment.  Text of several batches goes out together; what its socket does not
 * take is kept, and nothing more is looked at until that has gone.  A gallop, and
 * text that is made for one alone, are charged to the turn as if more had been written,
 * so that subscribers of long lists hold the loop no longer than those who read much.
 *
 * API's thread.
 */
#ifndef PROXY_PUSH_EVENTS_WATCH_H
#define PROXY_PUSH_EVENTS_WATCH_H

#include "proxy/push/events_say.h"

#define WATCH_GATHER (32 * 1024) /* of text, before it is written */
#define WATCH_STEPS  2048        /* of a gallop; then others have their turn */

/* The list of s, as it is now, for the next two.  False: it has been deleted. */
bool events_watch_open(struct sub *s);
enum step events_watch_changes(struct sub *s);
/* *end: with STEP_MORE, that was all of the snapshot. */
enum step events_watch_snapshot(struct sub *s, bool *end);

/* For who looks through the view otherwise: it was looked at, what that has cost; and
 * what could not be read, once in a while. */
void events_looked(struct events *e);
void events_say_unreadable(struct events *e, const struct sub *s);

#endif
