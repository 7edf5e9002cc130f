/* 72-lists: the changes of lists, and what answers and latches had told of them. */
#include "tests/lib/tell_world.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/base/alarms.h"

/* Lists. */

/* R72 */
static void the_changes_of_a_list_are_in_the_log_batch_by_batch(void **state)
{
	struct node *n = &node[0];
	uint32_t before = 0;

	(void)state;
	tell_list(n, NULL, &A);
	tell_turn();
	assert_int_equal(n->done, 1);
	assert_int_equal(look(), 0); /* a baseline makes no changes */
	expect_told('A', 0, 0);
	tell_list(n, &A, &B);
	assert_int_equal(n->done, 1); /* done comes from the loop */
	tell_turn();
	assert_int_equal(n->done, 2);
	assert_int_equal(n->outcome, ERR_OK);
	expect_told('B', 3, 3);
	assert_int_equal(look(), 3);
	expect_count(10, 30010, 1);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(held.batch[i]->n, 10000);
		assert_int_equal(held.batch[i]->evidence, CHANGE_CRL);
		assert_true(held.batch[i]->has_number);
		assert_int_equal(held.batch[i]->number[CRL_NUMBER_MAX - 1], 'B');
		assert_int_equal(held.batch[i]->published_at, WORLD_START - 1000 + 'B');
		before += held.batch[i]->n;
	}
	assert_int_equal(metrics_sum(M_CHANGES_CRL), before);
	tell_list(n, &B, &B); /* again, as after a restart */
	tell_turn();
	assert_int_equal(n->done, 3);
	assert_int_equal(look(), 3);
	forget();
}

/* A list without changes moves the pointer alone. */
static void a_list_that_says_nothing_new_is_told_by_the_pointer(void **state)
{
	struct crl same = {'C', 0, 10, 1};

	(void)state;
	tell_list(&node[0], NULL, &A);
	tell_turn();
	tell_list(&node[0], &A, &same);
	tell_turn();
	assert_int_equal(node[0].done, 2);
	expect_told('C', 0, 0);
	assert_int_equal(look(), 0);
	forget();
}

/* T23: kill -9 behind the k-th call, done or not: each batch is in the log once. */
static void killed_anywhere_a_list_is_told_once(void **state)
{
	struct node *n = &node[0];

	for (int k = 0; k < 8; k++) {
		for (int heard = 0; heard < 2; heard++) {
			if (k + heard > 0) {
				tell_end(state);
				tell_begin(state);
			}
			set_told('0', 'A', 0, 0);
			n->gate->slow = true;
			tell_list(n, &A, &B);
			for (int i = 0; i < k; i++) {
				tell_turn();
				gate_pass(n->gate);
			}
			tell_turn();
			if (!heard) { /* done, and then nobody hears of it */
				n->gate->deaf = true;
				gate_pass(n->gate);
			}
			again(n);
			tell_list(n, &A, &B);
			tell_elapse(3000);
			assert_int_equal(n->done, 1);
			expect_told('B', 3, 3);
			assert_int_equal(look(), 3);
			expect_count(10, 30010, 1);
		}
	}
	forget();
}

/* A store that did it and answered too late. */
static void an_append_that_timed_out_is_not_repeated(void **state)
{
	struct node *n = &node[0];

	(void)state;
	set_told('0', 'A', 0, 0);
	n->gate->shared = true;
	n->gate->deaf = true;
	tell_list(n, &A, &B);
	tell_elapse(60);
	n->gate->deaf = false;
	tell_elapse(1000);
	assert_int_equal(n->done, 1);
	assert_int_equal(look(), 3);
	expect_count(10, 30010, 1);
	/* the API has them all the same */
	teller_grown(n->teller);
	tell_turn();
	assert_int_equal(n->news_n, 3);
	expect_news_whole(n);
	forget();
}

/* The files of the state directory are gone, the log is not: a gap, and it is told. */
static void without_a_base_and_alone_there_is_a_gap(void **state)
{
	struct node *n = &node[0];
	uint32_t epoch;

	(void)state;
	tell_revoked(n, 1, true);
	tell_turn();
	assert_int_equal(n->news_n, 1);
	epoch = n->news[0].end.epoch;
	set_told('0', 'A', 0, 0);
	tell_list(n, NULL, &B);
	tell_turn();
	assert_int_equal(n->done, 1);
	expect_told('B', 0, 0);
	assert_int_equal(n->news_n, 2);
	assert_true(n->news[1].gap);
	assert_true(n->news[1].end.epoch > epoch);
	tell_list(n, NULL, &B); /* lost again: there is nothing to be told */
	tell_turn();
	assert_int_equal(n->done, 2);
	assert_int_equal(n->gate->epochs, 1);
}

