/* record.h - how an answer is written into a store: header, DER, MAC.
 *
 * The layout is documented in record.c and in ocspcached(8) so that other programs may
 * read it.  It starts with a version byte that no DER SEQUENCE starts with, so that a
 * bare OCSPResponse put into the store by somebody else is told apart (and verified in
 * full).  All integers are big endian.
 *
 * A record is bytes from a stranger: every length is checked, nothing is trusted until
 * the MAC over key name and value is good, and then only what the MAC covers.  Pure
 * functions, any thread.
 */
#ifndef CACHE_OCSP_RECORD_H
#define CACHE_OCSP_RECORD_H

#include "cache/base/facts.h"
#include "cache/base/key.h"
#include "cache/base/mac.h"

struct record {
	struct facts facts;
	struct key key;   /* CertID inside the record; the reader compares it with what it
			     asked for */
	struct bytes der; /* borrowed from the value */
	bool mac_ok;
};

#define RECORD_OVERHEAD 512 /* bytes at most besides the DER */

/* Where a store that only compares ages finds them, without decoding: 8 octets each, big
 * endian.  Times before 1970, which no real answer has, would compare as late. */
#define RECORD_VERSION            0x01 /* the first octet */
#define RECORD_THIS_UPDATE_OFFSET 1
#define RECORD_PRODUCED_AT_OFFSET 9
#define RECORD_NEXT_UPDATE_OFFSET 17

/* Write a record.  out has room for der.n + RECORD_OVERHEAD; returns bytes written.  keys
 * may be NULL: no MAC. */
size_t record_encode(uint8_t *out, const struct key *k, const struct facts *f,
    struct bytes der, const struct mac_keys *keys);

/* Read a value stored under k.  A bare DER gives a record with mac_ok false and facts
 * zero.  Without a good MAC the facts are only what somebody wrote: good for ordering and
 * sweeping, never for serving.  ERR_RECORD: neither.  ERR_RECORD_KEY: the CertID inside
 * is not k. */
enum err record_decode(struct record *r, struct bytes value, const struct key *k,
    const struct mac_keys *keys);

#endif
