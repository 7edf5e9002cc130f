/* webhook_secret.c - secrets from text and back, as Standard Webhooks 1.0 writes them.
 *
 * Base64 is taken in its one canonical form: a secret that two programs read differently
 * is found when it is put, and not when signatures differ.
 */
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "cache/watch/webhook.h"

#define HMAC_PREFIX  "whsec_"
#define ED_PREFIX    "whsk_"
#define BASE64_MAX   ((WEBHOOK_SECRET_MAX + 2) / 3 * 4)
#define DECODED_ROOM (BASE64_MAX / 4 * 3 + 1)

/* Octets; 0: it is not base64, or of none, or of too many. */
static size_t decode(struct bytes text, uint8_t out[DECODED_ROOM])
{
	char copy[BASE64_MAX + 1], again[BASE64_MAX + 1];
	size_t n;

	if (text.n == 0 || text.n > BASE64_MAX || text.n % 4 != 0)
		return 0;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (EVP_DecodeBlock(out, (const uint8_t *)copy, (int)text.n) < 0)
		return 0;
	n = text.n / 4 * 3;
	for (size_t i = 1; i <= 2 && copy[text.n - i] == '='; i++)
		n--;
	if (EVP_EncodeBlock((uint8_t *)again, out, (int)n) != (int)text.n ||
	    memcmp(again, copy, text.n) != 0)
		n = 0;
	OPENSSL_cleanse(copy, sizeof copy);
	OPENSSL_cleanse(again, sizeof again);
	return n;
}

static bool public_of(const uint8_t seed[WEBHOOK_SEED_N], uint8_t out[WEBHOOK_SEED_N])
{
	size_t n = WEBHOOK_SEED_N;
	EVP_PKEY *key =
	    EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, WEBHOOK_SEED_N);
	bool ok = key != NULL && EVP_PKEY_get_raw_public_key(key, out, &n) == 1;

	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok;
}

static const char *take_hmac(struct webhook_secret *out, const uint8_t *octets, size_t n)
{
	if (n < WEBHOOK_SECRET_MIN || n > WEBHOOK_SECRET_MAX)
		return "whsec_ is followed by base64 of 24 to 64 octets";
	out->n = (uint8_t)n;
	memcpy(out->octets, octets, n);
	return NULL;
}

static const char *take_ed25519(
    struct webhook_secret *out, const uint8_t *octets, size_t n)
{
	uint8_t public[WEBHOOK_SEED_N];

	if (n != WEBHOOK_SEED_N && n != 2 * WEBHOOK_SEED_N)
		return "whsk_ is followed by base64 of an Ed25519 private key: 32 "
		       "octets, or 64 with its public key";
	if (n == 2 * WEBHOOK_SEED_N &&
	    (!public_of(octets, public) ||
		memcmp(public, octets + WEBHOOK_SEED_N, sizeof public) != 0))
		return "the public key in whsk_ is not that of its private key";
	out->ed25519 = true;
	out->n = WEBHOOK_SEED_N;
	memcpy(out->octets, octets, WEBHOOK_SEED_N);
	return NULL;
}

static bool begins(struct bytes *text, const char *prefix)
{
	size_t n = strlen(prefix);

	if (text->n < n || memcmp(text->p, prefix, n) != 0)
		return false;
	*text = bytes_of(text->p + n, text->n - n);
	return true;
}

const char *webhook_secret_parse(struct webhook_secret *out, struct bytes text)
{
	uint8_t octets[DECODED_ROOM];
	bool hmac = begins(&text, HMAC_PREFIX);
	const char *wrong;
	size_t n;

	memset(out, 0, sizeof *out);
	if (!hmac && !begins(&text, ED_PREFIX))
		return "a secret begins with whsec_ or whsk_";
	n = decode(text, octets);
	wrong = hmac ? take_hmac(out, octets, n) : take_ed25519(out, octets, n);
	OPENSSL_cleanse(octets, sizeof octets);
	return wrong;
}

bool webhook_secret_text(const struct webhook_secret *s, char out[WEBHOOK_SECRET_TEXT])
{
	const char *prefix = s->ed25519 ? ED_PREFIX : HMAC_PREFIX;
	size_t at = strlen(prefix), n = s->n;
	uint8_t octets[WEBHOOK_SECRET_MAX];

	assert(n <= sizeof octets);
	memcpy(octets, s->octets, n);
	if (s->ed25519) {
		if (!public_of(octets, octets + WEBHOOK_SEED_N))
			return false;
		n = 2 * WEBHOOK_SEED_N;
	}
	strcpy(out, prefix);
	EVP_EncodeBlock((uint8_t *)out + at, octets, (int)n);
	OPENSSL_cleanse(octets, sizeof octets);
	return true;
}
