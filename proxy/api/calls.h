/* calls.h - what the API can ask the keeper: one call, run on the keeper's thread, its
 * answer as JSON.
 *
 * A call is a message both ways (proxy/base/inbox.h).  The JSON value is
 * made on the keeper's thread and handed over with the message: never touched by two
 * threads at once.
 *
 * Some calls wait for the store, the disk, a responder, or for the issuer's lists to be
 * opened (GET /v1/status and /v1/explain, for answer-timeout; then 503).  struct calls is
 * the list of these: it belongs to the API that makes the calls and is touched on the
 * keeper's thread only.  Before the API ends it posts a CALL_STOP: what waits for a
 * responder comes back with 503 at once, what waits for the store or the disk when that
 * has answered (a purge of a whole issuer out of a large Redis may take seconds), and
 * nothing new is begun.  So nothing here outlives the keeper.
 */
#ifndef PROXY_API_CALLS_H
#define PROXY_API_CALLS_H

#include <jansson.h>

#include "cache/base/key.h"
#include "proxy/base/access.h"
#include "proxy/base/audit.h"
#include "proxy/base/inbox.h"

struct shared_file; /* cache/base/shared_file.h */
struct keeper;
struct calls;

enum call_what {
	CALL_ISSUERS,      /* GET /v1/issuers */
	CALL_STATUS,       /* GET /v1/status/{issuer}/{serial} */
	CALL_EXPLAIN,      /* GET /v1/explain/{issuer}/{serial} */
	CALL_REFRESH,      /* POST /v1/refresh */
	CALL_PURGE,        /* POST /v1/purge */
	CALL_LATCHES,      /* GET /v1/latches: the body is a file */
	CALL_LATCH_DELETE, /* DELETE /v1/latches/{issuer}/{serial} */
	CALL_READY,        /* GET /readyz: 200 or 503 */
	CALL_METRICS,      /* GET /metrics: body is a JSON string with the text */
	CALL_STOP          /* end what is under way, begin nothing more */
};

struct call {
	struct question question; /* to shared->keeper, with call_take */
	struct calls *calls;
	enum call_what what;
	struct access *access; /* who asks: a reference of the asker, or NULL */
	struct audit audit;    /* the asker's */
	char issuer[64];       /* CALL_LATCHES: "" for all */
	bool has_serial;
	struct serial serial;
	bool openmetrics;
	bool brief;         /* CALL_READY: whether, and not why */
	bool accept_number; /* CALL_REFRESH: the lists may begin a new count */
	/* outcome: */
	int http_status;          /* 200, 202, 204, 404, 500, 503 */
	struct shared_file *file; /* CALL_LATCHES: a reference for the asker, or NULL */
	json_t *body; /* owned by the asker now; NULL for 202, 204 and out of memory */
};

struct calls *calls_new(void); /* any thread; NULL when out of memory */
/* After the CALL_STOP has come back, or when no call was ever posted. */
void calls_free(struct calls *all);

/* The run of a call, for shared->keeper, whose arg is the keeper: carries it out, now or
 * after a fetch, and answers it exactly once. */
void call_take(void *keeper, struct msg *m);

#endif
