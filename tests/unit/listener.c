#include "proxy/http/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "tests/lib/turns.h"

struct stage {
	char dir[64];
	struct event_base *base;
	struct conn_loop *loop;
	struct counters *counters;
	_Atomic int connections;
	struct listener *listener;
	int port;
};

static void on_request(
    void *arg, struct conn *c, const struct http1_request *r, struct bytes body)
{
	(void)arg, (void)r, (void)body;
	conn_error(c, 404, NULL, false);
}

static const struct conn_handler handler = {.request = on_request};

static int stage_up(void **state)
{
	static const struct conn_limits limits = {
	    5000, 5000, 30000, 10000, 2000, 1 << 20, 8192, 4096, 10000};
	struct stage *s = calloc(1, sizeof *s);

	assert_non_null(s);
	snprintf(s->dir, sizeof s->dir, "/tmp/listener.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	s->base = event_base_new();
	s->counters = calloc(1, sizeof *s->counters);
	s->loop = conn_loop_new(s->base, &limits, &handler, s, s->counters);
	assert_non_null(s->loop);
	*state = s;
	return 0;
}

static int stage_down(void **state)
{
	struct stage *s = *state;

	listener_free(s->listener);
	conn_loop_free(s->loop);
	assert_int_equal(s->connections, 0);
	event_base_free(s->base);
	rmdir(s->dir);
	free(s->counters);
	free(s);
	return 0;
}

static int open_at(const char *address, bool reuseport, bool probe)
{
	char why[256] = "";
	int fd = listener_open(address, 16, reuseport, probe, why, sizeof why);

	if (fd < 0) {
		int error = errno;

		assert_non_null(strstr(why, address));
		assert_non_null(strstr(why, strerror(error)));
		assert_non_null(strstr(why, "; ")); /* the remedy */
		errno = error;
	}
	return fd;
}

static int port_of(int fd)
{
	struct sockaddr_storage at;
	socklen_t n = sizeof at;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	return ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
					      : ((struct sockaddr_in *)&at)->sin_port);
}

static int dial(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	return fd;
}

static void listen_with(struct stage *s, int max)
{
	struct listener_limits limits = {&s->connections, max};
	int fd = open_at("127.0.0.1:0", true, true);

	assert_true(fd >= 0);
	s->port = port_of(fd);
	s->listener = listener_new(s->loop, s->base, fd, false, &limits);
	assert_non_null(s->listener);
}

static void run_ms(struct stage *s, int ms)
{
	turns_for_ms(s->base, ms);
}

static void addresses_are_numeric_or_localhost(void **state)
{
	static const char *const good[] = {
	    "127.0.0.1:0", "localhost:0", "*:0", "0.0.0.0:0"};
	static const char *const bad[] = {"", ":", ":80", "127.0.0.1",
	    "127.0.0.1:", "127.0.0.1:65616", "127.0.0.1:+80", "127.0.0.1:http", "::1:80",
	    "[::1:80", "[]:80", "[127.0.0.1]:80", "example.com:80",
	    "unix:", "127.1.1:x80", "127.0.0.1:999999999999999999999"};
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		fd = open_at(good[i], false, true);
		assert_true(fd >= 0);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		close(fd);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(open_at(bad[i], false, true), -1);
		assert_int_equal(errno, EINVAL);
	}
}

static void an_ipv6_wildcard_leaves_ipv4_alone(void **state)
{
	char address[32];
	int six = open_at("[::]:0", true, true), four;

	(void)state;
	if (six < 0) {
		print_message("no IPv6 here\n");
		skip();
	}
	snprintf(address, sizeof address, "*:%d", port_of(six));
	four = open_at(address, true, true);
	assert_true(four >= 0);
	close(four);
	close(six);
}

/* A second daemon must not slip in beside the first. */
static void reuseport_is_for_ourselves_only(void **state)
{
	char address[32];
	int first = open_at("127.0.0.1:0", true, true), second;

	(void)state;
	snprintf(address, sizeof address, "127.0.0.1:%d", port_of(first));
	assert_int_equal(open_at(address, true, true), -1);
	assert_int_equal(errno, EADDRINUSE);
	second = open_at(address, true, false);
	assert_true(second >= 0);
	close(second);
	close(first);
}

