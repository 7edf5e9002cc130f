/* hook_sign.c - HMAC, Ed25519 and base64 are OpenSSL's. */
#include "proxy/push/hook_sign.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#define SIGNED_MAX     64 /* octets of a signature */
#define SIGNATURE_TEXT (4 * ((SIGNED_MAX + 2) / 3) + 1)

/* Octets of the signature; 0: none. */

static size_t sign_hmac(
    const struct webhook_secret *s, struct bytes text, uint8_t out[SIGNED_MAX])
{
	unsigned size = 0;

	if (HMAC(EVP_sha256(), s->octets, s->n, text.p, text.n, out, &size) == NULL)
		return 0;
	return size;
}

static size_t sign_ed25519(
    const struct webhook_secret *s, struct bytes text, uint8_t out[SIGNED_MAX])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(
	    EVP_PKEY_ED25519, NULL, s->octets, WEBHOOK_SEED_N);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t size = SIGNED_MAX;
	bool ok = ctx != NULL && key != NULL &&
		  EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
		  EVP_DigestSign(ctx, out, &size, text.p, text.n) == 1;

	EVP_PKEY_free(key);
	EVP_MD_CTX_free(ctx);
	return ok ? size : 0;
}

/* What was written; 0: nothing could be. */
static size_t sign_one(const struct webhook_secret *s, struct bytes text, char *out)
{
	uint8_t signature[SIGNED_MAX];
	char base64[SIGNATURE_TEXT];
	size_t n =
	    s->ed25519 ? sign_ed25519(s, text, signature) : sign_hmac(s, text, signature);

	if (n == 0)
		return 0;
	EVP_EncodeBlock((unsigned char *)base64, signature, (int)n);
	return (size_t)snprintf(
	    out, HOOK_SIGNATURE_MAX, "%s%s", s->ed25519 ? "v1a," : "v1,", base64);
}

bool hook_sign(const struct webhook_secret *secrets, size_t n,
    const struct hook_signed *what, char out[HOOK_SIGNATURES_MAX])
{
	size_t room = strlen(what->id) + 32 + what->body.n, head;
	char *text = malloc(room), *p = out;
	bool ok = text != NULL;

	assert(n >= 1 && n <= WEBHOOK_SECRETS);
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
		wrote = sign_one(&secrets[i], bytes_of(text, room), p);
		ok = wrote > 0;
		p += wrote;
	}
	*p = '\0';
	free(text);
	return ok;
}
