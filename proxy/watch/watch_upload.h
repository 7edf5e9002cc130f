/* watch_upload.h - a watchlist that comes as the body of a PUT or POST: read as it comes,
 * and applied as a whole when it is whole (ledger.h).
 *
 * A bad line ends it: 400 that names line and reason, and the list is what it was.  So
 * does a client that leaves before its body is whole; one that leaves later has its list
 * all the same.
 *
 * The answer says how many of the list's certificates are not covered (count.h), as of
 * the moment when it has come into force; where counting takes longer than
 * UPLOAD_COUNT_MS nobody waits for it, and it is null.
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_WATCH_UPLOAD_H
#define PROXY_WATCH_WATCH_UPLOAD_H

#include "cache/watch/incident.h"
#include "cache/watch/watch_body.h"
#include "cache/watch/watch_list.h"
#include "proxy/base/access.h"
#include "proxy/base/audit.h"
#include "proxy/http/conn.h"
#include "proxy/watch/watch_context.h"

#define UPLOAD_COUNT_MS 2000 /* a million certificates are counted in less */

enum watch_order_what {
	WATCH_ORDER_PUT,
	WATCH_ORDER_ADD,
	WATCH_ORDER_STATUS,
	WATCH_ORDER_INCIDENT /* incident_upload.h */
};

/* A streamed call on its way from the API; malloc'd, handed over. */
struct watch_order {
	struct msg msg;
	enum watch_order_what what;
	char name[WATCH_NAME_MAX]; /* not of WATCH_ORDER_STATUS */
	enum watch_format format;
	enum watch_base base;
	struct conn_taken taken;
	struct access *access; /* who asks: a reference, with an upload begun; or NULL */
	struct audit audit;
	struct incident_about *about; /* of an incident: owned; else NULL */
	char map[];                   /* of CSV (watch_csv.h), or "" */
};

/* What was taken, its place and who asked are given back unanswered: there is no memory.
 */
void watch_order_drop(struct watch_context *context, struct watch_order *o);

/* A PUT or a POST; what is taken, its place and who asks are handed over, o stays the
 * caller's. */
void watch_upload_open(struct watch_context *context, struct watch_order *o);

#endif
