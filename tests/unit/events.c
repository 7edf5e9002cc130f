/* Event streams: a made-up log stands in for telling and snapshot, sockets are real. */
#include "proxy/push/events.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/watch/incident.h"
#include "proxy/api/api_request.h"
#include "proxy/base/clock.h"
#include "proxy/push/events_text.h"
#include "proxy/push/snapshot.h"
#include "proxy/watch/ledger.h"
#include "proxy/watch/watcher.h"
#include "tests/lib/inventory_kit.h"
#include "tests/lib/store_kit.h"
#include "tests/lib/turns.h"

#define LOG_MAX 4096
#define FDS_MAX 2100

struct world {
	struct event_base *base;
	struct inbox *keeper, *own;
	struct conf conf;
	struct shared shared;
	struct counters *counters;
	struct conn_loop *loop;
	struct events *events;
	int idle; /* calls of events_on_idle's function */
	/* the log: */
	struct change_batch *log[LOG_MAX];
	size_t log_n, oldest; /* log[oldest..] are kept */
	uint32_t epoch;
	uint64_t seq;
	struct change_pos lost; /* the oldest place, when batches were dropped */
	enum err read_error;
	bool hollow; /* pages have nothing in them */
	bool hold;   /* questions wait */
	struct msg *held[64];
	size_t held_n;
	unsigned reads, snapshots;
	size_t news_out, news_bytes;
	/* what a snapshot is made of: */
	struct crl_set *set;
	struct crl_entry *latches;
	size_t latches_n, latches_mapped;
	/* what is watched: */
	char *dir;
	struct watch_db *db;
	const struct inventory *v, *v_once; /* the latter is seen first, once */
	struct access *access;              /* of who asks */
	int fd[FDS_MAX];
	size_t fd_n;
};
static struct world *the; /* for the functions that replace others */

/* What is replaced. */

static struct change_pos end_of(const struct change_batch *b)
{
	return (struct change_pos){b->epoch, b->seq, b->n};
}

static struct change_pos newest(const struct world *w)
{
	if (w->log_n > w->oldest)
		return end_of(w->log[w->log_n - 1]);
	return (struct change_pos){w->epoch, w->seq, 0};
}

static bool follows(const struct change_batch *b, const struct change_pos *from)
{
	return from->epoch == 0 || b->seq > from->seq ||
	       (b->seq == from->seq && from->index < b->n);
}

static void fill(struct world *w, struct teller_ask *a)
{
	size_t bytes = 0;

	a->newest = newest(w);
	a->oldest = w->lost;
	a->error = w->read_error;
	if (a->error != ERR_OK)
		return;
	a->gap = a->from.epoch != 0 &&
		 (a->from.epoch != w->epoch || change_pos_cmp(&a->from, &a->newest) > 0 ||
		     change_pos_cmp(&a->from, &w->lost) < 0);
	a->batches = calloc(LOG_MAX, sizeof(struct change_batch *));
	for (size_t i = w->oldest; i < w->log_n && !a->gap && !w->hollow; i++) {
		size_t size = change_batch_size(w->log[i]);

		if (!follows(w->log[i], &a->from))
			continue;
		if (a->n > 0 && bytes + size > a->max_bytes)
			break;
		bytes += size;
		a->batches[a->n++] = change_batch_ref(w->log[i]);
	}
}

static void ask_answer(struct msg *m)
{
	struct teller_ask *a = (struct teller_ask *)m;

	fill(the, a);
	question_answer(&a->question);
}

void teller_read(void *inbox_arg, struct msg *m)
{
	assert_ptr_equal(inbox_arg, the);
	assert_ptr_equal(((struct teller_ask *)m)->teller, the->shared.teller);
	the->reads++;
	if (the->hold)
		the->held[the->held_n++] = m;
	else
		ask_answer(m);
}

static void let_go(struct world *w)
{
	w->hold = false;
	for (size_t i = 0; i < w->held_n; i++)
		ask_answer(w->held[i]);
	w->held_n = 0;
}

void teller_news_done(struct teller_news *n)
{
	assert_true(the->news_out > 0);
	the->news_out--;
	change_batch_unref(n->batch);
	free(n);
}

struct snapshots *snapshots_new(void)
{
	return malloc(1);
}

void snapshots_free(struct snapshots *s)
{
	free(s);
}

void snapshot_take(void *keeper, struct msg *m)
{
	struct snapshot *s = (struct snapshot *)m;
	struct snapshot_issuer *of = calloc(1, sizeof *of);

	assert_ptr_equal(keeper, the);
	the->snapshots++;
	strcpy(of->name, "demo");
	if (the->set != NULL)
		of->set = crl_set_ref(the->set);
	if (the->latches_n > 0) {
		s->latches = crl_entries_new(the->latches_n, &s->mapped);
		memcpy(s->latches, the->latches, the->latches_n * sizeof *the->latches);
		of->latches = s->latches;
		of->latches_n = the->latches_n;
	}
	s->of = of;
	s->n = 1;
	s->end = newest(the);
	s->at = 1700000000;
	s->error = the->read_error;
	question_answer(&s->question);
}

const struct inventory *ledger_inventory(const struct shared *s)
{
	const struct inventory *once = the->v_once;

	the->v_once = NULL;
	return once != NULL ? once : atomic_load(&s->inventory);
}

struct watch_db *watcher_db(struct watcher *watcher)
{
	assert_ptr_equal(watcher, the);
	if (the->db == NULL) {
		char why[512];

		the->dir = kit_directory();
		assert_int_equal(
		    watch_db_open(&the->db, the->dir, (size_t)256 << 20, why, sizeof why),
		    ERR_OK);
	}
	return the->db;
}

const struct issuer *issuers_named(const struct issuers *is, const char *name)
{
	static const struct issuer any;

	(void)is;
	return strcmp(name, "nobody") != 0 ? &any : NULL;
}

/* The world. */

static void on_request(
    void *arg, struct conn *c, const struct http1_request *r, struct bytes body)
{
	struct world *w = arg;
	struct events_query q;
	struct api_error e;
	int status;

	(void)body;
	if (!api_request_events(r, &q, &e)) {
		conn_error(c, e.status, NULL, true);
		return;
	}
	q.access = w->access;
	if (!events_serve(w->events, c, &q, &status))
		conn_error(c, status, NULL, true);
}

static void on_gone(void *arg, void *parked)
{
	struct world *w = arg;

	assert_true(events_gone(w->events, parked));
}

static const struct conn_handler handler = {.request = on_request, .gone = on_gone};

static void on_idle(void *arg)
{
	((struct world *)arg)->idle++;
}

static void on_news(void *arg, struct msg *m)
{
	struct world *w = arg;

	events_news(w->events, (struct teller_news *)m);
}

static int setup(void **state)
{
	static const struct conn_limits limits = {.header_ms = 5000,
	    .body_ms = 5000,
	    .idle_ms = 30000,
	    .write_ms = 10000,
	    .head = 8192,
	    .target = 4096,
	    .body = 1000};
	struct world *w = calloc(1, sizeof *w);

	signal(SIGPIPE, SIG_IGN);
	the = w;
	w->base = event_base_new();
	w->keeper = inbox_new(w->base, w);
	w->own = inbox_new(w->base, w);
	w->conf = (struct conf){.max_subscribers = 20000,
	    .subscriber_timeout_ms = 30000,
	    .position_interval_ms = 15000};
	w->shared.conf = &w->conf;
	w->shared.keeper = w->keeper;
	w->shared.teller = (struct teller *)w; /* any address */
	w->shared.watcher = (struct watcher *)w;
	w->v = inventory_ref(&inventory_none);
	w->shared.inventory = w->v;
	w->counters = calloc(1, sizeof *w->counters);
	w->loop = conn_loop_new(w->base, &limits, &handler, w, w->counters);
	w->events = events_new(&w->shared, w->base, w->own, w->counters);
	events_on_idle(w->events, on_idle, w);
	w->epoch = 7;
	w->lost = (struct change_pos){7, 0, 0};
	*state = w;
	return 0;
}

static void run(struct world *w)
{
	for (int i = 0; i < 16; i++)
		event_base_loop(w->base, EVLOOP_NONBLOCK);
}

static int teardown(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < w->fd_n; i++)
		if (w->fd[i] >= 0)
			close(w->fd[i]);
	let_go(w);
	run(w);
	run(w);
	assert_int_equal(events_asking(w->events), 0);
	conn_loop_free(w->loop);
	inbox_free(w->own);
	inbox_free(w->keeper);
	events_free(w->events);
	assert_int_equal(atomic_load(&w->shared.subscribers), 0);
	assert_int_equal(w->news_out, 0); /* each was given back, once */
	event_base_free(w->base);
	for (size_t i = 0; i < w->log_n; i++)
		change_batch_unref(w->log[i]);
	crl_set_unref(w->set);
	if (w->latches != NULL)
		crl_entries_free(w->latches, w->latches_mapped);
	inventory_unref(w->v);
	watch_db_close(w->db);
	if (w->dir != NULL)
		kit_remove(w->dir);
	free(w->counters);
	free(w);
	return 0;
}

static void run_ms(struct world *w, int ms)
{
	turns_for_ms(w->base, ms);
}

/* A serial of three octets, the revocation a second after the one before. */
static void set_change(struct change *c, uint32_t serial)
{
	const struct serial s = {3, {(uint8_t)(0x10 | (serial >> 16 & 15)),
					(uint8_t)(serial >> 8), (uint8_t)serial}};

	crl_entry_set_serial(&c->entry, &s);
	crl_entry_set_at(&c->entry, 1700000000 + serial);
	c->entry.reason = 1;
	c->entry.spare[0] = CHANGE_REVOKED;
	c->entry.spare[1] = CHANGE_GOOD;
}

static struct change_batch *batch_of(const char *issuer, uint32_t n, uint32_t first)
{
	struct change_batch *b = change_batch_new(n);

	strcpy(b->issuer, issuer);
	b->evidence = CHANGE_CRL;
	b->has_number = true;
	b->number[CRL_NUMBER_MAX - 2] = 1; /* 258 */
	b->number[CRL_NUMBER_MAX - 1] = 2;
	b->seen_at_ms = INT64_C(1700000123456);
	b->n = n;
	for (uint32_t i = 0; i < n; i++)
		set_change(&b->change[i], first + i);
	return b;
}

/* Durable, and not told. */
static struct change_batch *append(
    struct world *w, const char *issuer, uint32_t n, uint32_t first)
{
	struct change_batch *b = batch_of(issuer, n, first);

	b->epoch = w->epoch;
	b->seq = ++w->seq;
	assert_true(w->log_n < LOG_MAX);
	w->log[w->log_n++] = b;
	return b;
}

static void tell(struct world *w, struct change_batch *b)
{
	struct teller_news *n = calloc(1, sizeof *n);

	n->msg.run = on_news;
	n->batch = b != NULL ? change_batch_ref(b) : NULL;
	n->end = b != NULL ? end_of(b) : newest(w);
	n->durable_at_us = clock_mono_us();
	w->news_out++;
	inbox_post(w->own, &n->msg);
}

static struct change_batch *publish(
    struct world *w, const char *issuer, uint32_t n, uint32_t first)
{
	struct change_batch *b = append(w, issuer, n, first);

	tell(w, b);
	return b;
}

static int ask(struct world *w, const char *query, const char *fields)
{
	char text[1024];
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	assert_non_null(conn_new(w->loop, fd[1], NULL, NULL));
	snprintf(text, sizeof text, "GET /v1/events%s HTTP/1.1\r\nHost: a\r\n%s\r\n",
	    query, fields);
	assert_int_equal(write(fd[0], text, strlen(text)), (ssize_t)strlen(text));
	assert_true(w->fd_n < FDS_MAX);
	w->fd[w->fd_n++] = fd[0];
	return fd[0];
}

/* What has come, until nothing more does; "EOF" behind it when it was closed, "RST" when
 * it was reset. */
static const char *hear(struct world *w, int fd)
{
	static char *text;
	static size_t room;
	size_t n = 0;
	ssize_t got;

	run(w);
	for (;;) {
		if (room - n < 65536) {
			room = 2 * room + 131072;
			text = realloc(text, room);
		}
		got = read(fd, text + n, room - n - 8);
		if (got <= 0 && n > 0 && errno == EAGAIN && got < 0) {
			run(w);
			got = read(fd, text + n, room - n - 8);
		}
		if (got <= 0)
			break;
		n += (size_t)got;
		run(w);
	}
	strcpy(text + n, got == 0 ? "EOF" : errno == ECONNRESET ? "RST" : "");
	return text;
}

static const char *after_head(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n");

	if (end == NULL)
		fail_msg("no head in \"%s\"", text);
	return end + 4;
}

static int join(struct world *w, const char *query)
{
	int fd = ask(w, query, "");

	hear(w, fd);
	return fd;
}

static const char *id_of(const struct change_batch *b, uint32_t index)
{
	static char text[4][CHANGE_POS_TEXT_MAX];
	static int next;
	const struct change_pos p = {b->epoch, b->seq, index};
	char *t = text[next++ % 4];

	change_pos_text(&p, t);
	return t;
}

static const char *since(const struct change_batch *b, uint32_t index)
{
	static char text[64];

	snprintf(text, sizeof text, "?since=%s", id_of(b, index));
	return text;
}

static void expect_position(const char *text, const struct change_batch *b, uint32_t at)
{
	char want[64];

	snprintf(want, sizeof want, "id: %s\n\n", id_of(b, at));
	assert_string_equal(text, want);
}

/* Reads a stream's events of changes and snapshots and marks their serials. */
struct seen {
	unsigned events, changes, positions, gaps, waits, snapshots;
	uint32_t last; /* the serial that came last */
	bool in_order;
	uint8_t times[1 << 20]; /* by set_change()'s number */
};

/* memmem and not strstr: sanitizers measure the whole text for each of these. */
static const char *find(const char *text, const char *end, const char *what)
{
	return memmem(text, (size_t)(end - text), what, strlen(what));
}

static void read_data(struct seen *s, const char *data, const char *end)
{
	const char *p = data;
	unsigned n = 0;

	while ((p = find(p, end, "\"serial\":\"")) != NULL) {
		uint32_t serial = (uint32_t)strtoul(p + 10, NULL, 16) & 0xfffff;

		s->in_order = s->in_order && (s->changes == 0 || serial > s->last);
		s->last = serial;
		s->times[serial]++;
		s->changes++;
		n++;
		p += 10;
	}
	assert_true(n >= 1 && n <= 1000);
}

