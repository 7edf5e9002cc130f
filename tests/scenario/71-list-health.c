/* 71-list-health: what is told of lists that are late, near their end, or have shrunk. */
#include "proxy/base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/base/alarms.h"
#include "proxy/base/clock.h"
#include "tests/lib/feed_world.h"

#define HOUR INT64_C(3600000)

/* The teller is the test. */
bool teller_list(struct teller *t, const struct list_change *l)
{
	return feed_told(t, l);
}

struct looked_for {
	enum alarm alarm;
	size_t n;
	char detail[ALARM_DETAIL_MAX];
};

static void look_for(void *arg, const struct alarm_seen *s)
{
	struct looked_for *f = arg;

	if (s->alarm != f->alarm)
		return;
	assert_string_equal(s->issuer, "demo");
	assert_string_equal(s->subject, A);
	f->n++;
	strcpy(f->detail, s->detail);
}

/* What it says; NULL: it does not stand. */
static const char *detail_of(enum alarm a)
{
	static struct looked_for f;

	f = (struct looked_for){.alarm = a};
	assert_true(alarms_each(look_for, &f));
	assert_true(f.n <= 1);
	return f.n == 1 ? f.detail : NULL;
}

static bool stands(enum alarm a)
{
	return detail_of(a) != NULL;
}

static int number;

/* A list comes into force now, valid for so many hours. */
static void publish(int hours)
{
	char text[8];

	snprintf(text, sizeof text, "%02x", ++number);
	refresh();
	assert_int_equal(fake_fetches_waiting(), 1);
	answer(0, LIST(.number = text, .serials = "A", .to = hours * 3600));
	assert_true(listed('A'));
}

/* Time goes by, and whoever asks for a newer one is told that there is none. */
static void elapse_without(int64_t ms)
{
	for (int64_t until = feed_mono_ms + ms; feed_mono_ms < until;) {
		jump(until - feed_mono_ms < 60000 ? until - feed_mono_ms : 60000);
		while (fake_fetches_waiting() > 0)
			fake_fetch_fail(0, ERR_UP_TIMEOUT);
		feed_turn();
	}
	refresh();
	fake_fetch_fail(0, ERR_UP_TIMEOUT);
	feed_turn();
}

/* Six lists: five intervals, of which two are odd. */
static void publish_hourly(void)
{
	static const int64_t interval[] = {HOUR, HOUR / 60, HOUR, 9 * HOUR, HOUR};

	live("", DEMO);
	publish(96);
	for (size_t i = 0; i < 5; i++) {
		elapse_without(interval[i]);
		publish(96);
	}
}

static int begin(void **state)
{
	number = 0;
	alarms_reset();
	return feed_begin(state);
}

/* R114: three times the median of five intervals, raised once and cleared by the next
 * list. */
static void a_list_is_late_by_its_own_pace(void **state)
{
	const char *text;

	(void)state;
	publish_hourly();
	overhear();
	elapse_without(3 * HOUR - 60000);
	assert_false(stands(ALARM_CRL_LATE));
	elapse_without(120000);
	assert_non_null(detail_of(ALARM_CRL_LATE));
	assert_non_null(strstr(detail_of(ALARM_CRL_LATE), "one each 3600 s before"));
	elapse_without(HOUR);
	text = heard();
	assert_int_equal(times(text, "event=crl_late"), 1);
	assert_non_null(strstr(text, " interval_s=3600 "));
	assert_non_null(strstr(text, " remedy=\""));
	publish(96);
	assert_false(stands(ALARM_CRL_LATE));
}

static void four_intervals_make_no_list_late(void **state)
{
	(void)state;
	live("", DEMO);
	publish(96);
	for (int i = 0; i < 4; i++) {
		elapse_without(HOUR);
		publish(96);
	}
	elapse_without(24 * HOUR);
	assert_false(stands(ALARM_CRL_LATE));
}

/* The pace is on disk, and so is when the last list came (its file's time). */
static void a_restart_forgets_no_pace_and_makes_no_list_late(void **state)
{
	char path[400];
	struct timespec came[2];

	(void)state;
	publish_hourly();
	came[0] = came[1] = (struct timespec){.tv_sec = feed_now_ms / 1000};
	elapse_without(2 * HOUR);
	die();
	alarms_reset();
	file_of(A, "pace", path);
	assert_int_equal(access(path, R_OK), 0);
	file_of(A, "current", path);
	assert_int_equal(utimensat(AT_FDCWD, path, came, 0), 0);
	feed_now_ms += 2 * HOUR;
	fake_time_set(feed_now_ms, feed_mono_ms = 1000); /* another boot */
	live("", DEMO);
	assert_true(listed('A'));
	assert_false(stands(ALARM_CRL_LATE)); /* nobody has been asked yet */
	fake_fetch_fail(0, ERR_UP_TIMEOUT);
	feed_turn();
	assert_true(stands(ALARM_CRL_LATE));
	publish(96);
	assert_false(stands(ALARM_CRL_LATE));
	elapse_without(4 * HOUR);
	assert_true(stands(ALARM_CRL_LATE));
}

