/* hook_store.h - webhooks and how far each is, where it outlives us.
 *
 * Two kinds.  With lmdb: DIR/hooks.mdb, an environment of its own and not watch.mdb: LMDB
 * has one writer at a time, and a delivery would wait for the transactions of a watchlist
 * of millions.  With redis… and store-key-file: hook_redis.c, where the nodes share them.
 * With memory:, or without the key, there is none (hook_store_refusal()).
 *
 * It has a table of all webhooks: filled when it settles, and kept up with what others
 * change.  A webhook there is told to the owner (`put`), and told again when it is
 * another.
 *
 * One node delivers a webhook: who has its lease.  It ends by itself after HOOK_LEASE_MS,
 * is taken by anybody then, and each hook_store_keep() and hook_store_save() makes it
 * last anew.  A position is saved in one step with the look at the lease, so that a node
 * that lost it (it was stopped, or cut off) saves nothing over what its successor has:
 * ERR_CONFLICT.  What it had delivered meanwhile is delivered again.  With lmdb: the
 * lease is always ours.
 *
 * Durable means: synced when `done` is called (lmdb:), as durable as Redis is (redis…).
 *
 * Callbacks come from the loop, each exactly once, possibly before the call returns, and
 * with ERR_CANCELLED from hook_store_close().  One thread: that of the loop.
 */
#ifndef PROXY_PUSH_HOOK_STORE_H
#define PROXY_PUSH_HOOK_STORE_H

#include "cache/base/exec.h"
#include "cache/watch/webhook.h"
#include "conf/conf.h"

/* Of all nodes together.  A thousand are what is promised; each costs 3 KB of memory, and
 * all of them have to fit into one reply of Redis (hook_redis.c). */
#define HOOKS_MAX 4096
/* Longer than a Redis that restarts is away; so long nobody delivers what a dead node
 * delivered.  A node that starts again takes its own leases at once. */
#define HOOK_LEASE_MS 15000

struct event_base;
struct hook_store;

struct hook_store_config {
	const struct conf *conf; /* for the call: store, prefix, timeouts, keys */
	struct event_base *base;
	struct exec exec; /* writes to disk, and looks names up */
	/* A webhook is new or another.  before: NULL, or what it was.  Both borrowed. */
	void (*put)(void *arg, const struct webhook *w, const struct webhook *before);
	void (*dropped)(void *arg, const struct webhook *w);
	/* Once: the table is whole.  With Redis away that may be long after the opening.
	 */
	void (*settled)(void *arg);
	void *arg;
};

/* Does this configuration have one?  NULL: yes; else for people why not, with the
 * option's name.  Static. */
const char *hook_store_refusal(const struct conf *c);

/* ERR_STORE, ERR_NOMEM with a line in why. */
enum err hook_store_open(
    struct hook_store **out, const struct hook_store_config *c, char *why, size_t why_n);
/* The executor has stopped.  NULL is allowed. */
void hook_store_close(struct hook_store *s);

/* Can it be read and written now?  False: why says what is wrong, and the remedy. */
bool hook_store_is_up(const struct hook_store *s, char *why, size_t why_n);
bool hook_store_has_settled(const struct hook_store *s);

/* The table, by name.  Borrowed until the loop turns. */
const struct webhook *hook_store_find(const struct hook_store *s, const char *name);
size_t hook_store_count(const struct hook_store *s);
const struct webhook *hook_store_at(const struct hook_store *s, size_t i);

typedef void hook_done_fn(void *arg, enum err e);
/* state: borrowed for the call; NULL: none was saved yet, or e is not ERR_OK. */
typedef void hook_state_fn(void *arg, enum err e, const struct webhook_state *state);

/* w in the place of `before` (of the table; NULL: there is none).  When done, the table
 * has it, and `put` was called.  ERR_CONFLICT: another one stands there.  ERR_STORE,
 * ERR_STORE_TIMEOUT (it may have been done), ERR_STORE_FULL, ERR_NOMEM. */
void hook_store_put(struct hook_store *s, const struct webhook *w,
    const struct webhook *before, hook_done_fn *done, void *arg);
/* w, of the table, goes, and its state.  The same errors. */
void hook_store_drop(
    struct hook_store *s, const struct webhook *w, hook_done_fn *done, void *arg);

/* The state that was saved last, by whichever node.  ERR_STORE, ERR_STORE_TIMEOUT,
 * ERR_NOMEM, as in all that follow. */
void hook_store_state(
    struct hook_store *s, const char *name, hook_state_fn *done, void *arg);

/* Take the lease of a webhook; with ERR_OK the state to go on from comes in the same
 * step.  ERR_CONFLICT: another node has it. */
void hook_store_take(
    struct hook_store *s, const char *name, hook_state_fn *done, void *arg);
/* It lasts anew.  ERR_CONFLICT: it is not ours any more. */
void hook_store_keep(
    struct hook_store *s, const char *name, hook_done_fn *done, void *arg);
/* Another node may take it at once.  Nobody waits for it. */
void hook_store_leave(struct hook_store *s, const char *name);
/* Is it ours, by this node's clock, for a while yet?  Who asks before he sends delivers
 * nothing beside a successor, but what was on its way. */
bool hook_store_holds(const struct hook_store *s, const char *name);

/* ERR_CONFLICT: the lease is not ours any more; nothing was saved.  ERR_NOT_FOUND: the
 * webhook is gone.  state is copied. */
void hook_store_save(struct hook_store *s, const char *name,
    const struct webhook_state *state, hook_done_fn *done, void *arg);

#endif
