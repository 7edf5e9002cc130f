/* incident_upload.h - what a PUT of an incident does otherwise than one of a watchlist
 * (watch_upload.h): whose each serial is, what is said of all, how many are watched.
 *
 * A token that has some issuers announces certificates of these alone: a line that names
 * another is bad, and a serial that names none is one of each of its own.
 *
 * The inventory thread.
 */
#ifndef PROXY_WATCH_INCIDENT_UPLOAD_H
#define PROXY_WATCH_INCIDENT_UPLOAD_H

#include "cache/watch/inventory.h"
#include "cache/watch/watch_draft.h"
#include "proxy/base/access.h"
#include "proxy/watch/refusal.h"

struct incident_upload;

/* about: handed over, also on failure; access: borrowed for life, or NULL.  NULL when out
 * of memory. */
struct incident_upload *incident_upload_new(struct watch_context *context,
    struct incident_about *about, const struct access *access);
void incident_upload_free(
    struct incident_upload *u); /* NULL is allowed; nothing counts */
const char *incident_upload_name(const struct incident_upload *u);

/* Before anything is read: 404 (?issuer=), 403 (one of the name has serials of others
 * than the token's issuers), 503.  False: it may begin. */
bool incident_upload_is_refused(const struct incident_upload *u, struct refusal *r);
/* Into a draft that is empty: what is said of all.  As watch_draft_add(). */
enum err incident_upload_begin(const struct incident_upload *u, struct watch_draft *d);
/* A line's serial.  ERR_REQ_ISSUER: not an issuer of the token. */
enum err incident_upload_add(
    struct incident_upload *u, struct watch_draft *d, const struct watch_cert *c);

/* It is in force: how many of what is watched stand on it?  done: once, from the loop;
 * counted false: that is not known.  False: nothing was begun. */
bool incident_upload_count(struct incident_upload *u,
    void (*done)(void *arg, bool counted, size_t hit), void *arg);

/* May who calls change this incident, of this inventory: are all of its serials those of
 * his issuers? */
bool incident_is_reached(
    const struct access *a, const struct inventory *v, const struct incident *i);
/* Is one at least? */
bool incident_is_seen(
    const struct access *a, const struct inventory *v, const struct incident *i);
/* 404, or 503 while those of the shared store are not known; 403. */
void refusal_of_incident(struct refusal *r, const struct watch_context *context);
void refusal_of_reach(struct refusal *r);

#endif
