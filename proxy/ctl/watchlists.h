/* watchlists.h - ocspctl find and ocspctl watchlist. */
#ifndef PROXY_CTL_WATCHLISTS_H
#define PROXY_CTL_WATCHLISTS_H

#include "proxy/ctl/run.h"

/* Exit codes of args.h: EXIT_REVOKED where something that was shown is revoked, else
 * EXIT_UNDETERMINED where a status is not known (of find and watchlist show). */
int find(const struct run *run);
int watchlist(const struct run *run);

#endif
