/* err.h - every way an operation can end, in one table.
 *
 * Functions that can fail return enum err; ERR_OK is 0.  The label is what metrics, logs
 * and `explain` call it, so it is part of the contract once released.  The table also
 * says what an OCSP client is told (RFC 6960 section 4.2.1, OCSPResponseStatus), so that
 * no caller maps codes by hand and no label, text or wire value can disagree with
 * another.
 */
#ifndef CACHE_BASE_ERR_H
#define CACHE_BASE_ERR_H

/* clang-format off */
/*  X(code,                "label",                wire, "text for people") */
#define ERR_TABLE(X) \
	X(ERR_OK,              "ok",                   0, "success") \
	X(ERR_NOMEM,           "nomem",                2, "out of memory") \
	X(ERR_INTERNAL,        "internal",             2, "our own fault") \
	/* what a client asked */ \
	X(ERR_REQ_BASE64,      "request_base64",       1, "the path is not base64") \
	X(ERR_REQ_DER,         "request_der",          1, "not the DER of an OCSPRequest") \
	X(ERR_REQ_TRAILING,    "request_trailing",     1, "bytes after the OCSPRequest") \
	X(ERR_REQ_VERSION,     "request_version",      1, "request version is not v1") \
	X(ERR_REQ_COUNT,       "request_count",        1, "not exactly one CertID in the request") \
	X(ERR_REQ_EXTENSION,   "request_extension",    1, "unknown critical or duplicate request extension") \
	X(ERR_REQ_NONCE,       "request_nonce",        1, "nonce of 0 or over 128 octets") \
	X(ERR_REQ_HASH,        "request_hash",         6, "CertID hash algorithm that we do not serve") \
	X(ERR_REQ_SERIAL,      "request_serial",       6, "serial number longer than any certificate's") \
	X(ERR_REQ_ISSUER,      "request_issuer",       6, "certificate is not from a configured issuer") \
	/* the way to an upstream responder */ \
	X(ERR_UP_TIMEOUT,      "upstream_timeout",     3, "upstream gave no answer in time") \
	X(ERR_UP_CONNECT,      "upstream_connect",     3, "no connection to the upstream") \
	X(ERR_UP_ADDRESS,      "upstream_address",     3, "a URL that is not from the configuration leads to an address that allow-address does not have") \
	X(ERR_UP_HTTP,         "upstream_http",        3, "upstream answered with another HTTP status than 200") \
	X(ERR_UP_TYPE,         "upstream_type",        3, "upstream's Content-Type is not application/ocsp-response") \
	X(ERR_UP_SIZE,         "upstream_size",        3, "upstream's answer is over response-max-size") \
	X(ERR_UP_TRUNCATED,    "upstream_truncated",   3, "upstream's answer ended early") \
	X(ERR_UP_BACKOFF,      "upstream_backoff",     3, "every responder of the issuer is in back-off") \
	X(ERR_UP_BUSY,         "upstream_busy",        3, "too many fetches of this issuer are waiting") \
	X(ERR_UP_NONE,         "upstream_none",        3, "the issuer has no responder") \
	X(ERR_CANCELLED,       "cancelled",            3, "stopped before it ended") \
	/* the one door, in the order of its checks */ \
	X(ERR_RESP_DER,        "response_der",         3, "not the DER of an OCSPResponse") \
	X(ERR_RESP_TRAILING,   "response_trailing",    3, "bytes after the OCSPResponse") \
	X(ERR_RESP_MALFORMED,  "response_malformed_request", 3, "responder says malformedRequest") \
	X(ERR_RESP_INTERNAL,   "response_internal_error", 3, "responder says internalError") \
	X(ERR_RESP_TRYLATER,   "response_try_later",   3, "responder says tryLater") \
	X(ERR_RESP_SIGREQ,     "response_sig_required", 3, "responder says sigRequired") \
	X(ERR_RESP_UNAUTHORIZED, "response_unauthorized", 6, "responder says unauthorized") \
	X(ERR_RESP_STATUS,     "response_status",      3, "unknown OCSPResponseStatus") \
	X(ERR_RESP_NOBYTES,    "response_no_bytes",    3, "successful without responseBytes") \
	X(ERR_RESP_TYPE,       "response_type",        3, "responseType is not id-pkix-ocsp-basic") \
	X(ERR_RESP_VERSION,    "response_version",     3, "response version is not v1") \
	X(ERR_RESP_EXTENSION,  "response_extension",   3, "unknown critical extension in the response") \
	X(ERR_RESP_SIGALG,     "signature_algorithm",  3, "signature algorithm is not allowed") \
	X(ERR_RESP_RESPONDER,  "responder_id",         3, "no certificate fits the responderID") \
	X(ERR_RESP_ISSUED,     "delegate_issuer",      3, "delegate was not issued directly by this issuer") \
	X(ERR_RESP_EKU,        "delegate_eku",         3, "delegate lacks the OCSPSigning extended key usage") \
	X(ERR_RESP_USAGE,      "delegate_usage",       3, "delegate's certificate has extensions that forbid its use") \
	X(ERR_RESP_VALIDITY,   "delegate_validity",    3, "delegate's certificate is not valid now") \
	X(ERR_RESP_NOCHECK,    "delegate_nocheck",     3, "delegate's certificate has no ocsp-nocheck") \
	X(ERR_RESP_SIGNATURE,  "signature",            3, "signature does not verify") \
	X(ERR_RESP_NOMATCH,    "certid",               3, "no SingleResponse has the CertID that was asked for") \
	X(ERR_RESP_CONTRADICT, "contradicting_duplicates", 3, "SingleResponses for one certificate contradict each other") \
	X(ERR_RESP_MULTIPLE,   "multiple_responses",   3, "more than one SingleResponse") \
	X(ERR_RESP_REASON,     "reason",               3, "revocation reason that no OCSP answer can have") \
	X(ERR_RESP_TIMEFORM,   "time_format",          3, "time is not in the form YYYYMMDDHHMMSSZ") \
	X(ERR_RESP_FUTURE,     "this_update_future",   3, "thisUpdate is in the future") \
	X(ERR_RESP_NONEXT,     "next_update_missing",  3, "no nextUpdate") \
	X(ERR_RESP_ORDER,      "next_before_this",     3, "nextUpdate is not after thisUpdate") \
	X(ERR_RESP_EXPIRED,    "expired",              3, "nextUpdate has passed") \
	X(ERR_RESP_OLD,        "this_update_old",      3, "thisUpdate is older than the profile allows") \
	X(ERR_RESP_PRODUCED,   "produced_at",          3, "producedAt is in the future or outside the signer's validity") \
	X(ERR_RESP_NONCE,      "nonce",                3, "answer carries another nonce than we sent") \
	X(ERR_RESP_OLDER,      "older_than_held",      3, "older than the answer that is held") \
	X(ERR_RESP_LATCH,      "contradicted_by_latch", 3, "certificate was seen revoked before") \
	X(ERR_RESP_CRL,        "contradicted_by_crl",  3, "the CRL in force says revoked") \
	X(ERR_RESP_LISTS,      "lists_not_opened",     3, "the issuer's lists have not been opened yet") \
	X(ERR_RESP_LARGE,      "response_large",       3, "too large to be served with its header in response-max-size") \
	/* revocation lists, in the order of their checks */ \
	X(ERR_CRL_LARGE,       "crl_large",            3, "list is over crl-max-size") \
	X(ERR_CRL_DER,         "crl_der",              3, "not the DER of a CertificateList") \
	X(ERR_CRL_TRUNCATED,   "crl_truncated",        3, "list ends early") \
	X(ERR_CRL_TRAILING,    "crl_trailing",         3, "bytes after the list") \
	X(ERR_CRL_BUNDLE,      "crl_bundle",           3, "several lists, and not one of them the issuer's") \
	X(ERR_CRL_VERSION,     "crl_version",          3, "list's version does not fit what it contains") \
	X(ERR_CRL_SIGALG,      "crl_signature_algorithm", 3, "list's signature algorithms differ, or are not allowed") \
	X(ERR_CRL_ISSUER,      "crl_issuer",           3, "list is from another issuer") \
	X(ERR_CRL_TIMEFORM,    "crl_time_format",      3, "time in the list is not in RFC 5280's form") \
	X(ERR_CRL_NONEXT,      "crl_next_update_missing", 3, "list has no nextUpdate") \
	X(ERR_CRL_ORDER,       "crl_next_before_this", 3, "list's nextUpdate is not after its thisUpdate") \
	X(ERR_CRL_EMPTY,       "crl_empty_list",       3, "list has an empty revokedCertificates") \
	X(ERR_CRL_ENTRY,       "crl_entry",            3, "malformed entry in the list") \
	X(ERR_CRL_ENTRY_EXTENSION, "crl_entry_extension", 3, "unknown critical or duplicate extension in an entry") \
	X(ERR_CRL_INDIRECT,    "crl_indirect",         3, "indirect list: it speaks for other issuers") \
	X(ERR_CRL_DELTA,       "crl_delta",            3, "delta list: not used yet") \
	X(ERR_CRL_EXTENSION,   "crl_extension",        3, "unknown critical or duplicate extension in the list") \
	X(ERR_CRL_SCOPE,       "crl_scope",            3, "list is of another scope") \
	X(ERR_CRL_NUMBER,      "crl_number",           3, "CRLNumber is negative or over 20 octets") \
	X(ERR_CRL_USAGE,       "crl_key_usage",        3, "issuer's certificate may not sign lists") \
	X(ERR_CRL_SIGNATURE,   "crl_signature",        3, "list's signature does not verify") \
	X(ERR_CRL_FUTURE,      "crl_this_update_future", 3, "list's thisUpdate is in the future") \
	X(ERR_CRL_ROLLBACK,    "crl_rollback",         3, "list is older than the one in force") \
	/* stores */ \
	X(ERR_CONFLICT,        "conflict",             3, "somebody else was there before") \
	X(ERR_NOT_FOUND,       "not_found",            3, "not held") \
	X(ERR_RECORD,          "record",               3, "stored value is not in our encoding") \
	X(ERR_RECORD_KEY,      "record_key",           3, "stored value belongs to another key") \
	X(ERR_RECORD_ISSUER,   "record_issuer",        3, "stored value was verified against another issuer certificate") \
	X(ERR_STORE,           "store",                3, "store cannot be reached or failed") \
	X(ERR_STORE_FULL,      "store_full",           3, "store is full") \
	X(ERR_STORE_TIMEOUT,   "store_timeout",        3, "store gave no answer in time")
/* clang-format on */

enum err {
#define X(code, label, wire, text) code,
	ERR_TABLE(X)
#undef X
	    ERR_COUNT
};

/* Text for people, label for machines.  Static; e must be a value of the enum. */
const char *err_text(enum err e);
const char *err_label(enum err e);

/* The OCSPResponseStatus that a client is told for e: 0..6, never 4 (RFC 6960
 * section 4.2.1). */
int err_wire(enum err e);

#endif
