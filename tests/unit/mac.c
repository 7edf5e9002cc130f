#include "cache/base/mac.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* 00112233445566778899aabbccddeeff, twice. */
static void key_of(uint8_t key[1][MAC_KEY_SIZE])
{
	for (int i = 0; i < MAC_KEY_SIZE; i++)
		key[0][i] = (uint8_t)(0x11 * (i % 16));
}

static void assert_mac(const struct mac_keys *keys, const char *hex)
{
	struct bytes name = bytes_of("name", 4), value = bytes_of("value", 5);
	uint8_t mac[MAC_SIZE];
	char text[2 * MAC_SIZE + 1];

	assert_true(mac_make(keys, name, value, mac));
	hex_encode(mac, sizeof mac, text);
	assert_string_equal(text, hex);
	assert_true(mac_is_good(keys, name, value, mac));
	assert_false(mac_is_good(keys, value, name, mac));
	mac[7] ^= 1;
	assert_false(mac_is_good(keys, name, value, mac));
}

/* hmac.new(key, struct.pack(">I", 4) + b"name" + b"value", "sha256") of Python. */
static void a_mac_is_what_others_compute(void **state)
{
	uint8_t key[1][MAC_KEY_SIZE];
	struct mac_keys *keys;

	(void)state;
	key_of(key);
	keys = mac_keys_new((const uint8_t(*)[MAC_KEY_SIZE])key, 1);
	assert_mac(
	    keys, "30798d12d91a0a92b1c3bce8c46a458a2587726fb8d8217c16f15129a1b16493");
	mac_keys_free(keys);
}

/* The derived key is the MAC of the purpose's name, of nothing. */
static void a_derived_key_is_another(void **state)
{
	uint8_t key[1][MAC_KEY_SIZE], mac[MAC_SIZE];
	struct bytes name = bytes_of("name", 4), value = bytes_of("value", 5);
	struct mac_keys *keys, *derived;

	(void)state;
	key_of(key);
	keys = mac_keys_new((const uint8_t(*)[MAC_KEY_SIZE])key, 1);
	derived = mac_keys_derive(keys, "a purpose");
	assert_mac(
	    derived, "370311d752e91ea8091a5dd1e69b97f2243321cea9162ace06e5ebe3ab162bf7");
	assert_true(mac_make(keys, name, value, mac));
	assert_false(mac_is_good(derived, name, value, mac));
	mac_keys_free(keys);
	mac_keys_free(derived);
}

/* So that names and values are not shifted against each other. */
static void where_the_name_ends_counts(void **state)
{
	uint8_t key[1][MAC_KEY_SIZE], mac[MAC_SIZE];
	struct mac_keys *keys;

	(void)state;
	key_of(key);
	keys = mac_keys_new((const uint8_t(*)[MAC_KEY_SIZE])key, 1);
	assert_true(mac_make(keys, bytes_of("ab", 2), bytes_of("c", 1), mac));
	assert_false(mac_is_good(keys, bytes_of("a", 1), bytes_of("bc", 2), mac));
	assert_false(mac_make(NULL, bytes_of("ab", 2), bytes_of("c", 1), mac));
	assert_false(mac_is_good(NULL, bytes_of("ab", 2), bytes_of("c", 1), mac));
	mac_keys_free(keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_mac_is_what_others_compute),
	    cmocka_unit_test(a_derived_key_is_another),
	    cmocka_unit_test(where_the_name_ends_counts),
	};

	return cmocka_run_group_tests_name("mac", tests, NULL, NULL);
}
