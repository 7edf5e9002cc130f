/* listener.h - listening sockets: open one, accept from it into a conn_loop.
 *
 * Accepting pauses when descriptors, memory or max_connections run out, and goes on by
 * itself when a connection of this listener closes, or after a moment; what waits in the
 * kernel's backlog meanwhile is not lost.  A listener belongs to the thread of its
 * conn_loop.
 */
#ifndef PROXY_HTTP_LISTENER_H
#define PROXY_HTTP_LISTENER_H

#include "proxy/http/conn.h"

struct listener;
struct listener_limits {
	_Atomic int *connections; /* shared count of clients, kept here */
	int max_connections;
};

/* Accept from fd, which is bound, listening and non-blocking; handed over unless
 * shared_fd (then several listeners may accept from it).  NULL when out of memory. */
struct listener *listener_new(struct conn_loop *l, struct event_base *base, int fd,
    bool shared_fd, const struct listener_limits *limits);
void listener_limit(struct listener *ls, int max_connections); /* reload */
/* Stop accepting.  Its connections live on; the shared count stays right. */
void listener_free(struct listener *ls);

/* Open a listening socket for "host:port", "[v6]:port" (that family only), "*:port"
 * (every IPv4 address) or "unix:/path".  host is numeric or "localhost": no name service
 * is asked.  reuseport: also several for one address (one for each worker).  An address
 * that another program listens on is refused with EADDRINUSE even with reuseport (probe:
 * a bind without it comes first; probe false for the second and later ones).  The file of
 * a unix socket that nobody listens on any more is replaced.
 * The descriptor is non-blocking and close-on-exec.  -1 with errno and a line in why:
 * address, cause, remedy.  Blocks for a moment (bind, and for unix sockets connect). */
int listener_open(const char *address, int backlog, bool reuseport, bool probe, char *why,
    size_t why_n);

#endif
