/* guests.h - clients of the API off loopback: those that TLS has let in (tls.h).
 *
 * A guest is a connection on one end of a pair; where it comes from and what certificate
 * it has shown is known here, and no token of its own is needed to be one: the gate asks
 * for that.  They have their own limit, so that nobody off loopback takes the places of
 * those on it.
 *
 * The API's thread.
 */
#ifndef PROXY_API_GUESTS_H
#define PROXY_API_GUESTS_H

#include "proxy/api/gate.h"
#include "proxy/http/conn.h"
#include "proxy/http/tls.h"

#define GUESTS_MAX 256 /* without streams; over it a client is sent away */

/* The connection of a guest, which is handed over; *count: how many there are. */
void guest_open(struct conn_loop *l, struct tls_guest *g, _Atomic int *count);
/* Where the request of c comes from, be it a guest's or not. */
void guest_from(const struct conn *c, struct gate_from *from);

/* Is this Host (with or without port) one by which the API is called off loopback: a name
 * or address of the certificate, or of api-host? */
bool guest_host_is_ours(const struct conf *c, struct bytes host);

#endif
