/* watched.h - one watched certificate, as it is kept in memory.
 *
 * 30 bytes: the serial in the layout of a list's entry, so that both are sorted by one
 * order (crl_order()) and matched by a gallop; the end of its life, so that expiry is
 * counted, and certificates are polled, without a look at the disk; what was verified of
 * it; and the number of the list that it names (watch_point.h), so that its status does
 * not need the disk either.  Everything else (names, labels) is in the file (watch_db.h).
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
	uint8_t flags;              /* WATCH_VERIFIED, WATCH_BARE */
	uint8_t point[2];           /* its list, of the inventory's points; 0: none */
};
_Static_assert(sizeof(struct watched) == 30, "an entry is at most 32 bytes (contract)");
_Static_assert(offsetof(struct watched, n) == offsetof(struct crl_entry, n),
    "watched certificates and lists are sorted by one order");

/* Its signature by its issuer's key was verified, when it was read.  An issuer that has
 * another key later is another CA to whoever names its key (watch_ca.h). */
#define WATCH_VERIFIED 1u
/* The list has neither names nor labels for it: nobody asks the file. */
#define WATCH_BARE 2u

/* A date in 40 bits: seconds, or WATCH_TIME_NONE.  What they do not hold is cut to what
 * they do (the years -15451 to 19391). */
#define WATCH_DATE_N 5
void watch_date_put(uint8_t out[WATCH_DATE_N], int64_t at);
int64_t watch_date_get(const uint8_t in[WATCH_DATE_N]);

void watched_set(/* it names no list */
    struct watched *e, const struct serial *s, int64_t not_after, bool verified);
void watched_serial(const struct watched *e, struct serial *s);
int64_t watched_not_after(const struct watched *e);
static inline bool watched_is_verified(const struct watched *e)
{
	return (e->flags & WATCH_VERIFIED) != 0;
}
static inline void watched_set_point(struct watched *e, uint16_t number)
{
	put_be(e->point, number, sizeof e->point);
}
static inline uint16_t watched_point(const struct watched *e)
{
	return (uint16_t)get_be(e->point, sizeof e->point);
}
/* Another word for the same certificate, of the same inventory: it is verified where one
 * of them says so, whose list it names then (a line of text may say what it likes), and
 * ends when the earliest says. */
void watched_join(struct watched *e, const struct watched *more);

static inline bool watched_is_bare(const struct watched *e)
{
	return (e->flags & WATCH_BARE) != 0;
}

/* The first of n sorted entries that is not before the serial of key, which is that of an
 * entry of either kind; n where there is none.  O(log n). */
size_t watched_from(const struct watched *entries, size_t n, const void *key);

/* The same search is to come: what it will look at first is brought near, and once more
 * what follows from that (again).  Whoever searches many lists does so for all of them,
 * twice, before. */
void watched_ahead(const struct watched *entries, size_t n, const void *key, bool again);

#endif
