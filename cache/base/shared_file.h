/* shared_file.h - an open file that several threads read at places of their own.
 *
 * Counted: it is closed when the last reference is given back, on whichever thread.  It
 * is only ever read by pread() and sendfile(): its own place means nothing to anybody.
 */
#ifndef CACHE_BASE_SHARED_FILE_H
#define CACHE_BASE_SHARED_FILE_H

#include <stdint.h>

struct shared_file {
	_Atomic unsigned refs;
	int fd;
	uint64_t size; /* bytes */
};

/* fd is handed over, also on failure (NULL: out of memory).  One reference. */
struct shared_file *shared_file_new(int fd, uint64_t size);
struct shared_file *shared_file_ref(struct shared_file *f);
void shared_file_unref(struct shared_file *f); /* NULL is allowed */

#endif
