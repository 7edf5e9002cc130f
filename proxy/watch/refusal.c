/* refusal.c - a status, a code and a sentence for each. */
#include "proxy/watch/refusal.h"

#include <stdarg.h>
#include <stdio.h>

#include "cache/watch/watch_db.h"
#include "proxy/watch/share.h"

static void fill(struct refusal *r, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void fill(struct refusal *r, int status, const char *code, const char *format, ...)
{
	va_list ap;

	r->status = status;
	r->code = code;
	va_start(ap, format);
	vsnprintf(r->message, sizeof r->message, format, ap);
	va_end(ap);
}

void refusal_of_line(struct refusal *r, const struct watch_error *e)
{
	if (e->code == WATCH_NOMEM)
		fill(r, 500, "internal", "%s", err_text(ERR_NOMEM));
	else if (e->line > 0)
		fill(r, 400, watch_bad_label(e->code), "line %llu: %s",
		    (unsigned long long)e->line, e->why);
	else
		fill(r, 400, watch_bad_label(e->code), "%s", e->why);
}

void refusal_of_err(struct refusal *r, const struct watch_context *context, enum err e)
{
	char why[512] = "";

	if (e == ERR_STORE || e == ERR_RECORD)
		watch_db_why(ledger_db(context->ledger), why, sizeof why);
	if (e == ERR_STORE_FULL)
		fill(r, 507, "store_full",
		    "watch.mdb in %.300s, or its disk, is full; nothing has changed: "
		    "remove watchlists, or raise watch-size",
		    ledger_dir(context->ledger));
	else if (e == ERR_CANCELLED)
		fill(r, 503, "unavailable", "ocspcached is stopping");
	else
		fill(r, 500, "internal", "%s%s%s", err_text(e),
		    why[0] != '\0' ? ": " : "", why);
}

void refusal_of_job(
    struct refusal *r, const struct watch_context *context, const struct ledger_job *j)
{
	if (!j->shared || j->error == ERR_CANCELLED || j->error == ERR_NOMEM)
		refusal_of_err(r, context, j->error);
	else if (j->error == ERR_STORE_FULL)
		fill(r, 507, "store_full",
		    "Redis has no room; the list is what it was: remove watchlists, or "
		    "raise maxmemory");
	else if (j->error == ERR_CONFLICT)
		fill(r, 503, "unavailable",
		    "others change this list all the time; it has not been changed: try "
		    "again");
	else
		fill(r, 503, "unavailable",
		    "Redis was lost in the middle: the list is the old one or the new "
		    "one; try again");
}

void refusal_of_list(struct refusal *r, const struct watch_context *context)
{
	if (shared_waits_for_lists(context->shared))
		fill(r, 503, "unavailable",
		    "the watchlists have not been read from Redis yet; try again");
	else
		fill(r, 404, "not_found", "no watchlist has this name");
}

void refusal_of_entry(struct refusal *r)
{
	fill(r, 404, "not_found", "this certificate is not on the watchlist");
}

void refusal_of_issuer(struct refusal *r)
{
	fill(r, 404, "not_found",
	    "no issuer has this name, and no watched certificate is of a CA with this "
	    "key identifier");
}

void refusal_of_files(struct refusal *r, const char *name)
{
	fill(r, 409, "conflict",
	    "watchlist %s is read from files: change these, or its section in the "
	    "configuration",
	    name);
}

bool refusal_of_source(
    struct refusal *r, const struct watch_context *context, const char *name)
{
	const struct watch_list *list =
	    inventory_list(ledger_inventory(context->shared), name);

	/* One of the API that has the name of a section can still be deleted. */
	if (list != NULL
		? list->source == WATCH_API
		: conf_watchlist_named(shared_conf(context->shared), name) == NULL)
		return false;
	refusal_of_files(r, name);
	return true;
}

bool refusal_of_share(struct refusal *r, const struct watch_context *context)
{
	if (context->share == NULL || share_is_up(context->share))
		return false;
	fill(r, 503, "unavailable",
	    "Redis is away, and nothing has changed: watchlists stay as they are until "
	    "it "
	    "is back; try again");
	return true;
}

bool refusal_of_store(struct refusal *r, const struct watch_context *context)
{
	const char *store = shared_conf(context->shared)->store;

	if (strncmp(store, "lmdb:", 5) == 0)
		return false;
	if (strncmp(store, "memory:", 7) == 0)
		fill(r, 409, "conflict",
		    "with store = \"memory:\" watchlists of the API would be lost with "
		    "the process: set store to lmdb:DIR");
	else if (context->share != NULL)
		return refusal_of_share(r, context);
	else
		fill(r, 409, "conflict",
		    "a shared store takes watchlists only under a MAC: set "
		    "store-key-file, the same on all nodes");
	return true;
}
