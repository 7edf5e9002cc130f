/* api_upload.h - a request whose body is streamed (proxy/http/stream.h): which call it
 * is, how its body is written, and what its query says of it.
 *
 * Read from the head alone, before any of the body is looked at, so that what is refused
 * costs no upload; a value, for the thread that has the sink.
 *
 * Who may ask is the same as for every other call (api_request_may_ask()).  A body says
 * what it is: without a Content-Type, with another one than the call takes, or with a
 * Content-Encoding it is 415.
 *
 * Pure functions, any thread.
 */
#ifndef PROXY_API_API_UPLOAD_H
#define PROXY_API_API_UPLOAD_H

#include "cache/watch/incident.h"
#include "cache/watch/watch_body.h"
#include "proxy/api/api_query.h"
#include "proxy/http/http1.h"

enum upload_call {
	UPLOAD_REPLACE, /* PUT /v1/watchlists/{name} */
	UPLOAD_ADD,     /* POST /v1/watchlists/{name} */
	UPLOAD_STATUS,  /* POST /v1/status */
	UPLOAD_INCIDENT /* PUT /v1/incidents/{name} */
};

#define UPLOAD_NAME_MAX 64 /* with NUL: name_is_plain() */
#define UPLOAD_MAP_MAX  2048

struct upload {
	enum upload_call call;
	enum watch_format format;   /* by Content-Type, parameters passed over */
	enum watch_base base;       /* ?serial=; not with PEM */
	char name[UPLOAD_NAME_MAX]; /* "" of UPLOAD_STATUS */
	char map[UPLOAD_MAP_MAX];   /* ?map=, decoded; only with CSV, else "" */
	/* Of UPLOAD_INCIDENT: */
	char issuer[INCIDENT_ISSUER_MAX]; /* ?issuer=, in small letters, or "" */
	char url[INCIDENT_URL_MAX + 1];   /* ?url=, http or https, or "" */
	int64_t deadline;                 /* ?deadline=, or WATCH_TIME_NONE */
};

enum upload_route {
	UPLOAD_NONE, /* another call, or none: api_request_read() */
	UPLOAD_READ, /* *u is filled in */
	UPLOAD_ERROR /* *e is */
};
/* any_host: as for api_request_read().  That nothing has a POST's name is said where it
 * is known. */
enum upload_route api_upload_read(
    const struct http1_request *r, bool any_host, struct upload *u, struct api_error *e);

#endif
