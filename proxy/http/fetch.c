/* fetch.c - libcurl says which sockets and which timeout it waits for; libevent waits.
 *
 * A fetch is in one of two lists: live (libcurl has it) or ended (libcurl has given it
 * back, done has not been called).  done is only called with libcurl off the stack, so it
 * may start and cancel fetches.  Handles are used again; connections belong to the multi
 * handle and outlive them.
 */
#include "proxy/http/fetch.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "cache/base/write_all.h"
#include "conf/address.h"
#include "proxy/base/clock.h"
#include "proxy/base/timer.h"
#include "proxy/http/fetch_head.h"
#include "proxy/http/fetch_words.h"
#include "proxy/http/sockets.h"

#if LIBCURL_VERSION_NUM < 0x075700
#error "libcurl 7.87 is needed: without CURLOPT_QUICK_EXIT a hanging name blocks the loop"
#endif

#define CONNECTIONS_IDLE_MAX 64   /* kept for the next fetch; a descriptor each */
#define HANDLES_IDLE_MAX     64   /* about 6 KiB each */
#define BODY_FIRST_BYTES     4096 /* most answers fit */
#define LINE_MAX_BYTES       1024 /* of a header of ours: entity tags are short */
#define PROXY_MAX_BYTES      300  /* "http://", a DNS name, a port */
/* What libcurl hands over at a time, and so the writes to a sink: a list of 155 MB in 620
 * of them.  Its default of 16 KiB is enough for answers. */
#define SINK_PIECE_BYTES (256 * 1024)

enum fetch_state { FETCH_IDLE, FETCH_LIVE, FETCH_ENDED, FETCH_TELLING };

struct fetch {
	TAILQ_ENTRY(fetch) link; /* in live, ended or idle */
	struct fetcher *fetcher;
	enum fetch_state state;
	CURL *easy;
	struct curl_slist *headers;
	CURLcode code;
	fetch_done_fn *done;
	void *arg;
	int64_t start_us;
	struct fetch_head head;
	uint8_t *body;
	size_t body_n, body_room, max_size;
	bool conditional;
	bool sink;
	int sink_fd;
	bool too_large, no_memory, sink_failed; /* why our callbacks stopped it */
	/* Of a learnt URL: an address of its name may not be connected to; its name is
	 * being looked up and nothing more, before a proxy is asked. */
	bool guarded, refused, looking;
	int timeout_ms;
	int sink_errno;
	char proxy[PROXY_MAX_BYTES];  /* as of its start */
	char detail[CURL_ERROR_SIZE]; /* libcurl's words */
};
TAILQ_HEAD(fetch_list, fetch);

struct fetcher {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	char *user_agent;
	struct fetch_policy policy;
	char words[FETCH_WORDS_MAX]; /* of the end that is being told */
	struct fetch_list live, ended, idle;
	unsigned idle_n;
	struct sockets *sockets;
};

