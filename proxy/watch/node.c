/* node.c - a file of one line. */
#include "proxy/watch/node.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cache/base/bytes.h"

#define TEXT_N (2 * NODE_N + 1) /* with its line end */

/* False with errno; 0: it is no line of ours. */
static bool read_id(int fd, uint8_t id[NODE_N])
{
	char text[TEXT_N + 1];
	ssize_t n = read(fd, text, sizeof text);

	errno = n < 0 ? errno : 0;
	return n == TEXT_N && text[TEXT_N - 1] == '\n' && hex_decode(text, NODE_N, id);
}

/* Beside its place first, so that a kill leaves the whole file or none. */
static bool make_id(const char *path, uint8_t id[NODE_N])
{
	char draft[PATH_MAX + 8], text[TEXT_N + 1];
	bool ok;
	int fd;

	snprintf(draft, sizeof draft, "%s.new", path);
	fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || getrandom(id, NODE_N, 0) != NODE_N) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	hex_encode(id, NODE_N, text);
	text[TEXT_N - 1] = '\n';
	ok = write(fd, text, TEXT_N) == TEXT_N && fsync(fd) == 0;
	return close(fd) == 0 && ok && rename(draft, path) == 0;
}

bool node_id(uint8_t id[NODE_N], const char *state_directory, char *why, size_t why_n)
{
	char path[PATH_MAX];
	bool ok;
	int fd;

	if ((size_t)snprintf(path, sizeof path, "%s/node", state_directory) >=
	    sizeof path) {
		snprintf(why, why_n, "%.200s...: its path is too long", path);
		return false;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		ok = errno == ENOENT && make_id(path, id);
	else
		ok = read_id(fd, id);
	if (!ok)
		snprintf(why, why_n, "%s: %s; remove it, and a new one is made", path,
		    errno != 0 ? strerror(errno) : "not a line of 32 hexadecimal digits");
	if (fd >= 0)
		close(fd);
	return ok;
}
