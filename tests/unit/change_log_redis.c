#include "cache/change/change_log.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/child.h"
#include "tests/lib/real_redis.h"
#include "tests/lib/store_kit.h"

#define SEEN    INT64_C(1700000000) /* seconds: when batches were found */
#define START   1000                /* of the nodes' clock: Redis' own is later */
#define TIMEOUT 3000                /* of commands; a busy machine is no fault */
#define SHORT   300                 /* where the timeout is what is tested */
#define PREFIX  "t[e]st*:"
#define BATCHES 400 /* kept of what was read */

static struct event_base *base;
static char *dir;
static char url[4400];
static pid_t fake;
static struct store_config store;
static char events[16384];

/* A node: its log, and what came of the last call of each kind. */
struct node {
	struct change_log *log;
	int grown;
	int done_calls, told_calls, page_calls;
	enum err e;
	struct change_pos end;
	struct change_told told;
	/* The last page. */
	struct change_log_page page;
	struct change_batch *batch[BATCHES];
};
static struct node one, two;

static void on_event(void *arg, bool warn, const char *event, const char *text)
{
	size_t n = strlen(events);

	(void)arg;
	/* all but what is well again or still */
	assert_int_equal(warn, strcmp(event, "store_up") != 0 &&
				   strcmp(event, "store_well") != 0 &&
				   strcmp(event, "events_taken_over") != 0);
	snprintf(events + n, sizeof events - n, "%s %s\n", event, text);
}

static int count(const char *event)
{
	int n = 0;

	for (const char *p = events; (p = strstr(p, event)) != NULL; p++)
		n++;
	return n;
}

static void on_grown(void *arg)
{
	((struct node *)arg)->grown++;
}

/* Turn the loop until *what reaches at_least, for ms at most. */
static bool wait_for(const int *what, int at_least, int ms)
{
	for (int t = 0; t < ms && *what < at_least; t++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (*what < at_least)
			usleep(1000);
	}
	return *what >= at_least;
}

static void turn(int ms)
{
	static const int never = 0;

	wait_for(&never, 1, ms);
}

static struct change_log_health health(const struct node *n)
{
	struct change_log_health h;

	change_log_health(n->log, &h);
	return h;
}

static bool wait_up(const struct node *n, bool up, int ms)
{
	for (int t = 0; t < ms && health(n).up != up; t++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
	return health(n).up == up;
}

/* The real server. */

static const char *const always[] = {
    "--appendonly", "yes", "--appendfsync", "always", NULL};

static void start_redis(const char *const extra[])
{
	assert_true(real_redis_start(dir, extra));
}

/* One command by the shortest way; returns an integer reply, or 0. */
static long long command(const char *format, ...)
{
	char path[4300];
	redisContext *c;
	redisReply *r;
	long long v;
	va_list ap;

	snprintf(path, sizeof path, "%s/redis", dir);
	c = redisConnectUnix(path);
	assert_non_null(c);
	assert_int_equal(c->err, 0);
	va_start(ap, format);
	r = redisvCommand(c, format, ap);
	va_end(ap);
	assert_non_null(r);
	if (r->type == REDIS_REPLY_ERROR)
		fail_msg("%s: %s", format, r->str);
	v = r->type == REDIS_REPLY_INTEGER ? r->integer : 0;
	freeReplyObject(r);
	redisFree(c);
	return v;
}

static void open_node(struct node *n)
{
	struct change_log_config c = {.store = &store,
	    .now = START,
	    .hooks = {.grown = on_grown, .event = on_event, .arg = n}};
	char why[256];

	assert_int_equal(change_log_open(&n->log, &c, why, sizeof why), ERR_OK);
}

static void drop_batches(struct node *n)
{
	for (size_t i = 0; i < n->page.n; i++)
		change_batch_unref(n->batch[i]);
	memset(&n->page, 0, sizeof n->page);
}

static void close_node(struct node *n)
{
	change_log_close(n->log);
	drop_batches(n);
	memset(n, 0, sizeof *n);
}

static int setup(void **state)
{
	(void)state;
	dir = kit_directory();
	base = event_base_new();
	snprintf(url, sizeof url, "redis+unix://%s/redis", dir);
	store = (struct store_config){.url = url,
	    .prefix = PREFIX,
	    .timeout_ms = TIMEOUT,
	    .connect_timeout_ms = TIMEOUT,
	    .backoff_max_ms = 200,
	    .max_value = 65536,
	    .base = base};
	events[0] = '\0';
	return 0;
}

static void stop_fake(void)
{
	if (fake <= 0)
		return;
	kill(-fake, SIGKILL);
	waitpid(fake, NULL, 0);
	fake = 0;
}

static int teardown(void **state)
{
	(void)state;
	stop_fake();
	close_node(&one);
	close_node(&two);
	real_redis_stop();
	event_base_free(base);
	kit_remove(dir);
	return 0;
}

static void start_with(const char *const extra[])
{
	if (!real_redis_is_installed())
		skip();
	start_redis(extra);
	open_node(&one);
	assert_true(wait_up(&one, true, 5000));
}

/* Both hear of what the other does when this returns. */
static void start_two(const char *const extra[])
{
	start_with(extra);
	open_node(&two);
	assert_true(wait_up(&two, true, 5000));
	turn(50);
	one.grown = two.grown = 0;
}

/* Calls. */

static void on_done(void *arg, enum err e, const struct change_pos *end)
{
	struct node *n = arg;

	n->done_calls++;
	n->e = e;
	n->end = *end;
}

static void on_told(void *arg, enum err e, const struct change_told *t)
{
	struct node *n = arg;

	n->told_calls++;
	n->e = e;
	n->told = *t;
}

static void on_page(void *arg, enum err e, const struct change_log_page *page)
{
	struct node *n = arg;

	drop_batches(n);
	n->page_calls++;
	n->e = e;
	n->page = *page;
	assert_true(page->n <= BATCHES);
	for (size_t i = 0; i < page->n; i++)
		n->batch[i] = change_batch_ref(page->batches[i]);
	if (page->gap || e != ERR_OK)
		assert_int_equal(page->n, 0);
}

static struct change_batch *make_batch(uint32_t n, uint32_t first)
{
	struct change_batch *b = change_batch_new(n);

	assert_non_null(b);
	strcpy(b->issuer, "demo");
	b->evidence = CHANGE_CRL;
	b->seen_at_ms = SEEN * 1000;
	b->published_at = SEEN;
	b->n = n;
	for (uint32_t i = 0; i < n; i++) {
		struct serial s = kit_serial(first + i);

		crl_entry_set_serial(&b->change[i].entry, &s);
		crl_entry_set_at(&b->change[i].entry, SEEN - 100);
		b->change[i].entry.reason = CRL_NO_REASON;
		b->change[i].entry.spare[0] = CHANGE_REVOKED;
	}
	return b;
}

static uint32_t first_of(const struct change_batch *b)
{
	struct serial s;

	crl_entry_serial(&b->change[0].entry, &s);
	return (uint32_t)s.octets[1] << 24 | (uint32_t)s.octets[2] << 16 |
	       (uint32_t)s.octets[3] << 8 | s.octets[4];
}

static const uint8_t scope[CHANGE_SCOPE_N] = {1, 2, 3};

static struct change_told told_at(uint32_t done, uint32_t total)
{
	struct change_told t = {
	    .known = true, .this_update = SEEN, .done = done, .total = total};

	memset(t.to, 7, sizeof t.to);
	return t;
}

/* b is given up. */
static enum err append_told(struct node *n, struct change_batch *b,
    const struct change_told *expect, const struct change_told *next)
{
	int calls = n->done_calls + 1;

	change_log_append(n->log, b, scope, expect, next, on_done, n);
	change_batch_unref(b);
	assert_true(wait_for(&n->done_calls, calls, 5000));
	assert_int_equal(n->done_calls, calls);
	return n->e;
}

/* A batch of n changes of a list, number `done` of the list's. */
static enum err append_list(struct node *n, uint32_t size, uint32_t first, uint32_t done)
{
	struct change_told expect = {0}, next = told_at(done, 1000);

	if (done > 1)
		expect = told_at(done - 1, 1000);
	return append_told(n, make_batch(size, first), &expect, &next);
}

/* The sequence number that it got, 0 where it was known. */
static uint64_t append_single(
    struct node *n, uint32_t serial, enum change_status now, int64_t at)
{
	struct change_batch *b = make_batch(1, serial);
	int calls = n->done_calls + 1;
	uint64_t seq;

	b->evidence = CHANGE_OCSP;
	b->change[0].entry.spare[0] = (uint8_t)now;
	crl_entry_set_at(&b->change[0].entry, at);
	change_log_append(n->log, b, NULL, NULL, NULL, on_done, n);
	assert_true(wait_for(&n->done_calls, calls, 5000));
	assert_int_equal(n->e, ERR_OK);
	seq = b->seq;
	change_batch_unref(b);
	return seq;
}

static enum err read_log(struct node *n, struct change_pos from, size_t max_bytes)
{
	int calls = n->page_calls + 1;

	change_log_read(n->log, &from, max_bytes, on_page, n);
	assert_true(wait_for(&n->page_calls, calls, 5000));
	assert_int_equal(n->page_calls, calls);
	return n->e;
}

static const struct change_pos oldest = {0, 0, 0};

static enum err ask_told(struct node *n)
{
	int calls = n->told_calls + 1;

	change_log_told(n->log, scope, on_told, n);
	assert_true(wait_for(&n->told_calls, calls, 5000));
	assert_int_equal(n->told_calls, calls);
	return n->e;
}

static void assert_pos(struct change_pos p, uint32_t epoch, uint64_t seq, uint32_t index)
{
	assert_int_equal(p.epoch, epoch);
	assert_int_equal(p.seq, seq);
	assert_int_equal(p.index, index);
}

/* Two nodes. */

static void what_one_node_appends_the_other_hears_of_and_reads(void **state)
{
	struct change_log_health h;
	uint8_t a[1000], b[1000];
	struct change_batch *batch;
	size_t n;

	(void)state;
	start_two(NULL);
	assert_int_equal(append_list(&one, 3, 10, 1), ERR_OK);
	assert_true(wait_for(&two.grown, 1, 3000));
	assert_int_equal(read_log(&two, oldest, 1000), ERR_OK);
	assert_false(two.page.gap);
	assert_int_equal(two.page.n, 1);
	h = health(&one);
	assert_true(h.up && h.shared && !h.durable);
	assert_true(h.newest.epoch > SEEN); /* Redis' clock, not the node's */
	assert_pos(h.newest, one.end.epoch, 1, 3);
	assert_pos(two.page.newest, one.end.epoch, 1, 3);
	assert_pos(two.page.oldest, one.end.epoch, 0, 0);
	assert_int_equal(two.batch[0]->seq, 1);
	assert_int_equal(two.batch[0]->epoch, one.end.epoch);
	batch = make_batch(3, 10);
	n = change_batch_encode(batch, a);
	assert_int_equal(change_batch_encode(two.batch[0], b), n);
	assert_memory_equal(a, b, n);
	change_batch_unref(batch);
}

/* T23: whoever appends, each batch of a list goes in exactly once. */
static void two_nodes_that_append_the_same_list_append_it_once(void **state)
{
	enum { N = 50 };
	struct node *nodes[] = {&one, &two};
	uint32_t at[2] = {0, 0};
	int conflicts = 0;

	(void)state;
	start_two(NULL);
	while (at[0] < N || at[1] < N) {
		int calls[2];

		for (int i = 0; i < 2; i++) {
			struct change_told expect = {0}, next = told_at(at[i] + 1, N);
			struct change_batch *b = make_batch(100, at[i] * 100);

			if (at[i] > 0)
				expect = told_at(at[i], N);
			calls[i] = nodes[i]->done_calls;
			if (at[i] < N)
				change_log_append(nodes[i]->log, b, scope, &expect, &next,
				    on_done, nodes[i]);
			else
				calls[i]--;
			change_batch_unref(b);
		}
		for (int i = 0; i < 2; i++)
			assert_true(wait_for(&nodes[i]->done_calls, calls[i] + 1, 5000));
		for (int i = 0; i < 2; i++) {
			if (at[i] == N)
				continue;
			if (nodes[i]->e == ERR_CONFLICT) {
				conflicts++;
				assert_int_equal(ask_told(nodes[i]), ERR_OK);
				at[i] = nodes[i]->told.done;
			} else {
				assert_int_equal(nodes[i]->e, ERR_OK);
				at[i]++;
			}
		}
	}
	assert_true(conflicts > 0);
	assert_int_equal(read_log(&two, oldest, 1 << 20), ERR_OK);
	assert_int_equal(two.page.n, N);
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(first_of(two.batch[i]), i * 100);
		assert_int_equal(two.batch[i]->seq, i + 1);
	}
}

