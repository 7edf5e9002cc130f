/* Handshakes and links, by OpenSSL's client: what goes through, who is cut off and when,
 * what half-open ones cost those who stream, and all of it once more while calls fail.
 * The clock stands until a test moves it. */
#include "tests/lib/faults.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "proxy/base/log.h"
#include "proxy/http/listener.h"
#include "proxy/http/tls.h"
#include "tests/lib/forge.h"

#define PATIENCE_S 60 /* of real time, for what happens at once */
#define BIG        (3 * 1024 * 1024)
#define SOME       (40 * 1024) /* three records */
#define SAMPLE     60          /* lives of a kind in a quick run */

static _Atomic int64_t mono_ms = 1000000;

EARLY int clock_gettime(clockid_t clock, struct timespec *t)
{
	int64_t ms = mono_ms;

	if (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE)
		return (int)syscall(SYS_clock_gettime, clock, t);
	t->tv_sec = (time_t)(ms / 1000);
	t->tv_nsec = (long)(ms % 1000) * 1000000;
	return 0;
}

static void pass(int64_t ms)
{
	mono_ms += ms;
}

static time_t real_s(void)
{
	struct timespec t;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* The house: its thread, and who serves its guests, which is the test's own thread. */

static char directory[64];
static SSL_CTX *rules[2]; /* as configured, each with a certificate of its own */
static SSL_CTX *client_rules;
static uint8_t *pattern; /* BIG bytes */

static struct {
	struct event_base *base;
	struct inbox *inbox;
	struct tls *tls;
	int port;
	struct tls_guest *last; /* who came last */
	size_t came;
} house;

static void write_pem(const char *name, X509 *x, EVP_PKEY *key)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s.pem", directory, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, x), 1);
	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
}

static SSL_CTX *configured(const char *name)
{
	struct forge_cert c = {
	    .subject = name, .from = time(NULL) - 86400, .to = time(NULL) + 86400};
	struct conf_errors errors = {0};
	char text[1024], path[128];
	struct conf *conf;
	SSL_CTX *x;
	X509 *made;

	c.key = c.issuer_key = forge_key("P-256");
	c.ca = true;
	c.usage = "critical,keyCertSign,digitalSignature";
	made = forge_cert(&c);
	write_pem(name, made, c.key);
	snprintf(path, sizeof path, "%s/conf", directory);
	snprintf(text, sizeof text,
	    "api-tls-certificate = \"%s.pem\"\napi-tls-private-key = \"%s.pem\"\n"
	    "issuer \"a\" {\n\tcertificate = \"%s.pem\"\n\tocsp = "
	    "\"http://127.0.0.1:1/\"\n"
	    "}\n",
	    name, name, name);
	conf = conf_load(path, text, &errors);
	for (size_t i = 0; i < errors.n; i++)
		fprintf(stderr, "%s\n", errors.line[i]);
	assert_non_null(conf);
	conf_errors_free(&errors);
	x = conf->api_tls;
	SSL_CTX_up_ref(x);
	conf_free(conf);
	X509_free(made);
	EVP_PKEY_free(c.key);
	return x;
}

static void arrived(void *inbox_arg, struct msg *m)
{
	(void)inbox_arg;
	if (house.last != NULL)
		close(house.last->fd);
	free(house.last);
	house.last = (struct tls_guest *)m;
	house.came++;
}

static bool house_open(void)
{
	struct sockaddr_in at;
	socklen_t n = sizeof at;
	char why[256];
	bool exempt = faults_exempt(true);
	int fd = listener_open("127.0.0.1:0", 2048, false, false, why, sizeof why);

	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	house.port = ntohs(at.sin_port);
	house.base = event_base_new();
	house.inbox = inbox_new(house.base, NULL);
	house.last = NULL;
	house.came = 0;
	assert_non_null(house.inbox);
	faults_exempt(exempt);
	house.tls = tls_new(&fd, 1, rules[0], house.inbox, arrived, 4096);
	if (house.tls == NULL)
		return false;
	faults_exempt(true);
	assert_int_equal(tls_start(house.tls), 0);
	faults_exempt(exempt);
	return true;
}

