#include "proxy/base/alarms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/metrics.h"

#define AT 1795328880 /* 2026-11-22T06:28:00Z, by date -u */

static char text[8192];

static int begin(void **state)
{
	(void)state;
	clock_set(AT, 1000000);
	alarms_reset();
	return 0;
}

static void note(void *arg, const struct alarm_seen *s)
{
	size_t n = strlen(text);

	(void)arg;
	snprintf(text + n, sizeof text - n, "%s %s %s %lld %s\n",
	    alarm_row(s->alarm)->name, s->issuer, s->subject, (long long)(s->since - AT),
	    s->detail);
}

static const char *standing(void)
{
	text[0] = '\0';
	assert_true(alarms_each(note, NULL));
	return text;
}

static void it_is_raised_once_and_cleared_once(void **state)
{
	(void)state;
	assert_true(alarm_raise(ALARM_RESPONDER_DOWN, "demo", "http://a/", "refused"));
	clock_set(AT + 5, 1005000);
	assert_false(alarm_raise(ALARM_RESPONDER_DOWN, "demo", "http://a/", "timeout"));
	assert_string_equal(standing(), "responder_down demo http://a/ 0 timeout\n");
	assert_true(alarm_clear(ALARM_RESPONDER_DOWN, "demo", "http://a/"));
	assert_false(alarm_clear(ALARM_RESPONDER_DOWN, "demo", "http://a/"));
	assert_string_equal(standing(), "");
}

static void alarm_issuer_and_subject_tell_them_apart(void **state)
{
	(void)state;
	alarm_raise(ALARM_RESPONDER_DOWN, "demo", "http://b/", "x");
	alarm_raise(ALARM_CRL_OVERDUE, "other", "http://a/", "x");
	alarm_raise(ALARM_CRL_OVERDUE, "demo", "http://a/", "x");
	alarm_raise(ALARM_RESPONDER_DOWN, "demo", "http://a/", "x");
	assert_string_equal(standing(), "crl_overdue demo http://a/ 0 x\n"
					"crl_overdue other http://a/ 0 x\n"
					"responder_down demo http://a/ 0 x\n"
					"responder_down demo http://b/ 0 x\n");
	assert_false(alarm_clear(ALARM_CRL_OVERDUE, "demo", "http://b/"));
	alarm_clear_all(ALARM_CRL_OVERDUE, "http://a/");
	assert_string_equal(standing(), "responder_down demo http://a/ 0 x\n"
					"responder_down demo http://b/ 0 x\n");
}

static void one_of_a_moment_ends_by_itself(void **state)
{
	int64_t stands = alarm_row(ALARM_CLOCK_STEP)->stands_s;

	(void)state;
	assert_true(stands > 0);
	assert_true(alarm_raise(ALARM_CLOCK_STEP, "", "wall clock", "by 9 ms"));
	clock_set(AT + 60, 1060000);
	assert_false(alarm_raise(ALARM_CLOCK_STEP, "", "wall clock", "by 8 ms"));
	clock_set(AT, 1060000 + stands * 1000 - 1);
	assert_string_equal(standing(), "clock_step  wall clock 0 by 8 ms\n");
	clock_set(AT, 1060000 + stands * 1000);
	assert_true(alarm_raise(ALARM_CLOCK_STEP, "", "wall clock", "by 7 ms"));
	clock_set(AT, 1060000 + 2 * stands * 1000);
	assert_string_equal(standing(), "");
}

static void a_state_stands_for_as_long_as_it_lasts(void **state)
{
	(void)state;
	alarm_set(ALARM_STORE_DOWN, true, "", "store", "refused");
	clock_set(AT + 400 * 86400, 1000000 + INT64_C(400) * 86400000);
	assert_string_equal(standing(), "store_down  store 0 refused\n");
	alarm_set(ALARM_STORE_DOWN, false, "", "store", "up");
	assert_string_equal(standing(), "");
}

static bool is_of_demo(void *arg, const struct alarm_seen *s)
{
	(void)arg;
	return strcmp(s->issuer, "demo") == 0;
}

static void one_that_is_worse_stood_before(void **state)
{
	(void)state;
	assert_true(alarm_raise_again(ALARM_CRL_EXPIRING, "demo", "http://a/", "half"));
	clock_set(AT + 5, 1005000);
	assert_false(alarm_raise_again(ALARM_CRL_EXPIRING, "demo", "http://a/", "sixth"));
	assert_string_equal(standing(), "crl_expiring demo http://a/ 0 sixth\n");
}

static void who_drops_a_subject_clears_it(void **state)
{
	(void)state;
	alarm_raise(ALARM_CRL_OVERDUE, "demo", "http://a/", "x");
	alarm_raise(ALARM_CRL_OVERDUE, "gone", "http://a/", "x");
	alarms_keep(is_of_demo, NULL);
	assert_string_equal(standing(), "crl_overdue demo http://a/ 0 x\n");
}

