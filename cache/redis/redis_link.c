/* redis_link.c - greeting, news, heartbeat, addresses, back-off.
 *
 * The heartbeat looks at both ends of the news, since B dying tells A nothing: PING on B
 * proves that its socket is alive, CLIENT TRACKINGINFO on A that Redis still redirects to
 * this B.  A key that is written for the purpose was rejected: with NOLOOP its news would
 * not come back to us, and it would wake every node for every other node's heart.
 */
#include "cache/redis/redis_link.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "cache/base/backoff.h"
#include "cache/redis/redis_word.h"

#define BACKOFF_MIN_MS 100
#define HEARTBEATS     4 /* timeouts between two heartbeats: 2 s by default */
#define REPLY_SLACK    ((size_t)1 << 20) /* besides one value: a page of SCAN, news */
#define ADDRESSES_MAX  8
#define INVALIDATE     "__redis__:invalidate"
/* Of a trial that failed with words that nobody has listed. */
#define TOO_OLD "Redis 6.2 or newer is needed, with the rights that ocspcached(8) lists"

/* Of a connection that failed without such words. */
static const char AWAY[] =
    "see that Redis runs there and can be reached; else correct its place in store";

struct end {
	struct redis_conn *conn; /* NULL between attempts */
	struct event *retry;
	int failures; /* since it was well */
};

struct resolving;

struct redis_link {
	struct redis_link_config config;
	struct redis_url url;
	struct redis_link_use use;
	struct sockaddr_storage addr[ADDRESSES_MAX];
	socklen_t addr_n[ADDRESSES_MAX];
	size_t addrs, next_addr;
	struct resolving *resolving; /* under way on the executor's thread, or NULL */
	struct end a, b;
	struct event *heartbeat;
	bool up;       /* A was greeted */
	bool tracking; /* B hears of changes */
	bool compared; /* all_changed was called since A came up */
	bool refuses;  /* a command or the trial was refused since A came up */
	bool told_down, told_up;
	bool settled;          /* one of them was */
	const char *remedy;    /* against `error`, or "" */
	const char *said_down; /* remedy of the last store_down */
	long long b_id;        /* client id of B */
	uint64_t reconnects;
	char error[200];
};

/* What people are told. */

/* remedy: one of the table's, or NULL. */
static void tell_remedy(struct redis_link *l, bool warn, const char *event,
    const char *error, const char *remedy)
{
	char text[480], clean[200];
	size_t n;

	if (l->config.event == NULL)
		return;
	snprintf(clean, sizeof clean, "%s", error);
	redis_word_clean(clean);
	n = (size_t)snprintf(text, sizeof text, "%s", l->use.what);
	if (clean[0] != '\0')
		n += (size_t)snprintf(text + n, sizeof text - n, " error=\"%s\"", clean);
	if (remedy != NULL && remedy[0] != '\0')
		snprintf(text + n, sizeof text - n, " remedy=\"%s\"", remedy);
	l->config.event(l->config.event_arg, warn, event, text);
}

static void tell(struct redis_link *l, bool warn, const char *event, const char *error)
{
	tell_remedy(l, warn, event, error, redis_word_remedy(redis_word_in(error)));
}

void redis_link_note_error(struct redis_link *l, const char *error)
{
	snprintf(l->error, sizeof l->error, "%s", error);
	l->remedy = redis_word_remedy(redis_word_in(l->error));
	redis_word_clean(l->error);
}

/* Refused, or well again. */

static void tell_refusal(struct redis_link *l)
{
	if (l->up && l->refuses)
		tell_remedy(l, true, "store_refuses", l->error, l->remedy);
}

static void note_refusal(struct redis_link *l, const char *error, const char *remedy)
{
	bool known = l->refuses && strcmp(l->remedy, remedy) == 0;

	redis_link_note_error(l, error);
	l->remedy = remedy;
	l->refuses = true;
	if (!known)
		tell_refusal(l);
}

void redis_link_heard(struct redis_link *l, const redisReply *r)
{
	const struct redis_word *w = redis_word_of(r);

	if (w != NULL && !w->leave)
		note_refusal(l, r->str, w->remedy);
}

static void on_trial(void *arg, enum err e, const redisReply *r)
{
	struct redis_link *l = arg;
	bool refused = l->refuses;

	if (e != ERR_OK)
		return;
	if (r->type == REDIS_REPLY_ERROR) {
		const struct redis_word *w = redis_word_of(r);

		if (w == NULL || !w->leave) /* else the connection ends */
			note_refusal(l, r->str, w != NULL ? w->remedy : TOO_OLD);
		return;
	}
	l->refuses = false;
	if (refused && l->up)
		tell(l, false, "store_well", "");
}

