/* refusal.h - why a call about watchlists is refused, in the words of the API; the same
 * for streamed calls and for others.
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_REFUSAL_H
#define PROXY_WATCH_REFUSAL_H

#include "cache/base/err.h"
#include "cache/watch/watch_error.h"
#include "proxy/watch/watch_context.h"

struct refusal {
	int status; /* HTTP; 0: it is not refused */
	const char *code;
	char message[640];
};

/* 400, with line and reason. */
void refusal_of_line(struct refusal *r, const struct watch_error *e);
/* What the ledger or a draft could not do: 507 where there is no room, 503 where we stop,
 * else 500, with what watch.mdb says.  context may be NULL with
 * ERR_NOMEM. */
void refusal_of_err(struct refusal *r, const struct watch_context *context, enum err e);
/* The same of a job that failed, or 503 where the shared store did. */
struct ledger_job;
void refusal_of_job(
    struct refusal *r, const struct watch_context *context, const struct ledger_job *j);
/* 404: no watchlist has this name; 503 while those of the shared store are not known. */
void refusal_of_list(struct refusal *r, const struct watch_context *context);
/* 404: it does not have this certificate; nobody is called so. */
void refusal_of_entry(struct refusal *r);
void refusal_of_issuer(struct refusal *r);
/* 409: it is read from files. */
void refusal_of_files(struct refusal *r, const char *name);
/* The same, before anything is done: it is, or will be, since a section of the
 * configuration has its name.  False: it is the API's to change. */
bool refusal_of_source(
    struct refusal *r, const struct watch_context *context, const char *name);
/* 503: the shared store is away.  False: lists can be changed. */
bool refusal_of_share(struct refusal *r, const struct watch_context *context);
/* 409: this store keeps none that come by the API; with the option that does.  False: it
 * does keep them, and is there (else 503). */
bool refusal_of_store(struct refusal *r, const struct watch_context *context);

#endif
