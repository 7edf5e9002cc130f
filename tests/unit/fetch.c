#include "proxy/http/fetch.h"

#include <dlfcn.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/http/fetch_words.h"
#include "tests/lib/unhex.h"

/* A name server that hangs: libcurl's resolver threads come here. */

/* The octets that fetches have read so far. */
static _Thread_local bool is_server;
static _Atomic size_t fetched;

ssize_t recv(int fd, void *p, size_t n, int flags)
{
	ssize_t (*real)(int, void *, size_t, int);
	ssize_t got;

	*(void **)&real = dlsym(RTLD_NEXT, "recv");
	got = real(fd, p, n, flags);
	if (!is_server && got > 0)
		fetched += (size_t)got;
	return got;
}

static _Atomic int hanging; /* threads, to their very end */
static _Atomic bool let_go; /* so long they hang */
static pthread_key_t hangs;

static void on_end_of_hanging(void *value)
{
	(void)value;
	hanging--;
}

/* One that is at another address each time that it is looked up but for the first. */
static _Atomic int moved;

/* Names of learnt URLs, with the addresses of each, in order. */
static const struct {
	const char *name, *address[2];
} names[] = {
    {"both.test", {"::1", "127.0.0.1"}}, {"cloud.test", {"169.254.169.254", NULL}},
    {"nowhere.test", {NULL, NULL}}, /* only a proxy knows it */
};

typedef int resolve_fn(
    const char *, const char *, const struct addrinfo *, struct addrinfo **);

static int resolve_each(resolve_fn *real, const char *const address[2],
    const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	*res = NULL;
	for (int i = 0; i < 2 && address[i] != NULL; i++) {
		while (*res != NULL)
			res = &(*res)->ai_next;
		if (real(address[i], service, hints, res) != 0)
			return EAI_NONAME;
	}
	return 0;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
    struct addrinfo **res)
{
	resolve_fn *real;

	if (node != NULL && strcmp(node, "hang.test") == 0) {
		hanging++;
		pthread_setspecific(hangs, &hanging);
		while (!let_go)
			usleep(1000);
		return EAI_AGAIN;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (node != NULL && strcmp(node, "moves.test") == 0)
		node = moved++ == 0 ? "127.0.0.1" : "127.0.0.2";
	for (size_t i = 0; node != NULL && i < sizeof names / sizeof *names; i++)
		if (strcmp(node, names[i].name) == 0)
			return names[i].address[0] == NULL
				   ? EAI_NONAME
				   : resolve_each(
					 real, names[i].address, service, hints, res);
	return real(node, service, hints, res);
}

/* A server whose manners depend on the path. */

#define CLIENTS_MAX 128

struct server {
	int fd, port;
	pthread_t thread;
	struct {
		int fd;
		pthread_t thread;
	} client[CLIENTS_MAX];
	_Atomic int clients;
	SSL_CTX *tls;
};

static void say(int fd, const char *s)
{
	(void)!send(fd, s, strlen(s), MSG_NOSIGNAL);
}

static void say_body(int fd, const char *head, const char *body, size_t n)
{
	char text[500];

	snprintf(
	    text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", head, n);
	say(fd, text);
	(void)!send(fd, body, n, MSG_NOSIGNAL);
}

/* Once the client has read it, or closed. */
static void say_and_wait(int fd, const char *s)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};
	size_t before = fetched;

	say(fd, s);
	while (fetched < before + strlen(s) && poll(&p, 1, 1) == 0)
		;
}

static void hold(int fd)
{
	char c;

	while (recv(fd, &c, 1, 0) > 0)
		;
}

static void reset(int fd)
{
	struct linger l = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
}

static void say_for_ever(int fd, const char *s)
{
	while (send(fd, s, strlen(s), MSG_NOSIGNAL) > 0)
		;
}

/* What nobody asked for: bodies that are coded, made with Python's gzip and zlib. */
#define HELLO_GZIP "1f8b0800000000000203cb48cdc9c9070086a6103605000000"
#define ZEROS_GZIP /* 20,000 of them */                                                  \
	"1f8b0800000000000203edc13101000000c2a0f54f6d0d0fa00000000000"                   \
	"0000000000000000000000000000783002532f97204e0000"
#define GZIP "Content-Encoding: gzip"

static const struct coded {
	const char *path, *head, *body; /* body in hexadecimal */
	enum err error;
	const char *decoded;
} coded[] = {
    {"/gzip", GZIP, HELLO_GZIP, ERR_OK, "hello"},
    {"/x-gzip", "content-encoding:  X-GZip ", HELLO_GZIP, ERR_OK, "hello"},
    {"/zlib", "Content-Encoding: deflate", "78dacb48cdc9c90700062c0215", ERR_OK, "hello"},
    {"/deflate", "Content-Encoding: deflate", "cb48cdc9c90700", ERR_OK, "hello"},
    {"/identity", "Content-Encoding: identity", "68656c6c6f", ERR_OK, "hello"},
    {"/none", "Content-Encoding:", "68656c6c6f", ERR_OK, "hello"},
    /* the head said how much comes, and it came: what is missing only DER tells */
    {"/gzip-cut", GZIP, "1f8b0800000000000203cb48", ERR_OK, "h"},
    {"/gzip-tail", GZIP, HELLO_GZIP "0000", ERR_UP_HTTP, NULL},
    {"/gzip-members", GZIP, HELLO_GZIP HELLO_GZIP, ERR_UP_HTTP, NULL},
    {"/no-gzip", GZIP, "68656c6c6f", ERR_UP_HTTP, ""},
    {"/bomb", GZIP, ZEROS_GZIP, ERR_UP_SIZE, NULL},
    {"/twice", "Content-Encoding: gzip, gzip",
	"1f8b080000000000020393efe660000126e6d31e674f9e6467685b2660c6"
	"0a140000a76fb44519000000",
	ERR_UP_HTTP, ""},
    {"/two-lines", GZIP "\r\n" GZIP, HELLO_GZIP, ERR_UP_HTTP, ""},
    {"/br", "Content-Encoding: br", "68656c6c6f", ERR_UP_HTTP, ""},
    {"/te", "Transfer-Encoding: gzip, chunked", "68656c6c6f", ERR_UP_HTTP, ""},
    {"/te-two", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
	"350d0a68656c6c6f0d0a300d0a0d0a", ERR_UP_HTTP, ""},
};
#define CODED_N (sizeof coded / sizeof coded[0])

