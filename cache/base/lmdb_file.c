/* lmdb_file.c - before LMDB opens a file, and right after it has.
 *
 * The head of an LMDB 0.9 file, as lmdb_file_look() reads it: two pages that each begin
 * with 16 octets of page header (flags at 10) and then: magic (u32), data version (u32),
 * address, map size, two databases (the first begins with the page size, u32).
 */
#include "cache/base/lmdb_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_N       16
#define MAGIC        UINT32_C(0xBEEFC0DE)
#define DATA_VERSION 1
#define META_FLAG    0x08
#define PAGE_MIN     512
#define PAGE_MAX     65536
#define PATH_ROOM    4352

const char *lmdb_file_text(int e)
{
	return e == LMDB_FILE_CUT ? "it was cut short: pages that are in use are missing"
				  : mdb_strerror(e);
}

static const struct {
	int e;
	const char *remedy;
} remedies[] = {
    {EACCES, "give it to the user that ocspcached runs as"},
    {EPERM, "give it to the user that ocspcached runs as"},
    {ENOENT, "each part of its path has to be a folder"}, /* a link to nowhere */
    {ENOTDIR, "each part of its path has to be a folder"},
    {ENAMETOOLONG, "choose a shorter path"},
    {ENOLCK, "it has to be on a file system of this machine"},
    {EOPNOTSUPP, "it has to be on a file system of this machine"},
    {ENODEV, "it has to be on a file system of this machine"},
    {ENOMEM, "allow more memory, or less in store-size and events-size"},
    {EMFILE, "allow more descriptors (LimitNOFILE)"},
    {ENFILE, "allow more descriptors (fs.file-max)"},
    {ENOSPC, "make room, of blocks or of inodes (df, df -i)"},
    {EDQUOT, "raise the quota of its user"},
    /* the unit that is shipped leaves nothing else to write to */
    {EROFS, "mount its file system for writing, or let its unit have it "
	    "(ReadWritePaths)"},
    {EFBIG, "raise the limit of a file's size (LimitFSIZE)"},
    /* LMDB's word for a write that was cut short */
    {EIO, "see to its disk; it may be full (df, df -i)"},
    {MDB_MAP_FULL, "give it more room: store-size, events-size"},
    {MDB_READERS_FULL, "end what else reads it"},
    /* LMDB could not write a head, and does nothing more */
    {MDB_PANIC, "restart ocspcached once its file system can be written"},
};

const char *lmdb_file_remedy(int e)
{
	for (size_t i = 0; i < sizeof remedies / sizeof remedies[0]; i++)
		if (remedies[i].e == e)
			return remedies[i].remedy;
	return e != 0 ? "see to its file system" : "";
}

void lmdb_file_why(char *why, size_t why_n, const char *path, int e)
{
	snprintf(why, why_n, "%s: %s; %s", path, lmdb_file_text(e), lmdb_file_remedy(e));
}

bool lmdb_file_is_damage(int e)
{
	return e == LMDB_FILE_CUT || e == MDB_INVALID || e == MDB_CORRUPTED ||
	       e == MDB_VERSION_MISMATCH || e == MDB_PAGE_NOTFOUND || e == MDB_NOTFOUND ||
	       e == MDB_INCOMPATIBLE;
}

/* Looking. */

struct meta {
	uint32_t magic, version, page;
	uint16_t flags;
};

static bool read_meta(int fd, off_t at, struct meta *m)
{
	unsigned char b[HEAD_N + 28];

	if (pread(fd, b, sizeof b, at) != (ssize_t)sizeof b)
		return false;
	memcpy(&m->flags, b + 10, sizeof m->flags);
	memcpy(&m->magic, b + HEAD_N, sizeof m->magic);
	memcpy(&m->version, b + HEAD_N + 4, sizeof m->version);
	memcpy(&m->page, b + HEAD_N + 24, sizeof m->page);
	return true;
}

static const char *judge_meta(const struct meta *m)
{
	if (m->magic != MAGIC || (m->flags & META_FLAG) == 0)
		return "it is no LMDB file, or its head is damaged";
	if (m->version != DATA_VERSION)
		return "it is of another version of LMDB";
	if (m->page < PAGE_MIN || m->page > PAGE_MAX || (m->page & (m->page - 1)) != 0)
		return "its page size is impossible: its head is damaged";
	return NULL;
}

