/* crl_walk.h - from the first byte of a list to its last, for crl_read.c and its tests.
 *
 * crl_walk() reads everything and believes it: what it returns was signed by nobody yet.
 * crl_read() asks crl_signature_by() and the rules about other lists before it hands
 * anything out.  They are apart so that a fuzzer, who has no key, gets behind the
 * signature.
 */
#ifndef CACHE_CRL_CRL_WALK_H
#define CACHE_CRL_CRL_WALK_H

#include "cache/crl/crl_reading.h"

/* Everything but the signature and held.  w is finished by crl_walk_end() also on
 * failure. */
enum err crl_walk(struct crl_walk *w, int fd, size_t piece, const struct crl_want *want,
    char *why, size_t why_n);
void crl_walk_end(struct crl_walk *w);

#endif
