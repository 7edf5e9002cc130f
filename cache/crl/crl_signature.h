/* crl_signature.h - a list's signature, for the parts of crl_read.c only.
 *
 * What is signed goes through one digest, however many of an issuer's keys may have made
 * the signature: the digest is the long part, and each key then costs one verification.
 * EdDSA digests what is signed twice and cannot be fed in pieces, so that there
 * tbsCertList is collected in memory, up to CRL_EDDSA_MAX.
 */
#ifndef CACHE_CRL_CRL_SIGNATURE_H
#define CACHE_CRL_CRL_SIGNATURE_H

#include <openssl/evp.h>

#include "cache/base/bytes.h"
#include "cache/base/err.h"

/* 64 MiB is 1.5 million entries; no CA is known that signs lists with EdDSA at all. */
#define CRL_EDDSA_MAX (64 * 1024 * 1024)

struct crl_signature {
	int key_nid;      /* what the key has to be: NID_rsaEncryption, ... */
	bool pss;         /* RSASSA-PSS, with mgf and salt_n */
	const EVP_MD *md; /* NULL: EdDSA */
	const EVP_MD *mgf;
	int salt_n;
	bool sha1;
	EVP_MD_CTX *digest;
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned hash_n;
	uint8_t *text; /* EdDSA: owned, text_max bytes */
	size_t text_n, text_max;
};

/* Of an AlgorithmIdentifier's DER that signs n bytes.  ERR_CRL_SIGALG, and *why (static)
 * says what is wrong with it; ERR_NOMEM. */
enum err crl_signature_begin(struct crl_signature *s, struct bytes algorithm, uint64_t n,
    bool allow_sha1, const char **why);
/* ERR_NOMEM */
enum err crl_signature_update(struct crl_signature *s, const uint8_t *p, size_t n);
/* After the last update, before verifying. */
enum err crl_signature_finish(struct crl_signature *s);
bool crl_signature_by(
    const struct crl_signature *s, EVP_PKEY *key, struct bytes signature);
void crl_signature_end(struct crl_signature *s); /* zeroed: allowed */

#endif
