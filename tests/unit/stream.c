/* Streamed exchanges: each body cut everywhere, both ways at their own pace, and every
 * way in which one ends early. */
#include "proxy/http/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "proxy/base/clock.h"
#include "proxy/base/inbox.h"
#include "proxy/base/thread.h"
#include "proxy/http/conn.h"

#define SECOND 1000
#define MIB    (1024u * 1024u)
#define JUMP   7 /* steps of a cut where each costs a turn too many */

/* What the sink of a test does. */
enum manner {
	COUNTS,  /* answers the body's length when it is whole */
	ECHOES,  /* gives back what comes, as room is */
	WAITS,   /* says nothing at the end: the test does */
	REFUSES, /* the first piece is an error */
	MUMBLES, /* begins an answer with the first piece, and no more */
};

struct stage {
	struct event_base *base;
	struct counters counters;
	struct streams *all;
	struct stream_limits limits;
	int64_t now; /* monotonic */
	int client;
	int kernel_room; /* of the sockets' buffers; 0: as the kernel likes */
	/* the sink's: */
	enum manner manner;
	size_t slice; /* most that is taken in one call; 0: all */
	struct stream *stream;
	char got[4096];
	uint64_t got_n;
	uint64_t sum; /* of all octets, each times its place */
	int calls, ended, closed;
	bool pauses;     /* after each piece */
	bool blind;      /* does not look at it */
	size_t heap_max; /* bytes of heap in use at any call */
};

static size_t heap(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return 0;
#else
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
#endif
}

static void note_heap(struct stage *s)
{
	size_t now = heap();

	if (now > s->heap_max)
		s->heap_max = now;
}

static size_t on_body(void *arg, struct stream *stream, struct bytes piece)
{
	struct stage *s = arg;
	size_t n = s->slice > 0 && s->slice < piece.n ? s->slice : piece.n;

	assert_ptr_equal(stream, s->stream);
	assert_int_equal(s->ended + s->closed, 0);
	assert_true(piece.n > 0);
	s->calls++;
	note_heap(s);
	for (size_t i = 0; i < n && !s->blind; i++) {
		if (s->got_n + i < sizeof s->got - 1)
			s->got[s->got_n + i] = (char)piece.p[i];
		s->sum += piece.p[i] * (s->got_n + i + 1);
	}
	s->got_n += n;
	if (s->manner == REFUSES)
		stream_error(stream, 400, "bad_request", "line 1: no");
	if ((s->manner == ECHOES || s->manner == MUMBLES) && s->calls == 1)
		stream_begin(stream, "application/x-ndjson");
	if (s->manner == ECHOES || (s->manner == MUMBLES && s->calls == 1))
		stream_write(stream, bytes_of(piece.p, n));
	if (s->pauses)
		stream_pause(stream);
	return n;
}

static void on_end(void *arg, struct stream *stream)
{
	struct stage *s = arg;
	char text[64];
	int n;

	assert_ptr_equal(stream, s->stream);
	assert_int_equal(s->ended + s->closed, 0);
	s->ended++;
	if (s->manner == COUNTS) {
		n = snprintf(text, sizeof text, "{\"n\":%zu}\n", (size_t)s->got_n);
		stream_answer(
		    stream, 201, "application/json", NULL, bytes_of(text, (size_t)n));
	} else if (s->manner == ECHOES) {
		stream_finish(stream);
	}
}

static void on_closed(void *arg)
{
	struct stage *s = arg;

	assert_int_equal(s->closed, 0);
	s->closed++;
	s->stream = NULL;
}

static const struct stream_sink sink = {on_body, on_end, on_closed};

static int setup(void **state)
{
	struct stage *s = calloc(1, sizeof *s);

	signal(SIGPIPE, SIG_IGN);
	assert_non_null(s);
	clock_set(1700000000, 0);
	s->limits = (struct stream_limits){.body_ms = 5 * SECOND,
	    .write_ms = 10 * SECOND,
	    .linger_ms = 40, /* the tick is 10 ms */
	    .linger_bytes = MIB,
	    .body = UINT64_C(4) << 30,
	    .places = 2};
	s->client = -1;
	s->base = event_base_new();
	s->all = streams_new(s->base, &s->limits, &s->counters);
	assert_non_null(s->all);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct stage *s = *state;

	streams_free(s->all);
	event_base_free(s->base);
	if (s->client >= 0)
		close(s->client);
	free(s);
	return 0;
}

static void turns(struct stage *s)
{
	for (int i = 0; i < 12; i++)
		event_base_loop(s->base, EVLOOP_NONBLOCK);
}

static void on_passed(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	*(bool *)arg = true;
}

/* So much time later: the clock is ours, the tick is not, but comes within 10 ms. */
static void pass(struct stage *s, int64_t ms)
{
	bool passed = false;

	clock_set(1700000000, s->now += ms);
	event_base_once(s->base, -1, EV_TIMEOUT, on_passed, &passed,
	    &(struct timeval){.tv_usec = 12000});
	while (!passed)
		event_base_loop(s->base, EVLOOP_ONCE);
	turns(s);
}

static void limit(struct stage *s)
{
	streams_limits(s->all, &s->limits);
}

/* Sockets, ours first. */

static void pair_of_unix(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
}

