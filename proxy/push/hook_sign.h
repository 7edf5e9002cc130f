/* hook_sign.h - the signatures of a webhook's body, as Standard Webhooks 1.0 has them.
 *
 * What is signed is "ID.TIMESTAMP.BODY": with a secret "whsec_BASE64" by HMAC-SHA-256 of
 * the octets ("v1,"), with a key "whsk_BASE64" by Ed25519 ("v1a,"; the key's seed of 32
 * octets, behind which its public half may stand).  One signature for each secret, with a
 * blank between them, so that a receiver may change to another secret while both are
 * known.  Nothing of a secret is kept.  Pure, any thread.
 */
#ifndef PROXY_PUSH_HOOK_SIGN_H
#define PROXY_PUSH_HOOK_SIGN_H

#include "cache/base/bytes.h"

#define HOOK_SECRETS_MAX   2
#define HOOK_SIGNATURE_MAX 100 /* one of them, and what parts it from the next */

struct hook_signed {
	const char *id;
	int64_t at; /* seconds: webhook-timestamp */
	struct bytes body;
};

/* False: one of them is no secret (their form was looked at when they were taken), or no
 * memory; out has HOOK_SECRETS_MAX * HOOK_SIGNATURE_MAX octets. */
bool hook_sign(const char *const *secrets, size_t n, const struct hook_signed *what,
    char out[HOOK_SECRETS_MAX * HOOK_SIGNATURE_MAX]);

#endif