static void told_moves_only_from_where_it_is_expected(void **state)
{
	struct change_told none = {0}, a = told_at(1, 2), b = told_at(2, 2);

	(void)state;
	start_two(NULL);
	assert_int_equal(ask_told(&one), ERR_OK);
	assert_false(one.told.known);
	assert_int_equal(append_told(&one, NULL, &a, &b), ERR_CONFLICT);
	/* A baseline: told moves alone. */
	assert_int_equal(append_told(&one, NULL, &none, &a), ERR_OK);
	assert_int_equal(append_told(&one, change_batch_new(0), &a, &b), ERR_OK);
	assert_int_equal(append_told(&two, make_batch(1, 1), &a, &b), ERR_CONFLICT);
	assert_int_equal(append_told(&two, make_batch(1, 1), &none, &b), ERR_CONFLICT);
	assert_int_equal(ask_told(&two), ERR_OK);
	assert_true(change_told_equal(&two.told, &b));
	assert_int_equal(read_log(&one, oldest, 1000), ERR_OK);
	assert_int_equal(one.page.n, 0);
	assert_int_equal(one.page.newest.seq, 0);
	assert_int_equal(command("EXISTS %s{e}:log", PREFIX), 0);
}

/* T23 */
static void a_single_change_that_both_nodes_find_is_told_once(void **state)
{
	struct change_told none = {0}, a = told_at(1, 1), b = told_at(2, 2);
	struct change_batch *released;

	(void)state;
	start_two(NULL);
	assert_int_equal(append_single(&one, 5, CHANGE_REVOKED, SEEN), 1);
	assert_int_equal(append_single(&two, 5, CHANGE_REVOKED, SEEN), 0);
	assert_int_equal(append_single(&two, 6, CHANGE_REVOKED, SEEN), 2);
	assert_int_equal(append_single(&two, 5, CHANGE_GOOD, SEEN), 3);
	assert_int_equal(append_single(&one, 5, CHANGE_GOOD, SEEN), 0);
	assert_int_equal(append_single(&one, 5, CHANGE_REVOKED, SEEN), 4);
	assert_int_equal(append_single(&one, 5, CHANGE_REVOKED, SEEN + 1), 5);
	/* A list that revokes, and no more, takes nothing back. */
	assert_int_equal(append_told(&one, make_batch(2, 7), &none, &a), ERR_OK);
	assert_int_equal(append_single(&two, 5, CHANGE_REVOKED, SEEN + 1), 0);
	assert_int_equal(two.end.seq, 6);
	/* A list says that a certificate of the issuer is no longer revoked: what was
	 * said before it is no longer what was said last. */
	released = make_batch(2, 5);
	released->change[1].entry.spare[0] = CHANGE_GOOD;
	assert_int_equal(append_told(&one, released, &a, &b), ERR_OK);
	assert_int_equal(append_single(&two, 5, CHANGE_REVOKED, SEEN + 1), 8);
	assert_int_equal(append_single(&one, 5, CHANGE_REVOKED, SEEN + 1), 0);
	assert_int_equal(one.end.seq, 8);
	/* It does not stay for ever. */
	assert_int_equal(command("EVAL %s 0",
			     "for _, k in ipairs(redis.call('KEYS', '*{e}:one:*')) do\n"
			     "  local left = redis.call('TTL', k)\n"
			     "  if left < 1 or left > 2592000 then return 0 end\n"
			     "end\n"
			     "return #redis.call('KEYS', '*{e}:one:*')"),
	    2);
}

/* T23: what a watchlist has gained is no news of its certificates: it is appended though
 * the same was said last, and is not taken for what was. */
