/* lmdb_file.h - what opening an LMDB file takes: for latches, answers and the change log.
 *
 * LMDB maps its file, so a file that ends before the pages that it speaks of ends the
 * process with SIGBUS and without a word, and one of no length at all is for LMDB a new
 * one: what was in it is forgotten silently.  So a file is looked at before LMDB sees it
 * (lmdb_file_look), made at once or not at all (lmdb_file_make: an empty file is never
 * ours), and compared with what it says of itself when it is open (lmdb_file_mend),
 * before any of its pages is touched.
 *
 * What is damaged in the middle is found by LMDB, or by whoever reads the records; a file
 * that something else changes while it is open may still end the process.
 *
 * Unless said otherwise functions return 0, an errno, an MDB_* code or LMDB_FILE_CUT.
 */
#ifndef CACHE_BASE_LMDB_FILE_H
#define CACHE_BASE_LMDB_FILE_H

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/base/err.h"

#define LMDB_FILE_CUT (-30600) /* pages that are in use are missing at its end */
#define LMDB_FILE_WHY 256      /* room for a cause and its remedy */

/* As mdb_strerror(), and of LMDB_FILE_CUT.  Static. */
const char *lmdb_file_text(int e);
/* What helps against an opening, a read or a write that failed with e; "" of 0.  Of
 * damage only its owner knows.  Static. */
const char *lmdb_file_remedy(int e);
/* "PATH: text; remedy" for people, of an e that is no damage. */
void lmdb_file_why(char *why, size_t why_n, const char *path, int e);
/* Is e damage of the file's content? */
bool lmdb_file_is_damage(int e);

enum lmdb_file_is {
	LMDB_ABSENT,
	LMDB_LOOKS_WELL, /* LMDB may open it */
	LMDB_DAMAGED,    /* empty, no LMDB file, of another version or page size, short */
	LMDB_UNUSABLE    /* may not be used, or is no file, it or its lock file */
};
/* Look at path and path-lock, without waiting and without changing anything.  why (room
 * LMDB_FILE_WHY) says what is the matter with LMDB_DAMAGED, and with the remedy with
 * LMDB_UNUSABLE. */
enum lmdb_file_is lmdb_file_look(const char *path, char why[LMDB_FILE_WHY]);

/* Of one that is LMDB_ABSENT: was it here, and was removed?  Its lock file is left then,
 * as LMDB makes that after the file and never removes it.  Who removes both is believed.
 */
bool lmdb_file_was_here(const char *path);

/* Make an empty LMDB file at path, where there is none: by a rename, durable. */
int lmdb_file_make(const char *path);

/* mkdir -p with mode 0700 for each directory that is made.  path is changed and put back.
 */
int lmdb_file_directories(char *path);

/* Compare the file's length with the number of its pages.  LMDB does not write a page
 * that was taken and freed again in one transaction, so the file may be shorter by pages
 * that are all free: then it is made longer (they are never read, but might be mapped).
 * Else it was cut: LMDB_FILE_CUT, and its length stays.  page: its size in bytes.  Before
 * the first other transaction. */
int lmdb_file_mend(MDB_env *env, size_t page);

/* Counts the commits that wrote something: one that found nothing to do proves nothing of
 * the disk. */
size_t lmdb_file_commits(MDB_env *env);

/* Write the format into a new file, as "format" in the database "meta"; compare it in an
 * old one.  *meta is open when it is the same.  names: LMDB's own list of databases. */
int lmdb_file_format(
    MDB_txn *txn, MDB_dbi names, const char *format, MDB_dbi *meta, bool *same);

/* A file of several databases: open it (made and looked at before), of at most size
 * bytes, with room for so many of them besides LMDB's own list; mended, and readers that
 * died taken out.  *env: to be closed also where it fails; NULL: there is none.  *page:
 * bytes of one. */
int lmdb_file_open(
    MDB_env **env, const char *path, size_t size, unsigned databases, size_t *page);
/* Its databases: dbi[0] as lmdb_file_format() has it, the others by their names, made
 * where they are not there.  Nothing is opened where it is not the same. */
int lmdb_file_databases(MDB_env *env, const char *format, const char *const *name,
    size_t n, MDB_dbi *names, MDB_dbi *dbi, bool *same);
/* Bytes of all their pages, and of the list's. */
int lmdb_file_used(MDB_txn *txn, MDB_dbi names, const MDB_dbi *dbi, size_t n, size_t page,
    uint64_t *used);

/* Commit when e is 0, else abort; how it ended. */
int lmdb_file_finish(MDB_txn *txn, int e);

#endif
