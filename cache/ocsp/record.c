/* record.c - the layout, all integers big endian, times in seconds since 1970 as two's
 * complement:
 *
 *   offset  bytes
 *        0      1  version, 0x01
 *        1      8  thisUpdate
 *        9      8  producedAt
 *       17      8  nextUpdate (ours where the answer had none)
 *       25      8  notAfter of the delegated signer; 2^63-1 where the issuer signed
 *       33      8  revocationTime; 0 unless revoked
 *       41      1  status: 1 good, 2 revoked, 3 unknown
 *       42      1  CRLReason; 0xff for none
 *       43      1  flags: bit 0 says that a MAC follows; the others are 0
 *       44     32  SHA-256 of the configured certificate that vouches: the CA's, or a
 *                  responder's of responder-certificate
 *       76      1  c, length of the CertID
 *       77      4  d, length of the OCSPResponse
 *       81      c  the CertID, as its canonical OCSPRequest (cache/base/key.h)
 *     81+c      d  the OCSPResponse, as it came
 *   81+c+d     32  MAC, if flagged
 *
 * The MAC is HMAC-SHA-256 over four octets with the length of the key's name (key_name(),
 * without a store's prefix), the name, and all of the value before the MAC.  Nothing
 * follows it.
 */
#include "cache/ocsp/record.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define NOT_AFTER_OFFSET  25
#define REVOKED_AT_OFFSET 33
#define STATUS_OFFSET     41
#define REASON_OFFSET     42
#define FLAGS_OFFSET      43
#define ISSUER_OFFSET     44
#define KEY_N_OFFSET      76
#define DER_N_OFFSET      77
#define FIXED             81
#define FLAG_MAC          1
#define NO_REASON         0xff
#define MAC_SIZE          32
#define MAC_KEY_SIZE      32
#define HMAC_BLOCK        64 /* octets of one block of SHA-256 */
#define DER_TAG           0x30

_Static_assert(
    FIXED + KEY_DER_MAX + MAC_SIZE <= RECORD_OVERHEAD, "the overhead is enough");

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

