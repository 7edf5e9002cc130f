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
 * Two connections.  A sends commands.  B is subscribed to __redis__:invalidate, and A
 * redirects its tracking there (CLIENT TRACKING ... BCAST PREFIX PREFIXa: NOLOOP), since
 * RESP2 cannot push into A.  B dying tells A nothing, so a heartbeat looks at both ends:
 * PING on B proves that its socket is alive, CLIENT TRACKINGINFO on A proves that Redis
 * still redirects to this B.  A key that is written for the purpose was rejected: with
 * NOLOOP its news would not come back to us, and it would make every node wake up for
 * every other node's heart.  NOLOOP covers plain commands only: Redis 7 reports what our
 * own scripts write to us too, so each store_put() that wrote comes back as `changed`
 * once.  It is not filtered out, because Redis merges the news of one turn: a filter
 * would also drop another node's write to the same key.
 *
 * Not-newer rule, lease and release are Lua scripts, each one round trip and atomic.  The
 * scripts compare times by their bytes and not as strings, because Lua compares strings
 * by the server's locale.
 *
 * Redis is a stranger (T16): every reply's type is checked, one of another type is a
 * miss. No reply makes us drop anything from memory: `changed` only asks to compare.
 */
#include "cache/store_redis_conn.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "cache/record.h"
#include "cache/store.h"
#include "cache/store_redis_url.h"

#define BACKOFF_MIN_MS  100
#define HEARTBEATS      4     /* timeouts between two heartbeats: 2 s by default */
#define FAILED_MAX_MS   60000 /* no other node keeps us from fetching for longer */
#define REPLY_SLACK     ((size_t)1 << 20) /* besides one value: a page of SCAN, news */
#define SCAN_COUNT      "1000"
#define PURGE_STEPS_MAX 1000000 /* pages of SCAN; ends a server that has no last page */
#define ADDRESSES_MAX   8
#define SCRIPT_ARGS_MAX 8
#define INVALIDATE      "__redis__:invalidate"
#define TOKEN_N         32

_Static_assert(RECORD_THIS_UPDATE_OFFSET == 1 && RECORD_PRODUCED_AT_OFFSET == 9,
    "the put script compares octets 2 to 17 of a record");

enum script { SCRIPT_PUT, SCRIPT_LEASE, SCRIPT_RELEASE, SCRIPT_COUNT };

static const char *const scripts[SCRIPT_COUNT] = {
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

struct link {
	struct redis_conn *conn; /* NULL between attempts */
	struct event *retry;
	int backoff_ms;
};

struct resolving;

struct redis_store {
	struct store store;
	struct store_config config; /* url and prefix are ours */
	struct redis_url url;
	char *prefix;
	char token[TOKEN_N + 1]; /* of every lease of this process */
	char sha[SCRIPT_COUNT][41];
	struct sockaddr_storage addr[ADDRESSES_MAX];
	socklen_t addr_n[ADDRESSES_MAX];
	size_t addrs, next_addr;
	struct resolving
	    *resolving; /* a name look-up on the executor's thread, or NULL */
	struct link a, b;
	struct event *heartbeat;
	bool up;       /* A was greeted */
	bool tracking; /* B hears of changes */
	bool told_down, told_up;
	long long b_id; /* client id of B */
	uint64_t reconnects;
	char error[200];
};

static struct redis_store *of(struct store *s)
{
	return (struct redis_store *)s;
}

/* What people are told. */

/* Text of a stranger, fit for a quoted value of a log line. */
static void make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text == 127 || *text == '"' || *text == '\\')
			*text = '?';
}

static void tell(struct redis_store *s, bool warn, const char *event, const char *error)
{
	char text[320], clean[200];

	if (s->config.hooks.event == NULL)
		return;
	snprintf(clean, sizeof clean, "%s", error);
	make_printable(clean);
	if (clean[0] != '\0')
		snprintf(text, sizeof text, "store=redis error=\"%s\"", clean);
	else
		snprintf(text, sizeof text, "store=redis");
	s->config.hooks.event(s->config.hooks.arg, warn, event, text);
}

