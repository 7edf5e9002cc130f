/* asked_keys: marks of hits, questions and garbage become messages of keys. */
#include "proxy/keeper/asked_keys.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cache/watch/inventory.h"

static struct shared shared;
static struct event_base *base;
static struct asked_collector collector;
static const struct inventory *watched;
static size_t messages, told[5000];

static struct key key_of(uint32_t n)
{
	static const uint8_t hash[CERTID_HASH_MAX] = {1};
	struct serial s = {5, {1}};
	struct key k;

	put_be(s.octets + 1, n, 4);
	key_make(&k, CERTID_SHA1, hash, hash, &s);
	return k;
}

static void on_asked(void *arg, struct msg *m)
{
	struct asked_keys *keys = (struct asked_keys *)m;

	(void)arg;
	messages++;
	assert_in_range(keys->n, 1, ASKED_KEYS);
	for (size_t i = 0; i < keys->n; i++) {
		struct serial s;

		key_serial(&keys->key[i], &s);
		told[get_be(s.octets + 1, 4)]++;
	}
	free(keys);
}

static int set_up(void **state)
{
	struct watch_list *l = watch_list_new("web", WATCH_API, 1, 0);

	(void)state;
	base = event_base_new();
	watched = inventory_with(&inventory_none, l, &watch_cas_none, &watch_points_none);
	assert_non_null(watched);
	watch_list_unref(l);
	shared = (struct shared){.hot = hot_new(4 << 20, 7), .asked_run = on_asked};
	shared.asked_to = inbox_new(base, NULL);
	atomic_store(&shared.inventory, watched);
	collector = (struct asked_collector){.shared = &shared};
	messages = 0;
	memset(told, 0, sizeof told);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	asked_collect_end(&collector);
	inbox_free(shared.asked_to);
	event_base_free(base);
	hot_free(shared.hot);
	inventory_unref(watched);
	return 0;
}

static void put(uint32_t n)
{
	struct facts f = {
	    .status = STATUS_GOOD, .next_update = 1000, .signer_not_after = INT64_MAX};
	struct key k = key_of(n);
	struct answer *a = answer_new(&k, &f, bytes_of("h", 1), bytes_of("b", 1));

	assert_non_null(a);
	assert_int_equal(hot_put(shared.hot, a), ERR_OK);
}

static void hit(uint32_t n)
{
	struct key k = key_of(n);

	hot_visit(hot_find(shared.hot, key_der(&k)));
}

static void turn(void)
{
	asked_collect_tick(&collector);
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void a_small_table_is_told_each_second(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 500; n++)
		put(n);
	for (uint32_t n = 0; n < 500; n += 5)
		hit(n);
	turn();
	assert_int_equal(messages, 1);
	for (uint32_t n = 0; n < 500; n++)
		assert_int_equal(told[n], n % 5 == 0);
	turn();
	assert_int_equal(messages, 1); /* nothing is no message */
	hit(5);
	turn();
	assert_int_equal(told[5], 2);
}

static void a_large_table_is_told_within_a_minute(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 5000; n++) {
		put(n);
		hit(n);
	}
	turn();
	assert_int_equal(hot_slots(shared.hot), 8192);
	assert_true(told[0] + told[1] + told[2] + told[3] + told[4] < 5);
	for (int s = 0; s < 60; s++)
		turn();
	for (uint32_t n = 0; n < 5000; n++)
		assert_int_equal(told[n], 1);
}

static void questions_and_garbage_are_told_too(void **state)
{
	struct key k = key_of(7), gone = key_of(8);
	struct hot_garbage *g;

	(void)state;
	put(8);
	hit(8);
	hot_remove(shared.hot, key_der(&gone));
	g = hot_garbage(shared.hot);
	asked_collect(&collector, &k);
	asked_collect_garbage(&collector, g);
	hot_garbage_free(g);
	assert_int_equal(messages, 0);
	turn();
	assert_int_equal(messages, 1);
	assert_int_equal(told[7] + told[8], 2);
	for (uint32_t n = 0; n < ASKED_KEYS + 1; n++) {
		k = key_of(1000 + n);
		asked_collect(&collector, &k);
	}
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(messages, 2); /* one is full */
	turn();
	assert_int_equal(messages, 3);
}

/* Nor is a mark cleared, which the next hit would have to set again. */
static void without_watchlists_nothing_is_collected(void **state)
{
	struct key k = key_of(7);

	(void)state;
	put(8);
	hit(8);
	atomic_store(&shared.inventory, &inventory_none);
	asked_collect(&collector, &k);
	turn();
	assert_int_equal(messages, 0);
	assert_null(collector.keys);
	atomic_store(&shared.inventory, watched);
	turn();
	assert_int_equal(told[8], 1);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_small_table_is_told_each_second),
	    T(a_large_table_is_told_within_a_minute),
	    T(questions_and_garbage_are_told_too),
	    T(without_watchlists_nothing_is_collected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
