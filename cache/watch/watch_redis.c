/* watch_redis.c - watchlists in Redis.
 *
 * The layout, which other programs may read (PREFIX is store-prefix, FIELD is NAME of a
 * list of the API, or NAME/NODE of the part that a node has of a list from files):
 *   PREFIX{w}:l:lists            hash  FIELD -> head (watch_stored.c)
 *   PREFIX{w}:c:FIELD:REVISION   hash  0, 1, ... -> chunk (watch_chunk.c); REVISION in
 *                                hexadecimal.  PX until a head names it, and when none
 *                                does any more
 *   PREFIX{w}:a:asked            stream  v -> piece (watch_asked.h), the last ones
 * and PREFIX{w}:l:try is there within a script only (the trial of redis_link.h).
 *
 * All keys have one hash tag, so that a script's are in one slot of a cluster.  The
 * chunks of a revision are fields of one key, so that one step keeps them or lets them
 * go, however many they are.
 *
 * News are those of PREFIX{w}:l: alone.  A change comes back to the node that made it,
 * too (NOLOOP does not cover scripts): it costs it one look at the heads.
 */
#include "cache/watch/watch_redis.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/redis/redis_call.h"
#include "cache/redis/redis_word.h"

#define TRACK      "{w}:l:"
#define UNNAMED_MS 60000 /* of chunks that no head names yet */
/* Of chunks that no head names any more: who is reading them reads on meanwhile.  Short,
 * since a list that is added to all the time has as many copies as changes in it. */
#define OLD_MS 10000
/* All heads together: those of 20,000 lists, and more than ELEMENTS_MAX of a reply
 * (redis_conn.c) are never read. */
#define HEADS_MAX ((size_t)8 << 20)
#define KEY_ROOM                                                                         \
	(REDIS_PREFIX_MAX + WATCH_FIELD_MAX + 2 * WATCH_REVISION_N + sizeof "{w}:c::")

enum watch_script { SCRIPT_SAVE, SCRIPT_COMMIT, SCRIPT_COUNT };

static const char *const scripts[SCRIPT_COUNT + 1] = {
    /* KEYS: chunks.  ARGV: number, chunk, PX. */
    [SCRIPT_SAVE] = "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])\n"
		    "redis.call('PEXPIRE', KEYS[1], ARGV[3])\n"
		    "return 1\n",
    /* KEYS: heads, chunks of the new one, of the old one (or those of the new one again).
     * ARGV: field, the head that is expected, the new one (each may be empty), number of
     * chunks, PX of the old ones.  1: done, 0: another head, -1: chunks are missing. */
    [SCRIPT_COMMIT] =
	"local old = redis.call('HMGET', KEYS[1], ARGV[1])[1]\n"
	"if (old or '') ~= ARGV[2] then return 0 end\n"
	"local chunks = tonumber(ARGV[4])\n"
	"if chunks > 0 and redis.call('HLEN', KEYS[2]) ~= chunks then return -1 end\n"
	"if ARGV[3] == '' then\n"
	"  redis.call('HDEL', KEYS[1], ARGV[1])\n"
	"else\n"
	"  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])\n"
	"end\n"
	"if chunks > 0 then redis.call('PERSIST', KEYS[2]) end\n"
	"if KEYS[3] ~= KEYS[2] then redis.call('PEXPIRE', KEYS[3], ARGV[5]) end\n"
	"return 1\n",
};

static const char trial[] =
    "local k = KEYS[1]\n"
    "local steps = {{'HSET', k, '1', '1'}, {'HMGET', k, '1'}, {'HGETALL', k},\n"
    "  {'HLEN', k}, {'PEXPIRE', k, '10000'}, {'PERSIST', k}, {'HDEL', k, "
    "'1'},\n"
    "  {'XADD', k, '1-0', 'v', ''}, {'XRANGE', k, '-', '+', 'COUNT', '1'}}\n" REDIS_TRIAL;

struct watch_redis {
	struct redis_link *link;
	struct watch_redis_hooks hooks;
	char *prefix;
	struct redis_script script[SCRIPT_COUNT];
};

/* Keys. */

static size_t put_lists(const struct watch_redis *r, char *out)
{
	return (size_t)snprintf(out, KEY_ROOM, "%s" TRACK "lists", r->prefix);
}

static size_t put_chunks(
    const struct watch_redis *r, const char *field, const uint8_t *revision, char *out)
{
	char hex[2 * WATCH_REVISION_N + 1];

	hex_encode(revision, WATCH_REVISION_N, hex);
	return (size_t)snprintf(out, KEY_ROOM, "%s{w}:c:%s:%s", r->prefix, field, hex);
}

static void add_chunks(struct redis_call *c, const struct watch_redis *r,
    const char *field, const uint8_t *revision)
{
	char key[KEY_ROOM];

	redis_call_add(c, key, put_chunks(r, field, revision, key));
}

