/* faults: the whole daemon but main.c in one process - workers, API, keeper, disk,
 * libcurl, LMDB or Redis, as threads - is started, asked, reloaded and stopped, while the
 * n-th call of some kind fails; for n = 1, 2, 3, ... until no call is left to fail.
 *
 * In each life: nothing crashes, hangs or leaks; nobody ever gets an OCSP answer other
 * than the right one or an error, and no good one of what a list revokes once that is
 * told; and when the fault is over the next requests are answered correctly, and the next
 * list is in force and told.  Lives of another kind are led by who uses watchlists
 * (watch_use.h).  `make test` takes a sample of the n, TEST_ALL=1 takes all.
 * FAULTS=kind:n runs that one, FAULTS=kind:n- that one and all after it, and shows where
 * they strike (kinds: the names below; with "watch-" before it: of lives with
 * watchlists).
 */
#include "tests/lib/faults.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <dirent.h>
#include <ftw.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "proxy/api/api.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/front/worker.h"
#include "proxy/http/listener.h"
#include "proxy/keeper/keeper.h"
#include "proxy/tell/teller.h"
#include "proxy/watch/watcher.h"
#include "tests/lib/forge_crl.h"
#include "tests/lib/real_redis.h"
#include "tests/lib/watch_use.h"

#define PATIENCE_MS 30000 /* nothing here takes longer, unless it hangs */
#define OPEN_MS     500   /* until a stream's position has come; it may be tried again */
#define SAMPLE      12    /* lives of a kind in a quick run; a third with watchlists */
#define PLAIN       6     /* without sanitizers, other ones: see sample() */

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static const char *const kind_name[FAULT_COUNT] = {
    [FAULT_MEMORY] = "memory",
    [FAULT_SHORT_READ] = "short-read",
    [FAULT_SHORT_WRITE] = "short-write",
    [FAULT_AGAIN] = "again",
    [FAULT_INTR] = "intr",
    [FAULT_RESET] = "reset",
    [FAULT_END] = "end",
    [FAULT_REFUSED] = "refused",
    [FAULT_DESCRIPTORS] = "descriptors",
    [FAULT_EPOLL] = "epoll",
    [FAULT_DISK_FULL] = "disk-full",
    [FAULT_DISK_ERROR] = "disk-error",
    [FAULT_UPSTREAM_CLOSES] = "upstream-closes",
    [FAULT_UPSTREAM_HANGS] = "upstream-hangs",
    [FAULT_UPSTREAM_STOPS_HALFWAY] = "upstream-stops-halfway",
    [FAULT_PEER] = "redis-dies",
};

static unsigned long fault_number; /* of the life that is led */
static bool watches;               /* it has watchlists */

/* What does not hold ends the program: the threads of a life cannot be left behind. */
static void wrong(const char *what)
{
	fprintf(stderr, "FAULTS=%s%s:%lu: %s\n", watches ? "watch-" : "",
	    kind_name[faults.armed], fault_number, what);
	abort();
}

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			wrong(#x);                                                       \
	} while (0)

/* The monotonic clock, libraries' calls included: what is tried again after seconds does
 * not cost them. */

static _Atomic int64_t ahead_ms;

EARLY int clock_gettime(clockid_t clock, struct timespec *t)
{
	long e = syscall(SYS_clock_gettime, clock, t);

	if (e == 0 && clock != CLOCK_REALTIME)
		t->tv_sec += (time_t)(ahead_ms / 1000);
	return (int)e;
}

/* For patience: what was skipped is no time in which threads did something. */
static int64_t lived_ms(void)
{
	return clock_mono_ms() - ahead_ms;
}

/* The world around: a CA, its responder, three certificates. */

struct certificate {
	struct key key;
	struct bytes answer; /* in der */
	uint8_t der[1024];
	char base64[256];
};

static char directory[64];
static char files_pem[4096]; /* a certificate of the CA, in directory/files */
static EVP_PKEY *ca_key;
static X509 *ca;
static struct certificate good, revoked, moved; /* moved: good, until a list has it */
static int upstream_fd, upstream_port;
static pthread_t upstream_thread;
static char store_url[128];
static bool has_redis;

static struct bytes sign(struct bytes serial, enum forge_status status)
{
	int64_t now = clock_now();
	struct forge_response r = {.id = ca,
	    .produced_at = forge_time(now - 60),
	    .signature = FORGE_ECDSA_SHA256,
	    .key = ca_key,
	    .singles_n = 1};

	r.single[0] = (struct forge_single){.issuer = ca,
	    .serial = serial,
	    .status = status,
	    .reason = -1,
	    .revoked_at = forge_time(now - 3600),
	    .this_update = forge_time(now - 60),
	    .next_update = forge_time(now + 86400)};
	return forge_response(&r);
}

static void make_certificate(
    struct certificate *c, const struct issuer *i, uint8_t number, enum forge_status s)
{
	struct serial serial = {2, {0x10, number}};
	struct bytes made;

