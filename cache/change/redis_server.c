/* INFO and CONFIG GET, read by the few fields that count.  Each is asked for by itself,
 * so that a right which is missing costs what it hides and nothing else. */
#include "cache/change/redis_server.h"

#include <stdio.h>
#include <string.h>

#include "cache/redis/redis_word.h"

/* The value of "name:value\r\n" in a reply of INFO; "" where there is none or it is not
 * made of plain characters. */
static void info_field(const redisReply *r, const char *name, char *out, size_t room)
{
	size_t n = strlen(name);

	out[0] = '\0';
	if (r->type != REDIS_REPLY_STRING)
		return;
	for (const char *p = r->str; p != NULL; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, name, n) != 0 || p[n] != ':')
			continue;
		p += n + 1;
		n = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789-_");
		if (n < room) {
			memcpy(out, p, n);
			out[n] = '\0';
		}
		return;
	}
}

static void on_server(void *arg, enum err e, const redisReply *r)
{
	struct redis_server *s = arg;

	if (e == ERR_OK)
		info_field(r, "run_id", s->run, sizeof s->run);
}

static void on_persistence(void *arg, enum err e, const redisReply *r)
{
	struct redis_server *s = arg;

	if (e == ERR_OK)
		info_field(r, "aof_enabled", s->aof, sizeof s->aof);
}

static void on_memory(void *arg, enum err e, const redisReply *r)
{
	struct redis_server *s = arg;
	char max[24];

	if (e != ERR_OK)
		return;
	info_field(r, "maxmemory", max, sizeof max);
	s->limited = max[0] != '\0' && strcmp(max, "0") != 0;
	info_field(r, "maxmemory_policy", s->policy, sizeof s->policy);
}

/* The last of what is asked: the others have been answered. */
static void on_fsync(void *arg, enum err e, const redisReply *r)
{
	struct redis_server *s = arg;

	if (e == ERR_OK && r->type == REDIS_REPLY_ERROR) {
		snprintf(s->refused, sizeof s->refused, "%s", r->str);
		redis_word_clean(s->refused);
	}
	if (e == ERR_OK && r->type == REDIS_REPLY_ARRAY && r->elements == 2 &&
	    redis_reply_is_text(r->element[1]) && r->element[1]->len < sizeof s->fsync &&
	    strspn(r->element[1]->str, "abcdefghijklmnopqrstuvwxyz") ==
		r->element[1]->len)
		strcpy(s->fsync, r->element[1]->str);
	s->done(s->arg, e);
}

bool redis_server_ask(
    struct redis_server *s, struct redis_conn *c, redis_server_fn *done, void *arg)
{
	*s = (struct redis_server){.done = done, .arg = arg};
	return WORDS(c, on_server, s, "INFO", "server") &&
	       WORDS(c, on_persistence, s, "INFO", "persistence") &&
	       WORDS(c, on_memory, s, "INFO", "memory") &&
	       WORDS(c, on_fsync, s, "CONFIG", "GET", "appendfsync");
}

bool redis_server_is_safe(const struct redis_server *s)
{
	return s->run[0] != '\0' && strcmp(s->aof, "1") == 0 &&
	       strcmp(s->fsync, "always") == 0;
}

void redis_server_why_not_safe(const struct redis_server *s, char out[REDIS_SERVER_TEXT])
{
	const char *aof = strcmp(s->aof, "1") == 0   ? "yes"
			  : strcmp(s->aof, "0") == 0 ? "no"
						     : "unknown";

	out[0] = '\0';
	if (redis_server_is_safe(s))
		return;
	if (s->refused[0] == '\0' || strcmp(s->aof, "0") == 0)
		snprintf(out, REDIS_SERVER_TEXT,
		    "log=redis appendonly=%s appendfsync=%s remedy=\"set appendonly yes "
		    "and appendfsync always, else a restart of Redis is a gap\"",
		    aof, s->fsync[0] != '\0' ? s->fsync : "unknown");
	else
		snprintf(out, REDIS_SERVER_TEXT,
		    "log=redis appendonly=%s appendfsync=unknown error=\"%s\" "
		    "remedy=\"let its user run CONFIG GET and INFO; where that is "
		    "forbidden a restart of Redis is a gap, and all else goes on\"",
		    aof, s->refused);
}

void redis_server_may_evict(const struct redis_server *s, char out[REDIS_SERVER_TEXT])
{
	out[0] = '\0';
	if (s->limited && strncmp(s->policy, "allkeys-", 8) == 0)
		snprintf(out, REDIS_SERVER_TEXT,
		    "log=redis maxmemory_policy=%s remedy=\"use " REDIS_POLICY
		    ", else changes may be evicted\"",
		    s->policy);
}
