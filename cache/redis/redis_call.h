/* redis_call.h - one run of a Lua script on a link.
 *
 * The script is named by its digest (EVALSHA); where the server has forgotten it, or lets
 * nobody name one, the same arguments are sent again with its text, which is what the
 * link has tried (redis_link.h).  So they are kept until the answer.
 *
 * The thread of the link's loop.
 */
#ifndef CACHE_REDIS_REDIS_CALL_H
#define CACHE_REDIS_REDIS_CALL_H

#include "cache/redis/redis_link.h"

#define REDIS_CALL_ARGS_MAX 12 /* keys and arguments */
#define REDIS_SHA_TEXT      41 /* SHA-1 in hexadecimal, and a NUL */

struct redis_script {
	const char *text;
	char sha[REDIS_SHA_TEXT];
};
/* False: the digest cannot be computed. */
bool redis_script_init(struct redis_script *s, const char *text);

/* The end of a trial (redis_link_use): what is in `steps` is done, the key (k) removed.
 * An error names the command that was refused. */
#define REDIS_TRIAL                                                                      \
	"for _, step in ipairs(steps) do\n"                                              \
	"  local r = redis.pcall(unpack(step))\n"                                        \
	"  if type(r) == 'table' and r.err then\n"                                       \
	"    redis.pcall('UNLINK', k)\n"                                                 \
	"    return redis.error_reply(r.err .. ' (' .. step[1] .. ')')\n"                \
	"  end\n"                                                                        \
	"end\n"                                                                          \
	"return 1\n"

struct redis_call;
/* Exactly once for each call that was started, possibly before redis_call_start()
 * returns, and with ERR_CANCELLED when the link is freed.  r is NULL unless e is ERR_OK.
 * c is the callee's to free; what it holds is gone already. */
typedef void redis_call_fn(struct redis_call *c, enum err e, const redisReply *r);

/* A member of its caller's own struct. */
struct redis_call {
	struct redis_link *link;
	const struct redis_script *script;
	redis_call_fn *finish;
	int keys;
	int argc;
	const char *argv[REDIS_CALL_ARGS_MAX]; /* point into data */
	size_t argv_n[REDIS_CALL_ARGS_MAX];
	char *data;
	size_t room, used;
	bool evaluated; /* sent with its text */
};

/* room: bytes of all arguments together.  False: out of memory. */
bool redis_call_init(struct redis_call *c, struct redis_link *link,
    const struct redis_script *script, size_t room, redis_call_fn *finish);
/* The keys first.  p NULL: the n bytes that the caller has written at data + used. */
void redis_call_add(struct redis_call *c, const void *p, size_t n);
void redis_call_add_number(struct redis_call *c, long long v);
/* Instead of starting it. */
void redis_call_drop(struct redis_call *c);
/* The first `keys` arguments are keys.  ERR_STORE when Redis is away. */
void redis_call_start(struct redis_call *c, int keys);

#endif