static void read_stream(struct seen *s, const char *text)
{
	const char *all = text + strlen(text);

	while (text < all && strcmp(text, "EOF") != 0) {
		const char *end = find(text, all, "\n\n");
		bool id = strncmp(text, "id: ", 4) == 0;

		if (end == NULL)
			fail_msg("half an event: \"%.200s\"", text);
		if (id && memchr(text, '\n', (size_t)(all - text)) == end) {
			s->positions++;
		} else if (strncmp(text, ": waiting for ", 14) == 0) {
			s->waits++;
		} else if (strncmp(text, "event: gap\n", 11) == 0) {
			s->gaps++;
		} else if (strncmp(text, "event: snapshot\n", 16) == 0) {
			s->snapshots++;
			read_data(s, text, end);
		} else {
			assert_true(id);
			assert_non_null(find(text, end, "\nevent: changes\ndata: {"));
			s->events++;
			read_data(s, text, end);
		}
		text = end + 2;
	}
}

static struct seen *seen_new(void)
{
	struct seen *s = calloc(1, sizeof *s);

	s->in_order = true;
	return s;
}

static void expect_all(const struct seen *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (s->times[i] != 1)
			fail_msg("change %u came %d times", i, s->times[i]);
	assert_int_equal(s->changes, n);
}

/* The text of a stream, written out. */

static void a_stream_begins_with_its_position(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 3, 0);
	int fd = ask(w, "", "");
	const char *text = hear(w, fd), *date = strstr(text, "\r\nDate: ");

	assert_non_null(date);
	assert_memory_equal(text, "HTTP/1.1 200 OK", 15);
	assert_memory_equal(date + 8 + HTTP1_DATE_MAX - 1,
	    "\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\nX-Accel-Buffering: no\r\n"
	    "Connection: close\r\n\r\nid: ",
	    strlen("\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
		   "X-Content-Type-Options: nosniff\r\nX-Accel-Buffering: no\r\n"
		   "Connection: close\r\n\r\nid: "));
	expect_position(after_head(text), b, 3);
	assert_int_equal(events_count(w->events), 1);
	assert_int_equal(atomic_load(&w->shared.subscribers), 1);
	assert_int_equal(conn_loop_count(w->loop), 0); /* it is no connection any more */
}

static void a_change_is_written_as_the_contract_says(void **state)
{
	struct world *w = *state;
	int fd = join(w, "");
	struct change_batch *b = append(w, "demo", 2, 0);
	char want[1024];

	b->change[1].entry.reason = CRL_NO_REASON;
	b->change[1].entry.spare[0] = CHANGE_REMOVED;
	b->change[1].entry.spare[1] = CHANGE_REVOKED;
	tell(w, b);
	/* 1700000000 is 2023-11-14T22:13:20Z (date -u -d @1700000000) */
	snprintf(want, sizeof want,
	    "id: %s\nevent: changes\ndata: {\"issuer\":\"demo\",\"seen_at\":"
	    "\"2023-11-14T22:15:23Z\",\"evidence\":\"crl\",\"crl_number\":\"258\","
	    "\"changes\":[{\"serial\":\"100000\",\"status\":\"revoked\",\"previous\":"
	    "\"good\",\"revoked_at\":\"2023-11-14T22:13:20Z\",\"reason\":"
	    "\"keyCompromise\"},{\"serial\":\"100001\",\"status\":\"removed\","
	    "\"previous\":\"revoked\",\"revoked_at\":\"2023-11-14T22:13:21Z\","
	    "\"reason\":null}]}\n\n",
	    id_of(b, 2));
	assert_string_equal(hear(w, fd), want);
	assert_int_equal(w->counters->value[M_EVENTS_SENT], 1);
	assert_int_equal(w->counters->value[M_CHANGES_SENT], 2);

	b = append(w, "demo", 1, 5);
	b->evidence = CHANGE_OCSP;
	b->has_number = false;
	tell(w, b);
	assert_non_null(
	    strstr(hear(w, fd), ",\"evidence\":\"ocsp\",\"crl_number\":null,"));
}

/* Serials and dates agree with the long way of writing them. */
static void every_serial_and_date_is_written_right(void **state)
{
	static const char *const hex[] = {"0", "1", "f", "10", "7f", "80", "ff", "100",
	    "abc", "8000", "-1", "-80", "-8000",
	    "7fffffffffffffffffffffffffffffffffffffff",
	    "ffffffffffffffffffffffffffffffffffffffff"};
	static const struct {
		int64_t at;
		const char *text;
	} date[] = {{0, "\"1970-01-01T00:00:00Z\""}, {-1, "\"1969-12-31T23:59:59Z\""},
	    {951782400, "\"2000-02-29T00:00:00Z\""},
	    {INT64_C(4107542399), "\"2100-02-28T23:59:59Z\""},
	    {INT64_C(4107542400), "\"2100-03-01T00:00:00Z\""},
	    {INT64_C(253402300799), "\"9999-12-31T23:59:59Z\""},
	    {INT64_C(253402300800), "null"}, {43205, "\"1970-01-01T12:00:05Z\""},
	    {43199, "\"1970-01-01T11:59:59Z\""},
	    {-62135596800, "\"0001-01-01T00:00:00Z\""}, {-62135596801, "null"},
	    {1709251199, "\"2024-02-29T23:59:59Z\""}};
	char text[EVENTS_FRAME_TEXT + EVENTS_CHANGE_TEXT], want[128];
	struct change_batch *b = batch_of("demo", 1, 0);
	struct serial s;

	(void)state;
	for (size_t i = 0; i < sizeof hex / sizeof hex[0]; i++) {
		assert_int_equal(serial_from_hex(&s, hex[i]), ERR_OK);
		crl_entry_set_serial(&b->change[0].entry, &s);
		text[events_text_changes(b, 0, 1, text)] = '\0';
		snprintf(want, sizeof want, "{\"serial\":\"%s\",", hex[i]);
		assert_non_null(strstr(text, want));
	}
	for (size_t i = 0; i < sizeof date / sizeof date[0]; i++) {
		crl_entry_set_at(&b->change[0].entry, date[i].at);
		text[events_text_changes(b, 0, 1, text)] = '\0';
		snprintf(want, sizeof want, "\"revoked_at\":%s,", date[i].text);
		assert_non_null(strstr(text, want));
	}
	change_batch_unref(b);
}

/* The longest text that there can be fits where it is written (ASan watches). */
static void the_longest_event_fits(void **state)
{
	struct change_batch *b = change_batch_new(EVENTS_CHANGES);
	char *text = malloc(EVENTS_TEXT_MAX);

	(void)state;
	memset(b->issuer, 'a', 63);
	b->evidence = CHANGE_CRL;
	b->has_number = true;
	memset(b->number, 0xff, sizeof b->number);
	b->n = EVENTS_CHANGES;
	b->epoch = UINT32_MAX;
	b->seq = UINT64_C(0xffffffffff);
	for (uint32_t i = 0; i < b->n; i++) {
		struct serial s = {SERIAL_MAX, {0x80}};

		crl_entry_set_serial(&b->change[i].entry, &s);
		b->change[i].entry.reason = 5;
		b->change[i].entry.spare[0] = CHANGE_REMOVED;
		b->change[i].entry.spare[1] = CHANGE_REVOKED;
	}
	assert_true(events_text_member(b, 0, b->n, text) < EVENTS_TEXT_MAX);
	change_batch_unref(b);
	free(text);
}

/* R72 */
static void at_most_a_thousand_changes_are_in_one_event(void **state)
{
	struct world *w = *state;
	int fd = join(w, "");
	struct change_batch *b = publish(w, "demo", 2500, 0);
	struct seen *s = seen_new();
	const char *text = hear(w, fd);
	char want[64];

	for (uint32_t at = 1000; at <= 3000; at += 1000) {
		snprintf(want, sizeof want, "id: %s\nevent: changes\n",
		    id_of(b, at > 2500 ? 2500 : at));
		assert_non_null(strstr(text, want));
	}
	read_stream(s, text);
	assert_int_equal(s->events, 3);
	assert_true(s->in_order);
	expect_all(s, 2500);
	free(s);
}

/* Where a stream begins. */

static void it_resumes_in_the_middle_of_a_batch(void **state)
{
	struct world *w = *state;
	struct change_batch *b = publish(w, "demo", 2500, 0), *c;
	struct seen *s = seen_new();
	const char *text;
	char want[64];
	int fd;

	c = publish(w, "demo", 1, 3000);
	run(w); /* both are in the window, or only in the log: the same */
	fd = ask(w, since(b, 1500), "");
	text = after_head(hear(w, fd));
	snprintf(want, sizeof want, "id: %s\n\nid: %s\nevent: changes\n", id_of(b, 1500),
	    id_of(b, 2000));
	assert_memory_equal(text, want, strlen(want));
	snprintf(want, sizeof want, "id: %s\nevent: changes\n", id_of(c, 1));
	assert_non_null(strstr(text, want));
	read_stream(s, text);
	assert_int_equal(s->changes, 1001);
	assert_int_equal(s->times[1499], 0);
	assert_int_equal(s->times[1500], 1);
	assert_int_equal(s->times[2499], 1);
	assert_int_equal(s->times[3000], 1);
	assert_true(s->in_order);
	free(s);
}

static void last_event_id_wins_over_since(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 10, 0);
	struct seen *s = seen_new();
	char field[64];
	int fd;

	snprintf(field, sizeof field, "Last-Event-ID: %s\r\n", id_of(b, 8));
	fd = ask(w, since(b, 2), field);
	read_stream(s, after_head(hear(w, fd)));
	assert_int_equal(s->changes, 2);
	assert_int_equal(s->times[8], 1);
	free(s);
}

static void an_issuer_gets_its_own_changes_only(void **state)
{
	struct world *w = *state;
	int fd = join(w, "?issuer=other"), all = join(w, "");
	struct seen *s = seen_new(), *t = seen_new();
	struct change_batch *b;

	for (uint32_t i = 0; i < 40; i++)
		b = publish(w, i % 4 == 1 ? "other" : "demo", 1, i);
	read_stream(s, hear(w, fd));
	read_stream(t, hear(w, all));
	assert_int_equal(s->changes, 10);
	assert_int_equal(s->times[1], 1);
	assert_int_equal(s->times[37], 1);
	expect_all(t, 40);
	/* and resumes behind what it did not want */
	fd = ask(w, "?issuer=none&snapshot=0", "");
	expect_position(after_head(hear(w, fd)), b, 1);
	assert_non_null(strstr(hear(w, ask(w, "?issuer=nobody", "")), " 404 "));
	free(s);
	free(t);
}