	issuer_key(i, 0, CERTID_SHA1, &serial, &c->key);
	EVP_EncodeBlock(
	    (unsigned char *)c->base64, key_der(&c->key).p, (int)key_der(&c->key).n);
	made = sign(bytes_of(serial.octets, serial.n), s);
	MUST(made.n <= sizeof c->der);
	memcpy(c->der, made.p, made.n);
	c->answer = bytes_of(c->der, made.n);
}

/* Its list: the revoked one, with moved or without it, and a serial that only this list
 * has, so that each has changes. */

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct bytes list_der; /* under the lock */
static unsigned list_number;

static void publish(bool with_moved)
{
	unsigned n = 0x100000 + ++list_number % 0x10000;
	uint8_t serial[][3] = {
	    {0x20, (uint8_t)(n >> 8), (uint8_t)n}, {0x10, 2}, {0x10, 3}};
	char number[16];
	const char *at;
	struct forge_crl_entry e[3];
	struct forge_crl f = {.issuer = ca,
	    .key = ca_key,
	    .entry = e,
	    .entries_n = with_moved ? 3 : 2,
	    .number = number,
	    .signature = FORGE_ECDSA_SHA256};

	pthread_mutex_lock(&list_lock);
	forge_crl_reset(); /* the one before goes */
	forge_reset();
	f.this_update = forge_time(clock_now() - 60) + 2;
	f.next_update = forge_time(clock_now() + 86400) + 2;
	at = forge_time(clock_now() - 3600) + 2;
	snprintf(number, sizeof number, "%06x", n);
	for (size_t i = 0; i < 3; i++)
		e[i] = (struct forge_crl_entry){
		    .serial = bytes_of(serial[i], i == 0 ? 3 : 2), .at = at, .reason = 1};
	list_der = forge_crl(&f);
	pthread_mutex_unlock(&list_lock);
}

static void make_ca(void)
{
	struct forge_cert c = {.subject = "Faulty CA",
	    .from = clock_now() - 86400,
	    .to = clock_now() + 10 * 86400,
	    .usage = "critical,keyCertSign,cRLSign",
	    .ca = true};
	char path[128];
	FILE *f;

	ca_key = c.key = c.issuer_key = forge_key("P-256");
	ca = forge_cert(&c);
	snprintf(path, sizeof path, "%s/ca.pem", directory);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, ca), 1);
	fclose(f);
}

/* What a watchlist of files has: one of its certificates. */
static void make_file(void)
{
	struct forge_cert c = {.subject = "file.example",
	    .from = clock_now() - 86400,
	    .to = clock_now() + 86400,
	    .issuer = ca,
	    .issuer_key = ca_key};
	char path[128];
	X509 *leaf;
	FILE *f;

	c.key = forge_key("P-256");
	leaf = forge_cert(&c);
	snprintf(path, sizeof path, "%s/files", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	strcat(path, "/a.pem");
	f = fopen(path, "w+");
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, leaf), 1);
	rewind(f);
	assert_true(fread(files_pem, 1, sizeof files_pem - 1, f) > 0);
	fclose(f);
	X509_free(leaf);
	EVP_PKEY_free(c.key);
}

/* The responder: one request for each connection. */

