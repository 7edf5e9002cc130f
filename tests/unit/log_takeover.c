/* What a version of before left in Redis, by a real server. */
#include "cache/change/log_takeover.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/change/change_log.h"
#include "tests/lib/log_of_before.h"
#include "tests/lib/real_redis.h"
#include "tests/lib/store_kit.h"
#include "tests/lib/unhex.h"

#define PREFIX  "t[e]st*:"
#define TIMEOUT 3000
#define MANY    3500 /* batches: four slices */

static struct event_base *base;
static char *dir;
static char url[4400], events[8192];
static struct store_config store;

/* A node, and what came of its last call. */
struct node {
	struct change_log *log;
	int grown, calls;
	enum err e;
	struct change_pos end;
	struct change_told told;
	bool gap;
	size_t n;
	struct change_batch *batch[MANY + 10];
};
static struct node one, two;

static const struct change_pos oldest;
static const char *const always[] = {
    "--appendonly", "yes", "--appendfsync", "always", NULL};

static void on_event(void *arg, bool warn, const char *event, const char *text)
{
	size_t n = strlen(events);

	(void)arg, (void)warn;
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

static bool wait_for(const int *what, int at_least)
{
	for (int t = 0; t < 5000 && *what < at_least; t++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (*what < at_least)
			usleep(1000);
	}
	return *what >= at_least;
}

static struct change_log_health health(const struct node *n)
{
	struct change_log_health h;

	change_log_health(n->log, &h);
	return h;
}

static bool wait_up(const struct node *n)
{
	for (int t = 0; t < 5000 && !health(n).up; t++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
	return health(n).up;
}

static redisReply *ask(const char *format, va_list ap)
{
	redisContext *c;
	redisReply *r;
	char path[4300];

	snprintf(path, sizeof path, "%s/redis", dir);
	c = redisConnectUnix(path);
	assert_non_null(c);
	assert_int_equal(c->err, 0);
	r = redisvCommand(c, format, ap);
	redisFree(c);
	assert_non_null(r);
	if (r->type == REDIS_REPLY_ERROR)
		fail_msg("%s: %s", format, r->str);
	return r;
}

static long long command(const char *format, ...)
{
	va_list ap;
	redisReply *r;
	long long v;

	va_start(ap, format);
	r = ask(format, ap);
	va_end(ap);
	v = r->type == REDIS_REPLY_INTEGER ? r->integer : (long long)r->elements;
	freeReplyObject(r);
	return v;
}

/* What the server has of the version before. */
static long long old_keys(void)
{
	return command("KEYS t\\[e]st\\*:e:*");
}

static long long old_length(void)
{
	return command("XLEN " PREFIX "e:log");
}

/* The bytes as they were found; batch i of three that come again and again. */
static void append_old(unsigned seq, unsigned i)
{
	uint8_t b[256];
	size_t n = unhex(before_batch[i % BEFORE_BATCHES].hex, b, sizeof b);

	command("XADD " PREFIX "e:log %u-0 b %b t %d n %u", seq, b, n, BEFORE_SEEN,
	    before_batch[i % BEFORE_BATCHES].n);
}

static void write_old_state(unsigned epoch, unsigned seq, unsigned n, unsigned cut)
{
	command("HSET " PREFIX "e:state epoch %u seq %u n %u cut %u cut_n %u run %s "
		"durable 1",
	    epoch, seq, n, cut, cut > 0 ? before_batch[(cut - 1) % 3].n : 0,
	    "e364beefe6a5b1eda915ecf4f6e062f93fbcf701");
}

static void write_old_keys(void)
{
	uint8_t told[CHANGE_TOLD_N];

	command("SET " PREFIX "e:told:" BEFORE_SCOPE " %b", told,
	    unhex(BEFORE_TOLD, told, sizeof told));
	command("SET " PREFIX "e:one:" BEFORE_ONE " %s EX 2592000", BEFORE_ONE_IS);
	command("SET " PREFIX "e:left:" BEFORE_LEFT " %s EX 2592000", BEFORE_LEFT_IS);
}

/* n batches, those up to `cut` dropped for their age. */
static void write_old(unsigned n, unsigned cut)
{
	uint8_t b[3][256];
	size_t size[3];

	for (int i = 0; i < 3; i++)
		size[i] = unhex(before_batch[i].hex, b[i], sizeof b[i]);
	command("EVAL %s 1 " PREFIX "e:log %u %b %b %b %d %u %u %u",
	    "for i = 1, ARGV[1] do local k = (i - 1) % 3\n"
	    "redis.call('XADD', KEYS[1], i .. '-0', 'b', ARGV[2 + k], 't', ARGV[5],\n"
	    "  'n', ARGV[6 + k]) end",
	    n, b[0], size[0], b[1], size[1], b[2], size[2], BEFORE_SEEN,
	    before_batch[0].n, before_batch[1].n, before_batch[2].n);
	if (cut > 0)
		command("XTRIM " PREFIX "e:log MINID = %u-0", cut + 1);
	write_old_state(BEFORE_EPOCH, n, before_batch[(n - 1) % 3].n, cut);
	write_old_keys();
}

static void open_node(struct node *n)
{
	struct change_log_config c = {.store = &store,
	    .now = 1000,
	    .hooks = {.grown = on_grown, .event = on_event, .arg = n}};
	char why[256];

	assert_int_equal(change_log_open(&n->log, &c, why, sizeof why), ERR_OK);
}

static void drop_batches(struct node *n)
{
	for (size_t i = 0; i < n->n; i++)
		change_batch_unref(n->batch[i]);
	n->n = 0;
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
	if (!real_redis_is_installed())
		return 0;
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
	assert_true(real_redis_start(dir, always));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (base == NULL)
		return 0;
	close_node(&one);
	close_node(&two);
	real_redis_stop();
	event_base_free(base);
	kit_remove(dir);
	base = NULL;
	return 0;
}

static void start(void)
{
	if (base == NULL)
		skip();
	open_node(&one);
	assert_true(wait_up(&one));
}

/* Calls. */

static void on_page(void *arg, enum err e, const struct change_log_page *page)
{
	struct node *n = arg;

	n->calls++;
	n->e = e;
	n->gap = page->gap;
	assert_true(n->n + page->n <= MANY + 10);
	for (size_t i = 0; i < page->n; i++)
		n->batch[n->n++] = change_batch_ref(page->batches[i]);
}

static void read_page(struct node *n, struct change_pos from)
{
	int calls = n->calls + 1;

	change_log_read(n->log, &from, 1 << 22, on_page, n);
	assert_true(wait_for(&n->calls, calls));
	assert_int_equal(n->e, ERR_OK);
}

/* All pages from there on. */
static void read_log(struct node *n, struct change_pos from)
{
	size_t before;

	drop_batches(n);
	do {
		before = n->n;
		read_page(n, from);
		if (n->n > 0)
			from = (struct change_pos){n->batch[n->n - 1]->epoch,
			    n->batch[n->n - 1]->seq, CHANGE_BATCH_MAX};
	} while (n->n > before);
}

static void on_told(void *arg, enum err e, const struct change_told *t)
{
	struct node *n = arg;

	n->calls++;
	n->e = e;
	n->told = *t;
}

static void ask_told(struct node *n, const char *scope_hex)
{
	uint8_t scope[CHANGE_SCOPE_N];
	int calls = n->calls + 1;

	unhex(scope_hex, scope, sizeof scope);
	change_log_told(n->log, scope, on_told, n);
	assert_true(wait_for(&n->calls, calls));
	assert_int_equal(n->e, ERR_OK);
}

static void on_done(void *arg, enum err e, const struct change_pos *end)
{
	struct node *n = arg;

	n->calls++;
	n->e = e;
	n->end = *end;
}

/* The single change that is the second of the old log, at another time where asked for:
 * the number that it gets. */
static uint64_t append_single(struct node *n, int64_t later)
{
	struct change_batch *b = change_batch_new(1);
	int calls = n->calls + 1;
	uint64_t seq;

	strcpy(b->issuer, "demo");
	b->seen_at_ms = INT64_C(1796050500000);
	b->n = 1;
	b->change[0].entry = (struct crl_entry){
	    .n = 2, .reason = CRL_NO_REASON, .spare = {CHANGE_REVOKED, CHANGE_GOOD}};
	b->change[0].entry.octets[19] = 0x01;
	b->change[0].entry.octets[20] = 0x2c;
	crl_entry_set_at(&b->change[0].entry, 1796046809 + later);
	change_log_append(n->log, b, NULL, NULL, NULL, on_done, n);
	assert_true(wait_for(&n->calls, calls));
	assert_int_equal(n->e, ERR_OK);
	seq = b->seq;
	change_batch_unref(b);
	return seq;
}

static unsigned last_octet(const struct change_batch *b, unsigned i)
{
	assert_true(i < b->n);
	return b->change[i].entry.octets[20];
}

/* The first `n` of the old log, from place `seq` on. */
static void assert_old(const struct node *n, size_t first, size_t count_of, uint64_t seq,
    unsigned batch, uint32_t epoch)
{
	static const unsigned serial[] = {2, 0x2c, 3};

	assert_true(n->n >= first + count_of);
	for (size_t i = first; i < first + count_of; i++, batch++) {
		assert_int_equal(n->batch[i]->epoch, epoch);
		assert_int_equal(n->batch[i]->seq, seq + (i - first));
		assert_int_equal(n->batch[i]->n, before_batch[batch % 3].n);
		assert_int_equal(last_octet(n->batch[i], 0), serial[batch % 3]);
	}
}

/* Tests. */

static void an_old_log_is_gone_on_with_as_if_it_were_ours(void **state)
{
	const struct change_pos second = {BEFORE_EPOCH, 2, 1};

	(void)state;
	if (base == NULL)
		skip();
	write_old(3, 0);
	command("SET " PREFIX "e:other mine");
	start();
	assert_int_equal(old_keys(), 1); /* the stranger's */
	assert_int_equal(count("events_taken_over log=redis"), 1);
	assert_int_equal(count("events_epoch"), 0);
	assert_int_equal(health(&one).newest.epoch, BEFORE_EPOCH);
	assert_int_equal(health(&one).newest.seq, 3);
	assert_int_equal(health(&one).newest.index, 1);
	assert_true(health(&one).durable);
	read_log(&one, oldest);
	assert_int_equal(one.n, 3);
	assert_old(&one, 0, 3, 1, 0, BEFORE_EPOCH);
	assert_string_equal(one.batch[0]->issuer, "demo");
	assert_int_equal(one.batch[0]->evidence, CHANGE_CRL);
	assert_int_equal(one.batch[1]->evidence, CHANGE_OCSP);
	assert_int_equal(last_octet(one.batch[0], 1), 3);
	assert_int_equal(change_now(&one.batch[2]->change[0]), CHANGE_GOOD);
	read_log(&one, second); /* who was told up to there */
	assert_false(one.gap);
	assert_int_equal(one.n, 1);
	ask_told(&one, BEFORE_SCOPE);
	assert_true(one.told.known && one.told.done == 1 && one.told.total == 1);
	assert_int_equal(one.told.this_update, 0x6b0d8234);
	/* The single change is known; it is another one at another time. */
	assert_true(command("PTTL " PREFIX "{e}:one:" BEFORE_ONE) > 2590000000);
	assert_int_equal(append_single(&one, 0), 4); /* since `left` is newer */
	assert_int_equal(append_single(&one, 0), 0);
	assert_int_equal(append_single(&one, 1), 5);
	assert_int_equal(one.end.epoch, BEFORE_EPOCH);
}

/* Without what was released behind it. */
static void a_single_change_that_was_told_before_is_not_told_again(void **state)
{
	(void)state;
	if (base == NULL)
		skip();
	write_old(3, 0);
	command("DEL " PREFIX "e:left:" BEFORE_LEFT);
	start();
	assert_int_equal(append_single(&one, 0), 0);
}

static void what_was_dropped_for_its_age_stays_dropped(void **state)
{
	const struct change_pos first = {BEFORE_EPOCH, 1, 2};

	(void)state;
	if (base == NULL)
		skip();
	write_old(5, 4);
	start();
	read_log(&one, oldest);
	assert_int_equal(one.n, 1);
	assert_old(&one, 0, 1, 5, 4, BEFORE_EPOCH);
	read_page(&one, first);
	assert_true(one.gap);
	close_node(&one);
	command("FLUSHALL");
	/* All of it. */
	write_old(5, 5);
	start();
	assert_int_equal(count("events_epoch"), 0);
	assert_int_equal(health(&one).newest.seq, 5);
	assert_int_equal(health(&one).oldest.seq, 5);
	assert_int_equal(append_single(&one, 1), 6);
	assert_int_equal(one.end.epoch, BEFORE_EPOCH);
}

/* An empty one: begun, and nothing was ever told. */
static void an_old_log_without_changes_is_taken_too(void **state)
{
	(void)state;
	if (base == NULL)
		skip();
	write_old_state(BEFORE_EPOCH, 0, 0, 0);
	write_old_keys();
	start();
	assert_int_equal(old_keys(), 0);
	assert_int_equal(health(&one).newest.epoch, BEFORE_EPOCH);
	assert_int_equal(health(&one).newest.seq, 0);
}

/* T23: whoever ends in the middle, wherever that is, is gone on from. */
static void a_takeover_that_ends_in_the_middle_is_gone_on_with(void **state)
{
	long long left = MANY;
	int ended = 0;

	(void)state;
	if (base == NULL)
		skip();
	write_old(MANY, 0);
	while (left > 0) {
		open_node(&one);
		for (int t = 0; t < 50000 && old_length() == left; t++)
			event_base_loop(base, EVLOOP_NONBLOCK);
		assert_true(old_length() < left);
		left = old_length();
		assert_int_equal(left + command("XLEN " PREFIX "{e}:log"), MANY);
		ended += left > 0;
		close_node(&one);
	}
	assert_true(ended >= 2);
	start();
	assert_int_equal(old_keys(), 0);
	assert_int_equal(count("events_epoch"), 0);
	read_log(&one, oldest);
	assert_int_equal(one.n, MANY);
	assert_old(&one, 0, MANY, 1, 0, BEFORE_EPOCH);
	ask_told(&one, BEFORE_SCOPE);
	assert_true(one.told.known);
}

static void two_nodes_take_it_over_together(void **state)
{
	(void)state;
	if (base == NULL)
		skip();
	write_old(MANY, 1000);
	open_node(&two);
	start();
	assert_true(wait_up(&two));
	assert_int_equal(old_keys(), 0);
	assert_int_equal(count("events_epoch"), 0);
	read_log(&two, oldest);
	assert_int_equal(two.n, MANY - 1000);
	assert_old(&two, 0, MANY - 1000, 1001, 1000, BEFORE_EPOCH);
}

/* T23: that version finds nothing where its log was: it begins anew there, and goes on.
 */
static void what_a_node_of_before_finds_later_is_taken_when_a_node_connects(void **state)
{
	uint8_t other[CHANGE_SCOPE_N] = {9}, b[256];
	char hex[2 * CHANGE_SCOPE_N + 1];
	const struct change_pos end = {BEFORE_EPOCH, 3, 1};

	(void)state;
	if (base == NULL)
		skip();
	write_old(3, 0);
	start();
	/* The same batches, of another life; a pointer that moved, and a new one. */
	append_old(1, 1);
	append_old(2, 0);
	write_old_state(BEFORE_EPOCH + 10, 2, 2, 0);
	command("SET " PREFIX "e:told:" BEFORE_SCOPE " x");
	hex_encode(other, sizeof other, hex);
	command("SET " PREFIX "e:told:%s %b", hex, b, unhex(BEFORE_TOLD, b, sizeof b));
	one.grown = 0;
	open_node(&two);
	assert_true(wait_up(&two));
	assert_int_equal(old_keys(), 0);
	assert_true(wait_for(&one.grown, 1));
	read_log(&one, end);
	assert_false(one.gap);
	assert_int_equal(one.n, 2);
	assert_old(&one, 0, 1, 4, 1, BEFORE_EPOCH);
	assert_old(&one, 1, 1, 5, 0, BEFORE_EPOCH);
	assert_int_equal(health(&two).newest.seq, 5);
	assert_int_equal(health(&two).newest.index, 2);
	ask_told(&one, BEFORE_SCOPE);
	assert_int_equal(one.told.this_update, 0x6b0d8234);
	ask_told(&one, hex);
	assert_true(one.told.known);
	assert_int_equal(append_single(&one, 1), 6);
	assert_int_equal(count("events_epoch"), 0);
}

/* Not by the numbers of epochs: two may have begun in one second. */
static void another_log_with_the_same_epoch_is_another_log(void **state)
{
	(void)state;
	if (base == NULL)
		skip();
	write_old(3, 0);
	start();
	append_old(1, 1);
	write_old_state(BEFORE_EPOCH, 1, 1, 0);
	open_node(&two);
	assert_true(wait_up(&two));
	read_log(&two, oldest);
	assert_int_equal(two.n, 4);
	assert_old(&two, 3, 1, 4, 1, BEFORE_EPOCH);
}

/* What Redis may have lost with a restart, or that stands wrong, is a new epoch, as it
 * was before; pointers stay. */
static void an_old_log_that_does_not_fit_is_a_new_epoch(void **state)
{
	(void)state;
	if (base == NULL)
		skip();
	write_old(3, 0);
	command("HSET " PREFIX "e:state durable 0");
	start();
	assert_int_equal(old_keys(), 0);
	assert_int_equal(count("events_epoch"), 1);
	assert_true(health(&one).newest.epoch > BEFORE_EPOCH);
	ask_told(&one, BEFORE_SCOPE);
	assert_true(one.told.known);
	close_node(&one);
	/* Its end is missing: no number is given twice. */
	command("FLUSHALL");
	write_old(3, 0);
	command("HSET " PREFIX "e:state seq 5");
	start();
	assert_int_equal(count("events_epoch"), 2);
	assert_true(health(&one).newest.epoch > BEFORE_EPOCH);
	close_node(&one);
	/* Its state cannot be read. */
	command("FLUSHALL");
	write_old(3, 0);
	command("HSET " PREFIX "e:state seq many");
	start();
	assert_int_equal(old_keys(), 0);
	assert_true(health(&one).newest.epoch > 0);
	assert_int_equal(health(&one).newest.seq, 0);
	ask_told(&one, BEFORE_SCOPE);
	assert_true(one.told.known);
}

static void batches_that_are_missing_in_an_old_log_are_missing_in_ours(void **state)
{
	const struct change_pos first = {BEFORE_EPOCH, 1, 2};

	(void)state;
	if (base == NULL)
		skip();
	write_old(4, 0);
	command("XDEL " PREFIX "e:log 2-0");
	start();
	assert_int_equal(health(&one).newest.epoch, BEFORE_EPOCH);
	read_page(&one, first);
	assert_true(one.gap);
	read_log(&one, (struct change_pos){BEFORE_EPOCH, 2, 1});
	assert_int_equal(one.n, 2);
	assert_old(&one, 0, 2, 3, 2, BEFORE_EPOCH);
}

static void keys_of_another_type_stay_and_keep_nobody(void **state)
{
	(void)state;
	if (base == NULL)
		skip();
	command("SET " PREFIX "e:log mine");
	write_old_state(BEFORE_EPOCH, 3, 1, 0);
	command("LPUSH " PREFIX "e:told:" BEFORE_SCOPE " mine");
	start();
	assert_int_equal(command("STRLEN " PREFIX "e:log"), 4);
	assert_int_equal(command("LLEN " PREFIX "e:told:" BEFORE_SCOPE), 1);
	assert_int_equal(append_single(&one, 1), 1);
	close_node(&one);
	command("FLUSHALL");
	command("SET " PREFIX "e:state mine");
	start();
	assert_int_equal(command("STRLEN " PREFIX "e:state"), 4);
	assert_int_equal(append_single(&one, 1), 1);
}

/* Full memory: told, nothing is begun, and it goes on when there is room. */
static void what_redis_refuses_is_told_and_tried_again(void **state)
{
	(void)state;
	if (base == NULL)
		skip();
	store.timeout_ms = 300; /* of which some are between two trials */
	write_old(3, 0);
	command("CONFIG SET maxmemory 1");
	open_node(&one);
	for (int t = 0; t < 5000 && !health(&one).refuses; t++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
	assert_false(health(&one).up);
	assert_non_null(strstr(health(&one).error, "OOM"));
	assert_int_equal(command("EXISTS " PREFIX "{e}:state"), 0);
	assert_int_equal(old_length(), 3);
	command("CONFIG SET maxmemory 0");
	for (int t = 0; t < 15000 && !health(&one).up; t++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
	assert_true(health(&one).up);
	assert_int_equal(health(&one).newest.epoch, BEFORE_EPOCH);
	assert_int_equal(health(&one).newest.seq, 3);
	assert_int_equal(count("events_epoch"), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(an_old_log_is_gone_on_with_as_if_it_were_ours),
	    CASE(a_single_change_that_was_told_before_is_not_told_again),
	    CASE(what_was_dropped_for_its_age_stays_dropped),
	    CASE(an_old_log_without_changes_is_taken_too),
	    CASE(a_takeover_that_ends_in_the_middle_is_gone_on_with),
	    CASE(two_nodes_take_it_over_together),
	    CASE(what_a_node_of_before_finds_later_is_taken_when_a_node_connects),
	    CASE(another_log_with_the_same_epoch_is_another_log),
	    CASE(an_old_log_that_does_not_fit_is_a_new_epoch),
	    CASE(batches_that_are_missing_in_an_old_log_are_missing_in_ours),
	    CASE(keys_of_another_type_stay_and_keep_nobody),
	    CASE(what_redis_refuses_is_told_and_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
