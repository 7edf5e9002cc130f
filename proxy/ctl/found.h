/* found.h - the certificates that ocspctl discover has found, each once, and where.
 *
 * Everything in them is a stranger's: names and URLs are read with bounds and are handed
 * on as text that is printable ASCII.  What could not be found or read is kept as notes,
 * a line each, for whoever prints.  One thread.
 */
#ifndef PROXY_CTL_FOUND_H
#define PROXY_CTL_FOUND_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/base/bytes.h"

/* Of one run, each with some 10 KiB: what a machine has, and not a log of a CA's. */
#define FOUND_MAX 20000
/* Lines of what went wrong; a folder of rubbish is told by its first ones. */
#define FOUND_NOTES_MAX 1000

struct found_cert {
	X509 *x;
	uint8_t sha256[32]; /* of its DER */
	const char *place;  /* a path, HOST:PORT or URL, where it was first; the set's */
	/* Of a CA's: a file that has certificates of this one name only, all of CAs, so
	 * that a configuration may name it; the set's, or NULL. */
	const char *file;
	bool is_ca;
};

struct found {
	struct found_cert *cert;
	size_t n;
	char **note;
	size_t notes_n, notes_more;
	/* its own: */
	char **place;
	size_t places_n;
	uint32_t *slot;   /* by digest: index + 1 */
	uint32_t *filled; /* certificates of the place that is being read */
	size_t filled_n;
	size_t left_out; /* over FOUND_MAX */
};

bool found_open(struct found *f); /* false: out of memory; close all the same */
void found_close(struct found *f);

/* What comes until found_end() is from this place.  False: out of memory. */
bool found_begin(struct found *f, const char *place);
/* A certificate's DER.  False: it is none, and nothing is kept. */
bool found_add(struct found *f, struct bytes der);
/* file: a configuration may name the place as one. */
void found_end(struct found *f, bool file);
/* Where certificates come from now. */
const char *found_place(const struct found *f);

void found_note(struct found *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The names and URLs of a certificate. */

#define FOUND_NAME_MAX 208
/* RFC 4514's form in ASCII; a longer one ends in "...". */
void found_name(const X509_NAME *name, char out[FOUND_NAME_MAX]);

/* An http or https URL that a configuration may have; borrowed for the call. */
typedef void found_url_fn(void *arg, const char *url);
/* authorityInfoAccess; nid: NID_ad_OCSP, NID_ad_ca_issuers. */
void found_access(X509 *x, int nid, found_url_fn *fn, void *arg);
/* crlDistributionPoints without reasons and cRLIssuer.  All of them are of lists that
 * have the certificate (RFC 5280 section 4.2.1.13): who has one needs no other. */
void found_lists(X509 *x, found_url_fn *fn, void *arg);

#endif
