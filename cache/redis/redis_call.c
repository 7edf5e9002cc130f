/* The arguments are copied one behind the other into one allocation, which stays until
 * the answer: a script that was forgotten is sent again without asking the caller. */
#include "cache/redis/redis_call.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/bytes.h"

bool redis_script_init(struct redis_script *s, const char *text)
{
	unsigned char sha[20];

	s->text = text;
	if (EVP_Digest(text, strlen(text), sha, NULL, EVP_sha1(), NULL) != 1)
		return false;
	hex_encode(sha, sizeof sha, s->sha);
	return true;
}

bool redis_call_init(struct redis_call *c, struct redis_link *link,
    const struct redis_script *script, size_t room, redis_call_fn *finish)
{
	*c = (struct redis_call){
	    .link = link, .script = script, .room = room, .finish = finish};
	c->data = malloc(room);
	return c->data != NULL;
}

void redis_call_add(struct redis_call *c, const void *p, size_t n)
{
	char *to = c->data + c->used;

	assert(c->argc < REDIS_CALL_ARGS_MAX && c->room - c->used >= n);
	if (p != NULL && n > 0)
		memcpy(to, p, n);
	c->argv[c->argc] = to;
	c->argv_n[c->argc++] = n;
	c->used += n;
}

void redis_call_add_number(struct redis_call *c, long long v)
{
	char text[24];

	redis_call_add(c, text, (size_t)snprintf(text, sizeof text, "%lld", v));
}

void redis_call_drop(struct redis_call *c)
{
	free(c->data);
	c->data = NULL;
}

static void finish(struct redis_call *c, enum err e, const redisReply *r)
{
	assert((e == ERR_OK) == (r != NULL));
	redis_call_drop(c);
	if (e == ERR_OK)
		redis_link_heard(c->link, r);
	c->finish(c, e, r);
}

static void on_answer(void *arg, enum err e, const redisReply *r);

static bool send_call(struct redis_call *c)
{
	struct redis_conn *conn = redis_link_commands(c->link);
	const char *argv[3 + REDIS_CALL_ARGS_MAX];
	size_t argv_n[3 + REDIS_CALL_ARGS_MAX];
	char keys[12];

	assert(c->data != NULL && c->argc <= REDIS_CALL_ARGS_MAX);
	snprintf(keys, sizeof keys, "%d", c->keys);
	argv[0] = c->evaluated ? "EVAL" : "EVALSHA";
	argv[1] = c->evaluated ? c->script->text : c->script->sha;
	argv[2] = keys;
	for (int i = 0; i < 3; i++)
		argv_n[i] = strlen(argv[i]);
	memcpy(argv + 3, c->argv, sizeof c->argv);
	memcpy(argv_n + 3, c->argv_n, sizeof c->argv_n);
	return conn != NULL &&
	       redis_conn_send(conn, 3 + c->argc, argv, argv_n, on_answer, c);
}

static void on_answer(void *arg, enum err e, const redisReply *r)
{
	struct redis_call *c = arg;

	if (e == ERR_OK && !c->evaluated &&
	    (redis_reply_is_error(r, "NOSCRIPT") || redis_reply_is_error(r, "NOPERM"))) {
		c->evaluated = true;
		if (send_call(c))
			return;
		e = ERR_STORE;
		r = NULL;
	}
	finish(c, e, r);
}

void redis_call_start(struct redis_call *c, int keys)
{
	assert(keys <= c->argc);
	c->keys = keys;
	if (!send_call(c))
		finish(c, ERR_STORE, NULL);
}
