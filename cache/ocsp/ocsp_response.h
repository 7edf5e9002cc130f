/* ocsp_response.h - the bytes of an OCSPResponse, taken apart into what the checks need.
 *
 * OpenSSL does the parsing.  Three things that its API hides are read from the same bytes
 * with ASN1_get_object(): responseStatus as it is written, the version of ResponseData,
 * and where tbsResponseData begins and ends.  The signature is checked over these bytes
 * as they came and never over a re-encoding (R67), since these bytes are what is served.
 *
 * Most of the cost of parsing is the delegate's certificate, which is the same in all of
 * its answers.  So who remembers certificates may be asked for one by its bytes: then the
 * answer is parsed without it.  That is only where everything around it is as DER has it,
 * and where what is left can be parsed; else all of it is parsed, and says what is wrong.
 * Either way the same bytes give the same outcome.
 *
 * Nothing here judges: admit.h does.  Pure functions, any thread.  They may leave entries
 * in OpenSSL's error queue; who calls them drains it.
 */
#ifndef CACHE_OCSP_OCSP_RESPONSE_H
#define CACHE_OCSP_OCSP_RESPONSE_H

#include <openssl/ocsp.h>

#include "cache/base/facts.h"
#include "cache/base/key.h"

/* A certificate that was decoded before. */
struct ocsp_known {
	X509 *certificate;    /* owned; NULL for none */
	uint8_t key_sha1[20]; /* of its key, as a responderID has it */
};

/* Who remembers certificates: find fills in the one that was decoded from exactly these
 * bytes, with a reference for the caller; false for none. */
struct ocsp_memory {
	bool (*find)(void *arg, struct bytes der, struct ocsp_known *out);
	void *arg;
};

struct ocsp_response {
	OCSP_BASICRESP *basic; /* owned; its certificates: ocsp_response_certificate() */
	struct bytes tbs;      /* borrowed from the DER: all of tbsResponseData */
	size_t singles_n;
	struct ocsp_known known; /* its only certificate, where it was remembered */
	struct bytes known_der;  /* the bytes of that, borrowed from the DER; or none */
};

/* A GeneralizedTime.  exact: in the form YYYYMMDDHHMMSSZ (RFC 9919 section 3.2.4). */
struct ocsp_time {
	bool readable, exact;
	int64_t at; /* seconds since 1970, when readable; years 0000 to 9999 */
};

/* One SingleResponse; all pointers are borrowed from the response. */
struct ocsp_single {
	bool known_hash; /* hash is set: an algorithm that a key can have */
	enum certid_hash hash;
	struct bytes name_hash, key_hash;
	const ASN1_INTEGER *serial;
	enum status status; /* good, revoked or unknown */
	int reason;         /* as it is written, REASON_NONE where absent */
	struct ocsp_time revoked_at, this_update, next_update;
	bool has_next_update;
};

/* Parse.  Exactly one OCSPResponse with responseStatus successful, of type
 * id-pkix-ocsp-basic and version v1, gives ERR_OK and *out, to be released with
 * ocsp_response_free().  tbs is valid as long as the bytes of der.
 * ERR_RESP_LARGE: over max bytes, unread.  ERR_RESP_DER, ERR_RESP_TRAILING;
 * ERR_RESP_VERSION; ERR_RESP_MALFORMED and so on: what the responder says;
 * ERR_RESP_STATUS; ERR_RESP_NOBYTES; ERR_RESP_TYPE; ERR_NOMEM.  memory may be NULL. */
enum err ocsp_response_parse(struct ocsp_response *out, struct bytes der, size_t max,
    const struct ocsp_memory *memory);
void ocsp_response_free(struct ocsp_response *r);

/* The certificates that it carries, in their order; borrowed from r. */
int ocsp_response_certificates_n(const struct ocsp_response *r);
X509 *ocsp_response_certificate(const struct ocsp_response *r, int n);

/* ERR_RESP_EXTENSION, with its OID in what, for an unknown critical extension, or one
 * that appears twice in one place; in responseExtensions or any singleExtensions. */
enum err ocsp_response_extensions(
    const struct ocsp_response *r, char *what, size_t what_n);

/* The nonce in responseExtensions: the content of its OCTET STRING, or of extnValue where
 * there is none within (R88).  Borrowed from r; n is 0 where the answer has no nonce. */
struct bytes ocsp_response_nonce(const struct ocsp_response *r);

/* SingleResponse number i < singles_n. */
void ocsp_response_single(
    const struct ocsp_response *r, size_t i, struct ocsp_single *out);

struct ocsp_time ocsp_response_produced_at(const struct ocsp_response *r);

#endif
