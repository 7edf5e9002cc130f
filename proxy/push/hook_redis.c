/* hook_redis.c - webhooks that nodes share through Redis.
 *
 * The layout, which other programs may read (PREFIX is store-prefix, NAME a webhook's):
 *   PREFIX{h}:h:hooks  hash    NAME -> 0x01, sealed webhook_encode() (seal.h: a nonce of
 *                              12 octets, AES-256-GCM, a tag of 16; the key is
 *                              HMAC-SHA-256 by that of store-key-file over the MAC's
 *                              name "ocspcached webhooks 1" and nothing; what is
 *                              authenticated besides is "hook:NAME")
 *   PREFIX{h}:h:gone   hash    NAME -> 0x01, when it was deleted (8, seconds), MAC
 *   PREFIX{h}:s        hash    NAME -> webhook_state_encode(), MAC
 *   PREFIX{h}:l:NAME   string  who delivers it: the node's id (16 octets) and 16 random
 *                              ones of its run; PX
 * and PREFIX{h}:h:try is there within a script only (the trial of redis_link.h).  A MAC
 * is HMAC-SHA-256 (mac.h) of the name "gone:NAME", "state:NAME" and all before it, by
 * keys derived from store-key-file's by "ocspcached webhooks state 1".
 *
 * All keys have one hash tag, so that a script's are in one slot of a cluster.  News are
 * those of PREFIX{h}:h: alone: that a position is saved is none for other nodes.
 *
 * A webhook that vanishes without having been deleted (a flush) is written again by the
 * node that delivers it, else by any that has it, with the last state that it has seen.
 *
 * Weak point: who may write to Redis can bring back an older state, and things are
 * delivered again; or take a state and its lease away, as often as he likes.
 */
#include <assert.h>
#include <event2/event.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/redis/redis_word.h"
#include "proxy/base/clock.h"
#include "proxy/base/store_event.h"
#include "proxy/push/hook_redis_core.h"

/* A look reads all of them, each at its largest. */
#define REPLY_MAX (HOOKS_MAX * (HOOK_SEALED_N + 2 * WEBHOOK_NAME_MAX + HOOK_TOMB_N))
/* Clocks run differently: of a lease so much is not relied on. */
#define LEASE_SURE_MS (HOOK_LEASE_MS / 10 * 9)

static const struct hook_store_ops redis_ops;

static struct hook_redis *of(struct hook_store *s)
{
	assert(s->ops == &redis_ops);
	return (struct hook_redis *)s;
}

/* States and leases. */

static void hook_state_keep(struct hook_redis *r, const char *name, struct bytes v)
{
	struct hook_slot *slot = hook_core_find(&r->store, name);

	if (slot != NULL)
		hook_copy_keep(&slot->state, &slot->state_n, v);
}

static void on_state(void *arg, enum err e, const redisReply *reply)
{
	struct hook_call *c = arg;
	const redisReply *v;
	struct webhook_state state;
	bool found = false;

	if (e == ERR_OK) {
		redis_link_heard(c->redis->link, reply);
		if (reply->type == REDIS_REPLY_ERROR)
			e = redis_word_err(reply);
		else if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 1)
			e = ERR_STORE;
	}
	if (e == ERR_OK && redis_reply_is_text(v = reply->element[0])) {
		found = hook_saved_open(
		    &c->redis->seals, c->name, bytes_of(v->str, v->len), &state);
		if (found)
			hook_state_keep(c->redis, c->name, bytes_of(v->str, v->len));
	}
	hook_call_answer(c, e, found ? &state : NULL);
}

static void redis_state(
    struct hook_store *s, const char *name, hook_state_fn *done, void *arg)
{
	struct hook_redis *r = of(s);
	struct redis_conn *conn = redis_link_commands(r->link);
	struct hook_call *c = calloc(1, sizeof *c);
	char key[HOOK_KEY_ROOM];

	if (c == NULL) {
		done(arg, ERR_NOMEM, NULL);
		return;
	}
	c->redis = r;
	c->state = done;
	c->arg = arg;
	strcpy(c->name, name);
	snprintf(key, sizeof key, "%s{h}:s", r->prefix);
	if (conn == NULL ||
	    !redis_conn_send(
		conn, 3, (const char *const[]){"HMGET", key, name}, NULL, on_state, c))
		hook_call_answer(c, ERR_STORE, NULL);
}

/* The lease is ours from when it was asked for. */
static void hold(const struct hook_call *c, bool held)
{
	struct hook_slot *slot = hook_core_find(&c->redis->store, c->name);

	if (slot != NULL)
		slot->held_until_ms = held ? c->sent_ms + LEASE_SURE_MS : 0;
}

