/* One allocation, in the order in which it is read: key, then head and body. */
#include "cache/held/answer.h"

#include <assert.h>
#include <stdlib.h>

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

	assert(k->der_n > 0 && k->der_n <= KEY_DER_MAX);
	assert(head.n <= UINT16_MAX && body.n <= UINT32_MAX);
	a = calloc(1, sizeof *a + k->der_n + head.n + body.n);
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
	assert(p == a->data + a->key_n + a->head_n + a->body_n);
	return a;
}

void answer_free(struct answer *a)
{
	free(a);
}