static void expect_gap(struct world *w, const char *query, const char *as,
    const struct change_batch *oldest, uint32_t index)
{
	char want[256];
	const char *text = after_head(hear(w, ask(w, query, "")));

	snprintf(want, sizeof want,
	    "event: gap\ndata: {\"since\":\"%s\",\"oldest\":\"%s\"}\n\nid: %s\n\n", as,
	    id_of(oldest, index), id_of(oldest, index));
	if (strncmp(text, want, strlen(want)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", text, want);
}

/* T22 */
static void a_place_that_is_not_kept_is_a_gap(void **state)
{
	struct world *w = *state;
	struct change_batch *a = append(w, "demo", 5, 0), *b = append(w, "demo", 5, 10),
			    *c = append(w, "demo", 5, 20);
	struct change_batch old = {.epoch = 6, .seq = 2}, far = {.epoch = 7, .seq = 99};
	struct seen *s = seen_new();
	const char *text;
	int fd;

	w->oldest = 1; /* a was dropped */
	w->lost = end_of(a);
	expect_gap(w, since(a, 3), id_of(a, 3), a, 5);
	expect_gap(w, since(&old, 1), id_of(&old, 1), a, 5);
	expect_gap(w, since(&far, 1), id_of(&far, 1), a, 5);
	expect_gap(w, "?since=nothing", "nothing", a, 5);
	expect_gap(
	    w, "?since=%22%3C%0a%ff%5c", "\\u0022\\u003c\\u000a\\u00ff\\u005c", a, 5);
	expect_gap(w, "?since=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	    "\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041"
	    "\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041"
	    "\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041"
	    "\\u0041",
	    a, 5);
	assert_int_equal(w->counters->value[M_EVENT_GAPS], 6);
	/* and goes on with what is kept */
	fd = ask(w, since(a, 3), "");
	text = after_head(hear(w, fd));
	read_stream(s, text);
	assert_int_equal(s->gaps, 1);
	assert_int_equal(s->changes, 10);
	assert_int_equal(s->times[10], 1);
	publish(w, "demo", 1, 30);
	read_stream(s, hear(w, fd));
	assert_int_equal(s->times[30], 1);
	(void)b, (void)c;
	free(s);
}

/* R72: a lost tail shows as a new epoch. */
static void a_new_epoch_is_a_gap_for_who_listens(void **state)
{
	struct world *w = *state;
	int fd = join(w, "");
	struct change_batch *a = publish(w, "demo", 1, 0), *b;
	struct seen *s = seen_new();

	read_stream(s, hear(w, fd));
	w->oldest = w->log_n;
	w->epoch = 8;
	w->seq = 0;
	w->lost = (struct change_pos){8, 0, 0};
	tell(w, NULL);
	read_stream(s, hear(w, fd));
	assert_int_equal(s->gaps, 1);
	b = publish(w, "demo", 1, 1);
	read_stream(s, hear(w, fd));
	expect_all(s, 2);
	assert_true(b->epoch > a->epoch);
	/* also where the first that is heard of it is a change */
	w->oldest = w->log_n;
	w->epoch = 9;
	w->seq = 0;
	w->lost = (struct change_pos){9, 0, 0};
	publish(w, "demo", 1, 2);
	read_stream(s, hear(w, fd));
	assert_int_equal(s->gaps, 2);
	expect_all(s, 3);
	free(s);
}

/* P37 (Mercure #178, #200, #277, #758) */
static void nothing_falls_between_replay_and_live(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 100, 0);
	struct seen *s = seen_new();
	int fd;

	append(w, "demo", 100, 100);
	w->hold = true; /* the log takes its time */
	fd = ask(w, since(b, 0), "");
	run(w);
	for (uint32_t i = 200; i < 300; i += 10)
		publish(w, "demo", 10, i);
	run(w);
	let_go(w);
	publish(w, "demo", 10, 300);
	read_stream(s, after_head(hear(w, fd)));
	publish(w, "demo", 10, 310);
	read_stream(s, hear(w, fd));
	expect_all(s, 320);
	assert_true(s->in_order);
	assert_int_equal(s->gaps, 0);
	free(s);
}

/* P37: The answer's head says that the stream has begun: what is published from then on
 * comes. */
static void who_has_seen_the_head_misses_nothing(void **state)
{
	struct world *w = *state;
	struct seen *s = seen_new();
	int fd;

	append(w, "demo", 5, 100);
	w->hold = true;
	fd = ask(w, "", "");
	assert_string_equal(hear(w, fd), "");
	let_go(w);
	read_stream(s, after_head(hear(w, fd)));
	/* told late: it lies before the place that the client was told */
	tell(w, w->log[0]);
	publish(w, "demo", 5, 0);
	read_stream(s, hear(w, fd));
	expect_all(s, 5);
	free(s);
}

/* T22 */
static void who_is_behind_the_window_reads_the_log(void **state)
{
	struct world *w = *state;
	int fd = join(w, "");
	struct seen *s = seen_new();
	unsigned reads = w->reads;
	struct change_batch *first = NULL;

	/* 40 MB of text: far more than a window; the client reads only afterwards */
	for (uint32_t i = 0; i < 300000; i += 10000) {
		struct change_batch *b = publish(w, "demo", 10000, i);

		if (first == NULL)
			first = b;
		run(w);
	}
	assert_int_equal(w->news_out, 0); /* nobody is waited for */
	read_stream(s, hear(w, fd));
	expect_all(s, 300000);
	assert_true(s->in_order);
	assert_true(w->reads > reads);
	publish(w, "demo", 1, 300000);
	read_stream(s, hear(w, fd));
	expect_all(s, 300001);
	memset(s, 0, sizeof *s);
	read_stream(s, after_head(hear(w, ask(w, since(first, 5), ""))));
	assert_int_equal(s->changes, 299996);
	free(s);
}

/* Of a list's batches the last six or so, however many have passed: who listens, and who
 * comes back to one of them, costs the log nothing. */
static void what_is_recent_is_read_from_no_log(void **state)
{
	struct world *w = *state;
	int fd = join(w, "");
	struct seen *s = seen_new();
	struct change_batch *b[30];

	w->reads = 0;
	for (uint32_t i = 0; i < 30; i++) {
		b[i] = publish(w, "demo", 10000, 10000 * i);
		read_stream(s, hear(w, fd));
	}
	expect_all(s, 300000);
	for (uint32_t i = 26; i < 30; i++) {
		memset(s, 0, sizeof *s);
		read_stream(s, after_head(hear(w, ask(w, since(b[i], 5), ""))));
		assert_int_equal(s->changes, (30 - i) * 10000 - 5);
	}
	assert_int_equal(w->reads, 0);
	memset(s, 0, sizeof *s);
	read_stream(s, after_head(hear(w, ask(w, since(b[15], 5), ""))));
	assert_int_equal(s->changes, 15 * 10000 - 5);
	assert_true(w->reads > 0);
	free(s);
}

/* The log may be a stranger's, who says that there is more and has nothing: that is no
 * reason to ask without end. */
static void a_log_that_has_not_what_it_says_is_gone_on_with(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 10, 0);
	unsigned reads;
	int fd;

	w->conf.position_interval_ms = 100;
	events_reload(w->events);
	join(w, "");
	w->hollow = true;
	fd = ask(w, since(b, 5), "");
	expect_position(after_head(hear(w, fd)), b, 10);
	reads = w->reads;
	run_ms(w, 150); /* several ticks */
	assert_int_equal(w->reads, reads);
}

/* After a restart everybody comes back to where everybody was. */
static void who_wants_the_same_page_shares_it(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 100, 0);
	int fd[50];

	append(w, "demo", 10, 200);
	join(w, "");
	w->reads = 0;
	w->hold = true;
	for (size_t i = 0; i < 50; i++)
		fd[i] = ask(w, since(b, 50), "");
	run(w);
	let_go(w);
	for (size_t i = 0; i < 50; i++) {
		struct seen *s = seen_new();

		read_stream(s, after_head(hear(w, fd[i])));
		assert_int_equal(s->changes, 60);
		free(s);
	}
	assert_int_equal(w->reads, 1);
}

/* T22 */
static void many_laggards_take_turns_at_the_log(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 1000, 0);
	int fd[60];

	append(w, "demo", 10, 2000);
	join(w, "");
	w->reads = 0;
	w->hold = true;
	for (uint32_t i = 0; i < 60; i++)
		fd[i] = ask(w, since(b, 10 * i), "");
	run(w);
	assert_true(w->held_n > 0 && w->held_n <= 8); /* in flight at once */
	let_go(w);
	for (uint32_t i = 0; i < 60; i++) {
		struct seen *s = seen_new();

		read_stream(s, after_head(hear(w, fd[i])));
		assert_int_equal(s->changes, 1010 - 10 * i);
		assert_true(s->in_order);
		free(s);
	}
}

/* The first of n batches of ten thousand that are durable, and that a stream from now on
 * does not have. */
static struct change_batch *lag(struct world *w, uint32_t n)
{
	struct change_batch *first = append(w, "demo", 10000, 0);

	for (uint32_t i = 1; i < n; i++)
		append(w, "demo", 10000, 10000 * i);
	join(w, "");
	w->reads = 0;
	return first;
}

static size_t memory_used(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* T22: of its pages a reader has what it has not taken yet, as the log has it, and of
 * their text what its socket has room for.  A page is read once, however long it takes.
 */
static void who_is_far_behind_reads_each_page_once(void **state)
{
	struct world *w = *state;
	struct change_batch *b = lag(w, 30); /* in ten pages of 3 MB of text */
	size_t before = memory_used(), most = 0, got = 0, used;
	int fd = ask(w, since(b, 1), "");
	static char part[1 << 17];
	ssize_t n;

	run(w);
	while ((n = read(fd, part, sizeof part)) > 0) {
		got += (size_t)n;
		run(w);
		used = memory_used();
		most = used > before + most ? used - before : most;
	}
	assert_true(got > (25u << 20));
	assert_int_equal(w->reads, 10);
	assert_in_range(most, 0, 1 << 20);
}

/* T22: over 32 MiB of pages, who reads slowly gives his back and asks again. */
static void slow_readers_of_other_pages_hold_32_MiB_at_most(void **state)
{
	enum { READERS = 40 }; /* each has one of 0.92 MiB */
	struct world *w = *state;
	struct change_batch *b = lag(w, 3);
	struct seen *s = seen_new();
	int fd[READERS];

	for (uint32_t i = 0; i < READERS; i++) {
		fd[i] = ask(w, since(b, 1000 * (i % 10) + i + 1), "");
		run(w);
	}
	assert_int_equal(w->reads, READERS);
	read_stream(s, after_head(hear(w, fd[0])));
	assert_int_equal(s->changes, 30000 - 1);
	assert_int_equal(w->reads, READERS); /* it was among the first */
	memset(s, 0, sizeof *s);
	read_stream(s, after_head(hear(w, fd[READERS - 1])));
	assert_int_equal(s->changes, 30000 - 9040);
	assert_true(w->reads > READERS);
	for (uint32_t i = 0; i < READERS; i++)
		close(fd[i]);
	w->fd_n = 0;
	run(w);
	w->reads = 0; /* all was given back: it may hold one again */
	memset(s, 0, sizeof *s);
	read_stream(s, after_head(hear(w, ask(w, since(b, 1), ""))));
	assert_int_equal(s->changes, 30000 - 1);
	assert_int_equal(w->reads, 1);
	free(s);
}

static void a_log_that_cannot_be_read_is_tried_again(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 10, 0);
	struct seen *s = seen_new();
	int fd;

	w->conf.position_interval_ms = 100;
	events_reload(w->events);
	w->read_error = ERR_STORE;
	fd = ask(w, since(b, 5), "");
	run_ms(w, 60);
	read_stream(s, after_head(hear(w, fd)));
	assert_true(s->waits >= 1); /* one for each interval that has passed */
	assert_int_equal(s->positions, 0);
	w->read_error = ERR_OK;
	for (int i = 0; i < 500 && s->changes == 0; i++) {
		run_ms(w, 20);
		read_stream(s, hear(w, fd));
	}
	assert_int_equal(s->changes, 5);
	free(s);
}

/* P37: who asks from now on, while there is no place to begin at: told so at once, again
 * and again, and misses nothing of what this node tells from then on. */
static void a_log_that_was_never_reached_is_told_at_once(void **state)
{
	struct world *w = *state;
	struct seen *s = seen_new();
	int fd;

	w->conf.position_interval_ms = 80;
	events_reload(w->events);
	w->read_error = ERR_STORE;
	fd = ask(w, "", "");
	run(w);
	read_stream(s, after_head(hear(w, fd)));
	assert_int_equal(s->waits, 1);
	run_ms(w, 200);
	read_stream(s, hear(w, fd));
	assert_in_range(s->waits, 2, 100); /* one each interval, not each turn */
	assert_int_equal(s->positions, 0);
	publish(w, "demo", 3, 0);
	publish(w, "demo", 3, 3);
	w->read_error = ERR_OK;
	run_ms(w, 100);
	read_stream(s, hear(w, fd));
	assert_int_equal(s->gaps, 0);
	expect_all(s, 6);
	free(s);
}

/* Redis hangs, or the lists of a snapshot are not opened yet. */
static void who_waits_for_the_keeper_is_not_left_in_silence(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 10, 0);
	const char *const query[] = {"", since(b, 5)};

	for (size_t i = 0; i < 2; i++) {
		struct seen *s = seen_new();
		int fd;

		w->conf.position_interval_ms = 15000;
		events_reload(w->events);
		w->hold = true;
		fd = ask(w, query[i], "");
		run(w);
		assert_null(strstr(hear(w, fd), "waiting"));
		w->conf.position_interval_ms = 100;
		events_reload(w->events);
		run_ms(w, 300);
		assert_non_null(strstr(hear(w, fd), ": waiting for the change log"));
		let_go(w);
		run(w);
		read_stream(s, hear(w, fd));
		assert_int_equal(s->positions, 1);
		free(s);
	}
}

/* P37, T22: bounded, cut off, the others unaffected. */
static void a_slow_reader_is_cut_off_and_nobody_waits(void **state)
{
	struct world *w = *state;
	int slow = join(w, ""), quick = join(w, "");
	struct seen *s = seen_new();
	const char *text;

	for (uint32_t i = 0; i < 100000; i += 10000) {
		publish(w, "demo", 10000, i);
		read_stream(s, hear(w, quick));
	}
	expect_all(s, 100000);
	assert_int_equal(events_count(w->events), 2);
	w->conf.subscriber_timeout_ms = 200;
	events_reload(w->events);
	run_ms(w, 400);
	assert_int_equal(events_count(w->events), 1);
	assert_int_equal(w->counters->value[M_SUBSCRIBERS_CUT], 1);
	assert_int_equal(w->counters->value[M_CONN_CLOSED], 1);
	text = hear(w, slow);
	assert_true(strlen(text) < 1 << 20); /* what the kernel had */
	publish(w, "demo", 1, 100000);
	read_stream(s, hear(w, quick));
	expect_all(s, 100001);
	free(s);
}

/* T22: It takes what it gets, but little at a time, and gets all of it in the end: half
 * events are written anew, from the log, when the window has moved on. */
static void who_reads_slowly_but_reads_is_kept(void **state)
{
	struct world *w = *state;
	int fd = join(w, "?issuer=demo");
	struct seen *s = seen_new();
	struct change_batch *last;
	const size_t room = 4 << 20;
	char *text = calloc(1, room);
	const char *id;
	size_t n = 0;

	w->conf.subscriber_timeout_ms = 500;
	events_reload(w->events);
	publish(w, "demo", 10000, 0);
	last = publish(w, "demo", 10000, 10000);
	run(w);
	for (uint32_t i = 20000; i < 420000; i += 10000)
		publish(w, "other", 10000, i);
	id = id_of(last, 10000);
	while (n < room - 8000 && (n < 3 || memcmp(text + n - 3, "}\n\n", 3) != 0 ||
				      memmem(text, n, id, strlen(id)) == NULL)) {
		ssize_t got = read(fd, text + n, 7001);

		if (got > 0)
			n += (size_t)got;
		else
			assert_true(got < 0 && errno == EAGAIN);
		event_base_loop(w->base, EVLOOP_NONBLOCK);
	}
	text[n] = '\0';
	read_stream(s, text);
	expect_all(s, 20000);
	assert_true(s->in_order);
	assert_true(w->reads > 1);
	assert_int_equal(w->counters->value[M_SUBSCRIBERS_CUT], 0);
	free(text);
	free(s);
}

/* T22 */
static void two_thousand_get_one_change(void **state)
{
	struct world *w = *state;
	struct rlimit files;
	size_t n = 2000;
	struct change_batch *b;
	char want[64], text[4096];

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	if (files.rlim_cur < 2 * n + 50)
		n = (files.rlim_cur - 50) / 2;
	for (size_t i = 0; i < n; i++) {
		ask(w, "", "");
		if (i % 100 == 0)
			run(w);
	}
	run_ms(w, 50);
	assert_int_equal(events_count(w->events), n);
	for (size_t i = 0; i < n; i++)
		assert_true(read(w->fd[i], text, sizeof text) > 0);
	b = publish(w, "demo", 1, 0);
	for (int i = 0; i < 100 && w->counters->value[M_EVENTS_SENT] < n; i++)
		event_base_loop(w->base, EVLOOP_NONBLOCK);
	snprintf(want, sizeof want, "id: %s\nevent: changes\n", id_of(b, 1));
	for (size_t i = 0; i < n; i++) {
		ssize_t got = read(w->fd[i], text, sizeof text);

		assert_true(got > 0);
		assert_memory_equal(text, want, strlen(want));
	}
	run(w);
	assert_int_equal(w->news_out, 0);
}

/* P37: Others are answered between slices: a turn of the loop serves EVENTS_SLICE at
 * most. */
