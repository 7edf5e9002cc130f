/* wire.c - requests as they go over the wire, and what is to come back. */
#include "bench/wire.h"

#include <err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <strings.h>

#define REQUEST_MAX 2048
#define HEAD_MAX    4096

static struct bytes copy_of(const void *p, size_t n)
{
	void *q = malloc(n);

	if (q == NULL)
		err(1, "requests");
	memcpy(q, p, n);
	return bytes_of(q, n);
}

static void path_encode(struct bytes der, char *out)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char text[REQUEST_MAX / 2];
	int n = EVP_EncodeBlock(text, der.p, (int)der.n);

	for (int i = 0; i < n; i++) {
		if (text[i] != '+' && text[i] != '/' && text[i] != '=') {
			*out++ = (char)text[i];
			continue;
		}
		*out++ = '%';
		*out++ = hex[text[i] >> 4];
		*out++ = hex[text[i] & 15];
	}
	*out = '\0';
}

/* What clients send besides: nothing but Host, curl's order, a Java client's, and a
 * browser-like one with Host last. */
static const char *const before_host[] = {"", "", "User-Agent: Java/17\r\n",
    "Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nPragma: x\r\n"};
static const char *const after_host[] = {
    "", "User-Agent: curl/7.88.1\r\nAccept: */*\r\n", "Accept: */*\r\n", ""};
#define SPELLINGS (sizeof before_host / sizeof before_host[0])

static struct bytes get_make(struct bytes der, size_t spelling, const char *end)
{
	char path[REQUEST_MAX], text[2 * REQUEST_MAX];
	int n;

	path_encode(der, path);
	n = snprintf(text, sizeof text,
	    "GET /%s HTTP/1.1\r\n%sHost: localhost\r\n%s%s\r\n", path,
	    before_host[spelling], after_host[spelling], end);
	return copy_of(text, (size_t)n);
}

static struct bytes post_make(struct bytes der, size_t spelling, const char *end)
{
	char text[2 * REQUEST_MAX], length[64];
	bool length_first = spelling % 2 == 1;
	int n;

	snprintf(length, sizeof length, "Content-Length: %zu\r\n", der.n);
	n = snprintf(text, sizeof text,
	    "POST / HTTP/1.1\r\n%s%sHost: localhost\r\n%s"
	    "Content-Type: application/ocsp-request\r\n%s%s\r\n",
	    length_first ? length : "", before_host[spelling], after_host[spelling],
	    length_first ? "" : length, end);
	memcpy(text + n, der.p, der.n);
	return copy_of(text, (size_t)n + der.n);
}

struct wire wire_make(const struct pairs *p, bool post, bool close)
{
	const char *end = close ? "Connection: close\r\n" : "";
	struct wire w = {.n = p->n,
	    .request = calloc(p->n, sizeof *w.request),
	    .body = calloc(p->n, sizeof *w.body)};

	if (w.request == NULL || w.body == NULL)
		err(1, "requests");
	for (size_t i = 0; i < p->n; i++) {
		struct bytes der = p->pair[i].request;

		if (der.n > REQUEST_MAX / 2)
			errx(1, "a request of %zu bytes", der.n);
		w.request[i] = post ? post_make(der, i % SPELLINGS, end)
				    : get_make(der, i % SPELLINGS, end);
		w.body[i] = p->pair[i].answer;
	}
	return w;
}

/* The length that the head gives, or -1. */
static long length_of(const char *head, size_t n)
{
	for (const char *p = head;
	     (p = memchr(p, '\n', n - (size_t)(p - head))) != NULL;) {
		p++;
		if ((size_t)(p - head) + 16 < n &&
		    strncasecmp(p, "Content-Length: ", 16) == 0)
			return strtol(p + 16, NULL, 10);
	}
	return -1;
}

enum verdict wire_check(const char *p, size_t n, struct bytes body)
{
	static const char ok[] = "HTTP/1.1 200 ";
	const char *end;

	if (n < sizeof ok - 1)
		return VERDICT_PART;
	if (memcmp(p, ok, sizeof ok - 1) != 0)
		return VERDICT_WRONG;
	/* Nearly always all has come: then its end says so, and nothing is searched. */
	if (body.p != NULL && n >= body.n + 4 &&
	    memcmp(p + n - body.n - 4, "\r\n\r\n", 4) == 0 &&
	    memcmp(p + n - body.n, body.p, body.n) == 0)
		return VERDICT_GOOD;
	end = memmem(p, n, "\r\n\r\n", 4);
	if (end == NULL)
		return n > HEAD_MAX ? VERDICT_WRONG : VERDICT_PART;
	n -= (size_t)(end + 4 - p);
	if (body.p != NULL)
		return n < body.n ? VERDICT_PART : VERDICT_WRONG;
	body.n = (size_t)length_of(p, (size_t)(end + 4 - p));
	return n < body.n ? VERDICT_PART : n == body.n ? VERDICT_GOOD : VERDICT_WRONG;
}
