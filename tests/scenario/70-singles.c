/* 70-singles: changes that came with answers, and the teller's upkeep. */
#include "cache/held/latch_file.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/tell_world.h"

/* Single changes. */

/* R72 */
static void a_single_change_is_in_the_log_as_the_answer_said(void **state)
{
	const struct change_batch *b;

	(void)state;
	tell_revoked(&node[0], 7, true);
	assert_int_equal(look(), 1);
	b = held.batch[0];
	assert_string_equal(b->issuer, "demo");
	assert_int_equal(b->evidence, CHANGE_OCSP);
	assert_false(b->has_number);
	assert_int_equal(b->seen_at_ms, tell_now_ms);
	assert_int_equal(b->published_at, tell_now_ms / 1000 - 5);
	assert_int_equal(b->n, 1);
	assert_int_equal(number_of(&b->change[0]), 7);
	assert_int_equal(change_now(&b->change[0]), CHANGE_REVOKED);
	assert_int_equal(change_before(&b->change[0]), CHANGE_GOOD);
	assert_int_equal(crl_entry_at(&b->change[0].entry), tell_now_ms / 1000 - 60);
	assert_int_equal(crl_entry_reason(&b->change[0].entry), 1);
	assert_int_equal(metrics_sum(M_CHANGES_OCSP), 1);
	forget();
}

/* Second law: a reader that has not turned may still serve the old status. */
static void nothing_is_told_before_every_reader_has_turned(void **state)
{
	struct event_base *other = event_base_new();
	struct inbox *reader = inbox_new(other, NULL);

	(void)state;
	node[0].shared.readers[0] = reader;
	node[0].shared.readers_n = 1;
	tell_revoked(&node[0], 1, true);
	tell_list(&node[0], &A, &B);
	tell_revoked(&node[0], 2, true);
	tell_revoked(&node[0], 3, true);
	tell_elapse(1000);
	assert_int_equal(look(), 0);
	event_base_loop(other, EVLOOP_NONBLOCK);
	tell_elapse(10);
	assert_int_equal(look(), 1); /* all others are for the next rounds */
	for (int i = 0; i < 2; i++) {
		event_base_loop(other, EVLOOP_NONBLOCK);
		tell_elapse(10);
	}
	assert_int_equal(look(), 6);
	assert_int_equal(count[2], 1);
	assert_int_equal(count[3], 1);
	forget();
	node[0].shared.readers_n = 0;
	inbox_free(reader);
	event_base_free(other);
}

/* T23: held back, tried again with back-off, and in the end all there. */
static void a_log_that_is_away_holds_changes_back_and_drops_none(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->down = ERR_STORE;
	for (uint32_t i = 0; i < 300; i++)
		tell_revoked(n, i, i % 2 == 0);
	tell_elapse(60000);
	assert_int_equal(look(), 0);
	/* 100 ms, 200 ms, ... 5 s and then about fourteen times a minute at most twice
	 * as often by chance; 64 a time */
	assert_in_range(n->gate->appends, 10, 30 * 64);
	n->gate->down = ERR_OK;
	tell_elapse(5000);
	assert_int_equal(look(), 300);
	expect_count(0, 300, 1);
	for (size_t i = 0; i < 300; i++)
		assert_int_equal(number_of(&held.batch[i]->change[0]), i);
	forget();
}

/* P37: the moves of one certificate are in the log in their order, whatever fails. */
static void the_moves_of_a_certificate_keep_their_order(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->slow = true;
	for (int round = 0; round < 20; round++) {
		tell_revoked(n, 1, false);
		tell_revoked(n, 2, false);
		tell_released(n, 1);
	}
	for (int i = 0; i < 2000; i++) {
		if (i < 500 && i % 3 == 0)
			n->gate->fail_next = 1;
		gate_pass(n->gate);
		tell_elapse(50);
	}
	assert_int_equal(look(), 60);
	for (size_t i = 0, last = CHANGE_GOOD; i < held.n; i++) {
		const struct change *c = &held.batch[i]->change[0];

		if (number_of(c) != 1)
			continue;
		assert_int_not_equal(change_now(c), last);
		last = change_now(c);
	}
	assert_int_equal(count[2], 20);
	forget();
}

/* T23: killed between the latch and the log, the next life tells it, once. */
static void latches_that_were_not_told_are_told_at_the_start(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->slow = true;
	tell_revoked(n, 5, true);
	latch(n, 6, false); /* was told long ago */
	again(n);
	assert_int_equal(look(), 0);
	teller_start(n->teller);
	tell_turn();
	assert_int_equal(look(), 1);
	assert_int_equal(count[5], 1);
	again(n);
	teller_start(n->teller);
	tell_turn();
	assert_int_equal(look(), 1);
	forget();
}

