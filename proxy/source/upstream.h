/* upstream.h - the source that asks an issuer's OCSP responders.
 *
 * For each issuer a queue with three bounds: fetches under way (max-in-flight), started
 * in a second (fetch-rate, a token bucket of one second's worth), waiting (max-waiting);
 * for each responder host fetches under way (host-max-in-flight) and, for each responder
 * URL, health (endpoint.h) and back-off.  An ask over a bound waits its turn, first come
 * first served, and one issuer's queue never holds up another's.
 *
 * Keys that were answered before (source.h) and strangers are two classes: they take
 * turns, and of each bound but the rate strangers never have more than all but a quarter
 * (all but one of fewer than 8; of a bound of 1 nothing is kept free).  So no flood of
 * serials stands in the way of a refresh for longer than a turn (T13), and no wave of
 * refreshes in that of a new certificate.
 *
 * An ask goes through the responders in order of preference, but for those in back-off
 * (all of them: ERR_UP_BACKOFF at once).  The first ask for a key that was answered
 * before is the probe after the pause; when a stranger comes first, one is made with such
 * a key.  The time that is left is shared out over the responders that are left, so that
 * one that hangs does not use it all.
 *
 * By GET when the whole URL is at most 255 bytes (RFC 9919 section 5), the responder's
 * URL has no query, which a path cannot be put behind, and endpoint.h does not know
 * better; by POST otherwise.  A GET that brings no OCSP answer (another status than 200,
 * no OCSPResponse, malformedRequest, an end in the middle) is followed by a POST there
 * before anybody else is asked, in the ask's own time, and what that brings is the
 * responder's word.  A GET that times out is not.
 *
 * What one key gets, an HTTP error or an OCSP error, is told to its asker and concerns
 * nobody else; endpoint.h says when a responder is unwell.  Then its back-off starts:
 * doubling, jitter, capped.  A timeout says nothing when the ask had waited so long for
 * its turn that less than half of a full share was left; and of the fetches that were
 * under way together when a responder became unwell, none counts any more.  An answer's
 * Content-Type is only an error (ERR_UP_TYPE) when the judge refuses it as well.  An ask
 * whose turn never came in its time ends as ERR_UP_BUSY.
 *
 * Health is kept by URL and survives a reload; URLs, hosts and issuer names are never
 * forgotten, about 2 KiB for each URL that was ever configured.  Keeper's thread.
 */
#ifndef PROXY_SOURCE_UPSTREAM_H
#define PROXY_SOURCE_UPSTREAM_H

#include "cache/base/backoff.h"
#include "cache/ocsp/source.h"
#include "proxy/base/metrics.h"
#include "proxy/http/fetch.h"

struct upstream_config {
	int timeout_ms;  /* upstream-timeout */
	size_t max_size; /* response-max-size */
	unsigned host_max_in_flight;
	struct backoff backoff; /* of a responder that failed */
};

struct upstream_health {
	bool asked;          /* a question to it has ended; else nothing is known of it */
	bool healthy;        /* not in back-off */
	int failures;        /* in a row, that it was found unwell by */
	int64_t retry_in_ms; /* 0: may be asked */
	const char *last_error;   /* label of err.h, and what the fetch said behind ": ";
				   * or ""; until the loop turns */
	uint64_t fetches, failed; /* since start */
};
struct upstream_load {
	unsigned in_flight, waiting;
};

/* *source is owned by the caller and freed with upstream_free, never from a callback;
 * done is not called for asks that are still under way then.  base, f and counters are
 * borrowed for its life, c is copied.  NULL when out of memory. */
struct source *upstream_new(struct event_base *base, struct fetcher *f,
    const struct upstream_config *c, struct counters *counters);
void upstream_free(struct source *s);
void upstream_configure(struct source *s, const struct upstream_config *c);
void upstream_health(
    const struct source *s, const char *url, struct upstream_health *out);
void upstream_load(const struct source *s, const char *issuer, struct upstream_load *out);
/* Forget the back-off of an issuer's responders: POST /v1/refresh asks at once. */
void upstream_retry_now(struct source *s, const struct issuer *i);

#endif
