/* ocsp_http.c - paths, percent and base64 in; validators and max-age out. */
#include "proxy/http/ocsp_http.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <strings.h>

#include "conf/address.h"

#define HTTP_PORT 80

static bool escapes_are_valid(struct bytes path)
{
	const uint8_t *p = path.p, *end = path.p + path.n;

	while ((p = memchr(p, '%', (size_t)(end - p))) != NULL) {
		if (end - p < 3 || hex_value(p[1]) < 0 || hex_value(p[2]) < 0)
			return false;
		p += 3;
	}
	return true;
}

/* Split what http1 has found to be host[:port]: the brackets of an IPv6 literal go, a
 * port that is absent or empty is 80 (RFC 9110 section 4.2.1). */
static void split_authority(struct bytes authority, struct bytes *host, int *port)
{
	const uint8_t *p = authority.p, *end = p + authority.n, *colon = NULL;
	bool literal = authority.n > 0 && *p == '[';

	if (literal)
		p = memchr(p, ']', authority.n);
	if (p != NULL)
		colon = memchr(p, ':', (size_t)(end - p));
	*host =
	    bytes_of(authority.p, (size_t)((colon != NULL ? colon : end) - authority.p));
	if (literal && host->n >= 2)
		*host = bytes_of(host->p + 1, host->n - 2);
	*port = 0;
	for (p = colon != NULL ? colon + 1 : end; p < end; p++)
		*port = 10 * *port + (*p - '0');
	if (colon == NULL || colon + 1 == end)
		*port = HTTP_PORT;
}

/* R32: never an open proxy. */
static bool authority_is_ours(const struct conf *c, const struct http1_request *r)
{
	struct bytes host;
	int port;

	if (r->target.n < 5 || strncasecmp((const char *)r->target.p, "http:", 5) != 0)
		return false;
	split_authority(r->authority, &host, &port);
	for (size_t i = 0; i < c->authority_n; i++) {
		const struct conf_authority *a = &c->authority[i];

		if (a->port == port && strlen(a->host) == host.n &&
		    strncasecmp(a->host, (const char *)host.p, host.n) == 0)
			return true;
	}
	return false;
}

/* What follows the first n octets of path, which spell prefix, up to the end of a
 * segment. The prefix "/" ends in its own separator; after any other the separator is
 * taken off. */
static bool cut_segment(
    struct bytes path, size_t n, const char *prefix, struct bytes *rest)
{
	*rest = bytes_of(path.p + n, path.n - n);
	if (prefix[strlen(prefix) - 1] == '/' || rest->n == 0)
		return true;
	if (rest->p[0] != '/')
		return false;
	*rest = bytes_of(rest->p + 1, rest->n - 1);
	return true;
}

static bool cut_prefix(struct bytes path, const char *prefix, struct bytes *rest)
{
	size_t n = strlen(prefix);

	return n <= path.n && memcmp(path.p, prefix, n) == 0 &&
	       cut_segment(path, n, prefix, rest);
}

/* R24, R25: one, because no request begins with it; not more, because it may be data
 * further on. */
static void cut_slash(struct bytes *rest)
{
	if (rest->n > 0 && rest->p[0] == '/')
		*rest = bytes_of(rest->p + 1, rest->n - 1);
}

bool ocsp_http_respelt(
    const struct conf *c, const struct http1_request *r, struct bytes *rest)
{
	struct bytes cut;
	size_t n;

	if (memchr(r->path.p, '%', r->path.n) == NULL)
		return false;
	for (size_t i = 0; i < c->path_n; i++) {
		struct bytes prefix = bytes_of(c->path[i], strlen(c->path[i]));

		if (!url_begins(r->path, prefix, &n) ||
		    !cut_segment(r->path, n, c->path[i], &cut))
			continue;
		cut_slash(&cut);
		if (cut.p == rest->p)
			return false;
		*rest = cut;
		return true;
	}
	return false;
}

/* The bytes of the path are compared as they came, which nearly all clients write as the
 * configuration has them; ocsp_http_respelt() is for the others.  The query is nobody's
 * (R30). */
