/* crl_pem.h - lists in a file of PEM, one after another.
 *
 * A list is what stands between a line "-----BEGIN X509 CRL-----" and its end; text and
 * other blocks before, between and behind are passed over.  Lines end with LF or CR LF
 * and may have any length; a byte order mark of UTF-8 before the first one is nothing.
 * A file is read once, in pieces, however many lists are in it.
 *
 * The functions block: bulk thread.
 */
#ifndef PROXY_LISTS_CRL_PEM_H
#define PROXY_LISTS_CRL_PEM_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/err.h"

/* Is what fd (a regular file) begins with no DER?  Then it can only be PEM. */
bool crl_pem_is(int fd);

struct crl_pem;

/* Of the file at from, from its beginning on; from stays the caller's, and open, until
 * crl_pem_close().  max_size and stop as in struct crl_want.  NULL when out of memory. */
struct crl_pem *crl_pem_open(int from, uint64_t max_size, const _Atomic bool *stop);
/* Write the DER of the next list to the descriptor `to`, from its place on; -1: pass it
 * over.  ERR_NOT_FOUND: there is none any more.  ERR_CRL_DER (a block without end, or
 * that is no base64), ERR_CRL_LARGE, ERR_STORE with errno, ERR_CANCELLED: nothing can be
 * read after that. */
enum err crl_pem_next(struct crl_pem *p, int to);
void crl_pem_close(struct crl_pem *p); /* NULL is allowed */

#endif
