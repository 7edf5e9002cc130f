/* Guests on the API's loop: where they come from, how many there may be, by which names
 * they may call us. */
#include "tests/lib/faults.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "proxy/api/guests.h"
#include "tests/lib/forge.h"

static struct stage {
	struct event_base *base;
	struct conn_loop *loop;
	struct counters *counters;
	_Atomic int count;
	struct gate_from from; /* of the last request */
	int requests;
} stage;

static void on_request(
    void *arg, struct conn *c, const struct http1_request *r, struct bytes body)
{
	(void)arg, (void)r, (void)body;
	guest_from(c, &stage.from);
	stage.requests++;
	conn_error(c, 404, NULL, false);
}

static const struct conn_handler handler = {.request = on_request};

static int stage_up(void **state)
{
	static const struct conn_limits limits = {
	    5000, 5000, 30000, 10000, 2000, 1 << 20, 8192, 4096, 10000};

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	stage = (struct stage){
	    .base = event_base_new(), .counters = calloc(1, sizeof *stage.counters)};
	stage.loop = conn_loop_new(stage.base, &limits, &handler, NULL, stage.counters);
	assert_non_null(stage.loop);
	return 0;
}

static int stage_down(void **state)
{
	(void)state;
	conn_loop_free(stage.loop);
	assert_int_equal(stage.count, 0);
	event_base_free(stage.base);
	free(stage.counters);
	return 0;
}

/* A guest's message, and *client, the other end of what it brings. */
static struct tls_guest *guest(int *client)
{
	struct tls_guest *g = calloc(1, sizeof *g);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(4711)};
	int pair[2];

	assert_non_null(g);
	inet_pton(AF_INET, "192.0.2.7", &at.sin_addr);
	memcpy(&g->peer, &at, sizeof at);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	g->fd = pair[0];
	*client = pair[1];
	return g;
}

static void ask(int fd)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	int before = stage.requests;

	assert_int_equal(send(fd, text, sizeof text - 1, 0), sizeof text - 1);
	for (int i = 0; i < 100 && stage.requests == before; i++)
		event_base_loop(stage.base, EVLOOP_ONCE);
	assert_int_equal(stage.requests, before + 1);
}

static bool has_ended(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

static void a_guest_is_known_by_what_tls_has_seen(void **state)
{
	struct sockaddr_in *from = (struct sockaddr_in *)&stage.from.peer;
	struct tls_guest *g;
	uint8_t shown[32];
	int plain[2], fd;

	(void)state;
	g = guest(&fd);
	memset(shown, 7, sizeof shown);
	memcpy(g->certificate, shown, sizeof shown);
	guest_open(stage.loop, g, &stage.count); /* has_certificate is false */
	assert_int_equal(stage.count, 1);
	ask(fd);
	assert_true(stage.from.outside);
	assert_null(stage.from.certificate);
	assert_int_equal(from->sin_addr.s_addr, inet_addr("192.0.2.7"));
	close(fd);

	g = guest(&fd);
	g->has_certificate = true;
	memcpy(g->certificate, shown, sizeof shown);
	guest_open(stage.loop, g, &stage.count);
	ask(fd);
	assert_memory_equal(stage.from.certificate, shown, sizeof shown);
	close(fd);

	/* who is none: of a unix socket, which a pair is too */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, plain), 0);
	assert_non_null(conn_new(stage.loop, plain[0], NULL, NULL));
	ask(plain[1]);
	assert_false(stage.from.outside);
	assert_null(stage.from.certificate);
	assert_int_equal(stage.from.peer.ss_family, AF_UNIX);
	close(plain[1]);
}

