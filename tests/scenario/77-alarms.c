/* 77-alarms: each raise and each clear of an alarm into the change log. */
#include "proxy/tell/teller.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/base/alarms_news.h"
#include "tests/lib/tell_world.h"

#define MINUTES (60)

static char told[1 << 20];
static char file[64];

static void begin_life(void)
{
	assert_true(teller_alarms(node[0].teller, node[0].dir));
}

static void seconds(int n)
{
	while (n-- > 0) {
		tell_elapse(1000);
		teller_tick(node[0].teller);
	}
	tell_turn();
}

/* Killed, and started again. */
static void another_life(void)
{
	alarms_reset();
	again(&node[0]);
	begin_life();
}

static void put(const char *text)
{
	size_t n = strlen(told);

	snprintf(told + n, sizeof told - n, "%s", text);
}

/* What the log has from batch `from` on: a line a batch, "issuer: +raised -cleared". */
static const char *log_from(size_t from)
{
	char here[ALARM_NODE_MAX], text[1200];

	alarms_node(here);
	look();
	told[0] = '\0';
	for (size_t i = from; i < held.n; i++) {
		const struct change_batch *b = held.batch[i];

		if (b->kind != CHANGE_ALARMS)
			continue;
		snprintf(text, sizeof text, "%s%s%s:", b->issuer,
		    strcmp(b->node, here) != 0 ? " at " : "",
		    strcmp(b->node, here) != 0 ? b->node : "");
		put(text);
		for (uint32_t n = 0; n < b->n; n++) {
			snprintf(text, sizeof text, " %c%s %s",
			    b->alarm[n].cleared ? '-' : '+', b->alarm[n].alarm,
			    b->alarm[n].subject);
			put(text);
		}
		put("\n");
	}
	return told;
}

static size_t length(void)
{
	look();
	return held.n;
}

static void down(const char *url)
{
	alarm_raise(ALARM_RESPONDER_DOWN, "demo", url, "it says nothing");
}

static void up(const char *url)
{
	alarm_clear(ALARM_RESPONDER_DOWN, "demo", url);
}

static int begin(void **state)
{
	int e = tell_begin(state);

	alarms_reset();
	begin_life();
	snprintf(file, sizeof file, "%s/alarms.json", node[0].dir);
	return e;
}

static int end(void **state)
{
	char draft[80];

	forget();
	alarms_reset();
	snprintf(draft, sizeof draft, "%s.new", file);
	unlink(draft);
	unlink(file);
	return tell_end(state);
}

/* Those of one issuer that are found within a second share a batch. */
static void each_raise_and_each_clear_is_told_once(void **state)
{
	const struct change_batch *b;
	int64_t since = tell_now_ms / 1000;

	(void)state;
	down("http://a/");
	down("http://b/");
	alarm_raise(ALARM_CRL_OLD, "demo", "http://l/", "x");
	alarm_raise(ALARM_CRL_OLD, "other", "http://l/", "x");
	alarm_raise(ALARM_STORE_DOWN, "", "store", "x");
	seconds(1);
	down("http://a/");
	seconds(5);
	assert_string_equal(log_from(0),
	    ": +store_down store\n"
	    "demo: +crl_old http://l/ +responder_down http://a/ +responder_down "
	    "http://b/\n"
	    "other: +crl_old http://l/\n");
	b = held.batch[1];
	assert_string_equal(b->alarm[1].detail, "it says nothing");
	assert_int_equal(b->alarm[1].since, since);
	assert_int_equal(b->seen_at_ms, (since + 1) * 1000);
	up("http://b/");
	seconds(5);
	assert_string_equal(log_from(3), "demo: -responder_down http://b/\n");
	assert_int_equal(held.batch[3]->alarm[0].since, since);
	assert_int_equal(metrics_sum(M_ALARMS_WRITTEN), 6);
}

static void one_that_is_worse_is_told_again(void **state)
{
	(void)state;
	assert_true(alarm_raise_again(ALARM_CRL_EXPIRING, "demo", "http://l/", "half"));
	seconds(2);
	assert_false(alarm_raise_again(ALARM_CRL_EXPIRING, "demo", "http://l/", "sixth"));
	seconds(2);
	assert_string_equal(log_from(0), "demo: +crl_expiring http://l/\n"
					 "demo: +crl_expiring http://l/\n");
	assert_string_equal(held.batch[1]->alarm[0].detail, "sixth");
}

