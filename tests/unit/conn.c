#include "proxy/http/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/base/shared_file.h"
#include "proxy/base/clock.h"
#include "tests/lib/turns.h"

#define BIG       (1024 * 1024)
#define SOME      (160 * 1024)           /* of "/some" */
#define SEND_ROOM 200000                 /* the kernel doubles it */
#define FILE_N    (24 * 1024 * 1024 + 7) /* of "/file", from its second byte on */

/* The handler's side of a test: it echoes "TARGET BODY", but parks "/park", answers
 * "/big" with BIG bytes, "/file" with a file and "/error" with 404. */
struct stage {
	struct event_base *base;
	struct counters *counters;
	struct conn_loop *loop;
	struct conn_limits limits;
	int client;
	int requests;
	struct conn *parked;
	int gone, refused, closed;
	int head_status;
	char *big;
	struct shared_file *file;
	int socket_room; /* of the kernel's buffers; 0: as it likes */
	bool slow;       /* ... much of it on our side, little on the client's */
	int detached;    /* what conn_detach() said */
	int heads;       /* how often head() was asked */
	bool taken;
	struct conn_taken take; /* of "/take" */
};

static void answer(struct conn *c, const char *body, size_t n)
{
	char head[256];
	int head_n = snprintf(head, sizeof head,
	    "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n", n,
	    conn_connection(c, conn_will_close(c)));

	conn_send(c, bytes_of(head, (size_t)head_n), bytes_of(body, n), false);
}

static bool is(struct bytes b, const char *text)
{
	return bytes_equal(b, bytes_of(text, strlen(text)));
}

static void on_request(
    void *arg, struct conn *c, const struct http1_request *r, struct bytes body)
{
	static char echo[128][256]; /* stays until the callback ends */
	struct stage *s = arg;
	char *text = echo[s->requests++ % 128];

	if (is(r->path, "/park")) {
		s->parked = c;
		conn_park(c, s);
	} else if (is(r->path, "/big")) {
		answer(c, s->big, BIG);
	} else if (is(r->path, "/some")) {
		answer(c, s->big, SOME);
	} else if (is(r->path, "/copied")) {
		char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
		     two[] = "ok";
		struct iovec iov[] = {{head, sizeof head - 1}, {two, 2}};

		conn_reply(c, iov, 2, false);
		memset(two, 'x', 2);
	} else if (is(r->path, "/file")) {
		char head[64];
		int n = snprintf(head, sizeof head,
		    "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", FILE_N);

		conn_send_file(c, bytes_of(head, (size_t)n), s->file, 1,
		    conn_is_head(c) ? 0 : FILE_N, conn_will_close(c));
	} else if (is(r->path, "/detach")) {
		s->detached = conn_detach(c);
		if (s->detached < 0)
			conn_error(c, 503, NULL, true);
	} else if (is(r->path, "/take")) {
		s->taken = conn_take(c, r, body, &s->take);
		if (!s->taken)
			conn_error(c, 503, NULL, true);
	} else if (is(r->path, "/error")) {
		conn_error(c, 404, NULL, false);
	} else {
		int n = snprintf(text, 256, "%.*s %.*s", (int)r->target.n,
		    (const char *)r->target.p, body.n > 200 ? 3 : (int)body.n,
		    body.n > 0 ? (const char *)body.p : "");

		answer(c, text, (size_t)n);
	}
}

static int on_head(
    void *arg, struct conn *c, const struct http1_request *r, struct bytes body)
{
	struct stage *s = arg;
	char no[] = "HTTP/1.1 415 No\r\nConnection: close\r\n\r\n";

	s->heads++;
	if (is(r->path, "/no")) {
		assert_true(conn_will_close(c));
		conn_reply(c, &(struct iovec){no, sizeof no - 1}, 1, false);
		return CONN_ANSWERED;
	}
	if (!is(r->path, "/take"))
		return s->head_status;
	s->taken = conn_take(c, r, body, &s->take);
	if (!s->taken)
		conn_error(c, 503, NULL, true);
	for (size_t i = 0; s->taken && i < body.n; i++)
		assert_int_equal(body.p[i], 0); /* wiped */
	return CONN_ANSWERED;
}

static void on_gone(void *arg, void *parked)
{
	struct stage *s = arg;

	assert_ptr_equal(parked, s);
	s->gone++;
	s->parked = NULL;
}

static void on_refused(void *arg, int status)
{
	((struct stage *)arg)->refused = status;
}

static const struct conn_handler handler = {on_request, on_head, on_gone, on_refused};

static void on_close(void *arg)
{
	((struct stage *)arg)->closed++;
}

/* Byte number n of the file is n % 251. */
static struct shared_file *a_file(void)
{
	uint8_t bytes[251 * 64];
	int fd = memfd_create("file", 0);

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i % 251);
	for (size_t at = 0; at <= FILE_N; at += sizeof bytes)
		assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
	return shared_file_new(fd, FILE_N + 1);
}

