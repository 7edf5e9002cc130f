/* crl_der.h - DER as lists use it: elements, and times.
 *
 * Headers are read with OpenSSL's ASN1_get_object(); that they are DER, and not merely
 * BER, is checked here.  Pure functions; what they give is borrowed from the bytes.
 */
#ifndef CACHE_CRL_CRL_DER_H
#define CACHE_CRL_CRL_DER_H

#include "cache/base/bytes.h"

/* One element of DER.  Single-octet tags, definite lengths in the fewest octets. */
struct crl_tlv {
	uint8_t tag; /* its identifier octet: class, constructed, number */
	uint8_t head;
	size_t n;            /* of the content */
	const uint8_t *body; /* the content, where all of it is there */
};

/* The header at p, where have bytes are and left bytes remain of what contains it. */
bool crl_tlv_head(struct crl_tlv *t, const uint8_t *p, size_t have, uint64_t left);

/* Take one element from the front of b. */
bool crl_tlv_take(struct crl_tlv *t, struct bytes *b);

/* UTCTime or GeneralizedTime in RFC 5280's form (sections 5.1.2.4 to 5.1.2.6). */
bool crl_time(uint8_t tag, const uint8_t *p, size_t n, int64_t *at);

#endif