static void what_is_revoked_already_is_appended_as_it_is(void **state)
{
	(void)state;
	start_two(NULL);
	assert_int_equal(append_single(&one, 5, CHANGE_REVOKED, SEEN), 1);
	for (int i = 0; i < 2; i++) {
		struct change_batch *b = make_batch(3, 5);
		int calls = two.done_calls + 1;

		b->kind = CHANGE_WATCHED;
		strcpy(b->watchlist, "fleet");
		for (uint32_t n = 0; n < 3; n++)
			b->change[n].entry.spare[1] = CHANGE_NONE;
		change_log_append(two.log, b, NULL, NULL, NULL, on_done, &two);
		assert_true(wait_for(&two.done_calls, calls, 5000));
		assert_int_equal(two.e, ERR_OK);
		assert_int_equal(b->seq, 2 + i);
		change_batch_unref(b);
	}
	assert_int_equal(append_single(&two, 5, CHANGE_REVOKED, SEEN), 0);
	assert_int_equal(append_single(&two, 6, CHANGE_REVOKED, SEEN), 4);
	read_log(&one, oldest, 1 << 20);
	assert_int_equal(one.page.n, 4);
	assert_int_equal(one.batch[1]->kind, CHANGE_WATCHED);
	assert_string_equal(one.batch[1]->watchlist, "fleet");
	assert_int_equal(one.batch[1]->n, 3);
	assert_int_equal(one.batch[3]->kind, CHANGE_MOVES);
}

