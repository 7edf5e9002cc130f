/* Which digest a list's AlgorithmIdentifier asks for, and whether a key fits the digest.
 * X509_CRL_verify() would do it, and wants the whole list decoded in memory. */
#include "cache/crl/crl_signature.h"

#include <assert.h>
#include <openssl/asn1t.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "cache/base/signature.h"

static const EVP_MD *digest_of(const X509_ALGOR *a)
{
	return a == NULL ? EVP_sha1() : EVP_get_digestbyobj(a->algorithm);
}

/* RFC 4055 section 3.1.  Each field that is absent has a default. */
static bool take_pss(struct crl_signature *s, const RSA_PSS_PARAMS *p)
{
	const X509_ALGOR *mask = p->maskGenAlgorithm;
	X509_ALGOR *mask_hash = NULL;
	int64_t salt_n = 20, trailer = 1;

	if (p->saltLength != NULL && ASN1_INTEGER_get_int64(&salt_n, p->saltLength) != 1)
		return false;
	if (p->trailerField != NULL &&
	    ASN1_INTEGER_get_int64(&trailer, p->trailerField) != 1)
		return false;
	if (mask != NULL) {
		mask_hash = OBJ_obj2nid(mask->algorithm) == NID_mgf1
				? ASN1_TYPE_unpack_sequence(
				      ASN1_ITEM_rptr(X509_ALGOR), mask->parameter)
				: NULL;
		if (mask_hash == NULL)
			return false;
	}
	s->pss = true;
	s->md = digest_of(p->hashAlgorithm);
	s->mgf = digest_of(mask_hash);
	s->salt_n = (int)salt_n;
	X509_ALGOR_free(mask_hash);
	return s->md != NULL && s->mgf != NULL && trailer == 1 && salt_n >= 0 &&
	       salt_n <= 4096; /* no key is so long that more would fit */
}

static bool take_algorithm(struct crl_signature *s, const X509_ALGOR *a)
{
	int nid = OBJ_obj2nid(a->algorithm), digest;
	RSA_PSS_PARAMS *p;
	bool good;

	s->key_nid = nid;
	if (nid == NID_ED25519 || nid == NID_ED448)
		return true;
	if (nid != NID_rsassaPss) {
		if (OBJ_find_sigid_algs(nid, &digest, &s->key_nid) != 1)
			return false;
		s->md = EVP_get_digestbynid(digest);
		return s->md != NULL;
	}
	p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(RSA_PSS_PARAMS), a->parameter);
	good = p != NULL && take_pss(s, p);
	RSA_PSS_PARAMS_free(p);
	return good;
}

static enum err make_room(struct crl_signature *s, uint64_t n, const char **why)
{
	if (s->md != NULL) {
		s->digest = EVP_MD_CTX_new();
		return s->digest != NULL && EVP_DigestInit_ex(s->digest, s->md, NULL) == 1
			   ? ERR_OK
			   : ERR_NOMEM;
	}
	if (n > CRL_EDDSA_MAX) {
		*why = "lists over 64 MiB that are signed with Ed25519 or Ed448 cannot "
		       "be verified piece by piece; have this one signed with RSA or "
		       "ECDSA";
		return ERR_CRL_SIGALG;
	}
	s->text_max = (size_t)n;
	s->text = malloc(n > 0 ? (size_t)n : 1);
	return s->text != NULL ? ERR_OK : ERR_NOMEM;
}

enum err crl_signature_begin(struct crl_signature *s, struct bytes algorithm, uint64_t n,
    bool allow_sha1, const char **why)
{
	const struct issuer_rules rules = {.allow_sha1 = allow_sha1};
	const unsigned char *p = algorithm.p;
	X509_ALGOR *a = d2i_X509_ALGOR(NULL, &p, (long)algorithm.n);
	enum err e = ERR_CRL_SIGALG;

	*s = (struct crl_signature){0};
	if (a == NULL || p != algorithm.p + algorithm.n)
		*why = "its AlgorithmIdentifier cannot be read";
	else if (signature_algorithm_check(a, &rules, &s->sha1) != ERR_OK)
		*why = s->sha1
			   ? "it is signed with SHA-1; allow-sha1-signatures "
			     "takes it all the same"
			   : "its signature algorithm is not RSA, RSA-PSS, ECDSA with "
			     "SHA-2 or SHA-3, Ed25519 or Ed448";
	else if (!take_algorithm(s, a))
		*why = "its signature algorithm has parameters that cannot be used";
	else
		e = make_room(s, n, why);
	X509_ALGOR_free(a);
	return e;
}

enum err crl_signature_update(struct crl_signature *s, const uint8_t *p, size_t n)
{
	if (s->md != NULL)
		return EVP_DigestUpdate(s->digest, p, n) == 1 ? ERR_OK : ERR_NOMEM;
	assert(n <= s->text_max - s->text_n);
	memcpy(s->text + s->text_n, p, n);
	s->text_n += n;
	return ERR_OK;
}

enum err crl_signature_finish(struct crl_signature *s)
{
	if (s->md == NULL)
		return ERR_OK;
	return EVP_DigestFinal_ex(s->digest, s->hash, &s->hash_n) == 1 ? ERR_OK
								       : ERR_NOMEM;
}

static bool key_fits(const struct crl_signature *s, EVP_PKEY *key)
{
	int is = EVP_PKEY_get_base_id(key);

	if (s->pss)
		return is == EVP_PKEY_RSA || is == EVP_PKEY_RSA_PSS;
	return is == EVP_PKEY_type(s->key_nid);
}

static bool verify_text(
    const struct crl_signature *s, EVP_PKEY *key, struct bytes signature)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool good =
	    c != NULL && EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestVerify(c, signature.p, signature.n, s->text, s->text_n) == 1;

	EVP_MD_CTX_free(c);
	return good;
}

static bool set_padding(const struct crl_signature *s, EVP_PKEY_CTX *c)
{
	if (s->pss)
		return EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_mgf1_md(c, s->mgf) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(c, s->salt_n) == 1;
	return s->key_nid != NID_rsaEncryption ||
	       EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) == 1;
}

static bool verify_hash(
    const struct crl_signature *s, EVP_PKEY *key, struct bytes signature)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	bool good = c != NULL && EVP_PKEY_verify_init(c) == 1 &&
		    EVP_PKEY_CTX_set_signature_md(c, s->md) == 1 && set_padding(s, c) &&
		    EVP_PKEY_verify(c, signature.p, signature.n, s->hash, s->hash_n) == 1;

	EVP_PKEY_CTX_free(c);
	return good;
}

bool crl_signature_by(
    const struct crl_signature *s, EVP_PKEY *key, struct bytes signature)
{
	assert(s->md == NULL || s->hash_n > 0); /* finished */
	if (!key_fits(s, key))
		return false;
	return s->md != NULL ? verify_hash(s, key, signature)
			     : verify_text(s, key, signature);
}

void crl_signature_end(struct crl_signature *s)
{
	EVP_MD_CTX_free(s->digest);
	free(s->text);
	*s = (struct crl_signature){0};
}
