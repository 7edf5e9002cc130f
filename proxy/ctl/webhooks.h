/* webhooks.h - ocspctl webhook. */
#ifndef PROXY_CTL_WEBHOOKS_H
#define PROXY_CTL_WEBHOOKS_H

#include "proxy/ctl/run.h"

/* Exit codes of args.h; a test that was not delivered: EXIT_UNREACHABLE. */
int webhook(const struct run *run);

#endif
