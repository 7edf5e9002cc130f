/* polled.h - what was heard of watched certificates that OCSP alone tells of
 * (proxy/keeper/poll.h).
 *
 * Their answers are not kept in memory where no client uses them: a million of them would
 * take the place of answers that clients do use, and their bytes are in the store.  What
 * is kept is what a status is made of: 48 bytes a certificate, in a table of which at
 * least a seventh and at most half is empty.  Whoever puts certificates into it bounds
 * it; what has ended goes when the table would grow.
 *
 * By the issuer's name, as lists and memos are, so that a reload changes nothing.  Times
 * are kept in 32 bits: what is later than the year 2106 ends in it.
 *
 * One thread, the owner's; time comes from the caller.
 *
 * Weak point: a table that grows is copied in one go; a million certificates take about
 * 30 ms.
 */
#ifndef CACHE_HELD_POLLED_H
#define CACHE_HELD_POLLED_H

#include "cache/base/facts.h"
#include "cache/base/key.h"

struct polled;

/* seed: random (T14).  NULL when out of memory. */
struct polled *polled_new(uint64_t seed);
void polled_free(struct polled *t); /* NULL is allowed */

/* An answer with these facts, which lives until expiry, was heard.  One that is older
 * than what is here changes nothing.  False when out of memory: it is not here. */
bool polled_put(struct polled *t, const char *issuer, const struct serial *s,
    const struct facts *f, int64_t expiry, int64_t heard_at);

struct polled_word {
	struct facts facts; /* status, reason, dates; next_update: its expiry */
	int64_t heard_at;
};
/* In date or not; false: nothing was heard, or it was forgotten.  t NULL: nothing. */
bool polled_find(const struct polled *t, const char *issuer, const struct serial *s,
    struct polled_word *out);
/* Of one certificate, or (s is NULL) of all of the issuer. */
void polled_forget(struct polled *t, const char *issuer, const struct serial *s);

size_t polled_bytes(const struct polled *t); /* that the tables take */

#endif