static void a_burst_does_not_hold_the_loop(void **state)
{
	struct world *w = *state;
	uint64_t before, most = 0;

	for (size_t i = 0; i < 600; i++)
		ask(w, "", "");
	run_ms(w, 50);
	assert_int_equal(events_count(w->events), 600);
	publish(w, "demo", 1, 0);
	for (int i = 0; i < 50; i++) {
		before = w->counters->value[M_EVENTS_SENT];
		event_base_loop(w->base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
		if (w->counters->value[M_EVENTS_SENT] - before > most)
			most = w->counters->value[M_EVENTS_SENT] - before;
	}
	assert_int_equal(w->counters->value[M_EVENTS_SENT], 600);
	assert_true(most <= EVENTS_SLICE);
}

/* This one comes, and nothing else; more than once where the machine stood still. */
static void expect_positions(
    struct world *w, int fd, const struct change_batch *b, uint32_t at)
{
	const char *text = hear(w, fd);
	char want[64];

	for (int i = 0; i < 1000 && text[0] == '\0'; i++) {
		run_ms(w, 20);
		text = hear(w, fd);
	}
	snprintf(want, sizeof want, "id: %s\n\n", id_of(b, at));
	assert_int_not_equal(text[0], '\0');
	for (; text[0] != '\0'; text += strlen(want))
		assert_int_equal(strncmp(text, want, strlen(want)), 0);
}

static void an_idle_subscriber_is_told_its_position(void **state)
{
	struct world *w = *state;
	int fd = join(w, ""), other = join(w, "?issuer=other");
	struct change_batch *b;

	w->conf.position_interval_ms = 100;
	events_reload(w->events);
	b = publish(w, "demo", 1, 0);
	hear(w, fd);
	hear(w, other);
	expect_positions(w, fd, b, 1);
	/* also behind what was not for it */
	expect_positions(w, other, b, 1);
}

/* Snapshots. */

static void set_entry(struct crl_entry *e, uint32_t serial, uint8_t reason)
{
	struct change c = {0};

	set_change(&c, serial);
	*e = c.entry;
	e->spare[0] = e->spare[1] = 0;
	e->reason = reason;
}

static void make_set(struct world *w, uint32_t n)
{
	struct crl_list *list = calloc(1, sizeof *list);

	list->entries = crl_entries_new(n, &list->mapped);
	for (uint32_t i = 0; i < n; i++)
		set_entry(&list->entries[i], i, i == 7 ? REASON_CERTIFICATE_HOLD : 1);
	list->n = crl_entries_sort(list->entries, n);
	list->facts.has_number = true;
	list->facts.number[CRL_NUMBER_MAX - 1] = 9;
	assert_int_equal(crl_set_replace(&w->set, NULL, 1, 0, list, NULL, 1), ERR_OK);
	crl_list_free(list);
}

/* P37 */
static void a_snapshot_comes_before_what_is_live(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 3, 0);
	struct seen *s = seen_new();
	const char *text, *position;
	char want[64];
	int fd;

	make_set(w, 2500);
	/* of three latches one is listed, one is on hold there, one is not listed */
	w->latches = crl_entries_new(3, &w->latches_mapped);
	set_entry(&w->latches[0], 3, 1);
	set_entry(&w->latches[1], 7, 4);
	set_entry(&w->latches[2], 2500, 4);
	w->latches_n = crl_entries_sort(w->latches, 3);
	fd = ask(w, "?snapshot=1", "");
	run(w);
	publish(w, "demo", 10, 2501);
	text = after_head(hear(w, fd));
	snprintf(want, sizeof want, "id: %s\n\n", id_of(b, 3));
	position = strstr(text, want);
	assert_non_null(position);
	assert_null(memmem(text, (size_t)(position - text), "id: ", 4));
	assert_memory_equal(text,
	    "event: snapshot\ndata: {\"issuer\":\"demo\",\"seen_at\":"
	    "\"2023-11-14T22:13:20Z\",\"evidence\":\"crl\",\"crl_number\":\"9\","
	    "\"changes\":[{\"serial\":\"",
	    100);
	assert_non_null(strstr(text, "\"status\":\"revoked\",\"previous\":null,"));
	assert_non_null(strstr(text, "\"evidence\":\"ocsp\",\"crl_number\":null,"));
	assert_null(strstr(text, "certificateHold")); /* the latch knows worse */
	read_stream(s, text);
	assert_int_equal(s->snapshots, 4); /* 2,499 entries, 2 latches */
	expect_all(s, 2511);
	free(s);
}

/* A snapshot that is larger than what a socket takes, and changes behind it. */
static void a_large_snapshot_is_sent_as_it_is_taken(void **state)
{
	struct world *w = *state;
	struct seen *s = seen_new();
	int fd;

	make_set(w, 60000);
	fd = ask(w, "?snapshot=1&issuer=demo", "");
	run(w);
	for (uint32_t i = 60000; i < 200000; i += 10000) {
		publish(w, "demo", 10000, i);
		run(w);
	}
	read_stream(s, after_head(hear(w, fd)));
	assert_int_equal(s->snapshots, 60);
	expect_all(s, 200000);
	assert_int_equal(w->snapshots, 1);
	free(s);
}

static void who_is_cut_off_inside_a_snapshot_starts_again(void **state)
{
	struct world *w = *state;
	struct seen *s = seen_new();
	struct change_batch *b = append(w, "demo", 10, 500);
	char field[64];
	int fd;

	make_set(w, 100);
	fd = ask(w, "?snapshot=1", "");
	run(w);
	close(fd);
	w->fd[w->fd_n - 1] = -1;
	fd = ask(w, "?snapshot=1", "");
	read_stream(s, after_head(hear(w, fd)));
	expect_all(s, 100);
	/* who has had it resumes the same URL by its id */
	memset(s, 0, sizeof *s);
	snprintf(field, sizeof field, "Last-Event-ID: %s\r\n", id_of(b, 4));
	fd = ask(w, "?snapshot=1", field);
	read_stream(s, after_head(hear(w, fd)));
	assert_int_equal(s->snapshots, 0);
	assert_int_equal(s->changes, 6);
	/* unless that is no longer kept */
	memset(s, 0, sizeof *s);
	fd = ask(w, "?snapshot=1", "Last-Event-ID: x\r\n");
	read_stream(s, after_head(hear(w, fd)));
	assert_int_equal(s->gaps, 1);
	assert_int_equal(s->snapshots, 1);
	expect_all(s, 100);
	free(s);
}

/* T22: a trickle would hold the old list, and one of the few snapshots, for days. */
static void a_snapshot_that_is_taken_in_drops_is_cut_off(void **state)
{
	struct world *w = *state;
	int fd, quick;
	char drop[64];

	make_set(w, 60000);
	w->conf.subscriber_timeout_ms = 300;
	events_reload(w->events);
	fd = ask(w, "?snapshot=1", "");
	for (int i = 0; i < 60 && w->counters->value[M_SUBSCRIBERS_CUT] == 0; i++) {
		(void)!read(fd, drop, sizeof drop);
		run_ms(w, 20);
	}
	assert_int_equal(w->counters->value[M_SUBSCRIBERS_CUT], 1);
	quick = ask(w, "?snapshot=1", "");
	for (int i = 0; i < 10; i++) { /* longer than its timeout, but at a good pace */
		static char piece[300000];

		(void)!read(quick, piece, sizeof piece);
		run_ms(w, 50);
	}
	assert_int_equal(w->counters->value[M_SUBSCRIBERS_CUT], 1);
}

/* A stream over TCP whose client keeps little, so that what it has not taken is ours. */
static int ask_tcp(struct world *w, const char *query)
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof at;
	int l = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	char text[256];

	setsockopt(l, SOL_SOCKET, SO_SNDBUF, &(int){200000}, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){16384}, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &(int){1000}, sizeof(int));
	assert_int_equal(bind(l, (struct sockaddr *)&at, n), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&at, &n), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, n), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	assert_non_null(
	    conn_new(w->loop, accept4(l, NULL, NULL, SOCK_NONBLOCK), NULL, NULL));
	close(l);
	snprintf(
	    text, sizeof text, "GET /v1/events%s HTTP/1.1\r\nHost: a\r\n\r\n", query);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	w->fd[w->fd_n++] = fd;
	return fd;
}

/* On clocks that are set; the timer of 20 ms is a real one. */
static void pass(struct world *w, int seconds)
{
	static int64_t now_ms = 1000000;

	clock_set(1700000000, now_ms += seconds * 1000);
	usleep(21000);
	run(w);
}

static void read_each_second(struct world *w, int fd, size_t n, int seconds)
{
	static char piece[65536];

	while (seconds-- > 0) {
		for (size_t left = n; left > 0;) {
			ssize_t got =
			    read(fd, piece, left < sizeof piece ? left : sizeof piece);

			if (got <= 0)
				break;
			left -= (size_t)got;
		}
		pass(w, 1);
	}
}

/* T22: steadily at 24 KiB a second, its socket is writable every six seconds; it has less
 * to take it than that. */
static void who_takes_a_snapshot_steadily_is_not_cut_off(void **state)
{
	struct world *w = *state;
	int fd;

	make_set(w, 60000);
	w->conf.subscriber_timeout_ms = 4000;
	w->conf.position_interval_ms = 80;
	pass(w, 1);
	events_reload(w->events);
	fd = ask_tcp(w, "?snapshot=1");
	run(w);
	read_each_second(w, fd, 24 * 1024, 28);
	assert_int_equal(w->counters->value[M_SUBSCRIBERS_CUT], 0);
	assert_int_equal(events_count(w->events), 1);
	read_each_second(w, fd, 2000, 12); /* the least pace is 16 KiB */
	assert_int_equal(w->counters->value[M_SUBSCRIBERS_CUT], 1);
}

/* The same for changes, where a little is enough. */
static void who_takes_changes_steadily_is_not_cut_off(void **state)
{
	struct world *w = *state;
	int fd;

	w->conf.subscriber_timeout_ms = 4000;
	w->conf.position_interval_ms = 80;
	pass(w, 1);
	events_reload(w->events);
	fd = ask_tcp(w, "?issuer=demo");
	run(w);
	publish(w, "demo", 10000, 0);
	run(w);
	read_each_second(w, fd, 12 * 1024, 28);
	assert_int_equal(w->counters->value[M_SUBSCRIBERS_CUT], 0);
	read_each_second(w, fd, 0, 8);
	assert_int_equal(w->counters->value[M_SUBSCRIBERS_CUT], 1);
}

static void another_set(struct world *w, uint32_t n)
{
	crl_set_unref(w->set);
	make_set(w, n);
}

/* A stream whose client takes nothing yet. */
static int ask_slowly(struct world *w)
{
	int fd = ask(w, "?snapshot=1", "");

	pass(w, 2); /* longer than those who come together share one */
	return fd;
}

static bool has_begun(int fd)
{
	char text[1024];
	ssize_t n = recv(fd, text, sizeof text - 1, MSG_PEEK);

	text[n > 0 ? n : 0] = '\0';
	return strstr(text, "\nevent: snapshot\n") != NULL ||
	       strstr(text, "\nid: ") != NULL;
}

static void slow_clock(struct world *w)
{
	w->conf.position_interval_ms = 80; /* the tick of 20 ms */
	w->conf.subscriber_timeout_ms = 10000000;
	pass(w, 1);
	events_reload(w->events);
}

/* T22: a snapshot is a value: however many read it slowly, the next one gets his. */
static void slow_readers_of_the_same_hold_one_snapshot(void **state)
{
	struct world *w = *state;

	make_set(w, 60000);
	slow_clock(w);
	for (int i = 0; i < 24; i++)
		assert_true(has_begun(ask_slowly(w)));
	assert_int_equal(w->snapshots, 24); /* each its own place to go on from */
	assert_int_equal(atomic_load(&w->set->refs), 2);
	/* the one whose content it was first may go before the others */
	close(w->fd[0]);
	w->fd[0] = -1;
	run(w);
	assert_true(strlen(hear(w, w->fd[1])) > 60000 * 100);
	assert_int_equal(w->counters->value[M_SUBSCRIBERS_CUT], 0);
}

/* What differs: by memory. */
static void slow_readers_of_others_are_no_matter_within_memory(void **state)
{
	struct world *w = *state;
	int fd = -1;

	w->conf.snapshot_memory = 17 * 20000 * 32;
	make_set(w, 1);
	slow_clock(w);
	for (uint32_t i = 0; i < 17; i++) {
		another_set(w, 20000 + i);
		fd = ask_slowly(w);
		assert_true(has_begun(fd));
	}
	another_set(w, 1000);
	fd = ask_slowly(w);
	assert_false(has_begun(fd));
	close(w->fd[3]);
	w->fd[3] = -1;
	pass(w, 1);
	pass(w, 1);
	assert_true(has_begun(fd));
}

/* And not for ever: after five minutes the first makes room, if somebody waits. */
static void who_has_held_a_snapshot_for_long_makes_room(void **state)
{
	struct world *w = *state;
	int fd;

	make_set(w, 1);
	slow_clock(w);
	for (uint32_t i = 0; i < 16; i++) {
		another_set(w, 3000 + i);
		ask_slowly(w);
	}
	pass(w, 3);
	assert_int_equal(w->counters->value[M_SUBSCRIBERS_CUT], 0);
	another_set(w, 10);
	fd = ask_slowly(w);
	for (int seconds = 37; seconds < 290; seconds += 50) /* since the first came */
		pass(w, seconds + 50 < 290 ? 50 : 290 - seconds);
	assert_false(has_begun(fd));
	pass(w, 20);
	pass(w, 1);
	pass(w, 1);
	assert_true(has_begun(fd));
	assert_int_equal(w->counters->value[M_SUBSCRIBERS_CUT], 1);
	pass(w, 500);
	pass(w, 500); /* nobody waits any more */
	assert_int_equal(w->counters->value[M_SUBSCRIBERS_CUT], 1);
}

static void a_snapshot_of_nothing_is_a_position(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 1, 0);

	expect_position(after_head(hear(w, ask(w, "?snapshot=1", ""))), b, 1);
}

