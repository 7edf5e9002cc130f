/* floor.c - the least that can be done: a bare epoll loop that answers every request with
 * the same bytes.
 *
 *	floor -p PORT -f FILE [-c]
 *
 * FILE is a whole response, taken from the server that is to be compared, so that both
 * write as many bytes and the load generator checks as much.  -c closes after each.  One
 * thread; one read and one write for a request; no deadlines, no parsing but for where a
 * request ends, found as cheaply as can be.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT    (32 * 1024) /* as the server's */
#define EVENTS   512
#define ACCEPTS  64
#define PART_MAX 4096
#define FD_MAX   65536

static char response[64 * 1024];
static size_t response_n;
static bool close_after;
static char *part[FD_MAX]; /* of a request that is not whole yet */
static size_t part_n[FD_MAX];
static char input[INPUT];

static void response_read(const char *path)
{
	FILE *f = fopen(path, "re");

	if (f == NULL)
		err(1, "%s", path);
	response_n = fread(response, 1, sizeof response, f);
	if (response_n == 0 || !feof(f))
		errx(1, "%s: not a response of up to 64 KiB", path);
	fclose(f);
}

static int listen_at(int port)
{
	const int on = 1;
	struct sockaddr_in at = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0)
		err(1, "port %d", port);
	return fd;
}

/* How many whole requests begin at p; *rest is what lies behind them. */
static int requests(const char *p, size_t n, size_t *rest)
{
	int count = 0;

	while (n > 0) {
		const char *end, *length;
		size_t all;

		if (n >= 4 && p[0] == 'G' && memcmp(p + n - 4, "\r\n\r\n", 4) == 0) {
			n = 0;
			count++;
			break;
		}
		end = memmem(p, n, "\r\n\r\n", 4);
		if (end == NULL)
			break;
		all = (size_t)(end - p) + 4;
		length = memmem(p, all, "Content-Length: ", 16);
		if (length != NULL)
			all += strtoul(length + 16, NULL, 10);
		if (all > n)
			break;
		p += all;
		n -= all;
		count++;
	}
	*rest = n;
	return count;
}

static void drop(int fd)
{
	free(part[fd]);
	part[fd] = NULL;
	part_n[fd] = 0;
	close(fd);
}

static void keep(int fd, const char *p, size_t n)
{
	if (part[fd] == NULL)
		part[fd] = malloc(PART_MAX);
	if (part[fd] == NULL || n > PART_MAX) {
		drop(fd);
		return;
	}
	memmove(part[fd], p, n);
	part_n[fd] = n;
}

static void serve(int fd)
{
	size_t had = part_n[fd], rest;
	ssize_t n = read(fd, input + had, sizeof input - had);
	int count;

	if (n <= 0) {
		drop(fd);
		return;
	}
	if (had > 0)
		memcpy(input, part[fd], had);
	n += (ssize_t)had;
	count = requests(input, (size_t)n, &rest);
	/* Nobody pipelines in a bench, and nobody is slow: a write that is cut short is
	 * the end of it. */
	for (int i = 0; i < count; i++)
		if (write(fd, response, response_n) != (ssize_t)response_n) {
			drop(fd);
			return;
		}
	if (count > 0 && close_after)
		drop(fd);
	else if (rest > 0 || had > 0)
		keep(fd, input + n - rest, rest);
}

static void accept_some(int epoll, int listener)
{
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct epoll_event e = {.events = EPOLLIN, .data = {.fd = fd}};

		if (fd < 0)
			return;
		if (fd >= FD_MAX || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0)
			close(fd);
	}
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
				accept_some(epoll, listener);
			else
				serve(ready[i].data.fd);
	}
}

int main(int argc, char **argv)
{
	struct rlimit most = {FD_MAX, FD_MAX};
	int port = 0, o;

	while ((o = getopt(argc, argv, "p:f:c")) != -1)
		if (o == 'p')
			port = atoi(optarg);
		else if (o == 'f')
			response_read(optarg);
		else if (o == 'c')
			close_after = true;
		else
			return 64;
	if (port == 0 || response_n == 0)
		errx(64, "usage: floor -p PORT -f RESPONSE [-c]");
	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_NOFILE, &most);
	loop(listen_at(port));
	return 0;
}
