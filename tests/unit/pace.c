/* Times are made up, sockets are real: what the kernel owes is what it says. */
#include "proxy/http/pace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define TIMEOUT 1000
#define PIECE   4096

struct pair {
	int from, to;
	struct pace pace;
	size_t given, taken;
};

static void pair_tcp(struct pair *p)
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof at;
	int l = socket(AF_INET, SOCK_STREAM, 0), room = 4096;

	setsockopt(l, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	assert_int_equal(bind(l, (struct sockaddr *)&at, n), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&at, &n), 0);
	p->from = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(p->from, (struct sockaddr *)&at, n), 0);
	p->to = accept(l, NULL, NULL);
	close(l);
	fcntl(p->from, F_SETFL, O_NONBLOCK);
	fcntl(p->to, F_SETFL, O_NONBLOCK);
}

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof *p);

	pair_tcp(p);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;

	close(p->from);
	close(p->to);
	free(p);
	return 0;
}

/* Until the socket takes no more. */
static void fill(struct pair *p)
{
	static const char piece[PIECE];
	ssize_t n;

	while ((n = write(p->from, piece, sizeof piece)) > 0) {
		pace_gave(&p->pace, (size_t)n);
		p->given += (size_t)n;
	}
}

/* Take what there is, until the kernel of the other side has noticed at least n bytes. */
static void take(struct pair *p, int64_t n)
{
	static char got[65536];
	int64_t before = pace_owed(p->from);
	ssize_t m;

	while (before - pace_owed(p->from) < n) {
		m = read(p->to, got, sizeof got);
		if (m > 0)
			p->taken += (size_t)m;
	}
}

static bool look(struct pair *p, int64_t now, int64_t rate)
{
	return pace_look(&p->pace, p->from, now, TIMEOUT, rate);
}

static void who_takes_nothing_is_late_after_the_timeout(void **state)
{
	static const int64_t rates[] = {PACE_ANY, PACE_ANSWER, PACE_HOLDING};
	struct pair *p = *state;

	fill(p);
	for (size_t i = 0; i < 3; i++) {
		pace_begin(&p->pace, 5000);
		for (int64_t now = 5250; now < 6000; now += 250)
			assert_true(look(p, now, rates[i]));
		assert_false(look(p, 6000, rates[i]));
	}
}

/* T22: the socket may not be writable for many timeouts: bytes that go are enough. */
static void who_takes_steadily_is_never_late(void **state)
{
	struct pair *p = *state;
	int64_t now = 0;

	fill(p);
	pace_begin(&p->pace, now);
	p->pace.owed = pace_owed(p->from);
	for (int i = 0; i < 40; i++) {
		take(p, PACE_HOLDING / PACE_LOOKS);
		assert_true(look(p, now += TIMEOUT / PACE_LOOKS, PACE_HOLDING));
		assert_int_equal(p->pace.since_ms, now);
		fill(p);
	}
}

/* 1000 ms for every 16 KiB, or every 1 KiB: a tenth of the pace is too little. */
static void a_trickle_is_late_in_the_end(void **state)
{
	struct pair *p = *state;
	int64_t now = 0;

	fill(p);
	pace_begin(&p->pace, now);
	while (look(p, now += TIMEOUT / PACE_LOOKS, PACE_HOLDING)) {
		int64_t before = p->pace.owed;

		assert_true(now < 100 * TIMEOUT);
		take(p, 1);
		/* as if it had been 400 bytes in this quarter of a second */
		p->pace.owed = pace_owed(p->from) + 400;
		assert_true(before > 0);
	}
	/* 1600 of 16384 bytes a second: the timeout, and a tenth of it, more or less */
	assert_in_range(now, TIMEOUT, 2 * TIMEOUT);
	pace_begin(&p->pace, now);
	for (int i = 0; i < 40; i++) {
		p->pace.owed = pace_owed(p->from) + 400;
		assert_true(look(p, now += TIMEOUT / PACE_LOOKS, PACE_ANSWER));
	}
}

static void a_byte_is_enough_for_who_holds_nothing(void **state)
{
	struct pair *p = *state;
	int64_t now = 0;

	fill(p);
	pace_begin(&p->pace, now);
	for (int i = 0; i < 20; i++) {
		p->pace.owed = pace_owed(p->from) + 1;
		assert_true(look(p, now += TIMEOUT - 1, PACE_ANY));
	}
	assert_false(look(p, now += TIMEOUT, PACE_ANY));
}

/* What was taken at once does not count for later. */
static void nobody_is_given_more_than_a_timeout(void **state)
{
	struct pair *p = *state;

	pace_begin(&p->pace, 0);
	p->pace.owed = 100 << 20;
	assert_true(look(p, 10, PACE_HOLDING));
	assert_int_equal(p->pace.since_ms, 10);
	assert_true(look(p, 10 + TIMEOUT - 1, PACE_HOLDING));
	assert_false(look(p, 10 + TIMEOUT, PACE_HOLDING));
}

static void what_the_kernel_had_before_is_found_out_by_the_first_look(void **state)
{
	struct pair *p = *state;

	fill(p);
	pace_begin(&p->pace, 0);
	assert_int_equal(pace_due(&p->pace, TIMEOUT), TIMEOUT / PACE_LOOKS);
	assert_true(look(p, 250, PACE_ANY));
	assert_int_equal(p->pace.since_ms, 0);
	assert_int_equal(p->pace.owed, pace_owed(p->from));
	assert_int_equal(pace_due(&p->pace, TIMEOUT), 250 + TIMEOUT / PACE_LOOKS);
	take(p, 1);
	assert_true(look(p, 1249, PACE_ANY));
	assert_int_equal(p->pace.since_ms, 1249);
}

/* There the kernel counts buffers. */
static void a_unix_socket_is_looked_at_too(void **state)
{
	struct pair p = {0};
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	p.from = fd[0];
	p.to = fd[1];
	assert_int_equal(pace_owed(p.from), 0);
	fill(&p);
	assert_true(pace_owed(p.from) >= (int64_t)p.given);
	pace_begin(&p.pace, 0);
	assert_true(look(&p, 500, PACE_HOLDING));
	take(&p, PACE_HOLDING);
	assert_true(look(&p, 1400, PACE_HOLDING));
	assert_int_equal(p.pace.since_ms > 900, true);
	assert_false(look(&p, 2400, PACE_HOLDING));
	close(p.from);
	close(p.to);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(who_takes_nothing_is_late_after_the_timeout),
	    CASE(who_takes_steadily_is_never_late),
	    CASE(a_trickle_is_late_in_the_end),
	    CASE(a_byte_is_enough_for_who_holds_nothing),
	    CASE(nobody_is_given_more_than_a_timeout),
	    CASE(what_the_kernel_had_before_is_found_out_by_the_first_look),
	    CASE(a_unix_socket_is_looked_at_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