static void a_snapshot_that_fails_is_tried_again(void **state)
{
	struct world *w = *state;
	struct seen *s = seen_new();
	int fd;

	make_set(w, 10);
	w->conf.position_interval_ms = 100;
	events_reload(w->events);
	w->read_error = ERR_STORE;
	fd = ask(w, "?snapshot=1", "");
	run_ms(w, 60);
	read_stream(s, after_head(hear(w, fd)));
	assert_int_equal(s->waits, 1);
	w->read_error = ERR_OK;
	run_ms(w, 100);
	read_stream(s, hear(w, fd));
	expect_all(s, 10);
	free(s);
}

/* Pages of JSON. */

#define JSON "Accept: application/json\r\n"

static void a_page_says_the_same_as_json(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 1, 0), *c = append(w, "other", 1, 1),
			    *d = append(w, "demo", 1, 2);
	char want[2048];

	snprintf(want, sizeof want,
	    "{\"events\":[{\"id\":\"%s\",\"event\":\"changes\",\"data\":{\"issuer\":"
	    "\"demo\",\"seen_at\":\"2023-11-14T22:15:23Z\",\"evidence\":\"crl\","
	    "\"crl_number\":\"258\",\"changes\":[{\"serial\":\"100002\",\"status\":"
	    "\"revoked\",\"previous\":\"good\",\"revoked_at\":\"2023-11-14T22:13:22Z\","
	    "\"reason\":\"keyCompromise\"}]}}],\"position\":\"%s\",\"gap\":null}\n",
	    id_of(d, 1), id_of(d, 1));
	snprintf(want + 1500, 500, "?since=%s&issuer=demo", id_of(b, 1));
	assert_string_equal(after_head(hear(w, ask(w, want + 1500, JSON))), want);
	(void)c;
	/* without a since: where to begin */
	snprintf(want, sizeof want, "{\"events\":[],\"position\":\"%s\",\"gap\":null}\n",
	    id_of(d, 1));
	assert_string_equal(after_head(hear(w, ask(w, "", JSON))), want);
	join(w, ""); /* now the end is known */
	assert_string_equal(after_head(hear(w, ask(w, "", JSON))), want);
	assert_string_equal(after_head(hear(w, ask(w, since(d, 1), JSON))), want);
}

static void pages_follow_one_another_to_the_end(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 2500, 0);
	struct change_pos before = {b->epoch, 0, 0};
	struct seen *s = seen_new();
	char query[128] = "?since=";
	unsigned pages = 0, last = 1;

	for (uint32_t i = 2500; i < 3000; i++)
		append(w, i % 2 ? "other" : "demo", 1, i);
	change_pos_text(&before, query + 7);
	for (; pages < 10 && s->changes != last; pages++) {
		const char *text = after_head(hear(w, ask(w, query, JSON))), *position;

		last = s->changes;
		if (strstr(text, "\"serial\"") != NULL) {
			const char *p = text;
			unsigned n = 0;

			while ((p = strstr(p, "\"serial\":\"")) != NULL) {
				s->times[strtoul(p + 10, NULL, 16) & 0xfffff]++;
				s->changes++;
				n++;
				p++;
			}
			assert_true(n <= 1000);
		}
		position = strstr(text, "\"position\":\"");
		assert_non_null(position);
		snprintf(query, sizeof query, "?since=%.*s",
		    (int)strcspn(position + 12, "\""), position + 12);
	}
	expect_all(s, 3000);
	assert_in_range(pages, 4, 8);
	free(s);
}

static void a_page_tells_of_a_gap(void **state)
{
	struct world *w = *state;
	struct change_batch *a = append(w, "demo", 5, 0);
	char want[256];

	append(w, "demo", 5, 10);
	w->oldest = 1;
	w->lost = end_of(a);
	snprintf(want, sizeof want,
	    "{\"events\":[],\"position\":\"%s\",\"gap\":{\"since\":\"x\",\"oldest\":"
	    "\"%s\"}}\n",
	    id_of(a, 5), id_of(a, 5));
	assert_string_equal(after_head(hear(w, ask(w, "?since=x", JSON))), want);
	snprintf(want, sizeof want, "\"gap\":{\"since\":\"%s\",\"oldest\":\"%s\"}}\n",
	    id_of(a, 2), id_of(a, 5));
	assert_non_null(strstr(hear(w, ask(w, since(a, 2), JSON)), want));
}

static void a_page_of_a_log_that_is_away_is_503(void **state)
{
	struct world *w = *state;
	const char *text;

	w->read_error = ERR_STORE;
	text = hear(w, ask(w, "?since=x", JSON));
	assert_memory_equal(text, "HTTP/1.1 503 ", 13);
	assert_non_null(strstr(text, "\r\nRetry-After: 5\r\n"));
	assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
	assert_non_null(strstr(text, "{\"error\":{\"code\":\"unavailable\""));
}

static void a_client_that_left_a_page_does_no_harm(void **state)
{
	struct world *w = *state;
	int fd;

	append(w, "demo", 5, 0);
	w->hold = true;
	fd = ask(w, "?since=x", JSON);
	run(w);
	assert_int_equal(events_asking(w->events), 1);
	conn_loop_free(w->loop); /* so does the whole connection */
	w->loop = conn_loop_new(w->base,
	    &(struct conn_limits){.head = 8192, .target = 4096, .idle_ms = 1000},
	    &handler, w, w->counters);
	assert_int_equal(w->idle, 0);
	let_go(w);
	run(w);
	assert_int_equal(events_asking(w->events), 0);
	assert_int_equal(w->idle, 1);
	(void)fd;
}

/* Limits, and the end. */

/* T21 */
static void over_max_subscribers_is_503(void **state)
{
	struct world *w = *state;

	w->conf.max_subscribers = 2;
	events_reload(w->events);
	join(w, "");
	join(w, "");
	assert_non_null(strstr(hear(w, ask(w, "", "")), " 503 "));
	assert_int_equal(w->counters->value[M_SUBSCRIBERS_REFUSED], 1);
	close(w->fd[0]);
	w->fd[0] = -1;
	run(w);
	assert_int_equal(events_count(w->events), 1);
	join(w, "");
	assert_int_equal(events_count(w->events), 2);
	w->conf.max_subscribers = 100;
	w->shared.max_subscribers = 2; /* what the descriptors allow */
	events_reload(w->events);
	assert_non_null(strstr(hear(w, ask(w, "", "")), " 503 "));
}

/* T21 */
static void who_talks_is_not_listened_to_for_ever(void **state)
{
	struct world *w = *state;
	int fd = join(w, "");
	static char noise[32768];

	assert_int_equal(write(fd, noise, sizeof noise), sizeof noise);
	run(w);
	assert_int_equal(events_count(w->events), 1);
	for (int i = 0; i < 3; i++) {
		(void)!write(fd, noise, sizeof noise);
		run(w);
	}
	assert_int_equal(events_count(w->events), 0);
}

static void a_drain_closes_all_streams(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 10, 0);
	int idle = join(w, ""), full = join(w, ""), reading, taking;

	for (uint32_t i = 10; i < 50000; i += 10000)
		publish(w, "demo", 10000, i);
	run(w);
	make_set(w, 10);
	w->hold = true;
	reading = ask(w, since(b, 0), "");
	taking = ask(w, "?snapshot=1", "");
	hear(w, idle);
	assert_int_equal(events_count(w->events), 4);
	events_drain(w->events);
	assert_int_equal(events_count(w->events), 0);
	assert_int_equal(atomic_load(&w->shared.subscribers), 0);
	for (size_t i = 0; i < w->fd_n; i++) {
		const char *text = hear(w, w->fd[i]);

		assert_string_equal(text + strlen(text) - 3, "EOF");
	}
	assert_non_null(strstr(hear(w, ask(w, "", "")), " 503 "));
	publish(w, "demo", 1, 90000); /* is still given back */
	run(w);
	(void)full, (void)reading, (void)taking;
}

/* A stop may come while the keeper is at work for us. */
static void a_drain_with_open_questions_ends_well(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 10, 0);

	make_set(w, 10);
	w->hold = true;
	ask(w, since(b, 0), "");
	ask(w, "?snapshot=1", "");
	/* only as far as the questions */
	for (int i = 0; i < 100 && events_asking(w->events) == 0; i++)
		event_base_loop(w->base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	assert_true(events_asking(w->events) > 0);
	events_drain(w->events);
	let_go(w);
	run(w);
	assert_int_equal(events_asking(w->events), 0);
	assert_true(w->idle > 0);
}

/* By watchlist. */

static struct watch_draft *draft_new(struct world *w)
{
	struct watch_draft *d;

	watcher_db(w->shared.watcher);
	d = watch_draft_new(w->dir);
	assert_non_null(d);
	return d;
}

/* Certificates of a list: those of set_change() whose number is first, first + step, ...
 * below end, with a name and a label; of CA number ca. */
static struct watch_draft *draft_of(
    struct world *w, unsigned ca, uint32_t first, uint32_t end, uint32_t step)
{
	struct watch_draft *d = draft_new(w);

	for (uint32_t i = first; i < end; i += step) {
		struct kit_cert c;
		struct change change;
		struct serial s;
		char name[64];

		set_change(&change, i);
		crl_entry_serial(&change.entry, &s);
		kit_cert(&c, ca, s);
		snprintf(name, sizeof name, "h%u.shop.example", i);
		kit_name(&c, name);
		kit_label(&c, "owner=\"web\"\n");
		assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	}
	return d;
}

static void publish_inventory(struct world *w, const struct inventory *v)
{
	assert_non_null(v);
	inventory_unref(w->v);
	w->v = v;
	atomic_store(&w->shared.inventory, v);
}

/* Its CAs are the issuer's. */
static void put_list(struct world *w, const char *name, struct watch_draft *d)
{
	const struct watch_list *l, *old = inventory_list(w->v, name);
	const struct watch_cas *cas;

	assert_int_equal(kit_put(w->db, name, false, d, old, &l), ERR_OK);
	for (uint32_t id = 1; watch_db_name_ca(w->db, id, "demo") == ERR_OK;)
		id++;
	assert_int_equal(watch_db_cas(w->db, &cas), ERR_OK);
	publish_inventory(w, inventory_with(w->v, l, cas, &watch_points_none));
	watch_list_unref(l);
	watch_cas_unref(cas);
}

static int order(const void *a, const void *b)
{
	return crl_order(a, b);
}

/* As a diff is: in the order of lists, which is not that of numbers. */
static struct change_batch *publish_sorted(
    struct world *w, const char *issuer, uint32_t n, uint32_t first)
{
	struct change_batch *b = append(w, issuer, n, first);

	qsort(b->change, n, sizeof b->change[0], order);
	tell(w, b);
	return b;
}

static void drop_list(struct world *w, const char *name)
{
	assert_int_equal(watch_db_drop(w->db, name), ERR_OK);
	publish_inventory(w, inventory_without(w->v, name));
}

static void sweep(struct world *w)
{
	for (bool more = true; more;)
		assert_int_equal(watch_db_sweep(w->db, &more), ERR_OK);
}

/* Those of every step-th number, each once, and nothing else; with its name. */
static void expect_each(const struct seen *s, uint32_t n, uint32_t first, uint32_t step)
{
	for (uint32_t i = 0; i < n; i++) {
		unsigned want = i >= first && (i - first) % step == 0;

		if (s->times[i] != want)
			fail_msg("change %u came %d times", i, s->times[i]);
	}
}

static void a_list_gets_its_own_with_names_and_labels(void **state)
{
	struct world *w = *state;
	struct change_batch *b;
	int fd, all;
	char want[1024];

	put_list(w, "web", draft_of(w, 0, 1, 5, 2));
	fd = join(w, "?watchlist=web");
	all = join(w, "");
	b = publish(w, "demo", 5, 0);
	snprintf(want, sizeof want,
	    "id: %s\nevent: changes\ndata: {\"issuer\":\"demo\",\"seen_at\":"
	    "\"2023-11-14T22:15:23Z\",\"evidence\":\"crl\",\"crl_number\":\"258\","
	    "\"changes\":[{\"serial\":\"100001\",\"status\":\"revoked\",\"previous\":"
	    "\"good\",\"revoked_at\":\"2023-11-14T22:13:21Z\",\"reason\":"
	    "\"keyCompromise\",\"names\":[\"h1.shop.example\"],\"labels\":[\"owner="
	    "\\\"web\\\"\\u000a\"]},{\"serial\":\"100003\",\"status\":\"revoked\","
	    "\"previous\":\"good\",\"revoked_at\":\"2023-11-14T22:13:23Z\",\"reason\":"
	    "\"keyCompromise\",\"names\":[\"h3.shop.example\"],\"labels\":[\"owner="
	    "\\\"web\\\"\\u000a\"]}]}\n\n",
	    id_of(b, 5));
	assert_string_equal(hear(w, fd), want);
	assert_int_equal(w->counters->value[M_EVENTS_SENT], 2);
	assert_int_equal(w->counters->value[M_CHANGES_SENT], 7);
	assert_null(strstr(hear(w, all), "names")); /* as ever */
	/* nothing of it: silence, but the place moves on */
	b = publish(w, "demo", 5, 100);
	assert_string_equal(hear(w, fd), "");
	w->conf.position_interval_ms = 50;
	events_reload(w->events);
	run_ms(w, 200);
	expect_position(strrchr(hear(w, fd), 'i'), b, 5);
}

/* T23 */
static void of_a_large_diff_a_list_gets_all_that_it_has(void **state)
{
	struct world *w = *state;
	struct seen *s = seen_new();
	struct change_batch *b = append(w, "demo", 1, 299999);
	int fd, late;
	char query[128];

	put_list(w, "web", draft_of(w, 0, 3, 290000, 7));
	put_list(w, "all", draft_of(w, 0, 0, 200000, 20));
	fd = join(w, "?watchlist=web");
	for (uint32_t i = 0; i < 200000; i += 10000) {
		publish_sorted(w, "demo", 10000, i);
		publish(w, "other", 1000, i); /* not its CA's */
		read_stream(s, hear(w, fd));
	}
	expect_each(s, 200000, 3, 7);
	/* from the log, and from the middle of a batch */
	memset(s, 0, sizeof *s);
	snprintf(query, sizeof query, "?watchlist=all&issuer=demo&since=%s", id_of(b, 1));
	late = ask(w, query, "");
	read_stream(s, after_head(hear(w, late)));
	expect_each(s, 200000, 0, 20);
	memset(s, 0, sizeof *s);
	snprintf(query, sizeof query, "?watchlist=all&since=%s", id_of(w->log[1], 9981));
	late = ask(w, query, "");
	read_stream(s, after_head(hear(w, late)));
	b = w->log[1];
	for (uint32_t i = 0; i < 10000; i++) {
		uint32_t number =
		    (uint32_t)(crl_entry_at(&b->change[i].entry) - 1700000000);

		assert_int_equal(s->times[number], i >= 9981 && number % 20 == 0);
	}
	/* of another issuer it has nothing */
	snprintf(
	    query, sizeof query, "?watchlist=all&issuer=other&since=%s", id_of(b, 1));
	assert_null(strstr(hear(w, ask(w, query, "")), "serial"));
	free(s);
}

