#include "cache/store_lmdb_file.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int lmdb_file_directories(char *path)
{
	for (char *p = path + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) != 0 && errno != EEXIST) {
			int e = errno;

			*p = '/';
			return e;
		}
		*p = '/';
	}
	return mkdir(path, 0700) != 0 && errno != EEXIST ? errno : 0;
}

int lmdb_file_mend(MDB_env *env, size_t page)
{
	MDB_envinfo info;
	struct stat st;
	mdb_filehandle_t fd;
	off_t want;
	int e;

	if ((e = mdb_env_info(env, &info)) != 0 || (e = mdb_env_get_fd(env, &fd)) != 0)
		return e;
	want = (off_t)((info.me_last_pgno + 1) * page);
	if (fstat(fd, &st) != 0)
		return errno;
	return st.st_size < want && ftruncate(fd, want) != 0 ? errno : 0;
}

int lmdb_file_format(
    MDB_txn *txn, MDB_dbi names, const char *format, MDB_dbi *meta, bool *same)
{
	MDB_val k = {6, (void *)(uintptr_t) "format"};
	MDB_val want = {strlen(format), (void *)(uintptr_t)format}, v;
	MDB_stat st;
	int e = mdb_stat(txn, names, &st);

	if (e != 0)
		return e;
	if (st.ms_entries == 0) {
		*same = true;
		if ((e = mdb_dbi_open(txn, "meta", MDB_CREATE, meta)) != 0)
			return e;
		return mdb_put(txn, *meta, &k, &want, 0);
	}
	*same = false;
	if ((e = mdb_dbi_open(txn, "meta", 0, meta)) == 0)
		e = mdb_get(txn, *meta, &k, &v);
	if (e == 0)
		*same = v.mv_size == want.mv_size &&
			memcmp(v.mv_data, want.mv_data, v.mv_size) == 0;
	return e == MDB_NOTFOUND || e == MDB_INCOMPATIBLE ? 0 : e;
}

int lmdb_file_finish(MDB_txn *txn, int e)
{
	if (e == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return e;
}
