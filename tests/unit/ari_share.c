/* ari_share, ari_redis: one node asks and another goes on from what is there, all know
 * what is noticed, and nothing of Redis is believed without its MAC.  A real Redis. */
#include "proxy/watch/ari_share.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/watch/ari_redis.h"
#include "tests/lib/real_redis.h"
#include "tests/lib/store_kit.h"

#define AT "https://acme.example/directory"

struct node {
	struct shared shared;
	struct conf conf;
	struct ari_core core;
	struct ari_saver *saver;
	char state[4400], url[4400];
	int held, lost, vanished;
	size_t saved;
	struct ari_who last;
};

static struct event_base *base;
static char *dir;
static struct mac_keys *keys;
static struct node a, b;
static redisContext *redis;

/* Turn the loop until it is so. */
#define UNTIL(what)                                                                      \
	do {                                                                             \
		for (int turns = 0; turns < 30000 && !(what); turns++) {                 \
			event_base_loop(base, EVLOOP_NONBLOCK);                          \
			usleep(1000);                                                    \
		}                                                                        \
		assert_true(what);                                                       \
	} while (0)

static void no_exec(void *arg, void (*work)(void *), void (*done)(void *), void *x)
{
	(void)arg;
	work(x);
	done(x);
}

static void on_held(void *arg, const char *directory, bool vanished)
{
	struct node *n = arg;

	assert_string_equal(directory, AT);
	n->held++;
	n->vanished += vanished;
}

static void on_lost(void *arg, const char *directory)
{
	struct node *n = arg;

	assert_string_equal(directory, AT);
	n->lost++;
}

static void on_saved(void *arg, const struct ari_who *w, size_t n)
{
	struct node *node = arg;

	node->saved += n;
	node->last = w[n - 1];
}

static void node_up(struct node *n, const char *name)
{
	char why[512] = "";
	struct ari_share_use use = {
	    .exec = {no_exec, NULL}, .held = on_held, .lost = on_lost, .arg = n};

	*n = (struct node){.saver = NULL};
	snprintf(n->state, sizeof n->state, "%s/%s", dir, name);
	mkdir(n->state, 0700);
	snprintf(n->url, sizeof n->url, "redis+unix://%s/redis", dir);
	n->conf.store = n->url;
	n->conf.store_prefix = (char *)(uintptr_t) "t:";
	n->conf.state_directory = n->state;
	n->conf.mac_keys = keys;
	n->conf.store_timeout_ms = 5000;
	n->conf.store_backoff_max_ms = 200;
	atomic_store(&n->shared.conf, &n->conf);
	n->core = (struct ari_core){.shared = &n->shared, .base = base};
	assert_int_equal(
	    ari_db_open(&n->core.db, n->state, (size_t)32 << 20, why, sizeof why),
	    ERR_OK);
	n->core.share = ari_share_new(&n->core, &use, why, sizeof why);
	if (n->core.share == NULL)
		fail_msg("%s", why);
	assert_true(ari_share_join(n->core.share, AT));
	n->saver = ari_saver_new(n->core.share, AT, on_saved, n);
	assert_non_null(n->saver);
}

/* As a kill does: the lease stays. */
static void node_down(struct node *n)
{
	ari_saver_free(n->saver);
	ari_share_free(n->core.share);
	ari_db_close(n->core.db);
	*n = (struct node){.saver = NULL};
}

/* Its turn now, and not in three seconds. */
static bool poke(struct node *n)
{
	return ari_share_join(n->core.share, AT);
}

static int setup(void **state)
{
	uint8_t octets[1][MAC_KEY_SIZE] = {{7}};
	char path[4400];

	(void)state;
	base = event_base_new();
	dir = kit_directory();
	keys = mac_keys_new((const uint8_t(*)[MAC_KEY_SIZE])octets, 1);
	assert_true(real_redis_start(dir, NULL));
	snprintf(path, sizeof path, "%s/redis", dir);
	redis = redisConnectUnix(path);
	assert_non_null(redis);
	assert_int_equal(redis->err, 0);
	node_up(&a, "a");
	UNTIL(a.held == 1);
	node_up(&b, "b");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	node_down(&a);
	node_down(&b);
	redisFree(redis);
	real_redis_stop();
	mac_keys_free(keys);
	event_base_free(base);
	kit_remove(dir);
	return 0;
}