/* Redis compares each with what another node has told. */
static void on_a_shared_log_each_latch_is_told_alone(void **state)
{
	struct node *n = &node[0];

	(void)state;
	n->gate->slow = true;
	for (uint32_t i = 0; i < 1000; i++)
		tell_revoked(n, i, true);
	again(n);
	n->gate->shared = true;
	teller_start(n->teller);
	tell_elapse(100);
	assert_int_equal(look(), 1000);
	expect_count(0, 1000, 1);
	forget();
}

static void many_latches_share_batches(void **state)
{
	struct node *n = &node[0];
	struct latch *l = calloc(25000, sizeof *l);

	(void)state;
	for (uint32_t i = 0; i < 25000; i++) {
		l[i] = (struct latch){.serial = serial_of(i),
		    .reason = 1,
		    .set_at = tell_now_ms / 1000,
		    .untold = true};
		memcpy(l[i].ca_id, demo()->ca[0].id, 32);
	}
	l[24999].ca_id[0] ^= 1; /* of a CA that is not configured any more */
	assert_int_equal(latch_file_put(n->latch_file, l, 25000), ERR_OK);
	again(n);
	teller_start(n->teller);
	tell_turn();
	assert_int_equal(look(), 3);
	expect_count(0, 24999, 1);
	for (uint32_t i = 1; i < held.batch[0]->n; i++)
		assert_true(crl_entry_cmp(&held.batch[0]->change[i - 1].entry,
				&held.batch[0]->change[i].entry) < 0);
	again(n);
	assert_true(latches_find(n->latches, demo(), &l[0].serial) != NULL);
	assert_false(latches_find(n->latches, demo(), &l[0].serial)->untold);
	teller_start(n->teller);
	tell_turn();
	assert_int_equal(look(), 3);
	forget();
	free(l);
}

/* Upkeep. */

#define DAY_MS 86400000

/* Time passes by the minute, as far as timers of minutes go. */
static void minutes(int64_t ms)
{
	for (int64_t end = tell_mono_ms + ms; tell_mono_ms < end;) {
		tell_mono_ms += 60000;
		tell_now_ms += 60000;
		set_time();
		tell_turn();
	}
}

static void step(int64_t ms)
{
	tell_now_ms += ms;
	set_time();
}

/* Each minute, once the clock has been right for a day, as two looks found it (T20). */
static void what_is_older_than_events_keep_goes(void **state)
{
	struct node *n = &node[0];

	(void)state;
	teller_start(n->teller);
	minutes(DAY_MS - 60000);
	assert_int_equal(n->gate->trims, 0);
	minutes(60000);
	assert_int_equal(n->gate->trims, 1);
	assert_in_range(n->gate->trimmed_before, tell_now_ms / 1000 - 3662,
	    tell_now_ms / 1000 - 3658);
	minutes(60000);
	assert_int_equal(n->gate->trims, 2);
}

/* T20: for a second at the start, and ten days ahead for a minute. */
static void a_clock_that_is_ahead_for_a_while_trims_nothing(void **state)
{
	struct node *n = &node[0];

	(void)state;
	step(500 * (int64_t)DAY_MS);
	teller_start(n->teller);
	tell_elapse(1000);
	step(-500 * (int64_t)DAY_MS);
	minutes(DAY_MS);
	assert_int_equal(n->gate->trims, 0);
	minutes(120000);
	assert_in_range(n->gate->trims, 1, 3);
	assert_true(n->gate->trimmed_before <= tell_now_ms / 1000 - 3600);
	n->gate->trims = 0;
	step(10 * (int64_t)DAY_MS);
	minutes(60000);
	step(-10 * (int64_t)DAY_MS);
	minutes(DAY_MS - 60000);
	assert_int_equal(n->gate->trims, 0);
	minutes(180000);
	assert_in_range(n->gate->trims, 1, 4);
	assert_true(n->gate->trimmed_before <= tell_now_ms / 1000 - 3600);
}

static void the_gauges_say_what_waits(void **state)
{
	struct metrics_text t = {0};
	struct node *n = &node[0];

	(void)state;
	n->gate->down = ERR_STORE;
	tell_revoked(n, 1, true);
	tell_list(n, &A, &B);
	tell_elapse(1000);
	teller_gauges(n->teller, &t);
	assert_non_null(strstr(t.p, "\nocspcached_changes_waiting 30001\n"));
	assert_non_null(strstr(t.p, "\nocspcached_events_log_up 0\n"));
	free(t.p);
	t = (struct metrics_text){0};
	n->gate->down = ERR_OK;
	tell_elapse(10000);
	teller_gauges(n->teller, &t);
	assert_non_null(strstr(t.p, "\nocspcached_changes_waiting 0\n"));
	assert_non_null(strstr(t.p, "\nocspcached_events_log_up 1\n"));
	free(t.p);
}

