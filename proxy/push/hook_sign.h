/* hook_sign.h - the signatures of a webhook's body, as Standard Webhooks 1.0 has them.
 *
 * What is signed is "ID.TIMESTAMP.BODY": with a secret (whsec_) by HMAC-SHA-256 ("v1,"),
 * with a private key (whsk_) by Ed25519 ("v1a,").  One signature for each secret, with a
 * blank between them, so that a receiver may change to another secret while both are
 * known.  Nothing of a secret is kept.  Pure, any thread.
 */
#ifndef PROXY_PUSH_HOOK_SIGN_H
#define PROXY_PUSH_HOOK_SIGN_H

#include "cache/watch/webhook.h"

#define HOOK_SIGNATURE_MAX 100 /* one of them, and what parts it from the next */

struct hook_signed {
	const char *id;
	int64_t at; /* seconds: webhook-timestamp */
	struct bytes body;
};

#define HOOK_SIGNATURES_MAX (WEBHOOK_SECRETS * HOOK_SIGNATURE_MAX)

/* By n secrets, 1..WEBHOOK_SECRETS.  False: no memory, or OpenSSL's fault. */
bool hook_sign(const struct webhook_secret *secrets, size_t n,
    const struct hook_signed *what, char out[HOOK_SIGNATURES_MAX]);

#endif
