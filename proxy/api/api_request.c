/* api_request.c - the table of calls, and strict reading of their arguments. */
#include "proxy/api/api_request.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <strings.h>

#include "proxy/api/api_path.h"

#define SEGMENT_MAX 256 /* decoded; no name or serial that we take is as long */

/* params: how many segments follow, {issuer} and {serial} always being the two. */
static const struct route {
	const char *path;
	enum http1_method method;
	unsigned params;
	enum call_what what;
} routes[] = {
    {"/v1/issuers", HTTP1_GET, 0, CALL_ISSUERS},
    {"/v1/status", HTTP1_GET, 2, CALL_STATUS},
    {"/v1/explain", HTTP1_GET, 2, CALL_EXPLAIN},
    {"/v1/latches", HTTP1_GET, 0, CALL_LATCHES},
    {"/v1/latches", HTTP1_DELETE, 2, CALL_LATCH_DELETE},
    {"/v1/refresh", HTTP1_POST, 0, CALL_REFRESH},
    {"/v1/purge", HTTP1_POST, 0, CALL_PURGE},
    {"/metrics", HTTP1_GET, 0, CALL_METRICS},
    {"/readyz", HTTP1_GET, 0, CALL_READY},
};

/* A name that no issuer can have is one that we do not know: no other kind of error. */
static bool issuer_set(struct call *c, const char *name, struct api_error *e)
{
	size_t n = strlen(name);

	if (n == 0 || n >= sizeof c->issuer) {
		api_fail(e, 404, "not_found", "no issuer has this name");
		return false;
	}
	memcpy(c->issuer, name, n + 1);
	return true;
}

static bool serial_set(struct call *c, const char *hex, struct api_error *e)
{
	if (serial_from_hex(&c->serial, hex) != ERR_OK) {
		api_fail(e, 400, "bad_request",
		    "serial: not a hexadecimal number of at most %d octets", SERIAL_MAX);
		return false;
	}
	c->has_serial = true;
	return true;
}

static bool read_parameters(
    struct bytes issuer, struct bytes serial, struct call *c, struct api_error *e)
{
	char text[SEGMENT_MAX];
	int status = api_decode(issuer, text, sizeof text);

	if (status == 414)
		text[0] = '\0';
	if (status != 400 && !issuer_set(c, text, e))
		return false;
	if (status != 400)
		status = api_decode(serial, text, sizeof text);
	if (status == 400) {
		api_fail(e, 400, "bad_request", "path: bad percent-escape");
		return false;
	}
	if (status == 414)
		text[0] = '\0'; /* no serial: refused as one */
	return serial_set(c, text, e);
}

static bool flag_set(
    bool *flag, const char *field, const json_t *value, struct api_error *e)
{
	if (!json_is_boolean(value)) {
		api_fail(e, 400, "bad_request", "%s: neither true nor false", field);
		return false;
	}
	*flag = json_is_true(value);
	return true;
}

/* One member of a body; false with the field's name in *e. */
static bool read_member(
    const char *field, const json_t *value, struct call *c, struct api_error *e)
{
	bool issuer = strcmp(field, "issuer") == 0;

	if (c->what == CALL_REFRESH && strcmp(field, "accept_number") == 0)
		return flag_set(&c->accept_number, field, value, e);
	if (!issuer && strcmp(field, "serial") != 0) {
		api_fail(e, 400, "bad_request", "unknown field \"%.60s\"", field);
		return false;
	}
	if (!json_is_string(value)) {
		api_fail(e, 400, "bad_request", "%s: not a string", field);
		return false;
	}
	return issuer ? issuer_set(c, json_string_value(value), e)
		      : serial_set(c, json_string_value(value), e);
}

/* {"issuer"[,"serial"]}, of a refresh "accept_number" too, and nothing else: a misspelt
 * "serial" must not purge an issuer. */
static bool read_body(struct bytes body, struct call *c, struct api_error *e)
{
	json_error_t why;
	json_t *root =
	    json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES, &why);
	const char *field;
	json_t *value;
	bool ok = false;

	if (root == NULL) {
		api_fail(e, 400, "bad_request", "body: not JSON: line %d: %.150s",
		    why.line, why.text);
		return false;
	}
	if (!json_is_object(root)) {
		api_fail(e, 400, "bad_request", "body: not a JSON object");
		goto out;
	}
	json_object_foreach(root, field, value)
		if (!read_member(field, value, c, e))
			goto out;
	ok = c->issuer[0] != '\0';
	if (!ok)
		api_fail(e, 400, "bad_request", "issuer: missing");
