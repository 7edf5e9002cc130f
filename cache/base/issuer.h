/* issuer.h - a CA that we answer for, and the set of all of them.
 *
 * An issuer is immutable from issuers_new() to issuers_free(): every thread may read it
 * without a lock.  A reload makes a new set and retires the old one (conf/conf.h owns
 * it).  What changes while we run (health, latches, delegates) lives elsewhere, under the
 * issuer's name or certificate hash, never under its address.
 *
 * An issuer has several certificates when the CA was renewed: they are one CA, a CertID
 * made from any of them is answered, and an answer may be signed by the key of any of
 * them (or its delegate).
 */
#ifndef CACHE_BASE_ISSUER_H
#define CACHE_BASE_ISSUER_H

#include <openssl/x509.h>

#include "cache/base/err.h"
#include "cache/base/key.h"

enum profile {
	PROFILE_PRIVATE, /* deviations from the CA/B profile are tolerated */
	PROFILE_PUBLIC /* refused: fractions in times, thisUpdate over 10 days old, ... */
};

/* What it means that no list in force has a serial: absent (crl_set.h). */
enum absent { ABSENT_UNSAID, ABSENT_GOOD, ABSENT_UNKNOWN };

/* Who names lists of an issuer besides its configuration. */
enum learnt { LEARNT_CCADB, LEARNT_CERTIFICATES, LEARNT_COUNT };

/* What the operator decided for this issuer (conf/options.def has ranges and reasons). */
struct issuer_rules {
	enum profile profile;
	bool allow_sha1; /* SHA-1 signatures, of answers and of delegates' certificates */
	int64_t unknown_ttl_s; /* how long unknown or unauthorized is repeated */
	int64_t
	    without_next_update_s; /* life of an answer without nextUpdate; 0: refused */
	unsigned max_in_flight;    /* fetches under way at once */
	unsigned max_waiting;      /* fetches waiting for their turn */
	bool nonce_forward;  /* a client's nonce goes upstream, and its answer is not kept
			      */
	unsigned nonce_rate; /* ... so often in a second */
	unsigned fetch_rate; /* fetches started in a second */
	enum absent absent;  /* as it counts: said, or what `crl` says of itself */
	bool learns[LEARNT_COUNT]; /* lists of it come from there, too */
	bool need_watched;         /* only lists that are needed are fetched (crl-need) */
};

struct issuer_ca {
	X509 *certificate;  /* owned */
	EVP_PKEY *key;      /* owned */
	uint8_t sha256[32]; /* of the certificate's DER */
	uint8_t name_hash[CERTID_HASH_COUNT][CERTID_HASH_MAX];
	uint8_t key_hash[CERTID_HASH_COUNT][CERTID_HASH_MAX];
	uint8_t id[32]; /* SHA-256 over SHA-256 name hash and SHA-256 key hash: what
			   latches use */
};

/* A responder's certificate that the operator named (responder-certificate). */
struct issuer_responder {
	X509 *certificate;  /* owned */
	EVP_PKEY *key;      /* owned */
	uint8_t sha256[32]; /* of the certificate's DER */
};

/* One of its lists, and where it is to be had. */
struct issuer_list {
	char **place;   /* URLs (http, https, file) in order of preference */
	size_t place_n; /* 1.. */
	char *scope;    /* the name that the list has for itself */
	/* It has no other one: else it may have that of any of its places. */
	bool strict;
};

struct crl_slot; /* cache/crl/crl_set.h */

struct issuer {
	char *name; /* [a-z0-9._-]{1,63} */
	struct issuer_ca *ca;
	size_t ca_n; /* 1.. */
	struct issuer_responder *responder;
	size_t responder_n;
	struct issuer_rules rules;
	char **ocsp; /* responder URLs in order of preference */
	size_t ocsp_n;
	struct issuer_list *crl; /* every shard */
	size_t crl_n;
	/* Where its lists in force are (crl_set.h).  The one field that is set later: by
	 * the keeper, before the set of issuers is in force.  NULL in tools and tests. */
	struct crl_slot *slot;
};

/* How an issuer is asked for.  Everything is copied or up-referenced; the caller keeps
 * its own. */
struct issuer_spec {
	const char *name;
	X509 *const *certificates;
	size_t certificates_n;
	X509 *const *responders; /* responder-certificate */
	size_t responders_n;
	struct issuer_rules rules;
	char *const *ocsp;
	size_t ocsp_n;
	const struct issuer_list *crl;
	size_t crl_n;
};

/* Has it any, or may have when they are learnt? */
static inline bool issuer_has_lists(const struct issuer *i)
{
	return i->crl_n > 0 || i->rules.learns[LEARNT_CCADB] ||
	       i->rules.learns[LEARNT_CERTIFICATES];
}
/* Frees what l points to. */
void issuer_list_clear(struct issuer_list *l);

struct issuers; /* the set; opaque */

/* Build the set.  On success *out is owned by the caller.
 * ERR_REQ_ISSUER: specs clash[0] and clash[1] have equal CertID hashes (equal indices
 * never clash: a renewed certificate with the same name and key is simply the same
 * CertID). ERR_NOMEM; ERR_INTERNAL when a certificate has no usable public key. */
enum err issuers_new(
    struct issuers **out, const struct issuer_spec *specs, size_t n, size_t clash[2]);
void issuers_free(struct issuers *is);

size_t issuers_count(const struct issuers *is);
const struct issuer *issuers_at(const struct issuers *is, size_t i);
/* Before any other thread sees the set. */
void issuers_set_slot(struct issuers *is, size_t i, struct crl_slot *slot);
const struct issuer *issuers_named(
    const struct issuers *is, const char *name); /* or NULL; O(log n) */
/* The issuer that has a certificate with this id (issuer_ca.id), or NULL.  O(1) on
 * average. */
const struct issuer *issuers_with(const struct issuers *is, const uint8_t ca_id[32]);

/* The issuer whose CertID hashes are in k, or NULL; *ca (may be NULL): which of its
 * certificates. Both hashes are compared in full (R15).  O(1) on average. */
const struct issuer *issuers_find(
    const struct issuers *is, const struct key *k, unsigned *ca);

/* Is this the SHA-256 of a certificate that an answer may rest on: the CA's, or a
 * responder's that was named?  What was admitted by another one is served no more. */
bool issuer_vouches(const struct issuer *i, const uint8_t sha256[32]);

/* The key of a certificate of this issuer: hash algorithm h, CertID of certificate number
 * ca. */
void issuer_key(const struct issuer *i, unsigned ca, enum certid_hash h,
    const struct serial *s, struct key *out);

/* All keys of a certificate: one for each certificate of its issuer and each hash
 * algorithm, numbered from 0; those of the issuer's first certificate come first. */
size_t issuer_keys_n(const struct issuer *i);
void issuer_key_at(
    const struct issuer *i, size_t n, const struct serial *s, struct key *out);

#endif