static void pair_of_tcp(struct stage *s, int fd[2])
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof at;
	int l = socket(AF_INET, SOCK_STREAM, 0), room = s->kernel_room;

	fd[1] = socket(AF_INET, SOCK_STREAM, 0);
	if (room > 0) {
		setsockopt(l, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
		setsockopt(l, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
		setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
		setsockopt(fd[1], SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	}
	assert_int_equal(bind(l, (struct sockaddr *)&at, n), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&at, &n), 0);
	assert_int_equal(connect(fd[1], (struct sockaddr *)&at, n), 0);
	fd[0] = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	close(l);
	fcntl(fd[1], F_SETFL, O_NONBLOCK);
}

/* A body of so many bytes, or chunked (length < 0), of which `before` was read with the
 * head. */
static struct conn_taken a_body(int fd, int64_t length, const char *before, size_t n)
{
	struct conn_taken t = {.fd = fd, .minor = 1, .chunked = length < 0};
	char *copy = malloc(n + 1);
	size_t at = 0, have = 0;

	http1_chunked_start(&t.chunk);
	if (!t.chunked) {
		memcpy(copy, before, n);
		have = n;
		t.left = (uint64_t)length - n;
	}
	while (t.chunked && at < n) {
		struct bytes data;
		size_t used;

		if (http1_chunked_feed(&t.chunk, before + at, n - at, &used, &data) != 0)
			break;
		if (data.n > 0)
			memcpy(copy + have, data.p, data.n);
		have += data.n;
		at += used;
	}
	if (have == 0) {
		free(copy);
		copy = NULL;
	}
	t.body = bytes_of(copy, have);
	return t;
}

static void open_taken(struct stage *s, struct conn_taken t)
{
	s->got_n = s->sum = 0;
	s->calls = s->ended = s->closed = 0;
	memset(s->got, 0, sizeof s->got);
	assert_true(streams_reserve(s->all));
	s->stream = stream_open(s->all, &t, &sink, s);
	assert_non_null(s->stream);
}

static void open_unix(struct stage *s, int64_t length)
{
	int fd[2];

	pair_of_unix(fd);
	s->client = fd[1];
	open_taken(s, a_body(fd[0], length, "", 0));
	turns(s);
}

static void open_tcp(struct stage *s, int64_t length)
{
	int fd[2];

	pair_of_tcp(s, fd);
	s->client = fd[1];
	open_taken(s, a_body(fd[0], length, "", 0));
	turns(s);
}

/* The client's side. */

static void say_n(struct stage *s, const char *text, size_t n)
{
	assert_int_equal(write(s->client, text, n), (ssize_t)n);
	turns(s);
}

static void say(struct stage *s, const char *text)
{
	say_n(s, text, strlen(text));
}

/* What has come; "EOF" or "RST" at its end. */
static const char *hear(struct stage *s)
{
	static char text[64 * 1024];
	size_t n = 0;
	ssize_t got;

	turns(s);
	while ((got = read(s->client, text + n, sizeof text - n - 8)) > 0) {
		n += (size_t)got;
		turns(s);
	}
	text[n] = '\0';
	if (got == 0)
		strcpy(text + n, "EOF");
	else if (errno == ECONNRESET)
		strcpy(text + n, "RST");
	return text;
}

static void hang_up(struct stage *s)
{
	close(s->client);
	s->client = -1;
	turns(s);
}

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

static void has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" does not have \"%s\"", text, part);
}

/* An answer of this status, whole and the last, whose body is this. */
static void expect(struct stage *s, const char *status, const char *body)
{
	char length[64];
	const char *text = hear(s);

	starts(text, status);
	has(text, "\r\nConnection: close\r\n");
	has(text, "\r\nCache-Control: no-store\r\n");
	has(text, "\r\nX-Content-Type-Options: nosniff\r\n");
	snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n", strlen(body));
	has(text, length);
	snprintf(length, sizeof length, "\r\n\r\n");
	has(text, length);
	ends(text, "EOF");
	assert_int_equal(strncmp(strstr(text, length) + 4, body, strlen(body)), 0);
	assert_int_equal(s->closed, 1);
}

static void expect_error(struct stage *s, const char *status, const char *part)
{
	const char *text = hear(s);

	starts(text, status);
	has(text, "\r\nContent-Type: application/json\r\n");
	has(text, "\r\n\r\n{\"error\":{\"code\":\"");
	has(text, part);
	ends(text, "\"}}\nEOF");
	assert_int_equal(s->closed, 1);
}

/* The body. */

struct shape {
	int64_t length;
	const char *wire, *body;
};

static const struct shape shapes[] = {
    {23, "who cuts this anywhere?GET / HTTP/1.1\r\n\r\n", "who cuts this anywhere?"},
    {-1,
	"4\r\nwho \r\n00a;x=\"y\"\r\ncuts this \r\n1;z\r\na\r\n8\r\nnywhere?\r\n0\r\n"
	"Trailer: 1\r\nB: 2\r\n\r\nGET / HTTP/1.1\r\n\r\n",
	"who cuts this anywhere?"},
    {0, "GET / HTTP/1.1\r\n\r\n", ""},
    {-1, "0\r\n\r\nGET / HTTP/1.1\r\n\r\n", ""},
};

