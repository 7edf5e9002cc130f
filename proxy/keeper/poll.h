/* poll.h - asks by OCSP for what is watched and what no list tells of.
 *
 * A certificate is polled, each watch-interval, while it stands on a watchlist, its
 * issuer is configured with responders, and the issuer's lists tell of nobody: there is
 * none, one is not in force or past its nextUpdate, or all are about CA certificates
 * only.  Lists that are all in date, configured or learnt, are left to tell, whatever
 * `absent` makes of who is on none of them; lists that are still to be opened are waited
 * for.  Not polled is what has ended (notAfter), what was revoked for good, and who is
 * verified and names a list that is in date, whatever the others are.
 *
 *	tick (1 s)  who is to be polled, and how many certificates that are
 *	step        the next of the issuer's (poll_walk.h), when its time has come:
 *	            asked less than half an interval ago -> the one after it
 *	            else -> flight without waiters (FLIGHT_POLL) -> admit -> polled.h
 *
 * Evenly: n certificates have watch-interval/n each, up to a tenth of it less by chance,
 * and the walk goes round without a pause, so each comes once a round, and a new one
 * within one.  A start, a reload or a long list changes that distance and nothing else:
 * there is no storm.  The walk begins at a place of chance, so that nodes, and who is
 * started again and again, leave nobody out.
 *
 * Within the bounds of everybody who fetches (upstream.h), and below them: a quarter of
 * max-in-flight at most, nothing while another fetch of the issuer waits for its turn,
 *and nothing while all its responders are in back-off; then one alone, until it has an
 * answer.  What could not be asked for is tried again soon, a few times; so are not
 * answers that were refused, which wait for the next round.  What the bounds hold up is
 * late, and a round that takes longer than its interval is told (polls_behind).
 *
 * An answer of a poll goes to the store, and into the hot table only in the place of one
 * that is held: those that clients use are not pushed out by a million that nobody asks
 * for, and the first client's question is one look into the store.  Its status is kept
 * beside (polled.h), for everybody who judges by evidence.h.
 *
 * As it begins, what the store has of all of them is read, so that who asks for statuses
 * need not wait for a round after each start.
 *
 * Nodes that share a store: what one has written is read by those who poll the
 * certificate too (polls_hear()), and counts as asked there.
 *
 * Weak point: certificates on several lists are counted once only after a whole round
 * over the same lists; the round before is shorter, and asks as often as each half of
 * watch-interval.
 *
 * Keeper's thread.
 */
#ifndef PROXY_KEEPER_POLL_H
#define PROXY_KEEPER_POLL_H

#include "proxy/keeper/flight.h"

struct polls;

/* All borrowed for life.  NULL when out of memory. */
struct polls *polls_new(const struct context *context,
    const struct evidence_sources *evidence, struct flights *flights,
    struct source *source);
void polls_free(struct polls *u); /* after flights_cancel() */

/* Once a second. */
void polls_tick(struct polls *u);
/* Another node has written k. */
void polls_hear(struct polls *u, const struct key *k);
/* A reload: what was heard of issuers that are others now counts no longer. */
void polls_reload(struct polls *u, const struct issuers *old, const struct issuers *new);

struct poll_state {
	size_t certificates; /* that are polled, as far as is known; 0: it is not */
	int64_t behind_s;    /* by how much the next one is late */
};
void polls_state(const struct polls *u, const char *issuer, struct poll_state *out);

#endif
