/* 73-watched: what is watched and revoked already: of a first list, and as others have
 * made batches of it. */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/tell_world.h"

static int watched_begin(void **state)
{
	watched_every = 100;
	return tell_begin(state);
}

static int watched_end(void **state)
{
	watched_every = 0;
	return tell_end(state);
}

/* Of [from, to), each that is watched, once, and no others. */
static void expect_watched(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		if (count[i] != (i % watched_every == 0))
			fail_msg("%u is in the log %d times", i, count[i]);
}

/* The first list. */

/* R72: nothing is told but what is watched, and the cut is the list's. */
static void a_first_list_tells_what_is_watched(void **state)
{
	struct node *n = &node[0];
	size_t before;

	(void)state;
	tell_list(n, NULL, &B);
	tell_turn();
	assert_int_equal(n->done, 1);
	assert_int_equal(n->outcome, ERR_OK);
	expect_told('B', 4, 4);
	assert_in_range(look(), 3, 4);
	expect_watched(B.from, B.to);
	for (size_t i = 0; i < held.n; i++) {
		const struct change_batch *b = held.batch[i];

		assert_int_equal(b->kind, CHANGE_WATCHED);
		assert_string_equal(b->watchlist, "");
		assert_string_equal(b->issuer, "demo");
		assert_int_equal(b->evidence, CHANGE_CRL);
		assert_int_equal(b->number[CRL_NUMBER_MAX - 1], 'B');
		for (uint32_t c = 0; c < b->n; c++) {
			assert_int_equal(change_now(&b->change[c]), CHANGE_REVOKED);
			assert_int_equal(change_before(&b->change[c]), CHANGE_NONE);
		}
	}
	assert_int_equal(n->news_n, held.n);
	expect_news_whole(n);
	before = held.n;
	tell_list(n, NULL, &B); /* after a restart that knows no better */
	tell_turn();
	assert_int_equal(n->done, 2);
	assert_int_equal(look(), before);
	forget();
}

/* Batches without anything to tell cost nothing. */
static void what_has_nothing_to_tell_is_leapt_over(void **state)
{
	struct crl large = {'L', 1, 200001, 1};
	struct node *n = &node[0];

	(void)state;
	watched_every = 150000;
	tell_list(n, NULL, &large);
	tell_turn();
	assert_int_equal(n->done, 1);
	expect_told('L', 20, 20);
	assert_true(n->gate->appends <= 2);
	assert_int_equal(look(), 1);
	assert_int_equal(count[150000], 1);
	forget();
}

/* T23: kill -9 behind the k-th call, done or not: each is in the log once. */
static void killed_anywhere_a_first_list_is_told_once(void **state)
{
	struct node *n = &node[0];

	for (int k = 0; k < 7; k++) {
		for (int heard = 0; heard < 2; heard++) {
			if (k + heard > 0) {
				watched_end(state);
				watched_begin(state);
			}
			n->gate->slow = true;
			tell_list(n, NULL, &B);
			for (int i = 0; i < k; i++) {
				tell_turn();
				gate_pass(n->gate);
			}
			tell_turn();
			if (!heard) {
				n->gate->deaf = true;
				gate_pass(n->gate);
			}
			again(n);
			tell_list(n, NULL, &B);
			tell_elapse(3000);
			assert_int_equal(n->done, 1);
			expect_told('B', 4, 4);
			assert_in_range(look(), 3, 4);
			expect_watched(B.from, B.to);
			forget();
		}
	}
}

static void a_first_list_waits_for_a_log_that_is_away(void **state)
{
	struct teller_health h;
	struct node *n = &node[0];

	(void)state;
	n->gate->down = ERR_STORE;
	tell_list(n, NULL, &B);
	tell_elapse(30000);
	teller_health(n->teller, &h);
	assert_int_equal(h.waiting, 301);
	n->gate->down = ERR_OK;
	n->gate->fail_next = 3;
	tell_elapse(20000);
	assert_int_equal(n->done, 1);
	teller_health(n->teller, &h);
	assert_int_equal(h.waiting, 0);
	look();
	expect_watched(B.from, B.to);
	forget();
}

