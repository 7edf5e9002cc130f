/* change_log_redis.c - one log for all nodes, in a Redis Stream.
 *
 * The layout, which other programs may read (PREFIX is store-prefix; {e} as it stands is
 * the hash tag by which all of it is in one slot of a cluster):
 *   PREFIX{e}:state        hash    epoch, and the log's ends: seq and n of the newest
 *                                  batch and its number of changes, cut and cut_n of the
 *                                  last one that was dropped for its age; run, durable:
 *                                  run_id of the Redis that wrote last, and whether what
 *                                  that acknowledged cannot be lost; from: while it is
 *                                  taken over (log_takeover.h), the epoch of that
 *   PREFIX{e}:log          stream  entry SEQ-0, SEQ = 1, 2, 3... in each epoch: b = a
 *                                  batch (change.c), t = when it was found, seconds since
 *                                  1970, n = its number of changes
 *   PREFIX{e}:told:SCOPE   string  told pointer (change_told.c) of a list; SCOPE = 64 hex
 *   PREFIX{e}:one:CERT     string  "STATUS REVOKED_AT EPOCH SEQ": the last single change
 *                                  of a certificate; CERT = first 32 hex of SHA-256 over
 *                                  issuer's name, NUL, serial's octets; EX
 *   PREFIX{e}:left:ISSUER  string  "EPOCH SEQ": the last batch of a list by which one of
 *                                  its certificates was no longer revoked; ISSUER = first
 *                                  32 hex of SHA-256 over the name; EX
 * The version before wrote them without the tag (PREFIXe:state): what is there is taken
 * over before each check.
 *
 * Single changes: nodes find the same one each for itself, so one that `one` names
 * already is left out; unless `left` is newer, since the certificate may have been
 * released in between.  What is watched and revoked already is none of these, and is
 * appended as it is.
 *
 * Epochs: LOG_CHECK runs whenever Redis is back and whenever an answer does not fit.  It
 * begins a new epoch where batches that were acknowledged may be gone: another run_id
 * without "appendonly yes" and "appendfsync always", state or stream lost, an end before
 * one that this node has seen.  Until it has run, Redis counts as away.
 *
 * A batch that is missing in the stream, or that cannot be read, is a gap.
 *
 * Redis is a stranger: every reply is checked, in type, order and size.  What does not
 * fit is ERR_STORE and checks the log anew, once a second at most.
 *
 * A node that appends hears of it itself too (store_redis.c says why): `grown` may find
 * nothing.  Where Redis does not tell of changes at all, `grown` is called each second.
 */
#include "cache/change/change_log.h"

#include <assert.h>
#include <event2/event.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/change/log_scripts.h"
#include "cache/change/log_takeover.h"
#include "cache/change/redis_page.h"
#include "cache/change/redis_server.h"
#include "cache/redis/redis_call.h"
#include "cache/redis/redis_word.h"
#include "cache/store/store_redis.h"

#define TRACK "{e}:"
/* Of one read, whatever the caller asks for: what is on its way at once. */
#define PAGE_MAX ((size_t)4 << 20)
#define SEQ_MAX  ((INT64_C(1) << 48) - 1) /* as change_pos_text() */
/* How long a repeated single change is known as one.  A node comes upon it at the latest
 * when its own copy of the answer runs out: ten days with public CAs, a month is room for
 * others.  Later it is told twice, which subscribers can see. */
#define ONE_KEPT_S (30 * 86400)
#define TICK_S     1
#define NAME_ROOM  (REDIS_PREFIX_MAX + sizeof TRACK "told:" + 2 * CHANGE_SCOPE_N)