/* Plain commands. */

enum plain {
	PLAIN_HEADS,
	PLAIN_HEAD,
	PLAIN_CHUNK,
	PLAIN_COUNT,
	PLAIN_ASKED_ADD,
	PLAIN_ASKED_READ
};

struct watch_reading {
	struct watch_redis *r;
	enum plain what;
	uint32_t chunks;
	void (*each)(void *arg, struct bytes field, struct bytes value);
	watch_redis_value_fn *value;
	watch_redis_done_fn *done;
	void *arg;
};

static struct bytes text_of(const redisReply *r)
{
	return bytes_of(r->str, r->len);
}

static enum err take_heads(const struct watch_reading *g, const redisReply *r)
{
	if (r->type != REDIS_REPLY_ARRAY || r->elements % 2 != 0)
		return ERR_RECORD;
	for (size_t i = 0; i < r->elements; i++)
		if (!redis_reply_is_text(r->element[i]))
			return ERR_RECORD;
	for (size_t i = 0; i < r->elements; i += 2)
		g->each(g->arg, text_of(r->element[i]), text_of(r->element[i + 1]));
	return ERR_OK;
}

/* Each entry: its id, and its fields, of which ours has one. */
static enum err take_pieces(const struct watch_reading *g, const redisReply *r)
{
	if (r->type != REDIS_REPLY_ARRAY)
		return ERR_RECORD;
	for (size_t i = 0; i < r->elements; i++) {
		const redisReply *x = r->element[i], *field;

		if (x->type != REDIS_REPLY_ARRAY || x->elements != 2 ||
		    !redis_reply_is_text(x->element[0]))
			return ERR_RECORD;
		field = x->element[1];
		if (field->type != REDIS_REPLY_ARRAY || field->elements != 2 ||
		    !redis_reply_is_text(field->element[1]))
			return ERR_RECORD;
		g->each(g->arg, text_of(x->element[0]), text_of(field->element[1]));
	}
	return ERR_OK;
}

static enum err take_one(const redisReply *r, struct bytes *value)
{
	if (r->type != REDIS_REPLY_ARRAY || r->elements != 1)
		return ERR_RECORD;
	if (!redis_reply_is_text(r->element[0]))
		return ERR_NOT_FOUND;
	*value = text_of(r->element[0]);
	return ERR_OK;
}

static enum err take(
    const struct watch_reading *g, const redisReply *r, struct bytes *value)
{
	if (r->type == REDIS_REPLY_ERROR)
		return redis_reply_is_error(r, "WRONGTYPE") ? ERR_RECORD
							    : redis_word_err(r);
	if (g->what == PLAIN_HEADS)
		return take_heads(g, r);
	if (g->what == PLAIN_ASKED_READ)
		return take_pieces(g, r);
	if (g->what == PLAIN_ASKED_ADD)
		return redis_reply_is_text(r) ? ERR_OK : ERR_STORE;
	if (g->what != PLAIN_COUNT)
		return take_one(r, value);
	return r->type == REDIS_REPLY_INTEGER && r->integer == g->chunks ? ERR_OK
									 : ERR_NOT_FOUND;
}

static void answer(struct watch_reading *g, enum err e, struct bytes value)
{
	if (g->value != NULL)
		g->value(g->arg, e, value);
	else
		g->done(g->arg, e);
	free(g);
}

static void on_read(void *arg, enum err e, const redisReply *r)
{
	struct watch_reading *g = arg;
	struct bytes value = {NULL, 0};

	if (e == ERR_OK) {
		redis_link_heard(g->r->link, r);
		e = take(g, r, &value);
	}
	answer(g, e, value);
}

static struct watch_reading *watch_reading_new(
    struct watch_redis *r, enum plain what, void *arg)
{
	struct watch_reading *g = calloc(1, sizeof *g);

	if (g == NULL)
		return NULL;
	g->r = r;
	g->what = what;
	g->arg = arg;
	return g;
}

/* g with what is to be asked; argv_n NULL: texts. */
static void ask_bytes(
    struct watch_reading *g, int argc, const char *const *argv, const size_t *argv_n)
{
	struct redis_conn *c = redis_link_commands(g->r->link);

	if (c == NULL || !redis_conn_send(c, argc, argv, argv_n, on_read, g))
		answer(g, ERR_STORE, bytes_of(NULL, 0));
}

static void ask(struct watch_reading *g, int argc, const char *const *argv)
{
	ask_bytes(g, argc, argv, NULL);
}

