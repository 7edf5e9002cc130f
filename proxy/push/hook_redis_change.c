/* hook_redis_change.c - a webhook in the place of the one that is there, in one step. */
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/push/hook_redis_core.h"

/* What was sent stands there now, unless a look was faster. */
static enum err take_changed(const struct hook_call *c)
{
	struct hook_store *s = &c->redis->store;
	struct hook_slot *slot = hook_core_find(s, c->name);
	struct bytes value = bytes_of(c->value, c->value_n);

	if (c->w == NULL) {
		hook_core_drop(s, c->name);
		return ERR_OK;
	}
	if (slot != NULL && bytes_equal(bytes_of(slot->raw, slot->raw_n), value))
		return ERR_OK;
	slot = hook_core_put(s, c->w);
	if (slot == NULL)
		return ERR_NOMEM; /* a look will bring it */
	hook_copy_keep(&slot->raw, &slot->raw_n, value);
	return ERR_OK;
}

static void on_changed_it(struct redis_call *rc, enum err e, const redisReply *reply)
{
	struct hook_call *c = (struct hook_call *)rc;

	if (e == ERR_OK)
		e = hook_call_outcome(reply, ERR_STORE_FULL);
	if (e == ERR_OK)
		e = take_changed(c);
	else if (e == ERR_CONFLICT)
		hook_look_soon(c->redis, 0);
	hook_call_answer(c, e, NULL);
}

/* tomb, state: n 0: none. */
static void send_change(struct hook_call *c, struct bytes expected, struct bytes tomb,
    struct bytes state, bool again)
{
	hook_call_key(c, "h:hooks", "");
	hook_call_key(c, "h:gone", "");
	hook_call_key(c, "s", "");
	hook_call_key(c, "l:", c->name);
	hook_call_name(c);
	hook_call_bytes(c, expected.p, expected.n);
	hook_call_bytes(c, c->value, c->value_n);
	hook_call_bytes(c, tomb.p, tomb.n);
	hook_call_bytes(c, state.p, state.n);
	redis_call_add_number(&c->call, HOOKS_MAX);
	hook_call_bytes(c, (const uint8_t *)"again", again ? 5 : 0);
	redis_call_start(&c->call, 4);
}

#define CHANGE_ROOM (2 * HOOK_SEALED_N + HOOK_TOMB_N + HOOK_SAVED_N)

/* The value that is to stand there.  False: no memory. */
static bool make_value(struct hook_call *c)
{
	if (c->w == NULL)
		return true;
	c->value = malloc(HOOK_SEALED_N);
	if (c->value != NULL)
		c->value_n = hook_sealed_make(&c->redis->seals, c->w, c->value);
	return c->value_n > 0;
}

void hook_change(struct hook_store *s, const struct webhook *w,
    const struct webhook *before, hook_done_fn *done, void *arg)
{
	struct hook_redis *r = (struct hook_redis *)s;
	const char *name = (w != NULL ? w : before)->name;
	const struct hook_slot *slot = hook_core_find(s, name);
	struct hook_call *c =
	    hook_call_new(r, HOOK_SCRIPT_CHANGE, name, CHANGE_ROOM, on_changed_it);
	uint8_t tomb[HOOK_TOMB_N];
	struct bytes none = bytes_of(NULL, 0), old = none;

	if (c == NULL) {
		done(arg, ERR_NOMEM);
		return;
	}
	c->done = done;
	c->arg = arg;
	c->w = w != NULL ? webhook_ref(w) : NULL;
	if (!make_value(c) ||
	    (w == NULL && !hook_tomb_make(&r->seals, name, clock_now(), tomb))) {
		redis_call_drop(&c->call);
		hook_call_answer(c, ERR_NOMEM, NULL);
		return;
	}
	if (slot != NULL)
		old = bytes_of(slot->raw, slot->raw_n);
	send_change(c, old, w == NULL ? bytes_of(tomb, sizeof tomb) : none, none, false);
}

/* Where it was not, the next look finds it missing again. */
static void on_again(struct redis_call *rc, enum err e, const redisReply *reply)
{
	struct hook_call *c = (struct hook_call *)rc;

	if (e == ERR_OK && hook_call_outcome(reply, ERR_STORE_FULL) == ERR_OK)
		take_changed(c);
	hook_call_free(c);
}

void hook_change_again(struct hook_redis *r, const struct hook_slot *slot)
{
	struct hook_call *c =
	    hook_call_new(r, HOOK_SCRIPT_CHANGE, slot->w->name, CHANGE_ROOM, on_again);

	if (c == NULL)
		return;
	c->w = webhook_ref(slot->w);
	hook_copy_keep(&c->value, &c->value_n, bytes_of(slot->raw, slot->raw_n));
	if (c->value_n == 0) {
		redis_call_drop(&c->call);
		hook_call_answer(c, ERR_NOMEM, NULL);
		return;
	}
	log_error("webhook_lost", "webhook=%s remedy=%s", slot->w->name,
	    "it vanished from Redis and is written again; see why (a flush, a restart "
	    "without appendonly)");
	send_change(c, bytes_of(NULL, 0), bytes_of(NULL, 0),
	    bytes_of(slot->state, slot->state_n), true);
}
