/* poll_pace.h - when the next certificate is due: n of them in an interval, evenly, round
 * and round.
 *
 * The distance between two is interval/n, up to a tenth of it less by chance.  Another n
 * or interval changes the distance and nothing else.  A round that is late is not made up
 * for by the one after it.
 *
 * A value, and pure functions: times (monotonic, us) and chance (0..65535) come from the
 * caller.
 */
#ifndef PROXY_KEEPER_POLL_PACE_H
#define PROXY_KEEPER_POLL_PACE_H

#include "proxy/keeper/poll_walk.h"

struct poll_pace { /* zeroes: nothing is polled */
	size_t n;  /* that are polled, as far as is known */
	int64_t due_us;
	int64_t began_us; /* the round */
	size_t counted;   /* on all lists */
	size_t walked;    /* of the round; SIZE_MAX: it began in the middle */
	double share;     /* of those counted, how many there were in a round */
	bool told;        /* that this round is behind */
};

/* So many are to be polled from now on, 0: none.  True: it begins, within one distance.
 */
bool poll_pace_set(struct poll_pace *p, const struct poll_count *count,
    int64_t interval_us, int64_t now_us, unsigned chance);
/* One has had its turn. */
void poll_pace_next(struct poll_pace *p, int64_t interval_us, unsigned chance);
/* A new round has begun, before its first one has had its turn. */
void poll_pace_round(struct poll_pace *p, int64_t now_us);
/* By how much the next one is late; 0: it is not. */
int64_t poll_pace_late_us(const struct poll_pace *p, int64_t now_us);
/* The round takes longer than its interval: true once for each. */
bool poll_pace_tells(struct poll_pace *p, int64_t interval_us, int64_t now_us);

#endif
