/* watch_chain.c - the CA certificates of a bundle, those used last first. */
#include "cache/watch/watch_issuer.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "cache/watch/watch_x509.h"

struct link {
	X509 *certificate; /* owned; NULL: free */
	EVP_PKEY *key;     /* borrowed from it */
	uint8_t sha256[32];
	uint8_t aki[WATCH_AKI_MAX];
	size_t aki_n;
	uint64_t used; /* when, by the chain's own count */
};

struct watch_chain {
	struct link link[WATCH_CHAIN_MAX];
	uint64_t now;
};

struct watch_chain *watch_chain_new(void)
{
	return calloc(1, sizeof(struct watch_chain));
}

void watch_chain_free(struct watch_chain *h)
{
	if (h == NULL)
		return;
	for (size_t i = 0; i < WATCH_CHAIN_MAX; i++)
		X509_free(h->link[i].certificate);
	free(h);
}

/* The one with this digest, or else the one that was not used for longest. */
static struct link *place(struct watch_chain *h, const uint8_t sha256[32])
{
	struct link *oldest = &h->link[0];

	for (size_t i = 0; i < WATCH_CHAIN_MAX; i++) {
		struct link *l = &h->link[i];

		if (l->certificate != NULL && memcmp(l->sha256, sha256, 32) == 0)
			return l;
		if (l->used < oldest->used)
			oldest = l;
	}
	return oldest;
}

/* subjectKeyIdentifier, or what RFC 5280 section 4.2.1.2 (1) makes of the key. */
static bool take_key_id(struct link *l)
{
	const ASN1_OCTET_STRING *s = X509_get0_subject_key_id(l->certificate);
	const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(l->certificate);
	int n = s != NULL ? ASN1_STRING_length(s) : 0;
	unsigned hash_n = 0;

	if (n > 0 && (size_t)n <= sizeof l->aki) {
		memcpy(l->aki, ASN1_STRING_get0_data(s), (size_t)n);
		l->aki_n = (size_t)n;
		return true;
	}
	if (bits == NULL ||
	    EVP_Digest(ASN1_STRING_get0_data(bits), (size_t)ASN1_STRING_length(bits),
		l->aki, &hash_n, EVP_sha1(), NULL) != 1)
		return false;
	l->aki_n = hash_n;
	return true;
}

static void take(struct link *l, struct bytes der)
{
	const unsigned char *p = der.p;

	X509_free(l->certificate);
	l->certificate = d2i_X509(NULL, &p, (long)der.n);
	l->key = l->certificate != NULL ? X509_get0_pubkey(l->certificate) : NULL;
	if (l->key == NULL || !take_key_id(l)) {
		X509_free(l->certificate);
		*l = (struct link){0};
	}
}

bool watch_chain_add(struct watch_chain *h, struct bytes der)
{
	uint8_t sha256[32];
	struct link *l;

	if (EVP_Digest(der.p, der.n, sha256, NULL, EVP_sha256(), NULL) != 1)
		return false;
	l = place(h, sha256);
	if (l->certificate == NULL || memcmp(l->sha256, sha256, 32) != 0) {
		take(l, der);
		memcpy(l->sha256, sha256, 32);
	}
	if (l->certificate != NULL)
		l->used = ++h->now;
	ERR_clear_error();
	return true;
}

struct bytes watch_chain_find(struct watch_chain *h, const struct watch_x509 *x)
{
	int tries = 0;

	for (size_t i = 0; i < WATCH_CHAIN_MAX && tries < WATCH_TRIES_MAX; i++) {
		struct link *l = &h->link[i];

		if (l->certificate == NULL ||
		    X509_NAME_cmp(
			watch_x509_issuer(x), X509_get_subject_name(l->certificate)) != 0)
			continue;
		tries++;
		if (watch_x509_signed_by(x, l->key)) {
			l->used = ++h->now;
			return bytes_of(l->aki, l->aki_n);
		}
	}
	return bytes_of(NULL, 0);
}