static void say_coded(int fd, const struct coded *c)
{
	uint8_t body[300];
	char head[200];

	snprintf(head, sizeof head, "200 OK\r\n%s", c->head);
	say_body(fd, head, (const char *)body, unhex(c->body, body, sizeof body));
}

/* Answers one request; false: close. */
static bool answer(int fd, const char *request, size_t n)
{
#define IS(path) (strstr(request, " " path " ") != NULL)
	if (IS("/ok")) {
		say_body(
		    fd, "200 OK\r\nContent-Type: application/ocsp-response", "hello", 5);
		return true;
	}
	if (IS("/echo") || strstr(request, ".test/echo ") != NULL ||
	    IS("http://93.184.216.34/echo")) {
		say_body(fd, "200 OK", request, n);
		return true;
	}
	if (IS("nowhere.test:443")) {
		say_body(
		    fd, "403 Forbidden\r\nContent-Encoding: br\r\nETag: mine", "no", 2);
		return false;
	}
	if (IS("/500")) {
		say_body(fd, "500 Oops\r\nContent-Type: text/html", "<html>", 6);
		return true;
	}
	if (IS("/304")) {
		say(fd, "HTTP/1.1 304 Not Modified\r\n\r\n");
		return true;
	}
	if (IS("/redirect")) {
		say_body(fd, "302 Found\r\nLocation: /ok", "", 0);
		return true;
	}
	for (size_t i = 0; i < CODED_N; i++) {
		char target[100];

		snprintf(target, sizeof target, " %s ", coded[i].path);
		if (strstr(request, target) != NULL) {
			say_coded(fd, &coded[i]);
			return true;
		}
	}
	if (IS("/chunked")) {
		say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
			"chunked\r\n\r\n5\r\nhello\r\n");
		say(fd, "6\r\n world\r\n0\r\n\r\n");
		return true;
	}
	if (IS("/trailers")) {
		say(fd, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n"
			"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n");
		say(fd, "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n");
		return true;
	}
	if (IS("/zero")) {
		say_body(fd, "200 OK", "", 0);
		return true;
	}
	if (IS("/list")) {
		if (strstr(request, "If-None-Match: W/\"v 1\"\r\n") != NULL)
			say(fd, "HTTP/1.1 304 Not Modified\r\nETag: W/\"v 1\"\r\n\r\n");
		else
			say_body(fd,
			    "200 OK\r\neTag: W/\"v 1\"\r\n"
			    "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
			    "Date: Sun, 06 Nov 1994 08:49:39 GMT",
			    "hello", 5);
		return true;
	}
	if (IS("/until-close"))
		say(fd, "HTTP/1.1 200 OK\r\n\r\nall of it");
	if (IS("/hang"))
		hold(fd);
	if (IS("/hang-in-body")) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
		hold(fd);
	}
	if (IS("/truncated"))
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
	if (IS("/truncated-chunk"))
		say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc");
	if (IS("/truncated-head"))
		say(fd, "HTTP/1.1 200 OK\r\nContent-Le");
	if (IS("/reset-in-body")) {
		say_and_wait(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
		reset(fd);
	}
	if (IS("/reset"))
		reset(fd);
	if (IS("/large")) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n");
		hold(fd);
	}
	if (IS("/large-chunked")) {
		say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
		say_for_ever(fd, "3\r\nabc\r\n");
	}
	if (IS("/large-head")) {
		say(fd, "HTTP/1.1 200 OK\r\n");
		say_for_ever(fd, "X-More: and more and more and more\r\n");
	}
	if (IS("/continue-for-ever"))
		say_for_ever(fd, "HTTP/1.1 100 Continue\r\n\r\n");
	if (IS("/garbage"))
		say(fd, "SSH-2.0-OpenSSH_9.2\r\n");
	return false; /* "/close" too */
}

static size_t content_length(const char *head)
{
	const char *p = strcasestr(head, "\r\nContent-Length:");

	return p == NULL ? 0 : strtoul(p + 17, NULL, 10);
}

/* One client: requests one after the other. */
static void *serve(void *arg)
{
	int fd = *(int *)arg;
	char request[8192];
	size_t n = 0;

	is_server = true;
	for (;;) {
		ssize_t got = recv(fd, request + n, sizeof request - 1 - n, 0);
		const char *end;

		if (got <= 0)
			break;
		n += (size_t)got;
		request[n] = '\0';
		end = strstr(request, "\r\n\r\n");
		if (end == NULL ||
		    n < (size_t)(end + 4 - request) + content_length(request))
			continue;
		if (!answer(fd, request, n))
			break;
		n = 0;
	}
	close(fd);
	return NULL;
}

static void *serve_tls(void *arg)
{
	struct server *s = arg;
	int fd = accept(s->fd, NULL, NULL);
	SSL *tls = SSL_new(s->tls);

	SSL_set_fd(tls, fd);
	assert_int_equal(SSL_accept(tls) == 1, 0); /* the client must refuse */
	SSL_free(tls);
	close(fd);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct server *s = arg;

	for (;;) {
		int fd = accept(s->fd, NULL, NULL);

		if (fd < 0 || s->clients == CLIENTS_MAX)
			return NULL;
		s->client[s->clients].fd = fd;
		pthread_create(&s->client[s->clients].thread, NULL, serve,
		    &s->client[s->clients].fd);
		s->clients++;
	}
}

static void listen_any(struct server *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t n = sizeof a;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (const struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(s->fd, 64), 0);
	getsockname(s->fd, (struct sockaddr *)&a, &n);
	s->port = ntohs(a.sin_port);
}

