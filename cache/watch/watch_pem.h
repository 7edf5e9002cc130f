/* watch_pem.h - the certificates in a text of PEM (RFC 7468), fed in pieces.
 *
 * Blocks CERTIFICATE, X509 CERTIFICATE and TRUSTED CERTIFICATE are decoded; text and all
 * other blocks are passed over octet by octet: nothing of them is copied, but lines that
 * begin with "-----", up to 80 octets.  Lines end with LF or CR LF; a byte order mark is
 * nothing.  What was held of a block is wiped behind it: a key under a wrong name is a
 * key all the same.
 */
#ifndef CACHE_WATCH_WATCH_PEM_H
#define CACHE_WATCH_WATCH_PEM_H

#include "cache/watch/watch_error.h"

/* DER of a block that began in this line, borrowed for the call; false: stop. */
typedef bool watch_pem_fn(void *arg, uint64_t line, struct bytes der, bool trusted);
/* A bad block, that began in e->line; true: go on behind it. */
typedef bool watch_pem_bad_fn(void *arg, struct watch_error *e);

struct watch_pem;

/* max: octets of base64 in a block.  NULL when out of memory. */
struct watch_pem *watch_pem_new(
    size_t max, watch_pem_fn *each, watch_pem_bad_fn *bad, void *arg);
bool watch_pem_feed(struct watch_pem *p, struct bytes piece);
/* WATCH_BAD_PEM where a block, of whatever kind, has no end; WATCH_BAD_NONE where there
 * was text and no block. */
bool watch_pem_end(struct watch_pem *p);
uint64_t watch_pem_passed_over(const struct watch_pem *p); /* other blocks */
void watch_pem_free(struct watch_pem *p);                  /* NULL is allowed */

#endif
