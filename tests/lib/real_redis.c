/* real_redis.c - started, waited for, killed with its test. */
#include "tests/lib/real_redis.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/lib/child.h"

#define START_MS 5000
#define MORE_MAX 30

static _Atomic pid_t redis;
static struct sockaddr_un at; /* where */

bool real_redis_is_installed(void)
{
	return system("command -v redis-server >/dev/null 2>&1") == 0;
}

/* -1: it is not there.  Its socket comes before anybody listens on it: connecting is the
 * proof. */
static int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static _Noreturn void become_redis(
    const char *dir, const char *path, const char *const more[])
{
	const char *argv[12 + MORE_MAX] = {"redis-server", "--port", "0", "--save", "",
	    "--logfile", "/dev/null", "--unixsocket", path, "--dir", dir};
	int n = 11;

	for (int i = 0; more != NULL && i < MORE_MAX && more[i] != NULL; i++)
		argv[n++] = more[i];
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execvp("redis-server", (char *const *)(uintptr_t)argv);
	_exit(127);
}

bool real_redis_start(const char *dir, const char *const more[])
{
	pid_t pid;

	at.sun_family = AF_UNIX;
	if ((size_t)snprintf(at.sun_path, sizeof at.sun_path, "%s/redis", dir) >=
	    sizeof at.sun_path)
		return false;
	unlink(at.sun_path);
	pid = child_fork();
	if (pid == 0)
		become_redis(dir, at.sun_path, more);
	redis = pid;
	for (int i = 0; i < START_MS; i++) {
		int fd = dial();

		if (fd >= 0) {
			close(fd);
			return true;
		}
		usleep(1000);
	}
	return false;
}

void real_redis_flush(void)
{
	static const char command[] = "FLUSHALL\r\n";
	char answer[5];
	int fd = dial();

	if (send(fd, command, sizeof command - 1, MSG_NOSIGNAL) < 0 ||
	    recv(fd, answer, sizeof answer, MSG_WAITALL) != sizeof answer ||
	    memcmp(answer, "+OK\r\n", sizeof answer) != 0)
		abort();
	close(fd);
}

bool real_redis_runs(void)
{
	return redis > 0;
}

void real_redis_stop(void)
{
	pid_t pid = atomic_exchange(&redis, 0);

	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void real_redis_pause(bool yes)
{
	kill(redis, yes ? SIGSTOP : SIGCONT);
}
