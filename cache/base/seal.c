/* seal.c - OpenSSL's GCM, once for each key that may be the right one. */
#include "cache/base/seal.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>

#define TAG_N (SEAL_OVERHEAD - SEAL_NONCE)

struct seal_keys {
	size_t n;
	uint8_t octets[MAC_KEYS_MAX][MAC_KEY_SIZE];
};

struct seal_keys *seal_keys_new(const struct mac_keys *keys, const char *purpose)
{
	struct seal_keys *k = calloc(1, sizeof *k);

	if (k == NULL)
		return NULL;
	k->n = mac_keys_octets(keys, purpose, k->octets);
	if (k->n > 0)
		return k;
	seal_keys_free(k);
	return NULL;
}

void seal_keys_free(struct seal_keys *k)
{
	if (k == NULL)
		return;
	OPENSSL_cleanse(k, sizeof *k);
	free(k);
}

/* The name is what is authenticated and not encrypted. */
static bool put_name(EVP_CIPHER_CTX *c, struct bytes name)
{
	int n;

	return EVP_CipherUpdate(c, NULL, &n, name.p, (int)name.n) == 1;
}

static bool encrypt(EVP_CIPHER_CTX *c, const uint8_t *key, struct bytes name,
    struct bytes value, uint8_t *out)
{
	uint8_t *at = out + SEAL_NONCE;
	int n = 0, last = 0;

	return RAND_bytes(out, SEAL_NONCE) == 1 &&
	       EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, out) == 1 &&
	       put_name(c, name) &&
	       EVP_EncryptUpdate(c, at, &n, value.p, (int)value.n) == 1 &&
	       EVP_EncryptFinal_ex(c, at + n, &last) == 1 &&
	       EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_N, at + value.n) == 1;
}

bool seal_close(
    const struct seal_keys *k, struct bytes name, struct bytes value, uint8_t *out)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	bool ok = c != NULL && encrypt(c, k->octets[0], name, value, out);

	EVP_CIPHER_CTX_free(c);
	ERR_clear_error();
	return ok;
}

static bool decrypt(EVP_CIPHER_CTX *c, const uint8_t *key, struct bytes name,
    struct bytes sealed, uint8_t *out)
{
	size_t value_n = sealed.n - SEAL_OVERHEAD;
	const uint8_t *at = sealed.p + SEAL_NONCE;
	uint8_t tag[TAG_N];
	int n = 0, last = 0;

	memcpy(tag, at + value_n, TAG_N);
	return EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, sealed.p) == 1 &&
	       EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_N, tag) == 1 &&
	       put_name(c, name) &&
	       EVP_DecryptUpdate(c, out, &n, at, (int)value_n) == 1 &&
	       EVP_DecryptFinal_ex(c, out + n, &last) == 1;
}

enum err seal_open(const struct seal_keys *k, struct bytes name, struct bytes sealed,
    uint8_t *out, size_t *n)
{
	EVP_CIPHER_CTX *c;
	bool ok = false;

	if (sealed.n < SEAL_OVERHEAD)
		return ERR_RECORD;
	c = EVP_CIPHER_CTX_new();
	if (c == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; !ok && i < k->n; i++)
		ok = decrypt(c, k->octets[i], name, sealed, out);
	EVP_CIPHER_CTX_free(c);
	ERR_clear_error();
	*n = sealed.n - SEAL_OVERHEAD;
	return ok ? ERR_OK : ERR_RECORD_KEY;
}
