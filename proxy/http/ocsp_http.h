/* ocsp_http.h - what RFC 6960 appendix A and RFC 9919 say about OCSP in HTTP: from a
 * target to request bytes, and from an answer to its head.
 *
 * Pure functions; the only state is what the caller hands in.
 */
#ifndef PROXY_HTTP_OCSP_HTTP_H
#define PROXY_HTTP_OCSP_HTTP_H

#include "cache/held/answer.h"
#include "conf/conf.h"
#include "proxy/http/http1.h"

/* Which way a target goes. */
enum route {
	ROUTE_OCSP,      /* at an OCSP path; rest is what follows it */
	ROUTE_HEALTHZ,   /* "/healthz", own name only */
	ROUTE_FORBIDDEN, /* absolute-form to a host that is not configured: 403 */
	ROUTE_BAD,       /* bad escape in the path: 400 */
	ROUTE_NONE       /* 404 */
};

/* Find the route of r.  *rest: what follows the longest OCSP path that ends on a segment
 * boundary, its one separating '/' and one more '/' removed (R24, R30), still
 * percent-encoded, borrowed from r.  Host is not looked at: under whatever name we are
 * reached, an OCSP path is one. */
enum route ocsp_http_route(
    const struct conf *c, const struct http1_request *r, struct bytes *rest);

/* The same for who spells the path in another way than the configuration (RFC 3986
 * section 6.2.2: "%7E" is "~", "%2c" is "%2C"): asked when nothing came of the path as it
 * stands, so that it costs the others nothing.  False, and *rest is as it was, where
 * there is no such path. */
bool ocsp_http_respelt(
    const struct conf *c, const struct http1_request *r, struct bytes *rest);

/* Decode the rest of a GET: percent-escapes, %20 and raw '+' as '+', base64 with or
 * without padding.  *n: in, the room of out; then the bytes written.  ERR_OK;
 * ERR_REQ_BASE64 (also when out is too small: no OCSP request of 3/4 of max-target-size
 * is cut).  ERR_NOT_FOUND when it does not begin with 'M': 404. */
enum err ocsp_http_decode(struct bytes rest, uint8_t *out, size_t *n);

/* The fixed part of the head of an answer: it follows the worker's own lines (status,
 * Date, Cache-Control, Cache-Status) and ends with the empty line.  Content-Type,
 * Content-Length, Last-Modified, Expires, ETag.  Returns its length; out has room for
 * OCSP_HEAD_MAX. */
#define OCSP_HEAD_MAX 512
size_t ocsp_http_head(char *out, const struct facts *f, struct bytes body);

/* The entity tag (with quotes) within an answer's fixed head; borrowed from a. */
struct bytes ocsp_http_etag(const struct answer *a);

/* max-age at `now`: below max_age_cap and the end of life, never negative (R119, R121).
 */
int64_t ocsp_http_max_age(const struct answer *a, int64_t now);

/* The 5 bytes of an unsigned OCSPResponse with this OCSPResponseStatus (RFC 6960
 * section 4.2.1). */
struct bytes ocsp_http_error_body(int wire);

/* The list that r asks for by one of its names, in any spelling (RFC 3986 section 6.2.2):
 * /crl/NAME.crl (an issuer with one list), /crl/NAME/N.crl (N from 0, in the order of
 * crl), or Host and path of its URL or its crl-scope (R112).  *list: its place.  NULL:
 * none. */
const struct issuer *ocsp_http_list(
    const struct conf *c, const struct http1_request *r, size_t *list);

/* Has the client a copy with this tag, or of this date (RFC 9110 section 13.2.2)?
 * HTTP_DATE_OF_SEVERAL: the date tells no copy from another. */
#define HTTP_DATE_OF_SEVERAL INT64_MAX
bool ocsp_http_has_copy(
    const struct http1_request *r, struct bytes etag, int64_t last_modified);
/* Is the request's cached copy still good: 304?  Last-Modified is thisUpdate, which a
 * good and the revoked that follows it may share (a CA that dates all answers by its
 * list): by the date alone nobody is told that a revoked answer is the one he has, nor
 * any answer that another one of that date came before. */
bool ocsp_http_not_modified(const struct http1_request *r, const struct answer *a);

#endif
