/* api_upload.c - the table of streamed calls, and of what their bodies may be. */
#include "proxy/api/api_upload.h"

#include <ctype.h>
#include <stdio.h>

#include "cache/base/name.h"
#include "cache/base/time_text.h"
#include "cache/base/utf8.h"
#include "proxy/api/api_request.h"

#define WATCHLISTS "/v1/watchlists/"
#define INCIDENTS  "/v1/incidents/"
#define TYPE_MAX   64 /* longer ones are none of ours */

enum {
	PEM = 1 << WATCH_PEM,
	NDJSON = 1 << WATCH_NDJSON,
	CSV = 1 << WATCH_CSV,
	PLAIN = 1 << WATCH_PLAIN
};

static const struct call_row {
	enum http1_method method;
	const char *path;
	bool named;        /* a name follows */
	unsigned formats;  /* 1 << enum watch_format */
	const char *types; /* in words */
} rows[] = {
    [UPLOAD_REPLACE] = {HTTP1_PUT, WATCHLISTS, true, PEM | NDJSON | CSV,
	"application/x-pem-file, application/x-ndjson or text/csv"},
    [UPLOAD_ADD] = {HTTP1_POST, WATCHLISTS, true, PEM | NDJSON | CSV,
	"application/x-pem-file, application/x-ndjson or text/csv"},
    [UPLOAD_STATUS] = {HTTP1_POST, "/v1/status", false, PEM | NDJSON,
	"application/x-pem-file or application/x-ndjson"},
    [UPLOAD_INCIDENT] = {HTTP1_PUT, INCIDENTS, true, PLAIN | NDJSON | CSV,
	"text/plain, application/x-ndjson or text/csv"},
};

/* Is it this call?  *name: what stands behind its path, one segment. */
static bool row_fits(
    const struct call_row *row, const struct http1_request *r, struct bytes *name)
{
	size_t n = strlen(row->path);

	if (r->method != row->method || r->path.n < n ||
	    memcmp(r->path.p, row->path, n) != 0)
		return false;
	*name = bytes_of(r->path.p + n, r->path.n - n);
	if (!row->named)
		return name->n == 0;
	return name->n > 0 && memchr(name->p, '/', name->n) == NULL;
}

static bool read_name(struct upload *u, struct bytes name, struct api_error *e)
{
	int status = api_decode(name, u->name, sizeof u->name);

	if (status == 400)
		api_fail(e, 400, "bad_request", "path: bad percent-escape");
	else if (status == 0 && name_is_plain(bytes_of(u->name, strlen(u->name))))
		return true;
	else if (u->call == UPLOAD_ADD) /* nothing has such a name */
		api_fail(e, 404, "not_found", "no watchlist has this name");
	else
		api_fail(e, 400, "bad_request",
		    "name: not 1 to %d of a-z, 0-9, '.', '_' and '-', or only dots",
		    NAME_MAX_OCTETS);
	return false;
}

/* A coding is another thing than what the type says: nobody here undoes it. */
static bool is_plain(const struct http1_request *r)
{
	const char *line = (const char *)r->method_text.p;
	struct bytes value;

	while (api_request_field(r, "Content-Encoding", &line, &value))
		if (value.n > 0 && !api_is(value, "identity"))
			return false;
	return true;
}

static bool read_format(
    struct upload *u, const struct http1_request *r, struct api_error *e)
{
	struct bytes parameters = r->content_type, type = api_cut(&parameters, ';');
	char text[TYPE_MAX];

	if (!is_plain(r)) {
		api_fail(e, 415, "unsupported_media_type",
		    "body: Content-Encoding is not undone; send it as it is");
		return false;
	}
	if (type.n > 0 && type.n < sizeof text) {
		snprintf(text, sizeof text, "%.*s", (int)type.n, (const char *)type.p);
		if (watch_format_of(text, &u->format) &&
		    (rows[u->call].formats & 1u << u->format) != 0)
			return true;
	}
	api_fail(e, 415, "unsupported_media_type", "body: send it with Content-Type: %s",
	    rows[u->call].types);
	return false;
}

/* The last three are an incident's. */
enum upload_parameter { SERIAL, MAP, DEADLINE, URL, ISSUER, UPLOAD_PARAMETERS };
static const char *const upload_names[UPLOAD_PARAMETERS] = {
    "serial", "map", "deadline", "url", "issuer"};

