/* lmdb_pages.h - how much of a file LMDB says is in use. */
#ifndef TESTS_LIB_LMDB_PAGES_H
#define TESTS_LIB_LMDB_PAGES_H

#include <lmdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* Bytes of all pages of dir/name but the two with its roots, those on its list of free
 * ones, and that list's.  Nobody has the file open. */
static inline uint64_t lmdb_pages(const char *dir, const char *name)
{
	char path[4200];
	MDB_env *env;
	MDB_txn *txn;
	MDB_cursor *cursor;
	MDB_envinfo info;
	MDB_stat free_list;
	MDB_val k, v;
	size_t used;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_RDONLY, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
	assert_int_equal(mdb_env_info(env, &info), 0);
	assert_int_equal(mdb_stat(txn, 0, &free_list), 0);
	assert_int_equal(mdb_cursor_open(txn, 0, &cursor), 0);
	used = info.me_last_pgno + 1 - 2 - free_list.ms_branch_pages -
	       free_list.ms_leaf_pages - free_list.ms_overflow_pages;
	while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0)
		used -= *(const size_t *)v.mv_data;
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	mdb_env_close(env);
	return used * free_list.ms_psize;
}

#endif
