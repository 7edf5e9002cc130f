/* fleet.c - many watchlists of one CA's certificates: loads them, and listens for what
 * becomes of them.
 *
 *	fleet load -p PORT -l LISTS -n SIZE -r REVOKED -f FIRST [-N] [-c CONNECTIONS]
 *	fleet listen -p PORT -l LISTS -n SIZE -r REVOKED -f FIRST [-N]
 *
 * List l, "list0007", has SIZE certificates of the issuer "bench".  REVOKED certificates,
 * numbers FIRST on (listed.h), are dealt out to the lists one after the other, as many to
 * each as to any other, but for one; the rest of a list is revoked by nobody.  -N: each
 * has a name, which follows from its list and number, an end and a label.
 *
 * load PUTs the lists as NDJSON, each as a stream that is made while it is sent, and
 * prints how long that took.
 *
 * listen opens a stream for each list, and prints "ready" when each was told its
 * position.  When a line comes on its input it waits until each stream has got as many
 * serials as its list has revoked ones; checks that they are these (their number, and the
 * sum of a hash of each with its name), that all are revoked and no other has come within
 * half a second more; and prints a line of JSON as subscribers does.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "bench/listed.h"

#define OTHERS     UINT64_C(1000000000) /* numbers from here on are revoked by nobody */
#define LINE_MAX_N 256
#define CHUNK      (64 * 1024)
#define INPUT      (256 * 1024)
#define RECORD_MAX 1024 /* of one change */
#define EVENTS     64
#define READY_S    120
#define TOLD_S     300
#define QUIET_NS   INT64_C(500000000)
#define STDIN_AT   UINT32_MAX
#define LABEL      "owner=web team"

static struct {
	uint64_t lists, size, revoked, first;
	unsigned connections;
	bool names;
	struct sockaddr_in at;
} all = {.lists = 1000,
    .size = 15000,
    .connections = 2,
    .at = {.sin_family = AF_INET, .sin_addr = {0}}};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* How many of list l are revoked. */
static uint64_t share_of(uint64_t l)
{
	return l < all.revoked ? (all.revoked - l - 1) / all.lists + 1 : 0;
}

static uint64_t number_of(uint64_t l, uint64_t i)
{
	return i < share_of(l) ? all.first + l + i * all.lists
			       : OTHERS + l * all.size + i;
}

static size_t serial_text(uint64_t number, char out[2 * LISTED_SERIAL_MAX])
{
	static const char digit[] = "0123456789abcdef";
	uint8_t serial[LISTED_SERIAL_MAX];
	size_t n = listed_serial(0, number, serial), k = 0;

	for (size_t i = 0; i < n; i++) {
		if (i > 0 || serial[0] >= 16)
			out[k++] = digit[serial[i] >> 4];
		out[k++] = digit[serial[i] & 15];
	}
	return k;
}

static size_t name_text(uint64_t l, uint64_t number, char *out, size_t room)
{
	return (size_t)snprintf(
	    out, room, "h%" PRIx64 ".l%" PRIu64 ".shop.example", number, l);
}

static int connect_to(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&all.at, sizeof all.at) != 0)
		err(1, "connect");
	return fd;
}

/* Loading. */

static void write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(fd, p, n);

		if (k <= 0)
			err(1, "write");
		p += k;
		n -= (size_t)k;
	}
}

static size_t line_text(uint64_t l, uint64_t number, char *out)
{
	char serial[2 * LISTED_SERIAL_MAX], name[64];
	size_t n = serial_text(number, serial);
	char *p = stpcpy(out, "{\"issuer\":\"bench\",\"serial\":\"");

	memcpy(p, serial, n);
	p += n;
	if (!all.names)
		return (size_t)(stpcpy(p, "\"}\n") - out);
	name_text(l, number, name, sizeof name);
	p = stpcpy(stpcpy(stpcpy(p, "\",\"names\":[\""), name), "\"]");
	p = stpcpy(
	    p, ",\"not_after\":\"2030-01-02T03:04:05Z\",\"labels\":[\"" LABEL "\"]}\n");
	return (size_t)(p - out);
}

static void put_chunk(int fd, const char *p, size_t n)
{
	char head[32];

	write_all(fd, head, (size_t)snprintf(head, sizeof head, "%zx\r\n", n));
	write_all(fd, p, n);
	write_all(fd, "\r\n", 2);
}

