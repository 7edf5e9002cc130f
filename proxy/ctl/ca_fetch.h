/* ca_fetch.h - a CA's certificate from where a certificate says that it is (caIssuers).
 *
 * The URL is a stranger's: T7 (guard.h), no redirects, bounded in size and time.  What
 * comes may be DER, PEM or PKCS#7 with certificates only (RFC 5280 section 4.2.2.1), and
 * is nobody's word for anything: who uses it verifies a signature by it first.
 */
#ifndef PROXY_CTL_CA_FETCH_H
#define PROXY_CTL_CA_FETCH_H

#include "conf/network.h"
#include "proxy/ctl/found.h"

struct ca_fetch;

/* allow is borrowed.  NULL when out of memory. */
struct ca_fetch *ca_fetch_open(const struct network *allow, size_t n);
void ca_fetch_close(struct ca_fetch *c); /* NULL is allowed */

/* Fetch, and add what came.  What went wrong becomes a note.  False: out of memory. */
bool ca_fetch(struct ca_fetch *c, const char *url, struct found *f);

#endif
