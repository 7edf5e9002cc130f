/* incident_progress.h - of the certificates of an incident that are watched: how many are
 * replaced (replaced.h), and how many in use (usage.h)?
 *
 * Every entry of every list is looked at, some thousands in a turn of the loop; each that
 * the incident has is one certificate, on however many lists it stands, and replaced
 * where it is on one of them.
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_INCIDENT_PROGRESS_H
#define PROXY_WATCH_INCIDENT_PROGRESS_H

#include "cache/watch/incident.h"
#include "cache/watch/inventory.h"
#include "proxy/watch/watch_context.h"

struct access;
struct incident_progress;

/* Begins; references are taken.  access: only of issuers that he sees.  done: once, from
 * the loop; it is the caller's to read and free from then on.  NULL when out of memory.
 */
struct incident_progress *incident_progress_new(struct watch_context *context,
    const struct inventory *v, const struct incident *incident, struct access *access,
    void (*done)(void *arg, enum err e), void *arg);
void incident_progress_free(struct incident_progress *p); /* NULL is allowed */

size_t incident_progress_replaced(const struct incident_progress *p);
size_t incident_progress_in_use(const struct incident_progress *p);

#endif
