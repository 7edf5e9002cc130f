/* ari_pace.h - when a CA may be asked for renewal information, and when again for one
 * certificate.
 *
 * Politely (RFC 9773 section 4.3; the CA's word counts): at most ari-rate questions a
 * second and ARI_IN_FLIGHT at a time, never a certificate before its Retry-After is over,
 * nothing at all while the CA says 429 or 503.
 *
 * Evenly: who is new is asked as soon as the rate allows, so that a fleet that was just
 * put there knows soon; those of one PUT then would come back together, round after
 * round.  So the second question comes up to a round later than it might, by chance, and
 * each one after that up to a twentieth: never earlier.  A restart changes nothing, since
 * times are kept.
 *
 * Values and pure functions: times and chance (0..65535) come from the caller.
 */
#ifndef PROXY_WATCH_ARI_PACE_H
#define PROXY_WATCH_ARI_PACE_H

#include "cache/watch/ari_state.h"

#define ARI_IN_FLIGHT 2 /* to one CA: keep-alive, and one that hangs is no stop */
/* Where the CA says nothing: what RFC 9773 section 4.3.3 asks of who cannot tell. */
#define ARI_DEFAULT_S   (6 * 3600)
#define ARI_NOT_FOUND_S 86400 /* 404: it does not know the certificate, or not yet */
#define ARI_RETRY_S     60    /* after the first failure; doubled, to ARI_DEFAULT_S */

struct ari_bounds {           /* of the configuration */
	int64_t min_s, max_s; /* ari-interval-min, ari-interval-max */
};

/* One CA (a directory); zeroes: it was never asked. */
struct ari_pace {
	int64_t free_us;      /* monotonic: the next question by the rate */
	int64_t halted_until; /* seconds since 1970; 0: it is not */
	unsigned in_flight;
};
/* May it be asked now?  False: *wait_us, how long to wait at least; 0: until an answer
 * has come. */
bool ari_pace_may(
    const struct ari_pace *p, int64_t now_us, int64_t now_s, int64_t *wait_us);
/* A question goes out; rate: 1.., a second. */
void ari_pace_asks(struct ari_pace *p, int64_t now_us, unsigned rate);
void ari_pace_answered(struct ari_pace *p);

/* What came of a question. */
enum ari_outcome {
	ARI_ANSWERED,  /* 200, and it could be read */
	ARI_NOT_FOUND, /* 404 */
	ARI_HALT,      /* 429 or 503: the whole CA */
	ARI_FAILED     /* everything else: no connection, another status, no answer */
};
enum ari_outcome ari_outcome(int status, bool readable);

/* Seconds that Retry-After asks for, an HTTP-date or a number (RFC 9110 section 10.2.3);
 * -1: absent, or neither.  now: by the answer's Date, where it has one, else ours: a CA
 * whose clock is wrong means its own. */
int64_t ari_retry_after(const char *text, int64_t now);

/* The certificate's state moves on: asked_at, next_at, failures.  retry_after: of
 * ari_retry_after(). */
void ari_pace_next(struct ari_state *s, enum ari_outcome outcome, int64_t retry_after,
    int64_t now_s, const struct ari_bounds *b, unsigned chance);
/* The CA is left alone. */
void ari_pace_halt(
    struct ari_pace *p, int64_t retry_after, int64_t now_s, const struct ari_bounds *b);

/* Is its round over the longest interval?  Of whom is due first. */
bool ari_is_behind(
    const struct ari_state *first_due, int64_t now_s, const struct ari_bounds *b);

#endif
