/* flight_core.h - a flight and the set of them, for the parts of flight.h only.
 *
 *	flights.c      who asks, joins, is told, and gives up: the set
 *	flight.c       the steps of one flight, from its lists to its end
 *	flight_asks.c  the clients who wait for it
 *
 * One way: the set calls the steps, and these the asks.  What a step has ended stands in
 * `over`, where the set finds it in the same turn.
 */
#ifndef PROXY_KEEPER_FLIGHT_CORE_H
#define PROXY_KEEPER_FLIGHT_CORE_H

#include <event2/event_struct.h>
#include <sys/queue.h>

#include "proxy/keeper/flight.h"
#include "proxy/lists/crl_feed.h"

/* Chains stay short up to max-waiting's default of 10,000. */
#define FLIGHT_BUCKETS 4096

enum flight_state {
	FLIGHT_LISTS, /* to be opened */
	FLIGHT_READING,
	FLIGHT_LEASING,
	FLIGHT_WAITING, /* for another node */
	FLIGHT_FETCHING,
	FLIGHT_OVER, /* its wants are to be told; nobody finds it any more */
	FLIGHT_CANCELLED
};

struct want { /* somebody on this thread who waits for the outcome */
	struct want *next;
	flight_done_fn *done;
	void *arg;
};

struct flight {
	LIST_ENTRY(flight) link;   /* of the bucket */
	STAILQ_ENTRY(flight) over; /* FLIGHT_OVER */
	struct flights *all;
	struct key key;
	enum flight_state state;
	enum flight_why why;
	struct ask *first, *last;
	struct want *wants;
	struct source_ask *source_ask;
	struct crl_wait lists; /* FLIGHT_LISTS */
	struct event timer;    /* FLIGHT_WAITING */
	int look_ms;
	bool has_held;
	bool leased;
	bool has_seen;    /* seen is what the store had when it was read last */
	bool seen_change; /* and it had changed before the lease was asked for */
	bool news;        /* another node has written since */
	struct store_seen seen;
	bool again;        /* the operator asked while a fetch was under way */
	bool force_put;    /* what the store had was refused */
	bool contradicted; /* what was fetched is not what the lists say */
	bool unjudged;     /* a list came meanwhile that is not opened */
	struct facts
	    held; /* the newest that was ever verified under this key, in date or not */
	const struct answer *got; /* set by the judge; then the outcome, with: */
	enum err error;
	enum tier tier;
};

LIST_HEAD(flight_bucket, flight);
STAILQ_HEAD(flight_queue, flight);

struct flights {
	const struct context *context;
	const struct door *door;
	struct answers *answers;
	struct source *source;
	struct store *store;
	struct crl_feed *crl_feed;
	struct flight_bucket bucket[FLIGHT_BUCKETS];
	uint64_t seed;
	size_t n;
	bool cancelled;
	struct ask *newest, *oldest; /* of all flights */
	struct event timeout;        /* of the oldest ask */
	struct flight_queue over;
	struct event over_now; /* only ever made active: it comes in this turn */
};

static inline const struct conf *flights_conf(const struct flights *fs)
{
	return shared_conf(fs->context->shared);
}
/* NULL where a reload took it away. */
static inline const struct issuer *flights_issuer(
    const struct flights *fs, const struct key *k)
{
	return issuers_find(flights_conf(fs)->issuers, k, NULL);
}

/* Steps: each may end the flight, so it is the last thing done with it. */
void flight_begin(struct flight *f);
void flight_read_store(struct flight *f);
void flight_fetch(struct flight *f);
/* Somebody waits no longer.  A flight that nobody waits for goes on for those who come
 * later, but not while it has not begun: lists that cannot be opened would gather flights
 * for ever. */
void flight_leave(struct flight *f);
/* No steps. */
void flight_note_held(struct flight *f, const struct facts *facts);
/* Those who asked for what is cached only are not made to wait for a fetch. */
void flight_answer_cached(struct flight *f);
void flight_on_look(evutil_socket_t fd, short what, void *arg); /* of its timer */
void flight_unlink(struct flight *f);
/* Its steps come to nothing; it stays, since store and source may still call back. */
void flight_cancel(struct flight *f);
void flight_free(struct flight *f);

/* Asks: in the list of their flight and in the list of all, oldest first. */
void flight_ask_add(struct flight *f, struct ask *a);
/* The caller arms the timer of the oldest when it has removed all that it will. */
void flight_ask_remove(struct ask *a);
void flight_answer_all(
    struct flight *f, const struct answer *a, enum err e, enum tier tier);
void flight_timeout_arm(struct flights *fs);

#endif
