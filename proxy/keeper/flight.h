/* flight.h - the one ongoing attempt to get the answer for a key, with all who wait.
 *
 *	ask ---> hot table ---> joins the flight of its key, or starts one:
 *	    LISTS   the issuer's have to be opened: nothing can be judged before
 *	    STORE   read it; admitted and in date: done
 *	    LEASE   (shared store) this node fetches, or waits for the node that does, or
 *	            looks again: the store has changed since
 *	    FETCH   the issuer's source; each answer through admit()
 *	    END     what was admitted is held, and everybody who waits gets it
 *
 * A flight that fails leaves what is held in place: an answer stays until a better one
 * was admitted and never past its expiry, but for one that the issuer's lists
 * contradict, which is not served again (R71).  Those who wait then get the held
 * answer, or an error that is repeated for error-ttl, and for longer and longer while
 * what is fetched contradicts the lists.  Each client waits at most answer-timeout;
 * the flight itself goes on for those who come later.
 *
 * Keeper's thread.  A flight borrows nothing of the configuration over a turn: it finds
 * its issuer by the key each time, so that a reload needs no care here.
 */
#ifndef PROXY_KEEPER_FLIGHT_H
#define PROXY_KEEPER_FLIGHT_H

#include "cache/ocsp/source.h"
#include "proxy/keeper/ask.h"
#include "proxy/keeper/door.h"

struct flights;

/* All borrowed for life.  NULL when out of memory. */
struct flights *flights_new(const struct door *door, struct source *source,
    struct store *store, struct crl_feed *crl_feed);
/* Everybody who waits gets ERR_CANCELLED before this returns, and so does everybody who
 * asks from now on, at once.  Also twice. */
void flights_cancel(struct flights *f);
/* After flights_cancel(), and after store and source were closed: they call back into
 * flights. */
void flights_free(struct flights *f);

/* A client's question; handed over, and posted back to its reply_to exactly once. */
void flights_ask(struct flights *f, struct ask *a);

enum flight_why {       /* the stronger the later: who joins a flight never weakens it */
	FLIGHT_HEAR,    /* as COMPARE, for who polls: nothing is held for it */
	FLIGHT_COMPARE, /* read the store, fetch nothing: it has changed, or a client
			   takes only what is cached */
	FLIGHT_CLIENT,  /* somebody waits: any in-date answer will do */
	FLIGHT_POLL,    /* only one that was made within half of watch-interval, and
			   nothing is held for it but in the place of what is */
	FLIGHT_REFRESH, /* the schedule: only a newer one */
	FLIGHT_FORCE    /* the operator: ask upstream now, whatever back-off says; a fetch
			   that is under way is followed by one more */
};
/* The outcome: the answer in force at its end (borrowed for the call; NULL for none) and
 * how the attempt ended. */
typedef void flight_done_fn(
    void *arg, const struct answer *a, enum err e, enum tier tier);

/* Start or join a flight for k.  A poll that brings nothing flies again for a client who
 * has joined it: what is too old for a poll is not for him.  done may be NULL.  ERR_OK:
 * done is called exactly once, from the loop and never before this returns; at the latest
 * by flights_cancel(), with ERR_CANCELLED, and never after it.  Any other (ERR_CANCELLED,
 * ERR_NOMEM): nothing flies, and done is not called. */
enum err flights_go(struct flights *f, const struct key *k, enum flight_why why,
    flight_done_fn *done, void *arg);

/* What was heard of this certificate (s is NULL: of all of the issuer) counts no longer:
 * a flight that is under way takes what it would have taken without. */
void flights_forget(struct flights *f, const struct issuer *i, const struct serial *s);

/* Another node has written k: a flight that waits for its answer looks at once, one that
 * has looked already has the store compared when it ends.  False when no flight for k is
 * under way. */
bool flights_wake(struct flights *f, const struct key *k);

size_t flights_count(const struct flights *f);

#endif