/* The issuer's key was renewed, and its old certificates are watched too. */
static void a_change_of_two_cas_is_told_once(void **state)
{
	struct world *w = *state;
	struct watch_draft *d = draft_of(w, 0, 0, 4000, 2);
	struct seen *s = seen_new();
	int fd;

	for (uint32_t i = 0; i < 4000; i += 3) {
		struct kit_cert c;
		struct change change;
		struct serial serial;

		set_change(&change, i);
		crl_entry_serial(&change.entry, &serial);
		kit_cert(&c, 1, serial);
		kit_name(&c, "renewed.shop.example");
		assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	}
	put_list(w, "web", d);
	fd = join(w, "?watchlist=web");
	publish_sorted(w, "demo", 4000, 0);
	read_stream(s, hear(w, fd));
	for (uint32_t i = 0; i < 4000; i++)
		assert_int_equal(s->times[i], i % 2 == 0 || i % 3 == 0);
	free(s);
}

/* A store that others write to. */
static void a_batch_that_is_not_sorted_is_matched_all_the_same(void **state)
{
	struct world *w = *state;
	struct seen *s = seen_new();
	struct change_batch *b;
	int fd;

	put_list(w, "web", draft_of(w, 0, 0, 3000, 5));
	fd = join(w, "?watchlist=web");
	b = append(w, "demo", 3000, 0);
	for (uint32_t i = 0; i < 3000; i++)
		set_change(&b->change[i], 2999 - i);
	tell(w, b);
	read_stream(s, hear(w, fd));
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(s->times[i], i % 5 == 0);
	free(s);
}

/* T22: what is kept for it is the rest of what was begun, whatever waits in the log; and
 * what it reads is whole, though its list has changed under it. */
static void a_slow_reader_of_a_list_is_flat_and_gets_whole_events(void **state)
{
	struct world *w = *state;
	struct seen *s = seen_new();
	struct mallinfo2 before, after;
	int fd, small = 4096;

	put_list(w, "web", draft_of(w, 0, 0, 300000, 2));
	fd = join(w, "?watchlist=web");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	for (uint32_t i = 0; i < 100000; i += 10000)
		publish_sorted(w, "demo", 10000, i);
	run_ms(w, 50);
	before = mallinfo2();
	for (uint32_t i = 100000; i < 300000; i += 10000) {
		publish_sorted(w, "demo", 10000, i);
		run(w);
	}
	after = mallinfo2();
	/* the made-up log keeps 320 KB of each batch, and so the window does: the same */
	assert_true(after.uordblks + after.hblkhd <
		    before.uordblks + before.hblkhd + 200000 * 32 + (10u << 20));
	put_list(w, "web", draft_of(w, 0, 1, 300000, 2));
	sweep(w);
	read_stream(s, hear(w, fd));
	/* first even ones, then odd ones, and none twice */
	for (uint32_t i = 0; i < 300000; i++)
		assert_true(s->times[i] <= 1);
	for (uint32_t i = 100000; i < 300000; i++)
		assert_int_equal(s->times[i], i % 2);
	free(s);
}

static void a_stream_goes_on_with_the_list_that_replaces_its_own(void **state)
{
	struct world *w = *state;
	struct seen *s = seen_new();
	const char *text;
	int fd;

	put_list(w, "web", draft_of(w, 0, 0, 10, 2));
	fd = join(w, "?watchlist=web");
	publish(w, "demo", 10, 0);
	read_stream(s, hear(w, fd));
	expect_each(s, 10, 0, 2);
	put_list(w, "web", draft_of(w, 0, 101, 110, 2));
	sweep(w); /* rows of the old one are gone */
	publish(w, "demo", 10, 100);
	text = hear(w, fd);
	assert_non_null(strstr(text, "\"names\":[\"h101.shop.example\"]"));
	memset(s, 0, sizeof *s);
	read_stream(s, text);
	assert_int_equal(s->changes, 5);
	assert_int_equal(s->times[100], 0);
	free(s);
}

/* Between looking at the inventory and reading the file. */
static void rows_that_are_swept_meanwhile_are_those_of_the_next_list(void **state)
{
	struct world *w = *state;
	const struct inventory *old;
	const char *text;
	int fd;

	put_list(w, "web", draft_of(w, 0, 0, 10, 1));
	fd = join(w, "?watchlist=web");
	old = inventory_ref(w->v);
	put_list(w, "web", draft_of(w, 0, 4, 10, 1));
	sweep(w);
	w->v_once = old;
	publish(w, "demo", 10, 0);
	text = hear(w, fd);
	assert_null(w->v_once); /* it was looked at */
	assert_null(strstr(text, "100003"));
	assert_non_null(strstr(text, "\"names\":[\"h4.shop.example\"]"));
	assert_null(strstr(text, "\"names\":[]"));
	inventory_unref(old);
}

/* T21: who is not told any more is told that. */
static void a_list_that_is_deleted_ends_its_streams(void **state)
{
	struct world *w = *state;
	int fd, idle;

	put_list(w, "web", draft_of(w, 0, 0, 10, 2));
	fd = join(w, "?watchlist=web");
	drop_list(w, "web");
	publish(w, "demo", 10, 0);
	assert_string_equal(hear(w, fd), "EOF");
	assert_int_equal(events_count(w->events), 0);
	/* and where nothing comes, with the next position */
	put_list(w, "web", draft_of(w, 0, 0, 10, 2));
	idle = join(w, "?watchlist=web");
	w->conf.position_interval_ms = 50;
	events_reload(w->events);
	drop_list(w, "web");
	run_ms(w, 200);
	assert_non_null(strstr(hear(w, idle), "EOF"));
	assert_memory_equal(hear(w, ask(w, "?watchlist=web", "")), "HTTP/1.1 404", 12);
}

static void a_list_that_is_not_there_is_404(void **state)
{
	struct world *w = *state;

	assert_memory_equal(hear(w, ask(w, "?watchlist=web", "")), "HTTP/1.1 404", 12);
	assert_memory_equal(hear(w, ask(w, "?watchlist=web", JSON)), "HTTP/1.1 404", 12);
	put_list(w, "web", draft_of(w, 0, 0, 1, 1));
	assert_memory_equal(hear(w, ask(w, "?watchlist=web", "")), "HTTP/1.1 200", 12);
	assert_memory_equal(hear(w, ask(w, "?watchlist=we", "")), "HTTP/1.1 404", 12);
	assert_memory_equal(
	    hear(w, ask(w, "?watchlist=web&issuer=nobody", "")), "HTTP/1.1 404", 12);
	w->shared.watcher = NULL; /* what is watched is not loaded */
	assert_memory_equal(hear(w, ask(w, "?watchlist=web", "")), "HTTP/1.1 503", 12);
}

static void a_snapshot_of_a_list_is_what_is_revoked_of_it(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 3, 0);
	struct seen *s = seen_new();
	const char *text, *position;
	char want[64];
	int fd;

	make_set(w, 12500);
	w->latches = crl_entries_new(3, &w->latches_mapped);
	set_entry(&w->latches[0], 3, 1);
	set_entry(&w->latches[1], 7, 4);
	set_entry(&w->latches[2], 12500, 4);
	w->latches_n = crl_entries_sort(w->latches, 3);
	put_list(w, "web", draft_of(w, 0, 3, 13000, 1));
	put_list(w, "few", draft_of(w, 0, 12500, 13000, 1));
	fd = ask(w, "?snapshot=1&watchlist=web", "");
	run(w);
	publish(w, "demo", 10, 12501);
	text = after_head(hear(w, fd));
	snprintf(want, sizeof want, "id: %s\n\n", id_of(b, 3));
	position = strstr(text, want);
	assert_non_null(position);
	assert_null(memmem(text, (size_t)(position - text), "id: ", 4));
	assert_memory_equal(text,
	    "event: snapshot\ndata: {\"issuer\":\"demo\",\"seen_at\":"
	    "\"2023-11-14T22:13:20Z\",\"evidence\":\"crl\",\"crl_number\":\"9\","
	    "\"changes\":[{\"serial\":\"",
	    100);
	assert_non_null(strstr(text, "\"status\":\"revoked\",\"previous\":null,"));
	assert_non_null(strstr(text, "\"names\":[\"h12500.shop.example\"]"));
	assert_non_null(strstr(text, "\"evidence\":\"ocsp\",\"crl_number\":null,"));
	assert_null(strstr(text, "certificateHold")); /* the latch knows worse */
	read_stream(s, text);
	expect_each(s, 12511, 3, 1);
	assert_int_equal(s->changes, 12508);
	/* of all that is revoked, one */
	text = after_head(hear(w, ask(w, "?snapshot=1&watchlist=few", "")));
	assert_non_null(strstr(text, "\"names\":[\"h12500.shop.example\"]"));
	assert_null(strstr(text, "h12499"));
	free(s);
}

/* Its list is replaced, and then deleted, while it takes what is revoked already. */
static void a_snapshot_of_a_list_that_is_replaced_is_whole(void **state)
{
	struct world *w = *state;
	struct seen *s = seen_new();
	int fd, small = 4096;

	append(w, "demo", 3, 0);
	make_set(w, 40000);
	put_list(w, "web", draft_of(w, 0, 0, 40000, 1));
	fd = ask(w, "?snapshot=1&watchlist=web", "");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	run(w);
	put_list(w, "web", draft_of(w, 0, 0, 100, 1));
	sweep(w);
	read_stream(s, after_head(hear(w, fd)));
	expect_each(s, 40000, 0, 1);
	assert_int_equal(s->positions, 1);
	free(s);
}

static void a_page_of_a_list_says_the_same_as_json(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 1, 0), *c;
	struct change_pos at = {b->epoch, b->seq, 1};
	struct seen *s = seen_new();
	char want[2048], query[128] = "?watchlist=web&since=";
	unsigned pages = 0;

	put_list(w, "web", draft_of(w, 0, 2, 30000, 9));
	append(w, "other", 1, 2);
	append(w, "demo", 1, 1);
	c = append(w, "demo", 1, 2);
	change_pos_text(&at, query + 21);
	snprintf(want, sizeof want,
	    "{\"events\":[{\"id\":\"%s\",\"event\":\"changes\",\"data\":{\"issuer\":"
	    "\"demo\",\"seen_at\":\"2023-11-14T22:15:23Z\",\"evidence\":\"crl\","
	    "\"crl_number\":\"258\",\"changes\":[{\"serial\":\"100002\",\"status\":"
	    "\"revoked\",\"previous\":\"good\",\"revoked_at\":\"2023-11-14T22:13:22Z\","
	    "\"reason\":\"keyCompromise\",\"names\":[\"h2.shop.example\"],\"labels\":["
	    "\"owner=\\\"web\\\"\\u000a\"]}]}}],\"position\":\"%s\",\"gap\":null}\n",
	    id_of(c, 1), id_of(c, 1));
	assert_string_equal(after_head(hear(w, ask(w, query, JSON))), want);
	/* many of them */
	for (uint32_t i = 0; i < 30000; i += 10000)
		append(w, "demo", 10000, i);
	change_pos_text(&(struct change_pos){c->epoch, c->seq, 1}, query + 21);
	for (bool more = true; more && pages < 100; pages++) {
		const char *text = after_head(hear(w, ask(w, query, JSON))), *p = text;
		unsigned n = 0;

		for (; (p = strstr(p, "\"serial\":\"")) != NULL; p++, n++)
			s->times[strtoul(p + 10, NULL, 16) & 0xfffff]++;
		assert_true(n <= 1000);
		p = strstr(text, "\"position\":\"");
		assert_non_null(p);
		more = strncmp(p + 12, query + 21, CHANGE_POS_TEXT_MAX - 5) != 0;
		memcpy(query + 21, p + 12, strcspn(p + 12, "\""));
	}
	expect_each(s, 30000, 2, 9);
	assert_in_range(pages, 4, 99);
	free(s);
}

/* Certificates have as many names as fit; the change is told whatever its texts are. */
static void an_event_ends_where_its_text_is_long(void **state)
{
	struct world *w = *state;
	struct watch_draft *d = draft_new(w);
	struct seen *s = seen_new();
	char name[256];
	struct bytes names[60];
	const char *text, *p;
	unsigned events = 0;
	int fd;

	memset(name, 'n', sizeof name);
	for (size_t i = 0; i < 60; i++)
		names[i] = bytes_of(name, 250);
	for (uint32_t i = 0; i < 100; i++) {
		struct kit_cert c;
		struct change change;
		struct serial serial;

		set_change(&change, i);
		crl_entry_serial(&change.entry, &serial);
		kit_cert(&c, 0, serial);
		c.cert.names = names;
		c.cert.names_n = 60;
		c.cert.names_more = 9;
		assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	}
	put_list(w, "web", d);
	fd = join(w, "?watchlist=web");
	publish(w, "demo", 100, 0);
	text = hear(w, fd);
	for (p = text; (p = strstr(p, "event: changes")) != NULL; p++)
		events++;
	assert_int_equal(events, 34); /* of three each: 15 KiB of names */
	assert_non_null(strstr(text, "],\"names_more\":9,\"labels\":[]}"));
	read_stream(s, text);
	expect_all(s, 100);
	free(s);
}

/* Notices and alarms. */

static struct change_batch *append_batch(struct world *w, struct change_batch *b)
{
	b->epoch = w->epoch;
	b->seq = ++w->seq;
	b->seen_at_ms = INT64_C(1700000123456);
	assert_true(w->log_n < LOG_MAX);
	return w->log[w->log_n++] = b;
}

