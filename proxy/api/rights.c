/* rights.c - the table, and how far each call goes. */
#include "proxy/api/rights.h"

#include <stdio.h>

#include "proxy/push/hook_body.h"

static const enum right of_call[CALL_STOP] = {
    [CALL_ISSUERS] = RIGHT_READ,
    [CALL_STATUS] = RIGHT_READ,
    [CALL_EXPLAIN] = RIGHT_OPERATE, /* asks the responder, each time */
    [CALL_REFRESH] = RIGHT_OPERATE,
    [CALL_PURGE] = RIGHT_OPERATE,
    [CALL_LATCHES] = RIGHT_READ,
    [CALL_LATCH_DELETE] = RIGHT_OPERATE,
    [CALL_READY] = 0,
    [CALL_METRICS] = RIGHT_READ,
};

static const enum right of_ask[] = {
    [WATCH_LISTS] = RIGHT_READ,
    [WATCH_LIST] = RIGHT_READ,
    [WATCH_DROP] = RIGHT_MANAGE,
    [WATCH_REMOVE] = RIGHT_MANAGE,
    [WATCH_CERTIFICATES] = RIGHT_READ,
    [WATCH_SUMMARY] = RIGHT_READ,
    [WATCH_INCIDENTS] = RIGHT_READ,
    [WATCH_INCIDENT_ONE] = RIGHT_READ,
    [WATCH_INCIDENT_DROP] = RIGHT_MANAGE,
};

static const enum right of_upload[] = {
    [UPLOAD_REPLACE] = RIGHT_MANAGE,
    [UPLOAD_ADD] = RIGHT_MANAGE,
    [UPLOAD_STATUS] = RIGHT_READ,
    [UPLOAD_INCIDENT] = RIGHT_MANAGE,
};

static const enum right of_hook[] = {
    [HOOK_LIST] = RIGHT_READ,
    [HOOK_SHOW] = RIGHT_READ,
    [HOOK_PUT] = RIGHT_MANAGE,
    [HOOK_DROP] = RIGHT_MANAGE,
    [HOOK_TEST] = RIGHT_MANAGE,
    [HOOK_REPLAY] = RIGHT_MANAGE,
};

enum right right_of_call(enum call_what what)
{
	return (size_t)what < sizeof of_call / sizeof of_call[0] ? of_call[what] : 0;
}

enum right right_of_ask(enum watch_ask_what what)
{
	return (size_t)what < sizeof of_ask / sizeof of_ask[0] ? of_ask[what] : 0;
}

enum right right_of_upload(enum upload_call call)
{
	return (size_t)call < sizeof of_upload / sizeof of_upload[0] ? of_upload[call]
								     : 0;
}

enum right right_of_hook(enum hook_ask_what what)
{
	return (size_t)what < sizeof of_hook / sizeof of_hook[0] ? of_hook[what] : 0;
}

/* Refusals. */

static const char *word_of(enum right right)
{
	return right == RIGHT_READ        ? "read"
	       : right == RIGHT_SUBSCRIBE ? "subscribe"
	       : right == RIGHT_MANAGE    ? "manage"
	       : right == RIGHT_OPERATE   ? "operate"
					  : "none of these";
}

static bool may(const struct access *a, enum right right, struct api_error *e)
{
	if (access_may(a, right))
		return true;
	api_fail(e, 403, "forbidden", "this needs the right %s, which this token has not",
	    word_of(right));
	return false;
}

static bool no_issuer(struct api_error *e)
{
	api_fail(e, 404, "not_found", "no issuer has this name");
	return false;
}

static bool no_list(struct api_error *e)
{
	api_fail(e, 404, "not_found", "no watchlist has this name");
	return false;
}

static bool too_far(struct api_error *e, const char *remedy)
{
	api_fail(
	    e, 403, "forbidden", "this reaches more than this token does; %s", remedy);
	return false;
}

/* Calls. */

/* Of a whole issuer. */
static bool reaches_issuer(
    const struct access *a, const struct call *c, struct api_error *e)
{
	if (!access_issuer(a, c->issuer))
		return no_issuer(e);
	return a->lists_n == 0 || too_far(e, "name a serial that is on its watchlists");
}

static bool reaches_latches(const struct access *a, struct call *c, struct api_error *e)
{
	const char *only = access_only_issuer(a);

	if (c->issuer[0] == '\0' && only != NULL)
		snprintf(c->issuer, sizeof c->issuer, "%s", only);
	if (c->issuer[0] != '\0' && !access_issuer(a, c->issuer))
		return no_issuer(e);
	if (a->lists_n > 0)
		return too_far(e, "ask for the status of each certificate");
	return c->issuer[0] != '\0' || too_far(e, "name one of its issuers (issuer=)");
}

static bool reaches(const struct access *a, const struct inventory *v, struct call *c,
    struct api_error *e)
{
	if (c->what == CALL_ISSUERS) /* those that it sees */
		return true;
	if (c->what == CALL_METRICS)
		return too_far(e, "metrics are of all issuers");
	if (c->what == CALL_LATCHES)
		return reaches_latches(a, c, e);
	if (!c->has_serial)
		return reaches_issuer(a, c, e);
	if (!access_issuer(a, c->issuer))
		return no_issuer(e);
	if (access_certificate(a, v, c->issuer, &c->serial))
		return true;
	api_fail(e, 404, "not_found", "no watchlist of this token has this certificate");
	return false;
}