/* Read with the head, then in two parts; what is pipelined behind it is dropped. */
static void read_cut(struct stage *s, const struct shape *shape, size_t a, size_t b)
{
	size_t n = strlen(shape->wire);
	int fd[2];

	pair_of_unix(fd);
	s->client = fd[1];
	open_taken(s, a_body(fd[0], shape->length, shape->wire, a));
	turns(s);
	if (b > a)
		say_n(s, shape->wire + a, b - a);
	if (n > b && s->closed == 0)
		say_n(s, shape->wire + b, n - b);
	assert_string_equal(s->got, shape->body);
	assert_int_equal(s->ended, 1);
	expect(
	    s, "HTTP/1.1 201 Created\r\n", s->got_n > 0 ? "{\"n\":23}\n" : "{\"n\":0}\n");
	hang_up(s);
	assert_int_equal(streams_count(s->all), 0);
}

/* R137, T9 */
static void a_body_is_read_wherever_it_is_cut(void **state)
{
	struct stage *s = *state;

	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		const struct shape *shape = &shapes[i];
		size_t n = strlen(shape->wire);
		/* conn has read no more than the body */
		size_t most = shape->length >= 0 ? (size_t)shape->length : n - 18;

		for (size_t a = 0; a <= most; a++)
			for (size_t b = a; b <= n; b += a % JUMP == 0 ? 1 : n - b + 1)
				read_cut(s, shape, a, b);
	}
	assert_int_equal(s->counters.value[M_CONN_OPENED], 0);
	assert_true(s->counters.value[M_CONN_CLOSED] > 100);
}

static void a_sink_takes_as_little_as_it_likes(void **state)
{
	struct stage *s = *state;

	s->slice = 3;
	open_unix(s, -1);
	say(s, shapes[1].wire);
	for (int i = 0; i < 20; i++)
		turns(s);
	assert_string_equal(s->got, shapes[1].body);
	assert_in_range(s->calls, 8, 12);
	expect(s, "HTTP/1.1 201 ", "{\"n\":23}\n");
}

static void a_sink_that_pauses_gets_no_more(void **state)
{
	struct stage *s = *state;

	s->pauses = true;
	s->slice = 5;
	open_unix(s, 10);
	say(s, "01234");
	turns(s);
	say(s, "56789");
	assert_int_equal(s->calls, 1);
	pass(s, 60 * SECOND); /* we keep the client waiting, not it us */
	assert_int_equal(s->calls, 1);
	stream_resume(s->stream);
	assert_int_equal(s->calls, 1); /* never from within */
	turns(s);
	assert_int_equal(s->calls, 2);
	assert_int_equal(s->ended, 0);
	stream_resume(s->stream);
	turns(s);
	assert_string_equal(s->got, "0123456789");
	expect(s, "HTTP/1.1 201 ", "{\"n\":10}\n");
}

/* R36 */
static void a_100_is_said_to_who_waits_for_it(void **state)
{
	struct stage *s = *state;
	struct conn_taken t;
	int fd[2];

	pair_of_unix(fd);
	s->client = fd[1];
	t = a_body(fd[0], 2, "", 0);
	t.go_on = true;
	open_taken(s, t);
	assert_string_equal(hear(s), "HTTP/1.1 100 Continue\r\n\r\n");
	say(s, "ab");
	expect(s, "HTTP/1.1 201 ", "{\"n\":2}\n");
	hang_up(s);

	pair_of_unix(fd); /* but not to who will be refused */
	s->client = fd[1];
	t = a_body(fd[0], INT64_C(5) << 30, "", 0);
	t.go_on = true;
	open_taken(s, t);
	expect_error(s, "HTTP/1.1 413 Content Too Large\r\n", "upload-max-size");
	assert_int_equal(s->calls, 0);
}

/* R139 */
static void too_much_is_413_as_soon_as_that_is_known(void **state)
{
	struct stage *s = *state;

	s->limits.body = 10;
	limit(s);
	open_unix(s, 11);
	expect_error(s, "HTTP/1.1 413 Content Too Large\r\n", "upload-max-size");
	assert_int_equal(s->calls + s->ended, 0);
	hang_up(s);

	open_unix(s, -1);
	say(s, "4\r\n0123\r\n7\r\n");
	assert_int_equal(s->got_n, 4);
	expect_error(s, "HTTP/1.1 413 Content Too Large\r\n", "upload-max-size");
	hang_up(s);

	open_unix(s, -1); /* a byte too many, and the last chunk with it */
	say(s, "8\r\n01234567\r\n3\r\n89a\r\n0\r\n\r\n");
	expect_error(s, "HTTP/1.1 413 Content Too Large\r\n", "upload-max-size");
	hang_up(s);

	open_unix(s, 10);
	say(s, "0123456789");
	expect(s, "HTTP/1.1 201 ", "{\"n\":10}\n");
	hang_up(s);
	open_unix(s, -1);
	say(s, "a\r\n0123456789\r\n0\r\n\r\n");
	expect(s, "HTTP/1.1 201 ", "{\"n\":10}\n");
}

