/* verifier.c - a table of contexts by key and algorithm, and the digests for them. */
#include "cache/ocsp/verifier.h"

#include <openssl/asn1t.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* Keys in use at once: a CA's or its delegate's, for each issuer.  A key whose place
 * another one has taken costs making its context, as without us. */
#define PLACES 256

enum digest { DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512, DIGESTS };

struct kept_key {
	EVP_PKEY *key; /* owned; NULL: free */
	int nid;       /* of the signature's algorithm */
	EVP_PKEY_CTX *context;
};

struct verifier {
	EVP_MD *digest[DIGESTS];
	EVP_MD_CTX *md;
	struct kept_key kept[PLACES];
};

struct scheme {
	int nid;
	const char *key; /* as EVP_PKEY_is_a() calls it */
	enum digest digest;
};

static const struct scheme *scheme_of(int nid)
{
	static const struct scheme schemes[] = {
	    {NID_ecdsa_with_SHA256, "EC", DIGEST_SHA256},
	    {NID_ecdsa_with_SHA384, "EC", DIGEST_SHA384},
	    {NID_ecdsa_with_SHA512, "EC", DIGEST_SHA512},
	    {NID_sha256WithRSAEncryption, "RSA", DIGEST_SHA256},
	    {NID_sha384WithRSAEncryption, "RSA", DIGEST_SHA384},
	    {NID_sha512WithRSAEncryption, "RSA", DIGEST_SHA512},
	};

	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		if (schemes[i].nid == nid)
			return &schemes[i];
	return NULL;
}

struct verifier *verifier_new(void)
{
	static const char *const names[DIGESTS] = {"SHA256", "SHA384", "SHA512"};
	struct verifier *v = calloc(1, sizeof *v);
	bool good = v != NULL && (v->md = EVP_MD_CTX_new()) != NULL;

	for (size_t i = 0; good && i < DIGESTS; i++)
		good = (v->digest[i] = EVP_MD_fetch(NULL, names[i], NULL)) != NULL;
	if (good)
		return v;
	verifier_free(v);
	return NULL;
}

static void kept_clear(struct kept_key *p)
{
	EVP_PKEY_CTX_free(p->context);
	EVP_PKEY_free(p->key);
	*p = (struct kept_key){0};
}

void verifier_forget(struct verifier *v)
{
	for (size_t i = 0; i < PLACES; i++)
		kept_clear(&v->kept[i]);
}

void verifier_free(struct verifier *v)
{
	if (v == NULL)
		return;
	verifier_forget(v);
	for (size_t i = 0; i < DIGESTS; i++)
		EVP_MD_free(v->digest[i]);
	EVP_MD_CTX_free(v->md);
	free(v);
}

/* Addresses are multiples of 16 at least, and neighbours are of one size. */
static struct kept_key *kept_of(struct verifier *v, const EVP_PKEY *key)
{
	uintptr_t at = (uintptr_t)key;

	return &v->kept[(at >> 4 ^ at >> 12) % PLACES];
}

/* A context that verifies by key and scheme; NULL where there can be none. */
static EVP_PKEY_CTX *context_of(
    struct verifier *v, const struct scheme *scheme, EVP_PKEY *key)
{
	struct kept_key *p = kept_of(v, key);

	if (p->key == key && p->nid == scheme->nid)
		return p->context;
	kept_clear(p);
	if (EVP_PKEY_is_a(key, scheme->key) != 1 || EVP_PKEY_up_ref(key) != 1)
		return NULL;
	p->key = key;
	p->nid = scheme->nid;
	p->context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (p->context != NULL && EVP_PKEY_verify_init(p->context) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(p->context, v->digest[scheme->digest]) == 1)
		return p->context;
	kept_clear(p);
	return NULL;
}

/* ASN1_item_verify() knows every algorithm with its parameters, but encodes what it
 * verifies.  The item ASN1_SEQUENCE "encodes" a string of this type by copying it, so
 * what is verified are the bytes that came. */
static bool check_any(const X509_ALGOR *algorithm, const ASN1_BIT_STRING *signature,
    struct bytes data, EVP_PKEY *key)
{
	ASN1_STRING *raw = ASN1_STRING_type_new(V_ASN1_SEQUENCE);
	bool ok = false;

	if (raw != NULL && ASN1_STRING_set(raw, data.p, (int)data.n) == 1)
		ok = ASN1_item_verify(ASN1_ITEM_rptr(ASN1_SEQUENCE), algorithm, signature,
			 raw, key) == 1;
	ASN1_STRING_free(raw);
	return ok;
}

/* A signature is whole octets; ASN1_item_verify() refuses others. */
static bool is_octets(const ASN1_BIT_STRING *s)
{
	return (s->flags & 0x07) == 0;
}

bool verifier_check(struct verifier *v, const X509_ALGOR *algorithm,
    const ASN1_BIT_STRING *signature, struct bytes data, EVP_PKEY *key)
{
	const struct scheme *scheme = scheme_of(OBJ_obj2nid(algorithm->algorithm));
	EVP_PKEY_CTX *context = v != NULL && scheme != NULL && is_octets(signature)
				    ? context_of(v, scheme, key)
				    : NULL;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n;

	if (context == NULL)
		return check_any(algorithm, signature, data, key);
	return EVP_DigestInit_ex2(v->md, v->digest[scheme->digest], NULL) == 1 &&
	       EVP_DigestUpdate(v->md, data.p, data.n) == 1 &&
	       EVP_DigestFinal_ex(v->md, digest, &n) == 1 &&
	       EVP_PKEY_verify(context, ASN1_STRING_get0_data(signature),
		   (size_t)ASN1_STRING_length(signature), digest, n) == 1;
}