static int stage_up(void **state)
{
	struct stage *s = calloc(1, sizeof *s);

	signal(SIGPIPE, SIG_IGN);
	assert_non_null(s);
	s->limits = (struct conn_limits){.header_ms = 5000,
	    .body_ms = 5000,
	    .idle_ms = 30000,
	    .write_ms = 10000,
	    .linger_ms = 2000,
	    .linger_bytes = 1 << 20,
	    .head = 8192,
	    .target = 4096,
	    .body = 10000};
	s->client = -1;
	s->big = malloc(BIG);
	memset(s->big, 'b', BIG);
	s->file = a_file();
	s->base = event_base_new();
	s->counters = calloc(1, sizeof *s->counters);
	s->loop = conn_loop_new(s->base, &s->limits, &handler, s, s->counters);
	assert_non_null(s->loop);
	*state = s;
	return 0;
}

static int stage_down(void **state)
{
	struct stage *s = *state;

	conn_loop_free(s->loop);
	event_base_free(s->base);
	if (s->client >= 0)
		close(s->client);
	free(s->counters);
	free(s->big);
	shared_file_unref(s->file);
	free(s);
	return 0;
}

static void join_unix(struct stage *s)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	s->client = fd[0];
	assert_non_null(conn_new(s->loop, fd[1], on_close, s));
}

static void join_tcp(struct stage *s)
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof at;
	int l = socket(AF_INET, SOCK_STREAM, 0), fd;

	if (s->socket_room > 0) {
		setsockopt(l, SOL_SOCKET, SO_SNDBUF, &s->socket_room, sizeof(int));
		setsockopt(l, SOL_SOCKET, SO_RCVBUF, &s->socket_room, sizeof(int));
	}
	assert_int_equal(bind(l, (struct sockaddr *)&at, n), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&at, &n), 0);
	s->client = socket(AF_INET, SOCK_STREAM, 0);
	if (s->socket_room > 0)
		setsockopt(
		    s->client, SOL_SOCKET, SO_RCVBUF, &s->socket_room, sizeof(int));
	if (s->slow) {
		setsockopt(l, SOL_SOCKET, SO_SNDBUF, &(int){SEND_ROOM}, sizeof(int));
		setsockopt(s->client, SOL_SOCKET, SO_RCVBUF, &(int){16384}, sizeof(int));
		setsockopt(s->client, IPPROTO_TCP, TCP_MAXSEG, &(int){1000}, sizeof(int));
	}
	assert_int_equal(connect(s->client, (struct sockaddr *)&at, n), 0);
	fd = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	close(l);
	fcntl(s->client, F_SETFL, O_NONBLOCK);
	assert_non_null(conn_new(s->loop, fd, on_close, s));
}

static void run(struct stage *s)
{
	for (int i = 0; i < 8; i++)
		event_base_loop(s->base, EVLOOP_NONBLOCK);
}

static void run_ms(struct stage *s, int ms)
{
	turns_for_ms(s->base, ms);
}

static void say(struct stage *s, const char *text)
{
	assert_int_equal(write(s->client, text, strlen(text)), (ssize_t)strlen(text));
	run(s);
}

/* What has come, as a string; "EOF" at its end when the server has closed, "RST" when it
 * has reset. */
static const char *hear(struct stage *s)
{
	static char text[64 * 1024];
	size_t n = 0;
	ssize_t got;

	run(s);
	while ((got = read(s->client, text + n, sizeof text - n - 8)) > 0) {
		n += (size_t)got;
		run(s);
	}
	text[n] = '\0';
	if (got == 0)
		strcpy(text + n, "EOF");
	else if (errno == ECONNRESET)
		strcpy(text + n, "RST");
	return text;
}

