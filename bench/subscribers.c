/* subscribers.c - opens many event streams and notes when each was told.
 *
 *	subscribers -p PORT [-n STREAMS] [-u TARGET] [-r WORD] [-w WORD] [-c COUNT]
 *	            [-t TOKEN]
 *
 * Opens STREAMS connections that ask for TARGET, with -t over TLS (whose certificate is
 * not looked at) and with this token, and prints a line "ready" when each has
 * its response head (and the word -r behind it, where given: then a stream is ready when
 * it has been told its position).  From then on, for each line on its input, it waits
 * until every stream has got the word -w COUNT times more, and prints a line of JSON: the
 * monotonic clock in ns at the first stream's last word, the median's, the last's, the
 * first byte that came to anybody, and the bytes that came.  Ends with the input.
 *
 * One thread.  Times are taken once for each turn of its loop, before what is ready in it
 * is read, so that its own work is not counted as the server's.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS   64 /* a clock's reading for so many */
#define INPUT    (256 * 1024)
#define WORD_MAX 32
#define READY_S  60
#define TOLD_S   120
#define STDIN_AT UINT32_MAX

struct stream {
	int fd;
	SSL *ssl; /* NULL: plain */
	bool is_ready, has_head;
	char tail[WORD_MAX]; /* the last bytes, in which a word may have begun */
	size_t tail_n;
	uint64_t words; /* of this round */
	int64_t at;     /* of the last of them */
};

static struct {
	struct stream *stream;
	size_t n, ready, told;
	uint64_t count, bytes;
	int64_t first_byte;
	const char *ready_word, *word, *token;
	SSL_CTX *tls; /* NULL: plain */
	bool waits;   /* a round is on */
	int epoll;
} all = {.n = 1, .count = 1, .word = "\"serial\""};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool say(struct stream *s, const char *request)
{
	size_t n = strlen(request);

	if (all.tls == NULL)
		return write(s->fd, request, n) == (ssize_t)n;
	s->ssl = SSL_new(all.tls);
	return s->ssl != NULL && SSL_set_fd(s->ssl, s->fd) == 1 &&
	       SSL_connect(s->ssl) == 1 && SSL_write(s->ssl, request, (int)n) == (int)n;
}

/* As read(): errno EAGAIN where there is nothing yet. */
static ssize_t hear(struct stream *s, char *to, size_t n)
{
	int got;

	if (s->ssl == NULL)
		return read(s->fd, to, n);
	got = SSL_read(s->ssl, to, (int)n);
	if (got > 0)
		return got;
	errno = SSL_get_error(s->ssl, got) == SSL_ERROR_WANT_READ ? EAGAIN : EPROTO;
	return -1;
}

static void open_stream(
    struct stream *s, uint32_t i, struct sockaddr_in *at, const char *request)
{
	struct epoll_event e = {.events = EPOLLIN, .data = {.u32 = i}};

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || connect(s->fd, (struct sockaddr *)at, sizeof *at) != 0 ||
	    !say(s, request) || fcntl(s->fd, F_SETFL, O_NONBLOCK) != 0 ||
	    epoll_ctl(all.epoll, EPOLL_CTL_ADD, s->fd, &e) != 0)
		err(1, "stream %u", i);
}

static uint64_t count_words(const char *p, size_t n, const char *word)
{
	size_t word_n = strlen(word);
	const char *end = p + n;
	uint64_t count = 0;

	while ((p = memmem(p, (size_t)(end - p), word, word_n)) != NULL) {
		p += word_n;
		count++;
	}
	return count;
}

/* What may be the beginning of a word: its length but one.  A whole word is never in it
 * twice, as it is shorter than one. */
static void keep_tail(struct stream *s, const char *p, size_t n, size_t word_n)
{
	s->tail_n = n < word_n - 1 ? n : word_n - 1;
	memcpy(s->tail, p + n - s->tail_n, s->tail_n);
}

static void take_ready(struct stream *s, const char *p, size_t n)
{
	const char *head = s->has_head ? p : memmem(p, n, "\r\n\r\n", 4);

	if (head == NULL)
		errx(1, "a response head in pieces");
	if (!s->has_head && memcmp(p, "HTTP/1.1 200", 12) != 0)
		errx(1, "not accepted: %.*s", (int)n, p);
	s->has_head = true;
	if (all.ready_word != NULL && memmem(head, n - (size_t)(head - p), all.ready_word,
					  strlen(all.ready_word)) == NULL)
		return;
	s->is_ready = true;
	all.ready++;
}

/* p[0..before) is the tail of what came before. */
static void take_told(struct stream *s, const char *p, size_t n, int64_t now)
{
	uint64_t words = count_words(p, n, all.word);

	keep_tail(s, p, n, strlen(all.word));
	if (words == 0)
		return;
	if (all.first_byte == 0)
		all.first_byte = now;
	if (s->words < all.count && s->words + words >= all.count) {
		s->at = now;
		all.told++;
	}
	s->words += words;
}

