/* instructions.c - what a hit and a miss cost, for callgrind to count: the front as a
 * worker has it (serve, connections, the event loop) over the flights of a world.
 *
 * tests/e2e/test_cost.py runs it by valgrind and reads a dump of counts for each thing
 * that is named below.  Only what the daemon does is collected: not the client, not the
 * CA.  One thread, a clock that stands still, a fixed number of everything: what is
 * counted varies by what is signed and by addresses, and by nothing else.
 *
 * Prints what the processor can, as valgrind lets the program see it: libraries choose
 * their code by that, so that counts compare only where it is the same.
 */
#include "proxy/front/serve.h"

#include <event2/event.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <unistd.h>
#include <valgrind/callgrind.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "proxy/keeper/keeper.h"
#include "tests/lib/world.h"

#define HITS   1024 /* a multiple of 64: one of 64 is measured by the daemon itself */
#define MISSES 9    /* test_cost.py takes the median: no two signatures cost the same */

static struct front {
	struct serve *serve;
	struct inbox *inbox;
	struct conn_loop *loop;
	struct event_base *base;
	struct counters *counters;
	int client;
} front;

/* For the front the world's flights are the keeper. */
void keeper_ask(struct shared *shared, struct ask *a)
{
	(void)shared;
	flights_ask(world_flights, a);
}

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "instructions: %s\n", what);
	exit(1);
}

static void front_open(void)
{
	static const struct conn_limits limits = {
	    5000, 5000, 30000, 10000, 2000, 1 << 20, 8192, 4096, 10000};
	int fd[2];

	front.base = world_parts()->context.base;
	front.counters = metrics_thread();
	front.serve = serve_new(&world_shared, front.counters);
	front.inbox = inbox_new(front.base, front.serve);
	front.loop = conn_loop_new(
	    front.base, &limits, &serve_handler, front.serve, front.counters);
	serve_attach(front.serve, front.inbox, front.loop);
	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0, "no sockets");
	front.client = fd[0];
	need(conn_new(front.loop, fd[1], NULL, NULL) != NULL, "no connection");
}

static void front_close(void)
{
	conn_loop_free(front.loop);
	inbox_free(front.inbox);
	serve_free(front.serve);
	close(front.client);
}

static size_t get_request(unsigned serial, char *out)
{
	char text[4 * KEY_DER_MAX / 3 + 4];
	struct key k;

	world_key(serial, CERTID_SHA1, &k);
	EVP_EncodeBlock((unsigned char *)text, k.der, k.der_n);
	return (size_t)sprintf(
	    out, "GET /%s HTTP/1.1\r\nHost: ocsp.example.com\r\n\r\n", text);
}

static size_t post_request(unsigned serial, char *out)
{
	struct key k;
	size_t n;

	world_key(serial, CERTID_SHA1, &k);
	n = (size_t)sprintf(out,
	    "POST / HTTP/1.1\r\nHost: ocsp.example.com\r\n"
	    "Content-Type: application/ocsp-request\r\nContent-Length: %u\r\n\r\n",
	    k.der_n);
	memcpy(out + n, k.der, k.der_n);
	return n + k.der_n;
}

static void say(const char *request, size_t n)
{
	need(write(front.client, request, n) == (ssize_t)n, "the request was not taken");
}

/* What is ready, in turns of the loop; collected. */
static void turn(int times)
{
	CALLGRIND_TOGGLE_COLLECT;
	for (int i = 0; i < times; i++)
		event_base_loop(front.base, EVLOOP_NONBLOCK);
	CALLGRIND_TOGGLE_COLLECT;
}

/* The answer has come, whole, and from where it should. */
static void hear(const char *from)
{
	char text[8192];
	ssize_t n = read(front.client, text, sizeof text - 1);

	need(n > 0, "no answer");
	text[n] = '\0';
	need(strncmp(text, "HTTP/1.1 200 ", 13) == 0 && strstr(text, from) != NULL, text);
}

static void miss(const char *name, unsigned serial)
{
	const struct world_says says = {.serial = serial,
	    .status = STATUS_GOOD,
	    .from = -10,
	    .to = 3600,
	    .delegated = true};
	struct bytes der = world_sign(&says);
	char request[1024];

	say(request, get_request(serial, request));
	CALLGRIND_ZERO_STATS;
	turn(2);
	need(fake_fetches_waiting() == 1, "no fetch");
	CALLGRIND_TOGGLE_COLLECT;
	fake_fetch_answer(0, 200, der);
	CALLGRIND_TOGGLE_COLLECT;
	turn(3);
	CALLGRIND_DUMP_STATS_AT(name);
	hear("miss");
}

static void hits(const char *name, const char *request, size_t n)
{
	say(request, n); /* what a connection has once */
	turn(1);
	hear("hit");
	CALLGRIND_ZERO_STATS;
	for (int i = 0; i < HITS; i++) {
		say(request, n);
		turn(1);
		hear("hit");
	}
	CALLGRIND_DUMP_STATS_AT(name);
}

/* Its features, and nothing of which one it is; where there is cpuid, its leaves 1 and 7
 * have them. */
static void print_processor(void)
{
#ifdef __x86_64__
	unsigned a, b, c = 0, d = 0, b7 = 0, c7 = 0, d7 = 0;

	__get_cpuid(1, &a, &b, &c, &d);
	__get_cpuid_count(7, 0, &a, &b7, &c7, &d7);
	printf("%08x-%08x-%08x-%08x-%08x\n", c, d, b7, c7, d7);
#else
	printf("%lx-%lx\n", getauxval(AT_HWCAP), getauxval(AT_HWCAP2));
#endif
}

int main(void)
{
	char request[1024];

	signal(SIGPIPE, SIG_IGN);
	print_processor();
	world_begin("", "");
	front_open();
	miss("first", 1); /* what is made once: tables of curves, and the delegate */
	for (unsigned i = 0; i < MISSES; i++)
		miss("miss", 2 + i);
	hits("hit-get", request, get_request(1, request));
	hits("hit-post", request, post_request(1, request));
	front_close();
	world_end();
	return 0;
}