/* T23: Each as it is, also the one that another node has appended just so. */
static void notices_and_alarms_are_appended_as_they_are(void **state)
{
	static const struct change_alarm alarms[] = {
	    {"crl_late", "http://x/y", "late", SEEN, false},
	    {"log_down", "", "", SEEN, true},
	};

	(void)state;
	start_two(NULL);
	for (int i = 0; i < 4; i++) {
		struct node *c = i < 2 ? &one : &two;
		struct change_batch *b = i % 2 ? change_alarms_new("node", alarms, 2)
					       : change_notices_new(1, "u", true);
		int calls = c->done_calls + 1;

		b->seen_at_ms = SEEN * 1000;
		if (i % 2 == 0) {
			strcpy(b->issuer, "demo");
			strcpy(b->incident, "mass");
			b->n = b->change[0].entry.n = 1;
		}
		change_log_append(c->log, b, NULL, NULL, NULL, on_done, c);
		assert_true(wait_for(&c->done_calls, calls, 10000));
		assert_int_equal(c->e, ERR_OK);
		assert_int_equal(b->seq, 1 + i);
		change_batch_unref(b);
	}
	read_log(&one, oldest, 1 << 20);
	assert_int_equal(one.page.n, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(
		    one.batch[i]->kind, i % 2 ? CHANGE_ALARMS : CHANGE_NOTICES);
	assert_string_equal(one.batch[2]->incident, "mass");
	assert_string_equal(one.batch[3]->alarm[0].subject, "http://x/y");
	assert_string_equal(one.batch[3]->issuer, "");
}

/* Reading. */

static void pages_hold_what_was_asked_for_and_one_batch_at_least(void **state)
{
	struct change_pos at = oldest;
	uint32_t next = 0;
	size_t pages = 0;

	(void)state;
	start_with(NULL);
	/* Small ones, then the largest: what is asked of the stream must follow. */
	for (uint32_t i = 0; i < 40; i++)
		assert_int_equal(append_list(&one, i < 30 ? 1 : 1000, i, i + 1), ERR_OK);
	do {
		assert_int_equal(read_log(&one, at, 70000), ERR_OK);
		assert_false(one.page.gap);
		for (size_t i = 0; i < one.page.n; i++)
			assert_int_equal(first_of(one.batch[i]), next++);
		if (one.page.n > 0) {
			const struct change_batch *b = one.batch[one.page.n - 1];

			at = (struct change_pos){b->epoch, b->seq, b->n};
			pages++;
		}
	} while (one.page.n > 0);
	assert_int_equal(next, 40);
	assert_int_equal(pages, 5); /* 30 small ones and 2 of 32 KB, then 2 each */
	assert_int_equal(read_log(&one, oldest, 1), ERR_OK);
	assert_int_equal(one.page.n, 1);
}

static void a_place_inside_a_batch_reads_that_batch_first(void **state)
{
	struct change_pos p;

	(void)state;
	start_with(NULL);
	append_list(&one, 5, 10, 1);
	append_list(&one, 5, 20, 2);
	p = (struct change_pos){one.end.epoch, 1, 4};
	read_log(&one, p, 1 << 20);
	assert_int_equal(one.page.n, 2);
	p.index = 5;
	read_log(&one, p, 1 << 20);
	assert_int_equal(one.page.n, 1);
	assert_int_equal(first_of(one.batch[0]), 20);
	p.seq = 2;
	read_log(&one, p, 1 << 20);
	assert_int_equal(one.page.n, 0);
	assert_false(one.page.gap);
	p.index = 0;
	read_log(&one, p, 1);
	assert_int_equal(one.page.n, 1);
}

static void what_cannot_be_followed_is_a_gap(void **state)
{
	struct change_pos p;

	(void)state;
	start_with(NULL);
	append_list(&one, 5, 10, 1);
	p = (struct change_pos){one.end.epoch + 1, 1, 5};
	read_log(&one, p, 1000);
	assert_true(one.page.gap);
	p.epoch = one.end.epoch - 1;
	read_log(&one, p, 1000);
	assert_true(one.page.gap);
	p = (struct change_pos){one.end.epoch, 2, 0};
	read_log(&one, p, 1000);
	assert_true(one.page.gap);
	assert_pos(one.page.oldest, one.end.epoch, 0, 0);
	assert_pos(one.page.newest, one.end.epoch, 1, 5);
	p.seq = 0;
	read_log(&one, p, 1000);
	assert_false(one.page.gap);
	assert_int_equal(one.page.n, 1);
}

static void what_is_older_than_asked_for_is_dropped_from_the_front(void **state)
{
	struct change_told next;
	struct change_pos p;

	(void)state;
	start_two(NULL);
	for (uint32_t i = 0; i < 30; i++) {
		struct change_told expect = {0};
		struct change_batch *b = make_batch(i + 1, 100 * i);

		if (i > 0)
			expect = told_at(i, 30);
		next = told_at(i + 1, 30);
		b->seen_at_ms = (SEEN + i) * 1000;
		assert_int_equal(append_told(&one, b, &expect, &next), ERR_OK);
	}
	change_log_trim(one.log, SEEN + 20);
	change_log_trim(one.log, SEEN + 20);
	turn(100);
	assert_int_equal(command("XLEN %s{e}:log", PREFIX), 10);
	p = one.end;
	assert_pos(health(&one).oldest, p.epoch, 20, 20);
	read_log(&two, oldest, 1 << 20);
	assert_int_equal(two.page.n, 10);
	assert_int_equal(two.batch[0]->seq, 21);
	assert_pos(two.page.oldest, p.epoch, 20, 20);
	/* At the end of what was dropped nothing is missing, inside of it there is. */
	read_log(&two, (struct change_pos){p.epoch, 20, 20}, 1);
	assert_false(two.page.gap);
	assert_int_equal(two.batch[0]->seq, 21);
	read_log(&two, (struct change_pos){p.epoch, 20, 19}, 1);
	assert_true(two.page.gap);
	read_log(&two, (struct change_pos){p.epoch, 19, 19}, 1);
	assert_true(two.page.gap);
	/* All of it: the numbers go on. */
	change_log_trim(one.log, INT64_C(1) << 40);
	turn(100);
	assert_int_equal(command("XLEN %s{e}:log", PREFIX), 0);
	read_log(&two, p, 1000);
	assert_false(two.page.gap);
	assert_int_equal(two.page.n, 0);
	assert_pos(two.page.oldest, p.epoch, 30, 30);
	assert_int_equal(append_list(&two, 1, 1, 1), ERR_CONFLICT);
	assert_int_equal(append_single(&two, 7, CHANGE_REVOKED, SEEN), 31);
	read_log(&one, p, 1000);
	assert_int_equal(one.page.n, 1);
}

/* Hours of changes of a large CA: slice after slice. */
static void a_long_log_is_dropped_in_slices(void **state)
{
	enum { N = 3500 };

	(void)state;
	start_with(NULL);
	for (uint32_t i = 0; i < N; i++) {
		struct change_batch *b = make_batch(1, i);

		change_log_append(one.log, b, NULL, NULL, NULL, on_done, &one);
		change_batch_unref(b);
	}
	assert_true(wait_for(&one.done_calls, N, 20000));
	assert_int_equal(one.end.seq, N);
	change_log_trim(one.log, SEEN + 1);
	for (int i = 0; i < 5000 && health(&one).oldest.seq < N; i++)
		turn(1);
	assert_int_equal(command("XLEN %s{e}:log", PREFIX), 0);
}

/* Redis comes and goes. */

/* P38, T23: with less than appendfsync always, what was acknowledged may be gone. */
static void a_restart_that_may_have_lost_changes_is_a_gap(void **state)
{
	struct change_pos before;

	(void)state;
	start_two(NULL);
	assert_int_equal(count("events_not_durable log=redis appendonly=no "
			       "appendfsync=everysec"),
	    2);
	append_list(&one, 5, 10, 1);
	before = one.end;
	real_redis_stop();
	assert_true(wait_up(&one, false, 3000));
	one.grown = two.grown = 0;
	start_redis(NULL);
	assert_true(wait_for(&one.grown, 1, 5000));
	assert_true(wait_for(&two.grown, 1, 5000));
	assert_int_equal(read_log(&two, before, 1000), ERR_OK);
	assert_true(two.page.gap);
	assert_true(two.page.newest.epoch > before.epoch);
	assert_int_equal(read_log(&one, before, 1000), ERR_OK);
	assert_true(one.page.gap);
	assert_int_equal(one.page.newest.epoch, two.page.newest.epoch);
	assert_int_equal(count("events_epoch"), 1);
	assert_int_equal(count("events_not_durable"), 2); /* nothing new */
	/* And it goes on. */
	assert_int_equal(append_list(&one, 5, 10, 1), ERR_OK);
	assert_int_equal(one.end.seq, 1);
}

/* An AOF that is written each second: all may be there, and nobody can know. */
static void an_append_only_file_without_always_is_a_gap_all_the_same(void **state)
{
	static const char *const everysec[] = {"--appendonly", "yes", NULL};
	struct change_pos before;

	(void)state;
	start_with(everysec);
	assert_int_equal(append_list(&one, 5, 10, 1), ERR_OK);
	before = one.end;
	real_redis_stop();
	assert_true(wait_up(&one, false, 3000));
	start_redis(everysec);
	assert_true(wait_up(&one, true, 5000));
	read_log(&one, before, 1000);
	assert_true(one.page.gap);
	assert_int_equal(count("events_epoch"), 1);
	/* Told is what the file says: nothing of the list is told twice. */
	assert_int_equal(ask_told(&one), ERR_OK);
	assert_int_equal(one.told.done, 1);
	/* With always from now on; the life before was not. */
	real_redis_stop();
	assert_true(wait_up(&one, false, 3000));
	before = health(&one).newest;
	start_redis(always);
	assert_true(wait_up(&one, true, 5000));
	assert_true(health(&one).newest.epoch > before.epoch);
	assert_true(health(&one).durable);
}

/* P38 */
static void a_restart_that_loses_nothing_is_no_gap(void **state)
{
	struct change_pos before;

	(void)state;
	start_two(always);
	assert_int_equal(count("events_not_durable"), 0);
	assert_true(health(&one).durable);
	append_list(&one, 5, 10, 1);
	before = one.end;
	append_list(&one, 5, 20, 2);
	for (int i = 0; i < 2; i++) {
		real_redis_stop();
		assert_true(wait_up(&one, false, 3000));
		assert_true(wait_up(&two, false, 3000));
		start_redis(always);
		assert_true(wait_up(&one, true, 5000));
		assert_true(wait_up(&two, true, 5000));
		assert_int_equal(read_log(&two, before, 1000), ERR_OK);
		assert_false(two.page.gap);
		assert_int_equal(two.page.n, 1);
		assert_pos(two.page.newest, before.epoch, 2, 5);
	}
	assert_int_equal(count("events_epoch"), 0);
	/* The other node is still heard (P38). */
	turn(50);
	two.grown = 0;
	assert_int_equal(append_list(&one, 5, 30, 3), ERR_OK);
	assert_true(wait_for(&two.grown, 1, 3000));
}

/* Safe as it began and as it is now, but not all the time. */
static void a_redis_that_was_made_unsafe_meanwhile_is_a_gap(void **state)
{
	struct change_pos before;

	(void)state;
	start_with(always);
	command("CONFIG SET appendfsync everysec");
	command("CLIENT KILL TYPE normal");
	assert_true(wait_up(&one, false, 3000));
	assert_true(wait_up(&one, true, 5000));
	assert_false(health(&one).durable);
	assert_int_equal(count("events_not_durable"), 1);
	assert_int_equal(append_list(&one, 5, 10, 1), ERR_OK);
	before = one.end;
	real_redis_stop();
	assert_true(wait_up(&one, false, 3000));
	start_redis(always);
	assert_true(wait_up(&one, true, 5000));
	assert_true(health(&one).durable);
	assert_int_equal(read_log(&one, before, 1000), ERR_OK);
	assert_true(one.page.gap);
}

/* T23: kill -9 of Redis at any time; what was acknowledged is there, told and log agree,
 * nothing is there twice. */
static void a_redis_that_is_killed_while_it_appends_loses_nothing(void **state)
{
	uint32_t done = 0, epoch, rounds = 0;

	(void)state;
	start_with(always);
	epoch = health(&one).newest.epoch;
	while (rounds < 3) {
		uint32_t sent = done;
		int calls = one.done_calls;

		/* A row of appends, each resting on the one before. */
		for (; sent < done + 30; sent++) {
			struct change_told expect = {0}, next = told_at(sent + 1, 1000);
			struct change_batch *b = make_batch(500, sent * 1000);

			if (sent > 0)
				expect = told_at(sent, 1000);
			change_log_append(
			    one.log, b, scope, &expect, &next, on_done, &one);
			change_batch_unref(b);
		}
		assert_true(wait_for(&one.done_calls, calls + 5 + (int)rounds * 9, 5000));
		real_redis_stop();
		assert_true(wait_for(&one.done_calls, calls + 30, 5000));
		assert_int_equal(one.e, ERR_STORE_TIMEOUT); /* may have been done */
		done = (uint32_t)one.end.seq;               /* acknowledged */
		start_redis(always);
		assert_true(wait_up(&one, true, 5000));
		assert_int_equal(ask_told(&one), ERR_OK);
		assert_true(one.told.done >= done);
		done = one.told.done;
		assert_int_equal(read_log(&one, oldest, 4 << 20), ERR_OK);
		assert_pos(one.page.newest, epoch, done, 500);
		assert_int_equal(one.page.n, done);
		for (uint32_t i = 0; i < done; i++)
			assert_int_equal(first_of(one.batch[i]), i * 1000);
		rounds++;
	}
	assert_true(done >= 5 + 14 + 23);
}

/* P38 */
static void a_log_that_vanished_is_a_new_epoch(void **state)
{
	struct change_pos before;

	(void)state;
	start_two(NULL);
	append_list(&one, 5, 10, 1);
	before = one.end;
	one.grown = 0;
	command("FLUSHALL");
	assert_true(wait_for(&one.grown, 1, 3000));
	/* The first who asks finds that it is not what it was. */
	assert_int_equal(read_log(&one, before, 1000), ERR_STORE);
	assert_true(wait_up(&one, true, 5000));
	assert_int_equal(read_log(&one, before, 1000), ERR_OK);
	assert_true(one.page.gap);
	assert_true(one.page.newest.epoch > before.epoch);
	assert_int_equal(count("events_epoch"), 1);
	/* The stream alone: evicted. */
	append_list(&one, 5, 10, 1);
	before = one.end;
	command("DEL %s{e}:log", PREFIX);
	assert_int_equal(append_list(&one, 5, 20, 2), ERR_STORE);
	assert_true(wait_up(&one, true, 5000));
	assert_true(health(&one).newest.epoch > before.epoch);
	assert_int_equal(append_list(&one, 5, 20, 2), ERR_OK);
	/* A copy of an hour ago was put back. */
	append_list(&one, 5, 30, 3);
	before = one.end;
	command("HSET %s{e}:state seq 1 n 5", PREFIX);
	assert_int_equal(append_list(&one, 5, 40, 4), ERR_STORE);
	assert_true(wait_up(&one, true, 5000));
	assert_true(health(&one).newest.epoch > before.epoch);
	/* The other node goes along. */
	assert_int_equal(read_log(&two, before, 1000), ERR_OK);
	assert_true(two.page.gap);
	assert_int_equal(two.page.newest.epoch, health(&one).newest.epoch);
}

static void a_new_epoch_that_is_asked_for_forgets_the_batches(void **state)
{
	struct change_pos before;
	int calls;

	(void)state;
	start_two(NULL);
	append_list(&one, 5, 10, 1);
	before = one.end;
	calls = one.done_calls;
	two.grown = 0;
	change_log_new_epoch(one.log, on_done, &one);
	assert_true(wait_for(&one.done_calls, calls + 1, 3000));
	assert_int_equal(one.e, ERR_OK);
	assert_true(one.end.epoch > before.epoch);
	assert_int_equal(one.end.seq, 0);
	assert_true(wait_for(&two.grown, 1, 3000));
	read_log(&two, before, 1000);
	assert_true(two.page.gap);
	assert_int_equal(ask_told(&two), ERR_OK);
	assert_int_equal(two.told.done, 1);
	/* A single change of before is not known as told. */
	assert_int_equal(append_single(&two, 7, CHANGE_REVOKED, SEEN), 1);
}

static void a_redis_that_is_away_is_an_error_of_each_call(void **state)
{
	struct change_told none = {0}, a = told_at(1, 1);
	int calls;

	(void)state;
	if (!real_redis_is_installed())
		skip();
	open_node(&one);
	turn(50);
	assert_false(health(&one).up);
	assert_int_equal(ask_told(&one), ERR_STORE);
	assert_int_equal(append_told(&one, make_batch(1, 1), &none, &a), ERR_STORE);
	assert_int_equal(read_log(&one, oldest, 1000), ERR_STORE);
	calls = one.done_calls;
	change_log_new_epoch(one.log, on_done, &one);
	assert_int_equal(one.done_calls, calls + 1);
	assert_int_equal(one.e, ERR_STORE);
	change_log_trim(one.log, SEEN);
	assert_int_equal(one.grown, 0);
	start_redis(NULL);
	assert_true(wait_for(&one.grown, 1, 5000));
	assert_int_equal(append_told(&one, make_batch(1, 1), &none, &a), ERR_OK);
}

/* T23: then the caller has to ask. */
static void an_append_without_an_answer_may_have_been_done(void **state)
{
	struct change_told none = {0}, a = told_at(1, 1);
	struct change_batch *b = make_batch(1, 1);
	int calls;

	(void)state;
	store.timeout_ms = SHORT;
	start_with(NULL);
	real_redis_pause(true);
	calls = one.done_calls;
	change_log_append(one.log, b, scope, &none, &a, on_done, &one);
	change_log_told(one.log, scope, on_told, &one);
	change_log_read(one.log, &oldest, 1000, on_page, &one);
	assert_true(wait_for(&one.done_calls, calls + 1, 3000));
	assert_int_equal(one.e, ERR_STORE_TIMEOUT);
	assert_int_equal(b->seq, 0);
	change_batch_unref(b);
	real_redis_pause(false);
	assert_true(wait_up(&one, true, 5000));
	assert_int_equal(one.done_calls, calls + 1);
	assert_int_equal(one.told_calls, 1);
	assert_int_equal(one.page_calls, 1);
	/* Told says what became of it. */
	assert_int_equal(ask_told(&one), ERR_OK);
	assert_int_equal(read_log(&one, oldest, 1000), ERR_OK);
	assert_int_equal(one.page.n, one.told.known ? 1 : 0);
}

static void closing_calls_nobody(void **state)
{
	struct change_told none = {0}, a = told_at(1, 1);
	struct change_batch *b = make_batch(1, 1);
	struct node was;

	(void)state;
	start_with(NULL);
	was = one;
	change_log_append(one.log, b, scope, &none, &a, on_done, &one);
	change_log_told(one.log, scope, on_told, &one);
	change_log_read(one.log, &oldest, 1000, on_page, &one);
	change_log_new_epoch(one.log, on_done, &one);
	change_log_trim(one.log, SEEN);
	change_log_close(one.log);
	one.log = NULL;
	assert_int_equal(b->refs, 1);
	change_batch_unref(b);
	turn(20);
	assert_int_equal(one.done_calls, was.done_calls);
	assert_int_equal(one.told_calls, was.told_calls);
	assert_int_equal(one.page_calls, was.page_calls);
}

static void scripts_that_the_server_forgot_are_sent_again(void **state)
{
	(void)state;
	start_with(NULL);
	command("SCRIPT FLUSH");
	assert_int_equal(append_list(&one, 2, 1, 1), ERR_OK);
	assert_int_equal(read_log(&one, oldest, 1000), ERR_OK);
	assert_int_equal(one.page.n, 1);
}

/* What Redis is like. */

static void a_policy_that_may_evict_changes_is_told_once(void **state)
{
	const char *const extra[] = {
	    "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru", NULL};

	(void)state;
	start_with(extra);
	assert_int_equal(
	    count("store_may_evict log=redis maxmemory_policy=allkeys-lru"), 1);
	assert_int_equal(count("use volatile-lru, else"), 1); /* as the recipe does */
	assert_int_equal(count("events_not_durable"), 1);
	command("CLIENT KILL TYPE normal");
	assert_true(wait_up(&one, false, 3000));
	assert_true(wait_up(&one, true, 5000));
	assert_int_equal(count("store_may_evict"), 1);
	assert_int_equal(count("events_not_durable"), 1);
	assert_int_equal(count("events_epoch"), 0); /* the same life of Redis */
}

/* P25 */
static void a_full_server_is_an_error_of_the_append_alone(void **state)
{
	(void)state;
	store.timeout_ms = SHORT;
	start_with(NULL);
	assert_int_equal(append_list(&one, 2, 1, 1), ERR_OK);
	command("CONFIG SET maxmemory 1");
	assert_int_equal(append_list(&one, 2, 10, 2), ERR_STORE_FULL);
	assert_int_equal(ask_told(&one), ERR_OK);
	assert_int_equal(one.told.done, 1);
	assert_int_equal(read_log(&one, oldest, 1000), ERR_OK);
	assert_int_equal(one.page.n, 1);
	assert_true(health(&one).refuses && !health(&one).up);
	assert_int_equal(count("store_refuses log=redis error=\"OOM command not"), 1);
	turn(5 * SHORT); /* a heartbeat tries, and is refused */
	assert_true(health(&one).refuses);
	assert_int_equal(count("store_well"), 0);
	command("CONFIG SET maxmemory 0");
	assert_int_equal(append_list(&one, 2, 10, 2), ERR_OK);
	assert_true(wait_up(&one, true, 5000));
	assert_int_equal(count("store_down"), 0);
}

/* T23.  A planned failover and back: nothing is lost, nothing is there twice. */
static void a_master_that_becomes_a_replica_is_left_and_gone_on_with(void **state)
{
	(void)state;
	start_with(always);
	assert_int_equal(append_list(&one, 2, 1, 1), ERR_OK);
	command("REPLICAOF 127.0.0.1 1");
	assert_int_equal(append_list(&one, 2, 10, 2), ERR_STORE);
	assert_true(wait_up(&one, false, 5000));
	assert_int_equal(
	    count("store_down log=redis error=\"READONLY You can't write"), 1);
	turn(300); /* it is tried again, and does not count as up */
	assert_false(health(&one).up || health(&one).refuses);
	assert_int_equal(append_list(&one, 2, 10, 2), ERR_STORE);
	command("REPLICAOF NO ONE");
	assert_true(wait_up(&one, true, 5000));
	assert_int_equal(append_list(&one, 2, 10, 2), ERR_OK);
	assert_int_equal(read_log(&one, oldest, 1 << 20), ERR_OK);
	assert_int_equal(one.page.n, 2);
	assert_int_equal(count("events_epoch"), 0);
	assert_int_equal(command("EXISTS %s{e}:try", PREFIX), 0);
}

static void a_right_that_is_missing_is_told_before_it_is_needed(void **state)
{
	const char *const extra[] = {
	    "--user", "few", "on", ">pw", "~*", "&*", "+@all", "-xadd", NULL};

	(void)state;
	if (!real_redis_is_installed())
		skip();
	store.timeout_ms = SHORT;
	start_redis(extra);
	snprintf(url, sizeof url, "redis+unix://few:pw@%s/redis", dir);
	open_node(&one);
	for (int t = 0; t < 5000 && count("(XADD)") == 0; t++)
		turn(1);
	assert_int_equal(count("store_refuses log=redis"), 1);
	assert_true(health(&one).refuses && !health(&one).up);
	assert_non_null(strstr(health(&one).remedy, "rights"));
	command("ACL SETUSER few +xadd");
	assert_true(wait_up(&one, true, 5000));
	assert_int_equal(append_list(&one, 2, 1, 1), ERR_OK);
}

/* Who may not ask for INFO, CONFIG or CLIENT shares changes all the same: looked for each
 * second, and not taken for durable. */
static void a_user_with_few_rights_still_shares_changes(void **state)
{
	const char *const extra[] = {"--user", "few", "on", ">pw", "~*", "&*", "-@all",
	    "+getrange", "+get", "+set", "+hmget", "+hset", "+exists", "+xadd", "+xrange",
	    "+xtrim", "+xinfo", "+unlink", "+time", "+pttl", "+scan", "+eval", "+evalsha",
	    "+ping", "+auth", NULL};

	(void)state;
	if (!real_redis_is_installed())
		skip();
	start_redis(extra);
	snprintf(url, sizeof url, "redis+unix://few:pw@%s/redis", dir);
	open_node(&one);
	assert_true(wait_up(&one, true, 5000));
	assert_int_equal(
	    count("events_not_durable log=redis appendonly=unknown appendfsync=unknown"),
	    1);
	open_node(&two);
	assert_true(wait_up(&two, true, 5000));
	turn(100);
	two.grown = 0;
	assert_int_equal(append_list(&one, 2, 1, 1), ERR_OK);
	assert_true(wait_for(&two.grown, 1, 3000));
	read_log(&two, oldest, 1000);
	assert_int_equal(two.page.n, 1);
	assert_false(health(&two).durable);
}

/* T16: values of other programs under our names. */
static void keys_of_another_type_are_errors_and_stay(void **state)
{
	struct change_told none = {0}, a = told_at(1, 1);
	struct change_batch *b = make_batch(1, 7);
	int calls;

	(void)state;
	if (!real_redis_is_installed())
		skip();
	start_redis(NULL);
	command("SET %s{e}:log mine", PREFIX);
	open_node(&one);
	turn(1500);
	assert_false(health(&one).up);
	assert_non_null(strstr(health(&one).error, "WRONGTYPE"));
	assert_int_equal(count("events_unusable"), 1);
	assert_int_equal(read_log(&one, oldest, 1000), ERR_STORE);
	assert_int_equal(command("STRLEN %s{e}:log", PREFIX), 4);
	command("DEL %s{e}:log", PREFIX);
	command("LPUSH %s{e}:state mine", PREFIX);
	turn(1500);
	assert_false(health(&one).up);
	command("DEL %s{e}:state", PREFIX);
	assert_true(wait_up(&one, true, 5000));
	/* Only the scope's, or the certificate's, own. */
	command("EVAL %s 0", "redis.call('LPUSH', '" PREFIX "{e}:told:' .. '010203' .. "
			     "string.rep('00', 29), 'mine')");
	assert_int_equal(ask_told(&one), ERR_STORE);
	assert_int_equal(append_told(&one, make_batch(1, 1), &none, &a), ERR_STORE);
	command("EVAL %s 0", "redis.call('SET', '" PREFIX "{e}:told:' .. '010203' .. "
			     "string.rep('00', 29), 'no pointer')");
	assert_int_equal(ask_told(&one), ERR_RECORD);
	assert_int_equal(count("event_record_bad log=redis what=told"), 1);
	assert_int_equal(append_told(&one, make_batch(1, 1), &none, &a), ERR_CONFLICT);
	assert_int_equal(append_single(&one, 7, CHANGE_REVOKED, SEEN), 1);
	command("EVAL %s 0", "for _, k in ipairs(redis.call('KEYS', '*{e}:one:*')) do\n"
			     "redis.call('DEL', k) redis.call('LPUSH', k, 'mine') end");
	calls = one.done_calls;
	change_log_append(one.log, b, NULL, NULL, NULL, on_done, &one);
	change_batch_unref(b);
	assert_true(wait_for(&one.done_calls, calls + 1, 3000));
	assert_int_equal(one.e, ERR_STORE);
	assert_int_equal(count("store_down"), 0);
	/* Another type while it runs. */
	command("DEL %s{e}:log", PREFIX);
	command("SET %s{e}:log mine", PREFIX);
	assert_int_equal(read_log(&one, oldest, 1000), ERR_STORE);
	assert_int_equal(count("store_down"), 0);
}

/* Put an entry of another's into the log as we would. */
static void append_foreign(const char *b, size_t n)
{
	command("EVAL %s 2 %s %s %b",
	    "local q = redis.call('HINCRBY', KEYS[1], 'seq', 1)\n"
	    "redis.call('HSET', KEYS[1], 'n', 1)\n"
	    "redis.call('XADD', KEYS[2], q .. '-0', 'b', ARGV[1], 'n', 1)",
	    PREFIX "{e}:state", PREFIX "{e}:log", b, n);
}

static void batches_that_cannot_be_read_are_told_and_a_gap(void **state)
{
	static char long_one[400000];
	struct change_pos end;

	(void)state;
	start_with(NULL);
	append_list(&one, 2, 10, 1);
	append_foreign("nonsense", 8);
	append_list(&one, 2, 20, 2);
	append_foreign(long_one, sizeof long_one);
	append_foreign("", 0);
	append_list(&one, 2, 30, 3);
	end = one.end;
	assert_int_equal(end.seq, 6);
	assert_int_equal(read_log(&one, oldest, 1 << 20), ERR_OK);
	assert_int_equal(one.page.n, 1);
	assert_int_equal(
	    read_log(&one, (struct change_pos){end.epoch, 1, 2}, 1000), ERR_OK);
	assert_true(one.page.gap);
	assert_pos(one.page.oldest, end.epoch, 2, CHANGE_BATCH_MAX);
	read_log(&one, one.page.oldest, 1 << 20);
	assert_int_equal(one.page.n, 1);
	assert_int_equal(first_of(one.batch[0]), 20);
	/* Several in a row are one gap. */
	read_log(&one, (struct change_pos){end.epoch, 3, 2}, 1 << 20);
	assert_true(one.page.gap);
	assert_pos(one.page.oldest, end.epoch, 5, CHANGE_BATCH_MAX);
	read_log(&one, one.page.oldest, 1 << 20);
	assert_int_equal(one.page.n, 1);
	assert_int_equal(one.batch[0]->seq, 6);
	assert_int_equal(count("event_record_bad log=redis what=batch"), 3);
	/* At the end. */
	append_foreign("nonsense", 8);
	read_log(&one, end, 1000);
	assert_true(one.page.gap);
	assert_int_equal(one.page.oldest.seq, 7);
	read_log(&one, one.page.oldest, 1000);
	assert_false(one.page.gap);
	assert_int_equal(one.page.n, 0);
	append_list(&one, 2, 40, 4);
	read_log(&one, one.page.newest, 1000);
	assert_int_equal(one.page.n, 1);
	assert_int_equal(one.batch[0]->seq, 8);
	assert_non_null(strstr(health(&one).damage, "a batch in Redis cannot be read"));
	change_log_trim(one.log, SEEN + 1);
	for (int t = 0; t < 3000 && health(&one).damage[0] != '\0'; t++)
		turn(1);
	assert_string_equal(health(&one).damage, ""); /* it is gone */
}

/* T23: of a newer version on the same log. */
static void a_record_of_another_kind_is_a_gap_and_no_damage(void **state)
{
	static const char other[20] = "\2\5\0\0\0\0\0\1";
	struct change_pos end;

	(void)state;
	start_with(NULL);
	append_list(&one, 2, 10, 1);
	append_foreign(other, sizeof other);
	append_list(&one, 2, 20, 2);
	end = one.end;
	for (int i = 0; i < 2; i++) {
		read_log(&one, (struct change_pos){end.epoch, 1, 2}, 1 << 20);
		assert_true(one.page.gap);
		assert_pos(one.page.oldest, end.epoch, 2, CHANGE_BATCH_MAX);
	}
	read_log(&one, one.page.oldest, 1 << 20);
	assert_int_equal(one.page.n, 1);
	assert_int_equal(first_of(one.batch[0]), 20);
	assert_int_equal(count("events_newer log=redis what=batch"), 1);
	assert_int_equal(count("event_record_bad"), 0);
	assert_string_equal(health(&one).damage, "");
}

static void entries_that_somebody_deleted_are_a_gap(void **state)
{
	struct change_pos end;

	(void)state;
	start_with(NULL);
	for (uint32_t i = 0; i < 6; i++)
		append_list(&one, 2, i, i + 1);
	end = one.end;
	command("XDEL %s{e}:log 3-0 6-0", PREFIX);
	read_log(&one, oldest, 1 << 20);
	assert_int_equal(one.page.n, 2);
	read_log(&one, (struct change_pos){end.epoch, 2, 2}, 1 << 20);
	assert_true(one.page.gap);
	assert_int_equal(one.page.oldest.seq, 3);
	read_log(&one, one.page.oldest, 1 << 20);
	assert_int_equal(one.page.n, 2);
	assert_int_equal(one.batch[1]->seq, 5);
	read_log(&one, (struct change_pos){end.epoch, 5, 2}, 1 << 20);
	assert_true(one.page.gap);
	assert_pos(one.page.oldest, end.epoch, 6, 2);
	read_log(&one, one.page.oldest, 1 << 20);
	assert_false(one.page.gap);
	assert_int_equal(one.page.n, 0);
}

static void a_stream_that_others_write_to_is_begun_anew(void **state)
{
	struct change_pos before;

	(void)state;
	start_with(NULL);
	append_list(&one, 2, 10, 1);
	before = one.end;
	command("XADD %s{e}:log * b x", PREFIX);
	assert_int_equal(append_list(&one, 2, 20, 2), ERR_STORE);
	assert_true(wait_up(&one, true, 5000));
	assert_true(health(&one).newest.epoch > before.epoch);
	assert_int_equal(append_list(&one, 2, 20, 2), ERR_OK);
	read_log(&one, oldest, 1000);
	assert_int_equal(one.page.n, 1);
}

/* The hostile server: speaks well enough to be taken for Redis, and answers what the case
 * is about with the bytes of the case. */

static void say(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t w = send(fd, text, n, MSG_NOSIGNAL);

		if (w <= 0)
			_exit(0);
		text += w;
		n -= (size_t)w;
	}
}

