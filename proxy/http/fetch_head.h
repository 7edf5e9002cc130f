/* fetch_head.h - the head of a response, line by line as libcurl hands it over.
 *
 * Is it whole (libcurl takes one that ends early), is it too long (libcurl 7.88 has no
 * bound and keeps it all), and is its body coded as we want to undo?  Pure.
 */
#ifndef PROXY_HTTP_FETCH_HEAD_H
#define PROXY_HTTP_FETCH_HEAD_H

#include <stdbool.h>

#include "proxy/http/fetch_words.h"

enum { HEAD_CONTENT_ENCODING, HEAD_TRANSFER_ENCODING, HEAD_CODINGS };

/* Of one fetch; zeros at its start. */
struct fetch_head {
	size_t n;       /* bytes so far, of heads before it (1xx) and of trailers too */
	bool whole;     /* its empty line has come */
	bool too_large; /* over 64 KiB */
	bool coded[HEAD_CODINGS];
	char refusal[FETCH_QUOTE_MAX + 100]; /* words about its codings; "" for none */
};

/* False: it is to be stopped; too_large or refusal says why. */
bool fetch_head_line(struct fetch_head *h, const char *line, size_t n);

#endif
