/* store_lmdb_file.h - what opening an LMDB file takes, for answers and the change log.
 *
 * All functions return 0, an errno or an MDB_* code.
 */
#ifndef CACHE_STORE_LMDB_FILE_H
#define CACHE_STORE_LMDB_FILE_H

#include "cache/err.h"

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>

/* mkdir -p with mode 0700 for each directory that is made.  path is changed and put back.
 */
int lmdb_file_directories(char *path);

/* A file that was cut short would end the process with SIGBUS on the first read of what
 * is missing.  Longer again, the missing pages are zero, which LMDB tells as an error.
 * page: its size in bytes.  Before the first transaction. */
int lmdb_file_mend(MDB_env *env, size_t page);

/* Write the format into a new file, as "format" in the database "meta"; compare it in an
 * old one.  *meta is open when it is the same.  names: LMDB's own list of databases. */
int lmdb_file_format(
    MDB_txn *txn, MDB_dbi names, const char *format, MDB_dbi *meta, bool *same);

/* Commit when e is 0, else abort; how it ended. */
int lmdb_file_finish(MDB_txn *txn, int e);

#endif
