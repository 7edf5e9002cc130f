/* Times: where each day is, and what is none. */
#include "cache/crl/crl_der.h"

#include <openssl/asn1.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Each day of the years that UTCTime has, and days until 9999: against OpenSSL. */
static void every_day_is_where_openssl_has_it(void **state)
{
	static const int64_t first = -631152000, end = 2524608000; /* 1950, 2050 */

	(void)state;
	for (int64_t t = first; t < end; t += 86400 - 1) {
		ASN1_TIME *a = ASN1_UTCTIME_set(NULL, t);
		int64_t at;

		assert_non_null(a);
		assert_true(crl_time(
		    0x17, ASN1_STRING_get0_data(a), (size_t)ASN1_STRING_length(a), &at));
		assert_int_equal(at, t);
		ASN1_STRING_free(a);
	}
	for (int64_t t = end; t < INT64_C(253402300799); t += INT64_C(86399) * 97) {
		ASN1_TIME *a = ASN1_GENERALIZEDTIME_set(NULL, t);
		int64_t at;

		assert_true(crl_time(
		    0x18, ASN1_STRING_get0_data(a), (size_t)ASN1_STRING_length(a), &at));
		assert_int_equal(at, t);
		ASN1_STRING_free(a);
	}
}

/* R109: every octet at every place. */
static void no_octet_but_a_digit_is_a_digit(void **state)
{
	static const char *const times[] = {"221111111111Z", "20521111111111Z"};

	(void)state;
	for (int form = 0; form < 2; form++)
		for (size_t i = 0; i < strlen(times[form]); i++)
			for (int c = 0; c < 256; c++) {
				size_t n = strlen(times[form]);
				char t[16];
				int64_t at;

				memcpy(t, times[form], n);
				t[i] = (char)c;
				if (crl_time(form == 0 ? 0x17 : 0x18, (const uint8_t *)t,
					n, &at))
					assert_true(
					    i == n - 1 ? c == 'Z' : c >= '0' && c <= '9');
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_day_is_where_openssl_has_it),
	    cmocka_unit_test(no_octet_but_a_digit_is_a_digit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