static bool is(const redisReply *r, size_t i, const char *word)
{
	return r->elements > i && strcmp(r->element[i]->str, word) == 0;
}

/* LOG_CHECK is what has no run id, since INFO is refused, and was not asked for. */
static bool is_check(const redisReply *r)
{
	return is(r, 0, "EVALSHA") && r->elements == 11 && r->element[5]->len == 0 &&
	       is(r, 10, "0");
}

static void fake_answer(
    int fd, const redisReply *r, const char *check, const char *bytes, size_t n)
{
	const char *text = "+OK\r\n";

	if (is(r, 0, "PING"))
		text = "+PONG\r\n";
	else if (is(r, 0, "INFO") || is(r, 0, "CONFIG"))
		text = "-NOPERM\r\n";
	else if (is(r, 1, "ID"))
		text = ":5\r\n";
	else if (is(r, 0, "SUBSCRIBE"))
		text = "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n";
	else if (is(r, 0, "EVAL") && is(r, 2, "1")) /* the trial */
		text = ":1\r\n";
	else if (is_check(r))
		text = check;
	else if (is(r, 0, "EXISTS"))
		text = ":0\r\n";
	else if (is(r, 0, "EVALSHA") || is(r, 0, "EVAL") || is(r, 0, "GETRANGE")) {
		say(fd, bytes, n);
		return;
	}
	say(fd, text, strlen(text));
}

