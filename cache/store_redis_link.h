/* store_redis_link.h - the two connections to Redis, kept up.
 *
 * A sends commands.  B is subscribed to __redis__:invalidate, and A redirects its
 * tracking there (CLIENT TRACKING ... BCAST PREFIX PREFIXa: NOLOOP), since RESP2 cannot
 * push into A.  Both greet with AUTH, SELECT and CLIENT SETNAME; a connection that is
 * lost comes back by itself, with back-off and jitter, and a name is looked up again, on
 * the executor's thread.  News go to the hooks of the configuration: `changed` for each
 * key, `all_changed` after a flush and whenever news may have been missed.
 *
 * The keeper's thread.
 */
#ifndef CACHE_STORE_REDIS_LINK_H
#define CACHE_STORE_REDIS_LINK_H

#include "cache/store.h"
#include "cache/store_redis_conn.h"
#include "cache/store_redis_url.h"

#define REDIS_PREFIX_MAX 200 /* characters of store-prefix */

struct redis_link;

/* Start to connect.  The prefix of c and the scripts (NULL at the end; loaded on
 * connecting) stay valid as long as the link; url is copied.  NULL: out of memory. */
struct redis_link *redis_link_open(const struct store_config *c,
    const struct redis_url *url, const char *const *scripts);
/* Every pending callback gets ERR_CANCELLED.  NULL is allowed. */
void redis_link_free(struct redis_link *l);

/* The connection for commands, borrowed until control returns to the loop; NULL while
 * Redis is away. */
struct redis_conn *redis_link_commands(const struct redis_link *l);

/* Let the health show an error that a command met. */
void redis_link_note_error(struct redis_link *l, const char *error);
void redis_link_health(const struct redis_link *l, struct store_health *out);

#endif