static void remember_error(struct redis_store *s, const char *error)
{
	snprintf(s->error, sizeof s->error, "%s", error);
	make_printable(s->error);
}

static void all_changed(struct redis_store *s)
{
	if (s->config.hooks.all_changed != NULL)
		s->config.hooks.all_changed(s->config.hooks.arg);
}

/* Back-off. */

static void retry_later(struct redis_store *s, struct link *l)
{
	unsigned char r[2] = {128, 0};
	struct timeval tv;
	int64_t ms;

	(void)RAND_bytes(r, sizeof r);
	/* 0.5 to 1.5 of the step, so that nodes do not come back in one wave. */
	ms = l->backoff_ms / 2 + (int64_t)l->backoff_ms * (r[0] << 8 | r[1]) / 65536;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	event_add(l->retry, &tv);
	l->backoff_ms = l->backoff_ms > s->config.backoff_max_ms / 2
			    ? s->config.backoff_max_ms
			    : 2 * l->backoff_ms;
}

static void reset_backoff(struct redis_store *s, struct link *l)
{
	l->backoff_ms = BACKOFF_MIN_MS < s->config.backoff_max_ms
			    ? BACKOFF_MIN_MS
			    : s->config.backoff_max_ms;
}

/* Commands without an answer that matters. */

static void on_ignored(void *arg, enum err e, const redisReply *r)
{
	(void)arg, (void)e, (void)r;
}