static void server_start(struct server *s)
{
	memset(s, 0, sizeof *s);
	listen_any(s);
	assert_int_equal(pthread_create(&s->thread, NULL, accept_all, s), 0);
}

static void server_stop(struct server *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
	for (int i = 0; i < s->clients; i++)
		pthread_join(s->client[i].thread, NULL);
}

/* The client's side. */

static struct event_base *base;
static struct fetcher *fetcher;
static struct server server;

struct outcome {
	bool done, reached;
	enum err error;
	int status;
	char type[100], detail[300];
	char etag[100], last_modified[100], date[100];
	char body[4096];
	size_t n;
	uint64_t body_n;
	int64_t us;
	struct outcome *cancels; /* cancel this one from done */
	struct fetch *fetch;
	const char *then; /* fetch this one from done */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void get(const char *path, struct outcome *o);

static void on_done(void *arg, const struct fetch_result *r)
{
	struct outcome *o = arg;

	assert_false(o->done);
	o->done = true;
	o->error = r->error;
	o->status = r->status;
	o->reached = r->reached;
	snprintf(o->type, sizeof o->type, "%s", r->content_type);
	snprintf(o->detail, sizeof o->detail, "%s", r->detail);
	snprintf(o->etag, sizeof o->etag, "%s", r->etag);
	snprintf(o->last_modified, sizeof o->last_modified, "%s", r->last_modified);
	snprintf(o->date, sizeof o->date, "%s", r->date);
	o->body_n = r->body_n;
	assert_true(r->body.n < sizeof o->body);
	if (r->body.n > 0)
		memcpy(o->body, r->body.p, r->body.n);
	o->body[r->body.n] = '\0';
	o->n = r->body.n;
	o->us = r->us;
	if (o->cancels != NULL && !o->cancels->done) {
		fetch_cancel(o->cancels->fetch);
		o->cancels->fetch = NULL;
	}
	if (o->then != NULL) {
		const char *path = o->then;

		memset(o, 0, sizeof *o);
		get(path, o);
	}
}

static void start(const char *url, struct bytes body, int timeout_ms, struct outcome *o)
{
	struct fetch_request r = {.url = url,
	    .content_type = "application/ocsp-request",
	    .accept = "application/ocsp-response",
	    .body = body,
	    .timeout_ms = timeout_ms,
	    .max_size = 1000};

	o->fetch = fetch_start(fetcher, &r, on_done, o);
	assert_non_null(o->fetch);
	assert_false(o->done);
}

static void url_of(const char *path, char url[100])
{
	snprintf(url, 100, "http://127.0.0.1:%d%s", server.port, path);
}

static void get(const char *path, struct outcome *o)
{
	char url[100];

	url_of(path, url);
	start(url, bytes_of(NULL, 0), 5000, o);
}

static void wait_for(const struct outcome *o)
{
	while (!o->done)
		event_base_loop(base, EVLOOP_ONCE);
}

static void fetch(const char *path, struct outcome *o)
{
	memset(o, 0, sizeof *o);
	get(path, o);
	wait_for(o);
}

/* A fetch whose body goes to fd. */
static void fetch_to(int fd, const char *path, struct outcome *o)
{
	char url[100];
	struct fetch_request r = {.url = url,
	    .timeout_ms = 5000,
	    .max_size = 1000,
	    .sink = true,
	    .sink_fd = fd};

	url_of(path, url);
	memset(o, 0, sizeof *o);
	o->fetch = fetch_start(fetcher, &r, on_done, o);
	assert_non_null(o->fetch);
	wait_for(o);
}

static int begin(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pthread_key_create(&hangs, on_end_of_hanging), 0);
	setenv("http_proxy", "http://127.0.0.1:1/", 1); /* must be ignored */
	base = event_base_new();
	fetcher = fetcher_new(base, "ocspcached/test");
	server_start(&server);
	return fetcher == NULL;
}

static int end(void **state)
{
	(void)state;
	fetcher_free(fetcher);
	event_base_free(base);
	server_stop(&server);
	return 0;
}

static void a_whole_answer_comes_with_status_type_and_duration(void **state)
{
	struct outcome o;

	(void)state;
	fetch("/ok", &o);
	assert_int_equal(o.error, ERR_OK);
	assert_int_equal(o.status, 200);
	assert_string_equal(o.type, "application/ocsp-response");
	assert_string_equal(o.body, "hello");
	assert_string_equal(o.detail, "");
	assert_in_range(o.us, 1, 5000000);
	fetch("/chunked", &o);
	assert_string_equal(o.body, "hello world");
	fetch("/until-close", &o);
	assert_int_equal(o.error, ERR_OK);
	assert_string_equal(o.body, "all of it");
	assert_string_equal(o.type, "");
	fetch("/zero", &o);
	assert_int_equal(o.error, ERR_OK);
	assert_int_equal(o.n, 0);
}

static int lines_of(const char *text)
{
	int n = 0;

	for (const char *p = text; (p = strstr(p, "\r\n")) != NULL; p += 2)
		n++;
	return n;
}

/* R136: the question is our own.  No header of a client is among these, nor Via. */
static void a_get_and_a_post_say_what_they_should_and_no_more(void **state)
{
	struct outcome o;
	char url[100];

	(void)state;
	fetch("/echo", &o);
	assert_int_equal(lines_of(o.body), 6); /* the request, four headers, the end */
	assert_non_null(strstr(o.body, "\r\nHost: 127.0.0.1"));
	assert_int_equal(strncmp(o.body, "GET /echo HTTP/1.1\r\n", 20), 0);
	assert_non_null(strstr(o.body, "\r\nUser-Agent: ocspcached/test\r\n"));
	assert_non_null(strstr(o.body, "\r\nAccept: application/ocsp-response\r\n"));
	assert_null(strcasestr(o.body, "Content-Type"));
	assert_non_null(strstr(o.body, "\r\nAccept-Encoding: identity\r\n"));

	/* a body with NUL bytes; libcurl must not ask for 100-continue */
	static const uint8_t body[700] = {0x30, 0x00, 0xff};
	memset(&o, 0, sizeof o);
	url_of("/echo", url);
	start(url, bytes_of(body, 700), 5000, &o);
	wait_for(&o);
	assert_int_equal(o.error, ERR_OK);
	assert_int_equal(strncmp(o.body, "POST /echo HTTP/1.1\r\n", 21), 0);
	assert_non_null(strstr(o.body, "\r\nContent-Type: application/ocsp-request\r\n"));
	assert_non_null(strstr(o.body, "\r\nContent-Length: 700\r\n"));
	assert_null(strcasestr(o.body, "Expect"));
	assert_memory_equal(o.body + o.n - 700, body, 700);
}

