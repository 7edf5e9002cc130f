/* hook_request.c - the calls by path and method. */
#include "proxy/api/hook_request.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/base/name.h"
#include "cache/watch/inventory.h"
#include "conf/address.h"
#include "proxy/api/api_path.h"
#include "proxy/http/guard.h"
#include "proxy/push/hook_body.h"

#define VALUE_MAX 256 /* decoded; no name or place is as long */
#define SEGMENTS  2

bool hook_request_is(const struct http1_request *r)
{
	struct bytes rest;

	return path_begins(r->path, "/v1/webhooks", &rest);
}

static bool refuse_method(struct api_error *e, const char *allow)
{
	e->allow = allow;
	api_fail(e, 405, "method_not_allowed", "this path takes %s", allow);
	return false;
}

static bool no_query(const struct http1_request *r, struct api_error *e)
{
	if (r->query.n > 0)
		api_fail(e, 400, "bad_request", "query: this call has none");
	return r->query.n == 0;
}

static bool set_name(struct hook_ask *ask, struct bytes segment, struct api_error *e)
{
	char text[VALUE_MAX];
	int status = api_decode(segment, text, sizeof text);

	if (status == 400)
		api_fail(e, 400, "bad_request", "path: bad percent-escape");
	else if (status == 414 || !name_is_plain(bytes_of(text, strlen(text))))
		api_fail(e, ask->what == HOOK_PUT ? 400 : 404,
		    ask->what == HOOK_PUT ? "bad_request" : "not_found",
		    "no webhook has this name; a name has 1 to 63 of a-z, 0-9, '.', '_' "
		    "and '-'");
	else
		snprintf(ask->name, sizeof ask->name, "%s", text);
	return e->status == 0;
}

static bool read_body(const struct http1_request *r, struct bytes body,
    struct hook_ask *ask, struct api_error *e)
{
	struct bytes parameters = r->content_type;
	char why[sizeof e->message];

	if (!api_is(api_cut(&parameters, ';'), "application/json")) {
		api_fail(e, 415, "unsupported_media_type",
		    "body: send it with Content-Type: application/json");
		return false;
	}
	ask->body = malloc(sizeof *ask->body);
	if (ask->body == NULL)
		api_fail(e, 500, "internal", "%s", err_text(ERR_NOMEM));
	else if (!hook_body_read(ask->body, body, why, sizeof why))
		api_fail(e, 400, "bad_request", "%s", why);
	return e->status == 0;
}

static bool read_named(const struct http1_request *r, struct bytes name,
    struct bytes body, struct hook_ask *ask, struct api_error *e)
{
	if (r->method == HTTP1_GET || r->method == HTTP1_HEAD)
		ask->what = HOOK_SHOW;
	else if (r->method == HTTP1_PUT)
		ask->what = HOOK_PUT;
	else if (r->method == HTTP1_DELETE)
		ask->what = HOOK_DROP;
	else
		return refuse_method(e, "GET, HEAD, PUT, DELETE");
	return set_name(ask, name, e) && no_query(r, e) &&
	       (ask->what != HOOK_PUT || read_body(r, body, ask, e));
}

/* replay?since=ID. */
static bool read_since(
    const struct http1_request *r, struct hook_ask *ask, struct api_error *e)
{
	static const char *const names[] = {"since"};
	struct api_query q = {.rest = r->query};
	char text[VALUE_MAX];
	bool given = false;
	size_t which;

	while (api_query_next(&q, names, 1, &which, text, sizeof text, e))
		given = change_pos_parse(&ask->since, text, strlen(text)) &&
			ask->since.epoch != 0;
	if (e->status == 0 && !given)
		api_fail(e, 400, "bad_request",
		    "since: not the id of an event, such as 6b02c04d-000000000001-00001");
	return given && e->status == 0;
}

static bool read_doing(const struct http1_request *r,
    const struct bytes segment[SEGMENTS], struct hook_ask *ask, struct api_error *e)
{
	bool replay = bytes_equal(segment[1], bytes_of("replay", 6));

	if (!replay && !bytes_equal(segment[1], bytes_of("test", 4))) {
		api_fail(e, 404, "not_found",
		    "no such path; there is /v1/webhooks[/{name}[/test]] and "
		    "/v1/webhooks/{name}/replay?since=ID");
		return false;
	}
	ask->what = replay ? HOOK_REPLAY : HOOK_TEST;
	if (r->method != HTTP1_POST)
		return refuse_method(e, "POST");
	return set_name(ask, segment[0], e) &&
	       (replay ? read_since(r, ask, e) : no_query(r, e));
}

bool hook_request_read(const struct http1_request *r, struct bytes body,
    struct hook_ask *ask, struct api_error *e)
{
	struct bytes rest, segment[SEGMENTS] = {{NULL, 0}, {NULL, 0}};
	size_t n = 0;

	memset(e, 0, sizeof *e);
	path_begins(r->path, "/v1/webhooks", &rest);
	while (n < SEGMENTS && path_segment(&rest, &segment[n]))
		n++;
	if (rest.n == 0 && n == 0) {
		ask->what = HOOK_LIST;
		return r->method == HTTP1_GET || r->method == HTTP1_HEAD
			   ? no_query(r, e)
			   : refuse_method(e, "GET, HEAD");
	}
	if (rest.n == 0 && n == 1)
		return read_named(r, segment[0], body, ask, e);
	if (rest.n == 0)
		return read_doing(r, segment, ask, e);
	api_fail(e, 404, "not_found", "no such path; there is /v1/webhooks[/{name}]");
	return false;
}

/* An address as getaddrinfo() takes one: 127.1, 0x7f000001 and 2130706433 are loopback.
 */
static bool address_of(const struct address *at, struct ip_address *out)
{
	struct in_addr v4;
	char text[INET_ADDRSTRLEN];

	if (inet_aton(at->host, &v4) != 0 &&
	    inet_ntop(AF_INET, &v4, text, sizeof text) != NULL)
		return ip_address_parse(text, at->port, out);
	return ip_address_parse(at->host, at->port, out);
}

static bool may_lead(const struct conf *c, const char *url)
{
	const struct guard g = {.allow = c->webhook_allowed,
	    .allow_n = c->webhook_allow_address_n,
	    .any_port = true};
	struct ip_address at;
	struct url u;

	return url_parse(url, &u) != NULL || !address_of(&u.at, &at) ||
	       guard_allows(&g, &at);
}

bool hook_request_fits(const struct conf *c, const struct inventory *v,
    const struct hook_ask *ask, struct api_error *e)
{
	const struct hook_body *b = ask->body;

	if (b->issuer[0] != '\0' && issuers_named(c->issuers, b->issuer) == NULL)
		api_fail(e, 400, "bad_request", "issuer: no issuer has this name");
	else if (b->watchlist[0] != '\0' && v != NULL &&
		 inventory_list(v, b->watchlist) == NULL)
		api_fail(
		    e, 400, "bad_request", "watchlist: none has this name; put it first");
	else if (!may_lead(c, b->url))
		api_fail(e, 400, "bad_request",
		    "url: leads to an address that is not public; if that is right, name "
		    "it with webhook-allow-address");
	return e->status == 0;
}

void hook_ask_free(struct hook_ask *ask)
{
	if (ask->body != NULL)
		OPENSSL_cleanse(ask->body, sizeof *ask->body);
	if (ask->text != NULL)
		OPENSSL_cleanse(ask->text, ask->text_n);
	access_unref(ask->access);
	free(ask->body);
	free(ask->text);
	free(ask);
}
