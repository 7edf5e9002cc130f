/* hook_core.h - what the two kinds of hook_store.h have in common: the table.
 *
 * The thread of the store's loop.
 */
#ifndef PROXY_PUSH_HOOK_CORE_H
#define PROXY_PUSH_HOOK_CORE_H

#include "proxy/push/hook_store.h"

struct event;

struct hook_slot {
	const struct webhook *w; /* a reference */
	/* hook_redis.c: as it stands there, and the state that was seen last. */
	uint8_t *raw, *state;
	size_t raw_n, state_n;
	int64_t held_until_ms; /* monotonic; the lease is ours; 0: it is not */
	uint64_t seen;         /* by the look of this number */
	int64_t missed_ms; /* monotonic: since when none has seen it; 0: it is there */
};

struct hook_store_ops {
	void (*close)(struct hook_store *s);
	/* The loop turns: whoever opened the store knows it by now. */
	void (*begin)(struct hook_store *s);
	bool (*is_up)(const struct hook_store *s, char *why, size_t why_n);
	/* w NULL: it is to go. */
	void (*change)(struct hook_store *s, const struct webhook *w,
	    const struct webhook *before, hook_done_fn *done, void *arg);
	void (*state)(
	    struct hook_store *s, const char *name, hook_state_fn *done, void *arg);
	void (*take)(
	    struct hook_store *s, const char *name, hook_state_fn *done, void *arg);
	void (*keep)(
	    struct hook_store *s, const char *name, hook_done_fn *done, void *arg);
	void (*leave)(struct hook_store *s, const char *name);
	bool (*holds)(const struct hook_store *s, const char *name);
	void (*save)(struct hook_store *s, const char *name,
	    const struct webhook_state *state, hook_done_fn *done, void *arg);
};

struct hook_store {
	const struct hook_store_ops *ops;
	struct hook_store_config config; /* but for conf */
	struct event *begin;
	bool settled;
	size_t n;
	struct hook_slot *slot[HOOKS_MAX]; /* by name */
};

/* As hook_store_open(), of a store of zeroes that is closed on failure, too. */
enum err hook_file_open(
    struct hook_store **out, const struct hook_store_config *c, char *why, size_t why_n);
enum err hook_redis_open(
    struct hook_store **out, const struct hook_store_config *c, char *why, size_t why_n);

/* The part of the table; false: out of memory. */
bool hook_core_init(struct hook_store *s, const struct hook_store_ops *ops,
    const struct hook_store_config *c);
void hook_core_clear(struct hook_store *s);
void hook_core_settle(struct hook_store *s); /* once; again is nothing */

struct hook_slot *hook_core_find(const struct hook_store *s, const char *name);
/* w (a reference is taken) is in the table, and the owner was told, unless the very same
 * is there.  NULL: out of memory, or there are HOOKS_MAX others. */
struct hook_slot *hook_core_put(struct hook_store *s, const struct webhook *w);
/* It is in the table no more, and the owner was told. */
void hook_core_drop(struct hook_store *s, const char *name);

#endif