/* T7 */
static void other_statuses_are_told_and_redirects_not_followed(void **state)
{
	struct outcome o;

	(void)state;
	fetch("/500", &o);
	assert_int_equal(o.error, ERR_OK);
	assert_true(o.reached);
	assert_int_equal(o.status, 500);
	assert_string_equal(o.body, "<html>");
	assert_string_equal(
	    o.detail, "HTTP status 500; the fault is there: tell whoever runs it");
	fetch("/redirect", &o);
	assert_int_equal(o.error, ERR_OK);
	assert_int_equal(o.status, 302);
	assert_string_equal(o.body, "");
	assert_string_equal(o.detail,
	    "HTTP status 302, which leads to /ok; redirects are "
	    "not followed: if that is right, write that URL");
	fetch("/304", &o); /* without having been asked whether */
	assert_string_equal(o.detail, "HTTP status 304");
}

/* Whoever has the line has what to try, whatever came. */
static void a_failure_has_its_remedy(void **state)
{
	static const struct {
		int status;
		const char *remedy;
	} rows[] = {{401, "let this machine in"}, {403, "let this machine in"},
	    {404, "compare the URL"}, {410, "compare the URL"}, {429, "crl-interval"},
	    {500, "tell whoever runs it"}, {503, "tell whoever runs it"}, {204, NULL}};
	char words[FETCH_WORDS_MAX];
	struct outcome o = {0};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct fetch_end e = {.status = rows[i].status,
		    .location = "",
		    .cause = "",
		    .remedy = "",
		    .proxy = ""};

		fetch_words(words, &e);
		if (rows[i].remedy == NULL)
			assert_string_equal(words, "HTTP status 204");
		else
			assert_non_null(strstr(words, rows[i].remedy));
	}
	start("http://127.0.0.1:1/", bytes_of("", 0), 5000, &o); /* tcpmux: nobody */
	wait_for(&o);
	assert_int_equal(o.error, ERR_UP_CONNECT);
	assert_non_null(strstr(o.detail, "; see that it runs, and that no firewall"));
}

/* RFC 9110 section 12.5.3: without Accept-Encoding any coding may come; with identity
 * alone none should, and some servers and CDNs code all the same. */
static void a_coded_body_is_decoded_once_and_its_size_counts(void **state)
{
	struct outcome o;

	(void)state;
	fetch("/echo", &o);
	assert_non_null(strstr(o.body, "\r\nAccept-Encoding: identity\r\n"));
	for (size_t i = 0; i < CODED_N; i++) {
		fetch(coded[i].path, &o);
		if (o.error != coded[i].error)
			fail_msg(
			    "%s: %s, %s", coded[i].path, err_label(o.error), o.detail);
		if (coded[i].decoded != NULL && strcmp(o.body, coded[i].decoded) != 0)
			fail_msg("%s: \"%s\"", coded[i].path, o.body);
		assert_int_equal(o.detail[0] == '\0', o.error == ERR_OK);
		assert_true(o.n <= 1000 && o.body_n == o.n);
	}
	fetch("/br", &o);
	assert_string_equal(o.detail,
	    "Content-Encoding: br, which nobody asked for; let the server send identity");
	fetch("/ok", &o); /* nothing is left of it in the handle */
	assert_int_equal(o.error, ERR_OK);
}

/* What a server says is printed: in logs, JSON and terminals (T25). */
static void what_is_quoted_is_printable_and_bounded(void **state)
{
	static const struct {
		const char *url, *quoted;
	} urls[] = {{"http://a.example/x?y#z", "http://a.example/x?y#z"},
	    {"/here@there", "/here@there"},
	    {"http://user:pw@a.example/b@c", "http://***@a.example/b@c"},
	    {"//user@a.example/", "//***@a.example/"},
	    {"http://a.example/b@c", "http://a.example/b@c"},
	    {"http://a/\x1b[31m\xff \"", "http://a/%1B[31m%FF%20%22"}, {"", ""}};
	char out[FETCH_QUOTE_MAX], long_one[3000];

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		fetch_quote_url(out, urls[i].url);
		assert_string_equal(out, urls[i].quoted);
	}
	memset(long_one, '\x01', sizeof long_one - 1);
	long_one[sizeof long_one - 1] = '\0';
	for (size_t n = 0; n < sizeof long_one; n++) {
		fetch_quote(out, long_one, n);
		assert_true(strlen(out) < sizeof out);
	}
	assert_string_equal(out + strlen(out) - 6, "%01...");
	memcpy(long_one, "http://u:p@", 11);
	fetch_quote_url(out, long_one);
	assert_memory_equal(out, "http://***@%01", 14);
}

static void what_ends_early_is_truncated(void **state)
{
	static const char *const path[] = {"/truncated", "/truncated-chunk",
	    "/truncated-head", "/reset-in-body", "/close"};
	struct outcome o;

	(void)state;
	for (int i = 0; i < 5; i++) {
		fetch(path[i], &o);
		if (o.error != ERR_UP_TRUNCATED || !o.reached)
			fail_msg("%s: %s, %s", path[i], err_label(o.error), o.detail);
		assert_string_not_equal(o.detail, "");
	}
	fetch("/reset", &o);
	assert_int_equal(o.error, ERR_UP_CONNECT);
	assert_true(o.reached);
}

