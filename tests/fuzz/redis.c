/* What a hostile Redis may say: every question of the store is answered at most once and
 * with no more than was allowed, and nothing crashes, leaks or asserts.
 *
 * The store runs as it is, on socket pairs: socket() and connect() are this file's.  An
 * input is a row of pieces, each ended by 0xff; the first octet of a piece says what it
 * is:
 *	'a' bytes from the server on the connection for commands
 *	'b' the same on the connection for news
 *	'x' close the connection for commands, 'y' the one for news
 *	'q' the store is asked: get, lease, put, delete, purge
 * An input that begins with 'r' does without the honest greeting: its pieces are all that
 * the server ever says.
 */
#include "cache/store/store.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cache/redis/redis_link.h"

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)

#define MAX_VALUE 4096
#define SERVERS   16
#define ASKED_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int servers[SERVERS]; /* our ends, in the order of connecting: A, B, ... */
static int servers_n;
static redisReader *readers[SERVERS];
static struct event_base *base;
static struct issuers *issuers;
static struct key key;
static int answers[ASKED_MAX], asked;

/* The network. */

int socket(int domain, int type, int protocol)
{
	int fd[2];

	(void)domain, (void)protocol;
	if (servers_n == SERVERS) {
		errno = EMFILE;
		return -1;
	}
	MUST(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fd) == 0);
	readers[servers_n] = redisReaderCreate();
	MUST(readers[servers_n] != NULL);
	servers[servers_n++] = fd[1];
	return fd[0];
}

int connect(int fd, const struct sockaddr *to, socklen_t n)
{
	(void)fd, (void)to, (void)n;
	return 0;
}

