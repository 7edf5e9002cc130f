/* crl_extension.h - the extensions of a list and of its entries, for crl_walk.c only.
 *
 * Both are given the SEQUENCE's content.  What they say goes to the list's facts, or to
 * the entry; what must not be used is refused (RFC 5280 sections 5.2 and 5.3).
 */
#ifndef CACHE_CRL_CRL_EXTENSION_H
#define CACHE_CRL_CRL_EXTENSION_H

#include "cache/crl/crl_reading.h"

enum err crl_extensions(struct crl_walk *w, struct bytes extensions);
enum err crl_entry_extensions(
    struct crl_walk *w, struct bytes extensions, struct crl_entry *e);

#endif