/* NULL: LMDB may open it. */
static const char *judge_content(int fd, off_t size)
{
	struct meta first, second;
	const char *wrong;

	if (size == 0)
		return "it is empty, as it never was: it was cut off, or a copy failed";
	if (!read_meta(fd, 0, &first))
		return "it was cut short in its head";
	if ((wrong = judge_meta(&first)) != NULL)
		return wrong;
	if (size < (off_t)first.page * 2 || !read_meta(fd, first.page, &second))
		return "it was cut short in its head";
	if ((wrong = judge_meta(&second)) != NULL)
		return wrong;
	return first.page == second.page ? NULL : "its two heads contradict each other";
}

static const char *kind_of(mode_t mode)
{
	return S_ISDIR(mode)    ? "directory"
	       : S_ISFIFO(mode) ? "FIFO"
	       : S_ISSOCK(mode) ? "socket"
				: "device";
}

static enum lmdb_file_is unusable(char why[LMDB_FILE_WHY], const char *which, int e)
{
	snprintf(why, LMDB_FILE_WHY, "%s cannot be read and written: %s; %s", which,
	    strerror(e), lmdb_file_remedy(e));
	return LMDB_UNUSABLE;
}

/* A link that leads nowhere is none of a new file: what it leads to may not be mounted.
 */
static enum lmdb_file_is absent(const char *path, const char *which, char *why)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return LMDB_ABSENT;
	snprintf(why, LMDB_FILE_WHY,
	    "%s is a link to nothing; mount or restore what it leads to, or remove it",
	    which);
	return LMDB_UNUSABLE;
}

/* Open what has to be a file.  LMDB_LOOKS_WELL: *fd is open. */
static enum lmdb_file_is open_regular(
    const char *path, const char *which, int *fd, struct stat *st, char *why)
{
	if (stat(path, st) != 0)
		return errno == ENOENT ? absent(path, which, why)
				       : unusable(why, which, errno);
	if (!S_ISREG(st->st_mode)) {
		snprintf(why, LMDB_FILE_WHY, "%s is a %s and no file; move it away",
		    which, kind_of(st->st_mode));
		return LMDB_UNUSABLE;
	}
	*fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return *fd >= 0 ? LMDB_LOOKS_WELL : unusable(why, which, errno);
}

/* LMDB makes a new lock file of any that nobody else has open. */
static enum lmdb_file_is look_at_lock(const char *path, char why[LMDB_FILE_WHY])
{
	char lock[PATH_ROOM];
	struct stat st;
	enum lmdb_file_is is;
	int fd;

	if ((size_t)snprintf(lock, sizeof lock, "%s-lock", path) >= sizeof lock)
		return LMDB_ABSENT; /* LMDB says so */
	is = open_regular(lock, "its lock file (-lock)", &fd, &st, why);
	if (is == LMDB_LOOKS_WELL)
		close(fd);
	return is;
}

enum lmdb_file_is lmdb_file_look(const char *path, char why[LMDB_FILE_WHY])
{
	struct stat st;
	const char *wrong;
	enum lmdb_file_is is;
	int fd;

	why[0] = '\0';
	if (look_at_lock(path, why) == LMDB_UNUSABLE)
		return LMDB_UNUSABLE;
	is = open_regular(path, "it", &fd, &st, why);
	if (is != LMDB_LOOKS_WELL)
		return is;
	wrong = judge_content(fd, st.st_size);
	close(fd);
	if (wrong == NULL)
		return LMDB_LOOKS_WELL;
	snprintf(why, LMDB_FILE_WHY, "%s", wrong);
	return LMDB_DAMAGED;
}

bool lmdb_file_was_here(const char *path)
{
	char why[LMDB_FILE_WHY];

	return look_at_lock(path, why) == LMDB_LOOKS_WELL;
}

/* Making. */

static int sync_file(const char *path, int flags)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | flags), e = 0;

	if (fd < 0)
		return errno;
	if (fsync(fd) != 0)
		e = errno;
	close(fd);
	return e;
}

static int sync_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_ROOM];

	if (slash == NULL)
		return sync_file(".", O_DIRECTORY);
	snprintf(folder, sizeof folder, "%.*s", (int)(slash - path) + 1, path);
	return sync_file(folder, O_DIRECTORY);
}

/* LMDB writes the head of a file that it makes. */
static int make_empty(const char *path)
{
	MDB_env *env;
	int e = mdb_env_create(&env);

	if (e != 0)
		return e;
	e = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600);
	mdb_env_close(env);
	return e;
}

int lmdb_file_make(const char *path)
{
	char new[PATH_ROOM];
	int e;

	if ((size_t)snprintf(new, sizeof new, "%s.new", path) >= sizeof new)
		return ENAMETOOLONG;
	unlink(new); /* of a life that ended here */
	if ((e = make_empty(new)) != 0 || (e = sync_file(new, 0)) != 0) {
		unlink(new);
		return e;
	}
	if (rename(new, path) != 0)
		return errno;
	return sync_folder_of(path);
}

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