#define WORDS(conn, fn, arg, ...)                                                        \
	redis_conn_words((conn), (fn), (arg), (const char *const[]){__VA_ARGS__},        \
	    (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

/* End a connection whose greeting was answered with an error. */
static void refuse(struct redis_conn *c, const char *what, const redisReply *r)
{
	char why[160];

	snprintf(why, sizeof why, "%s: %.100s", what,
	    r->type == REDIS_REPLY_ERROR ? r->str : "answered with another type");
	redis_conn_fail(c, why);
}

static void on_auth_a(void *arg, enum err e, const redisReply *r)
{
	struct redis_store *s = arg;

	if (e == ERR_OK && !redis_reply_is_ok(r))
		refuse(s->a.conn, "AUTH or SELECT", r);
}

static void on_auth_b(void *arg, enum err e, const redisReply *r)
{
	struct redis_store *s = arg;

	if (e == ERR_OK && !redis_reply_is_ok(r))
		refuse(s->b.conn, "AUTH", r);
}

static void greet(struct redis_store *s, struct redis_conn *c, redis_reply_fn *fn)
{
	const struct redis_url *u = &s->url;

	if (u->password[0] != '\0' && u->user[0] != '\0')
		WORDS(c, fn, s, "AUTH", u->user, u->password);
	else if (u->password[0] != '\0')
		WORDS(c, fn, s, "AUTH", u->password);
	/* A name for CLIENT LIST; a server that refuses it is welcome all the same. */
	WORDS(c, on_ignored, NULL, "CLIENT", "SETNAME", "ocspcached");
}

/* Connection B: news. */

static void on_message(void *arg, const redisReply *keys)
{
	struct redis_store *s = arg;
	size_t skip = strlen(s->prefix) + 2;
	struct key k;

	if (keys->type != REDIS_REPLY_ARRAY) {
		/* nil: the whole database was flushed; anything else we do not know. */
		all_changed(s);
		return;
	}
	for (size_t i = 0; i < keys->elements; i++) {
		const redisReply *r = keys->element[i];

		if (!redis_reply_is_text(r) || r->len <= skip ||
		    memcmp(r->str, s->prefix, skip - 2) != 0 ||
		    memcmp(r->str + skip - 2, "a:", 2) != 0 ||
		    key_from_name(&k, r->str + skip, r->len - skip) != ERR_OK)
			continue;
		if (s->config.hooks.changed != NULL)
			s->config.hooks.changed(s->config.hooks.arg, &k);
	}
}

static void on_tracking(void *arg, enum err e, const redisReply *r)
{
	struct redis_store *s = arg;

	if (e != ERR_OK)
		return;
	s->tracking = redis_reply_is_ok(r);
	if (!s->tracking)
		tell(s, true, "store_tracking_refused",
		    r->type == REDIS_REPLY_ERROR ? r->str : "answer of another type");
	/* Whatever was written since the last connection was not heard. */
	all_changed(s);
}

static void on_subscribed(void *arg, enum err e, const redisReply *r)
{
	struct redis_store *s = arg;
	char id[24], prefix[256 + 3];

	if (e != ERR_OK)
		return;
	if (r->type != REDIS_REPLY_ARRAY) {
		refuse(s->b.conn, "SUBSCRIBE", r);
		return;
	}
	if (!s->up)
		return;
	snprintf(id, sizeof id, "%lld", s->b_id);
	snprintf(prefix, sizeof prefix, "%sa:", s->prefix);
	/* Off first: Redis refuses a prefix that is tracked already. */
	WORDS(s->a.conn, on_ignored, NULL, "CLIENT", "TRACKING", "OFF");
	WORDS(s->a.conn, on_tracking, s, "CLIENT", "TRACKING", "ON", "REDIRECT", id,
	    "BCAST", "PREFIX", prefix, "NOLOOP");
}

static void on_client_id(void *arg, enum err e, const redisReply *r)
{
	struct redis_store *s = arg;

	if (e != ERR_OK)
		return;
	if (r->type != REDIS_REPLY_INTEGER) {
		refuse(s->b.conn, "CLIENT ID", r);
		return;
	}
	s->b_id = r->integer;
	WORDS(s->b.conn, on_subscribed, s, "SUBSCRIBE", INVALIDATE);
}

static void on_b_connected(void *arg)
{
	struct redis_store *s = arg;

	greet(s, s->b.conn, on_auth_b);
	WORDS(s->b.conn, on_client_id, s, "CLIENT", "ID");
}

static void on_b_closed(void *arg, const char *why, bool was_connected)
{
	struct redis_store *s = arg;

	(void)was_connected;
	s->b.conn = NULL;
	if (s->tracking)
		tell(s, true, "store_tracking_lost", why);
	s->tracking = false;
	retry_later(s, &s->b);
}

/* Both connections go to the address that A was connected by. */
static struct redis_conn *open_conn(struct redis_store *s, struct redis_conn_config *c)
{
	c->base = s->config.base;
	c->timeout_ms = s->config.timeout_ms;
	c->connect_timeout_ms = s->config.connect_timeout_ms;
	c->max_reply = s->config.max_value + REPLY_SLACK;
	c->arg = s;
	return redis_conn_open(
	    c, (struct sockaddr *)&s->addr[s->next_addr], s->addr_n[s->next_addr]);
}

static void connect_b(struct redis_store *s)
{
	struct redis_conn_config c = {
	    .connected = on_b_connected, .closed = on_b_closed, .message = on_message};

	s->b.conn = open_conn(s, &c);
	if (s->b.conn == NULL)
		retry_later(s, &s->b);
}

static void on_retry_b(evutil_socket_t fd, short what, void *arg)
{
	struct redis_store *s = arg;

	(void)fd, (void)what;
	if (s->up && s->b.conn == NULL)
		connect_b(s);
}

/* Heartbeat. */

static bool has_word(const redisReply *list, const char *word)
{
	for (size_t i = 0; list->type == REDIS_REPLY_ARRAY && i < list->elements; i++) {
		const redisReply *r = list->element[i];

		if (redis_reply_is_text(r) && strcmp(r->str, word) == 0)
			return true;
	}
	return false;
}

/* Does CLIENT TRACKINGINFO (pairs of name and value) still name this B? */
static bool tracks(const redisReply *r, long long id)
{
	bool on = false, here = false;

	for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i + 1 < r->elements; i += 2) {
		const redisReply *name = r->element[i], *value = r->element[i + 1];

		if (!redis_reply_is_text(name))
			continue;
		if (strcmp(name->str, "flags") == 0)
			on = has_word(value, "on") && !has_word(value, "broken_redirect");
		if (strcmp(name->str, "redirect") == 0)
			here = value->type == REDIS_REPLY_INTEGER && value->integer == id;
	}
	return on && here;
}

static void on_tracking_info(void *arg, enum err e, const redisReply *r)
{
	struct redis_store *s = arg;

	/* Before Redis 6.2, or without the right to ask, PING on B has to do. */
	if (e != ERR_OK || r->type == REDIS_REPLY_ERROR || s->b.conn == NULL ||
	    !s->tracking)
		return;
	if (!tracks(r, s->b_id))
		redis_conn_fail(s->b.conn, "Redis no longer tracks for this connection");
}

static void on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
	struct redis_store *s = arg;

	(void)fd, (void)what;
	if (!s->up)
		return;
	reset_backoff(s, &s->a);
	if (!s->tracking) {
		WORDS(s->a.conn, on_ignored, NULL, "PING");
		return;
	}
	reset_backoff(s, &s->b);
	WORDS(s->a.conn, on_tracking_info, s, "CLIENT", "TRACKINGINFO");
	WORDS(s->b.conn, on_ignored, NULL, "PING");
}

