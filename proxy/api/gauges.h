/* gauges.h - the part of /metrics that is looked up when it is asked for: what the
 * keeper holds, its store, its issuers and their responders.
 *
 * The counters of metrics.def are sums over threads; these are states, and counters that
 * other modules keep themselves.  Names and help are in gauges.c and in
 * ocspcached(8). Keeper's thread.
 */
#ifndef PROXY_API_GAUGES_H
#define PROXY_API_GAUGES_H

#include "proxy/base/metrics.h"
#include "proxy/keeper/keeper.h"

void gauges_print(struct keeper *k, struct metrics_text *t);

#endif
