/* calls.h - what the API can ask the keeper: one call, run on the keeper's thread, its
 * answer as JSON.
 *
 * A call is a message both ways (proxy/base/inbox.h).  The JSON value is
 * made on the keeper's thread and handed over with the message: never touched by two
 * threads at once.
 *
 * Some calls wait for the store, the disk, a responder, or for the issuer's lists to be
 * opened (GET /v1/status and /v1/explain, for answer-timeout; then 503).  struct ops is
 * the list of these: it belongs to the API that makes the calls and is touched on the
 * keeper's thread only.  Before the API ends it posts an OP_STOP: what waits for a
 * responder comes back with 503 at once, what waits for the store or the disk when that
 * has answered (a purge of a whole issuer out of a large Redis may take seconds), and
 * nothing new is begun.  So nothing here outlives the keeper.
 */
#ifndef PROXY_API_CALLS_H
#define PROXY_API_CALLS_H

#include "cache/base/key.h"
#include "proxy/base/inbox.h"

#include <jansson.h>

struct shared_file; /* cache/base/shared_file.h */
struct keeper;
struct ops;

enum op {
	OP_ISSUERS,      /* GET /v1/issuers */
	OP_STATUS,       /* GET /v1/status/{issuer}/{serial} */
	OP_EXPLAIN,      /* GET /v1/explain/{issuer}/{serial} */
	OP_REFRESH,      /* POST /v1/refresh */
	OP_PURGE,        /* POST /v1/purge */
	OP_LATCHES,      /* GET /v1/latches: the body is a file */
	OP_LATCH_DELETE, /* DELETE /v1/latches/{issuer}/{serial} */
	OP_READY,        /* GET /readyz: 200 or 503 */
	OP_METRICS,      /* GET /metrics: body is a JSON string with the text */
	OP_STOP          /* end what is under way, begin nothing more */
};

struct call {
	struct question question; /* to shared->keeper, with ops_call */
	struct ops *ops;
	enum op op;
	char issuer[64]; /* OP_LATCHES: "" for all */
	bool has_serial;
	struct serial serial;
	bool openmetrics;
	bool accept_number; /* OP_REFRESH: the lists may begin a new count */
	/* outcome: */
	int http_status;          /* 200, 202, 204, 404, 500, 503 */
	struct shared_file *file; /* OP_LATCHES: a reference for the asker, or NULL */
	json_t *body; /* owned by the asker now; NULL for 202, 204 and out of memory */
};

struct ops *ops_new(void); /* any thread; NULL when out of memory */
/* After the OP_STOP has come back, or when no call was ever posted. */
void ops_free(struct ops *o);

/* The run of a call, for shared->keeper, whose arg is the keeper. */
void ops_call(void *keeper, struct msg *m);

/* Keeper's thread: carry out c, now or after a fetch, and post it back exactly once. */
void ops_run(struct keeper *k, struct call *c);

/* The body of an error: {"error":{"code","message"}}.  NULL when out of memory. */
json_t *ops_error(const char *code, const char *message);

#endif
