/* ca.c - the upstream of a bench: hands out prepared answers.
 *
 *	ca -p PORT -a PAIRS
 *
 * POST and GET (base64 in the last part of the path), HTTP/1.1 and 1.0, keep-alive, one
 * thread.  What was not prepared is "unauthorized", unsigned, as from a CA that does not
 * know the certificate.  It lets caches keep a prepared answer for an hour, which is what
 * makes nginx and HAProxy do so.
 */
#include "bench/pairs.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <xxhash.h>

#define INPUT_MAX 16384
#define EVENTS    256
#define FD_MAX    65536

struct client {
	size_t n;
	char in[INPUT_MAX];
};

static struct pairs pairs;
static uint32_t *slot; /* index + 1 of a pair, 0: free */
static size_t slots;   /* a power of two */
static struct client *client[FD_MAX];

static size_t slot_of(struct bytes request)
{
	return XXH3_64bits(request.p, request.n) & (slots - 1);
}

static void table_make(void)
{
	for (slots = 1024; slots < 2 * pairs.n;)
		slots *= 2;
	slot = calloc(slots, sizeof *slot);
	if (slot == NULL)
		err(1, "table");
	for (size_t i = 0; i < pairs.n; i++) {
		size_t s = slot_of(pairs.pair[i].request);

		while (slot[s] != 0)
			s = (s + 1) & (slots - 1);
		slot[s] = (uint32_t)i + 1;
	}
}

static struct bytes answer_find(struct bytes request)
{
	for (size_t s = slot_of(request); slot[s] != 0; s = (s + 1) & (slots - 1))
		if (bytes_equal(pairs.pair[slot[s] - 1].request, request))
			return pairs.pair[slot[s] - 1].answer;
	return bytes_of(NULL, 0);
}

/* Undo percent-encoding and base64; 0 bytes when it is neither. */
static size_t path_decode(const char *p, size_t n, uint8_t *out)
{
	char text[INPUT_MAX + 1];
	size_t k = 0;
	int got;

	for (size_t i = 0; i < n; i++)
		if (p[i] == '%' && i + 2 < n) {
			text[k++] =
			    (char)(hex_value(p[i + 1]) << 4 | hex_value(p[i + 2]));
			i += 2;
		} else {
			text[k++] = p[i];
		}
	text[k] = '\0';
	got = EVP_DecodeBlock(out, (unsigned char *)text, (int)k);
	if (got <= 0)
		return 0;
	while (k > 0 && text[k - 1] == '=') {
		got--;
		k--;
	}
	return (size_t)got;
}

static bool reply(int fd, struct bytes request, bool keep_alive)
{
	static const uint8_t unauthorized[] = {0x30, 3, 0x0a, 1, 6};
	struct bytes a = answer_find(request);
	const char *caching = "public, max-age=3600";
	struct iovec iov[2];
	char head[256];
	int n;

	if (a.n == 0) {
		a = bytes_of(unauthorized, sizeof unauthorized);
		caching = "no-store";
	}
	n = snprintf(head, sizeof head,
	    "HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\n"
	    "Content-Length: %zu\r\nCache-Control: %s\r\nConnection: %s\r\n\r\n",
	    a.n, caching, keep_alive ? "keep-alive" : "close");
	iov[0] = (struct iovec){head, (size_t)n};
	iov[1] = (struct iovec){(void *)(uintptr_t)a.p, a.n};
	return writev(fd, iov, 2) == n + (ssize_t)a.n && keep_alive;
}

/* The value of a header line, or NULL. */
static const char *header(const char *head, const char *name)
{
	const char *at = strcasestr(head, name);

	return at != NULL ? at + strlen(name) : NULL;
}

/* Answer the request at the start of c->in, if it is whole: 1 done, 0 not whole,
 * -1 close. */
static int request_step(int fd, struct client *c)
{
	char *end = memmem(c->in, c->n, "\r\n\r\n", 4);
	const char *length, *connection, *slash, *space;
	uint8_t der[INPUT_MAX];
	size_t head_n, body_n;
	bool keep_alive, one_one;

	if (end == NULL)
		return c->n == sizeof c->in ? -1 : 0;
	end[2] = '\0';
	head_n = (size_t)(end - c->in) + 4;
	length = header(c->in, "\r\nContent-Length:");
	body_n = length != NULL ? strtoul(length, NULL, 10) : 0;
	one_one = strstr(c->in, " HTTP/1.1\r\n") != NULL;
	connection = header(c->in, "\r\nConnection: ");
	keep_alive =
	    connection == NULL ? one_one : strncasecmp(connection, "close", 5) != 0;
	end[2] = '\r';
	if (c->n < head_n + body_n)
		return head_n + body_n > sizeof c->in ? -1 : 0;
	if (c->in[0] == 'P') {
		keep_alive = reply(fd, bytes_of(c->in + head_n, body_n), keep_alive);
	} else {
		space = memchr(c->in + 4, ' ', head_n - 4);
		if (space == NULL)
			return -1;
		slash = memrchr(c->in, '/', (size_t)(space - c->in));
		if (slash == NULL)
			return -1;
		body_n = 0;
		keep_alive = reply(fd,
		    bytes_of(
			der, path_decode(slash + 1, (size_t)(space - slash) - 1, der)),
		    keep_alive);
	}
	c->n -= head_n + body_n;
	memmove(c->in, c->in + head_n + body_n, c->n);
	return keep_alive ? 1 : -1;
}

static void on_readable(int fd)
{
	struct client *c = client[fd];
	ssize_t n = read(fd, c->in + c->n, sizeof c->in - c->n);
	int step = n > 0 ? 1 : -1;

	if (n > 0)
		c->n += (size_t)n;
	while (step > 0)
		step = request_step(fd, c);
	if (step < 0) {
		close(fd);
		free(c);
		client[fd] = NULL;
	}
}

static void on_accept(int epoll, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct epoll_event e = {.events = EPOLLIN, .data = {.fd = fd}};

	if (fd < 0)
		return;
	if (fd >= FD_MAX || (client[fd] = malloc(sizeof **client)) == NULL) {
		close(fd);
		return;
	}
	client[fd]->n = 0;
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

static int listen_at(int port)
{
	const int on = 1;
	struct sockaddr_in at = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0)
		err(1, "port %d", port);
	return fd;
}

static void loop(int listener)
{
	struct epoll_event e = {.events = EPOLLIN, .data = {.fd = listener}};
	struct epoll_event ready[EVENTS];
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e) != 0)
		err(1, "epoll");
	for (;;) {
		int n = epoll_wait(epoll, ready, EVENTS, -1);

		for (int i = 0; i < n; i++)
			if (ready[i].data.fd == listener)
				on_accept(epoll, listener);
			else
				on_readable(ready[i].data.fd);
	}
}

int main(int argc, char **argv)
{
	struct rlimit most = {FD_MAX, FD_MAX};
	int port = 0, o;

	while ((o = getopt(argc, argv, "p:a:")) != -1)
		if (o == 'p')
			port = atoi(optarg);
		else if (o == 'a')
			pairs = pairs_open(optarg);
		else
			return 64;
	if (port == 0 || pairs.n == 0)
		errx(64, "usage: ca -p PORT -a PAIRS");
	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_NOFILE, &most);
	table_make();
	loop(listen_at(port));
	return 0;
}