static void curl_init(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* A name may have other addresses too, which were tried. */
static bool was_refused(const struct fetch *x)
{
	return x->refused &&
	       (x->code == CURLE_COULDNT_CONNECT || x->code == CURLE_ABORTED_BY_CALLBACK);
}

/* What libcurl's result is in our terms. */
static enum err outcome(const struct fetch *x)
{
	long sent = 0;

	if (x->too_large || x->head.too_large)
		return ERR_UP_SIZE;
	if (x->no_memory)
		return ERR_NOMEM;
	if (x->sink_failed)
		return ERR_STORE;
	if (x->head.refusal[0] != '\0')
		return ERR_UP_HTTP;
	if (was_refused(x))
		return ERR_UP_ADDRESS;
	switch (x->code) {
	case CURLE_OK:
		return x->head.whole ? ERR_OK : ERR_UP_TRUNCATED;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_UP_TIMEOUT;
	case CURLE_FILESIZE_EXCEEDED:
		return ERR_UP_SIZE;
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
		return ERR_UP_TRUNCATED;
	case CURLE_OUT_OF_MEMORY:
		return ERR_NOMEM;
	case CURLE_RECV_ERROR: /* also a reset, and chunks that are none */
		return x->head.n > 0 ? ERR_UP_TRUNCATED : ERR_UP_CONNECT;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_WRITE_ERROR: /* not by our callbacks: what is behind a coded body */
		return ERR_UP_HTTP;
	case CURLE_UNSUPPORTED_PROTOCOL: /* no HTTP/1 came, or a URL that we do not ask */
		curl_easy_getinfo(x->easy, CURLINFO_REQUEST_SIZE, &sent);
		return sent > 0 ? ERR_UP_HTTP : ERR_UP_CONNECT;
	default:
		return ERR_UP_CONNECT;
	}
}

static void fetch_destroy(struct fetch *x)
{
	curl_slist_free_all(x->headers);
	curl_easy_cleanup(x->easy);
	free(x->body);
	free(x);
}

/* Back among the idle ones, or away with it. */
static void recycle(struct fetch *x)
{
	struct fetcher *f = x->fetcher;
	CURL *easy = x->easy;

	assert(x->state != FETCH_IDLE);
	if (f->idle_n >= HANDLES_IDLE_MAX) {
		fetch_destroy(x);
		return;
	}
	curl_easy_reset(easy);
	curl_slist_free_all(x->headers);
	free(x->body);
	memset(x, 0, sizeof *x);
	x->fetcher = f;
	x->easy = easy;
	TAILQ_INSERT_HEAD(&f->idle, x, link);
	f->idle_n++;
}

/* A header of the response, "" for none; borrowed until the handle is used again. */
static const char *header(const struct fetch *x, const char *name)
{
	struct curl_header *h;

	if (curl_easy_header(x->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return "";
	return h->value;
}

static const char *cause_of(const struct fetch *x)
{
	if (x->sink_failed)
		return strerror(x->sink_errno);
	if (x->head.refusal[0] != '\0')
		return x->head.refusal;
	if (was_refused(x))
		return GUARD_WORDS;
	if (x->detail[0] != '\0')
		return x->detail;
	return curl_easy_strerror(x->code == CURLE_OK ? CURLE_PARTIAL_FILE : x->code);
}

/* For who reads the log and has to reach a server that is not his. */
static const char *remedy_of(const struct fetch *x)
{
	if (x->sink_failed || x->head.refusal[0] != '\0')
		return ""; /* the cause is another one */
	if (was_refused(x))
		return GUARD_REMEDY;
	switch (x->code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return "mend the name in the URL, or the resolver of this machine";
	case CURLE_COULDNT_CONNECT:
		return "see that it runs, and that no firewall is between";
	case CURLE_OPERATION_TIMEDOUT:
		return "see that it can be reached from here; where it is slow, raise "
		       "upstream-timeout (of a list crl-timeout)";
	default:
		return "";
	}
}

/* Did its certificate fail for want of a CA, and not for its dates or names? */
static bool is_untrusted(const struct fetch *x)
{
	long verdict = X509_V_OK;

	if (x->code != CURLE_PEER_FAILED_VERIFICATION)
		return false;
	curl_easy_getinfo(x->easy, CURLINFO_SSL_VERIFYRESULT, &verdict);
	return verdict == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
	       verdict == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	       verdict == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE ||
	       verdict == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
	       verdict == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
}

/* No proxy has to do with it. */
static bool is_ours(enum err e)
{
	return e == ERR_STORE || e == ERR_NOMEM || e == ERR_UP_ADDRESS;
}

static const char *words_of(struct fetch *x, enum err e, int status)
{
	const struct fetch_end end = {.status = e == ERR_OK ? status : 0,
	    .location = header(x, "Location"),
	    .cause = cause_of(x),
	    .remedy = remedy_of(x),
	    .untrusted = is_untrusted(x),
	    .proxy = is_ours(e) ? "" : x->proxy};

	if (e == ERR_OK && (status == 200 || (status == 304 && x->conditional)))
		return "";
	fetch_words(x->fetcher->words, &end);
	return x->fetcher->words;
}

static void tell(struct fetch *x)
{
	struct fetch_result r = {.error = outcome(x)};
	char *type = NULL;
	long status = 0, sent = 0;
	curl_off_t ready = 0;

	assert(x->state == FETCH_ENDED);
	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(x->easy, CURLINFO_REQUEST_SIZE, &sent);
	curl_easy_getinfo(x->easy, CURLINFO_PRETRANSFER_TIME_T, &ready);
	curl_easy_getinfo(x->easy, CURLINFO_CONTENT_TYPE, &type);
	/* sent is also what a proxy was asked on the way there */
	r.reached = sent > 0 && ready > 0;
	r.status = x->head.too_large ? 0 : (int)status;
	r.content_type = type == NULL ? "" : type;
	r.etag = header(x, "ETag");
	r.last_modified = header(x, "Last-Modified");
	r.date = header(x, "Date");
	r.retry_after = header(x, "Retry-After");
	r.body = x->sink ? bytes_of(NULL, 0) : bytes_of(x->body, x->body_n);
	r.body_n = x->body_n;
	r.detail = words_of(x, r.error, r.status);
	r.us = clock_mono_us() - x->start_us;
	x->state = FETCH_TELLING;
	x->done(x->arg, &r);
	recycle(x);
}

#define SET(option, value) (curl_easy_setopt(x->easy, option, value) == CURLE_OK)

/* Both set, also where there is nothing to be set: libcurl would look into http_proxy,
 * https_proxy, all_proxy and no_proxy. */
static bool set_policy_of_fetcher(struct fetch *x)
{
	const struct fetch_policy *p = &x->fetcher->policy;
	struct curl_blob ca = {.data = (void *)(uintptr_t)p->tls_ca.p,
	    .len = p->tls_ca.n,
	    .flags = CURL_BLOB_COPY};

	return SET(CURLOPT_PROXY, x->looking ? "" : x->proxy) &&
	       SET(CURLOPT_NOPROXY, "") &&
	       SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) && /* no head of the answer's */
	       (ca.len == 0 || SET(CURLOPT_CAINFO_BLOB, &ca));
}

static bool set_time(struct fetch *x, int64_t ms)
{
	long left = ms > 0 ? (long)ms : 1; /* 0 would be no limit */

	return SET(CURLOPT_TIMEOUT_MS, left) && SET(CURLOPT_CONNECTTIMEOUT_MS, left);
}

/* Learnt URLs (T7). */

static curl_socket_t on_socket_wanted(
    void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct fetch *x = arg;
	bool allowed =
	    !x->guarded || guard_allows_address(&x->fetcher->policy.guard, &to->addr);

	(void)purpose;
	x->refused = x->refused || !allowed;
	if (x->looking || !allowed)
		return CURL_SOCKET_BAD; /* the next address is tried */
	return sockets_open(x->fetcher->sockets, to);
}

/* Also of a connection that is used again, whoever opened it. */
static int on_connected(void *arg, char *peer, char *own, int port, int own_port)
{
	struct fetch *x = arg;
	struct ip_address p;

	(void)own;
	(void)own_port;
	x->refused = !ip_address_parse(peer, port, &p) ||
		     !guard_allows(&x->fetcher->policy.guard, &p);
	return x->refused ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* A proxy's own address is the operator's word. */
static bool set_guard(struct fetch *x, bool learnt)
{
	x->guarded = learnt && (x->proxy[0] == '\0' || x->looking);
	return x->guarded ? SET(CURLOPT_PREREQFUNCTION, on_connected) &&
				SET(CURLOPT_PREREQDATA, x)
			  : SET(CURLOPT_PREREQFUNCTION, NULL);
}

/* Only the proxy knows the name: its port is all that can be judged. */
static bool has_web_port(const struct fetch *x)
{
	const char *text = NULL;
	struct url u;

	curl_easy_getinfo(x->easy, CURLINFO_EFFECTIVE_URL, &text);
	return text != NULL && url_parse(text, &u) == NULL &&
	       (u.at.port == 80 || u.at.port == 443);
}

/* The name of a learnt URL has been looked up: the fetch itself, unless it ends here. */
static bool ask_proxy(struct fetch *x)
{
	int64_t left_ms = x->timeout_ms - (clock_mono_us() - x->start_us) / 1000;

	x->looking = false;
	if (x->code == CURLE_COULDNT_RESOLVE_HOST && !has_web_port(x)) {
		x->refused = true;
		x->code = CURLE_COULDNT_CONNECT;
	}
	if (x->refused ||
	    (x->code != CURLE_COULDNT_CONNECT && x->code != CURLE_COULDNT_RESOLVE_HOST))
		return false;
	x->detail[0] = '\0';
	x->no_memory = !set_policy_of_fetcher(x) || !set_guard(x, true) ||
		       !set_time(x, left_ms) ||
		       curl_multi_add_handle(x->fetcher->multi, x->easy) != CURLM_OK;
	return !x->no_memory;
}

/* First take back all that libcurl has ended, then tell: a done that cancels another
 * fetch must find it in one of our lists and not in libcurl's messages. */
static void collect(struct fetcher *f)
{
	struct fetch *x;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(f->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&x);
		assert(x->easy == m->easy_handle && x->state == FETCH_LIVE);
		x->code = m->data.result; /* m dies with the next line */
		curl_multi_remove_handle(f->multi, x->easy);
		if (x->looking && ask_proxy(x))
			continue;
		TAILQ_REMOVE(&f->live, x, link);
		TAILQ_INSERT_TAIL(&f->ended, x, link);
		x->state = FETCH_ENDED;
	}
	while ((x = TAILQ_FIRST(&f->ended)) != NULL) {
		TAILQ_REMOVE(&f->ended, x, link);
		tell(x);
	}
}

static int watch_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct fetcher *f = arg;

	(void)multi;
	if (timeout_ms < 0)
		evtimer_del(f->timer);
	else
		timer_arm(f->timer, timeout_ms);
	return 0;
}

static CURLM *multi_new(struct fetcher *f)
{
	CURLM *multi = curl_multi_init();

	if (multi == NULL)
		return NULL;
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, sockets_watch);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, f->sockets);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, watch_timer);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, f);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_IDLE_MAX);
	return multi;
}

