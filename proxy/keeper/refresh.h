/* refresh.h - keeps what is held fresh: by the schedule, and by what other nodes write.
 *
 * An answer that is used is fetched anew at its due time; one that is not is looked at
 * again later, until it ends.  A refresh that failed is tried again while its answer
 * lives, sooner as the end comes nearer.  An issuer's refreshes use at most half of its
 * fetches: the rest is for clients who wait.
 *
 * Keeper's thread.
 */
#ifndef PROXY_KEEPER_REFRESH_H
#define PROXY_KEEPER_REFRESH_H

#include "proxy/keeper/flight.h"

struct refreshes;

/* All borrowed for life.  NULL when out of memory. */
struct refreshes *refreshes_new(
    const struct context *context, struct answers *answers, struct flights *flights);
void refreshes_free(struct refreshes *u); /* after flights_cancel() */

/* Start what is due: to be called when schedule_next() has come. */
void refreshes_due(struct refreshes *u);

/* Another node has written k, or anything may have changed: what is held is compared with
 * the store, and stays until something better was admitted. */
void refreshes_compare(struct refreshes *u, const struct key *k);
void refreshes_compare_all(struct refreshes *u);

/* By how much the oldest refresh is late that is due or under way, in seconds (T28). */
int64_t refreshes_overdue_s(const struct refreshes *u);

#endif
