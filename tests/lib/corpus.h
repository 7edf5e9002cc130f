/* corpus.h - files of the public test corpora.  They are not part of this repository:
 * OCSPCACHED_CORPORA says where they are, else ../shared/corpora beside it.
 *
 * Where nobody has said where they are and they are not there, a test that needs them is
 * skipped, and says so.  A place that was named and is none, or a file that is not among
 * them, is a failure: half of a corpus proves as little as none.
 */
#ifndef TESTS_LIB_CORPUS_H
#define TESTS_LIB_CORPUS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static inline void corpus_path(const char *name, char path[1024])
{
	const char *named = getenv("OCSPCACHED_CORPORA");
	const char *dir = named != NULL ? named : "../shared/corpora";

	snprintf(path, 1024, "%s/%s", dir, name);
	if (access(path, R_OK) == 0)
		return;
	if (named != NULL || access(dir, F_OK) == 0)
		fail_msg("%s is not there; OCSPCACHED_CORPORA names the folder of the "
			 "corpora",
		    path);
	fprintf(stderr,
	    "skipped: %s is not there; OCSPCACHED_CORPORA names the folder of the "
	    "corpora\n",
	    dir);
	skip();
}

/* Bytes of the file; it has at least one and at most room. */
static inline size_t corpus_read(const char *name, uint8_t *out, size_t room)
{
	char path[1024];
	size_t n;
	FILE *f;

	corpus_path(name, path);
	f = fopen(path, "rb");
	assert_non_null(f);
	n = fread(out, 1, room, f);
	if (n == 0 || (n == room && getc(f) != EOF))
		fail_msg("%s: empty, or larger than %zu", path, room);
	fclose(f);
	return n;
}

#endif