/* The side that closes first keeps its port in TIME_WAIT. */
static void time_wait_does_not_refuse_the_restart(void **state)
{
	char address[32];
	int l = open_at("127.0.0.1:0", true, true), c, a;

	(void)state;
	snprintf(address, sizeof address, "127.0.0.1:%d", port_of(l));
	c = dial(port_of(l));
	a = accept(l, NULL, NULL);
	close(a);
	close(c);
	close(l);
	l = open_at(address, true, true);
	assert_true(l >= 0);
	close(l);
}

static void a_dead_unix_socket_is_replaced_and_a_live_one_is_not(void **state)
{
	struct stage *s = *state;
	char address[128];
	struct stat st;
	int fd;

	snprintf(address, sizeof address, "unix:%s/s", s->dir);
	fd = open_at(address, false, true);
	assert_true(fd >= 0);
	assert_int_equal(stat(address + 5, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(open_at(address, false, true), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(fd); /* the file stays */
	fd = open_at(address, false, true);
	assert_true(fd >= 0);
	close(fd);
	unlink(address + 5);
}

static void a_file_in_the_way_of_a_unix_socket_is_left_alone(void **state)
{
	struct stage *s = *state;
	char address[128];
	int fd;

	snprintf(address, sizeof address, "unix:%s/s", s->dir);
	fd = open(address + 5, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(open_at(address, false, true), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(access(address + 5, F_OK), 0);
	unlink(address + 5);
	snprintf(address, sizeof address, "unix:%s/none/s", s->dir);
	assert_int_equal(open_at(address, false, true), -1);
	assert_int_equal(errno, ENOENT);
}

static void over_the_limit_the_backlog_waits(void **state)
{
	struct stage *s = *state;
	int fd[5];

	listen_with(s, 3);
	for (int i = 0; i < 5; i++)
		fd[i] = dial(s->port);
	run_ms(s, 20);
	assert_int_equal(conn_loop_count(s->loop), 3);
	assert_true(s->counters->value[M_ACCEPT_PAUSED] > 0);
	close(fd[0]);
	run_ms(s, 20); /* long before the timer */
	assert_int_equal(conn_loop_count(s->loop), 3);
	listener_limit(s->listener, 10);
	run_ms(s, 20);
	assert_int_equal(conn_loop_count(s->loop), 4);
	for (int i = 1; i < 5; i++)
		close(fd[i]);
	run_ms(s, 20);
	assert_int_equal(s->connections, 0);
}

static void without_descriptors_accepting_pauses_and_goes_on(void **state)
{
	struct stage *s = *state;
	struct rlimit old, low;
	int fd;

	listen_with(s, 100);
	fd = dial(s->port);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	run_ms(s, 30);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(conn_loop_count(s->loop), 0);
	assert_int_equal(s->counters->value[M_ACCEPT_PAUSED], 1);
	assert_int_equal(s->connections, 0);
	run_ms(s, 150);
	assert_int_equal(conn_loop_count(s->loop), 1);
	close(fd);
	run_ms(s, 20);
}

static void connections_outlive_their_listener(void **state)
{
	struct stage *s = *state;
	int fd;

	listen_with(s, 3);
	fd = dial(s->port);
	run_ms(s, 20);
	listener_free(s->listener);
	s->listener = NULL;
	assert_int_equal(s->connections, 1);
	assert_true(write(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27) == 27);
	run_ms(s, 20);
	assert_true(read(fd, (char[64]){0}, 64) > 0);
	close(fd);
	run_ms(s, 20);
	assert_int_equal(s->connections, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(addresses_are_numeric_or_localhost),
	    CASE(an_ipv6_wildcard_leaves_ipv4_alone),
	    CASE(reuseport_is_for_ourselves_only),
	    CASE(time_wait_does_not_refuse_the_restart),
	    CASE(a_dead_unix_socket_is_replaced_and_a_live_one_is_not),
	    CASE(a_file_in_the_way_of_a_unix_socket_is_left_alone),
	    CASE(over_the_limit_the_backlog_waits),
	    CASE(without_descriptors_accepting_pauses_and_goes_on),
	    CASE(connections_outlive_their_listener),
	};

	log_setup(0, 0, 0); /* errors only: pauses are expected here */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
