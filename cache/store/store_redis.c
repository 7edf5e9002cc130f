/* store_redis.c - answers, leases and news shared by several nodes through Redis.
 *
 * The layout, which other programs may read (PREFIX is store-prefix, NAME is key_name()
 * of cache/base/key.h, as in "sha1:<issuerNameHash>:<issuerKeyHash>:<serial>"):
 *   PREFIXa:{NAME}  string  an answer: the record of cache/ocsp/record.h, or a bare DER
 *                           OCSPResponse; EXAT = its nextUpdate, or its signer's notAfter
 *                           when that is sooner
 *   PREFIXl:{NAME}  string  the lease of the node that fetches: its token; PX
 *   PREFIXf:{NAME}  string  "1": a node has just failed to fetch; PX
 * and PREFIX{e}:... is the change log's: change_log_redis.c.  PREFIXa:try and
 * PREFIX{e}:try are there within a script only (the trial of redis_link.h).
 *
 * The braces are hash tags: what one script touches is in one slot of a cluster, so that
 * these names serve one.  No command names more than one key.  A prefix has no braces of
 * its own, since the first pair counts.
 *
 * A version before wrote the names without braces.  They are not read: they end by their
 * times, and what is asked for is fetched once more.
 *
 * The two connections are store_redis_link's.  NOLOOP covers plain commands only: Redis 7
 * reports what our own scripts write to us too, so each store_put() that wrote comes back
 * as `changed` once.  It is not filtered out, because Redis merges the news of one turn:
 * a filter would also drop another node's write to the same key.
 *
 * Not-newer rule, lease and release are Lua scripts, each one round trip and atomic.  The
 * scripts compare times by their bytes and not as strings, because Lua compares strings
 * by the server's locale.
 *
 * Redis is a stranger (T16): every reply's type is checked, one of another type is a
 * miss. No reply makes us drop anything from memory: `changed` only asks to compare.
 */
#include "cache/store/store_redis.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/ocsp/record.h"
#include "cache/redis/redis_call.h"
#include "cache/redis/redis_word.h"
#include "cache/store/store.h"

#define FAILED_MAX_MS   60000 /* no other node keeps us from fetching for longer */
#define SCAN_COUNT      "1000"
#define PURGE_STEPS_MAX 1000000 /* pages of SCAN; ends a server that has no last page */
#define TOKEN_N         32

_Static_assert(RECORD_THIS_UPDATE_OFFSET == 1 && RECORD_PRODUCED_AT_OFFSET == 9 &&
		   STORE_SEEN_MAX == 17,
    "the put script compares octets 2 to 17 of a record, the lease script 1 to 17");

enum script { SCRIPT_PUT, SCRIPT_LEASE, SCRIPT_RELEASE, SCRIPT_COUNT };

static const char *const scripts[SCRIPT_COUNT + 1] = {
    /* KEYS: answer.  ARGV: record, expiry, force, longest value.  1: written. */
    [SCRIPT_PUT] = "local new = ARGV[1]\n"
		   "local old = redis.pcall('GETRANGE', KEYS[1], 0, 16)\n"
		   "if ARGV[3] ~= '1' and type(old) == 'string' and #old == 17 and\n"
		   "    string.byte(old) == string.byte(new) and\n"
		   "    redis.call('STRLEN', KEYS[1]) <= tonumber(ARGV[4]) then\n"
		   "  for i = 2, 17 do\n"
		   "    local o, n = string.byte(old, i), string.byte(new, i)\n"
		   "    if o > n then return 0 end\n"
		   "    if o < n then break end\n"
		   "  end\n"
		   "end\n"
		   "redis.call('SET', KEYS[1], new, 'EXAT', ARGV[2])\n"
		   "return 1\n",
    /* KEYS: lease, failed, answer.  ARGV: token, lease_ms, "1" to compare, the answer's
     * first octets as they were seen.  {0, _}: ours; {1, ms}: another's; {2, ms}: failed;
     * {3, _}: another answer.  A mark or lease without an end is not ours and does not
     * count. */
    [SCRIPT_LEASE] = "if ARGV[3] == '1' then\n"
		     "  local now = redis.pcall('GETRANGE', KEYS[3], 0, 16)\n"
		     "  if type(now) ~= 'string' then now = '' end\n"
		     "  if now ~= ARGV[4] then return {3, 0} end\n"
		     "end\n"
		     "local failed = redis.call('PTTL', KEYS[2])\n"
		     "if failed > 0 then return {2, failed} end\n"
		     "local left = redis.call('PTTL', KEYS[1])\n"
		     "if left > 0 and redis.pcall('GET', KEYS[1]) ~= ARGV[1] then\n"
		     "  return {1, left}\n"
		     "end\n"
		     "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
		     "return {0, 0}\n",
    /* KEYS: lease, failed.  ARGV: token, failed_ms.  Nothing when the lease ran out and
     * is another's: that node's fetch counts now. */
    [SCRIPT_RELEASE] = "if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
		       "redis.call('DEL', KEYS[1])\n"
		       "if tonumber(ARGV[2]) > 0 then\n"
		       "  redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])\n"
		       "end\n"
		       "return 1\n",
};

