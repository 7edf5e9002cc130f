/* text_put.c - strings, times and serials as JSON has them. */
#include "proxy/push/text_put.h"

#include "cache/base/utf8.h"

static const char digit[] = "0123456789abcdef";

static char *put_escape(char *p, unsigned code)
{
	p = PUT(p, "\\u");
	for (int shift = 12; shift >= 0; shift -= 4)
		*p++ = digit[code >> shift & 15];
	return p;
}

char *put_string(char *p, const char *text)
{
	*p++ = '"';
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
		    c == '_' || c == '-')
			*p++ = (char)c;
		else
			p = put_escape(p, c);
	}
	*p++ = '"';
	return p;
}

char *put_utf8(char *p, const char *text)
{
	const uint8_t *at = (const uint8_t *)text, *end = at + strlen(text);
	unsigned code;

	*p++ = '"';
	while (at < end) {
		size_t n = utf8_length(at, (size_t)(end - at), &code);

		if (n == 0)
			p = put_escape(p, 0xfffd);
		else if (utf8_is_control(code) || code == '"' || code == '\\')
			p = put_escape(p, code);
		else
			p = put(p, (const char *)at, n);
		at += n > 0 ? n : 1;
	}
	*p++ = '"';
	return p;
}

static char *put_digits(char *p, unsigned v, int n)
{
	for (int i = n - 1; i >= 0; i--, v /= 10)
		p[i] = (char)('0' + v % 10);
	return p + n;
}

/* The civil date of a day since 1970-01-01, in years that begin in March, so that a leap
 * day is a year's last. */
static char *put_date(char *p, int64_t day)
{
	unsigned era_day, era_year, year_day, month, era;

	day += 719468; /* since 0000-03-01; not negative for the years that we write */
	era = (unsigned)(day / 146097);
	era_day = (unsigned)(day % 146097);
	era_year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
	year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
	month = (5 * year_day + 2) / 153;
	p = put_digits(p, era * 400 + era_year + (month >= 10), 4);
	*p++ = '-';
	p = put_digits(p, month < 10 ? month + 3 : month - 9, 2);
	*p++ = '-';
	return put_digits(p, year_day - (153 * month + 2) / 5 + 1, 2);
}

char *put_time(char *p, int64_t at)
{
	static const int64_t first = -62135596800 /* 0001 */,
			     last = 253402300799 /* 9999 */;
	unsigned second;
	int64_t day;

	if (at < first || at > last)
		return PUT(p, "null");
	day = at >= 0 ? at / 86400 : -((86399 - at) / 86400);
	second = (unsigned)(at - day * 86400);
	*p++ = '"';
	p = put_date(p, day);
	*p++ = 'T';
	p = put_digits(p, second / 3600, 2);
	*p++ = ':';
	p = put_digits(p, second / 60 % 60, 2);
	*p++ = ':';
	p = put_digits(p, second % 60, 2);
	return PUT(p, "Z\"");
}

char *put_serial(char *p, const struct crl_entry *e)
{
	const uint8_t *at = e->octets + SERIAL_MAX - e->n, *end = e->octets + SERIAL_MAX;

	if (*at >= 0x80) { /* negative: rare enough for the long way */
		char text[SERIAL_HEX_MAX];
		struct serial s;

		crl_entry_serial(e, &s);
		serial_to_hex(&s, text);
		return put_text(p, text);
	}
	while (at < end - 1 && *at == 0)
		at++;
	if (*at >= 16)
		*p++ = digit[*at >> 4];
	*p++ = digit[*at++ & 15];
	for (; at < end; at++) {
		*p++ = digit[*at >> 4];
		*p++ = digit[*at & 15];
	}
	return p;
}

char *put_pos(char *p, const struct change_pos *pos)
{
	char text[CHANGE_POS_TEXT_MAX];

	change_pos_text(pos, text);
	return put_text(p, text);
}
