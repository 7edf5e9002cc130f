/* gate.h - who asks: a token is looked for before anything else is looked at.
 *
 * Where no token is configured nobody is asked.  Where one is, every call needs a good
 * one, on loopback and on unix sockets too, but /healthz, and /readyz in its short form
 * (rights.h).
 *
 * What is refused says nothing but that: 401 with WWW-Authenticate (RFC 6750 section 3),
 * the same for a token that is missing and for one that is not ours, but for
 * invalid_token; 429 where an address fails too often (logins.h).
 *
 * The API's thread.
 */
#ifndef PROXY_API_GATE_H
#define PROXY_API_GATE_H

#include <sys/socket.h>

#include "proxy/api/api_query.h"
#include "proxy/base/access.h"
#include "proxy/base/audit.h"
#include "proxy/http/conn.h"

struct gate;

/* Where a request comes from. */
struct gate_from {
	struct sockaddr_storage peer;
	bool outside;               /* off loopback: nobody is let in without a token */
	const uint8_t *certificate; /* SHA-256 of what the client has shown; NULL: none */
};

/* With the tokens of c.  NULL when out of memory. */
struct gate *gate_new(const struct conf *c, struct counters *counters);
void gate_free(struct gate *g);
/* Other tokens are in force; one that is as it was stays.  Out of memory: those before
 * are, which is said in the log. */
void gate_reload(struct gate *g, const struct conf *c);
/* For events_keep(): may who began as this go on? */
bool gate_keeps(void *gate, const struct access *a);

/* True: *who is (borrowed; NULL: nobody is asked).  False: *e, and *more, further lines
 * of the answer's head. */
bool gate_admit(struct gate *g, const struct gate_from *from,
    const struct http1_request *r, struct access **who, struct api_error *e,
    const char **more);

/* Who asks what from where, for the log; *call is "METHOD path detail". */
void gate_audit(struct audit *out, const struct gate_from *from,
    const struct http1_request *r, const struct access *who, const char *detail);

#endif
