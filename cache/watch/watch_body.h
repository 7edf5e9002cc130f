/* watch_body.h - certificates out of a body or a file: PEM, NDJSON, CSV, or serials one a
 * line (watch_plain.h), in pieces of any size, one certificate at a time.
 *
 * begin (watch_body_new), feed, end; `each` is called for each certificate in the order
 * of the body, from within feed or end.  Memory is flat: a reader holds one line, row or
 * block (each has a bound), and of PEM a few certificates besides (watch_bundle.h).
 * Whether a body is applied as a whole or not at all is the caller's business: what
 * `each` was told before a bad line was told.
 *
 * A private key that stands in a PEM body is never copied.  The pieces are the caller's,
 * who wipes them (OPENSSL_cleanse) where they may have a key.
 *
 * One thread at a time; no locks, no clock, no file.
 */
#ifndef CACHE_WATCH_WATCH_BODY_H
#define CACHE_WATCH_WATCH_BODY_H

#include "cache/watch/watch_cert.h"
#include "cache/watch/watch_error.h"
#include "cache/watch/watch_serial.h"

struct watch_issuers; /* watch_issuer.h */

enum watch_format { WATCH_PEM, WATCH_NDJSON, WATCH_CSV, WATCH_PLAIN };

/* By Content-Type: application/x-pem-file, application/x-ndjson, text/csv, text/plain (of
 * incidents), in any case, parameters behind ';' passed over.  False: another one (415).
 */
bool watch_format_of(const char *content_type, enum watch_format *f);

/* A line of NDJSON, a row of CSV: 16 KiB of names and labels are kept, but all names are
 * counted, and JSON may spend six octets on one.  A certificate with 10,000 names of 60
 * octets fits. */
#define WATCH_LINE_MAX (1024 * 1024)
/* Base64 of a PEM block: certificates with 1,000 names have 40 KiB, with a signature of
 * SLH-DSA 70; ten times what CAs issue. */
#define WATCH_BLOCK_MAX (256 * 1024)

/* A certificate, borrowed for the call.  false: stop reading (WATCH_STOPPED). */
typedef bool watch_cert_fn(void *arg, const struct watch_cert *c);
/* A bad line, in its place between the certificates.  true: pass it over and go on
 * behind it (bulk status does).  Not called for what has nothing behind it: the header
 * of CSV or a map (WATCH_BAD_COLUMN), a row without end (WATCH_BAD_LONG), the base of all
 * serials (WATCH_BAD_BASE), WATCH_NOMEM; those end the body. */
typedef bool watch_bad_fn(void *arg, const struct watch_error *e);

struct watch_want {
	enum watch_format format;
	/* Who may have issued what; borrowed until watch_body_free().  A name of an
	 * issuer that is none of them is a bad line.  NULL: none is known, names are
	 * handed on as they are, and `configured` is always NULL (ocspctl). */
	const struct watch_issuers *issuers;
	enum watch_base base; /* of serials; not of PEM */
	bool issuer_optional; /* NDJSON and CSV: neither issuer nor issuer_key needed */
	const char *map;      /* CSV: watch_csv.h; NULL or "": none; copied */
	watch_cert_fn *each;
	watch_bad_fn *bad; /* NULL: the first bad line ends the body */
	void *arg;
};

struct watch_count {
	uint64_t certificates; /* that `each` was told */
	uint64_t cas;          /* PEM: CA certificates, used to find issuers only */
	uint64_t passed_over;  /* PEM: keys and other blocks */
	uint64_t bad;          /* lines that `bad` said to pass over */
};

struct watch_body;

/* NULL when out of memory.  A map that cannot be read is told by the first feed or end.
 */
struct watch_body *watch_body_new(const struct watch_want *want);
/* The next piece, borrowed for the call.  false: the body is bad, or was stopped;
 * watch_body_error() says why, and nothing but free may follow. */
bool watch_body_feed(struct watch_body *b, struct bytes piece);
/* The body is over: its last line needs no end.  Once.  false as above. */
bool watch_body_end(struct watch_body *b);
/* Of the feed or end that was false; borrowed from b. */
const struct watch_error *watch_body_error(const struct watch_body *b);
struct watch_count watch_body_count(const struct watch_body *b);
void watch_body_free(struct watch_body *b); /* NULL is allowed; wipes what it held */

#endif
