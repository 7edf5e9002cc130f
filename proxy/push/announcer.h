/* announcer.h - who announces certificates of a CA now: what is in force of notices, for
 * snapshots.
 *
 * An announcer is what one head of an event speaks for: one incident, or one page that
 * CAs name when they move renewal windows ahead.  They are had one after the other in the
 * order of their keys, incidents first, each from what is in force at that moment, so
 * that whoever walks slowly keeps a key and nothing else.
 *
 * A plain value that borrows the inventory and the board.  Any thread.
 */
#ifndef PROXY_PUSH_ANNOUNCER_H
#define PROXY_PUSH_ANNOUNCER_H

#include "cache/watch/ari_noticed.h"
#include "cache/watch/inventory.h"
#include "proxy/push/notices_text.h"

#define ANNOUNCER_KEY_MAX WATCH_NAME_MAX

struct announcer {
	char key[ANNOUNCER_KEY_MAX];
	struct notices_head head; /* but for issuer and seen_at, which are the caller's */
	struct incident_of of;
	/* Of a page: NULL with an incident. */
	const struct ari_noticed *ari;
	uint32_t ca, url;
};

/* The first that may have certificates of this CA and whose key is not before `key` ("":
 * the first of all); behind: not that one itself.  False: there is none. */
bool announcer_next(struct announcer *a, const struct inventory *v,
    const struct ari_noticed *ari, uint32_t ca, const char *key, bool behind);
/* Does it announce the certificate of an entry (either kind: crl_order())?  *window: what
 * it says of it, zeros for nothing. */
bool announcer_has(
    const struct announcer *a, const void *entry, struct change_window *window);

#endif
