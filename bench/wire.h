/* wire.h - the requests as they are sent, and whether an answer is right.
 *
 * Requests are made once, in the spellings of several clients (which headers, in which
 * order), so that no server can live on one of them.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include "bench/pairs.h"

struct wire {
	size_t n;
	struct bytes *request; /* n of each */
	struct bytes *body;    /* that the answer has to have */
};

/* post: else GET, base64 with percent-encoding (RFC 6960 appendix A).  close: each says
 * "Connection: close".  Exits when out of memory. */
struct wire wire_make(const struct pairs *p, bool post, bool close);

enum verdict {
	VERDICT_PART, /* more has to come */
	VERDICT_GOOD,
	VERDICT_WRONG, /* not a 200, or another body, or something behind it */
};

/* Are these n bytes an answer with this body?  body.p NULL: with any body whose length
 * the head gives. */
enum verdict wire_check(const char *p, size_t n, struct bytes body);

#endif
