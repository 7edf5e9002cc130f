/* ari_redis_read.c - states that are read: a page of all of them, or some by name. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/redis/redis_word.h"
#include "cache/watch/ari_redis_core.h"

/* A hint to Redis, which may send a few more; each has up to 2.6 KB. */
#define PAGE_COUNT "200"

static void key_of(const struct ari_redis *r, enum ari_redis_what what, char *out)
{
	snprintf(out, ARI_KEY_ROOM, "%s{a}:%s", r->prefix,
	    what == ARI_STATES ? "s" : "n:noticed");
}

struct ari_reading {
	struct ari_redis *redis;
	enum ari_redis_what what;
	ari_redis_each_fn *each;
	ari_redis_page_fn *done;
	void *arg;
	size_t n; /* of who; 0: a page */
	struct ari_who who[];
};

static struct bytes ari_text(const redisReply *r)
{
	return bytes_of(r->str, r->len);
}

static enum err take_states(
    const struct ari_reading *g, const redisReply *r, size_t *refused)
{
	struct ari_state s;
	struct ari_who w;

	if (r->type != REDIS_REPLY_ARRAY || r->elements % 2 != 0)
		return ERR_RECORD;
	for (size_t i = 0; i < r->elements; i += 2)
		if (redis_reply_is_text(r->element[i]) &&
		    redis_reply_is_text(r->element[i + 1]) &&
		    ari_value_read(g->redis, g->what, ari_text(r->element[i]),
			ari_text(r->element[i + 1]), &w, &s))
			g->each(g->arg, &w, &s);
		else
			++*refused;
	return ERR_OK;
}

static enum err take_some(
    const struct ari_reading *g, const redisReply *r, size_t *refused)
{
	uint8_t field[ARI_WHO_MAX];
	struct ari_state s;
	struct ari_who w;

	if (r->type != REDIS_REPLY_ARRAY || r->elements != g->n)
		return ERR_RECORD;
	for (size_t i = 0; i < g->n; i++) {
		size_t n = ari_who_encode(&g->who[i], field);

		if (!redis_reply_is_text(r->element[i]))
			g->each(g->arg, &g->who[i], NULL);
		else if (ari_value_read(g->redis, ARI_STATES, bytes_of(field, n),
			     ari_text(r->element[i]), &w, &s))
			g->each(g->arg, &w, &s);
		else
			++*refused;
	}
	return ERR_OK;
}

static enum err take_page(
    const struct ari_reading *g, const redisReply *r, uint64_t *next, size_t *refused)
{
	char *end;

	if (r->type != REDIS_REPLY_ARRAY || r->elements != 2 ||
	    !redis_reply_is_text(r->element[0]))
		return ERR_RECORD;
	*next = strtoull(r->element[0]->str, &end, 10);
	if (*end != '\0')
		return ERR_RECORD;
	return take_states(g, r->element[1], refused);
}

static void on_read(void *arg, enum err e, const redisReply *r)
{
	struct ari_reading *g = arg;
	uint64_t next = 0;
	size_t refused = 0;

	if (e == ERR_OK) {
		redis_link_heard(g->redis->link, r);
		if (r->type == REDIS_REPLY_ERROR)
			e = redis_reply_is_error(r, "WRONGTYPE") ? ERR_RECORD
								 : redis_word_err(r);
		else
			e = g->n == 0 ? take_page(g, r, &next, &refused)
				      : take_some(g, r, &refused);
	}
	g->done(g->arg, e, next, refused);
	free(g);
}

static struct ari_reading *ari_reading_new(struct ari_redis *r, size_t n,
    ari_redis_each_fn *each, ari_redis_page_fn *done, void *arg)
{
	struct ari_reading *g = calloc(1, sizeof *g + n * sizeof g->who[0]);

	if (g == NULL)
		return NULL;
	g->redis = r;
	g->each = each;
	g->done = done;
	g->arg = arg;
	g->n = n;
	return g;
}

static void ask(
    struct ari_reading *g, int argc, const char *const *argv, const size_t *argv_n)
{
	struct redis_conn *c = redis_link_commands(g->redis->link);

	if (c != NULL && redis_conn_send(c, argc, argv, argv_n, on_read, g))
		return;
	g->done(g->arg, ERR_STORE, 0, 0);
	free(g);
}

void ari_redis_page(struct ari_redis *r, enum ari_redis_what what, uint64_t from,
    ari_redis_each_fn *each, ari_redis_page_fn *done, void *arg)
{
	struct ari_reading *g = ari_reading_new(r, 0, each, done, arg);
	char key[ARI_KEY_ROOM], cursor[24];

	if (g == NULL) {
		done(arg, ERR_NOMEM, 0, 0);
		return;
	}
	g->what = what;
	key_of(r, what, key);
	snprintf(cursor, sizeof cursor, "%llu", (unsigned long long)from);
	ask(g, 5, (const char *const[]){"HSCAN", key, cursor, "COUNT", PAGE_COUNT}, NULL);
}

void ari_redis_get(struct ari_redis *r, const struct ari_who *w, size_t n,
    ari_redis_each_fn *each, ari_redis_page_fn *done, void *arg)
{
	struct ari_reading *g = ari_reading_new(r, n, each, done, arg);
	uint8_t field[ARI_SAVE_MAX][ARI_WHO_MAX];
	const char *argv[2 + ARI_SAVE_MAX];
	size_t argv_n[2 + ARI_SAVE_MAX];
	char key[ARI_KEY_ROOM];

	assert(n > 0 && n <= ARI_SAVE_MAX);
	if (g == NULL) {
		done(arg, ERR_NOMEM, 0, 0);
		return;
	}
	g->what = ARI_STATES;
	memcpy(g->who, w, n * sizeof *w);
	key_of(r, ARI_STATES, key);
	argv[0] = "HMGET";
	argv[1] = key;
	argv_n[0] = 5;
	argv_n[1] = strlen(key);
	for (size_t i = 0; i < n; i++) {
		argv[2 + i] = (const char *)field[i];
		argv_n[2 + i] = ari_who_encode(&w[i], field[i]);
	}
	ask(g, (int)(2 + n), argv, argv_n);
}
