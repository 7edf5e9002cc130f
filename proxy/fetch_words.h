/* fetch_words.h - what others say in a fetch, made fit to be printed.
 *
 * Header fields of a server go into logs, JSON and terminals: printable ASCII only, the
 * rest percent-encoded, bounded, and without the user and password of a URL.  Pure.
 */
#ifndef PROXY_FETCH_WORDS_H
#define PROXY_FETCH_WORDS_H

#include <stddef.h>

#define FETCH_WORDS_MAX 512 /* of all that is said of one fetch */
#define FETCH_QUOTE_MAX 208 /* of what is quoted from a server, NUL included */

/* The first n octets of text; what is cut off is "...". */
void fetch_quote(char out[FETCH_QUOTE_MAX], const char *text, size_t n);

/* A URL, or a reference that is none. */
void fetch_quote_url(char out[FETCH_QUOTE_MAX], const char *url);

#endif
