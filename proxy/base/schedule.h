/* schedule.h - when each key is next looked at: a heap of due times.
 *
 * Holds keys, not answers: what is due is looked up again, so nothing here can dangle.
 * One due time for each key; setting it again moves it.  Pure data structure without a
 * clock; keeper's thread.
 */
#ifndef PROXY_BASE_SCHEDULE_H
#define PROXY_BASE_SCHEDULE_H

#include "cache/base/key.h"

struct schedule;

struct schedule *schedule_new(uint64_t seed); /* NULL when out of memory */
void schedule_free(struct schedule *s);

/* ERR_OK, ERR_NOMEM.  O(log n). */
enum err schedule_set(struct schedule *s, const struct key *k, int64_t due_ms);
bool schedule_cancel(struct schedule *s, const struct key *k);
/* The earliest due time, or INT64_MAX. */
int64_t schedule_next(const struct schedule *s);
/* Take the earliest key if it is due at now_ms. */
bool schedule_take(struct schedule *s, int64_t now_ms, struct key *k, int64_t *due_ms);
size_t schedule_count(const struct schedule *s);
bool schedule_due(const struct schedule *s, const struct key *k, int64_t *due_ms);

/* 0..65535, to spread due times; keeps no secret. */
unsigned schedule_random(struct schedule *s);

/* When to refresh an answer that is valid from `from` to `to` and was obtained at `now`
 * (all wall clock, ms): refresh_at percent of its validity, spread by jitter percent of
 * it before and after (random: 0..65535), not sooner than min_ms and not later than
 * max_ms from now, and in any case before `to`. */
int64_t schedule_refresh_at(int64_t from, int64_t to, int64_t now, int refresh_at,
    int jitter, int64_t min_ms, int64_t max_ms, unsigned random);

#endif