out:
	json_decref(root);
	return ok;
}

/* The weight of a media range in thousandths (RFC 9110 section 12.4.2); what cannot be
 * read counts as 1, as if it were not there. */
static int weight(struct bytes parameters)
{
	while (parameters.n > 0) {
		struct bytes p = api_cut(&parameters, ';');
		int q, unit = 1000;

		if (p.n < 3 || (p.p[0] | 32) != 'q' || p.p[1] != '=')
			continue;
		if (p.p[2] != '0')
			return 1000;
		q = 0;
		for (size_t i = 4; i < p.n && unit > 1; i++) {
			if (p.p[i] < '0' || p.p[i] > '9')
				return 1000;
			unit /= 10;
			q += (p.p[i] - '0') * unit;
		}
		return q;
	}
	return 1000;
}

/* The weight of a type that is named, not by a wildcard; 0: it is not. */
static int weight_of(struct bytes accept, const char *name)
{
	int best = 0;

	while (accept.n > 0) {
		struct bytes range = api_cut(&accept, ',');
		struct bytes type = api_cut(&range, ';');
		int q = weight(range);

		if (api_is(type, name) && q > best)
			best = q;
	}
	return best;
}

/* OpenMetrics only for who names it and does not like plain text better: browsers and
 * curl send wildcards. */
static bool wants_openmetrics(struct bytes accept)
{
	int openmetrics = 0, text = 0;

	while (accept.n > 0) {
		struct bytes range = api_cut(&accept, ',');
		struct bytes type = api_cut(&range, ';');
		int q = weight(range);

		if (api_is(type, "application/openmetrics-text")) {
			if (q > openmetrics)
				openmetrics = q;
		} else if (api_is(type, "text/plain") || api_is(type, "text/*") ||
			   api_is(type, "*/*")) {
			if (q > text)
				text = q;
		}
	}
	return openmetrics > 0 && openmetrics >= text;
}

/* "host[:port]": is host an address or localhost? */
static bool host_is_ours(struct bytes authority)
{
	char host[INET6_ADDRSTRLEN + 1];
	uint8_t address[16];
	const uint8_t *end;
	bool v6 = authority.n > 0 && authority.p[0] == '[';
	size_t n;

	if (v6)
		authority = bytes_of(authority.p + 1, authority.n - 1);
	end = authority.n > 0 ? memchr(authority.p, v6 ? ']' : ':', authority.n) : NULL;
	n = end != NULL ? (size_t)(end - authority.p) : authority.n;
	if (n >= sizeof host)
		return false;
	if (n > 0)
		memcpy(host, authority.p, n);
	host[n] = '\0';
	if (v6)
		return end != NULL && inet_pton(AF_INET6, host, address) == 1;
	return strcasecmp(host, "localhost") == 0 ||
	       inet_pton(AF_INET, host, address) == 1;
}

/* The parser keeps neither Origin nor Sec-Fetch-Site, but all that it keeps points into
 * the head, which it found to be whole and well-formed. */
bool api_request_field(const struct http1_request *r, const char *name, const char **line,
    struct bytes *value)
{
	const char *head_end = (const char *)r->method_text.p + r->head_n, *end;
	size_t n = strlen(name);

	while ((end = memchr(*line, '\n', (size_t)(head_end - *line))) != NULL &&
	       end - *line > 1) {
		const char *at = *line;

		*line = end + 1;
		if ((size_t)(end - at) > n && at[n] == ':' &&
		    strncasecmp(at, name, n) == 0) {
			*value =
			    api_trim(bytes_of(at + n + 1, (size_t)(end - at) - n - 2));
			return true;
		}
	}
	return false;
}

/* Was it a web page of another site that made a browser ask this?  Browsers say so in
 * fields that no page can set or leave out: Origin goes with what a script or a form
 * posts, Sec-Fetch-Site with every request to loopback, an image's or a link's too.  What
 * we cannot read is no word that it was not. */
