/* api_request.h - what an HTTP request to the API means: a call, or an error to answer
 * with.
 *
 * The router, the path's parameters, the JSON body, and who may ask.  The API asks for no
 * token on loopback, so a web page that the operator's browser shows must not reach it:
 * a Host that is a name other than localhost is refused (DNS rebinding), and so is
 * everything with an Origin field, or with a Sec-Fetch-Site that is neither same-origin
 * nor none (what a page makes a browser ask, be it by an image: asking may fetch).
 *
 * Pure functions, any thread.
 */
#ifndef PROXY_API_API_REQUEST_H
#define PROXY_API_API_REQUEST_H

#include "proxy/api/api_query.h"
#include "proxy/api/calls.h"
#include "proxy/http/http1.h"
#include "proxy/push/events.h"

enum api_route {
	API_CALL,    /* what is asked and its arguments are in the call */
	API_HEALTHZ, /* answered without the keeper */
	API_ALARMS,  /* so is GET /v1/alarms */
	API_EVENTS,  /* GET /v1/events: api_request_events() reads the rest */
	API_ERROR
};

/* May whoever sent this ask at all?  false: *e. */
bool api_request_may_ask(
    const struct http1_request *r, bool any_host, struct api_error *e);
/* The next field of this name in the head from *line on, which is moved behind it; begin
 * with r->method_text.p.  For fields that the parser does not keep. */
bool api_request_field(const struct http1_request *r, const char *name, const char **line,
    struct bytes *value);

/* any_host: a unix socket, where no browser gets.  Fills in c->what, issuer, has_serial,
 * serial, openmetrics, accept_number; or *e.  Whether the issuer exists is the keeper's
 * to say. */
enum api_route api_request_read(const struct http1_request *r, struct bytes body,
    bool any_host, struct call *c, struct api_error *e);

/* The query and fields of GET /v1/events; false: *e.  Whether the issuer exists is looked
 * up by who serves it. */
bool api_request_events(
    const struct http1_request *r, struct events_query *q, struct api_error *e);

#endif
