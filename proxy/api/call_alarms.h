/* call_alarms.h - GET /v1/alarms: what is wrong now, as JSON.
 *
 * The table is the process's (proxy/base/alarms.h), so the API's thread answers by
 * itself, also while the keeper is busy with what is wrong.
 */
#ifndef PROXY_API_CALL_ALARMS_H
#define PROXY_API_CALL_ALARMS_H

#include "proxy/base/access.h"
#include "proxy/base/json_line.h"

/* An array of {"alarm","issuer","subject","since","node","detail"} and a line end;
 * out->failed: out of memory.  Who does not see all sees
 * those of issuers that he sees (of certificates on v). */
void call_alarms(
    const struct access *a, const struct inventory *v, struct json_line *out);

#endif