struct redis_log {
	struct change_log log;
	struct change_log_config config; /* store is not kept */
	char *prefix;
	struct redis_link *link;
	struct redis_script script[LOG_SCRIPTS];
	struct event *tick;
	struct redis_server server;
	bool ready;    /* checked since Redis is back */
	bool checking; /* under way */
	bool checked;  /* since the last tick */
	bool unusable; /* the last check found what is not ours */
	bool durable;
	bool trimming;
	int64_t trim_before;
	struct change_pos oldest, newest;
	struct change_pos bad;   /* the last unreadable batch that was told */
	struct change_pos newer; /* the last one of a newer version, the same */
	bool bad_told;           /* the pointer of bad_scope is unreadable */
	uint8_t bad_scope[CHANGE_SCOPE_N];
	/* What was told last, so that it is not told again. */
	char said_durable[REDIS_SERVER_TEXT], said_policy[REDIS_SERVER_TEXT];
	char said_error[REDIS_SERVER_TEXT];
};

static const struct change_log_ops redis_ops;

static struct redis_log *of(struct change_log *l)
{
	assert(l->ops == &redis_ops);
	return (struct redis_log *)l;
}

/* The connection for commands, or NULL. */
static struct redis_conn *conn_of(const struct redis_log *l)
{
	return l->ready ? redis_link_commands(l->link) : NULL;
}

static void tell(struct redis_log *l, const char *event, const char *text)
{
	if (l->config.hooks.event != NULL)
		l->config.hooks.event(l->config.hooks.arg, true, event, text);
}

/* Tell it unless it was the last that was told; "" forgets. */
static void tell_once(struct redis_log *l, char said[REDIS_SERVER_TEXT],
    const char *event, const char *text)
{
	if (strcmp(said, text) == 0)
		return;
	snprintf(said, REDIS_SERVER_TEXT, "%s", text);
	if (text[0] != '\0')
		tell(l, event, said);
}

static void grown(struct redis_log *l)
{
	if (l->ready && l->config.hooks.grown != NULL)
		l->config.hooks.grown(l->config.hooks.arg);
}

/* Names. */

static size_t name_fixed(const struct redis_log *l, const char *name, char out[NAME_ROOM])
{
	return (size_t)snprintf(out, NAME_ROOM, "%s" TRACK "%s", l->prefix, name);
}

static size_t name_hex(const struct redis_log *l, const char *kind, const uint8_t *id,
    size_t id_n, char out[NAME_ROOM])
{
	size_t n = name_fixed(l, kind, out);

	hex_encode(id, id_n, out + n);
	return n + 2 * id_n;
}

/* By the issuer's name, and a serial where there is one.  0: there is no name. */
static size_t name_hashed(const struct redis_log *l, const char *kind,
    const struct change_batch *b, const struct crl_entry *serial, char out[NAME_ROOM])
{
	uint8_t in[sizeof b->issuer + SERIAL_MAX], sha[32];
	size_t n = strlen(b->issuer);

	memcpy(in, b->issuer, n);
	if (serial != NULL) {
		in[n++] = '\0';
		memcpy(in + n, serial->octets + SERIAL_MAX - serial->n, serial->n);
		n += serial->n;
	}
	if (EVP_Digest(in, n, sha, NULL, EVP_sha256(), NULL) != 1)
		return 0;
	return name_hex(l, kind, sha, 16, out);
}

static void add_name(struct redis_call *c, const struct redis_log *l, const char *name)
{
	char out[NAME_ROOM];

	redis_call_add(c, out, name_fixed(l, name, out));
}

/* Replies. */

static void start_check(struct redis_log *l);

static void recheck(struct redis_log *l)
{
	l->ready = false;
	if (!l->checking && !l->checked)
		start_check(l);
}

static void does_not_fit(struct redis_log *l)
{
	redis_link_note_error(l->link, "the log of changes is not what it was");
	recheck(l);
}