static void fake_connection(int fd, const char *check, const char *bytes, size_t n)
{
	redisReader *reader = redisReaderCreate();
	char buffer[4096];
	ssize_t got;

	while ((got = read(fd, buffer, sizeof buffer)) > 0) {
		redisReply *r;

		redisReaderFeed(reader, buffer, (size_t)got);
		while (
		    redisReaderGetReply(reader, (void **)&r) == REDIS_OK && r != NULL) {
			fake_answer(fd, r, check, bytes, n);
			freeReplyObject(r);
		}
	}
	_exit(0);
}

static void start_fake(const char *check, const char *bytes, size_t n)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(un.sun_path, sizeof un.sun_path, "%s/redis", dir);
	unlink(un.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	assert_int_equal(listen(fd, 64), 0);
	fake = child_fork();
	if (fake == 0) {
		signal(SIGCHLD, SIG_IGN);
		setpgid(0, 0);
		for (;;) {
			int c = accept(fd, NULL, NULL);

			if (c >= 0 && child_fork() == 0)
				fake_connection(c, check, bytes, n);
			close(c);
		}
	}
	setpgid(fake, fake);
	close(fd);
}

#define ENDS  ":1\r\n:9\r\n:5\r\n:2\r\n:1\r\n:1\r\n" /* epoch 9, 2 to 5 are kept */
#define CHECK "*7\r\n" ENDS ":1\r\n"

