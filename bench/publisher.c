/* publisher.c - the least that a push can be: a bare epoll loop that tells everybody.
 *
 *	publisher -p PORT -f FILE
 *
 * A client that has sent a request head ("...\r\n\r\n") gets a response head, and is told
 * the bytes of FILE, whole SSE messages taken from the server that is to be compared,
 * each time that SIGUSR1 comes: one write for each client, one after the other.  One
 * thread; no positions, no deadlines, no replay, and who is slow is dropped.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS  512
#define ACCEPTS 64
#define FD_MAX  65536

static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
			   "Cache-Control: no-store\r\nConnection: close\r\n\r\n";
static char message[64 * 1024];
static size_t message_n;
static bool is_told[FD_MAX]; /* has sent its request, and wants to be told */
static int highest;

static void message_read(const char *path)
{
	FILE *f = fopen(path, "re");

	if (f == NULL)
		err(1, "%s", path);
	message_n = fread(message, 1, sizeof message, f);
	if (message_n == 0 || !feof(f))
		errx(1, "%s: no message of up to 64 KiB", path);
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
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0)
		err(1, "port %d", port);
	return fd;
}

static void drop(int fd)
{
	is_told[fd] = false;
	close(fd);
}

static void serve(int fd)
{
	char request[4096];
	ssize_t n = read(fd, request, sizeof request);

	/* a subscriber sends its request in one piece, and nothing behind it */
	if (n < 4 || memcmp(request + n - 4, "\r\n\r\n", 4) != 0 ||
	    write(fd, head, sizeof head - 1) != (ssize_t)(sizeof head - 1))
		drop(fd);
	else
		is_told[fd] = true;
}

static void tell_all(void)
{
	for (int fd = 0; fd <= highest; fd++)
		if (is_told[fd] && write(fd, message, message_n) != (ssize_t)message_n)
			drop(fd);
}

static void add(int epoll, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data = {.fd = fd}};

	if (fd >= FD_MAX || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0) {
		close(fd);
		return;
	}
	if (fd > highest)
		highest = fd;
}

static void accept_some(int epoll, int listener)
{
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		add(epoll, fd);
	}
}

static void loop(int listener, int trigger)
{
	struct epoll_event ready[EVENTS];
	struct signalfd_siginfo info;
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	add(epoll, listener);
	add(epoll, trigger);
	for (;;) {
		int n = epoll_wait(epoll, ready, EVENTS, -1);

		for (int i = 0; i < n; i++)
			if (ready[i].data.fd == listener)
				accept_some(epoll, listener);
			else if (ready[i].data.fd != trigger)
				serve(ready[i].data.fd);
			else if (read(trigger, &info, sizeof info) > 0)
				tell_all();
	}
}

int main(int argc, char **argv)
{
	struct rlimit most;
	sigset_t triggers;
	int port = 0, o;

	while ((o = getopt(argc, argv, "p:f:")) != -1)
		if (o == 'p')
			port = atoi(optarg);
		else if (o == 'f')
			message_read(optarg);
		else
			return 64;
	if (port == 0 || message_n == 0)
		errx(64, "usage: publisher -p PORT -f MESSAGE");
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &most) == 0) {
		most.rlim_cur = most.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &most);
	}
	sigemptyset(&triggers);
	sigaddset(&triggers, SIGUSR1);
	sigprocmask(SIG_BLOCK, &triggers, NULL);
	loop(listen_at(port), signalfd(-1, &triggers, SFD_NONBLOCK | SFD_CLOEXEC));
	return 0;
}
