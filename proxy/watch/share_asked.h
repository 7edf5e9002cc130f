/* share_asked.h - what nodes that share their watchlists tell each other of when clients
 * asked (usage.h).
 *
 * What is due here goes out as pieces (watch_asked.h), which all nodes read, each
 * SHARE_ASKED_MS; a node that starts reads those that are kept.  What cannot be sent is
 * due again an hour later, where it is still asked for then; nobody waits for it.
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_SHARE_ASKED_H
#define PROXY_WATCH_SHARE_ASKED_H

#include "proxy/watch/share_core.h"

#define SHARE_ASKED_MS 2000

struct share_asked;

/* core, with its context's usage, is borrowed for life.  NULL: out of memory. */
struct share_asked *share_asked_new(struct share_core *core);
/* After core->redis was closed; NULL is allowed. */
void share_asked_free(struct share_asked *a);

#endif