/* Connection A: commands. */

static void on_policy(void *arg, enum err e, const redisReply *r)
{
	struct redis_store *s = arg;

	/* Refused by an ACL is fine. */
	if (e != ERR_OK || r->type != REDIS_REPLY_ARRAY || r->elements != 2 ||
	    !redis_reply_is_text(r->element[1]))
		return;
	if (strncmp(r->element[1]->str, "allkeys-", 8) == 0)
		tell(s, true, "store_evicts",
		    "maxmemory-policy may evict keys without TTL; use noeviction or "
		    "volatile-ttl");
}

static void on_greeted(void *arg, enum err e, const redisReply *r)
{
	struct redis_store *s = arg;

	if (e != ERR_OK)
		return;
	if (!redis_reply_is_text(r) || strcmp(r->str, "PONG") != 0) {
		refuse(s->a.conn, "PING", r);
		return;
	}
	s->up = true;
	if (s->told_up)
		s->reconnects++;
	s->told_up = true;
	s->told_down = false;
	tell(s, false, "store_up", "");
	event_del(s->b.retry);
	if (s->b.conn == NULL)
		connect_b(s);
}

static void on_a_connected(void *arg)
{
	struct redis_store *s = arg;
	char db[12];

	greet(s, s->a.conn, on_auth_a);
	snprintf(db, sizeof db, "%d", s->url.db);
	if (s->url.db != 0)
		WORDS(s->a.conn, on_auth_a, s, "SELECT", db);
	for (int i = 0; i < SCRIPT_COUNT; i++)
		WORDS(s->a.conn, on_ignored, NULL, "SCRIPT", "LOAD", scripts[i]);
	WORDS(s->a.conn, on_policy, s, "CONFIG", "GET", "maxmemory-policy");
	/* The last of the greeting: its PONG means that we may ask. */
	WORDS(s->a.conn, on_greeted, s, "PING");
}

static void connect_a(struct redis_store *s);

static void on_a_closed(void *arg, const char *why, bool was_connected)
{
	struct redis_store *s = arg;

	s->a.conn = NULL;
	s->up = s->tracking = false;
	event_del(s->b.retry);
	redis_conn_free(s->b.conn); /* tracks for an A that is gone */
	s->b.conn = NULL;
	remember_error(s, why);
	if (!was_connected && s->next_addr + 1 < s->addrs) {
		s->next_addr++; /* localhost: ::1, then 127.0.0.1 */
		connect_a(s);
		return;
	}
	s->addrs = 0; /* look the name up again: it may have moved */
	if (!s->told_down)
		tell(s, true, "store_down", why);
	s->told_down = true;
	retry_later(s, &s->a);
}

static void connect_a(struct redis_store *s)
{
	struct redis_conn_config c = {.connected = on_a_connected, .closed = on_a_closed};

	s->a.conn = open_conn(s, &c);
	if (s->a.conn == NULL)
		on_a_closed(s, strerror(errno), false);
}

