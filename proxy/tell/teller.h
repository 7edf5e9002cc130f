/* teller.h - changes on their way into the log, and from there to the API's thread.
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
 * The first list of a scope comes as one from nothing, in which only what is watched is
 * there to be told (crl_diff_first()); what watchlists have gained, and is revoked
 * already, as batches that the inventory thread makes (proxy/watch/gains.h).
 *
 * A latch stays marked untold on disk (latch.h) until its change is in the log: a kill
 * -9 between the two tells it again at the next start.
 *
 * A log that cannot be written (Redis away, disk full) holds changes back: they are
 * tried again, with back-off, in order for one issuer; nothing is dropped.
 *
 * Keeper's thread.
 */
#ifndef PROXY_TELL_TELLER_H
#define PROXY_TELL_TELLER_H

#include <sys/queue.h>

#include "cache/change/change_log.h"
#include "cache/change/crl_diff.h"
#include "cache/held/latch_file.h"
#include "proxy/base/context.h"
#include "proxy/base/thread.h"

struct batches;
struct teller;

/* log is handed over, and closed by teller_free().  NULL when out of memory: then it is
 * the caller's still. */
struct teller *teller_new(const struct context *context, struct latches *latches,
    struct latch_file *latch_file, struct change_log *log);
/* Latches that an earlier life did not tell. */
void teller_start(struct teller *t);
/* Before the start: from here on alarms are told as well (alarm_teller.h), this
 * process's, by this teller alone.  False: out of memory. */
bool teller_alarms(struct teller *t, const char *state_directory);
/* Lists under way end with ERR_CANCELLED, questions are answered with it, and no news are
 * posted any more: the API's inbox may go.  Single changes that wait still go into the
 * log as long as the loop turns: without a latch nobody would tell them again.  May be
 * called twice. */
void teller_cancel(struct teller *t);
/* Closes the log.  Before or after barrier_free(). */
void teller_free(struct teller *t);

/* A certificate's effective status has moved, by an answer.  When: what has just been
 * taken in is in force on the keeper's side (hot table, latches).  revoked_at and reason:
 * of the revocation.  latch: the change is that of this new latch, which is in the
 * table with untold set, to be marked told when it is durable; NULL: no latch. */
struct single_change {
	const struct issuer *issuer;
	struct serial serial;
	enum change_status now, before;
	int64_t revoked_at;
	int reason;
	int64_t this_update; /* of the answer */
	const struct latch *latch;
};
void teller_single(struct teller *t, const struct single_change *c);

/* A list has come into force. */
struct list_change {
	char issuer[64];
	uint8_t scope[CHANGE_SCOPE_N];
	bool baseline; /* nothing was ever told by this node: from is not known */
	/* With baseline: this node has told lists, and cannot read any more which was
	 * the last; or it is not the first that was in force.  Where the log does not say
	 * that `to` or a newer one was told, what led to `to` is missing in it: a gap. */
	bool lost;
	/* crl_facts.sha256 of the list that was told last, and of this one */
	uint8_t from[32], to[32];
	struct crl_facts facts; /* of `to`; CRL_WARN_ACCEPTED: it begins a new count, and
				   is told whatever dates others have told */
	int64_t seen_at_ms;     /* when this node found it */
	/* Since when a list of this scope is in force that is not told: wall clock,
	 * before seen_at_ms where lists came faster than they could be told.  What an
	 * answer has said since then was not told by itself. */
	int64_t untold_since_ms;
	/* Handed over; NULL: no changes.  With baseline: crl_diff_first(). */
	struct crl_diff *diff;
	/* Called once, from the loop, never before teller_list() returns.  ERR_OK:
	 * everything is in the log, by whichever node (or belongs to a newer list that
	 * another node has told), and `to` is now what this node has told last.
	 * ERR_CANCELLED: stopped before. */
	void (*done)(void *arg, enum err e);
	void *arg;
};
/* One at a time for a scope.  l is copied.  False: out of memory; nothing was begun, and
 * l->diff is the caller's still. */
bool teller_list(struct teller *t, const struct list_change *l);

