/* incident_upload.c - a line is a serial and a CA; the rest of it means nothing. */
#include "proxy/watch/incident_upload.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/watch/known.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/notices.h"
#include "proxy/watch/telling.h"

struct incident_upload {
	struct watch_context *context;
	struct incident_about *about;
	const struct access *access;
	struct known *known;             /* a reference */
	const struct issuer *configured; /* of ?issuer=, or NULL */
	uint8_t aki[WATCH_AKI_MAX];      /* of ?issuer=, where that is none */
	size_t aki_n;
	struct telling_count count;
	const struct inventory *counted; /* a reference while it counts */
	void (*done)(void *arg, bool counted, size_t hit);
	void *arg;
};

struct incident_upload *incident_upload_new(struct watch_context *context,
    struct incident_about *about, const struct access *access)
{
	struct incident_upload *u = calloc(1, sizeof *u);
	struct bytes issuer = bytes_of(about->issuer, strlen(about->issuer));

	if (u == NULL) {
		free(about);
		return NULL;
	}
	u->context = context;
	u->about = about;
	u->access = access;
	u->known = known_ref(context->known);
	if (issuer.n == 0)
		return u;
	u->configured = watch_issuers_named(u->known->index, issuer);
	if (u->configured == NULL && !watch_aki_from_hex(issuer, u->aki, &u->aki_n))
		u->aki_n = 0;
	if (u->configured == NULL && u->aki_n > 0)
		u->configured =
		    watch_issuers_with_key(u->known->index, bytes_of(u->aki, u->aki_n));
	return u;
}

void incident_upload_free(struct incident_upload *u)
{
	if (u == NULL)
		return;
	known_unref(u->known);
	free(u->about);
	free(u);
}

const char *incident_upload_name(const struct incident_upload *u)
{
	return u->about->name;
}

/* Who may. */

static const char *issuer_of(const struct inventory *v, const struct watch_range *r)
{
	const struct watch_ca *ca = watch_cas_at(v->cas, r->ca);

	return ca != NULL ? ca->issuer : "";
}

static bool has_issuers(const struct access *a)
{
	return a != NULL && a->issuers_n > 0;
}

bool incident_is_reached(
    const struct access *a, const struct inventory *v, const struct incident *i)
{
	for (size_t n = 0; has_issuers(a) && n < i->list->ranges_n; n++)
		if (!incident_is_about(v->cas, &i->list->ranges[n]) &&
		    !access_issuer(a, issuer_of(v, &i->list->ranges[n])))
			return false;
	return true;
}

bool incident_is_seen(
    const struct access *a, const struct inventory *v, const struct incident *i)
{
	bool seen = !has_issuers(a);

	for (size_t n = 0; !seen && n < i->list->ranges_n; n++)
		seen = incident_is_anybodys(v->cas, &i->list->ranges[n]) ||
		       access_issuer(a, issuer_of(v, &i->list->ranges[n]));
	return seen;
}

void refusal_of_incident(struct refusal *r, const struct watch_context *context)
{
	bool waits = shared_waits_for_lists(context->shared);

	r->status = waits ? 503 : 404;
	r->code = waits ? "unavailable" : "not_found";
	snprintf(r->message, sizeof r->message, "%s",
	    waits ? "the incidents have not been read from Redis yet; try again"
		  : "no incident has this name");
}

void refusal_of_reach(struct refusal *r)
{
	r->status = 403;
	r->code = "forbidden";
	snprintf(r->message, sizeof r->message, "%s",
	    "this reaches more than this token does; the incident has serials of other "
	    "issuers than this token");
}

static bool is_unknown(const struct incident_upload *u)
{
	const char *name = u->configured != NULL ? u->configured->name : "";

	return u->about->issuer[0] != '\0' && ((u->configured == NULL && u->aki_n == 0) ||
						  !access_issuer(u->access, name));
}

bool incident_upload_is_refused(const struct incident_upload *u, struct refusal *r)
{
	const struct inventory *v = ledger_inventory(u->context->shared);
	const struct incident *i = incidents_named(v->incidents, u->about->name);

	r->status = 0;
	if (is_unknown(u))
		refusal_of_issuer(r);
	else if (shared_waits_for_lists(u->context->shared))
		refusal_of_incident(r, u->context);
	else if (i != NULL && !incident_is_reached(u->access, v, i))
		refusal_of_reach(r);
	return r->status != 0;
}

/* Lines. */

enum err incident_upload_begin(const struct incident_upload *u, struct watch_draft *d)
{
	return incident_say(d, u->about);
}

static enum err add_of(
    struct incident_upload *u, struct watch_draft *d, struct watch_cert *c)
{
	if (c->configured == NULL && c->aki.n == 0)
		c->issuer_name = bytes_of(INCIDENT_ANYBODY, 1);
	known_complete(u->known, c);
	return watch_draft_add(d, c);
}

/* One of each issuer of the token. */
static enum err add_each(
    struct incident_upload *u, struct watch_draft *d, const struct watch_cert *c)
{
	enum err e = ERR_OK;

	for (size_t n = 0; e == ERR_OK && n < u->access->issuers_n; n++) {
		const char *name = u->access->issuers[n];
		struct watch_cert of = *c;

		of.configured =
		    watch_issuers_named(u->known->index, bytes_of(name, strlen(name)));
		of.issuer = name;
		if (of.configured != NULL)
			e = add_of(u, d, &of);
	}
	return e;
}

enum err incident_upload_add(
    struct incident_upload *u, struct watch_draft *d, const struct watch_cert *c)
{
	struct watch_cert only = {.line = c->line,
	    .serial = c->serial,
	    .configured = c->configured,
	    .issuer = c->issuer,
	    .aki = c->aki,
	    .not_before = WATCH_TIME_NONE,
	    .not_after = WATCH_TIME_NONE};

	if (c->configured == NULL && c->aki.n == 0) {
		only.configured = u->configured;
		only.aki = bytes_of(u->aki, u->configured == NULL ? u->aki_n : 0);
	}
	if (only.configured != NULL)
		only.issuer = only.configured->name;
	if (only.configured == NULL && only.aki.n == 0 && has_issuers(u->access))
		return add_each(u, d, &only);
	if (!access_issuer(u->access, only.issuer != NULL ? only.issuer : ""))
		return ERR_REQ_ISSUER;
	return add_of(u, d, &only);
}

/* Counting. */

static void on_counted(struct telling_count *c)
{
	struct incident_upload *u =
	    (struct incident_upload *)((char *)c -
				       offsetof(struct incident_upload, count));

	inventory_unref(u->counted);
	u->counted = NULL;
	u->done(u->arg, c->counted, c->n);
}

bool incident_upload_count(struct incident_upload *u,
    void (*done)(void *arg, bool counted, size_t hit), void *arg)
{
	const struct inventory *v = ledger_inventory(u->context->shared);
	const struct incident *i = incidents_named(v->incidents, u->about->name);

	if (i == NULL)
		return false;
	u->counted = inventory_ref(v);
	u->done = done;
	u->arg = arg;
	u->count = (struct telling_count){
	    .want = {.incident = i, .inventory = v}, .done = on_counted};
	telling_count(notices_telling(u->context->notices), &u->count);
	return true;
}
