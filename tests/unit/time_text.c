#include "cache/base/time_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static bool read_text(const char *text, int64_t *at)
{
	return time_from_text(bytes_of(text, strlen(text)), at);
}

/* RFC 3339 section 5.8, and seconds by `date -d`. */
static void times_of_the_rfc_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t at;
	} row[] = {{"1985-04-12T23:20:50.52Z", 482196050},
	    {"1996-12-19T16:39:57-08:00", 851042397}, {"1990-12-31T23:59:60Z", 662688000},
	    {"1990-12-31T15:59:60-08:00", 662688000},
	    {"1937-01-01T12:00:27.87+00:20", -1041337173}, {"1970-01-01t00:00:00z", 0},
	    {"2026-11-22 10:13:48Z", 1795342428}, {"2024-02-29T00:00:00Z", 1709164800},
	    {"0000-01-01T00:00:00Z", -62167219200},
	    {"0000-12-31T23:59:59Z", -62135596801},
	    {"9999-12-31T23:59:59Z", 253402300799}};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		int64_t at = 1;

		if (!read_text(row[i].text, &at) || at != row[i].at)
			fail_msg("%s: %lld", row[i].text, (long long)at);
	}
}

static void what_is_no_time_is_refused(void **state)
{
	static const char *const bad[] = {"", "2026-11-22", "2026-11-22T10:13:48",
	    "2026-11-22T10:13Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
	    "2026-02-29T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z",
	    "1900-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
	    "2026-01-01T00:00:61Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00.Z",
	    "2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00+24:00",
	    "2026-01-01T00:00:00+01:60", "2026-01-01T00:00:00+0100",
	    "2026-01-01T00:00:00+01", "2026-01-01T00:00:00ZZ", "2026-01-01T00:00:00 Z",
	    "26-01-01T00:00:00Z", "+2026-01-01T00:00:00Z", "2026-1-01T00:00:00Z",
	    "2026/01/01T00:00:00Z", "2026-01-01X00:00:00Z", " 2026-01-01T00:00:00Z"};
	int64_t at;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (read_text(bad[i], &at))
			fail_msg("\"%s\" was read", bad[i]);
}

/* Every fifth day of 800 years, against the C library. */
static void days_are_counted_as_timegm_counts_them(void **state)
{
	(void)state;
	for (int64_t day = -1600 * INT64_C(73); day < 240 * INT64_C(365); day += 5) {
		time_t t = (time_t)(day * 86400 + 3723);
		char text[40];
		struct tm tm;
		int64_t at;

		assert_non_null(gmtime_r(&t, &tm));
		assert_true(strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0);
		assert_true(read_text(text, &at));
		assert_int_equal(at, t);
	}
}

static void months_have_their_days(void **state)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	(void)state;
	for (int m = 1; m <= 12; m++)
		assert_int_equal(month_days(2026, m), days[m - 1]);
	assert_int_equal(month_days(2000, 2), 29);
	assert_int_equal(month_days(1900, 2), 28);
	assert_int_equal(month_days(2024, 2), 29);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(times_of_the_rfc_are_read),
	    cmocka_unit_test(what_is_no_time_is_refused),
	    cmocka_unit_test(days_are_counted_as_timegm_counts_them),
	    cmocka_unit_test(months_have_their_days),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
