/* http1.h - HTTP/1.0 and 1.1 request heads, strictly (RFC 9112); no sockets, no memory of
 * its own.
 *
 * One message is read in one way only, or refused: bare LF, NUL, obs-fold, space before
 * the colon, Content-Length with anything but digits or twice, Content-Length with
 * Transfer-Encoding, a transfer coding other than chunked, Host missing or twice,
 * whitespace or control characters in the target are all errors (T9, R137).  The front
 * and the API share this parser.
 *
 * All pointers in struct http1_request point into the caller's buffer.  Pure functions,
 * any thread.
 */
#ifndef PROXY_HTTP_HTTP1_H
#define PROXY_HTTP_HTTP1_H

#include "cache/base/bytes.h"

enum http1_method {
	HTTP1_GET,
	HTTP1_HEAD,
	HTTP1_POST,
	HTTP1_PUT,
	HTTP1_DELETE,
	HTTP1_OTHER /* any other token: the router says 405 or 501 */
};

struct http1_request {
	enum http1_method method;
	struct bytes method_text;
	struct bytes target; /* as it came */
	/* of an absolute-form target ("host[:port]"), else n == 0 */
	struct bytes authority;
	/* from the first '/' on, query cut off; "/" for an absolute-form target without
	 * path; "*" of OPTIONS; n == 0 for CONNECT */
	struct bytes path;
	struct bytes query; /* after '?', n == 0 where absent */
	int minor;          /* 0 or 1: HTTP/1.minor */
	bool keep_alive;    /* what the client wants, by version and Connection */
	bool has_length;    /* Content-Length is there */
	bool chunked;
	bool expect_continue;
	bool only_if_cached; /* Cache-Control: only-if-cached */
	bool no_cache;       /* Cache-Control: no-cache, max-age=0 or Pragma: no-cache */
	uint64_t length;     /* of the body, with has_length */
	struct bytes host;   /* value of Host, n == 0 where absent or empty */
	struct bytes if_none_match;
	struct bytes if_modified_since;
	struct bytes content_type;
	struct bytes accept;
	struct bytes authorization;
	struct bytes last_event_id;
	size_t head_n; /* bytes of the head, the empty line included */
};

struct http1_limits {
	size_t head;   /* bytes; then 431 */
	size_t target; /* bytes; then 414 */
};

/* The scheme of an absolute-form target is http or https; who may ask for which is the
 * router's to decide.  A prefix of a head is refused with what the whole is refused with.
 *
 * 0: a whole head was read into *r.  -1: more bytes are needed.  400..505: the status to
 * refuse with; the connection closes.  At most limits->head + 1 bytes are ever looked at.
 * One empty line before the request line is skipped (RFC 9112 section 2.2). */
int http1_parse(struct http1_request *r, const char *buf, size_t n,
    const struct http1_limits *limits);

/* Decoder of a chunked body, fed piece by piece; trailers are read and dropped. */
struct http1_chunked {
	uint8_t state;
	uint8_t line_n;     /* bytes of the current size or trailer line, saturating */
	uint64_t left;      /* of the current chunk */
	uint64_t trailer_n; /* bytes of trailers */
};
void http1_chunked_start(struct http1_chunked *c);
/* A call ends with the first run of body bytes: call again with what is left of in.
 * Take up to n bytes from in; data (what of it is body, borrowed from in, may be empty)
 * and *used. 0: go on.  1: the body has ended.  400 or 431: refuse. */
int http1_chunked_feed(
    struct http1_chunked *c, const char *in, size_t n, size_t *used, struct bytes *data);

const char *http1_reason(int status); /* "Bad Request" */

/* "Sun, 06 Nov 1994 08:49:37 GMT" and NUL (30 bytes); IMF-fixdate, RFC 9110
 * section 5.6.7. */
#define HTTP1_DATE_MAX 30
void http1_date(int64_t at, char out[HTTP1_DATE_MAX]);
/* Reads the three forms that section 5.6.7 names; false for anything else. */
bool http1_date_parse(struct bytes in, int64_t *at);

/* Does an If-None-Match list (or *) match this entity tag (with its quotes)?  Weak
 * comparison. */
bool http1_etag_match(struct bytes list, struct bytes etag);

#endif
