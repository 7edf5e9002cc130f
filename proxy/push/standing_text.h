/* standing_text.h - the notices in force, as the last part of a snapshot: "event:
 * snapshot" with the data of "event: notices".
 *
 * What a snapshot says is revoked already is announced no more, and passed over.  The
 * rest is a walk through what is watched: through one list, or through all of them, each
 * certificate once.  It is as the inventory is at that moment, slice by slice, which is
 * never older than the snapshot: what has come since is told again behind it, or taken
 * back there.  So a slow reader holds no inventory.
 *
 * The API's thread.
 */
#ifndef PROXY_PUSH_STANDING_TEXT_H
#define PROXY_PUSH_STANDING_TEXT_H

#include "proxy/push/announcer.h"
#include "proxy/push/watch_text.h"

/* Where a reader is; starts as zeros. */
struct standing_cursor {
	size_t issuer; /* of the snapshot */
	uint32_t ca;   /* 0: the issuer's first */
	char key[ANNOUNCER_KEY_MAX];
	bool inside; /* of the announcer of this key; else behind it, or before all */
	bool after;  /* behind `last`, which was looked at */
	struct watched last;
};

/* A slice: writes one event at most into w->out; w->changes: how many notices it has.
 * Without a list in w: of all certificates that are watched, with neither names nor
 * labels.  False: that was all.  Out of memory w->out has failed. */
bool standing_text_next(
    struct watch_view *w, const struct snapshot *s, struct standing_cursor *c);

#endif
