/* change_log.h - the interface of the change log: durable before it is told.
 *
 * A log is a sequence of batches (change.h), numbered from 1 in each epoch, and beside it
 * one *told* pointer for each list's scope, moved in the same step that appends.  So a
 * list's changes are in the log exactly once whoever appends them: batch i goes in only
 * where told stands at i-1, and a node that dies is continued by any other.
 *
 * All calls and callbacks on the keeper's thread; each callback exactly once, possibly
 * before the call returns, never after close.  Nothing blocks.  Batches that are read are
 * checked: one that cannot be read is a gap, behind which readers go on, and is told as
 * an event of the hooks.
 *
 * Kinds: memory (lives with the process; its start is a new epoch), LMDB
 * (DIR/events.mdb, own environment, full sync), Redis (a Stream; layout at the top of
 * change_log_redis.c).
 */
#ifndef CACHE_CHANGE_CHANGE_LOG_H
#define CACHE_CHANGE_CHANGE_LOG_H

#include "cache/change/change.h"
#include "cache/change/change_told.h"
#include "cache/store/store.h"

#define CHANGE_SCOPE_N 32 /* SHA-256 over issuer name, NUL, scope */

struct change_log;

typedef void change_log_told_fn(void *arg, enum err e, const struct change_told *t);
/* e: ERR_OK; ERR_CONFLICT: told is not what was expected, nothing was done; ERR_STORE,
 * ERR_STORE_TIMEOUT (it may have been done all the same), ERR_STORE_FULL. */
typedef void change_log_done_fn(void *arg, enum err e, const struct change_pos *end);
/* e: ERR_OK; ERR_STORE, ERR_STORE_TIMEOUT, ERR_NOMEM: there are no batches.  A batch that
 * cannot be read is no error: it ends the page, or is a gap where the page would begin.
 * batches: borrowed for the call (take references), in order, may be none.  oldest: the
 * first place that can still be read from; newest: the end of the log. */
struct change_log_page {
	struct change_batch *const *batches;
	size_t n;
	struct change_pos oldest, newest;
	bool gap; /* what followed `from` is no longer kept, or from is not of this epoch
		   * or after the end: batches is empty */
};
typedef void change_log_page_fn(
    void *arg, enum err e, const struct change_log_page *page);

struct change_log_hooks {
	/* There may be more to read than this node appended. */
	void (*grown)(void *arg);
	/* As store_hooks.event. */
	void (*event)(void *arg, bool warn, const char *event, const char *text);
	void *arg;
};

struct change_log_config {
	const struct store_config *store; /* url, prefix, base, exec, timeouts */
	size_t size; /* events-size: memory and LMDB; the oldest batches go when it is
			full */
	int64_t now; /* seconds */
	struct change_log_hooks hooks;
};

enum err change_log_open(
    struct change_log **out, const struct change_log_config *c, char *why, size_t why_n);
void change_log_close(struct change_log *l); /* NULL is allowed */

void change_log_told(struct change_log *l, const uint8_t scope[CHANGE_SCOPE_N],
    change_log_told_fn *done, void *arg);

/* Append b (a reference is taken; its epoch and seq are set by then when done is called
 * with ERR_OK).
 * scope NULL: a single change, not of a list.  On a shared log it is left out where the
 * same (issuer, serial, status, revoked_at) was appended last for this certificate: then
 * done gets ERR_OK and b->seq stays 0.  What is of another kind than CHANGE_MOVES may
 * have several, and is appended as it is: it is no news of a certificate.
 * With a scope: only where told equals *expect, and told becomes *next in the same step;
 * b may be NULL, or have n 0: only told moves. */
void change_log_append(struct change_log *l, struct change_batch *b, const uint8_t *scope,
    const struct change_told *expect, const struct change_told *next,
    change_log_done_fn *done, void *arg);

/* Read what follows `from`: at most max_bytes of encoded batches, but one at least.
 * from->index is ignored but where it is below the batch's n: then that batch is the
 * first.  from->epoch 0: from the oldest. */
void change_log_read(struct change_log *l, const struct change_pos *from,
    size_t max_bytes, change_log_page_fn *done, void *arg);

/* Begin a new epoch: what readers have seen no longer leads to what comes. */
void change_log_new_epoch(struct change_log *l, change_log_done_fn *done, void *arg);

/* Drop batches that were appended before (seconds); now and then, by a clock that the
 * caller trusts (proxy/base/calm.h). */
void change_log_trim(struct change_log *l, int64_t before);

struct change_log_health {
	bool up;      /* can be read and written now */
	bool refuses; /* as in store_health, and the next two */
	bool shared;
	bool durable; /* survives kill -9 of us and of the store */
	const char *error, *remedy;
	const char *damage; /* what is in it and cannot be read; "" for nothing */
	struct change_pos oldest, newest; /* as far as this node knows */
	uint64_t bytes;
};
void change_log_health(const struct change_log *l, struct change_log_health *out);

/* For implementations. */
struct change_log_ops {
	void (*close)(struct change_log *l);
	void (*told)(struct change_log *l, const uint8_t *scope, change_log_told_fn *done,
	    void *arg);
	void (*append)(struct change_log *l, struct change_batch *b, const uint8_t *scope,
	    const struct change_told *expect, const struct change_told *next,
	    change_log_done_fn *done, void *arg);
	void (*read)(struct change_log *l, const struct change_pos *from,
	    size_t max_bytes, change_log_page_fn *done, void *arg);
	void (*new_epoch)(struct change_log *l, change_log_done_fn *done, void *arg);
	void (*trim)(struct change_log *l, int64_t before);
	void (*health)(const struct change_log *l, struct change_log_health *out);
};
struct change_log {
	const struct change_log_ops *ops;
};
enum err change_log_memory_open(
    struct change_log **out, const struct change_log_config *c, char *why, size_t n);
enum err change_log_lmdb_open(
    struct change_log **out, const struct change_log_config *c, char *why, size_t n);
enum err change_log_redis_open(
    struct change_log **out, const struct change_log_config *c, char *why, size_t n);

#endif
