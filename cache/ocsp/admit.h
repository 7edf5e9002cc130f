/* admit.h - the one door: nothing that states a certificate's status is served unless it
 * came through here (first law).
 *
 * Bytes from upstream, from LMDB and from Redis meet the same checks, in the order of RFC
 * 6960 section 3.2 and section 4.2.2, each with its own reason (R39..R70).  The clock
 * comes from the caller.  OpenSSL parses and verifies; OCSP_basic_verify,
 * OCSP_resp_find_status and OCSP_check_validity are not used: they accept unknown
 * critical extensions, the first of contradicting duplicates, any delegate below a
 * trusted CA, and know only the wall clock.
 *
 * One thread, the keeper: struct admit remembers the delegates that it verified, by their
 * bytes and the hash of their issuer's certificate, so that a delegated answer costs one
 * verification and not two, and is decoded without its certificate.  What is remembered
 * changes no verdict, no reason and no line of the trace: all that is looked at in a
 * certificate is looked at each time.
 */
#ifndef CACHE_OCSP_ADMIT_H
#define CACHE_OCSP_ADMIT_H

#include "cache/base/facts.h"
#include "cache/base/issuer.h"

struct admit;
struct crl_set; /* cache/crl/crl_set.h */

struct admit *admit_new(void); /* NULL when out of memory */
void admit_free(struct admit *ad);
void admit_forget(
    struct admit *ad); /* forget delegates: the rules may have changed (reload) */

/* What is asked, and what is known already.  All borrowed. */
struct admit_question {
	const struct issuer *issuer;
	const struct key *key;
	int64_t now;
	int64_t skew_s;  /* clock-skew */
	size_t max_size; /* of the DER; larger is ERR_RESP_LARGE */
	const struct facts
	    *held; /* what is held under this key, in date or not; NULL for nothing */
	struct bytes nonce; /* that we sent; n is 0 where we sent none */
	bool latched;       /* the certificate was seen revoked before */
	const struct crl_set
	    *crl; /* the issuer's lists in force; NULL: it can have none */
};

#define ADMIT_WARN_SHA1         1u  /* SHA-1 signature, allowed by the issuer's option */
#define ADMIT_WARN_TIMEFORM     2u  /* time with fraction or offset (profile private) */
#define ADMIT_WARN_NOCHECK      4u  /* delegate without ocsp-nocheck (profile private) */
#define ADMIT_WARN_LONG         8u  /* over 10 days from thisUpdate to nextUpdate */
#define ADMIT_WARN_NONEXT       16u /* nextUpdate is ours (without-next-update) */
#define ADMIT_WARN_UNSIGNED_MAC 32u /* the record had no good MAC: verified in full */

struct admit_verdict {
	struct facts
	    facts; /* valid when admitted; of the refused answer where it got that far */
	bool revoked_proved; /* a valid signature of the issuer says revoked, not hold,
			      * and in date: latch it, whether this answer is admitted or
			      * not (R53) */
	int64_t revoked_at;  /* with revoked_proved */
	int reason;          /* with revoked_proved */
	unsigned warnings;   /* ADMIT_WARN_* */
	bool mac_ok;         /* admit_record: the MAC stood in for the signature check */
	bool crl_disagrees; /* with ERR_RESP_CRL: newer than the list that says revoked */
};

/* Told of every check as it is made, in order: its name, ERR_OK or the reason of refusal,
 * and a detail for people (never NULL, borrowed for the call).  After a refusal nothing
 * more is checked.  The names are part of the API (`explain`) and stay:
 *
 *   parse                 size, DER, nothing after it
 *   status                responseStatus is successful (R39, R40)
 *   type, version         id-pkix-ocsp-basic, v1 (R41, R42)
 *   signature_algorithm   of the answer (R43)
 *   responder             a certificate fits the responderID (R51)
 *   delegate              where the issuer did not sign itself (R44..R49), included or
 *                         named by responder-certificate
 *   signature             over the bytes as they came (R43, R67)
 *   extensions            no unknown critical one, none twice (R56)
 *   nonce                 is the one that we sent, or absent (R64); where we sent one
 *   certid                a SingleResponse has the CertID that was asked for (R52, R54)
 *   single                it is the only one (R53, R55)
 *   reason                status, reason and date of revocation (R65)
 *   times                 thisUpdate and nextUpdate (R57..R61, R63)
 *   produced_at           R62
 *   order                 not older than what is held (R68, R70)
 *   latch                 revoked stays revoked (R69)
 *   crl                   a list in force does not say revoked (R71), and none that has
 *                         not been opened may (ERR_RESP_LISTS: not refused, asked too
 *                         early)
 *
 * A stored value begins with record (encoding and CertID) and mac.  With a good MAC
 * issuer (verified against a certificate that is still configured), delegate, reason,
 * times, produced_at, order, latch and crl follow, else the list above. */
struct admit_trace {
	void (*note)(void *arg, const char *check, enum err e, const char *detail);
	void *arg;
};

/* Check the DER of an OCSPResponse.  ERR_OK: it may be served.  Any other value is the
 * reason. der is borrowed; trace may be NULL.  20..200 us, most of it the signature. */
enum err admit_der(struct admit *ad, const struct admit_question *q, struct bytes der,
    struct admit_verdict *v, const struct admit_trace *trace);

struct mac_keys; /* cache/ocsp/record.h */

/* Check a stored value: a record (cache/ocsp/record.h) or a bare OCSPResponse.  With a
 * good MAC the DER is not looked at, and all that depends on the time, the rules and what
 * we know since is checked on the facts that the MAC covers; otherwise admit_der()
 * decides, but for an answer without nextUpdate, which is then refused: when it was
 * fetched, only a MAC can tell.  *der: the OCSPResponse within value, borrowed from it,
 * when ERR_OK. */
enum err admit_record(struct admit *ad, const struct admit_question *q,
    struct bytes value, const struct mac_keys *keys, struct bytes *der,
    struct admit_verdict *v, const struct admit_trace *trace);

#endif