enum call { READ, TOLD, APPEND, TRIM, EPOCH };

/* One call against the fake; its result.  It always ends, once. */
static enum err fake_call(enum call call, const char *bytes, size_t n)
{
	struct change_pos from = {9, 2, 1};
	struct change_told none = {0}, next = told_at(1, 1);
	enum err e = ERR_OK;
	int calls;

	store.timeout_ms = SHORT;
	start_fake(CHECK, bytes, n);
	open_node(&one);
	assert_true(wait_up(&one, true, 3000));
	if (call == READ)
		e = read_log(&one, from, 1 << 20);
	if (call == TOLD)
		e = ask_told(&one);
	if (call == APPEND)
		e = append_told(&one, make_batch(1, 1), &none, &next);
	if (call == TRIM)
		change_log_trim(one.log, SEEN);
	if (call == EPOCH) {
		calls = one.done_calls + 1;
		change_log_new_epoch(one.log, on_done, &one);
		assert_true(wait_for(&one.done_calls, calls, 3000));
		e = one.e;
	}
	turn(20);
	stop_fake();
	close_node(&one);
	return e;
}

#define FAKE(call, text) fake_call(call, text, sizeof text - 1)
#define BAD_BATCH        "$1\r\nx\r\n"

/* T16 */
static void replies_that_make_no_sense_are_errors(void **state)
{
	static const char *const nonsense[] = {"*-1\r\n", "*0\r\n", "$-1\r\n", "+OK\r\n",
	    ":7\r\n", "-ERR no\r\n", "-LOADING\r\n", "-NOSCRIPT\r\n-NOSCRIPT\r\n",
	    "*6\r\n+a\r\n+b\r\n+c\r\n+d\r\n+e\r\n+f\r\n",
	    "*6\r\n:1\r\n:0\r\n:5\r\n:2\r\n:1\r\n:1\r\n",          /* epoch 0 */
	    "*6\r\n:1\r\n:4294967296\r\n:5\r\n:2\r\n:1\r\n:1\r\n", /* too large */
	    "*6\r\n:1\r\n:-9\r\n:5\r\n:2\r\n:1\r\n:1\r\n",
	    "*6\r\n:1\r\n:9\r\n:4\r\n:2\r\n:1\r\n:1\r\n",  /* before what was seen */
	    "*6\r\n:1\r\n:9\r\n:5\r\n:2\r\n:6\r\n:1\r\n",  /* begins behind its end */
	    "*6\r\n:1\r\n:9\r\n:5\r\n:2\r\n:-1\r\n:1\r\n", /* before its start */
	    "*6\r\n:1\r\n:9\r\n:281474976710656\r\n:2\r\n:1\r\n:1\r\n",
	    "*7\r\n" ENDS ":1\r\n:1\r\n", "*100000\r\n", "$2147483647\r\n",
	    "HTTP/1.1 200 OK\r\n\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
		size_t n = strlen(nonsense[i]);

		if (fake_call(READ, nonsense[i], n) == ERR_OK)
			fail_msg("a page: %s", nonsense[i]);
		if (strstr(nonsense[i], ENDS) != NULL)
			continue; /* fine for the others */
		if (fake_call(APPEND, nonsense[i], n) == ERR_OK)
			fail_msg("appended: %s", nonsense[i]);
		if (i < 12)
			fake_call(TRIM, nonsense[i], n);
	}
	assert_int_equal(FAKE(TOLD, "*0\r\n"), ERR_STORE);
	assert_int_equal(FAKE(TOLD, ":1\r\n"), ERR_STORE);
	assert_int_equal(FAKE(TOLD, "$1\r\nx\r\n"), ERR_RECORD);
	assert_int_equal(FAKE(TOLD, "$0\r\n\r\n"), ERR_OK);
	assert_int_not_equal(FAKE(EPOCH, "*0\r\n"), ERR_OK);
}