static bool is_of_a_page(const struct http1_request *r)
{
	const char *line = (const char *)r->method_text.p;
	struct bytes value;

	if (api_request_field(r, "Origin", &line, &value))
		return true;
	line = (const char *)r->method_text.p;
	while (api_request_field(r, "Sec-Fetch-Site", &line, &value))
		if (!api_is(value, "same-origin") && !api_is(value, "none"))
			return true;
	return false;
}

bool api_request_may_ask(
    const struct http1_request *r, bool any_host, struct api_error *e)
{
	struct bytes host = r->authority.n > 0 ? r->authority : r->host;

	if (is_of_a_page(r)) {
		api_fail(e, 403, "forbidden",
		    "requests of web pages (Origin, Sec-Fetch-Site) are refused");
		return false;
	}
	if (!any_host && host.n > 0 && !host_is_ours(host)) {
		api_fail(e, 403, "forbidden",
		    "Host: use an address or localhost; other names are refused, so "
		    "that no web page reaches this API by a DNS name of its own");
		return false;
	}
	return true;
}

static bool method_fits(
    enum http1_method wanted, const struct http1_request *r, struct api_error *e)
{
	if (r->method == wanted || (r->method == HTTP1_HEAD && wanted == HTTP1_GET))
		return true;
	e->allow = wanted == HTTP1_GET    ? "GET, HEAD"
		   : wanted == HTTP1_POST ? "POST"
					  : "DELETE";
	api_fail(e, 405, "method_not_allowed", "this path takes %s", e->allow);
	return false;
}

/* A stream has no end, so no HEAD. */
static bool events_method_fits(const struct http1_request *r, struct api_error *e)
{
	if (r->method == HTTP1_GET)
		return true;
	e->allow = "GET";
	api_fail(e, 405, "method_not_allowed", "this path takes %s", e->allow);
	return false;
}

/* A body says what it is: what a page's form can send without asking (text/plain, a
 * form's own types) is none that we take. */
static bool is_json(const struct http1_request *r, struct bytes body, struct api_error *e)
{
	struct bytes parameters = r->content_type;

	if (body.n == 0 || api_is(api_cut(&parameters, ';'), "application/json"))
		return true;
	api_fail(e, 415, "unsupported_media_type",
	    "body: send it with Content-Type: application/json");
	return false;
}

/* The query of GET /v1/latches: issuer, or nothing. */
static bool read_issuer_query(struct bytes query, struct call *c, struct api_error *e)
{
	static const char *const names[] = {"issuer"};
	struct api_query q = {.rest = query};
	char text[SEGMENT_MAX];
	size_t which;

	while (api_query_next(&q, names, 1, &which, text, sizeof text, e))
		if (!issuer_set(c, text, e))
			return false;
	return e->status == 0;
}

static enum api_route read_call(const struct route *route, struct bytes segment[2],
    const struct http1_request *r, struct bytes body, struct call *c, struct api_error *e)
{
	assert(route->params == 0 || route->params == 2);
	if (!method_fits(route->method, r, e))
		return API_ERROR;
	c->what = route->what;
	c->openmetrics = route->what == CALL_METRICS && wants_openmetrics(r->accept);
	if (route->what == CALL_LATCHES && !read_issuer_query(r->query, c, e))
		return API_ERROR;
	if (route->params > 0 && !read_parameters(segment[0], segment[1], c, e))
		return API_ERROR;
	if (route->method == HTTP1_POST &&
	    (!is_json(r, body, e) || !read_body(body, c, e)))
		return API_ERROR;
	return API_CALL;
}

static enum api_route no_route(struct api_error *e)
{
	api_fail(e, 404, "not_found",
	    "no such path; there are /v1/issuers, status, explain, latches, alarms, "
	    "events, watchlists, incidents, certificates, summary, webhooks, refresh and "
	    "purge, /metrics, /healthz and /readyz; see ocspcached(8)");
	return API_ERROR;
}

