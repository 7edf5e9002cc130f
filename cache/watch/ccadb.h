/* ccadb.h - the CCADB's certificate records: which lists a CA says that it publishes.
 *
 * CSV (watch_row.h) with a header line; columns are found by their names, in any order,
 * those that we do not know are passed over:
 *
 *   Certificate Name                  the subject's CN, or O
 *   SHA-256 Fingerprint               of the certificate, hexadecimal
 *   Subject Key Identifier            base64
 *   Full CRL Issued By This CA        one URL
 *   JSON Array of All Full CRL URLs   URLs of the same list
 *   JSON Array of Partitioned CRLs    URLs of its parts
 *
 * Fields have line ends inside of quotes; an empty string in an array is none ([""] is
 * what a CA without partitions has).  A row whose array is no JSON array of strings, or
 * names what is no URL, is handed out with malformed set and what could be read of it:
 * whoever takes it knows that it is not all.  URLs are strangers' (T7): literal, http or
 * https, printable ASCII, at most CCADB_URL_MAX octets, CCADB_URLS_MAX of a row.
 *
 * Fed in pieces; memory does not follow the size of the file.  One owner, one thread.
 */
#ifndef CACHE_WATCH_CCADB_H
#define CACHE_WATCH_CCADB_H

#include "cache/base/key.h"
#include "cache/watch/watch_cert.h"
#include "cache/watch/watch_error.h"

#define CCADB_URL_MAX  WATCH_URL_MAX
#define CCADB_URLS_MAX 4096          /* of one row; the largest public CA has 128 */
#define CCADB_ROW_MAX  (1024 * 1024) /* octets; the longest of today has 20,000 */

/* Borrowed until the call returns. */
struct ccadb_record {
	uint64_t line;        /* where the row begins, from 1 */
	struct bytes name;    /* blanks around it taken off; valid UTF-8; n 0: none */
	struct bytes key;     /* 0..WATCH_AKI_MAX octets */
	bool has_fingerprint; /* else sha256 is zeros */
	uint8_t sha256[32];
	const struct bytes *full; /* places of one list: no URL twice */
	size_t full_n;
	const struct bytes *part; /* a list each: no URL twice */
	size_t part_n;
	bool malformed; /* it names lists that could not be read */
};

struct ccadb_want {
	/* Each row that has a key or a fingerprint, with or without lists; false: it is
	 * enough (WATCH_STOPPED). */
	bool (*record)(void *arg, const struct ccadb_record *r);
	/* A row that is passed over, or malformed: with its line.  May be NULL. */
	void (*bad)(void *arg, const struct watch_error *e);
	void *arg;
};

struct ccadb_reader;
struct ccadb_reader *ccadb_reader_new(const struct ccadb_want *want); /* or NULL */
void ccadb_reader_free(struct ccadb_reader *r); /* NULL is allowed */
/* False: nothing that follows is of use, and *e (with the line) says why:
 * WATCH_BAD_COLUMN with the names of the columns that are missing; WATCH_BAD_LONG;
 * WATCH_STOPPED; WATCH_NOMEM. */
bool ccadb_reader_feed(struct ccadb_reader *r, struct bytes piece, struct watch_error *e);
bool ccadb_reader_end(struct ccadb_reader *r, struct watch_error *e);

#endif