/* Everything that is asked of Redis, once; 4102444800 is 2100. */
static const char trial[] =
    "local k = KEYS[1]\n"
    "local steps = {{'SET', k, '1', 'EXAT', '4102444800'}, {'GET', k},\n"
    "  {'SET', k, '1', 'PX', '10000'}, {'PTTL', k}, {'GETRANGE', k, '0', '0'},\n"
    "  {'STRLEN', k}, {'SCAN', '0', 'COUNT', '1'}, {'DEL', k}, {'UNLINK', "
    "k}}\n" REDIS_TRIAL;

struct redis_store {
	struct store store;
	struct redis_link *link;
	struct store_config config; /* url is not kept; prefix is ours */
	char *prefix;
	char token[TOKEN_N + 1]; /* of every lease of this process */
	struct redis_script script[SCRIPT_COUNT];
};

static const struct store_ops redis_ops;

static struct redis_store *of(struct store *s)
{
	assert(s->ops == &redis_ops);
	return (struct redis_store *)s;
}

/* The connection for commands, or NULL. */
static struct redis_conn *conn_of(const struct redis_store *s)
{
	return redis_link_commands(s->link);
}

/* The names of keys: room for the prefix, one letter, ":{}" and a key's name. */
#define NAME_ROOM (REDIS_PREFIX_MAX + 4 + KEY_NAME_MAX)

static size_t write_name(
    const struct redis_store *s, char kind, const struct key *k, char out[NAME_ROOM])
{
	size_t n = (size_t)sprintf(out, "%s%c:{", s->prefix, kind);

	n += key_name(k, out + n);
	out[n++] = '}';
	out[n] = '\0';
	return n;
}

/* Reading. */

struct get {
	struct redis_store *s;
	store_got_fn *done;
	void *arg;
};

static void on_got(void *arg, enum err e, const redisReply *r)
{
	struct get g = *(struct get *)arg;
	struct bytes value = {NULL, 0};

	free(arg);
	if (e == ERR_CANCELLED)
		return;
	if (e == ERR_OK) {
		redis_link_heard(g.s->link, r);
		/* Missing reads as empty; another type and too long are misses too. */
		if (r->type == REDIS_REPLY_STRING && r->len > 0 &&
		    r->len <= g.s->config.max_value)
			value = bytes_of(r->str, r->len);
		else
			e = r->type == REDIS_REPLY_ERROR &&
				    !redis_reply_is_error(r, "WRONGTYPE")
				? ERR_STORE
				: ERR_NOT_FOUND;
	}
	g.done(g.arg, e, value);
}

/* GETRANGE and not GET: a value over the limit costs no more than the limit. */
static void redis_get(
    struct store *st, const struct key *k, store_got_fn *done, void *arg)
{
	struct redis_store *s = of(st);
	struct get *g = conn_of(s) != NULL ? malloc(sizeof *g) : NULL;
	char name[NAME_ROOM], last[24];

