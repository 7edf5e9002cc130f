/* ocsp_request.h - a client's OCSPRequest, made canonical; and the requests that we send.
 *
 * Pure functions, any thread.  OpenSSL does the parsing: no parser of our own meets a
 * client's bytes.  Spellings (a nonce, other extensions, absent algorithm parameters, a
 * requestorName, a signature, BER lengths) all end in the same struct key, so they share
 * one answer (T12, R13, R87).
 */
#ifndef CACHE_OCSP_OCSP_REQUEST_H
#define CACHE_OCSP_OCSP_REQUEST_H

#include "cache/base/key.h"

#define OCSP_NONCE_MAX 128 /* RFC 9654 section 2.1 */

struct ocsp_request {
	struct key key;
	bool has_nonce;
	uint8_t nonce_n;               /* 1..OCSP_NONCE_MAX */
	uint8_t nonce[OCSP_NONCE_MAX]; /* the nonce itself, without its OCTET STRING */
};

/* Parse der.  ERR_REQ_* say what is wrong (R5..R19, R84): wire status 1 for what is
 * malformed, 6 for a hash algorithm or serial that no configured certificate can have.
 * The issuer is not looked up here.  About 1.5 us, half of it d2i_OCSP_REQUEST(): look
 * for the bytes themselves first (cache/base/key.h). */
enum err ocsp_request_parse(struct ocsp_request *out, struct bytes der);

/* The request that asks for k with this nonce (RFC 9654 section 2.1); nonce:
 * 0..OCSP_NONCE_MAX octets, 0 for the canonical request itself.  Returns the bytes
 * written. */
#define OCSP_REQUEST_MAX (KEY_DER_MAX + OCSP_NONCE_MAX + 48)
size_t ocsp_request_build(
    const struct key *k, struct bytes nonce, uint8_t out[OCSP_REQUEST_MAX]);

#endif