/* The pages from first on that the list of free pages (LMDB's database 0: lists of page
 * numbers, each with its length before it) has. */
static int count_free(MDB_txn *txn, size_t first, size_t *count)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	int e = mdb_cursor_open(txn, 0, &cursor);

	*count = 0;
	if (e != 0)
		return e;
	while ((e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		size_t n = v.mv_size / sizeof n, page;

		for (size_t i = 1; i < n; i++) {
			memcpy(&page, (char *)v.mv_data + i * sizeof page, sizeof page);
			*count += page >= first;
		}
	}
	mdb_cursor_close(cursor);
	return e == MDB_NOTFOUND ? 0 : e;
}

/* Are all pages from first on free? */
static int all_free(MDB_env *env, size_t first, size_t pages)
{
	MDB_txn *txn;
	size_t n;
	int e = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);

	if (e != 0)
		return e;
	e = count_free(txn, first, &n);
	mdb_txn_abort(txn);
	if (e == 0 && n < pages - first)
		e = LMDB_FILE_CUT;
	return lmdb_file_is_damage(e) ? LMDB_FILE_CUT : e;
}

int lmdb_file_mend(MDB_env *env, size_t page)
{
	MDB_envinfo info;
	struct stat st;
	mdb_filehandle_t fd;
	size_t pages;
	int e;

	if ((e = mdb_env_info(env, &info)) != 0 || (e = mdb_env_get_fd(env, &fd)) != 0)
		return e;
	pages = info.me_last_pgno + 1;
	if (fstat(fd, &st) != 0)
		return errno;
	if ((size_t)st.st_size / page >= pages)
		return 0;
	/* First longer: the list of free pages may be what is missing. */
	if (ftruncate(fd, (off_t)(pages * page)) != 0)
		return errno;
	e = all_free(env, (size_t)st.st_size / page, pages);
	if (e != 0 && ftruncate(fd, st.st_size) != 0)
		return errno;
	return e;
}

size_t lmdb_file_commits(MDB_env *env)
{
	MDB_envinfo info;

	return mdb_env_info(env, &info) == 0 ? info.me_last_txnid : 0;
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

int lmdb_file_open(
    MDB_env **env, const char *path, size_t size, unsigned databases, size_t *page)
{
	size_t system = (size_t)sysconf(_SC_PAGESIZE);
	MDB_stat st;
	int e, dead;

	if ((e = mdb_env_create(env)) != 0 ||
	    (e = mdb_env_set_maxdbs(*env, databases)) != 0 ||
	    (e = mdb_env_set_mapsize(*env, size / system * system)) != 0 ||
	    (e = mdb_env_open(*env, path, MDB_NOSUBDIR | MDB_NOTLS, 0600)) != 0 ||
	    (e = mdb_env_stat(*env, &st)) != 0)
		return e;
	*page = st.ms_psize;
	if ((e = lmdb_file_mend(*env, *page)) != 0)
		return e;
	return mdb_reader_check(*env, &dead);
}

int lmdb_file_databases(MDB_env *env, const char *format, const char *const *name,
    size_t n, MDB_dbi *names, MDB_dbi *dbi, bool *same)
{
	MDB_txn *txn;
	int e = mdb_txn_begin(env, NULL, 0, &txn);

	if (e != 0)
		return e;
	if ((e = mdb_dbi_open(txn, NULL, 0, names)) == 0)
		e = lmdb_file_format(txn, *names, format, &dbi[0], same);
	if (e == 0 && !*same) {
		mdb_txn_abort(txn);
		return 0;
	}
	for (size_t i = 1; e == 0 && i < n; i++)
		e = mdb_dbi_open(txn, name[i], MDB_CREATE, &dbi[i]);
	return lmdb_file_finish(txn, e);
}

int lmdb_file_used(MDB_txn *txn, MDB_dbi names, const MDB_dbi *dbi, size_t n, size_t page,
    uint64_t *used)
{
	MDB_stat st;
	int e = mdb_stat(txn, names, &st);

	*used = 0;
	for (size_t i = 0; e == 0; i++) {
		*used += (st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages) *
			 (uint64_t)page;
		if (i == n)
			return 0;
		e = mdb_stat(txn, dbi[i], &st);
	}
	return e;
}

int lmdb_file_finish(MDB_txn *txn, int e)
{
	if (e == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return e;
}