/* T20: the wall clock alone makes no list late, nor near its end. */
static void a_step_of_the_clock_makes_no_list_late(void **state)
{
	(void)state;
	publish_hourly();
	fake_time_set(feed_now_ms += 60 * HOUR, feed_mono_ms);
	elapse_without(HOUR);
	assert_false(stands(ALARM_CRL_LATE));
	assert_false(stands(ALARM_CRL_EXPIRING));
	fake_time_set(feed_now_ms -= 120 * HOUR, feed_mono_ms);
	elapse_without(3 * HOUR);
	assert_false(stands(ALARM_CRL_LATE)); /* the wall clock is the other one */
	fake_time_set(feed_now_ms += 60 * HOUR, feed_mono_ms);
	elapse_without(0);
	assert_true(stands(ALARM_CRL_LATE)); /* it is right again, and four hours are */
}

/* R114: told at half and once more at a sixth, until the next one is there. */
static void a_list_is_told_of_before_it_ends(void **state)
{
	(void)state;
	live("", DEMO);
	publish(12);
	overhear();
	elapse_without(6 * HOUR - 60000);
	assert_false(stands(ALARM_CRL_EXPIRING));
	elapse_without(120000);
	assert_int_equal(times(heard(), "event=crl_expiring"), 1);
	assert_non_null(detail_of(ALARM_CRL_EXPIRING));
	assert_non_null(
	    strstr(detail_of(ALARM_CRL_EXPIRING), "less than half of its life"));
	elapse_without(3 * HOUR);
	assert_non_null(
	    strstr(detail_of(ALARM_CRL_EXPIRING), "less than half of its life"));
	overhear();
	elapse_without(HOUR);
	assert_non_null(strstr(detail_of(ALARM_CRL_EXPIRING), "less than a sixth"));
	assert_int_equal(times(heard(), "event=crl_expiring"), 1);
	publish(12);
	assert_false(stands(ALARM_CRL_EXPIRING));
	elapse_without(7 * HOUR);
	assert_true(stands(ALARM_CRL_EXPIRING));
	elapse_without(
	    6 * HOUR); /* from its end on it is overdue, and one alarm is enough */
	assert_true(stands(ALARM_CRL_OVERDUE));
	assert_false(stands(ALARM_CRL_EXPIRING));
}

static struct forge_crl_entry entries[200];
static uint8_t serials[200][2];

static struct bytes list_of(size_t n)
{
	char text[8];
	struct forge_crl f = {.issuer = ca,
	    .key = ca_key,
	    .this_update = forge_time(clock_now()) + 2,
	    .next_update = forge_time(clock_now() + DAY) + 2,
	    .entry = entries,
	    .entries_n = n,
	    .number = text,
	    .signature = FORGE_ECDSA_SHA256};

	snprintf(text, sizeof text, "%02x", ++number);
	for (size_t i = 0; i < n; i++) {
		serials[i][0] = 0x10;
		serials[i][1] = (uint8_t)i;
		entries[i] = (struct forge_crl_entry){.serial = bytes_of(serials[i], 2),
		    .at = "250601000000Z",
		    .reason = -1};
	}
	return forge_crl(&f);
}

static void comes_with(size_t n)
{
	feed_elapse(5000);
	refresh();
	answer(0, list_of(n));
	assert_int_equal(set()->n, n);
}

/* By half, from 100 entries on; over when it has grown again, or after a day. */
static void a_list_that_shrinks_by_half_is_told_of(void **state)
{
	(void)state;
	live("", DEMO);
	answer(0, list_of(99));
	comes_with(1);
	assert_false(stands(ALARM_CRL_SHRUNK));
	comes_with(100);
	comes_with(51);
	assert_false(stands(ALARM_CRL_SHRUNK));
	comes_with(100);
	overhear();
	comes_with(50);
	assert_string_equal(detail_of(ALARM_CRL_SHRUNK), "50 entries, and 100 before");
	assert_int_equal(times(heard(), "event=crl_shrunk"), 1);
	comes_with(50);
	assert_true(stands(ALARM_CRL_SHRUNK));
	comes_with(51);
	assert_false(stands(ALARM_CRL_SHRUNK));
	comes_with(200);
	die();
	live("", DEMO); /* what it had before a restart counts too */
	answer(0, list_of(0));
	assert_true(stands(ALARM_CRL_SHRUNK));
	elapse_without(24 * HOUR);
	assert_false(stands(ALARM_CRL_SHRUNK));
}

/* Whoever takes a list away takes what was said of it. */
static void a_list_that_goes_takes_its_alarms_along(void **state)
{
	(void)state;
	publish_hourly();
	elapse_without(80 * HOUR);
	assert_true(stands(ALARM_CRL_LATE) && stands(ALARM_CRL_EXPIRING));
	reload("", "certificate = \"ca.pem\" crl = { \"" B "\" } ");
	assert_false(stands(ALARM_CRL_LATE));
	assert_false(stands(ALARM_CRL_EXPIRING));
}

#define HEALTH(name) cmocka_unit_test_setup_teardown(name, begin, feed_end)

int main(void)
{
	const struct CMUnitTest cases[] = {
	    HEALTH(a_list_is_late_by_its_own_pace),
	    HEALTH(four_intervals_make_no_list_late),
	    HEALTH(a_restart_forgets_no_pace_and_makes_no_list_late),
	    HEALTH(a_step_of_the_clock_makes_no_list_late),
	    HEALTH(a_list_is_told_of_before_it_ends),
	    HEALTH(a_list_that_shrinks_by_half_is_told_of),
	    HEALTH(a_list_that_goes_takes_its_alarms_along),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
