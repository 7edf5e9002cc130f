/* which.h - explain FILE: which certificate of which configured issuer is that?
 *
 * The server says, as it does for check: it has the issuers.
 */
#ifndef PROXY_CTL_WHICH_H
#define PROXY_CTL_WHICH_H

#include "cache/base/key.h"
#include "proxy/ctl/run.h"

struct which {
	char issuer[64];
	char serial[SERIAL_HEX_MAX];
};

/* The first certificate of run->args->rest.  0; else an exit code, and why was told. */
int which(const struct run *run, struct which *out);

#endif
