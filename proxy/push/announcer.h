/* announcer.h - who announces certificates of a CA now: what is in force of notices, for
 * snapshots.
 *
 * An announcer is what one head of an event speaks for: one incident.  They are had one
 * after the other in the order of their keys, each from the inventory as it is at that
 * moment, so that whoever walks slowly keeps a key and no inventory.
 *
 * Weak point: what ARI announces is not among them.  It stands in a file that belongs to
 * another thread (ari_db.h), so a snapshot is without it, and who needs it reads the log
 * from its oldest place on.  It would be announcers as well, one for each URL that a CA
 * explains with, behind the incidents, with the window from announcer_has(); nobody else
 * would have to know.
 *
 * A plain value that borrows the inventory.  Any thread.
 */
#ifndef PROXY_PUSH_ANNOUNCER_H
#define PROXY_PUSH_ANNOUNCER_H

#include "cache/watch/inventory.h"
#include "proxy/push/notices_text.h"

#define ANNOUNCER_KEY_MAX WATCH_NAME_MAX

struct announcer {
	const char *key;          /* borrowed: of the incident */
	struct notices_head head; /* but for issuer and seen_at, which are the caller's */
	struct incident_of of;
};

/* The first that may have certificates of this CA and whose key is not before `key` ("":
 * the first of all); behind: not that one itself.  False: there is none. */
bool announcer_next(struct announcer *a, const struct inventory *v, uint32_t ca,
    const char *key, bool behind);
/* Does it announce the certificate of an entry (either kind: crl_order())?  *window: what
 * it says of it, zeros for nothing. */
bool announcer_has(
    const struct announcer *a, const void *entry, struct change_window *window);

#endif
