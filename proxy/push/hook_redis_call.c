/* hook_redis_call.c - the scripts, and one run of one of them.  The layout is at the top
 * of hook_redis.c. */
#include <assert.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/redis/redis_word.h"
#include "proxy/base/clock.h"
#include "proxy/push/hook_redis_core.h"

const char *const hook_scripts[HOOK_SCRIPTS + 1] = {
    /* KEYS: hooks, gone. */
    [HOOK_SCRIPT_LOOK] = "return {redis.call('HGETALL', KEYS[1]),\n"
			 "  redis.call('HGETALL', KEYS[2])}\n",
    /* KEYS: hooks, gone, states, lease.  ARGV: name, what is expected, the new one, a
     * tombstone, a state (each may be empty), how many there may be, "again" where one
     * that vanished is written again: not where it was deleted.  1: done, 0: another,
     * -1: no room. */
    [HOOK_SCRIPT_CHANGE] =
	"local name = ARGV[1]\n"
	"local old = redis.call('HMGET', KEYS[1], name)[1]\n"
	"if (old or '') ~= ARGV[2] then return 0 end\n"
	"if ARGV[3] == '' then\n"
	"  redis.call('HSET', KEYS[2], name, ARGV[4])\n"
	"  redis.call('HDEL', KEYS[1], name)\n"
	"  redis.call('HDEL', KEYS[3], name)\n"
	"  redis.call('UNLINK', KEYS[4])\n"
	"  return 1\n"
	"end\n"
	"if not old and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6]) then return -1 "
	"end\n"
	"if ARGV[7] == 'again' and redis.call('HMGET', KEYS[2], name)[1] then return 0 "
	"end\n"
	"redis.call('HSET', KEYS[1], name, ARGV[3])\n"
	"redis.call('HDEL', KEYS[2], name)\n"
	"if ARGV[5] ~= '' and not redis.call('HMGET', KEYS[3], name)[1] then\n"
	"  redis.call('HSET', KEYS[3], name, ARGV[5])\n"
	"end\n"
	"return 1\n",
    /* KEYS: hooks, lease, states.  ARGV: name, token, the node's part of it, PX.  The
     * state, or nil; 0: it is another's, -1: no such webhook. */
    [HOOK_SCRIPT_TAKE] =
	"local held = redis.call('GET', KEYS[2])\n"
	"if held and string.sub(held, 1, #ARGV[3]) ~= ARGV[3] then return 0 end\n"
	"if not redis.call('HMGET', KEYS[1], ARGV[1])[1] then return -1 end\n"
	"redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[4])\n"
	"return redis.call('HMGET', KEYS[3], ARGV[1])[1]\n",
    /* KEYS: lease.  ARGV: token, PX. */
    [HOOK_SCRIPT_KEEP] = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
			 "redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
			 "return 1\n",
    [HOOK_SCRIPT_LEAVE] = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
			  "redis.call('UNLINK', KEYS[1])\n"
			  "return 1\n",
    /* KEYS: hooks, lease, states.  ARGV: name, token, PX, state. */
    [HOOK_SCRIPT_SAVE] =
	"if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end\n"
	"if not redis.call('HMGET', KEYS[1], ARGV[1])[1] then return -1 end\n"
	"redis.call('HSET', KEYS[3], ARGV[1], ARGV[4])\n"
	"redis.call('PEXPIRE', KEYS[2], ARGV[3])\n"
	"return 1\n",
};

const char hook_trial[] =
    "local k = KEYS[1]\n"
    "local steps = {{'HSET', k, '1', '1'}, {'HMGET', k, '1'}, {'HGETALL', k},\n"
    "  {'HLEN', k}, {'HDEL', k, '1'}, {'SET', k, '1', 'PX', '10000'}, {'GET', k},\n"
    "  {'PEXPIRE', k, '10000'}, {'UNLINK', k}}\n" REDIS_TRIAL;

void hook_call_free(struct hook_call *c)
{
	webhook_unref(c->w);
	if (c->value != NULL)
		OPENSSL_cleanse(c->value, c->value_n);
	free(c->value);
	free(c);
}

void hook_call_answer(struct hook_call *c, enum err e, const struct webhook_state *state)
{
	if (c->state != NULL)
		c->state(c->arg, e, state);
	else if (c->done != NULL)
		c->done(c->arg, e);
	hook_call_free(c);
}

struct hook_call *hook_call_new(struct hook_redis *r, enum hook_script which,
    const char *name, size_t room, redis_call_fn *finish)
{
	struct hook_call *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->redis = r;
	c->sent_ms = clock_mono_ms();
	assert(strlen(name) < sizeof c->name);
	strcpy(c->name, name);
	if (redis_call_init(&c->call, r->link, &r->script[which],
		4 * HOOK_KEY_ROOM + WEBHOOK_NAME_MAX + HOOK_TOKEN_N + NODE_N + 64 + room,
		finish))
		return c;
	free(c);
	return NULL;
}

void hook_call_key(struct hook_call *c, const char *what, const char *name)
{
	char key[HOOK_KEY_ROOM];
	int n = snprintf(key, sizeof key, "%s{h}:%s%s", c->redis->prefix, what, name);

	redis_call_add(&c->call, key, (size_t)n);
}

void hook_call_bytes(struct hook_call *c, const uint8_t *p, size_t n)
{
	redis_call_add(&c->call, n > 0 ? p : (const uint8_t *)"", n);
}

void hook_call_name(struct hook_call *c)
{
	redis_call_add(&c->call, c->name, strlen(c->name));
}

void hook_call_token(struct hook_call *c)
{
	redis_call_add(&c->call, c->redis->token, HOOK_TOKEN_N);
}

enum err hook_call_outcome(const redisReply *r, enum err none)
{
	if (r->type == REDIS_REPLY_ERROR)
		return redis_word_err(r);
	if (r->type != REDIS_REPLY_INTEGER)
		return ERR_STORE;
	return r->integer == 1 ? ERR_OK : r->integer == 0 ? ERR_CONFLICT : none;
}

void hook_copy_keep(uint8_t **p, size_t *n, struct bytes v)
{
	free(*p);
	*p = v.n > 0 ? malloc(v.n) : NULL;
	*n = *p != NULL ? v.n : 0;
	if (*p != NULL)
		memcpy(*p, v.p, v.n);
}
