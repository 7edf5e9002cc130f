/* share_core.h - what the parts of sharing (share.h) have in common.
 *
 * One thing is done at a time: a look at all heads with what follows from it
 * (share_sync.h), or one change (share_write.h).  Both read lists (share_load.h) and
 * write them (share_save.h); what sorts is done on a thread of its own ("share").
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_SHARE_CORE_H
#define PROXY_WATCH_SHARE_CORE_H

#include "cache/watch/watch_redis.h"
#include "proxy/watch/watch_context.h"

#define SHARE_TOLD 64 /* refused values that are remembered as told */

/* A part of a list that a look has seen, as it was then, and when its node last was. */
struct share_seen {
	char field[WATCH_FIELD_MAX];
	uint8_t revision[WATCH_REVISION_N];
	int64_t at;
};

struct share_core {
	struct watch_context *context;
	struct watch_redis *redis;
	struct executor *thread;
	struct mac_keys *keys;
	uint8_t node[WATCH_NODE_N];
	bool stopping;
	uint64_t told[SHARE_TOLD];
	size_t told_n;
	struct share_seen *seen; /* of the last look */
	size_t seen_n;
};

/* A head as it was read, and what it says. */
struct share_head {
	char field[WATCH_FIELD_MAX];
	char name[WATCH_NAME_MAX];
	bool part;
	uint8_t node[WATCH_NODE_N];
	enum err error; /* ERR_OK: stored is what it says */
	struct watch_stored stored;
	uint8_t *raw; /* owned */
	size_t raw_n;
};

/* value: copied.  False: no memory. */
bool share_head_set(struct share_head *h, const struct share_core *s, const char *field,
    struct bytes value);
void share_head_clear(struct share_head *h);
/* Whose lists are those of this name? */
static inline enum watch_source share_source(const char *name, bool part)
{
	return part ? WATCH_FILES : name[0] == '!' ? WATCH_INCIDENT : WATCH_API;
}
/* Is there a list, or a part of one, under this head? */
static inline bool share_head_is_live(const struct share_head *h)
{
	return h->error == ERR_OK && h->stored.kind != STORED_GONE;
}

/* Once for each value: key PREFIX... under which it stands and what helps are told.
 * what: "head", or "chunk N". */
void share_tell_refused(
    struct share_core *s, const struct share_head *h, enum err e, const char *what);

/* Are other nodes sure to tell what the list has gained by these heads (of one list, or
 * parts of one; what is new of them counts)?  Not where this node wrote one: in a life
 * that ended right then, or its part, which comes into force with the others'.  Nor where
 * this node has had the list, and a head comes so late (by these clocks) that who wrote
 * it has told it already (GAINS_SETTLE_MS): what reached this node's subscribers
 * meanwhile was not taken for theirs.
 *
 * Weak point: who changed a list and ended right then tells it at his next start, and not
 * where another node has changed it before that, and he had no such list before. */
bool share_is_copy(
    const struct share_core *s, const struct share_head *const *head, size_t n);
/* A list (source "shared"), or this node's part of one ("files"), had vanished, or was
 * older there, and is written again. */
void share_tell_lost(struct share_core *s, const char *name, const char *source);

#endif
