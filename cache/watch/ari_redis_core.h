/* ari_redis_core.h - what the parts of ari_redis.c have in common: keys, values, scripts
 * (ari_redis.c) and reading (ari_redis_read.c).
 *
 * The thread of the loop.
 */
#ifndef CACHE_WATCH_ARI_REDIS_CORE_H
#define CACHE_WATCH_ARI_REDIS_CORE_H

#include "cache/redis/redis_call.h"
#include "cache/watch/ari_redis.h"

#define ARI_MARK_N   8
#define ARI_HASH_N   16
#define ARI_KEY_ROOM (REDIS_PREFIX_MAX + sizeof "{a}:n:noticed" + 2 * ARI_HASH_N)
/* A row as SAVE takes it: kind, lengths of who (1) and of the state (2), themselves, two
 * MACs, the mark. */
#define ARI_ROW_MAX (4 + ARI_WHO_MAX + ARI_STATE_MAX + 2 * MAC_SIZE + ARI_MARK_N)

enum ari_script { ARI_SCRIPT_TAKE, ARI_SCRIPT_LEAVE, ARI_SCRIPT_SAVE, ARI_SCRIPT_COUNT };

struct ari_redis {
	struct redis_link *link;
	struct ari_redis_use use;
	struct mac_keys *keys;
	char *prefix;
	struct redis_script script[ARI_SCRIPT_COUNT];
};

/* ari_redis_value.c: octets written to out, which has room for ARI_ROW_MAX; 0: no memory.
 */
size_t ari_row_encode(const struct ari_redis *r, const struct ari_row *row, uint8_t *out);
/* False: it is none of ours. */
bool ari_value_read(const struct ari_redis *r, enum ari_redis_what what,
    struct bytes field, struct bytes v, struct ari_who *w, struct ari_state *s);

#endif