/* R72: what a latch told is not told again, and what it has not told is, once. */
static void what_a_latch_has_told_the_first_list_leaves_out(void **state)
{
	struct node *n = &node[0];

	(void)state;
	latch(n, 200, false);
	latch(n, 300, true);
	tell_list(n, NULL, &B);
	tell_turn();
	look();
	assert_int_equal(count[200], 0);
	assert_int_equal(count[300], 1);
	assert_int_equal(count[400], 1);
	again(n);
	teller_start(n->teller);
	tell_turn();
	look();
	assert_int_equal(count[300], 1);
	forget();
}

/* A node that has nothing of it to tell does not wait for the one that has, and leaves no
 * gap; its pointer is no end for who has. */
static void nodes_that_watch_nothing_are_in_nobodys_way(void **state)
{
	struct node *one = &node[0], *two = &node[1];

	(void)state;
	one->gate->shared = two->gate->shared = true;
	one->gate->slow = true;
	tell_list(one, NULL, &B);
	for (int i = 0; i < 2; i++) {
		tell_turn();
		gate_pass(one->gate);
	}
	watched_every = 0;
	tell_list(two, NULL, &B); /* begun by the other one */
	tell_elapse(1000);
	assert_int_equal(two->done, 1);
	assert_int_equal(two->gate->epochs, 0);
	watched_every = 100;
	again(one); /* it died; who watches the same goes on */
	tell_list(two, NULL, &B);
	tell_elapse(10000);
	assert_int_equal(two->done, 2);
	expect_told('B', 4, 4);
	look();
	expect_watched(B.from, B.to);
	forget();
}

static void a_pointer_without_batches_is_begun_from(void **state)
{
	struct node *one = &node[0], *two = &node[1];

	(void)state;
	one->gate->shared = two->gate->shared = true;
	watched_every = 0;
	tell_list(one, NULL, &B);
	tell_turn();
	expect_told('B', 0, 0);
	watched_every = 100;
	tell_list(two, NULL, &B);
	tell_elapse(1000);
	assert_int_equal(two->done, 1);
	assert_int_equal(two->gate->epochs, 0);
	expect_told('B', 4, 4);
	look();
	expect_watched(B.from, B.to);
	forget();
}

/* Batches of others. */

struct asked {
	struct teller_batch ask; /* first */
	int answered;
};

static void on_answer(void *inbox_arg, struct question *q)
{
	struct asked *a = (struct asked *)q;

	(void)inbox_arg;
	a->answered++;
}

static void on_scope(void *inbox_arg, struct question *q)
{
	(void)inbox_arg, (void)q;
}

/* Certificates [from, from + n) that "fleet" has gained. */
static void append_new(struct node *n, struct asked *a, uint32_t from, uint32_t count_of)
{
	struct change_batch *b = change_batch_new(count_of);

	b->kind = CHANGE_WATCHED;
	strcpy(b->issuer, "demo");
	strcpy(b->watchlist, "fleet");
	b->evidence = CHANGE_CRL;
	b->seen_at_ms = tell_now_ms;
	b->n = count_of;
	for (uint32_t i = 0; i < count_of; i++) {
		struct serial s = serial_of(from + i);

		crl_entry_set_serial(&b->change[i].entry, &s);
		b->change[i].entry.spare[0] = CHANGE_REVOKED;
		b->change[i].entry.spare[1] = CHANGE_NONE;
	}
	*a = (struct asked){.ask = {.teller = n->teller, .batch = b}};
	a->ask.question.reply_to = inbox;
	a->ask.question.done = on_answer;
}

static void ask(struct asked *a)
{
	question_ask(&a->ask.question, inbox, teller_append);
}