static void what_is_too_large_is_cut_off(void **state)
{
	static const char *const path[] = {
	    "/large", "/large-chunked", "/large-head", "/continue-for-ever"};
	struct outcome o;

	(void)state;
	for (int i = 0; i < 4; i++) {
		fetch(path[i], &o);
		if (o.error != ERR_UP_SIZE)
			fail_msg("%s: %s, %s", path[i], err_label(o.error), o.detail);
	}
	fetch("/large", &o);
	assert_int_equal(o.status, 200);
	fetch("/large-head", &o); /* nobody knows how it goes on */
	assert_int_equal(o.status, 0);
}

/* RFC 9112 section 7.1.2. */
static void trailers_do_not_make_an_answer_incomplete(void **state)
{
	struct outcome o;

	(void)state;
	fetch("/trailers", &o);
	assert_int_equal(o.error, ERR_OK);
	assert_int_equal(o.status, 200);
	assert_string_equal(o.body, "hello");
}

static void what_is_no_http_is_an_http_error(void **state)
{
	struct outcome o;

	(void)state;
	fetch("/garbage", &o);
	assert_int_equal(o.error, ERR_UP_HTTP);
	assert_string_not_equal(o.detail, "");
}

static void the_deadline_is_for_the_whole_fetch(void **state)
{
	static const char *const path[] = {"/hang", "/hang-in-body"};
	struct outcome o;
	char url[100];

	(void)state;
	for (int i = 0; i < 2; i++) {
		int64_t before = now_ms();

		memset(&o, 0, sizeof o);
		url_of(path[i], url);
		start(url, bytes_of(NULL, 0), 150, &o);
		wait_for(&o);
		assert_int_equal(o.error, ERR_UP_TIMEOUT);
		assert_true(o.reached);
		assert_true(now_ms() - before >= 140);
	}
}

/* It takes the connection and says nothing to TLS: nobody has taken a request. */
static void a_handshake_that_hangs_has_not_reached_the_server(void **state)
{
	struct server s = {0};
	struct outcome o = {0};
	char url[100];

	(void)state;
	listen_any(&s);
	snprintf(url, sizeof url, "https://127.0.0.1:%d/", s.port);
	start(url, bytes_of(NULL, 0), 150, &o);
	wait_for(&o);
	assert_int_equal(o.error, ERR_UP_TIMEOUT);
	assert_false(o.reached);
	close(s.fd);
}

static void a_place_that_is_not_there_is_no_connection(void **state)
{
	static const char *const url[] = {"http://127.0.0.1:1/", "http://name.invalid/",
	    "ftp://127.0.0.1/", "file:///etc/passwd", "http://", "nonsense\r\n"};
	struct outcome o;

	(void)state;
	for (int i = 0; i < 6; i++) {
		memset(&o, 0, sizeof o);
		start(url[i], bytes_of(NULL, 0), 5000, &o);
		wait_for(&o);
		if (o.error != ERR_UP_CONNECT)
			fail_msg("%s: %s, %s", url[i], err_label(o.error), o.detail);
		assert_int_equal(o.status, 0);
		assert_false(o.reached);
		assert_int_equal(o.n, 0);
	}
}

static void a_tls_server_without_a_known_ca_is_refused(void **state)
{
	struct server s = {.tls = SSL_CTX_new(TLS_server_method())};
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	struct outcome o = {0};
	char url[100];

	(void)state;
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
	    (const unsigned char *)"127.0.0.1", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509_set_pubkey(cert, key);
	X509_sign(cert, key, EVP_sha256());
	SSL_CTX_use_certificate(s.tls, cert);
	SSL_CTX_use_PrivateKey(s.tls, key);
	listen_any(&s);
	pthread_create(&s.thread, NULL, serve_tls, &s);
	snprintf(url, sizeof url, "https://127.0.0.1:%d/", s.port);
	start(url, bytes_of(NULL, 0), 5000, &o);
	wait_for(&o);
	assert_int_equal(o.error, ERR_UP_CONNECT);
	assert_non_null(strcasestr(o.detail, "certificate"));
	assert_non_null(strstr(o.detail, "name that with upstream-tls-ca"));
	assert_false(o.reached);
	pthread_join(s.thread, NULL);
	close(s.fd);
	X509_free(cert);
	EVP_PKEY_free(key);
	SSL_CTX_free(s.tls);
}

static void connections_are_used_again(void **state)
{
	struct outcome o;
	int before;

	(void)state;
	fetch("/ok", &o);
	before = server.clients;
	for (int i = 0; i < 20; i++) {
		fetch(i % 2 == 0 ? "/ok" : "/500", &o);
		assert_int_equal(o.error, ERR_OK);
	}
	/* the server counts when it accepts: one of an earlier case may come late */
	assert_in_range(server.clients, before, before + 2);
}

static void a_cancelled_fetch_never_ends(void **state)
{
	struct outcome o = {0}, other = {0};

	(void)state;
	get("/ok", &o);
	fetch_cancel(o.fetch); /* before it began */
	memset(&o, 0, sizeof o);
	get("/hang", &o);
	fetch("/ok", &other);
	fetch_cancel(o.fetch); /* in its midst */
	fetch("/ok", &other);
	assert_false(o.done);
	assert_int_equal(other.error, ERR_OK);
}

/* Both have ended in the same turn, or not: whoever is told first cancels the other. */
static void done_may_cancel_another_and_start_a_new_one(void **state)
{
	struct outcome a = {0}, b = {0};

	(void)state;
	for (int i = 0; i < 20; i++) {
		memset(&a, 0, sizeof a);
		memset(&b, 0, sizeof b);
		a.cancels = &b;
		b.cancels = &a;
		get("/ok", &a);
		get("/ok", &b);
		usleep(i * 200);
		while (!a.done && !b.done)
			event_base_loop(base, EVLOOP_ONCE);
		for (int turn = 0; turn < 5; turn++)
			event_base_loop(base, EVLOOP_NONBLOCK);
		assert_true(a.done != b.done);
	}
	memset(&a, 0, sizeof a);
	a.then = "/chunked";
	get("/ok", &a);
	wait_for(&a);
	assert_string_equal(a.body, "hello world");
}

