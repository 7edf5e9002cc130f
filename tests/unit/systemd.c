#include "proxy/base/systemd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* A service manager's end of address. */
static int manager_open(const char *address)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	size_t n = strlen(address);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(at.sun_path, address, n);
	if (address[0] == '@')
		at.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (const struct sockaddr *)&at,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
	    0);
	return fd;
}

static void arrives_at(const char *address)
{
	int fd = manager_open(address);
	char got[100];
	ssize_t n;

	assert_int_equal(setenv("NOTIFY_SOCKET", address, 1), 0);
	assert_int_equal(systemd_notify("READY=1\nSTATUS=2 issuers"), 0);
	n = recv(fd, got, sizeof got, 0);
	assert_int_equal(n, 24);
	assert_memory_equal(got, "READY=1\nSTATUS=2 issuers", 24);
	assert_int_equal(recv(fd, got, sizeof got, 0), -1);
	close(fd);
}

/* sd_notify(3), NOTES: path or, with '@', the abstract namespace. */
static void the_state_arrives_at_a_path_and_at_an_abstract_address(void **state)
{
	char dir[] = "/tmp/notify.XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/s", dir);
	arrives_at(path);
	unlink(path);
	rmdir(dir);
	snprintf(path, sizeof path, "@ocspcached-test-%d", (int)getpid());
	arrives_at(path);
}

static void without_a_service_manager_nothing_is_sent_and_nothing_fails(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(systemd_notify("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(systemd_notify("READY=1"), 0);
}

static void a_bad_address_is_an_error_and_no_crash(void **state)
{
	char longer[300];

	(void)state;
	memset(longer, 'x', sizeof longer);
	longer[0] = '/';
	longer[sizeof longer - 1] = '\0';
	setenv("NOTIFY_SOCKET", longer, 1);
	assert_int_equal(systemd_notify("READY=1"), -1);
	setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
	assert_int_equal(systemd_notify("READY=1"), -1);
	assert_int_equal(errno, EINVAL);
	setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
	assert_int_equal(systemd_notify("READY=1"), -1);
	assert_int_equal(errno, ENOENT);
	unsetenv("NOTIFY_SOCKET");
}

static void the_watchdog_is_fed_twice_in_its_time_and_only_when_it_is_ours(void **state)
{
	char pid[20];

	(void)state;
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	assert_int_equal(systemd_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(systemd_watchdog_ms(), 15000);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(systemd_watchdog_ms(), 15000);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(systemd_watchdog_ms(), 0);
	setenv("WATCHDOG_PID", "", 1);
	assert_int_equal(systemd_watchdog_ms(), 0);
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "1", 1);
	assert_int_equal(systemd_watchdog_ms(), 1);
	for (int i = 0; i < 4; i++) {
		static const char *const bad[] = {
		    "", "-1", "12x", "99999999999999999999999"};

		setenv("WATCHDOG_USEC", bad[i], 1);
		assert_int_equal(systemd_watchdog_ms(), 0);
	}
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    cmocka_unit_test(the_state_arrives_at_a_path_and_at_an_abstract_address),
	    cmocka_unit_test(without_a_service_manager_nothing_is_sent_and_nothing_fails),
	    cmocka_unit_test(a_bad_address_is_an_error_and_no_crash),
	    cmocka_unit_test(
		the_watchdog_is_fed_twice_in_its_time_and_only_when_it_is_ours),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
