/* serve_head.c - field after field, each where the one before ends.
 *
 * A hit's head is a third of what a hit costs us, so nothing is formatted that can be
 * copied: the date and the start come from the second before, the answer brings what is
 * its own (cache/held/answer.h).
 */
#include "proxy/front/serve_head.h"

#include <assert.h>

#include "proxy/http/ocsp_http.h"

static char *put(char *p, const void *text, size_t n)
{
	memcpy(p, text, n);
	return p + n;
}
#define PUT(p, literal) put((p), "" literal, sizeof literal - 1)

/* Of a few bytes, often none. */
static char *put_text(char *p, const char *text)
{
	while (*text != '\0')
		*p++ = *text++;
	return p;
}

static char *put_number(char *p, int64_t v)
{
	char digit[20];
	size_t n = 0;

	do
		digit[n++] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	while (n > 0)
		*p++ = digit[--n];
	return p;
}

static char *put_date(char *p, struct serve_head *h)
{
	struct bytes date = conn_loop_date(h->loop);

	return put(p, date.p, date.n);
}

static char *put_start(char *p, struct serve_head *h, int64_t now)
{
	if (h->start_at != now) {
		char *end = PUT(h->start, "HTTP/1.1 200 OK\r\n");

		end = put_date(end, h);
		h->start_n = (size_t)(end - h->start);
		h->start_at = now;
	}
	return put(p, h->start, h->start_n);
}

static char *put_connection(char *p, const struct conn *c)
{
	return put_text(p, conn_connection(c, conn_will_close(c)));
}

static char *put_caching(char *p, const struct answer *a, int64_t now, bool fetched)
{
	p = PUT(p, "Cache-Control: max-age=");
	p = put_number(p, ocsp_http_max_age(a, now));
	p = PUT(
	    p, ", public, no-transform, must-revalidate\r\nCache-Status: ocspcached; ");
	return fetched ? PUT(p, "fwd=miss\r\n") : PUT(p, "hit\r\n");
}

/* The lines of an answer's fixed head that a 304 has as well: all but those that describe
 * its content (RFC 9110 section 15.4.5).  Ends with the empty line. */
static char *put_validators(char *p, const struct answer *a)
{
	struct bytes head = answer_head(a);

	while (head.n > 0) {
		const uint8_t *end = memchr(head.p, '\n', head.n);
		size_t n = end != NULL ? (size_t)(end - head.p) + 1 : head.n;

		if (n < 8 || memcmp(head.p, "Content-", 8) != 0)
			p = put(p, head.p, n);
		head.p += n;
		head.n -= n;
	}
	return p;
}

static struct bytes text_of(const struct serve_head *h, const char *end)
{
	size_t n = (size_t)(end - h->text);

	assert(n <= sizeof h->text);
	return bytes_of(h->text, n);
}

struct bytes serve_head_answer(struct serve_head *h, const struct conn *c,
    const struct answer *a, int64_t now, enum tier tier)
{
	char *p = put_start(h->text, h, now);

	p = tier == TIER_FORWARD ? PUT(p, "Cache-Control: no-store\r\n"
					  "Cache-Status: ocspcached; fwd=bypass\r\n")
				 : put_caching(p, a, now, tier == TIER_UPSTREAM);
	return text_of(h, put_connection(p, c));
}

struct bytes serve_head_not_modified(
    struct serve_head *h, const struct conn *c, const struct answer *a, int64_t now)
{
	char *p = PUT(h->text, "HTTP/1.1 304 Not Modified\r\n");

	p = put_date(p, h);
	p = put_caching(p, a, now, false);
	p = put_connection(p, c);
	return text_of(h, put_validators(p, a));
}

struct bytes serve_head_with(
    struct serve_head *h, const struct conn *c, const char *type, struct bytes body)
{
	char *p = put_start(h->text, h, conn_loop_now(h->loop));

	p = PUT(p, "Content-Type: ");
	p = put_text(p, type);
	p = PUT(p, "\r\nContent-Length: ");
	p = put_number(p, (int64_t)body.n);
	p = PUT(p, "\r\nCache-Control: no-store\r\n");
	p = put_connection(p, c);
	p = PUT(p, "\r\n");
	if (!conn_is_head(c))
		p = put(p, body.p, body.n);
	return text_of(h, p);
}

void serve_head_init(struct serve_head *h, struct conn_loop *l)
{
	h->loop = l;
	h->start_at = INT64_MIN;
}