void watch_redis_heads(struct watch_redis *r,
    void (*each)(void *arg, struct bytes field, struct bytes value),
    watch_redis_done_fn *done, void *arg)
{
	struct watch_reading *g = watch_reading_new(r, PLAIN_HEADS, arg);
	char key[KEY_ROOM];

	if (g == NULL) {
		done(arg, ERR_NOMEM);
		return;
	}
	g->each = each;
	g->done = done;
	put_lists(r, key);
	ask(g, 2, (const char *const[]){"HGETALL", key});
}

void watch_redis_head(
    struct watch_redis *r, const char *field, watch_redis_value_fn *done, void *arg)
{
	struct watch_reading *g = watch_reading_new(r, PLAIN_HEAD, arg);
	char key[KEY_ROOM];

	if (g == NULL) {
		done(arg, ERR_NOMEM, bytes_of(NULL, 0));
		return;
	}
	g->value = done;
	put_lists(r, key);
	ask(g, 3, (const char *const[]){"HMGET", key, field});
}

void watch_redis_chunk(struct watch_redis *r, const struct watch_chunk_place *place,
    watch_redis_value_fn *done, void *arg)
{
	struct watch_reading *g = watch_reading_new(r, PLAIN_CHUNK, arg);
	char key[KEY_ROOM], number[12];

	if (g == NULL) {
		done(arg, ERR_NOMEM, bytes_of(NULL, 0));
		return;
	}
	g->value = done;
	put_chunks(r, place->field, place->revision, key);
	snprintf(number, sizeof number, "%u", (unsigned)place->number);
	ask(g, 3, (const char *const[]){"HMGET", key, number});
}

void watch_redis_count(struct watch_redis *r, const char *field, const uint8_t *revision,
    uint32_t chunks, watch_redis_done_fn *done, void *arg)
{
	struct watch_reading *g = watch_reading_new(r, PLAIN_COUNT, arg);
	char key[KEY_ROOM];

	if (g == NULL) {
		done(arg, ERR_NOMEM);
		return;
	}
	g->chunks = chunks;
	g->done = done;
	put_chunks(r, field, revision, key);
	ask(g, 2, (const char *const[]){"HLEN", key});
}

static void put_asked(const struct watch_redis *r, char *key)
{
	snprintf(key, KEY_ROOM, "%s{w}:a:asked", r->prefix);
}

void watch_redis_asked_add(
    struct watch_redis *r, struct bytes value, watch_redis_done_fn *done, void *arg)
{
	struct watch_reading *g = watch_reading_new(r, PLAIN_ASKED_ADD, arg);
	char key[KEY_ROOM], most[12];

	if (g == NULL) {
		done(arg, ERR_NOMEM);
		return;
	}
	g->done = done;
	put_asked(r, key);
	snprintf(most, sizeof most, "%d", WATCH_REDIS_PIECES);
	ask_bytes(g, 8,
	    (const char *const[]){
		"XADD", key, "MAXLEN", "~", most, "*", "v", (const char *)value.p},
	    (const size_t[]){4, strlen(key), 6, 1, strlen(most), 1, 1, value.n});
}

/* "(" before a place is of Redis 6.2: so the one that is known comes again. */
void watch_redis_asked_read(struct watch_redis *r, const char *place,
    void (*each)(void *arg, struct bytes place, struct bytes value),
    watch_redis_done_fn *done, void *arg)
{
	struct watch_reading *g = watch_reading_new(r, PLAIN_ASKED_READ, arg);
	char key[KEY_ROOM], most[12];

	if (g == NULL) {
		done(arg, ERR_NOMEM);
		return;
	}
	g->each = each;
	g->done = done;
	put_asked(r, key);
	snprintf(most, sizeof most, "%d", WATCH_REDIS_READ + 1);
	ask(g, 6, (const char *const[]){"XRANGE", key, place, "+", "COUNT", most});
}

/* Scripts. */

struct watch_writing {
	struct redis_call call; /* first */
	watch_redis_done_fn *done;
	void *arg;
};

static enum err outcome(const redisReply *r)
{
	if (r->type == REDIS_REPLY_ERROR)
		return redis_word_err(r);
	if (r->type != REDIS_REPLY_INTEGER)
		return ERR_STORE;
	return r->integer == 1 ? ERR_OK : r->integer == 0 ? ERR_CONFLICT : ERR_NOT_FOUND;
}

static void on_written(struct redis_call *c, enum err e, const redisReply *r)
{
	struct watch_writing *w = (struct watch_writing *)c;

	w->done(w->arg, e == ERR_OK ? outcome(r) : e);
	free(w);
}

/* room: bytes of all arguments.  NULL: done was called. */
static struct watch_writing *watch_writing_new(struct watch_redis *r,
    enum watch_script which, size_t room, watch_redis_done_fn *done, void *arg)
{
	struct watch_writing *w = calloc(1, sizeof *w);

