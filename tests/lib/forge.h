/* forge.h - builds OCSP responses that no CA would sign, and some that one would.
 *
 * DER is put together by hand, element by element, and signed with EVP_DigestSign: the
 * code under test shares nothing with it but the primitives.  What is built lives in one
 * arena until forge_reset(); running out of anything ends the test program.
 */
#ifndef TESTS_FORGE_H
#define TESTS_FORGE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "cache/base/key.h"

void forge_reset(void);

/* "P-256", "ED25519", or the bits of an RSA key: "2048". Owned by the caller. */
EVP_PKEY *forge_key(const char *kind);

struct forge_cert {
	const char *subject;   /* common name; "" for an empty name */
	EVP_PKEY *key;         /* its own */
	X509 *issuer;          /* NULL: self-signed */
	EVP_PKEY *issuer_key;  /* what signs it */
	int64_t from, to;      /* notBefore, notAfter */
	const char *usage;     /* keyUsage in OpenSSL's words; NULL: none */
	const char *ext_usage; /* extendedKeyUsage; NULL: none */
	bool ca, nocheck;
	const char *critical; /* OID of an unknown critical extension; NULL: none */
	const EVP_MD *digest; /* NULL: SHA-256, or the key's own */
};
X509 *forge_cert(const struct forge_cert *c); /* owned by the caller */

enum forge_signature {
	FORGE_ECDSA_SHA256,
	FORGE_ECDSA_SHA1,
	FORGE_RSA_SHA256,
	FORGE_RSA_SHA1,
	FORGE_RSA_MD5,
	FORGE_PSS_SHA256,
	FORGE_PSS_SHA1,
	FORGE_ED25519
};

/* AlgorithmIdentifier, and a signature over data. */
struct bytes forge_algorithm(enum forge_signature kind);
struct bytes forge_sign(enum forge_signature kind, EVP_PKEY *key, struct bytes data);

struct forge_extension {
	const char *oid; /* NULL: none */
	bool critical, twice;
	size_t value_n; /* octets of its value, besides what it has anyway */
};

enum forge_status { FORGE_GOOD, FORGE_REVOKED, FORGE_UNKNOWN };

/* Times are the content of the GeneralizedTime, whatever it may be. */
struct forge_single {
	enum certid_hash hash;
	bool no_parameters;  /* hashAlgorithm without the NULL */
	X509 *issuer;        /* whose name and key are hashed */
	struct bytes serial; /* content of the INTEGER */
	enum forge_status status;
	int reason; /* -1: none */
	const char *revoked_at;
	const char *this_update;
	const char *next_update; /* NULL: none */
	struct forge_extension extension;
};

/* What is odd about one of the elements around the certificates: the certificate itself,
 * the SEQUENCE OF them, the [0] around it, BasicOCSPResponse, or the OCTET STRING. */
enum forge_place {
	FORGE_NOWHERE,
	FORGE_CERTIFICATE,
	FORGE_CERTIFICATES,
	FORGE_TAGGED,
	FORGE_BASIC,
	FORGE_OCTETS,
	FORGE_PLACES
};
enum forge_odd {
	FORGE_TAIL,       /* a NULL behind what it contains */
	FORGE_BEHIND,     /* a NULL behind it */
	FORGE_INDEFINITE, /* its length */
	FORGE_WIDE,       /* its length in more octets than needed */
	FORGE_LONGER,     /* its length says one octet more than there is */
	FORGE_SHORTER,    /* or one less */
	FORGE_PRIMITIVE,  /* the constructed bit is not what it should be */
	FORGE_OTHER_TAG,
	FORGE_ODDS
};

struct forge_response {
	int status; /* responseStatus */
	bool no_bytes;
	const char *type; /* OID of responseType; NULL: basic */
	int version;      /* 0: left out */
	bool explicit_v1; /* version 0 written out, which DER forbids */
	X509 *id;         /* who the responderID names */
	bool by_name;
	const char *produced_at;
	struct forge_single single[4];
	size_t singles_n;
	struct forge_extension extension;
	enum forge_signature signature;
	EVP_PKEY *key;        /* signs */
	bool break_signature; /* one bit of it is flipped */
	X509 *certs[12];
	size_t certs_n;
	bool long_lengths;    /* lengths in more octets than needed, in the wrapper */
	bool long_tbs_length; /* the same inside what is signed */
	bool indefinite;      /* indefinite length of the outermost element */
	enum forge_place where;
	enum forge_odd odd; /* there */
};
struct bytes forge_response(const struct forge_response *f);

/* YYYYMMDDHHMMSSZ */
const char *forge_time(int64_t at);

/* b and then the n bytes of tail. */
struct bytes forge_append(struct bytes b, const void *tail, size_t n);

#endif