static void try_all(struct redis_link *l)
{
	char key[REDIS_PREFIX_MAX + REDIS_TRACK_MAX + sizeof "try"];

	snprintf(key, sizeof key, "%s%stry", l->config.prefix, l->use.track);
	WORDS(l->a.conn, on_trial, l, "EVAL", l->use.trial, "1", key, "1");
}

static void all_changed(struct redis_link *l)
{
	l->use.all_changed(l->use.arg);
}

static void settle(struct redis_link *l)
{
	if (!l->settled && l->use.settled != NULL)
		l->use.settled(l->use.arg);
	l->settled = true;
}

/* Back-off. */

static void retry_later(const struct redis_link *l, struct end *end)
{
	const struct backoff b = {BACKOFF_MIN_MS, l->config.backoff_max_ms, INT_MAX};
	unsigned char r[2] = {128, 0};
	struct timeval tv;
	int64_t ms;

	(void)RAND_bytes(r, sizeof r);
	ms = backoff_ms(&b, ++end->failures, (unsigned)(r[0] << 8 | r[1]));
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	if (event_add(end->retry, &tv) != 0) /* out of memory, and nobody else would */
		event_active(end->retry, EV_TIMEOUT, 0);
}

/* Commands without an answer that matters. */

static void on_ignored(void *arg, enum err e, const redisReply *r)
{
	(void)arg, (void)e, (void)r;
}

/* End a connection whose greeting was answered with an error. */
static void refuse(struct redis_conn *c, const char *what, const redisReply *r)
{
	char why[160];

	snprintf(why, sizeof why, "%.120s (%s)",
	    r->type == REDIS_REPLY_ERROR ? r->str : "answer of another type", what);
	redis_conn_fail(c, why);
}

static void on_auth_a(void *arg, enum err e, const redisReply *r)
{
	struct redis_link *l = arg;

	if (e == ERR_OK && !redis_reply_is_ok(r))
		refuse(l->a.conn, "AUTH or SELECT", r);
}

static void on_auth_b(void *arg, enum err e, const redisReply *r)
{
	struct redis_link *l = arg;

	if (e == ERR_OK && !redis_reply_is_ok(r))
		refuse(l->b.conn, "AUTH", r);
}

static void greet(struct redis_link *l, struct redis_conn *c, redis_reply_fn *fn)
{
	const struct redis_url *u = &l->url;

	if (u->password[0] != '\0' && u->user[0] != '\0')
		WORDS(c, fn, l, "AUTH", u->user, u->password);
	else if (u->password[0] != '\0')
		WORDS(c, fn, l, "AUTH", u->password);
	/* A name for CLIENT LIST; a server that refuses it is welcome all the same. */
	WORDS(c, on_ignored, NULL, "CLIENT", "SETNAME", "ocspcached");
}

/* Connection B: news. */

static void on_message(void *arg, const redisReply *keys)
{
	struct redis_link *l = arg;
	size_t prefix_n = strlen(l->config.prefix);
	size_t skip = prefix_n + strlen(l->use.track);

	if (keys->type != REDIS_REPLY_ARRAY) {
		/* nil: the whole database was flushed; anything else we do not know. */
		all_changed(l);
		return;
	}
	for (size_t i = 0; i < keys->elements; i++) {
		const redisReply *r = keys->element[i];

		if (redis_reply_is_text(r) && r->len > skip &&
		    memcmp(r->str, l->config.prefix, prefix_n) == 0 &&
		    memcmp(r->str + prefix_n, l->use.track, skip - prefix_n) == 0)
			l->use.changed(l->use.arg, r->str + skip, r->len - skip);
	}
}

static void on_tracking(void *arg, enum err e, const redisReply *r)
{
	struct redis_link *l = arg;

	/* B may have died meanwhile: its successor asks again. */
	if (e != ERR_OK || l->b.conn == NULL)
		return;
	l->tracking = redis_reply_is_ok(r);
	if (!l->tracking)
		tell(l, true, "store_tracking_refused",
		    r->type == REDIS_REPLY_ERROR ? r->str : "answer of another type");
	/* Whatever was written since the last connection was not heard. */
	l->compared = true;
	all_changed(l);
}

