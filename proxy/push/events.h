/* events.h - subscribers: Server-Sent Events to each at its own pace.
 *
 * A subscriber is a socket and a position in the change log.  At the end of the log it
 * costs its struct and nothing else; what comes is formatted once (per batch and thousand
 * changes) and the same bytes are written to everybody, directly, in slices of
 * EVENTS_SLICE subscribers a turn, so that other requests are answered in between.  Who
 * is behind the window of recent batches reads the log through the keeper; nobody gets
 * there while he has his turn still to come (events.c).  Whose socket
 * is full keeps its place and how many bytes of what is there it has had; who takes
 * nothing for subscriber-timeout, or a snapshot at a trickle (proxy/http/pace.h), is cut
 * off and never waited for.
 *
 * Who has a watchlist is told what concerns its certificates, with their names and
 * labels: the batches are the same, and are looked through at its own pace
 * (watch_text.h).  The list is looked up by name each time, so that a stream goes on with
 * one that replaces it.  When it is deleted, the stream ends, within position-interval:
 * one that stayed open and silent would look like a fleet of which nothing is revoked,
 * and who comes back is told by a 404.
 *
 * Notices and alarms go the same way as changes (change.h): whatever is said of changes
 * here is true of them.
 *
 * A new subscriber is put in the list before the log is read for it: nothing can fall
 * between replay and live (P37).
 *
 * The API's thread.
 */
#ifndef PROXY_PUSH_EVENTS_H
#define PROXY_PUSH_EVENTS_H

#include "cache/watch/watch_list.h"
#include "proxy/base/shared.h"
#include "proxy/http/conn.h"
#include "proxy/tell/teller.h"

#define EVENTS_SLICE 256 /* an unsliced burst holds the loop for 55 ms */

struct events;

struct events_query {                   /* of GET /v1/events, checked */
	char issuer[64];                /* "": all */
	char watchlist[WATCH_NAME_MAX]; /* "": all; else what stands on it, with names */
	bool has_since;
	struct change_pos since;
	bool bad_since; /* given, but no id of ours: answered with a gap */
	char since_text[CHANGE_POS_TEXT_MAX]; /* as given; cut where it does not fit */
	/* What is revoked already comes first; with a since only where that is no longer
	 * kept. */
	bool snapshot;
	bool json;             /* Accept: application/json: one page and no stream */
	struct access *access; /* who asks: borrowed, or NULL */
};

/* own: the API's inbox. */
struct events *events_new(struct shared *shared, struct event_base *base,
    struct inbox *own, struct counters *counters);
void events_free(struct events *e);
/* Serve this request: takes the connection over (conn_detach), or answers it, now or
 * later.  false: the connection was left as it is and *status says why (503: too many,
 * stopping, out of memory; 404: no such issuer or watchlist). */
bool events_serve(
    struct events *e, struct conn *c, const struct events_query *q, int *status);
/* The client of a parked request has gone.  false: that is none of ours. */
bool events_gone(struct events *e, const void *parked);
/* The run of a struct teller_news's msg (proxy/tell/teller.h), with arg the API's; api.c
 * finds its events.  n is handed over. */
void events_news(struct events *e, struct teller_news *n);
void events_drain(struct events *e); /* close all streams, for good */
/* Close the streams of whom keep() does not want: tokens that a reload took away. */
void events_keep(
    struct events *e, bool (*keep)(void *arg, const struct access *a), void *arg);
size_t events_count(const struct events *e);
/* Questions at the keeper; the API does not end before it is 0. */
size_t events_asking(const struct events *e);
/* Called each time that it becomes 0. */
void events_on_idle(struct events *e, void (*idle)(void *arg), void *arg);
/* The configuration in force has changed: limits and intervals. */
void events_reload(struct events *e);

#endif