static void read_stream(struct stream *s, int64_t now)
{
	static char input[WORD_MAX + INPUT];
	size_t had = s->is_ready ? s->tail_n : 0;
	ssize_t n;

	memcpy(input, s->tail, had);
	n = hear(s, input + had, INPUT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		errx(1, "a stream ended: %s", n < 0 ? strerror(errno) : "closed");
	all.bytes += (uint64_t)n;
	if (s->is_ready)
		take_told(s, input, had + (size_t)n, now);
	else
		take_ready(s, input, (size_t)n);
}

static void begin_round(void)
{
	char line[64];
	ssize_t n = read(STDIN_FILENO, line, sizeof line);

	if (n <= 0)
		exit(0);
	for (size_t i = 0; i < all.n; i++)
		all.stream[i].words = 0;
	all.told = 0;
	all.bytes = 0;
	all.first_byte = 0;
	all.waits = true;
	printf("go\n");
	fflush(stdout);
}

static int by_time(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void report(void)
{
	int64_t *at = calloc(all.n, sizeof *at);

	if (at == NULL)
		err(1, "report");
	for (size_t i = 0; i < all.n; i++)
		at[i] = all.stream[i].at;
	qsort(at, all.n, sizeof *at, by_time);
	printf("{\"streams\": %zu, \"first_byte_ns\": %lld, \"first_ns\": %lld, "
	       "\"median_ns\": %lld, \"last_ns\": %lld, \"bytes\": %llu}\n",
	    all.n, (long long)all.first_byte, (long long)at[0], (long long)at[all.n / 2],
	    (long long)at[all.n - 1], (unsigned long long)all.bytes);
	fflush(stdout);
	free(at);
	all.waits = false;
}

static void turn(int64_t deadline)
{
	struct epoll_event ready[EVENTS];
	int n = epoll_wait(all.epoll, ready, EVENTS, 1000);
	int64_t now = now_ns();

	for (int i = 0; i < n; i++)
		if (ready[i].data.u32 == STDIN_AT)
			begin_round();
		else
			read_stream(&all.stream[ready[i].data.u32], now);
	if (now > deadline && (all.waits || all.ready < all.n))
		errx(1, "%zu of %zu streams ready, %zu told, and the time is up",
		    all.ready, all.n, all.told);
}

static void run(struct sockaddr_in *at, const char *request)
{
	struct epoll_event e = {.events = EPOLLIN, .data = {.u32 = STDIN_AT}};
	int64_t deadline;

	for (uint32_t i = 0; i < all.n; i++)
		open_stream(&all.stream[i], i, at, request);
	deadline = now_ns() + READY_S * INT64_C(1000000000);
	while (all.ready < all.n)
		turn(deadline);
	printf("ready\n");
	fflush(stdout);
	if (epoll_ctl(all.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &e) != 0)
		err(1, "input");
	for (;;) {
		if (!all.waits)
			deadline = now_ns() + TOLD_S * INT64_C(1000000000);
		turn(deadline);
		if (all.waits && all.told == all.n)
			report();
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	const char *target = "/v1/events";
	struct rlimit most;
	char request[512];
	int o;

	while ((o = getopt(argc, argv, "p:n:u:r:w:c:t:")) != -1)
		switch (o) {
		case 'p':
			at.sin_port = htons((uint16_t)atoi(optarg));
			break;
		case 'n':
			all.n = strtoul(optarg, NULL, 10);
			break;
		case 'u':
			target = optarg;
			break;
		case 'r':
			all.ready_word = optarg;
			break;
		case 'w':
			all.word = optarg;
			break;
		case 'c':
			all.count = strtoull(optarg, NULL, 10);
			break;
		case 't':
			all.token = optarg;
			break;
		default:
			return 64;
		}
	if (at.sin_port == 0 || all.n == 0 || all.word[0] == '\0' ||
	    strlen(all.word) > WORD_MAX)
		errx(64, "usage: subscribers -p PORT [-n STREAMS] [-u TARGET] [-r WORD] "
			 "[-w WORD] [-c COUNT] [-t TOKEN]");
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &most) == 0) {
		most.rlim_cur = most.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &most);
	}
	all.stream = calloc(all.n, sizeof *all.stream);
	all.epoll = epoll_create1(EPOLL_CLOEXEC);
	all.tls = all.token != NULL ? SSL_CTX_new(TLS_client_method()) : NULL;
	if (all.stream == NULL || all.epoll < 0 || (all.token != NULL && all.tls == NULL))
		err(1, "start");
	if (all.tls != NULL) /* 10,000 of them */
		SSL_CTX_set_mode(all.tls, SSL_MODE_RELEASE_BUFFERS);
	snprintf(request, sizeof request,
	    "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: "
	    "text/event-stream\r\n%s%s%s\r\n",
	    target, all.token != NULL ? "Authorization: Bearer " : "",
	    all.token != NULL ? all.token : "", all.token != NULL ? "\r\n" : "");
	run(&at, request);
	return 0;
}