/* A name server that hangs holds neither the loop nor the fetch (T28). */
static void a_name_that_hangs_blocks_nothing(void **state)
{
	struct outcome o = {0}, other;
	int64_t before = now_ms();

	(void)state;
	let_go = false;
	start("http://hang.test/", bytes_of(NULL, 0), 20000, &o);
	fetch("/ok", &other);
	assert_int_equal(other.error, ERR_OK);
	assert_false(o.done);
	fetch_cancel(o.fetch);

	memset(&o, 0, sizeof o);
	start("http://hang.test/", bytes_of(NULL, 0), 200, &o);
	wait_for(&o);
	assert_int_equal(o.error, ERR_UP_TIMEOUT);
	assert_true(now_ms() - before >= 190);
	assert_true(hanging > 0); /* to this moment */
	let_go = true;
	while (hanging > 0) /* the detached threads free what is theirs */
		usleep(1000);
}

static int scratch(void)
{
	char path[] = "/tmp/fetch.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

/* What was written to fd since the last look. */
static const char *written(int fd)
{
	static char text[100];
	ssize_t n = pread(fd, text, sizeof text - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return text;
}

/* R115: what a list is asked for with next time. */
static void the_validators_of_an_answer_are_told_and_sent_back_as_they_came(void **state)
{
	struct fetch_request r = {.timeout_ms = 5000, .max_size = 1000};
	struct outcome o;
	char url[100];

	(void)state;
	fetch("/list", &o);
	assert_string_equal(o.etag, "W/\"v 1\"");
	assert_string_equal(o.last_modified, "Sun, 06 Nov 1994 08:49:37 GMT");
	assert_string_equal(o.date, "Sun, 06 Nov 1994 08:49:39 GMT");
	fetch("/ok", &o);
	assert_string_equal(o.etag, "");
	assert_string_equal(o.last_modified, "");
	assert_string_equal(o.date, "");

	url_of("/list", url);
	r.url = url;
	r.if_none_match = "W/\"v 1\"";
	r.if_modified_since = "Sun, 06 Nov 1994 08:49:37 GMT";
	memset(&o, 0, sizeof o);
	fetch_start(fetcher, &r, on_done, &o);
	wait_for(&o);
	assert_int_equal(o.error, ERR_OK);
	assert_int_equal(o.status, 304);
	assert_int_equal(o.body_n, 0);
	url_of("/echo", url);
	memset(&o, 0, sizeof o);
	fetch_start(fetcher, &r, on_done, &o);
	wait_for(&o);
	assert_non_null(
	    strstr(o.body, "\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
}

/* A fetch of any URL. */
static void fetch_url(const char *url, struct outcome *o)
{
	memset(o, 0, sizeof *o);
	start(url, bytes_of(NULL, 0), 5000, o);
	wait_for(o);
}

/* The name is the proxy's to look up.  http_proxy points nowhere all the while. */
static void a_proxy_is_asked_when_it_is_configured_and_only_then(void **state)
{
	char proxy[100];
	struct fetch_policy p = {.proxy = proxy};
	struct outcome o;
	int fd = scratch();

	(void)state;
	snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", server.port);
	fetcher_configure(fetcher, &p);
	setenv("no_proxy", "*", 1); /* to be ignored as well */
	fetch_url("http://nowhere.test/echo", &o);
	unsetenv("no_proxy");
	assert_int_equal(o.error, ERR_OK);
	assert_memory_equal(o.body, "GET http://nowhere.test/echo HTTP/1.1\r\n", 38);
	assert_non_null(strstr(o.body, "\r\nHost: nowhere.test\r\n"));
	/* a tunnel that is refused is no connection, and its head is no answer's */
	fetch_url("https://nowhere.test/x", &o);
	assert_int_equal(o.error, ERR_UP_CONNECT);
	assert_int_equal(o.status, 0);
	assert_string_equal(o.etag, "");
	assert_non_null(strstr(o.detail, "403 (by upstream-proxy http://127.0.0.1:"));
	p.proxy = "";
	fetcher_configure(fetcher, &p);
	fetch_to(fd, "/ok", &o); /* with the same handle */
	assert_int_equal(o.error, ERR_OK);
	close(fd);
	p.proxy = "http://127.0.0.1:1";
	fetcher_configure(fetcher, &p);
	fetch_url("http://nowhere.test/echo", &o);
	assert_int_equal(o.error, ERR_UP_CONNECT);
	p.proxy = "";
	fetcher_configure(fetcher, &p);
	fetch("/ok", &o);
	assert_int_equal(o.error, ERR_OK);
	fetch_url("http://nowhere.test/echo", &o);
	assert_int_equal(o.error, ERR_UP_CONNECT);
}

/* Learnt URLs: T7. */

/* text with the server's port for each PORT. */
static void put_port(const char *text, char *out, size_t n)
{
	const char *at = strstr(text, "PORT");

	if (at == NULL)
		snprintf(out, n, "%s", text);
	else
		snprintf(out, n, "%.*s%d%s", (int)(at - text), text, server.port, at + 4);
}

static void learn(const char *text, struct outcome *o)
{
	char url[200];
	struct fetch_request r = {
	    .url = url, .learnt = true, .timeout_ms = 5000, .max_size = 1000};

	put_port(text, url, sizeof url);
	memset(o, 0, sizeof *o);
	o->fetch = fetch_start(fetcher, &r, on_done, o);
	assert_non_null(o->fetch);
	wait_for(o);
}

static void configure(const char *proxy, const char *const *nets, size_t n)
{
	static struct network allow[2];
	static char text[2][100], by[100];

	for (size_t i = 0; i < n; i++) {
		put_port(nets[i], text[i], sizeof text[i]);
		assert_null(network_parse(text[i], &allow[i]));
	}
	put_port(proxy, by, sizeof by);
	fetcher_configure(
	    fetcher, &(struct fetch_policy){.proxy = by, .guard = {allow, n, false}});
}

/* What is told is the same of each, and nobody is connected to. */
static void assert_refused(const char *url)
{
	int clients = server.clients;
	struct outcome o;

	learn(url, &o);
	if (o.error != ERR_UP_ADDRESS)
		fail_msg("%s: %s (%s)", url, err_label(o.error), o.detail);
	assert_string_equal(o.detail,
	    "the URL is not from the configuration, and leads to an address that is not "
	    "public or to another port than 80 and 443; if that is right, name the "
	    "address with allow-address");
	assert_false(o.reached);
	assert_int_equal(o.status, 0);
	assert_int_equal(o.n, 0);
	assert_int_equal(server.clients, clients);
}

/* T7 */
static void a_learnt_url_leads_to_no_spelling_of_our_own_machine(void **state)
{
	static const char *const url[] = {"http://127.0.0.1:PORT/ok",
	    "http://2130706433:PORT/ok", "http://017700000001:PORT/ok",
	    "http://0x7f000001:PORT/ok", "http://0x7F.1:PORT/ok", "http://127.1:PORT/ok",
	    "http://0177.0.0.01:PORT/ok", "http://%31%32%37.0.0.1:PORT/ok",
	    "http://[::1]:PORT/ok", "http://[0:0:0:0:0:0:0:1]:PORT/ok",
	    "http://[::ffff:127.0.0.1]:PORT/ok", "http://[::FFFF:7F00:1]:PORT/ok",
	    "http://[64:ff9b::7f00:1]:PORT/ok", "http://localhost:PORT/ok",
	    "http://LOCALHOST:PORT/ok", "http://0:PORT/ok", "http://0.0.0.0:PORT/ok",
	    "http://[::]:PORT/ok", "http://u:p@127.0.0.1:PORT/ok",
	    "http://127.0.0.1/PORT", "https://127.0.0.1/PORT", "http://10.0.0.1/PORT",
	    "http://169.254.169.254/PORT", "http://cloud.test/PORT",
	    "http://both.test:PORT/ok", "http://[fd00::1]/PORT",
	    "http://[fe80::1%25lo]/PORT", "http://93.184.216.34:6379/PORT"};
	struct outcome o;
	int clients;

	(void)state;
	configure("", NULL, 0);
	for (size_t i = 0; i < sizeof url / sizeof *url; i++)
		assert_refused(url[i]);
	clients = server.clients;
	learn("http://127.0.0.1.:PORT/ok", &o); /* no address, and no name */
	assert_int_equal(o.error, ERR_UP_CONNECT);
	assert_int_equal(server.clients, clients);
}

/* T7 */
static void a_connection_of_ours_is_not_lent_to_a_learnt_url(void **state)
{
	struct outcome o;

	(void)state;
	configure("", NULL, 0);
	fetch("/ok", &o);
	assert_int_equal(o.error, ERR_OK);
	assert_refused("http://127.0.0.1:PORT/ok");
	fetch("/ok", &o); /* and with the same handle */
	assert_int_equal(o.error, ERR_OK);
}

static void a_learnt_url_leads_to_what_is_allowed(void **state)
{
	const char *ours = "127.0.0.0/8:PORT", *other = "127.0.0.0/8:1";
	struct outcome o;

	(void)state;
	configure("", &ours, 1);
	learn("http://127.0.0.1:PORT/ok", &o);
	assert_int_equal(o.error, ERR_OK);
	assert_string_equal(o.body, "hello");
	learn("http://127.0.0.1:PORT/ok", &o); /* its connection used again */
	assert_int_equal(o.error, ERR_OK);
	learn("http://both.test:PORT/ok", &o); /* by the address that may be */
	assert_int_equal(o.error, ERR_OK);
	learn("http://127.0.0.1:PORT/redirect", &o);
	assert_int_equal(o.status, 302); /* and is not followed */
	configure("", &other, 1);
	assert_refused("http://127.0.0.1:PORT/ok");
	learn("http://nowhere.test/PORT", &o);
	assert_int_equal(o.error, ERR_UP_CONNECT);
}

/* T7: a webhook's: it was looked up and judged, and leads elsewhere by the next time. */
static void a_fresh_fetch_looks_its_name_up_and_judges_it_each_time(void **state)
{
	static const char *const headers[] = {"webhook-id: 1", NULL};
	const char *first = "127.0.0.1:PORT";
	struct fetch_request r = {.learnt = true,
	    .fresh = true,
	    .headers = headers,
	    .timeout_ms = 5000,
	    .max_size = 1000};
	struct outcome o[2] = {0};
	char url[200];

	(void)state;
	moved = 0;
	configure("", &first, 1);
	put_port("http://moves.test:PORT/ok", url, sizeof url);
	r.url = url;
	for (int i = 0; i < 2; i++) {
		o[i].fetch = fetch_start(fetcher, &r, on_done, &o[i]);
		assert_non_null(o[i].fetch);
		wait_for(&o[i]);
	}
	assert_int_equal(o[0].error, ERR_OK);
	assert_int_equal(o[1].error, ERR_UP_ADDRESS);
	assert_int_equal(moved, 2);
}

/* T7: names are looked up here before a proxy is asked, who looks them up itself. */
static void a_proxy_is_not_asked_for_what_leads_inside(void **state)
{
	static const char *const both[] = {"127.0.0.0/8", "[::1]"};
	struct outcome o;

	(void)state;
	configure("http://127.0.0.1:PORT", NULL, 0);
	assert_refused("http://127.0.0.1:PORT/echo");
	assert_refused("http://localhost/PORT");
	assert_refused("http://cloud.test/PORT");
	assert_refused("http://nowhere.test:PORT/echo");
	assert_refused("http://127.0.0.1./PORT");
	learn("http://nowhere.test/echo", &o);
	assert_int_equal(o.error, ERR_OK);
	assert_memory_equal(o.body, "GET http://nowhere.test/echo HTTP/1.1\r\n", 38);
	learn("http://93.184.216.34/echo", &o);
	assert_int_equal(o.error, ERR_OK);
	learn("https://nowhere.test/PORT", &o);
	assert_int_equal(o.error, ERR_UP_CONNECT);
	assert_non_null(strstr(o.detail, "403 (by upstream-proxy"));
	configure("http://127.0.0.1:PORT", both, 1);
	assert_refused("http://both.test/PORT");
	configure("http://127.0.0.1:PORT", both, 2);
	learn("http://both.test/echo", &o);
	assert_int_equal(o.error, ERR_OK);
	configure("", NULL, 0);
}

/* R111: nothing but the whole body of a 200 can be taken for a list. */
static void the_body_of_a_200_goes_to_the_sink_and_no_other(void **state)
{
	struct outcome o;
	int fd = scratch();

	(void)state;
	fetch_to(fd, "/chunked", &o);
	assert_int_equal(o.error, ERR_OK);
	assert_int_equal(o.n, 0);
	assert_int_equal(o.body_n, 11);
	assert_string_equal(written(fd), "hello world");
	fetch_to(fd, "/500", &o);
	assert_int_equal(o.error, ERR_OK);
	assert_int_equal(o.status, 500);
	assert_int_equal(o.body_n, 6);
	assert_string_equal(written(fd), "");
	fetch_to(fd, "/truncated", &o);
	assert_int_equal(o.error, ERR_UP_TRUNCATED);
	written(fd);
	fetch_to(fd, "/truncated-chunk", &o);
	assert_int_equal(o.error, ERR_UP_TRUNCATED);
	written(fd);
	fetch_to(fd, "/large-chunked", &o); /* the cap is for a file too */
	assert_int_equal(o.error, ERR_UP_SIZE);
	assert_in_range(o.body_n, 0, 1000);
	written(fd);
	fetch("/ok", &o); /* the handle that had a sink has none now */
	assert_string_equal(o.body, "hello");
	assert_string_equal(written(fd), "");
	close(fd);
}

static void a_coded_body_is_decoded_into_the_sink(void **state)
{
	struct outcome o;
	int fd = scratch();

	(void)state;
	fetch_to(fd, "/gzip", &o);
	assert_int_equal(o.error, ERR_OK);
	assert_int_equal(o.body_n, 5);
	assert_string_equal(written(fd), "hello");
	fetch_to(fd, "/bomb", &o);
	assert_int_equal(o.error, ERR_UP_SIZE);
	assert_in_range(strlen(written(fd)), 0, 1000);
	close(fd);
}

static void a_sink_that_is_full_ends_the_fetch(void **state)
{
	struct outcome o;
	int fd = open("/dev/full", O_WRONLY);

	(void)state;
	assert_true(fd >= 0);
	fetch_to(fd, "/ok", &o);
	assert_int_equal(o.error, ERR_STORE);
	assert_string_equal(o.detail, strerror(ENOSPC));
	fetch_to(fd, "/500", &o); /* nothing to be written */
	assert_int_equal(o.error, ERR_OK);
	close(fd);
	fetch("/ok", &o);
	assert_int_equal(o.error, ERR_OK);
}

static void a_fetcher_may_go_with_fetches_under_way(void **state)
{
	struct fetcher *all = fetcher;
	struct outcome o = {0}, p = {0};

	(void)state;
	fetcher = fetcher_new(base, "x");
	get("/hang", &o);
	get("/ok", &p);
	event_base_loop(base, EVLOOP_ONCE);
	fetcher_free(fetcher);
	fetcher = all;
	fetcher_free(NULL);
	fetch("/ok", &p);
	assert_false(o.done);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    cmocka_unit_test(a_whole_answer_comes_with_status_type_and_duration),
	    cmocka_unit_test(a_get_and_a_post_say_what_they_should_and_no_more),
	    cmocka_unit_test(other_statuses_are_told_and_redirects_not_followed),
	    cmocka_unit_test(a_failure_has_its_remedy),
	    cmocka_unit_test(a_coded_body_is_decoded_once_and_its_size_counts),
	    cmocka_unit_test(what_is_quoted_is_printable_and_bounded),
	    cmocka_unit_test(what_ends_early_is_truncated),
	    cmocka_unit_test(what_is_too_large_is_cut_off),
	    cmocka_unit_test(trailers_do_not_make_an_answer_incomplete),
	    cmocka_unit_test(what_is_no_http_is_an_http_error),
	    cmocka_unit_test(the_deadline_is_for_the_whole_fetch),
	    cmocka_unit_test(a_place_that_is_not_there_is_no_connection),
	    cmocka_unit_test(a_handshake_that_hangs_has_not_reached_the_server),
	    cmocka_unit_test(a_tls_server_without_a_known_ca_is_refused),
	    cmocka_unit_test(connections_are_used_again),
	    cmocka_unit_test(a_cancelled_fetch_never_ends),
	    cmocka_unit_test(done_may_cancel_another_and_start_a_new_one),
	    cmocka_unit_test(a_name_that_hangs_blocks_nothing),
	    cmocka_unit_test(
		the_validators_of_an_answer_are_told_and_sent_back_as_they_came),
	    cmocka_unit_test(a_proxy_is_asked_when_it_is_configured_and_only_then),
	    cmocka_unit_test(a_learnt_url_leads_to_no_spelling_of_our_own_machine),
	    cmocka_unit_test(a_connection_of_ours_is_not_lent_to_a_learnt_url),
	    cmocka_unit_test(a_learnt_url_leads_to_what_is_allowed),
	    cmocka_unit_test(a_fresh_fetch_looks_its_name_up_and_judges_it_each_time),
	    cmocka_unit_test(a_proxy_is_not_asked_for_what_leads_inside),
	    cmocka_unit_test(the_body_of_a_200_goes_to_the_sink_and_no_other),
	    cmocka_unit_test(a_coded_body_is_decoded_into_the_sink),
	    cmocka_unit_test(a_sink_that_is_full_ends_the_fetch),
	    cmocka_unit_test(a_fetcher_may_go_with_fetches_under_way),
	};

	return cmocka_run_group_tests(cases, begin, end);
}
