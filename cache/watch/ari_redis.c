/* ari_redis.c - renewal information in Redis.
 *
 * The layout, which other programs may read (PREFIX is store-prefix; WHO is
 * ari_who_encode(), HASH the first 16 octets of the directory's SHA-256 in hexadecimal):
 *   PREFIX{a}:l:HASH     string  who asks there: the node's id (16 octets) and 16 random
 *                                ones of its run; PX
 *   PREFIX{a}:s          hash    WHO -> ari_state_encode(), MAC
 *   PREFIX{a}:n:noticed  hash    WHO -> what it says (8 octets), ari_state_encode(), MAC;
 *                                those that are under a notice, or whose is untold
 *   PREFIX{a}:n:version  string  8 random octets, others with each change of noticed
 * and PREFIX{a}:n:try is there within a script only (the trial of redis_link.h).  A MAC
 * is HMAC-SHA-256 (mac.h) of the name "state:WHO" or "noticed:WHO" and the state, by keys
 * derived from store-key-file's by "ocspcached ari 1".
 *
 * All keys have one hash tag, so that a script's are in one slot of a cluster.  Others
 * read `noticed` again when it says something else (raised, withdrawn, told, a window, a
 * page), and not with each question that found all as it was.
 */
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/redis/redis_word.h"
#include "cache/watch/ari_redis_core.h"

#define TRACK     "{a}:n:"
#define REPLY_MAX ((size_t)8 << 20)

static const char *const scripts[ARI_SCRIPT_COUNT + 1] = {
    /* KEYS: lease, version.  ARGV: token, the node's part of it, PX.  0: another's, 1:
     * taken, 2: kept; the version. */
    [ARI_SCRIPT_TAKE] =
	"local held, got = redis.call('GET', KEYS[1]), 1\n"
	"if held == ARGV[1] then\n"
	"  got = 2\n"
	"elseif held and string.sub(held, 1, #ARGV[2]) ~= ARGV[2] then\n"
	"  got = 0\n"
	"end\n"
	"if got > 0 then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3]) end\n"
	"return {got, redis.call('GET', KEYS[2]) or ''}\n",
    [ARI_SCRIPT_LEAVE] = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
			 "redis.call('UNLINK', KEYS[1])\n"
			 "return 1\n",
    /* KEYS: lease, states, noticed, version.  ARGV: token, PX, the version from now on,
     * rows.  0: it is not ours; 1, and 2 where noticed says something else now; the
     * version before. */
    [ARI_SCRIPT_SAVE] =
	"if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0, ''} end\n"
	"local p, i, got = ARGV[4], 1, 1\n"
	"while i <= #p do\n"
	"  local kind, k, a, b = string.byte(p, i, i + 3)\n"
	"  local v = i + 4 + k\n"
	"  local m = v + a * 256 + b\n"
	"  local who, state = string.sub(p, i + 4, v - 1), string.sub(p, v, m - 1)\n"
	"  i = m + 72\n"
	"  if kind == 0 then\n"
	"    redis.call('HDEL', KEYS[2], who)\n"
	"  else\n"
	"    redis.call('HSET', KEYS[2], who, state .. string.sub(p, m, m + 31))\n"
	"  end\n"
	"  if kind ~= 2 then\n"
	"    if redis.call('HDEL', KEYS[3], who) == 1 then got = 2 end\n"
	"  else\n"
	"    local mark = string.sub(p, m + 64, m + 71)\n"
	"    local old = redis.call('HMGET', KEYS[3], who)[1]\n"
	"    if string.sub(old or '', 1, 8) ~= mark then\n"
	"      redis.call('HSET', KEYS[3], who,\n"
	"        mark .. state .. string.sub(p, m + 32, m + 63))\n"
	"      got = 2\n"
	"    end\n"
	"  end\n"
	"end\n"
	"local before = redis.call('GET', KEYS[4]) or ''\n"
	"if got == 2 then redis.call('SET', KEYS[4], ARGV[3]) end\n"
	"redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
	"return {got, before}\n",
};

static const char trial[] =
    "local k = KEYS[1]\n"
    "local steps = {{'HSET', k, '1', '1'}, {'HMGET', k, '1'}, {'HSCAN', k, '0'},\n"
    "  {'HDEL', k, '1'}, {'SET', k, '1', 'PX', '10000'}, {'GET', k},\n"
    "  {'PEXPIRE', k, '10000'}, {'UNLINK', k}}\n" REDIS_TRIAL;

