/* store_redis.h - what a store's configuration says of Redis: for all that use one.
 *
 * The store and the change log have a link each, to the same server.
 */
#ifndef CACHE_STORE_STORE_REDIS_H
#define CACHE_STORE_STORE_REDIS_H

#include "cache/redis/redis_link.h"

struct store_config;

/* The prefix is borrowed from c; events go to its hooks. */
struct redis_link_config store_redis_link(const struct store_config *c);

#endif
