/* facts.h - what a verified statement says of a certificate, in words that all share.
 *
 * Plain values without an owner: an answer has them, a stored record has them, and lists,
 * latches and changes are compared with them.  Pure functions, any thread.
 */
#ifndef CACHE_BASE_FACTS_H
#define CACHE_BASE_FACTS_H

#include <stdbool.h>
#include <stdint.h>

enum status {
	STATUS_NONE, /* no statement: an unsigned error answer */
	STATUS_GOOD,
	STATUS_REVOKED,
	STATUS_UNKNOWN
};

const char *status_name(enum status s); /* "none", "good", "revoked", "unknown" */

#define REASON_NONE             (-1)
#define REASON_CERTIFICATE_HOLD 6
/* CRLReason as RFC 5280 section 5.3.1 spells it ("keyCompromise"); NULL for REASON_NONE
 * and values that are not assigned. */
const char *reason_name(int reason);

/* What a verified answer says.  Times are seconds since 1970, wall clock. */
struct facts {
	enum status status;
	int reason;         /* REASON_NONE where absent */
	int64_t revoked_at; /* 0 unless revoked */
	int64_t this_update;
	int64_t next_update; /* ours, from its fetching, where the answer had none */
	int64_t produced_at;
	int64_t signer_not_after;  /* INT64_MAX where the issuer itself signed */
	uint8_t issuer_sha256[32]; /* the configured certificate that it was verified
				      against: the CA's, or a named responder's */
};

static inline bool facts_are_hold(const struct facts *f)
{
	return f->status == STATUS_REVOKED && f->reason == REASON_CERTIFICATE_HOLD;
}

/* The end of an answer's life: nextUpdate, or the delegated signer's notAfter when that
 * is sooner. */
static inline int64_t facts_expiry(const struct facts *f)
{
	return f->next_update < f->signer_not_after ? f->next_update
						    : f->signer_not_after;
}

/* When its CA made it, whoever repeats it. */
static inline int64_t facts_made_at(const struct facts *f)
{
	return f->produced_at > f->this_update ? f->produced_at : f->this_update;
}

/* Later words are better ones (R68). */
static inline bool facts_newer(const struct facts *a, const struct facts *b)
{
	return a->this_update != b->this_update ? a->this_update > b->this_update
						: a->produced_at > b->produced_at;
}

#endif
