/* pairs.c - requests and their answers in a file that is mapped. */
#include "bench/pairs.h"

#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "pairs 1\n"

bool pairs_start(FILE *f)
{
	return fwrite(MAGIC, 1, sizeof MAGIC - 1, f) == sizeof MAGIC - 1;
}

bool pairs_write(FILE *f, struct bytes request, struct bytes answer)
{
	const uint32_t n[2] = {(uint32_t)request.n, (uint32_t)answer.n};

	return fwrite(n, sizeof n, 1, f) == 1 &&
	       fwrite(request.p, 1, request.n, f) == request.n &&
	       fwrite(answer.p, 1, answer.n, f) == answer.n;
}

static struct bytes file_map(const char *path)
{
	struct stat st;
	void *p;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) != 0)
		err(1, "%s", path);
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED)
		err(1, "%s", path);
	close(fd);
	return bytes_of(p, (size_t)st.st_size);
}

/* Take the first pair off rest; false when it is not whole. */
static bool pair_next(struct bytes *rest, struct pair *out)
{
	uint32_t n[2];

	if (rest->n < sizeof n)
		return false;
	memcpy(n, rest->p, sizeof n);
	if (rest->n - sizeof n < (size_t)n[0] + n[1])
		return false;
	out->request = bytes_of(rest->p + sizeof n, n[0]);
	out->answer = bytes_of(rest->p + sizeof n + n[0], n[1]);
	*rest = bytes_of(out->answer.p + n[1], rest->n - sizeof n - n[0] - n[1]);
	return true;
}

struct pairs pairs_open(const char *path)
{
	struct bytes rest = file_map(path);
	struct pairs all = {NULL, 0};
	size_t room = 0;

	if (rest.n < sizeof MAGIC || memcmp(rest.p, MAGIC, sizeof MAGIC - 1) != 0)
		errx(1, "%s: not made by make_answers", path);
	rest = bytes_of(rest.p + sizeof MAGIC - 1, rest.n - (sizeof MAGIC - 1));
	while (rest.n > 0) {
		if (all.n == room) {
			room = room == 0 ? 1024 : 2 * room;
			all.pair = realloc(all.pair, room * sizeof *all.pair);
			if (all.pair == NULL)
				err(1, "%s", path);
		}
		if (!pair_next(&rest, &all.pair[all.n++]))
			errx(1, "%s: cut off", path);
	}
	return all;
}
