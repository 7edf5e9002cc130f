/* hook_body.h - the JSON of PUT /v1/webhooks/{name}, read strictly: what is not known,
 * twice there or of another type is refused, so that a field that is misspelt is no
 * webhook that tells nothing.  Pure, any thread.
 */
#ifndef PROXY_PUSH_HOOK_BODY_H
#define PROXY_PUSH_HOOK_BODY_H

#include "cache/watch/webhook.h"

struct hook_body { /* what is not given is "", 0 or false */
	char url[WEBHOOK_URL_MAX + 1];
	struct webhook_secret secret[WEBHOOK_SECRETS];
	size_t secrets_n; /* 0: none given */
	char issuer[64], watchlist[64];
	unsigned types; /* never 0 */
	enum webhook_format format;
	char routing_key[WEBHOOK_KEY_MAX + 1];
	bool has_disabled, disabled;
};

/* False: "FIELD: what is wrong" in why. */
bool hook_body_read(struct hook_body *out, struct bytes json, char *why, size_t why_n);

#endif
