/* ccadb_sets.h - from the CCADB's records to the lists of our issuers.
 *
 * A record is an issuer's when it has the fingerprint of one of its certificates, or the
 * identifier of its key and one of its names (CN, OU or O of the subject): a renewed or
 * cross-signed certificate of the CA is the same CA (RFC 5280 section 4.2.1.2).
 *
 * The URLs of full lists of all its records are places of one list; each part is a list
 * of its own.  A part that is named beside others as a full list is the full list.
 *
 * Built by one thread from issuers that are borrowed for the making only; once it is
 * sorted it is a value that any thread may read.
 */
#ifndef CACHE_WATCH_CCADB_SETS_H
#define CACHE_WATCH_CCADB_SETS_H

#include "cache/base/issuer.h"
#include "cache/watch/ccadb.h"

struct ccadb_sets;

/* Empty sets, for n issuers by their places here.  NULL when out of memory. */
struct ccadb_sets *ccadb_sets_new(const struct issuer *const *issuer, size_t n);
void ccadb_sets_free(struct ccadb_sets *s); /* NULL is allowed */

/* One record of any file; URLs are copied.  False: out of memory, and only free may
 * follow. */
bool ccadb_sets_take(struct ccadb_sets *s, const struct ccadb_record *r);
/* All were taken.  False: out of memory, and only free may follow. */
bool ccadb_sets_sort(struct ccadb_sets *s);

struct ccadb_list {
	char *const *place; /* URLs, sorted */
	size_t n;           /* 1.. */
};
/* What was found for issuer number i: the full list first, then parts by their URLs.
 * Borrowed from s. */
struct ccadb_set {
	const struct ccadb_list *list;
	size_t n;
	size_t records;
	bool malformed; /* one of its records names lists that could not be read: these
			 * are not all */
};
void ccadb_sets_of(const struct ccadb_sets *s, size_t i, struct ccadb_set *out);

#endif
