/* ops.h - what the API can ask the keeper: one call, run on the keeper's thread, its
 * answer as JSON.
 *
 * A call is a message both ways, as an ask is (proxy/ask.h).  The JSON value is made on
 * the keeper's thread and handed over with the message: never touched by two threads at
 * once.
 */
#ifndef PROXY_OPS_H
#define PROXY_OPS_H

#include "cache/key.h"
#include "proxy/inbox.h"

#include <jansson.h>

struct keeper;

enum op {
	OP_ISSUERS,      /* GET /v1/issuers */
	OP_STATUS,       /* GET /v1/status/{issuer}/{serial} */
	OP_EXPLAIN,      /* GET /v1/explain/{issuer}/{serial} */
	OP_REFRESH,      /* POST /v1/refresh */
	OP_PURGE,        /* POST /v1/purge */
	OP_LATCH_DELETE, /* DELETE /v1/latches/{issuer}/{serial} */
	OP_READY,  /* GET /readyz: status 200 or 503, body {"ready":bool,"reasons":[...]}
		    */
	OP_METRICS /* GET /metrics: body is a JSON string with the text */
};

struct call {
	struct msg msg;
	enum op op;
	char issuer[64];
	bool has_serial;
	struct serial serial;
	bool openmetrics;
	struct inbox *reply_to;
	/* outcome: */
	int http_status; /* 200, 202, 204, 404, 503 */
	json_t *body;    /* owned by the asker now; NULL for 202 and 204 */
	/* the asker's own: */
	void *owner;
	void (*done)(void *inbox_arg, struct call *c);
};

/* Keeper's thread: carry out c, now or after a fetch, and post it back exactly once. */
void ops_run(struct keeper *k, struct call *c);

#endif
