/* time_text.c - RFC 3339, digit by digit. */
#include "cache/base/time_text.h"

int month_days(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* n digits, and what has to stand behind them (0: nothing). */
static bool take(struct bytes *t, size_t n, char behind, int *out)
{
	size_t all = n + (behind != 0);

	if (t->n < all)
		return false;
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		if (t->p[i] < '0' || t->p[i] > '9')
			return false;
		*out = *out * 10 + (t->p[i] - '0');
	}
	if (behind != 0 && t->p[n] != (uint8_t)behind)
		return false;
	*t = bytes_of(t->p + all, t->n - all);
	return true;
}

/* Of the proleptic Gregorian calendar, since 1970-01-01. */
static int64_t days_since_epoch(int year, int month, int day)
{
	int64_t before = year - 1, days = day - 1;

	for (int m = 1; m < month; m++)
		days += month_days(year, m);
	return days + before * 365 + before / 4 - before / 100 + before / 400 -
	       (year == 0 ? 1 : 0) - 719162;
}

/* "Z", or the seconds that the clock there is ahead. */
static bool take_offset(struct bytes *t, int *seconds)
{
	int hour, minute, sign;

	*seconds = 0;
	if (t->n == 1 && (t->p[0] | 0x20) == 'z')
		return true;
	if (t->n < 1 || (t->p[0] != '+' && t->p[0] != '-'))
		return false;
	sign = t->p[0] == '+' ? 1 : -1;
	*t = bytes_of(t->p + 1, t->n - 1);
	if (!take(t, 2, ':', &hour) || !take(t, 2, 0, &minute) || t->n != 0 ||
	    hour > 23 || minute > 59)
		return false;
	*seconds = sign * (hour * 3600 + minute * 60);
	return true;
}

static bool take_date(struct bytes *t, int64_t *days)
{
	int year, month, day;

	if (!take(t, 4, '-', &year) || !take(t, 2, '-', &month) || !take(t, 2, 0, &day) ||
	    month < 1 || month > 12 || day < 1 || day > month_days(year, month))
		return false;
	*days = days_since_epoch(year, month, day);
	return true;
}

static bool take_fraction(struct bytes *t)
{
	size_t n = 1;

	if (t->n == 0 || t->p[0] != '.')
		return true;
	while (n < t->n && t->p[n] >= '0' && t->p[n] <= '9')
		n++;
	*t = bytes_of(t->p + n, t->n - n);
	return n > 1;
}

bool time_from_text(struct bytes t, int64_t *at)
{
	int hour, minute, second, offset;
	int64_t days;

	if (!take_date(&t, &days) || t.n == 0 ||
	    ((t.p[0] | 0x20) != 't' && t.p[0] != ' '))
		return false;
	t = bytes_of(t.p + 1, t.n - 1);
	if (!take(&t, 2, ':', &hour) || !take(&t, 2, ':', &minute) ||
	    !take(&t, 2, 0, &second) || hour > 23 || minute > 59 || second > 60 ||
	    !take_fraction(&t) || !take_offset(&t, &offset))
		return false;
	*at = days * 86400 + hour * 3600 + minute * 60 + second - offset;
	return second < 60 || *at % 86400 == 0;
}
