/* 62-settle: from in force onto the disk, past the barrier, and into the log. */
#include "tests/lib/faults.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/base/log.h"
#include "tests/lib/feed_world.h"

/* The teller is the test. */
bool teller_list(struct teller *t, const struct list_change *l)
{
	return feed_told(t, l);
}

/* At the start every list is fetched at once; the first of a scope tells nothing. */
static void the_first_list_is_a_baseline(void **state)
{
	(void)state;
	live("", DEMO);
	assert_int_equal(fake_fetches_waiting(), 1);
	assert_string_equal(fake_fetch_url(0), A);
	assert_null(fake_fetch_if_none_match(0));
	assert_false(crl_feed_tried_all(feed));
	assert_int_equal(set()->shards_n, 0);
	answer(0, LIST(.number = "01", .serials = "AB"));
	assert_true(crl_feed_tried_all(feed));
	assert_true(listed('A') && listed('B') && !listed('C'));
	assert_int_equal(told_n, 1);
	assert_true(told[0].c.baseline);
	assert_int_equal(told[0].added, 0);
	assert_string_equal(told[0].c.issuer, "demo");
	assert_true(same_files("current", "told"));
	assert_false(there_is("next"));
	assert_string_equal(field(0, "url"), A);
	assert_string_equal(field(0, "crl_number"), "1");
	assert_string_equal(field(0, "this_update"), "2025-06-15T15:06:40Z");
	assert_string_equal(field(0, "next_update"), "2025-06-16T15:06:40Z");
	assert_string_equal(field(0, "entries"), "2");
	assert_string_equal(field(0, "fetched_at"), "2025-06-15T15:06:40Z");
	assert_string_equal(field(0, "last_error"), "");
}

/* R152, R115: what the next poll brings is in force and told. */
static void a_later_list_tells_what_moved(void **state)
{
	uint64_t generation;

	(void)state;
	begin_with("01", "ABh");
	generation = set()->generation;
	feed_elapse(260000);
	assert_int_equal(fake_fetches_waiting(), 0);
	feed_elapse(80000); /* crl-interval is 5 minutes, give or take a tenth */
	assert_int_equal(fake_fetches_waiting(), 1);
	answer(0, LIST(.number = "02", .serials = "BCDE"));
	assert_true(listed('C') && !listed('A'));
	assert_true(set()->generation > generation);
	assert_int_equal(told_n, 2);
	assert_false(told[1].c.baseline);
	assert_int_equal(told[1].added, 3);
	assert_int_equal(told[1].removed, 1);
	assert_int_equal(told[1].released, 1);
	assert_memory_equal(told[1].c.from, told[0].c.to, 32);
	assert_memory_equal(told[1].c.to, set()->shard[0].facts.sha256, 32);
	assert_int_equal(told[1].c.seen_at_ms, feed_now_ms);
	assert_true(same_files("current", "told"));
	assert_false(there_is("next"));
}

/* Know, then tell: in force at once, told when no reader can have the old one and the new
 * one is on disk. */
static void nothing_is_told_before_it_is_durable_and_every_reader_has_turned(void **state)
{
	(void)state;
	begin_with("01", "A");
	feed_elapse(400000);
	fake_disk_hold(true);
	fake_fetch_answer(0, 200, LIST(.number = "02", .serials = "AB"));
	assert_false(listed('B'));
	assert_true(fake_disk_step()); /* bulk: read */
	assert_true(listed('B'));
	assert_int_equal(told_n, 1);
	feed_turn(); /* the barrier passes */
	assert_int_equal(told_n, 1);
	assert_true(fake_disk_step()); /* disk: current */
	while (fake_disk_step())
		;
	assert_int_equal(told_n, 2);
	fake_disk_hold(false);
	feed_turn();

	feed_elapse(400000);
	fake_fetch_answer(0, 200, LIST(.number = "03", .serials = "ABC"));
	assert_true(listed('C'));
	assert_int_equal(told_n, 2); /* durable, but the reader has not turned */
	feed_turn();
	assert_int_equal(told_n, 3);
	assert_int_equal(told[2].added, 1);
}

/* T23: killed between the list of a new count and its telling: the next life knows by the
 * dates that it is one. */
static void a_new_count_that_was_not_told_is_told_as_one(void **state)
{
	(void)state;
	begin_with("1267", "A");
	feed_elapse(60000);
	tell_at_once = false;
	refresh_as(true);
	answer(0, LIST(.number = "01", .from = -3600, .serials = "AB"));
	assert_int_equal(told_n, 2);
	die();
	live("", DEMO);
	assert_true(listed('B'));
	assert_int_equal(told[0].added, 1);
	assert_false(told[0].c.baseline);
	assert_true((told[0].c.facts.warnings & CRL_WARN_ACCEPTED) != 0);
}