static void on_taken(struct redis_call *rc, enum err e, const redisReply *reply)
{
	struct hook_call *c = (struct hook_call *)rc;
	struct webhook_state state;
	bool found = false;

	if (e == ERR_OK && reply->type != REDIS_REPLY_NIL &&
	    reply->type != REDIS_REPLY_STRING)
		e = hook_call_outcome(reply, ERR_NOT_FOUND);
	if (e == ERR_OK && reply->type == REDIS_REPLY_STRING) {
		struct bytes v = bytes_of(reply->str, reply->len);

		found = hook_saved_open(&c->redis->seals, c->name, v, &state);
		if (found)
			hook_state_keep(c->redis, c->name, v);
	}
	hold(c, e == ERR_OK);
	hook_call_answer(c, e, found ? &state : NULL);
}

static void redis_take(
    struct hook_store *s, const char *name, hook_state_fn *done, void *arg)
{
	struct hook_redis *r = of(s);
	struct hook_call *c = hook_call_new(r, HOOK_SCRIPT_TAKE, name, 0, on_taken);

	if (c == NULL) {
		done(arg, ERR_NOMEM, NULL);
		return;
	}
	c->state = done;
	c->arg = arg;
	hook_call_key(c, "h:hooks", "");
	hook_call_key(c, "l:", name);
	hook_call_key(c, "s", "");
	hook_call_name(c);
	hook_call_token(c);
	redis_call_add(&c->call, r->token, NODE_N);
	redis_call_add_number(&c->call, HOOK_LEASE_MS);
	redis_call_start(&c->call, 3);
}

static void on_kept(struct redis_call *rc, enum err e, const redisReply *reply)
{
	struct hook_call *c = (struct hook_call *)rc;

	if (e == ERR_OK)
		e = hook_call_outcome(reply, ERR_NOT_FOUND);
	if (e == ERR_OK || e == ERR_CONFLICT)
		hold(c, e == ERR_OK);
	if (e == ERR_OK && c->value != NULL)
		hook_state_keep(c->redis, c->name, bytes_of(c->value, c->value_n));
	hook_call_answer(c, e, NULL);
}

static void redis_keep(
    struct hook_store *s, const char *name, hook_done_fn *done, void *arg)
{
	struct hook_call *c = hook_call_new(of(s), HOOK_SCRIPT_KEEP, name, 0, on_kept);

	if (c == NULL) {
		done(arg, ERR_NOMEM);
		return;
	}
	c->done = done;
	c->arg = arg;
	hook_call_key(c, "l:", name);
	hook_call_token(c);
	redis_call_add_number(&c->call, HOOK_LEASE_MS);
	redis_call_start(&c->call, 1);
}

static void on_left(struct redis_call *rc, enum err e, const redisReply *reply)
{
	(void)e, (void)reply; /* else it ends by itself */
	hook_call_free((struct hook_call *)rc);
}

static void redis_leave(struct hook_store *s, const char *name)
{
	struct hook_slot *slot = hook_core_find(s, name);
	struct hook_call *c;

	if (slot != NULL)
		slot->held_until_ms = 0;
	c = hook_call_new(of(s), HOOK_SCRIPT_LEAVE, name, 0, on_left);
	if (c == NULL)
		return;
	hook_call_key(c, "l:", name);
	hook_call_token(c);
	redis_call_start(&c->call, 1);
}

static bool redis_holds(const struct hook_store *s, const char *name)
{
	const struct hook_slot *slot = hook_core_find(s, name);

	return slot != NULL && slot->held_until_ms > clock_mono_ms();
}

static void redis_save(struct hook_store *s, const char *name,
    const struct webhook_state *state, hook_done_fn *done, void *arg)
{
	struct hook_redis *r = of(s);
	struct hook_call *c =
	    hook_call_new(r, HOOK_SCRIPT_SAVE, name, HOOK_SAVED_N, on_kept);

	if (c == NULL) {
		done(arg, ERR_NOMEM);
		return;
	}
	c->done = done;
	c->arg = arg;
	c->value = malloc(HOOK_SAVED_N);
	if (c->value != NULL)
		c->value_n = hook_saved_make(&r->seals, name, state, c->value);
	if (c->value_n == 0) {
		redis_call_drop(&c->call);
		hook_call_answer(c, ERR_NOMEM, NULL);
		return;
	}
	hook_call_key(c, "h:hooks", "");
	hook_call_key(c, "l:", name);
	hook_call_key(c, "s", "");
	hook_call_name(c);
	hook_call_token(c);
	redis_call_add_number(&c->call, HOOK_LEASE_MS);
	hook_call_bytes(c, c->value, c->value_n);
	redis_call_start(&c->call, 3);
}

