/* watchlists.h - ocspctl find and ocspctl watchlist. */
#ifndef PROXY_CTL_WATCHLISTS_H
#define PROXY_CTL_WATCHLISTS_H

#include "proxy/ctl/run.h"

/* Exit codes of args.h: EXIT_REVOKED where something that was shown is revoked, else
 * EXIT_UNDETERMINED where a status is not known (of find and watchlist show). */
int find(const struct run *run);
int watchlist(const struct run *run);
/* All watched certificates with this filter (a parameter of GET /v1/certificates). */
int certificates_show(const struct run *run, const char *name, const char *value);
/* put NAME [FILE | DIR]...: to /v1/WHAT/NAME, with a bar. */
int body_send(const struct run *run, const char *what, const char *method);

#endif
