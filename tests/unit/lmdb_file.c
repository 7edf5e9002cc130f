#include "cache/base/lmdb_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/store_kit.h"

static char *dir;
static char path[4200], lock[4300], why[LMDB_FILE_WHY];

static int setup(void **state)
{
	(void)state;
	dir = kit_directory();
	snprintf(path, sizeof path, "%s/x.mdb", dir);
	snprintf(lock, sizeof lock, "%s-lock", path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kit_remove(dir);
	return 0;
}

static off_t length(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static MDB_env *open_env(void)
{
	MDB_env *env;

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
	return env;
}

/* Records of a page each: n are put, then those from `keep` on deleted again. */
static void fill(unsigned n, unsigned keep)
{
	static char value[4000];
	MDB_env *env = open_env();
	MDB_txn *txn;
	MDB_dbi dbi;

	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
	for (unsigned i = 0; i < n; i++) {
		MDB_val k = {sizeof i, &i}, v = {sizeof value, value};

		assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
	}
	assert_int_equal(mdb_txn_commit(txn), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	for (unsigned i = keep; i < n; i++) {
		MDB_val k = {sizeof i, &i};

		assert_int_equal(mdb_del(txn, dbi, &k, NULL), 0);
	}
	assert_int_equal(mdb_txn_commit(txn), 0);
	/* Each one takes free pages from the front of the file. */
	for (unsigned i = 0; keep < n && i < 8; i++) {
		MDB_val k = {sizeof i, &i}, v = {sizeof i, &i};

		assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
		assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
		assert_int_equal(mdb_txn_commit(txn), 0);
	}
	mdb_env_close(env);
}

static int mend(void)
{
	MDB_env *env = open_env();
	MDB_stat st;
	int e;

	assert_int_equal(mdb_env_stat(env, &st), 0);
	e = lmdb_file_mend(env, st.ms_psize);
	mdb_env_close(env);
	return e;
}

/* How many of the last pages are free, as LMDB itself says. */
static size_t free_at_end(void)
{
	MDB_env *env = open_env();
	static bool is_free[4096];
	MDB_envinfo info;
	MDB_cursor *cursor;
	MDB_txn *txn;
	MDB_val k, v;
	size_t n = 0;

	memset(is_free, 0, sizeof is_free);
	assert_int_equal(mdb_env_info(env, &info), 0);
	assert_true(info.me_last_pgno < 4096);
	assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
	assert_int_equal(mdb_cursor_open(txn, 0, &cursor), 0);
	while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0)
		for (size_t i = 1; i <= *(size_t *)v.mv_data; i++)
			is_free[((size_t *)v.mv_data)[i]] = true;
	while (is_free[info.me_last_pgno - n])
		n++;
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	mdb_env_close(env);
	return n;
}

static void what_is_made_is_sound_and_for_its_owner_alone(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(lmdb_file_look(path, why), LMDB_ABSENT);
	assert_false(lmdb_file_was_here(path));
	assert_int_equal(lmdb_file_make(path), 0);
	assert_int_equal(lmdb_file_look(path, why), LMDB_LOOKS_WELL);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(mend(), 0);
	fill(10, 10);
	assert_int_equal(lmdb_file_look(path, why), LMDB_LOOKS_WELL);
	assert_int_equal(mend(), 0);
	/* who removes it alone leaves its lock file */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(lmdb_file_look(path, why), LMDB_ABSENT);
	assert_true(lmdb_file_was_here(path));
	snprintf(path, sizeof path, "%s/none/x.mdb", dir);
	assert_false(lmdb_file_was_here(path));
	assert_int_equal(lmdb_file_make(path), ENOENT);
}

/* A kill while it is made leaves what the next start throws away. */
static void what_a_kill_left_half_made_is_made_anew(void **state)
{
	char half[4300];
	int fd;

	(void)state;
	snprintf(half, sizeof half, "%s.new", path);
	fd = open(half, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(lmdb_file_look(path, why), LMDB_ABSENT);
	assert_int_equal(lmdb_file_make(path), 0);
	assert_int_equal(access(half, F_OK), -1);
	assert_int_equal(lmdb_file_look(path, why), LMDB_LOOKS_WELL);
}

static void a_file_that_was_cut_is_found_at_every_length(void **state)
{
	off_t whole;

	(void)state;
	fill(40, 40);
	whole = length();
	for (off_t n = whole - 1; n > 8192; n -= 1021) {
		assert_int_equal(truncate(path, n), 0);
		assert_int_equal(lmdb_file_look(path, why), LMDB_LOOKS_WELL);
		assert_int_equal(mend(), LMDB_FILE_CUT);
		assert_int_equal(length(), n); /* as it was found */
	}
	assert_true(lmdb_file_is_damage(LMDB_FILE_CUT));
	assert_non_null(strstr(lmdb_file_text(LMDB_FILE_CUT), "cut short"));
	assert_string_equal(lmdb_file_text(MDB_INVALID), mdb_strerror(MDB_INVALID));
}

/* LMDB may end its own file before the last page, where that is free. */
static void a_file_that_lacks_free_pages_is_whole(void **state)
{
	off_t whole;
	size_t n;

	(void)state;
	fill(40, 5);
	whole = length();
	n = free_at_end();
	assert_true(n > 5);
	assert_int_equal(truncate(path, whole - (off_t)n * 4096), 0);
	assert_int_equal(mend(), 0);
	assert_int_equal(length(), whole);
	assert_int_equal(truncate(path, whole - (off_t)n * 4096 - 1), 0);
	assert_int_equal(mend(), LMDB_FILE_CUT);
}

static void expect_damage(const char *text)
{
	assert_int_equal(lmdb_file_look(path, why), LMDB_DAMAGED);
	if (strstr(why, text) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, text);
}

/* With a file of LMDB's own, each field changed in turn. */
static void change(off_t at, const void *p, size_t n, const char *text)
{
	uint8_t before[16];
	int fd = open(path, O_RDWR);

	assert_int_equal(pread(fd, before, n, at), n);
	assert_int_equal(pwrite(fd, p, n, at), n);
	expect_damage(text);
	assert_int_equal(pwrite(fd, before, n, at), n);
	close(fd);
	assert_int_equal(lmdb_file_look(path, why), LMDB_LOOKS_WELL);
}

static void a_damaged_head_is_named(void **state)
{
	const uint32_t two = 2, none = 0, odd = 4097, other = 8192;

	(void)state;
	fill(40, 40);
	for (off_t meta = 0; meta <= 4096; meta += 4096) {
		change(meta + 16, "magi", 4, "no LMDB file");
		change(meta + 10, "\0\0", 2, "no LMDB file");
		change(meta + 20, &two, 4, "another version");
		change(meta + 40, &none, 4, "page size");
		change(meta + 40, &odd, 4, "page size");
	}
	change(40, &other, 4, "no LMDB file"); /* no head there */
	change(4096 + 40, &other, 4, "contradict");
	assert_int_equal(truncate(path, 8191), 0);
	expect_damage("cut short in its head");
	assert_int_equal(truncate(path, 40), 0);
	expect_damage("cut short in its head");
	assert_int_equal(truncate(path, 0), 0);
	expect_damage("empty");
}

static void expect_unusable(const char *text)
{
	assert_int_equal(lmdb_file_look(path, why), LMDB_UNUSABLE);
	if (strstr(why, text) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, text);
}

static void what_is_no_file_is_named_and_waited_for_by_nobody(void **state)
{
	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	expect_unusable("it is a directory and no file; move it away");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_unusable("it is a FIFO");
	assert_int_equal(unlink(path), 0);
	/* what it leads to may be a disk that is not mounted */
	assert_int_equal(symlink("/nowhere/x.mdb", path), 0);
	expect_unusable("it is a link to nothing; mount or restore");
	assert_int_equal(unlink(path), 0);
	fill(1, 1);
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(mkfifo(lock, 0600), 0);
	expect_unusable("its lock file (-lock) is a FIFO");
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(mkdir(lock, 0700), 0);
	expect_unusable("its lock file (-lock) is a directory");
	snprintf(path, sizeof path, "/dev/null/x");
	expect_unusable("Not a directory");
}

/* What is damaged only its owner can say. */
static void each_cause_has_its_remedy(void **state)
{
	const int cause[] = {EACCES, EROFS, ENOSPC, EDQUOT, EFBIG, EIO, ENOLCK, ENOTDIR,
	    ENAMETOOLONG, EMFILE, ENOMEM, MDB_PANIC, MDB_MAP_FULL, MDB_READERS_FULL,
	    ESTALE};
	char words[1024];

	(void)state;
	assert_string_equal(lmdb_file_remedy(0), "");
	for (size_t i = 0; i < sizeof cause / sizeof cause[0]; i++) {
		lmdb_file_why(words, sizeof words, "/x/y.mdb", cause[i]);
		assert_int_equal(strncmp(words, "/x/y.mdb: ", 10), 0);
		assert_non_null(strstr(words, mdb_strerror(cause[i])));
		assert_non_null(strstr(words, lmdb_file_remedy(cause[i])));
		assert_true(strlen(lmdb_file_remedy(cause[i])) > 10);
	}
}

/* Root may read and write everything: the child is nobody. */
static void what_may_not_be_used_is_named_with_the_remedy(void **state)
{
	(void)state;
	fill(1, 1);
	if (geteuid() == 0) {
		assert_int_equal(chmod(dir, 0711), 0);
		assert_int_equal(chmod(lock, 0666), 0);
		assert_int_equal(chmod(path, 0444), 0);
		assert_int_equal(seteuid(65534), 0);
	} else {
		assert_int_equal(chmod(path, 0400), 0);
	}
	expect_unusable("it cannot be read and written: Permission denied; give it to "
			"the user that ocspcached runs as");
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(chmod(lock, 0), 0);
	if (getuid() == 0)
		assert_int_equal(seteuid(65534), 0);
	expect_unusable("its lock file (-lock) cannot be read and written: Permission");
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
}

/* LMDB makes it anew. */
static void a_lock_file_that_was_cut_is_no_matter(void **state)
{
	(void)state;
	fill(3, 3);
	for (off_t n = 0; n < 100; n += 33) {
		assert_int_equal(truncate(lock, n), 0);
		assert_int_equal(lmdb_file_look(path, why), LMDB_LOOKS_WELL);
		assert_int_equal(mend(), 0);
		fill(3, 3);
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(what_is_made_is_sound_and_for_its_owner_alone),
	    CASE(what_a_kill_left_half_made_is_made_anew),
	    CASE(a_file_that_was_cut_is_found_at_every_length),
	    CASE(a_file_that_lacks_free_pages_is_whole),
	    CASE(a_damaged_head_is_named),
	    CASE(what_is_no_file_is_named_and_waited_for_by_nobody),
	    CASE(each_cause_has_its_remedy),
	    CASE(what_may_not_be_used_is_named_with_the_remedy),
	    CASE(a_lock_file_that_was_cut_is_no_matter),
	};

	return cmocka_run_group_tests_name("lmdb_file", tests, NULL, NULL);
}
