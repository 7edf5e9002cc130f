/* telling.h - changes on their way into the log, and from there to the API's thread.
 *
 * Second law: know, then tell.  A change goes through a barrier first, so that no worker
 * can newly serve the old status; then into the log, durable; then it is told.
 *
 * Single changes come from answers (a latch that is new, a hold that began or ended).
 * The changes of a list come as a struct crl_diff: cut into batches of CHANGE_BATCH_MAX
 * by the diff alone, then filtered (a certificate that a latch or an answer already
 * showed revoked has not moved), and appended one after the other with the scope's told
 * pointer, which says where any node goes on.
 *
 * A latch stays marked untold on disk (latch.h) until its change is in the log: a kill
 * -9 between the two tells it again at the next start.
 *
 * A log that cannot be written (Redis away, disk full) holds changes back: they are
 * tried again, with back-off, in order for one issuer; nothing is dropped.
 *
 * Keeper's thread.
 */
#ifndef PROXY_TELLING_H
#define PROXY_TELLING_H

#include "cache/change_log.h"
#include "cache/crl_diff.h"
#include "proxy/parts.h"

struct telling;

/* opens nothing: log is handed over, and closed by telling_free(). */
struct telling *telling_new(const struct parts *parts, struct change_log *log);
/* Latches that an earlier life did not tell. */
void telling_start(struct telling *t);
void telling_cancel(struct telling *t); /* begin nothing more */
void telling_free(struct telling *t);

/* A certificate's effective status has moved, by an answer.  When: what has just been
 * taken in is in force on the keeper's side (hot table, latches).  revoked_at and reason:
 * of the revocation.  latch: the change is that of this new latch, to be marked told when
 * it is durable; NULL: no latch. */
struct single_change {
	const struct issuer *issuer;
	struct serial serial;
	enum change_status now, before;
	int64_t revoked_at;
	int reason;
	int64_t this_update; /* of the answer */
	const struct latch *latch;
};
void telling_single(struct telling *t, const struct single_change *c);

/* A list has come into force. */
struct list_change {
	char issuer[64];
	uint8_t scope[CHANGE_SCOPE_N];
	bool baseline; /* nothing was ever told by this node: from is not known */
	uint8_t from[32], to[32]; /* SHA-256 of the list that was told last, and of this
				     one */
	struct crl_facts facts;   /* of `to` */
	int64_t seen_at_ms;
	struct crl_diff *diff; /* handed over; NULL: no changes */
	/* Called once, from the loop: everything is in the log, by whichever node (or
	 * belongs to a newer list that another node has told), and `to` is now what this
	 * node has told last.  ERR_CANCELLED: stopped before. */
	void (*done)(void *arg, enum err e);
	void *arg;
};
/* One at a time for a scope.  l is copied. */
void telling_list(struct telling *t, const struct list_change *l);

/* The log has grown, perhaps by others: what follows goes to the API. */
void telling_grown(struct telling *t);

/* How the API's thread hears of it and asks for what was before.  Posted to api (from
 * telling_listen() on, in order, without gaps within an epoch). */
struct telling_news {
	struct msg msg; /* run: set by the listener */
	struct change_batch
	    *batch; /* a reference; NULL: only `end` has moved (new epoch) */
	struct change_pos end;
};
struct telling_ask {             /* asked and answered by message, as struct ask */
	struct msg msg;          /* run: telling_read, posted to shared->keeper */
	struct telling *telling; /* shared->telling */
	struct change_pos from;
	size_t max_bytes;
	struct inbox *reply_to;
	void (*done)(void *inbox_arg, struct telling_ask *a); /* on the asker's thread */
	void *owner;
	/* outcome: */
	enum err error;
	struct change_batch **batches; /* references and array are the asker's now */
	size_t n;
	struct change_pos oldest, newest;
	bool gap;
};
/* The run of a telling_ask's msg. */
void telling_read(void *inbox_arg, struct msg *m);
/* Any time before the threads start: news go to inbox as messages with this run. */
void telling_listen(
    struct telling *t, struct inbox *inbox, void (*run)(void *inbox_arg, struct msg *m));
/* The end of the log as it is known now. */
void telling_end(const struct telling *t, struct change_pos *end);

struct metrics_text;
void telling_gauges(struct telling *t, struct metrics_text *text);

#endif
