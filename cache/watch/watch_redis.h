/* watch_redis.h - the watchlists that nodes share through Redis: what is sent, and what
 * comes back.
 *
 * Values are passed on as they are: who asks decodes them (watch_stored.h,
 * watch_chunk.h). The layout is at the top of watch_redis.c.
 *
 * Each call is answered once, from the loop, possibly before it returns, and with
 * ERR_CANCELLED when this is closed.  ERR_STORE, ERR_STORE_TIMEOUT: Redis is away, was
 * lost in the middle, or refuses; a write may have been done.  ERR_STORE_FULL: it has no
 * room.  ERR_NOMEM.
 *
 * One thread: that of the loop.
 */
#ifndef CACHE_WATCH_WATCH_REDIS_H
#define CACHE_WATCH_WATCH_REDIS_H

#include "cache/redis/redis_link.h"
#include "cache/watch/watch_chunk.h"

struct watch_redis;

struct watch_redis_hooks {
	void (*changed)(void *arg); /* some head may be another */
	void (*settled)(void *arg); /* once: it is up, or was found away */
	void *arg;
};

/* c: its prefix is copied, max_value is ours.  ERR_STORE with a line in why: the URL. */
enum err watch_redis_open(struct watch_redis **out, const struct redis_link_config *c,
    const char *url, const struct watch_redis_hooks *hooks, char *why, size_t why_n);
void watch_redis_close(struct watch_redis *r); /* NULL is allowed */
bool watch_redis_is_up(const struct watch_redis *r);
bool watch_redis_hears(const struct watch_redis *r); /* does `changed` come? */

/* value: borrowed for the call, n 0 unless e is ERR_OK. */
typedef void watch_redis_value_fn(void *arg, enum err e, struct bytes value);
typedef void watch_redis_done_fn(void *arg, enum err e);

/* All heads: each for one after the other, then done once.  ERR_RECORD: what stands there
 * is something else. */
void watch_redis_heads(struct watch_redis *r,
    void (*each)(void *arg, struct bytes field, struct bytes value),
    watch_redis_done_fn *done, void *arg);
/* One of them; ERR_NOT_FOUND. */
void watch_redis_head(
    struct watch_redis *r, const char *field, watch_redis_value_fn *done, void *arg);

/* ERR_NOT_FOUND: it is not there any more. */
void watch_redis_chunk(struct watch_redis *r, const struct watch_chunk_place *place,
    watch_redis_value_fn *done, void *arg);
/* How many chunks of a revision are there?  ERR_NOT_FOUND: not this many. */
void watch_redis_count(struct watch_redis *r, const char *field, const uint8_t *revision,
    uint32_t chunks, watch_redis_done_fn *done, void *arg);

/* Add a piece (watch_asked.h) behind those that are there; of the last
 * WATCH_REDIS_PIECES.  value is copied. */
#define WATCH_REDIS_PIECES 2048
void watch_redis_asked_add(
    struct watch_redis *r, struct bytes value, watch_redis_done_fn *done, void *arg);
/* Those from this place on ("0": all), it and WATCH_REDIS_READ more at most: each with
 * its place, one after the other, then done once. */
#define WATCH_REDIS_READ      32
#define WATCH_REDIS_PLACE_MAX 48
void watch_redis_asked_read(struct watch_redis *r, const char *place,
    void (*each)(void *arg, struct bytes place, struct bytes value),
    watch_redis_done_fn *done, void *arg);

/* Write a chunk of a revision that no head names yet; value is copied.  What no head ever
 * names goes after a minute without a further chunk. */
void watch_redis_save(struct watch_redis *r, const struct watch_chunk_place *place,
    struct bytes value, watch_redis_done_fn *done, void *arg);

/* The change itself, in one step. */
struct watch_commit {
	const char *field;
	struct bytes expected;   /* the head that is there; n 0: none */
	struct bytes head;       /* the new one; n 0: none */
	const uint8_t *revision; /* that it names; NULL: it has no chunks */
	uint32_t chunks;
	const uint8_t *old; /* the revision that goes, or NULL: after some seconds */
};
/* ERR_CONFLICT: another head is there.  ERR_NOT_FOUND: the chunks are not all there. */
void watch_redis_commit(struct watch_redis *r, const struct watch_commit *c,
    watch_redis_done_fn *done, void *arg);

#endif
