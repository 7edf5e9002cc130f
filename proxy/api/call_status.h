/* call_status.h - GET /v1/status: what is known of one certificate, and by what.
 *
 * Pure, but for the lists in the evidence, which are the keeper's thread's.
 */
#ifndef PROXY_API_CALL_STATUS_H
#define PROXY_API_CALL_STATUS_H

#include <jansson.h>

#include "proxy/keeper/evidence.h"

/* The whole answer; "missing" says of an unknown one why its absence from the lists does
 * not make it good.  NULL: out of memory. */
json_t *status_json(
    const struct issuer *i, const struct serial *s, const struct evidence *st);

#endif