static void drop_last(void)
{
	if (house.last != NULL)
		close(house.last->fd);
	free(house.last);
	house.last = NULL;
}

static _Atomic bool passes;

static void *let_pass(void *arg)
{
	while (passes) {
		pass(1000);
		usleep(5000);
	}
	return arg;
}

/* From now on time passes by itself, 200 times as fast. */
static void begin_passing(pthread_t *thread)
{
	passes = true;
	assert_int_equal(pthread_create(thread, NULL, let_pass, NULL), 0);
}

static void end_passing(pthread_t thread)
{
	passes = false;
	pthread_join(thread, NULL);
}

static void house_end(void)
{
	pthread_t passing;

	begin_passing(&passing); /* links have their moment */
	if (house.tls != NULL) {
		tls_stop(house.tls);
		tls_join(house.tls);
	}
	end_passing(passing);
	tls_free(house.tls);
	inbox_free(house.inbox);
	drop_last();
	event_base_free(house.base);
}

static int open_house(void **state)
{
	(void)state;
	return house_open() ? 0 : -1;
}

static int end_house(void **state)
{
	(void)state;
	house_end();
	return 0;
}

/* What comes to pass on its own. */
#define UNTIL(condition)                                                                 \
	do {                                                                             \
		time_t end_ = real_s() + PATIENCE_S;                                     \
		while (!(condition)) {                                                   \
			assert_true(real_s() < end_);                                    \
			event_base_loop(house.base, EVLOOP_NONBLOCK);                    \
			usleep(200);                                                     \
		}                                                                        \
	} while (0)

/* Clients. */

struct client {
	int fd;
	SSL *ssl;
	int guest; /* our end of its link; -1: it has not come */
};

static int dial(void)
{
	static const struct timeval patience = {PATIENCE_S, 0};
	struct sockaddr_in at = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)house.port),
	    .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	return fd;
}

static bool shake(struct client *c, int fd, int version)
{
	*c = (struct client){.fd = fd, .ssl = SSL_new(client_rules), .guest = -1};
	assert_non_null(c->ssl);
	if (version != 0)
		SSL_set_max_proto_version(c->ssl, version);
	SSL_set_fd(c->ssl, fd);
	ERR_clear_error();
	return SSL_connect(c->ssl) == 1;
}

/* A client whose guest has come. */
static void come(struct client *c, int fd, int version)
{
	size_t before = house.came;

	assert_true(shake(c, fd, version));
	UNTIL(house.came == before + 1);
	c->guest = house.last->fd;
	free(house.last);
	house.last = NULL;
}

static void leave(struct client *c)
{
	SSL_free(c->ssl);
	close(c->fd);
	if (c->guest >= 0)
		close(c->guest);
}

/* Whom we have accepted before: those who dialled before this. */
static void all_are_in(void)
{
	struct client c;

	come(&c, dial(), 0);
	leave(&c);
}

