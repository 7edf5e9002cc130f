/* watch_db_file.h - the file's databases and keys; for those who read and
 * write it only.
 *
 *   meta     "format"; "generation" -> the next one, be32; "untold NAME" -> generation
 *            and version, be32 each, of a list whose last gain was not told
 *   cas      id be32 -> length of the AKI u8, AKI; issuer and DN as texts of a row
 *   lists    name -> generation be32, version be32, source u8, certificates be32
 *            [, its mark (watch_list.h): revision, number be64, where it has one]
 *   gens     generation be32 -> nothing: rows of it may be there
 *   rows     generation be32, id be32, serial from its last octet to its first
 *            -> the row (watch_record.c); LMDB's order is crl_order() then
 *   serials  generation be32, id be32, octets of the serial u8, serial
 *            -> notAfter (watch_date_put()); the order of numbers
 *   names    generation be32, name (watch_name_key()), 0, id be32, serial -> nothing
 *   asked    issuer's name, 0, serial -> the minute be32 when a client last asked for it
 *
 * A generation's keys are greater than all that were there before, so that they are
 * appended: full pages, and no way down the tree.
 */
#ifndef CACHE_WATCH_WATCH_DB_FILE_H
#define CACHE_WATCH_WATCH_DB_FILE_H

#include <lmdb.h>

#include "cache/watch/watch_db.h"

#define WATCH_KEY_MAX      511 /* LMDB's */
#define WATCH_NAME_KEY_MAX (WATCH_KEY_MAX - 4 - 1 - 4 - SERIAL_MAX)

enum {
	DBI_META,
	DBI_CAS,
	DBI_LISTS,
	DBI_GENS,
	DBI_ROWS,
	DBI_SERIALS,
	DBI_NAMES,
	DBI_ASKED,
	DBI_N
};

/* A put that is not over: its generation is nobody's yet, and is not swept. */
struct watch_opened {
	uint32_t generation;
	struct watch_opened *next;
};

struct watch_db {
	MDB_env *env;
	MDB_dbi names; /* LMDB's own list of the databases */
	MDB_dbi dbi[DBI_N];
	size_t page, limit; /* bytes */
	char *dir, *path;
	bool was_here;               /* but not when it was opened */
	struct watch_opened *opened; /* of the thread that writes */
	_Atomic int failure;         /* the last one */
};

/* A list as the file has it. */
struct watch_head {
	uint32_t generation, version;
	enum watch_source source;
	uint32_t n;
	struct watch_mark mark;
};

/* ERR_OK, ERR_NOMEM, ERR_STORE_FULL, ERR_STORE, of what LMDB says; kept for
 * watch_db_why(). */
enum err watch_db_err(struct watch_db *db, int e);
/* step in a write transaction of its own, durable when this returns; beyond the limit
 * ERR_STORE_FULL, unless it frees. */
enum err watch_db_write(struct watch_db *db, bool frees,
    int (*step)(struct watch_db *db, MDB_txn *txn, void *arg), void *arg);
enum err watch_db_read(struct watch_db *db,
    int (*step)(struct watch_db *db, MDB_txn *txn, void *arg), void *arg);
/* Delete a key, if it is there. */
int watch_db_del(
    struct watch_db *db, MDB_txn *txn, int which, const uint8_t *key, size_t n);
/* LMDB takes what it only reads as if it wrote to it. */
static inline MDB_val watch_val(const void *p, size_t n)
{
	return (MDB_val){n, (void *)(uintptr_t)p};
}
/* step for what a generation has in this database, in its order, until it returns another
 * than 0; MDB_NOTFOUND is an end as any.  It may delete what the cursor stands at. */
int watch_db_each(struct watch_db *db, MDB_txn *txn, int which, uint32_t generation,
    int (*step)(void *arg, MDB_cursor *cursor, MDB_val k, MDB_val v), void *arg);
/* What a row of our own cannot have: the file is damaged. */
#define WATCH_DB_UNREADABLE (-30601)

int watch_db_head_get(
    struct watch_db *db, MDB_txn *txn, const char *name, struct watch_head *h);
int watch_db_head_put(
    struct watch_db *db, MDB_txn *txn, const char *name, const struct watch_head *h);
/* An incident in force is kept under its other name (incident_withdrawn_key()).
 * MDB_NOTFOUND: there is none of this name. */
int watch_db_withdraw(struct watch_db *db, MDB_txn *txn, const char *key);
int watch_db_mark_put(
    struct watch_db *db, MDB_txn *txn, const char *name, const struct watch_head *h);
int watch_db_mark_del(struct watch_db *db, MDB_txn *txn, const char *name);
bool watch_db_head_read(
    MDB_val k, MDB_val v, char name[WATCH_NAME_MAX], struct watch_head *h);
int watch_db_cas_read(struct watch_db *db, MDB_txn *txn, const struct watch_cas **out);
int watch_db_ca_put(struct watch_db *db, MDB_txn *txn, const struct watch_ca *ca);

/* Keys: bytes written. */
size_t watch_record_key(
    uint8_t *key, uint32_t generation, uint32_t ca, const struct serial *s);
size_t watch_serial_key(
    uint8_t *key, uint32_t generation, uint32_t ca, const struct serial *s);
bool watch_record_key_read(MDB_val k, uint32_t *ca, struct serial *s);
bool watch_serial_key_read(MDB_val k, uint32_t *ca, struct serial *s);
bool watch_name_key_read(MDB_val k, uint32_t *ca, struct serial *s);
/* As watch_name.h tells names apart. */
bool watch_name_is_dns(struct bytes name);
/* The name in an order in which what lies below a DNS name follows it: its labels from
 * the last to the first, each with a dot behind; another kind of name behind an octet
 * that no name begins with.  Cut to WATCH_NAME_KEY_MAX. */
size_t watch_name_key(uint8_t *key, struct bytes name);
/* The whole key of a name. */
size_t watch_name_row_key(uint8_t *key, uint32_t generation, struct bytes name,
    uint32_t ca, const struct serial *s);

/* One certificate's row with its indices, in the place of what was there (*fresh: nothing
 * was). */
int watch_db_row_put(struct watch_db *db, MDB_txn *txn, uint32_t generation, uint32_t ca,
    const struct serial *s, struct bytes row, bool *fresh);

#endif