static void multi_free(struct fetcher *f)
{
	if (f->multi != NULL)
		curl_multi_cleanup(f->multi);
	f->multi = NULL;
	if (f->sockets != NULL)
		sockets_clear(f->sockets);
}

/* A multi handle that ran out of memory is left in pieces: libcurl 7.88 divides by zero
 * when it next sees the socket that it was about. */
static void start_over(struct fetcher *f)
{
	struct fetch *x;

	while ((x = TAILQ_FIRST(&f->live)) != NULL) {
		curl_multi_remove_handle(f->multi, x->easy);
		TAILQ_REMOVE(&f->live, x, link);
		TAILQ_INSERT_TAIL(&f->ended, x, link);
		x->state = FETCH_ENDED;
		x->no_memory = true;
	}
	multi_free(f);
	evtimer_del(f->timer);
	f->multi = multi_new(f); /* NULL: fetch_start() tries again */
}

/* Out of memory, libcurl forgets to have its timer set, also for the fetches that come
 * later. */
static void mind_timer(struct fetcher *f)
{
	long ms = -1;

	if (evtimer_pending(f->timer, NULL) || TAILQ_EMPTY(&f->live))
		return;
	curl_multi_timeout(f->multi, &ms);
	watch_timer(f->multi, ms, f);
}