enum route ocsp_http_route(
    const struct conf *c, const struct http1_request *r, struct bytes *rest)
{
	if (r->path.n == 0) /* CONNECT */
		return ROUTE_NONE;
	if (r->authority.n > 0 && !authority_is_ours(c, r))
		return ROUTE_FORBIDDEN;
	if (!escapes_are_valid(r->path))
		return ROUTE_BAD;
	if (r->authority.n == 0 && bytes_equal(r->path, bytes_of("/healthz", 8)))
		return ROUTE_HEALTHZ;
	for (size_t i = 0; i < c->path_n; i++) {
		if (!cut_prefix(r->path, c->path[i], rest))
			continue;
		cut_slash(rest);
		return ROUTE_OCSP;
	}
	*rest = bytes_of(NULL, 0);
	return ocsp_http_respelt(c, r, rest) ? ROUTE_OCSP : ROUTE_NONE;
}

/* Value of a base64 digit (RFC 4648 section 4), or NO_DIGIT; '-' and '_' are none (R27).
 */
#define NO_DIGIT 64
#define X8       64, 64, 64, 64, 64, 64, 64, 64
#define X32      X8, X8, X8, X8
/* clang-format off */
static const uint8_t digit[256] = {
	X32,
	X8, 64, 64, 64, 62, 64, 64, 64, 63, /* '+' '/' */
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 64, 64, 64, /* '0' */
	64,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, /* 'A' */
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 64, 64, 64, 64, 64,
	64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, /* 'a' */
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 64, 64, 64, 64, 64,
	X32, X32, X32, X32,
};
/* clang-format on */

struct decoder {
	const uint8_t *p, *end;
	uint8_t *out, *out_end;
	uint32_t bits;
	unsigned digits; /* of the group of four under way */
};

/* Whole groups without escapes: nearly all there is. */
static void decode_plain(struct decoder *d)
{
	while (d->end - d->p >= 4 && d->out_end - d->out >= 3) {
		uint32_t a = digit[d->p[0]], b = digit[d->p[1]], c = digit[d->p[2]],
			 e = digit[d->p[3]];

		if ((a | b | c | e) & NO_DIGIT)
			return;
		a = a << 18 | b << 12 | c << 6 | e;
		d->out[0] = (uint8_t)(a >> 16);
		d->out[1] = (uint8_t)(a >> 8);
		d->out[2] = (uint8_t)a;
		d->out += 3;
		d->p += 4;
	}
}

