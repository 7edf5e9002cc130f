/* place.c - a file replaced by rename(2), beside one that is locked. */
#include "proxy/ctl/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int complain(char *why, size_t why_n, const char *path)
{
	snprintf(why, why_n, "%s: %s", path, strerror(errno));
	return -1;
}

/* NULL when out of memory, or with errno 0 where the environment names no place. */
static char *default_path(void)
{
	const char *state = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME"),
		   *home = getenv("HOME");
	char *path = NULL;

	errno = 0;
	if (state != NULL && state[0] == '/') {
		if (asprintf(&path, "%.*s/watch", (int)strcspn(state, ":"), state) < 0)
			return NULL;
	} else if (xdg != NULL && xdg[0] == '/') {
		if (asprintf(&path, "%s/ocspctl/watch", xdg) < 0)
			return NULL;
	} else if (home != NULL && home[0] == '/') {
		if (asprintf(&path, "%s/.local/state/ocspctl/watch", home) < 0)
			return NULL;
	}
	return path;
}

/* The directories above path. */
static int make_parents(const char *path)
{
	char *copy = strdup(path);
	int e = 0;

	if (copy == NULL)
		return -1;
	for (char *p = copy + 1; e == 0 && (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		if (mkdir(copy, 0700) != 0 && errno != EEXIST)
			e = -1;
		*p = '/';
	}
	free(copy);
	return e;
}

static int take_lock(struct place *p, char *why, size_t why_n)
{
	char *path;

	if (asprintf(&path, "%s.lock", p->path) < 0)
		return complain(why, why_n, p->path);
	p->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (p->lock_fd < 0 || flock(p->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EWOULDBLOCK)
			snprintf(why, why_n,
			    "%s: another ocspctl watch has this place; give each its own "
			    "--place",
			    p->path);
		else
			complain(why, why_n, path);
		free(path);
		return -1;
	}
	free(path);
	return 0;
}

static int read_id(struct place *p, char *why, size_t why_n)
{
	FILE *f = fopen(p->path, "re");

	if (f == NULL)
		return errno == ENOENT ? 0 : complain(why, why_n, p->path);
	if (fgets(p->id, sizeof p->id, f) == NULL)
		p->id[0] = '\0';
	fclose(f);
	p->id[strcspn(p->id, "\r\n")] = '\0';
	return 0;
}

int place_open(struct place *p, const char *path, char *why, size_t why_n)
{
	*p = (struct place){.lock_fd = -1};
	p->path = path != NULL ? strdup(path) : default_path();
	if (p->path == NULL) {
		snprintf(why, why_n, "%s",
		    errno != 0 ? strerror(errno)
			       : "there is no home directory; say --place FILE");
		return -1;
	}
	if (make_parents(p->path) != 0) {
		complain(why, why_n, p->path);
	} else if (take_lock(p, why, why_n) == 0 && read_id(p, why, why_n) == 0) {
		return 0;
	}
	place_close(p);
	return -1;
}

void place_close(struct place *p)
{
	if (p->lock_fd >= 0)
		close(p->lock_fd);
	free(p->path);
	*p = (struct place){.lock_fd = -1};
}

static int write_line(const char *path, const char *id)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int ok;

	if (fd < 0)
		return -1;
	ok = dprintf(fd, "%s\n", id) > 0 && fsync(fd) == 0;
	return close(fd) == 0 && ok ? 0 : -1;
}

/* The directory's entry, without which the rename may not survive a power failure. */
static void sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == NULL
			? strdup(".")
			: strndup(path, slash > path ? (size_t)(slash - path) : 1);
	int fd = dir != NULL ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(dir);
}

int place_set(struct place *p, const char *id, char *why, size_t why_n)
{
	char *made;
	int e;

	if (p->path == NULL || strcmp(p->id, id) == 0)
		return 0;
	if (asprintf(&made, "%s.new", p->path) < 0)
		return complain(why, why_n, p->path);
	e = write_line(made, id);
	if (e == 0)
		e = rename(made, p->path);
	if (e == 0)
		sync_directory(p->path);
	if (e != 0)
		complain(why, why_n, made);
	else
		snprintf(p->id, sizeof p->id, "%s", id);
	free(made);
	return e;
}
