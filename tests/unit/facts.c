#include "cache/base/facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* RFC 5280 section 5.3.1 */
static void reasons_have_the_names_of_the_standard(void **state)
{
	(void)state;
	assert_string_equal(reason_name(0), "unspecified");
	assert_string_equal(reason_name(1), "keyCompromise");
	assert_string_equal(reason_name(2), "cACompromise");
	assert_string_equal(reason_name(3), "affiliationChanged");
	assert_string_equal(reason_name(4), "superseded");
	assert_string_equal(reason_name(5), "cessationOfOperation");
	assert_string_equal(reason_name(REASON_CERTIFICATE_HOLD), "certificateHold");
	assert_null(reason_name(7));
	assert_string_equal(reason_name(8), "removeFromCRL");
	assert_string_equal(reason_name(9), "privilegeWithdrawn");
	assert_string_equal(reason_name(10), "aACompromise");
	assert_null(reason_name(11));
	assert_null(reason_name(REASON_NONE));
	assert_null(reason_name(INT32_MAX));
	assert_null(reason_name(INT32_MIN));
}

static void statuses_have_the_names_of_the_api(void **state)
{
	(void)state;
	assert_string_equal(status_name(STATUS_NONE), "none");
	assert_string_equal(status_name(STATUS_GOOD), "good");
	assert_string_equal(status_name(STATUS_REVOKED), "revoked");
	assert_string_equal(status_name(STATUS_UNKNOWN), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reasons_have_the_names_of_the_standard),
	    cmocka_unit_test(statuses_have_the_names_of_the_api),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