	if (g != NULL) {
		*g = (struct get){s, done, arg};
		write_name(s, 'a', k, name);
		snprintf(last, sizeof last, "%zu", s->config.max_value);
		if (WORDS(conn_of(s), on_got, g, "GETRANGE", name, "0", last))
			return;
		free(g);
	}
	done(arg, ERR_STORE, bytes_of(NULL, 0));
}

/* Scripts. */

struct store_call {
	struct redis_call call; /* first */
	struct redis_store *s;
	union {
		store_done_fn *done;
		store_lease_fn *lease;
	};
	void *arg;
	int lease_ms;
};

static struct store_call *call_new(
    struct redis_store *s, enum script script, size_t room, redis_call_fn *finish)
{
	struct store_call *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->s = s;
	if (redis_call_init(&c->call, s->link, &s->script[script], room, finish))
		return c;
	free(c);
	return NULL;
}

static void call_add_name(struct store_call *c, char kind, const struct key *k)
{
	char name[NAME_ROOM];

	redis_call_add(&c->call, name, write_name(c->s, kind, k, name));
}

static void finish_put(struct redis_call *rc, enum err e, const redisReply *r)
{
	struct store_call *c = (struct store_call *)rc;

	if (e == ERR_OK && r->type != REDIS_REPLY_INTEGER) {
		e = redis_word_err(r);
		redis_link_note_error(
		    c->s->link, r->type == REDIS_REPLY_ERROR
				    ? r->str
				    : "a write was answered with another type");
	}
	if (e != ERR_CANCELLED && c->done != NULL)
		c->done(c->arg, e);
	free(c);
}

static void redis_put(struct store *st, const struct key *k, const struct facts *f,
    struct bytes der, bool force, store_done_fn *done, void *arg)
{
	struct redis_store *s = of(st);
	size_t room = NAME_ROOM + RECORD_OVERHEAD + der.n + 64;
	/* Redis refuses an end before 1970; nothing is lost that could be served. */
	bool worth = conn_of(s) != NULL &&
		     der.n + RECORD_OVERHEAD <= s->config.max_value &&
		     facts_expiry(f) > 0;
	struct store_call *c = worth ? call_new(s, SCRIPT_PUT, room, finish_put) : NULL;
	size_t n;

	if (c == NULL) {
		if (done != NULL)
			done(arg, ERR_STORE);
		return;
	}
	c->done = done;
	c->arg = arg;
	call_add_name(c, 'a', k);
	n = record_encode(
	    (uint8_t *)c->call.data + c->call.used, k, f, der, s->config.keys);
	redis_call_add(&c->call, NULL, n);
	redis_call_add_number(&c->call, facts_expiry(f));
	redis_call_add(&c->call, force ? "1" : "0", 1);
	redis_call_add_number(&c->call, (long long)s->config.max_value);
	redis_call_start(&c->call, 1);
}

static void finish_lease(struct redis_call *rc, enum err e, const redisReply *r)
{
	struct store_call *c = (struct store_call *)rc;
	long long kind = -1, ms = 0;

	if (e == ERR_OK && r->type == REDIS_REPLY_ARRAY && r->elements == 2 &&
	    r->element[0]->type == REDIS_REPLY_INTEGER &&
	    r->element[1]->type == REDIS_REPLY_INTEGER) {
		kind = r->element[0]->integer;
		ms = r->element[1]->integer;
	}
	if (e == ERR_CANCELLED)
		; /* nobody is left */
	else if (kind == 0)
		c->lease(c->arg, LEASE_YOURS, 0);
	else if (kind == 1 && ms > 0)
		c->lease(c->arg, LEASE_TAKEN, ms < c->lease_ms ? ms : c->lease_ms);
	else if (kind == 2 && ms > 0)
		c->lease(c->arg, LEASE_FAILED, ms < FAILED_MAX_MS ? ms : FAILED_MAX_MS);
	else if (kind == 3)
		c->lease(c->arg, LEASE_CHANGED, 0);
	else
		c->lease(c->arg, LEASE_ALONE, 0);
	free(c);
}