static void act(struct fetcher *f, curl_socket_t fd, int flags)
{
	int running;

	if (curl_multi_socket_action(f->multi, fd, flags, &running) != CURLM_OK)
		start_over(f);
	mind_timer(f);
	collect(f);
}

static void on_socket(void *arg, curl_socket_t fd, int flags)
{
	act(arg, fd, flags);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static size_t on_head(char *p, size_t size, size_t n, void *arg)
{
	struct fetch *x = arg;

	assert(x->state == FETCH_LIVE);
	return fetch_head_line(&x->head, p, size * n) ? size * n : 0;
}

static bool make_room(struct fetch *x, size_t n)
{
	size_t room = x->body_room == 0 ? BODY_FIRST_BYTES : x->body_room;
	uint8_t *p;

	while (room < x->body_n + n)
		room *= 2;
	if (room == x->body_room)
		return true;
	p = realloc(x->body, room);
	if (p == NULL)
		return false;
	x->body = p;
	x->body_room = room;
	return true;
}

static bool keep(struct fetch *x, const char *p, size_t n)
{
	x->no_memory = !make_room(x, n);
	if (x->no_memory)
		return false;
	memcpy(x->body + x->body_n, p, n);
	return true;
}

/* To the sink, but only what a 200 brings: an error page is nobody's list. */
static bool sink(struct fetch *x, const char *p, size_t n)
{
	long status = 0;

	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return true;
	x->sink_failed = !write_all(x->sink_fd, p, n);
	x->sink_errno = errno;
	return !x->sink_failed;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct fetch *x = arg;

	assert(x->state == FETCH_LIVE && x->body_n <= x->max_size);
	n *= size;
	x->too_large = n > x->max_size - x->body_n;
	if (x->too_large)
		return 0;
	if (!(x->sink ? sink(x, p, n) : keep(x, p, n)))
		return 0;
	x->body_n += n;
	return n;
}

struct fetcher *fetcher_new(struct event_base *base, const char *user_agent)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct fetcher *f;

	pthread_once(&once, curl_init);
	f = calloc(1, sizeof *f);
	if (f == NULL)
		return NULL;
	f->base = base;
	TAILQ_INIT(&f->live);
	TAILQ_INIT(&f->ended);
	TAILQ_INIT(&f->idle);
	f->policy.proxy = "";
	f->user_agent = strdup(user_agent);
	f->timer = evtimer_new(base, on_timer, f);
	f->sockets = sockets_new(base, on_socket, f);
	f->multi = f->sockets != NULL ? multi_new(f) : NULL;
	if (f->user_agent == NULL || f->timer == NULL || f->multi == NULL) {
		fetcher_free(f);
		return NULL;
	}
	return f;
}