static void on_subscribed(void *arg, enum err e, const redisReply *r)
{
	struct redis_link *l = arg;
	char id[24], prefix[REDIS_PREFIX_MAX + REDIS_TRACK_MAX + 1];

	if (e != ERR_OK)
		return;
	if (r->type != REDIS_REPLY_ARRAY) {
		refuse(l->b.conn, "SUBSCRIBE", r);
		return;
	}
	if (!l->up)
		return;
	snprintf(id, sizeof id, "%lld", l->b_id);
	snprintf(prefix, sizeof prefix, "%s%s", l->config.prefix, l->use.track);
	/* Off first: Redis refuses a prefix that is tracked already. */
	WORDS(l->a.conn, on_ignored, NULL, "CLIENT", "TRACKING", "OFF");
	WORDS(l->a.conn, on_tracking, l, "CLIENT", "TRACKING", "ON", "REDIRECT", id,
	    "BCAST", "PREFIX", prefix, "NOLOOP");
}

static void on_client_id(void *arg, enum err e, const redisReply *r)
{
	struct redis_link *l = arg;

	if (e != ERR_OK)
		return;
	if (r->type != REDIS_REPLY_INTEGER) {
		refuse(l->b.conn, "CLIENT ID", r);
		return;
	}
	l->b_id = r->integer;
	WORDS(l->b.conn, on_subscribed, l, "SUBSCRIBE", INVALIDATE);
}

static void on_b_connected(void *arg)
{
	struct redis_link *l = arg;

	greet(l, l->b.conn, on_auth_b);
	WORDS(l->b.conn, on_client_id, l, "CLIENT", "ID");
}

static void on_b_closed(void *arg, const char *why, bool was_connected)
{
	struct redis_link *l = arg;

	(void)was_connected;
	l->b.conn = NULL;
	if (l->tracking) {
		tell(l, true, "store_tracking_lost", why);
	} else if (!l->compared) {
		/* Not to be had for now: compare at least what this return of A means. */
		tell(l, true, "store_tracking_refused", why);
		l->compared = true;
		all_changed(l);
	}
	l->tracking = false;
	retry_later(l, &l->b);
}

/* Both connections go to the address that A was connected by. */
static struct redis_conn *open_conn(struct redis_link *l, struct redis_conn_config *c)
{
	c->base = l->config.base;
	c->timeout_ms = l->config.timeout_ms;
	c->connect_timeout_ms = l->config.connect_timeout_ms;
	c->max_reply = l->config.max_value + REPLY_SLACK;
	c->arg = l;
	return redis_conn_open(
	    c, (struct sockaddr *)&l->addr[l->next_addr], l->addr_n[l->next_addr]);
}

static void connect_b(struct redis_link *l)
{
	struct redis_conn_config c = {
	    .connected = on_b_connected, .closed = on_b_closed, .message = on_message};

	assert(l->up && l->b.conn == NULL);
	l->b.conn = open_conn(l, &c);
	if (l->b.conn == NULL)
		retry_later(l, &l->b);
}

static void on_retry_b(evutil_socket_t fd, short what, void *arg)
{
	struct redis_link *l = arg;

	(void)fd, (void)what;
	if (l->up && l->b.conn == NULL)
		connect_b(l);
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
	struct redis_link *l = arg;

	/* Before Redis 6.2, or without the right to ask, PING on B has to do. */
	if (e != ERR_OK || r->type == REDIS_REPLY_ERROR || l->b.conn == NULL ||
	    !l->tracking)
		return;
	if (!tracks(r, l->b_id))
		redis_conn_fail(l->b.conn, "Redis no longer tracks for this connection");
}

/* A replica that takes no writes.  Who may not ask is told when it writes. */
static void on_role(void *arg, enum err e, const redisReply *r)
{
	struct redis_link *l = arg;

	if (e == ERR_OK && l->a.conn != NULL && r->type == REDIS_REPLY_STRING &&
	    strstr(r->str, "\nrole:slave\r") != NULL &&
	    strstr(r->str, "\nslave_read_only:1\r") != NULL)
		redis_conn_fail(
		    l->a.conn, "READONLY by INFO replication: it is a replica now");
}

static void on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
	struct redis_link *l = arg;

	(void)fd, (void)what;
	if (!l->up)
		return;
	l->a.failures = 0;
	WORDS(l->a.conn, on_role, l, "INFO", "replication");
	if (l->refuses)
		try_all(l);
	if (!l->tracking) {
		WORDS(l->a.conn, on_ignored, NULL, "PING");
		return;
	}
	l->b.failures = 0;
	WORDS(l->a.conn, on_tracking_info, l, "CLIENT", "TRACKINGINFO");
	WORDS(l->b.conn, on_ignored, NULL, "PING");
}

/* Connection A: commands. */