/* Scripts. */

struct ari_call {
	struct redis_call call; /* first */
	struct ari_redis *redis;
	ari_redis_lease_fn *lease; /* one of these */
	ari_redis_done_fn *done;
	ari_redis_saved_fn *saved;
	void *arg;
};

/* The pair that a script answers with: a number and a version. */
static enum err take_pair(const redisReply *r, long long *got, uint64_t *version)
{
	const redisReply *v;

	if (r->type == REDIS_REPLY_ERROR)
		return redis_word_err(r);
	if (r->type != REDIS_REPLY_ARRAY || r->elements != 2 ||
	    r->element[0]->type != REDIS_REPLY_INTEGER ||
	    !redis_reply_is_text(v = r->element[1]))
		return ERR_STORE;
	*got = r->element[0]->integer;
	*version = v->len == 8 ? get_be((const uint8_t *)v->str, 8) : 0;
	return ERR_OK;
}

static void on_call(struct redis_call *rc, enum err e, const redisReply *reply)
{
	struct ari_call *c = (struct ari_call *)rc;
	uint64_t version = 0;
	long long got = 0;

	if (e == ERR_OK && c->done == NULL)
		e = take_pair(reply, &got, &version);
	if (c->lease != NULL)
		c->lease(c->arg, e,
		    got == 2   ? ARI_KEPT
		    : got == 1 ? ARI_TAKEN
			       : ARI_OTHERS,
		    version);
	else if (c->saved != NULL)
		c->saved(c->arg, e == ERR_OK && got == 0 ? ERR_CONFLICT : e, version,
		    got == 2);
	else if (c->done != NULL)
		c->done(c->arg, e);
	free(c);
}

/* room: octets of arguments besides keys and the token.  NULL: no memory. */
static struct ari_call *ari_call_new(
    struct ari_redis *r, enum ari_script which, size_t room, void *arg)
{
	struct ari_call *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->redis = r;
	c->arg = arg;
	if (redis_call_init(&c->call, r->link, &r->script[which],
		4 * ARI_KEY_ROOM + ARI_TOKEN_N + ARI_NODE_N + 64 + room, on_call))
		return c;
	free(c);
	return NULL;
}

static void add_key(struct ari_call *c, const char *what)
{
	char key[ARI_KEY_ROOM];
	int n = snprintf(key, sizeof key, "%s{a}:%s", c->redis->prefix, what);

	redis_call_add(&c->call, key, (size_t)n);
}

static void add_lease_key(struct ari_call *c, const char *directory)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char what[2 + 2 * ARI_HASH_N + 1] = "l:";

	SHA256((const uint8_t *)directory, strlen(directory), digest);
	hex_encode(digest, ARI_HASH_N, what + 2);
	add_key(c, what);
}

static void add_token(struct ari_call *c)
{
	redis_call_add(&c->call, c->redis->use.token, ARI_TOKEN_N);
}

void ari_redis_take(
    struct ari_redis *r, const char *directory, ari_redis_lease_fn *done, void *arg)
{
	struct ari_call *c = ari_call_new(r, ARI_SCRIPT_TAKE, 0, arg);

	if (c == NULL) {
		done(arg, ERR_NOMEM, ARI_OTHERS, 0);
		return;
	}
	c->lease = done;
	add_lease_key(c, directory);
	add_key(c, "n:version");
	add_token(c);
	redis_call_add(&c->call, r->use.token, ARI_NODE_N);
	redis_call_add_number(&c->call, ARI_LEASE_MS);
	redis_call_start(&c->call, 2);
}

void ari_redis_leave(
    struct ari_redis *r, const char *directory, ari_redis_done_fn *done, void *arg)
{
	struct ari_call *c = ari_call_new(r, ARI_SCRIPT_LEAVE, 0, arg);

	if (c == NULL) {
		done(arg, ERR_NOMEM);
		return;
	}
	c->done = done;
	add_lease_key(c, directory);
	add_token(c);
	redis_call_start(&c->call, 1);
}