/* Addresses.  A name is looked up on the executor's thread, because getaddrinfo() may
 * take seconds; numeric addresses and sockets need no thread. */

struct resolving {
	struct redis_store *s; /* NULL: closed meanwhile */
	char host[256], port[6];
	struct addrinfo *list;
	int e;
};

static void take_addresses(struct redis_store *s, const struct addrinfo *list)
{
	s->addrs = s->next_addr = 0;
	for (; list != NULL && s->addrs < ADDRESSES_MAX; list = list->ai_next) {
		memcpy(&s->addr[s->addrs], list->ai_addr, list->ai_addrlen);
		s->addr_n[s->addrs++] = list->ai_addrlen;
	}
}

static void resolve(void *arg)
{
	struct resolving *r = arg;
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

	r->e = getaddrinfo(r->host, r->port, &hints, &r->list);
}

static void on_resolved(void *arg)
{
	struct resolving *r = arg;
	struct redis_store *s = r->s;

	if (s != NULL) {
		s->resolving = NULL;
		if (r->e == 0)
			take_addresses(s, r->list);
		if (s->addrs > 0)
			connect_a(s);
		else
			on_a_closed(s, gai_strerror(r->e), false);
	}
	if (r->list != NULL)
		freeaddrinfo(r->list);
	free(r);
}

static void start_resolving(struct redis_store *s)
{
	struct resolving *r = calloc(1, sizeof *r);

	if (r == NULL) {
		on_a_closed(s, err_text(ERR_NOMEM), false);
		return;
	}
	r->s = s;
	s->resolving = r;
	memcpy(r->host, s->url.host, sizeof r->host);
	memcpy(r->port, s->url.port, sizeof r->port);
	if (s->config.exec.run != NULL) {
		s->config.exec.run(s->config.exec.ctx, resolve, on_resolved, r);
		return;
	}
	resolve(r);
	on_resolved(r);
}

static void address_of_socket(struct redis_store *s)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&s->addr[0];

	memset(un, 0, sizeof *un);
	un->sun_family = AF_UNIX;
	strcpy(un->sun_path, s->url.host); /* redis_url_parse() saw to its length */
	s->addr_n[0] = sizeof *un;
	s->addrs = 1;
	s->next_addr = 0;
}

static bool address_is_numeric(struct redis_store *s)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *list = NULL;

	if (getaddrinfo(s->url.host, s->url.port, &hints, &list) != 0)
		return false;
	take_addresses(s, list);
	freeaddrinfo(list);
	return s->addrs > 0;
}

static void on_retry_a(evutil_socket_t fd, short what, void *arg)
{
	struct redis_store *s = arg;

	(void)fd, (void)what;
	assert(s->a.conn == NULL && s->resolving == NULL);
	if (s->url.unix_socket)
		address_of_socket(s);
	else if (!address_is_numeric(s)) {
		start_resolving(s);
		return;
	}
	connect_a(s);
}

/* The names of keys: room for the prefix, one letter, ':' and a key's name. */
#define PREFIX_MAX 200
#define NAME_ROOM  (PREFIX_MAX + 2 + KEY_NAME_MAX)

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
	struct get *g = s->up ? malloc(sizeof *g) : NULL;
	char name[NAME_ROOM], last[24];

	if (g != NULL) {
		*g = (struct get){s, done, arg};
		write_name(s, 'a', k, name);
		snprintf(last, sizeof last, "%zu", s->config.max_value);
		if (WORDS(s->a.conn, on_got, g, "GETRANGE", name, "0", last))
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
	return redis_conn_send(c->s->a.conn, 3 + c->argc, argv, argv_n, on_call, c);
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
	if (c->s->up && call_send(c))
		return;
	c->finish(c, ERR_STORE, NULL);
	free(c);
}

