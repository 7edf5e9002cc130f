/* mirror.h - a list as its CA published it, byte for byte (R112).
 *
 * The answer is a head and the state directory's file, sent by sendfile: however large a
 * list is, a client costs a reference and an offset.  A list past its nextUpdate is still
 * handed out (it is what the CA has), with max-age=0: who trusts it decides.
 *
 * "As its CA published it" is the signed list, in DER: where a CA publishes PEM, or
 * several lists in one file, it is what stands in there for this issuer.
 *
 * Last-Modified is thisUpdate, which two lists may share (made within a second, or dated
 * back to the hour): If-Modified-Since alone gets 304 only where no list of this date or
 * a later one was here before, over restarts.  What another node had is not known: where
 * several stand behind one name, the ETag, which is the list's own, is the validator.
 *
 * Worker's thread; the set is borrowed for the callback.
 */
#ifndef PROXY_FRONT_MIRROR_H
#define PROXY_FRONT_MIRROR_H

#include "proxy/base/shared.h"
#include "proxy/http/conn.h"

/* Answer r, a GET or HEAD, with list number `list` of i; returns the HTTP status that
 * was sent: 200, 304, or 503 while the list is not in force. */
int mirror_reply(struct conn_loop *l, struct conn *c, const struct http1_request *r,
    const struct conf *conf, const struct issuer *i, size_t list);

#endif
