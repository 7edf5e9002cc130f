/* watch_cert.h - one certificate as a body or a file of a watchlist names it: its issuer,
 * its serial number, and what is known of it besides.
 *
 * A value that whoever reads a body (watch_body.h) lays out for one call: all that it
 * points to is borrowed until that call returns, and who wants it longer copies it.
 *
 * Texts are valid UTF-8 without NUL and are not NUL-terminated where they are struct
 * bytes.  They may have other controls: whoever writes them out escapes those.
 */
#ifndef CACHE_WATCH_WATCH_CERT_H
#define CACHE_WATCH_WATCH_CERT_H

#include "cache/base/key.h"

struct issuer;

#define WATCH_TIME_NONE INT64_MIN /* a date that is not known */
/* Octets of a key identifier: the longest hash.  One of a certificate that is longer
 * counts as absent. */
#define WATCH_AKI_MAX 64
/* Names and labels of an entry together, each with one octet for its end (16 KiB an
 * entry).  Labels come first; from the first name on that has no room, names are
 * counted only. */
#define WATCH_TEXT_MAX (16 * 1024)
/* So many texts of one octet fit. */
#define WATCH_TEXTS_MAX (WATCH_TEXT_MAX / 2)
/* What is kept of where its list is: the first of them that are http or https.  CAs name
 * one or two; those behind are passed over. */
#define WATCH_URLS_MAX 8
#define WATCH_URL_MAX  2048
/* Text of an issuer's DN; a longer one is cut between two characters. */
#define WATCH_DN_MAX 1024

struct watch_cert {
	uint64_t line; /* of the body, from 1: where it begins */
	struct serial serial;
	/* Who issued it: a configured issuer, or what the body says.  At least one of
	 * issuer, aki and issuer_der is there, but where want.issuer_optional is. */
	const struct issuer *configured; /* or NULL */
	const char *issuer;       /* its name, or the one that the body gives; or NULL */
	struct bytes aki;         /* 0..WATCH_AKI_MAX octets: identifier of its key */
	struct bytes issuer_der;  /* DER of the issuer's Name; n 0: not known */
	struct bytes issuer_name; /* the same as RFC 4514 writes it; n 0: not known */
	int64_t not_before, not_after; /* seconds since 1970, or WATCH_TIME_NONE */
	/* As watch_name() writes them, in the order in which they were given. */
	const struct bytes *names;
	size_t names_n;
	uint64_t names_more; /* further ones, which had no room */
	const struct bytes *labels;
	size_t labels_n;
	const struct bytes *crl; /* URLs: hints what to fetch, seen by nobody yet (T7) */
	size_t crl_n;            /* 0..WATCH_URLS_MAX */
	/* Its signature by the configured issuer's key was verified, with an algorithm
	 * and a key that its rules allow.  Never with NDJSON and CSV. */
	bool verified;
	/* basicConstraints say CA:TRUE.  Never one that a reader of bodies hands out. */
	bool is_ca;
};

#endif
