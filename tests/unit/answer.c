#include "cache/held/answer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void make_key(struct key *k)
{
	uint8_t hash[20] = {1};
	struct serial s;

	assert_int_equal(serial_from_hex(&s, "1234"), ERR_OK);
	key_make(k, CERTID_SHA1, hash, hash, &s);
}

static void an_answer_holds_copies_one_after_the_other(void **state)
{
	char head[] = "ETag: x\r\n\r\n", body[] = "body";
	struct facts f = {
	    .status = STATUS_GOOD, .next_update = 200, .signer_not_after = 150};
	struct answer *a;
	struct key k;

	(void)state;
	make_key(&k);
	a = answer_new(&k, &f, bytes_of(head, strlen(head)), bytes_of(body, 4));
	assert_non_null(a);
	memset(head, 'X', strlen(head));
	memset(body, 'X', 4);
	assert_true(bytes_equal(answer_key(a), key_der(&k)));
	assert_true(bytes_equal(answer_head(a), bytes_of("ETag: x\r\n\r\n", 11)));
	assert_true(bytes_equal(answer_body(a), bytes_of("body", 4)));
	assert_true(bytes_equal(answer_wire(a), bytes_of("ETag: x\r\n\r\nbody", 15)));
	/* It ends with its delegate. */
	assert_int_equal(a->expiry, 150);
	assert_int_equal(atomic_load(&a->mark), 0);
	assert_int_equal(a->error, ERR_OK);
	assert_int_equal(a->obtained_at, 0);
	assert_int_equal(a->max_age_cap, 0);
	answer_free(a);
	answer_free(NULL);
}

static void an_answer_may_be_empty(void **state)
{
	struct facts f = {.signer_not_after = INT64_MAX};
	struct answer *a;
	struct key k;

	(void)state;
	make_key(&k);
	a = answer_new(&k, &f, bytes_of(NULL, 0), bytes_of(NULL, 0));
	assert_non_null(a);
	assert_int_equal(answer_wire(a).n, 0);
	assert_int_equal(a->expiry, 0);
	answer_free(a);
}

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
	    cmocka_unit_test(an_answer_holds_copies_one_after_the_other),
	    cmocka_unit_test(an_answer_may_be_empty),
	    cmocka_unit_test(reasons_have_the_names_of_the_standard),
	    cmocka_unit_test(statuses_have_the_names_of_the_api),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