/* R137, T9 */
static void a_chunk_that_is_none_is_400(void **state)
{
	static const char *const bad[] = {"4\r\n0123\r\nx\r\n", "4\r\n01234", "4\n0123",
	    "0x4\r\n0123\r\n", "4 \r\n0123\r\n"};
	struct stage *s = *state;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		open_unix(s, -1);
		say(s, bad[i]);
		expect_error(s, "HTTP/1.1 400 Bad Request\r\n", "chunked");
		assert_int_equal(s->ended, 0);
		hang_up(s);
	}
}

/* R139, T10: a byte is progress, however long all of it takes. */
static void only_who_sends_nothing_is_late(void **state)
{
	struct stage *s = *state;

	open_unix(s, 100);
	for (int i = 0; i < 10; i++) {
		pass(s, 4 * SECOND);
		say(s, "x");
	}
	assert_int_equal(s->got_n, 10);
	assert_int_equal(s->closed, 0);
	pass(s, 4 * SECOND);
	assert_int_equal(s->closed, 0);
	pass(s, 2 * SECOND);
	expect_error(s, "HTTP/1.1 408 Request Timeout\r\n", "body-timeout");
	assert_int_equal(s->counters.value[M_CONN_TIMEOUT], 1);
	assert_int_equal(s->ended, 0);
}

/* T27 */
static void who_leaves_in_the_middle_is_forgotten(void **state)
{
	struct stage *s = *state;

	open_unix(s, 100);
	say(s, "some");
	hang_up(s);
	assert_int_equal(s->closed, 1);
	assert_int_equal(s->ended, 0);
	assert_int_equal(streams_count(s->all), 0);

	s->manner = WAITS; /* at the end, and he cannot be told */
	open_unix(s, 4);
	say(s, "some");
	hang_up(s);
	assert_int_equal(s->ended, 1);
	assert_int_equal(s->closed, 0);
	stream_answer(s->stream, 204, NULL, NULL, bytes_of(NULL, 0));
	turns(s);
	assert_int_equal(s->closed, 1);
	assert_int_equal(streams_count(s->all), 0);
	assert_int_equal(s->counters.value[M_CONN_CLOSED], 2);
}

static void an_answer_may_come_late(void **state)
{
	struct stage *s = *state;

	s->manner = WAITS;
	open_unix(s, 4);
	say(s, "some");
	shutdown(s->client, SHUT_WR); /* he has said all, and listens */
	pass(s, 3600 * SECOND);
	assert_int_equal(s->ended, 1);
	assert_int_equal(s->closed, 0);
	stream_answer(
	    s->stream, 200, "text/plain", "X-More: 1\r\n", bytes_of("late\n", 5));
	assert_int_equal(s->closed, 0); /* never from within */
	expect(s, "HTTP/1.1 200 OK\r\n", "late\n");
	turns(s);
	assert_int_equal(streams_count(s->all), 0);
}

/* Errors before the body's end. */

static void an_error_is_seen_by_who_is_still_sending(void **state)
{
	char more[16 * 1024];
	struct stage *s = *state;

	memset(more, 'm', sizeof more);
	s->manner = REFUSES;
	open_tcp(s, 100 * MIB);
	say(s, "bad line");
	for (int i = 0; i < 20; i++)
		say_n(s, more, sizeof more);
	assert_int_equal(s->calls, 1); /* it is dropped */
	expect_error(s, "HTTP/1.1 400 Bad Request\r\n", "line 1: no");
	assert_int_equal(streams_count(s->all), 1); /* lingering */
	for (int i = 0; i < 60 && streams_count(s->all) > 0; i++)
		say_n(s, more, sizeof more);
	assert_int_equal(streams_count(s->all), 0); /* a mebibyte is enough */
	hang_up(s);

	open_tcp(s, 100);
	say(s, "bad line");
	expect_error(s, "HTTP/1.1 400 Bad Request\r\n", "line 1: no");
	assert_int_equal(streams_count(s->all), 1);
	for (int i = 0; i < 8 && streams_count(s->all) > 0; i++)
		pass(s, SECOND); /* our FIN may not be acknowledged yet: that is owed */
	assert_int_equal(streams_count(s->all), 0); /* and so is linger-timeout */
	assert_int_equal(s->counters.value[M_CONN_TIMEOUT], 0);
}

/* Answers piece by piece. */

/* R118 */
static void an_answer_goes_piece_by_piece(void **state)
{
	struct stage *s = *state;
	struct conn_taken t;
	const char *text;
	int fd[2];

	s->manner = ECHOES;
	open_unix(s, 8);
	say(s, "one,");
	text = hear(s);
	starts(text, "HTTP/1.1 200 OK\r\n");
	has(text, "\r\nContent-Type: application/x-ndjson\r\n");
	has(text, "\r\nTransfer-Encoding: chunked\r\n");
	assert_null(strstr(text, "Content-Length"));
	ends(text, "\r\n\r\n000004\r\none,\r\n");
	say(s, "two.");
	assert_string_equal(hear(s), "000004\r\ntwo.\r\n0\r\n\r\nEOF");
	assert_int_equal(s->closed, 1);
	hang_up(s);

	pair_of_unix(fd);
	s->client = fd[1];
	t = a_body(fd[0], 8, "one,", 4);
	t.minor = 0;
	open_taken(s, t);
	text = hear(s);
	assert_null(strstr(text, "Transfer-Encoding"));
	assert_null(strstr(text, "Content-Length"));
	ends(text, "\r\n\r\none,");
	say(s, "two.");
	assert_string_equal(hear(s), "two.EOF");
}

