/* watch_request.c - the calls by path and method, and their parameters. */
#include "proxy/api/watch_request.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "cache/base/name.h"
#include "cache/base/time_text.h"
#include "cache/base/utf8.h"
#include "cache/watch/watch_name.h"
#include "proxy/api/api_path.h"

#define VALUE_MAX 1024 /* decoded; a map of columns is the longest */
#define SEGMENTS  3
#define LIMIT     100

bool watch_request_is(const struct http1_request *r)
{
	struct bytes rest;

	return path_begins(r->path, "/v1/watchlists", &rest) ||
	       path_begins(r->path, "/v1/incidents", &rest) ||
	       (path_begins(r->path, "/v1/certificates", &rest) && rest.n == 0) ||
	       (path_begins(r->path, "/v1/summary", &rest) && rest.n == 0) ||
	       (path_begins(r->path, "/v1/status", &rest) && rest.n == 0);
}

/* Methods. */

/* HEAD is GET. */
static enum http1_method method_of(const struct http1_request *r)
{
	return r->method == HTTP1_HEAD ? HTTP1_GET : r->method;
}

static bool refuse_method(struct api_error *e, const char *allow)
{
	e->allow = allow;
	api_fail(e, 405, "method_not_allowed", "this path takes %s", allow);
	return false;
}

/* Values. */

/* Fill in *e; false, so that `return refuse(...)` ends who found it. */
static bool refuse(struct api_error *e, int status, const char *code, const char *text)
{
	api_fail(e, status, code, "%s", text);
	return false;
}

static bool bad(struct api_error *e, const char *text)
{
	return refuse(e, 400, "bad_request", text);
}

static bool segment_decode(struct bytes segment, char out[VALUE_MAX], struct api_error *e)
{
	int status = api_decode(segment, out, VALUE_MAX);

	return status != 400 || bad(e, "path: bad percent-escape");
}

static bool set_incident(char out[WATCH_NAME_MAX], const char *text, struct api_error *e)
{
	if (!name_is_plain(bytes_of(text, strlen(text))))
		return refuse(e, 404, "not_found", "no incident has this name");
	snprintf(out, WATCH_NAME_MAX, "%s", text);
	return true;
}

static bool set_noticed(struct watch_filter *f, const char *text, struct api_error *e)
{
	if (strcmp(text, "incident") == 0)
		f->noticed = WATCH_NOTICED_INCIDENT;
	else if (strcmp(text, "ari") == 0)
		f->noticed = WATCH_NOTICED_ARI;
	return f->noticed != WATCH_NOTICED_OR_NOT ||
	       bad(e, "notice: there are incident and ari");
}

static bool set_list(char out[WATCH_NAME_MAX], const char *text, struct api_error *e)
{
	if (!name_is_plain(bytes_of(text, strlen(text))))
		return refuse(e, 404, "not_found", "no watchlist has this name");
	snprintf(out, WATCH_NAME_MAX, "%s", text);
	return true;
}

