/* store_redis.c - answers, leases and news shared by several nodes through Redis.
 *
 * The layout, which other programs may read (PREFIX is store-prefix, NAME is key_name()
 * of cache/key.h, as in "sha1:<issuerNameHash>:<issuerKeyHash>:<serial>"):
 *   PREFIXa:NAME  string   an answer: the record of cache/record.h, or a bare DER
 *                          OCSPResponse; EXAT = its nextUpdate, or its signer's notAfter
 *                          when that is sooner
 *   PREFIXl:NAME  string   the lease of the node that fetches: its token; PX
 *   PREFIXf:NAME  string   "1": a node has just failed to fetch; PX
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
#include "cache/store.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/record.h"
#include "cache/store_redis_link.h"

#define FAILED_MAX_MS   60000 /* no other node keeps us from fetching for longer */
#define SCAN_COUNT      "1000"
#define PURGE_STEPS_MAX 1000000 /* pages of SCAN; ends a server that has no last page */
#define SCRIPT_ARGS_MAX 8
#define TOKEN_N         32

_Static_assert(RECORD_THIS_UPDATE_OFFSET == 1 && RECORD_PRODUCED_AT_OFFSET == 9,
    "the put script compares octets 2 to 17 of a record");

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
    /* KEYS: lease, failed.  ARGV: token, lease_ms.  {0, _}: ours; {1, ms}: another's;
     * {2, ms}: failed.  A mark or lease without an end is not ours and does not count. */
    [SCRIPT_LEASE] = "local failed = redis.call('PTTL', KEYS[2])\n"
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

struct redis_store {
	struct store store;
	struct redis_link *link;
	struct store_config config; /* url is not kept; prefix is ours */
	char *prefix;
	char token[TOKEN_N + 1]; /* of every lease of this process */
	char sha[SCRIPT_COUNT][41];
};

static struct redis_store *of(struct store *s)
{
	return (struct redis_store *)s;
}

/* The connection for commands, or NULL. */
static struct redis_conn *conn_of(const struct redis_store *s)
{
	return redis_link_commands(s->link);
}

/* The names of keys: room for the prefix, one letter, ':' and a key's name. */
#define NAME_ROOM (REDIS_PREFIX_MAX + 2 + KEY_NAME_MAX)

