/* Times are read eight digits at a time: a list has millions of them. */
#include "cache/crl/crl_der.h"

#include <limits.h>
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

/* Days from 1970-01-01 of a date in the Gregorian calendar; false where there is none. */
static inline bool days_of(int year, int month, int day, int64_t *days)
{
	static const uint16_t before[] = {
	    0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
	int y = year - 1, leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (month < 1 || month > 12 || day < 1 ||
	    day > before[month] - before[month - 1] + (month == 2 ? leap : 0))
		return false;
	*days = 365 * (int64_t)y + y / 4 - y / 100 + y / 400 + before[month - 1] +
		(month > 2 ? leap : 0) + day - 1 - 719162;
	return true;
}

/* Eight digits as four numbers of two, in the bytes 0, 2, 4 and 6; false where one is no
 * digit.  All at once: a list has millions of dates. */
static inline bool pairs_of(const uint8_t *p, uint64_t *out)
{
	const uint64_t high = UINT64_C(0xf0f0f0f0f0f0f0f0);
	uint64_t x;

	memcpy(&x, p, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	x = __builtin_bswap64(x);
#endif
	/* '0'..'9' are 0x30..0x39: the high half is 3, and still is with 6 added */
	if (((x & high) | ((x + UINT64_C(0x0606060606060606)) & high) >> 4) !=
	    UINT64_C(0x3333333333333333))
		return false;
	x &= UINT64_C(0x0f0f0f0f0f0f0f0f);
	*out = (x * 10 + (x >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
	return true;
}

static inline int pair(uint64_t pairs, int i)
{
	return (int)(pairs >> 16 * i & 0xff);
}

bool crl_time(uint8_t tag, const uint8_t *p, size_t n, int64_t *at)
{
	bool utc = tag == 0x17;
	uint64_t front, back; /* YYMMDDHH, DDHHMMSS */
	int year, hour, minute, second, century = 0;
	int64_t days;

	if ((!utc && tag != 0x18) || n != (utc ? 13 : 15) || p[n - 1] != 'Z')
		return false;
	if (!utc) {
		if (p[0] < '2' || p[0] > '9' || p[1] < '0' || p[1] > '9')
			return false;
		century = (p[0] - '0') * 10 + (p[1] - '0');
		p += 2;
	}
	if (!pairs_of(p, &front) || !pairs_of(p + 4, &back))
		return false;
	year = pair(front, 0);
	hour = pair(back, 1);
	minute = pair(back, 2);
	second = pair(back, 3);
	year += utc ? (year < 50 ? 2000 : 1900) : century * 100;
	if ((!utc && year < 2050) ||
	    !days_of(year, pair(front, 1), pair(back, 0), &days) || hour > 23 ||
	    minute > 59 || second > 59)
		return false;
	*at = days * 86400 + hour * 3600 + minute * 60 + second;
	return true;
}