static void append(struct node *n, struct asked *a, uint32_t from, uint32_t count_of)
{
	append_new(n, a, from, count_of);
	ask(a);
}

static void drop(struct asked *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		change_batch_unref(a[i].ask.batch);
}

/* Durable, told, answered; also what was told of the same certificate before, on a log
 * that several nodes share. */
static void a_batch_is_answered_when_it_is_durable(void **state)
{
	struct node *n = &node[0];
	struct asked a[3];

	(void)state;
	n->gate->shared = true;
	tell_revoked(n, 7, true);
	n->gate->slow = true;
	append(n, &a[0], 7, 2);
	append(n, &a[1], 30, 1);
	append(n, &a[2], 40, 1000);
	tell_turn();
	assert_int_equal(a[0].answered + a[1].answered + a[2].answered, 0);
	while (gate_pass(n->gate))
		tell_turn();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(a[i].answered, 1);
		assert_int_equal(a[i].ask.error, ERR_OK);
	}
	assert_int_equal(look(), 4);
	expect_count(30, 31, 1);
	expect_count(40, 1040, 1);
	assert_int_equal(count[7], 2);
	assert_string_equal(held.batch[1]->watchlist, "fleet");
	assert_int_equal(n->news_n, 4);
	expect_news_whole(n);
	forget();
	drop(a, 3);
}

/* Notices, say: two nodes have the same to tell of a scope. */
static void a_batch_of_a_scope_is_told_by_one_node(void **state)
{
	static const uint8_t scope[CHANGE_SCOPE_N] = {9};
	struct teller_scope far = {.teller = node[1].teller};
	struct asked a[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		append_new(&node[i % 2], &a[i], 10, 5);
		a[i].ask.scope = scope;
		a[i].ask.next = (struct change_told){.known = true, .total = 1};
	}
	/* the third one goes on behind the first, and only moves the pointer */
	change_batch_unref(a[2].ask.batch);
	a[2].ask.batch = NULL;
	a[2].ask.expect = a[0].ask.next;
	a[2].ask.next.done = 1;
	for (int i = 0; i < 3; i++) {
		ask(&a[i]);
		tell_elapse(10);
		assert_int_equal(a[i].answered, 1);
	}
	assert_int_equal(a[0].ask.error, ERR_OK);
	assert_int_equal(a[1].ask.error, ERR_CONFLICT);
	assert_int_equal(a[2].ask.error, ERR_OK);
	look();
	expect_count(10, 15, 1);
	memcpy(far.scope, scope, sizeof far.scope);
	far.question.reply_to = inbox;
	far.question.done = on_scope;
	question_ask(&far.question, inbox, teller_scope_ask);
	tell_elapse(10);
	assert_int_equal(far.error, ERR_OK);
	assert_true(change_told_equal(&far.told, &a[2].ask.next));
	forget();
	drop(a, 2);
}

/* Second law. */
static void a_batch_waits_for_every_reader(void **state)
{
	struct event_base *other = event_base_new();
	struct inbox *reader = inbox_new(other, NULL);
	struct node *n = &node[0];
	struct asked a;

	(void)state;
	n->shared.readers[0] = reader;
	n->shared.readers_n = 1;
	append(n, &a, 1, 1);
	tell_elapse(1000);
	assert_int_equal(look(), 0);
	event_base_loop(other, EVLOOP_NONBLOCK);
	tell_elapse(10);
	assert_int_equal(look(), 1);
	assert_int_equal(a.answered, 1);
	forget();
	n->shared.readers_n = 0;
	inbox_free(reader);
	event_base_free(other);
	drop(&a, 1);
}