/* T23: a node that has lost what it told does not believe that nothing was. */
static void what_was_told_and_is_lost_is_a_gap(void **state)
{
	struct metrics_text t = {0};
	struct node *n = &node[0];

	(void)state;
	lost = true;
	tell_list(n, NULL, &A); /* the log knows nothing of the scope */
	tell_turn();
	assert_int_equal(n->done, 1);
	assert_int_equal(n->gate->epochs, 1);
	expect_told('A', 0, 0);
	n->gate->down = ERR_STORE;
	tell_list(n, NULL, &B);
	tell_turn();
	n->gate->down = ERR_OK;
	n->gate->shared = true;
	tell_elapse(6000);
	teller_gauges(n->teller, &t);
	assert_non_null(strstr(t.p, "\nocspcached_changes_waiting 1\n")); /* the gap */
	free(t.p);
	tell_elapse(6000);
	assert_int_equal(n->gate->epochs, 2);
	expect_told('B', 0, 0);
	tell_list(n, NULL, &B); /* all of it is told */
	tell_turn();
	assert_int_equal(n->gate->epochs, 2);
	assert_int_equal(n->done, 3);
	lost = false;
}

/* A log that takes the one and not the other is not up again with every one that it
 * takes: both are told, and each until it is over. */
static void a_list_that_the_log_does_not_take_is_told_of(void **state)
{
	struct node *n = &node[0];
	char *text;

	(void)state;
	n->gate->fail_scoped = true;
	log_begin();
	tell_list(n, &A, &B);
	tell_turn();
	for (uint32_t i = 1; i < 61; i++) {
		tell_revoked(n, i, true);
		tell_elapse(1000);
	}
	n->gate->fail_scoped = false;
	assert_false(alarm_raise(ALARM_LOG_DOWN, "", "changes", "still"));
	tell_elapse(6000);
	assert_false(alarm_clear(ALARM_LOG_DOWN, "", "changes"));
	assert_false(alarm_clear(ALARM_LOG_DOWN, "", "change log"));
	text = log_end();
	assert_int_equal(occurrences(text, "event=changes_held_back"), 1);
	assert_int_equal(
	    occurrences(text, "event=changes_not_told of=demo err=store"), 1);
	assert_int_equal(occurrences(text, "event=changes_flow_again"), 1);
	free(text);
	assert_int_equal(n->done, 1);
}

static void a_list_waits_for_a_log_that_is_away(void **state)
{
	struct node *n = &node[0];

	(void)state;
	set_told('0', 'A', 0, 0);
	n->gate->down = ERR_STORE;
	tell_list(n, &A, &B);
	tell_elapse(60000);
	assert_int_equal(n->done, 0);
	assert_in_range(n->gate->told, 10, 40);
	n->gate->down = ERR_OK;
	n->gate->fail_next = 3;
	tell_elapse(20000);
	assert_int_equal(n->done, 1);
	assert_int_equal(look(), 3);
	expect_count(10, 30010, 1);
	forget();
}

static void a_cancelled_list_ends_once(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->slow = true;
	tell_list(n, &A, &B);
	tell_turn();
	gate_pass(n->gate);
	tell_turn();
	gate_pass(n->gate);
	teller_cancel(n->teller);
	assert_int_equal(n->done, 1);
	assert_int_equal(n->outcome, ERR_CANCELLED);
	while (gate_pass(n->gate))
		tell_turn();
	assert_int_equal(n->done, 1);
	tell_list(n, &A, &B);
	tell_turn();
	assert_int_equal(n->done, 2);
	assert_int_equal(n->outcome, ERR_CANCELLED);
	tell_revoked(n, 1, true); /* singles still go */
	tell_turn();
	gate_pass(n->gate);
	look();
	assert_int_equal(count[1], 1);
	forget();
}

