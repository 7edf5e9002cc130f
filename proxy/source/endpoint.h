/* endpoint.h - a responder's URL: how it is asked, and whether what answers there is
 * well.
 *
 * By GET, which caches on the way can answer.  But POST is what every responder takes
 * (RFC 6960 appendix A.1), and many fronts refuse a path with %2F, or GET.  Where the
 * same question was answered by POST after a GET had brought no answer, POST it is for
 * ENDPOINT_POST_MS; then GET is tried again.  One certificate alone does not say so: it
 * counts when its key was answered before, or while no GET has been answered yet.
 *
 * What one certificate gets is that certificate's own: anybody can ask for serials that a
 * responder knows nothing of, and it may say 404, 500, internalError or nothing to them.
 * So an endpoint is unwell only when
 *
 *   - it cannot be reached (name, connection, TLS), whoever asked; or
 *   - ENDPOINT_SEVERAL different keys that were answered before get no whole answer in
 *     time, or a 5xx, with no success for such a key between.
 *
 * A success is any other HTTP status and any OCSP response, errors too.  Keys that were
 * never answered count in neither direction, but for an answer that is admitted.
 *
 * An unwell endpoint pauses, then one probe finds out.  The probe's key is one that was
 * answered before: its failure means something, and strangers cannot take its place; the
 * last few are remembered for that (endpoint_vouched()).  Where there is none yet,
 * nothing but a connection can have failed, and anybody's question will do.
 *
 * Pure but for memory of its own: time and pauses come from the caller, and nothing is
 * logged.  Keeper's thread.
 */
#ifndef PROXY_SOURCE_ENDPOINT_H
#define PROXY_SOURCE_ENDPOINT_H

#include "cache/base/key.h"
#include "proxy/http/fetch.h"

#define ENDPOINT_POST_MS INT64_C(86400000) /* a day */
#define ENDPOINT_SEVERAL 3
#define ENDPOINT_VOUCHED 4 /* keys that are remembered: one may go bad by itself */

struct endpoint {
	bool get_answers; /* one by GET was admitted since POST last had to step in */
	int64_t post_until_ms;             /* monotonic */
	int failures;                      /* in a row; 0: it is well */
	int64_t failed_at_ms, retry_at_ms; /* monotonic; with failures > 0 */
	const void *probe; /* who finds out, after the pause; NULL: nobody yet */
	/* Changes whenever it becomes unwell or well: of the fetches that are under way
	 * then, none counts any more. */
	unsigned epoch;
	struct key failing[ENDPOINT_SEVERAL];
	unsigned failing_n;
	struct endpoint_vouched {
		struct key key;
		void *whose; /* the caller's; NULL: empty */
	} vouched[ENDPOINT_VOUCHED];
	unsigned vouched_next, probed_next;
};

/* Is it asked by POST now? */
bool endpoint_posts(const struct endpoint *p, int64_t now_ms);
/* An answer was admitted, by GET, or (post) by POST because GET brought none just before.
 * known: its key was answered before. */
void endpoint_answered(struct endpoint *p, bool post, bool known, int64_t now_ms);

/* What the ending of a fetch says about the endpoint, when it says anything. */
enum endpoint_word {
	ENDPOINT_SILENT, /* our own fault, or too little time was left (fair is false) */
	ENDPOINT_FINE,
	ENDPOINT_SICK, /* reached, but no whole answer, or a 5xx */
	ENDPOINT_AWAY  /* not reached */
};
enum endpoint_word endpoint_word(const struct fetch_result *f, bool fair);

/* May who ask now?  known: its key was answered before. */
bool endpoint_may_be_asked(
    const struct endpoint *p, const void *who, bool known, int64_t now_ms);

/* A fetch that began in this epoch has ended. */
struct endpoint_news {
	enum endpoint_word word;
	const struct key *key;
	bool known;    /* as it was when the fetch began */
	bool admitted; /* its answer came through the one door */
	unsigned epoch;
};
enum endpoint_change {
	ENDPOINT_AS_BEFORE,
	ENDPOINT_FELL, /* unwell, perhaps once more: upstream_fetch.c sets retry_at_ms */
	ENDPOINT_ROSE  /* failures, as they were, are the caller's to clear */
};
enum endpoint_change endpoint_heard(
    struct endpoint *p, const struct endpoint_news *news, int64_t now_ms);
/* Well again: also by the operator's word.  Nothing that is known is forgotten. */
void endpoint_clear(struct endpoint *p);

/* Remember a key that was answered here, or elsewhere before (copied; whose is borrowed
 * for life). */
void endpoint_vouch(struct endpoint *p, const struct key *k, void *whose);
bool endpoint_has_answered(const struct endpoint *p); /* is any remembered? */
/* One to probe with, another each time; NULL for none. */
const struct endpoint_vouched *endpoint_vouched(struct endpoint *p);

#endif
