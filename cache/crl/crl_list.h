/* crl_list.h - a list that was read: what it says of itself, its entries, and what it was
 * read for.
 *
 * A struct crl_list belongs to one owner.  Its facts are a plain value, which outlives
 * it: they are compared with those of the list that comes after it.
 */
#ifndef CACHE_CRL_CRL_LIST_H
#define CACHE_CRL_CRL_LIST_H

#include "cache/base/issuer.h"
#include "cache/crl/crl_entry.h"

#define CRL_NUMBER_MAX      20 /* octets, RFC 5280 section 5.2.3 */
#define CRL_NUMBER_TEXT_MAX 51 /* decimal digits of 20 octets, and a NUL */
#define CRL_NUMBER_HEX_MAX  43 /* "0x", two for each of them, and a NUL */
#define CRL_POINTS_MAX      8  /* as many as a certificate's (WATCH_URLS_MAX) */

/* What a verified list says of itself. */
struct crl_facts {
	uint8_t number[CRL_NUMBER_MAX]; /* CRLNumber, right-aligned */
	bool has_number;                /* v1 lists and careless CAs have none */
	int64_t this_update, next_update;
	/* Names the DER, each byte of it, and is the same on every node: SHA-256 of what
	 * is outside tbsCertList, followed by the digest that is signed; where that has
	 * fewer than 32 bytes, SHA-256 of everything.  So 155 MB are digested once. */
	uint8_t sha256[32];
	uint8_t issuer_sha256[32]; /* the certificate whose key verified it, */
	uint8_t key_sha256[32];    /* and that key, as in a CertID: a renewed certificate
				      may have the same one */
	uint64_t size;             /* bytes of DER */
	uint64_t entries;          /* as in the list, before duplicates were joined */
	uint64_t odd;      /* of them: have something that is not as it should be and not
			      critical; they count as revoked, by their reason where that
			      is one, else without */
	uint64_t left_out; /* of them: their serial is longer than any that can be asked
			      for (SERIAL_MAX); they are in no index */
	bool only_user, only_ca; /* IDP: onlyContainsUserCerts, onlyContainsCACerts */
	bool some_reasons; /* IDP: onlySomeReasons; what is not listed is undetermined */
	bool has_point;    /* IDP: distributionPoint; it may be one of several lists */
	unsigned warnings; /* CRL_WARN_* */
	/* IDP: the first URLs that distributionPoint has, by their hashes (the CA signed
	 * them: nobody else chooses what they are equal to). */
	uint64_t point[CRL_POINTS_MAX];
	uint8_t points_n;
};
/* Does the list's distributionPoint have this URL? */
bool crl_facts_have_point(const struct crl_facts *f, struct bytes url);
/* In a list that is being read: another one; those behind CRL_POINTS_MAX are left out. */
void crl_facts_add_point(struct crl_facts *f, struct bytes url);
#define CRL_WARN_DUPLICATE 1u   /* a serial twice: the stronger one was kept (R107) */
#define CRL_WARN_LATER     2u   /* an entry's date is after thisUpdate (R109) */
#define CRL_WARN_EMPTY     4u   /* an empty revokedCertificates, profile private (R91) */
#define CRL_WARN_SHA1      8u   /* SHA-1 signature, allowed by the issuer's option */
#define CRL_WARN_NONUMBER  16u  /* no CRLNumber */
#define CRL_WARN_REUSED    32u  /* same number as before, other content (R95) */
#define CRL_WARN_BACK      64u  /* a lower number, after a list that has ended (R95) */
#define CRL_WARN_ACCEPTED  128u /* lower or earlier, by the operator's word (R95) */
#define CRL_WARN_NAME      256u /* the issuer's name, encoded otherwise (R89) */

/* Decimal digits of the number, as the API writes them; "" where there is none. */
void crl_number_text(const struct crl_facts *f, char out[CRL_NUMBER_TEXT_MAX]);
/* The same as `openssl crl -crlnumber` has it, "0x1001", for people who compare. */
void crl_number_hex(const struct crl_facts *f, char out[CRL_NUMBER_HEX_MAX]);
/* Has f a lower number than held, by the same key? */
bool crl_number_is_back(const struct crl_facts *f, const struct crl_facts *held);
/* <0, 0, >0 */
int crl_number_cmp(const struct crl_facts *a, const struct crl_facts *b);

struct crl_list {
	struct crl_facts facts;
	struct crl_entry *entries; /* sorted, each serial once; mmap; NULL: n is 0 */
	size_t n;
	size_t mapped; /* bytes of the mapping */
};

struct crl_want {
	const struct issuer *issuer;
	/* A name that the IDP's distributionPoint has to contain byte for byte, where it
	 * has one (RFC 5280 section 5.2.5): the URL, or crl-scope; "dirName:" and the
	 * form of RFC 2253 for a directoryName. */
	const char *scope;
	char *const *names; /* or one of these: the other places where it is to be had */
	size_t names_n;
	int64_t now, skew_s;
	uint64_t max_size; /* crl-max-size */
	/* The list of this scope in force, NULL for none: nothing older is taken (R95,
	 * R96). thisUpdate is compared always, the number within one key, since each key
	 * counts by itself (RFC 5280 section 5.2.3).  A lower number is taken, and warned
	 * of, when held has expired and thisUpdate is later. */
	const struct crl_facts *held;
	bool accept_number;      /* neither is compared: the operator says that the count
				    begins anew */
	struct crl_facts *older; /* of ERR_CRL_ROLLBACK: what the list says; or NULL */
	bool own;    /* a file that we verified and wrote ourselves: the signature is
			checked all the same, times and held are not */
	int copy_fd; /* the DER is written there too; -1: not */
	const _Atomic bool *stop; /* end early with ERR_CANCELLED; NULL: never */
};

void crl_list_free(struct crl_list *l); /* NULL is allowed */

#endif