/* Freed while the barrier still has it, in either order. */
static void it_may_end_inside_a_barrier(void **state)
{
	struct event_base *other = event_base_new();
	struct inbox *reader = inbox_new(other, NULL);
	struct node *n = &node[0];

	(void)state;
	n->shared.readers[0] = reader;
	n->shared.readers_n = 1;
	tell_revoked(n, 1, true);
	tell_list(n, &A, &B);
	tell_turn();
	teller_cancel(n->teller);
	assert_int_equal(n->outcome, ERR_CANCELLED);
	teller_free(n->teller);
	event_base_loop(other, EVLOOP_NONBLOCK);
	tell_turn();
	n->gate = gate_new(memory);
	n->teller = teller_new(&n->context, n->latches, n->latch_file, &n->gate->log);
	tell_revoked(n, 2, true);
	tell_list(n, &A, &B);
	n->shared.readers_n = 0;
	inbox_free(reader); /* the probe comes back, and what waits is done */
	tell_turn();
	assert_int_equal(look(), 4);
	forget();
	event_base_free(other);
}

/* The filter. */

static void hold_in_memory(struct node *n, uint32_t i, int64_t obtained_at)
{
	struct facts f = {.status = STATUS_REVOKED,
	    .reason = REASON_CERTIFICATE_HOLD,
	    .next_update = tell_now_ms / 1000 + 1000,
	    .signer_not_after = INT64_MAX};
	struct serial s = serial_of(i);
	struct answer *a;
	struct key k;

	issuer_key(demo(), 0, CERTID_SHA256, &s, &k);
	a = answer_new(&k, &f, bytes_of("h", 1), bytes_of("b", 1));
	a->expiry = facts_expiry(&f);
	a->obtained_at = obtained_at;
	assert_int_equal(hot_put(n->shared.hot, a), ERR_OK);
}

/* R72: a second evidence for the same status is no change. */
static void what_was_told_before_is_not_told_by_the_list(void **state)
{
	struct crl holds = {'B', 0, 100, REASON_CERTIFICATE_HOLD};
	struct node *n = &node[0];
	struct latch listed;

	(void)state;
	set_told('0', 'A', 0, 0);
	latch(n, 20, false);           /* told */
	latch(n, 21, true);            /* not yet */
	listed = *latch(n, 22, false); /* left to the list */
	((struct latch *)(uintptr_t)latches_find(n->latches, demo(), &listed.serial))
	    ->listed = true;
	hold_in_memory(n, 30, tell_now_ms / 1000 - 10); /* told when it came */
	hold_in_memory(n, 31, tell_now_ms / 1000 - 4);  /* came when a list said so */
	tell_list(n, &A, &holds);
	tell_turn();
	assert_int_equal(n->done, 1);
	look();
	assert_int_equal(count[20], 0);
	assert_int_equal(count[21], 1);
	assert_int_equal(count[22], 1);
	assert_int_equal(count[30], 0);
	assert_int_equal(count[31], 1);
	expect_count(32, 100, 1);
	again(n); /* and the mark is gone from the disk */
	teller_start(n->teller);
	tell_turn();
	look();
	assert_int_equal(count[21], 1);
	forget();
}

/* A latch whose change waits in memory is told by the list, and not by both. */
static void a_latch_that_waits_is_told_by_who_comes_first(void **state)
{
	struct node *n = &node[0];

	(void)state;
	set_told('0', 'A', 0, 0);
	n->gate->down = ERR_STORE;
	tell_revoked(n, 50, true);
	tell_elapse(10000); /* begun: it stays with the single change */
	n->gate->down = ERR_OK;
	tell_list(n, &A, &B);
	tell_elapse(10000);
	assert_int_equal(n->done, 1);
	look();
	assert_int_equal(count[50], 1);

	n->gate->slow = true;
	for (uint32_t i = 0; i < 64; i++) /* all that may be in flight */
		tell_revoked(n, 40000 + i, false);
	tell_revoked(n, 30500, true); /* waits behind them */
	n->gate->slow = false;
	tell_list(n, &B, &(struct crl){'C', 0, 31000, 1});
	tell_turn();
	assert_int_equal(n->done, 2);
	while (gate_pass(n->gate))
		tell_turn();
	look();
	assert_int_equal(count[30500], 1);
	expect_count(40000, 40064, 1);
	forget();
}