static void over_the_limit_one_is_sent_away(void **state)
{
	static int fd[GUESTS_MAX];
	int one_more;

	(void)state;
	for (size_t i = 0; i < GUESTS_MAX; i++)
		guest_open(stage.loop, guest(&fd[i]), &stage.count);
	assert_int_equal(stage.count, GUESTS_MAX);
	guest_open(stage.loop, guest(&one_more), &stage.count);
	assert_int_equal(stage.count, GUESTS_MAX);
	assert_true(has_ended(one_more));
	close(one_more);
	/* a place that becomes free is the next one's */
	close(fd[0]);
	for (int i = 0; i < 100 && stage.count == GUESTS_MAX; i++)
		event_base_loop(stage.base, EVLOOP_ONCE);
	assert_int_equal(stage.count, GUESTS_MAX - 1);
	guest_open(stage.loop, guest(&fd[0]), &stage.count);
	ask(fd[0]);
	for (size_t i = 0; i < GUESTS_MAX; i++)
		close(fd[i]);
}

static void without_memory_it_is_sent_away(void **state)
{
	unsigned long n = 0, calls;
	int fd;

	(void)state;
	do {
		struct tls_guest *g = guest(&fd);

		faults_arm(FAULT_MEMORY, ++n, 1);
		guest_open(stage.loop, g, &stage.count);
		calls = faults_disarm();
		if (calls >= n) {
			assert_int_equal(stage.count, 0);
			assert_true(has_ended(fd));
		} else {
			assert_int_equal(stage.count, 1);
			ask(fd);
		}
		close(fd);
	} while (calls >= n);
	assert_true(n > 1);
}

/* Names. */

static void name(X509 *x, EVP_PKEY *key, const char *names)
{
	X509_EXTENSION *e = X509V3_EXT_nconf_nid(NULL, NULL, NID_subject_alt_name, names);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
}

static bool ours(const struct conf *c, const char *host)
{
	return guest_host_is_ours(c, bytes_of(host, strlen(host)));
}

/* T21: nor by a name that somebody else has given our address. */
static void we_are_called_by_our_names_alone(void **state)
{
	static const char *const good[] = {"api.example", "API.example:443",
	    "a.fleet.example", "192.0.2.1", "192.0.2.1:8081", "[2001:db8::1]",
	    "[2001:DB8:0::1]:8081", "other.example", "Other.Example:1", "198.51.100.9"};
	static const char *const bad[] = {"", ":", ":443", "[]", "[", "localhost",
	    "127.0.0.1", "evil.example", "api.example.evil.example", "xapi.example",
	    "api.exampl", "b.a.fleet.example", "fleet.example", "192.0.2.10",
	    "[2001:db8::2]", "[::1]", "api.example.", " api.example", "server"};
	char *hosts[] = {(char[]){"other.example"}, (char[]){"198.51.100.9"}};
	struct forge_cert f = {
	    .subject = "server", .from = time(NULL) - 86400, .to = time(NULL) + 86400};
	struct conf *c = calloc(1, sizeof *c);
	char longest[2000];
	X509 *x;

	(void)state;
	f.key = f.issuer_key = forge_key("P-256");
	x = forge_cert(&f);
	name(x, f.key, "DNS:api.example,DNS:*.fleet.example,IP:192.0.2.1,IP:2001:db8::1");
	c->api_tls = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(c->api_tls, x), 1);
	c->api_host = (__typeof__(c->api_host))hosts;
	c->api_host_n = 2;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		if (!ours(c, good[i]))
			fail_msg("not ours: %s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (ours(c, bad[i]))
			fail_msg("ours: %s", bad[i]);
	assert_false(guest_host_is_ours(c, bytes_of("api.example\0.evil", 17)));
	memset(longest, 'a', sizeof longest);
	assert_false(guest_host_is_ours(c, bytes_of(longest, sizeof longest)));
	SSL_CTX_free(c->api_tls);
	c->api_tls = NULL;
	assert_false(ours(c, "api.example"));
	assert_true(ours(c, "other.example"));
	X509_free(x);
	EVP_PKEY_free(f.key);
	free(c);
}

#define STAGED(test) cmocka_unit_test_setup_teardown(test, stage_up, stage_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    STAGED(a_guest_is_known_by_what_tls_has_seen),
	    STAGED(over_the_limit_one_is_sent_away),
	    STAGED(without_memory_it_is_sent_away),
	    cmocka_unit_test(we_are_called_by_our_names_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