static struct store_call *lease_call(struct redis_store *s, enum script script,
    const struct key *k, int ms, redis_call_fn *finish)
{
	size_t room = 3 * NAME_ROOM + TOKEN_N + 24 + 1 + STORE_SEEN_MAX;
	struct store_call *c = call_new(s, script, room, finish);

	if (c == NULL)
		return NULL;
	call_add_name(c, 'l', k);
	call_add_name(c, 'f', k);
	if (script == SCRIPT_LEASE)
		call_add_name(c, 'a', k);
	redis_call_add(&c->call, s->token, TOKEN_N);
	redis_call_add_number(&c->call, ms);
	return c;
}

static void redis_lease(struct store *st, const struct key *k,
    const struct store_seen *seen, int lease_ms, store_lease_fn *done, void *arg)
{
	struct redis_store *s = of(st);
	struct store_call *c = lease_call(s, SCRIPT_LEASE, k, lease_ms, finish_lease);

	if (c == NULL) {
		done(arg, LEASE_ALONE, 0);
		return;
	}
	c->lease = done;
	c->arg = arg;
	c->lease_ms = lease_ms;
	redis_call_add(&c->call, seen != NULL ? "1" : "0", 1);
	redis_call_add(
	    &c->call, seen != NULL ? seen->octets : NULL, seen != NULL ? seen->n : 0);
	redis_call_start(&c->call, 3);
}

static void finish_release(struct redis_call *rc, enum err e, const redisReply *r)
{
	(void)e, (void)r; /* the lease ends by itself */
	free(rc);
}

static void redis_release(struct store *st, const struct key *k, int failed_ms)
{
	struct store_call *c =
	    lease_call(of(st), SCRIPT_RELEASE, k, failed_ms, finish_release);

	if (c != NULL)
		redis_call_start(&c->call, 2);
}

/* Deleting. */

struct del {
	struct redis_store *s;
	store_done_fn *done;
	void *arg;
};

static void on_deleted(void *arg, enum err e, const redisReply *r)
{
	struct del d = *(struct del *)arg;

	free(arg);
	if (e == ERR_OK && r->type != REDIS_REPLY_INTEGER) {
		redis_link_heard(d.s->link, r);
		e = ERR_STORE;
	}
	if (e != ERR_CANCELLED && d.done != NULL)
		d.done(d.arg, e);
}

static void redis_del(
    struct store *st, const struct key *k, store_done_fn *done, void *arg)
{
	struct redis_store *s = of(st);
	struct del *d = conn_of(s) != NULL ? malloc(sizeof *d) : NULL;
	char name[NAME_ROOM];

	if (d != NULL) {
		*d = (struct del){s, done, arg};
		write_name(s, 'a', k, name);
		if (WORDS(conn_of(s), on_deleted, d, "UNLINK", name))
			return;
		free(d);
	}
	if (done != NULL)
		done(arg, ERR_STORE);
}

/* Purging: SCAN for one (CA, hash algorithm) after the other, one command under way at a
 * time.  SCAN may show a key twice and need not show one that is written meanwhile. */

#define PATTERN_MAX (2 * REDIS_PREFIX_MAX + 3 + KEY_NAME_MAX + 2)

struct purge {
	struct redis_store *s;
	store_done_fn *done;
	void *arg;
	size_t n, at; /* patterns, and the one that is being scanned */
	unsigned steps;
	size_t under_way; /* UNLINKs without an answer, and one while they are sent */
	enum err failed;  /* the first failure of one of them */
	char cursor[24];
	char pattern[][PATTERN_MAX];
};

static void purge_end(struct purge *p, enum err e)
{
	if (e != ERR_CANCELLED && p->done != NULL)
		p->done(p->arg, e);
	free(p);
}

static void on_scanned(void *arg, enum err e, const redisReply *r);

static void purge_step(struct purge *p)
{
	if (p->at == p->n)
		purge_end(p, ERR_OK);
	else if (++p->steps > PURGE_STEPS_MAX || conn_of(p->s) == NULL ||
		 !WORDS(conn_of(p->s), on_scanned, p, "SCAN", p->cursor, "MATCH",
		     p->pattern[p->at], "COUNT", SCAN_COUNT))
		purge_end(p, ERR_STORE);
}

