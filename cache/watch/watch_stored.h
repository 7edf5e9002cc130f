/* watch_stored.h - how a watchlist stands in a store that nodes share: its head.
 *
 * A list of the API has one head, a list from files one for each node that has a part of
 * it.  A head names a revision: that many chunks (watch_chunk.h), which never change; who
 * changes the list writes chunks of a new revision, and then the head, and only where the
 * head is still the one that he built on.  So a list is the old one or the new one.  A
 * list that was deleted leaves a head that says so (a tombstone), so that a node which
 * was away does not bring it back.
 *
 * Heads and chunks are bytes from a stranger until their MAC is good, which is bound to
 * their place: a good value that was copied to another place is none.  Who may write to
 * the store can bring back an older head of the same place; `number` tells.
 *
 * Pure functions, any thread.
 */
#ifndef CACHE_WATCH_WATCH_STORED_H
#define CACHE_WATCH_WATCH_STORED_H

#include "cache/base/mac.h"
#include "cache/watch/watch_list.h"

#define WATCH_NODE_N 16 /* octets of a node's id */

/* Keys for the MACs of watchlists, from those of store-key-file.  NULL: out of memory. */
struct mac_keys *watch_stored_keys(const struct mac_keys *keys);

/* What a head is kept under: NAME, or NAME/NODE with the node in hexadecimal; !NAME of an
 * incident (incident.h), which has no parts. */
#define WATCH_FIELD_MAX (WATCH_NAME_MAX + 1 + 2 * WATCH_NODE_N)
void watch_field_put(char field[WATCH_FIELD_MAX], const char *name,
    const uint8_t *node); /* node NULL: a list of the API */
/* False: nothing of ours is kept under such a name.  *part: it has a node. */
bool watch_field_read(struct bytes field, char name[WATCH_NAME_MAX],
    uint8_t node[WATCH_NODE_N], bool *part);

enum watch_stored_kind { STORED_LIST = 1, STORED_PART, STORED_GONE };

struct watch_stored {
	enum watch_stored_kind kind;
	struct watch_mark mark;
	int64_t at;      /* written, or last seen (a part), or deleted */
	uint32_t chunks; /* 0 where it is gone */
	uint64_t certificates;
	uint8_t node[WATCH_NODE_N]; /* that wrote it */
};

#define WATCH_STORED_N                                                                   \
	(1 + 1 + 8 + WATCH_REVISION_N + 8 + 4 + 8 + WATCH_NODE_N + MAC_SIZE)

/* False: no memory for the MAC. */
bool watch_stored_encode(const struct watch_stored *s, const char *field,
    const struct mac_keys *keys, uint8_t out[WATCH_STORED_N]);
/* ERR_RECORD: not in our encoding, or of another version.  ERR_RECORD_KEY: its MAC is not
 * by one of these keys, or of another place. */
enum err watch_stored_decode(struct watch_stored *s, const char *field,
    const struct mac_keys *keys, struct bytes value);

#endif