/* T23: held back with the others, and told when the log is there. */
static void batches_wait_for_a_log_that_is_away(void **state)
{
	struct node *n = &node[0];
	struct teller_health h;
	struct asked a[100];

	(void)state;
	n->gate->down = ERR_STORE;
	for (uint32_t i = 0; i < 100; i++)
		append(n, &a[i], 10 * i, 10);
	tell_elapse(60000);
	teller_health(n->teller, &h);
	assert_int_equal(h.waiting, 1000);
	assert_true(h.waiting_ms >= 50000 || h.why == ERR_STORE);
	assert_in_range(n->gate->appends, 10, 40 * 16);
	n->gate->down = ERR_OK;
	tell_elapse(6000);
	teller_health(n->teller, &h);
	assert_int_equal(h.waiting, 0);
	assert_int_equal(look(), 100);
	expect_count(0, 1000, 1);
	for (int i = 0; i < 100; i++)
		assert_int_equal(a[i].answered, 1);
	forget();
	drop(a, 100);
}

/* Answered at once, but for what the log has: that comes back with what it says. */
static void batches_are_cancelled(void **state)
{
	struct node *n = &node[0];
	struct asked a[20], late;

	(void)state;
	n->gate->slow = true;
	for (uint32_t i = 0; i < 20; i++)
		append(n, &a[i], i, 1);
	tell_turn();
	assert_int_equal(n->gate->appends, 16);
	teller_cancel(n->teller);
	append(n, &late, 50, 1);
	tell_turn();
	assert_int_equal(late.answered, 1);
	assert_int_equal(late.ask.error, ERR_CANCELLED);
	gate_pass(n->gate);
	n->gate->down = ERR_STORE;
	while (gate_pass(n->gate))
		tell_turn();
	tell_elapse(10000);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(a[i].answered, 1);
		assert_int_equal(a[i].ask.error, i == 0 ? ERR_OK : ERR_CANCELLED);
	}
	assert_int_equal(look(), 1);
	forget();
	drop(a, 20);
	drop(&late, 1);
}

/* Killed in the barrier, and at the log: nobody is called. */
static void what_dies_with_the_teller_is_not_answered(void **state)
{
	struct event_base *other = event_base_new();
	struct inbox *reader = inbox_new(other, NULL);
	struct node *n = &node[0];
	struct asked a[2];

	(void)state;
	n->gate->slow = true;
	append(n, &a[0], 1, 1);
	tell_turn();
	n->shared.readers[0] = reader;
	n->shared.readers_n = 1;
	append(n, &a[1], 2, 1);
	tell_turn();
	teller_free(n->teller);
	n->gate = gate_new(memory);
	n->teller = teller_new(&n->context, n->latches, n->latch_file, &n->gate->log);
	n->shared.readers_n = 0;
	inbox_free(reader); /* the probe comes back */
	event_base_free(other);
	tell_elapse(1000);
	assert_int_equal(a[0].answered + a[1].answered, 0);
	assert_int_equal(look(), 0);
	forget();
	drop(a, 2);
}

#define WATCHED(name) cmocka_unit_test_setup_teardown(name, watched_begin, watched_end)

int main(void)
{
	const struct CMUnitTest cases[] = {
	    WATCHED(a_first_list_tells_what_is_watched),
	    WATCHED(what_has_nothing_to_tell_is_leapt_over),
	    WATCHED(killed_anywhere_a_first_list_is_told_once),
	    WATCHED(a_first_list_waits_for_a_log_that_is_away),
	    WATCHED(what_a_latch_has_told_the_first_list_leaves_out),
	    WATCHED(nodes_that_watch_nothing_are_in_nobodys_way),
	    WATCHED(a_pointer_without_batches_is_begun_from),
	    WATCHED(a_batch_is_answered_when_it_is_durable),
	    WATCHED(a_batch_of_a_scope_is_told_by_one_node),
	    WATCHED(a_batch_waits_for_every_reader),
	    WATCHED(batches_wait_for_a_log_that_is_away),
	    WATCHED(batches_are_cancelled),
	    WATCHED(what_dies_with_the_teller_is_not_answered),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
