/* watch_db.h - the watchlists on disk: DIR/watch.mdb.
 *
 * It has what the inventory does not: names, labels, dates, the lists that certificates
 * name, and the indices by name and by serial.  Fully synced: what a call has written is
 * durable when it returns.
 *
 * A list has a generation, under which all of its rows stand.  A new list is written
 * under a new one, in transactions of a bounded size (watch_put.h); then one row moves
 * its name there, which *is* the PUT: before it, and after a crash before it, the old
 * list is the list.  Rows of a generation that no name leads to are swept.
 *
 * Bounded: beyond seven eighths of its size nothing is written (the rest is what deleting
 * takes), ERR_STORE_FULL is the answer, and nothing is dropped.
 *
 * Threads: what writes (put, drop, remove, sweep, name) is called by one thread at a
 * time; what reads, by any, at any time.  Every read is one transaction that ends with
 * the call, but for rows (watch_rows.h).
 *
 * Weak point: LMDB trusts its file; a page that something else overwrote can end the
 * process.
 */
#ifndef CACHE_WATCH_WATCH_DB_H
#define CACHE_WATCH_WATCH_DB_H

#include "cache/watch/inventory.h"
#include "cache/watch/watch_record.h"

struct watch_db;

/* Open or make DIR/watch.mdb (and DIR); size: bytes that it may have.  Damaged, or of
 * another version: ERR_STORE, with file, cause and remedy in why. */
enum err watch_db_open(
    struct watch_db **out, const char *dir, size_t size, char *why, size_t why_n);
void watch_db_close(struct watch_db *db); /* NULL is allowed */
/* The file was made by watch_db_open() where there had been one (lmdb_file_was_here()):
 * what it had is gone. */
bool watch_db_is_gone(const struct watch_db *db);

/* All lists, at the start; of so many certificates the list that they name found no room
 * (watch_point.h).  ERR_NOMEM; ERR_RECORD: a row cannot be read, that is, the file is
 * damaged, as watch_db_why() says with the remedy; ERR_STORE. */
enum err watch_db_load(
    struct watch_db *db, const struct inventory **out, uint64_t *left_out);
/* The CAs of all lists, now; a reference for the caller.  ERR_NOMEM, ERR_STORE. */
enum err watch_db_cas(struct watch_db *db, const struct watch_cas **out);

/* CA number id is this issuer's ("": nobody's) from now on.  ERR_NOT_FOUND. */
enum err watch_db_name_ca(struct watch_db *db, uint32_t id, const char *issuer);
/* The list is gone; an incident that was in force is withdrawn, and goes when it is
 * dropped by that key.  ERR_NOT_FOUND: there is none. */
enum err watch_db_drop(struct watch_db *db, const char *name);
/* One certificate of a list is gone: the list as it is then, for the inventory; old is
 * the one that it had.  ERR_NOT_FOUND: no such list, or it is not on it. */
enum err watch_db_remove(struct watch_db *db, const struct watch_list *old, uint32_t ca,
    const struct serial *s, const struct watch_list **out);
/* What a put has brought is marked untold in the same step; a drop takes the mark away.
 * Is the list marked? */
enum err watch_db_is_untold(struct watch_db *db, const char *name, bool *untold);
/* All is told that the list had gained up to this generation and version of it: a mark of
 * a later one stays. */
enum err watch_db_told(
    struct watch_db *db, const char *name, uint32_t generation, uint32_t version);
/* Delete a slice of what no list has; *more: there may be more.  Before the first put,
 * and after each put and drop, until nothing more is. */
enum err watch_db_sweep(struct watch_db *db, bool *more);

/* Bytes in use, of so many that may be.  Any thread. */
enum err watch_db_used(struct watch_db *db, uint64_t *used, uint64_t *limit);
/* What was wrong when a call failed last: file, cause, remedy.  Any thread. */
void watch_db_why(struct watch_db *db, char *why, size_t why_n);

#endif
