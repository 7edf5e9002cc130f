/* streaming.c - a server of streamed exchanges (proxy/http/stream.h) for real clients to
 * try.  test_streaming.py compiles it with the daemon's own library.
 *
 * PUT or POST /count is answered with the length of its body when that is whole, /echo
 * gives it back as it comes, /refuse is an error after the first piece.  Prints its port.
 */
#include "proxy/http/stream.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "proxy/http/listener.h"

enum manner { COUNT, ECHO, REFUSE };

struct exchange {
	enum manner manner;
	uint64_t n;
};

static struct streams *all;

static size_t on_body(void *arg, struct stream *s, struct bytes piece)
{
	struct exchange *x = arg;

	if (x->manner == REFUSE)
		stream_error(s, 400, "bad_request", "line 1: refused");
	if (x->manner == ECHO && x->n == 0)
		stream_begin(s, "application/octet-stream");
	if (x->manner == ECHO)
		stream_write(s, piece);
	x->n += piece.n;
	return piece.n;
}

static void on_end(void *arg, struct stream *s)
{
	struct exchange *x = arg;
	char text[64];
	int n = snprintf(text, sizeof text, "{\"n\":%llu}\n", (unsigned long long)x->n);

	if (x->manner == ECHO && x->n == 0)
		stream_begin(s, "application/octet-stream");
	if (x->manner == ECHO)
		stream_finish(s);
	else
		stream_answer(
		    s, 201, "application/json", NULL, bytes_of(text, (size_t)n));
}

static void on_closed(void *arg)
{
	free(arg);
}

static const struct stream_sink sink = {on_body, on_end, on_closed};

static int on_head(
    void *arg, struct conn *c, const struct http1_request *r, struct bytes body)
{
	struct exchange *x = calloc(1, sizeof *x);
	struct conn_taken t;

	(void)arg;
	x->manner = r->path.n == 5 ? ECHO : r->path.n == 6 ? COUNT : REFUSE;
	if (!streams_reserve(all) || !conn_take(c, r, body, &t))
		abort();
	if (stream_open(all, &t, &sink, x) == NULL)
		abort();
	return CONN_ANSWERED;
}

static void on_request(
    void *arg, struct conn *c, const struct http1_request *r, struct bytes body)
{
	on_head(arg, c, r, body);
}

int main(void)
{
	static const struct conn_handler handler = {
	    .request = on_request, .head = on_head};
	static const struct conn_limits conn = {.header_ms = 5000,
	    .body_ms = 5000,
	    .idle_ms = 30000,
	    .write_ms = 10000,
	    .linger_ms = 2000,
	    .linger_bytes = 1 << 20,
	    .head = 8192,
	    .target = 4096,
	    .body = 1 << 20};
	static const struct stream_limits stream = {.body_ms = 5000,
	    .write_ms = 10000,
	    .linger_ms = 2000,
	    .linger_bytes = 1 << 20,
	    .body = UINT64_C(4) << 30,
	    .places = 16};
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof at;
	struct event_base *base = event_base_new();
	struct counters *counters = metrics_thread();
	struct conn_loop *loop = conn_loop_new(base, &conn, &handler, NULL, counters);
	_Atomic int connections = 0;
	struct listener_limits limits = {&connections, 64};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	signal(SIGPIPE, SIG_IGN);
	all = streams_new(base, &stream, counters);
	if (bind(fd, (struct sockaddr *)&at, n) != 0 || listen(fd, 16) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &n) != 0 ||
	    listener_new(loop, base, fd, false, &limits) == NULL)
		return 1;
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	return event_base_dispatch(base);
}