static void expect_made(int fd, uint64_t l)
{
	char answer[4096];
	size_t n = 0;
	ssize_t k;

	while (n < sizeof answer - 1 &&
	       (k = read(fd, answer + n, sizeof answer - 1 - n)) > 0) {
		n += (size_t)k;
		answer[n] = '\0';
		/* its body is one object */
		if (strstr(answer, "\r\n\r\n{") != NULL && answer[n - 1] == '}')
			break;
	}
	answer[n] = '\0';
	if (strncmp(answer, "HTTP/1.1 201", 12) != 0 &&
	    strncmp(answer, "HTTP/1.1 200", 12) != 0)
		errx(1, "list %" PRIu64 ": %s", l, answer);
}

static void load_list(uint64_t l)
{
	static _Thread_local char chunk[CHUNK + LINE_MAX_N];
	char head[256];
	size_t n = 0;
	int fd = connect_to();

	write_all(fd, head,
	    (size_t)snprintf(head, sizeof head,
		"PUT /v1/watchlists/list%04" PRIu64 " HTTP/1.1\r\nHost: localhost\r\n"
		"Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n"
		"Connection: close\r\n\r\n",
		l));
	for (uint64_t i = 0; i < all.size; i++) {
		n += line_text(l, number_of(l, i), chunk + n);
		if (n < CHUNK && i + 1 < all.size)
			continue;
		put_chunk(fd, chunk, n);
		n = 0;
	}
	write_all(fd, "0\r\n\r\n", 5);
	expect_made(fd, l);
	close(fd);
}

static _Atomic uint64_t next_list;

static void *load_some(void *arg)
{
	uint64_t l;

	while ((l = atomic_fetch_add(&next_list, 1)) < all.lists)
		load_list(l);
	return arg;
}

