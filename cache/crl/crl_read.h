/* crl_read.h - one certificate revocation list: read, checked, sorted.
 *
 * A list is read from a file descriptor in pieces of CRL_PIECE bytes; digest, parse and
 * (where asked for) a copy to another file go together over each piece, so that a list of
 * 155 MB costs one pass and the memory of its index.  The header (everything before
 * revokedCertificates) and the extensions behind the list are small and are handed to
 * OpenSSL's decoders; the entries are walked with OpenSSL's TLV primitives
 * (ASN1_get_object).  Nothing of a list is used before its signature has verified.
 *
 * Pure functions, any thread (ours: bulk).
 */
#ifndef CACHE_CRL_CRL_READ_H
#define CACHE_CRL_CRL_READ_H

#include "cache/crl/crl_list.h"

#define CRL_PIECE (256 * 1024) /* the smallest at the digest's full speed */

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
/* The same with pieces of another size: for tests. */
enum err crl_read_pieces(struct crl_list **out, int fd, size_t piece,
    const struct crl_want *want, char *why, size_t why_n);

#endif
