/* redis_server.h - what a Redis says of itself that matters to the log: which
 * life of it this is, and whether what it acknowledges can be lost.
 *
 * A Redis that refuses to say (an ACL; managed services forbid CONFIG) is taken for one
 * that loses; its words are in the reason.
 */
#ifndef CACHE_CHANGE_REDIS_SERVER_H
#define CACHE_CHANGE_REDIS_SERVER_H

#include "cache/redis/redis_conn.h"

#define REDIS_SERVER_TEXT 448 /* of an event */

typedef void redis_server_fn(void *arg, enum err e);

struct redis_server {
	char run[41]; /* run_id; "": it does not say, as with the others */
	char aof[4], fsync[16], policy[32];
	char refused[112]; /* what CONFIG was answered with; "" */
	bool limited;      /* maxmemory is set */
	redis_server_fn *done;
	void *arg;
};

/* Ask anew (INFO, CONFIG GET).  done is called once, from the loop, with ERR_OK or that
 * of the connection.  False: not even sent. */
bool redis_server_ask(
    struct redis_server *s, struct redis_conn *c, redis_server_fn *done, void *arg);

/* appendonly yes, appendfsync always, and a run_id to tell lives apart. */
bool redis_server_is_safe(const struct redis_server *s);

/* Text of an event where it is not safe, or may evict keys without a TTL; else "". */
void redis_server_why_not_safe(const struct redis_server *s, char out[REDIS_SERVER_TEXT]);
void redis_server_may_evict(const struct redis_server *s, char out[REDIS_SERVER_TEXT]);

#endif
