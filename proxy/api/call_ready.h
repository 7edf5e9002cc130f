/* call_ready.h - GET /readyz: may clients be sent here, and what is not as it should be?
 *
 * A store or responders that are away are no reason to send clients elsewhere: memory
 * answers for hours.  They are told as "degraded", as lists are that could not be had.
 *
 * Keeper's thread.
 */
#ifndef PROXY_API_CALL_READY_H
#define PROXY_API_CALL_READY_H

#include <jansson.h>

#include "proxy/keeper/keeper.h"

/* {"ready","reasons","degraded"}; brief: {"ready"} alone.  NULL: out of memory. */
json_t *ready_json(struct keeper *k, bool brief, bool *ready);

#endif