/* R104: what a certificate was before it was revoked is known where the lists are all:
 * one that names a distribution point of its own may be a part, until the operator says
 * that there is no other.  Of a list that was told in an earlier life, too. */
static void what_a_part_did_not_list_was_unknown(void **state)
{
	(void)state;
	live("", DEMO);
	answer(0, LIST(.number = "01", .serials = "A", .idp = "fullname:URI:" A));
	assert_int_equal(absence(), CRL_ABSENT_PART);
	refresh();
	answer(0, LIST(.number = "02", .serials = "AB", .idp = "fullname:URI:" A));
	assert_int_equal(told_n, 2);
	assert_int_equal(change_before(&told[1].first), CHANGE_UNKNOWN);
	reload("", DEMO "absent = good");
	assert_int_equal(absence(), CRL_ABSENT_GOOD);
	refresh();
	answer(0, LIST(.number = "03", .serials = "ABC", .idp = "fullname:URI:" A));
	assert_int_equal(change_before(&told[2].first), CHANGE_GOOD);
	reload("", DEMO "absent = unknown");
	assert_int_equal(absence(), CRL_ABSENT_BY_OPTION);
	refresh();
	answer(0, LIST(.number = "04", .serials = "ABCD"));
	assert_int_equal(change_before(&told[3].first), CHANGE_UNKNOWN);
	/* 04 is all of them; 03, a part, was told before */
	reload("", DEMO);
	assert_int_equal(absence(), CRL_ABSENT_GOOD);
	tell_at_once = false;
	refresh();
	answer(0, LIST(.number = "05", .serials = "ABCDE", .idp = "fullname:URI:" A));
	assert_int_equal(change_before(&told[4].first), CHANGE_GOOD);
	refresh();
	answer(0, LIST(.number = "06", .serials = "ABCDEF"));
	assert_int_equal(told_n, 5); /* 05 is still being told */
	tell_done(4, ERR_OK);
	feed_turn();
	assert_int_equal(told_n, 6);
	assert_int_equal(change_before(&told[5].first), CHANGE_UNKNOWN);
}

static void lists_that_come_while_one_is_told_are_told_as_one(void **state)
{
	(void)state;
	begin_with("01", "A");
	tell_at_once = false;
	for (int i = 2; i < 6; i++) {
		char number[3], serials[8] = "ABCDEFG";

		snprintf(number, sizeof number, "%02x", i);
		serials[i] = '\0';
		refresh();
		answer(0, LIST(.number = number, .serials = serials));
	}
	assert_true(listed('E'));
	assert_int_equal(told_n, 2);
	tell_nothing = true; /* nothing is begun: again, later */
	tell_done(1, ERR_OK);
	feed_turn();
	assert_int_equal(told_n, 3);
	assert_int_equal(told[2].added, 3);
	assert_memory_equal(told[2].c.from, told[1].c.to, 32);
	assert_memory_equal(told[2].c.to, set()->shard[0].facts.sha256, 32);
	feed_elapse(4000);
	assert_int_equal(told_n, 3);
	tell_nothing = false;
	feed_elapse(2000);
	assert_int_equal(told_n, 4);
	assert_int_equal(told[3].added, 3);
	assert_memory_equal(told[3].c.from, told[1].c.to, 32);
	tell_done(3, ERR_OK);
	feed_elapse(10000);
	assert_int_equal(told_n, 4);
	assert_true(same_files("told", "current"));
}

static void passed(struct barrier_want *w)
{
	(void)w;
}

/* A reader that turns late lets several lists through the barrier at once: they are told
 * to the last one, and what is told is the file that is current. */
static void lists_that_wait_for_one_reader_are_told_to_the_last(void **state)
{
	struct barrier_want before = {.done = passed};
	const struct issuer *i;

	(void)state;
	begin_with("01", "A");
	i = issuers_named(shared_conf(&shared)->issuers, "demo");
	barrier_pass(context.barrier, &before);
	crl_feed_refresh(feed, i, false);
	fake_fetch_answer(0, 200, LIST(.number = "02", .serials = "AB"));
	crl_feed_refresh(feed, i, false);
	fake_fetch_answer(0, 200, LIST(.number = "03", .serials = "ABC"));
	assert_true(listed('C'));
	assert_int_equal(told_n, 1);
	feed_turn();
	assert_memory_equal(told[told_n - 1].c.to, set()->shard[0].facts.sha256, 32);
	assert_memory_equal(told[1].c.from, told[0].c.to, 32);
	assert_true(same_files("current", "told"));
}