static bool set_base(struct upload *u, const char *value, struct api_error *e)
{
	if (u->format == WATCH_PEM)
		api_fail(e, 400, "bad_request", "serial: not of certificates in PEM");
	else if (value[0] == '\0' || !watch_base_of(value, &u->base))
		api_fail(e, 400, "bad_request", "serial: neither hex nor dec");
	return e->status == 0;
}

static bool set_map(struct upload *u, const char *value, struct api_error *e)
{
	size_t n = strlen(value);

	if (u->format != WATCH_CSV)
		api_fail(e, 400, "bad_request", "map: only of text/csv");
	else if (n == UPLOAD_MAP_MAX - 1)
		api_fail(e, 400, "bad_request", "map: too long");
	else
		memcpy(u->map, value, n + 1);
	return e->status == 0;
}

static bool set_deadline(struct upload *u, const char *value, struct api_error *e)
{
	if (!time_from_text(bytes_of(value, strlen(value)), &u->deadline) ||
	    u->deadline <= 0)
		api_fail(e, 400, "bad_request",
		    "deadline: not a time of RFC 3339 (2026-12-31T00:00:00Z) after 1970");
	return e->status == 0;
}

/* It is told to whoever shows it: a link of the web, and nothing else. */
static bool set_url(struct upload *u, const char *value, struct api_error *e)
{
	size_t n = strlen(value);

	if (strncmp(value, "https://", 8) != 0 && strncmp(value, "http://", 7) != 0)
		api_fail(e, 400, "bad_request", "url: neither http nor https");
	else if (n >= INCIDENT_URL_MAX || !utf8_is_valid(bytes_of(value, n)))
		api_fail(e, 400, "bad_request", "url: more than %d octets, or no UTF-8",
		    INCIDENT_URL_MAX - 1);
	else
		memcpy(u->url, value, n + 1);
	return e->status == 0;
}

/* Whether there is such an issuer is known where it is looked up. */
static bool set_issuer(struct upload *u, const char *value, struct api_error *e)
{
	size_t n = strlen(value);

	if (n == 0 || n >= sizeof u->issuer) {
		api_fail(e, 404, "not_found",
		    "issuer: neither a configured name nor a hexadecimal key identifier");
		return false;
	}
	for (size_t i = 0; i <= n; i++)
		u->issuer[i] = (char)tolower((unsigned char)value[i]);
	return true;
}

static bool set_parameter(
    struct upload *u, enum upload_parameter which, const char *value, struct api_error *e)
{
	switch (which) {
	case SERIAL:
		return set_base(u, value, e);
	case MAP:
		return set_map(u, value, e);
	case DEADLINE:
		return set_deadline(u, value, e);
	case URL:
		return set_url(u, value, e);
	default:
		return set_issuer(u, value, e);
	}
}

static bool read_query(
    struct upload *u, const struct http1_request *r, struct api_error *e)
{
	size_t names = u->call == UPLOAD_INCIDENT ? UPLOAD_PARAMETERS : DEADLINE;
	struct api_query q = {.rest = r->query};
	char value[UPLOAD_MAP_MAX];
	size_t which;

	while (api_query_next(&q, upload_names, names, &which, value, sizeof value, e))
		if (!set_parameter(u, (enum upload_parameter)which, value, e))
			return false;
	return e->status == 0;
}

enum upload_route api_upload_read(
    const struct http1_request *r, bool any_host, struct upload *u, struct api_error *e)
{
	struct bytes name;
	size_t i = 0;

	while (i < sizeof rows / sizeof rows[0] && !row_fits(&rows[i], r, &name))
		i++;
	if (i == sizeof rows / sizeof rows[0])
		return UPLOAD_NONE;
	memset(u, 0, sizeof *u);
	memset(e, 0, sizeof *e);
	u->call = (enum upload_call)i;
	u->deadline = WATCH_TIME_NONE;
	if (!api_request_may_ask(r, any_host, e))
		return UPLOAD_ERROR;
	if (rows[i].named && !read_name(u, name, e))
		return UPLOAD_ERROR;
	return read_format(u, r, e) && read_query(u, r, e) ? UPLOAD_READ : UPLOAD_ERROR;
}