/* n certificates, as set_change() numbers them, from first on. */
static struct change_batch *notices_of(
    const char *issuer, const char *incident, uint32_t n, uint32_t first)
{
	struct change_batch *b =
	    change_notices_new(n, "https://ca.example/x", incident[0] == '\0');

	strcpy(b->issuer, issuer);
	strcpy(b->incident, incident);
	b->source = incident[0] != '\0' ? CHANGE_INCIDENT : CHANGE_ARI;
	b->n = n;
	for (uint32_t i = 0; i < n; i++) {
		struct change c;

		set_change(&c, first + i);
		memcpy(b->change[i].entry.octets, c.entry.octets, SERIAL_MAX);
		b->change[i].entry.n = c.entry.n;
	}
	return b;
}

static struct change_batch *publish_batch(struct world *w, struct change_batch *b)
{
	append_batch(w, b);
	tell(w, b);
	return b;
}

static struct change_batch *alarm_of(const char *issuer, const char *subject)
{
	const struct change_alarm one = {"crl_late", subject, "5 h", 1700000000, false};
	struct change_batch *b = change_alarms_new("n1.example", &one, 1);

	strcpy(b->issuer, issuer);
	return b;
}

static void a_notice_is_written_as_the_contract_says(void **state)
{
	struct world *w = *state;
	int fd = join(w, "");
	struct change_batch *b = notices_of("demo", "mass", 2, 0);
	char want[1024];

	b->deadline = 1700003600;
	change_set_withdrawn(&b->change[1], true);
	publish_batch(w, b);
	snprintf(want, sizeof want,
	    "id: %s\nevent: notices\ndata: {\"issuer\":\"demo\",\"seen_at\":"
	    "\"2023-11-14T22:15:23Z\",\"source\":\"incident\",\"incident\":\"mass\","
	    "\"deadline\":\"2023-11-14T23:13:20Z\",\"url\":\"https://ca.example/x\","
	    "\"notices\":[{\"serial\":\"100000\",\"names\":[],\"labels\":[],"
	    "\"replace_after\":null,\"replace_before\":null,\"withdrawn\":false},"
	    "{\"serial\":\"100001\",\"names\":[],\"labels\":[],\"replace_after\":null,"
	    "\"replace_before\":null,\"withdrawn\":true}]}\n\n",
	    id_of(b, 2));
	assert_string_equal(hear(w, fd), want);
	assert_int_equal(w->counters->value[M_EVENTS_SENT], 1);
	assert_int_equal(w->counters->value[M_CHANGES_SENT], 2);

	b = notices_of("demo", "", 2, 5);
	b->window[1] = (struct change_window){1700000000, 1700003600};
	publish_batch(w, b);
	snprintf(want, sizeof want,
	    "id: %s\nevent: notices\ndata: {\"issuer\":\"demo\",\"seen_at\":"
	    "\"2023-11-14T22:15:23Z\",\"source\":\"ari\",\"incident\":null,"
	    "\"deadline\":null,\"url\":\"https://ca.example/x\",\"notices\":["
	    "{\"serial\":\"100005\",\"names\":[],\"labels\":[],\"replace_after\":null,"
	    "\"replace_before\":null,\"withdrawn\":false},{\"serial\":\"100006\","
	    "\"names\":[],\"labels\":[],\"replace_after\":\"2023-11-14T22:13:20Z\","
	    "\"replace_before\":\"2023-11-14T23:13:20Z\",\"withdrawn\":false}]}\n\n",
	    id_of(b, 2));
	assert_string_equal(hear(w, fd), want);
}

static void an_alarm_is_written_as_the_contract_says(void **state)
{
	static const struct change_alarm some[] = {
	    {"crl_late", "http://ca.example/x.crl", "5 h", 1700000000, false},
	    {"crl_refused", "http://ca.example/y.crl", "", 1699999999, true},
	    {"disagree", "0a", "x", 1700000000, false},
	};
	static const struct change_alarm down = {"log_down", "", "", 1700000000, true};
	struct world *w = *state;
	struct change_batch *b = change_alarms_new("n1.example", some, 3);
	int fd = join(w, "");
	char want[1024];

	strcpy(b->issuer, "demo");
	publish_batch(w, b);
	snprintf(want, sizeof want,
	    "id: %s\nevent: alarms\ndata: {\"seen_at\":\"2023-11-14T22:15:23Z\","
	    "\"node\":\"n1.example\",\"raised\":[{\"alarm\":\"crl_late\",\"issuer\":"
	    "\"demo\",\"subject\":\"http://ca.example/x.crl\",\"since\":"
	    "\"2023-11-14T22:13:20Z\",\"node\":\"n1.example\",\"detail\":\"5 h\"},"
	    "{\"alarm\":\"disagree\",\"issuer\":\"demo\",\"subject\":\"0a\",\"since\":"
	    "\"2023-11-14T22:13:20Z\",\"node\":\"n1.example\",\"detail\":\"x\"}],"
	    "\"cleared\":[{\"alarm\":\"crl_refused\",\"issuer\":\"demo\",\"subject\":"
	    "\"http://ca.example/y.crl\",\"since\":\"2023-11-14T22:13:19Z\",\"node\":"
	    "\"n1.example\",\"detail\":\"\"}]}\n\n",
	    id_of(b, 3));
	assert_string_equal(hear(w, fd), want);

	b = change_alarms_new("n2", &down, 1);
	publish_batch(w, b);
	snprintf(want, sizeof want,
	    "id: %s\nevent: alarms\ndata: {\"seen_at\":\"2023-11-14T22:15:23Z\","
	    "\"node\":\"n2\",\"raised\":[],\"cleared\":[{\"alarm\":\"log_down\","
	    "\"issuer\":null,\"subject\":\"\",\"since\":\"2023-11-14T22:13:20Z\","
	    "\"node\":\"n2\",\"detail\":\"\"}]}\n\n",
	    id_of(b, 1));
	assert_string_equal(hear(w, fd), want);
}

/* T25: Quotes, controls of each kind, what is no UTF-8, and what is. */
static void texts_of_strangers_are_escaped(void **state)
{
	static const char odd[] =
	    "a\"\\\n\x1b\x7f\xc2\x85\xe2\x80\xa8\xff\xc3\xa9\xf0\x9f\x98\x80\xe2\x80";
	static const char want[] = "\"a\\u0022\\u005c\\u000a\\u001b\\u007f\\u0085\\u2028"
				   "\\ufffd\xc3\xa9\xf0\x9f\x98\x80\\ufffd\\ufffd\"";
	struct world *w = *state;
	const struct change_alarm one = {"disagree", odd, odd, 0, false};
	struct change_batch *b = change_notices_new(1, odd, false);
	int fd = join(w, "");
	char member[256];
	const char *text;

	strcpy(b->issuer, "demo");
	strcpy(b->incident, "mass");
	b->n = b->change[0].entry.n = 1;
	publish_batch(w, b);
	text = hear(w, fd);
	snprintf(member, sizeof member, "\"url\":%s,", want);
	assert_non_null(strstr(text, member));
	publish_batch(w, change_alarms_new(odd, &one, 1));
	text = hear(w, fd);
	snprintf(member, sizeof member, "\"subject\":%s,", want);
	assert_non_null(strstr(text, member));
	snprintf(member, sizeof member, "\"detail\":%s}", want);
	assert_non_null(strstr(text, member));
	snprintf(member, sizeof member, "\"node\":%s,\"raised\":[", want);
	assert_non_null(strstr(text, member));
}

static unsigned times(const char *text, const char *what)
{
	const char *end = text + strlen(text);
	unsigned n = 0;

	for (const char *p = text; (p = find(p, end, what)) != NULL; p += strlen(what))
		n++;
	return n;
}

static void an_event_has_at_most_a_thousand_notices(void **state)
{
	struct world *w = *state;
	int fd = join(w, ""), late;
	struct change_batch *b = notices_of("demo", "", 2500, 0);
	const char *text;

	for (uint32_t i = 0; i < b->n; i++)
		b->window[i] = (struct change_window){INT64_C(-62135596800), 0};
	publish_batch(w, b);
	text = hear(w, fd);
	assert_int_equal(times(text, "event: notices\n"), 3);
	assert_int_equal(times(text, "\"serial\":"), 2500);
	assert_non_null(strstr(text, id_of(b, 1000)));
	assert_non_null(strstr(text, id_of(b, 2000)));
	assert_non_null(strstr(text, id_of(b, 2500)));
	/* goes on inside a record */
	late = ask(w, since(b, 2000), "");
	text = after_head(hear(w, late));
	assert_int_equal(times(text, "event: notices\n"), 1);
	assert_int_equal(times(text, "\"serial\":"), 500);
}

/* The longest that a record may have, each octet of it escaped. */
static void the_longest_texts_are_one_event(void **state)
{
	static char longest[CHANGE_URL_MAX + 1];
	struct world *w = *state;
	struct change_alarm some[CHANGE_ALARMS_MAX];
	int fd = join(w, "");
	struct change_batch *b;
	const char *text;

	memset(longest, 1, CHANGE_URL_MAX);
	b = change_notices_new(1000, longest, false);
	strcpy(b->issuer, "demo");
	memset(b->incident, 'i', 63);
	memset(b->watchlist, '\0', 1);
	b->n = 1000;
	for (uint32_t i = 0; i < b->n; i++) {
		memset(b->change[i].entry.octets + 1, 0x99, 20);
		b->change[i].entry.n = 20;
	}
	publish_batch(w, b);
	text = hear(w, fd);
	assert_int_equal(times(text, "event: notices\n"), 1);
	assert_int_equal(times(text, "\\u0001"), CHANGE_URL_MAX);
	longest[CHANGE_ALARM_TEXT_MAX] = '\0';
	for (size_t i = 0; i < CHANGE_ALARMS_MAX; i++)
		some[i] = (struct change_alarm){
		    "revoked_became_good", longest, longest, 0, i % 2 == 0};
	publish_batch(
	    w, change_alarms_new(longest + CHANGE_ALARM_TEXT_MAX - CHANGE_NODE_MAX, some,
		   CHANGE_ALARMS_MAX));
	text = hear(w, fd);
	assert_int_equal(times(text, "event: alarms\n"), 1);
	assert_int_equal(times(text, "\\u0001"),
	    CHANGE_ALARMS_MAX * (2 * CHANGE_ALARM_TEXT_MAX + CHANGE_NODE_MAX) +
		CHANGE_NODE_MAX);
}

static void a_list_gets_the_notices_of_its_certificates(void **state)
{
	struct world *w = *state;
	struct change_batch *b;
	int web, other;
	char want[1024];

	put_list(w, "web", draft_of(w, 0, 1, 5, 2));
	put_list(w, "mail", draft_of(w, 0, 50, 60, 1));
	web = join(w, "?watchlist=web");
	other = join(w, "?watchlist=mail&issuer=demo");
	b = notices_of("demo", "", 5, 0);
	b->window[3] = (struct change_window){1700000000, 1700003600};
	change_set_withdrawn(&b->change[1], true);
	publish_batch(w, b);
	snprintf(want, sizeof want,
	    "id: %s\nevent: notices\ndata: {\"issuer\":\"demo\",\"seen_at\":"
	    "\"2023-11-14T22:15:23Z\",\"source\":\"ari\",\"incident\":null,"
	    "\"deadline\":null,\"url\":\"https://ca.example/x\",\"notices\":["
	    "{\"serial\":\"100001\",\"names\":[\"h1.shop.example\"],\"labels\":["
	    "\"owner=\\\"web\\\"\\u000a\"],\"replace_after\":null,\"replace_before\":"
	    "null,\"withdrawn\":true},{\"serial\":\"100003\",\"names\":["
	    "\"h3.shop.example\"],\"labels\":[\"owner=\\\"web\\\"\\u000a\"],"
	    "\"replace_after\":\"2023-11-14T22:13:20Z\",\"replace_before\":"
	    "\"2023-11-14T23:13:20Z\",\"withdrawn\":false}]}\n\n",
	    id_of(b, 5));
	assert_string_equal(hear(w, web), want);
	assert_string_equal(hear(w, other), "");
	/* what is for one list alone is told to nobody else */
	b = notices_of("demo", "mass", 100, 0);
	strcpy(b->watchlist, "mail");
	publish_batch(w, b);
	assert_string_equal(hear(w, web), "");
	assert_int_equal(times(hear(w, other), "\"serial\":"), 10);
}

/* T21 */
static void alarms_go_to_whom_their_issuer_concerns(void **state)
{
	static const struct {
		const char *query;
		bool demo, other, none;
	} row[] = {
	    {"", true, true, true},
	    {"?issuer=demo", true, false, false},
	    {"?issuer=other", false, true, false},
	    {"?watchlist=web", true, false, false},
	    {"?watchlist=empty", false, false, false},
	    {"?watchlist=web&issuer=other", false, false, false},
	};
	struct world *w = *state;
	int fd[6];

	put_list(w, "web", draft_of(w, 0, 1, 5, 2));
	put_list(w, "empty", draft_new(w));
	for (size_t i = 0; i < 6; i++)
		fd[i] = join(w, row[i].query);
	publish_batch(w, alarm_of("demo", "of demo"));
	publish_batch(w, alarm_of("other", "of other"));
	publish_batch(w, alarm_of("", "of none"));
	for (size_t i = 0; i < 6; i++) {
		const char *text = hear(w, fd[i]);

		assert_int_equal(times(text, "\"of demo\""), row[i].demo);
		assert_int_equal(times(text, "\"of other\""), row[i].other);
		assert_int_equal(times(text, "\"of none\""), row[i].none);
		assert_int_equal(times(text, "event: alarms\n"),
		    row[i].demo + row[i].other + row[i].none);
	}
}

/* T21: What a token may not see is not there for it. */
static void a_token_of_an_issuer_is_told_what_is_of_it(void **state)
{
	struct world *w = *state;
	char demo[] = "demo", third[] = "third", *names[] = {demo, third};
	struct access some = {
	    .refs = 1, .streams_max = 9, .issuers = names, .issuers_n = 2};
	struct change_batch *b = append(w, "demo", 1, 0);
	const char *text;
	int fd;

	w->access = &some;
	fd = join(w, "");
	w->access = NULL;
	publish_batch(w, notices_of("demo", "mass", 1, 1));
	publish_batch(w, notices_of("other", "mass", 1, 2));
	publish_batch(w, alarm_of("demo", "of demo"));
	publish_batch(w, alarm_of("other", "of other"));
	publish_batch(w, alarm_of("", "of none"));
	for (int page = 0; page < 2; page++) {
		w->access = &some;
		text =
		    page ? after_head(hear(w, ask(w, since(b, 1), JSON))) : hear(w, fd);
		assert_int_equal(times(text, "\"serial\":"), 1);
		assert_int_equal(times(text, "\"of demo\""), 1);
		assert_null(strstr(text, "of other"));
		assert_null(strstr(text, "of none"));
	}
	w->access = NULL;
	close(fd);
	run(w);
	assert_int_equal(some.streams, 0);
}

