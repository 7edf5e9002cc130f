/* hook_request.h - what an HTTP request about webhooks means: a question to the desk
 * (hook_desk.h), or an error to answer with.
 *
 * A URL whose host is an address is judged here already, in whatever spelling a resolver
 * takes for one: where it may not lead is told to who puts it.  What a name leads to is
 * judged at each delivery.
 *
 * Pure functions, any thread.
 */
#ifndef PROXY_API_HOOK_REQUEST_H
#define PROXY_API_HOOK_REQUEST_H

#include "proxy/api/api_query.h"
#include "proxy/http/http1.h"
#include "proxy/push/hook_desk.h"

/* /v1/webhooks... */
bool hook_request_is(const struct http1_request *r);

/* Into an ask of zeroes; of a PUT its body is malloc'd.  False: *e. */
bool hook_request_read(const struct http1_request *r, struct bytes body,
    struct hook_ask *ask, struct api_error *e);

/* Of a PUT: are issuer and watchlist there, and may its URL lead where it does?  v: what
 * is watched, or NULL. */
bool hook_request_fits(const struct conf *c, const struct inventory *v,
    const struct hook_ask *ask, struct api_error *e);

/* With all that it has; what may be secret is wiped. */
void hook_ask_free(struct hook_ask *ask);

#endif