/* clock_step and its like are over by themselves, and that is told. */
static void the_end_of_a_moment_is_told(void **state)
{
	(void)state;
	alarm_raise(ALARM_CLOCK_STEP, "", "wall clock", "by 9 ms");
	seconds(1);
	tell_elapse(3600000);
	seconds(1);
	assert_string_equal(
	    log_from(0), ": +clock_step wall clock\n: -clock_step wall clock\n");
}

/* T23: nothing is lost while the log is away, and that it is away is told as well. */
static void what_came_while_the_log_was_away_is_told(void **state)
{
	(void)state;
	down("http://a/");
	seconds(1);
	node[0].gate->down = ERR_STORE;
	up("http://a/");
	down("http://b/");
	seconds(60);
	up("http://b/");
	down("http://c/");
	for (int i = 0; i < 500; i++) { /* and what is owed stays as little as it is */
		up("http://c/");
		down("http://c/");
		seconds(1);
	}
	assert_int_equal(length(), 1);
	node[0].gate->down = ERR_OK;
	seconds(10);
	assert_string_equal(log_from(1),
	    ": +log_down changes\n"
	    "demo: -responder_down http://a/ +responder_down http://b/ -responder_down "
	    "http://b/ +responder_down http://c/\n"
	    ": -log_down changes\n");
	seconds(60);
	assert_int_equal(length(), 4);
}

/* One that flaps each second for an hour is told now and then, and its last word always
 * is. */
static void one_that_flaps_is_told_now_and_then(void **state)
{
	(void)state;
	for (int i = 0; i < 3600; i++) {
		if (i % 2 == 0)
			down("http://a/");
		else
			up("http://a/");
		seconds(1);
	}
	assert_in_range(length(), 60, 64);
	down("http://a/");
	seconds(60);
	length();
	assert_false(
	    held.batch[held.n - 1]->alarm[held.batch[held.n - 1]->n - 1].cleared);
	up("http://a/");
	seconds(60);
	length();
	assert_true(held.batch[held.n - 1]->alarm[held.batch[held.n - 1]->n - 1].cleared);
	assert_in_range(held.n, 61, 67);
	seconds(10 * MINUTES); /* and forgiven */
	down("http://a/");
	seconds(1);
	up("http://a/");
	seconds(1);
	assert_string_equal(log_from(length() - 2), "demo: +responder_down http://a/\n"
						    "demo: -responder_down http://a/\n");
}

/* What stands for who follows events, and does not any more, is cleared by the next life;
 * what it finds again in time has stood all the time. */
static void a_kill_leaves_no_alarm_for_ever(void **state)
{
	int64_t since = tell_now_ms / 1000;

	(void)state;
	down("http://gone/");
	down("http://stays/");
	seconds(2);
	another_life();
	seconds(2);
	down("http://stays/");
	down("http://new/");
	seconds(10);
	assert_string_equal(log_from(1), "demo: +responder_down http://new/\n");
	seconds(5 * MINUTES);
	assert_string_equal(log_from(2), "demo: -responder_down http://gone/\n");
	up("http://stays/");
	seconds(2);
	assert_string_equal(log_from(3), "demo: -responder_down http://stays/\n");
	assert_int_equal(held.batch[3]->alarm[0].since, since);
	another_life();
	seconds(6 * MINUTES);
	assert_string_equal(log_from(4), "demo: -responder_down http://new/\n");
	another_life();
	seconds(6 * MINUTES);
	assert_int_equal(length(), 5);
}

/* T23: killed between the disk and the log, and between the log and the disk: the disk
 * never has less than the log's readers. */
static void a_kill_between_disk_and_log_loses_nothing(void **state)
{
	(void)state;
	node[0].gate->slow = true;
	down("http://a/");
	seconds(2);
	assert_true(gate_pass(node[0].gate)); /* durable; but nothing else has happened */
	another_life();
	seconds(6 * MINUTES);
	assert_string_equal(log_from(0), "demo: +responder_down http://a/\n"
					 "demo: -responder_down http://a/\n");
	another_life();
	down("http://a/");
	seconds(2);
	node[0].gate->slow = true;
	up("http://a/");
	seconds(2);
	another_life(); /* the clear never reached the log */
	seconds(6 * MINUTES);
	assert_string_equal(log_from(3), "demo: -responder_down http://a/\n");
}

