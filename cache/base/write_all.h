/* write_all.h - all of a buffer into a file, however many writes that takes.  Any thread;
 * blocks as write(2) does.
 */
#ifndef CACHE_BASE_WRITE_ALL_H
#define CACHE_BASE_WRITE_ALL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

/* False, with errno: not all of it is there. */
static inline bool write_all(int fd, const void *from, size_t n)
{
	const uint8_t *p = from;

	while (n > 0) {
		ssize_t wrote = write(fd, p, n);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote == 0)
			errno = ENOSPC;
		if (wrote <= 0)
			return false;
		p += wrote;
		n -= (size_t)wrote;
	}
	return true;
}

#endif
