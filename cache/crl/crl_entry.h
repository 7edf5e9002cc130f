/* crl_entry.h - one revoked certificate, and an array of them in the order in which it is
 * searched.
 *
 * An entry is 32 bytes of anonymous memory.  Entries are sorted by their octets from the
 * last to the first: serials that count up and serials that are random are both spread
 * evenly by their last octets, and two 8-byte loads compare nearly all of them.  The
 * order means nothing to anybody else.
 *
 * Pure functions, any thread; an array belongs to one owner.
 */
#ifndef CACHE_CRL_CRL_ENTRY_H
#define CACHE_CRL_CRL_ENTRY_H

#include "cache/base/key.h"

/* Plain value without padding; compared by crl_entry_cmp(). */
struct crl_entry {
	uint8_t octets[SERIAL_MAX]; /* of the serial, right-aligned, zeros before them */
	uint8_t n;                  /* how many of them are the serial's: 1..SERIAL_MAX */
	uint8_t at[5];    /* revocationDate: seconds since 1970, signed, big-endian */
	uint8_t reason;   /* CRLReason (RFC 5280 section 5.3.1), or CRL_NO_REASON */
	uint8_t shard[2]; /* of a set (crl_set.h), big-endian; 0 in a list */
	uint8_t spare[2];
};
#define CRL_NO_REASON 0xff
_Static_assert(sizeof(struct crl_entry) == 32, "an entry is 32 bytes (requirement)");

void crl_entry_set_serial(struct crl_entry *e, const struct serial *s);
void crl_entry_serial(const struct crl_entry *e, struct serial *s);
int64_t crl_entry_at(const struct crl_entry *e);
void crl_entry_set_at(struct crl_entry *e, int64_t at);
int crl_entry_reason(const struct crl_entry *e); /* REASON_NONE (facts.h) where absent */
bool crl_entry_is_hold(const struct crl_entry *e);
/* Of two entries for one serial.  <0: a says worse than b: not hold before hold, then the
 * earlier date; 0: neither does. */
int crl_entry_weigh(const struct crl_entry *a, const struct crl_entry *b);
static inline unsigned crl_entry_shard(const struct crl_entry *e)
{
	return (unsigned)e->shard[0] << 8 | e->shard[1];
}

/* The first word of the order: it tells nearly all serials apart. */
static inline uint64_t crl_order_word(const void *entry)
{
	uint64_t w;

	/* little-endian loads make the last octet the most significant one */
	memcpy(&w, (const uint8_t *)entry + 13, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	return w;
}

/* The order of serials alone: <0, 0, >0.  Of whatever begins as an entry does: octets,
 * then n (watched certificates do too). */
static inline int crl_order(const void *a, const void *b)
{
	const uint8_t *p = a, *q = b;
	uint64_t x = crl_order_word(p), y = crl_order_word(q);

	if (x != y)
		return x < y ? -1 : 1;
	memcpy(&x, p + 5, 8);
	memcpy(&y, q + 5, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	x = __builtin_bswap64(x), y = __builtin_bswap64(y);
#endif
	if (x != y)
		return x < y ? -1 : 1;
	for (int i = 4; i >= 0; i--)
		if (p[i] != q[i])
			return p[i] < q[i] ? -1 : 1;
	return (int)p[SERIAL_MAX] - (int)q[SERIAL_MAX];
}

static inline int crl_entry_cmp(const struct crl_entry *a, const struct crl_entry *b)
{
	return crl_order(a, b);
}

/* The first of n sorted entries whose serial is that of key, or NULL.  O(log n). */
const struct crl_entry *crl_entries_find(
    const struct crl_entry *entries, size_t n, const struct crl_entry *key);
/* The first entry at or after e whose serial is not before that of key (of either kind,
 * as crl_order()): in steps that double, then by halves, so that few keys cost little and
 * many cost one walk. */
const struct crl_entry *crl_entries_gallop(
    const struct crl_entry *e, const struct crl_entry *end, const void *key);

/* n zeroed entries in an anonymous mapping of their own; NULL when out of memory.
 * *mapped: bytes, for crl_entries_free(). */
struct crl_entry *crl_entries_new(size_t n, size_t *mapped);
void crl_entries_free(struct crl_entry *entries, size_t mapped);
/* Room for n instead, moved where it must be; what is new is zeroed.  False, and nothing
 * has changed, when out of memory. */
bool crl_entries_resize(struct crl_entry **entries, size_t n, size_t *mapped);
/* Sort by serial and join duplicates (the one that says worse stays); returns how many
 * are left. */
size_t crl_entries_sort(struct crl_entry *entries, size_t n);

#endif
