/* systemd.c - an AF_UNIX datagram; '@' at the start of the address means abstract. */
#include "proxy/base/systemd.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int systemd_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t n = path == NULL ? 0 : strlen(path);
	ssize_t sent;
	int fd, e;

	assert(state[0] != '\0');
	if (n == 0)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || n >= sizeof to.sun_path) {
		errno = EINVAL; /* vsock: for virtual machines, not for services */
		return -1;
	}
	memcpy(to.sun_path, path, n);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	do
		sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		    (const struct sockaddr *)&to,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	while (sent < 0 && errno == EINTR);
	e = errno;
	close(fd);
	errno = e;
	return sent < 0 ? -1 : 0;
}

/* A whole decimal number from the environment, 0 for none. */
static unsigned long long env_number(const char *name)
{
	const char *s = getenv(name);
	unsigned long long v;
	char *end;

	if (s == NULL || *s < '0' || *s > '9')
		return 0;
	errno = 0;
	v = strtoull(s, &end, 10);
	return *end != '\0' || errno != 0 ? 0 : v;
}

int64_t systemd_watchdog_ms(void)
{
	unsigned long long us = env_number("WATCHDOG_USEC");
	int64_t ms;

	if (us == 0 || us > INT64_MAX)
		return 0;
	/* set for another process: we inherited it */
	if (getenv("WATCHDOG_PID") != NULL &&
	    env_number("WATCHDOG_PID") != (unsigned long long)getpid())
		return 0;
	ms = (int64_t)(us / 2000);
	return ms > 0 ? ms : 1;
}
