/* Counting as OpenSSL and the kernel do it: who takes a reference has one, so that taking
 * orders nothing; the last one that gives his back has seen what all others did. */
#include "cache/base/shared_file.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct shared_file *shared_file_new(int fd, uint64_t size)
{
	struct shared_file *f = malloc(sizeof *f);

	assert(fd >= 0);
	if (f == NULL) {
		close(fd);
		return NULL;
	}
	atomic_init(&f->refs, 1);
	f->fd = fd;
	f->size = size;
	return f;
}

struct shared_file *shared_file_ref(struct shared_file *f)
{
	unsigned had = atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);

	assert(had > 0);
	(void)had;
	return f;
}

void shared_file_unref(struct shared_file *f)
{
	unsigned had;

	if (f == NULL)
		return;
	had = atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel);
	assert(had > 0);
	if (had > 1)
		return;
	close(f->fd);
	free(f);
}
