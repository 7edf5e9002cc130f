/* Descriptors as libcurl opens, watches and closes them, on a real loop; libcurl itself
 * is in unit/fetch. */
#include "proxy/http/sockets.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct event_base *base;
static struct sockets *sockets;
static int told, last_flags;
static curl_socket_t last_fd;
static bool close_when_told;

static void ready(void *arg, curl_socket_t fd, int flags)
{
	char c;

	assert_ptr_equal(arg, &told);
	told++;
	last_fd = fd;
	last_flags = flags;
	if (close_when_told)
		sockets_close(sockets, fd);
	else if (flags & CURL_CSELECT_IN)
		(void)!recv(fd, &c, 1, MSG_DONTWAIT);
}

static int begin(void **state)
{
	(void)state;
	base = event_base_new();
	sockets = sockets_new(base, ready, &told);
	told = last_flags = 0;
	close_when_told = false;
	return base != NULL && sockets != NULL ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	sockets_clear(sockets);
	sockets_free(sockets);
	event_base_free(base);
	return 0;
}

/* Once: what can be written to is ready for ever. */
static void turn(void)
{
	assert_int_not_equal(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK), -1);
}

static void watch(curl_socket_t fd, int what)
{
	assert_int_equal(sockets_watch(NULL, fd, what, sockets, NULL), 0);
}

/* A socket of ours that is one end of a pair; the other end is returned. */
static int open_pair(curl_socket_t *fd)
{
	const struct curl_sockaddr to = {
	    .family = AF_INET, .socktype = SOCK_STREAM, .protocol = 0};
	int pair[2];

	*fd = sockets_open(sockets, &to);
	assert_true(*fd >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(dup2(pair[0], *fd), *fd);
	close(pair[0]);
	return pair[1];
}

static void say(int fd)
{
	assert_int_equal(write(fd, "x", 1), 1);
}

static void what_is_waited_for_is_told(void **state)
{
	curl_socket_t fd;
	int peer = open_pair(&fd);

	(void)state;
	watch(fd, CURL_POLL_IN);
	turn();
	assert_int_equal(told, 0);
	say(peer);
	turn();
	assert_int_equal(told, 1);
	assert_int_equal(last_fd, fd);
	assert_int_equal(last_flags, CURL_CSELECT_IN);
	watch(fd, CURL_POLL_OUT);
	turn();
	assert_int_equal(last_flags, CURL_CSELECT_OUT);
	say(peer);
	watch(fd, CURL_POLL_INOUT);
	turn();
	assert_int_equal(last_flags, CURL_CSELECT_IN | CURL_CSELECT_OUT);
	assert_int_equal(sockets_close(sockets, fd), 0);
	close(peer);
}

/* A connection between two fetches: the next one finds it on the loop. */
static void a_socket_that_nobody_waits_for_is_silent_and_comes_back(void **state)
{
	curl_socket_t fd;
	int peer = open_pair(&fd);

	(void)state;
	for (int i = 1; i <= 3; i++) {
		watch(fd, CURL_POLL_IN);
		say(peer);
		turn();
		assert_int_equal(told, i);
		watch(fd, CURL_POLL_REMOVE);
		turn();
		assert_int_equal(told, i);
	}
	sockets_close(sockets, fd);
	close(peer);
}

/* ... also after something has come of it, which leaves the loop at rest. */
static void what_comes_while_nobody_waits_is_told_to_who_waits_next(void **state)
{
	curl_socket_t fd;
	int peer = open_pair(&fd);

	(void)state;
	watch(fd, CURL_POLL_IN);
	watch(fd, CURL_POLL_REMOVE);
	assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
	say(peer);
	turn();
	assert_int_equal(told, 0);
	assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	watch(fd, CURL_POLL_IN);
	turn();
	assert_int_equal(told, 1);
	sockets_close(sockets, fd);
	close(peer);
}

/* Its number is another socket's at once. */
static void a_number_that_is_used_again_is_watched_anew(void **state)
{
	(void)state;
	for (int i = 1; i <= 3; i++) {
		curl_socket_t fd;
		int peer = open_pair(&fd);

		watch(fd, CURL_POLL_IN);
		say(peer);
		turn();
		assert_int_equal(told, i);
		watch(fd, CURL_POLL_REMOVE);
		sockets_close(sockets, fd);
		close(peer);
	}
}

/* libcurl closes what it has opened for itself, and nobody hears of it. */
static void a_socket_that_is_not_ours_leaves_the_loop_at_once(void **state)
{
	int before = -1;

	(void)state;
	for (int i = 1; i <= 3; i++) {
		int pair[2];

		assert_int_equal(
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		if (before >= 0)
			assert_int_equal(pair[0], before);
		before = pair[0];
		watch(pair[0], CURL_POLL_IN);
		say(pair[1]);
		turn();
		assert_int_equal(told, i);
		watch(pair[0], CURL_POLL_REMOVE);
		assert_int_equal(
		    event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
		close(pair[0]);
		close(pair[1]);
	}
}

static void a_socket_may_be_closed_by_who_is_told(void **state)
{
	curl_socket_t fd;
	int peer = open_pair(&fd);

	(void)state;
	close_when_told = true;
	watch(fd, CURL_POLL_IN);
	say(peer);
	turn();
	turn();
	assert_int_equal(told, 1);
	close(peer);
}

static void a_high_number_has_room(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(dup2(pair[0], 900), 900);
	watch(900, CURL_POLL_IN);
	say(pair[1]);
	turn();
	assert_int_equal(last_fd, 900);
	watch(900, CURL_POLL_REMOVE);
	close(900);
	close(pair[0]);
	close(pair[1]);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(what_is_waited_for_is_told),
	    CASE(a_socket_that_nobody_waits_for_is_silent_and_comes_back),
	    CASE(what_comes_while_nobody_waits_is_told_to_who_waits_next),
	    CASE(a_number_that_is_used_again_is_watched_anew),
	    CASE(a_socket_that_is_not_ours_leaves_the_loop_at_once),
	    CASE(a_socket_may_be_closed_by_who_is_told),
	    CASE(a_high_number_has_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