/* What an append took and could not tell is in the next one, whoever moved meanwhile. */
static void what_a_failed_append_took_is_not_lost(void **state)
{
	struct node *n = &node[0];
	struct latch listed;

	(void)state;
	set_told('0', 'A', 0, 0);
	latch(n, 21, true);
	listed = *latch(n, 22, false);
	((struct latch *)(uintptr_t)latches_find(n->latches, demo(), &listed.serial))
	    ->listed = true;
	n->gate->fail_next = 1;
	tell_list(n, &A, &B);
	tell_elapse(10000);
	assert_int_equal(n->done, 1);
	look();
	expect_count(10, 30010, 1);
	forget();
}

/* While a latch or an answer says revoked, leaving the list is no move. */
static void who_is_revoked_elsewhere_is_not_released(void **state)
{
	struct crl holds = {'A', 0, 100, REASON_CERTIFICATE_HOLD};
	struct crl none = {'B', 0, 0, 0};
	struct node *n = &node[0];
	bool released[100] = {0};

	(void)state;
	set_told('0', 'A', 0, 0);
	latch(n, 20, false);
	hold_in_memory(n, 30, tell_now_ms / 1000 + 1);
	tell_list(n, &holds, &none);
	tell_turn();
	assert_int_equal(look(), 1);
	for (uint32_t i = 0; i < held.batch[0]->n; i++) {
		assert_int_equal(change_now(&held.batch[0]->change[i]), CHANGE_GOOD);
		released[number_of(&held.batch[0]->change[i])] = true;
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(released[i], i != 20 && i != 30);
	forget();
}

/* R72: what another list of the issuer says already is nobody's news, and moves no
 * boundary. */
static void what_another_list_says_is_not_told(void **state)
{
	struct node *n = &node[0];

	(void)state;
	set_told('0', 'A', 0, 0);
	moot = 12000;
	tell_list(n, &A, &B);
	moot = 0;
	tell_turn();
	assert_int_equal(n->done, 1);
	expect_told('B', 3, 3);
	assert_int_equal(look(), 2);
	assert_int_equal(held.batch[0]->n, 8000);
	for (uint32_t i = 0; i < held.batch[0]->n; i++)
		assert_int_equal(crl_entry_shard(&held.batch[0]->change[i].entry), 0);
	forget();
}

/* Another node goes on by the diff: an emptied batch still moves the pointer. */
static void the_filter_moves_no_boundary(void **state)
{
	struct node *n = &node[0];
	struct crl old = {'A', 0, 0, 1}, new = {'B', 0, 25000, 1};
	struct latch *l = calloc(25000, sizeof *l);

	(void)state;
	set_told('0', 'A', 0, 0);
	for (uint32_t i = 0; i < 25000; i++) {
		l[i] = (struct latch){.serial = serial_of(i), .reason = 1};
		memcpy(l[i].ca_id, demo()->ca[0].id, 32);
		assert_int_equal(latches_add(n->latches, &l[i], NULL), ERR_OK);
	}
	free(l);
	tell_list(n, &old, &new);
	tell_turn();
	assert_int_equal(n->done, 1);
	expect_told('B', 3, 3);
	assert_int_equal(look(), 0);
	forget();
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    CASE(the_changes_of_a_list_are_in_the_log_batch_by_batch),
	    CASE(a_list_that_says_nothing_new_is_told_by_the_pointer),
	    CASE(killed_anywhere_a_list_is_told_once),
	    CASE(an_append_that_timed_out_is_not_repeated),
	    CASE(without_a_base_and_alone_there_is_a_gap),
	    CASE(what_was_told_and_is_lost_is_a_gap),
	    CASE(a_list_that_the_log_does_not_take_is_told_of),
	    CASE(a_list_waits_for_a_log_that_is_away),
	    CASE(a_cancelled_list_ends_once),
	    CASE(it_may_end_inside_a_barrier),
	    CASE(what_was_told_before_is_not_told_by_the_list),
	    CASE(a_latch_that_waits_is_told_by_who_comes_first),
	    CASE(what_a_failed_append_took_is_not_lost),
	    CASE(who_is_revoked_elsewhere_is_not_released),
	    CASE(what_another_list_says_is_not_told),
	    CASE(the_filter_moves_no_boundary),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