static void a_round_clears_what_it_does_not_find(void **state)
{
	(void)state;
	alarm_raise(ALARM_CRL_OVERDUE, "demo", "http://a/", "x");
	alarm_raise(ALARM_CRL_OVERDUE, "demo", "http://b/", "x");
	alarm_raise(ALARM_CRL_OLD, "demo", "http://b/", "x");
	alarms_round_begin(ALARM_CRL_OVERDUE);
	alarm_raise(ALARM_CRL_OVERDUE, "demo", "http://a/", "y");
	alarm_raise(ALARM_CRL_OVERDUE, "demo", "http://c/", "z");
	text[0] = '\0';
	alarms_round_end(ALARM_CRL_OVERDUE, note, NULL);
	assert_string_equal(text, "crl_overdue demo http://b/ 0 x\n");
	assert_string_equal(standing(), "crl_overdue demo http://a/ 0 y\n"
					"crl_overdue demo http://c/ 0 z\n"
					"crl_old demo http://b/ 0 x\n");
}

static void texts_are_cut_and_made_utf8(void **state)
{
	char subject[2 * ALARM_SUBJECT_MAX], wanted[ALARM_SUBJECT_MAX];

	(void)state;
	memset(subject, 'a', sizeof subject);
	memcpy(subject + ALARM_SUBJECT_MAX - 2, "\xc3\xa4", 3); /* has no room */
	memset(wanted, 'a', sizeof wanted);
	wanted[ALARM_SUBJECT_MAX - 2] = '\0';
	alarm_raise(ALARM_CRL_OLD, "demo", subject, "caf\xe9 \xc3\xa4");
	standing();
	assert_non_null(strstr(text, wanted));
	assert_null(strstr(text, "\xc3\xa4 "));
	assert_non_null(strstr(text, " caf? \xc3\xa4\n"));
	assert_true(alarm_clear(ALARM_CRL_OLD, "demo", subject));
}

static void no_more_stand_than_there_is_room_for(void **state)
{
	char subject[32];

	(void)state;
	for (size_t i = 0; i < ALARMS_MAX + 2; i++) {
		snprintf(subject, sizeof subject, "%zu", i);
		alarm_raise(ALARM_CRL_OLD, "demo", subject, "x");
	}
	assert_int_equal(alarms_left_out(), 2);
	alarm_clear(ALARM_CRL_OLD, "demo", "0");
	assert_true(alarm_raise(ALARM_CRL_OLD, "demo", subject, "x"));
	assert_false(alarm_raise(ALARM_CRL_OLD, "demo", subject, "x"));
	assert_int_equal(alarms_left_out(), 2);
}

static void the_gauge_counts_by_alarm_and_issuer(void **state)
{
	struct metrics_text t = {0};

	(void)state;
	alarm_raise(ALARM_CRL_OLD, "demo", "1", "x");
	alarm_raise(ALARM_CRL_OLD, "demo", "2", "x");
	alarm_raise(ALARM_CRL_OLD, "other", "1", "x");
	alarm_raise(ALARM_STORE_DOWN, "", "store", "x");
	alarms_gauges(&t);
	assert_false(t.failed);
	assert_non_null(
	    strstr(t.p, "ocspcached_alarm{alarm=\"crl_old\",issuer=\"demo\"} 2\n"));
	assert_non_null(
	    strstr(t.p, "ocspcached_alarm{alarm=\"crl_old\",issuer=\"other\"} 1\n"));
	assert_non_null(
	    strstr(t.p, "ocspcached_alarm{alarm=\"store_down\",issuer=\"\"} 1\n"));
	assert_non_null(strstr(t.p, "ocspcached_alarms_left_out_total 0\n"));
	free(t.p);
}

static int end(void **state)
{
	(void)state;
	alarms_reset();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(it_is_raised_once_and_cleared_once, begin),
	    cmocka_unit_test_setup(alarm_issuer_and_subject_tell_them_apart, begin),
	    cmocka_unit_test_setup(one_of_a_moment_ends_by_itself, begin),
	    cmocka_unit_test_setup(a_state_stands_for_as_long_as_it_lasts, begin),
	    cmocka_unit_test_setup(one_that_is_worse_stood_before, begin),
	    cmocka_unit_test_setup(who_drops_a_subject_clears_it, begin),
	    cmocka_unit_test_setup(a_round_clears_what_it_does_not_find, begin),
	    cmocka_unit_test_setup(texts_are_cut_and_made_utf8, begin),
	    cmocka_unit_test_setup(no_more_stand_than_there_is_room_for, begin),
	    cmocka_unit_test_setup(the_gauge_counts_by_alarm_and_issuer, begin),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
