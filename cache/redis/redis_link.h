/* redis_link.h - the two connections to Redis, kept up.
 *
 * A sends commands.  B is subscribed to __redis__:invalidate, and A redirects its
 * tracking there (CLIENT TRACKING ... BCAST PREFIX <what is tracked> NOLOOP), since RESP2
 * cannot push into A.  Both greet with AUTH, SELECT and CLIENT SETNAME; a connection that
 * is lost comes back by itself, with back-off and jitter, and a name is looked up again,
 * on the executor's thread.  The store and the change log have a link each.
 *
 * A server that is not the one to ask (a replica, one that is loading: `leave` of
 * redis_word.h) is left, whether it says so to a command or in the greeting.  The
 * heartbeat asks for its role, so that a master that becomes a replica and keeps its
 * connections is left without a write, too.
 *
 * The greeting ends with a trial: a script that does once, on a key of its own that it
 * removes again, everything that the link is for.  So what a server refuses (rights,
 * memory, a disk that is full) is known before it matters, with Redis' own words.  Then
 * the link is up, but `refuses`; the trial is repeated at each heartbeat until it goes
 * well.  A command that is refused later begins the same.
 *
 * The thread of its loop.
 */
#ifndef CACHE_REDIS_REDIS_LINK_H
#define CACHE_REDIS_REDIS_LINK_H

#include "cache/base/exec.h"
#include "cache/redis/redis_conn.h"
#include "cache/redis/redis_url.h"

#define REDIS_PREFIX_MAX 200  /* characters of store-prefix */
#define REDIS_TRACK_MAX  8    /* of what is tracked behind it */
#define REDIS_CONNECT_MS 2000 /* what is given to one attempt to connect */

struct redis_link;

struct redis_link_config {
	const char *prefix; /* before every key; valid as long as the link */
	struct event_base *base;
	struct exec exec;       /* looks names up */
	int timeout_ms;         /* of one command */
	int connect_timeout_ms; /* of one attempt, its greeting too */
	int backoff_max_ms;     /* between attempts */
	size_t max_value;       /* bytes; larger ones are refused unread */
	/* As store_hooks.event; may be NULL. */
	void (*event)(void *arg, bool warn, const char *event, const char *text);
	void *event_arg;
};

struct redis_health {
	bool up;            /* greeted and does not refuse */
	bool refuses;       /* up would be true but for this */
	const char *error;  /* the last one, "" for none; the link's own */
	const char *remedy; /* against it, where one is known; else "" */
	uint64_t reconnects;
};

/* What a link is for.  Everything stays valid as long as the link. */
struct redis_link_use {
	const char *what;           /* begins the text of events: "store=redis" */
	const char *const *scripts; /* NULL at the end; loaded on connecting */
	const char *trial; /* Lua: KEYS[1] is the key of its own; not an error: well */
	const char
	    *track; /* which keys' news are wanted: they begin with the prefix and this */
	bool warn_policy; /* tell of a maxmemory-policy that evicts any key */
	/* A was greeted: redis_link_commands() is there from now on.  NULL: not wanted.
	 */
	void (*up)(void *arg);
	/* A tracked key was written or has vanished; name: what follows `track`. */
	void (*changed)(void *arg, const char *name, size_t n);
	/* After a flush, and whenever news may have been missed. */
	void (*all_changed)(void *arg);
	/* Once: it is up, or was found away.  NULL: not wanted. */
	void (*settled)(void *arg);
	void *arg;
};

/* Start to connect.  c, url and use are copied.  NULL: out of memory. */
struct redis_link *redis_link_open(const struct redis_link_config *c,
    const struct redis_url *url, const struct redis_link_use *use);
/* Every pending callback gets ERR_CANCELLED.  NULL is allowed. */
void redis_link_free(struct redis_link *l);

/* The connection for commands, borrowed until control returns to the loop; NULL while
 * Redis is away. */
struct redis_conn *redis_link_commands(const struct redis_link *l);

/* Is Redis telling us of changes? */
bool redis_link_hears(const struct redis_link *l);

/* Let the health show an error that a command met. */
void redis_link_note_error(struct redis_link *l, const char *error);
/* The reply to a command that is needed: where the server refuses it (`stay` of
 * redis_word.h), the link does.  Any other reply is none of its business. */
void redis_link_heard(struct redis_link *l, const redisReply *r);
void redis_link_health(const struct redis_link *l, struct redis_health *out);

#endif
