/* corpus.h - files of the public test corpora.  They are not part of this repository:
 * OCSPCACHED_CORPORA says where they are, else ../shared/corpora beside it; who needs one
 * that is not there skips, and says so. */
#ifndef TESTS_LIB_CORPUS_H
#define TESTS_LIB_CORPUS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Bytes of the file (at most room), or 0 with a message. */
static inline size_t corpus_read(const char *name, uint8_t *out, size_t room)
{
	const char *dir = getenv("OCSPCACHED_CORPORA");
	char path[1024];
	size_t n;
	FILE *f;

	snprintf(
	    path, sizeof(path), "%s/%s", dir != NULL ? dir : "../shared/corpora", name);
	f = fopen(path, "rb");
	if (f == NULL) {
		fprintf(stderr,
		    "skipped: %s is not there; OCSPCACHED_CORPORA names the "
		    "folder of the corpora\n",
		    path);
		return 0;
	}
	n = fread(out, 1, room, f);
	fclose(f);
	return n;
}

#endif
