/* pairs.h - the prepared requests and their answers, in one file.
 *
 * make_answers writes it; ca (who answers) and load (who asks and checks) map it.  The
 * file: "pairs 1\n", then for each pair two 32-bit lengths in the machine's own order,
 * the request (canonical DER) and the OCSPResponse.
 */
#ifndef BENCH_PAIRS_H
#define BENCH_PAIRS_H

#include <stdio.h>

#include "cache/base/bytes.h"

struct pair {
	struct bytes request, answer; /* borrowed from the mapping */
};

struct pairs {
	struct pair *pair; /* n of them */
	size_t n;
};

/* Exits with a message when path is no such file: the tools of a bench have nobody to
 * report to.  What it maps stays until the process ends. */
struct pairs pairs_open(const char *path);

/* false: write error */
bool pairs_start(FILE *f);
bool pairs_write(FILE *f, struct bytes request, struct bytes answer);

#endif