static void load(void)
{
	pthread_t thread[16];
	int64_t start = now_ns();
	struct rusage use;

	for (unsigned i = 0; i < all.connections; i++)
		if (pthread_create(&thread[i], NULL, load_some, NULL) != 0)
			errx(1, "thread");
	for (unsigned i = 0; i < all.connections; i++)
		pthread_join(thread[i], NULL);
	getrusage(RUSAGE_SELF, &use);
	printf("{\"seconds\": %.3f, \"client_cpu\": %.3f}\n",
	    (double)(now_ns() - start) / 1e9,
	    (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
		(double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
}

/* Listening. */

struct stream {
	int fd;
	bool is_ready;
	uint64_t list, got, want, sum, want_sum;
	int64_t at;  /* of the last one */
	size_t kept; /* bytes of a change that has not come whole */
	char keep[RECORD_MAX];
};

static struct {
	struct stream *stream;
	uint64_t ready, told, bytes;
	int64_t first_byte;
	bool waits; /* for what is told */
	int epoll;
} heard;

/* The sum of these tells sets apart in which a name stands by another serial, too. */
static uint64_t hash_of(const char *serial, size_t n, const char *name, size_t name_n)
{
	return XXH3_64bits_withSeed(serial, n, XXH3_64bits(name, name_n));
}

static void expect(struct stream *s)
{
	char serial[2 * LISTED_SERIAL_MAX], name[64];

	s->want = share_of(s->list);
	for (uint64_t i = 0; i < s->want; i++) {
		uint64_t number = number_of(s->list, i);
		size_t n = serial_text(number, serial), name_n = 0;

		if (all.names)
			name_n = name_text(s->list, number, name, sizeof name);
		s->want_sum += hash_of(serial, n, name, name_n);
	}
}

static void wrong(const struct stream *s, const char *p, size_t n)
{
	errx(1, "list %" PRIu64 ": not what was expected: %.*s", s->list, (int)n, p);
}

/* One change, from `serial` (behind the quote) to its closing brace. */
static void take_change(struct stream *s, const char *serial, const char *end)
{
	static const char status[] = "\",\"status\":\"revoked\"",
			  labels[] = "\"names\":[\"",
			  tail[] = "\"],\"labels\":[\"" LABEL "\"]",
			  none[] = ",\"names\":[],\"labels\":[]";
	const char *quote = memchr(serial, '"', (size_t)(end - serial));
	size_t tail_n = all.names ? sizeof tail - 1 : sizeof none - 1;
	const char *name = NULL, *behind = end - tail_n;

	if (quote == NULL || end - quote < (ptrdiff_t)(sizeof status + tail_n) ||
	    memcmp(quote, status, sizeof status - 1) != 0 ||
	    memcmp(behind, all.names ? tail : none, tail_n) != 0)
		wrong(s, serial, (size_t)(end - serial));
	if (all.names) {
		name = memmem(quote, (size_t)(behind - quote), labels, sizeof labels - 1);
		if (name == NULL)
			wrong(s, serial, (size_t)(end - serial));
		name += sizeof labels - 1;
	}
	s->sum += hash_of(serial, (size_t)(quote - serial), name,
	    name != NULL ? (size_t)(behind - name) : 0);
	s->got++;
}

/* All whole changes; what is left may be the beginning of one. */
static size_t take_changes(struct stream *s, const char *p, size_t n)
{
	static const char word[] = "{\"serial\":\"";
	const size_t word_n = sizeof word - 1;
	const char *end = p + n, *close;

	for (;;) {
		if (end - p <= (ptrdiff_t)word_n || memcmp(p + 1, word, word_n) != 0) {
			const char *at = memmem(p, (size_t)(end - p), word, word_n);

			if (at == NULL)
				return (size_t)(end - p) < word_n ? (size_t)(end - p)
								  : word_n;
			p = at - 1;
		}
		close = memchr(p + 1, '}', (size_t)(end - p - 1));
		if (close == NULL)
			return (size_t)(end - p);
		take_change(s, p + 1 + word_n, close);
		p = close + 1;
	}
}

static void take_ready(struct stream *s, const char *p, size_t n)
{
	if (memcmp(p, "HTTP/1.1 200", n < 12 ? n : 12) != 0)
		errx(1, "list %" PRIu64 ": %.*s", s->list, (int)n, p);
	if (memmem(p, n, "\nid: ", 5) == NULL)
		return;
	s->is_ready = true;
	heard.ready++;
}

static void take_told(struct stream *s, char *input, size_t n, int64_t now)
{
	uint64_t before = s->got;

	s->kept = take_changes(s, input, n);
	if (s->kept > RECORD_MAX)
		wrong(s, input + n - s->kept, s->kept);
	memcpy(s->keep, input + n - s->kept, s->kept);
	if (s->got == before)
		return;
	s->at = now;
	if (heard.first_byte == 0)
		heard.first_byte = now;
	if (s->got > s->want || (s->got == s->want && s->sum != s->want_sum))
		errx(1, "list %" PRIu64 ": %" PRIu64 " of %" PRIu64 " changes, %s",
		    s->list, s->got, s->want,
		    s->got > s->want ? "too many" : "but not its own");
	heard.told += s->got == s->want;
}

static void read_stream(struct stream *s, int64_t now)
{
	static char input[RECORD_MAX + INPUT];
	ssize_t n;

	memcpy(input, s->keep, s->kept);
	n = read(s->fd, input + s->kept, INPUT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		errx(1, "list %" PRIu64 ": its stream ended after %" PRIu64 " changes",
		    s->list, s->got);
	heard.bytes += (uint64_t)n;
	if (s->is_ready)
		take_told(s, input, s->kept + (size_t)n, now);
	else
		take_ready(s, input, (size_t)n);
}

static int by_time(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void report(void)
{
	int64_t *at = calloc(all.lists, sizeof *at);
	struct rusage use;

	if (at == NULL)
		err(1, "report");
	for (uint64_t i = 0; i < all.lists; i++)
		at[i] = heard.stream[i].at;
	qsort(at, all.lists, sizeof *at, by_time);
	getrusage(RUSAGE_SELF, &use);
	printf("{\"streams\": %" PRIu64 ", \"first_byte_ns\": %" PRId64
	       ", \"first_ns\": %" PRId64 ", \"median_ns\": %" PRId64
	       ", \"last_ns\": %" PRId64 ", \"bytes\": %" PRIu64
	       ", \"client_cpu\": %.3f}\n",
	    all.lists, heard.first_byte, at[0], at[all.lists / 2], at[all.lists - 1],
	    heard.bytes,
	    (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
		(double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
	fflush(stdout);
	free(at);
}

static void on_input(void)
{
	char line[64];

	if (read(STDIN_FILENO, line, sizeof line) <= 0)
		exit(0);
	heard.waits = true;
	printf("go\n");
	fflush(stdout);
}

static void turn(void)
{
	struct epoll_event ready[EVENTS];
	int n = epoll_wait(heard.epoll, ready, EVENTS, 100);
	int64_t now = now_ns();

	for (int i = 0; i < n; i++)
		if (ready[i].data.u32 == STDIN_AT)
			on_input();
		else
			read_stream(&heard.stream[ready[i].data.u32], now);
}

static void open_stream(struct stream *s, uint64_t l)
{
	struct epoll_event e = {.events = EPOLLIN, .data = {.u32 = (uint32_t)l}};
	char head[256];

	s->list = l;
	expect(s);
	heard.told += s->want == 0;
	s->fd = connect_to();
	write_all(s->fd, head,
	    (size_t)snprintf(head, sizeof head,
		"GET /v1/events?watchlist=list%04" PRIu64 " HTTP/1.1\r\n"
		"Host: localhost\r\nAccept: text/event-stream\r\n\r\n",
		l));
	if (fcntl(s->fd, F_SETFL, O_NONBLOCK) != 0 ||
	    epoll_ctl(heard.epoll, EPOLL_CTL_ADD, s->fd, &e) != 0)
		err(1, "stream");
}

static void open_streams(void)
{
	struct epoll_event e = {.events = EPOLLIN, .data = {.u32 = STDIN_AT}};
	int64_t deadline = now_ns() + READY_S * INT64_C(1000000000);

	heard.stream = calloc(all.lists, sizeof *heard.stream);
	heard.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (heard.stream == NULL || heard.epoll < 0)
		err(1, "start");
	for (uint64_t l = 0; l < all.lists; l++)
		open_stream(&heard.stream[l], l);
	while (heard.ready < all.lists && now_ns() < deadline)
		turn();
	if (heard.ready < all.lists)
		errx(1, "%" PRIu64 " streams are ready, and the time is up", heard.ready);
	if (epoll_ctl(heard.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &e) != 0)
		err(1, "input");
	printf("ready\n");
	fflush(stdout);
}

static void listen_to(void)
{
	int64_t deadline, quiet = 0;

	open_streams();
	while (!heard.waits)
		turn();
	deadline = now_ns() + TOLD_S * INT64_C(1000000000);
	while (quiet == 0 || now_ns() < quiet) {
		turn();
		if (quiet == 0 && heard.told == all.lists)
			quiet = now_ns() + QUIET_NS;
		if (now_ns() > deadline)
			errx(1, "%" PRIu64 " streams have all, and the time is up",
			    heard.told);
	}
	report();
	for (;;)
		turn();
}

static void take_option(int o)
{
	uint64_t v = optarg != NULL ? strtoull(optarg, NULL, 10) : 0;

	switch (o) {
	case 'p':
		all.at.sin_port = htons((uint16_t)v);
		break;
	case 'l':
		all.lists = v;
		break;
	case 'n':
		all.size = v;
		break;
	case 'r':
		all.revoked = v;
		break;
	case 'f':
		all.first = v;
		break;
	case 'c':
		all.connections = (unsigned)v;
		break;
	case 'N':
		all.names = true;
		break;
	default:
		exit(64);
	}
}

int main(int argc, char **argv)
{
	struct rlimit most;
	int o;

	all.at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	while ((o = getopt(argc, argv, "p:l:n:r:f:c:N")) != -1)
		take_option(o);
	if (argc - optind != 1 || all.at.sin_port == 0 || all.lists == 0 ||
	    all.connections == 0 || all.connections > 16 || share_of(0) > all.size)
		errx(64, "usage: fleet load|listen -p PORT [-l LISTS] [-n SIZE] "
			 "[-r REVOKED] [-f FIRST] [-N] [-c CONNECTIONS]");
	if (getrlimit(RLIMIT_NOFILE, &most) == 0) {
		most.rlim_cur = most.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &most);
	}
	if (strcmp(argv[optind], "load") == 0)
		load();
	else
		listen_to();
	return 0;
}