static void a_page_has_notices_and_alarms_too(void **state)
{
	struct world *w = *state;
	struct change_batch *a = append(w, "demo", 1, 0), *b, *c;
	char want[2048], query[128];

	put_list(w, "web", draft_of(w, 0, 1, 5, 2));
	b = append_batch(w, notices_of("demo", "mass", 3, 0));
	c = append_batch(w, alarm_of("demo", "u"));
	append_batch(w, alarm_of("", "of none"));
	snprintf(query, sizeof query, "%s&watchlist=web", since(a, 1));
	snprintf(want, sizeof want,
	    "{\"events\":[{\"id\":\"%s\",\"event\":\"notices\",\"data\":{\"issuer\":"
	    "\"demo\",\"seen_at\":\"2023-11-14T22:15:23Z\",\"source\":\"incident\","
	    "\"incident\":\"mass\",\"deadline\":null,\"url\":\"https://ca.example/x\","
	    "\"notices\":[{\"serial\":\"100001\",\"names\":[\"h1.shop.example\"],"
	    "\"labels\":[\"owner=\\\"web\\\"\\u000a\"],\"replace_after\":null,"
	    "\"replace_before\":null,\"withdrawn\":false}]}},{\"id\":\"%s\",\"event\":"
	    "\"alarms\",\"data\":{\"seen_at\":\"2023-11-14T22:15:23Z\",\"node\":"
	    "\"n1.example\",\"raised\":[{\"alarm\":\"crl_late\",\"issuer\":\"demo\","
	    "\"subject\":\"u\",\"since\":\"2023-11-14T22:13:20Z\",\"node\":"
	    "\"n1.example\",\"detail\":\"5 h\"}],\"cleared\":[]}}],\"position\":"
	    "\"%s\",\"gap\":null}\n",
	    id_of(b, 3), id_of(c, 1), id_of(w->log[w->log_n - 1], 1));
	assert_string_equal(after_head(hear(w, ask(w, query, JSON))), want);
	/* of all: three events, none of them cut */
	assert_int_equal(
	    times(hear(w, ask(w, since(a, 1), JSON)), "\"event\":\"alarms\""), 2);
}

/* An incident in force, as the ledger would publish it: of certificates of CA number ca
 * from first on, below end. */
static void put_incident(struct world *w, const char *name, unsigned ca, uint32_t first,
    uint32_t end, uint32_t step)
{
	struct incident_about about = {
	    .deadline = 1700003600, .url = "https://ca.example/x"};
	struct watch_draft *d = draft_new(w);
	struct watch_put *p;
	const struct inventory *v;
	char key[WATCH_NAME_MAX];
	uint64_t left_out;
	bool done = false;

	snprintf(about.name, sizeof about.name, "%s", name);
	memset(about.id, name[0], sizeof about.id);
	for (uint32_t i = first; i < end; i += step) {
		struct change change;
		struct kit_cert c;
		struct serial s;

		set_change(&change, i);
		crl_entry_serial(&change.entry, &s);
		kit_cert(&c, ca, s);
		assert_int_equal(watch_draft_add(d, &c.cert), ERR_OK);
	}
	assert_int_equal(incident_say(d, &about), ERR_OK);
	incident_key(key, name);
	assert_int_equal(watch_put_new(&p, w->db, key, WATCH_INCIDENT, false, d), ERR_OK);
	watch_put_told(p);
	while (!done)
		assert_int_equal(watch_put_step(p, &done), ERR_OK);
	watch_put_free(p);
	for (uint32_t id = 1; watch_db_name_ca(w->db, id, "demo") == ERR_OK;)
		id++;
	assert_int_equal(watch_db_load(w->db, &v, &left_out), ERR_OK);
	publish_inventory(w, v);
}

static void a_snapshot_ends_with_the_notices_in_force(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 3, 0);
	const char *text, *notices;
	char want[1024];

	make_set(w, 4);
	put_list(w, "web", draft_of(w, 0, 0, 8, 1));
	put_list(w, "mail", draft_of(w, 0, 6, 7, 1));
	put_incident(
	    w, "mass", 0, 2, 100, 2); /* of which 2 is revoked: 4 and 6 are left */
	text = after_head(hear(w, ask(w, "?snapshot=1&watchlist=web", "")));
	notices = strstr(text, "event: snapshot\ndata: {\"issuer\":\"demo\",\"seen_at\":"
			       "\"2023-11-14T22:13:20Z\",\"source\"");
	assert_non_null(notices);
	assert_int_equal(times(text, "\"status\":\"revoked\""), 4);
	snprintf(want, sizeof want,
	    "event: snapshot\ndata: {\"issuer\":\"demo\",\"seen_at\":"
	    "\"2023-11-14T22:13:20Z\",\"source\":\"incident\",\"incident\":\"mass\","
	    "\"deadline\":\"2023-11-14T23:13:20Z\",\"url\":\"https://ca.example/x\","
	    "\"notices\":[{\"serial\":\"100004\",\"names\":[\"h4.shop.example\"],"
	    "\"labels\":[\"owner=\\\"web\\\"\\u000a\"],\"replace_after\":null,"
	    "\"replace_before\":null,\"withdrawn\":false},{\"serial\":\"100006\","
	    "\"names\":[\"h6.shop.example\"],\"labels\":[\"owner=\\\"web\\\"\\u000a\"],"
	    "\"replace_after\":null,\"replace_before\":null,\"withdrawn\":false}]}\n\n"
	    "id: %s\n\n",
	    id_of(b, 3));
	assert_string_equal(notices, want);
	/* of all lists: each once, and nobody's names */
	text = after_head(hear(w, ask(w, "?snapshot=1", "")));
	notices = strstr(text, "\"notices\":[");
	assert_non_null(notices);
	snprintf(want, sizeof want,
	    "\"notices\":[{\"serial\":\"100004\",\"names\":[],\"labels\":[],"
	    "\"replace_after\":null,\"replace_before\":null,\"withdrawn\":false},"
	    "{\"serial\":\"100006\",\"names\":[],\"labels\":[],\"replace_after\":null,"
	    "\"replace_before\":null,\"withdrawn\":false}]}\n\nid: %s\n\n",
	    id_of(b, 3));
	assert_string_equal(notices, want);
	/* of another issuer: nothing; of a list that has one: that one */
	text = after_head(hear(w, ask(w, "?snapshot=1&watchlist=mail", "")));
	assert_int_equal(times(text, "\"withdrawn\":false"), 1);
	assert_int_equal(times(text, "\"source\":"), 1);
}

/* T22: Several incidents, two CAs of one name, whose serials are one issuer's, many
 * slices, and a socket that takes little. */
static void a_slow_reader_of_notices_in_force_gets_each(void **state)
{
	static const char *const query[] = {
	    "?snapshot=1&watchlist=web", "?snapshot=1", "?snapshot=1&issuer=demo"};
	struct world *w = *state;

	append(w, "demo", 3, 0);
	put_list(w, "web", draft_of(w, 0, 0, 20000, 1));
	put_list(w, "more", draft_of(w, 0, 10000, 20000, 1));
	put_list(w, "ca", draft_of(w, 1, 20000, 21000, 1));
	put_incident(w, "b", 0, 0, 20000, 2);
	put_incident(w, "a", 0, 5, 30000, 5);
	put_incident(w, "c", 1, 20000, 20010, 1);
	for (size_t i = 0; i < 3; i++) {
		int fd = ask(w, query[i], ""), small = 4096;
		const char *text;

		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
		text = after_head(hear(w, fd));
		assert_int_equal(times(text, "\"withdrawn\":false"),
		    10000 + 3999 + (i > 0 ? 10 + 200 : 0));
		assert_int_equal(times(text, "\nid: "), 1);
		assert_true(times(text, "event: snapshot\n") < 1000);
		if (i == 0)
			assert_int_equal(times(text, ".shop.example\"]"), 13999);
		for (uint32_t k = 5; k < 20000; k += 5 * 997) {
			char serial[64];

			snprintf(
			    serial, sizeof serial, "{\"serial\":\"1%05x\",\"names\":", k);
			assert_int_equal(times(text, serial), k % 2 == 0 ? 2 : 1);
		}
	}
}

/* While it is read, the incident it is in is withdrawn, and its list is replaced. */
static void notices_that_are_taken_back_meanwhile_end_nothing(void **state)
{
	struct world *w = *state;
	struct change_batch *b = append(w, "demo", 3, 0);
	int fd, small = 4096;
	const char *text;

	put_list(w, "web", draft_of(w, 0, 0, 40000, 1));
	put_incident(w, "mass", 0, 0, 40000, 1);
	fd = ask(w, "?snapshot=1&watchlist=web", "");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	run(w);
	drop_list(w, "!mass");
	put_list(w, "web", draft_of(w, 0, 0, 100, 1));
	sweep(w);
	publish(w, "demo", 1, 7);
	text = after_head(hear(w, fd));
	assert_in_range(times(text, "\"withdrawn\":false"), 1, 39999);
	assert_non_null(strstr(text, id_of(b, 3)));
	assert_non_null(strstr(text, "event: changes\n"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_stream_begins_with_its_position),
	    CASE(a_change_is_written_as_the_contract_says),
	    CASE(every_serial_and_date_is_written_right),
	    CASE(the_longest_event_fits),
	    CASE(at_most_a_thousand_changes_are_in_one_event),
	    CASE(it_resumes_in_the_middle_of_a_batch),
	    CASE(last_event_id_wins_over_since),
	    CASE(an_issuer_gets_its_own_changes_only),
	    CASE(a_place_that_is_not_kept_is_a_gap),
	    CASE(a_new_epoch_is_a_gap_for_who_listens),
	    CASE(nothing_falls_between_replay_and_live),
	    CASE(who_has_seen_the_head_misses_nothing),
	    CASE(who_is_behind_the_window_reads_the_log),
	    CASE(what_is_recent_is_read_from_no_log),
	    CASE(a_log_that_has_not_what_it_says_is_gone_on_with),
	    CASE(who_wants_the_same_page_shares_it),
	    CASE(many_laggards_take_turns_at_the_log),
	    CASE(who_is_far_behind_reads_each_page_once),
	    CASE(slow_readers_of_other_pages_hold_32_MiB_at_most),
	    CASE(a_log_that_cannot_be_read_is_tried_again),
	    CASE(a_log_that_was_never_reached_is_told_at_once),
	    CASE(who_waits_for_the_keeper_is_not_left_in_silence),
	    CASE(a_slow_reader_is_cut_off_and_nobody_waits),
	    CASE(who_reads_slowly_but_reads_is_kept),
	    CASE(two_thousand_get_one_change),
	    CASE(a_burst_does_not_hold_the_loop),
	    CASE(an_idle_subscriber_is_told_its_position),
	    CASE(a_snapshot_comes_before_what_is_live),
	    CASE(a_large_snapshot_is_sent_as_it_is_taken),
	    CASE(who_is_cut_off_inside_a_snapshot_starts_again),
	    CASE(a_snapshot_that_is_taken_in_drops_is_cut_off),
	    CASE(a_snapshot_of_nothing_is_a_position),
	    CASE(a_snapshot_that_fails_is_tried_again),
	    CASE(a_page_says_the_same_as_json),
	    CASE(pages_follow_one_another_to_the_end),
	    CASE(a_page_tells_of_a_gap),
	    CASE(a_page_of_a_log_that_is_away_is_503),
	    CASE(a_client_that_left_a_page_does_no_harm),
	    CASE(over_max_subscribers_is_503),
	    CASE(who_talks_is_not_listened_to_for_ever),
	    CASE(a_drain_closes_all_streams),
	    CASE(a_drain_with_open_questions_ends_well),
	    CASE(a_list_gets_its_own_with_names_and_labels),
	    CASE(of_a_large_diff_a_list_gets_all_that_it_has),
	    CASE(a_change_of_two_cas_is_told_once),
	    CASE(a_batch_that_is_not_sorted_is_matched_all_the_same),
	    CASE(a_slow_reader_of_a_list_is_flat_and_gets_whole_events),
	    CASE(a_stream_goes_on_with_the_list_that_replaces_its_own),
	    CASE(rows_that_are_swept_meanwhile_are_those_of_the_next_list),
	    CASE(a_list_that_is_deleted_ends_its_streams),
	    CASE(a_list_that_is_not_there_is_404),
	    CASE(a_snapshot_of_a_list_is_what_is_revoked_of_it),
	    CASE(a_snapshot_of_a_list_that_is_replaced_is_whole),
	    CASE(a_page_of_a_list_says_the_same_as_json),
	    CASE(an_event_ends_where_its_text_is_long),
	    CASE(a_notice_is_written_as_the_contract_says),
	    CASE(an_alarm_is_written_as_the_contract_says),
	    CASE(texts_of_strangers_are_escaped),
	    CASE(an_event_has_at_most_a_thousand_notices),
	    CASE(the_longest_texts_are_one_event),
	    CASE(a_list_gets_the_notices_of_its_certificates),
	    CASE(alarms_go_to_whom_their_issuer_concerns),
	    CASE(a_token_of_an_issuer_is_told_what_is_of_it),
	    CASE(a_page_has_notices_and_alarms_too),
	    CASE(a_snapshot_ends_with_the_notices_in_force),
	    CASE(a_slow_reader_of_notices_in_force_gets_each),
	    CASE(notices_that_are_taken_back_meanwhile_end_nothing),
	    /* last: the clocks stay where they are set */
	    CASE(who_takes_a_snapshot_steadily_is_not_cut_off),
	    CASE(who_takes_changes_steadily_is_not_cut_off),
	    CASE(slow_readers_of_the_same_hold_one_snapshot),
	    CASE(slow_readers_of_others_are_no_matter_within_memory),
	    CASE(who_has_held_a_snapshot_for_long_makes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