enum api_route api_request_read(const struct http1_request *r, struct bytes body,
    bool any_host, struct call *c, struct api_error *e)
{
	struct bytes rest, segment[2] = {{NULL, 0}, {NULL, 0}};

	memset(e, 0, sizeof *e);
	if (!api_request_may_ask(r, any_host, e))
		return API_ERROR;
	if (path_begins(r->path, "/healthz", &rest) && rest.n == 0)
		return method_fits(HTTP1_GET, r, e) ? API_HEALTHZ : API_ERROR;
	if (path_begins(r->path, "/v1/alarms", &rest) && rest.n == 0)
		return method_fits(HTTP1_GET, r, e) ? API_ALARMS : API_ERROR;
	if (path_begins(r->path, "/v1/events", &rest) && rest.n == 0)
		return events_method_fits(r, e) ? API_EVENTS : API_ERROR;
	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
		unsigned n = 0;

		if (!path_begins(r->path, routes[i].path, &rest))
			continue;
		while (n < routes[i].params && path_segment(&rest, &segment[n]))
			n++;
		if (n == routes[i].params && rest.n == 0)
			return read_call(&routes[i], segment, r, body, c, e);
	}
	return no_route(e);
}

/* The query of GET /v1/events. */

enum events_parameter { SINCE, ISSUER, SNAPSHOT, WATCHLIST, PARAMETERS };
static const char *const parameter_name[PARAMETERS] = {
    "since", "issuer", "snapshot", "watchlist"};

/* An id that is none of ours is no error of the request: it is answered with a gap. */
static void set_since(struct events_query *q, const char *text)
{
	size_t n = strlen(text), kept = n;

	if (kept > sizeof q->since_text - 1)
		kept = sizeof q->since_text - 1;
	q->has_since = true;
	memcpy(q->since_text, text, kept);
	q->since_text[kept] = '\0';
	/* epoch 0 is none that was ever told */
	q->bad_since = !change_pos_parse(&q->since, text, n) || q->since.epoch == 0;
}

static bool set_parameter(struct events_query *q, enum events_parameter which,
    const char *value, struct api_error *e)
{
	size_t n = strlen(value);

	switch (which) {
	case SINCE:
		if (n > 0) /* since=$LAST of a script that has none yet */
			set_since(q, value);
		return true;
	case ISSUER:
		if (n == 0 || n >= sizeof q->issuer) {
			api_fail(e, 404, "not_found", "no issuer has this name");
			return false;
		}
		memcpy(q->issuer, value, n + 1);
		return true;
	case SNAPSHOT:
		q->snapshot = strcmp(value, "1") == 0;
		if (!q->snapshot && strcmp(value, "0") != 0)
			api_fail(e, 400, "bad_request", "snapshot: neither 0 nor 1");
		return q->snapshot || strcmp(value, "0") == 0;
	default:
		if (n == 0 || n >= sizeof q->watchlist) {
			api_fail(e, 404, "not_found", "no watchlist has this name");
			return false;
		}
		memcpy(q->watchlist, value, n + 1);
		return true;
	}
}

static void set_last_event_id(struct events_query *q, struct bytes id)
{
	char text[SEGMENT_MAX];
	size_t n = id.n < sizeof text - 1 ? id.n : sizeof text - 1;

	/* Whoever asks for a snapshot and says where it was by itself begins anew; who
	 * was cut off and reconnects the same URL goes on. */
	if (id.n == 0) {
		if (q->snapshot)
			q->has_since = q->bad_since = false;
		return;
	}
	memcpy(text, id.p, n);
	text[n] = '\0';
	set_since(q, text);
}

bool api_request_events(
    const struct http1_request *r, struct events_query *q, struct api_error *e)
{
	struct api_query query = {.rest = r->query};
	char value[SEGMENT_MAX];
	size_t which;
	int json = weight_of(r->accept, "application/json");

	memset(q, 0, sizeof *q);
	memset(e, 0, sizeof *e);
	while (api_query_next(
	    &query, parameter_name, PARAMETERS, &which, value, sizeof value, e))
		if (!set_parameter(q, (enum events_parameter)which, value, e))
			return false;
	if (e->status != 0)
		return false;
	set_last_event_id(q, r->last_event_id);
	q->json = json > 0 && json >= weight_of(r->accept, "text/event-stream");
	if (q->json && q->snapshot) {
		api_fail(e, 400, "bad_request",
		    "snapshot: only in a stream (Accept: text/event-stream)");
		return false;
	}
	return true;
}
