/* watch_draft.h - a watchlist that is being read: certificates in any order, applied as a
 * whole when all have come, or dropped.
 *
 * In memory it costs 32 bytes a certificate (twice that while it is sorted, where several
 * CAs stand on it); what the list says of it is spooled to a file without a name, beyond
 * a quarter of a megabyte, so that memory does not follow the size of a body.  Of a
 * certificate that comes twice, what was said last counts.
 *
 * One owner, one thread at a time.
 */
#ifndef CACHE_WATCH_WATCH_DRAFT_H
#define CACHE_WATCH_WATCH_DRAFT_H

#include "cache/crl/crl_entry.h"
#include "cache/watch/watch_cert.h"

struct watch_draft;

/* So many CAs may stand on one list. */
#define WATCH_DRAFT_CAS_MAX 65535

/* dir: where it may spool to, copied.  NULL when out of memory. */
struct watch_draft *watch_draft_new(const char *dir);
void watch_draft_free(struct watch_draft *d); /* NULL is allowed */

/* Everything is copied.  ERR_NOMEM; ERR_STORE, ERR_STORE_FULL: it cannot be spooled;
 * ERR_REQ_ISSUER: nothing says who issued it, or one CA too many.  After a failure only
 * free may follow. */
enum err watch_draft_add(struct watch_draft *d, const struct watch_cert *c);
/* How many were added, those that came twice too, until it is sorted. */
size_t watch_draft_count(const struct watch_draft *d);
size_t watch_draft_size(const struct watch_draft *d); /* bytes of their rows */

/* For whoever writes it to the file (watch_put.h). */

/* A CA, as the certificates say together. */
struct watch_draft_ca {
	const char *issuer; /* "": none is named */
	const char *dn;     /* "": nobody said */
	uint8_t aki_n;
	uint8_t aki[WATCH_AKI_MAX];
};
size_t watch_draft_cas(const struct watch_draft *d);
const struct watch_draft_ca *watch_draft_ca(const struct watch_draft *d, size_t i);

/* A certificate that the list had before: it counts where nothing else is said of it.
 * row is encoded.  As watch_draft_add(). */
enum err watch_draft_keep(struct watch_draft *d, const struct watch_draft_ca *ca,
    const struct serial *s, struct bytes row);

/* Sort; id[i] is what CA number i is known by.  Two that have one id are one.  ERR_NOMEM,
 * ERR_STORE, ERR_STORE_FULL. */
enum err watch_draft_sort(struct watch_draft *d, const uint32_t *id);
/* Once it is sorted: number i of watch_draft_count(), by id and then by serial.  row is
 * encoded (watch_record.h), and borrowed from the draft. */
uint32_t watch_draft_id(const struct watch_draft *d, size_t i);
const struct crl_entry *watch_draft_entry(const struct watch_draft *d, size_t i);
struct bytes watch_draft_row(const struct watch_draft *d, size_t i);

#endif
