/* watch_generation.h - a sorted draft is written under a new generation: its rows, and
 * both indices of them, in as many transactions as it takes; for watch_put.c only.
 *
 * Each database is written in the order of its keys.  That of names is made for a slice
 * of them at a time, so that it costs no memory by the size of the list: the names of a
 * list that is one slice are appended, those of a longer one are put where they belong.
 */
#ifndef CACHE_WATCH_WATCH_GENERATION_H
#define CACHE_WATCH_WATCH_GENERATION_H

#include "cache/watch/watch_db_file.h"
#include "cache/watch/watch_draft.h"

enum watch_writing { WRITE_ROWS, WRITE_SERIALS, WRITE_NAMES, WRITE_DONE };

struct watch_generation {
	const struct watch_draft *draft;
	uint32_t number; /* 0: it has none yet */
	uint32_t count;  /* certificates */
	enum watch_writing writing;
	size_t at;       /* certificates of the draft that are done */
	uint32_t *order; /* of serials: places in the draft */
	bool append;     /* keys still follow all others */
};

/* d: borrowed, sorted. */
void watch_generation_start(struct watch_generation *g, const struct watch_draft *d);
/* So many puts (a few more of names) in this transaction; g->writing is WRITE_DONE after
 * the last one.  0 or what LMDB says: then only end may follow. */
int watch_generation_write(
    struct watch_generation *g, struct watch_db *db, MDB_txn *txn, size_t puts);
void watch_generation_end(struct watch_generation *g);

#endif
