/* api_path.c - up to the end of a segment. */
#include "proxy/api/api_path.h"

bool path_begins(struct bytes path, const char *name, struct bytes *rest)
{
	size_t n = strlen(name);

	if (path.n < n || memcmp(path.p, name, n) != 0)
		return false;
	if (path.n > n && path.p[n] != '/')
		return false;
	*rest = bytes_of(path.p + n, path.n - n);
	return true;
}

bool path_segment(struct bytes *rest, struct bytes *segment)
{
	const uint8_t *end;
	size_t n;

	if (rest->n < 2 || rest->p[0] != '/')
		return false;
	end = memchr(rest->p + 1, '/', rest->n - 1);
	n = (end != NULL ? (size_t)(end - rest->p) : rest->n) - 1;
	*segment = bytes_of(rest->p + 1, n);
	*rest = bytes_of(rest->p + 1 + n, rest->n - 1 - n);
	return n > 0;
}
