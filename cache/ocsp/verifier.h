/* verifier.h - signatures over answers, with what OpenSSL needs for a key made once.
 *
 * ASN1_item_verify() fetches digest and algorithm and makes three contexts for each
 * signature: a tenth of what an ECDSA one costs, half of an RSA one.  For what nearly all
 * answers are signed with (ECDSA and RSA by PKCS #1, with SHA-256, SHA-384 or SHA-512)
 * the context of a key is kept here, and the digest is computed apart.  Everything else
 * goes to ASN1_item_verify().  Both say the same of every signature.
 *
 * A key is known by its address, and held by a reference for as long as it is.  One
 * thread.
 */
#ifndef CACHE_OCSP_VERIFIER_H
#define CACHE_OCSP_VERIFIER_H

#include <openssl/x509.h>

#include "cache/base/bytes.h"

struct verifier;

struct verifier *verifier_new(void); /* NULL when out of memory */
void verifier_free(struct verifier *v);
void verifier_forget(struct verifier *v); /* all keys */

/* Did key make this signature, by this algorithm, over data (any DER of a SEQUENCE)?
 * Whether algorithm and key are strong enough is said by signature.h.  v may be NULL:
 * nothing is kept.  May leave entries in OpenSSL's error queue. */
bool verifier_check(struct verifier *v, const X509_ALGOR *algorithm,
    const ASN1_BIT_STRING *signature, struct bytes data, EVP_PKEY *key);

#endif