static void unescape(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++) {
		if (*text == '%' && text[1] != '\0' && text[2] != '\0') {
			*to++ = (char)(hex_value(text[1]) << 4 | hex_value(text[2]));
			text += 2;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

static void upstream_answer(int fd, const char *type, struct bytes body)
{
	char text[2048];
	int n = snprintf(text, sizeof text,
	    "HTTP/1.1 200 OK\r\nContent-Type: application/%s\r\n"
	    "Content-Length: %zu\r\nConnection: close\r\n\r\n",
	    type, body.n);

	memcpy(text + n, body.p, body.n);
	n += (int)body.n;
	if (fault_now(FAULT_UPSTREAM_STOPS_HALFWAY))
		n -= (int)body.n / 2;
	send(fd, text, (size_t)n, MSG_NOSIGNAL);
}

static void upstream_answer_to(int fd, char *text)
{
	const struct certificate *all[] = {&good, &revoked, &moved};

	unescape(text);
	if (strncmp(text, "GET /list.crl ", 14) == 0) {
		pthread_mutex_lock(&list_lock);
		upstream_answer(fd, "pkix-crl", list_der);
		pthread_mutex_unlock(&list_lock);
		return;
	}
	for (size_t i = 0; i < 3; i++)
		if (strstr(text, all[i]->base64) != NULL)
			upstream_answer(fd, "ocsp-response", all[i]->answer);
}

static void *upstream_run(void *arg)
{
	int hung = -1, fd;

	(void)arg;
	faults_exempt(true);
	while ((fd = accept(upstream_fd, NULL, NULL)) >= 0) {
		char text[1024];
		ssize_t n;

		if (hung >= 0)
			close(hung);
		hung = -1;
		n = fault_now(FAULT_UPSTREAM_CLOSES) ? 0
						     : recv(fd, text, sizeof text - 1, 0);
		if (n > 0 && fault_now(FAULT_UPSTREAM_HANGS)) {
			hung = fd;
			continue;
		}
		text[n > 0 ? n : 0] = '\0';
		upstream_answer_to(fd, text);
		close(fd);
	}
	if (hung >= 0)
		close(hung);
	return NULL;
}

static void upstream_start(void)
{
	char why[256];
	struct sockaddr_in at;
	socklen_t n = sizeof at;

	upstream_fd = listener_open("127.0.0.1:0", 64, false, false, why, sizeof why);
	assert_true(upstream_fd >= 0);
	fcntl(upstream_fd, F_SETFL, 0); /* it blocks */
	assert_int_equal(getsockname(upstream_fd, (struct sockaddr *)&at, &n), 0);
	upstream_port = ntohs(at.sin_port);
	assert_int_equal(pthread_create(&upstream_thread, NULL, upstream_run, NULL), 0);
}

/* The house: what main.c makes, in its order. */

struct house {
	struct shared shared;
	struct keeper *keeper;
	struct worker *worker;
	struct api *api;
	struct watcher *watcher; /* NULL: none */
	int port, api_port;
};

static struct conf *make_conf(const char *hot_cache)
{
	struct conf_errors errors = {0};
	char text[2048], path[128], files[128];
	struct conf *c;

	snprintf(files, sizeof files,
	    "watchlist \"files\" { certificates = \"%s/files/\" }\n", directory);
	snprintf(path, sizeof path, "%s/conf", directory);
	snprintf(text, sizeof text,
	    "store = \"%s\"\nstate-directory = \"%s/state\"\nhot-cache = \"%s\"\n"
	    "store-size = \"1M\"\nstore-timeout = \"200ms\"\nstore-backoff-max = "
	    "\"100ms\"\n"
	    "upstream-timeout = \"300ms\"\nanswer-timeout = \"500ms\"\nerror-ttl = "
	    "\"0s\"\n"
	    "lease-time = \"200ms\"\n"
	    "backoff-initial = \"10ms\"\nbackoff-max = \"10ms\"\nlog-level = \"error\"\n"
	    "crl-timeout = \"300ms\"\ncrl-backoff-max = \"100ms\"\n"
	    "issuer \"house\" {\n\tcertificate = \"ca.pem\"\n"
	    "\tocsp = \"http://127.0.0.1:%d/\"\n"
	    "\tcrl = \"http://127.0.0.1:%d/list.crl\"\n}\nwatch-size = \"1M\"\n%s",
	    store_url, directory, hot_cache, upstream_port, upstream_port,
	    watches ? files : "");
	c = conf_load(path, text, &errors);
	for (size_t i = 0; i < errors.n; i++)
		fprintf(stderr, "%s\n", errors.line[i]);
	MUST(c != NULL);
	conf_errors_free(&errors);
	return c;
}

static int open_listener(int *port, bool reuse)
{
	struct sockaddr_in at;
	socklen_t n = sizeof at;
	char why[256] = "";
	int fd = listener_open("127.0.0.1:0", 64, reuse, false, why, sizeof why);

	if (fd >= 0 && getsockname(fd, (struct sockaddr *)&at, &n) == 0)
		*port = ntohs(at.sin_port);
	return fd;
}

static bool house_make(struct house *h)
{
	static const bool own = false;
	char why[512] = "";
	int fd;

	if (conf_make_directory(shared_conf(&h->shared)->state_directory) != 0)
		return false;
	h->shared.max_connections = 100;
	h->shared.max_subscribers = 50;
	h->shared.started_at = clock_now();
	h->shared.hot = hot_new((size_t)shared_conf(&h->shared)->hot_cache, 7);
	if (h->shared.hot == NULL || (fd = open_listener(&h->port, true)) < 0)
		return false;
	h->worker = worker_new(&h->shared, 0, &fd, &own, 1, why, sizeof why);
	if (h->worker == NULL || (fd = open_listener(&h->api_port, false)) < 0)
		return false;
	h->shared.readers[h->shared.readers_n++] = worker_inbox(h->worker);
	h->api = api_new(&h->shared, &fd, 1, why, sizeof why);
	if (h->api == NULL)
		return false;
	h->shared.readers[h->shared.readers_n++] = api_inbox(h->api);
	if (watches) {
		h->watcher = watcher_new(&h->shared, why, sizeof why);
		if (h->watcher == NULL)
			return false;
		h->shared.readers[h->shared.readers_n++] = watcher_inbox(h->watcher);
	}
	h->keeper = keeper_new(&h->shared, why, sizeof why);
	if (h->keeper == NULL)
		return false;
	teller_listen(h->shared.teller, api_inbox(h->api), api_news);
	return true;
}

static bool house_start(struct house *h)
{
	return keeper_start(h->keeper) == 0 &&
	       (h->watcher == NULL || watcher_start(h->watcher) == 0) &&
	       worker_start(h->worker) == 0 && api_start(h->api) == 0;
}

static void house_stop(struct house *h)
{
	if (h->keeper != NULL)
		keeper_cancel(h->keeper);
	if (h->watcher != NULL)
		watcher_cancel(h->watcher);
	if (h->worker != NULL) {
		worker_stop(h->worker);
		worker_join(h->worker);
	}
	if (h->api != NULL) {
		api_stop(h->api);
		api_join(h->api);
	}
	if (h->watcher != NULL) {
		watcher_stop(h->watcher);
		watcher_join(h->watcher);
	}
	if (h->keeper != NULL) {
		keeper_stop(h->keeper);
		keeper_join(h->keeper);
	}
	worker_free(h->worker);
	api_free(h->api);
	watcher_free(h->watcher);
	keeper_free(h->keeper);
	hot_free(h->shared.hot);
	conf_free((struct conf *)(uintptr_t)shared_conf(&h->shared));
	metrics_reset();
}

/* Its clients. */

enum said { SAID_ANSWER, SAID_ERROR, SAID_NOTHING };

static int dial(int port)
{
	static const struct timeval patience = {PATIENCE_MS / 1000, 0};
	struct sockaddr_in at = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	MUST(connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

/* A whole answer: its status, and its body's bytes; 0 when the connection closed first.
 */
static int hear(int fd, char *text, size_t room, struct bytes *body)
{
	size_t n = 0, whole = SIZE_MAX;
	int status = 0;

	while (n < whole) {
		ssize_t got = recv(fd, text + n, room - 1 - n, 0);

		if (got < 0 && errno == EAGAIN)
			wrong("no answer, and not closed");
		if (got <= 0)
			return 0;
		n += (size_t)got;
		text[n] = '\0';
		if (whole == SIZE_MAX && strstr(text, "\r\n\r\n") != NULL) {
			const char *l = strcasestr(text, "Content-Length: ");
			size_t head = (size_t)(strstr(text, "\r\n\r\n") + 4 - text);

			status = atoi(text + 9);
			body->p = (const uint8_t *)text + head;
			body->n = l == NULL || status == 304 ? 0 : (size_t)atoi(l + 16);
			whole = head + body->n;
			MUST(whole < room);
		}
	}
	return status;
}

/* OCSP: the right answer, an error, or nothing; anything else is wrong whatever failed.
 */
static enum said judge(int status, struct bytes body, const struct certificate *c)
{
	if (status == 0)
		return SAID_NOTHING;
	if (status != 200)
		return SAID_ERROR;
	if (body.n == 5 && memcmp(body.p, "\x30\x03\x0a\x01", 4) == 0)
		return SAID_ERROR;
	MUST(bytes_equal(body, c->answer));
	return SAID_ANSWER;
}

static enum said post(int fd, const struct certificate *c)
{
	static char text[32768];
	struct bytes der = key_der(&c->key), body = {NULL, 0};
	int n = snprintf(text, sizeof text,
	    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", der.n);

	memcpy(text + n, der.p, der.n);
	if (send(fd, text, (size_t)n + der.n, MSG_NOSIGNAL) < 0)
		return SAID_NOTHING;
	n = hear(fd, text, sizeof text, &body);
	return judge(n, body, c);
}

static enum said get(int fd, const struct certificate *c)
{
	static char text[32768];
	struct bytes body = {NULL, 0};
	int n =
	    snprintf(text, sizeof text, "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", c->base64);

	if (send(fd, text, (size_t)n, MSG_NOSIGNAL) < 0)
		return SAID_NOTHING;
	n = hear(fd, text, sizeof text, &body);
	return judge(n, body, c);
}

static char api_text[131072]; /* what the API said last */

static int api_call(const struct house *h, const char *request)
{
	struct bytes body = {NULL, 0};
	int fd = dial(h->api_port), status = 0;

	api_text[0] = '\0';
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) >= 0)
		status = hear(fd, api_text, sizeof api_text, &body);
	close(fd);
	return status;
}

static enum said ask(const struct house *h, const struct certificate *c)
{
	int fd = dial(h->port);
	enum said said = post(fd, c);

	close(fd);
	return said;
}

static void on_published(void *arg, const struct conf *old, const struct conf *c)
{
	struct house *h = arg;

	(void)old, (void)c;
	worker_reload(h->worker);
	api_reload(h->api);
	if (h->watcher != NULL)
		watcher_reload(h->watcher);
}

#define API_GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define API_POST(path, n, body)                                                          \
	"POST " path                                                                     \
	" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"             \
	"Content-Length: " n "\r\n\r\n" body

#define REFRESH_LIST API_POST("/v1/refresh", "18", "{\"issuer\":\"house\"}")

/* The list that was published last is in force. */
static bool list_is_in_force(const struct house *h)
{
	char number[40];

	snprintf(number, sizeof number, "\"crl_number\":\"%u\"",
	    0x100000 + list_number % 0x10000);
	return api_call(h, API_GET("/v1/issuers")) == 200 &&
	       strstr(api_text, number) != NULL;
}

/* A subscriber. */
struct stream {
	int fd;         /* -1: none */
	char query[80]; /* from where it began; "": it never has */
	size_t n;
	char text[65536];
};

static void stream_close(struct stream *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* Read until words have come; false: not within ms, or the other side has closed (then it
 * is closed here, too). */
static bool stream_says(struct stream *s, const char *words, int ms)
{
	struct timeval patience = {ms / 1000, ms % 1000 * 1000};
	ssize_t n;

	if (s->fd < 0)
		return false;
	setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	while (strstr(s->text, words) == NULL) {
		MUST(s->n < sizeof s->text - 1);
		n = recv(s->fd, s->text + s->n, sizeof s->text - 1 - s->n, 0);
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n <= 0) {
			stream_close(s);
			return false;
		}
		s->n += (size_t)n;
		s->text[s->n] = '\0';
	}
	return true;
}

/* From where it began, or from now on; false: it is closed. */
static bool stream_open(const struct house *h, struct stream *s)
{
	char text[256], since[64];
	int n = snprintf(text, sizeof text,
	    "GET /v1/events%s HTTP/1.1\r\nHost: localhost\r\n\r\n", s->query);

	s->fd = dial(h->api_port);
	s->n = 0;
	s->text[0] = '\0';
	if (send(s->fd, text, (size_t)n, MSG_NOSIGNAL) < 0 ||
	    !stream_says(s, "\nid: ", OPEN_MS) || !stream_says(s, "\n\n", OPEN_MS)) {
		stream_close(s);
		return false;
	}
	if (s->query[0] == '\0' &&
	    sscanf(strstr(s->text, "\nid: "), "\nid: %63[0-9a-f-]", since) == 1)
		snprintf(s->query, sizeof s->query, "?since=%s", since);
	return true;
}

/* The list that was published last is told. */
static bool list_is_told(struct stream *s, int ms)
{
	char words[32];
	unsigned n = list_number % 0x10000;

	snprintf(words, sizeof words, "\"20%04x\",\"status\":\"revoked\"", n);
	return stream_says(s, words, ms);
}

/* Law two: what is told is served by nobody any more. */
static void is_not_good(const struct house *h)
{
	MUST(ask(h, &moved) != SAID_ANSWER);
}

/* A list, and one that has changes; who is told of them. */
static void use_lists(struct house *h)
{
	static struct stream s;

	s.query[0] = '\0';
	for (int i = 0; i < 20 && !list_is_in_force(h); i++)
		usleep(10000);
	ask(h, &moved);
	stream_open(h, &s);
	publish(true);
	api_call(h, REFRESH_LIST);
	if (list_is_told(&s, 200))
		is_not_good(h);
	stream_close(&s);
}

/* Misses, hits, a revoked one, requests that are refused, the API, a reload, the store.
 */
static void use(struct house *h)
{
	int fd = dial(h->port), garbage = dial(h->port);

	if (post(fd, &good) != SAID_NOTHING && post(fd, &good) != SAID_NOTHING)
		(void)get(fd, &good);
	close(fd);
	(void)send(garbage, "nonsense\r\n\r\n", 12, MSG_NOSIGNAL);
	ask(h, &revoked);
	close(garbage);
	api_call(h, API_GET("/v1/status/house/1001"));
	api_call(h, API_GET("/v1/issuers"));
	api_call(h, API_GET("/v1/explain/house/1001"));
	api_call(h, API_GET("/metrics"));
	/* without memory, so that the store is read */
	keeper_reload(h->keeper, make_conf("0"), on_published, h);
	api_call(h,
	    API_POST("/v1/refresh", "34", "{\"issuer\":\"house\",\"serial\":\"1001\"}"));
	ask(h, &good);
	api_call(
	    h, API_POST("/v1/purge", "34", "{\"issuer\":\"house\",\"serial\":\"1001\"}"));
	ask(h, &good);
	use_lists(h);
}

/* Who uses watchlists. */

static int call_to_the_end(void *arg, const char *request, char *body, size_t room)
{
	static char text[131072];
	const struct house *h = arg;
	int fd = dial(h->api_port);
	size_t n = 0;
	ssize_t got = 0;
	char *head;

	if (send(fd, request, strlen(request), MSG_NOSIGNAL) >= 0)
		while (n < sizeof text - 1 &&
		       (got = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0)
			n += (size_t)got;
	if (got < 0 && errno == EAGAIN)
		wrong("no answer, and not closed");
	close(fd);
	text[n] = '\0';
	head = strstr(text, "\r\n\r\n");
	if (head == NULL)
		return 0;
	snprintf(body, room, "%s", head + 4);
	return atoi(text + 9);
}

static struct watch_use watch_use = {
    .call = call_to_the_end, .wrong = wrong, .issuer = "house", .pem = files_pem};

static void use_watchlists(struct house *h)
{
	watch_use.arg = h;
	for (int i = 0; i < 20 && !list_is_in_force(h); i++)
		usleep(10000);
	watch_use_all(&watch_use);
	keeper_reload(h->keeper, make_conf("0"), on_published, h);
	watch_use_all(&watch_use);
}

/* What is asked again until it is so. */
static bool has_list(const struct house *h, struct stream *s)
{
	(void)s;
	return list_is_in_force(h);
}

/* Or a gap is, and who takes a snapshot for that has it there. */
static bool has_told(const struct house *h, struct stream *s)
{
	if (s->fd < 0 && !stream_open(h, s))
		return false;
	if (strstr(s->text, "\nevent: gap\n") != NULL) {
		stream_close(s);
		strcpy(s->query, "?snapshot=1");
		return false;
	}
	return list_is_told(s, 50);
}

/* After a failed write of its head LMDB does nothing more: a restart is the documented
 * remedy, and readyz asks for it. */
static bool needs_restart(const struct house *h)
{
	api_call(h, API_GET("/readyz"));
	if (strstr(api_text, "restart ocspcached") == NULL)
		return false;
	MUST(strstr(api_text, "damaged") == NULL); /* its remedy is another */
	return true;
}

/* False: only a restart helps. */
static bool becomes(bool (*it)(const struct house *h, struct stream *s),
    const struct house *h, struct stream *s)
{
	int64_t end = lived_ms() + PATIENCE_MS;

	for (int i = 1; !it(h, s); i++) {
		MUST(lived_ms() < end);
		api_call(h, REFRESH_LIST);
		usleep(2000);
		if (i % 4 != 0)
			continue;
		if (needs_restart(h))
			return false;
		ahead_ms += 10000;
	}
	return true;
}

/* The next list is in force and told, whatever became of the one before. */
static bool lists_are_well(const struct house *h)
{
	static struct stream s;
	bool told;

	s.query[0] = '\0';
	if (!becomes(has_list, h, &s) || !becomes(stream_open, h, &s))
		return false;
	publish(true);
	api_call(h, REFRESH_LIST);
	told = becomes(has_told, h, &s);
	if (told)
		is_not_good(h);
	stream_close(&s);
	return told;
}

static bool watchlist_works(const struct house *h, struct stream *s)
{
	(void)s;
	watch_use.arg = (void *)(uintptr_t)h;
	return watch_use_is_well(&watch_use);
}

/* The list of the CA, which revokes what they watch, is in force, and all of it works. */
static bool watchlists_are_well(const struct house *h)
{
	return becomes(has_list, h, NULL) && becomes(watchlist_works, h, NULL);
}

/* Nothing fails any more: everybody gets the right answer, perhaps after a back-off.
 * False: but lists are told by the next life only. */
static bool is_well(struct house *h)
{
	const struct certificate *all[] = {&good, &revoked};

	if (watches)
		return watchlists_are_well(h);
	for (size_t i = 0; i < 2; i++) {
		int64_t end = clock_mono_ms() + PATIENCE_MS / 2;

		while (ask(h, all[i]) != SAID_ANSWER) {
			MUST(clock_mono_ms() < end);
			usleep(2000);
		}
	}
	MUST(api_call(h, API_GET("/healthz")) == 200);
	return lists_are_well(h);
}

/* A life. */

static int remove_entry(
    const char *path, const struct stat *st, int what, struct FTW *where)
{
	(void)st, (void)what, (void)where;
	return remove(path);
}

static void remove_tree(const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static size_t open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	MUST(d != NULL);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static bool house_open(struct house *h)
{
	bool made;

	memset(h, 0, sizeof *h);
	atomic_store(&h->shared.conf, make_conf("1M"));
	faults_exempt(false);
	made = house_make(h) && house_start(h);
	faults_exempt(true);
	return made;
}

static void house_close(struct house *h)
{
	faults_exempt(false);
	house_stop(h);
	faults_exempt(true);
}

/* There is a Redis, where there has to be one. */
static void redis_begin(void)
{
	if (store_url[0] == 'r' && !real_redis_runs())
		MUST(real_redis_start(directory, NULL));
}

/* Nothing is left of the life before. */
static void forget(void)
{
	remove_tree("state");
	remove_tree("store");
	if (real_redis_runs())
		real_redis_flush();
}

/* The main thread is a client most of the time, and exempt then.  Returns the calls of
 * this kind that there were. */
static unsigned long live(enum fault kind, unsigned long number)
{
	size_t before = open_descriptors();
	struct house h;
	bool began, told = false;

	alarm(60); /* a hang ends the program */
	forget();
	redis_begin();
	publish(false);
	watch_use_begin(&watch_use);
	faults_arm(kind, number, 1);
	began = house_open(&h);
	MUST(began || number > 0); /* without a fault it starts */
	if (began) {
		(watches ? use_watchlists : use)(&h);
		faults_pause();
		redis_begin();
		told = is_well(&h);
		MUST(told || number > 0);
		faults_resume();
	}
	house_close(&h);
	faults_disarm();
	if (number > 0) { /* and what it left on disk is good for another life */
		MUST(house_open(&h));
		watch_use.arg = &h;
		if (watches)
			watch_use_again(&watch_use);
		else if (told)
			is_not_good(&h);
		MUST(is_well(&h));
		house_close(&h);
	}
	for (int i = 0; open_descriptors() != before;
	     i++) { /* the responder's are ours too */
		MUST(i < PATIENCE_MS);
		usleep(1000);
	}
	alarm(0);
	return atomic_load(&faults.calls);
}

static void no_leak(void)
{
	if (__lsan_do_recoverable_leak_check != NULL)
		MUST(__lsan_do_recoverable_leak_check() == 0);
}

/* Which of its calls fail. */
struct range {
	unsigned long first, last, step;
};

/* FAULTS: false when another kind is asked for. */
static bool is_wanted(enum fault kind, struct range *r)
{
	const char *wanted = getenv("FAULTS"), *colon;
	char *end;

	if (wanted == NULL)
		return true;
	if (watches != (strncmp(wanted, "watch-", 6) == 0))
		return false;
	wanted += watches ? 6 : 0;
	colon = strchr(wanted, ':');
	if (colon == NULL || strlen(kind_name[kind]) != (size_t)(colon - wanted) ||
	    strncmp(wanted, kind_name[kind], (size_t)(colon - wanted)) != 0)
		return false;
	r->first = strtoul(colon + 1, &end, 10);
	r->step = 1;
	faults.show = true;
	if (*end != '-')
		r->last = r->first;
	return true;
}

/* The sanitized program sees more; the plain one, which runs beside it, takes half as
 * many, from the middles between. */
static void sample(struct range *r)
{
	bool plain = __lsan_do_recoverable_leak_check == NULL;
	unsigned long lives = (plain ? PLAIN : SAMPLE) / (watches ? 3 : 1);

	if (r->last <= SAMPLE)
		return;
	r->step = r->last / lives;
	if (plain)
		r->first += r->last / SAMPLE / 2;
}

static void every(enum fault kind, bool on_redis)
{
	struct range r = {1, 0, 1};
	int64_t start = clock_mono_ms();
	unsigned long lives = 0;

	if (!is_wanted(kind, &r))
		return;
	snprintf(store_url, sizeof store_url,
	    on_redis ? "redis+unix://%s/redis" : "lmdb:%s/store", directory);
	faults.peer = real_redis_stop;
	fault_number = 0;
	if (r.last == 0) {
		r.last = live(kind, 0);
		MUST(r.last > 0);
		if (getenv("TEST_ALL") == NULL && getenv("FAULTS") == NULL)
			sample(&r);
	}
	for (fault_number = r.first; fault_number <= r.last; fault_number += r.step) {
		live(kind, fault_number);
		if (++lives % 64 == 0)
			no_leak();
	}
	no_leak();
	real_redis_stop();
	printf("%s%s, %.5s: %lu of %lu, %lld ms\n", watches ? "watch-" : "",
	    kind_name[kind], store_url, lives, r.last,
	    (long long)(clock_mono_ms() - start));
}

#define ON_LMDB(name, kind)                                                              \
	static void name(void **state)                                                   \
	{                                                                                \
		(void)state;                                                             \
		every(kind, false);                                                      \
	}
#define ON_REDIS(name, kind)                                                             \
	static void name(void **state)                                                   \
	{                                                                                \
		(void)state;                                                             \
		if (!has_redis)                                                          \
			skip();                                                          \
		every(kind, true);                                                       \
	}
#define WITH_WATCHLISTS(name, kind)                                                      \
	static void name(void **state)                                                   \
	{                                                                                \
		(void)state;                                                             \
		watches = true;                                                          \
		every(kind, false);                                                      \
		watches = false;                                                         \
	}

ON_LMDB(no_memory_with_lmdb, FAULT_MEMORY)
ON_REDIS(no_memory_with_redis, FAULT_MEMORY)
ON_LMDB(a_read_may_be_short, FAULT_SHORT_READ)
ON_REDIS(a_read_from_redis_may_be_short, FAULT_SHORT_READ)
ON_LMDB(a_write_may_be_short, FAULT_SHORT_WRITE)
ON_REDIS(a_write_to_redis_may_be_short, FAULT_SHORT_WRITE)
ON_REDIS(a_socket_may_not_be_ready_after_all, FAULT_AGAIN)
ON_REDIS(a_call_may_be_interrupted, FAULT_INTR)
ON_LMDB(a_connection_may_be_reset, FAULT_RESET)
ON_REDIS(a_connection_with_redis_may_be_reset, FAULT_RESET)
ON_REDIS(a_connection_may_end, FAULT_END)
ON_REDIS(a_connection_may_be_refused, FAULT_REFUSED)
ON_LMDB(descriptors_may_run_out, FAULT_DESCRIPTORS)
ON_REDIS(descriptors_may_run_out_with_redis, FAULT_DESCRIPTORS)
ON_REDIS(a_socket_may_not_be_watched, FAULT_EPOLL)
ON_LMDB(the_disk_may_be_full, FAULT_DISK_FULL)
ON_LMDB(the_disk_may_fail, FAULT_DISK_ERROR)
ON_LMDB(a_responder_may_close, FAULT_UPSTREAM_CLOSES)
ON_LMDB(a_responder_may_hang, FAULT_UPSTREAM_HANGS)
ON_LMDB(a_responder_may_stop_halfway, FAULT_UPSTREAM_STOPS_HALFWAY)
ON_REDIS(redis_may_be_killed, FAULT_PEER)
WITH_WATCHLISTS(no_memory_with_watchlists, FAULT_MEMORY)
WITH_WATCHLISTS(a_read_of_a_watchlist_may_be_short, FAULT_SHORT_READ)
WITH_WATCHLISTS(a_write_about_watchlists_may_be_short, FAULT_SHORT_WRITE)
WITH_WATCHLISTS(a_call_with_watchlists_may_be_interrupted, FAULT_INTR)
WITH_WATCHLISTS(a_connection_with_a_watchlist_may_be_reset, FAULT_RESET)
WITH_WATCHLISTS(descriptors_may_run_out_with_watchlists, FAULT_DESCRIPTORS)
WITH_WATCHLISTS(the_disk_may_be_full_of_watchlists, FAULT_DISK_FULL)
WITH_WATCHLISTS(the_disk_of_watchlists_may_fail, FAULT_DISK_ERROR)

static void on_alarm(int signal)
{
	char text[128];
	int n = snprintf(text, sizeof text, "faults: hangs (signal %d): %s:%lu\n", signal,
	    kind_name[faults.armed], fault_number);

	if (write(STDERR_FILENO, text, (size_t)n) > 0)
		abort();
	abort();
}

static int begin(void **state)
{
	struct conf *c;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, on_alarm);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	faults_exempt(true);
	snprintf(directory, sizeof directory, "%s/faults.XXXXXX",
	    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(directory));
	has_redis = real_redis_is_installed();
	if (!has_redis)
		printf("redis-server is not installed\n");
	make_ca();
	make_file();
	upstream_start();
	strcpy(store_url, "memory:");
	c = make_conf("1M");
	log_setup(LEVEL_ERROR, LOG_FORMAT_LOGFMT, 3600000);
	make_certificate(&good, issuers_at(c->issuers, 0), 1, FORGE_GOOD);
	make_certificate(&revoked, issuers_at(c->issuers, 0), 2, FORGE_REVOKED);
	make_certificate(&moved, issuers_at(c->issuers, 0), 3, FORGE_GOOD);
	conf_free(c);
	return 0;
}

static int end(void **state)
{
	(void)state;
	real_redis_stop();
	shutdown(upstream_fd, SHUT_RDWR);
	pthread_join(upstream_thread, NULL);
	close(upstream_fd);
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	forge_reset();
	nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_memory_with_lmdb),
	    cmocka_unit_test(no_memory_with_redis),
	    cmocka_unit_test(a_read_may_be_short),
	    cmocka_unit_test(a_read_from_redis_may_be_short),
	    cmocka_unit_test(a_write_may_be_short),
	    cmocka_unit_test(a_write_to_redis_may_be_short),
	    cmocka_unit_test(a_socket_may_not_be_ready_after_all),
	    cmocka_unit_test(a_call_may_be_interrupted),
	    cmocka_unit_test(a_connection_may_be_reset),
	    cmocka_unit_test(a_connection_with_redis_may_be_reset),
	    cmocka_unit_test(a_connection_may_end),
	    cmocka_unit_test(a_connection_may_be_refused),
	    cmocka_unit_test(descriptors_may_run_out),
	    cmocka_unit_test(descriptors_may_run_out_with_redis),
	    cmocka_unit_test(a_socket_may_not_be_watched),
	    cmocka_unit_test(the_disk_may_be_full),
	    cmocka_unit_test(the_disk_may_fail),
	    cmocka_unit_test(a_responder_may_close),
	    cmocka_unit_test(a_responder_may_hang),
	    cmocka_unit_test(a_responder_may_stop_halfway),
	    cmocka_unit_test(redis_may_be_killed),
	    cmocka_unit_test(no_memory_with_watchlists),
	    cmocka_unit_test(a_read_of_a_watchlist_may_be_short),
	    cmocka_unit_test(a_write_about_watchlists_may_be_short),
	    cmocka_unit_test(a_call_with_watchlists_may_be_interrupted),
	    cmocka_unit_test(a_connection_with_a_watchlist_may_be_reset),
	    cmocka_unit_test(descriptors_may_run_out_with_watchlists),
	    cmocka_unit_test(the_disk_may_be_full_of_watchlists),
	    cmocka_unit_test(the_disk_of_watchlists_may_fail),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
