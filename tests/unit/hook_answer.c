/* What a receiver's answer means; dates as RFC 9110 section 5.6.7 has them. */
#include "proxy/push/hook_answer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOW 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */

static struct hook_answer answer_of(int status, const char *retry_after)
{
	return hook_answer_read(status, bytes_of(retry_after, strlen(retry_after)), NOW);
}

static void only_2xx_is_success(void **state)
{
	static const int failed[] = {
	    0, 100, 199, 300, 301, 302, 307, 400, 401, 404, 409, 411, 429, 500, 503, 999};

	(void)state;
	assert_int_equal(answer_of(200, "").verdict, HOOK_TAKEN);
	assert_int_equal(answer_of(202, "").verdict, HOOK_TAKEN);
	assert_int_equal(answer_of(204, "").verdict, HOOK_TAKEN);
	assert_int_equal(answer_of(299, "").verdict, HOOK_TAKEN);
	assert_int_equal(answer_of(410, "").verdict, HOOK_GONE);
	for (size_t i = 0; i < sizeof failed / sizeof failed[0]; i++)
		assert_int_equal(answer_of(failed[i], "").verdict, HOOK_FAILED);
}

static void retry_after_is_heeded_of_two_statuses(void **state)
{
	(void)state;
	assert_int_equal(answer_of(429, "120").wait_s, 120);
	assert_int_equal(answer_of(503, "120").wait_s, 120);
	assert_int_equal(answer_of(500, "120").wait_s, 0);
	assert_int_equal(answer_of(200, "120").wait_s, 0);
	assert_int_equal(answer_of(0, "120").wait_s, 0);
}

static void retry_after_is_seconds_or_a_date(void **state)
{
	static const struct {
		const char *text;
		int64_t s;
	} of[] = {{"0", 0}, {"007", 7}, {"", 0}, {"-1", 0}, {"1.5", 0}, {" 1", 0},
	    {"soon", 0}, {"Sun, 06 Nov 1994 08:50:37 GMT", 60},
	    {"Sun, 06 Nov 1994 08:49:36 GMT", 0}, {"Sun, 31 Nov 1994 08:49:36 GMT", 0},
	    {"Sun, 06 Nuv 1994 08:49:39 GMT", 0}, {"Sun, 06 Nov 1994 08:49:39 UTC", 0},
	    {"Sunday, 06-Nov-94 08:49:39 GMT", 0}, {"Sun, 06 Nov 1994 08:49:39 GMTx", 0}};

	(void)state;
	for (size_t i = 0; i < sizeof of / sizeof of[0]; i++)
		assert_int_equal(answer_of(429, of[i].text).wait_s, of[i].s);
}

static void retry_after_is_bounded(void **state)
{
	(void)state;
	assert_int_equal(answer_of(429, "86401").wait_s, HOOK_WAIT_MAX_S);
	assert_int_equal(
	    answer_of(429, "99999999999999999999999999").wait_s, HOOK_WAIT_MAX_S);
	assert_int_equal(
	    answer_of(429, "Fri, 31 Dec 9999 23:59:59 GMT").wait_s, HOOK_WAIT_MAX_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_2xx_is_success),
	    cmocka_unit_test(retry_after_is_heeded_of_two_statuses),
	    cmocka_unit_test(retry_after_is_seconds_or_a_date),
	    cmocka_unit_test(retry_after_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
