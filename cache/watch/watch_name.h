/* watch_name.h - the one spelling of a name, by which it is kept and found, and an
 * entry's texts within their bound.
 *
 * DNS names (with a wildcard or not): lower case, no dot behind, labels that are not
 * ASCII as A-labels (RFC 5891 section 4.4; xn--).  IP addresses: as inet_ntop() writes
 * them.  E-mail addresses and URIs: their host as a DNS name, an URI's scheme in lower
 * case, the rest as it is.  Which of them a text is, it says itself: "://", '@', what
 * inet_pton() reads, and DNS names are all others, also those that are none
 * ("Example Server" of a CN becomes "example server").
 *
 * Weak point: letters outside of ASCII are taken as they are.  IDNA maps capitals and
 * composes accents before it encodes; a U-label that needs that is no U-label, and gets
 * an A-label of its own that nobody asks for.
 */
#ifndef CACHE_WATCH_WATCH_NAME_H
#define CACHE_WATCH_WATCH_NAME_H

#include "cache/base/bytes.h"

/* Write the spelling of text (valid UTF-8) into out; returns its length, 0 where it has
 * none (empty, or over room). */
size_t watch_name(struct bytes text, char *out, size_t room);

#endif