static void lines_of_one_turn_are_one_chunk(void **state)
{
	struct stage *s = *state;
	const char *text;

	s->manner = WAITS;
	open_unix(s, 1);
	say(s, "x");
	stream_begin(s->stream, "text/plain");
	for (int i = 0; i < 300; i++)
		stream_write(s->stream, bytes_of("a line\n", 7));
	stream_write(s->stream, bytes_of(NULL, 0));
	stream_finish(s->stream);
	text = hear(s);
	has(text, "\r\n\r\n000834\r\na line\n"); /* 2100 */
	ends(text, "a line\n\r\n0\r\n\r\nEOF");
}

/* What has begun cannot become an error, but it can be seen not to be whole. */
static void an_answer_that_breaks_off_has_no_end(void **state)
{
	struct stage *s = *state;
	struct conn_taken t;
	const char *text;
	int fd[2];

	s->manner = MUMBLES;
	open_unix(s, -1);
	say(s, "2\r\nab\r\nnonsense\r\n");
	text = hear(s);
	starts(text, "HTTP/1.1 200 OK\r\n");
	ends(text, "\r\n\r\n000002\r\nab\r\nEOF");
	assert_int_equal(s->closed, 1);
	hang_up(s);

	pair_of_tcp(s, fd);
	s->client = fd[1];
	t = a_body(fd[0], 8, "ab", 2);
	t.minor = 0;
	open_taken(s, t);
	ends(hear(s), "\r\n\r\nab");
	stream_error(s->stream, 500, "internal", "no");
	assert_string_equal(hear(s), "RST");
	assert_int_equal(s->closed, 1);
	assert_int_equal(streams_count(s->all), 0);
}

/* Both ways at once. */

/* Write up to n bytes of a body of which `at` have gone; how many. */
static size_t write_some(struct stage *s, uint64_t at, uint64_t n)
{
	static char text[64 * 1024];
	ssize_t put;

	for (size_t i = 0; text[0] == 0 && i < sizeof text; i++)
		text[i] = (char)('a' + i % 23);
	n = n < sizeof text ? n : sizeof text;
	put = write(s->client, text + at % 23, n > 23 ? n - 23 : n);
	return put > 0 ? (size_t)put : 0;
}

static size_t read_some(struct stage *s)
{
	static char text[256 * 1024];
	ssize_t got = read(s->client, text, sizeof text);

	return got > 0 ? (size_t)got : 0;
}

/* Nothing moved: the kernel may have a timer of its own to wait for. */
static void nap(uint64_t moved)
{
	if (moved == 0)
		usleep(200);
}

#define PATIENCE 100000 /* naps: twenty seconds and more */

/* Write, and read nothing, until that goes no further; how much of n has gone. */
static uint64_t write_until_full(struct stage *s, uint64_t n)
{
	uint64_t put = 0, now;
	int idle = 0;

	for (int i = 0; i < PATIENCE && idle < 200; i++) {
		put += now = write_some(s, put, n - put);
		turns(s);
		nap(now);
		idle = now > 0 || s->got_n < STREAM_OUT_MAX ? 0 : idle + 1;
	}
	return put;
}

/* All that is still to come of an answer, to its end. */
static uint64_t read_rest(struct stage *s)
{
	uint64_t n = 0;

	for (int i = 0; i < PATIENCE && recv(s->client, &(char){0}, 1, MSG_PEEK) != 0;
	     i++) {
		size_t now = read_some(s);

		n += now;
		turns(s);
		nap(now);
	}
	return n;
}

#define LONG (64u * MIB)

/* T22: memory is flat; the client's pace is ours. */
static void a_long_exchange_is_flat(void **state)
{
	struct stage *s = *state;
	uint64_t put = 0, back = 0, now;
	size_t before = heap();

	s->manner = ECHOES;
	open_tcp(s, LONG);
	for (int i = 0; i < 3 * PATIENCE && s->closed == 0; i++) {
		if (put < LONG)
			put += write_some(s, put, LONG - put);
		event_base_loop(s->base, EVLOOP_NONBLOCK);
		now = read_some(s);
		back += now;
		nap(now);
	}
	assert_int_equal(s->closed, 1);
	assert_int_equal(s->got_n, LONG);
	back += read_rest(s);
	assert_true(back > LONG && back < LONG + LONG / 1000);
	assert_true(s->heap_max < before + MIB);
}

/* T22: nothing more is read of a client that does not read; when it does all goes on. */
static void who_does_not_read_is_not_read_from(void **state)
{
	struct stage *s = *state;
	uint64_t put, back;
	size_t before = heap();

	s->manner = ECHOES;
	s->kernel_room = 64 * 1024;
	open_tcp(s, LONG);
	put = write_until_full(s, LONG);
	/* what we hold, and what the kernel does */
	assert_in_range(s->got_n, STREAM_OUT_MAX, STREAM_OUT_MAX + MIB);
	assert_in_range(put, s->got_n, s->got_n + MIB);
	assert_true(s->heap_max < before + 9 * MIB); /* the buffer while it is moved */
	for (int i = 0; i < 3 * PATIENCE && s->closed == 0; i++) {
		back = read_some(s);
		put += write_some(s, put, LONG - put);
		event_base_loop(s->base, EVLOOP_NONBLOCK);
		nap(back);
	}
	assert_int_equal(s->got_n, LONG);
	assert_int_equal(s->ended, 1);
	assert_int_equal(s->counters.value[M_CONN_TIMEOUT], 0);
}

