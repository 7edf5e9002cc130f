/* crl_reading.h - the reading of one list: what its parts share, and how it is refused.
 *
 * For crl_read.c and what is below it only: the walk through the list (crl_walk.h), its
 * extensions (crl_extension.h), its signature.
 */
#ifndef CACHE_CRL_CRL_READING_H
#define CACHE_CRL_CRL_READING_H

#include "cache/crl/crl_input.h"
#include "cache/crl/crl_list.h"
#include "cache/crl/crl_signature.h"

#define CRL_ALGORITHM_MAX 512  /* bytes of an AlgorithmIdentifier; RSA-PSS has 67 */
#define CRL_SIGNATURE_MAX 2048 /* of a signature: that of a 16,384 bit RSA key */

struct crl_walk {
	const struct crl_want *want;
	struct crl_input in;
	struct crl_signature signature;
	struct crl_list *list; /* owned, until it is handed out */
	size_t room;           /* entries that its mapping has room for */
	/* The issuer's certificates whose subject is the list's issuer name (R89). */
	const struct issuer_ca **candidates; /* owned */
	size_t candidates_n;
	bool v2;
	uint64_t list_end, tbs_end; /* places in the file */
	uint64_t total; /* bytes of the whole list, as its first header says */
	uint8_t algorithm[CRL_ALGORITHM_MAX]; /* the inner one */
	size_t algorithm_n;
	uint8_t signed_by[CRL_SIGNATURE_MAX]; /* the signature's octets */
	size_t signed_by_n;
	char *why;
	size_t why_n;
};

/* Writes the line for people and returns e. */
enum err crl_refuse(struct crl_walk *w, enum err e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ERR_CRL_USAGE: no certificate with the list's issuer name may sign lists. */
enum err crl_refuse_usage(struct crl_walk *w);

/* keyUsage with cRLSign, or none (RFC 5280 section 4.2.1.3). */
bool crl_may_be_signed_by(const struct issuer_ca *ca);

/* May an entry of a complete list have it? (RFC 5280 section 5.3.1) */
static inline bool crl_reason_is_known(uint8_t reason)
{
	return reason <= 10 && reason != 7 && reason != 8;
}

#endif
