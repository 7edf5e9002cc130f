/* ari_db.h - renewal information on disk, and who is asked for next: DIR/ari.mdb.
 *
 * The queue is the file: a certificate costs no memory here, however many are watched,
 * and a restart goes on where it was.  An environment of its own, and not watch.mdb: LMDB
 * has one writer at a time, and an answer would wait for a watchlist of millions.  What
 * is lost with the file is when each was asked for last, and what it said then: they are
 * asked anew, at the pace of the CA.
 *
 *   states   who (ari_who_encode()) -> ari_state_encode()
 *   due      its key identifier behind its length, next_at be64, its serial behind its
 *            length -> nothing
 *   noticed  who -> nothing: a notice is in force, or is to be told or taken back yet
 *
 * One thread; calls that write are durable when they return.
 *
 * Weak point: LMDB trusts its file; a page that something else overwrote can end the
 * process.
 */
#ifndef CACHE_WATCH_ARI_DB_H
#define CACHE_WATCH_ARI_DB_H

#include "cache/watch/ari_state.h"

struct ari_db;

/* Open or make DIR/ari.mdb (and DIR); size: bytes that it may have.  Damaged, or of
 * another version: ERR_STORE, with file, cause and remedy in why. */
enum err ari_db_open(
    struct ari_db **out, const char *dir, size_t size, char *why, size_t why_n);
void ari_db_close(struct ari_db *db); /* NULL is allowed */
/* What was wrong when a call failed last: file, cause, remedy. */
void ari_db_why(const struct ari_db *db, char *why, size_t why_n);

/* ERR_NOT_FOUND: it was never heard of.  ERR_RECORD: what stands there cannot be read.
 * ERR_STORE, ERR_NOMEM. */
enum err ari_db_get(struct ari_db *db, const struct ari_who *w, struct ari_state *s);

struct ari_row {
	struct ari_who who;
	const struct ari_state *state; /* NULL: it goes */
	bool if_new;                   /* only where there is none: what is there stays */
};
/* All of them or none, in one step.  ERR_STORE_FULL: it is full, and only rows that go
 * are taken. */
enum err ari_db_put(struct ari_db *db, const struct ari_row *rows, size_t n);

/* The first of those with this key identifier whose time has come: at most max of them,
 * by their time; *next_at: when the one after them comes, INT64_MAX for none. */
enum err ari_db_due(struct ari_db *db, struct bytes aki, int64_t now, struct ari_who *out,
    size_t max, size_t *n, int64_t *next_at);

/* Those with this key identifier (empty: with any) that stand in `noticed`, by their
 * keys, from the one after `after` on (NULL: the first): at most max. */
enum err ari_db_noticed(struct ari_db *db, struct bytes aki, const struct ari_who *after,
    struct ari_who *out, size_t max, size_t *n);

#endif