/* A batch that another thread has made, of any kind but CHANGE_MOVES. */
struct teller_batch {
	struct question question;   /* to shared->keeper, with teller_append */
	struct teller *teller;      /* shared->teller */
	struct change_batch *batch; /* the asker's reference; with changes */
	/* NULL, or one of change_log_append(), which then does as that says: batch may be
	 * NULL, so that only told moves. */
	const uint8_t *scope;
	struct change_told expect, next;
	/* Outcome.  ERR_OK: it is durable, and told.  ERR_CANCELLED: we stop; it may be
	 * in the log all the same.  ERR_CONFLICT: told is not what was expected; by this
	 * batch, where the log did not say so when it was written. */
	enum err error;
	/* the teller's: */
	struct batches *_all;
	struct barrier_want _want;
	LIST_ENTRY(teller_batch) _link;
	TAILQ_ENTRY(teller_batch) _ready;
};
/* The run of a teller_batch; answered when it is in the log, however long that takes. */
void teller_append(void *inbox_arg, struct msg *m);

/* How far is a scope told? */
struct teller_scope {
	struct question question; /* to shared->keeper, with teller_scope_ask */
	struct teller *teller;    /* shared->teller */
	uint8_t scope[CHANGE_SCOPE_N];
	/* Outcome.  ERR_STORE, ERR_STORE_TIMEOUT: the log is away; ERR_CANCELLED: we
	 * stop. */
	enum err error;
	struct change_told told;
};
/* The run of a teller_scope. */
void teller_scope_ask(void *inbox_arg, struct msg *m);

/* The log has grown, perhaps by others: what follows goes to the API. */
void teller_grown(struct teller *t);

/* How the API's thread hears of it and asks for what was before.  Posted to the API's
 * inbox from teller_listen() on, in order, without gaps or repeats within an epoch.  At
 * most TELLER_NEWS_MAX bytes of batches are out at a time; what follows is read from the
 * log when they have been given back, so that a list of millions never piles up here. */
#define TELLER_NEWS_MAX ((size_t)16 << 20)
struct teller_flow;
struct teller_news {
	struct msg msg; /* run: set by the listener */
	/* The log holds it from here on; NULL: only `end` has moved, and what lies before
	 * it is not told (a new epoch, or more than the log keeps): a gap.  A listener
	 * who keeps it longer than the news takes a reference. */
	struct change_batch *batch;
	struct change_pos end;
	/* Monotonic: when this node knew it to be durable.  Whoever has told it observes
	 * H_DURABLE_TOLD with its own counters. */
	int64_t durable_at_us;
	struct teller_flow *_flow;
};
/* Each of them, once, when it is done with: drops the batch and frees n.  Any thread. */
void teller_news_done(struct teller_news *n);

struct teller_ask {
	struct question question; /* to shared->keeper, with teller_read */
	struct teller *teller;    /* shared->teller */
	struct change_pos from;
	size_t max_bytes;
	/* outcome: */
	enum err error; /* ERR_OK; ERR_CANCELLED: stopping; ERR_NOMEM; that of the log */
	struct change_batch **batches; /* references and array are the asker's now */
	size_t n;
	struct change_pos oldest, newest;
	bool gap;
};
/* The run of a teller_ask. */
void teller_read(void *inbox_arg, struct msg *m);
/* Any time before the threads start, and before teller_start(): news go to inbox as
 * messages with this run. */
void teller_listen(
    struct teller *t, struct inbox *inbox, void (*run)(void *inbox_arg, struct msg *m));
/* The same time: whoever reads pages is told by this order that there may be more. */
void teller_grows(struct teller *t, struct order *order, struct inbox *inbox);
/* The place up to which news were posted; without a listener the end of the log as it is
 * known now.  epoch 0: not known yet (a log that could not be reached so far); the first
 * news then has no batch.  Keeper's thread, or before the threads start. */
void teller_end(const struct teller *t, struct change_pos *end);
/* From where on changes have to be told to who has been told all that this node knows:
 * teller_end(), but on a shared log the oldest place that is kept, since another node
 * may have told what this one has no evidence of yet.  At least once is the promise. */
void teller_known_from(const struct teller *t, struct change_pos *from);

/* Once a second, from the keeper's tick: sees whether what waits moves. */
void teller_tick(struct teller *t);
struct teller_health {
	struct change_log_health log;
	uint64_t waiting;   /* changes that are not in the log yet */
	int64_t waiting_ms; /* for so long some wait and none got there */
	enum err why;       /* of the last write that failed; ERR_OK: none since */
};
void teller_health(const struct teller *t, struct teller_health *out);

struct metrics_text;
void teller_gauges(struct teller *t, struct metrics_text *text);

#endif
