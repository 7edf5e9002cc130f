/* incident_calls.h - GET /v1/incidents, with a name or without, and DELETE of one.
 *
 * How many of what is watched stand on an incident, and how far these have come
 * (incident_progress.h), is counted when it is asked for, and kept while the inventory is
 * the same, and for COUNTS_KEEP times what it took (counts.h); who asks during a count
 * gets that one.  It is of what a token reaches: another one's is counted behind it.
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_INCIDENT_CALLS_H
#define PROXY_WATCH_INCIDENT_CALLS_H

#include "proxy/watch/watch_ask.h"

struct incident_calls;

struct incident_calls *incident_calls_new(
    struct watch_context *context); /* NULL: out of memory */
void incident_calls_free(
    struct incident_calls *c); /* nothing is asked; NULL is allowed */
/* The inventory is another: what was counted holds the old one's memory no longer. */
void incident_calls_forget(struct incident_calls *c);

void incident_calls_get(struct incident_calls *c, struct watch_ask *a);
void incident_calls_drop(struct incident_calls *c, struct watch_ask *a);

#endif
