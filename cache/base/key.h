/* key.h - what one answer is kept under: a CertID, written as its canonical OCSPRequest.
 *
 * The canonical request of a key is the DER of an OCSPRequest (RFC 6960 section 4.1.1)
 * with version absent, one Request, no extensions, and an AlgorithmIdentifier whose
 * parameters are NULL: what nearly every client sends, byte for byte.  So a client's
 * bytes usually *are* the key, and no parser meets them on the way to a hit.  Everything
 * else of a key (hash algorithm, hashes, serial) is read from fixed places of these
 * bytes; a struct key is a plain value that may be copied, sent between threads and
 * compared by its bytes.
 *
 * Weak point: a certificate has one key for each CertID hash algorithm and each
 * certificate of its issuer.  Whoever takes it out of service walks all of them:
 * issuer_key_at().
 */
#ifndef CACHE_BASE_KEY_H
#define CACHE_BASE_KEY_H

#include <openssl/asn1.h>

#include "cache/base/bytes.h"
#include "cache/base/err.h"

/* CertID hash algorithms that we serve (R12). */
enum certid_hash {
	CERTID_SHA1,
	CERTID_SHA256,
	CERTID_SHA384,
	CERTID_SHA512,
	CERTID_HASH_COUNT
};

#define CERTID_HASH_MAX 64 /* octets of the longest hash */

const char *certid_hash_name(enum certid_hash h); /* "sha1", "sha256", ... */
size_t certid_hash_size(enum certid_hash h);      /* octets: 20, 32, 48, 64 */
bool certid_hash_from_nid(int nid, enum certid_hash *h);
int certid_hash_nid(enum certid_hash h);

/* A certificate's serial number: the content octets of its DER INTEGER, shortest two's
 * complement, so that negative, zero and 00-padded serials never alias one another (R16).
 * RFC 5280 section 4.1.2.2 allows 20 octets; one more is the sign pad. */
#define SERIAL_MAX     21
#define SERIAL_HEX_MAX (2 * SERIAL_MAX + 2) /* sign, digits, NUL */

struct serial {
	uint8_t n; /* 1..SERIAL_MAX */
	uint8_t octets[SERIAL_MAX];
};

/* The API's form: lower-case hexadecimal of the magnitude without leading zeros, '-'
 * before a negative one, "0" for zero.  Reading accepts any case, odd length, leading
 * zeros, "0x" in front, and colons between digits, as openssl and browsers print them.
 * ERR_REQ_SERIAL for anything else, or more than SERIAL_MAX octets. */
enum err serial_from_hex(struct serial *s, const char *hex);
enum err serial_from_hex_text(struct serial *s, struct bytes hex); /* without NUL */
/* Decimal digits, '-' before a negative one, leading zeros accepted; ERR_REQ_SERIAL as
 * above. */
enum err serial_from_decimal(struct serial *s, struct bytes digits);
void serial_to_hex(const struct serial *s, char out[SERIAL_HEX_MAX]);

/* ERR_REQ_SERIAL when it is longer than SERIAL_MAX octets. */
enum err serial_from_asn1(struct serial *s, const ASN1_INTEGER *a);
bool serial_equal(const struct serial *a, const struct serial *b);

#define KEY_DER_MAX 192

struct key {
	uint8_t hash;  /* enum certid_hash */
	uint8_t der_n; /* bytes of der in use */
	uint8_t der[KEY_DER_MAX];
};

/* Write the canonical request.  name_hash, key_hash: certid_hash_size(h) octets. */
void key_make(struct key *k, enum certid_hash h, const uint8_t *name_hash,
    const uint8_t *key_hash, const struct serial *s);

/* Take bytes that are a canonical request exactly; ERR_REQ_DER for any other spelling. */
enum err key_from_der(struct key *k, struct bytes der);

struct bytes key_der(const struct key *k); /* borrowed from k, as the next two */
struct bytes key_issuer_name_hash(const struct key *k);
struct bytes key_issuer_key_hash(const struct key *k);
void key_serial(const struct key *k, struct serial *s);
bool key_equal(const struct key *a, const struct key *b);

/* The printable name of a key, for stores: "sha1:<name hash>:<key hash>:<serial>", all
 * hexadecimal, the serial as serial_to_hex() writes it.  key_from_name takes exactly what
 * key_name wrote. */
#define KEY_NAME_MAX (8 + 2 * (2 * CERTID_HASH_MAX + 1) + SERIAL_HEX_MAX)
size_t key_name(const struct key *k, char out[KEY_NAME_MAX]); /* length without NUL */
enum err key_from_name(struct key *k, const char *name, size_t n);

#endif
