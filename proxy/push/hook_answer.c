/* hook_answer.c - two forms of Retry-After. */
#include "proxy/push/hook_answer.h"

#include <stdio.h>

#include "cache/base/time_text.h"

#define SECONDS_DIGITS 9 /* more is beyond every bound */

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool seconds_read(struct bytes t, int64_t *s)
{
	*s = 0;
	if (t.n == 0)
		return false;
	for (size_t i = 0; i < t.n; i++) {
		if (!is_digit(t.p[i]))
			return false;
		*s = i < SECONDS_DIGITS ? *s * 10 + (t.p[i] - '0') : INT64_C(9999999999);
	}
	return true;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7), by way of RFC 3339. */
static bool date_read(struct bytes t, int64_t *at)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const char *p = (const char *)t.p;
	char text[32];
	int month = 0;

	if (t.n != 29 || memcmp(p + 3, ", ", 2) != 0 || memcmp(p + 25, " GMT", 4) != 0 ||
	    p[7] != ' ' || p[11] != ' ' || p[16] != ' ')
		return false;
	while (month < 12 && memcmp(p + 8, months + 3 * month, 3) != 0)
		month++;
	if (month == 12)
		return false;
	snprintf(
	    text, sizeof text, "%.4s-%02d-%.2sT%.8sZ", p + 12, month + 1, p + 5, p + 17);
	return time_from_text(bytes_of(text, strlen(text)), at);
}

static int64_t wait_of(struct bytes t, int64_t now)
{
	int64_t s;

	if (!seconds_read(t, &s)) {
		if (!date_read(t, &s))
			return 0;
		s -= now;
	}
	if (s < 0)
		return 0;
	return s < HOOK_WAIT_MAX_S ? s : HOOK_WAIT_MAX_S;
}

struct hook_answer hook_answer_read(int status, struct bytes retry_after, int64_t now)
{
	struct hook_answer a = {.verdict = HOOK_FAILED};

	if (status >= 200 && status <= 299)
		a.verdict = HOOK_TAKEN;
	else if (status == 410)
		a.verdict = HOOK_GONE;
	else if (status == 429 || status == 503)
		a.wait_s = wait_of(retry_after, now);
	return a;
}