/* All rows in one argument: redis_call.h has few.  NULL: no memory. */
static uint8_t *rows_encode(
    const struct ari_redis *r, const struct ari_row *rows, size_t n, size_t *out_n)
{
	uint8_t *out = malloc(n * ARI_ROW_MAX + 1);
	size_t one;

	*out_n = 0;
	for (size_t i = 0; out != NULL && i < n; i++) {
		one = ari_row_encode(r, &rows[i], out + *out_n);
		*out_n += one;
		if (one == 0) {
			free(out);
			out = NULL;
		}
	}
	return out;
}

void ari_redis_save(struct ari_redis *r, const char *directory,
    const struct ari_row *rows, size_t n, uint64_t fresh, ari_redis_saved_fn *done,
    void *arg)
{
	struct ari_call *c = NULL;
	uint8_t version[8];
	size_t all_n;
	uint8_t *all;

	assert(n <= ARI_SAVE_MAX);
	all = rows_encode(r, rows, n, &all_n);
	if (all != NULL)
		c = ari_call_new(r, ARI_SCRIPT_SAVE, all_n, arg);
	if (c == NULL) {
		free(all);
		done(arg, ERR_NOMEM, 0, false);
		return;
	}
	c->saved = done;
	add_lease_key(c, directory);
	add_key(c, "s");
	add_key(c, "n:noticed");
	add_key(c, "n:version");
	add_token(c);
	redis_call_add_number(&c->call, ARI_LEASE_MS);
	put_be(version, fresh, sizeof version);
	redis_call_add(&c->call, version, sizeof version);
	redis_call_add(&c->call, all, all_n);
	free(all);
	redis_call_start(&c->call, 4);
}

/* Life. */

static void on_up(void *arg)
{
	struct ari_redis *r = arg;

	r->use.up(r->use.arg);
}

static void on_settled(void *arg)
{
	struct ari_redis *r = arg;

	r->use.settled(r->use.arg);
}

static void on_changed(void *arg, const char *name, size_t n)
{
	struct ari_redis *r = arg;

	(void)name, (void)n;
	r->use.news(r->use.arg);
}

static void on_all_changed(void *arg)
{
	struct ari_redis *r = arg;

	r->use.news(r->use.arg);
}

static bool open_link(
    struct ari_redis *r, const struct redis_link_config *c, const struct redis_url *url)
{
	struct redis_link_config link = *c;
	struct redis_link_use use = {.what = "ari=redis",
	    .scripts = scripts,
	    .trial = trial,
	    .track = TRACK,
	    .up = on_up,
	    .changed = on_changed,
	    .all_changed = on_all_changed,
	    .settled = on_settled,
	    .arg = r};

	for (int i = 0; i < ARI_SCRIPT_COUNT; i++)
		if (!redis_script_init(&r->script[i], scripts[i]))
			return false;
	r->prefix = strdup(c->prefix);
	r->keys = mac_keys_derive(r->use.keys, "ocspcached ari 1");
	if (r->prefix == NULL || r->keys == NULL)
		return false;
	link.prefix = r->prefix;
	link.max_value = REPLY_MAX;
	r->link = redis_link_open(&link, url, &use);
	return r->link != NULL;
}

enum err ari_redis_open(struct ari_redis **out, const struct redis_link_config *c,
    const char *text, const struct ari_redis_use *use, char *why, size_t why_n)
{
	struct ari_redis *r;
	struct redis_url url;
	const char *wrong = redis_url_parse(&url, text);

	*out = NULL;
	if (wrong == NULL && strlen(c->prefix) > REDIS_PREFIX_MAX)
		wrong = "store-prefix is too long";
	if (wrong != NULL) {
		snprintf(why, why_n, "renewal information in Redis: %s", wrong);
		return ERR_STORE;
	}
	r = calloc(1, sizeof *r);
	if (r != NULL) {
		r->use = *use;
		if (open_link(r, c, &url))
			*out = r;
		else
			ari_redis_close(r);
	}
	OPENSSL_cleanse(&url, sizeof url);
	if (*out != NULL)
		return ERR_OK;
	snprintf(why, why_n, "%s", err_text(ERR_NOMEM));
	return ERR_NOMEM;
}

void ari_redis_close(struct ari_redis *r)
{
	if (r == NULL)
		return;
	redis_link_free(r->link);
	mac_keys_free(r->keys);
	free(r->prefix);
	free(r);
}

void ari_redis_health(const struct ari_redis *r, struct redis_health *out)
{
	redis_link_health(r->link, out);
}