/* By INFO, since who runs Redis for others forbids CONFIG. */
static void on_policy(void *arg, enum err e, const redisReply *r)
{
	struct redis_link *l = arg;

	/* Refused by an ACL is fine. */
	if (e == ERR_OK && r->type == REDIS_REPLY_STRING &&
	    strstr(r->str, "\nmaxmemory_policy:allkeys-") != NULL)
		tell(l, true, "store_evicts",
		    "maxmemory-policy may evict keys without TTL; use " REDIS_POLICY);
}

static void on_greeted(void *arg, enum err e, const redisReply *r)
{
	struct redis_link *l = arg;

	if (e != ERR_OK)
		return;
	/* PING is also refused by a Redis that cannot write to its disk. */
	redis_link_heard(l, r);
	if (!l->refuses && (!redis_reply_is_text(r) || strcmp(r->str, "PONG") != 0)) {
		refuse(l->a.conn, "PING", r);
		return;
	}
	assert(!l->up && l->a.conn != NULL);
	l->up = true;
	l->compared = false;
	if (l->told_up)
		l->reconnects++;
	l->told_up = true;
	l->told_down = false;
	tell(l, false, "store_up", "");
	settle(l);
	tell_refusal(l);
	event_del(l->b.retry);
	if (l->b.conn == NULL)
		connect_b(l);
	if (l->use.up != NULL)
		l->use.up(l->use.arg);
}

static void on_a_connected(void *arg)
{
	struct redis_link *l = arg;
	char db[12];

	greet(l, l->a.conn, on_auth_a);
	snprintf(db, sizeof db, "%d", l->url.db);
	if (l->url.db != 0)
		WORDS(l->a.conn, on_auth_a, l, "SELECT", db);
	for (const char *const *text = l->use.scripts; *text != NULL; text++)
		WORDS(l->a.conn, on_ignored, NULL, "SCRIPT", "LOAD", *text);
	if (l->use.warn_policy)
		WORDS(l->a.conn, on_policy, l, "INFO", "memory");
	try_all(l);
	/* The last of the greeting: its PONG means that we may ask. */
	WORDS(l->a.conn, on_greeted, l, "PING");
}

static void connect_a(struct redis_link *l);

/* Once; and again where something else is the matter now that has a remedy. */
static void tell_down(struct redis_link *l)
{
	bool news = l->remedy != AWAY && strcmp(l->remedy, l->said_down) != 0;

	if (!l->told_down || news) {
		tell_remedy(l, true, "store_down", l->error, l->remedy);
		l->said_down = l->remedy;
	}
	l->told_down = true;
	settle(l);
}

/* Redis' own words, or what the connection met, and where. */
static void note_lost(struct redis_link *l, const char *why)
{
	snprintf(l->error, sizeof l->error, "%.120s (%.60s%s%s)", why, l->url.host,
	    l->url.unix_socket ? "" : " port ", l->url.unix_socket ? "" : l->url.port);
	redis_word_clean(l->error);
	l->remedy = redis_word_remedy(redis_word_in(why));
	if (l->remedy[0] == '\0')
		l->remedy = AWAY;
}

static void on_a_closed(void *arg, const char *why, bool was_connected)
{
	struct redis_link *l = arg;

	assert(l->resolving == NULL && (l->up || l->b.conn == NULL));
	l->a.conn = NULL;
	l->up = l->tracking = l->refuses = false;
	event_del(l->b.retry);
	redis_conn_free(l->b.conn); /* tracks for an A that is gone */
	l->b.conn = NULL;
	note_lost(l, why);
	if (!was_connected && l->next_addr + 1 < l->addrs) {
		l->next_addr++; /* localhost: ::1, then 127.0.0.1 */
		connect_a(l);
		return;
	}
	l->addrs = 0; /* look the name up again: it may have moved */
	tell_down(l);
	retry_later(l, &l->a);
}

static void connect_a(struct redis_link *l)
{
	struct redis_conn_config c = {.connected = on_a_connected, .closed = on_a_closed};

	l->a.conn = open_conn(l, &c);
	if (l->a.conn == NULL)
		on_a_closed(l, strerror(errno), false);
}

/* Addresses.  A name is looked up on the executor's thread, because getaddrinfo() may
 * take seconds; numeric addresses and sockets need no thread. */

struct resolving {
	struct redis_link *l; /* NULL: closed meanwhile */
	char host[256], port[6];
	struct addrinfo *list;
	int e;
};