static long long command(const char *format, ...)
{
	redisReply *r;
	long long n;
	va_list ap;

	va_start(ap, format);
	r = redisvCommand(redis, format, ap);
	va_end(ap);
	assert_non_null(r);
	assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
	n = r->integer;
	freeReplyObject(r);
	return n;
}

static struct ari_who who(uint32_t number)
{
	struct ari_who w = {.aki_n = 20, .serial.n = 4};

	memset(w.aki, 0xfb, w.aki_n);
	put_be(w.serial.octets, number, 4);
	return w;
}

static struct ari_state asked(int64_t at, bool noticed, bool untold)
{
	struct ari_state s = {.asked_at = at,
	    .next_at = at + 60,
	    .start = 5,
	    .end = 6,
	    .untold = untold,
	    .known = {.seen = true, .noticed = noticed},
	    .url = "https://ca.example/why"};

	return s;
}

/* In its own file, and no further. */
static void knows(struct node *n, uint32_t number, struct ari_state s)
{
	struct ari_row row = {.who = who(number), .state = &s};

	assert_int_equal(ari_db_put(n->core.db, &row, 1), ERR_OK);
}

static void saves(struct node *n, uint32_t number, struct ari_state s)
{
	struct ari_who w = who(number);

	knows(n, number, s);
	assert_true(ari_saver_add(n->saver, &w));
	ari_saver_go(n->saver);
}

/* asked_at, or -1 */
static int64_t has(struct node *n, uint32_t number)
{
	struct ari_who w = who(number);
	struct ari_state s;

	return ari_db_get(n->core.db, &w, &s) == ERR_OK ? s.asked_at : -1;
}

static size_t noticed(struct node *n)
{
	struct ari_who w[64];
	size_t count;

	assert_int_equal(
	    ari_db_noticed(n->core.db, bytes_of(NULL, 0), NULL, w, 64, &count), ERR_OK);
	return count;
}

static void hand_over(struct node *from, struct node *to)
{
	int held = to->held;

	ari_share_quit(from->core.share, AT);
	UNTIL(from->core.away == 0);
	UNTIL(poke(to) && to->held > held);
}

static void one_of_them_asks(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		poke(&b);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	assert_true(ari_share_holds(NULL, AT)); /* who is alone does */
	assert_true(ari_share_may_ask(a.core.share, AT));
	assert_false(ari_share_holds(b.core.share, AT));
	assert_false(ari_share_may_ask(a.core.share, "https://another.example/"));
	hand_over(&a, &b);
	assert_true(ari_share_may_ask(b.core.share, AT));
	assert_false(ari_share_may_ask(a.core.share, AT));
	/* one that was killed comes back to its own */
	node_down(&b);
	node_up(&b, "b");
	UNTIL(b.held == 1);
}

static void who_takes_it_knows_all_that_is_newer(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		saves(&a, i, asked(1000 + i, false, false));
	UNTIL(a.saved == 1000);
	assert_int_equal(command("HLEN t:{a}:s"), 1000);
	knows(&b, 3, asked(1, false, false));
	knows(&b, 4, asked(5000, false, false));
	hand_over(&a, &b);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(has(&b, i), i == 4 ? 5000 : 1000 + i);
	assert_int_equal(b.vanished, 1); /* there never was a notice */
}

static void what_is_told_is_told_for_all(void **state)
{
	struct ari_who w = who(1);
	struct ari_state s;

	(void)state;
	saves(&a, 1, asked(100, true, true));
	UNTIL(a.saved == 1);
	UNTIL(poke(&b) && noticed(&b) == 1); /* a notice, and it is untold yet */
	saves(&a, 1, asked(100, true, false));
	UNTIL(a.saved == 2);
	hand_over(&a, &b);
	assert_int_equal(ari_db_get(b.core.db, &w, &s), ERR_OK);
	assert_true(s.known.noticed && !s.untold);
	assert_int_equal(b.vanished, 0);
}

