/* inspect.h - ocspctl check, and ocspctl status FILE: which of these certificates are
 * revoked.
 *
 * The server is asked in one call, streamed both ways.  On a terminal what is not good is
 * shown as a table, and behind it how many there were; elsewhere a line for each.
 */
#ifndef PROXY_CTL_INSPECT_H
#define PROXY_CTL_INSPECT_H

#include "proxy/ctl/run.h"

/* EXIT_REVOKED where one is revoked; else EXIT_UNDETERMINED where a status is unknown, a
 * line bad, or a file unreadable. */
int inspect(const struct run *run);

#endif
