/* seal.h - values that others keep for us and may not read: AES-256-GCM.
 *
 * A sealed value is a random nonce of 12 octets, what is encrypted, and a tag of 16.  The
 * name under which it is kept is authenticated with it, so that a good value is none in
 * another place.  Who brings back an older value of the same name can, as with mac.h.
 *
 * Keys are derived from those of store-key-file: the first seals, all open.  A nonce is
 * random, so a key should seal less than 2^32 values in its life (NIST SP 800-38D section
 * 8.3): what operators say, not what is counted.
 *
 * Keys are immutable and the caller's.  Pure functions but for the nonce, any thread.
 */
#ifndef CACHE_BASE_SEAL_H
#define CACHE_BASE_SEAL_H

#include "cache/base/mac.h"

#define SEAL_NONCE    12
#define SEAL_OVERHEAD (SEAL_NONCE + 16)

struct seal_keys;
/* For one purpose; keys is borrowed for the call.  NULL: out of memory. */
struct seal_keys *seal_keys_new(const struct mac_keys *keys, const char *purpose);
void seal_keys_free(struct seal_keys *k); /* wiped; NULL is allowed */

/* out: value.n + SEAL_OVERHEAD octets.  False: no memory, or no chance to be had. */
bool seal_close(
    const struct seal_keys *k, struct bytes name, struct bytes value, uint8_t *out);
/* out: sealed.n - SEAL_OVERHEAD octets, *n of them.  ERR_RECORD: too short.
 * ERR_RECORD_KEY: not by one of these keys, or of another name.  ERR_NOMEM. */
enum err seal_open(const struct seal_keys *k, struct bytes name, struct bytes sealed,
    uint8_t *out, size_t *n);

#endif