/* T16 */
static void entries_that_make_no_sense_are_errors(void **state)
{
	(void)state;
	/* ids of another form, behind the end, before the place, not in order */
	assert_int_equal(
	    FAKE(READ, "*7\r\n" ENDS "*2\r\n$1\r\n3\r\n" BAD_BATCH), ERR_STORE);
	assert_int_equal(
	    FAKE(READ, "*7\r\n" ENDS "*2\r\n$3\r\n3-1\r\n" BAD_BATCH), ERR_STORE);
	assert_int_equal(
	    FAKE(READ, "*7\r\n" ENDS "*2\r\n$4\r\n03-0\r\n" BAD_BATCH), ERR_STORE);
	assert_int_equal(
	    FAKE(READ, "*7\r\n" ENDS "*2\r\n$3\r\n6-0\r\n" BAD_BATCH), ERR_STORE);
	assert_int_equal(
	    FAKE(READ, "*7\r\n" ENDS "*2\r\n$3\r\n1-0\r\n" BAD_BATCH), ERR_STORE);
	assert_int_equal(FAKE(READ, "*7\r\n" ENDS "*4\r\n$3\r\n4-0\r\n" BAD_BATCH
				    "$3\r\n3-0\r\n" BAD_BATCH),
	    ERR_STORE);
	assert_int_equal(FAKE(READ, "*7\r\n" ENDS "*4\r\n$3\r\n3-0\r\n" BAD_BATCH
				    "$3\r\n3-0\r\n" BAD_BATCH),
	    ERR_STORE);
	assert_int_equal(FAKE(READ, "*7\r\n" ENDS "*2\r\n:3\r\n" BAD_BATCH), ERR_STORE);
	assert_int_equal(
	    FAKE(READ, "*7\r\n" ENDS "*2\r\n$3\r\n3-0\r\n*0\r\n"), ERR_STORE);
	assert_int_equal(FAKE(READ, "*7\r\n" ENDS "*2\r\n$-1\r\n" BAD_BATCH), ERR_STORE);
	/* Only a bad batch: a gap. */
	assert_int_equal(
	    FAKE(READ, "*7\r\n" ENDS "*2\r\n$3\r\n3-0\r\n" BAD_BATCH), ERR_OK);
}

/* What Redis says of itself: left (it is down then), or kept and told. */
static void each_word_of_redis_is_heeded(void **state)
{
	static const struct {
		const char *text;
		bool leave;
		enum err e;
	} said[] = {
	    {"READONLY You can't write against a read only replica.", true, ERR_STORE},
	    {"LOADING Redis is loading the dataset in memory", true, ERR_STORE},
	    {"MASTERDOWN Link with MASTER is down", true, ERR_STORE},
	    {"CLUSTERDOWN The cluster is down", true, ERR_STORE},
	    {"NOAUTH Authentication required.", true, ERR_STORE},
	    {"ERR max number of clients reached", true, ERR_STORE},
	    {"MISCONF Errors writing to the AOF file: No space left on device", false,
		ERR_STORE},
	    {"OOM command not allowed when used memory > 'maxmemory'.", false,
		ERR_STORE_FULL},
	    {"NOREPLICAS Not enough good replicas to write.", false, ERR_STORE},
	    {"NOPERM this user has no permissions to run the 'xadd' command", false,
		ERR_STORE},
	    {"BUSY Redis is busy running a script.", false, ERR_STORE},
	    {"MOVED 3999 127.0.0.1:6381", false, ERR_STORE}};
	struct change_told none = {0}, next = told_at(1, 1);
	char line[128];

	(void)state;
	for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
		int n = snprintf(line, sizeof line, "-%s\r\n", said[i].text);

		events[0] = '\0';
		start_fake(CHECK, line, (size_t)n);
		open_node(&one);
		assert_true(wait_up(&one, true, 3000));
		assert_int_equal(
		    append_told(&one, make_batch(1, 1), &none, &next), said[i].e);
		for (int t = 0; said[i].leave && t < 3000 && !count("store_down"); t++)
			turn(1);
		assert_int_equal(health(&one).refuses, !said[i].leave);
		assert_false(health(&one).up);
		assert_int_equal(
		    count(said[i].leave ? "store_down log=redis" : "store_refuses"), 1);
		assert_non_null(strstr(events, said[i].text));
		stop_fake();
		close_node(&one);
	}
}

static void a_check_that_fails_is_repeated_once_a_second(void **state)
{
	(void)state;
	store.timeout_ms = SHORT;
	start_fake("*7\r\n:1\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n", "", 0);
	open_node(&one);
	turn(2500);
	assert_false(health(&one).up);
	assert_int_equal(one.grown, 0);
	assert_int_equal(count("events_unusable"), 1);
}

static void urls_that_cannot_work_are_refused(void **state)
{
	struct change_log_config c = {.store = &store, .now = START};
	struct change_log *l;
	char why[256], prefix[300];

	(void)state;
	store.url = "redis://u:secret@h/x";
	assert_int_equal(change_log_open(&l, &c, why, sizeof why), ERR_STORE);
	assert_null(l);
	assert_null(strstr(why, "secret"));
	memset(prefix, 'x', sizeof prefix);
	prefix[sizeof prefix - 1] = '\0';
	store.url = "redis://h";
	store.prefix = prefix;
	assert_int_equal(change_log_open(&l, &c, why, sizeof why), ERR_STORE);
	assert_null(l);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(what_one_node_appends_the_other_hears_of_and_reads),
	    CASE(two_nodes_that_append_the_same_list_append_it_once),
	    CASE(told_moves_only_from_where_it_is_expected),
	    CASE(a_single_change_that_both_nodes_find_is_told_once),
	    CASE(what_is_revoked_already_is_appended_as_it_is),
	    CASE(notices_and_alarms_are_appended_as_they_are),
	    CASE(pages_hold_what_was_asked_for_and_one_batch_at_least),
	    CASE(a_place_inside_a_batch_reads_that_batch_first),
	    CASE(what_cannot_be_followed_is_a_gap),
	    CASE(what_is_older_than_asked_for_is_dropped_from_the_front),
	    CASE(a_long_log_is_dropped_in_slices),
	    CASE(a_restart_that_may_have_lost_changes_is_a_gap),
	    CASE(an_append_only_file_without_always_is_a_gap_all_the_same),
	    CASE(a_restart_that_loses_nothing_is_no_gap),
	    CASE(a_redis_that_was_made_unsafe_meanwhile_is_a_gap),
	    CASE(a_redis_that_is_killed_while_it_appends_loses_nothing),
	    CASE(a_log_that_vanished_is_a_new_epoch),
	    CASE(a_new_epoch_that_is_asked_for_forgets_the_batches),
	    CASE(a_redis_that_is_away_is_an_error_of_each_call),
	    CASE(an_append_without_an_answer_may_have_been_done),
	    CASE(closing_calls_nobody),
	    CASE(scripts_that_the_server_forgot_are_sent_again),
	    CASE(a_policy_that_may_evict_changes_is_told_once),
	    CASE(a_full_server_is_an_error_of_the_append_alone),
	    CASE(a_master_that_becomes_a_replica_is_left_and_gone_on_with),
	    CASE(a_right_that_is_missing_is_told_before_it_is_needed),
	    CASE(a_user_with_few_rights_still_shares_changes),
	    CASE(keys_of_another_type_are_errors_and_stay),
	    CASE(batches_that_cannot_be_read_are_told_and_a_gap),
	    CASE(a_record_of_another_kind_is_a_gap_and_no_damage),
	    CASE(entries_that_somebody_deleted_are_a_gap),
	    CASE(a_stream_that_others_write_to_is_begun_anew),
	    CASE(replies_that_make_no_sense_are_errors),
	    CASE(entries_that_make_no_sense_are_errors),
	    CASE(each_word_of_redis_is_heeded),
	    CASE(a_check_that_fails_is_repeated_once_a_second),
	    CASE(urls_that_cannot_work_are_refused),
	};
	int failed;

	if (!real_redis_is_installed())
		print_message("redis-server is not installed: its cases are skipped\n");
	failed = cmocka_run_group_tests_name("change_log_redis", tests, NULL, NULL);
	libevent_global_shutdown();
	return failed;
}
