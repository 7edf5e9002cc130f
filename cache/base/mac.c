/* mac.c - keys, and a MAC by them. */
#include "cache/base/mac.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define HMAC_BLOCK 64 /* octets of one block of SHA-256 */

/* What SHA-256 is after the padded key: begun once, copied for each MAC.  1,700 bytes
 * cost 1.1 us so, 1.6 with EVP_MAC_CTX_dup() and 2.7 with HMAC(); 1.0 is SHA-256 itself.
 */
struct mac_key {
	EVP_MD_CTX *inner, *outer;
};

struct mac_keys {
	size_t n;
	struct mac_key key[];
};

static EVP_MD_CTX *begin_pad(const uint8_t key[MAC_KEY_SIZE], uint8_t pad)
{
	uint8_t block[HMAC_BLOCK];
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok;

	memset(block, pad, sizeof block);
	for (size_t i = 0; i < MAC_KEY_SIZE; i++)
		block[i] ^= key[i];
	ok = c != NULL && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1 &&
	     EVP_DigestUpdate(c, block, sizeof block) == 1;
	OPENSSL_cleanse(block, sizeof block);
	if (ok)
		return c;
	EVP_MD_CTX_free(c);
	return NULL;
}

struct mac_keys *mac_keys_new(const uint8_t (*keys)[32], size_t n)
{
	struct mac_keys *k = calloc(1, sizeof *k + n * sizeof k->key[0]);

	if (k == NULL)
		return NULL;
	for (; k->n < n; k->n++) {
		k->key[k->n].inner = begin_pad(keys[k->n], 0x36);
		k->key[k->n].outer = begin_pad(keys[k->n], 0x5c);
		if (k->key[k->n].inner == NULL || k->key[k->n].outer == NULL) {
			k->n++;
			mac_keys_free(k);
			return NULL;
		}
	}
	return k;
}

void mac_keys_free(struct mac_keys *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < k->n; i++) {
		EVP_MD_CTX_free(k->key[i].inner);
		EVP_MD_CTX_free(k->key[i].outer);
	}
	free(k);
}

/* HMAC (RFC 2104) over what is named, and the value. */
static bool hmac(
    const struct mac_key *m, struct bytes name, struct bytes value, uint8_t out[MAC_SIZE])
{
	uint8_t length[4];
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok;

	put_be(length, name.n, sizeof length);
	ok = c != NULL && EVP_MD_CTX_copy_ex(c, m->inner) == 1 &&
	     EVP_DigestUpdate(c, length, sizeof length) == 1 &&
	     EVP_DigestUpdate(c, name.p, name.n) == 1 &&
	     EVP_DigestUpdate(c, value.p, value.n) == 1 &&
	     EVP_DigestFinal_ex(c, out, NULL) == 1 &&
	     EVP_MD_CTX_copy_ex(c, m->outer) == 1 &&
	     EVP_DigestUpdate(c, out, MAC_SIZE) == 1 &&
	     EVP_DigestFinal_ex(c, out, NULL) == 1;
	EVP_MD_CTX_free(c);
	if (!ok)
		ERR_clear_error();
	return ok;
}

bool mac_make(const struct mac_keys *keys, struct bytes name, struct bytes value,
    uint8_t out[MAC_SIZE])
{
	return keys != NULL && keys->n > 0 && hmac(&keys->key[0], name, value, out);
}

bool mac_is_good(const struct mac_keys *keys, struct bytes name, struct bytes value,
    const uint8_t mac[MAC_SIZE])
{
	uint8_t made[MAC_SIZE];

	for (size_t i = 0; keys != NULL && i < keys->n; i++) {
		if (hmac(&keys->key[i], name, value, made) &&
		    CRYPTO_memcmp(made, mac, MAC_SIZE) == 0)
			return true;
	}
	return false;
}

size_t mac_keys_octets(const struct mac_keys *keys, const char *purpose,
    uint8_t out[MAC_KEYS_MAX][MAC_KEY_SIZE])
{
	struct bytes label = bytes_of(purpose, strlen(purpose));

	if (keys->n > MAC_KEYS_MAX)
		return 0;
	for (size_t i = 0; i < keys->n; i++)
		if (!hmac(&keys->key[i], label, bytes_of("", 0), out[i]))
			return 0;
	return keys->n;
}

struct mac_keys *mac_keys_derive(const struct mac_keys *keys, const char *purpose)
{
	uint8_t derived[MAC_KEYS_MAX][MAC_KEY_SIZE];
	size_t n = mac_keys_octets(keys, purpose, derived);
	struct mac_keys *out = NULL;

	if (n > 0)
		out = mac_keys_new((const uint8_t(*)[MAC_KEY_SIZE])derived, n);
	OPENSSL_cleanse(derived, sizeof derived);
	return out;
}

static bool key_read(const char *line, size_t n, uint8_t key[MAC_KEY_SIZE])
{
	return n == 2 * MAC_KEY_SIZE && hex_decode(line, MAC_KEY_SIZE, key);
}

/* The number of keys; -1 with a line in why. */
static int keys_read(
    FILE *f, const char *path, uint8_t (*keys)[MAC_KEY_SIZE], char *why, size_t why_n)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int count = 0;

	for (int number = 1; (n = getline(&line, &room, f)) >= 0; number++) {
		while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
			n--;
		if (n == 0 || line[0] == '#')
			continue;
		if (count == MAC_KEYS_MAX) {
			snprintf(why, why_n, "%s:%d: more than %d keys", path, number,
			    MAC_KEYS_MAX);
			count = -1;
			break;
		}
		if (!key_read(line, (size_t)n, keys[count])) {
			snprintf(why, why_n,
			    "%s:%d: not a key of 64 hexadecimal digits; openssl rand "
			    "-hex "
			    "32 makes one",
			    path, number);
			count = -1;
			break;
		}
		count++;
	}
	if (line != NULL)
		OPENSSL_cleanse(line, room);
	free(line);
	return count;
}

enum err mac_keys_load(struct mac_keys **out, const char *path, char *why, size_t why_n)
{
	uint8_t keys[MAC_KEYS_MAX][MAC_KEY_SIZE];
	FILE *f = fopen(path, "re");
	enum err e = ERR_RECORD;
	int n;

	if (f == NULL) {
		snprintf(why, why_n, "%s: %s", path, strerror(errno));
		return ERR_RECORD;
	}
	n = keys_read(f, path, keys, why, why_n);
	if (n >= 0 && ferror(f)) {
		snprintf(why, why_n, "%s: cannot be read: %s", path, strerror(errno));
	} else if (n == 0) {
		snprintf(
		    why, why_n, "%s: no key in it; openssl rand -hex 32 makes one", path);
	} else if (n > 0) {
		*out = mac_keys_new((const uint8_t(*)[MAC_KEY_SIZE])keys, (size_t)n);
		e = *out != NULL ? ERR_OK : ERR_NOMEM;
		if (e != ERR_OK)
			snprintf(why, why_n, "%s: out of memory", path);
	}
	fclose(f);
	OPENSSL_cleanse(keys, sizeof keys);
	return e;
}
