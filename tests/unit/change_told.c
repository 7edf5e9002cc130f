#include "cache/change/change_told.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct change_told unknown;

static struct change_told told_at(uint32_t done, uint32_t total)
{
	struct change_told t = {.known = true,
	    .this_update = INT64_C(1700000000),
	    .done = done,
	    .total = total};

	memset(t.from, 0xf0, sizeof t.from);
	memset(t.to, 0x20, sizeof t.to);
	return t;
}

static void a_told_pointer_has_one_binary_form(void **state)
{
	struct change_told t = told_at(3, 305), back;
	uint8_t octets[CHANGE_TOLD_N];

	(void)state;
	change_told_encode(&t, octets);
	assert_int_equal(change_told_decode(&back, bytes_of(octets, sizeof octets)), 0);
	assert_true(change_told_equal(&t, &back));
	assert_int_equal(octets[0], 1);
	assert_memory_equal(octets + 65, "\0\0\0\0\x65\x53\xf1\0\0\0\0\3\0\0\1\x31", 16);
	for (size_t i = 0; i < sizeof octets; i++) {
		octets[i] ^= 0x80;
		if (change_told_decode(&back, bytes_of(octets, sizeof octets)) == 0)
			assert_false(change_told_equal(&t, &back));
		octets[i] ^= 0x80;
	}
	octets[0] = 2; /* another version */
	assert_int_equal(
	    change_told_decode(&back, bytes_of(octets, sizeof octets)), ERR_RECORD);
	octets[0] = 0; /* nothing told, but something behind it */
	assert_int_equal(
	    change_told_decode(&back, bytes_of(octets, sizeof octets)), ERR_RECORD);
	octets[0] = 1;
	assert_int_equal(
	    change_told_decode(&back, bytes_of(octets, CHANGE_TOLD_N - 1)), ERR_RECORD);
	assert_int_equal(change_told_decode(&back, bytes_of(NULL, 0)), ERR_RECORD);
	t.done = 306; /* more than there are */
	change_told_encode(&t, octets);
	assert_int_equal(
	    change_told_decode(&back, bytes_of(octets, sizeof octets)), ERR_RECORD);
	change_told_encode(&unknown, octets);
	assert_int_equal(change_told_decode(&back, bytes_of(octets, sizeof octets)), 0);
	assert_false(back.known);
	assert_true(change_told_equal(&unknown, &back));
	assert_false(change_told_equal(&t, &back));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_told_pointer_has_one_binary_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