#define OK(n, body) "HTTP/1.1 200 OK\r\nContent-Length: " #n "\r\n\r\n" body
#define GET(path)   "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static void starts(const char *text, const char *with)
{
	if (strncmp(text, with, strlen(with)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", text, with);
}

static void ends(const char *text, const char *with)
{
	size_t n = strlen(text), m = strlen(with);

	if (n < m || strcmp(text + n - m, with) != 0)
		fail_msg("\"%s\" does not end with \"%s\"", text, with);
}

static void a_request_is_answered_and_the_connection_stays(void **state)
{
	struct stage *s = *state;

	join_unix(s);
	for (int i = 0; i < 3; i++) {
		say(s, GET("/a"));
		assert_string_equal(hear(s), OK(3, "/a "));
	}
	say(s, GET("/copied"));
	assert_string_equal(hear(s), OK(2, "ok"));
	assert_int_equal(conn_loop_count(s->loop), 1);
}

/* R138 */
static void pipelined_requests_are_answered_in_order(void **state)
{
	struct stage *s = *state;
	char all[500 * 64], want[500 * 64];
	size_t n = 0, m = 0;

	for (int i = 100; i < 600; i++) {
		n += (size_t)sprintf(all + n, GET("/%d"), i);
		m += (size_t)sprintf(want + m, OK(5, "/%d "), i);
	}
	join_unix(s);
	say(s, all);
	assert_string_equal(hear(s), want);
}

static void a_request_may_come_byte_by_byte(void **state)
{
	static const char text[] =
	    "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" GET("/y");
	struct stage *s = *state;

	join_unix(s);
	for (size_t i = 0; i < sizeof text - 1; i++)
		say(s, (char[]){text[i], '\0'});
	assert_string_equal(hear(s), OK(8, "/x hello") OK(3, "/y "));
}

/* R118 */
static void an_http10_client_is_closed_unless_it_asked(void **state)
{
	struct stage *s = *state;

	join_unix(s);
	say(s, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	assert_string_equal(hear(s),
	    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n/a ");
	say(s, "GET /b HTTP/1.0\r\n\r\n");
	assert_string_equal(hear(s), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
				     "Connection: close\r\n\r\n/b EOF");
	assert_int_equal(s->closed, 1);
}

static void connection_close_ends_after_its_answer(void **state)
{
	struct stage *s = *state;

	join_unix(s);
	say(s, GET("/a") "GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET(
		   "/c"));
	ends(hear(s), "/b EOF");
	assert_int_equal(s->requests, 2);
}

/* R36 */
static void continue_is_said_only_when_the_body_has_not_come(void **state)
{
	static const char head[] = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
				   "Expect: 100-continue\r\n\r\n";
	struct stage *s = *state;
	char whole[256];

	join_unix(s);
	say(s, head);
	assert_string_equal(hear(s), "HTTP/1.1 100 Continue\r\n\r\n");
	say(s, "a");
	assert_string_equal(hear(s), "");
	say(s, "b");
	assert_string_equal(hear(s), OK(5, "/x ab"));
	snprintf(whole, sizeof whole, "%sab", head);
	say(s, whole);
	assert_string_equal(hear(s), OK(5, "/x ab"));
}

static void a_refused_head_gets_no_continue(void **state)
{
	struct stage *s = *state;

	s->head_status = 404;
	join_unix(s);
	say(s, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
	       "Expect: 100-continue\r\n\r\n");
	starts(hear(s), "HTTP/1.1 404 Not Found\r\n");
	assert_int_equal(s->requests, 0);
}

static void a_chunked_body_is_joined(void **state)
{
	static const char text[] =
	    "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "3\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
	struct stage *s = *state;

	join_unix(s);
	say(s, text);
	assert_string_equal(hear(s), OK(16, "/x abc0123456789"));
	for (size_t i = 0; i < sizeof text - 1; i++)
		say(s, (char[]){text[i], '\0'});
	say(s, GET("/y"));
	assert_string_equal(hear(s), OK(16, "/x abc0123456789") OK(3, "/y "));
}

/* P20, R139 */
static void limits_have_their_own_status(void **state)
{
	static const struct {
		const char *head;
		size_t fill;
		const char *tail, *want;
	} row[] = {
	    {"GET /", 5000, " HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 414 "},
	    {"GET / HTTP/1.1\r\nHost: a\r\nX: ", 9000, "\r\n\r\n", "HTTP/1.1 431 "},
	    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10001\r\n\r\n", 10001, "",
		"HTTP/1.1 413 "},
	    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2711\r\n",
		10001, "\r\n0\r\n\r\n", "HTTP/1.1 413 "},
	    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n", 10000, "",
		"HTTP/1.1 200 "},
	};
	struct stage *s = *state;

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		char text[16 * 1024];
		int n = sprintf(text, "%s", row[i].head);

		memset(text + n, 'a', row[i].fill);
		strcpy(text + n + row[i].fill, row[i].tail);
		join_unix(s);
		say(s, text);
		starts(hear(s), row[i].want);
		close(s->client);
		run(s);
	}
	s->client = -1;
	assert_int_equal(conn_loop_count(s->loop), 0);
}

static void an_error_of_the_handler_keeps_the_connection(void **state)
{
	struct stage *s = *state;

	join_unix(s);
	say(s, GET("/error") GET("/a"));
	starts(hear(s), "HTTP/1.1 404 Not Found\r\nDate: ");
	say(s, "HEAD /error HTTP/1.1\r\nHost: a\r\n\r\n");
	ends(hear(s), "\r\n\r\n");
}

static void times(struct stage *s, int64_t ms)
{
	s->limits.header_ms = s->limits.body_ms = s->limits.write_ms = ms;
	s->limits.linger_ms = 3 * ms;
	conn_loop_limits(s->loop, &s->limits);
}

/* R139, T10 */
static void a_slow_head_gets_408_however_it_drips(void **state)
{
	struct stage *s = *state;
	int64_t start = clock_mono_ms();

	times(s, 60);
	join_unix(s);
	say(s, "GET /");
	while (s->refused == 0 && clock_mono_ms() < start + 20000) {
		if (write(s->client, "a", 1) < 0)
			break;
		run_ms(s, 10);
	}
	assert_int_equal(s->refused, 408);
	assert_true(clock_mono_ms() - start >= 55);
	starts(hear(s), "HTTP/1.1 408 ");
	run_ms(s, 400);
	assert_int_equal(s->closed, 1);
}