	if (w != NULL &&
	    redis_call_init(&w->call, r->link, &r->script[which], room, on_written)) {
		w->done = done;
		w->arg = arg;
		return w;
	}
	free(w);
	done(arg, ERR_NOMEM);
	return NULL;
}

void watch_redis_save(struct watch_redis *r, const struct watch_chunk_place *place,
    struct bytes value, watch_redis_done_fn *done, void *arg)
{
	struct watch_writing *w =
	    watch_writing_new(r, SCRIPT_SAVE, KEY_ROOM + value.n + 64, done, arg);

	if (w == NULL)
		return;
	add_chunks(&w->call, r, place->field, place->revision);
	redis_call_add_number(&w->call, place->number);
	redis_call_add(&w->call, value.p, value.n);
	redis_call_add_number(&w->call, UNNAMED_MS);
	redis_call_start(&w->call, 1);
}

void watch_redis_commit(struct watch_redis *r, const struct watch_commit *c,
    watch_redis_done_fn *done, void *arg)
{
	static const uint8_t none[WATCH_REVISION_N];
	const uint8_t *old = c->old != NULL ? c->old : c->revision;
	struct watch_writing *w = watch_writing_new(
	    r, SCRIPT_COMMIT, 4 * KEY_ROOM + c->expected.n + c->head.n + 64, done, arg);
	char key[KEY_ROOM];

	if (w == NULL)
		return;
	redis_call_add(&w->call, key, put_lists(r, key));
	add_chunks(&w->call, r, c->field, c->revision != NULL ? c->revision : none);
	add_chunks(&w->call, r, c->field, old != NULL ? old : none);
	redis_call_add(&w->call, c->field, strlen(c->field));
	redis_call_add(&w->call, c->expected.n > 0 ? c->expected.p : (const uint8_t *)"",
	    c->expected.n);
	redis_call_add(
	    &w->call, c->head.n > 0 ? c->head.p : (const uint8_t *)"", c->head.n);
	redis_call_add_number(&w->call, c->chunks);
	redis_call_add_number(&w->call, OLD_MS);
	redis_call_start(&w->call, 3);
}

/* Life. */

static void on_changed(void *arg, const char *name, size_t n)
{
	struct watch_redis *r = arg;

	(void)name, (void)n;
	r->hooks.changed(r->hooks.arg);
}

static void on_all_changed(void *arg)
{
	struct watch_redis *r = arg;

	r->hooks.changed(r->hooks.arg);
}

static void on_settled(void *arg)
{
	struct watch_redis *r = arg;

	r->hooks.settled(r->hooks.arg);
}

static bool open_link(
    struct watch_redis *r, const struct redis_link_config *c, const struct redis_url *url)
{
	struct redis_link_config link = *c;
	struct redis_link_use use = {.what = "watchlists=redis",
	    .scripts = scripts,
	    .trial = trial,
	    .track = TRACK,
	    .changed = on_changed,
	    .all_changed = on_all_changed,
	    .settled = on_settled,
	    .arg = r};

	for (int i = 0; i < SCRIPT_COUNT; i++)
		if (!redis_script_init(&r->script[i], scripts[i]))
			return false;
	r->prefix = strdup(c->prefix);
	if (r->prefix == NULL)
		return false;
	link.prefix = r->prefix;
	link.max_value = HEADS_MAX;
	r->link = redis_link_open(&link, url, &use);
	return r->link != NULL;
}

enum err watch_redis_open(struct watch_redis **out, const struct redis_link_config *c,
    const char *text, const struct watch_redis_hooks *hooks, char *why, size_t why_n)
{
	struct watch_redis *r;
	struct redis_url url;
	const char *wrong = redis_url_parse(&url, text);

	*out = NULL;
	if (wrong == NULL && strlen(c->prefix) > REDIS_PREFIX_MAX)
		wrong = "store-prefix is too long";
	if (wrong != NULL) {
		snprintf(why, why_n, "watchlists in Redis: %s", wrong);
		return ERR_STORE;
	}
	r = calloc(1, sizeof *r);
	if (r != NULL) {
		r->hooks = *hooks;
		if (open_link(r, c, &url))
			*out = r;
		else
			watch_redis_close(r);
	}
	OPENSSL_cleanse(&url, sizeof url);
	if (*out != NULL)
		return ERR_OK;
	snprintf(why, why_n, "%s", err_text(ERR_NOMEM));
	return ERR_NOMEM;
}

void watch_redis_close(struct watch_redis *r)
{
	if (r == NULL)
		return;
	redis_link_free(r->link);
	free(r->prefix);
	free(r);
}

bool watch_redis_is_up(const struct watch_redis *r)
{
	return redis_link_commands(r->link) != NULL;
}

bool watch_redis_hears(const struct watch_redis *r)
{
	return redis_link_hears(r->link);
}
