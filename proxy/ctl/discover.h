/* discover.h - ocspctl discover: from certificates to issuer sections that load.
 *
 * Gathered is what files, folders, crt-lists and servers show; what is proposed was
 * verified (who issued what) and has been taken by the configuration's own loader.  What
 * would be refused, or needs a file that is not there, is printed as a comment with the
 * reason.  No daemon is asked.
 */
#ifndef PROXY_CTL_DISCOVER_H
#define PROXY_CTL_DISCOVER_H

#include "proxy/ctl/run.h"

/* EXIT_UNDETERMINED where something could not be read, found or written. */
int discover(const struct run *run);

#endif