static bool has_numbers(const redisReply *r, size_t n)
{
	if (r->type != REDIS_REPLY_ARRAY || r->elements < n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (r->element[i]->type != REDIS_REPLY_INTEGER)
			return false;
	return true;
}

static uint32_t index_of(long long v)
{
	return v >= 0 && v < REDIS_PAGE_ALL ? (uint32_t)v : REDIS_PAGE_ALL;
}

/* Take the log's ends from a script's reply. */
static bool take_ends(struct redis_log *l, const redisReply *r)
{
	long long v[6];

	if (!has_numbers(r, 6))
		return false;
	for (int i = 0; i < 6; i++)
		v[i] = r->element[i]->integer;
	if (v[1] < 1 || v[1] > UINT32_MAX || v[4] < 0 || v[4] > v[2] || v[2] > SEQ_MAX)
		return false;
	if (l->newest.epoch == (uint32_t)v[1] && l->newest.seq > (uint64_t)v[2])
		return false;
	l->newest = (struct change_pos){(uint32_t)v[1], (uint64_t)v[2], index_of(v[3])};
	l->oldest = (struct change_pos){(uint32_t)v[1], (uint64_t)v[4], index_of(v[5])};
	return true;
}

/* The status of a script's reply; *e is not ERR_OK then or afterwards where there is
 * none, and the log is checked again where it does not fit. */
static long long status_of(struct redis_log *l, enum err *e, const redisReply *r)
{
	if (*e != ERR_OK)
		return 0;
	*e = ERR_STORE;
	if (r->type == REDIS_REPLY_ERROR) {
		redis_link_note_error(l->link, r->str);
		*e = redis_word_err(r);
		return 0;
	}
	if (!take_ends(l, r)) {
		does_not_fit(l);
		return 0;
	}
	*e = ERR_OK;
	return r->element[0]->integer;
}

/* Checking: what Redis says of itself, then LOG_CHECK. */

static void tell_of_server(struct redis_log *l)
{
	char text[REDIS_SERVER_TEXT];

	redis_server_why_not_safe(&l->server, text);
	tell_once(l, l->said_durable, "events_not_durable", text);
	redis_server_may_evict(&l->server, text);
	tell_once(l, l->said_policy, "store_may_evict", text);
}

static void tell_of_epoch(struct redis_log *l, long long why, bool seen)
{
	if (why == LOG_RESTARTED)
		tell(l, "events_epoch",
		    "log=redis reason=\"Redis was started again and may have lost "
		    "changes\"");
	else if (why == LOG_BROKEN || (why == LOG_ABSENT && seen))
		tell(l, "events_epoch",
		    "log=redis reason=\"changes are missing in Redis\"");
}

/* A copy: the callback may make the log move. */
static void end_done(struct redis_log *l, change_log_done_fn *done, void *arg, enum err e)
{
	struct change_pos end = l->newest;

	done(arg, e, &end);
}

struct begin {
	struct redis_call call; /* first */
	struct redis_log *l;
	change_log_done_fn *done; /* of change_log_new_epoch(); NULL: a check */
	void *arg;
};

static void finish_check(struct redis_log *l, enum err e, const redisReply *r)
{
	bool seen = l->newest.epoch != 0;
	struct redis_health h;
	char text[REDIS_SERVER_TEXT];

	l->checking = false;
	if (e == ERR_OK && take_ends(l, r) && has_numbers(r, 7)) {
		l->ready = true;
		l->unusable = false;
		l->durable = r->element[6]->integer == 1;
		l->said_error[0] = '\0';
		tell_of_epoch(l, r->element[0]->integer, seen);
		tell_of_server(l);
		grown(l);
	} else if (e == ERR_OK) {
		l->unusable = true;
		redis_link_note_error(l->link,
		    r->type == REDIS_REPLY_ERROR ? r->str : "answer of another type");
		redis_link_health(l->link, &h);
		snprintf(text, sizeof text, "log=redis error=\"%.120s\" remedy=\"%s\"",
		    h.error,
		    h.remedy[0] != '\0'
			? h.remedy
			: "delete what is not ours under store-prefix, or "
			  "choose another store-prefix");
		tell_once(l, l->said_error, "events_unusable", text);
	}
}

static void on_begun(struct redis_call *c, enum err e, const redisReply *r)
{
	struct begin b = *(struct begin *)c;

	free(c);
	if (e == ERR_CANCELLED)
		return;
	if (b.done == NULL) {
		finish_check(b.l, e, r);
		return;
	}
	status_of(b.l, &e, r);
	end_done(b.l, b.done, b.arg, e);
}

static bool begin(struct redis_log *l, change_log_done_fn *done, void *arg)
{
	struct begin *b = calloc(1, sizeof *b);

	if (b == NULL)
		return false;
	b->l = l;
	b->done = done;
	b->arg = arg;
	if (!redis_call_init(&b->call, l->link, &l->script[LOG_CHECK],
		2 * NAME_ROOM + sizeof l->server.run + 128, on_begun)) {
		free(b);
		return false;
	}
	add_name(&b->call, l, "state");
	add_name(&b->call, l, "log");
	redis_call_add(&b->call, l->server.run, strlen(l->server.run));
	redis_call_add(&b->call, redis_server_is_safe(&l->server) ? "1" : "0", 1);
	redis_call_add_number(&b->call, l->newest.epoch);
	redis_call_add_number(&b->call, (long long)l->newest.seq);
	redis_call_add_number(&b->call, l->config.now > 0 ? l->config.now : 1);
	redis_call_add(&b->call, done != NULL ? "1" : "0", 1);
	redis_call_start(&b->call, 2);
	return true;
}

static void on_taken_over(void *arg, enum err e, bool taken, const redisReply *said)
{
	struct redis_log *l = arg;

	if (e == ERR_OK && said != NULL) {
		redis_link_heard(l->link, said);
		finish_check(l, e, said);
		return;
	}
	if (e == ERR_OK && taken && l->config.hooks.event != NULL)
		l->config.hooks.event(l->config.hooks.arg, false, "events_taken_over",
		    "log=redis from=\"the version before\"");
	if (e != ERR_OK || !begin(l, NULL, NULL))
		l->checking = false; /* the next connection or tick asks again */
}

static void on_asked(void *arg, enum err e)
{
	struct redis_log *l = arg;

	if (e != ERR_OK || !log_takeover_start(l->link, &l->script[LOG_TAKE_OVER],
			       l->prefix, TRACK, on_taken_over, l))
		l->checking = false; /* as above */
}

static void start_check(struct redis_log *l)
{
	struct redis_conn *c = redis_link_commands(l->link);

	if (c == NULL)
		return;
	l->checked = true;
	l->checking = redis_server_ask(&l->server, c, on_asked, l);
}

static void on_up(void *arg)
{
	struct redis_log *l = arg;

	l->ready = false;
	start_check(l);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct redis_log *l = arg;

	(void)fd, (void)what;
	l->checked = false;
	if (!l->ready && !l->checking)
		start_check(l);
	else if (conn_of(l) != NULL && !redis_link_hears(l->link))
		grown(l);
}

/* News: each step that moves the log moves its state. */
static void on_changed(void *arg, const char *name, size_t n)
{
	if (n == 5 && memcmp(name, "state", 5) == 0)
		grown(arg);
}

static void on_all_changed(void *arg)
{
	grown(arg);
}

static void redis_new_epoch(struct change_log *log, change_log_done_fn *done, void *arg)
{
	struct redis_log *l = of(log);

	if (conn_of(l) == NULL || !begin(l, done, arg))
		end_done(l, done, arg, ERR_STORE);
}

/* Told. */

struct asking {
	struct redis_log *l;
	uint8_t scope[CHANGE_SCOPE_N];
	change_log_told_fn *done;
	void *arg;
};

static enum err take_told(
    struct redis_log *l, struct change_told *t, enum err e, const redisReply *r)
{
	memset(t, 0, sizeof *t);
	if (e != ERR_OK)
		return e;
	redis_link_heard(l->link, r);
	if (r->type != REDIS_REPLY_STRING) {
		redis_link_note_error(l->link,
		    r->type == REDIS_REPLY_ERROR ? r->str : "answer of another type");
		return ERR_STORE;
	}
	if (r->len == 0)
		return ERR_OK; /* missing */
	e = change_told_decode(t, bytes_of(r->str, r->len));
	if (e != ERR_OK)
		tell(l, "event_record_bad", "log=redis what=told");
	return e;
}

static void note_pointer(struct redis_log *l, const uint8_t *scope, enum err e)
{
	if (e == ERR_OK && memcmp(scope, l->bad_scope, sizeof l->bad_scope) == 0)
		l->bad_told = false;
	if (e != ERR_RECORD)
		return;
	l->bad_told = true;
	memcpy(l->bad_scope, scope, sizeof l->bad_scope);
}

static void on_told(void *arg, enum err e, const redisReply *r)
{
	struct asking a = *(struct asking *)arg;
	struct change_told t;

	free(arg);
	if (e == ERR_CANCELLED)
		return;
	e = take_told(a.l, &t, e, r);
	note_pointer(a.l, a.scope, e);
	a.done(a.arg, e, &t);
}

/* GETRANGE and not GET: what is too long costs no more than what is not. */
static void redis_told(
    struct change_log *log, const uint8_t *scope, change_log_told_fn *done, void *arg)
{
	static const struct change_told nothing;
	struct redis_log *l = of(log);
	struct asking *a = conn_of(l) != NULL ? malloc(sizeof *a) : NULL;
	char name[NAME_ROOM], last[12];

	if (a != NULL) {
		*a = (struct asking){.l = l, .done = done, .arg = arg};
		memcpy(a->scope, scope, sizeof a->scope);
		name_hex(l, "told:", scope, CHANGE_SCOPE_N, name);
		snprintf(last, sizeof last, "%d", CHANGE_TOLD_N);
		if (WORDS(conn_of(l), on_told, a, "GETRANGE", name, "0", last))
			return;
		free(a);
	}
	done(arg, ERR_STORE, &nothing);
}

/* Appending. */

struct append {
	struct redis_call call; /* first */
	struct redis_log *l;
	struct change_batch *b; /* a reference, or NULL */
	change_log_done_fn *done;
	void *arg;
};

static void on_appended(struct redis_call *c, enum err e, const redisReply *r)
{
	struct append a = *(struct append *)c;
	bool lost = e == ERR_STORE; /* the connection, after it was sent */
	long long status;

	free(c);
	if (e != ERR_CANCELLED) {
		status = status_of(a.l, &e, r);
		if (lost)
			e = ERR_STORE_TIMEOUT;
		if (e == ERR_OK && status == LOG_CONFLICT)
			e = ERR_CONFLICT;
		if (e == ERR_OK && status == LOG_DONE && a.b != NULL) {
			a.b->epoch = a.l->newest.epoch;
			a.b->seq = a.l->newest.seq;
		}
		end_done(a.l, a.done, a.arg, e);
	}
	change_batch_unref(a.b);
}

static void add_batch(struct redis_call *c, const struct change_batch *b)
{
	if (b == NULL) {
		redis_call_add(c, "", 0);
		redis_call_add(c, "0", 1);
		redis_call_add(c, "0", 1);
		return;
	}
	redis_call_add(c, NULL, change_batch_encode(b, (uint8_t *)c->data + c->used));
	redis_call_add_number(c, b->seen_at_ms / 1000);
	redis_call_add_number(c, b->n);
}

static bool any_left(const struct change_batch *b)
{
	for (uint32_t i = 0; b != NULL && i < b->n; i++)
		if (change_now(&b->change[i]) != CHANGE_REVOKED)
			return true;
	return false;
}

static void add_told(struct redis_call *c, const struct change_told *t)
{
	uint8_t out[CHANGE_TOLD_N];

	change_told_encode(t, out);
	redis_call_add(c, out, t->known ? sizeof out : 0);
}

/* The keys told or one, and left; without changes the latter two are not used. */
static bool add_keys(struct redis_call *c, const struct redis_log *l,
    const struct change_batch *b, const uint8_t *scope)
{
	bool changes = b != NULL && change_batch_is_changes(b);
	char own[NAME_ROOM], left[NAME_ROOM];
	size_t own_n = scope != NULL ? name_hex(l, "told:", scope, CHANGE_SCOPE_N, own)
		       : changes     ? name_hashed(l, "one:", b, &b->change[0].entry, own)
				     : name_fixed(l, "one", own);
	size_t left_n = changes ? name_hashed(l, "left:", b, NULL, left)
				: name_fixed(l, "left", left);

	add_name(c, l, "state");
	add_name(c, l, "log");
	redis_call_add(c, own, own_n);
	redis_call_add(c, left, left_n);
	return own_n > 0 && left_n > 0;
}

static void add_list(struct redis_call *c, const struct change_batch *b,
    const struct change_told *expect, const struct change_told *next)
{
	redis_call_add(c, "list", 4);
	add_batch(c, b);
	add_told(c, expect);
	add_told(c, next);
	redis_call_add(c, any_left(b) ? "1" : "0", 1);
}

static void add_single(struct redis_call *c, const struct change_batch *b)
{
	const struct change *change = &b->change[0];
	char what[48];

	redis_call_add(c, "single", 6);
	add_batch(c, b);
	redis_call_add(c, what,
	    (size_t)snprintf(what, sizeof what, "%s %lld",
		change_status_name(change_now(change)),
		(long long)crl_entry_at(&change->entry)));
	redis_call_add(c, "", 0);
	redis_call_add(c, "", 0);
}

static void add_plain(struct redis_call *c, const struct change_batch *b)
{
	redis_call_add(c, "plain", 5);
	add_batch(c, b);
	for (int i = 0; i < 3; i++)
		redis_call_add(c, "", 0);
}

/* NULL: out of memory. */
static struct append *append_new(struct redis_log *l, struct change_batch *b,
    const uint8_t *scope, const struct change_told *expect,
    const struct change_told *next)
{
	size_t room = (b != NULL ? change_batch_size(b) : 0) + 4 * NAME_ROOM +
		      2 * CHANGE_TOLD_N + 256;
	struct append *a = calloc(1, sizeof *a);

	if (a == NULL || !redis_call_init(&a->call, l->link, &l->script[LOG_APPEND], room,
			     on_appended)) {
		free(a);
		return NULL;
	}
	if (!add_keys(&a->call, l, b, scope)) {
		redis_call_drop(&a->call);
		free(a);
		return NULL;
	}
	if (scope != NULL)
		add_list(&a->call, b, expect, next);
	else if (b->kind == CHANGE_MOVES)
		add_single(&a->call, b);
	else
		add_plain(&a->call, b);
	redis_call_add_number(&a->call, ONE_KEPT_S);
	a->l = l;
	a->b = b != NULL ? change_batch_ref(b) : NULL;
	return a;
}

static void redis_append(struct change_log *log, struct change_batch *b,
    const uint8_t *scope, const struct change_told *expect,
    const struct change_told *next, change_log_done_fn *done, void *arg)
{
	struct redis_log *l = of(log);
	struct append *a;

	assert(scope != NULL ||
	       (b != NULL && b->n > 0 && (b->n == 1 || b->kind != CHANGE_MOVES)));
	if (conn_of(l) == NULL) {
		end_done(l, done, arg, ERR_STORE);
		return;
	}
	a = append_new(l, b != NULL && b->n > 0 ? b : NULL, scope, expect, next);
	if (a == NULL) {
		end_done(l, done, arg, ERR_NOMEM);
		return;
	}
	a->done = done;
	a->arg = arg;
	redis_call_start(&a->call, 4);
}

/* Reading. */

struct page_call {
	struct redis_call call; /* first */
	struct redis_log *l;
	struct redis_page page;
	change_log_page_fn *done;
	void *arg;
};

static void on_bad(void *arg, uint64_t seq, bool newer)
{
	struct redis_log *l = arg;
	struct change_pos at = {l->newest.epoch, seq, 0};
	struct change_pos *told = newer ? &l->newer : &l->bad;
	char text[80];

	if (change_pos_cmp(&at, told) <= 0)
		return;
	*told = at;
	snprintf(text, sizeof text, "log=redis what=batch epoch=%u seq=%llu", at.epoch,
	    (unsigned long long)seq);
	tell(l, newer ? "events_newer" : "event_record_bad", text);
}

static void end_read(struct page_call *r, enum err e)
{
	if (e != ERR_OK) {
		redis_page_drop(&r->page);
		r->page.page.oldest = r->l->oldest;
		r->page.page.newest = r->l->newest;
	}
	r->done(r->arg, e, &r->page.page);
	redis_page_drop(&r->page);
	free(r);
}

static void on_page(struct redis_call *c, enum err e, const redisReply *reply)
{
	struct page_call *r = (struct page_call *)c;
	struct redis_log *l = r->l;

	if (e == ERR_CANCELLED) {
		free(r);
		return;
	}
	status_of(l, &e, reply);
	if (e == ERR_OK) {
		e = reply->elements > 6 ? redis_page_take(&r->page, &l->oldest,
					      &l->newest, reply->element[6])
					: ERR_STORE;
		if (e == ERR_STORE)
			does_not_fit(l);
	}
	end_read(r, e);
}

static struct page_call *reading_new(struct redis_log *l)
{
	struct page_call *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->l = l;
	r->page.bad = on_bad;
	r->page.arg = l;
	if (redis_call_init(
		&r->call, l->link, &l->script[LOG_READ], 2 * NAME_ROOM + 256, on_page))
		return r;
	free(r);
	return NULL;
}

static void redis_read(struct change_log *log, const struct change_pos *from,
    size_t max_bytes, change_log_page_fn *done, void *arg)
{
	struct redis_log *l = of(log);
	struct change_log_page none = {.oldest = l->oldest, .newest = l->newest};
	struct page_call *r = conn_of(l) != NULL ? reading_new(l) : NULL;

	if (r == NULL) {
		done(arg, ERR_STORE, &none);
		return;
	}
	r->page.from = *from;
	r->done = done;
	r->arg = arg;
	add_name(&r->call, l, "state");
	add_name(&r->call, l, "log");
	redis_call_add_number(&r->call, from->epoch);
	redis_call_add_number(&r->call, (long long)from->seq);
	redis_call_add_number(&r->call, from->index);
	redis_call_add_number(
	    &r->call, (long long)(max_bytes < PAGE_MAX ? max_bytes : PAGE_MAX));
	redis_call_add_number(&r->call, (long long)CHANGE_RECORD_MAX);
	redis_call_add_number(&r->call, REDIS_PAGE_ALL);
	redis_call_start(&r->call, 2);
}

/* Trimming: slice after slice, until nothing went. */

struct trim {
	struct redis_call call; /* first */
	struct redis_log *l;
};

static void trim_on(struct redis_log *l);

static void on_trimmed(struct redis_call *c, enum err e, const redisReply *r)
{
	struct redis_log *l = ((struct trim *)c)->l;

	free(c);
	if (e == ERR_CANCELLED)
		return;
	l->trimming = false;
	status_of(l, &e, r);
	if (e == ERR_OK && has_numbers(r, 7) && r->element[6]->integer > 0)
		trim_on(l);
}

static void trim_on(struct redis_log *l)
{
	struct trim *t = conn_of(l) != NULL ? calloc(1, sizeof *t) : NULL;

	if (t == NULL)
		return;
	t->l = l;
	if (!redis_call_init(&t->call, l->link, &l->script[LOG_TRIM], 2 * NAME_ROOM + 32,
		on_trimmed)) {
		free(t);
		return;
	}
	add_name(&t->call, l, "state");
	add_name(&t->call, l, "log");
	redis_call_add_number(&t->call, l->trim_before);
	l->trimming = true;
	redis_call_start(&t->call, 2);
}

static void redis_trim(struct change_log *log, int64_t before)
{
	struct redis_log *l = of(log);

	l->trim_before = before;
	if (!l->trimming)
		trim_on(l);
}

/* The rest. */

static void redis_health(const struct change_log *log, struct change_log_health *out)
{
	const struct redis_log *l = (const struct redis_log *)log;
	struct redis_health h;

	assert(log->ops == &redis_ops);
	redis_link_health(l->link, &h);
	out->up = h.up && l->ready;
	out->refuses = h.refuses || (h.up && l->unusable);
	out->shared = true;
	out->durable = l->durable;
	out->error = h.error;
	out->remedy = h.remedy;
	if (l->bad_told)
		out->damage = "a list's pointer (told:) in Redis cannot be read; its "
			      "changes are held back";
	else if (l->bad.epoch == l->oldest.epoch && l->bad.seq > l->oldest.seq)
		out->damage = "a batch in Redis cannot be read: a gap for who reads it";
	out->oldest = l->oldest;
	out->newest = l->newest;
}

static void redis_close(struct change_log *log)
{
	struct redis_log *l = of(log);

	redis_link_free(l->link);
	if (l->tick != NULL)
		event_free(l->tick);
	free(l->prefix);
	free(l);
}

static const struct change_log_ops redis_ops = {
    .close = redis_close,
    .told = redis_told,
    .append = redis_append,
    .read = redis_read,
    .new_epoch = redis_new_epoch,
    .trim = redis_trim,
    .health = redis_health,
};

/* The store's link, with our own events, and room for a page of batches. */
static struct redis_link_config link_config(struct redis_log *l)
{
	struct redis_link_config link = store_redis_link(l->config.store);

	link.prefix = l->prefix;
	link.max_value = PAGE_MAX + CHANGE_RECORD_MAX;
	link.event = l->config.hooks.event;
	link.event_arg = l->config.hooks.arg;
	return link;
}

static bool make_parts(struct redis_log *l, const struct redis_url *url)
{
	struct redis_link_config link;
	struct redis_link_use use = {.what = "log=redis",
	    .scripts = log_scripts,
	    .trial = log_trial,
	    .track = TRACK,
	    .up = on_up,
	    .changed = on_changed,
	    .all_changed = on_all_changed,
	    .arg = l};
	struct timeval tv = {.tv_sec = TICK_S};

	for (int i = 0; i < LOG_SCRIPTS; i++)
		if (!redis_script_init(&l->script[i], log_scripts[i]))
			return false;
	l->prefix = strdup(l->config.store->prefix);
	l->tick = event_new(l->config.store->base, -1, EV_PERSIST, on_tick, l);
	if (l->prefix == NULL || l->tick == NULL || event_add(l->tick, &tv) != 0)
		return false;
	link = link_config(l);
	l->link = redis_link_open(&link, url, &use);
	return l->link != NULL;
}

static struct redis_log *log_new(
    const struct change_log_config *c, const struct redis_url *url)
{
	struct redis_log *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->log.ops = &redis_ops;
	l->config = *c;
	if (make_parts(l, url)) {
		l->config.store = NULL;
		return l;
	}
	redis_close(&l->log);
	return NULL;
}

enum err change_log_redis_open(
    struct change_log **out, const struct change_log_config *c, char *why, size_t n)
{
	struct redis_log *l;
	struct redis_url url;
	const char *wrong = redis_url_parse(&url, c->store->url);

	*out = NULL;
	if (wrong == NULL && strlen(c->store->prefix) > REDIS_PREFIX_MAX)
		wrong = "store-prefix is too long";
	if (wrong != NULL) {
		snprintf(why, n, "log of changes in Redis: %s", wrong);
		return ERR_STORE;
	}
	l = log_new(c, &url);
	OPENSSL_cleanse(&url, sizeof url);
	if (l == NULL) {
		snprintf(why, n, "%s", err_text(ERR_NOMEM));
		return ERR_NOMEM;
	}
	*out = &l->log;
	return ERR_OK;
}