/* As http.client of Python does.  It takes its time, too. */
static void who_writes_all_before_he_reads_gets_through(void **state)
{
	const uint64_t most = 3 * MIB + MIB / 2;
	struct stage *s = *state;
	uint64_t put = 0, back;
	int passed = 0;

	s->manner = ECHOES;
	s->kernel_room = 64 * 1024;
	open_tcp(s, (int64_t)most);
	for (int i = 0; i < PATIENCE && put < most; i++) {
		uint64_t now = write_some(s, put, most - put);

		put += now;
		turns(s);
		nap(now);
		if (now > 0 && put >= 7 * MIB / 10 * (uint64_t)passed) {
			passed++;
			pass(s, 4 * SECOND);
		}
	}
	assert_int_equal(put, most);
	assert_int_equal(s->counters.value[M_CONN_TIMEOUT], 0);
	back = read_rest(s);
	assert_int_equal(s->ended, 1);
	assert_true(back > most);
}

/* T10, T22 */
static void who_takes_nothing_is_cut_off(void **state)
{
	struct stage *s = *state;
	int seconds = 0;

	s->manner = ECHOES;
	s->kernel_room = 16 * 1024;
	open_tcp(s, LONG);
	write_until_full(s, LONG);
	while (s->closed == 0 && seconds++ < 30)
		pass(s, SECOND);
	assert_in_range(seconds, 9, 14);
	assert_int_equal(s->counters.value[M_CONN_TIMEOUT], 1);
	while (read_some(s) > 0)
		;
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(streams_count(s->all), 0);
}

/* T22: 8 KiB a second is slow, and more than the least. */
static void who_takes_it_slowly_is_kept(void **state)
{
	struct stage *s = *state;
	uint64_t put = 0;

	s->manner = ECHOES;
	s->kernel_room = 16 * 1024;
	open_tcp(s, 200 * 1024);
	for (int i = 0; i < PATIENCE && s->ended == 0; i++) {
		uint64_t now = write_some(s, put, 200 * 1024 - put);

		put += now;
		turns(s);
		nap(now);
	}
	assert_int_equal(s->ended, 1); /* all is in, and waits to go out */
	for (int i = 0; i < 60 && streams_count(s->all) > 0; i++) {
		char some[8 * 1024];

		if (read(s->client, some, sizeof some) == 0)
			hang_up(s);
		pass(s, SECOND);
	}
	assert_int_equal(streams_count(s->all), 0);
	assert_int_equal(s->counters.value[M_CONN_TIMEOUT], 0);
}

/* Who reads what he got is not late with his next: an answer that the kernel still has is
 * progress as well. */
static void a_client_may_be_busy_reading(void **state)
{
	struct stage *s = *state;
	uint64_t put = 0;

	s->manner = ECHOES;
	s->kernel_room = 16 * 1024;
	open_tcp(s, 100 * 1024);
	for (int i = 0; i < PATIENCE && put < 64 * 1024; i++) {
		uint64_t now = write_some(s, put, 64 * 1024 - put);

		put += now;
		turns(s);
		nap(now);
	}
	for (int i = 0; i < 12; i++) { /* longer than body-timeout */
		char some[6 * 1024];

		assert_true(read(s->client, some, sizeof some) != 0);
		pass(s, SECOND);
	}
	assert_int_equal(s->closed, 0);
	while (read_some(s) > 0)
		turns(s);
	for (int i = 0; i < 10 && s->closed == 0; i++)
		pass(s, SECOND); /* now it is late */
	assert_int_equal(s->closed, 1);
	assert_int_equal(s->counters.value[M_CONN_TIMEOUT], 1);
}

/* How often do these octets, each more by one, stand in our memory? */
static int copies_of(const char *shifted, size_t n)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], rights[8];
	unsigned long from, to;
	int found = 0;

	while (fgets(line, sizeof line, maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 ||
		    strcmp(rights, "rw-p") != 0 || to - from > 64 * MIB)
			continue;
		for (const char *p = (const char *)from; p + n <= (const char *)to; p++) {
			size_t i = 0;

			while (i < n && p[i] == (char)(shifted[i] + 1))
				i++;
			found += i == n;
		}
	}
	fclose(maps);
	return found;
}

/* A key that somebody uploads with its certificate: "-----BEGIN PRIVATE". */
static void what_was_read_is_wiped(void **state)
{
	static const char shifted[] = ",,,,,ADFHM\x1fOQHU@SD";
	const size_t n = sizeof shifted - 1;
	struct stage *s = *state;
	char *key;
	int fd[2];

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip(); /* their memory is not to be walked through */
#endif
	s->blind = true;
	key = malloc(n);
	pair_of_unix(fd);
	s->client = fd[1];
	for (size_t i = 0; i < n; i++)
		key[i] = (char)(shifted[i] + 1);
	assert_int_equal(copies_of(shifted, n), 1);
	open_taken(s, a_body(fd[0], 3 * (int64_t)n, key, n));
	say_n(s, key, n);
	assert_int_equal(copies_of(shifted, n), 1);
	s->pauses = true;
	say_n(s, key, n);
	explicit_bzero(key, n);
	turns(s);
	assert_int_equal(copies_of(shifted, n), 0);
	assert_int_equal(s->got_n, 3 * n);
	free(key);
}

