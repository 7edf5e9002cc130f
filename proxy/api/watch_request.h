/* watch_request.h - what an HTTP request about what is watched means, but for those whose
 * body is streamed (api_upload.h): a question to the inventory thread, or an error to
 * answer with.
 *
 * Pure functions, any thread.
 */
#ifndef PROXY_API_WATCH_REQUEST_H
#define PROXY_API_WATCH_REQUEST_H

#include "proxy/api/api_query.h"
#include "proxy/api/api_upload.h"
#include "proxy/http/http1.h"
#include "proxy/watch/watch_ask.h"
#include "proxy/watch/watch_upload.h"

/* /v1/watchlists..., /v1/certificates, /v1/summary, and /v1/status as a whole. */
bool watch_request_is(const struct http1_request *r);

/* Of one for which watch_request_is() is true, into an ask of zeroes; false: *e.  Whether
 * a list or an issuer exists is not looked at. */
bool watch_request_read(
    const struct http1_request *r, struct watch_ask *ask, struct api_error *e);

/* An upload as the inventory thread takes it, malloc'd; NULL when out of memory. */
struct watch_order *watch_order_of(const struct upload *u);

#endif
