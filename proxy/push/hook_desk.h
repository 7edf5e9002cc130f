/* hook_desk.h - what the API asks of webhooks: answered on the thread that delivers them.
 *
 * The desk reads and changes the store (hook_store.h), and asks the log where it ends,
 * for a webhook that is new begins there.  What is delivered meanwhile is the business of
 * whoever made the desk: he hears of each change by the store's `put` and `dropped`, and
 * lends the desk two things, `live` and `test`.
 *
 * Answered exactly once; after hook_desk_cancel() with 503 at once.
 *
 * The thread that delivers, but for what says otherwise.
 */
#ifndef PROXY_PUSH_HOOK_DESK_H
#define PROXY_PUSH_HOOK_DESK_H

#include "proxy/base/access.h"
#include "proxy/base/audit.h"
#include "proxy/base/shared.h"
#include "proxy/push/hook_store.h"

struct hook_desk;

/* Once, from the loop.  error: NULL: 2xx; else what went wrong, for people, borrowed. */
typedef void hook_tested_fn(void *arg, const char *error);

struct hook_desk_config {
	struct shared *shared;    /* shared->hook_desk is set */
	struct inbox *inbox;      /* of this thread: questions come there */
	struct hook_store *store; /* NULL: this configuration has none */
	/* How far it is, where this node delivers it: newer than what is saved.  False:
	 * it does not. */
	bool (*live)(void *arg, const char *name, struct webhook_state *out);
	/* Send a message of type test with this id ("test-…"), once, beside what is
	 * delivered, also of a webhook that is disabled. */
	void (*test)(void *arg, const struct webhook *w, const char *id,
	    hook_tested_fn *done, void *done_arg);
	void *arg;
};

/* NULL: out of memory.  Before the threads start. */
struct hook_desk *hook_desk_new(const struct hook_desk_config *c);
/* We stop: questions that wait for the store, the log or a test are answered when these
 * are, or their calls cancelled; what comes from now on at once. */
void hook_desk_cancel(struct hook_desk *d);
/* Are all answered?  The loop has to turn until then. */
bool hook_desk_is_idle(const struct hook_desk *d);
void hook_desk_free(struct hook_desk *d); /* NULL is allowed */

enum hook_ask_what {
	HOOK_LIST,  /* GET /v1/webhooks */
	HOOK_SHOW,  /* GET /v1/webhooks/{name} */
	HOOK_PUT,   /* PUT */
	HOOK_DROP,  /* DELETE */
	HOOK_TEST,  /* POST /v1/webhooks/{name}/test */
	HOOK_REPLAY /* POST /v1/webhooks/{name}/replay?since=ID */
};

struct hook_ask {
	struct question question; /* hook_desk_post() */
	enum hook_ask_what what;
	struct access *access;       /* who asks: a reference of the asker, or NULL */
	struct audit audit;          /* the asker's */
	char name[WEBHOOK_NAME_MAX]; /* but LIST */
	struct change_pos since;     /* REPLAY */
	struct hook_body *body;      /* PUT: hook_body.h; the asker's */
	/* outcome: */
	int status;        /* 200, 201, 202, 204, else an error */
	const char *code;  /* of an error, static */
	char message[384]; /* the same */
	char *text;        /* JSON and a line end, or NULL; the asker's to free */
	size_t text_n;
	/* the desk's: */
	struct hook_desk *_desk;
};

/* Any thread; a->question has its reply_to, done and owner. */
void hook_desk_post(struct hook_desk *d, struct hook_ask *a);

#endif