/* Nodes that share a log: each clears its own, also under the name that it had. */
static void a_node_that_has_another_name_clears_by_its_old_one(void **state)
{
	FILE *f = fopen(file, "w");

	(void)state;
	assert_true(
	    fputs("{\"raised\":[{\"alarm\":\"responder_down\",\"issuer\":\"demo\","
		  "\"subject\":\"http://a/\",\"since\":1,\"node\":\"old.name\"},"
		  "{\"alarm\":\"crl_old\",\"issuer\":\"demo\","
		  "\"subject\":\"http://l/\",\"since\":1,\"node\":\"old.name\"},"
		  "{\"alarm\":\"of_tomorrow\",\"issuer\":\"demo\","
		  "\"subject\":\"x\",\"since\":1,\"node\":\"old.name\"}]}",
		f) >= 0 &&
	    fclose(f) == 0);
	another_life();
	down("http://a/");
	seconds(5);
	assert_string_equal(log_from(0),
	    "demo at old.name: -crl_old http://l/ -responder_down http://a/\n"
	    "demo: +responder_down http://a/\n");
	another_life();
	seconds(6 * MINUTES);
	assert_string_equal(log_from(2), "demo: -responder_down http://a/\n");
}

/* They are told all the same, and that is said. */
static void a_disk_that_refuses_keeps_nobody_from_being_told(void **state)
{
	char *text;

	(void)state;
	assert_int_equal(mkdir(file, 0700), 0); /* which no file takes the place of */
	log_begin();
	another_life();
	down("http://a/");
	seconds(2);
	up("http://a/");
	seconds(2);
	text = log_end();
	assert_int_equal(occurrences(text, "event=alarms_not_kept"), 1);
	free(text);
	assert_string_equal(log_from(0), "demo: +responder_down http://a/\n"
					 "demo: -responder_down http://a/\n");
	assert_int_equal(rmdir(file), 0);
}

static void what_is_no_file_of_ours_is_said_and_passed_over(void **state)
{
	static const char *const broken[] = {"", "{}", "[", "{\"raised\":{}}",
	    "{\"raised\":[{\"alarm\":\"crl_old\",\"issuer\":\"demo\"}]}",
	    "{\"raised\":[{\"alarm\":\"crl_old\",\"issuer\":"
	    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"subject\":\"x\","
	    "\"since\":1,\"node\":\"n\"}]}"};

	(void)state;
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		FILE *f = fopen(file, "w");
		char *text;

		assert_true(fputs(broken[i], f) >= 0 && fclose(f) == 0);
		log_begin();
		another_life();
		text = log_end();
		assert_int_equal(occurrences(text, "event=alarms_not_kept"), 1);
		free(text);
	}
	down("http://a/");
	seconds(2);
	assert_string_equal(log_from(0), "demo: +responder_down http://a/\n");
}

/* Everything is down: in batches that fit, and none is forgotten. */
static void ten_thousand_at_once_are_all_told(void **state)
{
	size_t n = 0;
	char url[32];

	(void)state;
	for (int i = 0; i < ALARMS_MAX; i++) {
		snprintf(url, sizeof url, "http://%d/", i);
		alarm_raise(
		    ALARM_RESPONDER_DOWN, i % 2 == 0 ? "demo" : "other", url, "x");
	}
	seconds(3);
	look();
	for (size_t i = 0; i < held.n; i++)
		n += held.batch[i]->n;
	assert_int_equal(n, ALARMS_MAX);
	alarms_round_begin(ALARM_RESPONDER_DOWN);
	alarms_round_end(ALARM_RESPONDER_DOWN, NULL, NULL);
	node[0].gate->fail_next = 7; /* of those that are under way together */
	seconds(30);
	look();
	for (size_t i = n = 0; i < held.n; i++)
		n += held.batch[i]->n;
	assert_int_equal(n, 2 * ALARMS_MAX + 2); /* and log_down */
}

#define ALARMS(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest cases[] = {
	    ALARMS(each_raise_and_each_clear_is_told_once),
	    ALARMS(one_that_is_worse_is_told_again),
	    ALARMS(the_end_of_a_moment_is_told),
	    ALARMS(what_came_while_the_log_was_away_is_told),
	    ALARMS(one_that_flaps_is_told_now_and_then),
	    ALARMS(a_kill_leaves_no_alarm_for_ever),
	    ALARMS(a_kill_between_disk_and_log_loses_nothing),
	    ALARMS(a_node_that_has_another_name_clears_by_its_old_one),
	    ALARMS(a_disk_that_refuses_keeps_nobody_from_being_told),
	    ALARMS(what_is_no_file_of_ours_is_said_and_passed_over),
	    ALARMS(ten_thousand_at_once_are_all_told),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
