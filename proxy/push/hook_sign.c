/* hook_sign.c - base64, HMAC and Ed25519 are OpenSSL's. */
#include "proxy/push/hook_sign.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_TEXT_MAX   120 /* base64 of more than the 64 octets that a key has at most */
#define KEY_MAX        (KEY_TEXT_MAX / 4 * 3)
#define SEED_SIZE      32
#define ED25519_SIZE   64
#define SIGNATURE_TEXT (4 * ((ED25519_SIZE + 2) / 3) + 1)

/* The octets of a base64 text with its padding; 0: it is none. */
static size_t key_decode(const char *text, uint8_t key[KEY_MAX])
{
	size_t n = strlen(text);
	int got;

	if (n == 0 || n % 4 != 0 || n > KEY_TEXT_MAX)
		return 0;
	got = EVP_DecodeBlock(key, (const unsigned char *)text, (int)n);
	if (got < 0)
		return 0;
	got -= text[n - 1] == '=';
	got -= text[n - 2] == '=';
	return (size_t)got;
}

static size_t sign_hmac(
    const uint8_t *key, size_t n, struct bytes text, uint8_t out[ED25519_SIZE])
{
	unsigned size = 0;

	if (n == 0 || HMAC(EVP_sha256(), key, (int)n, text.p, text.n, out, &size) == NULL)
		return 0;
	return size;
}

static size_t sign_ed25519(
    const uint8_t *key, size_t n, struct bytes text, uint8_t out[ED25519_SIZE])
{
	EVP_PKEY *pkey = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t size = ED25519_SIZE;
	bool ok = n == SEED_SIZE || n == 2 * SEED_SIZE;

	if (ok)
		pkey =
		    EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key, SEED_SIZE);
	ok = ctx != NULL && pkey != NULL &&
	     EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
	     EVP_DigestSign(ctx, out, &size, text.p, text.n) == 1;
	EVP_PKEY_free(pkey);
	EVP_MD_CTX_free(ctx);
	return ok ? size : 0;
}

static const struct scheme {
	const char *secret, *mark;
	size_t (*sign)(
	    const uint8_t *key, size_t n, struct bytes text, uint8_t out[ED25519_SIZE]);
} schemes[] = {{"whsec_", "v1,", sign_hmac}, {"whsk_", "v1a,", sign_ed25519}};

static const struct scheme *scheme_of(const char *secret)
{
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (strncmp(secret, schemes[i].secret, strlen(schemes[i].secret)) == 0)
			return &schemes[i];
	return NULL;
}

/* Of one secret; what was written, 0: nothing could be. */
static size_t sign_one(const char *secret, struct bytes text, char *out)
{
	const struct scheme *s = scheme_of(secret);
	uint8_t key[KEY_MAX], signature[ED25519_SIZE];
	char base64[SIGNATURE_TEXT];
	size_t n;

	if (s == NULL)
		return 0;
	n = key_decode(secret + strlen(s->secret), key);
	n = s->sign(key, n, text, signature);
	OPENSSL_cleanse(key, sizeof key);
	if (n == 0)
		return 0;
	EVP_EncodeBlock((unsigned char *)base64, signature, (int)n);
	return (size_t)snprintf(out, HOOK_SIGNATURE_MAX, "%s%s", s->mark, base64);
}

bool hook_sign(const char *const *secrets, size_t n, const struct hook_signed *what,
    char out[HOOK_SECRETS_MAX * HOOK_SIGNATURE_MAX])
{
	size_t room = strlen(what->id) + 32 + what->body.n, head;
	char *text = malloc(room), *p = out;
	bool ok = text != NULL && n >= 1 && n <= HOOK_SECRETS_MAX;

	if (ok) {
		head = (size_t)snprintf(
		    text, room, "%s.%lld.", what->id, (long long)what->at);
		memcpy(text + head, what->body.p, what->body.n);
		room = head + what->body.n;
	}
	for (size_t i = 0; ok && i < n; i++) {
		size_t wrote;

		if (i > 0)
			*p++ = ' ';
		wrote = sign_one(secrets[i], bytes_of(text, room), p);
		ok = wrote > 0;
		p += wrote;
	}
	*p = '\0';
	free(text);
	return ok;
}