/* R139, T10 */
static void a_slow_body_gets_408(void **state)
{
	struct stage *s = *state;

	times(s, 60);
	join_unix(s);
	say(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
	run_ms(s, 150);
	starts(hear(s), "HTTP/1.1 408 ");
}

/* T10 */
static void an_idle_connection_closes_without_a_word(void **state)
{
	struct stage *s = *state;

	s->limits.idle_ms = 60;
	conn_loop_limits(s->loop, &s->limits);
	join_unix(s);
	for (int i = 0; i < 6; i++) { /* each request puts it off */
		run_ms(s, 30);
		say(s, GET("/a"));
		assert_string_equal(hear(s), OK(3, "/a "));
	}
	run_ms(s, 140);
	assert_string_equal(hear(s), "EOF");
	assert_int_equal(s->counters->value[M_CONN_TIMEOUT], 1);
}

/* Deadlines further away than the wheel reaches are found as well. */
static void a_long_deadline_is_kept_with_a_fine_timer(void **state)
{
	struct stage *s = *state;

	s->limits.linger_ms = 4; /* ticks of 10 ms, the wheel holds 2.5 s */
	s->limits.idle_ms =
	    4500; /* a machine that stands still for a second is no fault */
	conn_loop_limits(s->loop, &s->limits);
	join_unix(s);
	run_ms(s, 2600);
	assert_int_equal(s->closed, 0);
	run_ms(s, 2200);
	assert_int_equal(s->closed, 1);
}

static void a_client_sees_the_error_while_it_is_still_sending(void **state)
{
	struct stage *s = *state;
	char junk[8192];

	memset(junk, 'j', sizeof junk);
	join_tcp(s);
	say(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n");
	for (int i = 0; i < 60; i++) {
		if (write(s->client, junk, sizeof junk) < 0)
			assert_int_equal(errno, EAGAIN);
		run(s);
	}
	starts(hear(s), "HTTP/1.1 413 ");
	assert_int_equal(s->closed, 0);
	close(s->client);
	s->client = -1;
	run_ms(s, 20);
	assert_int_equal(s->closed, 1);
}

static void lingering_ends_after_so_many_bytes(void **state)
{
	struct stage *s = *state;
	char junk[8192];

	memset(junk, 'j', sizeof junk);
	s->limits.linger_bytes = 20000;
	conn_loop_limits(s->loop, &s->limits);
	join_unix(s);
	say(s, "nonsense\r\n\r\n");
	for (int i = 0; i < 10 && s->closed == 0; i++) {
		assert_true(write(s->client, junk, sizeof junk) > 0);
		run(s);
	}
	assert_int_equal(s->closed, 1);
}

/* A client that sends requests and takes no answers is not read any more. */
static void who_takes_no_answers_is_stopped(void **state)
{
	struct stage *s = *state;
	char *got = malloc(20 * BIG + 65536);
	size_t n = 0, bodies = 0;
	int64_t start = clock_mono_ms();

	join_unix(s);
	for (int i = 0; i < 20; i++)
		say(s, GET("/big"));
	assert_in_range(s->requests, 1, 3);
	while (s->requests < 20 || n < 20 * (size_t)BIG) {
		ssize_t r = read(s->client, got + n, 65536);

		if (r > 0)
			n += (size_t)r;
		run(s);
		assert_true(clock_mono_ms() < start + 20000);
	}
	for (size_t i = 0; i < n; i++)
		bodies += got[i] == 'b';
	assert_int_equal(bodies, 20 * (size_t)BIG);
	say(s, GET("/a"));
	ends(hear(s), OK(3, "/a "));
	free(got);
}

/* T10 */
static void who_takes_an_answer_too_slowly_is_cut_off(void **state)
{
	struct stage *s = *state;

	times(s, 60);
	join_tcp(s);
	for (int i = 0; i < 20; i++)
		say(s, GET("/big"));
	run_ms(s, 200);
	assert_int_equal(s->closed, 1);
	assert_int_equal(s->counters->value[M_CONN_TIMEOUT], 1);
}

static void a_parked_request_holds_back_those_behind_it(void **state)
{
	struct stage *s = *state;

	join_unix(s);
	say(s, GET("/a") GET("/park") GET("/b"));
	say(s, GET("/c"));
	assert_string_equal(hear(s), OK(3, "/a "));
	assert_non_null(s->parked);
	answer(s->parked, "late", 4);
	assert_string_equal(hear(s), OK(4, "late") OK(3, "/b ") OK(3, "/c "));
}

static void a_parked_error_answer_is_sent(void **state)
{
	struct stage *s = *state;

	join_unix(s);
	say(s, GET("/park"));
	conn_error(s->parked, 504, NULL, false);
	starts(hear(s), "HTTP/1.1 504 Gateway Timeout\r\n");
	say(s, GET("/a"));
	assert_string_equal(hear(s), OK(3, "/a "));
}

/* T27 */
static void a_reset_while_parked_is_noticed_at_once(void **state)
{
	static const struct linger hard = {1, 0};
	struct stage *s = *state;

	join_tcp(s);
	say(s, GET("/park"));
	setsockopt(s->client, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(s->client);
	s->client = -1;
	run_ms(s, 50);
	assert_int_equal(s->gone, 1);
	assert_int_equal(s->closed, 1);
}

static void who_shuts_his_side_still_gets_his_answers(void **state)
{
	struct stage *s = *state;

	join_tcp(s);
	say(s, GET("/a") GET("/park") GET("/b"));
	shutdown(s->client, SHUT_WR);
	run_ms(s, 20);
	assert_int_equal(s->gone, 0);
	answer(s->parked, "late", 4);
	assert_string_equal(hear(s), OK(3, "/a ") OK(4, "late") OK(3, "/b ") "EOF");
}

static void a_client_that_left_is_found_when_it_is_answered(void **state)
{
	struct stage *s = *state;

	join_unix(s);
	say(s, GET("/park"));
	close(s->client);
	s->client = -1;
	run(s);
	if (s->parked != NULL)
		answer(s->parked, "late", 4);
	run(s);
	assert_int_equal(conn_loop_count(s->loop), 0);
}

static void a_loop_that_is_freed_tells_who_parked(void **state)
{
	struct stage *s = *state;

	join_unix(s);
	say(s, GET("/park"));
	conn_loop_free(s->loop);
	assert_int_equal(s->gone, 1);
	assert_int_equal(s->closed, 1);
	s->loop = conn_loop_new(s->base, &s->limits, &handler, s, s->counters);
}

static void draining_closes_the_idle_and_lets_the_others_end(void **state)
{
	struct stage *s = *state;
	int idle;

	join_unix(s);
	idle = s->client;
	join_unix(s);
	say(s, GET("/park"));
	conn_loop_drain(s->loop);
	assert_int_equal(s->closed, 1);
	answer(s->parked, "late", 4);
	assert_string_equal(hear(s), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n"
				     "Connection: close\r\n\r\nlateEOF");
	close(idle);
}

static void a_reset_between_requests_is_an_end(void **state)
{
	static const struct linger hard = {1, 0};
	struct stage *s = *state;

	join_tcp(s);
	say(s, "GET /a HT");
	setsockopt(s->client, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(s->client);
	s->client = -1;
	run_ms(s, 20);
	assert_int_equal(conn_loop_count(s->loop), 0);
}

static void a_stray_line_end_behind_a_body_is_no_request(void **state)
{
	struct stage *s = *state;

	times(s, 50);
	join_unix(s);
	say(s, GET("/a"));
	say(s, "\r\n");
	run_ms(s, 120);
	say(s, GET("/b"));
	assert_string_equal(hear(s), OK(3, "/a ") OK(3, "/b "));
}

/* T9, R140 */
static void what_is_no_http_is_refused_and_closed(void **state)
{
	static const char *const text[] = {
	    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	    "GET / HTTP/1.1\nHost: a\n\n",
	    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
	     "Transfer-Encoding: chunked\r\n\r\n"),
	    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	};
	struct stage *s = *state;

	for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
		join_unix(s);
		say(s, text[i]);
		starts(hear(s), "HTTP/1.1 400 Bad Request\r\n");
		ends(hear(s), "EOF");
		close(s->client);
		run(s);
	}
	s->client = -1;
	assert_int_equal(s->requests, 0);
	assert_int_equal(conn_loop_count(s->loop), 0);
}

/* What has come on a detached socket so far. */
static const char *hear_client(struct stage *s)
{
	static char text[4096];
	ssize_t n = read(s->client, text, sizeof text - 1);

	text[n > 0 ? n : 0] = '\0';
	return n == 0 ? "EOF" : text;
}

static void a_detached_socket_is_the_callers(void **state)
{
	struct stage *s = *state;

	join_unix(s);
	say(s, GET("/a") GET("/detach") GET("/never"));
	assert_true(s->detached >= 0);
	assert_int_equal(s->requests, 2);
	assert_int_equal(s->closed, 1); /* the listener's limit forgets it */
	assert_int_equal(s->gone, 0);
	assert_int_equal(conn_loop_count(s->loop), 0);
	assert_int_equal(s->counters->value[M_CONN_CLOSED], 0);
	assert_string_equal(hear_client(s), OK(3, "/a "));
	assert_int_equal(write(s->detached, "mine", 4), 4);
	assert_string_equal(hear_client(s), "mine");
	close(s->detached);
	assert_string_equal(hear_client(s), "EOF");
}

static void a_parked_request_is_detached_at_once(void **state)
{
	struct stage *s = *state;
	int fd;

	join_unix(s);
	say(s, GET("/park"));
	fd = conn_detach(s->parked);
	assert_true(fd >= 0);
	assert_int_equal(s->closed, 1);
	assert_int_equal(s->gone, 0);
	assert_int_equal(conn_loop_count(s->loop), 0);
	run(s);
	close(fd);
}

static void who_has_not_taken_his_answers_is_not_detached(void **state)
{
	struct stage *s = *state;

	join_unix(s);
	say(s, GET("/big") GET("/detach"));
	assert_int_equal(s->detached, -1);
	assert_int_equal(conn_loop_count(s->loop), 1);
	close(s->client);
	run(s);

	join_unix(s);
	shutdown(s->client, SHUT_RD); /* every answer fails */
	s->detached = 0;
	say(s, GET("/a") GET("/detach"));
	assert_int_equal(s->detached, -1);
	assert_int_equal(conn_loop_count(s->loop), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)

/* Take up to max bytes of the file's body that begins at *at; returns how many. */
static size_t take_file(struct stage *s, size_t *at, size_t max)
{
	static uint8_t got[256 * 1024];
	ssize_t n = read(s->client, got, max < sizeof got ? max : sizeof got);

	for (ssize_t i = 0; i < n; i++)
		assert_int_equal(got[i], (*at + (size_t)i + 1) % 251);
	if (n > 0)
		*at += (size_t)n;
	return n > 0 ? (size_t)n : 0;
}

static void take_head(struct stage *s)
{
	char head[256];
	size_t n = 0;

	do {
		assert_int_equal(read(s->client, head + n, 1), 1);
		n++;
	} while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0);
	head[n] = '\0';
	starts(head, "HTTP/1.1 200 OK\r\n");
}

/* R112 */
static void a_file_is_sent_whole_and_the_next_request_after_it(void **state)
{
	struct stage *s = *state;
	size_t at = 0;

	join_tcp(s);
	say(s, GET("/file") GET("/a"));
	run(s);
	take_head(s);
	while (at < FILE_N) {
		run(s);
		take_file(s, &at, FILE_N - at);
	}
	assert_string_equal(hear(s), OK(3, "/a "));
	say(s, "HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n" GET("/b"));
	take_head(s);
	assert_string_equal(hear(s), OK(3, "/b "));
	assert_int_equal(atomic_load(&s->file->refs), 1);
}

static void a_file_closes_behind_itself_when_asked(void **state)
{
	struct stage *s = *state;
	size_t at = 0;

	join_tcp(s);
	say(s, "GET /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	run(s);
	take_head(s);
	while (at < FILE_N) {
		run(s);
		take_file(s, &at, FILE_N - at);
	}
	assert_string_equal(hear(s), "EOF");
}

static void a_client_that_leaves_lets_its_file_go(void **state)
{
	struct stage *s = *state;

	join_tcp(s);
	say(s, GET("/file"));
	assert_int_equal(atomic_load(&s->file->refs), 2);
	close(s->client);
	s->client = -1;
	run_ms(s, 50);
	assert_int_equal(atomic_load(&s->file->refs), 1);
	assert_int_equal(s->closed, 1);
}

/* Minutes of slow reading, on clocks that are set.  These come last: the clocks stay so.
 */

#define SECOND 1000

static int64_t virtual_ms = 1000000;

/* The timer that turns the wheel is a real one, of 10 ms. */
static void pass(struct stage *s, int64_t ms)
{
	clock_set(1700000000, virtual_ms += ms);
	usleep(11000);
	run(s);
}

static void be_slow(struct stage *s)
{
	pass(s, SECOND);
	s->limits.linger_ms = 40;
	s->limits.idle_ms = 6 * SECOND;
	s->limits.write_ms = 3 * SECOND;
	conn_loop_limits(s->loop, &s->limits);
	s->slow = true;
	join_tcp(s);
}

/* Up to max bytes into the void; how many. */
static size_t take(struct stage *s, size_t max)
{
	static char got[256 * 1024];
	ssize_t n = read(s->client, got, max);

	return n > 0 ? (size_t)n : 0;
}

/* Read it at so many bytes a second, until there are want. */
static size_t take_slowly(struct stage *s, size_t rate, size_t want)
{
	size_t n = 0, now = 1;

	for (int i = 0; n < want && i < 60 && (now > 0 || s->closed == 0); i++) {
		n += now = take(s, want - n < rate ? want - n : rate);
		pass(s, SECOND);
	}
	return n;
}

/* Nothing is taken any more: it is cut off, in its time, with a reset. */
static void expect_cut(struct stage *s)
{
	int seconds = 0;

	while (s->closed == 0 && seconds++ < 20)
		pass(s, SECOND);
	assert_in_range(seconds, 2, 11); /* idle_ms, write_ms and a half */
	assert_int_equal(s->counters->value[M_CONN_TIMEOUT], 1);
	while (take(s, BIG / 4) > 0)
		;
	assert_int_equal(errno, ECONNRESET);
}

/* T22: who takes a little stays, though between two times that the socket is writable
 * there is more than write_ms; who takes nothing goes, and the file is let go. */
static void who_takes_a_file_steadily_is_not_cut_off(void **state)
{
	struct stage *s = *state;
	uint64_t sent;
	int quiet = 0, longest = 0;

	be_slow(s);
	say(s, GET("/file"));
	for (int i = 0; i < 40; i++) {
		sent = s->counters->value[M_BYTES_OUT];
		take(s, 24 * 1024);
		pass(s, SECOND);
		quiet = s->counters->value[M_BYTES_OUT] == sent ? quiet + 1 : 0;
		longest = quiet > longest ? quiet : longest;
	}
	assert_true(longest > 3);
	assert_int_equal(s->closed, 0);
	assert_int_equal(atomic_load(&s->file->refs), 2);
	expect_cut(s);
	assert_int_equal(atomic_load(&s->file->refs), 1);
}

/* T22: a trickle does not keep a list that has been replaced on the disk for hours. */
static void a_client_that_takes_hardly_anything_is_cut(void **state)
{
	struct stage *s = *state;
	int seconds = 0;

	be_slow(s);
	say(s, GET("/file"));
	while (s->closed == 0 && seconds++ < 20) {
		take(s, 4000); /* a quarter of the least pace */
		pass(s, SECOND);
	}
	assert_in_range(seconds, 3, 12);
	assert_int_equal(atomic_load(&s->file->refs), 1);
}

/* T22: the kernel has all of it, and we nothing to write: that is not idle. */
static void who_still_takes_from_the_kernel_is_not_idle(void **state)
{
	struct stage *s = *state;

	be_slow(s);
	say(s, GET("/some"));
	assert_true(s->counters->value[M_BYTES_OUT] > SOME); /* the head, too */
	assert_int_equal(take_slowly(s, 6 * 1024, SOME / 2), SOME / 2);
	assert_int_equal(s->closed, 0);
	expect_cut(s);
}

static void who_has_taken_all_may_be_idle_from_then_on(void **state)
{
	struct stage *s = *state;

	be_slow(s);
	say(s, GET("/some"));
	take_slowly(s, 12 * 1024, s->counters->value[M_BYTES_OUT]);
	for (int i = 0; i < 3; i++)
		pass(s, SECOND);
	say(s, GET("/a"));
	ends(hear(s), OK(3, "/a "));
	for (int i = 0; i < 8; i++)
		pass(s, SECOND);
	assert_string_equal(hear(s), "EOF"); /* and no reset */
}

/* T22: an error that closes lingers for a moment; what went before it may take longer. */
static void who_still_takes_from_the_kernel_may_linger(void **state)
{
	struct stage *s = *state;
	size_t all;

	be_slow(s);
	say(s, GET("/some") "nonsense\r\n\r\n");
	all = s->counters->value[M_BYTES_OUT];
	assert_true(all > SOME);
	assert_int_equal(take_slowly(s, 12 * 1024, all), all);
	for (int i = 0; i < 4 && s->closed == 0; i++)
		pass(s, SECOND);
	assert_int_equal(s->closed, 1);
	assert_int_equal(s->counters->value[M_CONN_TIMEOUT], 0);
	assert_string_equal(hear(s), "EOF");
}

static void who_takes_nothing_does_not_linger_for_ever(void **state)
{
	struct stage *s = *state;

	be_slow(s);
	say(s, GET("/some") "nonsense\r\n\r\n");
	expect_cut(s);
}

/* T10, T22: of answers a trickle is not enough for ever. */
static void who_takes_answers_in_drops_is_cut_off(void **state)
{
	struct stage *s = *state;

	be_slow(s);
	for (int i = 0; i < 3; i++)
		say(s, GET("/big"));
	for (int i = 0; i < 20 && s->closed == 0; i++) {
		take(s, 100);
		pass(s, SECOND);
	}
	assert_int_equal(s->closed, 1);
	assert_int_equal(s->counters->value[M_CONN_TIMEOUT], 1);
}

/* The body of what was taken, whatever of it had been read before; and drop it. */
static const char *taken_body(struct stage *s)
{
	static char text[256];
	struct conn_taken *t = &s->take;
	char rest[256];
	ssize_t got = read(t->fd, rest, sizeof rest);
	size_t came = got > 0 ? (size_t)got : 0, n = t->body.n, at = 0, used;
	struct bytes data;
	int end = 0;

	assert_true(n + came < sizeof text);
	if (n > 0)
		memcpy(text, t->body.p, n);
	if (!t->chunked) {
		assert_int_equal(t->left, came);
		memcpy(text + n, rest, came);
		n += came;
	}
	while (t->chunked && end == 0) {
		end = http1_chunked_feed(&t->chunk, rest + at, came - at, &used, &data);
		assert_true(end == 1 || used > 0);
		at += used;
		if (data.n > 0)
			memcpy(text + n, data.p, data.n);
		n += data.n;
	}
	text[n] = '\0';
	conn_taken_drop(t);
	return text;
}

/* R137 */
static void a_body_is_taken_wherever_it_is_cut(void **state)
{
	static const char *const texts[] = {
	    "PUT /take HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\n\r\nhello, wide "
	    "worl",
	    "PUT /take HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "5;x=y\r\nhello\r\n1\r\n,\r\nA\r\n wide worl\r\n0\r\nT: 1\r\n\r\n",
	};
	struct stage *s = *state;

	for (size_t i = 0; i < 2; i++) {
		for (size_t cut = 1; cut <= strlen(texts[i]); cut++) {
			s->taken = false;
			s->closed = s->requests = s->heads = 0;
			join_unix(s);
			assert_int_equal(write(s->client, texts[i], cut), (ssize_t)cut);
			run(s);
			say(s, texts[i] + cut);
			assert_true(s->taken);
			assert_int_equal(s->heads + s->requests, 1);
			assert_int_equal(s->closed, 1);
			assert_int_equal(conn_loop_count(s->loop), 0);
			assert_string_equal(taken_body(s), "hello, wide worl");
			close(s->client);
		}
	}
	/* its end is the taker's to count */
	assert_int_equal(s->counters->value[M_CONN_CLOSED], 0);
	s->client = -1;
}

static void a_body_over_the_limit_can_be_taken(void **state)
{
	static const char *const heads[] = {
	    "PUT /take HTTP/1.1\r\nHost: a\r\nContent-Length: 4294967296\r\n\r\nab",
	    "PUT /take HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "100000000\r\nab"};
	struct stage *s = *state;

	for (size_t i = 0; i < 2; i++) {
		s->taken = false;
		join_unix(s);
		say(s, heads[i]);
		assert_true(s->taken);
		assert_memory_equal(s->take.body.p, "ab", 2);
		assert_int_equal(
		    s->take.chunked ? s->take.chunk.left : s->take.left, 4294967294);
		conn_taken_drop(&s->take);
		close(s->client);
	}
	join_unix(s);
	s->head_status = 404; /* it is too large whatever else it is */
	say(s, "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4294967296\r\n\r\n");
	starts(hear(s), "HTTP/1.1 413 ");
}

/* R36 */
static void who_waits_for_a_100_is_taken_waiting(void **state)
{
	struct stage *s = *state;

	join_unix(s);
	say(s, "PUT /take HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
	       "Expect: 100-continue\r\n\r\n");
	assert_true(s->taken && s->take.go_on);
	assert_int_equal(read(s->client, (char[1]){0}, 1), -1);
	conn_taken_drop(&s->take);
}

static void a_body_is_not_taken_before_earlier_answers_are(void **state)
{
	static char text[BIG + 4096];
	struct stage *s = *state;
	size_t n = 0;
	ssize_t got;

	join_unix(s);
	say(s, GET("/big") "PUT /take HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
	assert_int_equal(s->heads, 1);
	assert_false(s->taken);
	while ((got = read(s->client, text + n, sizeof text - 1 - n)) > 0) {
		n += (size_t)got;
		run(s);
	}
	assert_int_equal(got, 0);
	ends(text, "\r\n\r\n503 Service Unavailable\n");
}

static void a_head_may_be_answered_before_its_body(void **state)
{
	struct stage *s = *state;

	join_unix(s);
	say(s, "PUT /no HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\nab");
	for (int i = 0; i < 3; i++) /* it lingers */
		say(s, "more of the body");
	assert_string_equal(hear(s), "HTTP/1.1 415 No\r\nConnection: close\r\n\r\nEOF");
	assert_int_equal(conn_loop_count(s->loop), 1);
	assert_int_equal(s->refused, 0);
	close(s->client);
	s->client = -1;
	run(s);
	assert_int_equal(conn_loop_count(s->loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_request_is_answered_and_the_connection_stays),
	    CASE(pipelined_requests_are_answered_in_order),
	    CASE(a_request_may_come_byte_by_byte),
	    CASE(an_http10_client_is_closed_unless_it_asked),
	    CASE(connection_close_ends_after_its_answer),
	    CASE(continue_is_said_only_when_the_body_has_not_come),
	    CASE(a_refused_head_gets_no_continue),
	    CASE(a_chunked_body_is_joined),
	    CASE(limits_have_their_own_status),
	    CASE(an_error_of_the_handler_keeps_the_connection),
	    CASE(a_slow_head_gets_408_however_it_drips),
	    CASE(a_slow_body_gets_408),
	    CASE(an_idle_connection_closes_without_a_word),
	    CASE(a_long_deadline_is_kept_with_a_fine_timer),
	    CASE(a_client_sees_the_error_while_it_is_still_sending),
	    CASE(lingering_ends_after_so_many_bytes),
	    CASE(who_takes_no_answers_is_stopped),
	    CASE(who_takes_an_answer_too_slowly_is_cut_off),
	    CASE(a_parked_request_holds_back_those_behind_it),
	    CASE(a_parked_error_answer_is_sent),
	    CASE(a_reset_while_parked_is_noticed_at_once),
	    CASE(who_shuts_his_side_still_gets_his_answers),
	    CASE(a_client_that_left_is_found_when_it_is_answered),
	    CASE(a_loop_that_is_freed_tells_who_parked),
	    CASE(draining_closes_the_idle_and_lets_the_others_end),
	    CASE(a_reset_between_requests_is_an_end),
	    CASE(a_stray_line_end_behind_a_body_is_no_request),
	    CASE(what_is_no_http_is_refused_and_closed),
	    CASE(a_file_is_sent_whole_and_the_next_request_after_it),
	    CASE(a_file_closes_behind_itself_when_asked),
	    CASE(a_client_that_leaves_lets_its_file_go),
	    CASE(a_detached_socket_is_the_callers),
	    CASE(a_body_is_taken_wherever_it_is_cut),
	    CASE(a_body_over_the_limit_can_be_taken),
	    CASE(who_waits_for_a_100_is_taken_waiting),
	    CASE(a_body_is_not_taken_before_earlier_answers_are),
	    CASE(a_head_may_be_answered_before_its_body),
	    CASE(a_parked_request_is_detached_at_once),
	    CASE(who_has_not_taken_his_answers_is_not_detached),
	    /* last: the clocks stay where they are set */
	    CASE(who_takes_a_file_steadily_is_not_cut_off),
	    CASE(a_client_that_takes_hardly_anything_is_cut),
	    CASE(who_still_takes_from_the_kernel_is_not_idle),
	    CASE(who_has_taken_all_may_be_idle_from_then_on),
	    CASE(who_still_takes_from_the_kernel_may_linger),
	    CASE(who_takes_nothing_does_not_linger_for_ever),
	    CASE(who_takes_answers_in_drops_is_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
