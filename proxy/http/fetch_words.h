/* fetch_words.h - how a fetch ended, in words for people.
 *
 * What, where it led to, what to do.  Header fields of a server go into logs, JSON and
 * terminals: printable ASCII only, the rest percent-encoded, bounded, and without the
 * user and password of a URL.  Pure.
 */
#ifndef PROXY_HTTP_FETCH_WORDS_H
#define PROXY_HTTP_FETCH_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define FETCH_WORDS_MAX 512 /* of all that is said of one fetch */
#define FETCH_QUOTE_MAX 208 /* of what is quoted from a server, NUL included */

/* The first n octets of text; what is cut off is "...". */
void fetch_quote(char out[FETCH_QUOTE_MAX], const char *text, size_t n);

/* A URL, or a reference that is none. */
void fetch_quote_url(char out[FETCH_QUOTE_MAX], const char *url);

struct fetch_end {
	int status;           /* of a whole answer; 0: none came */
	const char *location; /* as it came; "" for none */
	const char *cause;    /* why no answer came */
	const char *remedy;   /* of that; "" where there is none to name */
	bool untrusted;       /* the server's certificate is by no CA that we know */
	const char *proxy;    /* that it went through; "" for none */
};

/* Of an end that is of no use. */
void fetch_words(char out[FETCH_WORDS_MAX], const struct fetch_end *e);

#endif