static bool has_ended(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

/* An event to whoever streams. */
static void tell(struct client *c)
{
	char got[8] = "";

	assert_int_equal(send(c->guest, "event\n", 6, MSG_NOSIGNAL), 6);
	assert_int_equal(SSL_read(c->ssl, got, sizeof got), 6);
	assert_string_equal(got, "event\n");
}

/* n bytes of the pattern to the guest and as many back.  False: it was cut off, and what
 * had come was right. */
static bool exchange(struct client *c, size_t n)
{
	size_t up = 0, arrived_up = 0, down = 0, arrived_down = 0;
	time_t end = real_s() + PATIENCE_S;
	uint8_t got[32768];
	bool alive = true;

	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	while (alive && (arrived_up < n || arrived_down < n)) {
		ssize_t said, heard;
		int wrote = 0, read_n;

		assert_true(real_s() < end);
		ERR_clear_error();
		if (up < n)
			wrote = SSL_write(c->ssl, pattern + up, (int)(n - up));
		if (up < n && wrote <= 0)
			alive = SSL_get_error(c->ssl, wrote) == SSL_ERROR_WANT_WRITE;
		up += wrote > 0 ? (size_t)wrote : 0;
		heard = recv(c->guest, got, sizeof got, MSG_DONTWAIT);
		if (heard > 0) {
			assert_memory_equal(got, pattern + arrived_up, (size_t)heard);
			arrived_up += (size_t)heard;
		} else {
			alive &= heard < 0 && errno == EAGAIN;
		}
		said = down < n ? send(c->guest, pattern + down, n - down,
				      MSG_NOSIGNAL | MSG_DONTWAIT)
				: 0;
		alive &= said >= 0 || errno == EAGAIN;
		down += said > 0 ? (size_t)said : 0;
		ERR_clear_error();
		read_n = SSL_read(c->ssl, got, sizeof got);
		if (read_n > 0) {
			assert_memory_equal(got, pattern + arrived_down, (size_t)read_n);
			arrived_down += (size_t)read_n;
		} else {
			alive &= SSL_get_error(c->ssl, read_n) == SSL_ERROR_WANT_READ;
		}
		if (read_n <= 0 && heard <= 0)
			usleep(100);
	}
	fcntl(c->fd, F_SETFL, 0);
	return alive;
}

/* What goes through. */

static void bytes_go_both_ways(void **state)
{
	struct client c;
	struct sockaddr_in here;
	socklen_t n = sizeof here;
	size_t before = house.came;

	(void)state;
	assert_true(shake(&c, dial(), 0));
	UNTIL(house.came == before + 1);
	getsockname(c.fd, (struct sockaddr *)&here, &n);
	assert_memory_equal(&house.last->peer, &here, sizeof here);
	assert_false(house.last->has_certificate);
	c.guest = house.last->fd;
	free(house.last);
	house.last = NULL;
	assert_true(exchange(&c, BIG));
	leave(&c);
}

static void the_end_of_one_side_is_told_to_the_other(void **state)
{
	struct client c;
	char got[8] = "";

	(void)state;
	come(&c, dial(), 0);
	assert_int_equal(SSL_write(c.ssl, "request", 7), 7);
	assert_int_equal(SSL_shutdown(c.ssl), 0);
	UNTIL(recv(c.guest, got, sizeof got, MSG_DONTWAIT) == 7);
	UNTIL(recv(c.guest, got, sizeof got, MSG_DONTWAIT) == 0);
	/* which may still answer */
	assert_int_equal(send(c.guest, "answer", 6, MSG_NOSIGNAL), 6);
	close(c.guest);
	c.guest = -1;
	assert_int_equal(SSL_read(c.ssl, got, sizeof got), 6);
	assert_int_equal(SSL_read(c.ssl, got, sizeof got), 0);
	assert_int_equal(
	    SSL_get_error(c.ssl, 0), SSL_ERROR_ZERO_RETURN); /* close_notify */
	leave(&c);
	/* and a client that is torn away */
	come(&c, dial(), 0);
	close(c.fd);
	c.fd = -1;
	UNTIL(has_ended(c.guest));
	leave(&c);
}

/* Until nothing of it goes anywhere, and the thread has seen that. */
static void fill(int fd)
{
	bool went = true;

	for (int quiet = 0; quiet < 3; quiet = went ? 0 : quiet + 1) {
		went = false;
		while (send(fd, pattern, 65536, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
			went = true;
		all_are_in();
	}
}

static void who_takes_nothing_is_cut_off_after_a_while(void **state)
{
	struct client slow, stream;
	struct pollfd p = {.events = POLLOUT};
	char c;

	(void)state;
	come(&slow, dial(), 0);
	come(&stream, dial(), 0);
	p.fd = slow.guest;
	fill(slow.guest);
	tell(&stream);
	pass(TLS_STALL_MS - 1000);
	all_are_in(); /* the thread has gone round */
	tell(&stream);
	assert_int_equal(poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR), 0);
	pass(2000);
	UNTIL(recv(slow.guest, &c, 1, MSG_DONTWAIT) == 0);
	tell(&stream);
	leave(&slow);
	leave(&stream);
}

/* Handshakes. */

/* A ClientHello, as bytes. */
static int hello(uint8_t *to, int room)
{
	SSL *ssl = SSL_new(client_rules);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	int n;

	SSL_set_bio(ssl, in, out);
	assert_int_equal(SSL_connect(ssl), -1);
	n = BIO_read(out, to, room);
	assert_true(n > 100);
	SSL_free(ssl);
	return n;
}

/* T21: who is silent, or sends a byte a second, costs the others nothing. */
static void a_handshake_has_its_time_and_streams_go_on(void **state)
{
	int silent, drop_by_drop, late;
	struct client stream, c;
	uint8_t text[2048];

	(void)state;
	hello(text, sizeof text);
	come(&stream, dial(), 0);
	silent = dial();
	drop_by_drop = dial();
	late = dial();
	all_are_in();
	for (int i = 0; i < TLS_SHAKE_MS / 1000 - 1; i++) {
		assert_int_equal(send(drop_by_drop, text + i, 1, MSG_NOSIGNAL), 1);
		pass(1000);
		tell(&stream);
	}
	come(&c, late, 0); /* in the tenth second */
	leave(&c);
	pass(1000);
	UNTIL(has_ended(silent));
	UNTIL(has_ended(drop_by_drop));
	tell(&stream);
	all_are_in();
	close(silent);
	close(drop_by_drop);
	leave(&stream);
}

/* T21 */
static void half_open_ones_keep_nobody_out(void **state)
{
	static int half[TLS_HALF_MAX];
	struct client stream, c;
	uint8_t text[2048];

	(void)state;
	hello(text, sizeof text);
	come(&stream, dial(), 0);
	for (size_t i = 0; i < TLS_HALF_MAX; i++) {
		half[i] = dial();
		assert_int_equal(send(half[i], text, i % 100, MSG_NOSIGNAL), i % 100);
	}
	tell(&stream);
	come(&c, dial(), 0);
	tell(&c);
	tell(&stream);
	/* the oldest made room */
	UNTIL(has_ended(half[0]));
	assert_false(has_ended(half[1]));
	assert_false(has_ended(half[TLS_HALF_MAX - 1]));
	for (size_t i = 0; i < TLS_HALF_MAX; i++)
		close(half[i]);
	leave(&c);
	leave(&stream);
}

/* T21 */
static void nobody_renegotiates(void **state)
{
	struct client stream, c;

	(void)state;
	come(&stream, dial(), 0);
	come(&c, dial(), TLS1_2_VERSION);
	tell(&c);
	for (int i = 0; i < 2; i++) {
		ERR_clear_error();
		assert_int_equal(SSL_renegotiate(c.ssl), 1);
		assert_true(SSL_do_handshake(c.ssl) <= 0);
		assert_int_equal(
		    ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
		tell(&stream);
		leave(&c);
		come(&c, dial(), TLS1_2_VERSION);
	}
	leave(&c);
	leave(&stream);
}

static void what_is_no_handshake_ends(void **state)
{
	static const char *const text[] = {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	    "\x16\x03\x01\xff\xff\x01", "\x80\x2e\x01\x00\x02",
	    "\x15\x03\x03\x00\x02\x02\x28"};
	static const size_t n[] = {25, 6, 5, 7};

	(void)state;
	for (size_t i = 0; i < sizeof n / sizeof n[0]; i++) {
		struct client stream;
		char got[64];
		int fd = dial();

		come(&stream, dial(), 0);
		assert_int_equal(send(fd, text[i], n[i], MSG_NOSIGNAL), n[i]);
		shutdown(fd, SHUT_WR);
		while (recv(fd, got, sizeof got, 0) > 0) /* an alert */
			;
		tell(&stream);
		close(fd);
		leave(&stream);
	}
	assert_null(house.last);
}

/* Orders. */

static bool shows(const struct client *c, SSL_CTX *x)
{
	return X509_cmp(SSL_get0_peer_certificate(c->ssl), SSL_CTX_get0_certificate(x)) ==
	       0;
}

static void a_reload_is_for_those_who_come_then(void **state)
{
	struct client old, c;
	bool is_new = false;

	(void)state;
	come(&old, dial(), 0);
	assert_true(shows(&old, rules[0]));
	tls_reload(house.tls, rules[0]);
	tls_reload(house.tls, rules[1]);
	for (time_t end = real_s() + PATIENCE_S; !is_new;) {
		assert_true(real_s() < end);
		come(&c, dial(), 0);
		is_new = shows(&c, rules[1]);
		leave(&c);
	}
	assert_true(exchange(&old, SOME));
	leave(&old);
}

static void closed_it_takes_nobody_and_keeps_its_links(void **state)
{
	struct client c;
	int half;

	(void)state;
	come(&c, dial(), 0);
	half = dial();
	all_are_in();
	tls_close(house.tls);
	UNTIL(has_ended(half));
	assert_true(exchange(&c, SOME));
	/* what was said last still goes out when it stops */
	assert_int_equal(send(c.guest, "last", 4, MSG_NOSIGNAL), 4);
	close(c.guest);
	c.guest = -1;
	tls_stop(house.tls);
	char got[8] = "";
	assert_int_equal(SSL_read(c.ssl, got, sizeof got), 4);
	assert_string_equal(got, "last");
	close(half);
	leave(&c);
}

static void without_descriptors_it_waits_for_some(void **state)
{
	struct client stream, c;
	int fd;

	(void)state;
	come(&stream, dial(), 0);
	faults_exempt(true);
	faults_arm(FAULT_DESCRIPTORS, 1, 1); /* of accept4 */
	fd = dial();
	UNTIL(atomic_load(&faults.calls) >= 1);
	tell(&stream);
	assert_int_equal(faults_disarm(), 1); /* it has not tried again at once */
	faults_exempt(false);
	pass(1000);
	come(&c, fd, 0);
	leave(&c);
	leave(&stream);
}

/* While calls fail. */

/* A client comes, says and hears something; true: all of it went well. */
static bool try_once(void)
{
	struct client c;
	size_t before = house.came;
	bool good = shake(&c, dial(), 0);
	time_t end = real_s() + PATIENCE_S;

	while (good && house.came == before) {
		struct pollfd p = {.fd = c.fd, .events = POLLRDHUP};

		assert_true(real_s() < end);
		event_base_loop(house.base, EVLOOP_NONBLOCK);
		good = house.came != before || poll(&p, 1, 0) == 0;
		usleep(100);
	}
	if (house.last != NULL) {
		c.guest = house.last->fd;
		free(house.last);
		house.last = NULL;
	}
	good = good && c.guest >= 0 && exchange(&c, SOME);
	leave(&c);
	return good;
}

/* The n-th call of this kind fails; 0: none.  How many there were. */
static unsigned long live(enum fault kind, unsigned long n)
{
	unsigned long calls;
	pthread_t passing;
	bool made;

	faults_arm(kind, n, 1);
	made = house_open();
	faults_exempt(true);
	if (n > 0)
		begin_passing(&passing); /* what stalls has its end, what pauses too */
	if (made)
		made = try_once();
	calls = faults_disarm();
	if (n > 0)
		end_passing(passing);
	if (house.tls != NULL) {
		pass(1000);
		assert_true(try_once());
	}
	assert_true(made || n > 0);
	house_end();
	faults_exempt(false);
	return calls;
}

static void every(enum fault kind)
{
	unsigned long last = live(kind, 0), step = 1, lives = 0;

	assert_true(last > 0);
	if (getenv("TEST_ALL") == NULL && last > SAMPLE)
		step = last / SAMPLE;
	for (unsigned long n = 1; n <= last; n += step, lives++)
		live(kind, n);
	printf("%d: %lu of %lu\n", kind, lives, last);
}

#define WHILE(name, kind)                                                                \
	static void name(void **state)                                                   \
	{                                                                                \
		(void)state;                                                             \
		every(kind);                                                             \
	}
WHILE(without_memory, FAULT_MEMORY)
WHILE(a_read_may_be_short, FAULT_SHORT_READ)
WHILE(a_write_may_be_short, FAULT_SHORT_WRITE)
WHILE(a_socket_may_not_be_ready_after_all, FAULT_AGAIN)
WHILE(a_call_may_be_interrupted, FAULT_INTR)
WHILE(a_connection_may_be_reset, FAULT_RESET)
WHILE(a_connection_may_end, FAULT_END)
WHILE(without_descriptors, FAULT_DESCRIPTORS)
WHILE(what_waits_may_find_no_room, FAULT_EPOLL)

static int set_up(void **state)
{
	struct rlimit most;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	log_setup(LEVEL_ERROR, LOG_FORMAT_LOGFMT, 0);
	if (getrlimit(RLIMIT_NOFILE, &most) == 0) {
		most.rlim_cur = most.rlim_max;
		setrlimit(RLIMIT_NOFILE, &most);
	}
	snprintf(directory, sizeof directory, "/tmp/tls.XXXXXX");
	assert_non_null(mkdtemp(directory));
	rules[0] = configured("one");
	rules[1] = configured("two");
	client_rules = SSL_CTX_new(TLS_client_method());
	pattern = malloc(BIG);
	assert_non_null(pattern);
	for (size_t i = 0; i < BIG; i++)
		pattern[i] = (uint8_t)(i * 7 + i / 251);
	return 0;
}

static int tear_down(void **state)
{
	char path[128];

	(void)state;
	free(pattern);
	SSL_CTX_free(client_rules);
	for (size_t i = 0; i < 2; i++) {
		SSL_CTX_free(rules[i]);
		snprintf(
		    path, sizeof path, "%s/%s.pem", directory, i == 0 ? "one" : "two");
		unlink(path);
	}
	rmdir(directory);
	return 0;
}

#define HOUSE(name) cmocka_unit_test_setup_teardown(name, open_house, end_house)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    HOUSE(bytes_go_both_ways),
	    HOUSE(the_end_of_one_side_is_told_to_the_other),
	    HOUSE(who_takes_nothing_is_cut_off_after_a_while),
	    HOUSE(a_handshake_has_its_time_and_streams_go_on),
	    HOUSE(half_open_ones_keep_nobody_out),
	    HOUSE(nobody_renegotiates),
	    HOUSE(what_is_no_handshake_ends),
	    HOUSE(a_reload_is_for_those_who_come_then),
	    HOUSE(closed_it_takes_nobody_and_keeps_its_links),
	    HOUSE(without_descriptors_it_waits_for_some),
	    cmocka_unit_test(without_memory),
	    cmocka_unit_test(a_read_may_be_short),
	    cmocka_unit_test(a_write_may_be_short),
	    cmocka_unit_test(a_socket_may_not_be_ready_after_all),
	    cmocka_unit_test(a_call_may_be_interrupted),
	    cmocka_unit_test(a_connection_may_be_reset),
	    cmocka_unit_test(a_connection_may_end),
	    cmocka_unit_test(without_descriptors),
	    cmocka_unit_test(what_waits_may_find_no_room),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