/* HMAC (RFC 2104) over the name of k and the value. */
static bool mac_make(const struct mac_key *m, const struct key *k, struct bytes value,
    uint8_t out[MAC_SIZE])
{
	char name[4 + KEY_NAME_MAX] = {0};
	size_t n = key_name(k, name + 4);
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok;

	name[2] = (char)(n >> 8);
	name[3] = (char)n;
	ok = c != NULL && EVP_MD_CTX_copy_ex(c, m->inner) == 1 &&
	     EVP_DigestUpdate(c, name, 4 + n) == 1 &&
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

static bool mac_is_good(const struct mac_keys *keys, const struct key *k,
    struct bytes value, const uint8_t mac[MAC_SIZE])
{
	uint8_t made[MAC_SIZE];

	for (size_t i = 0; keys != NULL && i < keys->n; i++) {
		if (mac_make(&keys->key[i], k, value, made) &&
		    CRYPTO_memcmp(made, mac, MAC_SIZE) == 0)
			return true;
	}
	return false;
}

static void put_fixed(uint8_t *out, const struct key *k, const struct facts *f, size_t n)
{
	out[0] = RECORD_VERSION;
	put_be(out + RECORD_THIS_UPDATE_OFFSET, (uint64_t)f->this_update, 8);
	put_be(out + RECORD_PRODUCED_AT_OFFSET, (uint64_t)f->produced_at, 8);
	put_be(out + RECORD_NEXT_UPDATE_OFFSET, (uint64_t)f->next_update, 8);
	put_be(out + NOT_AFTER_OFFSET, (uint64_t)f->signer_not_after, 8);
	put_be(out + REVOKED_AT_OFFSET, (uint64_t)f->revoked_at, 8);
	out[STATUS_OFFSET] = (uint8_t)f->status;
	out[REASON_OFFSET] = f->reason == REASON_NONE ? NO_REASON : (uint8_t)f->reason;
	out[FLAGS_OFFSET] = 0;
	memcpy(out + ISSUER_OFFSET, f->issuer_sha256, sizeof f->issuer_sha256);
	out[KEY_N_OFFSET] = k->der_n;
	put_be(out + DER_N_OFFSET, n, 4);
}

size_t record_encode(uint8_t *out, const struct key *k, const struct facts *f,
    struct bytes der, const struct mac_keys *keys)
{
	size_t n = FIXED + k->der_n + der.n;

	assert(der.n > 0 && der.n <= UINT32_MAX && f->status != STATUS_NONE);
	put_fixed(out, k, f, der.n);
	memcpy(out + FIXED, k->der, k->der_n);
	memcpy(out + FIXED + k->der_n, der.p, der.n);
	if (keys == NULL || keys->n == 0)
		return n;
	out[FLAGS_OFFSET] = FLAG_MAC;
	if (mac_make(&keys->key[0], k, bytes_of(out, n), out + n))
		return n + MAC_SIZE;
	/* Out of memory: a record without MAC is good too, and costs its reader more. */
	out[FLAGS_OFFSET] = 0;
	return n;
}

/* Read the fixed part: false for values that no encoder writes. */
static bool get_facts(struct facts *f, const uint8_t *p)
{
	uint8_t status = p[STATUS_OFFSET], reason = p[REASON_OFFSET];

	if (status < STATUS_GOOD || status > STATUS_UNKNOWN ||
	    (reason != NO_REASON && reason_name(reason) == NULL))
		return false;
	f->status = status;
	f->reason = reason == NO_REASON ? REASON_NONE : reason;
	f->this_update = (int64_t)get_be(p + RECORD_THIS_UPDATE_OFFSET, 8);
	f->produced_at = (int64_t)get_be(p + RECORD_PRODUCED_AT_OFFSET, 8);
	f->next_update = (int64_t)get_be(p + RECORD_NEXT_UPDATE_OFFSET, 8);
	f->signer_not_after = (int64_t)get_be(p + NOT_AFTER_OFFSET, 8);
	f->revoked_at = (int64_t)get_be(p + REVOKED_AT_OFFSET, 8);
	memcpy(f->issuer_sha256, p + ISSUER_OFFSET, sizeof f->issuer_sha256);
	return true;
}

static enum err decode(struct record *r, struct bytes value, const struct key *k,
    const struct mac_keys *keys)
{
	size_t der_n, mac_n, n;
	const uint8_t *p = value.p;

	if (value.n < FIXED || p[0] != RECORD_VERSION || p[FLAGS_OFFSET] > FLAG_MAC)
		return ERR_RECORD;
	der_n = get_be(p + DER_N_OFFSET, 4);
	mac_n = p[FLAGS_OFFSET] == FLAG_MAC ? MAC_SIZE : 0;
	n = FIXED + p[KEY_N_OFFSET];
	if (der_n == 0 || value.n < n || value.n - n < mac_n ||
	    value.n - n - mac_n != der_n)
		return ERR_RECORD;
	if (!get_facts(&r->facts, p) ||
	    key_from_der(&r->key, bytes_of(p + FIXED, p[KEY_N_OFFSET])) != ERR_OK)
		return ERR_RECORD;
	if (!key_equal(&r->key, k))
		return ERR_RECORD_KEY;
	r->der = bytes_of(p + n, der_n);
	n += der_n;
	r->mac_ok = mac_n > 0 && mac_is_good(keys, k, bytes_of(p, n), p + n);
	return ERR_OK;
}

enum err record_decode(struct record *r, struct bytes value, const struct key *k,
    const struct mac_keys *keys)
{
	*r = (struct record){0};
	if (value.n > 0 && value.p[0] == DER_TAG) {
		r->key = *k;
		r->der = value;
		return ERR_OK;
	}
	return decode(r, value, k, keys);
}

static bool key_read(const char *line, size_t n, uint8_t key[MAC_KEY_SIZE])
{
	return n == 2 * MAC_KEY_SIZE && hex_decode(line, MAC_KEY_SIZE, key);
}

/* More lines than anybody rotates through; each costs a MAC where none is good. */
#define MAC_KEYS_MAX 16

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
