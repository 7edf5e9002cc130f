/* forge_crl.h - builds revocation lists that no CA would sign, and some that one would.
 *
 * As forge.h: DER by hand, field by field, of any length.  What is built lives until
 * forge_crl_reset() (signatures: forge_reset()); running out of anything ends the test
 * program.  In a struct that is zeroed but for issuer, key and this_update everything
 * else is what a list has to have.
 */
#ifndef TESTS_FORGE_CRL_H
#define TESTS_FORGE_CRL_H

#include "tests/lib/forge.h"

struct forge_crl_entry {
	struct bytes serial;     /* content of the INTEGER */
	const char *at;          /* content of the time; 13 octets are a UTCTime */
	int reason;              /* as it is written; -1: none */
	struct bytes extensions; /* more of them, elements one after the other */
};

struct forge_crl {
	const char *version; /* hex of the INTEGER's content; NULL: v2; "": left out */
	X509 *issuer;        /* whose subject is the list's issuer */
	struct bytes name;   /* DER of another issuer name; .n 0: the issuer's */
	const char *this_update;
	const char *next_update; /* NULL: none */
	const struct forge_crl_entry *entry;
	size_t entries_n;
	bool empty;              /* revokedCertificates without entries */
	struct bytes entries;    /* DER of more entries */
	const char *number;      /* hex of CRLNumber's content; NULL: none */
	struct bytes extensions; /* more of them */
	enum forge_signature signature;
	enum forge_signature inner; /* where other_inner */
	bool other_inner;
	struct bytes algorithm; /* DER of both AlgorithmIdentifiers; .n 0: as signed */
	EVP_PKEY *key;
	bool break_signature;
	bool indefinite;  /* length of the outermost element */
	bool long_length; /* ... in more octets than needed */
};
struct bytes forge_crl(const struct forge_crl *f);
void forge_crl_reset(void);

/* DER of one element; two runs of bytes after each other. */
struct bytes forge_der(uint8_t tag, struct bytes content);
struct bytes forge_join(struct bytes a, struct bytes b);
struct bytes forge_hex(const char *hex);

/* Extension of a dotted OID whose OCTET STRING holds value. */
struct bytes forge_extension_of(const char *oid, bool critical, struct bytes value);
/* In OpenSSL's words: "fullname:URI:http://a/b.crl,onlyuser:TRUE". */
struct bytes forge_idp(const char *words);

/* A file in memory that holds b, at its beginning.  To be closed. */
int forge_file(struct bytes b);

#endif
