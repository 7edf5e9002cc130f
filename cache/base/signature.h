/* signature.h - which signatures are strong enough to be believed: those of answers, of
 * delegates' certificates and of lists alike (R43).
 *
 * By what an algorithm and a key are, not by whether they verify: that is the business of
 * who has the bytes.  Pure functions, any thread.
 */
#ifndef CACHE_BASE_SIGNATURE_H
#define CACHE_BASE_SIGNATURE_H

#include "cache/base/issuer.h"

/* Algorithm of a signature that the rules allow: RSA, RSA-PSS, ECDSA with SHA-2 or SHA-3,
 * Ed25519, Ed448; SHA-1 where they say so (then *sha1).  ERR_RESP_SIGALG (R43). */
enum err signature_algorithm_check(
    const X509_ALGOR *a, const struct issuer_rules *rules, bool *sha1);

/* 112 bits of security at least; 80 where the rules allow SHA-1. */
bool signature_key_is_strong(EVP_PKEY *key, const struct issuer_rules *rules);

#endif