static void say(int i, const void *p, size_t n)
{
	if (i < servers_n && servers[i] >= 0 && n > 0)
		(void)send(servers[i], p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void hang_up(int i)
{
	if (i < servers_n && servers[i] >= 0)
		close(servers[i]);
	if (i < servers_n)
		servers[i] = -1;
}

/* The honest part of the server. */

static const char *greeting(const redisReply *r)
{
	static const struct {
		const char *command, *reply;
	} table[] = {
	    {"SCRIPT", "+OK\r\n"},
	    {"INFO", "$0\r\n\r\n"},
	    {"PING", "+PONG\r\n"},
	    {"ID", ":7\r\n"},
	    {"SETNAME", "+OK\r\n"},
	    {"TRACKING", "+OK\r\n"},
	    {"SUBSCRIBE",
		"*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n"},
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		for (size_t j = 0; j < r->elements && j < 2; j++)
			if (strcmp(r->element[j]->str, table[i].command) == 0)
				return table[i].reply;
	return NULL;
}

/* Read what the store says; answer the commands of the greeting.  What we send is whole
 * commands, always. */
static void hear(int i, bool honest)
{
	char text[16384];
	ssize_t n;
	void *r;

	if (servers[i] < 0)
		return;
	while ((n = recv(servers[i], text, sizeof text, MSG_DONTWAIT)) > 0)
		MUST(redisReaderFeed(readers[i], text, (size_t)n) == REDIS_OK);
	for (;;) {
		const redisReply *command;
		const char *reply;

		MUST(redisReaderGetReply(readers[i], &r) == REDIS_OK);
		if (r == NULL)
			return;
		command = r;
		MUST(command->type == REDIS_REPLY_ARRAY && command->elements > 0);
		reply = honest ? greeting(command) : NULL;
		if (reply != NULL)
			say(i, reply, strlen(reply));
		freeReplyObject(r);
	}
}

static void turn(int times, bool honest)
{
	while (times-- > 0) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		for (int i = 0; i < servers_n; i++)
			hear(i, honest);
	}
}

/* The store. */

static void on_got(void *arg, enum err e, struct bytes value)
{
	volatile uint8_t sum = 0;

	MUST(++*(int *)arg == 1);
	MUST(e == ERR_OK || value.n == 0);
	MUST(e != ERR_OK || (value.n > 0 && value.n <= MAX_VALUE));
	for (size_t i = 0; i < value.n; i++)
		sum = (uint8_t)(sum ^ value.p[i]);
}

static void on_done(void *arg, enum err e)
{
	MUST(e < ERR_COUNT && ++*(int *)arg == 1);
}

static void on_lease(void *arg, enum lease l, int64_t retry_ms)
{
	MUST(l <= LEASE_ALONE && retry_ms >= 0 && ++*(int *)arg == 1);
}

static void on_changed(void *arg, const struct key *k)
{
	char name[KEY_NAME_MAX];
	struct key again;

	(void)arg;
	MUST(key_from_name(&again, name, key_name(k, name)) == ERR_OK);
	MUST(key_equal(k, &again));
}

static void on_all_changed(void *arg)
{
	(void)arg;
}

static void on_event(void *arg, bool warn, const char *event, const char *text)
{
	(void)arg, (void)warn, (void)event;
	for (; *text != '\0'; text++)
		MUST(*text >= ' ' && *text != 127); /* T25: fit for a log line */
}

static int *next_answer(void)
{
	return &answers[asked++];
}

static void ask(struct store *s)
{
	static const uint8_t der[] = {0x30, 3, 0x0a, 1, 0};
	struct facts f = {.status = STATUS_GOOD,
	    .this_update = 1700000000,
	    .next_update = 4000000000,
	    .signer_not_after = INT64_MAX};

	if (asked + 5 > ASKED_MAX)
		return;
	store_get(s, &key, on_got, next_answer());
	store_lease(s, &key, NULL, 1000, on_lease, next_answer());
	store_put(s, &key, &f, bytes_of(der, sizeof der), false, on_done, next_answer());
	store_delete(s, &key, on_done, next_answer());
	store_purge(s, issuers_at(issuers, 0), on_done, next_answer());
	store_release(s, &key, 5);
}

static void play(struct store *s, const uint8_t *p, size_t n)
{
	if (n == 0)
		return;
	switch (p[0]) {
	case 'a':
		say(0, p + 1, n - 1);
		break;
	case 'b':
		say(1, p + 1, n - 1);
		break;
	case 'x':
		hang_up(0);
		break;
	case 'y':
		hang_up(1);
		break;
	case 'q':
		ask(s);
		break;
	}
}

/* Making it. */

static void make_issuers(void)
{
	struct issuer_spec spec = {.name = "test", .certificates_n = 1};
	struct serial one = {1, {1}};
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	size_t clash[2];

	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
	    (const unsigned char *)"a", 1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, pkey);
	MUST(X509_sign(x, pkey, EVP_sha256()) > 0);
	spec.certificates = &x;
	MUST(issuers_new(&issuers, &spec, 1, clash) == ERR_OK);
	X509_free(x);
	EVP_PKEY_free(pkey);
	issuer_key(issuers_at(issuers, 0), 0, CERTID_SHA1, &one, &key);
}

static struct store *open_store(void)
{
	static const struct store_config c = {.url = "redis+unix:///redis",
	    .prefix = "p:",
	    .timeout_ms = 60000,
	    .connect_timeout_ms = 60000,
	    .backoff_max_ms = 60000,
	    .max_value = MAX_VALUE,
	    .hooks = {
		.changed = on_changed, .all_changed = on_all_changed, .event = on_event}};
	struct store_config with_base = c;
	struct store *s;
	char why[128];

	with_base.base = base;
	MUST(store_open(&s, &with_base, why, sizeof why) == ERR_OK);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *end = data + n;
	bool honest = n == 0 || data[0] != 'r';
	struct store *s;

	if (base == NULL) {
		base = event_base_new();
		make_issuers();
	}
	asked = 0;
	memset(answers, 0, sizeof answers);
	s = open_store();
	turn(honest ? 8 : 2, honest);
	for (const uint8_t *p = honest ? data : data + 1, *stop; p < end; p = stop + 1) {
		stop = memchr(p, 0xff, (size_t)(end - p));
		if (stop == NULL)
			stop = end;
		play(s, p, (size_t)(stop - p));
		turn(3, false);
	}
	store_close(s);
	for (int i = 0; i < servers_n; i++) {
		hang_up(i);
		redisReaderFree(readers[i]);
	}
	servers_n = 0;
	return 0;
}
