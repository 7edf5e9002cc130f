/* Real threads and sockets; the keeper is this file. */
#include "proxy/front/worker.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/base/clock.h"
#include "proxy/http/listener.h"
#include "proxy/keeper/keeper.h"

#define GET "GET /MA== HTTP/1.1\r\nHost: a\r\n\r\n"

struct stage {
	struct shared shared;
	struct conf conf;
	char *path;
	int port;
	struct worker *worker[2];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ask *kept; /* a question that is held back */

void keeper_ask(struct shared *shared, struct ask *a)
{
	(void)shared;
	pthread_mutex_lock(&lock);
	kept = a;
	pthread_mutex_unlock(&lock);
}

static bool is_asked(void)
{
	bool asked;

	pthread_mutex_lock(&lock);
	asked = kept != NULL;
	pthread_mutex_unlock(&lock);
	return asked;
}

static bool answer_kept(void)
{
	struct ask *a;

	pthread_mutex_lock(&lock);
	a = kept;
	kept = NULL;
	pthread_mutex_unlock(&lock);
	if (a == NULL)
		return false;
	a->error = ERR_UP_TIMEOUT;
	a->tier = TIER_NONE;
	question_answer(&a->question);
	return true;
}

static void wait_until(bool (*it)(void))
{
	int64_t end = clock_mono_ms() + 5000;

	while (!it()) {
		assert_true(clock_mono_ms() < end);
		usleep(1000);
	}
}

static void wait_answer_kept(void)
{
	wait_until(answer_kept);
}

static void defaults(struct conf *c)
{
	c->header_timeout_ms = c->body_timeout_ms = 5000;
	c->idle_timeout_ms = 30000;
	c->write_timeout_ms = 10000;
	c->linger_timeout_ms = 100;
	c->linger_size = 1 << 20;
	c->max_head_size = 8192;
	c->max_target_size = 4096;
	c->max_body_size = 10000;
	c->max_connections = 100;
}

/* An issuer whose CertIDs nobody asks for but key_of_issuer(). */
static void add_issuer(struct conf *c)
{
	struct issuer_spec spec = {.name = "test", .certificates_n = 1};
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	size_t clash[2];

	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_ASC, (const unsigned char *)"a", 1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	spec.certificates = &x;
	assert_int_equal(issuers_new(&c->issuers, &spec, 1, clash), ERR_OK);
	X509_free(x);
	EVP_PKEY_free(key);
}

static int port_of(int fd)
{
	struct sockaddr_in at;
	socklen_t n = sizeof at;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	return ntohs(at.sin_port);
}

static int stage_up(void **state)
{
	static const bool own = false;
	struct stage *s = calloc(1, sizeof *s);
	char why[256] = "", address[32] = "127.0.0.1:0";

	signal(SIGPIPE, SIG_IGN);
	assert_non_null(s);
	defaults(&s->conf);
	add_issuer(&s->conf);
	s->path = (char *)(uintptr_t) "/";
	s->conf.path = &s->path;
	s->conf.path_n = 1;
	s->shared.max_connections = 1000;
	atomic_store(&s->shared.conf, &s->conf);
	s->shared.hot = hot_new(1 << 20, 7);
	for (unsigned i = 0; i < 2; i++) {
		int fd = listener_open(address, 16, true, i == 0, why, sizeof why);

		assert_true(fd >= 0);
		s->port = port_of(fd);
		snprintf(address, sizeof address, "127.0.0.1:%d", s->port);
		s->worker[i] = worker_new(&s->shared, i, &fd, &own, 1, why, sizeof why);
		assert_non_null(s->worker[i]);
	}
	*state = s;
	return 0;
}

static void start(struct stage *s)
{
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(worker_start(s->worker[i]), 0);
}

static void stop(struct stage *s)
{
	for (unsigned i = 0; i < 2; i++)
		worker_stop(s->worker[i]);
	for (unsigned i = 0; i < 2; i++)
		worker_join(s->worker[i]);
}

static int stage_down(void **state)
{
	struct stage *s = *state;

	stop(s);
	for (unsigned i = 0; i < 2; i++)
		worker_free(s->worker[i]);
	assert_int_equal(s->shared.connections, 0);
	issuers_free(s->conf.issuers);
	hot_free(s->shared.hot);
	metrics_reset();
	free(s);
	return 0;
}

static int dial(struct stage *s)
{
	static const struct timeval patience = {5, 0};
	struct sockaddr_in at = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)s->port),
	    .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

