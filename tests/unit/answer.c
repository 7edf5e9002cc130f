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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer_holds_copies_one_after_the_other),
	    cmocka_unit_test(an_answer_may_be_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