void fetcher_configure(struct fetcher *f, const struct fetch_policy *p)
{
	f->policy = *p;
}

static void destroy_all(struct fetch_list *list)
{
	struct fetch *x;

	while ((x = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, x, link);
		if (x->state == FETCH_LIVE)
			curl_multi_remove_handle(x->fetcher->multi, x->easy);
		fetch_destroy(x);
	}
}

void fetcher_free(struct fetcher *f)
{
	if (f == NULL)
		return;
	destroy_all(&f->live);
	destroy_all(&f->ended);
	destroy_all(&f->idle);
	multi_free(f);
	sockets_free(f->sockets);
	if (f->timer != NULL)
		event_free(f->timer);
	free(f->user_agent);
	free(f);
}

static struct fetch *take_idle(struct fetcher *f)
{
	struct fetch *x = TAILQ_FIRST(&f->idle);

	if (x != NULL) {
		assert(x->state == FETCH_IDLE && f->idle_n > 0);
		TAILQ_REMOVE(&f->idle, x, link);
		f->idle_n--;
		return x;
	}
	x = calloc(1, sizeof *x);
	if (x == NULL)
		return NULL;
	x->fetcher = f;
	x->easy = curl_easy_init();
	if (x->easy == NULL) {
		free(x);
		return NULL;
	}
	return x;
}

static bool add_line(struct fetch *x, const char *line)
{
	struct curl_slist *l = curl_slist_append(x->headers, line);

	if (l != NULL)
		x->headers = l;
	return l != NULL;
}

static bool add_header(struct fetch *x, const char *name, const char *value)
{
	char line[LINE_MAX_BYTES];

	if (snprintf(line, sizeof line, "%s: %s", name, value) >= (int)sizeof line)
		return false;
	if (value[0] == '\0')
		line[strlen(name) + 1] = '\0'; /* "Name:" means: do not send it */
	return add_line(x, line);
}

