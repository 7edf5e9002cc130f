/* ari_redis.h - renewal information that nodes share through Redis: who asks a CA, and
 * what is known of each certificate.  The layout is at the top of ari_redis.c.
 *
 * Redis is trusted with nothing: a state without a good MAC is none.  Who may write to it
 * can bring back older ones, or take them away: a certificate is asked for sooner than
 * its CA said, or a notice is told again; none is made up.
 *
 * Each call is answered once, from the loop, possibly before it returns, and with
 * ERR_CANCELLED when this is closed.  ERR_STORE, ERR_STORE_TIMEOUT: Redis is away, was
 * lost in the middle, or refuses; a write may have been done.  ERR_STORE_FULL: it has no
 * room.  ERR_NOMEM.
 *
 * One thread: that of the loop.
 */
#ifndef CACHE_WATCH_ARI_REDIS_H
#define CACHE_WATCH_ARI_REDIS_H

#include "cache/base/mac.h"
#include "cache/redis/redis_link.h"
#include "cache/watch/ari_db.h"

/* So long a lease lasts where it is not kept. */
#define ARI_LEASE_MS 12000
/* Of a lease: the node's id, and random octets of its run.  A node that was killed takes
 * its own lease without waiting. */
#define ARI_NODE_N  16
#define ARI_TOKEN_N 32
/* Rows of one save, and of one ari_redis_get(). */
#define ARI_SAVE_MAX 64

struct ari_redis;

struct ari_redis_use {
	const struct mac_keys *keys; /* store-key-file's; borrowed for the call */
	uint8_t token[ARI_TOKEN_N];
	void (*up)(void *arg);
	void (*settled)(void *arg); /* once: it is up, or was found away */
	void (*news)(void *arg);    /* there may be other notices */
	void *arg;
};

/* c: its prefix is copied, max_value is ours.  ERR_STORE with a line in why: the URL. */
enum err ari_redis_open(struct ari_redis **out, const struct redis_link_config *c,
    const char *url, const struct ari_redis_use *use, char *why, size_t why_n);
void ari_redis_close(struct ari_redis *r); /* NULL is allowed */
void ari_redis_health(const struct ari_redis *r, struct redis_health *out);

typedef void ari_redis_done_fn(void *arg, enum err e);

/* Who asks at a directory. */
enum ari_lease {
	ARI_OTHERS, /* another node does */
	ARI_TAKEN,  /* we do from now on: another may have, until just now */
	ARI_KEPT    /* we did, and do */
};
/* version: of the notices; other notices, another version.  0: there never were any. */
typedef void ari_redis_lease_fn(
    void *arg, enum err e, enum ari_lease lease, uint64_t version);
/* Take it, or keep it; ours for ARI_LEASE_MS from when it is done. */
void ari_redis_take(
    struct ari_redis *r, const char *directory, ari_redis_lease_fn *done, void *arg);
/* Give it back, where it is ours. */
void ari_redis_leave(
    struct ari_redis *r, const char *directory, ari_redis_done_fn *done, void *arg);

/* Write states (n up to ARI_SAVE_MAX; copied), in one step, and keep the lease.
 * ERR_CONFLICT: it is not ours (any more), and nothing was written.  fresh: the version
 * of the notices from now on, if these change them; *before in done: the one until now.
 */
typedef void ari_redis_saved_fn(void *arg, enum err e, uint64_t before, bool news);
void ari_redis_save(struct ari_redis *r, const char *directory,
    const struct ari_row *rows, size_t n, uint64_t fresh, ari_redis_saved_fn *done,
    void *arg);

/* Reading. */
enum ari_redis_what {
	ARI_STATES,
	ARI_NOTICES /* of those alone that are under a notice, or whose is untold;
		       asked_at may be that of an earlier answer which said the same */
};
typedef void ari_redis_each_fn(
    void *arg, const struct ari_who *w, const struct ari_state *s);
/* refused: so many were none of ours.  next: where to go on; 0: that was all. */
typedef void ari_redis_page_fn(void *arg, enum err e, uint64_t next, size_t refused);
/* A page from `from` on, the first one 0.  Who is written meanwhile may come twice or
 * not. */
void ari_redis_page(struct ari_redis *r, enum ari_redis_what what, uint64_t from,
    ari_redis_each_fn *each, ari_redis_page_fn *done, void *arg);
/* The states of these: each with NULL for one that is not there. */
void ari_redis_get(struct ari_redis *r, const struct ari_who *w, size_t n,
    ari_redis_each_fn *each, ari_redis_page_fn *done, void *arg);

#endif
