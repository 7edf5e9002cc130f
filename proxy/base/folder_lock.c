/* folder_lock.c - a file, flock(2) on it, and who holds it where we may not. */
#include "proxy/base/folder_lock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/base/lmdb_file.h"
#include "conf/conf.h"

#define PATH_ROOM 4096
#define PID_MAX   20 /* of its digits */

/* What is no regular file has one cause, whatever open() says of it. */
static void complain(char *why, size_t why_n, const char *path, int e)
{
	if (e == ELOOP)
		snprintf(why, why_n, "%s: not a regular file; move it away", path);
	else
		lmdb_file_why(why, why_n, path, e);
}

/* Never wait for what stands there, nor make a file elsewhere.  -1 with errno. */
static int open_file(const char *path, struct stat *st)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0600);

	if (fd >= 0 && fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	if (fd >= 0)
		close(fd);
	if (fd >= 0 || errno == ENXIO || errno == EISDIR)
		errno = ELOOP;
	return -1;
}

/* By inode: a folder may have several names. */
static bool is_held(const struct folder_locks *l, const struct stat *st)
{
	struct stat held;

	for (size_t i = 0; i < l->n; i++)
		if (fstat(l->fd[i], &held) == 0 && held.st_dev == st->st_dev &&
		    held.st_ino == st->st_ino)
			return true;
	return false;
}

/* " (process 4711)", as its holder wrote it, or "". */
static void read_holder(int fd, char out[PID_MAX + 16])
{
	char text[PID_MAX + 1] = "";
	ssize_t n = pread(fd, text, PID_MAX, 0);
	size_t digits = strspn(text, "0123456789");

	out[0] = '\0';
	if (n > 0 && digits > 0 && text[digits] == '\n')
		snprintf(out, PID_MAX + 16, " (process %.*s)", (int)digits, text);
}

/* On a full disk it has no name: it is held all the same. */
static void write_holder(int fd)
{
	char text[PID_MAX + 2];
	int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n)
		return;
}

static bool take(int fd, const char *path, char *why, size_t why_n)
{
	char holder[PID_MAX + 16];

	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		write_holder(fd);
		return true;
	}
	if (errno != EWOULDBLOCK) {
		complain(why, why_n, path, errno);
		return false;
	}
	read_holder(fd, holder);
	snprintf(why, why_n,
	    "%s: another ocspcached%s uses this folder; give each its own "
	    "state-directory and, with lmdb:, its own store; if that one is being "
	    "stopped, start when it has ended",
	    path, holder);
	return false;
}

/* The folder's lock file, or -1: why says why not. */
static int open_lock(
    const char *folder, char path[PATH_ROOM], struct stat *st, char *why, size_t why_n)
{
	int fd;

	if ((size_t)snprintf(path, PATH_ROOM, "%s/lock", folder) >= PATH_ROOM) {
		complain(why, why_n, folder, ENAMETOOLONG);
		return -1;
	}
	if (conf_make_directory(folder) != 0) {
		complain(why, why_n, folder, errno);
		return -1;
	}
	fd = open_file(path, st);
	if (fd < 0)
		complain(why, why_n, path, errno);
	return fd;
}

bool folder_lock_take(struct folder_locks *l, const char *folder, char *why, size_t why_n)
{
	char path[PATH_ROOM];
	struct stat st;
	int fd = open_lock(folder, path, &st, why, why_n);
	bool held = fd >= 0 && is_held(l, &st);

	assert(l->n < FOLDER_LOCKS_MAX);
	if (fd < 0)
		return false;
	if (held || !take(fd, path, why, why_n)) {
		close(fd);
		return held;
	}
	l->fd[l->n++] = fd;
	return true;
}

void folder_locks_drop(struct folder_locks *l)
{
	while (l->n > 0)
		close(l->fd[--l->n]);
}