/* A configured name or a hexadecimal key identifier: both in small letters. */
static bool set_issuer(char out[WATCH_ISSUER_MAX], const char *text, struct api_error *e)
{
	size_t n = strlen(text);

	if (n == 0 || n >= WATCH_ISSUER_MAX)
		return refuse(e, 404, "not_found",
		    "issuer: neither a configured name nor a hexadecimal key identifier");
	for (size_t i = 0; i <= n; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	return true;
}

static bool set_serial(struct serial *s, const char *text, struct api_error *e)
{
	return serial_from_hex(s, text) == ERR_OK ||
	       bad(e, "serial: not a hexadecimal number of at most 21 octets");
}

/* GET /v1/certificates. */

static bool set_name(struct watch_filter *f, const char *text, struct api_error *e)
{
	struct bytes given = bytes_of(text, strlen(text));
	size_t n =
	    utf8_is_valid(given) ? watch_name(given, f->name, sizeof f->name - 1) : 0;

	f->name[n] = '\0';
	return n > 0 || bad(e, "name: empty, too long, or no name");
}

static bool set_status(struct watch_filter *f, const char *text, struct api_error *e)
{
	static const enum status each[] = {STATUS_GOOD, STATUS_REVOKED, STATUS_UNKNOWN};

	for (size_t i = 0; i < sizeof each / sizeof each[0]; i++)
		if (strcmp(text, status_name(each[i])) == 0)
			f->status = each[i];
	return f->status != STATUS_NONE ||
	       bad(e, "status: there are good, revoked and unknown");
}

static bool set_expiry(struct watch_filter *f, const char *text, struct api_error *e)
{
	return time_from_text(bytes_of(text, strlen(text)), &f->expires_before) ||
	       bad(e, "expires_before: not a time of RFC 3339 (2026-12-31T00:00:00Z)");
}

static bool set_limit(struct watch_filter *f, const char *text, struct api_error *e)
{
	unsigned long n = strtoul(text, NULL, 10);

	f->limit = n;
	return (strspn(text, "0123456789") == strlen(text) && strlen(text) < 5 &&
		   n >= 1 && n <= WATCH_PAGE_MAX) ||
	       bad(e, "limit: a number from 1 to 1000");
}

static bool set_place(struct watch_filter *f, const char *text, struct api_error *e)
{
	return watch_place_parse(&f->from, text) ||
	       bad(e, "next: not what \"next\" of a page before said");
}

static bool set_covered(struct watch_filter *f, const char *text, struct api_error *e)
{
	if (strcmp(text, "1") == 0)
		f->covered = WATCH_COVERED;
	else if (strcmp(text, "0") == 0)
		f->covered = WATCH_NOT_COVERED;
	return f->covered != WATCH_COVERED_OR_NOT || bad(e, "covered: there are 0 and 1");
}

enum parameter {
	NAME,
	ISSUER,
	STATUS,
	WATCHLIST,
	EXPIRES_BEFORE,
	LIMIT_OF,
	NEXT,
	COVERED,
	INCIDENT,
	NOTICE,
	PARAMETERS
};
static const char *const parameter_name[PARAMETERS] = {"name", "issuer", "status",
    "watchlist", "expires_before", "limit", "next", "covered", "incident", "notice"};

static bool set_filter(
    struct watch_filter *f, enum parameter which, const char *text, struct api_error *e)
{
	switch (which) {
	case NAME:
		return set_name(f, text, e);
	case ISSUER:
		return set_issuer(f->issuer, text, e);
	case STATUS:
		return set_status(f, text, e);
	case WATCHLIST:
		return set_list(f->list, text, e);
	case EXPIRES_BEFORE:
		return set_expiry(f, text, e);
	case LIMIT_OF:
		return set_limit(f, text, e);
	case NEXT:
		return set_place(f, text, e);
	case COVERED:
		return set_covered(f, text, e);
	case INCIDENT:
		return set_incident(f->incident, text, e);
	default:
		return set_noticed(f, text, e);
	}
}

static bool read_filter(
    const struct http1_request *r, struct watch_filter *f, struct api_error *e)
{
	struct api_query q = {.rest = r->query};
	char text[VALUE_MAX];
	size_t which;

	f->limit = LIMIT;
	f->expires_before = INT64_MAX;
	while (
	    api_query_next(&q, parameter_name, PARAMETERS, &which, text, sizeof text, e))
		if (!set_filter(f, (enum parameter)which, text, e))
			return false;
	return e->status == 0;
}

/* Calls of /v1/watchlists. */

static bool no_query(const struct http1_request *r, struct api_error *e)
{
	return r->query.n == 0 || bad(e, "query: this call has none");
}

static bool read_plain(const struct http1_request *r, enum watch_ask_what what,
    struct watch_ask *ask, struct api_error *e)
{
	ask->what = what;
	if (method_of(r) != HTTP1_GET)
		return refuse_method(e, "GET, HEAD");
	return no_query(r, e);
}

static bool read_list(const struct http1_request *r, struct bytes name,
    struct watch_ask *ask, struct api_error *e)
{
	char text[VALUE_MAX];

	if (method_of(r) != HTTP1_GET && method_of(r) != HTTP1_DELETE)
		return refuse_method(e, "GET, HEAD, PUT, POST, DELETE");
	ask->what = method_of(r) == HTTP1_GET ? WATCH_LIST : WATCH_DROP;
	return segment_decode(name, text, e) && set_list(ask->name, text, e) &&
	       no_query(r, e);
}

static bool read_entry(const struct http1_request *r,
    const struct bytes segment[SEGMENTS], struct watch_ask *ask, struct api_error *e)
{
	char text[VALUE_MAX];

	ask->what = WATCH_REMOVE;
	if (method_of(r) != HTTP1_DELETE)
		return refuse_method(e, "DELETE");
	return segment_decode(segment[0], text, e) && set_list(ask->name, text, e) &&
	       segment_decode(segment[1], text, e) && set_issuer(ask->issuer, text, e) &&
	       segment_decode(segment[2], text, e) && set_serial(&ask->serial, text, e) &&
	       no_query(r, e);
}

static bool read_lists(const struct http1_request *r, struct bytes rest,
    struct watch_ask *ask, struct api_error *e)
{
	struct bytes segment[SEGMENTS];
	size_t n = 0;

	while (n < SEGMENTS && path_segment(&rest, &segment[n]))
		n++;
	if (rest.n == 0 && n == 0)
		return read_plain(r, WATCH_LISTS, ask, e);
	if (rest.n == 0 && n == 1)
		return read_list(r, segment[0], ask, e);
	if (rest.n == 0 && n == SEGMENTS)
		return read_entry(r, segment, ask, e);
	return refuse(e, 404, "not_found",
	    "no such path; there is /v1/watchlists[/{name}[/{issuer}/{serial}]]");
}

/* /v1/incidents[/{name}] but for PUT. */
static bool read_incidents(const struct http1_request *r, struct bytes rest,
    struct watch_ask *ask, struct api_error *e)
{
	struct bytes name;
	char text[VALUE_MAX];

	if (rest.n == 0)
		return read_plain(r, WATCH_INCIDENTS, ask, e);
	if (!path_segment(&rest, &name) || rest.n > 0)
		return refuse(
		    e, 404, "not_found", "no such path; there is /v1/incidents[/{name}]");
	if (method_of(r) != HTTP1_GET && method_of(r) != HTTP1_DELETE)
		return refuse_method(e, "GET, HEAD, PUT, DELETE");
	ask->what = method_of(r) == HTTP1_GET ? WATCH_INCIDENT_ONE : WATCH_INCIDENT_DROP;
	return segment_decode(name, text, e) && set_incident(ask->name, text, e) &&
	       no_query(r, e);
}

bool watch_request_read(
    const struct http1_request *r, struct watch_ask *ask, struct api_error *e)
{
	struct bytes rest;

	memset(e, 0, sizeof *e);
	if (path_begins(r->path, "/v1/watchlists", &rest))
		return read_lists(r, rest, ask, e);
	if (path_begins(r->path, "/v1/incidents", &rest))
		return read_incidents(r, rest, ask, e);
	if (path_begins(r->path, "/v1/status", &rest))
		return refuse_method(e, "POST");
	if (path_begins(r->path, "/v1/summary", &rest))
		return read_plain(r, WATCH_SUMMARY, ask, e);
	ask->what = WATCH_CERTIFICATES;
	if (method_of(r) != HTTP1_GET)
		return refuse_method(e, "GET, HEAD");
	return read_filter(r, &ask->filter, e);
}

/* Uploads. */

static enum watch_order_what order_what(enum upload_call call)
{
	return call == UPLOAD_REPLACE    ? WATCH_ORDER_PUT
	       : call == UPLOAD_ADD      ? WATCH_ORDER_ADD
	       : call == UPLOAD_INCIDENT ? WATCH_ORDER_INCIDENT
					 : WATCH_ORDER_STATUS;
}

/* NULL: no memory, or nothing random. */
static struct incident_about *about_of(const struct upload *u)
{
	struct incident_about *a = calloc(1, sizeof *a);

	if (a == NULL || getrandom(a->id, sizeof a->id, 0) != sizeof a->id) {
		free(a);
		return NULL;
	}
	memcpy(a->name, u->name, sizeof u->name);
	a->deadline = u->deadline;
	memcpy(a->issuer, u->issuer, sizeof a->issuer);
	memcpy(a->url, u->url, strlen(u->url));
	return a;
}

struct watch_order *watch_order_of(const struct upload *u)
{
	size_t n = strlen(u->map) + 1;
	struct watch_order *o = malloc(sizeof *o + n);

	if (o == NULL)
		return NULL;
	*o = (struct watch_order){
	    .what = order_what(u->call), .format = u->format, .base = u->base};
	strcpy(o->name, u->name);
	memcpy(o->map, u->map, n);
	if (o->what != WATCH_ORDER_INCIDENT || (o->about = about_of(u)) != NULL)
		return o;
	free(o);
	return NULL;
}