/* One UNLINK is through, or the sending of all of a page. */
static void end_unlink(struct purge *p, enum err e)
{
	if (p->failed == ERR_OK || e == ERR_CANCELLED)
		p->failed = e;
	if (--p->under_way > 0)
		return;
	if (p->failed == ERR_OK)
		purge_step(p);
	else
		purge_end(p, p->failed);
}

static void on_unlinked(void *arg, enum err e, const redisReply *r)
{
	struct purge *p = arg;

	if (e == ERR_OK)
		redis_link_heard(p->s->link, r);
	if (e == ERR_OK && r->type != REDIS_REPLY_INTEGER)
		e = ERR_STORE;
	end_unlink(p, e);
}

/* A command for each, since their slots differ. */
static void unlink_keys(struct purge *p, const redisReply *keys)
{
	enum err e = ERR_OK;

	p->under_way = 1;
	for (size_t i = 0; i < keys->elements && e == ERR_OK; i++) {
		const char *argv[] = {"UNLINK", keys->element[i]->str};
		size_t argv_n[] = {6, keys->element[i]->len};

		if (!redis_reply_is_text(keys->element[i]))
			continue;
		p->under_way++;
		if (!redis_conn_send(conn_of(p->s), 2, argv, argv_n, on_unlinked, p)) {
			p->under_way--;
			e = ERR_STORE;
		}
	}
	end_unlink(p, e);
}

static void on_scanned(void *arg, enum err e, const redisReply *r)
{
	struct purge *p = arg;

	if (e == ERR_OK)
		redis_link_heard(p->s->link, r);
	if (e == ERR_OK && (r->type != REDIS_REPLY_ARRAY || r->elements != 2 ||
			       !redis_reply_is_text(r->element[0]) ||
			       r->element[0]->len >= sizeof p->cursor ||
			       r->element[1]->type != REDIS_REPLY_ARRAY))
		e = ERR_STORE;
	if (e != ERR_OK) {
		purge_end(p, e);
		return;
	}
	memcpy(p->cursor, r->element[0]->str, r->element[0]->len + 1);
	if (strcmp(p->cursor, "0") == 0)
		p->at++;
	unlink_keys(p, r->element[1]);
}

/* PREFIXa:{<hash>:<name hash>:<key hash>:* with the prefix's glob characters escaped. */
static void write_pattern(
    const struct redis_store *s, const struct key *k, char out[PATTERN_MAX])
{
	char name[KEY_NAME_MAX];
	size_t n = 0;

	for (const char *p = s->prefix; *p != '\0'; p++) {
		if (strchr("*?[]\\^-", *p) != NULL)
			out[n++] = '\\';
		out[n++] = *p;
	}
	key_name(k, name);
	*(strrchr(name, ':') + 1) = '\0'; /* all serials */
	sprintf(out + n, "a:{%s*", name);
}

static void redis_purge(
    struct store *st, const struct issuer *i, store_done_fn *done, void *arg)
{
	static const struct serial any = {1, {0}};
	struct redis_store *s = of(st);
	size_t n = issuer_keys_n(i);
	struct purge *p =
	    conn_of(s) != NULL ? calloc(1, sizeof *p + n * PATTERN_MAX) : NULL;

	if (p == NULL) {
		if (done != NULL)
			done(arg, ERR_STORE);
		return;
	}
	*p = (struct purge){.s = s, .done = done, .arg = arg, .n = n, .cursor = "0"};
	for (size_t x = 0; x < n; x++) {
		struct key k;

		issuer_key_at(i, x, &any, &k);
		write_pattern(s, &k, p->pattern[x]);
	}
	purge_step(p);
}

static void redis_sweep(struct store *st, int64_t now)
{
	(void)st, (void)now; /* every key has its TTL */
}

