/* store.h - the interface of every store below the hot table.
 *
 * All calls are made on the keeper's thread, and all callbacks come there.  Each
 * asynchronous call takes (done, arg) and calls it exactly once, possibly before it
 * returns, or never after store_close().  No call blocks for longer than a page fault:
 * writes to disk are handed to an executor that the caller gives (struct exec:
 * proxy/base/executor.h is ours), and Redis has timeouts of its own.
 *
 * A store is never trusted: what it returns goes through admit_record().  Its absence is
 * a miss and never an error for a client.
 */
#ifndef CACHE_STORE_STORE_H
#define CACHE_STORE_STORE_H

#include "cache/base/exec.h"
#include "cache/base/facts.h"
#include "cache/base/issuer.h"
#include "cache/ocsp/record.h"

struct event_base;
struct store;

/* value: borrowed for the call; empty unless e is ERR_OK. */
typedef void store_got_fn(void *arg, enum err e, struct bytes value);
typedef void store_done_fn(void *arg, enum err e);

enum lease {
	LEASE_YOURS,   /* fetch, then store_put and store_release */
	LEASE_TAKEN,   /* another node is fetching: look again soon */
	LEASE_FAILED,  /* another node has just failed: do not fetch before retry_ms */
	LEASE_CHANGED, /* the value is not what was seen: look again now; no lease */
	LEASE_ALONE    /* the store is not shared, or not there: fetch */
};

/* What store_get() gave, as far as it takes to tell whether another value stands there
 * now: its first octets, in our encoding both times of the answer. */
#define STORE_SEEN_MAX 17
struct store_seen {
	uint8_t n; /* 0: there was none */
	uint8_t octets[STORE_SEEN_MAX];
};
struct store_seen store_seen_of(struct bytes value);
typedef void store_lease_fn(void *arg, enum lease l, int64_t retry_ms);

/* Told, on the keeper's thread, that somebody else wrote this key, or that it vanished:
 * compare. */
typedef void store_changed_fn(void *arg, const struct key *k);
/* Told that anything may have changed (connection to the store was lost and is back). */
typedef void store_all_changed_fn(void *arg);

struct store_hooks {
	store_changed_fn *changed;
	store_all_changed_fn *all_changed;
	/* It is known whether the store is there: it is up, or was found away.  Once:
	 * before store_open() returns, or later, where others share it. */
	void (*settled)(void *arg);
	/* A person should know: event name and key=value text, as proxy/base/log.h takes
	 * them.
	 */
	void (*event)(void *arg, bool warn, const char *event, const char *text);
	void *arg;
};

struct store_config {
	const char *url;    /* "memory:", "lmdb:DIR", "redis://...", "redis+unix://..." */
	const char *prefix; /* Redis: before every key */
	size_t size;        /* LMDB: map size, bytes */
	const struct mac_keys *keys; /* or NULL */
	int timeout_ms;              /* Redis: one command */
	int connect_timeout_ms;
	int backoff_max_ms; /* Redis: between attempts to connect */
	size_t max_value;   /* bytes; larger values are refused unread */
	struct event_base *base;
	struct exec exec;
	struct store_hooks hooks;
};

struct store_health {
	const char *kind;   /* "memory", "lmdb", "redis" */
	bool up;            /* can be read and written now */
	bool refuses;       /* is there all the same: up would be true but for this */
	bool shared;        /* other nodes use it too */
	const char *error;  /* last one, "" for none; static or store's own */
	const char *remedy; /* against this error, where one is known; else "" */
	uint64_t bytes;     /* in use, where it is known; else 0 */
	uint64_t entries;
	uint64_t reconnects;
};

/* Open by URL.  ERR_STORE with a line in why for what cannot work at all (bad URL,
 * directory not writable, other layout); a Redis that is away is no error. */
enum err store_open(
    struct store **out, const struct store_config *c, char *why, size_t why_n);
/* Waits for the executor's jobs of this store?  No: the caller stops the executor first.
 */
void store_close(struct store *s);

/* ERR_NOT_FOUND, ERR_STORE, ERR_STORE_TIMEOUT. */
void store_get(struct store *s, const struct key *k, store_got_fn *done, void *arg);
/* Write an answer; copied at once.  force: also over a newer one (what is there was
 * refused). Without force a value whose thisUpdate, then producedAt, is newer stays. done
 * may be NULL.  With memory: nothing is kept (the hot table is the store). */
void store_put(struct store *s, const struct key *k, const struct facts *f,
    struct bytes der, bool force, store_done_fn *done, void *arg);
void store_delete(struct store *s, const struct key *k, store_done_fn *done, void *arg);
/* Delete all answers of an issuer (every CA certificate, every hash algorithm). */
void store_purge(struct store *s, const struct issuer *i, store_done_fn *done, void *arg);

/* One fetch over all nodes (T15).  A lease ends by itself after lease_ms.  seen: it is
 * given only while that is still what the store has, in the same step: another node may
 * have fetched, stored and given its lease back since we looked.  NULL: it is given
 * whatever there is. */
void store_lease(struct store *s, const struct key *k, const struct store_seen *seen,
    int lease_ms, store_lease_fn *done, void *arg);
/* failed_ms > 0: tell the others not to try for so long. */
void store_release(struct store *s, const struct key *k, int failed_ms);

/* Delete what expired before now; called about once a minute. */
void store_sweep(struct store *s, int64_t now);
void store_health(const struct store *s, struct store_health *out);

/* For implementations: the first member of each store. */
struct store_ops {
	void (*close)(struct store *s);
	void (*get)(struct store *s, const struct key *k, store_got_fn *done, void *arg);
	void (*put)(struct store *s, const struct key *k, const struct facts *f,
	    struct bytes der, bool force, store_done_fn *done, void *arg);
	void (*del)(struct store *s, const struct key *k, store_done_fn *done, void *arg);
	void (*purge)(
	    struct store *s, const struct issuer *i, store_done_fn *done, void *arg);
	void (*lease)(struct store *s, const struct key *k, const struct store_seen *seen,
	    int lease_ms, store_lease_fn *done, void *arg);
	void (*release)(struct store *s, const struct key *k, int failed_ms);
	void (*sweep)(struct store *s, int64_t now);
	void (*health)(const struct store *s, struct store_health *out);
};
struct store {
	const struct store_ops *ops;
};
enum err store_memory_open(
    struct store **out, const struct store_config *c, char *why, size_t n);
enum err store_lmdb_open(
    struct store **out, const struct store_config *c, char *why, size_t n);
enum err store_redis_open(
    struct store **out, const struct store_config *c, char *why, size_t n);

#endif
