/* mac.h - values that others keep for us, under a MAC: HMAC-SHA-256 over four octets with
 * the length of the name under which a value is kept, the name, and the value.
 *
 * Who changes a value, or keeps one under another's name, cannot make its MAC; who brings
 * back an older value of the same name can.
 *
 * Keys are immutable and belong to the caller.  Pure functions, any thread.
 */
#ifndef CACHE_BASE_MAC_H
#define CACHE_BASE_MAC_H

#include "cache/base/bytes.h"
#include "cache/base/err.h"

#define MAC_SIZE     32
#define MAC_KEY_SIZE 32
/* More lines than anybody rotates through; each costs a MAC where none is good. */
#define MAC_KEYS_MAX 16

/* From store-key-file: the first line makes MACs, all verify (key rotation).  Each line
 * is 64 hexadecimal digits; empty lines and those that start with '#' are skipped.
 * ERR_RECORD with a line in why (file, line, what). */
struct mac_keys;
enum err mac_keys_load(struct mac_keys **out, const char *path, char *why, size_t why_n);
/* NULL when out of memory, as the next. */
struct mac_keys *mac_keys_new(const uint8_t (*keys)[MAC_KEY_SIZE], size_t n);
/* Keys for another purpose, which say nothing of these: a value of the one kind is none
 * of the other, whatever its name. */
struct mac_keys *mac_keys_derive(const struct mac_keys *keys, const char *purpose);
/* The same as octets, for another algorithm, to be wiped by the caller: how many, in the
 * order of keys; 0: no memory. */
size_t mac_keys_octets(const struct mac_keys *keys, const char *purpose,
    uint8_t out[MAC_KEYS_MAX][MAC_KEY_SIZE]);
void mac_keys_free(struct mac_keys *k); /* NULL is allowed */

/* By the first key.  False: there is none, or no memory. */
bool mac_make(const struct mac_keys *keys, struct bytes name, struct bytes value,
    uint8_t out[MAC_SIZE]);
/* By any of them; keys may be NULL: false. */
bool mac_is_good(const struct mac_keys *keys, struct bytes name, struct bytes value,
    const uint8_t mac[MAC_SIZE]);

#endif