/* The next character with its escape resolved; -1 for a bad escape. */
static int next_octet(struct decoder *d)
{
	int high, low;

	if (*d->p != '%')
		return *d->p++;
	if (d->end - d->p < 3)
		return -1;
	high = hex_value(d->p[1]);
	low = hex_value(d->p[2]);
	d->p += 3;
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool put_octets(struct decoder *d, unsigned n)
{
	if ((size_t)(d->out_end - d->out) < n)
		return false;
	for (unsigned i = 0; i < n; i++)
		*d->out++ = (uint8_t)(d->bits >> (16 - 8 * i));
	d->bits = 0;
	d->digits = 0;
	return true;
}

/* From the first '=' on: as many as the group lacks, or fewer, and nothing else (R26). */
static bool skip_padding(struct decoder *d)
{
	unsigned room = d->digits < 2 ? 0 : 4 - d->digits;

	for (; d->p < d->end; room--) {
		if (room == 0 || next_octet(d) != '=')
			return false;
	}
	return true;
}

static bool decode_all(struct decoder *d)
{
	while (d->p < d->end) {
		const uint8_t *here = d->p;
		int c;

		if (d->digits == 0) {
			decode_plain(d);
			here = d->p;
			if (here == d->end)
				break;
		}
		c = next_octet(d);
		/* R22: decoded once too often on its way, a '+' has become a space. */
		if (c == ' ')
			c = '+';
		if (c == '=') {
			d->p = here;
			if (!skip_padding(d))
				return false;
			break;
		}
		if (c < 0 || digit[c] == NO_DIGIT)
			return false;
		d->bits |= (uint32_t)digit[c] << (18 - 6 * d->digits);
		if (++d->digits == 4 && !put_octets(d, 3))
			return false;
	}
	/* One digit alone is no octet. */
	return d->digits == 0 || (d->digits > 1 && put_octets(d, d->digits - 1));
}

enum err ocsp_http_decode(struct bytes rest, uint8_t *out, size_t *n)
{
	struct decoder d = {rest.p, rest.p + rest.n, out, out + *n, 0, 0};

	/* R25: an OCSPRequest is a SEQUENCE, 0x30 and a length: 'M' in base64. */
	if (rest.n == 0 || next_octet(&d) != 'M')
		return ERR_NOT_FOUND;
	d.p = rest.p;
	if (!decode_all(&d))
		return ERR_REQ_BASE64;
	*n = (size_t)(d.out - out);
	return ERR_OK;
}

#define ETAG_SIZE (2 * SHA256_DIGEST_LENGTH + 2)

/* An error answer states nothing that a cache could keep.  The tag comes last:
 * ocsp_http_etag() counts from the end. */
size_t ocsp_http_head(char *out, const struct facts *f, struct bytes body)
{
	uint8_t sum[SHA256_DIGEST_LENGTH];
	char etag[2 * SHA256_DIGEST_LENGTH + 1], modified[HTTP1_DATE_MAX],
	    expires[HTTP1_DATE_MAX];
	int n = snprintf(out, OCSP_HEAD_MAX,
	    "Content-Type: application/ocsp-response\r\nContent-Length: %zu\r\n", body.n);

	if (f->status == STATUS_NONE) {
		n += snprintf(out + n, OCSP_HEAD_MAX - (size_t)n, "\r\n");
		return (size_t)n;
	}
	SHA256(body.p, body.n, sum);
	hex_encode(sum, sizeof sum, etag);
	http1_date(f->this_update, modified);
	http1_date(facts_expiry(f), expires);
	n += snprintf(out + n, OCSP_HEAD_MAX - (size_t)n,
	    "Last-Modified: %s\r\nExpires: %s\r\nETag: \"%s\"\r\n\r\n", modified, expires,
	    etag);
	assert(n < OCSP_HEAD_MAX);
	return (size_t)n;
}

struct bytes ocsp_http_etag(const struct answer *a)
{
	struct bytes head = answer_head(a);
	size_t from_end = ETAG_SIZE + strlen("\r\n\r\n");

	if (a->facts.status == STATUS_NONE || head.n < from_end)
		return bytes_of(NULL, 0);
	return bytes_of(head.p + head.n - from_end, ETAG_SIZE);
}

int64_t ocsp_http_max_age(const struct answer *a, int64_t now)
{
	/* now + max-age stays before the end (RFC 9919 section 6.2). */
	int64_t left = a->expiry > now ? a->expiry - now - 1 : 0;

	return left < a->max_age_cap ? left : a->max_age_cap;
}

struct bytes ocsp_http_error_body(int wire)
{
	/* SEQUENCE { ENUMERATED } */
	static const uint8_t body[][5] = {
	    {0x30, 0x03, 0x0a, 0x01, 0},
	    {0x30, 0x03, 0x0a, 0x01, 1},
	    {0x30, 0x03, 0x0a, 0x01, 2},
	    {0x30, 0x03, 0x0a, 0x01, 3},
	    {0x30, 0x03, 0x0a, 0x01, 4},
	    {0x30, 0x03, 0x0a, 0x01, 5},
	    {0x30, 0x03, 0x0a, 0x01, 6},
	};

	assert(wire >= 1 && wire <= 6 && wire != 4);
	return bytes_of(body[wire], sizeof body[wire]);
}

bool ocsp_http_has_copy(
    const struct http1_request *r, struct bytes etag, int64_t last_modified)
{
	int64_t since;

	if (r->method != HTTP1_GET && r->method != HTTP1_HEAD)
		return false;
	/* It wins, whatever it says (RFC 9110 section 13.2.2). */
	if (r->if_none_match.n > 0)
		return http1_etag_match(r->if_none_match, etag);
	return r->if_modified_since.n > 0 &&
	       http1_date_parse(r->if_modified_since, &since) && last_modified <= since;
}

bool ocsp_http_not_modified(const struct http1_request *r, const struct answer *a)
{
	bool dated = a->facts.status != STATUS_REVOKED && !a->date_shared;

	return a->facts.status != STATUS_NONE &&
	       ocsp_http_has_copy(r, ocsp_http_etag(a),
		   dated ? a->facts.this_update : HTTP_DATE_OF_SEVERAL);
}

/* The list that a number after /crl/NAME/ means: decimal, no leading zero. */
static bool list_number(struct bytes text, size_t n, size_t *list)
{
	*list = 0;
	if (text.n == 0 || text.n > 5 || (text.n > 1 && text.p[0] == '0'))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		*list = *list * 10 + (size_t)(text.p[i] - '0');
	}
	return *list < n;
}

