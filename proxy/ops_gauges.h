/* ops_gauges.h - the part of /metrics that is looked up when it is asked for: what the
 * keeper holds, its store, its issuers and their responders.
 *
 * The counters of metrics.def are sums over threads; these are states, and counters that
 * other modules keep themselves.  Names and help are in ops_gauges.c and in
 * ocspcached(8). Keeper's thread.
 */
#ifndef PROXY_OPS_GAUGES_H
#define PROXY_OPS_GAUGES_H

#include "proxy/keeper.h"
#include "proxy/metrics.h"

void gauges_print(struct keeper *k, struct metrics_text *t);

#endif