/* Places, and the end of all. */

static void places_are_counted_to_the_end_of_the_socket(void **state)
{
	struct stage *s = *state;
	int first;

	open_unix(s, 4);
	first = s->client;
	assert_true(streams_reserve(s->all));
	assert_false(streams_reserve(s->all));
	streams_release(s->all);
	say(s, "some");
	assert_int_equal(s->closed, 1);
	open_unix(s, 4); /* the first one lingers */
	assert_false(streams_reserve(s->all));
	close(first);
	turns(s);
	assert_true(streams_reserve(s->all));
	streams_release(s->all);
	s->limits.places = 1;
	limit(s);
	assert_false(streams_reserve(s->all));
	s->limits.places = 3;
	limit(s);
	assert_true(streams_reserve(s->all));
	streams_release(s->all);
}

static void a_drain_ends_bodies_and_answers_the_others(void **state)
{
	struct stage *s = *state;
	struct stage *other = calloc(1, sizeof *other);

	s->manner = WAITS;
	open_unix(s, 4);
	say(s, "some");
	memcpy(other, s, sizeof *other);
	open_unix(other, 8);
	say(other, "some");
	streams_drain(s->all);
	expect_error(other, "HTTP/1.1 503 Service Unavailable\r\n", "stopping");
	assert_int_equal(s->closed, 0);
	stream_answer(s->stream, 200, "text/plain", NULL, bytes_of("done\n", 5));
	expect(s, "HTTP/1.1 200 OK\r\n", "done\n");
	assert_false(streams_reserve(s->all));
	limit(s); /* a reload opens no door */
	assert_false(streams_reserve(s->all));
	hang_up(other);
	hang_up(s);
	assert_int_equal(streams_count(s->all), 0);
	free(other);
}

/* Its place was reserved before, and it came after. */
static void who_comes_into_a_drain_gets_503(void **state)
{
	struct stage *s = *state;
	struct conn_taken t;
	int fd[2];

	pair_of_unix(fd);
	s->client = fd[1];
	t = a_body(fd[0], 4, "some", 4);
	assert_true(streams_reserve(s->all));
	streams_drain(s->all);
	s->stream = stream_open(s->all, &t, &sink, s);
	expect_error(s, "HTTP/1.1 503 Service Unavailable\r\n", "stopping");
	assert_int_equal(s->calls + s->ended, 0);
}

static void what_is_said_after_the_end_is_lost(void **state)
{
	struct stage *s = *state;

	s->manner = WAITS;
	open_unix(s, 8);
	say(s, "some");
	streams_drain(s->all);
	stream_answer(s->stream, 200, "text/plain", NULL, bytes_of("done\n", 5));
	stream_error(s->stream, 400, "bad_request", "no");
	expect_error(s, "HTTP/1.1 503 Service Unavailable\r\n", "stopping");
	hang_up(s);
}

static void limits_are_those_of_the_configuration(void **state)
{
	struct conf c = {.body_timeout_ms = 1,
	    .write_timeout_ms = 2,
	    .linger_timeout_ms = 3,
	    .linger_size = 4,
	    .upload_max_size = INT64_C(5) << 32,
	    .max_uploads = 6};
	struct stream_limits m = stream_limits_of(&c);

	(void)state;
	assert_true(m.body_ms == 1 && m.write_ms == 2 && m.linger_ms == 3);
	assert_true(m.linger_bytes == 4 && m.places == 6);
	assert_true(m.body == UINT64_C(5) << 32);
}

static void a_stop_waits_for_nobody(void **state)
{
	struct stage *s = *state;

	s->manner = WAITS;
	open_unix(s, 4);
	say(s, "some");
	streams_free(s->all);
	assert_int_equal(s->closed, 1);
	assert_string_equal(hear(s), "EOF");
	s->all = streams_new(s->base, &s->limits, &s->counters);
}

/* From one thread to another, as the API does it. */

struct house {
	struct event_base *base; /* of the other thread */
	struct inbox *inbox;
	struct streams *all;
	struct counters counters;
	struct stage stage; /* the sink's */
	pthread_t thread;
};

struct handing {
	struct msg msg;
	struct conn_taken taken;
};

static void on_handed(void *arg, struct msg *m)
{
	struct house *h = arg;
	struct handing *handing = (struct handing *)m;

	h->stage.stream = stream_open(h->all, &handing->taken, &sink, &h->stage);
	assert_non_null(h->stage.stream);
	free(handing);
}

static void on_quit(void *arg, struct msg *m)
{
	struct house *h = arg;

	(void)m;
	streams_drain(h->all);
	streams_free(h->all);
	event_base_loopbreak(h->base);
}