bool rights_call(const struct access *a, const struct inventory *v, struct call *c,
    struct api_error *e)
{
	if (c->what == CALL_READY) {
		c->brief = !access_may(a, RIGHT_READ) || access_is_narrow(a);
		return true;
	}
	return may(a, right_of_call(c->what), e) &&
	       (!access_is_narrow(a) || reaches(a, v, c, e));
}

/* What is watched. */

/* A list as a whole, which may have certificates of any issuer. */
static bool reaches_whole(const struct access *a, struct api_error *e)
{
	return a == NULL || a->issuers_n == 0 ||
	       too_far(e, "a watchlist may have certificates of any issuer");
}

/* Its serials are looked at one by one (incident_upload.h); which lists have them is not
 * known before there are such. */
static bool reaches_incident(const struct access *a, struct api_error *e)
{
	return a == NULL || a->lists_n == 0 ||
	       too_far(e, "an incident announces what stands on any watchlist");
}

static void narrow_filter(
    const struct access *a, const struct inventory *v, struct watch_filter *f)
{
	const char *issuer = access_only_issuer(a), *list = access_only_list(a);

	if (f->issuer[0] == '\0' && issuer != NULL)
		snprintf(f->issuer, sizeof f->issuer, "%s", issuer);
	if (f->list[0] == '\0' && list != NULL && v != NULL &&
	    inventory_list(v, list) != NULL)
		snprintf(f->list, sizeof f->list, "%s", list);
}

bool rights_ask(const struct access *a, const struct inventory *v, struct watch_ask *ask,
    struct api_error *e)
{
	if (!may(a, right_of_ask(ask->what), e))
		return false;
	if (ask->what == WATCH_CERTIFICATES) {
		narrow_filter(a, v, &ask->filter);
		return ask->filter.list[0] == '\0' || access_list(a, ask->filter.list) ||
		       no_list(e);
	}
	if (ask->what == WATCH_INCIDENT_DROP)
		return reaches_incident(a, e);
	if (ask->what == WATCH_INCIDENTS || ask->what == WATCH_INCIDENT_ONE)
		return true; /* those that it sees */
	if (ask->name[0] != '\0' && !access_list(a, ask->name))
		return no_list(e);
	if (ask->what == WATCH_REMOVE && !access_issuer(a, ask->issuer)) {
		api_fail(
		    e, 404, "not_found", "the watchlist does not have this certificate");
		return false;
	}
	return ask->what != WATCH_DROP || reaches_whole(a, e);
}

bool rights_upload(const struct access *a, const struct upload *u, struct api_error *e)
{
	if (!may(a, right_of_upload(u->call), e))
		return false;
	if (u->call == UPLOAD_STATUS)
		return true;
	if (u->call == UPLOAD_INCIDENT)
		return reaches_incident(a, e);
	if (!access_list(a, u->name))
		return u->call == UPLOAD_ADD
			   ? no_list(e)
			   : too_far(e, "its watchlists have other names");
	return reaches_whole(a, e);
}

/* What is told. */

#define TELLING_NAME 64 /* room for either, with NUL: NAME_MAX_OCTETS */

/* By issuer and by watchlist, "" for all: what a token has only one of is that one. */
static bool narrow_telling(
    const struct access *a, char *issuer, char *list, struct api_error *e)
{
	const char *only_issuer = access_only_issuer(a), *only_list = access_only_list(a);

	if (issuer[0] == '\0' && only_issuer != NULL)
		snprintf(issuer, TELLING_NAME, "%s", only_issuer);
	if (list[0] == '\0' && only_list != NULL)
		snprintf(list, TELLING_NAME, "%s", only_list);
	if (issuer[0] != '\0' && !access_issuer(a, issuer))
		return no_issuer(e);
	if (list[0] != '\0' && !access_list(a, list))
		return no_list(e);
	return list[0] != '\0' || a->lists_n == 0 ||
	       too_far(e, "name one of its watchlists (watchlist=)");
}

bool rights_hook(const struct access *a, struct hook_ask *ask, struct api_error *e)
{
	struct hook_body *b = ask->body;

	if (!may(a, right_of_hook(ask->what), e))
		return false;
	if (ask->what != HOOK_PUT || !access_is_narrow(a))
		return true;
	if (!narrow_telling(a, b->issuer, b->watchlist, e))
		return false;
	return b->issuer[0] != '\0' || a->issuers_n <= WEBHOOK_ISSUERS_MAX ||
	       too_far(e, "name one of its issuers (issuer)");
}

bool rights_events(const struct access *a, struct events_query *q, struct api_error *e)
{
	return may(a, RIGHT_SUBSCRIBE, e) &&
	       (!access_is_narrow(a) || narrow_telling(a, q->issuer, q->watchlist, e));
}

bool rights_alarms(const struct access *a, struct api_error *e)
{
	return may(a, RIGHT_READ, e);
}
