/* hook_redis_core.h - what the parts of hook_redis.c have in common: calls to Redis,
 * looks at what is there, changes of it.
 *
 * The thread of the store's loop.
 */
#ifndef PROXY_PUSH_HOOK_REDIS_CORE_H
#define PROXY_PUSH_HOOK_REDIS_CORE_H

#include "cache/redis/redis_call.h"
#include "proxy/base/timer.h"
#include "proxy/push/hook_core.h"
#include "proxy/push/hook_sealed.h"
#include "proxy/watch/node.h"

#define HOOK_TRACK    "{h}:h:"
#define HOOK_TOKEN_N  (NODE_N + 16)
#define HOOK_KEY_ROOM (REDIS_PREFIX_MAX + WEBHOOK_NAME_MAX + sizeof "{h}:h:hooks")
#define HOOK_NEWS_MS  100 /* so long more news are waited for before a look */

enum hook_script {
	HOOK_SCRIPT_LOOK,
	HOOK_SCRIPT_CHANGE,
	HOOK_SCRIPT_TAKE,
	HOOK_SCRIPT_KEEP,
	HOOK_SCRIPT_LEAVE,
	HOOK_SCRIPT_SAVE,
	HOOK_SCRIPTS
};
extern const char *const hook_scripts[HOOK_SCRIPTS + 1]; /* NULL at the end */
extern const char hook_trial[];

struct hook_redis {
	struct hook_store store; /* first */
	struct redis_link *link;
	char *prefix;
	struct redis_script script[HOOK_SCRIPTS];
	struct hook_seals seals;
	uint8_t token[HOOK_TOKEN_N]; /* of a lease: our node's id, and our run's */
	struct event *timer;         /* the next look */
	bool looking, again;
	uint64_t looks;
	size_t missing;                 /* by the last look */
	char refused[WEBHOOK_NAME_MAX]; /* the last that was told to be unreadable */
	uint64_t refused_in;            /* by the look of this number */
};

/* hook_redis_call.c: one question. */
struct hook_call {
	struct redis_call call; /* first */
	struct hook_redis *redis;
	char name[WEBHOOK_NAME_MAX];
	int64_t sent_ms;
	const struct webhook *w; /* CHANGE: a reference, or NULL */
	uint8_t *value;          /* CHANGE: as it stands there then; SAVE: the state */
	size_t value_n;
	hook_done_fn *done; /* one of these, or none */
	hook_state_fn *state;
	void *arg;
};
/* room: octets of values among the arguments.  NULL: out of memory. */
struct hook_call *hook_call_new(struct hook_redis *r, enum hook_script which,
    const char *name, size_t room, redis_call_fn *finish);
/* Tell whoever asked, and free it. */
void hook_call_answer(struct hook_call *c, enum err e, const struct webhook_state *state);
void hook_call_free(struct hook_call *c);
/* Arguments: PREFIX, what and name; octets; the webhook's name; our token. */
void hook_call_key(struct hook_call *c, const char *what, const char *name);
void hook_call_bytes(struct hook_call *c, const uint8_t *p, size_t n);
void hook_call_name(struct hook_call *c);
void hook_call_token(struct hook_call *c);
/* Of 1: done, 0: another is there (ERR_CONFLICT), -1: none. */
enum err hook_call_outcome(const redisReply *r, enum err none);

/* A copy of v in the place of *p; without memory there is none. */
void hook_copy_keep(uint8_t **p, size_t *n, struct bytes v);

/* hook_redis_look.c: all that there are, into the table.  With the timer, and when it is
 * up. */
void hook_look(struct hook_redis *r);
static inline void hook_look_soon(struct hook_redis *r, int64_t ms)
{
	timer_arm(r->timer, ms);
}

/* hook_redis_change.c: as hook_store_ops.change. */
void hook_change(struct hook_store *s, const struct webhook *w,
    const struct webhook *before, hook_done_fn *done, void *arg);
/* One that has vanished is written again, where it was not deleted. */
void hook_change_again(struct hook_redis *r, const struct hook_slot *slot);

#endif