static void say(int fd, const void *text, size_t n)
{
	assert_int_equal(write(fd, text, n), (ssize_t)n);
}

/* POST the canonical request of a certificate of our issuer. */
static void say_miss(struct stage *s, int fd)
{
	struct serial one = {1, {1}};
	struct key k;
	char head[128];

	issuer_key(issuers_at(s->conf.issuers, 0), 0, CERTID_SHA256, &one, &k);
	say(fd, head,
	    (size_t)snprintf(head, sizeof head,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
		key_der(&k).n));
	say(fd, key_der(&k).p, key_der(&k).n);
}

static void hears(int fd, const char *part)
{
	char text[1024];
	ssize_t n = read(fd, text, sizeof text - 1);

	assert_true(n >= 0);
	text[n] = '\0';
	if (part == NULL)
		assert_int_equal(n, 0);
	else
		assert_non_null(strstr(text, part));
}

static void clients_are_served_by_all_workers(void **state)
{
	struct stage *s = *state;
	int fd[16];

	start(s);
	for (size_t i = 0; i < 16; i++)
		fd[i] = dial(s);
	for (size_t i = 0; i < 16; i++)
		say(fd[i], GET, sizeof GET - 1);
	for (size_t i = 0; i < 16; i++) {
		hears(fd[i], "application/ocsp-response\r\n");
		close(fd[i]);
	}
}

static void a_miss_comes_back_to_its_worker(void **state)
{
	struct stage *s = *state;
	int fd;

	start(s);
	fd = dial(s);
	say_miss(s, fd);
	wait_answer_kept();
	hears(fd, "application/ocsp-response\r\n");
	close(fd);
}

static bool both_idle(struct stage *s)
{
	return worker_idle(s->worker[0]) && worker_idle(s->worker[1]);
}

static void a_drained_worker_lets_its_last_request_end(void **state)
{
	struct stage *s = *state;
	int64_t end = clock_mono_ms() + 5000;
	int idle, busy;

	start(s);
	idle = dial(s);
	say(idle, GET, sizeof GET - 1);
	hears(idle, "200 OK");
	busy = dial(s);
	say_miss(s, busy);
	wait_until(is_asked);
	for (unsigned i = 0; i < 2; i++) {
		worker_drain(s->worker[i]);
		worker_drain(s->worker[i]);
	}
	hears(idle, NULL);
	assert_false(both_idle(s));
	wait_answer_kept();
	hears(busy, "Connection: close\r\n");
	close(busy);
	close(idle);
	while (!both_idle(s)) {
		assert_true(clock_mono_ms() < end);
		usleep(1000);
	}
}

static _Atomic bool has_run;

static bool message_has_run(void)
{
	return has_run;
}

static void run_message(void *arg, struct msg *m)
{
	(void)arg, (void)m;
	has_run = true;
}

/* T27: the keeper has the question still; it must come back to a thread that lives. */
static void a_worker_stops_when_its_questions_are_back(void **state)
{
	struct stage *s = *state;
	struct msg behind = {.run = run_message};
	int fd;

	start(s);
	fd = dial(s);
	say_miss(s, fd);
	wait_until(is_asked);
	for (unsigned i = 0; i < 2; i++)
		worker_stop(s->worker[i]);
	inbox_post(
	    kept->question.reply_to, &behind); /* once it has run, so has the stop */
	wait_until(message_has_run);
	wait_answer_kept();
	stop(s);
	hears(fd, "200 OK"); /* whatever the keeper has said last */
	hears(fd, NULL);
	close(fd);
}

static void reloads_may_come_at_any_time(void **state)
{
	struct stage *s = *state;
	int fd;

	start(s);
	fd = dial(s);
	for (int i = 0; i < 200; i++) {
		worker_reload(s->worker[i % 2]);
		say(fd, GET, sizeof GET - 1);
		hears(fd, "200 OK");
	}
	close(fd);
}

static void a_worker_that_never_started_is_freed(void **state)
{
	(void)state;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(clients_are_served_by_all_workers),
	    CASE(a_miss_comes_back_to_its_worker),
	    CASE(a_drained_worker_lets_its_last_request_end),
	    CASE(a_worker_stops_when_its_questions_are_back),
	    CASE(reloads_may_come_at_any_time),
	    CASE(a_worker_that_never_started_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
