/* crl_read.h - one certificate revocation list: read, checked, sorted, searched.
 *
 * A list is read from a file descriptor in pieces of CRL_PIECE bytes; digest, parse and
 * (where asked for) a copy to another file go together over each piece, so that a list of
 * 155 MB costs one pass and the memory of its index.  The header (everything before
 * revokedCertificates) and the extensions behind the list are small and are handed to
 * OpenSSL's decoders; the entries are walked with OpenSSL's TLV primitives
 * (ASN1_get_object).  Nothing of a list is used before its signature has verified.
 *
 * An entry is 32 bytes of anonymous memory.  Entries are sorted by their octets from the
 * last to the first: serials that count up and serials that are random are both spread
 * evenly by their last octets, and two 8-byte loads compare nearly all of them.  The
 * order means nothing to anybody else.
 *
 * Pure functions, any thread (ours: bulk).  A struct crl_list belongs to one owner.
 */
#ifndef CACHE_CRL_CRL_READ_H
#define CACHE_CRL_CRL_READ_H

#include "cache/base/issuer.h"

#include <stdio.h>

#define CRL_PIECE           (256 * 1024) /* the smallest at the digest's full speed */
#define CRL_NUMBER_MAX      20           /* octets, RFC 5280 section 5.2.3 */
#define CRL_NUMBER_TEXT_MAX 51           /* decimal digits of 20 octets, and a NUL */
#define CRL_NUMBER_HEX_MAX  43           /* "0x", two for each of them, and a NUL */

/* One revoked certificate.  Plain value without padding; compared by crl_entry_cmp(). */
struct crl_entry {
	uint8_t octets[SERIAL_MAX]; /* of the serial, right-aligned, zeros before them */
	uint8_t n;                  /* how many of them are the serial's: 1..SERIAL_MAX */
	uint8_t at[5];    /* revocationDate: seconds since 1970, signed, big-endian */
	uint8_t reason;   /* CRLReason (RFC 5280 section 5.3.1), or CRL_NO_REASON */
	uint8_t shard[2]; /* of a set (crl_set.h), big-endian; 0 in a list */
	uint8_t spare[2];
};
#define CRL_NO_REASON 0xff
_Static_assert(sizeof(struct crl_entry) == 32, "an entry is 32 bytes (requirement)");

void crl_entry_set_serial(struct crl_entry *e, const struct serial *s);
void crl_entry_serial(const struct crl_entry *e, struct serial *s);
int64_t crl_entry_at(const struct crl_entry *e);
void crl_entry_set_at(struct crl_entry *e, int64_t at);
int crl_entry_reason(const struct crl_entry *e); /* REASON_NONE (facts.h) where absent */
bool crl_entry_is_hold(const struct crl_entry *e);
/* Of two entries for one serial.  <0: a says worse than b: not hold before hold, then the
 * earlier date; 0: neither does. */
int crl_entry_weigh(const struct crl_entry *a, const struct crl_entry *b);
static inline unsigned crl_entry_shard(const struct crl_entry *e)
{
	return (unsigned)e->shard[0] << 8 | e->shard[1];
}

/* The order of serials alone: <0, 0, >0. */
static inline int crl_entry_cmp(const struct crl_entry *a, const struct crl_entry *b)
{
	/* little-endian loads make the last octet the most significant one */
	uint64_t x, y;

	memcpy(&x, a->octets + 13, 8);
	memcpy(&y, b->octets + 13, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	x = __builtin_bswap64(x), y = __builtin_bswap64(y);
#endif
	if (x != y)
		return x < y ? -1 : 1;
	memcpy(&x, a->octets + 5, 8);
	memcpy(&y, b->octets + 5, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	x = __builtin_bswap64(x), y = __builtin_bswap64(y);
#endif
	if (x != y)
		return x < y ? -1 : 1;
	for (int i = 4; i >= 0; i--)
		if (a->octets[i] != b->octets[i])
			return a->octets[i] < b->octets[i] ? -1 : 1;
	return (int)a->n - (int)b->n;
}

/* The first of n sorted entries whose serial is that of key, or NULL.  O(log n). */
const struct crl_entry *crl_entries_find(
    const struct crl_entry *entries, size_t n, const struct crl_entry *key);

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
};
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
	int64_t now, skew_s;
	uint64_t max_size; /* crl-max-size */
	/* The list of this scope in force, NULL for none: nothing older is taken (R95,
	 * R96). thisUpdate is compared always, the number within one key, since each key
	 * counts by itself (RFC 5280 section 5.2.3).  A lower number is taken, and warned
	 * of, when held has expired and thisUpdate is later. */
	const struct crl_facts *held;
	bool accept_number;      /* neither is compared: the operator says that the count
				    begins      anew */
	struct crl_facts *older; /* of ERR_CRL_ROLLBACK: what the list says; or NULL */
	bool own;    /* a file that we verified and wrote ourselves: the signature is
			checked all the same, times and held are not */
	int copy_fd; /* the DER is written there too; -1: not */
	const _Atomic bool *stop; /* end early with ERR_CANCELLED; NULL: never */
};

/* Read and check the DER of one CertificateList: from the descriptor's place to its end.
 * *out is handed over, to be freed with crl_list_free(); why (why_n bytes) gets a line
 * for people: what is wrong, where, and what to do.  Checks, in order of reading (R89-96,
 * R98, R100, R102-109): size; DER, nothing behind it; version and what it allows; inner
 * and outer algorithm equal and allowed; issuer name that of one of the issuer's
 * certificates by RFC 5280 section 7.1; times in RFC 5280's form; each entry; extensions
 * of entries and list; IDP; number; signature by a certificate with that name whose
 * keyUsage, if any, has cRLSign; thisUpdate not in the future; not older than held.
 * Errors: ERR_CRL_* (err.h), ERR_NOMEM, ERR_CANCELLED, ERR_STORE when reading or the copy
 * fails.  What was copied by then is the caller's to throw away. */
enum err crl_read(
    struct crl_list **out, int fd, const struct crl_want *w, char *why, size_t why_n);
void crl_list_free(struct crl_list *l);

/* For tests and crl_set: n zeroed entries in an anonymous mapping of their own; NULL when
 * out of memory.  *mapped: bytes, for crl_entries_free(). */
struct crl_entry *crl_entries_new(size_t n, size_t *mapped);
void crl_entries_free(struct crl_entry *entries, size_t mapped);
/* Room for n instead, moved where it must be; what is new is zeroed.  False, and nothing
 * has changed, when out of memory. */
bool crl_entries_resize(struct crl_entry **entries, size_t n, size_t *mapped);
/* Sort by serial and join duplicates (the one that says worse stays); returns how many
 * are left. */
size_t crl_entries_sort(struct crl_entry *entries, size_t n);

#endif
