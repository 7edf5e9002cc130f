/* hook_sealed.h - webhooks and their states as they stand in a store that others may read
 * and write: the one encrypted, the other under a MAC.
 *
 * What an operator says has secrets, and its URL may be one: it is sealed (seal.h).  A
 * state, and that one was deleted, are nobody's secret.  Each is bound to its name.  The
 * layout is at the top of hook_redis.c.  Pure but for the nonce.
 */
#ifndef PROXY_PUSH_HOOK_SEALED_H
#define PROXY_PUSH_HOOK_SEALED_H

#include "cache/base/seal.h"
#include "cache/watch/webhook.h"

#define HOOK_SEALED_N (1 + WEBHOOK_BINARY_MAX + SEAL_OVERHEAD)
#define HOOK_SAVED_N  (WEBHOOK_STATE_MAX + MAC_SIZE)
#define HOOK_TOMB_N   (1 + 8 + MAC_SIZE)

struct hook_seals {
	struct seal_keys *seals;
	struct mac_keys *macs;
};
/* From those of store-key-file.  False: no memory; to be cleared all the same. */
bool hook_seals_init(struct hook_seals *k, const struct mac_keys *keys);
void hook_seals_clear(struct hook_seals *k);

/* Octets; 0: no memory, or no chance. */
size_t hook_sealed_make(
    const struct hook_seals *k, const struct webhook *w, uint8_t out[HOOK_SEALED_N]);
/* ERR_RECORD: not in our encoding.  ERR_RECORD_KEY: not by one of these keys, or of
 * another name.  ERR_NOMEM. */
enum err hook_sealed_open(const struct hook_seals *k, const char *name,
    struct bytes value, struct webhook **out);

/* Octets; 0: no memory. */
size_t hook_saved_make(const struct hook_seals *k, const char *name,
    const struct webhook_state *state, uint8_t out[HOOK_SAVED_N]);
/* False: it is not ours, or of another version: what it says was delivered is delivered
 * again. */
bool hook_saved_open(const struct hook_seals *k, const char *name, struct bytes v,
    struct webhook_state *out);

/* That it was deleted then.  False: no memory. */
bool hook_tomb_make(
    const struct hook_seals *k, const char *name, int64_t at, uint8_t out[HOOK_TOMB_N]);
bool hook_tomb_is_good(const struct hook_seals *k, const char *name, struct bytes v);
int64_t hook_tomb_at(struct bytes v); /* of any value; INT64_MAX: it is none */

#endif
