/* watch_chunk.h - a piece of a watchlist in a store that nodes share: certificates,
 * sorted by CA and serial, with all that the list says of each.
 *
 * A chunk stands for itself: it names the CAs of its certificates, by issuer's name, key
 * identifier and DN, since numbers of CAs are each node's own (watch_ca.h).  The row of a
 * certificate is that of watch.mdb (watch_record.h).
 *
 * A chunk is bytes from a stranger: nothing is handed out before its MAC, which is bound
 * to list, revision and place, is good; and then each field is checked all the same.
 *
 * Pure functions, any thread.
 */
#ifndef CACHE_WATCH_WATCH_CHUNK_H
#define CACHE_WATCH_WATCH_CHUNK_H

#include "cache/watch/watch_draft.h"
#include "cache/watch/watch_stored.h"

/* A chunk is ended behind the certificate with which it has so many octets: making one,
 * with its MAC, or reading one costs a loop a millisecond. */
#define WATCH_CHUNK_FULL (256 * 1024)
#define WATCH_CHUNK_MAX  (1024 * 1024) /* a longer one is refused unread */

/* Where a chunk belongs. */
struct watch_chunk_place {
	const char *field;
	const uint8_t *revision;
	uint32_t number; /* from 0 */
};

/* The next certificates of a sorted draft, from *at on, which moves behind them; there is
 * one at least.  out has room for WATCH_CHUNK_MAX; octets written, 0: no memory for the
 * MAC. */
size_t watch_chunk_encode(const struct watch_draft *d, size_t *at,
    const struct watch_chunk_place *place, const struct mac_keys *keys, uint8_t *out);

/* Its certificates, in order.  What is handed out is borrowed for the call, row is
 * encoded and can be read; false: stop, and *e is what decode returns. */
typedef bool watch_chunk_fn(void *arg, const struct watch_draft_ca *ca,
    const struct serial *s, struct bytes row, enum err *e);
/* ERR_RECORD_KEY: its MAC is not by one of these keys, or it belongs elsewhere.
 * ERR_RECORD: the MAC is good, and still it cannot be read (another version wrote it);
 * some may have been handed out.  ERR_NOMEM. */
enum err watch_chunk_decode(struct bytes value, const struct watch_chunk_place *place,
    const struct mac_keys *keys, watch_chunk_fn *each, void *arg);

#endif
