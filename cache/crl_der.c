/* DER as lists use it.  ASN1_get_object() reads the headers; that they are DER and not
 * merely BER is checked here. */
#include "cache/crl_walk.h"

#include <openssl/asn1.h>

bool crl_tlv_head(struct crl_tlv *t, const uint8_t *p, size_t have, uint64_t left)
{
	const unsigned char *q = p;
	unsigned octets = 0;
	int tag, class;
	long n;

	if (have < 2 || left < 2 || (p[0] & 0x1f) == 0x1f)
		return false;
	if (p[1] >= 0x80) {
		octets = p[1] & 0x7f;
		if (octets < 1 || octets > 4 || have < 2 + octets || p[2] == 0)
			return false;
	}
	if (left > LONG_MAX)
		left = LONG_MAX;
	if ((ASN1_get_object(&q, &n, &tag, &class, (long)left) & 0x80) != 0)
		return false;
	if (octets > 0 && n < 128)
		return false;
	t->tag = p[0];
	t->head = (uint8_t)(2 + octets);
	t->n = (size_t)n;
	t->body = q;
	return true;
}

bool crl_tlv_take(struct crl_tlv *t, struct bytes *b)
{
	if (!crl_tlv_head(t, b->p, b->n, b->n))
		return false;
	b->p += t->head + t->n;
	b->n -= t->head + t->n;
	return true;
}

/* Days from 1970-01-01 of a date in the Gregorian calendar, year 1 and on. */
static int64_t days_of(int year, int month, int day)
{
	int y = month > 2 ? year : year - 1; /* of years that begin in March */
	int m = month > 2 ? month - 3 : month + 9;

	return 365 * (int64_t)y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day -
	       1 - 719468;
}

static int days_in(int year, int month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

static inline int two(const uint8_t *p)
{
	return (p[0] - '0') * 10 + (p[1] - '0');
}

bool crl_time(uint8_t tag, const uint8_t *p, size_t n, int64_t *at)
{
	bool utc = tag == 0x17;
	int year, month, day, hour, minute, second;

	if ((!utc && tag != 0x18) || n != (utc ? 13 : 15) || p[n - 1] != 'Z')
		return false;
	for (size_t i = 0; i < n - 1; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	if (utc) {
		year = two(p) + (two(p) < 50 ? 2000 : 1900);
	} else {
		year = two(p) * 100 + two(p + 2);
		p += 2;
		if (year < 2050)
			return false;
	}
	month = two(p + 2);
	day = two(p + 4);
	hour = two(p + 6);
	minute = two(p + 8);
	second = two(p + 10);
	if (month < 1 || month > 12 || day < 1 || day > days_in(year, month) ||
	    hour > 23 || minute > 59 || second > 59)
		return false;
	*at = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	return true;
}