static void redis_health(const struct store *st, struct store_health *out)
{
	const struct redis_store *s = (const struct redis_store *)st;

	assert(st->ops == &redis_ops);
	struct redis_health h;

	redis_link_health(s->link, &h);
	out->kind = "redis";
	out->shared = true;
	out->up = h.up;
	out->refuses = h.refuses;
	out->error = h.error;
	out->remedy = h.remedy;
	out->reconnects = h.reconnects;
}

static void redis_close(struct store *st)
{
	struct redis_store *s = of(st);

	redis_link_free(s->link);
	free(s->prefix);
	free(s);
}

/* News. */

static void on_changed(void *arg, const char *name, size_t n)
{
	struct redis_store *s = arg;
	struct key k;

	if (s->config.hooks.changed != NULL && n > 2 && name[0] == '{' &&
	    name[n - 1] == '}' && key_from_name(&k, name + 1, n - 2) == ERR_OK)
		s->config.hooks.changed(s->config.hooks.arg, &k);
}

static void on_all_changed(void *arg)
{
	struct redis_store *s = arg;

	if (s->config.hooks.all_changed != NULL)
		s->config.hooks.all_changed(s->config.hooks.arg);
}

struct redis_link_config store_redis_link(const struct store_config *c)
{
	return (struct redis_link_config){
	    .prefix = c->prefix,
	    .base = c->base,
	    .exec = c->exec,
	    .timeout_ms = c->timeout_ms,
	    .connect_timeout_ms = c->connect_timeout_ms,
	    .backoff_max_ms = c->backoff_max_ms,
	    .max_value = c->max_value,
	    .event = c->hooks.event,
	    .event_arg = c->hooks.arg,
	};
}

static void on_settled(void *arg)
{
	struct redis_store *s = arg;

	if (s->config.hooks.settled != NULL)
		s->config.hooks.settled(s->config.hooks.arg);
}

static struct redis_link *open_link(struct redis_store *s, const struct redis_url *url)
{
	struct redis_link_config link = store_redis_link(&s->config);
	struct redis_link_use use = {.what = "store=redis",
	    .scripts = scripts,
	    .trial = trial,
	    .track = "a:",
	    .warn_policy = true,
	    .changed = on_changed,
	    .all_changed = on_all_changed,
	    .settled = on_settled,
	    .arg = s};

	return redis_link_open(&link, url, &use);
}

static const struct store_ops redis_ops = {
    .close = redis_close,
    .get = redis_get,
    .put = redis_put,
    .del = redis_del,
    .purge = redis_purge,
    .lease = redis_lease,
    .release = redis_release,
    .sweep = redis_sweep,
    .health = redis_health,
};

static bool make_names(struct redis_store *s)
{
	unsigned char random[TOKEN_N / 2];

	if (RAND_bytes(random, sizeof random) != 1)
		return false;
	hex_encode(random, sizeof random, s->token);
	for (int i = 0; i < SCRIPT_COUNT; i++)
		if (!redis_script_init(&s->script[i], scripts[i]))
			return false;
	s->config.prefix = s->prefix = strdup(s->config.prefix);
	return s->prefix != NULL;
}

enum err store_redis_open(
    struct store **out, const struct store_config *c, char *why, size_t n)
{
	struct redis_store *s;
	struct redis_url url;
	const char *wrong = redis_url_parse(&url, c->url);

	*out = NULL;
	if (wrong != NULL) {
		snprintf(why, n, "URL of the store: %s", wrong);
		return ERR_STORE;
	}
	if (strlen(c->prefix) > REDIS_PREFIX_MAX) {
		snprintf(why, n, "store-prefix is longer than %d characters",
		    REDIS_PREFIX_MAX);
		return ERR_STORE;
	}
	s = calloc(1, sizeof *s);
	if (s != NULL) {
		s->store.ops = &redis_ops;
		s->config = *c;
		s->config.url = NULL;
		if (make_names(s))
			s->link = open_link(s, &url);
	}
	OPENSSL_cleanse(&url, sizeof url);
	if (s == NULL || s->link == NULL) {
		snprintf(why, n, "%s", err_text(ERR_NOMEM));
		if (s != NULL)
			redis_close(&s->store);
		return ERR_NOMEM;
	}
	*out = &s->store;
	return ERR_OK;
}
