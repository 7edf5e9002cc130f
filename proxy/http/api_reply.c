/* api_reply.c - a head, and a body or a file behind it. */
#include "proxy/http/api_reply.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/base/shared_file.h"
#include "proxy/base/clock.h"

struct bytes api_reply_head(char head[API_HEAD_MAX], int status, const char *type,
    const char *more, const char *framing, const char *connection)
{
	char date[HTTP1_DATE_MAX];
	int n;

	http1_date(clock_now(), date);
	n = snprintf(head, API_HEAD_MAX,
	    "HTTP/1.1 %d %s\r\nDate: %s\r\nCache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\n%s%s%s%s%s%s\r\n",
	    status, http1_reason(status), date, more != NULL ? more : "",
	    type != NULL ? "Content-Type: " : "", type != NULL ? type : "",
	    type != NULL ? "\r\n" : "", framing, connection);
	assert((size_t)n < API_HEAD_MAX);
	return bytes_of(head, (size_t)n);
}

static struct bytes head_text(char head[API_HEAD_MAX], struct conn *c, int status,
    const char *type, const char *more, size_t body_n, bool close)
{
	char length[48] = "";

	if (status != 204)
		snprintf(length, sizeof length, "Content-Length: %zu\r\n", body_n);
	return api_reply_head(
	    head, status, type, more, length, conn_connection(c, close));
}

json_t *json_text(const char *s)
{
	json_t *text = json_string(s);
	char *copy;

	if (text != NULL)
		return text;
	copy = strdup(s);
	if (copy == NULL)
		return NULL;
	for (char *p = copy; *p != '\0'; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	text = json_string(copy);
	free(copy);
	return text;
}

json_t *api_error_json(const char *code, const char *message)
{
	return json_pack(
	    "{s:{s:s, s:o}}", "error", "code", code, "message", json_text(message));
}

void api_reply(
    struct conn *c, int status, const char *type, const char *more, struct bytes body)
{
	char text[API_HEAD_MAX];
	/* Subscribers over the limit, and who has no token, would have all connections
	 * that the API has. */
	bool ends = conn_will_close(c) || status == 503 || status == 401 || status == 429;
	struct bytes head = head_text(text, c, status, type, more, body.n, ends);
	struct iovec iov[2];

	iov[0] = (struct iovec){text, head.n};
	iov[1] = (struct iovec){(void *)(uintptr_t)body.p, body.n};
	conn_reply(c, iov, body.n > 0 && !conn_is_head(c) ? 2 : 1, ends);
}

void api_reply_file(struct conn *c, const char *type, struct shared_file *f)
{
	char text[API_HEAD_MAX];
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