static void *run_house(void *arg)
{
	struct house *h = arg;

	event_base_loop(h->base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static int on_house_head(
    void *arg, struct conn *c, const struct http1_request *r, struct bytes body)
{
	struct house *h = arg;
	struct handing *handing = calloc(1, sizeof *handing);

	assert_true(streams_reserve(h->all));
	assert_true(conn_take(c, r, body, &handing->taken));
	handing->msg.run = on_handed;
	inbox_post(h->inbox, &handing->msg);
	return CONN_ANSWERED;
}

static void on_house_request(
    void *arg, struct conn *c, const struct http1_request *r, struct bytes body)
{
	on_house_head(arg, c, r, body);
}

static const struct conn_handler house_handler = {
    .request = on_house_request, .head = on_house_head};

/* Write all, then read the answer. */
static void exchange(int fd, size_t chunks, char answer[4096])
{
	static char chunk[64 * 1024 + 9] = "10000\r\n";
	size_t n = 0;
	ssize_t got;

	memset(chunk + 7, 'c', 64 * 1024);
	memcpy(chunk + 7 + 64 * 1024, "\r\n", 2);
	fcntl(fd, F_SETFL, 0);
	while (chunks-- > 0)
		assert_int_equal(write(fd, chunk, sizeof chunk), sizeof chunk);
	assert_int_equal(write(fd, "0\r\n\r\n", 5), 5);
	while ((got = read(fd, answer + n, 4095 - n)) > 0)
		n += (size_t)got;
	answer[n] = '\0';
	close(fd);
}

static void house_up(struct house *h, const struct stream_limits *limits)
{
	h->base = event_base_new();
	h->inbox = inbox_new(h->base, h);
	h->all = streams_new(h->base, limits, &h->counters);
	assert_int_equal(thread_start(&h->thread, "inventory", run_house, h), 0);
}

static void a_body_goes_to_another_thread(void **state)
{
	static const char heads[][200] = {"PUT /v1/watchlists/a HTTP/1.1\r\nHost: "
					  "a\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "PUT /v1/watchlists/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
	    "chunked\r\n\r\n"
	    "3\r\nabc\r\n"};
	static struct house h; /* it is large */
	struct stage *s = *state;
	struct conn_limits limits = {.head = 8192, .target = 4096, .body = 512};
	struct counters *counters = calloc(1, sizeof *counters);
	struct conn_loop *loop;
	struct msg quit = {.run = on_quit};
	char answer[4096];
	int fd[2];

	memset(&h, 0, sizeof h);
	house_up(&h, &s->limits);
	loop = conn_loop_new(s->base, &limits, &house_handler, &h, counters);
	for (size_t i = 0; i < 2; i++) {
		pair_of_tcp(s, fd);
		assert_non_null(conn_new(loop, fd[0], NULL, NULL));
		assert_true(write(fd[1], heads[i], strlen(heads[i])) > 0);
		while (conn_loop_count(loop) > 0)
			event_base_loop(s->base, EVLOOP_ONCE);
		exchange(fd[1], 128, answer);
		starts(answer, "HTTP/1.1 201 Created\r\n");
		ends(answer, i == 0 ? "{\"n\":8388608}\n" : "{\"n\":8388611}\n");
		while (!streams_reserve(h.all)) /* the one before is over */
			usleep(100);
		streams_release(h.all);
		while (atomic_load(&h.counters.value[M_CONN_CLOSED]) <= i)
			usleep(100);
		memset(&h.stage, 0, sizeof h.stage);
	}
	inbox_post(h.inbox, &quit);
	pthread_join(h.thread, NULL);
	inbox_free(h.inbox);
	event_base_free(h.base);
	conn_loop_free(loop);
	free(counters);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_body_is_read_wherever_it_is_cut),
	    CASE(a_sink_takes_as_little_as_it_likes),
	    CASE(a_sink_that_pauses_gets_no_more),
	    CASE(a_100_is_said_to_who_waits_for_it),
	    CASE(too_much_is_413_as_soon_as_that_is_known),
	    CASE(a_chunk_that_is_none_is_400),
	    CASE(only_who_sends_nothing_is_late),
	    CASE(who_leaves_in_the_middle_is_forgotten),
	    CASE(an_answer_may_come_late),
	    CASE(an_error_is_seen_by_who_is_still_sending),
	    CASE(an_answer_goes_piece_by_piece),
	    CASE(lines_of_one_turn_are_one_chunk),
	    CASE(an_answer_that_breaks_off_has_no_end),
	    CASE(a_long_exchange_is_flat),
	    CASE(who_does_not_read_is_not_read_from),
	    CASE(who_writes_all_before_he_reads_gets_through),
	    CASE(who_takes_nothing_is_cut_off),
	    CASE(who_takes_it_slowly_is_kept),
	    CASE(a_client_may_be_busy_reading),
	    CASE(what_was_read_is_wiped),
	    CASE(places_are_counted_to_the_end_of_the_socket),
	    CASE(a_drain_ends_bodies_and_answers_the_others),
	    CASE(who_comes_into_a_drain_gets_503),
	    CASE(what_is_said_after_the_end_is_lost),
	    CASE(limits_are_those_of_the_configuration),
	    CASE(a_stop_waits_for_nobody),
	    CASE(a_body_goes_to_another_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
