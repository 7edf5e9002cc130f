/* loop.h - connections that send requests and check what comes back.
 *
 * One thread, epoll, one request at a time on a connection, one read and one write for
 * each.  Closed loop: a connection sends its next request when it has its answer.  Open
 * loop: requests are due at fixed times whatever the server does, and latency counts from
 * when one was due, not from when a connection was free to send it (otherwise a server
 * that stalls would be asked less and look better).
 */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include <netinet/in.h>

#include "bench/hist.h"
#include "bench/wire.h"

struct plan {
	struct sockaddr_in at;
	const struct wire *wire;
	int conns;
	bool reconnect; /* a connection for each request, which the server closes */
	bool once;      /* each key once, in order, then stop; no warming up */
	bool any;       /* any body will do */
	bool strange;   /* every request asks for a serial that nobody has; POST only;
			   with reconnect nobody waits for the answer */
	long fixed;     /* the key that all answers are for, or -1 */
	double rate;    /* of the open loop, requests a second; 0: closed loop */
	double warm, seconds;
	void (*measure)(void *arg, bool begins); /* measuring begins, ends */
	void *arg;
};

struct result {
	struct hist latency;  /* ns, of answers while measuring */
	uint64_t good, wrong; /* answers while measuring */
	uint64_t broken;      /* connections that ended before their answer */
	uint64_t behind;      /* open loop: due, but not sent at the end */
	double seconds;       /* that were measured */
};

/* Exits when the server cannot be reached at all, or is silent for ten seconds. */
void loop_run(const struct plan *plan, struct result *out);

#endif
