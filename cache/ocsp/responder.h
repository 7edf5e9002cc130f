/* responder.h - who signed an answer, and whether that one may sign for the issuer.
 *
 * RFC 6960 section 4.2.2.2: the issuer itself; a delegate: a certificate in the answer
 * that the issuer issued directly and marked for OCSP signing; or a responder whose
 * certificate the operator named (responder-certificate, R44 c), whether the answer has
 * it or not.  Nobody else; a chain is never built, since everything below a CA would
 * otherwise be a responder for it (R46).
 *
 * The issuer's own certificate is not looked at beyond its name and key: the operator
 * named it, so its dates and its own signature say nothing here.  Of a responder's that
 * was named, the operator's word stands for who issued it and what for (issuer, extended
 * key usage, ocsp-nocheck, its own signature), but its key has to be strong and it has to
 * be in date: a responder's key is not guarded for longer than its certificate lives.
 * The CA/Browser Forum (BR 4.9.9) knows no such word: under "public" a named certificate
 * has to be the CA's own delegate, which answers only leave out.
 *
 * An answer rests on one certificate of the configuration, `vouched`, and is served for
 * as long as that one is configured.  What would be admitted without the named ones does
 * not rest on them.
 *
 * struct delegates remembers which certificates were found to be issued by which CA, so
 * that a delegated answer costs one signature and not two, and no decoding of what was
 * decoded before (ocsp_response.h); and the keys that answers are verified with
 * (verifier.h).  Only the fact "this CA's key signed these bytes, and this is what they
 * are" is remembered: dates, usages and algorithm, and the issuer's
 * rules about them, are looked at each time.  A certificate is known by all of its bytes:
 * no digest stands for them.  One thread.
 */
#ifndef CACHE_OCSP_RESPONDER_H
#define CACHE_OCSP_RESPONDER_H

#include "cache/base/issuer.h"
#include "cache/ocsp/ocsp_response.h"

struct delegates;

struct delegates *delegates_new(void); /* NULL when out of memory */
void delegates_free(struct delegates *d);
void delegates_forget(struct delegates *d);
/* ocsp_memory.find, of a struct delegates: whichever CA issued it. */
bool delegates_find(void *d, struct bytes der, struct ocsp_known *out);

struct responder {
	const uint8_t *vouched; /* SHA-256 of the configured certificate that it rests on;
				 * borrowed from the issuer */
	X509 *delegate; /* borrowed from response or issuer; NULL: the issuer itself */
	bool named;     /* the delegate is one of responder-certificate */
	int64_t not_before, not_after; /* of the delegate; INT64_MIN, INT64_MAX without */
	bool sha1;    /* the delegate's certificate has a SHA-1 signature */
	bool nocheck; /* the delegate has ocsp-nocheck, or needs none */
};

/* May number n of the issuer's named responders sign for it?  The reason, as below, but
 * for the signature.  For a look at the configuration. */
enum err responder_named_check(const struct issuer *i, size_t n, int64_t now);

/* Find who signed r.  Every certificate that fits its responderID is tried; when none
 * will do, the reason of the one that came furthest is returned, and *out tells of that
 * one: ERR_RESP_RESPONDER none fits; ERR_RESP_SIGALG weak key or algorithm of its
 * certificate; ERR_RESP_ISSUED; ERR_RESP_EKU; ERR_RESP_USAGE; ERR_RESP_VALIDITY;
 * ERR_RESP_NOCHECK; ERR_RESP_SIGNATURE: it may sign, but it did not sign this. */
enum err responder_find(struct delegates *d, const struct ocsp_response *r,
    const struct issuer *i, int64_t now, int64_t skew_s, struct responder *out);

#endif