static void take_addresses(struct redis_link *l, const struct addrinfo *list)
{
	l->addrs = l->next_addr = 0;
	for (; list != NULL && l->addrs < ADDRESSES_MAX; list = list->ai_next) {
		memcpy(&l->addr[l->addrs], list->ai_addr, list->ai_addrlen);
		l->addr_n[l->addrs++] = list->ai_addrlen;
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
	struct redis_link *l = r->l;

	if (l != NULL) {
		l->resolving = NULL;
		if (r->e == 0)
			take_addresses(l, r->list);
		if (l->addrs > 0)
			connect_a(l);
		else
			on_a_closed(l, gai_strerror(r->e), false);
	}
	if (r->list != NULL)
		freeaddrinfo(r->list);
	free(r);
}

static void start_resolving(struct redis_link *l)
{
	struct resolving *r = calloc(1, sizeof *r);

	if (r == NULL) {
		on_a_closed(l, err_text(ERR_NOMEM), false);
		return;
	}
	r->l = l;
	l->resolving = r;
	memcpy(r->host, l->url.host, sizeof r->host);
	memcpy(r->port, l->url.port, sizeof r->port);
	if (l->config.exec.run != NULL) {
		l->config.exec.run(l->config.exec.ctx, resolve, on_resolved, r);
		return;
	}
	resolve(r);
	on_resolved(r);
}

static void address_of_socket(struct redis_link *l)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&l->addr[0];

	memset(un, 0, sizeof *un);
	un->sun_family = AF_UNIX;
	strcpy(un->sun_path, l->url.host); /* redis_url_parse() saw to its length */
	l->addr_n[0] = sizeof *un;
	l->addrs = 1;
	l->next_addr = 0;
}

static bool address_is_numeric(struct redis_link *l)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *list = NULL;

	if (getaddrinfo(l->url.host, l->url.port, &hints, &list) != 0)
		return false;
	take_addresses(l, list);
	freeaddrinfo(list);
	return l->addrs > 0;
}

static void on_retry_a(evutil_socket_t fd, short what, void *arg)
{
	struct redis_link *l = arg;

	(void)fd, (void)what;
	assert(l->a.conn == NULL && l->resolving == NULL);
	if (l->url.unix_socket)
		address_of_socket(l);
	else if (!address_is_numeric(l)) {
		start_resolving(l);
		return;
	}
	connect_a(l);
}

/* The interface. */

struct redis_conn *redis_link_commands(const struct redis_link *l)
{
	return l->up ? l->a.conn : NULL;
}

bool redis_link_hears(const struct redis_link *l)
{
	return l->up && l->tracking;
}

void redis_link_health(const struct redis_link *l, struct redis_health *out)
{
	*out = (struct redis_health){
	    .up = l->up && !l->refuses,
	    .refuses = l->up && l->refuses,
	    .error = l->error,
	    .remedy = l->remedy,
	    .reconnects = l->reconnects,
	};
}

void redis_link_free(struct redis_link *l)
{
	if (l == NULL)
		return;
	if (l->resolving != NULL)
		l->resolving->l = NULL;
	redis_conn_free(l->b.conn);
	redis_conn_free(l->a.conn);
	if (l->a.retry != NULL)
		event_free(l->a.retry);
	if (l->b.retry != NULL)
		event_free(l->b.retry);
	if (l->heartbeat != NULL)
		event_free(l->heartbeat);
	OPENSSL_cleanse(&l->url, sizeof l->url);
	free(l);
}

static bool make_timers(struct redis_link *l)
{
	int64_t ms = (int64_t)l->config.timeout_ms * HEARTBEATS;
	struct timeval tv = {
	    .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	l->a.retry = event_new(l->config.base, -1, 0, on_retry_a, l);
	l->b.retry = event_new(l->config.base, -1, 0, on_retry_b, l);
	l->heartbeat = event_new(l->config.base, -1, EV_PERSIST, on_heartbeat, l);
	return l->a.retry != NULL && l->b.retry != NULL && l->heartbeat != NULL &&
	       event_add(l->heartbeat, &tv) == 0;
}

struct redis_link *redis_link_open(const struct redis_link_config *c,
    const struct redis_url *url, const struct redis_link_use *use)
{
	struct redis_link *l = calloc(1, sizeof *l);

	assert(c->timeout_ms > 0 && c->connect_timeout_ms > 0 && c->backoff_max_ms > 0);
	assert(strlen(c->prefix) <= REDIS_PREFIX_MAX);
	assert(strlen(use->track) <= REDIS_TRACK_MAX);
	if (l == NULL)
		return NULL;
	l->config = *c;
	l->url = *url;
	l->use = *use;
	l->remedy = l->said_down = "";
	if (!make_timers(l)) {
		redis_link_free(l);
		return NULL;
	}
	event_active(l->a.retry, EV_TIMEOUT, 0);
	return l;
}
