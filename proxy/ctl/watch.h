/* watch.h - ocspctl watch: the server's changes as they come, printed or given to a
 * command, over restarts of both sides.
 *
 * Delivery is at least once: the place moves when a command has succeeded (or a line was
 * printed), and what came after it is sent again after a restart.  Where the server no
 * longer has what followed the place (a gap), a watcher with a command asks for a
 * snapshot and so misses nothing.
 */
#ifndef PROXY_CTL_WATCH_H
#define PROXY_CTL_WATCH_H

#include "proxy/ctl/args.h"
#include "proxy/ctl/client.h"
#include "proxy/ctl/show.h"

/* Returns an exit code of args.h when a signal (INT, TERM) has ended it, or at once when
 * it cannot begin. */
int watch(struct client *client, const struct args *args, const struct show *show);

#endif