static size_t write_name(
    const struct redis_store *s, char kind, const struct key *k, char out[NAME_ROOM])
{
	size_t n = (size_t)sprintf(out, "%s%c:", s->prefix, kind);

	return n + key_name(k, out + n);
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

struct call {
	struct redis_store *s;
	enum script script;
	bool evaluated; /* sent with its text: the server had lost it */
	/* r NULL unless e is ERR_OK.  Frees nothing. */
	void (*finish)(struct call *c, enum err e, const redisReply *r);
	union {
		store_done_fn *done;
		store_lease_fn *lease;
	};
	void *arg;
	int lease_ms;
	int argc; /* keys and arguments, after the number of keys */
	const char *keys;
	const char *argv[SCRIPT_ARGS_MAX];
	size_t argv_n[SCRIPT_ARGS_MAX];
	size_t room, used;
	char data[]; /* what argv points to: kept until the answer, to be sent again */
};

static struct call *call_new(struct redis_store *s, enum script script, size_t room)
{
	struct call *c = calloc(1, sizeof *c + room);

	if (c == NULL)
		return NULL;
	c->s = s;
	c->script = script;
	c->keys = script == SCRIPT_PUT ? "1" : "2";
	c->room = room;
	return c;
}

static char *call_add(struct call *c, const void *p, size_t n)
{
	char *to = c->data + c->used;

	assert(c->argc < SCRIPT_ARGS_MAX && c->room - c->used >= n);
	if (p != NULL)
		memcpy(to, p, n);
	c->argv[c->argc] = to;
	c->argv_n[c->argc++] = n;
	c->used += n;
	return to;
}

static void call_add_name(struct call *c, char kind, const struct key *k)
{
	char name[NAME_ROOM];

	call_add(c, name, write_name(c->s, kind, k, name));
}

static void call_add_number(struct call *c, long long v)
{
	char text[24];

	call_add(c, text, (size_t)snprintf(text, sizeof text, "%lld", v));
}

static void on_call(void *arg, enum err e, const redisReply *r);

static bool call_send(struct call *c)
{
	const char *argv[3 + SCRIPT_ARGS_MAX];
	size_t argv_n[3 + SCRIPT_ARGS_MAX];

	argv[0] = c->evaluated ? "EVAL" : "EVALSHA";
	argv[1] = c->evaluated ? scripts[c->script] : c->s->sha[c->script];
	argv[2] = c->keys;
	for (int i = 0; i < 3; i++)
		argv_n[i] = strlen(argv[i]);
	memcpy(argv + 3, c->argv, sizeof c->argv);
	memcpy(argv_n + 3, c->argv_n, sizeof c->argv_n);
	return redis_conn_send(conn_of(c->s), 3 + c->argc, argv, argv_n, on_call, c);
}

static void on_call(void *arg, enum err e, const redisReply *r)
{
	struct call *c = arg;

	if (e == ERR_OK && !c->evaluated && redis_reply_is_error(r, "NOSCRIPT")) {
		c->evaluated = true;
		if (call_send(c))
			return;
		e = ERR_STORE;
		r = NULL;
	}
	if (e != ERR_CANCELLED)
		c->finish(c, e, r);
	free(c);
}

/* Send a call or end it at once. */
static void call_start(struct call *c)
{
	if (conn_of(c->s) != NULL && call_send(c))
		return;
	c->finish(c, ERR_STORE, NULL);
	free(c);
}

static void finish_put(struct call *c, enum err e, const redisReply *r)
{
	if (e == ERR_OK && r->type != REDIS_REPLY_INTEGER) {
		e = redis_reply_is_error(r, "OOM") ? ERR_STORE_FULL : ERR_STORE;
		redis_link_note_error(
		    c->s->link, r->type == REDIS_REPLY_ERROR
				    ? r->str
				    : "a write was answered with another type");
	}
	if (c->done != NULL)
		c->done(c->arg, e);
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
	struct call *c = worth ? call_new(s, SCRIPT_PUT, room) : NULL;
	size_t n;

	if (c == NULL) {
		if (done != NULL)
			done(arg, ERR_STORE);
		return;
	}
	c->finish = finish_put;
	c->done = done;
	c->arg = arg;
	call_add_name(c, 'a', k);
	n = record_encode((uint8_t *)c->data + c->used, k, f, der, s->config.keys);
	call_add(c, NULL, n);
	call_add_number(c, facts_expiry(f));
	call_add(c, force ? "1" : "0", 1);
	call_add_number(c, (long long)s->config.max_value);
	call_start(c);
}

static void finish_lease(struct call *c, enum err e, const redisReply *r)
{
	long long kind = -1, ms = 0;

	if (e == ERR_OK && r->type == REDIS_REPLY_ARRAY && r->elements == 2 &&
	    r->element[0]->type == REDIS_REPLY_INTEGER &&
	    r->element[1]->type == REDIS_REPLY_INTEGER) {
		kind = r->element[0]->integer;
		ms = r->element[1]->integer;
	}
	if (kind == 0)
		c->lease(c->arg, LEASE_YOURS, 0);
	else if (kind == 1 && ms > 0)
		c->lease(c->arg, LEASE_TAKEN, ms < c->lease_ms ? ms : c->lease_ms);
	else if (kind == 2 && ms > 0)
		c->lease(c->arg, LEASE_FAILED, ms < FAILED_MAX_MS ? ms : FAILED_MAX_MS);
	else
		c->lease(c->arg, LEASE_ALONE, 0);
}

static struct call *lease_call(
    struct redis_store *s, enum script script, const struct key *k, int ms)
{
	struct call *c = call_new(s, script, 2 * NAME_ROOM + TOKEN_N + 24);

	if (c == NULL)
		return NULL;
	call_add_name(c, 'l', k);
	call_add_name(c, 'f', k);
	call_add(c, s->token, TOKEN_N);
	call_add_number(c, ms);
	return c;
}

static void redis_lease(
    struct store *st, const struct key *k, int lease_ms, store_lease_fn *done, void *arg)
{
	struct redis_store *s = of(st);
	struct call *c = lease_call(s, SCRIPT_LEASE, k, lease_ms);

	if (c == NULL) {
		done(arg, LEASE_ALONE, 0);
		return;
	}
	c->finish = finish_lease;
	c->lease = done;
	c->arg = arg;
	c->lease_ms = lease_ms;
	call_start(c);
}

static void finish_release(struct call *c, enum err e, const redisReply *r)
{
	(void)c, (void)e, (void)r; /* the lease ends by itself */
}

static void redis_release(struct store *st, const struct key *k, int failed_ms)
{
	struct call *c = lease_call(of(st), SCRIPT_RELEASE, k, failed_ms);

	if (c == NULL)
		return;
	c->finish = finish_release;
	call_start(c);
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
	if (e == ERR_OK && r->type != REDIS_REPLY_INTEGER)
		e = ERR_STORE;
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

#define PATTERN_MAX (2 * REDIS_PREFIX_MAX + 2 + KEY_NAME_MAX + 2)

struct purge {
	struct redis_store *s;
	store_done_fn *done;
	void *arg;
	size_t n, at; /* patterns, and the one that is being scanned */
	unsigned steps;
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

static void on_unlinked(void *arg, enum err e, const redisReply *r)
{
	if (e == ERR_OK && r->type == REDIS_REPLY_INTEGER)
		purge_step(arg);
	else
		purge_end(arg, e == ERR_OK ? ERR_STORE : e);
}

/* False when it could not be sent. */
static bool unlink_keys(struct purge *p, const redisReply *keys)
{
	const char **argv = calloc(keys->elements + 1, sizeof *argv);
	size_t *argv_n = calloc(keys->elements + 1, sizeof *argv_n);
	int argc = 1;
	bool sent = false;

	if (argv != NULL && argv_n != NULL) {
		argv[0] = "UNLINK";
		argv_n[0] = 6;
		for (size_t i = 0; i < keys->elements; i++) {
			if (!redis_reply_is_text(keys->element[i]))
				continue;
			argv[argc] = keys->element[i]->str;
			argv_n[argc++] = keys->element[i]->len;
		}
		sent = argc > 1 &&
		       redis_conn_send(conn_of(p->s), argc, argv, argv_n, on_unlinked, p);
	}
	free(argv);
	free(argv_n);
	return sent;
}

static void on_scanned(void *arg, enum err e, const redisReply *r)
{
	struct purge *p = arg;

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
	if (r->element[1]->elements == 0)
		purge_step(p);
	else if (!unlink_keys(p, r->element[1]))
		purge_end(p, ERR_STORE);
}

/* PREFIXa:<hash>:<name hash>:<key hash>:* with the prefix's glob characters escaped. */
static void write_pattern(const struct redis_store *s, const struct issuer *i, size_t ca,
    enum certid_hash h, char out[PATTERN_MAX])
{
	static const struct serial zero = {1, {0}};
	char name[KEY_NAME_MAX];
	struct key k;
	size_t n = 0;

	for (const char *p = s->prefix; *p != '\0'; p++) {
		if (strchr("*?[]\\^-", *p) != NULL)
			out[n++] = '\\';
		out[n++] = *p;
	}
	issuer_key(i, (unsigned)ca, h, &zero, &k);
	key_name(&k, name);
	*(strrchr(name, ':') + 1) = '\0'; /* all serials */
	sprintf(out + n, "a:%s*", name);
}

static void redis_purge(
    struct store *st, const struct issuer *i, store_done_fn *done, void *arg)
{
	struct redis_store *s = of(st);
	size_t n = i->ca_n * CERTID_HASH_COUNT;
	struct purge *p =
	    conn_of(s) != NULL ? calloc(1, sizeof *p + n * PATTERN_MAX) : NULL;

	if (p == NULL) {
		if (done != NULL)
			done(arg, ERR_STORE);
		return;
	}
	*p = (struct purge){.s = s, .done = done, .arg = arg, .n = n, .cursor = "0"};
	for (size_t x = 0; x < n; x++)
		write_pattern(s, i, x / CERTID_HASH_COUNT,
		    (enum certid_hash)(x % CERTID_HASH_COUNT), p->pattern[x]);
	purge_step(p);
}

static void redis_sweep(struct store *st, int64_t now)
{
	(void)st, (void)now; /* every key has its TTL */
}

static void redis_health(const struct store *st, struct store_health *out)
{
	const struct redis_store *s = (const struct redis_store *)st;

	out->kind = "redis";
	out->shared = true;
	redis_link_health(s->link, out);
}

static void redis_close(struct store *st)
{
	struct redis_store *s = of(st);

	redis_link_free(s->link);
	free(s->prefix);
	free(s);
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
	unsigned char random[TOKEN_N / 2], sha[20];

	if (RAND_bytes(random, sizeof random) != 1)
		return false;
	hex_encode(random, sizeof random, s->token);
	for (int i = 0; i < SCRIPT_COUNT; i++) {
		if (EVP_Digest(
			scripts[i], strlen(scripts[i]), sha, NULL, EVP_sha1(), NULL) != 1)
			return false;
		hex_encode(sha, sizeof sha, s->sha[i]);
	}
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
			s->link = redis_link_open(&s->config, &url, scripts);
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