/* Life. */

static bool redis_is_up(const struct hook_store *s, char *why, size_t why_n)
{
	const struct hook_redis *r = (const struct hook_redis *)s;
	struct redis_health h;

	redis_link_health(r->link, &h);
	if (h.up)
		return true;
	snprintf(why, why_n, "Redis: %s%s%s", h.error[0] != '\0' ? h.error : "away",
	    h.remedy[0] != '\0' ? "; remedy: " : "", h.remedy);
	return false;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	hook_look(arg);
}

static void on_up(void *arg)
{
	struct hook_redis *r = arg;

	hook_look_soon(r, 0);
}

static void on_news(void *arg, const char *name, size_t n)
{
	struct hook_redis *r = arg;

	(void)name, (void)n;
	if (r->looking)
		r->again = true;
	else
		hook_look_soon(r, HOOK_NEWS_MS);
}

static void on_all_news(void *arg)
{
	on_news(arg, NULL, 0);
}

static void redis_begin(struct hook_store *s)
{
	(void)s; /* what is there comes with the first look */
}

static void redis_close(struct hook_store *s)
{
	struct hook_redis *r = of(s);

	redis_link_free(r->link);
	if (r->timer != NULL)
		event_free(r->timer);
	hook_seals_clear(&r->seals);
	free(r->prefix);
	hook_core_clear(s);
	free(r);
}

static bool open_link(
    struct hook_redis *r, const struct conf *c, const struct redis_url *url)
{
	struct redis_link_config link = {.prefix = r->prefix,
	    .base = r->store.config.base,
	    .exec = r->store.config.exec,
	    .timeout_ms = (int)c->store_timeout_ms,
	    .connect_timeout_ms = REDIS_CONNECT_MS,
	    .backoff_max_ms = (int)c->store_backoff_max_ms,
	    .max_value = REPLY_MAX,
	    .event = store_event_log};
	struct redis_link_use use = {.what = "webhooks=redis",
	    .scripts = hook_scripts,
	    .trial = hook_trial,
	    .track = HOOK_TRACK,
	    .up = on_up,
	    .changed = on_news,
	    .all_changed = on_all_news,
	    .arg = r};

	for (int i = 0; i < HOOK_SCRIPTS; i++)
		if (!redis_script_init(&r->script[i], hook_scripts[i]))
			return false;
	r->link = redis_link_open(&link, url, &use);
	return r->link != NULL;
}

static enum err make(
    struct hook_redis *r, const struct hook_store_config *c, char *why, size_t why_n)
{
	const struct conf *conf = c->conf;
	struct redis_url url;
	const char *wrong = redis_url_parse(&url, conf->store);
	bool ok;

	if (wrong != NULL) {
		snprintf(why, why_n, "webhooks in Redis: %s", wrong);
		return ERR_STORE;
	}
	if (!node_id(r->token, conf->state_directory, why, why_n))
		return ERR_STORE;
	snprintf(why, why_n, "%s", err_text(ERR_NOMEM));
	r->prefix = strdup(conf->store_prefix);
	r->timer = event_new(c->base, -1, 0, on_timer, r);
	ok = r->prefix != NULL && hook_seals_init(&r->seals, conf->mac_keys) &&
	     r->timer != NULL &&
	     RAND_bytes(r->token + NODE_N, HOOK_TOKEN_N - NODE_N) == 1 &&
	     open_link(r, conf, &url);
	OPENSSL_cleanse(&url, sizeof url);
	return ok ? ERR_OK : ERR_NOMEM;
}

enum err hook_redis_open(
    struct hook_store **out, const struct hook_store_config *c, char *why, size_t why_n)
{
	struct hook_redis *r = calloc(1, sizeof *r);
	enum err e = ERR_NOMEM;

	*out = NULL;
	if (r != NULL && hook_core_init(&r->store, &redis_ops, c))
		e = make(r, c, why, why_n);
	else
		snprintf(why, why_n, "%s", err_text(e));
	if (e == ERR_OK)
		*out = &r->store;
	else if (r != NULL)
		redis_close(&r->store);
	return e;
}

static const struct hook_store_ops redis_ops = {.close = redis_close,
    .begin = redis_begin,
    .is_up = redis_is_up,
    .change = hook_change,
    .state = redis_state,
    .take = redis_take,
    .keep = redis_keep,
    .leave = redis_leave,
    .holds = redis_holds,
    .save = redis_save};
