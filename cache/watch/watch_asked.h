/* watch_asked.h - when clients last asked for what is watched, as watch.mdb and a shared
 * store keep it.
 *
 * The file has a row for each certificate.  A shared store has *pieces*, each with some
 * rows that one node has noted, under a MAC; who joins pieces takes the latest time of
 * each certificate, so that an old piece that is brought back changes nothing.
 *
 * A piece: version u8, rows be16; of each the octets of the issuer's name u8, the name,
 * the minute be32, the octets of the serial u8, the serial; then the MAC, of the name
 * "asked" and all before it.
 *
 * Threads as watch_db.h has them; pieces are pure functions.
 */
#ifndef CACHE_WATCH_WATCH_ASKED_H
#define CACHE_WATCH_WATCH_ASKED_H

#include "cache/base/mac.h"
#include "cache/base/name.h"
#include "cache/watch/watch_db.h"

struct watch_asked {
	char issuer[NAME_MAX_OCTETS + 1];
	struct serial serial;
	uint32_t minute; /* since 1970; 0 in a put: the row is deleted */
};

/* All rows; each is borrowed for the call; false ends it with ERR_NOMEM.  ERR_RECORD,
 * ERR_STORE. */
enum err watch_db_asked_load(struct watch_db *db,
    bool (*each)(void *arg, const struct watch_asked *row), void *arg);
/* In one step.  ERR_STORE_FULL, ERR_STORE: nothing was done. */
enum err watch_db_asked_put(
    struct watch_db *db, const struct watch_asked *rows, size_t n);

#define WATCH_ASKED_ROWS 512 /* of a piece */
#define WATCH_ASKED_MAX                                                                  \
	(1 + 2 + WATCH_ASKED_ROWS * (1 + NAME_MAX_OCTETS + 4 + 1 + SERIAL_MAX) + MAC_SIZE)
/* n: 1..WATCH_ASKED_ROWS.  keys: watch_stored_keys().  Octets written to out, which has
 * WATCH_ASKED_MAX; 0: no memory for the MAC. */
size_t watch_asked_encode(
    const struct watch_asked *rows, size_t n, const struct mac_keys *keys, uint8_t *out);
/* rows has room for WATCH_ASKED_ROWS.  ERR_RECORD_KEY: another MAC; ERR_RECORD: not in
 * our encoding. */
enum err watch_asked_decode(
    struct bytes in, const struct mac_keys *keys, struct watch_asked *rows, size_t *n);

#endif
