/* watched.h - one watched certificate, as it is kept in memory.
 *
 * 28 bytes: the serial in the layout of a list's entry, so that both are sorted by one
 * order (crl_order()) and matched by a gallop; the end of its life, so that expiry is
 * counted, and certificates are polled, without a look at the disk; and what was verified
 * of it.  Everything else (names, labels, the list that it names) is in the file
 * (watch_db.h).
 *
 * A plain value; pure functions, any thread.
 */
#ifndef CACHE_WATCH_WATCHED_H
#define CACHE_WATCH_WATCHED_H

#include "cache/crl/crl_entry.h"
#include "cache/watch/watch_cert.h"

struct watched {
	uint8_t octets[SERIAL_MAX]; /* as crl_entry.octets */
	uint8_t n;                  /* as crl_entry.n */
	uint8_t not_after[5];       /* watch_date_put() */
	uint8_t flags;              /* WATCH_VERIFIED */
};
_Static_assert(sizeof(struct watched) == 28, "an entry is at most 32 bytes (contract)");
_Static_assert(offsetof(struct watched, n) == offsetof(struct crl_entry, n),
    "watched certificates and lists are sorted by one order");

#define WATCH_VERIFIED 1u /* its signature by its issuer's key was verified */

/* A date in 40 bits: seconds, or WATCH_TIME_NONE.  What they do not hold is cut to what
 * they do (the years -15451 to 19391). */
#define WATCH_DATE_N 5
void watch_date_put(uint8_t out[WATCH_DATE_N], int64_t at);
int64_t watch_date_get(const uint8_t in[WATCH_DATE_N]);

void watched_set(
    struct watched *e, const struct serial *s, int64_t not_after, bool verified);
void watched_serial(const struct watched *e, struct serial *s);
int64_t watched_not_after(const struct watched *e);
static inline bool watched_is_verified(const struct watched *e)
{
	return (e->flags & WATCH_VERIFIED) != 0;
}

/* The first of n sorted entries that is not before the serial of key, which is that of an
 * entry of either kind; n where there is none.  O(log n). */
size_t watched_from(const struct watched *entries, size_t n, const void *key);

#endif