/* R72: a certificate that goes from one list of its issuer to another has not
 * moved, nor has one that a second list brings. */
static void what_another_list_says_is_no_change(void **state)
{
	(void)state;
	live("", BOTH);
	answer(0, LIST(.number = "01", .serials = "AB"));
	answer(0, LIST(.number = "01", .serials = "C"));
	refresh();
	answer(1, LIST(.number = "02", .serials = "BCD"));
	assert_int_equal(told_n, 3);
	assert_int_equal(told[2].all, 2);
	assert_int_equal(told[2].added, 1); /* D; B was revoked before */
	answer(0, LIST(.number = "02", .serials = "A"));
	assert_int_equal(told_n, 4);
	assert_int_equal(told[3].all, 1);
	assert_int_equal(told[3].removed, 0); /* B still is */
	assert_true(listed('B'));
}

/* A folder where a file of the list should be: it can be neither read nor replaced. */
static void obstruct(const char *name)
{
	char path[400];

	file_of(A, name, path);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void clear_away(const char *name)
{
	char path[400];

	file_of(A, name, path);
	assert_int_equal(rmdir(path), 0);
}

/* T23: a list that was told and cannot be read is an error that is seen; then a gap, so
 * that nobody waits for what will not be told, and the scope goes on from what is in
 * force. */
static void what_was_told_and_cannot_be_read_ends_in_a_gap(void **state)
{
	(void)state;
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	begin_with("01", "A");
	die();
	obstruct("told");
	live("", DEMO);
	assert_true(listed('A'));
	assert_int_equal(held_back("/told: not a regular file"), 1);
	answer(0, LIST(.number = "02", .serials = "AB"));
	assert_true(listed('B'));
	feed_elapse(120000);
	assert_int_equal(told_n, 0);
	assert_int_equal(held_back("compare: "), 1);
	feed_elapse(60000);
	assert_int_equal(told_n, 1);
	assert_true(told[0].c.baseline && told[0].c.lost);
	assert_memory_equal(told[0].c.to, set()->shard[0].facts.sha256, 32);
	/* what follows is told, though told cannot be replaced */
	assert_int_equal(held_back("told: "), 1);
	refresh();
	answer(0, LIST(.number = "03", .serials = "ABC"));
	assert_int_equal(told_n, 2);
	assert_false(told[1].c.baseline);
	assert_int_equal(told[1].added, 1);
	clear_away("told");
	feed_elapse(61000);
	assert_int_equal(held_back(""), 0);
	assert_int_equal(told_n, 2);
	assert_true(same_files("told", "current"));
}

/* T23: a first list that cannot be written is where changes start from all the same: what
 * the next one changes is told, or there is a gap. */
static void a_first_list_that_is_never_durable_is_a_gap(void **state)
{
	(void)state;
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	for (int lists = 1; lists <= 2; lists++) {
		live("", DEMO);
		obstruct("current");
		answer(0, LIST(.number = "01", .serials = "A"));
		assert_true(listed('A'));
		assert_int_equal(held_back("install: "), 1);
		if (lists == 2) {
			refresh();
			answer(0, LIST(.number = "02", .serials = "AB"));
			assert_true(listed('B'));
		}
		assert_int_equal(told_n, 0);
		clear_away("current");
		feed_elapse(61000);
		assert_int_equal(held_back(""), 0);
		assert_int_equal(told_n, 1);
		assert_true(told[0].c.baseline);
		assert_int_equal(told[0].c.lost, lists == 2);
		assert_memory_equal(told[0].c.to, set()->shard[0].facts.sha256, 32);
		assert_true(same_files("told", "current"));
		die();
		remove_tree(folder);
	}
}

/* T23: without descriptors for a moment, wherever, a first list is told soon after, by
 * itself. */
static void a_first_list_without_descriptors_is_made_up_for(void **state)
{
	unsigned long n = 0, calls;

	(void)state;
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	do {
		live("", DEMO);
		faults_arm(FAULT_DESCRIPTORS, ++n, 1);
		answer(0, LIST(.number = "01", .serials = "A"));
		calls = faults_disarm();
		jump(5001);
		if (!listed('A')) { /* it could not be read: it is asked for again */
			jump(61000);
			answer(0, LIST(.number = "01", .serials = "A"));
		}
		assert_true(listed('A'));
		assert_int_equal(held_back(""), 0);
		assert_int_equal(told_n, 1);
		assert_true(told[0].c.baseline && !told[0].c.lost);
		assert_true(same_files("told", "current"));
		die();
		remove_tree(folder);
	} while (calls >= n);
	assert_true(n > 2);
}

/* T23: one that can be read again in time is compared, and nothing is missing. */
static void what_was_told_and_can_be_read_again_is_compared(void **state)
{
	char path[400], away[400];
	uint8_t one[32];

	(void)state;
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	begin_with("01", "A");
	memcpy(one, told[0].c.to, 32);
	die();
	file_of(A, "told", path);
	file_of(A, "away", away);
	assert_int_equal(rename(path, away), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	live("", DEMO);
	answer(0, LIST(.number = "02", .serials = "AB"));
	feed_elapse(60000);
	assert_int_equal(told_n, 0);
	assert_int_equal(held_back("not a regular file"), 1);
	assert_int_equal(rename(away, path), 0);
	feed_elapse(61000);
	assert_int_equal(told_n, 1);
	assert_false(told[0].c.baseline);
	assert_memory_equal(told[0].c.from, one, 32);
	assert_int_equal(told[0].added, 1);
	assert_int_equal(held_back(""), 0);
}

/* T23: without memory or descriptors for a moment, wherever, all is told soon after. */
static void a_comparison_without_memory_is_made_up_for(void **state)
{
	static const enum fault kinds[] = {FAULT_MEMORY, FAULT_DESCRIPTORS};

	(void)state;
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	for (size_t k = 0; k < 2; k++) {
		unsigned long n = 0, calls;

		do {
			n++;
			begin_with("01", "A");
			tell_at_once = false;
			refresh();
			answer(0, LIST(.number = "02", .serials = "AB"));
			refresh();
			answer(0, LIST(.number = "03", .serials = "ABC"));
			faults_arm(kinds[k], n, 1);
			tell_done(1, ERR_OK); /* now 3 has to be compared with 2 */
			calls = faults_disarm();
			jump(5001);
			assert_int_equal(told_n, 3);
			assert_false(told[2].c.baseline);
			assert_memory_equal(told[2].c.from, told[1].c.to, 32);
			assert_int_equal(told[2].added, 1);
			tell_done(2, ERR_OK);
			assert_int_equal(held_back(""), 0);
			die();
			remove_tree(folder);
		} while (calls >= n);
		assert_true(n > 2);
	}
}

/* T23: nor is anything told while the name cannot be made by which it would be gone on
 * with. */
static void without_the_link_nothing_is_told_and_it_is_seen(void **state)
{
	char path[400];

	(void)state;
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	begin_with("01", "A");
	file_of(A, "new.link", path);
	assert_int_equal(mkdir(path, 0700), 0);
	refresh();
	answer(0, LIST(.number = "02", .serials = "AB"));
	assert_true(listed('B'));
	feed_elapse(20000);
	assert_int_equal(told_n, 1);
	assert_int_equal(held_back("/next: Is a directory"), 1);
	assert_int_equal(rmdir(path), 0);
	refresh(); /* who has mended it says so */
	feed_elapse(20);
	assert_int_equal(told_n, 2);
	assert_int_equal(told[1].added, 1);
	assert_int_equal(held_back(""), 0);
}

/* T23: from told to what is in force, where nobody can read what was in between. */
static void a_next_that_cannot_be_read_is_told_with_what_follows(void **state)
{
	uint8_t one[32];

	(void)state;
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	begin_with("01", "A");
	memcpy(one, told[0].c.to, 32);
	tell_at_once = false;
	refresh();
	answer(0, LIST(.number = "02", .serials = "AB"));
	die();
	obstruct("next");
	live("", DEMO);
	assert_int_equal(told_n, 0);
	assert_int_equal(held_back("next: "), 1); /* which cannot be made either */
	clear_away("next");
	feed_elapse(61000);
	assert_int_equal(told_n, 1);
	assert_memory_equal(told[0].c.from, one, 32);
	assert_int_equal(told[0].added, 1);
	assert_int_equal(held_back(""), 0);
}

/* A disk that cannot take the list: in force all the same, and told when it is durable.
 */
static void what_cannot_be_made_durable_is_in_force_and_told_later(void **state)
{
	char path[400];

	(void)state;
	begin_with("01", "A");
	file_of(A, "current", path);
	unlink(path);
	mkdir(path, 0700); /* nothing can be renamed to it */
	log_setup(-1, LOG_FORMAT_LOGFMT, 0);
	feed_elapse(400000);
	answer(0, LIST(.number = "02", .serials = "AB"));
	assert_true(listed('B'));
	assert_int_equal(told_n, 1);
	feed_elapse(20000);
	assert_int_equal(told_n, 1);
	refresh();
	answer(0, LIST(.number = "03", .serials = "ABC"));
	assert_true(listed('C'));
	assert_int_equal(told_n, 1);
	assert_int_equal(held_back("install: "), 1);
	rmdir(path);
	feed_elapse(61000);
	assert_int_equal(held_back(""), 0);
	assert_int_equal(told_n, 2);
	assert_int_equal(told[1].added, 2);
	assert_true(same_files("told", "current"));
	assert_int_equal(state_files(), 4);
}

/* Was B told by this life, and was that kept? */
static bool has_told(void)
{
	for (size_t i = 0; i < told_n; i++)
		if (told[i].kept && told[i].added == 1)
			return true;
	return false;
}

/* A life that is to end after so many steps of the second list's way. */
static void live_for(int steps, bool barrier, struct bytes two)
{
	begin_with("01", "A");
	tell_at_once = steps % 2 == 0;
	refresh();
	fake_disk_hold(true);
	fake_fetch_answer(0, 200, two);
	for (int i = 0; i < steps; i++) {
		fake_disk_step();
		if (barrier)
			feed_turn();
	}
}

/* The life after it.  Did the second list outlive the first one? */
static bool live_on(bool has_told_b, struct bytes two)
{
	bool was_current;

	live("", DEMO);
	was_current = listed('B');
	assert_true(listed('A'));
	assert_int_equal(fake_fetches_waiting(), 1);
	answer(0, two);
	assert_true(listed('A') && listed('B'));
	assert_true(has_told_b || has_told());
	for (size_t i = 0; i < told_n; i++)
		assert_false(told[i].c.baseline);
	assert_true(same_files("told", "current"));
	assert_false(there_is("next"));
	die();
	remove_tree(folder);
	return was_current;
}

/* T23: stopped after each step of a list's way nothing is lost, nothing is leaked. */
static void it_may_be_stopped_at_any_step(void **state)
{
	int current = 0, told_before = 0;

	(void)state;
	for (int steps = 0; steps < 12; steps++) {
		struct bytes two = LIST(.number = "02", .serials = "AB");
		bool has_told_b;

		live_for(steps, true, two);
		has_told_b = has_told();
		die();
		told_before += has_told_b;
		current += live_on(has_told_b, two);
	}
	/* each of them was met: fetched only, durable, told */
	assert_in_range(current, 1, 11);
	assert_in_range(told_before, 1, current);
}

/* The same where no reader turns before the issuer goes, and then the process. */
static void it_may_be_stopped_when_its_issuer_has_gone(void **state)
{
	int current = 0;

	(void)state;
	for (int steps = 0; steps < 6; steps++) {
		struct bytes two = LIST(.number = "02", .serials = "AB");

		live_for(steps, false, two);
		assert_int_equal(listed('B'), steps > 0);
		reload("", "");
		/* its lists go at once, or when the job that is under way is back */
		assert_int_equal(set()->shards_n, steps > 0 ? 0 : 1);
		assert_false(has_told());
		die();
		current += live_on(false, two);
	}
	assert_in_range(current, 1, 5);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
	    CASE(the_first_list_is_a_baseline),
	    CASE(a_later_list_tells_what_moved),
	    CASE(nothing_is_told_before_it_is_durable_and_every_reader_has_turned),
	    CASE(a_new_count_that_was_not_told_is_told_as_one),
	    CASE(what_a_part_did_not_list_was_unknown),
	    CASE(lists_that_come_while_one_is_told_are_told_as_one),
	    CASE(lists_that_wait_for_one_reader_are_told_to_the_last),
	    CASE(what_another_list_says_is_no_change),
	    CASE(what_was_told_and_cannot_be_read_ends_in_a_gap),
	    CASE(what_was_told_and_can_be_read_again_is_compared),
	    CASE(a_first_list_that_is_never_durable_is_a_gap),
	    CASE(a_first_list_without_descriptors_is_made_up_for),
	    CASE(a_comparison_without_memory_is_made_up_for),
	    CASE(without_the_link_nothing_is_told_and_it_is_seen),
	    CASE(a_next_that_cannot_be_read_is_told_with_what_follows),
	    CASE(what_cannot_be_made_durable_is_in_force_and_told_later),
	    CASE(it_may_be_stopped_at_any_step),
	    CASE(it_may_be_stopped_when_its_issuer_has_gone),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
