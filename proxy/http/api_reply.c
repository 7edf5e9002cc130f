/* api_reply.c - a head, and a body or a file behind it. */
#include "proxy/http/api_reply.h"

#include <assert.h>
#include <stdio.h>

#include "cache/base/shared_file.h"
#include "proxy/base/clock.h"

#define HEAD_MAX 512

/* type NULL: there is no body.  more: header lines, each with its end, or NULL. */
static struct bytes head_text(char head[HEAD_MAX], struct conn *c, int status,
    const char *type, const char *more, size_t body_n, bool close)
{
	char date[HTTP1_DATE_MAX];
	int n;

	http1_date(clock_now(), date);
	n = snprintf(head, HEAD_MAX,
	    "HTTP/1.1 %d %s\r\nDate: %s\r\nCache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\n%s",
	    status, http1_reason(status), date, more != NULL ? more : "");
	if (type != NULL)
		n += snprintf(
		    head + n, HEAD_MAX - (size_t)n, "Content-Type: %s\r\n", type);
	if (status != 204)
		n += snprintf(
		    head + n, HEAD_MAX - (size_t)n, "Content-Length: %zu\r\n", body_n);
	n +=
	    snprintf(head + n, HEAD_MAX - (size_t)n, "%s\r\n", conn_connection(c, close));
	assert((size_t)n < HEAD_MAX);
	return bytes_of(head, (size_t)n);
}

void api_reply(
    struct conn *c, int status, const char *type, const char *more, struct bytes body)
{
	char text[HEAD_MAX];
	/* Subscribers over the limit would have all connections that the API has. */
	bool ends = conn_will_close(c) || status == 503;
	struct bytes head = head_text(text, c, status, type, more, body.n, ends);
	struct iovec iov[2];

	iov[0] = (struct iovec){text, head.n};
	iov[1] = (struct iovec){(void *)(uintptr_t)body.p, body.n};
	conn_reply(c, iov, body.n > 0 && !conn_is_head(c) ? 2 : 1, ends);
}

void api_reply_file(struct conn *c, const char *type, struct shared_file *f)
{
	char text[HEAD_MAX];
	bool ends = conn_will_close(c);

	conn_send_file(c, head_text(text, c, 200, type, NULL, (size_t)f->size, ends), f,
	    0, conn_is_head(c) ? 0 : f->size, ends);
}

void api_reply_no_memory(struct conn *c)
{
	static const char text[] =
	    "{\"error\":{\"code\":\"internal\",\"message\":\"out of memory\"}}\n";

	api_reply(c, 500, API_JSON, NULL, bytes_of(text, sizeof text - 1));
}
