/* tls_chain.h - the certificates that a TLS server shows.
 *
 * Nothing is verified: they are only looked at, and who issued them is found by their
 * signatures.  Old versions and weak keys are taken too, for the same reason.  The server
 * is asked by its name (SNI); addresses have none.
 */
#ifndef PROXY_CTL_TLS_CHAIN_H
#define PROXY_CTL_TLS_CHAIN_H

#include "cache/base/bytes.h"
#include "conf/address.h"

/* fn is called for each certificate, the server's own first.  timeout_ms: for all of it
 * but the look-up of the name.  False with why. */
bool tls_chain(const struct address *at, int timeout_ms,
    void (*fn)(void *arg, struct bytes der), void *arg, char *why, size_t why_n);

#endif