/* A second of the keeper's ticks. */
static void tick(struct node *n, int seconds)
{
	for (int i = 0; i < seconds; i++) {
		tell_elapse(1000);
		teller_tick(n->teller);
	}
}

static void the_health_says_for_how_long_nothing_moved_and_why(void **state)
{
	struct node *n = &node[0];
	struct teller_health h;

	(void)state;
	tick(n, 3);
	teller_health(n->teller, &h);
	assert_true(h.log.up && h.waiting == 0 && h.waiting_ms == 0);
	n->gate->down = ERR_STORE_FULL;
	tell_revoked(n, 1, true);
	tick(n, 10);
	teller_health(n->teller, &h);
	assert_false(h.log.up);
	assert_int_equal(h.waiting, 1);
	assert_in_range(h.waiting_ms, 10000, 11000);
	assert_int_equal(h.why, ERR_STORE_FULL);
	n->gate->down = ERR_OK;
	tick(n, 10);
	teller_health(n->teller, &h);
	assert_true(h.log.up && h.waiting == 0 && h.waiting_ms == 0 && h.why == ERR_OK);
	/* there is always one that waits, but not the same: they get there */
	for (uint32_t i = 2; i < 12; i++) {
		n->gate->down = ERR_STORE;
		tell_revoked(n, i, true);
		tick(n, 1);
		teller_health(n->teller, &h);
		assert_int_equal(h.waiting, 1);
		assert_in_range(h.waiting_ms, 0, 2000);
		n->gate->down = ERR_OK;
		tick(n, 2);
	}
}

/* Certificates 1 to `to` are revoked, for good. */
static void tell_latched(struct node *n, uint32_t to)
{
	struct latch l = {.untold = true};
	struct single_change c = {
	    .issuer = demo(), .now = CHANGE_REVOKED, .before = CHANGE_GOOD, .latch = &l};

	memcpy(l.ca_id, demo()->ca[0].id, sizeof l.ca_id);
	for (uint32_t i = 1; i <= to; i++) {
		c.serial = serial_of(i);
		teller_single(n->teller, &c);
	}
}

/* T23: memory has a bound, the disk keeps what is over it; a person is told, each time
 * that it comes to that, and once. */
static void a_million_waiting_changes_leave_the_oldest_to_the_disk(void **state)
{
	struct node *n = &node[0];
	char *text;

	(void)state;
	n->gate->shared = true; /* one goes into the log, others wait: that is not it */
	tell_revoked(n, 1000002, false);
	tell_revoked(n, 1000003, false);
	tell_turn();
	n->gate->shared = false;
	n->gate->down = ERR_STORE;
	log_begin();
	tell_released(n, 0); /* no latch keeps this one */
	latch(n, 1, true);
	tell_latched(n, 1000001);
	n->gate->down = ERR_OK;
	tell_elapse(60000);
	text = log_end();
	assert_int_equal(occurrences(text, "event=changes_over_limit"), 1);
	assert_non_null(strstr(text, "event=changes_over_limit waiting=1000000 "));
	free(text);
	look();
	assert_int_equal(change_now(&held.batch[2]->change[0]), CHANGE_GOOD);
	expect_count(1, 3, 0);
	expect_count(3, 1000004, 1);
	forget();
	n->gate->down = ERR_STORE;
	log_begin();
	tell_latched(n, 1000001);
	text = log_end();
	assert_int_equal(occurrences(text, "event=changes_over_limit"), 1);
	free(text);
	again(n);
	teller_start(n->teller);
	tell_turn();
	look();
	assert_int_equal(count[1], 1);
	forget();
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    CASE(a_single_change_is_in_the_log_as_the_answer_said),
	    CASE(nothing_is_told_before_every_reader_has_turned),
	    CASE(a_log_that_is_away_holds_changes_back_and_drops_none),
	    CASE(the_moves_of_a_certificate_keep_their_order),
	    CASE(latches_that_were_not_told_are_told_at_the_start),
	    CASE(on_a_shared_log_each_latch_is_told_alone),
	    CASE(many_latches_share_batches),
	    CASE(what_is_older_than_events_keep_goes),
	    CASE(a_clock_that_is_ahead_for_a_while_trims_nothing),
	    CASE(the_gauges_say_what_waits),
	    CASE(the_health_says_for_how_long_nothing_moved_and_why),
	    CASE(a_million_waiting_changes_leave_the_oldest_to_the_disk),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
