/* tls.h - the thread "tls": TLS on the outside, plain bytes on the inside.
 *
 * It accepts, shakes hands, and hands one end of a socket pair to whoever serves; from
 * then on it carries bytes between that pair and its client.  So nobody else knows of
 * TLS: requests, uploads, streams, sendfile and detached sockets are what they are on a
 * unix socket, the front has no branch for it, and no handshake, which is a
 * millisecond of arithmetic, holds a stream up.  It costs a stream two descriptors more
 * and a copy of its bytes.
 *
 * What a client does not take stays in the pair: the server sees a socket that is full,
 * and whoever is slow is cut off by it as ever.  A link holds one record at most.
 *
 * TLS 1.2 and 1.3 as the context says; a handshake has TLS_SHAKE_MS whatever it sends,
 * and TLS_HALF_MAX of them are under way: one more ends the oldest, so that half-open
 * ones keep nobody out.
 *
 * Weak point: bytes that the pair still has when a server closes are carried on for
 * TLS_STALL_MS without progress, not for the server's own deadline.
 */
#ifndef PROXY_HTTP_TLS_H
#define PROXY_HTTP_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "proxy/base/inbox.h"

#define TLS_SHAKE_MS 10000
#define TLS_HALF_MAX 1024
#define TLS_STALL_MS 60000 /* a client that takes nothing */
#define TLS_LAST_MS  5000  /* a client that says nothing after our end */

/* A client that has shaken hands: a message, malloc'd, the receiver's to free. */
struct tls_guest {
	struct msg msg;
	void *owner; /* of whom it is for */
	int fd;      /* plain bytes; the receiver's */
	struct sockaddr_storage peer;
	bool has_certificate;
	uint8_t certificate[32]; /* SHA-256 of its DER, verified */
};

struct tls;

/* fds: n, bound and listening, handed over also on failure.  context: a reference is
 * taken.  Each guest is sent to `to` with run arrived.  At most max links.  NULL when out
 * of memory. */
struct tls *tls_new(const int *fds, size_t n, SSL_CTX *context, struct inbox *to,
    void (*arrived)(void *inbox_arg, struct msg *m), size_t max);
int tls_start(struct tls *t); /* 0 or errno */

/* Any thread. */
void tls_reload(struct tls *t, SSL_CTX *context); /* for handshakes from now on */
void tls_close(struct tls *t); /* accept no more, end handshakes; links go on */
void tls_stop(struct tls *t);  /* end, after links have had a moment for what they have */
void tls_join(struct tls *t);
void tls_free(struct tls *t); /* NULL is allowed */

#endif