/* What is the same for every fetch. */
static bool set_policy(struct fetch *x)
{
	return SET(CURLOPT_PROTOCOLS_STR, "http,https") && set_policy_of_fetcher(x) &&
	       SET(CURLOPT_FOLLOWLOCATION, 0L) && SET(CURLOPT_NOSIGNAL, 1L) &&
	       SET(CURLOPT_QUICK_EXIT, 1L) && /* never wait for the resolver's thread */
	       SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	       SET(CURLOPT_ACCEPT_ENCODING, "identity") && /* and what comes is decoded */
	       SET(CURLOPT_PATH_AS_IS, 1L) && SET(CURLOPT_TCP_KEEPALIVE, 1L) &&
	       SET(CURLOPT_USERAGENT, x->fetcher->user_agent) &&
	       SET(CURLOPT_OPENSOCKETFUNCTION, on_socket_wanted) &&
	       SET(CURLOPT_OPENSOCKETDATA, x) &&
	       SET(CURLOPT_CLOSESOCKETFUNCTION, sockets_close) &&
	       SET(CURLOPT_CLOSESOCKETDATA, x->fetcher->sockets) &&
	       SET(CURLOPT_PRIVATE, x) && SET(CURLOPT_ERRORBUFFER, x->detail) &&
	       SET(CURLOPT_HEADERFUNCTION, on_head) && SET(CURLOPT_HEADERDATA, x) &&
	       SET(CURLOPT_WRITEFUNCTION, on_body) && SET(CURLOPT_WRITEDATA, x);
}

static bool set_request(struct fetch *x, const struct fetch_request *r)
{
	bool ok = SET(CURLOPT_URL, r->url) && set_time(x, r->timeout_ms) &&
		  set_guard(x, r->learnt) &&
		  SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)r->max_size);

	if (ok && r->fresh)
		ok = SET(CURLOPT_DNS_CACHE_TIMEOUT, 0L) &&
		     SET(CURLOPT_FRESH_CONNECT, 1L) && SET(CURLOPT_FORBID_REUSE, 1L);
	if (ok && r->accept != NULL)
		ok = add_header(x, "Accept", r->accept);
	if (ok && r->if_none_match != NULL)
		ok = add_header(x, "If-None-Match", r->if_none_match);
	if (ok && r->if_modified_since != NULL)
		ok = add_header(x, "If-Modified-Since", r->if_modified_since);
	for (size_t i = 0; ok && r->headers != NULL && r->headers[i] != NULL; i++)
		ok = add_line(x, r->headers[i]);
	/* A handle whose tunnel was refused has kept its buffer, and libcurl 7.88 lets
	 * nobody change it: smaller pieces do too. */
	if (ok && r->sink)
		(void)SET(CURLOPT_BUFFERSIZE, (long)SINK_PIECE_BYTES);
	if (ok && r->body.n > 0)
		ok = SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n) &&
		     SET(CURLOPT_COPYPOSTFIELDS, (const char *)r->body.p) &&
		     add_header(x, "Content-Type", r->content_type) &&
		     add_header(x, "Expect", "");
	return ok && (x->headers == NULL || SET(CURLOPT_HTTPHEADER, x->headers));
}

struct fetch *fetch_start(
    struct fetcher *f, const struct fetch_request *r, fetch_done_fn *done, void *arg)
{
	struct fetch *x;

	assert(r->timeout_ms > 0);
	if (f->multi == NULL)
		f->multi = multi_new(f);
	if (f->multi == NULL || (x = take_idle(f)) == NULL)
		return NULL;
	x->done = done;
	x->arg = arg;
	x->max_size = r->max_size;
	x->sink = r->sink;
	x->sink_fd = r->sink_fd;
	x->conditional = r->if_none_match != NULL || r->if_modified_since != NULL;
	x->timeout_ms = r->timeout_ms;
	snprintf(x->proxy, sizeof x->proxy, "%s", f->policy.proxy);
	x->looking = r->learnt && x->proxy[0] != '\0';
	x->start_us = clock_mono_us();
	if (!set_policy(x) || !set_request(x, r) ||
	    curl_multi_add_handle(f->multi, x->easy) != CURLM_OK) {
		fetch_destroy(x);
		return NULL;
	}
	x->state = FETCH_LIVE;
	TAILQ_INSERT_TAIL(&f->live, x, link);
	mind_timer(f);
	return x;
}

void fetch_cancel(struct fetch *x)
{
	struct fetcher *f = x->fetcher;

	assert(x->state == FETCH_LIVE || x->state == FETCH_ENDED);
	if (x->state == FETCH_LIVE) {
		curl_multi_remove_handle(f->multi, x->easy);
		TAILQ_REMOVE(&f->live, x, link);
	} else {
		TAILQ_REMOVE(&f->ended, x, link);
	}
	recycle(x);
}