/* The longest of our own names, /crl/NAME/N.crl. */
#define OWN_NAME_MAX 80

/* A path in normal form, in room; empty where it has more octets than any name of ours.
 */
static struct bytes normal_of(struct bytes path, uint8_t room[OWN_NAME_MAX])
{
	const uint8_t *p = path.p, *end = p + path.n;
	size_t n = 0;

	while (p < end && n + 3 <= OWN_NAME_MAX)
		n += url_step(&p, end, room + n);
	return p == end ? bytes_of(room, n) : bytes_of(NULL, 0);
}

/* /crl/NAME.crl where the issuer has one list, /crl/NAME/N.crl in any case. */
static const struct issuer *own_name(
    const struct conf *c, struct bytes path, size_t *list)
{
	uint8_t room[OWN_NAME_MAX];
	char name[64];
	const uint8_t *slash;
	const struct issuer *i;
	size_t n;

	path = normal_of(path, room);
	if (path.n < 10 || memcmp(path.p, "/crl/", 5) != 0 ||
	    memcmp(path.p + path.n - 4, ".crl", 4) != 0)
		return NULL;
	path = bytes_of(path.p + 5, path.n - 9);
	slash = memchr(path.p, '/', path.n);
	n = slash != NULL ? (size_t)(slash - path.p) : path.n;
	if (n == 0 || n >= sizeof name)
		return NULL;
	memcpy(name, path.p, n);
	name[n] = '\0';
	i = issuers_named(c->issuers, name);
	*list = 0;
	if (i == NULL)
		return NULL;
	if (slash == NULL)
		return i->crl_n == 1 ? i : NULL;
	return list_number(bytes_of(slash + 1, path.n - n - 1), i->crl_n, list) ? i
										: NULL;
}

static bool is_target(const struct conf_mirror *m, struct bytes target)
{
	size_t n;

	return url_begins(target, bytes_of(m->target, strlen(m->target)), &n) &&
	       n == target.n;
}

/* Host and target of a configured URL.  A Host without a port fits any: it may have come
 * through a port that was forwarded. */
static const struct issuer *their_name(
    const struct conf *c, const struct http1_request *r, size_t *list)
{
	struct bytes from = r->authority.n > 0 ? r->authority : r->host, host, target;
	bool has_port = from.n > 0 && from.p[from.n - 1] != ']' &&
			memrchr(from.p, ':', from.n) != NULL;
	int port;

	if (from.n == 0)
		return NULL;
	split_authority(from, &host, &port);
	target = r->path;
	if (r->query.n > 0) /* it stands behind the path and a '?' */
		target.n += 1 + r->query.n;
	for (size_t i = 0; i < c->mirror_n; i++) {
		const struct conf_mirror *m = &c->mirror[i];

		if ((m->port == port || !has_port) && strlen(m->host) == host.n &&
		    strncasecmp(m->host, (const char *)host.p, host.n) == 0 &&
		    is_target(m, target)) {
			*list = m->list;
			return issuers_at(c->issuers, m->issuer);
		}
	}
	return NULL;
}

const struct issuer *ocsp_http_list(
    const struct conf *c, const struct http1_request *r, size_t *list)
{
	const struct issuer *i = NULL;

	if (r->authority.n == 0)
		i = own_name(c, r->path, list);
	return i != NULL ? i : their_name(c, r, list);
}