static void others_know_the_notices_in_force(void **state)
{
	struct ari_who w = who(1);

	(void)state;
	saves(&a, 1, asked(100, true, false));
	saves(&a, 2, asked(100, true, false));
	saves(&a, 3, asked(100, false, false));
	UNTIL(poke(&b) && noticed(&b) == 2);
	assert_int_equal(has(&b, 3), -1);
	saves(&a, 1, asked(200, false, false)); /* withdrawn */
	UNTIL(poke(&b) && noticed(&b) == 1);
	assert_int_equal(has(&b, 1), 200);
	/* watched no more: nobody's */
	w = who(2);
	assert_int_equal(
	    ari_db_put(a.core.db, &(struct ari_row){.who = w, .state = NULL}, 1), ERR_OK);
	assert_true(ari_saver_add(a.saver, &w));
	ari_saver_go(a.saver);
	UNTIL(poke(&b) && noticed(&b) == 0);
	assert_int_equal(command("HLEN t:{a}:s"), 2);
	assert_int_equal(command("HLEN t:{a}:n:noticed"), 0);
}

static void who_lost_the_lease_writes_nothing(void **state)
{
	(void)state;
	command("DEL t:{a}:l:%s", "ignored");
	command("EVAL %s 0", "for _, k in ipairs(redis.call('KEYS', 't:{a}:l:*')) do "
			     "redis.call('DEL', k) end return 1");
	UNTIL(poke(&b) && b.held == 1);
	assert_true(ari_share_holds(a.core.share, AT)); /* it does not know yet */
	saves(&a, 1, asked(100, true, true));
	UNTIL(a.lost == 1);
	assert_int_equal(a.saved, 0);
	assert_int_equal(command("EXISTS t:{a}:s"), 0);
	/* what it owes is saved when it asks again */
	hand_over(&b, &a);
	UNTIL(a.saved == 1);
}

static void a_state_of_another_place_is_none(void **state)
{
	static const char move[] =
	    "local v = redis.call('HGET', 't:{a}:s', ARGV[1])\n"
	    "redis.call('HSET', 't:{a}:s', ARGV[2], v)\n"
	    "redis.call('HSET', 't:{a}:n:noticed', ARGV[1], '12345678' .. v)\n"
	    "redis.call('SET', 't:{a}:n:version', '12345678')\n"
	    "return 1\n";
	uint8_t one[ARI_WHO_MAX], two[ARI_WHO_MAX];
	struct ari_who w = who(1), x = who(2);
	size_t one_n = ari_who_encode(&w, one), two_n = ari_who_encode(&x, two);

	(void)state;
	saves(&a, 1, asked(100, false, false));
	UNTIL(a.saved == 1);
	command("EVAL %s 0 %b %b", move, one, one_n, two, two_n);
	hand_over(&a, &b);
	assert_int_equal(has(&b, 1), 100);
	assert_int_equal(has(&b, 2), -1);
	saves(&b, 3, asked(300, true, false));
	UNTIL(poke(&a) && noticed(&a) == 1);
	assert_int_equal(has(&a, 3), 300);
}

static void after_a_flush_notices_are_saved_again(void **state)
{
	(void)state;
	saves(&a, 1, asked(100, true, false));
	UNTIL(a.saved == 1);
	a.vanished = 0;
	real_redis_flush();
	UNTIL(poke(&a) && a.held == 2);
	assert_int_equal(a.vanished, 1);
	assert_int_equal(a.lost, 1);
	assert_int_equal(has(&a, 1), 100);
}

static void what_redis_missed_is_saved_when_it_is_back(void **state)
{
	(void)state;
	real_redis_stop();
	saves(&a, 1, asked(100, true, true));
	UNTIL(a.core.away == 0);
	assert_int_equal(a.saved, 0);
	node_down(&b); /* it would take the lease, too */
	assert_true(real_redis_start(dir, NULL));
	UNTIL(poke(&a) && a.saved == 1);
	node_up(&b, "b");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(one_of_them_asks, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		who_takes_it_knows_all_that_is_newer, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		what_is_told_is_told_for_all, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		others_know_the_notices_in_force, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		who_lost_the_lease_writes_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		a_state_of_another_place_is_none, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		after_a_flush_notices_are_saved_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		what_redis_missed_is_saved_when_it_is_back, setup, teardown),
	};

	if (!real_redis_is_installed())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