static void finish_put(struct call *c, enum err e, const redisReply *r)
{
	if (e == ERR_OK && r->type != REDIS_REPLY_INTEGER) {
		e = redis_reply_is_error(r, "OOM") ? ERR_STORE_FULL : ERR_STORE;
		remember_error(c->s, r->type == REDIS_REPLY_ERROR
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
	bool worth = s->up && der.n + RECORD_OVERHEAD <= s->config.max_value &&
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
	struct del *d = s->up ? malloc(sizeof *d) : NULL;
	char name[NAME_ROOM];

	if (d != NULL) {
		*d = (struct del){s, done, arg};
		write_name(s, 'a', k, name);
		if (WORDS(s->a.conn, on_deleted, d, "UNLINK", name))
			return;
		free(d);
	}
	if (done != NULL)
		done(arg, ERR_STORE);
}

/* Purging: SCAN for one (CA, hash algorithm) after the other, one command under way at a
 * time.  SCAN may show a key twice and need not show one that is written meanwhile. */

#define PATTERN_MAX (2 * PREFIX_MAX + 2 + KEY_NAME_MAX + 2)

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
	else if (++p->steps > PURGE_STEPS_MAX || !p->s->up ||
		 !WORDS(p->s->a.conn, on_scanned, p, "SCAN", p->cursor, "MATCH",
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
		       redis_conn_send(p->s->a.conn, argc, argv, argv_n, on_unlinked, p);
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
	struct purge *p = s->up ? calloc(1, sizeof *p + n * PATTERN_MAX) : NULL;

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
	out->up = s->up;
	out->shared = true;
	out->error = s->error;
	out->reconnects = s->reconnects;
}

static void redis_close(struct store *st)
{
	struct redis_store *s = of(st);

	if (s->resolving != NULL)
		s->resolving->s = NULL;
	redis_conn_free(s->b.conn);
	redis_conn_free(s->a.conn);
	if (s->a.retry != NULL)
		event_free(s->a.retry);
	if (s->b.retry != NULL)
		event_free(s->b.retry);
	if (s->heartbeat != NULL)
		event_free(s->heartbeat);
	OPENSSL_cleanse(&s->url, sizeof s->url);
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
	s->prefix = strdup(s->config.prefix);
	return s->prefix != NULL;
}

static bool make_timers(struct redis_store *s)
{
	int64_t ms = (int64_t)s->config.timeout_ms * HEARTBEATS;
	struct timeval tv = {
	    .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	s->a.retry = event_new(s->config.base, -1, 0, on_retry_a, s);
	s->b.retry = event_new(s->config.base, -1, 0, on_retry_b, s);
	s->heartbeat = event_new(s->config.base, -1, EV_PERSIST, on_heartbeat, s);
	return s->a.retry != NULL && s->b.retry != NULL && s->heartbeat != NULL &&
	       event_add(s->heartbeat, &tv) == 0;
}

enum err store_redis_open(
    struct store **out, const struct store_config *c, char *why, size_t n)
{
	struct redis_store *s;
	const char *wrong;

	*out = NULL;
	assert(c->timeout_ms > 0 && c->connect_timeout_ms > 0 && c->backoff_max_ms > 0);
	if (strlen(c->prefix) > PREFIX_MAX) {
		snprintf(why, n, "store-prefix is longer than %d characters", PREFIX_MAX);
		return ERR_STORE;
	}
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return ERR_NOMEM;
	s->store.ops = &redis_ops;
	s->config = *c;
	s->config.url = NULL;
	if ((wrong = redis_url_parse(&s->url, c->url)) != NULL) {
		snprintf(why, n, "URL of the store: %s", wrong);
		redis_close(&s->store);
		return ERR_STORE;
	}
	if (!make_names(s) || !make_timers(s)) {
		snprintf(why, n, "%s", err_text(ERR_NOMEM));
		redis_close(&s->store);
		return ERR_NOMEM;
	}
	s->config.prefix = s->prefix;
	reset_backoff(s, &s->a);
	reset_backoff(s, &s->b);
	event_active(s->a.retry, EV_TIMEOUT, 0);
	*out = &s->store;
	return ERR_OK;
}
