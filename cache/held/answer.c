#include "cache/held/answer.h"

#include <assert.h>
#include <stdlib.h>

const char *status_name(enum status s)
{
	static const char *const name[] = {
	    [STATUS_NONE] = "none",
	    [STATUS_GOOD] = "good",
	    [STATUS_REVOKED] = "revoked",
	    [STATUS_UNKNOWN] = "unknown",
	};

	assert(s <= STATUS_UNKNOWN);
	return name[s];
}

const char *reason_name(int reason)
{
	static const char *const name[] = {
	    [0] = "unspecified",
	    [1] = "keyCompromise",
	    [2] = "cACompromise",
	    [3] = "affiliationChanged",
	    [4] = "superseded",
	    [5] = "cessationOfOperation",
	    [REASON_CERTIFICATE_HOLD] = "certificateHold",
	    /* 7 is not used */
	    [8] = "removeFromCRL",
	    [9] = "privilegeWithdrawn",
	    [10] = "aACompromise",
	};

	if (reason < 0 || (size_t)reason >= sizeof(name) / sizeof(name[0]))
		return NULL;
	return name[reason];
}

static void append(uint8_t **p, struct bytes b)
{
	if (b.n > 0)
		memcpy(*p, b.p, b.n);
	*p += b.n;
}

struct answer *answer_new(
    const struct key *k, const struct facts *f, struct bytes head, struct bytes body)
{
	struct answer *a;
	uint8_t *p;

	assert(head.n <= UINT16_MAX && body.n <= UINT32_MAX);
	a = calloc(1, sizeof(*a) + k->der_n + head.n + body.n);
	if (a == NULL)
		return NULL;
	a->key_n = k->der_n;
	a->head_n = (uint16_t)head.n;
	a->body_n = (uint32_t)body.n;
	a->facts = *f;
	a->expiry = facts_expiry(f);
	p = a->data;
	append(&p, key_der(k));
	append(&p, head);
	append(&p, body);
	return a;
}

void answer_free(struct answer *a)
{
	free(a);
}
