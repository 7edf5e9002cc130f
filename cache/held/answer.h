/* answer.h - one answer as it is served: its facts, its head and its body, in one
 * allocation.
 *
 * An answer never changes from answer_new() on, but for these: the mark and
 * crl_checked, which readers set, and the links, which belong to the hot table's single
 * writer.  Readers borrow an answer for one callback; the keeper alone frees it, after
 * every reader has passed a barrier (proxy/base/barrier.h).
 *
 * A body that did not come through admit() is never put into an answer whose facts say
 * good, revoked or unknown; error answers have STATUS_NONE (first law, README).
 */
#ifndef CACHE_HELD_ANSWER_H
#define CACHE_HELD_ANSWER_H

#include <stdatomic.h>

#include "cache/base/facts.h"
#include "cache/base/key.h"

/* Bits of the mark. */
#define MARK_VISITED 1u /* since the eviction hand last passed (SIEVE) */
#define MARK_USED    2u /* since the keeper last looked whether a refresh is worth it */
#define MARK_ASKED   4u /* by a client, since hot_asked() last passed */
#define MARK_ALL     (MARK_VISITED | MARK_USED | MARK_ASKED)

struct crl_slot; /* cache/crl/crl_set.h */

struct answer {
	/* the hot table's writer: */
	struct answer *_newer, *_older; /* SIEVE queue, or the garbage list */
	uint64_t _hash;
	uint32_t _size; /* bytes charged to the budget */
	/* readers set it, and only when it is not set already: */
	_Atomic uint8_t mark;
	/* readers, hot_is_allowed(): the CRL set that this answer was last found to fit
	 */
	_Atomic uint64_t crl_checked;
	/* never change: */
	uint8_t error; /* enum err: the reason of an error answer; ERR_OK otherwise */
	uint8_t key_n;
	uint16_t head_n; /* bytes of the fixed part of the HTTP head */
	uint32_t body_n;
	int64_t expiry; /* facts_expiry(), or until when an error answer is repeated */
	int64_t obtained_at;
	uint32_t max_age_cap; /* seconds; max-age-cap with this answer's jitter */
	bool was_known; /* of an error answer: its key had a good or a revoked one before
			 */
	bool date_shared; /* another answer of this key and thisUpdate came before it */
	bool fetched; /* by this node, at obtained_at; else the store had it, or nobody */
	const struct crl_slot *crl; /* of its issuer; NULL for errors */
	struct facts facts;
	uint8_t data[]; /* canonical request, fixed head, body: one after the other */
};

/* A new answer, owned by the caller; head and body are copied.  NULL when out of memory.
 */
struct answer *answer_new(
    const struct key *k, const struct facts *f, struct bytes head, struct bytes body);
void answer_free(struct answer *a);

static inline struct bytes answer_key(const struct answer *a)
{
	return bytes_of(a->data, a->key_n);
}
static inline struct bytes answer_head(const struct answer *a)
{
	return bytes_of(a->data + a->key_n, a->head_n);
}
static inline struct bytes answer_body(const struct answer *a)
{
	return bytes_of(a->data + a->key_n + a->head_n, a->body_n);
}
/* Head and body together: they lie next to each other so that one iovec sends both. */
static inline struct bytes answer_wire(const struct answer *a)
{
	return bytes_of(a->data + a->key_n, (size_t)a->head_n + a->body_n);
}

#endif
